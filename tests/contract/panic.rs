//! A panic ends its own call, with INTERNAL, and nothing else. Uses the gateway's own layers around
//! a service that panics on request.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use bedrock_grpc::{
    access::{
        Gate, Rules, Snapshot,
        limits::{InProcess, Names, UsageAccounting},
    },
    bedrock::Sdk,
    config::Config,
    grpc::{self, Admission, Generation, Generations, Parts, Stack},
    pb::{
        CountTokensRequest, CountTokensResponse, InvokeRequest, InvokeResponse,
        StreamInvokeRequest, StreamInvokeResponse,
        inference_service_server::{InferenceService, InferenceServiceServer},
    },
    routing::Router,
    telemetry::{Metrics, Traces, UsageRecords},
};
use futures_util::{Stream, StreamExt, stream};
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, body::Body, service::Routes};
use tower::ServiceExt;

use crate::{
    harness::{ask, invoke},
    support::{Client, INVOKE, STREAM_INVOKE},
};

/// Panics at the point that its target names, or sends a message for each step of the test.
struct Panics {
    steps: watch::Receiver<usize>,
}

#[tonic::async_trait]
impl InferenceService for Panics {
    type StreamInvokeStream =
        Pin<Box<dyn Stream<Item = Result<StreamInvokeResponse, Status>> + Send>>;

    async fn invoke(&self, _: Request<InvokeRequest>) -> Result<Response<InvokeResponse>, Status> {
        panic!("in a unary handler");
    }

    async fn count_tokens(
        &self,
        _: Request<CountTokensRequest>,
    ) -> Result<Response<CountTokensResponse>, Status> {
        panic!("in a unary handler");
    }

    async fn stream_invoke(
        &self,
        request: Request<StreamInvokeRequest>,
    ) -> Result<Response<Self::StreamInvokeStream>, Status> {
        let message = || Ok(StreamInvokeResponse::default());
        let steps = self.steps.clone();
        let target = request.into_inner().target;
        Ok(Response::new(match target.as_str() {
            "in mid-stream" => stream::unfold(0, move |sent| async move {
                // The messages are sent one by one, because a panic discards messages that were not
                // sent yet.
                tokio::task::yield_now().await;
                assert!(sent < 3, "in mid-stream");
                Some((message(), sent + 1))
            })
            .boxed(),
            "nowhere" => stream::unfold((steps, 0), move |(mut steps, sent)| async move {
                // The test ends the stream when it ends the steps.
                steps.wait_for(|step| *step > sent).await.ok()?;
                Some((message(), (steps, sent + 1)))
            })
            .boxed(),
            _ => panic!("in a handler"),
        }))
    }
}

/// The default configuration.
fn generation(metrics: &Arc<Metrics>) -> Generation {
    let config = Config::default();
    let parts = Parts {
        router: Router::new(config.targets.clone(), None),
        rules: Rules::new(&config.access, Snapshot::default(), Vec::new()),
        accounts: UsageAccounting::new(
            &config.access,
            std::iter::empty(),
            &Names::default(),
            Arc::new(InProcess::default()),
            Arc::clone(metrics),
        ),
        budgets: Arc::from([]),
        sdk: Sdk::with_credentials("AKIDEXAMPLE", "not-a-real-secret", &config.bedrock).unwrap(),
        traces: Traces::default(),
        tls: None,
    };
    let in_use = &metrics.config.generations_in_use;
    Generation::new(1, String::new(), &config, parts, in_use)
}

/// Serves forever, with slots for this many calls.
async fn serve(places: usize, steps: watch::Receiver<usize>) -> SocketAddr {
    let routes = Routes::new(InferenceServiceServer::new(Panics { steps }));
    let metrics = Arc::new(Metrics::default());
    let stack: Stack = grpc::stack(
        routes,
        Generations::new(generation(&metrics)),
        (Gate::new(Arc::clone(&metrics)), UsageRecords::default()),
        Admission::new(places, 1, &metrics),
        CancellationToken::new(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let service = stack
                .clone()
                .map_request(|request: http::Request<Incoming>| request.map(Body::new));
            let connection = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(tcp), TowerToHyperService::new(service));
            tokio::spawn(connection);
        }
    });
    address
}

#[tokio::test]
async fn a_panic_ends_its_own_call_and_no_other_of_the_connection() {
    let (step, steps) = watch::channel(1);
    // One slot is for the stream that continues. The calls that panic share the other one, because
    // each of them releases it.
    let address = serve(2, steps).await;
    let mut client = Client::connect(address).await;
    let mut other = client.call(STREAM_INVOKE, &[], &ask("nowhere")).await;
    other.read_messages(1).await;
    for round in 1..=3 {
        let mut handler = client.call(STREAM_INVOKE, &[], &ask("in a handler")).await;
        let status = handler.status().await;
        status.is(Code::Internal, "PANIC");
        assert!(status.trailers_only);
        assert_eq!(status.details().phase(), "before-first-event");

        let mut stream = client.call(STREAM_INVOKE, &[], &ask("in mid-stream")).await;
        let status = stream.status().await;
        status.is(Code::Internal, "PANIC");
        assert_eq!(status.details().phase(), "mid-stream");
        // The output before the panic arrives.
        assert_eq!(stream.messages.len(), 3);

        let mut unary = client.call(INVOKE, &[], &invoke(ask(""))).await;
        let status = unary.status().await;
        status.is(Code::Internal, "PANIC");
        assert!(!status.status.message().contains("handler"), "{status:?}");

        step.send_modify(|step| *step += 1);
        other.read_messages(round + 1).await;
    }
    drop(step);
    assert_eq!(other.status().await.status.code(), Code::Ok);
}
