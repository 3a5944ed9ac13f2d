//! Writes the gateway's additions to an answer as JSON. Members are named in the style of Bedrock's
//! JSON, and values are formatted as in protobuf's JSON.

use prost_types::Duration;

use super::json::Writer;
use crate::pb;

/// Writes the member `gateway`: the fields of `message_start` that only the gateway sets. Writes
/// nothing if none of them is set.
pub(crate) fn write(out: &mut Writer, start: &pb::MessageStartEvent) {
    let nothing = pb::MessageStartEvent {
        role: start.role,
        ..Default::default()
    };
    if *start == nothing {
        return;
    }
    out.key("gateway");
    out.begin_object();
    if let Some(target) = &start.target {
        out.key("target");
        write_target(out, target);
    }
    text(out, "requestId", &start.request_id);
    text(out, "bedrockRequestId", &start.bedrock_request_id);
    if !start.attempts.is_empty() {
        out.key("attempts");
        out.begin_array();
        for attempt in &start.attempts {
            out.element();
            write_attempt(out, attempt);
        }
        out.end_array();
    }
    out.end_object();
}

/// Writes the member `heartbeat`.
pub(crate) fn write_heartbeat(out: &mut Writer, heartbeat: &pb::HeartbeatEvent) {
    out.key("heartbeat");
    out.begin_object();
    duration(out, "silent", heartbeat.silent);
    out.end_object();
}

fn write_target(out: &mut Writer, target: &pb::ResolvedTarget) {
    out.begin_object();
    text(out, "name", &target.name);
    text(out, "modelId", &target.model_id);
    if target.kind() != pb::TargetKind::Unspecified {
        text(out, "kind", target.kind().as_str_name());
    }
    text(out, "sourceRegion", &target.source_region);
    text(out, "account", &target.account);
    if !target.destination_regions.is_empty() {
        out.key("destinationRegions");
        out.begin_array();
        for region in &target.destination_regions {
            out.element();
            out.string(region);
        }
        out.end_array();
    }
    out.end_object();
}

fn write_attempt(out: &mut Writer, attempt: &pb::Attempt) {
    out.begin_object();
    text(out, "modelId", &attempt.model_id);
    text(out, "sourceRegion", &attempt.source_region);
    text(out, "account", &attempt.account);
    text(out, "failureReason", &attempt.failure_reason);
    text(out, "bedrockRequestId", &attempt.bedrock_request_id);
    duration(out, "duration", attempt.duration);
    out.end_object();
}

fn text(out: &mut Writer, name: &str, value: &str) {
    if !value.is_empty() {
        out.key(name);
        out.string(value);
    }
}

fn duration(out: &mut Writer, name: &str, value: Option<Duration>) {
    if let Some(value) = value {
        out.key(name);
        out.string(&value.to_string());
    }
}
