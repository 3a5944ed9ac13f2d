//! A gateway whose answers a test writes as the call goes on.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bedrock_grpc::pb::{
    InvokeRequest, InvokeResponse, StreamInvokeRequest, StreamInvokeResponse,
    inference_service_server::{InferenceService, InferenceServiceServer},
    stream_invoke_response::Event,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, metadata::MetadataMap, service::Routes};
use tonic_health::server::{HealthReporter, health_reporter};
use tower::ServiceExt;

/// The running gateway, and the calls that reach it.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) health: HealthReporter,
    streams: mpsc::UnboundedReceiver<StreamCall>,
    invokes: mpsc::UnboundedReceiver<InvokeCall>,
    goaway: watch::Sender<()>,
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
        let (streams_in, streams) = mpsc::unbounded_channel();
        let (invokes_in, invokes) = mpsc::unbounded_channel();
        let (health, health_service) = health_reporter();
        let service = InferenceServiceServer::new(Scripted {
            streams: streams_in,
            invokes: invokes_in,
        });
        let routes = Routes::new(service).add_service(health_service).prepare();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (goaway, asked) = watch::channel(());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, routes.clone(), asked.clone()));
            }
        });
        Self {
            address,
            health,
            streams,
            invokes,
            goaway,
        }
    }

    /// The next call of StreamInvoke.
    pub(crate) async fn stream_call(&mut self) -> StreamCall {
        self.streams.recv().await.unwrap()
    }

    /// The next call of Invoke.
    pub(crate) async fn invoke_call(&mut self) -> InvokeCall {
        self.invokes.recv().await.unwrap()
    }

    /// Sends GOAWAY on every connection.
    pub(crate) fn go_away(&self) {
        self.goaway.send_replace(());
    }
}

async fn serve(socket: tokio::net::TcpStream, routes: Routes, mut asked: watch::Receiver<()>) {
    asked.mark_unchanged();
    let service = hyper_util::service::TowerToHyperService::new(routes.map_request(
        |request: http::Request<hyper::body::Incoming>| request.map(tonic::body::Body::new),
    ));
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        Ok(()) = asked.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
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
        assert!(self.answer.send(Ok(answer)).is_ok(), "the caller has gone");
        (self.request, Writer { items }, gone)
    }

    /// Answers with a status and nothing else.
    pub(crate) fn refuse(self, status: Status) {
        assert!(self.answer.send(Err(status)).is_ok(), "the caller has gone");
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

/// The stream's other end. Says when it is dropped before its end.
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
