//! Lists the Provisioned Throughput that the account has bought. It exists in every Region that has
//! the model.

use super::{models::Model, profiles::ACCOUNT};

/// Provisioned Throughput for a model. Calls use its ARN in place of the model's ID, and no quota
/// applies to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provisioned {
    /// The last part of the ARN.
    pub id: &'static str,
    /// `provisionedModelName`.
    pub name: &'static str,
    /// `modelUnits`.
    pub units: u32,
    /// `creationTime`, in ISO 8601.
    pub since: &'static str,
    model: &'static str,
}

/// All Provisioned Throughput of the account.
pub static PROVISIONED: &[Provisioned] = &[
    Provisioned {
        id: "emulatorpt01",
        name: "emulator-nova-units",
        units: 1,
        since: "2025-03-01T00:00:00Z",
        model: "amazon.nova-lite-v1:0",
    },
    Provisioned {
        id: "emulatorpt02",
        name: "emulator-claude-units",
        units: 2,
        since: "2025-06-01T00:00:00Z",
        model: "anthropic.claude-3-haiku-20240307-v1:0",
    },
];

impl Provisioned {
    /// Returns the Provisioned Throughput with this ID in the Region.
    pub fn find(id: &str, region: &str) -> Option<&'static Self> {
        Self::list(region).find(|provisioned| provisioned.id == id)
    }

    /// Returns the Provisioned Throughput in the Region.
    pub fn list(region: &str) -> impl Iterator<Item = &'static Self> {
        PROVISIONED
            .iter()
            .filter(move |provisioned| provisioned.model().is_some_and(|model| model.is_in(region)))
    }

    /// Returns the model of this Provisioned Throughput.
    pub fn model(&self) -> Option<&'static Model> {
        Model::find(self.model)
    }

    /// Returns the `provisionedModelArn` in the Region.
    pub fn arn(&self, region: &str) -> String {
        format!(
            "arn:aws:bedrock:{region}:{ACCOUNT}:provisioned-model/{}",
            self.id
        )
    }
}
