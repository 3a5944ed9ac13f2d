//! Serves liveness, readiness and metrics on a separate port without TLS: for probes over HTTP and
//! gRPC, and for Prometheus. Shows the configuration to this machine.

mod config;
mod health;
mod host;
mod listen;
mod peers;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::header::CONTENT_TYPE;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use self::config::ShownConfig;
use self::{health::Health, host::host_of};
use crate::{config::Hosts, telemetry::Metrics};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const GRPC_HEALTH: &str = "/grpc.health.v1.Health/{method}";

/// The state of the admin port. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admin {
    ready: Arc<AtomicBool>,
    health: Health,
    metrics: Arc<Metrics>,
    runtimes: Arc<[Handle]>,
    hosts: Hosts,
    config: ShownConfig,
}

impl Admin {
    /// Creates the state of a gateway that is not ready yet. The metrics include the number of
    /// tasks of these runtimes.
    pub async fn new(metrics: Arc<Metrics>, runtimes: impl IntoIterator<Item = Handle>) -> Self {
        let runtimes = runtimes.into_iter().collect();
        Self {
            ready: Arc::default(),
            health: Health::alive().await,
            metrics,
            runtimes,
            hosts: Hosts::Any,
            config: ShownConfig::default(),
        }
    }

    /// Returns the same state, which refuses requests to other host names than these.
    #[must_use]
    pub fn answering_to(mut self, hosts: Hosts) -> Self {
        self.hosts = hosts;
        self
    }

    /// Returns the same state, which shows this configuration to requests of this machine.
    #[must_use]
    pub fn showing(mut self, config: ShownConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets whether `/readyz` and the health of the service `""` report that the gateway is ready
    /// for calls.
    pub async fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
        self.health.set_ready(ready).await;
    }

    /// Serves HTTP/1.1, and HTTP/2 without TLS, until it is stopped.
    ///
    /// # Errors
    /// Fails if the listener fails.
    pub async fn serve(
        self,
        listener: tokio::net::TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let routes = Router::new()
            .route("/livez", get(|| async { "ok" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/config", get(config::show).with_state(self.config.clone()))
            .route_service(GRPC_HEALTH, self.health.service())
            .layer(middleware::from_fn_with_state(self.hosts, check_host))
            .with_state(self);
        tokio::select! {
            () = listen::serve(listener, routes) => {}
            () = stop.cancelled() => {}
        }
        Ok(())
    }
}

/// Rejects requests to other host names.
async fn check_host(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    if hosts.allow(host_of(&request)) {
        return next.run(request).await;
    }
    let text = "this port answers requests to localhost only\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: starting or draining",
        )
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let tasks = |runtime: &Handle| runtime.metrics().num_alive_tasks();
    let tasks: usize = admin.runtimes.iter().map(tasks).sum();
    let tasks = i64::try_from(tasks).unwrap_or(i64::MAX);
    admin.metrics.runtime_tasks.set(tasks);
    ([(CONTENT_TYPE, OPENMETRICS)], admin.metrics.encode())
}
