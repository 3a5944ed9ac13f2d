//! Manages roles: PUT revokes or restores one, and DELETE removes all sessions.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{
    super::sessions::Sessions,
    reply::{Problem, Reply, read},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    revoked: bool,
}

pub(super) fn answer(method: &Method, arn: &str, body: &[u8], sessions: &Sessions) -> Reply {
    match (method, arn) {
        (&Method::DELETE, "") => {
            sessions.forget();
            Ok(json!({}))
        }
        (&Method::PUT, arn) if !arn.is_empty() => {
            let change: Change = read(body)?;
            if change.revoked {
                sessions.revoke(arn);
            } else {
                sessions.restore(arn);
            }
            Ok(json!({"role": arn, "revoked": change.revoked}))
        }
        _ => Err(Problem::Method(
            "PUT /_emulator/roles/ARN revokes and restores a role; DELETE /_emulator/roles forgets all sessions.",
        )),
    }
}
