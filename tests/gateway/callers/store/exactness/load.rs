//! Three replicas as processes, an emulator, a store, and clients that call all the time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bedrock_grpc::{
    access::key::Secret,
    config::OnStoreFailure,
    pb::{inference_service_client::InferenceServiceClient, stream_invoke_response::Event},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tonic::{Code, transport::Channel};

use super::ALL;
use crate::{
    callers::store::tokens,
    harness::{Answer, Process, RedisServer, Serve, Stream, key_of, keyed, soon},
};

const REPLICAS: usize = 3;
const CALLERS: [&str; 4] = ["team-a", "team-b", "team-c", "team-d"];
/// Each client makes a call this often.
const EVERY: Duration = Duration::from_millis(500);
/// What a call costs: 1e-9 US dollars per token.
const INPUT: i128 = 3_000;
const OUTPUT: i128 = 15_000;
/// About what a call uses, to choose budgets: tokens, and money in 1e-9 US dollars.
const ABOUT_TOKENS: f64 = 20.0;
const ABOUT_MONEY: f64 = 190_000.0;

/// The length of the load in seconds.
pub(super) fn seconds() -> f64 {
    let longer = std::env::var("EXACTNESS_SECONDS").ok();
    longer.map_or(3.0, |text| text.parse().unwrap())
}

/// Whether the load is as short as in a run of all tests.
pub(super) fn is_short() -> bool {
    seconds() < 20.0
}

fn clients() -> usize {
    if is_short() { 40 } else { 200 }
}

/// A replica.
pub(super) struct Replica {
    pub(super) process: Process,
    address: std::net::SocketAddr,
    admin: std::net::SocketAddr,
    /// Its name in the store.
    id: String,
    /// Whether its clients lose their connections.
    is_lost: Arc<AtomicBool>,
}

/// Everything that a test needs.
pub(super) struct Load {
    pub(super) redis: RedisServer,
    pub(super) replicas: Vec<Replica>,
    policy: OnStoreFailure,
    keys: Vec<Arc<Secret>>,
    _emulator: Process,
    emulator: std::net::SocketAddr,
}

/// What the emulator has billed, without calls that still run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Billed {
    pub(super) calls: u64,
    pub(super) tokens: i128,
    pub(super) nano_usd: i128,
}

/// What the clients have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) admitted: u64,
    pub(super) refused: u64,
    /// Refused because the store does not answer.
    pub(super) unavailable: u64,
    /// What Bedrock has billed.
    pub(super) tokens: i128,
    pub(super) nano_usd: i128,
    pub(super) longest: Duration,
}

/// Clients that call.
pub(super) struct Running(Vec<JoinHandle<Seen>>);

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            admitted,
            refused,
            unavailable,
            tokens,
            nano_usd,
            longest,
        } = self;
        write!(
            f,
            "{admitted} admitted, {refused} refused, {unavailable} without the store, {tokens} tokens, {nano_usd} nano-USD, longest call {longest:?};"
        )
    }
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.admitted += other.admitted;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
        self.tokens += other.tokens;
        self.nano_usd += other.nano_usd;
        self.longest = self.longest.max(other.longest);
    }

    fn count(&mut self, answer: &Answer) {
        match answer.code() {
            Code::Ok => {
                answer.is_whole();
                let usage = answer.events().find_map(|event| match event {
                    Event::Metadata(event) => event.metadata.as_ref()?.usage.clone(),
                    _ => None,
                });
                let usage = usage.unwrap();
                let (input, output) = (
                    i128::from(usage.input_tokens.unwrap()),
                    i128::from(usage.output_tokens.unwrap()),
                );
                self.admitted += 1;
                self.tokens += input + output;
                self.nano_usd += input * INPUT + output * OUTPUT;
            }
            Code::ResourceExhausted => {
                let reason = answer.details().reason().to_owned();
                assert!(reason.starts_with("CALLER_"), "{answer:?}");
                self.refused += 1;
            }
            _ => {
                let reason = answer.details().reason().to_owned();
                assert_eq!(reason, "LIMIT_STORE_UNAVAILABLE", "{answer:?}");
                self.unavailable += 1;
            }
        }
    }
}

/// A client that calls all the time, or until its replica is lost.
async fn call(
    mut client: InferenceServiceClient<Channel>,
    key: Arc<Secret>,
    first: Instant,
    end: Instant,
    is_lost: Arc<AtomicBool>,
) -> Seen {
    let mut seen = Seen::default();
    let mut interval = interval_at(first, EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if Instant::now() >= end {
            return seen;
        }
        let begun = Instant::now();
        let request = keyed(tokens(20), &key);
        let answer = soon(async { Stream::open(&mut client, request).await.end().await }).await;
        if is_lost.load(Ordering::SeqCst) && answer.end.is_err() {
            return seen;
        }
        seen.count(&answer);
        seen.longest = seen.longest.max(begun.elapsed());
    }
}

