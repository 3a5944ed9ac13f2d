//! Rules for inference parameters, output format, latency, service tier and cache points.

use super::common::{open_enum, optional_enum};
use super::json;
use super::path::Violations;
use crate::pb;

/// The maximum number of stop sequences. Source: Bedrock's service model.
const MAX_STOP_SEQUENCES: usize = 2500;

pub(super) fn inference_config(config: &pb::InferenceConfiguration, out: &mut Violations) {
    if let Some(max_tokens) = config.max_tokens.filter(|max| *max < 1) {
        out.add_at(
            "max_tokens",
            format_args!("must be at least 1, got {max_tokens}"),
        );
    }
    share("temperature", config.temperature, out);
    share("top_p", config.top_p, out);
    if config.stop_sequences.len() > MAX_STOP_SEQUENCES {
        out.add_at(
            "stop_sequences",
            format_args!(
                "has {} items: at most {MAX_STOP_SEQUENCES} are allowed",
                config.stop_sequences.len()
            ),
        );
    }
    out.items("stop_sequences", &config.stop_sequences, |text, out| {
        if text.is_empty() {
            out.add("is empty: a stop sequence needs at least one character");
        }
    });
}

/// Checks that a number is between 0 and 1. NaN is refused.
fn share(field: &'static str, value: Option<f64>, out: &mut Violations) {
    if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
        out.add_at(field, format_args!("must be between 0 and 1, got {value}"));
    }
}

pub(super) fn performance_config(config: &pb::PerformanceConfiguration, out: &mut Violations) {
    let pb::PerformanceConfiguration {
        latency,
        latency_name,
    } = config;
    open_enum::<pb::PerformanceConfigLatency>(
        "latency",
        "latency_name",
        *latency,
        latency_name,
        out,
    );
}

pub(super) fn service_tier(tier: &pb::ServiceTier, out: &mut Violations) {
    let pb::ServiceTier { r#type, type_name } = tier;
    if *r#type == 0 && type_name.is_empty() {
        out.missing_at(
            "type",
            "is required: use SERVICE_TIER_TYPE_DEFAULT, _FLEX, _PRIORITY or _RESERVED",
        );
    }
    open_enum::<pb::ServiceTierType>("type", "type_name", *r#type, type_name, out);
}

pub(super) fn output_config(config: &pb::OutputConfig, out: &mut Violations) {
    open_enum::<pb::Effort>(
        "effort",
        "effort_name",
        config.effort,
        &config.effort_name,
        out,
    );
    if let Some(format) = &config.text_format {
        out.field("text_format", |out| output_format(format, out));
    }
}

fn output_format(format: &pb::OutputFormat, out: &mut Violations) {
    use pb::output_format_structure::Structure;

    optional_enum::<pb::OutputFormatType>("type", format.r#type, out);
    let Some(structure) = &format.structure else {
        out.missing_at("structure", "is required: set its field `json_schema`");
        return;
    };
    out.field("structure", |out| match &structure.structure {
        None => out.missing("is empty: set `json_schema`"),
        Some(Structure::JsonSchema(definition)) => out.field("json_schema", |out| {
            json::text("schema", &definition.schema, out);
        }),
    });
}

pub(super) fn cache_point(point: &pb::CachePointBlock, out: &mut Violations) {
    let pb::CachePointBlock {
        r#type,
        ttl,
        type_name,
        ttl_name,
    } = point;
    open_enum::<pb::CachePointType>("type", "type_name", *r#type, type_name, out);
    open_enum::<pb::CacheTtl>("ttl", "ttl_name", *ttl, ttl_name, out);
}
