//! Fences: the Regions in which requests may be served (`only` in the configuration).

use std::fmt;

use super::Geography;

/// The geographies and Regions in which requests may be served. A fence without any of them allows
/// all Regions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence(Vec<FencePart>);

/// A geography or a Region that a fence allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FencePart {
    /// All Regions of this geography.
    Geography(Geography),
    /// This Region.
    Region(String),
}

/// Whether requests to a route stay within a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// All requests are served within the fence.
    Inside,
    /// Requests may be served outside of the fence.
    Outside,
    /// Unknown until the gateway has looked up the destination Regions of the inference profile.
    Unknown,
}

impl Fence {
    /// Creates a fence that allows these geographies and Regions.
    pub fn of(parts: Vec<FencePart>) -> Self {
        Self(parts)
    }

    /// Returns whether the fence allows all Regions.
    pub fn is_unrestricted(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names of the geographies and Regions, as in the configuration.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|part| match part {
            FencePart::Geography(geography) => geography.name(),
            FencePart::Region(region) => region.as_str(),
        })
    }

    /// Returns whether requests that are served in a Region stay within the fence.
    pub fn side_of_region(&self, region: &str) -> Side {
        let inside = self.is_unrestricted()
            || self.0.iter().any(|part| match part {
                FencePart::Geography(geography) => geography.has(region),
                FencePart::Region(name) => name == region,
            });
        if inside { Side::Inside } else { Side::Outside }
    }

    /// Returns whether requests that may be served in any Region stay within the fence.
    pub fn side_of_anywhere(&self) -> Side {
        let everywhere = |part: &FencePart| matches!(part, FencePart::Geography(geography) if geography.is_global());
        if self.is_unrestricted() || self.0.iter().any(everywhere) {
            Side::Inside
        } else {
            Side::Outside
        }
    }

    /// Returns whether requests that may be served in any Region of a geography stay within the
    /// fence.
    pub fn side_of(&self, geography: Geography) -> Side {
        if geography.is_global() {
            return self.side_of_anywhere();
        }
        if self.is_unrestricted() {
            return Side::Inside;
        }
        let mut side = Side::Outside;
        for part in &self.0 {
            match part {
                FencePart::Geography(inside) if geography.is_part_of(*inside) => {
                    return Side::Inside;
                }
                FencePart::Geography(inside) if !geography.is_apart_from(*inside) => {
                    side = Side::Unknown;
                }
                FencePart::Region(region) if geography.has(region) => side = Side::Unknown,
                FencePart::Geography(_) | FencePart::Region(_) => {}
            }
        }
        side
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geography(name: &str) -> Geography {
        Geography::named(name).unwrap()
    }

    fn fence(places: &[&str]) -> Fence {
        let place = |name: &&str| match Geography::named(name) {
            Some(geography) => FencePart::Geography(geography),
            None => FencePart::Region((*name).to_owned()),
        };
        Fence::of(places.iter().map(place).collect())
    }

    #[test]
    fn the_name_of_a_geography_decides_whether_it_is_within_a_fence() {
        for (places, name, side) in [
            (&["eu"][..], "eu", Side::Inside),
            (&["eu"], "us", Side::Outside),
            (&["eu"], "global", Side::Outside),
            (&["global"], "global", Side::Inside),
            (&["global"], "eu", Side::Inside),
            (&["apac"], "jp", Side::Inside),
            (&["jp"], "apac", Side::Unknown),
            (&["jp"], "au", Side::Outside),
            (&["eu-west-1"], "eu", Side::Unknown),
            (&["eu-west-1"], "us", Side::Outside),
            (&["eu", "us"], "us", Side::Inside),
            (&["us"], "us-gov", Side::Outside),
            (&[], "global", Side::Inside),
        ] {
            assert_eq!(
                fence(places).side_of(geography(name)),
                side,
                "{places:?} {name}"
            );
        }
    }

    #[test]
    fn a_fence_of_single_regions_is_exact() {
        let fence = fence(&["eu-west-1", "us"]);
        for (region, side) in [
            ("eu-west-1", Side::Inside),
            ("us-west-2", Side::Inside),
            ("eu-west-3", Side::Outside),
            ("us-gov-west-1", Side::Outside),
        ] {
            assert_eq!(fence.side_of_region(region), side, "{region}");
        }
        assert_eq!(fence.to_string(), "eu-west-1, us");
    }
}
