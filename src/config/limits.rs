//! `limits` and `drain`: timeouts, sizes and counts.

use std::time::Duration;

use super::{section::Section, units};

/// The minimum of `limits.max_request_size`. A smaller message cannot contain a useful request.
const MIN_REQUEST_SIZE: &str = "1KB";
/// The minimum of `limits.memory`. With less, the gateway would refuse almost every request.
const MIN_MEMORY: &str = "100KB";

/// Timeouts, sizes and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The deadline of calls for which the caller sets none. `limits.default_deadline`, default
    /// 10m.
    pub default_deadline: Duration,
    /// The maximum deadline. `limits.max_deadline`, default 1h.
    pub max_deadline: Duration,
    /// The time limit for Bedrock's first event, per attempt. `limits.first_event`, default 2m.
    pub first_event: Duration,
    /// The time limit between two events from Bedrock. `limits.idle`, default 1h, the same as that
    /// of `limits.max_deadline`.
    pub idle: Duration,
    /// The gateway sends response headers with the first event, or after this time, whichever is
    /// earlier. `limits.headers_after`, default 20s.
    pub headers_after: Duration,
    /// The interval of heartbeats while Bedrock is silent, unless the caller sets it. 0 means no
    /// heartbeats. `limits.heartbeat`, default 20s.
    pub heartbeat: Duration,
    /// How long a client may stop reading before its call ends. If it does not read the status
    /// within the same time, its stream is reset. `limits.write_stall`, default 1m.
    pub write_stall: Duration,
    /// What happens to the call to Bedrock when the client cancels or disconnects.
    /// `limits.on_cancel`, default `abort`.
    pub on_cancel: OnCancel,
    /// The maximum number of attempts that a call makes before its first event. In addition, all
    /// calls share a retry budget: 100 further attempts, plus one for every ten calls.
    /// `limits.max_attempts`, default 3.
    pub max_attempts: u32,
    /// The maximum size of a request message, in bytes. `limits.max_request_size`, at least 1KB,
    /// default 32MiB.
    pub max_request_size: usize,
    /// The maximum ratio by which a compressed request may expand. 0 means that compressed requests
    /// are refused. `limits.max_compression_ratio`, default 0.
    pub max_compression_ratio: u32,
    /// How long a client may send nothing while the gateway waits for its request message.
    /// `limits.receive_idle`, default 10s.
    pub receive_idle: Duration,
    /// The minimum rate at which a client must send its request message, in bytes per second. It
    /// applies once the message has taken longer than `receive_idle`. `limits.receive_rate`,
    /// default 1KiB.
    pub receive_rate: usize,
    /// The maximum memory in bytes of all requests together, from their reception until the gateway
    /// releases them. `limits.memory`, at least 100KB, default: half of the container's memory
    /// limit, or of the machine's memory.
    pub memory: Option<usize>,
    /// The maximum number of open calls in this process. `limits.max_streams`, default 1024.
    pub max_streams: usize,
    /// The maximum number of open calls on one connection. `limits.max_streams_per_connection`,
    /// default 256.
    pub max_streams_per_connection: u32,
    /// The maximum number of open connections in this process. `limits.max_connections`, default
    /// 2048.
    pub max_connections: usize,
    /// The maximum number of open health watches and reflection calls in this process.
    /// `limits.max_watches`, default 256.
    pub max_watches: usize,
    /// The age, ± 10 %, at which the gateway closes a connection gracefully, so that calls spread
    /// to new replicas. Open calls continue. 0 means no limit. `limits.connection_age`, default
    /// 15m.
    pub connection_age: Duration,
    /// How long a connection may be silent before the gateway sends an HTTP/2 ping.
    /// `limits.keepalive_interval`, default 30s.
    pub keepalive_interval: Duration,
    /// How long the client may take to answer that ping. `limits.keepalive_timeout`, default 10s.
    pub keepalive_timeout: Duration,
    /// The time limit for a new connection's TLS handshake and HTTP/2 preface. `limits.handshake`,
    /// default 10s.
    pub handshake: Duration,
}

/// What happens to the call to Bedrock when the client cancels or disconnects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// The gateway closes the call at once. Bedrock may bill the output until then, and does not
    /// report the usage.
    Abort,
    /// The gateway continues to read, within limits, to learn the exact usage.
    DrainForUsage {
        /// The maximum time for which the gateway continues to read. `limits.drain_for_usage.time`,
        /// default 30s.
        time: Duration,
        /// The maximum number of tokens to read. `limits.drain_for_usage.tokens`, default 4096.
        tokens: u32,
    },
}

/// How the gateway shuts down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long the gateway still accepts calls after it has reported NOT_SERVING. In this time,
    /// load balancers stop sending new calls. `drain.lame_duck`, default 5s.
    pub lame_duck: Duration,
    /// The maximum time that open streams have to end. `drain.limit`, default 10m.
    pub limit: Duration,
}

