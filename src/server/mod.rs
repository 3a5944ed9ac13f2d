//! Runs a gateway with a configuration, its listeners and its stop signals.
//!
//! ```text
//! accept loop ──connection──> the worker with the fewest connections ──> connections to Bedrock
//! ```
//!
//! A worker is a thread with a single-threaded runtime. A token never changes threads, because
//! waking another thread for every token would cost more than everything else
//! (docs/adr/0003-one-runtime-per-worker.md).

mod access;
mod allocator;
mod budget_metrics;
mod connection;
mod discovery;
mod drain;
mod file_contents;
mod floods;
mod hosts;
mod limits_store;
mod lingering;
mod proxy_protocol;
mod reload;
mod rewind;
mod shared_resources;
mod tls;
mod unread;
mod worker;

use std::{
    error::Error,
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{runtime::Handle, task::AbortHandle};
use tokio_util::sync::CancellationToken;
use tower::util::MapRequest;

pub use self::{
    drain::Stop,
    reload::Reload,
    tls::{TlsWarning, check_tls},
};
use self::{
    drain::drain,
    floods::Floods,
    hosts::HostCheck,
    limits_store::OpenLimitsStore,
    reload::{Builder, Built, Files, Reloader, shown_config},
    shared_resources::SharedResources,
    worker::Worker,
};
use crate::{
    access::{Gate, key, limits::Names},
    admin::{Admin, ShownConfig},
    bedrock::{Bedrock, ControlPlane, Sdk},
    bounds::{Shares, WorkQueue},
    config::{Config, Hosts},
    grpc::{self, Generations, Health, Inference, Stack},
    playground::Playground,
    routing::{RouteMetrics, retry_budget::RetryBudget},
    telemetry::{Metrics, Traces, UsageRecords, metrics::CertificateExpiry},
};

/// The pause of the accept loop when the process has no file descriptors left. It is long enough
/// for some streams to end, and short enough that clients wait.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The maximum number of threads that decode large messages. It is small, because most of the
/// machine should be left to the threads that forward tokens.
const MAX_MESSAGE_THREADS: usize = 4;
/// The maximum number of large messages that wait for a decoding thread.
const MAX_WAITING_MESSAGES: usize = 64;

/// The listening sockets. They are bound before anything else starts, so that an address that is in
/// use is reported immediately.
#[derive(Debug)]
pub struct Listeners {
    /// The socket for gRPC and gRPC-Web.
    pub grpc: TcpListener,
    /// The socket for liveness, readiness and metrics, over HTTP and gRPC.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds the addresses of a configuration.
    ///
    /// # Errors
    /// Fails if an address cannot be bound. The error names the address.
    pub fn bind(config: &Config) -> io::Result<Self> {
        let bind = |address: SocketAddr| {
            let listener = TcpListener::bind(address).map_err(|error| {
                let hint = match error.kind() {
                    io::ErrorKind::AddrInUse => "; stop the other process, or change the address",
                    io::ErrorKind::PermissionDenied => "; use port 1024 or higher",
                    _ => "; change the address",
                };
                let message = format!("cannot listen on {address}: {error}{hint}");
                io::Error::new(error.kind(), message)
            })?;
            listener.set_nonblocking(true)?;
            Ok::<_, io::Error>(listener)
        };
        Ok(Self {
            grpc: bind(config.server.listen)?,
            admin: bind(config.server.admin)?,
        })
    }
}

/// The problems of a configuration and of the files that it names.
#[derive(Debug)]
pub struct InvalidConfig(String);

impl InvalidConfig {
    fn error(problems: String) -> io::Error {
        io::Error::other(Self(problems))
    }

    /// Returns whether this is the cause of an error.
    pub fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|cause| cause.is::<Self>())
    }
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for InvalidConfig {}

