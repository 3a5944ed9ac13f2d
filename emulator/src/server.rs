//! Runs an emulator: manages its listeners, its threads and its shutdown.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use tokio::{net::TcpListener, runtime, sync::oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    auth::Credentials,
    calls::{Call, CallLog},
    connection,
    fault::Fault,
    options::Options,
    projects::Project,
    quotas::Quotas,
    regions::Condition,
    service::Service,
    state::State,
    tls,
};

/// The pause after `accept` has failed, for example because no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running emulator. It has its own threads, so it can share a process with clients that use any
/// runtime and clock. Dropping this value stops the emulator without waiting for its calls.
pub struct Emulator {
    addr: SocketAddr,
    tls_addr: Option<SocketAddr>,
    ca_pem: Option<String>,
    state: Arc<State>,
    stop: CancellationToken,
    stopped: Option<oneshot::Receiver<()>>,
}

/// One listener, with or without TLS.
struct Listener {
    tcp: StdTcpListener,
    tls: Option<TlsAcceptor>,
}

impl Emulator {
    /// Binds the listeners and starts to serve.
    ///
    /// # Errors
    /// Fails if an address cannot be bound, or if TLS or the threads cannot be set up.
    pub fn start(options: Options) -> io::Result<Self> {
        let plain = bind(options.listen)?;
        let addr = plain.local_addr()?;
        let mut listeners = vec![Listener {
            tcp: plain,
            tls: None,
        }];
        let (mut tls_addr, mut ca_pem) = (None, None);
        if let Some(listen) = options.tls_listen {
            let tcp = bind(listen)?;
            let made = tls::self_signed(tcp.local_addr()?.ip())?;
            tls_addr = Some(tcp.local_addr()?);
            ca_pem = Some(made.ca_pem);
            let tls = Some(made.acceptor);
            listeners.push(Listener { tcp, tls });
        }
        let mut builder = match options.threads.get() {
            1 => runtime::Builder::new_current_thread(),
            _ => runtime::Builder::new_multi_thread(),
        };
        let runtime = builder
            .worker_threads(options.threads.get())
            .enable_all()
            .build()?;
        let stop_within = options.stop_within;
        let state = Arc::new(State::new(options));
        let service = Arc::new(Service::new(Arc::clone(&state)));
        let stop = CancellationToken::new();
        let (on_stopped, stopped) = oneshot::channel();
        let serving = serve(listeners, service, stop.clone(), stop_within);
        thread::Builder::new()
            .name("bedrock-emulator".to_owned())
            .spawn(move || {
                runtime.block_on(serving);
                // Running calls end with the runtime.
                runtime.shutdown_timeout(Duration::ZERO);
                // If the emulator has been dropped, no caller waits for this result.
                let _ = on_stopped.send(());
            })?;
        Ok(Self {
            addr,
            tls_addr,
            ca_pem,
            state,
            stop,
            stopped: Some(stopped),
        })
    }

    /// Returns the address for plain HTTP.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the address for TLS, if TLS is served.
    pub const fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls_addr
    }

    /// Returns the endpoint URL for an SDK.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Returns the endpoint URL with TLS, if TLS is served. Clients must trust [`Self::ca_pem`].
    pub fn tls_endpoint_url(&self) -> Option<String> {
        self.tls_addr.map(|addr| format!("https://{addr}"))
    }

    /// Returns the CA certificate that TLS clients must trust, in PEM.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Returns the most recent calls, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.log().snapshot()
    }

    /// Clears the log of calls.
    pub fn clear_calls(&self) {
        self.log().clear();
    }

    /// Waits until the log satisfies a condition, and returns the log. There is no time limit.
    pub async fn wait_for(&self, enough: impl FnMut(&[Call]) -> bool) -> Vec<Call> {
        self.log().wait_for(enough).await
    }

    /// Applies this fault to every call that does not name a fault, unless the call's source Region
    /// has a condition.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state.set_fault(fault);
    }

    /// Sets the condition of a source Region. It does not affect calls that name a fault.
    pub fn set_region(&self, region: &str, condition: Condition) {
        self.state.regions.set(region, Some(condition));
    }

    /// Makes the Region healthy.
    pub fn clear_region(&self, region: &str) {
        self.state.regions.set(region, None);
    }

    /// Sets new quotas and resets their usage.
    pub fn set_quotas(&self, quotas: Quotas) {
        self.state.ledger.set(quotas);
    }

    /// Accepts these credentials, and no others, for all calls that arrive from now on. The
    /// sessions of roles stay valid.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.state.set_credentials(credentials);
    }

    /// Denies all calls of a role's sessions, and refuses new sessions. This simulates a revocation
    /// by the owner of the account.
    pub fn revoke_role(&self, arn: &str) {
        self.state.sessions.revoke(arn);
    }

    /// Adds a project, or replaces the project with the same ARN.
    pub fn set_project(&self, project: Project) {
        self.state.projects.set(project);
    }

    /// Removes all sessions of roles. After this, their keys are unknown.
    pub fn forget_sessions(&self) {
        self.state.sessions.forget();
    }

    /// Allows new sessions of a revoked role. Earlier sessions stay denied.
    pub fn restore_role(&self, arn: &str) {
        self.state.sessions.restore(arn);
    }

    /// Sets the end of life of a foundation model, which ListFoundationModels then shows. From that
    /// time, calls to the model fail. `None` removes it.
    pub fn set_end_of_life(&self, model_id: &str, end: Option<SystemTime>) {
        self.state.lives.set(model_id, end);
    }

    /// Stops accepting connections, waits for running calls for at most the time in the options,
    /// and then stops the emulator.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(stopped) = self.stopped.take() {
            // An error means that the thread has already ended.
            let _ = stopped.await;
        }
    }

    fn log(&self) -> &Arc<CallLog> {
        &self.state.log
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("addr", &self.addr)
            .field("tls_addr", &self.tls_addr)
            .finish_non_exhaustive()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn bind(address: SocketAddr) -> io::Result<StdTcpListener> {
    let told = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("the emulator cannot listen on {address}: {error}"),
        )
    };
    let listener = StdTcpListener::bind(address).map_err(told)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn serve(
    listeners: Vec<Listener>,
    service: Arc<Service>,
    stop: CancellationToken,
    stop_within: Duration,
) {
    let connections = TaskTracker::new();
    for Listener { tcp, tls } in listeners {
        // This fails only outside of a runtime.
        let Ok(tcp) = TcpListener::from_std(tcp) else {
            continue;
        };
        let accepting = accept(
            tcp,
            tls,
            Arc::clone(&service),
            stop.clone(),
            connections.clone(),
        );
        connections.spawn(accepting);
    }
    connections.close();
    stop.cancelled().await;
    // Connections that are still open end with the runtime.
    let _ = tokio::time::timeout(stop_within, connections.wait()).await;
}

async fn accept(
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    while let Some(accepted) = stop.run_until_cancelled(tcp.accept()).await {
        let Ok((tcp, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (service, stop) = (Arc::clone(&service), stop.clone());
        match tls.clone() {
            None => connections.spawn(connection::serve_plain(tcp, service, stop)),
            Some(tls) => connections.spawn(connection::serve_tls(tcp, tls, service, stop)),
        };
    }
}
