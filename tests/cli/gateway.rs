//! A gateway whose answers a test writes during the call.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bedrock_grpc::pb::{
    ApplyGuardrailRequest, ApplyGuardrailResponse, ConverseStreamMetadata, CountTokensRequest,
    CountTokensResponse, GuardrailAction, GuardrailOutputContent, InvokeModelRequest,
    InvokeModelResponse, InvokeRequest, InvokeResponse, MetadataEvent, ModelStreamStartEvent,
    ResolvedTarget, StreamInvokeModelRequest, StreamInvokeModelResponse, StreamInvokeRequest,
    StreamInvokeResponse, TokenUsage,
    guardrail_converse_content_block::Content,
    guardrail_service_server::{GuardrailService, GuardrailServiceServer},
    inference_service_server::{InferenceService, InferenceServiceServer},
    model_service_server::{ModelService, ModelServiceServer},
    stream_invoke_model_response::Event as ModelEvent,
    stream_invoke_response::Event,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_stream::{Stream, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, metadata::MetadataMap, service::Routes, transport::Server};
use tonic_health::server::{HealthReporter, health_reporter};

/// The running gateway, and the calls that reach it.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) health: HealthReporter,
    streams: mpsc::UnboundedReceiver<StreamCall>,
    invokes: mpsc::UnboundedReceiver<InvokeCall>,
}

/// A call of StreamInvoke. Dropping it before `accept` answers CANCELLED.
pub(crate) struct StreamCall {
    pub(crate) metadata: MetadataMap,
    pub(crate) request: StreamInvokeRequest,
    answer: oneshot::Sender<Result<Answer, Status>>,
}

/// A call of Invoke.
pub(crate) struct InvokeCall {
    pub(crate) request: InvokeRequest,
    pub(crate) answer: oneshot::Sender<Result<InvokeResponse, Status>>,
}

/// A stream that a test writes. Dropping it ends the stream with OK.
pub(crate) struct Writer {
    items: mpsc::UnboundedSender<Result<StreamInvokeResponse, Status>>,
}

impl Gateway {
    /// Starts on a free port.
    pub(crate) async fn start() -> Self {
        Self::launch(0, Server::builder()).await
    }

    /// Starts on a free port, with TLS only.
    #[cfg(feature = "emulator")]
    pub(crate) async fn start_tls(identity: tonic::transport::Identity) -> Self {
        let tls = tonic::transport::ServerTlsConfig::new().identity(identity);
        Self::launch(0, Server::builder().tls_config(tls).unwrap()).await
    }

    /// Starts on a free port. This many connections are closed with the first call on them.
    pub(crate) async fn start_closing(closing_connections: usize) -> Self {
        Self::launch(closing_connections, Server::builder()).await
    }

    async fn launch(closing_connections: usize, mut server: Server) -> Self {
        let (streams_in, streams) = mpsc::unbounded_channel();
        let (invokes_in, invokes) = mpsc::unbounded_channel();
        let (health, health_service) = health_reporter();
        let service = InferenceServiceServer::new(Scripted {
            streams: streams_in,
            invokes: invokes_in,
        });
        let routes = Routes::new(service)
            .add_service(GuardrailServiceServer::new(Masks))
            .add_service(ModelServiceServer::new(Echo))
            .add_service(health_service);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for _ in 0..closing_connections {
                let (socket, _) = listener.accept().await.unwrap();
                close_under_call(socket).await.unwrap();
            }
            let sockets = TcpListenerStream::new(listener);
            server
                .add_routes(routes)
                .serve_with_incoming(sockets)
                .await
                .unwrap();
        });
        Self {
            address,
            health,
            streams,
            invokes,
        }
    }

    /// The next call of StreamInvoke.
    pub(crate) async fn stream_call(&mut self) -> StreamCall {
        soon(self.streams.recv()).await.unwrap()
    }

    /// The next call of Invoke.
    pub(crate) async fn invoke_call(&mut self) -> InvokeCall {
        soon(self.invokes.recv()).await.unwrap()
    }
}

