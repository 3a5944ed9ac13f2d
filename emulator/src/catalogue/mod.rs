//! Lists the models, inference profiles, Regions and Provisioned Throughput of the emulator.

mod geography;
mod models;
mod profiles;
mod provisioned;

pub(super) use self::profiles::{application, first_applications, of_model};
pub use self::{
    geography::Geography,
    models::{MODELS, Model, Output},
    profiles::{ACCOUNT, Profile, ProfileType, system_profiles},
    provisioned::{PROVISIONED, Provisioned},
};

/// The parts of a Bedrock ARN.
pub(super) struct Arn<'a> {
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    /// The part before the first slash, such as `inference-profile`.
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
}

impl<'a> Arn<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (arn, partition) = (parts.next()?, parts.next()?);
        let service = parts.next()?;
        let (region, account) = (parts.next()?, parts.next()?);
        let (kind, id) = parts.next()?.split_once('/')?;
        let known = arn == "arn"
            && (partition == "aws" || partition.starts_with("aws-"))
            && matches!(service, "bedrock" | "sagemaker");
        known.then_some(Self {
            region,
            account,
            kind,
            id,
        })
    }

    /// Returns whether the ARN contains an account ID.
    pub(super) fn is_owned(&self) -> bool {
        self.account.len() == 12 && self.account.bytes().all(|b| b.is_ascii_digit())
    }
}
