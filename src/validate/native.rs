//! Rules for requests of `InvokeModel`, except for the content of their bodies.

use super::{common::Word, guardrail, inference, metadata, path::Violations, target};
use crate::pb;

/// The maximum size of a body, in bytes. Source: Bedrock's service model.
const MAX_BODY: usize = 25_000_000;

const MEDIA_TYPE: Word = Word {
    max: 128,
    set: "`[a-zA-Z0-9!#$&^_.+*/;= -]`",
    allowed: |c| c.is_ascii_alphanumeric() || "!#$&^_.+*/;= -".contains(c),
};

pub(super) fn request(request: &pb::InvokeModelRequest, out: &mut Violations) {
    // The pattern names all fields, so that the compiler reports a new field that is not checked.
    let pb::InvokeModelRequest {
        target,
        body,
        accept,
        guardrail_config,
        performance_config,
        service_tier,
        request_metadata,
        project_identifier,
    } = request;
    if target.is_empty() {
        out.add_at(
            "target",
            "is required: use an alias for which the operator has set invoke_model",
        );
    } else {
        target::check(target, out);
    }
    if body.is_empty() {
        out.add_at("body", "is required: send JSON in the model's format");
    } else if body.len() > MAX_BODY {
        let size = body.len();
        out.add_at(
            "body",
            format_args!("has {size} bytes: at most {MAX_BODY} are allowed"),
        );
    }
    match accept.as_deref() {
        Some("") => out.add_at(
            "accept",
            "must not be empty: set a media type such as `image/png`, or leave it out for `application/json`",
        ),
        Some(accept) => MEDIA_TYPE.required("accept", accept, out),
        None => {}
    }
    if let Some(config) = guardrail_config {
        out.field("guardrail_config", |out| guardrail::config(config, out));
    }
    if let Some(config) = performance_config {
        out.field("performance_config", |out| {
            inference::performance_config(config, out);
        });
    }
    if let Some(tier) = service_tier {
        out.field("service_tier", |out| inference::service_tier(tier, out));
    }
    metadata::request_metadata(request_metadata, out);
    metadata::project_identifier(project_identifier.as_deref(), out);
}
