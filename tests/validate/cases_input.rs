//! Rules for the input, except for the conversation and the tools.

use bedrock_grpc::pb::{
    self, converse_input::AdditionalModelRequestFields as Fields, system_content_block,
};
use prost_types::value::Kind;

use super::request::{
    Accepted, Case, deep_structure, inference_config, input, json_schema, structure,
};

fn guardrail(r: &mut pb::StreamInvokeRequest) -> &mut pb::GuardrailStreamConfiguration {
    input(r).guardrail_config.get_or_insert_default()
}

fn inference(r: &mut pb::StreamInvokeRequest) -> &mut pb::InferenceConfiguration {
    inference_config(input(r))
}

fn output(r: &mut pb::StreamInvokeRequest) -> &mut pb::OutputConfig {
    input(r).output_config.get_or_insert_default()
}

fn raw(r: &mut pb::StreamInvokeRequest) -> &mut pb::RawMember {
    &mut input(r).raw_members[0]
}

fn metadata(r: &mut pb::StreamInvokeRequest, key: &str, value: &str) {
    input(r).request_metadata.insert(key.into(), value.into());
}

fn path(r: &mut pb::StreamInvokeRequest, path: &str) {
    input(r).additional_model_response_field_paths = vec![path.into()];
}

fn fields(r: &mut pb::StreamInvokeRequest, fields: Fields) {
    input(r).additional_model_request_fields = Some(fields);
}

