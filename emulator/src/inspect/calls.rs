//! Provides the log of calls: GET returns it, and DELETE clears it.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::Method;
use serde_json::{Value, json};

use super::{
    super::calls::{Call, CallLog, End},
    reply::{Problem, Reply},
};

pub(super) fn answer(method: &Method, log: &CallLog) -> Reply {
    match *method {
        Method::GET => {}
        Method::DELETE => log.clear(),
        _ => {
            return Err(Problem::Method(
                "Use GET to read the calls, and DELETE to clear them.",
            ));
        }
    }
    let calls: Vec<_> = log.snapshot().iter().map(entry).collect();
    Ok(json!({ "calls": calls }))
}

fn entry(call: &Call) -> Value {
    json!({
        "id": call.id,
        "requestId": call.request_id,
        "operation": call.operation,
        "modelId": call.model_id,
        "project": call.project,
        "account": call.account,
        "assumedRole": call.assumed_role,
        "sessionTags": call.session_tags,
        "region": call.region,
        "inferenceRegion": call.inference_region,
        "httpVersion": call.http_version,
        "headers": call.headers,
        "body": BASE64_STANDARD.encode(&call.body),
        "status": call.status,
        "errorCode": call.error_code,
        "eventsSent": call.events_sent,
        "end": call.end.map(End::as_str),
    })
}
