//! Geographies: the prefixes of cross-region inference profiles, and the Regions that they cover.

/// A geography in the table.
struct Row {
    name: &'static str,
    /// The Regions that belong to the geography.
    regions: &'static [&'static str],
    /// Patterns for these Regions in IAM policies. They also match Regions that AWS adds later.
    patterns: &'static [&'static str],
}

const fn row(
    name: &'static str,
    regions: &'static [&'static str],
    patterns: &'static [&'static str],
) -> Row {
    Row {
        name,
        regions,
        patterns,
    }
}

/// All geographies, each with all of its Regions. A Region that is not in the table belongs only to
/// `global`, even if its name begins like those of another geography. `eu` contains the Regions in
/// member states of the EU, so it contains neither London (eu-west-2) nor Zurich (eu-central-2).
///
/// AWS adds geographies from time to time. The gateway treats a profile of an unknown geography as
/// a model. Calls work nevertheless, but a fence blocks such a profile until its destination
/// Regions are known.
const GEOGRAPHIES: [Row; 14] = [
    row(
        "us",
        &["us-east-1", "us-east-2", "us-west-1", "us-west-2"],
        &["us-east-*", "us-west-*"],
    ),
    row("us-gov", &["us-gov-east-1", "us-gov-west-1"], &["us-gov-*"]),
    row(
        "eu",
        &[
            "eu-central-1",
            "eu-north-1",
            "eu-south-1",
            "eu-south-2",
            "eu-west-1",
            "eu-west-3",
        ],
        &["eu-*"],
    ),
    row(
        "apac",
        &[
            "ap-east-1",
            "ap-east-2",
            "ap-northeast-1",
            "ap-northeast-2",
            "ap-northeast-3",
            "ap-south-1",
            "ap-south-2",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-southeast-3",
            "ap-southeast-4",
            "ap-southeast-5",
            "ap-southeast-6",
            "ap-southeast-7",
        ],
        &["ap-*"],
    ),
    row("jp", JAPAN, JAPAN),
    row("au", AUSTRALIA, AUSTRALIA),
    row("in", &["ap-south-1", "ap-south-2"], &["ap-south-*"]),
    row("ca", &["ca-central-1", "ca-west-1"], &["ca-*"]),
    row("mx", &["mx-central-1"], &["mx-*"]),
    row("sa", &["sa-east-1"], &["sa-*"]),
    row("me", &["me-central-1", "me-south-1"], &["me-*"]),
    row("il", &["il-central-1"], &["il-*"]),
    row("af", &["af-south-1"], &["af-*"]),
    // This geography contains every Region: see `is_global`.
    row(GLOBAL, &[], &["*"]),
];

const JAPAN: &[&str] = &["ap-northeast-1", "ap-northeast-3"];
const AUSTRALIA: &[&str] = &["ap-southeast-2", "ap-southeast-4"];

/// The name of the geography whose profiles may serve requests in any Region.
const GLOBAL: &str = "global";

/// A geography, such as `eu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geography {
    name: &'static str,
    regions: &'static [&'static str],
    patterns: &'static [&'static str],
}

impl Geography {
    /// Returns the geography with this name.
    pub fn named(name: &str) -> Option<Self> {
        GEOGRAPHIES
            .iter()
            .find(|row| row.name == name)
            .map(|row| Self {
                name: row.name,
                regions: row.regions,
                patterns: row.patterns,
            })
    }

    /// Returns the geography of most inference profiles that are called in this source Region.
    pub fn of_profiles_in(region: &str) -> Option<Self> {
        ["us", "us-gov", "eu", "apac", "ca"]
            .into_iter()
            .filter_map(Self::named)
            .find(|geography| geography.has(region))
    }

    /// Returns the names of all geographies.
    pub fn names() -> impl Iterator<Item = &'static str> {
        GEOGRAPHIES.iter().map(|row| row.name)
    }

    /// Returns the geography's name, with which the IDs of its profiles begin.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Returns patterns for the geography's Regions in IAM policies. They also match Regions that
    /// AWS adds later.
    pub fn region_patterns(self) -> impl Iterator<Item = &'static str> {
        self.patterns.iter().copied()
    }

    /// Returns whether AWS may serve requests to the geography's profiles in any Region.
    pub fn is_global(self) -> bool {
        self.name == GLOBAL
    }

    /// Returns whether the geography contains a Region. `global` contains all Regions, even unknown
    /// ones.
    pub fn has(self, region: &str) -> bool {
        self.is_global() || self.regions.contains(&region)
    }

    /// Returns whether another geography contains all Regions of this one.
    pub(super) fn is_part_of(self, other: Self) -> bool {
        other.is_global()
            || (!self.is_global() && self.regions.iter().all(|region| other.has(region)))
    }

    /// Returns whether the two geographies have no Region in common.
    pub(super) fn is_apart_from(self, other: Self) -> bool {
        !self.is_global()
            && !other.is_global()
            && !self.regions.iter().any(|region| other.has(region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geography(name: &str) -> Geography {
        Geography::named(name).unwrap()
    }

    #[test]
    fn regions_belong_to_geographies() {
        for (name, inside, outside) in [
            ("us", "us-east-1", "us-gov-west-1"),
            ("us-gov", "us-gov-west-1", "us-east-1"),
            ("eu", "eu-central-1", "us-east-1"),
            ("apac", "ap-south-1", "eu-west-1"),
            ("jp", "ap-northeast-3", "ap-northeast-2"),
            ("au", "ap-southeast-4", "ap-southeast-1"),
            ("eu", "eu-south-2", "eu-evil-1"),
            ("eu", "eu-west-3", "eu-west-2"),
            ("eu", "eu-north-1", "eu-west-10"),
            ("us", "us-west-2", "us-west-20"),
            ("apac", "ap-southeast-7", "ap-"),
            ("global", "sa-east-1", ""),
        ] {
            assert!(geography(name).has(inside), "{name} {inside}");
            if !outside.is_empty() {
                assert!(!geography(name).has(outside), "{name} {outside}");
            }
        }
    }

    #[test]
    fn patterns_for_iam_match_the_regions_that_are_known() {
        for row in &GEOGRAPHIES {
            for region in row.regions {
                let matched = row.patterns.iter().any(|pattern| {
                    pattern
                        .strip_suffix('*')
                        .map_or(pattern == region, |start| region.starts_with(start))
                });
                assert!(matched, "{} {region}", row.name);
            }
        }
    }
}
