//! Makes requests: by repeating an earlier request of the SDK, or by the SDK if that is not
//! possible.

use std::{error::Error as StdError, time::SystemTime};

use aws_sdk_bedrockruntime::{Client, config::http::HttpResponse, error::SdkError};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;

use super::{
    Bedrock, RequestBody,
    client::Regional,
    exchange::{Exchange, Response},
    failure,
    http::Error,
    request_key::{CallHeaders, RequestKey},
    request_templates::BySdk,
    signature,
};
use crate::{error::Failure, telemetry::metrics::SdkRequest};

impl Bedrock {
    /// Sends a request to a source Region, and returns the successful response when its headers
    /// have arrived. `by_sdk` makes the same request by the SDK, whose result is not needed.
    ///
    /// # Errors
    ///
    /// Fails if Bedrock returned an error, or if the request failed.
    pub(super) async fn exchange<T, E, F>(
        &self,
        source_region: &str,
        key: RequestKey<'_>,
        headers: CallHeaders<'_>,
        body: RequestBody,
        by_sdk: impl FnOnce(&Client) -> F,
    ) -> Result<Response, Failure>
    where
        E: StdError + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let regional = self.regional(source_region)?;
        // The future has several kilobytes. It is boxed, so that it is not moved with every future
        // that contains it.
        let repeated = Box::pin(self.repeat(&regional, &key, headers, &body)).await;
        let reason = match repeated.map_err(|failure| regional.without_endpoint(failure))? {
            Ok(response) => return Ok(response),
            Err(reason) => reason,
        };
        let label = SdkRequest {
            operation: key.operation.as_str(),
            reason: reason.as_str(),
        };
        self.sdk_requests().get_or_create(&label).inc();
        let exchange = Exchange::of(body.clone(), self.trace().cloned())
            .in_project(key.project.as_deref().map(str::to_owned));
        let (output, extracted) = exchange.run(Box::pin(by_sdk(&regional.client))).await;
        if let Some(sent) = extracted.request {
            let templates = &regional.templates;
            templates.learn(key, headers, sent, &body, source_region);
        }
        match (extracted.response, output) {
            (Some(response), _) => Ok(response),
            (None, Err(error)) => Err(regional.without_endpoint(failure::of_call(error))),
            (None, Ok(_)) => Err(failure::not_a_stream(200, "", "")),
        }
    }

    /// Repeats an earlier request of the SDK with another body. Returns the successful response, or
    /// why the SDK must make this request.
    async fn repeat(
        &self,
        regional: &Regional,
        key: &RequestKey<'_>,
        headers: CallHeaders<'_>,
        body: &RequestBody,
    ) -> Result<Result<Response, BySdk>, Failure> {
        let template = match regional.templates.get(key) {
            Ok(template) => template,
            Err(reason) => return Ok(Err(reason)),
        };
        let identity = template.identity().await;
        let identity = identity.map_err(|error| failure::of_no_response(&*error))?;
        let time = signature::timestamp(regional.skew.now());
        let trace = self.trace();
        let request = || template.request(&identity, &time, headers, trace, body);
        let Some(first) = request() else {
            return Ok(Err(BySdk::Credentials));
        };
        let mut first = Some(first);
        let sent = SystemTime::now();
        let request = || {
            let next = first.take().or_else(request);
            next.ok_or_else(|| Error::request("the request cannot be repeated"))
        };
        let response = self.http().send(request).await;
        let response = response.map_err(|error| failure::of_no_response(&error))?;
        regional.skew.measure(sent, |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok()
        });
        if response.status().is_success() {
            return Ok(Ok(Response::of(response)));
        }
        let response = self.http().limited(response);
        let mut response = response.map_err(|error| failure::of_no_response(&error))?;
        let body = std::mem::replace(response.body_mut(), SdkBody::empty());
        if let Ok(body) = body.collect().await {
            *response.body_mut() = SdkBody::from(body.to_bytes());
        }
        Err(failure::of_response(&response))
    }
}