// Source of the defaults: docs/limits.md.
impl Default for Limits {
    fn default() -> Self {
        Self {
            default_deadline: Duration::from_secs(600),
            max_deadline: Duration::from_secs(3_600),
            first_event: Duration::from_secs(120),
            idle: Duration::from_secs(3_600),
            headers_after: Duration::from_secs(20),
            heartbeat: Duration::from_secs(20),
            write_stall: Duration::from_secs(60),
            on_cancel: OnCancel::Abort,
            max_attempts: 3,
            max_request_size: 32 << 20,
            max_compression_ratio: 0,
            receive_idle: Duration::from_secs(10),
            receive_rate: 1 << 10,
            memory: None,
            max_streams: 1_024,
            max_streams_per_connection: 256,
            max_connections: 2_048,
            max_watches: 256,
            connection_age: Duration::from_secs(900),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            lame_duck: Duration::from_secs(5),
            limit: Duration::from_secs(600),
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Limits {
    let default = Limits::default();
    let on_cancel = read_on_cancel(&mut section).unwrap_or(default.on_cancel);
    let mut time = |key, or| section.value(key, units::positive_duration).unwrap_or(or);
    let limits = Limits {
        default_deadline: time("default_deadline", default.default_deadline),
        max_deadline: time("max_deadline", default.max_deadline),
        first_event: time("first_event", default.first_event),
        idle: time("idle", default.idle),
        headers_after: time("headers_after", default.headers_after),
        write_stall: time("write_stall", default.write_stall),
        handshake: time("handshake", default.handshake),
        keepalive_interval: time("keepalive_interval", default.keepalive_interval),
        keepalive_timeout: time("keepalive_timeout", default.keepalive_timeout),
        receive_idle: time("receive_idle", default.receive_idle),
        on_cancel,
        connection_age: section
            .value("connection_age", units::duration)
            .unwrap_or(default.connection_age),
        heartbeat: section
            .value("heartbeat", heartbeat)
            .unwrap_or(default.heartbeat),
        max_attempts: section
            .value("max_attempts", |text| units::number(text, 1, 10))
            .unwrap_or(default.max_attempts),
        max_request_size: section
            .value("max_request_size", |text| {
                units::size_from(text, MIN_REQUEST_SIZE)
            })
            .unwrap_or(default.max_request_size),
        max_compression_ratio: section
            .value("max_compression_ratio", |text| {
                units::number(text, 0, 1_000)
            })
            .unwrap_or(default.max_compression_ratio),
        receive_rate: section
            .value("receive_rate", units::size)
            .unwrap_or(default.receive_rate),
        memory: section.value("memory", |text| units::size_from(text, MIN_MEMORY)),
        max_streams: section
            .value("max_streams", |text| units::number(text, 1, 1_000_000))
            .unwrap_or(default.max_streams),
        max_connections: section
            .value("max_connections", |text| units::number(text, 1, 1_000_000))
            .unwrap_or(default.max_connections),
        max_watches: section
            .value("max_watches", |text| units::number(text, 1, 1_000_000))
            .unwrap_or(default.max_watches),
        max_streams_per_connection: section
            .value("max_streams_per_connection", |text| {
                units::number(text, 1, 1_000_000)
            })
            .unwrap_or(default.max_streams_per_connection),
    };
    if limits.default_deadline > limits.max_deadline {
        section.report(
            "default_deadline",
            "must not be longer than max_deadline (default 1h)",
        );
    }
    section.finish();
    limits
}

pub(super) fn read_drain(mut section: Section<'_>) -> Drain {
    let default = Drain::default();
    let drain = Drain {
        lame_duck: section
            .value("lame_duck", units::duration)
            .unwrap_or(default.lame_duck),
        limit: section
            .value("limit", units::duration)
            .unwrap_or(default.limit),
    };
    section.finish();
    drain
}

fn read_on_cancel(limits: &mut Section<'_>) -> Option<OnCancel> {
    let drains = limits.value("on_cancel", |text| {
        units::one_of(text, &[("abort", false), ("drain_for_usage", true)])
    });
    let is_bounded = limits.has_map("drain_for_usage");
    let mut bounds = limits.section("drain_for_usage");
    if is_bounded && !limits.has_had("on_cancel") {
        bounds.report(
            "",
            "has no effect without `on_cancel: drain_for_usage`; add that to `limits`, or remove this section",
        );
    }
    let time = bounds.value("time", units::positive_duration);
    let tokens = bounds.value("tokens", |text| units::number(text, 1, u32::MAX));
    bounds.finish();
    Some(if drains? {
        OnCancel::DrainForUsage {
            time: time.unwrap_or(Duration::from_secs(30)),
            tokens: tokens.unwrap_or(4_096),
        }
    } else {
        OnCancel::Abort
    })
}

fn heartbeat(text: &str) -> Result<Duration, String> {
    let duration = units::duration(text)?;
    if !duration.is_zero() && duration < Duration::from_secs(1) {
        return Err("must be at least 1s, or 0 for none".to_owned());
    }
    Ok(duration)
}
