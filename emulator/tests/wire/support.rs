//! Clients of the emulator, and their descriptions of how a stream ended.

use std::sync::Arc;

use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::converse_stream::ConverseStreamError,
    types::{
        ContentBlock, ContentBlockDelta, ConversationRole, ConverseStreamOutput, Message,
        error::ConverseStreamOutputError,
    },
};
use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::net::TcpStream;

pub(crate) const MODEL: &str = "amazon.nova-lite-v1:0";

pub(crate) fn start(options: Options) -> Emulator {
    Emulator::start(options).expect("loopback can be bound")
}

pub(crate) fn keys() -> Credentials {
    Credentials::new(DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, None, None, "test")
}

pub(crate) fn client(emulator: &Emulator) -> Client {
    client_in(emulator, "us-east-1")
}

pub(crate) fn client_in(emulator: &Emulator, region: &'static str) -> Client {
    Client::from_conf(config(emulator, region).build())
}

pub(crate) fn config(
    emulator: &Emulator,
    region: &'static str,
) -> aws_sdk_bedrockruntime::config::Builder {
    aws_sdk_bedrockruntime::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region))
        .credentials_provider(keys())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(emulator.endpoint_url())
}

pub(crate) fn control(emulator: &Emulator, region: &'static str) -> aws_sdk_bedrock::Client {
    let config = aws_sdk_bedrock::Config::builder()
        .behavior_version(aws_sdk_bedrock::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_bedrock::config::Region::new(region))
        .credentials_provider(keys())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(emulator.endpoint_url());
    aws_sdk_bedrock::Client::from_conf(config.build())
}

pub(crate) fn user(text: &str) -> Message {
    Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(text.to_owned()))
        .build()
        .expect("role and content are set")
}

/// The outcome of a stream: the names of its events, its text, and its end in a few words.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<&'static str>,
    pub(crate) text: String,
    pub(crate) end: String,
}

/// Runs a ConverseStream to its end.
pub(crate) async fn stream(client: &Client, model_id: &str, text: &str) -> Outcome {
    let sent = client
        .converse_stream()
        .model_id(model_id)
        .messages(user(text))
        .send()
        .await;
    let mut outcome = Outcome::default();
    let mut output = match sent {
        Ok(output) => output,
        Err(error) => {
            outcome.end = describe_error(&error);
            return outcome;
        }
    };
    outcome.end = loop {
        match output.stream.recv().await {
            Ok(Some(event)) => {
                let name = match event {
                    ConverseStreamOutput::MessageStart(_) => "messageStart",
                    ConverseStreamOutput::ContentBlockStart(_) => "contentBlockStart",
                    ConverseStreamOutput::ContentBlockDelta(delta) => {
                        if let Some(ContentBlockDelta::Text(text)) = delta.delta {
                            outcome.text.push_str(&text);
                        }
                        "contentBlockDelta"
                    }
                    ConverseStreamOutput::ContentBlockStop(_) => "contentBlockStop",
                    ConverseStreamOutput::MessageStop(_) => "messageStop",
                    ConverseStreamOutput::Metadata(_) => "metadata",
                    _ => "unknown",
                };
                outcome.events.push(name);
            }
            Ok(None) => break "end".to_owned(),
            Err(error) => break describe_stream_error(&error),
        }
    };
    outcome
}

pub(crate) fn describe_error<R>(error: &SdkError<ConverseStreamError, R>) -> String
where
    R: HttpStatus,
{
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("no code");
            format!("{} {code}", service.raw().status_code())
        }
        other => kind(other).to_owned(),
    }
}

/// The status of a raw response.
pub(crate) trait HttpStatus {
    fn status_code(&self) -> u16;
}

impl HttpStatus for aws_smithy_runtime_api::client::orchestrator::HttpResponse {
    fn status_code(&self) -> u16 {
        self.status().as_u16()
    }
}

fn describe_stream_error<R: std::fmt::Debug>(
    error: &SdkError<ConverseStreamOutputError, R>,
) -> String {
    use ConverseStreamOutputError as E;
    match error {
        SdkError::ServiceError(service) => match service.err() {
            E::InternalServerException(_) => "internalServerException",
            E::ModelStreamErrorException(error) => {
                assert_eq!(error.original_status_code(), Some(500));
                assert!(error.original_message().is_some());
                "modelStreamErrorException"
            }
            E::ValidationException(_) => "validationException",
            E::ThrottlingException(_) => "throttlingException",
            E::ServiceUnavailableException(_) => "serviceUnavailableException",
            _ => "unhandled",
        }
        .to_owned(),
        SdkError::ResponseError(_) => format!("response error {}", cause(&format!("{error:?}"))),
        other => kind(other).to_owned(),
    }
}

/// The relevant cause inside a response error.
fn cause(debug: &str) -> &'static str {
    let causes = [
        "MessageChecksumMismatch",
        "PreludeChecksumMismatch",
        "UnexpectedEndOfStream",
        "InternalFailure",
    ];
    causes
        .into_iter()
        .find(|cause| debug.contains(cause))
        .unwrap_or("other")
}

fn kind<E, R>(error: &SdkError<E, R>) -> &'static str {
    match error {
        SdkError::TimeoutError(_) => "timeout",
        SdkError::DispatchFailure(_) => "dispatch failure",
        SdkError::ResponseError(_) => "response error",
        SdkError::ConstructionFailure(_) => "construction failure",
        _ => "service error",
    }
}

/// Sends one request over a separate plain connection.
pub(crate) async fn http1(
    emulator: &Emulator,
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    let tcp = TcpStream::connect(emulator.addr())
        .await
        .expect("it listens");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp))
        .await
        .expect("HTTP/1.1");
    tokio::spawn(connection);
    sender.send_request(request).await.expect("an answer")
}

/// An HTTP/2 connection over TLS.
pub(crate) async fn http2(
    emulator: &Emulator,
) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let ca = emulator.ca_pem().expect("TLS is on");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM"))
        .expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(emulator.tls_addr().expect("TLS is on"))
        .await
        .expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .expect("trusted");
    let io = TokioIo::new(tls);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

/// A ConverseStream request with a bearer token, as any HTTP client could send it.
pub(crate) fn bearer_request(base: &str, model_id: &str, operation: &str) -> Request<Full<Bytes>> {
    let body = r#"{"messages":[{"role":"user","content":[{"text":"Say hi to the wire"}]}]}"#;
    Request::post(format!("{base}/model/{model_id}/{operation}"))
        .header("host", "localhost")
        .header(
            "authorization",
            format!("Bearer {}", bedrock_emulator::DEV_BEARER_TOKEN),
        )
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .expect("a request")
}

pub(crate) async fn json(response: Response<Incoming>) -> serde_json::Value {
    let body = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    serde_json::from_slice(&body).expect("JSON")
}

/// Calls the emulator's control API.
pub(crate) async fn own(
    emulator: &Emulator,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, serde_json::Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/_emulator/{path}"))
        .header("host", "localhost")
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a request");
    let response = http1(emulator, request).await;
    (response.status().as_u16(), json(response).await)
}