/// Waits with a timeout, so that a test whose command makes no call fails instead of hanging.
async fn soon<T>(event: impl Future<Output = T>) -> T {
    const LIMIT: Duration = Duration::from_secs(30);
    timeout(LIMIT, event).await.unwrap()
}

/// Waits for a call, and answers with a GOAWAY that marks it as not processed.
async fn close_under_call(mut socket: TcpStream) -> io::Result<()> {
    const HEADERS: u8 = 1;
    const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY_AFTER_STREAM_0: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut preface = [0; 24];
    socket.read_exact(&mut preface).await?;
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        socket.read_exact(&mut vec![0; length]).await?;
        if head[3] == HEADERS {
            break;
        }
    }
    socket.write_all(&EMPTY_SETTINGS).await?;
    socket.write_all(&GOAWAY_AFTER_STREAM_0).await?;
    socket.shutdown().await?;
    tokio::io::copy(&mut socket, &mut tokio::io::sink()).await?;
    Ok(())
}

impl StreamCall {
    /// Answers with a stream.
    pub(crate) fn accept(self) -> (StreamInvokeRequest, Writer, oneshot::Receiver<()>) {
        let (items, receiver) = mpsc::unbounded_channel();
        let (gone_in, gone) = oneshot::channel();
        let answer = Answer {
            items: receiver,
            gone: Some(gone_in),
        };
        assert!(
            self.answer.send(Ok(answer)).is_ok(),
            "the client has disconnected"
        );
        (self.request, Writer { items }, gone)
    }

    /// Answers with only a status.
    pub(crate) fn refuse(self, status: Status) {
        assert!(
            self.answer.send(Err(status)).is_ok(),
            "the client has disconnected"
        );
    }
}

impl Writer {
    /// Sends the events.
    pub(crate) fn send(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let response = StreamInvokeResponse {
                event: Some(event),
                raw_members: Vec::new(),
            };
            self.items.send(Ok(response)).unwrap();
        }
    }

    /// Ends the stream with an error.
    pub(crate) fn fail(self, status: Status) {
        self.items.send(Err(status)).unwrap();
    }
}

struct Scripted {
    streams: mpsc::UnboundedSender<StreamCall>,
    invokes: mpsc::UnboundedSender<InvokeCall>,
}

#[tonic::async_trait]
impl InferenceService for Scripted {
    type StreamInvokeStream = Answer;

    async fn invoke(
        &self,
        request: Request<InvokeRequest>,
    ) -> Result<Response<InvokeResponse>, Status> {
        let (answer, answered) = oneshot::channel();
        let request = request.into_inner();
        let _ = self.invokes.send(InvokeCall { request, answer });
        match answered.await {
            Ok(answer) => answer.map(Response::new),
            Err(_) => Err(Status::cancelled("the test gave no answer")),
        }
    }

    /// Counts messages. The target `refused` is refused.
    async fn count_tokens(
        &self,
        request: Request<CountTokensRequest>,
    ) -> Result<Response<CountTokensResponse>, Status> {
        let CountTokensRequest { target, input } = request.into_inner();
        if target == "refused" {
            return Err(Status::failed_precondition("this model cannot count"));
        }
        Ok(Response::new(CountTokensResponse {
            input_tokens: i32::try_from(input.unwrap_or_default().messages.len()).unwrap(),
            counted_by: format!("behind.{target}"),
            ..CountTokensResponse::default()
        }))
    }

    async fn stream_invoke(
        &self,
        request: Request<StreamInvokeRequest>,
    ) -> Result<Response<Answer>, Status> {
        let (answer, answered) = oneshot::channel();
        let (metadata, _, request) = request.into_parts();
        let _ = self.streams.send(StreamCall {
            metadata,
            request,
            answer,
        });
        match answered.await {
            Ok(answer) => answer.map(Response::new),
            Err(_) => Err(Status::cancelled("the test gave no answer")),
        }
    }
}

/// A guardrail that masks `secret`, and returns its request as the reason.
struct Masks;

