//! SIGTERM: streams may end within the drain limit, all others get a status, and nothing blocks the
//! exit.

use std::time::{Duration, Instant};

use bedrock_emulator::{Credentials, Emulator, End, Options};
use bedrock_grpc::pb::stream_invoke_response::Event;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::{net::TcpStream, task::JoinSet};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    harness::{MODEL, Web, ask, faulty, paced, soon},
    support::{Child, Client, Open, STREAM_INVOKE},
};

const STREAMS: usize = 100;

/// An emulator whose answers take about a second.
fn emulator() -> Emulator {
    Emulator::start(Options {
        pace: paced(Duration::from_millis(50), 20),
        ..Options::default()
    })
    .unwrap()
}

/// Opens streams and waits until all have begun.
async fn open(gateway: &Child, target: &str, count: usize) -> (Vec<Client>, Vec<Open>) {
    let (mut clients, mut streams) = (Vec::new(), Vec::new());
    while streams.len() < count {
        let mut client = Client::connect(gateway.address).await;
        for _ in 0..50.min(count - streams.len()) {
            streams.push(client.call(STREAM_INVOKE, &[], &ask(target)).await);
        }
        clients.push(client);
    }
    for stream in &mut streams {
        stream.read_messages(1).await;
    }
    (clients, streams)
}

#[tokio::test]
async fn streams_that_end_within_the_limit_are_whole() {
    let emulator = emulator();
    let mut gateway = Child::serve(&emulator.endpoint_url(), "drain:\n  lame_duck: 100ms").await;
    let (_clients, streams) = open(&gateway, MODEL, STREAMS).await;
    gateway.terminate().await;
    let mut reading = JoinSet::new();
    for mut stream in streams {
        reading.spawn(async move {
            assert_eq!(stream.status().await.status.code(), Code::Ok);
            let last = stream.messages.last().unwrap().event.as_ref();
            assert!(matches!(last, Some(Event::Metadata(_))), "{last:?}");
        });
    }
    assert_eq!(reading.join_all().await.len(), STREAMS);
    assert_eq!(gateway.code().await, Some(0));
    let calls = emulator.calls();
    assert_eq!(calls.len(), STREAMS);
    assert!(calls.iter().all(|call| call.end == Some(End::Completed)));
}

#[tokio::test]
async fn streams_that_do_not_end_get_one_status_each() {
    let emulator = emulator();
    let more = "drain:\n  lame_duck: 0\n  limit: 500ms";
    let mut gateway = Child::serve(&emulator.endpoint_url(), more).await;
    let endless = format!("{MODEL}.fault-stall-after-3");
    let (_clients, mut streams) = open(&gateway, &endless, STREAMS).await;
    // Some streams have no event from Bedrock yet, and one client has not sent its message.
    let mut waiting = Client::connect(gateway.address).await;
    for fault in ["stall-before-headers", "stall-after-0"] {
        streams.push(waiting.call(STREAM_INVOKE, &[], &faulty(fault)).await);
    }
    soon(emulator.wait_for(|calls| calls.len() == STREAMS + 2)).await;
    streams.push(waiting.headers(STREAM_INVOKE, &[]).await);
    gateway.terminate().await;
    let terminated = Instant::now();
    let mut reading = JoinSet::new();
    for mut stream in streams {
        reading.spawn(async move { stream.status().await });
    }
    for status in reading.join_all().await {
        status.is(Code::Unavailable, "DRAINING");
        let pushback = status.details().pushback_ms.unwrap();
        // Streams that have begun cannot be retried transparently; the others can, on another
        // replica.
        assert_eq!(pushback > 0, status.trailers_only, "{status:?}");
    }
    assert_eq!(gateway.code().await, Some(0));
    assert!(terminated.elapsed() >= Duration::from_millis(500));
    let calls = emulator.wait_for(|calls| calls.iter().all(|call| call.end.is_some()));
    soon(calls).await;
}

