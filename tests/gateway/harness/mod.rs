//! A whole gateway with its own emulator, and what its clients send and receive.

mod answer;
mod authority;
mod call;
mod callers;
mod collector;
mod details;
mod process;
mod raw;
mod redis;
mod serve;
mod tokens;
mod web;

use std::{future::Future, io, net::SocketAddr, time::Duration};

use bedrock_emulator::{
    Call, Cut, DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options, Pace,
};
use bedrock_grpc::{
    bedrock::Sdk,
    config::{Alias, Config, Drain, RouteOptions, Server},
    pb::{
        guardrail_service_client::GuardrailServiceClient,
        inference_service_client::InferenceServiceClient, model_service_client::ModelServiceClient,
        target_service_client::TargetServiceClient,
    },
    server::{self, Listeners, Stop},
};
use tempfile::NamedTempFile;
use tokio::{net::TcpStream, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};

pub(crate) use self::redis::{LossyProxy, RedisServer, quick_store_at, store_at};
pub(crate) use answer::{Answer, Stream};
pub(crate) use authority::Authority;
pub(crate) use call::{MODEL, ask, faulty, invoke, question, text};
pub(crate) use callers::{access_of, bearer, key_of, key_options, keyed, sha256_of, two_teams};
pub(crate) use collector::{Collector, Span, Spans};
pub(crate) use details::Details;
pub(crate) use process::{Ended, Process};
pub(crate) use raw::{Frame, RawCall, STREAM_INVOKE, message, status};
pub(crate) use serve::{Serve, file};
pub(crate) use tokens::{
    KeyServer, TokenKey, but, claims, issuer, key_set, seconds, serve_keys_over_tls,
};
pub(crate) use web::{Web, get};

/// An upper bound for everything that succeeds, on a slow machine under load.
const SOON: Duration = Duration::from_secs(60);
/// With small windows, h2 considers many small unread frames an attack.
const CONNECTION_WINDOW: u32 = 64 << 20;

/// A running gateway and its emulator. Dropping it stops both.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) emulator: Emulator,
    pub(crate) stop: Stop,
    running: JoinHandle<io::Result<()>>,
    /// The certificate authority of the emulator, if it serves TLS.
    _ca: Option<NamedTempFile>,
}

impl Gateway {
    /// Starts with the defaults; callers may name any model ID, and answers arrive as fast as
    /// possible.
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    /// Starts with other settings of the gateway and the emulator.
    pub(crate) async fn with(change: impl FnOnce(&mut Config, &mut Options)) -> Self {
        let (mut config, mut options) = (config(), Options::default());
        change(&mut config, &mut options);
        let emulator = Emulator::start(options).unwrap();
        config
            .bedrock
            .endpoint_url
            .get_or_insert_with(|| emulator.endpoint_url());
        Self::on(emulator, config).await
    }

    /// Starts with TLS and HTTP/2 between gateway and emulator.
    pub(crate) async fn over_h2(change: impl FnOnce(&mut Config, &mut Options)) -> Self {
        let (mut config, mut options) = (config(), Options::default());
        options.tls_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        change(&mut config, &mut options);
        let emulator = Emulator::start(options).unwrap();
        let ca = file(emulator.ca_pem().unwrap());
        config.bedrock.endpoint_url = emulator.tls_endpoint_url();
        config.bedrock.extra_ca_file = Some(ca.path().to_owned());
        let mut gateway = Self::on(emulator, config).await;
        gateway._ca = Some(ca);
        gateway
    }

    async fn on(emulator: Emulator, config: Config) -> Self {
        let listeners = Listeners::bind(&config).unwrap();
        let address = listeners.grpc.local_addr().unwrap();
        let admin = listeners.admin.local_addr().unwrap();
        let sdk = Sdk::with_credentials(DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, &config.bedrock)
            .unwrap();
        let stop = Stop::default();
        let running = tokio::spawn(server::run(config, sdk, listeners, stop.clone()));
        Self {
            address,
            admin,
            emulator,
            stop,
            running,
            _ca: None,
        }
    }