pub(crate) const CASES: &[Case] = &[
    // System prompt
    ("input.system[0]", &["empty", "guard_content"], |r| {
        input(r).system[0].content = None
    }),
    ("input.system[0].text", &["empty"], |r| {
        input(r).system[0].content = Some(system_content_block::Content::Text(String::new()));
    }),
    ("input.system[0].guard_content", &["empty", "image"], |r| {
        input(r).system[0].content = Some(system_content_block::Content::GuardContent(
            Default::default(),
        ));
    }),
    ("input.system[1].cache_point.ttl", &["9", "enum"], |r| {
        input(r).system[1].content = Some(system_content_block::Content::CachePoint(
            pb::CachePointBlock {
                ttl: 9,
                ..Default::default()
            },
        ));
    }),
    // Inference parameters
    (
        "input.inference_config.max_tokens",
        &["0", "at least 1"],
        |r| inference(r).max_tokens = Some(0),
    ),
    (
        "input.inference_config.max_tokens",
        &["-5", "at least 1"],
        |r| inference(r).max_tokens = Some(-5),
    ),
    ("input.inference_config.temperature", &["NaN"], |r| {
        inference(r).temperature = Some(f64::NAN)
    }),
    (
        "input.inference_config.temperature",
        &["-0.1", "0 and 1"],
        |r| inference(r).temperature = Some(-0.1),
    ),
    ("input.inference_config.temperature", &["1.5"], |r| {
        inference(r).temperature = Some(1.5)
    }),
    ("input.inference_config.top_p", &["inf"], |r| {
        inference(r).top_p = Some(f64::INFINITY)
    }),
    ("input.inference_config.top_p", &["1.1"], |r| {
        inference(r).top_p = Some(1.1)
    }),
    (
        "input.inference_config.stop_sequences",
        &["2501", "2500"],
        |r| {
            inference(r).stop_sequences = vec!["x".into(); 2501];
        },
    ),
    (
        "input.inference_config.stop_sequences[1]",
        &["empty"],
        |r| inference(r).stop_sequences.push(String::new()),
    ),
    // Guardrail
    (
        "input.guardrail_config.guardrail_identifier",
        &["required"],
        |r| guardrail(r).guardrail_identifier = None,
    ),
    (
        "input.guardrail_config.guardrail_version",
        &["required", "DRAFT"],
        |r| guardrail(r).guardrail_version = Some(String::new()),
    ),
    (
        "input.guardrail_config.guardrail_identifier",
        &["My Guardrail", "ARN"],
        |r| {
            guardrail(r).guardrail_identifier = Some("My Guardrail".into());
        },
    ),
    (
        "input.guardrail_config.guardrail_identifier",
        &["too long"],
        |r| {
            guardrail(r).guardrail_identifier = Some("a".repeat(2049));
        },
    ),
    (
        "input.guardrail_config.guardrail_version",
        &["draft", "DRAFT"],
        |r| guardrail(r).guardrail_version = Some("draft".into()),
    ),
    ("input.guardrail_config", &["empty", "remove"], |r| {
        *guardrail(r) = Default::default()
    }),
    ("input.guardrail_config.trace", &["17"], |r| {
        guardrail(r).trace = 17
    }),
    (
        "input.guardrail_config.stream_processing_mode",
        &["-1"],
        |r| guardrail(r).stream_processing_mode = -1,
    ),
    // Additional fields
    (
        "input.additional_model_request_fields_json",
        &["not valid JSON", "byte"],
        |r| {
            fields(
                r,
                Fields::AdditionalModelRequestFieldsJson("{\"a\":}".into()),
            );
        },
    ),
    (
        "input.additional_model_request_fields_json",
        &["empty"],
        |r| {
            fields(r, Fields::AdditionalModelRequestFieldsJson(String::new()));
        },
    ),
    (
        "input.additional_model_request_fields_struct",
        &["NaN", "\"k\""],
        |r| {
            fields(
                r,
                Fields::AdditionalModelRequestFieldsStruct(structure(Some(Kind::NumberValue(
                    f64::NAN,
                )))),
            );
        },
    ),
    (
        "input.additional_model_request_fields_struct",
        &["1000 levels"],
        |r| {
            fields(
                r,
                Fields::AdditionalModelRequestFieldsStruct(deep_structure(1_001)),
            );
        },
    ),
    // Variables, paths, metadata, raw members
    ("input.prompt_variables[\"x\"]", &["no value"], |r| {
        input(r)
            .prompt_variables
            .insert("x".into(), Default::default());
    }),
    (
        "input.additional_model_response_field_paths",
        &["11", "at most 10"],
        |r| {
            input(r).additional_model_response_field_paths = vec!["/a".into(); 11];
        },
    ),
    (
        "input.additional_model_response_field_paths[0]",
        &["1 to 256"],
        |r| path(r, ""),
    ),
    (
        "input.additional_model_response_field_paths[0]",
        &["1 to 256"],
        |r| path(r, &format!("/{}", "é".repeat(256))),
    ),
    (
        "input.additional_model_response_field_paths[0]",
        &["begins with `/`"],
        |r| path(r, "stop_sequence"),
    ),
    (
        "input.additional_model_response_field_paths[0]",
        &["~0"],
        |r| path(r, "/a~b"),
    ),
    ("input.request_metadata", &["17", "at most 16"], |r| {
        input(r).request_metadata = (0..17).map(|n| (n.to_string(), String::new())).collect();
    }),
    ("input.request_metadata[\"\"]", &["key", "1 to 256"], |r| {
        metadata(r, "", "x")
    }),
    ("input.request_metadata[\"a!\"]", &["key"], |r| {
        metadata(r, "a!", "x")
    }),
    ("input.request_metadata[\"a\"]", &["value", "\"ü\""], |r| {
        metadata(r, "a", "ü")
    }),
    (
        "input.request_metadata[\"a\"]",
        &["value", "0 to 256"],
        |r| metadata(r, "a", &"x".repeat(257)),
    ),
    ("input.raw_members[0].pointer", &["begins with `/`"], |r| {
        raw(r).pointer.clear()
    }),
    ("input.raw_members[0].pointer", &["~0"], |r| {
        raw(r).pointer = "/a~".into()
    }),
    ("input.raw_members[0].json", &["empty"], |r| {
        raw(r).json.clear()
    }),
    ("input.raw_members[0].json", &["not valid JSON"], |r| {
        raw(r).json = "{} x".into()
    }),
    // Latency, tier, output
    ("input.performance_config.latency", &["3"], |r| {
        input(r).performance_config = Some(pb::PerformanceConfiguration {
            latency: 3,
            ..Default::default()
        });
    }),
    ("input.service_tier.type", &["required", "FLEX"], |r| {
        input(r).service_tier = Some(Default::default())
    }),
    ("input.service_tier.type", &["99", "`type_name`"], |r| {
        input(r).service_tier = Some(pb::ServiceTier {
            r#type: 99,
            ..Default::default()
        })
    }),
    (
        "input.service_tier.type_name",
        &["`type` is set", "only one"],
        |r| {
            input(r).service_tier = Some(pb::ServiceTier {
                r#type: 1,
                type_name: "default".into(),
            })
        },
    ),
    ("input.service_tier.type_name", &["letters"], |r| {
        input(r).service_tier = Some(pb::ServiceTier {
            r#type: 0,
            type_name: "a tier".into(),
        })
    }),
    ("input.output_config.effort_name", &["only one"], |r| {
        output(r).effort = 1;
        output(r).effort_name = "low".into();
    }),
    ("input.project_identifier", &["\"\"", "its ARN"], |r| {
        input(r).project_identifier = Some(String::new())
    }),
    ("input.project_identifier", &["\"a.b\"", "1 to 2048"], |r| {
        input(r).project_identifier = Some("a.b".into())
    }),
    ("input.output_config.effort", &["6"], |r| {
        output(r).effort = 6;
        output(r).effort_name.clear();
    }),
    ("input.output_config.text_format.type", &["2"], |r| {
        output(r).text_format.get_or_insert_default().r#type = 2;
    }),
    (
        "input.output_config.text_format.structure",
        &["required", "json_schema"],
        |r| {
            output(r).text_format = Some(Default::default());
        },
    ),
    (
        "input.output_config.text_format.structure",
        &["empty", "json_schema"],
        |r| {
            output(r).text_format.get_or_insert_default().structure = Some(Default::default());
        },
    ),
    (
        "input.output_config.text_format.structure.json_schema.schema",
        &["empty"],
        |r| {
            json_schema(input(r)).schema.clear();
        },
    ),
    (
        "input.output_config.text_format.structure.json_schema.schema",
        &["not valid JSON"],
        |r| {
            json_schema(input(r)).schema = "{'a'}".into();
        },
    ),
];

