//! What metrics are counted by. Callers must not make up labels: what they name themselves, and nobody else, is told apart by none of them.

use prometheus_client::encoding::EncodeLabelSet;

/// What a caller asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Target {
    /// The alias, or `raw` for a model ID or ARN that the caller named. Empty if it named nothing that can be called.
    pub target: String,
}

/// Where a call goes. Empty for routes of no alias, all of them together, and for calls that were not tried anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Route {
    /// What is sent to Bedrock as `modelId`.
    pub model_id: String,
    /// The Region that is called.
    pub source_region: String,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Call {
    /// `Invoke` or `StreamInvoke`.
    pub method: &'static str,
    /// What it asked for.
    #[prometheus(flatten)]
    pub target: Target,
    /// Where it was tried last.
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
    /// What is wrong: `missing`, `unknown`, `expired` and the like.
    pub reason: &'static str,
}

/// An attempt at Bedrock.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Attempt {
    /// What its call asked for.
    #[prometheus(flatten)]
    pub target: Target,
    /// Where it went.
    #[prometheus(flatten)]
    pub route: Route,
    /// Why it came to nothing, as the reason in ErrorInfo. Empty for one whose answer began.
    pub reason: &'static str,
}

/// A kind of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Tokens {
    /// What their call asked for.
    #[prometheus(flatten)]
    pub target: Target,
    /// `input`, `output`, `cache_read` or `cache_write`.
    pub kind: &'static str,
}

/// A complete answer of which Bedrock sent no usage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UsageMissing {
    /// What its call asked for.
    #[prometheus(flatten)]
    pub target: Target,
    /// What came instead of `metadata`, as a reason of ErrorInfo. Empty if Bedrock's stream ended.
    pub reason: &'static str,
}

/// A call whose client went away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Cancelled {
    /// `known` if Bedrock's `metadata` was read, else `unknown`.
    pub usage: &'static str,
}

/// A kind of thing that the API has no field for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Unknown {
    /// `event` or `member`.
    pub kind: &'static str,
}

/// The state of a route's breaker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Breaker {
    /// Whose it is.
    #[prometheus(flatten)]
    pub route: Route,
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Build {
    /// As `--version` says it.
    pub version: &'static str,
}
