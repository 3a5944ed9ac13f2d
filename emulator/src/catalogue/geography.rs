//! Geographies: which Regions may use a system-defined profile, and which may serve its calls.

/// The prefix of a system-defined profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Geography {
    /// `us.`
    Us,
    /// `eu.`
    Eu,
    /// `apac.`
    Apac,
    /// `global.`: from every source Region to any Region.
    Global,
}

impl Geography {
    /// The prefix of profile IDs.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Apac => "apac",
            Self::Global => "global",
        }
    }

    /// The prefix of profile names.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Us => "US",
            Self::Eu => "EU",
            Self::Apac => "APAC",
            Self::Global => "Global",
        }
    }

    /// The Regions that may serve calls from any source. At most four, because the API's model
    /// allows five with the source.
    const fn core(self) -> &'static [&'static str] {
        match self {
            Self::Us => &["us-east-1", "us-east-2", "us-west-2"],
            Self::Eu => &["eu-central-1", "eu-north-1", "eu-west-1", "eu-west-3"],
            Self::Apac => &[
                "ap-northeast-1",
                "ap-northeast-2",
                "ap-southeast-1",
                "ap-southeast-2",
            ],
            Self::Global => &[],
        }
    }

    /// Additional source Regions: their calls may also be served there.
    const fn fringe(self) -> &'static [&'static str] {
        match self {
            Self::Us => &["us-west-1"],
            Self::Eu => &["eu-south-1", "eu-south-2"],
            Self::Apac => &[
                "ap-northeast-3",
                "ap-south-1",
                "ap-south-2",
                "ap-southeast-4",
            ],
            Self::Global => &[
                "ca-central-1",
                "sa-east-1",
                "eu-west-2",
                "il-central-1",
                "me-central-1",
            ],
        }
    }

    /// Whether calls from this Region may use the profile.
    pub fn has_source(self, region: &str) -> bool {
        let own = |geography: Self| {
            geography.core().contains(&region) || geography.fringe().contains(&region)
        };
        match self {
            Self::Global => [Self::Us, Self::Eu, Self::Apac, Self::Global]
                .into_iter()
                .any(own),
            _ => own(self),
        }
    }

    /// Where calls from this source Region may be served, in order. For `global.`, all Regions of
    /// the emulator.
    pub(super) fn destinations(self, source: &str) -> Vec<String> {
        let regions = match self {
            Self::Global => [Self::Us, Self::Eu, Self::Apac, Self::Global]
                .iter()
                .flat_map(|geography| [geography.core(), geography.fringe()].concat())
                .collect(),
            _ => self.core().to_vec(),
        };
        let mut regions: Vec<String> = regions.into_iter().map(str::to_owned).collect();
        if !regions.iter().any(|region| region == source) {
            regions.push(source.to_owned());
        }
        regions.sort();
        regions
    }
}
