//! `targets`: lists the targets of a gateway, their routes and their health.

mod facts;
mod table;

use std::{
    io,
    time::{Duration, SystemTime},
};

use clap::Args;
use serde_json::{Value, json};

use self::facts::{health, kind, unavailable_for};
use super::{client::Gateway, connect::Connect, exit::Exit, failure::Failure, output::Output};
use crate::pb::{ConfigVersion, Route, Target};

/// The default deadline.
const DEADLINE: Duration = Duration::from_secs(10);

/// List the targets of a gateway: their routes, source and destination Regions, and health
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bedrock-grpc targets
  bedrock-grpc targets --all
  bedrock-grpc targets claude
  bedrock-grpc targets us.anthropic.claude-sonnet-5 --json

A route is `throttled` or `unhealthy` while other routes are preferred to it; the remaining time is shown next to it. \
Models that reach their end of life within 90 days are listed below the table. \
The health shown is what this replica has observed.")]
pub struct Targets {
    /// Show only this target: an alias, a model ID or an ARN [default: all aliases]
    target: Option<String>,

    /// Also list the inference profiles that callers can use by ID or ARN
    #[arg(long, conflicts_with = "target")]
    all: bool,

    /// Print JSON, one target per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connect: Connect,
}

impl Targets {
    /// Lists the targets. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let gateway = match self.connect.gateway(Some(DEADLINE)) {
            Ok(gateway) => gateway,
            Err(message) => {
                output.error(&message);
                return Ok(Exit::BadInput);
            }
        };
        let Answer {
            targets,
            patterns,
            config,
        } = match self.ask(&gateway).await {
            Ok(answer) => answer,
            Err(failure) => {
                failure.print(output);
                return Ok(failure.exit());
            }
        };
        if self.json {
            for target in &targets {
                output.line(&as_json(target, config.as_ref()).to_string())?;
            }
            return Ok(Exit::Success);
        }
        output.text(&table::of(&targets))?;
        for line in facts::near_ends(&targets, SystemTime::now()) {
            output.line(&line)?;
        }
        match patterns.as_slice() {
            [] if targets.is_empty() => output.line("This gateway has no targets.")?,
            [] => {}
            patterns => output.line(&format!(
                "Allowed model IDs and ARNs: {}",
                patterns.join(", ")
            ))?,
        }
        if let Some(config) = config {
            output.line(&format!(
                "Configuration: generation {}, loaded at {}, SHA-256 {}",
                config.generation,
                loaded_at(&config),
                config.sha256
            ))?;
        }
        Ok(Exit::Success)
    }

    async fn ask(&self, gateway: &Gateway) -> Result<Answer, Failure> {
        let Some(name) = &self.target else {
            let list = gateway.list_targets(self.all).await?;
            return Ok(Answer {
                targets: list.targets,
                patterns: list.allowed_model_ids,
                config: list.config,
            });
        };
        let answer = gateway.get_target(name).await?;
        Ok(Answer {
            targets: vec![answer.target.unwrap_or_default()],
            patterns: Vec::new(),
            config: answer.config,
        })
    }
}

/// What a gateway reports about its targets.
struct Answer {
    targets: Vec<Target>,
    /// The patterns of model IDs and ARNs that callers may use directly.
    patterns: Vec<String>,
    /// The version of the replica's configuration. Older gateways do not report it.
    config: Option<ConfigVersion>,
}

/// Returns the time at which a configuration was loaded, in UTC.
fn loaded_at(config: &ConfigVersion) -> String {
    config
        .loaded_at
        .and_then(facts::rfc3339)
        .unwrap_or_default()
}

/// Formats a target as JSON, with the field names of the API.
fn as_json(target: &Target, config: Option<&ConfigVersion>) -> Value {
    let routes: Vec<_> = target.routes.iter().map(route_as_json).collect();
    json!({
        "name": target.name,
        "description": target.description,
        "fallback": target.fallback,
        "routes": routes,
        "config": config.map(|config| json!({
            "generation": config.generation,
            "sha256": config.sha256,
            "loaded_at": loaded_at(config),
        })),
    })
}

fn route_as_json(route: &Route) -> Value {
    json!({
        "model_id": route.model_id,
        "kind": kind(route),
        "model": route.model,
        "source_region": route.source_region,
        "account": route.account,
        "destination_regions": route.destination_regions,
        "served_anywhere": route.served_anywhere,
        "status": route.status,
        "order": route.order,
        "weight": route.weight,
        "health": health(route),
        "open_calls": route.open_calls,
        "unavailable_for_ms": unavailable_for(route).map(|time| time.as_millis() as u64),
        "outside_fence": route.outside_fence,
        "end_of_life": route.end_of_life.and_then(facts::rfc3339),
    })
}
