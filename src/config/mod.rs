//! The configuration. Only this module reads configuration files and environment variables.
//!
//! A file is read in two steps. First, [`yaml`] builds a tree in which every node has its position.
//! Then, each topic has a module that reads its keys and converts them to validated types. All
//! problems of a file are reported together.

mod access;
mod accounts;
pub mod attribution;
pub mod bedrock;
mod changes;
mod config_file;
mod discovery;
mod effective;
mod exposure;
mod files;
mod hosts;
mod limits;
mod log;
mod masked;
mod memory;
mod problem;
pub mod project;
mod proxy;
mod read_file;
mod reference;
pub mod request_policy;
mod restart;
pub mod s3;
mod section;
mod server;
mod targets;
mod traces;
mod trusted_proxies;
mod units;
mod usage_records;
mod value_files;
mod warnings;
mod weaker;
mod yaml;
mod yaml_error;

use std::{collections::BTreeMap, path::Path};

pub use access::{
    Access, ApiKey, CallerOptions, ClusterKeys, DEFAULT_METHODS, Estimates, FailuresPerMinute,
    GroupOptions, GuardrailPrices, ImageQuality, ImageTier, JwtIssuer, KEYS_PER_CALLER,
    KeySetLocation, KeysByCaller, Kubernetes, LimitsStore, METHODS, NANO_PER_USD, OnRevoke,
    OnStoreFailure, Permission, Price, Quota, Rates, RedisStore, SignatureAlgorithm, StorePassword,
    UnitPrices, Unlisted, check_keys, is_name as is_caller_name, is_secure_url, load_keys,
};
pub use accounts::{AccountOptions, CallerSession};
pub use attribution::RequestMetadata;
pub use changes::changed_keys;
pub use config_file::ConfigFile;
pub use discovery::Discovery;
pub use effective::{Found, effective};
pub use hosts::Hosts;
pub use limits::{Drain, Limits, OnCancel};
pub use log::{Log, LogFormat};
pub use masked::{ChangedKey, MaskedConfig, masked};
pub use memory::default_budget;
pub use problem::{ConfigLocation, Problem, Problems};
pub use proxy::{Proxies, ProxyUrl};
pub use read_file::{MAX_LIST, MAX_PEM, MAX_SECRET, read_regular};
pub use request_policy::{RequestPolicy, ServiceTier};
pub use restart::{needs_restart, restart_key};
pub use section::nearest;
pub use server::{ClientAuthentication, Cors, Server, Tls};
pub use targets::{Alias, Defaults, Guardrail, RouteOptions, TargetLimits, Targets};
pub use traces::{Headers, Traces};
pub use trusted_proxies::{Network, TrustedProxies};
pub use usage_records::{RecordFile, UsageRecords};
pub use value_files::ValueFiles;
pub use weaker::{protection, weakened, weakened_keys, without_keys};

/// The JSON schema of the configuration (draft 2020-12). A test checks that the schema and the
/// readers have the same keys, bounds and defaults. Only [`Config::parse`] checks rules that
/// involve several keys.
pub const SCHEMA: &str = include_str!("schema.json");

/// A validated configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Addresses, TLS and web pages.
    pub server: Server,
    /// The targets that callers can use.
    pub targets: Targets,
    /// The AWS accounts in which the gateway assumes a role, by name.
    pub accounts: BTreeMap<String, AccountOptions>,
    /// Pairs that the gateway adds to requests, for cost reports.
    pub request_metadata: RequestMetadata,
    /// The callers, and how the gateway identifies them.
    pub access: Access,
    /// How the gateway looks up the destination Regions of inference profiles.
    pub discovery: Discovery,
    /// The connection to Bedrock.
    pub bedrock: bedrock::BedrockOptions,
    /// Timeouts, sizes and counts.
    pub limits: Limits,
    /// How the gateway shuts down.
    pub drain: Drain,
    /// What the gateway logs.
    pub log: Log,
    /// Which spans are sent, and to which collector.
    pub traces: Traces,
    /// Where the gateway writes usage records.
    pub usage_records: UsageRecords,
    /// Whether a reload may remove protection, such as all callers, `access.required`, `tls`, the
    /// check of client certificates, a fence, an enforced guardrail, another restriction of
    /// targets, groups or callers, or all keys of the keys file. `allow_weaker`, default false.
    pub allow_weaker: bool,
}