    /// A separate connection, opened with the first call.
    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .initial_connection_window_size(CONNECTION_WINDOW)
            .connect_lazy()
    }

    pub(crate) fn inference(&self) -> InferenceServiceClient<Channel> {
        InferenceServiceClient::new(self.channel())
            .max_decoding_message_size(CONNECTION_WINDOW as usize)
    }

    pub(crate) fn models(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel())
    }

    pub(crate) fn guardrails(&self) -> GuardrailServiceClient<Channel> {
        GuardrailServiceClient::new(self.channel())
    }

    pub(crate) fn targets(&self) -> TargetServiceClient<Channel> {
        TargetServiceClient::new(self.channel())
    }

    /// A bare TCP connection.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Makes a streaming call and reads it to the end.
    pub(crate) async fn stream(
        &self,
        request: impl tonic::IntoRequest<bedrock_grpc::pb::StreamInvokeRequest>,
    ) -> Answer {
        soon(Stream::open(&mut self.inference(), request))
            .await
            .end()
            .await
    }

    /// Returns a metric of the admin port, such as `name` or `name{label="value"}`: the sum of the
    /// samples that have these labels. 0 if there is none yet.
    pub(crate) async fn metric(&self, sample: &str) -> f64 {
        metric(self.admin, sample).await
    }

    /// Waits until this many calls have ended at the emulator, and returns them.
    pub(crate) async fn ended(&self, count: usize) -> Vec<Call> {
        soon(
            self.emulator.wait_for(|calls| {
                calls.len() >= count && calls.iter().all(|call| call.end.is_some())
            }),
        )
        .await
    }

    /// Waits for the end of a gateway that is shutting down.
    pub(crate) async fn finished(&mut self) {
        soon(&mut self.running).await.unwrap().unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Returns a metric of this admin port: see [`Gateway::metric`].
pub(crate) async fn metric(admin: SocketAddr, sample: &str) -> f64 {
    let text = web::get(admin, "/metrics").await.1;
    let (name, wanted) = labels(sample);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.filter_map(|line| {
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (its_name, its_labels) = labels(sample);
        let has = |label: &&str| its_labels.contains(label);
        (its_name == name && wanted.iter().all(has)).then(|| value.parse::<f64>().unwrap())
    });
    values.sum()
}

/// The name of a sample, and its labels as written. No label of the gateway contains a comma.
fn labels(sample: &str) -> (&str, Vec<&str>) {
    match sample.split_once('{') {
        Some((name, labels)) => (name, labels.trim_end_matches('}').split(',').collect()),
        None => (sample, Vec::new()),
    }
}

/// The common setup of all tests.
pub(crate) fn config() -> Config {
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config {
        server: Server {
            listen: here,
            admin: here,
            workers: 1,
            ..Server::default()
        },
        drain: Drain {
            lame_duck: Duration::ZERO,
            limit: SOON,
        },
        ..Config::default()
    };
    config.targets.allowed_model_ids = vec!["*".to_owned()];
    config
        .targets
        .aliases
        .insert("nova".to_owned(), alias(MODEL));
    config.bedrock.region = Some("us-east-1".to_owned());
    // No retries, so each failed call is one call to the emulator. No discovery. Tests of retries
    // and discovery change these settings.
    config.limits.max_attempts = 1;
    config.discovery.enabled = false;
    config
}

pub(crate) fn alias(model_id: &str) -> Alias {
    Alias::to(model_id)
}

/// A target with these routes.
pub(crate) fn over(routes: Vec<RouteOptions>) -> Alias {
    Alias {
        routes,
        ..Alias::default()
    }
}

/// A route to a model in one Region.
pub(crate) fn route(model_id: &str, region: &str, order: u32) -> RouteOptions {
    RouteOptions {
        regions: vec![region.to_owned()],
        order,
        ..RouteOptions::to(model_id)
    }
}

/// A pace that tests can follow: this time between two tokens.
pub(crate) fn paced(inter_token_delay: Duration, tokens: usize) -> Pace {
    Pace {
        inter_token_delay,
        tokens: tokens.try_into().ok(),
        ..Pace::default()
    }
}

/// All ways to split bytes, from whole frames to single bytes.
pub(crate) fn cuts() -> [Cut; 3] {
    ["frames", "awkward", "1"].map(|cut| cut.parse().unwrap())
}

/// Returns a future that fails the test if this one hangs.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    match tokio::time::timeout(SOON, future).await {
        Ok(output) => output,
        Err(_) => panic!("it hangs"),
    }
}