/// A machine on which other processes run opens and ends streams more slowly, but not in another
/// way. So nothing in this test has a time limit that does not follow from the time of the opening.
#[tokio::test]
async fn a_thousand_streams() {
    const STUCK: usize = 100;
    const ENDING: usize = 900;
    let emulator = Emulator::start(Options {
        tls_listen: Some(([127, 0, 0, 1], 0).into()),
        pace: paced(Duration::from_millis(500), 4),
        // The emulator has a limit for TLS handshakes. While the gateway opens hundreds of calls, a
        // busy machine does not keep it. So the first call of each worker makes a handshake, and
        // all others use its connection.
        max_concurrent_streams: 4_000,
        // The test does not need to check a thousand signatures.
        credentials: Credentials {
            checked: false,
            ..Credentials::default()
        },
        ..Options::default()
    })
    .unwrap();
    let mut ca = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut ca, emulator.ca_pem().unwrap().as_bytes()).unwrap();
    // Over HTTP/2, so that neither side needs a thousand descriptors.
    let more = |limit: Duration| {
        format!(
            "  extra_ca_file: {}\n  connect_timeout: 1m\ndrain:\n  lame_duck: 0\n  limit: {}s",
            ca.path().display(),
            limit.as_secs()
        )
    };
    let default = Duration::from_secs(600);
    let mut gateway = Child::serve(&emulator.tls_endpoint_url().unwrap(), &more(default)).await;
    let endless = format!("{MODEL}.fault-stall-after-1");
    // Each client is served by the worker with the fewest connections.
    let (_first, mut stuck) = open(&gateway, &endless, 1).await;
    let (_second, second) = open(&gateway, &endless, 1).await;
    stuck.extend(second);
    let begun = Instant::now();
    let (_stuck, more_stuck) = open(&gateway, &endless, STUCK - stuck.len()).await;
    stuck.extend(more_stuck);
    let (_clients, ending) = open(&gateway, MODEL, ENDING).await;
    let opening = begun.elapsed();
    println!("open after {opening:?}");
    let limit = Duration::from_secs(6) + 2 * opening;
    gateway
        .reload(&more(limit.min(Duration::from_secs(50))))
        .await;
    gateway.terminate().await;
    let mut whole = JoinSet::new();
    for mut stream in ending {
        whole.spawn(async move {
            assert_eq!(stream.status().await.status.code(), Code::Ok);
            let last = stream.messages.last().unwrap().event.as_ref();
            assert!(matches!(last, Some(Event::Metadata(_))), "{last:?}");
            let tokens = stream
                .messages
                .iter()
                .filter(|message| matches!(message.event, Some(Event::ContentBlockDelta(_))));
            assert_eq!(tokens.count(), 4);
        });
    }
    let mut cut = JoinSet::new();
    for mut stream in stuck {
        cut.spawn(async move { stream.status().await });
    }
    assert_eq!(whole.join_all().await.len(), ENDING);
    println!("whole after {:?}", begun.elapsed());
    // The streams that could not end are still open.
    assert!(cut.try_join_next().is_none());
    assert!(gateway.runs());
    let cut = cut.join_all().await;
    assert_eq!(cut.len(), STUCK);
    for status in cut {
        status.is(Code::Unavailable, "DRAINING");
        assert_eq!(status.details().phase(), "mid-stream");
    }
    assert_eq!(gateway.code().await, Some(0));
    let calls = emulator.calls();
    assert_eq!(calls.len(), STUCK + ENDING);
    let completed = calls.iter().filter(|call| call.end == Some(End::Completed));
    assert_eq!(completed.count(), ENDING);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let emulator = emulator();
    // The default limit: ten minutes.
    let mut gateway = Child::serve(&emulator.endpoint_url(), "drain:\n  lame_duck: 0").await;
    let endless = format!("{MODEL}.fault-stall-after-3");
    let (_clients, mut streams) = open(&gateway, &endless, 10).await;
    let held = Held::by(&gateway).await;
    gateway.terminate().await;
    gateway.logged("draining").await;
    assert!(gateway.runs());
    gateway.terminate().await;
    // The exit code is that of an expired drain. All streams got a status.
    assert_eq!(gateway.code().await, Some(0));
    for stream in &mut streams {
        stream.status().await.is(Code::Unavailable, "DRAINING");
    }
    drop(held);
}