#[tonic::async_trait]
impl GuardrailService for Masks {
    /// The target `refused` is refused.
    async fn apply_guardrail(
        &self,
        request: Request<ApplyGuardrailRequest>,
    ) -> Result<Response<ApplyGuardrailResponse>, Status> {
        let request = request.into_inner();
        if request.target == "refused" {
            return Err(Status::permission_denied("you may not check this"));
        }
        let Some(Content::Text(block)) = &request.content[0].content else {
            return Err(Status::invalid_argument("no text"));
        };
        let found = block.text.contains("secret");
        let output = GuardrailOutputContent {
            text: Some(block.text.replace("secret", "{SECRET}")),
        };
        let (action, name) = if found {
            (GuardrailAction::GuardrailIntervened, "GUARDRAIL_INTERVENED")
        } else {
            (GuardrailAction::None, "NONE")
        };
        let reason = format!(
            "{} {} {}",
            request.target,
            request.source().as_str_name(),
            request.output_scope().as_str_name()
        );
        Ok(Response::new(ApplyGuardrailResponse {
            action: action.into(),
            action_name: name.to_owned(),
            action_reason: Some(reason),
            outputs: found.then_some(output).into_iter().collect(),
            guardrail_identifier: request.guardrail_identifier().to_owned(),
            guardrail_version: request.guardrail_version().to_owned(),
            ..ApplyGuardrailResponse::default()
        }))
    }
}

/// A model that answers with its body.
struct Echo;

#[tonic::async_trait]
impl ModelService for Echo {
    /// The target `refused` is refused.
    async fn invoke_model(
        &self,
        request: Request<InvokeModelRequest>,
    ) -> Result<Response<InvokeModelResponse>, Status> {
        let request = request.into_inner();
        if request.target == "refused" {
            return Err(Status::permission_denied("not for this target"));
        }
        Ok(Response::new(InvokeModelResponse {
            content_type: request.accept().to_owned(),
            body: request.body,
            usage: Some(usage()),
            target: Some(resolved()),
            ..InvokeModelResponse::default()
        }))
    }

    type StreamInvokeModelStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<StreamInvokeModelResponse, Status>>>;

    /// Each word of the body is a chunk. The target `cut` ends without metadata.
    async fn stream_invoke_model(
        &self,
        request: Request<StreamInvokeModelRequest>,
    ) -> Result<Response<Self::StreamInvokeModelStream>, Status> {
        let request = request.into_inner();
        let mut events = vec![ModelEvent::Start(ModelStreamStartEvent {
            content_type: request.accept().to_owned(),
            target: Some(resolved()),
            ..ModelStreamStartEvent::default()
        })];
        let words = request.body.split(|byte| *byte == b' ');
        events.extend(words.map(|word| ModelEvent::Chunk(word.to_vec().into())));
        if request.target != "cut" {
            events.push(ModelEvent::Metadata(MetadataEvent {
                metadata: Some(ConverseStreamMetadata {
                    usage: Some(usage()),
                    ..ConverseStreamMetadata::default()
                }),
                ..MetadataEvent::default()
            }));
        }
        let messages: Vec<_> = events
            .into_iter()
            .map(|event| Ok(StreamInvokeModelResponse { event: Some(event) }))
            .collect();
        Ok(Response::new(tokio_stream::iter(messages)))
    }
}

fn usage() -> TokenUsage {
    TokenUsage {
        input_tokens: Some(3),
        output_tokens: Some(0),
        ..TokenUsage::default()
    }
}

fn resolved() -> ResolvedTarget {
    ResolvedTarget {
        model_id: "a.model".to_owned(),
        source_region: "us-east-1".to_owned(),
        ..ResolvedTarget::default()
    }
}

/// The gateway's end of a stream that a test writes. Reports if it is dropped before the end.
pub(crate) struct Answer {
    items: mpsc::UnboundedReceiver<Result<StreamInvokeResponse, Status>>,
    gone: Option<oneshot::Sender<()>>,
}

impl Stream for Answer {
    type Item = Result<StreamInvokeResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.items.poll_recv(cx)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(gone) = self.gone.take() {
            let _ = gone.send(());
        }
    }
}
