//! Many changes of the configuration and of certificates under load: no stream breaks, and no call
//! fails.
//!
//! Streams are open all the time, and new calls arrive at a constant rate, some of them on new
//! connections. All use a target and a caller that each configuration has. The short form is part
//! of the tests; `tests/rotation/run` runs the full one.

use std::{
    fmt, fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::{
    access::key::Secret,
    pb::{
        GetTargetRequest, InferenceConfiguration, inference_service_client::InferenceServiceClient,
        target_service_client::TargetServiceClient,
    },
};
use rustls::ClientConfig;
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::{
    HEAD, Reloading,
    tls::{Files, handshake},
};
use crate::harness::{MODEL, Stream, ask, key_of, keyed, paced, sha256_of, soon};

/// How much is done, and how soon each change must take effect.
struct Scale {
    streams: usize,
    /// The length of a stream, at two tokens a second.
    tokens: usize,
    calls_per_second: u32,
    changes: usize,
    rotations: usize,
    in_effect_within: Duration,
}

impl Scale {
    /// Returns the full scale, or the short one, for runs in which other tests use the machine,
    /// too.
    fn of_environment() -> Self {
        match std::env::var_os("ROTATION_FULL") {
            Some(_) => Self {
                streams: 1_000,
                tokens: 60,
                calls_per_second: 100,
                changes: 100,
                rotations: 20,
                in_effect_within: Duration::from_secs(2),
            },
            None => Self {
                streams: 50,
                tokens: 20,
                calls_per_second: 20,
                changes: 10,
                rotations: 2,
                in_effect_within: Duration::from_secs(20),
            },
        }
    }
}

/// A change of the configuration file.
#[derive(Clone, Copy, Debug)]
enum Change {
    Write,
    Mistake,
    SymbolicLink,
    HalfWritten,
    Rename,
    Deleted,
}

/// Every second change is refused, and the change after it corrects the mistake.
const CHANGES: [Change; 6] = [
    Change::Write,
    Change::Mistake,
    Change::SymbolicLink,
    Change::HalfWritten,
    Change::Rename,
    Change::Deleted,
];

impl Change {
    const fn is_refused(self) -> bool {
        matches!(self, Self::Mistake | Self::HalfWritten | Self::Deleted)
    }

    /// Makes the change. `text` is a valid configuration.
    fn make(self, folder: &Path, number: usize, text: &str) {
        let path = folder.join("config.yaml");
        let other = folder.join(format!("config-{number}"));
        match self {
            Self::Write => {
                // The link of an earlier change may be there.
                let real = fs::canonicalize(&path).unwrap_or(path);
                fs::write(real, text).unwrap();
            }
            Self::Mistake => fs::write(path, format!("{text}\nlistn: 1\n")).unwrap(),
            Self::HalfWritten => {
                let (half, _) = text.split_once("callers:").unwrap();
                fs::write(path, half).unwrap();
            }
            Self::Deleted => fs::remove_file(path).unwrap(),
            Self::SymbolicLink => {
                fs::create_dir(&other).unwrap();
                fs::write(other.join("config.yaml"), text).unwrap();
                let link = folder.join("..data_tmp");
                symlink(format!("config-{number}/config.yaml"), &link).unwrap();
                fs::rename(link, path).unwrap();
            }
            Self::Rename => {
                fs::write(&other, text).unwrap();
                fs::rename(other, path).unwrap();
            }
        }
    }
}

/// What clients need for calls.
#[derive(Clone)]
struct Caller {
    endpoint: Endpoint,
    channel: Channel,
    key: Arc<Secret>,
}

impl Caller {
    fn request<T>(&self, message: T) -> tonic::Request<T> {
        keyed(tonic::Request::new(message), &self.key)
    }

    /// Makes a call of two tokens. Every fifth has a separate connection.
    async fn call(&self, number: usize) -> Result<(), String> {
        let channel = match number % 5 {
            0 => self.endpoint.connect_lazy(),
            _ => self.channel.clone(),
        };
        let mut request = ask("kept");
        request.input.as_mut().unwrap().inference_config = Some(InferenceConfiguration {
            max_tokens: Some(2),
            ..InferenceConfiguration::default()
        });
        let mut client = InferenceServiceClient::new(channel);
        let stream = soon(Stream::open(&mut client, self.request(request))).await;
        stream.end().await.end.map_err(|status| status.to_string())
    }

    /// Keeps a stream open until it is stopped and the last stream has ended. Returns the number of
    /// streams.
    async fn keep_streaming(self, tokens: usize, stop: CancellationToken) -> usize {
        let mut streams = 0;
        while !stop.is_cancelled() {
            let mut client = InferenceServiceClient::new(self.channel.clone());
            let stream = soon(Stream::open(&mut client, self.request(ask("kept")))).await;
            let answer = stream.end().await;
            answer.is_whole();
            assert_eq!(answer.texts().count(), tokens);
            streams += 1;
        }
        streams
    }

    async fn has_target(&self, target: &str) -> bool {
        let mut client = TargetServiceClient::new(self.channel.clone());
        let request = GetTargetRequest {
            target: target.to_owned(),
        };
        client.get_target(self.request(request)).await.is_ok()
    }
}

/// Makes calls at a constant rate, whether or not earlier ones have ended. Returns their number and
/// the failures.
async fn calls(caller: Caller, per_second: u32, stop: CancellationToken) -> (usize, Vec<String>) {
    let mut clock = interval(Duration::from_secs(1) / per_second);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut open, mut number) = (JoinSet::new(), 0);
    while !stop.is_cancelled() {
        clock.tick().await;
        let caller = caller.clone();
        open.spawn(async move { caller.call(number).await });
        number += 1;
    }
    let outcomes = open.join_all().await;
    let failures = outcomes.into_iter().filter_map(Result::err).collect();
    (number, failures)
}

