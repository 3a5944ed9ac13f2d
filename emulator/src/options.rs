//! What can be set on an emulator.

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
};

/// Where the emulator reads the time that signatures are checked against.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// What an emulator listens on, knows and does.
#[derive(Clone)]
pub struct Options {
    /// Where plain HTTP/1.1 is served. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where TLS is served, with HTTP/2 and HTTP/1.1, if anywhere.
    pub tls_listen: Option<SocketAddr>,
    /// The source Region of calls that do not name one: those with a bearer token.
    pub region: String,
    /// How fast answers stream.
    pub pace: Pace,
    /// Who may call.
    pub credentials: Credentials,
    /// The time that signatures are checked against.
    pub clock: Clock,
    /// A fault that every call meets, unless the call itself names one.
    pub fault: Option<Fault>,
    /// What the account's quotas are at first. Recorded exchanges know none.
    pub quotas: Quotas,
    /// Recorded exchanges to serve in place of made-up answers.
    pub replay: Option<Replay>,
    /// How many streams a client may have open on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// How the bytes of streams are cut into writes.
    pub cut: Cut,
    /// How many calls the log keeps.
    pub keep_calls: usize,
    /// Threads that serve. One is enough for tests.
    pub threads: NonZeroUsize,
    /// Answer only requests that name this machine, by `localhost` or a loopback address. Default: off.
    pub loopback_hosts_only: bool,
    /// How long a stop waits for calls that are still running.
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
