//! The settings of an emulator.

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
    quotas::Quotas,
    replay::Replay,
    sessions::Role,
};

/// The clock against which signatures are checked.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Addresses, data and behaviour of an emulator.
#[derive(Clone)]
pub struct Options {
    /// The address for plain HTTP/1.1. With port 0, the system chooses a port.
    pub listen: SocketAddr,
    /// The address for TLS, with HTTP/2 and HTTP/1.1. Default: none.
    pub tls_listen: Option<SocketAddr>,
    /// The source Region of calls whose signature names none, such as those with a bearer token.
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
    /// The roles that can be assumed with AWS STS. If empty, any role of any account.
    pub roles: Vec<Role>,
    /// The lifetime of role sessions, which replaces the one that the client requests. `None`: the
    /// requested lifetime, or an hour.
    pub session_lifetime: Option<Duration>,
    /// Recorded exchanges to serve in place of generated answers.
    pub replay: Option<Replay>,
    /// The maximum number of open streams on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// How the bytes of streams are split into writes.
    pub cut: Cut,
    /// The maximum number of calls in the log.
    pub keep_calls: usize,
    /// The number of threads that serve calls. One is enough for tests.
    pub threads: NonZeroUsize,
    /// Whether only requests to `localhost` or a loopback address are answered. Default: no.
    pub loopback_hosts_only: bool,
    /// How long a stop waits for running calls.
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
            session_lifetime: None,
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
