//! Defines geographies: which Regions may use a system-defined profile, and which may serve its
//! calls.

/// The geography of a system-defined profile, which is the prefix of its ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Geography {
    /// `us.`
    Us,
    /// `eu.`
    Eu,
    /// `apac.`
    Apac,
    /// `global.`: all Regions may use the profile, and all may serve its calls.
    Global,
}

impl Geography {
    /// Returns the prefix of profile IDs.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Apac => "apac",
            Self::Global => "global",
        }
    }

    /// Returns the prefix of profile names.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Us => "US",
            Self::Eu => "EU",
            Self::Apac => "APAC",
            Self::Global => "Global",
        }
    }

    /// Returns the Regions that may serve calls from any source Region. There are at most four,
    /// because the API's model allows five destination Regions including the source Region.
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

    /// Returns additional source Regions. Each of them may also serve its own calls.
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

    /// Returns whether calls from this Region may use the profile.
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

    /// Returns the Regions that may serve calls from this source Region, in order. For `global.`,
    /// these are all Regions of the emulator.
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
