//! Identifies requests of the SDK that differ only in what a template replaces.

use std::borrow::Cow;

/// An operation of Bedrock's runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SdkOperation {
    ConverseStream,
    CountTokens,
    ApplyGuardrail,
    InvokeModel,
    InvokeModelWithResponseStream,
}

impl SdkOperation {
    /// Returns Bedrock's name of the operation.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ConverseStream => "ConverseStream",
            Self::CountTokens => "CountTokens",
            Self::ApplyGuardrail => "ApplyGuardrail",
            Self::InvokeModel => "InvokeModel",
            Self::InvokeModelWithResponseStream => "InvokeModelWithResponseStream",
        }
    }
}

/// The parts of a request that determine its path and its headers. Requests of one client with
/// equal keys can be made from the same template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RequestKey<'a> {
    pub(super) operation: SdkOperation,
    /// The model ID, or the identifier of the guardrail.
    pub(super) resource: Cow<'a, str>,
    /// The version of the guardrail, for ApplyGuardrail.
    pub(super) version: Cow<'a, str>,
    pub(super) accept: Option<Cow<'a, str>>,
    pub(super) guardrail: Option<GuardrailKey<'a>>,
    pub(super) latency: Option<Cow<'a, str>>,
    pub(super) service_tier: Option<Cow<'a, str>>,
    /// The project, if a header contains it. ConverseStream has it in its body.
    pub(super) project: Option<Cow<'a, str>>,
    /// Whether a header contains request metadata. A template replaces the header's value.
    pub(super) has_request_metadata: bool,
}

/// The guardrail of a request, if headers contain it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GuardrailKey<'a> {
    pub(super) identifier: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
    pub(super) trace: Option<Cow<'a, str>>,
}

impl<'a> RequestKey<'a> {
    /// Creates the key of requests without options.
    pub(super) fn new(operation: SdkOperation, resource: &'a str) -> Self {
        Self {
            operation,
            resource: Cow::Borrowed(resource),
            version: Cow::Borrowed(""),
            accept: None,
            guardrail: None,
            latency: None,
            service_tier: None,
            project: None,
            has_request_metadata: false,
        }
    }

    /// Returns the same key with copies of what it borrows.
    pub(super) fn into_owned(self) -> RequestKey<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        RequestKey {
            resource: owned(self.resource),
            version: owned(self.version),
            accept: self.accept.map(owned),
            guardrail: self.guardrail.map(|guardrail| GuardrailKey {
                identifier: owned(guardrail.identifier),
                version: owned(guardrail.version),
                trace: guardrail.trace.map(owned),
            }),
            operation: self.operation,
            latency: self.latency.map(owned),
            service_tier: self.service_tier.map(owned),
            project: self.project.map(owned),
            has_request_metadata: self.has_request_metadata,
        }
    }
}
