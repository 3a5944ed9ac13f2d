//! Geographies: the sets of Regions by which AWS names its cross-region inference profiles.

/// A row of the table of geographies.
struct Row {
    name: &'static str,
    /// The Regions that belong to it.
    regions: &'static [&'static str],
    /// The same as patterns for IAM, which go on matching when AWS adds a Region.
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

/// The geographies. Their Regions are listed one by one: what only looks like a Region of the EU is
/// not one, and a Region that is not here belongs to no geography but `global`. `eu` has the
/// Regions in member states of the EU, so neither London (eu-west-2) nor Zurich (eu-central-2).
///
/// New geographies appear. A profile of one that is not here is taken for a model, which changes
/// nothing but what the gateway reports; no fence lets it pass before its destinations are known.
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
    // Any Region: see `is_global`.
    row(GLOBAL, &[], &["*"]),
];

const JAPAN: &[&str] = &["ap-northeast-1", "ap-northeast-3"];
const AUSTRALIA: &[&str] = &["ap-southeast-2", "ap-southeast-4"];

/// The geography of profiles that are served anywhere.
const GLOBAL: &str = "global";

/// A geography, such as `eu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geography {
    name: &'static str,
    regions: &'static [&'static str],
    patterns: &'static [&'static str],
}

impl Geography {
    /// The geography of this name.
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

    /// The geography by which most of the profiles are called that a source Region has.
    pub fn of_profiles_in(region: &str) -> Option<Self> {
        ["us", "us-gov", "eu", "apac", "ca"]
            .into_iter()
            .filter_map(Self::named)
            .find(|geography| geography.has(region))
    }

    /// The names of all geographies.
    pub fn names() -> impl Iterator<Item = &'static str> {
        GEOGRAPHIES.iter().map(|row| row.name)
    }

    /// Its name: the prefix of its profiles' IDs.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Returns patterns for IAM that match its Regions, those too that AWS may add.
    pub fn region_patterns(self) -> impl Iterator<Item = &'static str> {
        self.patterns.iter().copied()
    }

    /// Whether its profiles are served wherever AWS likes.
    pub fn is_global(self) -> bool {
        self.name == GLOBAL
    }

    /// Returns whether a Region belongs to it. `global` has every Region, all others only those
    /// that are known.
    pub fn has(self, region: &str) -> bool {
        self.is_global() || self.regions.contains(&region)
    }

    /// Returns whether all of its Regions belong to another one.
    pub(super) fn is_part_of(self, other: Self) -> bool {
        other.is_global()
            || (!self.is_global() && self.regions.iter().all(|region| other.has(region)))
    }

    /// Returns whether no Region belongs to both.
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
