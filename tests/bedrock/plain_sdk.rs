//! A plain client of the AWS SDK, without the gateway's hooks and settings, as the reference for
//! what the gateway sends. It keeps its request instead of sending it.

use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Builder, Region, Token, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId as _,
    types::{
        ContentBlock, ConversationRole, Message, PerformanceConfigLatency, ServiceTierType, Trace,
    },
};
use aws_smithy_runtime_api::client::{
    auth::AuthSchemeId,
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::server::Reply;

/// Keeps the last request, and answers each one in the same way.
#[derive(Clone, Debug)]
struct Keeper {
    request: Arc<Mutex<Option<HttpRequest>>>,
    reply: Reply,
}

impl HttpConnector for Keeper {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        *self.request.lock().expect("no panic") = Some(request);
        let status = self.reply.status.try_into().expect("a status");
        let body = SdkBody::from(self.reply.body.clone());
        let mut response = HttpResponse::new(status, body);
        for (name, value) in &self.reply.headers {
            response.headers_mut().insert(*name, value.clone());
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Keeper {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// How a client is authenticated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Auth {
    /// By a signature with these credentials: access key ID, secret, session token.
    Signed(&'static str, &'static str, Option<&'static str>),
    /// By a Bedrock API key.
    Bearer(&'static str),
}

/// An operation of Bedrock's runtime, with the parts of its request that are not in the body.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Operation {
    ConverseStream,
    CountTokens,
    /// With the version of the guardrail. Its identifier takes the place of the model ID.
    ApplyGuardrail(String),
    InvokeModel(Options),
    InvokeModelWithResponseStream(Options),
}

/// The options of a call that are sent as headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Options {
    pub(super) accept: Option<String>,
    /// The identifier, the version and the trace setting of a guardrail.
    pub(super) guardrail: Option<(String, String, bool)>,
    pub(super) is_optimized: bool,
    pub(super) is_flex: bool,
    pub(super) request_metadata: Option<String>,
}

/// The error that the SDK reports.
#[derive(Debug)]
pub(super) struct PlainError {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) status: Option<u16>,
}

impl PlainError {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        Self {
            code: error.code().map(str::to_owned),
            message: error.message().map(str::to_owned),
            request_id: error.request_id().map(str::to_owned),
            status: error.raw_response().map(|raw| raw.status().as_u16()),
        }
    }
}

/// Sets the options of a call. The SDK's two builders share no trait.
macro_rules! with_options {
    ($call:expr, $options:expr) => {{
        let Options {
            accept,
            guardrail,
            is_optimized,
            is_flex,
            request_metadata,
        } = $options.clone();
        let (identifier, version, trace) = guardrail
            .map(|(identifier, version, trace)| {
                (identifier, version, trace.then_some(Trace::Enabled))
            })
            .map_or((None, None, None), |(identifier, version, trace)| {
                (Some(identifier), Some(version), trace)
            });
        $call
            .content_type("application/json")
            .set_accept(accept)
            .set_guardrail_identifier(identifier)
            .set_guardrail_version(version)
            .set_trace(trace)
            .set_performance_config_latency(
                is_optimized.then_some(PerformanceConfigLatency::Optimized),
            )
            .set_service_tier(is_flex.then_some(ServiceTierType::Flex))
            .set_request_metadata(request_metadata)
    }};
}

/// Makes a call with this body. Returns the request, and the error if the call failed.
pub(super) async fn call(
    auth: Auth,
    set: impl FnOnce(Builder) -> Builder,
    reply: Reply,
    operation: &Operation,
    resource: &str,
    body: Bytes,
) -> (HttpRequest, Option<PlainError>) {
    let keeper = Keeper {
        request: Arc::default(),
        reply,
    };
    let builder = aws_sdk_bedrockruntime::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .http_client(keeper.clone())
        .retry_config(RetryConfig::disabled());
    let builder = match auth {
        Auth::Signed(id, secret, session) => {
            let session = session.map(str::to_owned);
            builder.credentials_provider(Credentials::new(id, secret, session, None, "test"))
        }
        Auth::Bearer(token) => builder
            .bearer_token(Token::new(token, None))
            .auth_scheme_preference([AuthSchemeId::from("httpBearerAuth")]),
    };
    let client = Client::from_conf(set(builder).build());
    macro_rules! send {
        ($call:expr) => {{
            let call = $call.customize().mutate_request(move |request| {
                let length = body.len().to_string();
                request.headers_mut().insert("content-length", length);
                *request.body_mut() = SdkBody::from(body.clone());
            });
            call.send().await.err().as_ref().map(PlainError::of)
        }};
    }
    let error = match operation {
        Operation::ConverseStream => {
            let message = Message::builder()
                .role(ConversationRole::User)
                .content(ContentBlock::Text("hi".to_owned()))
                .build()
                .expect("a whole message");
            send!(
                client
                    .converse_stream()
                    .model_id(resource)
                    .messages(message)
            )
        }
        Operation::CountTokens => send!(client.count_tokens().model_id(resource)),
        Operation::ApplyGuardrail(version) => {
            let call = client.apply_guardrail().guardrail_identifier(resource);
            send!(call.guardrail_version(version))
        }
        Operation::InvokeModel(options) => {
            send!(with_options!(
                client.invoke_model().model_id(resource),
                options
            ))
        }
        Operation::InvokeModelWithResponseStream(options) => {
            let call = client.invoke_model_with_response_stream();
            send!(with_options!(call.model_id(resource), options))
        }
    };
    let request = keeper.request.lock().expect("no panic").take();
    (request.expect("a request was made"), error)
}