pub(crate) const ACCEPTED: &[Accepted] = &[
    ("nothing but a message", |r| {
        let messages = std::mem::take(&mut input(r).messages);
        r.input = Some(pb::ConverseInput {
            messages,
            ..Default::default()
        });
    }),
    ("an empty inference config", |r| {
        *inference(r) = Default::default()
    }),
    ("a negative zero", |r| inference(r).temperature = Some(-0.0)),
    ("as many stop sequences as allowed", |r| {
        inference(r).stop_sequences = vec![" ".into(); 2500]
    }),
    ("a guardrail config with nothing but a trace", |r| {
        *guardrail(r) = Default::default();
        guardrail(r).trace = pb::GuardrailTrace::Enabled.into();
    }),
    ("a guardrail's ARN and number", |r| {
        guardrail(r).guardrail_identifier =
            Some("arn:aws:bedrock:us-east-1:123456789012:guardrail/abc1".into());
        guardrail(r).guardrail_version = Some("12".into());
    }),
    ("additional fields that are no object", |r| {
        fields(r, Fields::AdditionalModelRequestFieldsJson("null".into()))
    }),
    ("additional fields as a Struct of the greatest depth", |r| {
        fields(
            r,
            Fields::AdditionalModelRequestFieldsStruct(deep_structure(1_000)),
        );
    }),
    ("the longest path, in characters", |r| {
        path(r, &format!("/{}", "é".repeat(255)))
    }),
    ("a path with escapes", |r| path(r, "/a~1b/~0/0")),
    ("the most metadata", |r| {
        input(r).request_metadata = (0..16)
            .map(|n| (format!("{n:0>256}"), "v".repeat(256)))
            .collect();
    }),
    ("metadata with white space", |r| {
        metadata(r, "a b", "\t\n\r x")
    }),
    ("no metadata", |r| input(r).request_metadata.clear()),
    ("no latency, no effort, no format", |r| {
        input(r).performance_config = Some(Default::default());
        input(r).output_config = Some(Default::default());
    }),
    ("a raw member of any JSON", |r| {
        raw(r).pointer = "/".into();
        raw(r).json = " 12345678901234567890.5e400 ".into();
    }),
];
