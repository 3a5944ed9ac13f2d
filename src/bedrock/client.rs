//! The SDK's clients, with hooks that insert request bodies and extract responses.

use std::{
    cell::Cell,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use aws_sdk_bedrockruntime::{Client, operation::RequestId};
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
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};
use bytes::Bytes;
use http::Uri;

use super::{
    BedrockEvents, ControlPlane, Sdk, SessionOwner, accounts::Accounts, failure, http::Http,
    sdk::is_region, session::Session,
};
use crate::{
    config::{CallerSession, bedrock::Options},
    error::Failure,
    telemetry::trace::{TRACEPARENT, TRACESTATE, TraceContext},
};

/// The content type of Bedrock's streams.
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";
/// The maximum number of source Regions with a client, which is more than AWS has. It limits the
/// memory that ARNs from callers can use.
const MOST_CLIENTS: usize = 64;

tokio::task_local! {
    /// The exchange of the current task. The hooks belong to the client, because with hooks of a
    /// call the SDK would build a configuration for each call.
    static EXCHANGE: Exchange;
}

/// The request and response bytes of one call, which bypass the SDK's serialization.
#[derive(Default)]
struct Exchange {
    request: Cell<Option<Bytes>>,
    response: Cell<Option<Response>>,
    /// Whether the SDK reads the response itself.
    reads_response: bool,
    trace: Option<TraceContext>,
}

/// A worker's client of Bedrock. Cheap to clone. All clones share their connections, which the
/// worker's runtime drives.
#[derive(Clone)]
pub struct Bedrock {
    shared: Arc<Shared>,
    /// The accounts of the call's configuration.
    accounts: Accounts,
    trace: Option<TraceContext>,
    account: Option<Account>,
}

struct Shared {
    sdk: Sdk,
    http: Http,
    control: ControlPlane,
    clients: Mutex<Clients>,
}

/// The clients of a worker, by source Region.
#[derive(Default)]
struct Clients {
    /// Those that sign by the gateway's own identity.
    own: HashMap<String, Regional>,
    /// Those that sign by sessions, by account.
    of_accounts: HashMap<Arc<str>, HashMap<String, Regional>>,
}

/// What signs calls in place of the gateway's own identity.
#[derive(Clone)]
struct Account {
    name: Arc<str>,
    /// `None`: there is no such account.
    session: Option<Session>,
}

/// The client of one source Region.
#[derive(Clone)]
struct Regional {
    client: Client,
    /// The URL that the client calls. `None`: the public endpoint.
    url: Option<Arc<str>>,
    endpoint: Arc<OnceLock<Endpoint>>,
}

/// The host and port that a client connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The host's name or address.
    pub address: String,
    /// The port.
    pub port: u16,
}

/// The head of Bedrock's answer, and its events.
#[derive(Debug)]
pub struct Answer {
    /// Bedrock's request ID (`x-amzn-requestid`), which identifies the call in AWS's logs. Empty if
    /// Bedrock sent none.
    pub request_id: String,
    /// The events.
    pub frames: BedrockEvents,
    /// Whether the content type of the response is that of an event stream.
    pub is_declared: bool,
}

/// Bedrock's answer to CountTokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCount {
    /// `x-amzn-requestid`, which identifies the call in AWS's logs. Empty if Bedrock sent none.
    pub request_id: String,
    /// The number of input tokens.
    pub input_tokens: i32,
}

/// The response to a call, if its status is 2xx.
struct Response {
    body: SdkBody,
    status: u16,
    /// The content type. Empty if there is none.
    content_type: String,
}

impl Response {
    /// Returns whether the response may be an event stream. Without a content type, the first frame
    /// decides.
    fn may_be_a_stream(&self) -> bool {
        let media_type = self.content_type.split(';').next().unwrap_or_default();
        let media_type = media_type.trim().to_ascii_lowercase();
        self.status == 200
            && ["", EVENT_STREAM, "application/octet-stream"].contains(&media_type.as_str())
    }
}

impl Bedrock {
    /// Creates a worker's client, without connections. All workers share `sdk`.
    pub fn new(sdk: &Sdk, options: &Options) -> Self {
        let shared = Shared {
            sdk: sdk.clone(),
            http: Http::new(sdk.tls(), options),
            control: ControlPlane::new(sdk, options),
            clients: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            accounts: sdk.accounts().clone(),
            trace: None,
            account: None,
        }
    }