/// Clients that would keep a connection open forever.
struct Held {
    _silent: TcpStream,
    _idle: Client,
    _watch: tonic::Streaming<tonic_health::pb::HealthCheckResponse>,
    /// Two clients that read nothing: one answers pings, the other has vanished.
    _stuck: [(Client, Open); 2],
}

impl Held {
    async fn by(gateway: &Child) -> Self {
        let mut watch = health(gateway)
            .watch(HealthCheckRequest::default())
            .await
            .unwrap()
            .into_inner();
        let first = soon(watch.message()).await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::Serving);
        let stuck = stuck(gateway).await;
        let gone = self::stuck(gateway).await;
        gone.0.freeze();
        Self {
            _silent: TcpStream::connect(gateway.address).await.unwrap(),
            _idle: Client::connect(gateway.address).await,
            _watch: watch,
            _stuck: [stuck, gone],
        }
    }
}

/// A client whose stream has begun, and has no room for more than the start.
async fn stuck(gateway: &Child) -> (Client, Open) {
    let mut client = Client::with(gateway.address, |builder| {
        builder.initial_window_size(1);
    })
    .await;
    let mut call = client.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    call.begun().await.unwrap();
    (client, call)
}

#[tokio::test]
async fn silent_watching_and_stuck_clients_do_not_keep_it_from_its_exit() {
    let emulator = emulator();
    let more = "drain:\n  lame_duck: 0\n  limit: 500ms";
    let mut gateway = Child::serve(&emulator.endpoint_url(), more).await;
    let held = Held::by(&gateway).await;
    gateway.terminate().await;
    let terminated = Instant::now();
    assert_eq!(gateway.code().await, Some(0));
    // The drain limit and the time in which streams notify their clients add up to 4.5 s.
    let took = terminated.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    drop(held);
}

fn health(gateway: &Child) -> HealthClient<tonic::transport::Channel> {
    let channel = Endpoint::from_shared(format!("http://{}", gateway.address))
        .unwrap()
        .connect_lazy();
    HealthClient::new(channel)
}

async fn readiness(gateway: &Child) -> StatusCode {
    let request = Request::get("/readyz")
        .header("host", gateway.admin.to_string())
        .body(Full::default())
        .unwrap();
    Web::send(gateway.admin, request).await.status
}

#[tokio::test]
async fn lame_ducks_say_so_and_still_serve() {
    let emulator = emulator();
    let mut gateway = Child::serve(&emulator.endpoint_url(), "drain:\n  lame_duck: 5s").await;
    assert_eq!(readiness(&gateway).await, StatusCode::OK);
    let mut watch = health(&gateway)
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    let status = async |watch: &mut tonic::Streaming<_>| {
        let told: tonic_health::pb::HealthCheckResponse =
            soon(watch.message()).await.unwrap().unwrap();
        told.status()
    };
    assert_eq!(status(&mut watch).await, ServingStatus::Serving);
    let mut before = Client::connect(gateway.address).await;
    gateway.terminate().await;
    assert_eq!(status(&mut watch).await, ServingStatus::NotServing);
    assert_eq!(readiness(&gateway).await, StatusCode::SERVICE_UNAVAILABLE);
    // This holds for an existing connection and for a new one.
    let mut after = Client::connect(gateway.address).await;
    for client in [&mut before, &mut after] {
        let mut call = client.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
        assert_eq!(call.status().await.status.code(), Code::Ok);
    }
    // Then GOAWAY: open streams continue, new calls go to other replicas.
    let mut last = before.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    let refused = soon(async {
        loop {
            match before.try_headers(STREAM_INVOKE, &[]).await {
                Ok(mut accepted) => accepted.cancel(),
                Err(error) => return error,
            }
            if !last.read().await.unwrap() {
                last = before.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
            }
        }
    })
    .await;
    assert!(refused.is_go_away(), "{refused}");
    assert_eq!(last.status().await.status.code(), Code::Ok);
    assert_eq!(gateway.code().await, Some(0));
    assert!(TcpStream::connect(gateway.address).await.is_err());
}
