//! The labels of metrics. Names that only a caller has chosen never become label values.

use std::{fmt, sync::Arc};

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};

/// The target of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Target {
    /// The alias, or `raw` for a model ID or ARN. Empty for an unknown target.
    pub target: String,
}

/// The route of a call. Empty for routes without an alias, and for calls without an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Route {
    /// The model ID.
    pub model_id: String,
    /// The source Region.
    pub source_region: String,
    /// The AWS account, if it is not the one of the gateway's own identity.
    #[prometheus(flatten)]
    pub account: Account,
}

/// The name of an AWS account, as the label `account`. There is no label for the account of the
/// gateway's own identity: without `accounts`, the series have the labels that they always had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Account(Arc<str>);

impl Account {
    /// Returns the label for the name of an account in the configuration.
    pub fn named(name: &Arc<str>) -> Self {
        Self(Arc::clone(name))
    }
}

impl EncodeLabelSet for Account {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        ("account", self.0.as_ref()).encode(encoder.encode_label())
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Call {
    /// `Invoke` or `StreamInvoke`.
    pub method: &'static str,
    /// The target.
    #[prometheus(flatten)]
    pub target: Target,
    /// The route of the last attempt.
    #[prometheus(flatten)]
    pub route: Route,
    /// The gRPC code, such as `OK` or `UNAVAILABLE`.
    pub code: &'static str,
    /// The reason in ErrorInfo. Empty for OK.
    pub reason: &'static str,
}

/// A call without a valid credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AuthenticationFailure {
    /// What is wrong, such as `missing`, `unknown` or `expired`.
    pub reason: &'static str,
}

/// An issuer of tokens, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Issuer {
    /// The value of `issuer`, or `kubernetes` for the API server of a cluster.
    pub issuer: String,
}

/// A fetch of the keys of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KeyFetch {
    /// The value of `issuer`, or `kubernetes` for the API server of a cluster.
    pub issuer: String,
    /// `ok` or `error`.
    pub outcome: &'static str,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Attempt {
    /// The target of the call.
    #[prometheus(flatten)]
    pub target: Target,
    /// The route.
    #[prometheus(flatten)]
    pub route: Route,
    /// The reason of its failure. Empty if the answer began.
    pub reason: &'static str,
}

/// A type of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Tokens {
    /// The target of the call.
    #[prometheus(flatten)]
    pub target: Target,
    /// `input`, `output`, `cache_read` or `cache_write`.
    pub kind: &'static str,
}

/// A complete answer without usage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UsageMissing {
    /// The target of the call.
    #[prometheus(flatten)]
    pub target: Target,
    /// The failure that replaced `metadata`, as a reason. Empty if Bedrock's stream ended.
    pub reason: &'static str,
}

/// A call whose client cancelled or disconnected.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Cancelled {
    /// `known` if Bedrock's `metadata` was read, else `unknown`.
    pub usage: &'static str,
}

/// A resource that clients share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitedResource {
    /// `memory`, `connections` or `watches`.
    pub what: &'static str,
}

/// Something for which the API has no field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Unknown {
    /// `event` or `member`.
    pub kind: &'static str,
}

/// The state of a route's breaker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Breaker {
    /// The route.
    #[prometheus(flatten)]
    pub route: Route,
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
}

/// The running version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Build {
    /// The version, as `--version` prints it.
    pub version: &'static str,
}