    /// Returns the same client for calls with the accounts of another configuration.
    #[must_use]
    pub fn with_accounts_of(&self, sdk: &Sdk) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            accounts: sdk.accounts().clone(),
            trace: None,
            account: None,
        }
    }

    /// Returns the same client for calls of an AWS account: signed by the session of its owner or,
    /// without one, by the one that callers share. An empty name is the account of the gateway's
    /// own identity.
    #[must_use]
    pub fn in_account(mut self, name: &Arc<str>, owner: Option<&SessionOwner>) -> Self {
        let session = self.accounts.session(name, owner);
        self.account = (session.is_some() || !name.is_empty()).then(|| Account {
            name: Arc::clone(name),
            session,
        });
        self
    }

    /// Returns the worker's client of Bedrock's control plane.
    pub fn control(&self) -> ControlPlane {
        self.shared.control.with_accounts(&self.accounts)
    }

    /// Returns the caller as an owner of sessions, if any account has separate sessions for it.
    pub fn session_owner(
        &self,
        name: &Arc<str>,
        options: &Arc<CallerSession>,
    ) -> Option<SessionOwner> {
        self.accounts.owner(name, options)
    }

    /// Returns the same client for calls within a span. The span's context is sent to Bedrock.
    #[must_use]
    pub fn in_trace(&self, span: TraceContext) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            accounts: self.accounts.clone(),
            trace: Some(span),
            account: self.account.clone(),
        }
    }

    /// Returns the endpoint of a source Region. `None` before the first call.
    pub fn endpoint(&self, account: &str, source_region: &str) -> Option<Endpoint> {
        let clients = self.clients();
        let of_account = if account.is_empty() {
            &clients.own
        } else {
            clients.of_accounts.get(account)?
        };
        of_account.get(source_region)?.endpoint.get().cloned()
    }

    /// Calls ConverseStream in a source Region. `model_id` is Bedrock's `modelId`. `body` is JSON
    /// and sent unchanged.
    ///
    /// Returns when the head of the answer has arrived. Only opening a connection has a timeout.
    /// Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// Fails if Bedrock returned an error, or if the request failed.
    pub async fn converse_stream(
        &self,
        source_region: &str,
        model_id: &str,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let call = || self.converse_stream_once(source_region, model_id, body.clone());
        match &self.account {
            None => self.shared.sdk.authenticated(call).await,
            Some(Account {
                session: Some(session),
                ..
            }) => session.authenticated(call).await,
            Some(Account { name, .. }) => Err(failure::no_account(name)),
        }
    }

    async fn converse_stream_once(
        &self,
        source_region: &str,
        model_id: &str,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let call = self
            .client(source_region)?
            .converse_stream()
            .model_id(model_id);
        let exchange = Exchange {
            request: Cell::new(Some(body)),
            trace: self.trace.clone(),
            ..Exchange::default()
        };
        // Boxed, because the SDK's future takes several kilobytes, which would be moved with every
        // future around it.
        let sent = Box::pin(call.send());
        let call = async {
            let outcome = sent.await;
            (
                outcome,
                EXCHANGE
                    .try_with(|exchange| exchange.response.take())
                    .ok()
                    .flatten(),
            )
        };
        match EXCHANGE.scope(exchange, call).await {
            (Ok(output), response) => {
                let request_id = output.request_id().unwrap_or_default().to_owned();
                match response {
                    Some(response) if response.may_be_a_stream() => {
                        let is_declared = response.content_type == EVENT_STREAM;
                        let frames = BedrockEvents::new(response.body, request_id.clone());
                        Ok(Answer {
                            request_id,
                            frames,
                            is_declared,
                        })
                    }
                    Some(Response {
                        status,
                        content_type,
                        ..
                    }) => Err(failure::not_a_stream(status, &content_type, &request_id)),
                    None => Err(failure::not_a_stream(200, "", &request_id)),
                }
            }
            (Err(error), _) => Err(failure::of_call(error)),
        }
    }

    /// Calls CountTokens in a source Region. `model_id` is that of a foundation model, `body` the
    /// JSON, sent verbatim.
    ///
    /// # Errors
    ///
    /// Bedrock returned an error, or the request failed.
    pub async fn count_tokens(
        &self,
        source_region: &str,
        model_id: &str,
        body: Bytes,
    ) -> Result<TokenCount, Failure> {
        let call = || self.count_tokens_once(source_region, model_id, body.clone());
        match &self.account {
            None => self.shared.sdk.authenticated(call).await,
            Some(Account {
                session: Some(session),
                ..
            }) => session.authenticated(call).await,
            Some(Account { name, .. }) => Err(failure::no_account(name)),
        }
    }

    async fn count_tokens_once(
        &self,
        source_region: &str,
        model_id: &str,
        body: Bytes,
    ) -> Result<TokenCount, Failure> {
        let call = self
            .client(source_region)?
            .count_tokens()
            .model_id(model_id);
        let exchange = Exchange {
            request: Cell::new(Some(body)),
            reads_response: true,
            trace: self.trace.clone(),
            ..Exchange::default()
        };
        let output = EXCHANGE.scope(exchange, Box::pin(call.send())).await;
        let output = output.map_err(failure::of_call)?;
        Ok(TokenCount {
            request_id: output.request_id().unwrap_or_default().to_owned(),
            input_tokens: output.input_tokens(),
        })
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        let clients = self.shared.clients.lock();
        clients.unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self, source_region: &str) -> Result<Client, Failure> {
        let mut clients = self.clients();
        let account = self.account.as_ref().map(|account| &account.name);
        let sdk = &self.shared.sdk;
        let name = account.map(AsRef::as_ref);
        let url = sdk.endpoint_url(&self.accounts, name, source_region);
        let clients = match account {
            None => &mut clients.own,
            Some(name) => clients.of_accounts.entry(Arc::clone(name)).or_default(),
        };
        // Another configuration can have another endpoint.
        if let Some(regional) = clients.get(source_region)
            && regional.url.as_deref() == url
        {
            return Ok(regional.client.clone());
        }
        if !is_region(source_region) {
            return Err(failure::no_region(source_region));
        }
        let config = sdk
            .client_config(source_region, url, account.is_some())
            .http_client(self.shared.http.clone());
        let endpoint = Arc::default();
        let hooks = Hooks {
            endpoint: Arc::clone(&endpoint),
        };
        let client = Client::from_conf(config.interceptor(hooks).build());
        if clients.len() < MOST_CLIENTS || clients.contains_key(source_region) {
            let regional = Regional {
                client: client.clone(),
                url: url.map(Arc::from),
                endpoint,
            };
            clients.insert(source_region.to_owned(), regional);
        }
        Ok(client)
    }
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

