//! A plain client of the AWS SDK, without the gateway's hooks and settings, as the reference for
//! what the gateway sends. It keeps its request instead of sending it.

use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Builder, Region, Token, retry::RetryConfig},
    error::SdkError,
    operation::converse_stream::{ConverseStreamError, ConverseStreamOutput},
    types::{ContentBlock, ConversationRole, Message},
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

/// Makes a ConverseStream call with this body. Returns the request and the SDK's result.
pub(super) async fn converse_stream(
    auth: Auth,
    set: impl FnOnce(Builder) -> Builder,
    reply: Reply,
    model_id: &str,
    body: Bytes,
) -> (
    HttpRequest,
    Result<ConverseStreamOutput, SdkError<ConverseStreamError>>,
) {
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
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text("hi".to_owned()))
        .build()
        .expect("a whole message");
    let result = Client::from_conf(set(builder).build())
        .converse_stream()
        .model_id(model_id)
        .messages(message)
        .customize()
        .mutate_request(move |request| {
            let length = body.len().to_string();
            request.headers_mut().insert("content-length", length);
            *request.body_mut() = SdkBody::from(body.clone());
        })
        .send()
        .await;
    let request = keeper.request.lock().expect("no panic").take();
    (request.expect("a request was made"), result)
}
