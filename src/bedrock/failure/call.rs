//! Converts errors that occur before a stream begins into failures.

use std::{
    error::Error as StdError,
    fmt,
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_bedrockruntime::{config::http::HttpResponse, error::SdkError, operation::RequestId};

use super::{ErrorBody, of_upstream, reason, retry_delay};
use crate::{
    bedrock::{
        credentials::{Cause, NoCredentials},
        http,
    },
    error::{Failure, Phase, Reason, Upstream},
};

/// The minimum retry delay in `RetryInfo` for missing credentials.
const SOON: Duration = Duration::from_millis(500);

/// Converts an error of the SDK.
pub(in crate::bedrock) fn of_call<E: StdError + 'static>(
    error: SdkError<E, HttpResponse>,
) -> Failure {
    match error.raw_response() {
        Some(response) => of_response(response),
        None => of_no_response(&error),
    }
}

/// Converts an error response. Parses its bytes, because the SDK's types do not cover all errors of
/// Bedrock.
pub(in crate::bedrock) fn of_response(response: &HttpResponse) -> Failure {
    let headers = response.headers();
    let body = ErrorBody::read(response.body().bytes().unwrap_or_default());
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
        resource_name: body.resource_name.unwrap_or_default(),
    });
    match retry_delay::retry_after(headers, SystemTime::now()) {
        Some(after) => failure.with_retry_after(after),
        None => failure,
    }
}

/// Converts an error for which there is no response.
pub(in crate::bedrock) fn of_no_response(error: &(dyn StdError + 'static)) -> Failure {
    if let Some(error) = find::<http::Error>(error) {
        return of_http(error);
    }
    if let Some(cause) = find::<NoCredentials>(error) {
        return no_credentials(cause);
    }
    // This is reached only if the SDK finds no usable identity at all.
    if find::<CredentialsError>(error).is_some()
        || chain(error).any(|cause| cause.to_string().contains("auth scheme"))
    {
        return not_configured("no source of AWS credentials returned any");
    }
    let cause = chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    Failure::new(
        Reason::Internal,
        "the gateway cannot send the request to Bedrock",
    )
    .with_detail(cause)
}

/// Returns whether AWS rejected the credentials of a call.
pub(in crate::bedrock) fn is_rejection(failure: &Failure) -> bool {
    let upstream = failure.upstream.as_deref();
    failure.reason == Reason::UpstreamCredentials
        && upstream.is_some_and(|upstream| upstream.http_status.is_some())
}

fn no_credentials(error: &NoCredentials) -> Failure {
    match error.cause {
        Cause::NotConfigured => not_configured(error),
        Cause::WronglyConfigured => Failure::new(
            Reason::UpstreamCredentials,
            "the gateway's AWS credentials are not configured correctly; the operator must correct the AWS profile or the AWS_* variables",
        )
        .with_detail(error),
        Cause::SignedOut => Failure::new(
            Reason::UpstreamCredentials,
            "the gateway is not signed in to AWS; the operator must sign in again",
        )
        .with_detail(error),
        Cause::Unavailable => Failure::new(
            Reason::CredentialsUnavailable,
            "the gateway cannot obtain its AWS credentials at the moment; retry later",
        )
        .with_retry_after(error.retry_after().max(SOON))
        .with_detail(error),
        Cause::Refused => Failure::new(
            Reason::CredentialsUnavailable,
            "AWS does not let the gateway assume the role for this account; the operator must correct the role's trust policy",
        )
        .with_retry_after(error.retry_after().max(SOON))
        .with_detail(error),
    }
}

fn not_configured(detail: impl fmt::Display) -> Failure {
    Failure::new(
        Reason::UpstreamCredentials,
        "the gateway has no AWS credentials; the operator must configure them as for any AWS SDK",
    )
    .with_detail(detail)
}

fn of_http(error: &http::Error) -> Failure {
    let (reason, phase, message) = match error.kind {
        http::Kind::Request => (
            Reason::Internal,
            Phase::Connect,
            "the gateway cannot send the request to Bedrock",
        ),
        http::Kind::Connect => (
            Reason::UpstreamConnect,
            Phase::Connect,
            "the gateway cannot connect to Bedrock",
        ),
        http::Kind::Unprocessed => (
            Reason::UpstreamConnect,
            Phase::Connect,
            "the connection to Bedrock closed before the request was sent",
        ),
        http::Kind::Broken => (
            Reason::UpstreamConnect,
            Phase::BeforeFirstEvent,
            "the connection to Bedrock broke before it answered",
        ),
    };
    Failure::new(reason, message)
        .in_phase(phase)
        .with_upstream(Upstream::default())
        .with_detail(error)
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause| (*cause).source())
}

/// Returns the first error of this type in the chain of causes.
pub(in crate::bedrock) fn find<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    chain(error).find_map(|cause| cause.downcast_ref())
}
