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
    pub(super) guardrail: Option<GuardrailKey<'a>>,
    pub(super) latency: Option<Cow<'a, str>>,
    pub(super) service_tier: Option<Cow<'a, str>>,
    /// The project, if a header contains it. ConverseStream has it in its body.
    pub(super) project: Option<Cow<'a, str>>,
    /// The headers that the request has. A template replaces their values.
    pub(super) headers: CallHeaderNames,
}

/// Which of the [`CallHeaders`] a request has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct CallHeaderNames {
    accept: bool,
    request_metadata: bool,
}

/// The values of headers that callers choose freely, so they are not a part of the key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallHeaders<'a> {
    /// The requested media type of the answer.
    pub(super) accept: Option<&'a str>,
    /// The request metadata, if it is sent as a header.
    pub(super) request_metadata: Option<&'a str>,
}

impl CallHeaders<'_> {
    pub(super) fn names(&self) -> CallHeaderNames {
        CallHeaderNames {
            accept: self.accept.is_some(),
            request_metadata: self.request_metadata.is_some(),
        }
    }
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
            guardrail: None,
            latency: None,
            service_tier: None,
            project: None,
            headers: CallHeaderNames::default(),
        }
    }

    /// Returns the same key with copies of what it borrows.
    pub(super) fn into_owned(self) -> RequestKey<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        RequestKey {
            resource: owned(self.resource),
            version: owned(self.version),
            guardrail: self.guardrail.map(|guardrail| GuardrailKey {
                identifier: owned(guardrail.identifier),
                version: owned(guardrail.version),
                trace: guardrail.trace.map(owned),
            }),
            operation: self.operation,
            latency: self.latency.map(owned),
            service_tier: self.service_tier.map(owned),
            project: self.project.map(owned),
            headers: self.headers,
        }
    }
}
