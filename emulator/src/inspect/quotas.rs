//! Manages quotas: GET returns them with their usage, PUT sets them, and DELETE removes them.

use http::Method;
use serde_json::json;

use super::{
    super::quotas::{Ledger, Quotas},
    reply::{Problem, Reply, read},
};

pub(super) fn answer(method: &Method, body: &[u8], ledger: &Ledger) -> Reply {
    match *method {
        Method::GET => {}
        Method::PUT => ledger.set(read(body)?),
        Method::DELETE => ledger.set(Quotas::default()),
        _ => {
            return Err(Problem::Method(
                "Use GET to read the quotas and their usage, PUT to set them, and DELETE to remove them.",
            ));
        }
    }
    Ok(json!({"quotas": ledger.quotas(), "used": ledger.used()}))
}
