//! What the operator decides. The only reader of files and environment.
//!
//! A file is read in two steps: [`yaml`] makes a tree in which everything knows its place, then one file per topic takes its keys
//! and makes checked types of them. Every problem of a file is reported at once.

mod access;
pub mod attribution;
pub mod bedrock;
mod discovery;
mod limits;
mod problem;
pub mod request_policy;
pub mod s3;
mod section;
mod server;
mod targets;
mod telemetry;
mod traces;
mod units;
mod warnings;
mod yaml;

use std::path::Path;

pub use access::{
    Access, ApiKey, CallerOptions, FailuresPerMinute, GroupOptions, KEYS_PER_CALLER, KeysByCaller,
    is_name as is_caller_name, load_keys,
};
pub use attribution::RequestMetadata;
pub use discovery::Discovery;
pub use limits::{Drain, Limits, OnCancel};
pub use problem::{Place, Problem, Problems};
pub use request_policy::{RequestPolicy, ServiceTier};
pub use section::nearest;
pub use server::{Cors, Server, Tls};
pub use targets::{Alias, Defaults, Guardrail, RouteOptions, TargetLimits, Targets};
pub use telemetry::{Log, LogFormat};
pub use traces::{Headers, Traces};

/// What a config can hold, as a JSON schema (draft 2020-12). Written beside the readers of the sections; a test holds both to the same keys, bounds
/// and defaults. What depends on more than one key is [`Config::parse`]'s alone to check.
pub const SCHEMA: &str = include_str!("schema.json");

/// A checked config.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// How the gateway is reached.
    pub server: Server,
    /// What callers may name.
    pub targets: Targets,
    /// What requests carry for cost reports.
    pub request_metadata: RequestMetadata,
    /// Who may call.
    pub access: Access,
    /// How the gateway learns what inference profiles lead to.
    pub discovery: Discovery,
    /// How Bedrock is reached.
    pub bedrock: bedrock::Options,
    /// How long things may take, and how much there may be of them.
    pub limits: Limits,
    /// How the gateway stops.
    pub drain: Drain,
    /// What the gateway logs.
    pub log: Log,
    /// Where spans are sent, and which.
    pub traces: Traces,
}

impl Config {
    /// Reads and checks a file. `${NAME}` and `${NAME:-default}` in values come from the environment.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Problems {
            file: file.clone(),
            problems: vec![Problem {
                key: String::new(),
                place: Place::default(),
                message: format!("can't be read: {error}"),
            }],
        })?;
        Self::parse(&text, &variable).map_err(|problems| Problems { file, problems })
    }

    /// The defaults, and what the environment says besides.
    ///
    /// # Errors
    /// Everything that is wrong with the environment.
    pub fn without_file() -> Result<Self, Problems> {
        Self::parse("", &variable).map_err(|problems| Problems {
            file: "environment".to_owned(),
            problems,
        })
    }

    /// Reads and checks a config's text with the given environment.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the text.
    pub fn parse(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<Problem>> {
        let tree = yaml::parse(text).map_err(|problem| vec![problem])?;
        let reading = section::Reading::new(environment);
        let mut root = section::Section::of("", tree, &reading);
        let mut limits = root.section("limits");
        let max_tokens = request_policy::max_tokens(&mut limits);
        let config = Self {
            server: server::read(&mut root),
            targets: targets::read(&mut root, max_tokens, &reading),
            request_metadata: attribution::read(root.section("request_metadata")),
            access: access::read(&mut root, &reading),
            discovery: discovery::read(root.section("discovery")),
            bedrock: bedrock::read(root.section("bedrock")),
            limits: limits::read(limits),
            drain: limits::read_drain(root.section("drain")),
            log: telemetry::read(root.section("log")),
            traces: traces::read(root.section("traces")),
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

impl Config {
    /// Returns what is allowed and still not what the operator can have meant, such as defaults that a model refuses.
    pub fn warnings(&self) -> Vec<Problem> {
        warnings::of(self)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The API key that client commands send, from `BEDROCK_GRPC_KEY`. Not an option of the command line, which others on the machine can see.
pub fn caller_key() -> Option<String> {
    variable("BEDROCK_GRPC_KEY").filter(|key| !key.trim().is_empty())
}

/// How this program was called, for examples that can be pasted.
pub fn program() -> String {
    std::env::args()
        .next()
        .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned())
}