impl Config {
    /// Reads and validates a file. `${NAME}` and `${NAME:-default}` in values are replaced from the
    /// environment, `${file:/path}` by the content of a file.
    ///
    /// # Errors
    /// Returns all problems.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::of_file(&ConfigFile::read(path)?)
    }

    /// Parses and validates the text of a file, with the environment of the process.
    ///
    /// # Errors
    /// Returns all problems.
    pub fn of_file(file: &ConfigFile) -> Result<Self, Problems> {
        yaml::parse(&file.text)
            .map_err(|problem| vec![problem])
            .and_then(|tree| Self::read(tree, &variable, &file.values))
            .map_err(|problems| Problems {
                file: file.path.display().to_string(),
                problems,
            })
    }

    /// Parses and validates a configuration file, or the values of the Helm chart, which contain a
    /// configuration under `config`. Returns the configuration, and whether the file contains Helm
    /// values. Paths in Helm values are paths in the pod, so a value that refers to a file that
    /// does not exist on this machine is treated as absent.
    ///
    /// # Errors
    /// Returns all problems.
    pub fn of_file_or_values(file: &ConfigFile) -> Result<(Self, bool), Problems> {
        let whole = yaml::parse(&file.text).map_err(|problem| vec![problem]);
        let read = |tree| {
            let (tree, is_values) = yaml::config_of_values(tree);
            let files = match is_values {
                true => file.values.clone().elsewhere_if_missing(),
                false => file.values.clone(),
            };
            Ok((Self::read(tree, &variable, &files)?, is_values))
        };
        whole.and_then(read).map_err(|problems| Problems {
            file: file.path.display().to_string(),
            problems,
        })
    }

    /// Returns the default configuration with the settings from environment variables.
    ///
    /// # Errors
    /// Returns all problems of environment variables.
    pub fn without_file() -> Result<Self, Problems> {
        Self::parse("", &variable).map_err(|problems| Problems {
            file: "environment".to_owned(),
            problems,
        })
    }

    /// Parses and validates the text of a configuration, with the given environment. Reads the
    /// files that values refer to.
    ///
    /// # Errors
    /// Returns all problems, in the order of the text.
    pub fn parse(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<Problem>> {
        let tree = yaml::parse(text).map_err(|problem| vec![problem])?;
        let files = ValueFiles::of(&tree);
        Self::read(tree, environment, &files)
    }

    fn read(
        tree: yaml::Node,
        environment: &dyn Fn(&str) -> Option<String>,
        files: &ValueFiles,
    ) -> Result<Self, Vec<Problem>> {
        let reading = section::Reading::new(environment, files);
        let mut root = section::Section::of("", tree, &reading);
        let mut limits = root.section("limits");
        let max_tokens = request_policy::max_tokens(&mut limits);
        let store = access::read_store(&mut limits);
        let server = server::read(&mut root);
        let has_client_ca = server.tls.as_ref().is_some_and(|tls| tls.clients.is_some());
        let prices = access::read_prices(&mut root);
        let rules = access::quota::Rules::of(&store, &prices);
        let accounts = accounts::read(&mut root, &reading);
        let mut targets = targets::read(&mut root, max_tokens, rules, &accounts, &reading);
        let access = access::read(&mut root, store, prices, has_client_ca, &targets, &reading);
        targets.projects_of_callers = access.projects();
        let config = Self {
            server,
            targets,
            accounts,
            request_metadata: attribution::read(root.section("request_metadata")),
            access,
            discovery: discovery::read(root.section("discovery")),
            bedrock: bedrock::read(root.section("bedrock")),
            limits: limits::read(limits),
            drain: limits::read_drain(root.section("drain")),
            log: log::read(root.section("log")),
            traces: traces::read(root.section("traces")),
            usage_records: usage_records::read(root.section("usage_records")),
            allow_weaker: root
                .value("allow_weaker", units::boolean)
                .unwrap_or_default(),
        };
        root.finish();
        let problems = reading.into_problems();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns the API key that client commands send, from `BEDROCK_GRPC_KEY`. There is no command-line
/// option for it, because other users of the machine could see its value.
pub fn caller_key() -> Option<String> {
    variable("BEDROCK_GRPC_KEY").filter(|key| !key.trim().is_empty())
}

/// Returns the command with which this program was started, for examples that users can paste.
pub fn program() -> String {
    std::env::args()
        .next()
        .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned())
}
