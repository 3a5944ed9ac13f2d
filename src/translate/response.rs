//! Translates a complete [`InvokeResponse`](pb::InvokeResponse) to the format of Bedrock's Converse
//! response.

use super::{
    json::{MAX_DEPTH, Position},
    raw,
    table::{
        BadJson, Encoder, Json, Object,
        codec::{Named, Optional},
    },
};
use crate::pb;

/// Returns the answer as the JSON that Bedrock's Converse would have returned.
///
/// Tool input that is not JSON, because the model stopped in the middle of it, is written as a
/// string. Raw members are written at their original positions. If several have the same pointer,
/// the first one is used. The gateway's additions and unknown events are omitted.
pub fn to_converse(response: &pb::InvokeResponse) -> String {
    let at = &Position::ROOT;
    let mut out = Encoder::new(1024, &response.raw_members, BadJson::Quote);
    out.json.begin_object();
    out.json.key("output");
    out.json.begin_object();
    Optional::write(&response.message, "message", &mut out, &at.member("output"));
    out.json.end_object();
    Named::<pb::StopReason>::write(
        &response.stop_reason,
        &response.stop_reason_name,
        "stopReason",
        &mut out,
        at,
    );
    if let Some(metadata) = &response.metadata {
        metadata.write_members(&mut out, at);
    }
    Json::write(
        &response.additional_model_response_fields_json,
        "additionalModelResponseFields",
        &mut out,
        at,
    );
    out.json.end_object();
    let (json, _) = raw::merge(
        out.finish().0.into_string(),
        &response.raw_members,
        MAX_DEPTH,
        raw::Json::Unknown,
    );
    json
}