/// Serves until a stop signal, then drains. Changes of the files that the configuration names take
/// effect while the gateway runs.
///
/// # Errors
/// Fails if a listener, the TLS files or a worker's runtime cannot be used.
pub async fn run(config: Config, sdk: Sdk, listeners: Listeners, stop: Stop) -> io::Result<()> {
    run_with(config, None, sdk, listeners, stop).await
}

/// Serves until a stop signal, then drains. Changes of the configuration file take effect while the
/// gateway runs. `config` is the content of that file.
///
/// # Errors
/// Fails if a listener, the TLS files or a worker's runtime cannot be used.
pub async fn run_with(
    config: Config,
    reload: Option<Reload>,
    sdk: Sdk,
    listeners: Listeners,
    stop: Stop,
) -> io::Result<()> {
    allocator::return_large_buffers();
    let mut health = Health::serving().await;
    let text = reload.as_ref().map_or("", |reload| &reload.file.text);
    let hash = key::hex_sha256(text);
    let mut metrics = Metrics::default();
    let current = Arc::new(OnceLock::<Generations>::new());
    let of_routes = Arc::clone(&current);
    metrics.also(RouteMetrics::of_current(move || {
        let generations = of_routes.get();
        generations.map(|generations| generations.current().router.clone())
    }));
    let of_tls = Arc::clone(&current);
    metrics.also(CertificateExpiry::of_current(move || {
        let generation = of_tls.get()?.current();
        generation.tls.as_ref().map(|tls| tls.expiries)
    }));
    let metrics = Arc::new(metrics);
    let gate = Gate::new(Arc::clone(&metrics));
    let counts = OpenLimitsStore::open(&config.access, &metrics).await?;
    let traces = Traces::start(&config.traces).map_err(InvalidConfig::error)?;
    let builder = Builder {
        sdk: sdk.clone(),
        names: Arc::new(Names::default()),
        store: Arc::clone(&counts.store),
        traces: traces.clone(),
        metrics: Arc::clone(&metrics),
    };
    let files = Files::new(reload.as_ref().map(|reload| &reload.file), &config);
    let Built {
        generation: first,
        kept,
        trust,
        api_key,
    } = builder
        .build(&config, hash, files.first().others(), None)
        .map_err(|problems| InvalidConfig::error(problems.join("\n")))?;
    sdk.connect_with(&config.bedrock, &config.accounts, trust);
    if let Some(api_key) = api_key {
        sdk.sign_with(api_key);
    }
    kept.warn(&config);
    metrics
        .config
        .loaded(first.number, &first.hash, first.loaded_at);
    let shown = ShownConfig::default();
    let file = reload.as_ref().map(|reload| &reload.file);
    shown.set(shown_config(
        file,
        &config,
        files.first().others(),
        &first,
        &[],
    ));
    let shared = SharedResources::of(&first, &metrics);
    let generations = Generations::new(first);
    current.get_or_init(|| generations.clone());
    let floods = Floods::new(&metrics);
    let threads = (config.server.workers / 2).clamp(1, MAX_MESSAGE_THREADS);
    let medium_messages = WorkQueue::start("medium", threads, MAX_WAITING_MESSAGES)?;
    let large_messages = WorkQueue::start("large", threads, MAX_WAITING_MESSAGES)?;
    let budget = RetryBudget::default();
    let cut = CancellationToken::new();
    let records = UsageRecords::start(&config, &metrics).map_err(io::Error::other)?;

    let workers = (0..config.server.workers)
        .map(|index| {
            let (config, sdk, generations) = (config.clone(), sdk.clone(), generations.clone());
            let (metrics, health, cut) = (Arc::clone(&metrics), health.clone(), cut.clone());
            let (shared, budget) = (shared.clone(), budget.clone());
            let (gate, records, floods) = (gate.clone(), records.clone(), floods.clone());
            let (medium_messages, large_messages) =
                (medium_messages.clone(), large_messages.clone());
            Worker::start(index, metrics.open_connections.clone(), move || {
                let inference = Inference {
                    bedrock: Bedrock::counting(&sdk, metrics.sdk_requests.clone()),
                    generations: generations.clone(),
                    budget,
                    metrics,
                    memory: shared.memory,
                    medium_messages,
                    large_messages,
                    cut,
                };
                let stack = grpc::server(inference, &health, (gate, records), shared.admission)
                    .map_err(io::Error::other)?;
                let stack = if config.server.playground {
                    let playground = Playground::before(stack);
                    Stack::new(MapRequest::new(playground, grpc::allow_own_origin))
                } else {
                    stack
                };
                let hosts = config.server.hosts.on(config.server.listen.ip());
                let stack = match hosts {
                    Hosts::Any => stack,
                    hosts => Stack::new(HostCheck::before(stack, hosts)),
                };
                Ok(connection::Server::new(stack, generations, floods))
            })
        })
        .collect::<io::Result<Vec<_>>>()?;

    let learning = discovery::run(ControlPlane::new(&sdk), generations.clone());
    let _discovery = AbortOnDrop(tokio::spawn(learning).abort_handle());

    let following = budget_metrics::follow(generations.clone(), Arc::clone(&metrics));
    let _budgets = AbortOnDrop(tokio::spawn(following).abort_handle());

    let (requested, level) = match reload {
        Some(reload) => (reload.requested, Some(reload.level)),
        None => (Arc::default(), None),
    };
    let reloader = Reloader {
        builder,
        generations: generations.clone(),
        started: config.clone(),
        kept,
        files,
        requested,
        level,
        shown: shown.clone(),
        gate: gate.clone(),
        shared: shared.clone(),
    };
    let _reloading = AbortOnDrop(tokio::spawn(reloader.run()).abort_handle());

    let runtimes = workers.iter().map(Worker::runtime);
    let admin = Admin::new(metrics, runtimes.chain([Handle::current()]))
        .await
        .showing(shown)
        .answering_to(config.server.hosts.on(config.server.admin.ip()));
    admin.set_ready(true).await;
    let end = CancellationToken::new();
    let admin_listener = tokio::net::TcpListener::from_std(listeners.admin)?;
    let admin_address = admin_listener.local_addr()?;
    let admin_task = tokio::spawn(admin.clone().serve(admin_listener, end.clone()));
    let grpc_listener = tokio::net::TcpListener::from_std(listeners.grpc)?;
    tracing::info!(
        address = %grpc_listener.local_addr()?,
        admin = %admin_address,
        workers = workers.len(),
        "serving"
    );

    // In the lame-duck phase, load balancers still open connections, so the gateway still accepts
    // them.
    tokio::select! {
        () = accept(&grpc_listener, &workers, &shared.connections) => {}
        () = async {
            stop.drain.cancelled().await;
            tracing::info!("draining");
            admin.set_ready(false).await;
            health.not_serving().await;
            tokio::time::sleep(generations.current().drain.lame_duck).await;
        } => {}
        () = stop.now.cancelled() => {}
    }
    drop(grpc_listener);
    health.end_watches().await;
    let limit = generations.current().drain.limit;
    drain(&workers, &cut, &stop, limit).await;
    // Stopping the workers ends calls that are still open, so that they are settled and recorded.
    for worker in workers {
        worker.stop().await;
    }
    counts.close().await;
    records.flush().await;
    traces.flush().await;

    end.cancel();
    let _served = admin_task.await;
    tracing::info!("stopped");
    Ok(())
}

/// A task that is aborted when its handle is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Passes new connections to the workers, forever.
async fn accept(listener: &tokio::net::TcpListener, workers: &[Worker], connections: &Shares) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // If no slot is free, the connection is closed.
                let Ok(place) = connections.take(peer.into(), 1) else {
                    continue;
                };
                let least = workers.iter().min_by_key(|worker| worker.connections());
                if let Some(worker) = least {
                    worker.serve(stream, peer, place);
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections at the moment");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Returns whether an error of `accept` affects only one connection, so that the next `accept` may
/// succeed.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