/// Inserts the body of the [`Exchange`] before signing and the trace context after it, and extracts
/// the body of a successful response.
#[derive(Debug)]
struct Hooks {
    endpoint: Arc<OnceLock<Endpoint>>,
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
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = EXCHANGE
            .try_with(|exchange| exchange.request.take())?
            .ok_or("the body was already sent")?;
        let request = context.request_mut();
        request
            .headers_mut()
            .try_insert("content-length", body.len().to_string())?;
        request
            .headers_mut()
            .try_insert("content-type", "application/json")?;
        *request.body_mut() = SdkBody::from(body);
        Ok(())
    }

    /// Runs after signing: proxies and service meshes change these headers, and Bedrock would
    /// reject a signature that covers them.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        if self.endpoint.get().is_none()
            && let Some(endpoint) = request.uri().parse().ok().as_ref().and_then(endpoint)
        {
            // A concurrent call may have set the same value.
            let _known = self.endpoint.set(endpoint);
        }
        EXCHANGE.try_with(|exchange| {
            let Some(span) = &exchange.trace else {
                return Ok(());
            };
            let headers = request.headers_mut();
            headers.try_insert(TRACEPARENT, span.traceparent())?;
            if let Some(state) = span.tracestate() {
                headers.try_insert(TRACESTATE, state.to_owned())?;
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
        if EXCHANGE.try_with(|exchange| exchange.reads_response)? {
            return Ok(());
        }
        let response = context.response_mut();
        if response.status().is_success() {
            let body = std::mem::replace(response.body_mut(), SdkBody::empty());
            let content_type = response.headers().get("content-type");
            let response = Response {
                body,
                status: response.status().as_u16(),
                content_type: content_type.unwrap_or_default().to_owned(),
            };
            EXCHANGE.try_with(|exchange| exchange.response.set(Some(response)))?;
        }
        Ok(())
    }
}
