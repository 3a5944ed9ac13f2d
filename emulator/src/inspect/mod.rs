//! Implements the emulator's control API, for tests in other languages: received calls, conditions
//! of Regions, quotas, roles, and the ends of life of models. Its paths begin with `/_emulator/`.

mod calls;
mod events;
mod models;
mod projects;
mod quotas;
mod regions;
mod reply;
mod roles;

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use serde_json::json;

use self::reply::Problem;
use super::{error, state::State, uri};

/// Answers a request. `path` is the part after `/_emulator/`.
pub(super) fn answer(
    method: &Method,
    path: &str,
    body: &[u8],
    state: &State,
) -> Response<Full<Bytes>> {
    let (thing, name) = path.split_once('/').unwrap_or((path, ""));
    let name = uri::percent_decode(name);
    let reply = match (thing, name.as_str()) {
        ("calls", "") => calls::answer(method, &state.log),
        ("events", "") => events::answer(method, &state.log),
        ("quotas", "") => quotas::answer(method, body, &state.ledger),
        ("models", id) => models::answer(method, id, body, &state.lives),
        ("projects", arn) => projects::answer(method, arn, body, &state.projects),
        ("roles", arn) => roles::answer(method, arn, body, &state.sessions),
        ("regions", name) => regions::answer(method, name, body, &state.regions),
        _ => Err(Problem::NoSuchPath),
    };
    match reply {
        Ok(value) => error::json(200, &value),
        Err(problem) => {
            let (status, message) = match problem {
                Problem::NoSuchPath => {
                    let message = "Unknown path. Use /_emulator/calls, /events, /models, /projects, /quotas, /regions or /roles.";
                    (404, message.to_owned())
                }
                Problem::Method(can) => (405, can.to_owned()),
                Problem::Invalid(message) => (400, message),
            };
            error::json(status, &json!({"message": message}))
        }
    }
}
