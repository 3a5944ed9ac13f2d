//! Quotas: GET returns them and their usage, PUT sets them, DELETE removes them.

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
                "GET shows the quotas and what is used, PUT sets them, DELETE lifts them.",
            ));
        }
    }
    Ok(json!({"quotas": ledger.quotas(), "used": ledger.used()}))
}
