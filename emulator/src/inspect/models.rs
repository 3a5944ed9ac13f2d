//! Manages the ends of life of models: GET lists them, PUT sets one, and DELETE removes one or all.

use std::time::SystemTime;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    super::{catalogue::Model, lifecycle::LifeCycle, timestamp::iso8601},
    reply::{Problem, Reply, read},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    end_of_life_time: String,
}

pub(super) fn answer(method: &Method, model_id: &str, body: &[u8], lives: &LifeCycle) -> Reply {
    match (method, model_id) {
        (&Method::GET, "") => {}
        (&Method::DELETE, "") => lives.clear(),
        (&Method::PUT | &Method::DELETE, id) if !id.is_empty() && Model::find(id).is_none() => {
            return Err(Problem::Invalid(format!(
                "{id:?} is not a foundation model of the emulator: use an ID of ListFoundationModels."
            )));
        }
        (&Method::PUT, id) if !id.is_empty() => {
            let change: Change = read(body)?;
            let end =
                OffsetDateTime::parse(&change.end_of_life_time, &Rfc3339).map_err(|error| {
                    Problem::Invalid(format!(
                        "Invalid endOfLifeTime: {error}. Use a time such as 2027-06-30T00:00:00Z."
                    ))
                })?;
            lives.set(id, Some(SystemTime::from(end)));
        }
        (&Method::DELETE, id) => lives.set(id, None),
        _ => {
            return Err(Problem::Method(
                "Use GET /_emulator/models to list the ends of life, and PUT or DELETE /_emulator/models/MODEL to set or remove one.",
            ));
        }
    }
    let list: Map<String, Value> = lives
        .list()
        .into_iter()
        .map(|(id, end)| (id, json!({"endOfLifeTime": iso8601(end)})))
        .collect();
    Ok(json!({ "models": list }))
}
