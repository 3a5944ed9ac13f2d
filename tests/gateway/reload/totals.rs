//! The totals of the process change while it runs: calls, connections, watches and memory. What has
//! begun continues, whatever the total is.

use std::{fs, time::Duration};

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::pb::StreamInvokeRequest;
use prost::Message as _;
use tempfile::TempDir;
use tonic::{Code, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

use super::{HEAD, RELOADED, Reloading, alias};
use crate::harness::{
    Frame, MODEL, RawCall, STREAM_INVOKE, Stream, ask, message, paced, question, soon,
};

/// Enough tokens that calls are open during several reloads.
const TOKENS: usize = 200;

/// The configuration with further keys of `limits`.
fn with(limits: &str) -> String {
    let head = HEAD.replace("max_attempts: 1", &format!("max_attempts: 1{limits}"));
    format!("{head}{}", alias("one", MODEL))
}

async fn start(limits: &str, options: Options) -> Reloading {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, with(limits)).unwrap();
    Reloading::on(folder, path, Emulator::start(options).unwrap()).await
}

impl Reloading {
    /// Changes the keys of `limits`. Nothing needs a restart.
    async fn limits(&mut self, limits: &str) {
        self.becomes_text(&with(limits), RELOADED).await;
        assert!(!self.process.log().contains("need a restart"));
    }
}

fn slow() -> Options {
    Options {
        pace: paced(Duration::from_millis(50), TOKENS),
        ..Options::default()
    }
}

async fn is_refused(gateway: &Reloading) {
    let refused = gateway.stream(ask("one")).await;
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.details().reason(), "REPLICA_SATURATED");
}

#[tokio::test]
async fn the_number_of_calls_changes_and_open_ones_continue() {
    let mut gateway = start(", max_streams: 3", slow()).await;
    let open = async |gateway: &Reloading| -> Stream {
        let mut stream = soon(gateway.open(ask("one"))).await;
        stream.tokens(1).await;
        stream
    };
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(open(&gateway).await);
    }
    is_refused(&gateway).await;
    gateway.limits(", max_streams: 1").await;
    is_refused(&gateway).await;
    // One of three has ended: there are still more than allowed.
    drop(streams.pop());
    soon(async {
        while !gateway
            .metric("bedrock_grpc_open_calls")
            .await
            .ends_with(" 2")
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    is_refused(&gateway).await;
    // The first call after the change gets a slot.
    gateway.limits(", max_streams: 3").await;
    streams.push(open(&gateway).await);
    is_refused(&gateway).await;
    for stream in streams {
        let answer = stream.end().await;
        answer.is_whole();
        assert_eq!(answer.texts().count(), TOKENS);
    }
    // Without the key, the default applies.
    gateway.limits("").await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(open(&gateway).await);
    }
}

/// Connects, and makes a call.
async fn connected(gateway: &Reloading) -> Result<HealthClient<Channel>, tonic::Status> {
    let address = format!("http://{}", gateway.address);
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap();
    let mut client = HealthClient::new(channel.connect_lazy());
    checks(&mut client).await.map(|()| client)
}

async fn checks(client: &mut HealthClient<Channel>) -> Result<(), tonic::Status> {
    let check = client.check(HealthCheckRequest::default());
    soon(check).await.map(drop)
}

#[tokio::test]
async fn the_number_of_connections_changes_and_open_ones_stay() {
    let mut gateway = start(", max_connections: 2", Options::default()).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(connected(&gateway).await.unwrap());
    }
    connected(&gateway).await.unwrap_err();
    gateway.limits(", max_connections: 1").await;
    connected(&gateway).await.unwrap_err();
    for client in &mut clients {
        checks(client).await.unwrap();
    }
    gateway.limits(", max_connections: 3").await;
    clients.push(connected(&gateway).await.unwrap());
    connected(&gateway).await.unwrap_err();
    for client in &mut clients {
        checks(client).await.unwrap();
    }
}

#[tokio::test]
async fn the_number_of_watches_changes_and_open_ones_stay() {
    let watch = async |gateway: &Reloading| -> Result<Streaming<HealthCheckResponse>, Code> {
        let mut client = connected(gateway).await.unwrap();
        let watch = soon(client.watch(HealthCheckRequest::default())).await;
        let mut watch = watch.map_err(|status| status.code())?.into_inner();
        let first = soon(watch.message()).await;
        first.map_err(|status| status.code())?.unwrap();
        Ok(watch)
    };
    let mut gateway = start(", max_watches: 2", Options::default()).await;
    let mut watches = [
        watch(&gateway).await.unwrap(),
        watch(&gateway).await.unwrap(),
    ];
    assert_eq!(watch(&gateway).await.unwrap_err(), Code::Unavailable);
    gateway.limits(", max_watches: 1").await;
    assert_eq!(watch(&gateway).await.unwrap_err(), Code::Unavailable);
    gateway.limits(", max_watches: 3").await;
    let _third = watch(&gateway).await.unwrap();
    assert_eq!(watch(&gateway).await.unwrap_err(), Code::Unavailable);
    // The watches that were opened first are still open: they have nothing to report.
    for watch in &mut watches {
        let next = tokio::time::timeout(Duration::from_millis(1), watch.message()).await;
        next.unwrap_err();
    }
}

/// A request of about a megabyte.
fn large() -> StreamInvokeRequest {
    let mut request = ask("one");
    request.input = Some(question(&"word ".repeat(200_000)));
    request
}

#[tokio::test]
async fn the_memory_budget_changes_also_from_and_to_its_default() {
    let mut gateway = start("", Options::default()).await;
    gateway.stream(large()).await.is_whole();
    // Half of a request has arrived before the budget becomes smaller than it.
    let request = message(0, &large().encode_to_vec());
    let (first, rest) = request.split_at(request.len() / 2);
    let call = http::Request::post(format!("http://{}{STREAM_INVOKE}", gateway.address));
    let mut begun = RawCall::begin_at(gateway.address, call).await;
    begun.more(first, false);
    begun.seen().await;
    gateway.limits(", memory: 256KiB").await;
    is_refused_for_memory(&gateway).await;
    begun.more(rest, true);
    let frames = begun.frames().await;
    let Some(Frame::Trailers(trailers)) = frames.last() else {
        panic!("{frames:?}");
    };
    assert_eq!(trailers["grpc-status"], "0", "{trailers:?}");
    gateway.limits(", memory: 16MiB").await;
    gateway.stream(large()).await.is_whole();
    gateway.limits(", memory: 256KiB").await;
    is_refused_for_memory(&gateway).await;
    gateway.stream(ask("one")).await.is_whole();
    gateway.limits("").await;
    gateway.stream(large()).await.is_whole();
}

async fn is_refused_for_memory(gateway: &Reloading) {
    let refused = gateway.stream(large()).await;
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.details().reason(), "REPLICA_SATURATED");
}