/// The configuration: a fifth of the calls fit into the limits.
fn sections(port: u16, policy: OnStoreFailure, timeout: Duration, keys: &[Arc<Secret>]) -> String {
    let offered = clients() as f64 / EVERY.as_secs_f64();
    let fitting = offered * seconds() / 5.0;
    // A limit per minute begins full and is refilled.
    let per_minute = |calls: f64| calls / (1.0 + seconds() / 60.0);
    let share = fitting / CALLERS.len() as f64;
    let policy = match policy {
        OnStoreFailure::Allow => "allow",
        OnStoreFailure::Deny => "deny",
        OnStoreFailure::Local => "local\n  replicas: 3",
    };
    let limits = [
        format!("{{requests_per_minute: {:.0}}}", per_minute(share)),
        format!(
            "{{tokens_per_minute: {:.0}, input_tokens_per_minute: 100000000}}",
            per_minute(share) * ABOUT_TOKENS
        ),
        format!(
            "{{usd_per_day: {:.9}, output_tokens_per_minute: 100000000}}",
            share * ABOUT_MONEY / 1e9
        ),
        format!(
            "{{tokens_per_day: {:.0}, open_streams: {}}}",
            share * ABOUT_TOKENS,
            clients() / 20
        ),
    ];
    let callers = CALLERS.iter().zip(keys).zip(limits);
    let callers: String = callers
        .map(|((name, key), limits)| {
            let hash: String = key.sha256().iter().map(|b| format!("{b:02x}")).collect();
            format!("  {name}: {{groups: [all], keys: [{{sha256: '{hash}'}}], limits: {limits}}}\n")
        })
        .collect();
    format!(
        "
workers: 1
targets:
  nova:
    model_id: amazon.nova-lite-v1:0
    limits: {{requests_per_minute: {requests:.0}, usd_per_month: 1000000}}
limits:
  store: {{url: 'redis://127.0.0.1:{port}', timeout: {timeout}ms}}
  on_store_failure: {policy}
  # Longer than a replica pauses.
  receive_idle: 1m
prices: [{{models: ['*'], input: {INPUT}, output: {OUTPUT}}}]
groups:
  all:
    limits:
      open_streams: {streams}
      tokens_per_day: 1000000000
      tokens_per_month: 1000000000
      usd_per_day: 100000
      usd_per_month: 1000000
callers:
{callers}",
        requests = per_minute(fitting),
        timeout = timeout.as_millis(),
        streams = clients() / 4,
    )
}

impl Load {
    pub(super) async fn start(policy: OnStoreFailure, timeout: Duration) -> Self {
        let redis = RedisServer::with(&[
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--loglevel",
            "debug",
        ])
        .await;
        let mut emulator = Process::start(
            [
                "emulate",
                "--listen",
                "127.0.0.1:0",
                "--unchecked",
                "--time-to-first-token",
                "10ms",
                "--tokens-per-second",
                "200",
                "--tokens",
                "10",
            ],
            [],
        );
        let line = emulator.printed("AWS_ENDPOINT_URL_BEDROCK_RUNTIME=").await;
        let endpoint = line.split_once('=').unwrap().1.to_owned();
        emulator.discard_output();
        let listens = endpoint.trim_start_matches("http://").parse().unwrap();
        let keys: Vec<_> = CALLERS.iter().map(|_| Arc::new(key_of())).collect();
        let sections = sections(redis.port(), policy, timeout, &keys);
        let (mut replicas, mut known) = (Vec::new(), Vec::new());
        for _ in 0..REPLICAS {
            let serve = Serve::at(&endpoint, &sections, &[("AWS_BEARER_TOKEN_BEDROCK", "t")]).await;
            let id = soon(async {
                loop {
                    let leases: Vec<String> = redis.ask("ZRANGE {bedrock-grpc}:leases 0 -1").await;
                    if let Some(id) = leases.into_iter().find(|id| !known.contains(id)) {
                        return id;
                    }
                    tokio::task::yield_now().await;
                }
            })
            .await;
            known.push(id.clone());
            let (address, admin) = (serve.address(), serve.admin);
            let mut process = serve.process;
            process.discard_output();
            replicas.push(Replica {
                process,
                address,
                admin,
                id,
                is_lost: Arc::default(),
            });
        }
        Self {
            redis,
            replicas,
            policy,
            keys,
            _emulator: emulator,
            emulator: listens,
        }
    }

    /// Starts the clients.
    pub(super) fn begin(&self) -> Running {
        let channels: Vec<Channel> = self
            .replicas
            .iter()
            .map(|replica| {
                let uri = format!("http://{}", replica.address);
                Channel::from_shared(uri).unwrap().connect_lazy()
            })
            .collect();
        let now = Instant::now();
        let end = now + Duration::from_secs_f64(seconds());
        let count = clients();
        let tasks = (0..count).map(|client| {
            let replica = client % REPLICAS;
            tokio::spawn(call(
                InferenceServiceClient::new(channels[replica].clone()),
                Arc::clone(&self.keys[client / REPLICAS % CALLERS.len()]),
                now + EVERY * u32::try_from(client).unwrap() / u32::try_from(count).unwrap(),
                end,
                Arc::clone(&self.replicas[replica].is_lost),
            ))
        });
        Running(tasks.collect())
    }

