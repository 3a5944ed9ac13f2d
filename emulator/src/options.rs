//! Defines the settings of an emulator.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    auth::Credentials,
    fault::Fault,
    pace::{Cut, Pace},
    projects::Project,
    quotas::Quotas,
    replay::Replay,
    sessions::Role,
};

/// The clock against which signatures are checked.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Addresses, data and behaviour of an emulator.
#[derive(Clone)]
pub struct Options {
    /// The address for plain HTTP: HTTP/1.1, or HTTP/2 with prior knowledge. With port 0, the
    /// system chooses a port.
    pub listen: SocketAddr,
    /// The address for TLS, with HTTP/2 and HTTP/1.1. By default, there is none.
    pub tls_listen: Option<SocketAddr>,
    /// The source Region of calls whose signature names none, and of calls with a bearer token.
    pub region: String,
    /// The speed and length of answers.
    pub pace: Pace,
    /// The accepted credentials.
    pub credentials: Credentials,
    /// The clock against which signatures are checked.
    pub clock: Clock,
    /// A fault for every call that does not name a fault.
    pub fault: Option<Fault>,
    /// The account's initial quotas. They do not apply to recorded exchanges.
    pub quotas: Quotas,
    /// The roles that can be assumed with AWS STS. If empty, any role of any account can be
    /// assumed.
    pub roles: Vec<Role>,
    /// The projects of all accounts, in addition to the default projects.
    pub projects: Vec<Project>,
    /// The lifetime of role sessions, which replaces the requested lifetime. If `None`, it is the
    /// requested lifetime or, without one, an hour.
    pub session_lifetime: Option<Duration>,
    /// The initial ends of life of foundation models, by model ID.
    pub ends_of_life: Vec<(String, SystemTime)>,
    /// Recorded exchanges to serve instead of generated answers.
    pub replay: Option<Replay>,
    /// The maximum number of open streams on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// How the bytes of streams are split into writes.
    pub cut: Cut,
    /// The maximum number of calls in the log.
    pub keep_calls: usize,
    /// The number of threads that serve calls. One is sufficient for tests.
    pub threads: NonZeroUsize,
    /// Whether only requests to `localhost` or a loopback address are answered. By default, all
    /// are.
    pub loopback_hosts_only: bool,
    /// How long the shutdown waits for running calls.
    pub stop_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls_listen: None,
            region: "us-east-1".to_owned(),
            pace: Pace::default(),
            credentials: Credentials::default(),
            clock: Arc::new(SystemTime::now),
            fault: None,
            quotas: Quotas::default(),
            roles: Vec::new(),
            projects: Vec::new(),
            session_lifetime: None,
            ends_of_life: Vec::new(),
            replay: None,
            max_concurrent_streams: 100,
            cut: Cut::default(),
            keep_calls: 10_000,
            threads: NonZeroUsize::MIN,
            loopback_hosts_only: false,
            stop_within: Duration::from_secs(1),
        }
    }
}