/// Waits until this is true. Returns the time since `since`.
async fn until(since: Instant, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    soon(async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    since.elapsed()
}

/// The slowest change so far.
struct Took {
    slowest: Duration,
    limit: Duration,
}

impl Took {
    fn note(&mut self, what: impl fmt::Debug, took: Duration) {
        assert!(took <= self.limit, "{what:?} took {took:?}");
        self.slowest = self.slowest.max(took);
    }
}

/// Renews the certificate. Returns after which time new connections got it.
async fn rotate(files: &Files, gateway: SocketAddr, client: &Arc<ClientConfig>) -> Duration {
    let certificate = files.renew();
    until(Instant::now(), async || {
        let seen = handshake(gateway, client).await.unwrap();
        seen.certificate == certificate
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_breaks_and_no_call_fails_while_everything_changes() {
    let scale = Scale::of_environment();
    let files = Files::new();
    let key = key_of();
    let hash = sha256_of(&key);
    let head = HEAD.replace("max_attempts: 1", "max_attempts: 1, max_streams: 4096");
    assert_ne!(head, HEAD);
    // If only the beginning of the file is valid YAML, it has no caller.
    let text = |number: usize| {
        format!(
            "{head}{}targets: {{kept: {{model_id: '{MODEL}'}}, step-{number}: {{model_id: '{MODEL}'}}}}\n\
             callers: {{team-a: {{keys: [{{sha256: {hash}}}]}}}}\n",
            files.section()
        )
    };
    let folder = TempDir::new().unwrap();
    let root: PathBuf = folder.path().to_owned();
    let path = root.join("config.yaml");
    fs::write(&path, text(0)).unwrap();
    let options = Options {
        pace: paced(Duration::from_millis(500), scale.tokens),
        ..Options::default()
    };
    let mut gateway = Reloading::on(folder, path, Emulator::start(options).unwrap()).await;
    gateway.process.discard_output();
    let endpoint = files.endpoint(gateway.address);
    let caller = Caller {
        channel: endpoint.connect_lazy(),
        endpoint,
        key: Arc::new(key),
    };

    let stop = CancellationToken::new();
    let mut streaming = JoinSet::new();
    let mut streamer = caller.clone();
    for number in 0..scale.streams {
        // 20 streams on each connection.
        if number % 20 == 0 {
            streamer.channel = caller.endpoint.connect_lazy();
        }
        let streamer = streamer.clone();
        streaming.spawn(streamer.keep_streaming(scale.tokens, stop.clone()));
    }
    let per_second = scale.calls_per_second;
    let calling = tokio::spawn(calls(caller.clone(), per_second, stop.clone()));
    let raw = files.raw_client(None);
    until(Instant::now(), async || {
        let line = gateway.metric("bedrock_grpc_open_calls ").await;
        let (_, open) = line.split_once(' ').unwrap();
        open.parse::<usize>().unwrap() >= scale.streams
    })
    .await;

    let mut took = Took {
        slowest: Duration::ZERO,
        limit: scale.in_effect_within,
    };
    let mut rotations = 0;
    let every = scale.changes / scale.rotations;
    for number in 1..=scale.changes {
        let change = CHANGES[(number - 1) % CHANGES.len()];
        change.make(&root, number, &text(number));
        let made = Instant::now();
        if change.is_refused() {
            let refused = until(made, async || !gateway.last_reload_successful().await).await;
            took.note(change, refused);
            continue;
        }
        let target = format!("step-{number}");
        let used = until(made, async || caller.has_target(&target).await).await;
        took.note(change, used);
        // While a change is refused, a certificate is not used either.
        if rotations < number / every {
            rotations += 1;
            took.note("a certificate", rotate(&files, gateway.address, &raw).await);
        }
    }
    let last = scale.changes + 1;
    Change::Rename.make(&root, last, &text(last));
    let target = format!("step-{last}");
    until(Instant::now(), async || caller.has_target(&target).await).await;
    for _ in rotations..scale.rotations {
        took.note("a certificate", rotate(&files, gateway.address, &raw).await);
    }
    stop.cancel();
    let (calls, failures) = calling.await.unwrap();
    assert_eq!(failures, [""; 0], "of {calls} calls");
    // A broken stream fails its task.
    let streams: usize = streaming.join_all().await.into_iter().sum();
    assert!(streams >= scale.streams);
    until(Instant::now(), async || {
        let line = gateway
            .metric("bedrock_grpc_config_generations_in_use")
            .await;
        line.ends_with(" 1")
    })
    .await;
    println!(
        "{} changes and {} rotations: 0 of {streams} streams broken, 0 of {calls} calls failed, \
         the slowest change was in effect after {:?}",
        scale.changes, scale.rotations, took.slowest
    );
}