    /// Lets the clients call for the whole time, while something else happens.
    pub(super) async fn run(&self, trouble: impl Future<Output = ()>) -> Seen {
        let running = self.begin();
        trouble.await;
        running.end().await
    }

    /// The clients of a replica may lose their connections from now on.
    pub(super) fn lose(&self, replica: usize) {
        self.replicas[replica].is_lost.store(true, Ordering::SeqCst);
    }

    /// Waits until the store holds an open call of a replica.
    pub(super) async fn has_open_calls(&self, replica: usize) {
        let key = format!("{{bedrock-grpc}}:open:{}", self.replicas[replica].id);
        soon(async {
            loop {
                let ids: Vec<String> = self.redis.ask(&format!("HKEYS {key}")).await;
                if ids.iter().any(|id| id != "settled") {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// The name of a replica in the store.
    pub(super) fn lease_of(&self, replica: usize) -> &str {
        &self.replicas[replica].id
    }

    /// The sum of a metric over the replicas that run.
    async fn metric(&self, sample: &str) -> f64 {
        let mut sum = 0.0;
        for replica in &self.replicas {
            if !replica.is_lost.load(Ordering::SeqCst) {
                sum += crate::harness::metric(replica.admin, sample).await;
            }
        }
        sum
    }

    /// The reservations that replicas have released for others.
    pub(super) async fn lapsed(&self, of_others: usize) -> f64 {
        let mut sum = 0.0;
        for replica in self.replicas.iter().enumerate() {
            if replica.0 != of_others {
                let name = "bedrock_grpc_limit_store_lapsed_reservations_total";
                sum += crate::harness::metric(replica.1.admin, name).await;
            }
        }
        sum
    }

    /// What the emulator has billed.
    pub(super) async fn billed(&self) -> Billed {
        let (_, text) = crate::harness::get(self.emulator, "/_emulator/quotas").await;
        let quotas: serde_json::Value = serde_json::from_str(&text).unwrap();
        let ended = quotas["used"]["ended"].as_array().unwrap();
        assert_eq!(ended.len(), 1, "{text}");
        let number = |name: &str| ended[0][name].as_u64().unwrap();
        let (input, output) = (
            i128::from(number("inputTokens")),
            i128::from(number("outputTokens")),
        );
        Billed {
            calls: number("calls"),
            tokens: input + output,
            nano_usd: input * INPUT + output * OUTPUT,
        }
    }

    /// Tokens and money that calls used beyond their reservations.
    pub(super) async fn beyond_reservations(&self) -> f64 {
        let tokens = "bedrock_grpc_tokens_beyond_reservation_total";
        let money = "bedrock_grpc_nano_usd_beyond_reservation_total";
        self.metric(tokens).await + self.metric(money).await
    }

    /// Checks that some calls were decided without the store, as configured, and that none hung.
    pub(super) async fn decided_without_the_store(&self, seen: &Seen) {
        let (name, is_denied) = match self.policy {
            OnStoreFailure::Allow => ("allow", false),
            OnStoreFailure::Deny => ("deny", true),
            OnStoreFailure::Local => ("local", false),
        };
        let sample = format!("bedrock_grpc_limit_store_without_total{{policy=\"{name}\"}}");
        assert!(self.metric(&sample).await > 0.0);
        assert_eq!(seen.unavailable > 0, is_denied, "{seen}");
        // A call waits for the store for 50 ms, but the machine may be busy.
        assert!(seen.longest < Duration::from_secs(20), "{seen}");
    }

    /// Waits until nothing is open: the calls of the lost replica have lapsed, and the others have
    /// settled theirs.
    pub(super) async fn nothing_open(&self) {
        soon(async {
            loop {
                let mut is_open = false;
                for replica in &self.replicas {
                    let key = format!("{{bedrock-grpc}}:open:{}", replica.id);
                    let records: Vec<String> = self.redis.ask(&format!("HVALS {key}")).await;
                    is_open |= records.iter().any(|record| record.contains(" open "));
                }
                let open: Option<String> = self
                    .redis
                    .ask(&format!("HGET {{bedrock-grpc}}:{ALL} 0"))
                    .await;
                if !is_open && open.is_some_and(|open| open.starts_with("0 ")) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

impl Running {
    /// Waits until all clients have ended.
    pub(super) async fn end(self) -> Seen {
        let mut all = Seen::default();
        for task in self.0 {
            all.add(&task.await.unwrap());
        }
        all
    }
}
