//! The log of calls over HTTP, for testers in other languages: GET shows it, DELETE clears it.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use serde_json::{Value, json};

use super::{
    calls::{Call, CallLog, End},
    error,
};

pub(super) fn answer(method: &Method, log: &CallLog) -> Response<Full<Bytes>> {
    match *method {
        Method::GET => {
            let calls: Vec<_> = log.snapshot().iter().map(entry).collect();
            error::json(200, &json!({"calls": calls}))
        }
        Method::DELETE => {
            log.clear();
            error::json(200, &json!({"calls": []}))
        }
        _ => error::json(
            405,
            &json!({"message": "GET shows the calls, DELETE forgets them."}),
        ),
    }
}

fn entry(call: &Call) -> Value {
    json!({
        "id": call.id,
        "requestId": call.request_id,
        "operation": call.operation,
        "modelId": call.model_id,
        "region": call.region,
        "httpVersion": call.http_version,
        "headers": call.headers,
        "body": BASE64_STANDARD.encode(&call.body),
        "status": call.status,
        "eventsSent": call.events_sent,
        "end": call.end.map(End::as_str),
    })
}
