//! Errors before the stream.

use std::{error::Error as StdError, fmt, time::SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_bedrockruntime::{config::http::HttpResponse, error::SdkError, operation::RequestId};

use super::{Body, hint, of_upstream, reason};
use crate::{
    bedrock::http,
    error::{Failure, Phase, Reason, Upstream},
};

/// Why the SDK has no stream for us.
pub(in crate::bedrock) fn of_call<E: StdError + 'static>(
    error: SdkError<E, HttpResponse>,
) -> Failure {
    match error.raw_response() {
        Some(response) => of_response(response),
        None => of_no_response(&error),
    }
}

/// What Bedrock answered instead of a stream. Read from the bytes: the SDK's types know fewer errors than Bedrock has.
pub(super) fn of_response(response: &HttpResponse) -> Failure {
    let headers = response.headers();
    let body = Body::read(response.body().bytes().unwrap_or_default());
    let name = headers
        .get("x-amzn-errortype")
        .map(str::to_owned)
        .or(body.code)
        .unwrap_or_default();
    let failure = of_upstream(Upstream {
        exception: reason::normal_name(&name),
        message: body.message,
        http_status: Some(response.status().as_u16()),
        request_id: headers.request_id().unwrap_or_default().to_owned(),
        original_status: body.original_status,
    });
    match hint::retry_after(headers, SystemTime::now()) {
        Some(after) => failure.with_retry_after(after),
        None => failure,
    }
}

/// Why there is no answer: ours to say where the way ended.
fn of_no_response(error: &(dyn StdError + 'static)) -> Failure {
    if let Some(error) = find::<http::Error>(error) {
        return of_http(error);
    }
    // The kind of the error alone: what lies below it may quote a provider's output.
    if let Some(cause) = find::<CredentialsError>(error) {
        return no_credentials(cause);
    }
    if chain(error).any(|cause| cause.to_string().contains("auth scheme")) {
        return no_credentials(&"no provider has any");
    }
    let cause = chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    Failure::new(
        Reason::Internal,
        format!("cannot send the request to Bedrock: {cause}"),
    )
}

fn no_credentials(cause: &dyn fmt::Display) -> Failure {
    let hint = "its operator must set them in one of the ways that every AWS SDK knows";
    Failure::new(
        Reason::UpstreamCredentials,
        format!("the gateway has no AWS credentials ({cause}): {hint}"),
    )
}

fn of_http(error: &http::Error) -> Failure {
    let (reason, phase) = match error.kind {
        http::Kind::Request => (Reason::Internal, Phase::Connect),
        http::Kind::Connect | http::Kind::Unprocessed => (Reason::UpstreamConnect, Phase::Connect),
        http::Kind::Broken => (Reason::UpstreamConnect, Phase::BeforeFirstEvent),
    };
    Failure::new(reason, format!("Bedrock: {error}"))
        .in_phase(phase)
        .with_upstream(Upstream::default())
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause| (*cause).source())
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    chain(error).find_map(|cause| cause.downcast_ref())
}
