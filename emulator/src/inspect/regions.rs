//! Manages the conditions of Regions: GET lists them, PUT sets one, and DELETE clears one or all.

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    super::regions::{Condition, Regions},
    reply::{Problem, Reply, read},
};

/// A condition as JSON. It has exactly one of `fault`, `latencyMs` and `down`.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Json {
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    down: Option<bool>,
    /// Whether running calls are interrupted. Valid only with `down`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<bool>,
}

impl From<Condition> for Json {
    fn from(condition: Condition) -> Self {
        let mut json = Self {
            fault: None,
            latency_ms: None,
            down: None,
            cut: None,
        };
        match condition {
            Condition::Fault(fault) => json.fault = Some(fault.to_string()),
            Condition::Latency(latency) => {
                json.latency_ms = Some(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
            }
            Condition::Down { cut } => (json.down, json.cut) = (Some(true), Some(cut)),
        }
        json
    }
}

impl TryFrom<Json> for Condition {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        match json {
            Json {
                fault: Some(name),
                latency_ms: None,
                down: None,
                cut: None,
            } => Ok(Self::Fault(name.parse()?)),
            Json {
                fault: None,
                latency_ms: Some(latency),
                down: None,
                cut: None,
            } => Ok(Self::Latency(Duration::from_millis(latency))),
            Json {
                fault: None,
                latency_ms: None,
                down: Some(true),
                cut,
            } => Ok(Self::Down {
                cut: cut.unwrap_or(false),
            }),
            _ => Err(
                "Send one of {\"fault\": NAME}, {\"latencyMs\": NUMBER} and {\"down\": true, \"cut\": true or false}. Use DELETE to clear a condition."
                    .to_owned(),
            ),
        }
    }
}

pub(super) fn answer(method: &Method, name: &str, body: &[u8], regions: &Regions) -> Reply {
    match (method, name) {
        (&Method::GET, "") => {}
        (&Method::DELETE, "") => regions.clear(),
        (&Method::PUT, name) if is_region(name) => {
            let condition = read::<Json>(body)?.try_into().map_err(Problem::Invalid)?;
            regions.set(name, Some(condition));
        }
        (&Method::PUT, name) => {
            return Err(Problem::Invalid(format!(
                "{name:?} is not a Region: use a name such as us-east-1."
            )));
        }
        (&Method::DELETE, name) => regions.set(name, None),
        _ => {
            return Err(Problem::Method(
                "Use GET /_emulator/regions to list the conditions, and PUT or DELETE /_emulator/regions/REGION to set or clear one.",
            ));
        }
    }
    let list: Map<String, Value> = regions
        .list()
        .into_iter()
        .map(|(name, condition)| (name, json!(Json::from(condition))))
        .collect();
    Ok(json!({ "regions": list }))
}

fn is_region(name: &str) -> bool {
    (1..=20).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
