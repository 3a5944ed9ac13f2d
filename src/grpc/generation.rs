//! Defines the generation of the configuration that a call uses from its start to its end.

use std::{fmt, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use http::HeaderValue;
use prometheus_client::metrics::gauge::Gauge;

use crate::{
    access::{
        Rules,
        limits::{Scope, UsageAccounting},
    },
    bedrock::Sdk,
    config::{
        Config, Cors, Discovery, Drain, Limits, RequestMetadata, TrustedProxies, default_budget,
    },
    routing::Router,
    telemetry::{Traces, metrics::Expiries},
};

/// One configuration and everything that is built from it. A generation never changes. Another
/// configuration creates another generation.
///
/// A generation does not contain the state of the process: health, cooldowns, counts of limits and
/// connections survive a reload.
pub struct Generation {
    /// The generation number. The first is 1, and each reload adds 1.
    pub number: u64,
    /// The SHA-256 of the configuration's text, in hexadecimal.
    pub hash: String,
    /// When the configuration was loaded.
    pub loaded_at: SystemTime,
    /// Resolves targets.
    pub router: Router,
    /// The rules that identify callers.
    pub rules: Arc<Rules>,
    /// The accounts that count tokens and costs.
    pub accounts: UsageAccounting,
    /// The callers, groups and targets that have a daily or monthly limit.
    pub budgets: Arc<[Arc<Scope>]>,
    /// The AWS accounts and their endpoints.
    pub sdk: Sdk,
    /// How the gateway looks up the destination Regions of inference profiles.
    pub discovery: Discovery,
    /// The time and size limits.
    pub limits: Limits,
    /// The memory budget of requests, in bytes: `limits.memory`, or its default.
    pub memory: usize,
    /// How the gateway shuts down.
    pub drain: Drain,
    /// The proxies whose information about clients is trusted.
    pub trusted_proxies: TrustedProxies,
    /// The metadata that the gateway adds to requests, for cost reports.
    pub request_metadata: RequestMetadata,
    /// The origins of web pages that can call the gateway.
    pub origins: Origins,
    /// Decides for which calls spans are recorded.
    pub traces: Traces,
    /// The TLS settings of new connections. If `None`, connections are plain text.
    pub tls: Option<ServerTls>,
    _in_use: InUse,
}

/// The parts of a generation that are built from its configuration.
pub struct Parts {
    /// Resolves targets.
    pub router: Router,
    /// The rules that identify callers.
    pub rules: Rules,
    /// The accounts that count tokens and costs.
    pub accounts: UsageAccounting,
    /// The callers, groups and targets that have a daily or monthly limit.
    pub budgets: Arc<[Arc<Scope>]>,
    /// The client of AWS. Its accounts and endpoints can be those of any configuration.
    pub sdk: Sdk,
    /// The exporter of spans.
    pub traces: Traces,
    /// The TLS settings of new connections. If `None`, connections are plain text.
    pub tls: Option<ServerTls>,
}

/// The TLS settings of client connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// The certificate and its key, the client CAs, and the TLS sessions.
    pub config: Arc<rustls::ServerConfig>,
    /// When the certificate and the client CAs expire.
    pub expiries: Expiries,
}

impl Generation {
    /// Creates a generation. `in_use` counts it until it is dropped.
    pub fn new(number: u64, hash: String, config: &Config, parts: Parts, in_use: &Gauge) -> Self {
        Self {
            number,
            hash,
            loaded_at: SystemTime::now(),
            router: parts.router,
            rules: Arc::new(parts.rules),
            accounts: parts.accounts,
            budgets: parts.budgets,
            sdk: parts.sdk.configured(&config.bedrock, &config.accounts),
            discovery: config.discovery.clone(),
            limits: config.limits.clone(),
            memory: config.limits.memory.unwrap_or_else(default_budget),
            drain: config.drain.clone(),
            trusted_proxies: config.server.trusted_proxies.clone(),
            request_metadata: config.request_metadata.clone(),
            origins: Origins::of(&config.server.cors),
            traces: parts.traces.with_sample_ratio(config.traces.sample_ratio),
            tls: parts.tls,
            _in_use: InUse::begin(in_use),
        }
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("number", &self.number)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// The origins of web pages that can call the gateway.
#[derive(Clone, Debug)]
pub enum Origins {
    /// All origins.
    Any,
    /// These origins.
    Listed(Vec<HeaderValue>),
}

impl Origins {
    /// Returns the origins of a configuration.
    pub fn of(cors: &Cors) -> Self {
        let origins = &cors.allowed_origins;
        if origins.iter().any(|origin| origin == "*") {
            return Self::Any;
        }
        let origins = origins.iter();
        Self::Listed(
            origins
                .filter_map(|origin| HeaderValue::from_str(origin).ok())
                .collect(),
        )
    }

    /// Returns whether pages of an origin can call the gateway.
    pub(super) fn admit(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(origins) => origins.contains(origin),
        }
    }
}

/// Counts a generation as in use until it is dropped.
#[derive(Debug)]
struct InUse(Gauge);

impl InUse {
    fn begin(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The current generation. Cheap to clone. All clones see the same generation.
#[derive(Clone, Debug)]
pub struct Generations(Arc<ArcSwap<Generation>>);

impl Generations {
    /// Creates the value with the first generation.
    pub fn new(first: Generation) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// Returns the current generation. A call gets it once, when it arrives.
    pub fn current(&self) -> Arc<Generation> {
        self.0.load_full()
    }

    /// Replaces the current generation, for calls that arrive later.
    pub fn replace(&self, next: Generation) {
        self.0.store(Arc::new(next));
    }
}
