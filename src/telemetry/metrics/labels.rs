//! The labels of metrics. Names that callers choose never become label values.

use std::{fmt, sync::Arc};

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};

/// The label for the target of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TargetLabel {
    /// The alias, or `raw` for a model ID or ARN. Empty for an unknown target.
    pub target: String,
}

/// The labels for the route of a call. Empty for routes without an alias, and for calls without an
/// attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RouteLabels {
    /// The model ID.
    pub model_id: String,
    /// The source Region.
    pub source_region: String,
    /// The AWS account, if it is not the one of the gateway's own identity.
    #[prometheus(flatten)]
    pub account: AccountLabel,
}

/// The label `account`: the name of an AWS account. It is absent for the account of the gateway's
/// own identity, so that a configuration without `accounts` has the same series as before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AccountLabel(Arc<str>);

impl AccountLabel {
    /// Returns the label for the name of an account in the configuration.
    pub fn named(name: &Arc<str>) -> Self {
        Self(Arc::clone(name))
    }
}

impl EncodeLabelSet for AccountLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        ("account", self.0.as_ref()).encode(encoder.encode_label())
    }
}

/// The labels for the end of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// `Invoke` or `StreamInvoke`.
    pub method: &'static str,
    /// The target.
    #[prometheus(flatten)]
    pub target: TargetLabel,
    /// The route of the last attempt.
    #[prometheus(flatten)]
    pub route: RouteLabels,
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

/// The label for an issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Issuer {
    /// The value of `issuer`, or `kubernetes` for the API server of a cluster.
    pub issuer: String,
}

/// The labels for a fetch of an issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KeyFetch {
    /// The value of `issuer`, or `kubernetes` for the API server of a cluster.
    pub issuer: String,
    /// `ok` or `error`.
    pub outcome: &'static str,
}

/// The labels for an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabels {
    /// The target of the call.
    #[prometheus(flatten)]
    pub target: TargetLabel,
    /// The route.
    #[prometheus(flatten)]
    pub route: RouteLabels,
    /// The reason of the failure. Empty if the answer began.
    pub reason: &'static str,
}

/// The labels for a kind of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Tokens {
    /// The target of the call.
    #[prometheus(flatten)]
    pub target: TargetLabel,
    /// `input`, `output`, `cache_read` or `cache_write`.
    pub kind: &'static str,
}

/// The labels for a complete answer without usage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UsageMissing {
    /// The target of the call.
    #[prometheus(flatten)]
    pub target: TargetLabel,
    /// The reason of the failure that replaced `metadata`. Empty if Bedrock's stream ended without
    /// it.
    pub reason: &'static str,
}

/// The label for a call whose client cancelled or disconnected.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Cancelled {
    /// `known` if Bedrock's `metadata` was read, otherwise `unknown`.
    pub usage: &'static str,
}

/// The label for a resource that clients share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitedResource {
    /// `memory`, `connections` or `watches`.
    pub what: &'static str,
}

/// The label for a sink of usage records.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UsageSink {
    /// `file` or `otlp`.
    pub sink: &'static str,
}

/// The label for an event or member for which the API has no field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Unknown {
    /// `event` or `member`.
    pub kind: &'static str,
}

/// The labels for the state of a route's breaker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Breaker {
    /// The route.
    #[prometheus(flatten)]
    pub route: RouteLabels,
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
}

/// The label for the running version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Build {
    /// The version, as `--version` prints it.
    pub version: &'static str,
}
