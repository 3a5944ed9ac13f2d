//! Carries the bytes of one call past the SDK's serialization: hooks insert the request's body and
//! extract the response's body.

use std::{
    cell::Cell,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use aws_runtime::auth::PayloadSigningOverride;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
            },
            dyn_dispatch_hint,
        },
        orchestrator::HttpResponse,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::{
    RequestBody, clock_skew::ClockSkew, http::ResponseBody, request_template::SentRequest,
};
use crate::telemetry::trace::TraceContext;

/// The header of InvokeModel that names a project.
const PROJECT_HEADER: &str = "x-amzn-bedrock-projectidentifier";

tokio::task_local! {
    /// The exchange of the current task. The client's hooks find the exchange here. If each call
    /// had its own hooks, the SDK would build a configuration for each call.
    static EXCHANGE: Exchange;
}

/// The request and response bytes of one call.
#[derive(Default)]
pub(super) struct Exchange {
    request: Cell<Option<RequestBody>>,
    response: Cell<Option<Response>>,
    sent: Cell<Option<SentRequest>>,
    sent_at: Cell<Option<SystemTime>>,
    trace: Option<TraceContext>,
    /// The project, for calls that name it in a header.
    project: Option<String>,
}

impl Exchange {
    /// Creates the exchange of a call with this body.
    pub(super) fn of(body: RequestBody, trace: Option<TraceContext>) -> Self {
        Self {
            request: Cell::new(Some(body)),
            trace,
            ..Self::default()
        }
    }

    /// Adds the header that names a project, which the SDK does not know.
    pub(super) fn in_project(self, identifier: Option<String>) -> Self {
        Self {
            project: identifier,
            ..self
        }
    }

    /// Makes a call of the SDK with these bytes. The SDK's future has several kilobytes. It is
    /// boxed, so that it is not moved with every future that contains it.
    ///
    /// Also returns the extracted request and response.
    pub(super) async fn run<F: Future>(self, call: Pin<Box<F>>) -> (F::Output, Extracted) {
        let call = async {
            let outcome = call.await;
            let extracted = EXCHANGE.try_with(|exchange| Extracted {
                response: exchange.response.take(),
                request: exchange.sent.take(),
            });
            (outcome, extracted.unwrap_or_default())
        };
        EXCHANGE.scope(self, call).await
    }
}

/// The request and the response that were extracted from a call of the SDK.
#[derive(Default)]
pub(super) struct Extracted {
    /// The response, if its status is 2xx.
    pub(super) response: Option<Response>,
    /// The request without its body, if it was sent.
    pub(super) request: Option<SentRequest>,
}

/// A response to a call. Its status is 2xx.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: ResponseBody,
    headers: HeaderMap,
}

impl Response {
    /// Creates the response of a request that the SDK did not make.
    pub(super) fn of(response: http::Response<ResponseBody>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            body,
            headers: head.headers,
        }
    }

    /// Takes the body out of a response to the SDK, and copies its headers.
    fn take(response: &mut HttpResponse) -> Self {
        let body = std::mem::replace(response.body_mut(), SdkBody::empty());
        let headers = response.headers().iter().filter_map(|(name, value)| {
            let value = HeaderValue::try_from(value).ok()?;
            Some((HeaderName::try_from(name).ok()?, value))
        });
        let mut copied = HeaderMap::new();
        for (name, value) in headers {
            copied.append(name, value);
        }
        Self {
            status: response.status().as_u16(),
            body: ResponseBody::OfSdk(body),
            headers: copied,
        }
    }

    /// Returns the value of a header. `None` if the header is absent or not text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the content type. Empty if there is none.
    pub(super) fn content_type(&self) -> &str {
        self.header("content-type").unwrap_or_default()
    }

    /// Returns Bedrock's request ID. Empty if Bedrock sent none.
    pub(super) fn request_id(&self) -> &str {
        self.header("x-amzn-requestid")
            .or_else(|| self.header("x-amz-request-id"))
            .unwrap_or_default()
    }
}

/// The host and port that a client connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The host's name or address.
    pub address: String,
    /// The port.
    pub port: u16,
}

fn endpoint(uri: &Uri) -> Option<Endpoint> {
    let scheme_port = match uri.scheme_str() {
        Some("http") => 80,
        _ => 443,
    };
    Some(Endpoint {
        address: uri.host()?.to_owned(),
        port: uri.port_u16().unwrap_or(scheme_port),
    })
}

/// Inserts the body and the project of the [`Exchange`] before signing and the trace context after
/// it, and extracts the body of a successful response.
#[derive(Debug)]
pub(super) struct Hooks {
    /// The endpoint that the client calls. The first call sets it.
    endpoint: Arc<OnceLock<Endpoint>>,
    skew: Arc<ClockSkew>,
}

impl Hooks {
    /// Creates the hooks of a client. They store its endpoint and the clock skew here.
    pub(super) fn new(endpoint: &Arc<OnceLock<Endpoint>>, skew: &Arc<ClockSkew>) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            skew: Arc::clone(skew),
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Hooks {
    fn name(&self) -> &'static str {
        "bedrock-grpc"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (body, project) =
            EXCHANGE.try_with(|exchange| (exchange.request.take(), exchange.project.clone()))?;
        let (body, sha256) = body.ok_or("the body was already sent")?.into_parts();
        if let Some(sha256) = sha256 {
            let known = PayloadSigningOverride::Precomputed(sha256.to_string());
            config.interceptor_state().store_put(known);
        }
        let request = context.request_mut();
        request
            .headers_mut()
            .try_insert("content-length", body.len().to_string())?;
        request
            .headers_mut()
            .try_insert("content-type", "application/json")?;
        if let Some(project) = project {
            let headers = request.headers_mut();
            headers.try_insert(PROJECT_HEADER, project)?;
        }
        *request.body_mut() = SdkBody::from(body);
        Ok(())
    }

    /// Adds headers after signing. Proxies and service meshes change these headers, and Bedrock
    /// would reject a signature that covers them.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        if self.endpoint.get().is_none()
            && let Some(endpoint) = request.uri().parse().ok().as_ref().and_then(endpoint)
        {
            // A concurrent call may already have set the same value.
            let _known = self.endpoint.set(endpoint);
        }
        EXCHANGE.try_with(|exchange| {
            exchange.sent_at.set(Some(SystemTime::now()));
            exchange.sent.set(SentRequest::of(request, components));
            let Some(span) = &exchange.trace else {
                return Ok(());
            };
            for (name, value) in span.headers() {
                request.headers_mut().try_insert(name, value)?;
            }
            Ok(())
        })?
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        EXCHANGE.try_with(|exchange| {
            if let Some(sent) = exchange.sent_at.take() {
                self.skew.measure(sent, |name| response.headers().get(name));
            }
            if response.status().is_success() {
                exchange.response.set(Some(Response::take(response)));
            }
        })?;
        Ok(())
    }
}
