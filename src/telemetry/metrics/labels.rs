//! Defines the labels of metrics. Names that callers choose never become label values.

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
    /// The AWS account, unless it is the account of the gateway's own identity.
    #[prometheus(flatten)]
    pub account: AccountLabel,
}

/// The label `account`: the configured name of an AWS account. The account of the gateway's own
/// identity has no such label, so that a configuration without `accounts` has the same series as
/// before.
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

/// The labels of an ended call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// The name of the method, such as `StreamInvoke`.
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

/// The label of a call without a valid credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AuthenticationFailure {
    /// What is wrong with the credential, such as `missing`, `unknown` or `expired`.
    pub reason: &'static str,
}

/// The label of a token issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Issuer {
    /// The value of `issuer`, or `kubernetes` for the API server of a cluster.
    pub issuer: String,
}

/// The labels of a fetch of an issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KeyFetch {
    /// The value of `issuer`, or `kubernetes` for the API server of a cluster.
    pub issuer: String,
    /// `ok` or `error`.
    pub outcome: &'static str,
}

/// The labels of an attempt.
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

/// The labels of a request that the AWS SDK made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SdkRequest {
    /// Bedrock's name of the operation.
    pub operation: &'static str,
    /// `first`, `credentials` or `unrepeatable`.
    pub reason: &'static str,
}

/// The labels of a token count.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Tokens {
    /// The target of the call.
    #[prometheus(flatten)]
    pub target: TargetLabel,
    /// `input`, `output`, `cache_read` or `cache_write`.
    pub kind: &'static str,
}

/// The labels of a complete answer without usage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UsageMissing {
    /// The target of the call.
    #[prometheus(flatten)]
    pub target: TargetLabel,
    /// The reason of the failure because of which `metadata` did not arrive. Empty if Bedrock's
    /// stream ended without `metadata`.
    pub reason: &'static str,
}

/// The label of a call whose client cancelled or disconnected.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Cancelled {
    /// `known` if Bedrock's `metadata` was read, otherwise `unknown`.
    pub usage: &'static str,
}

/// The label of a resource that clients share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitedResource {
    /// `memory`, `connections` or `watches`.
    pub what: &'static str,
}

/// The label of a sink of usage records.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UsageSink {
    /// `file` or `otlp`.
    pub sink: &'static str,
}

/// The label of an event or member for which the API has no field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Unknown {
    /// `event` or `member`.
    pub kind: &'static str,
}

/// The labels of the state of a route's breaker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Breaker {
    /// The route.
    #[prometheus(flatten)]
    pub route: RouteLabels,
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
}

/// The label of the running version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Build {
    /// The version, as `--version` prints it.
    pub version: &'static str,
}
