//! The operator's settings: defaults, which a caller can replace, and enforced settings, which no
//! caller can replace.

mod attribution;
mod guardrail;
mod limits;
mod s3;
mod sampling;

use bedrock_grpc::{
    config::{Config, Problems},
    pb::{RawMember, StreamInvokeRequest, converse_input::AdditionalModelRequestFields},
};
use serde_json::Value;
use tonic::Code;

use crate::harness::{Answer, Gateway, ask};

/// A gateway with these sections of a config, and an emulator.
async fn gateway(sections: &str) -> Gateway {
    let read: Result<Config, Problems> =
        Config::parse(sections, &|_| None).map_err(|problems| Problems {
            file: sections.to_owned(),
            problems,
        });
    let read = match read {
        Ok(read) => read,
        Err(problems) => panic!("{problems}"),
    };
    Gateway::with(|config, _| {
        config.targets.aliases.extend(read.targets.aliases);
        config.targets.policy = read.targets.policy;
        config.request_metadata = read.request_metadata;
    })
    .await
}

/// A question to target `t`, with raw members.
fn with_raw(members: &[(&str, &str)]) -> StreamInvokeRequest {
    let mut request = ask("t");
    let input = request.input.get_or_insert_default();
    input.raw_members = members
        .iter()
        .map(|(pointer, json)| RawMember {
            pointer: (*pointer).to_owned(),
            json: (*json).to_owned(),
        })
        .collect();
    request
}

/// A question to target `t`, with fields of the model's own: as JSON text, and as a Struct.
fn with_fields(json: &str) -> [StreamInvokeRequest; 2] {
    use AdditionalModelRequestFields::{
        AdditionalModelRequestFieldsJson, AdditionalModelRequestFieldsStruct,
    };
    let value: Value = serde_json::from_str(json).unwrap();
    let Some(prost_types::value::Kind::StructValue(fields)) = structure(&value).kind else {
        panic!("{json} is no object");
    };
    [
        AdditionalModelRequestFieldsJson(json.to_owned()),
        AdditionalModelRequestFieldsStruct(fields),
    ]
    .map(|fields| {
        let mut request = ask("t");
        let input = request.input.get_or_insert_default();
        input.additional_model_request_fields = Some(fields);
        request
    })
}

fn structure(value: &Value) -> prost_types::Value {
    use prost_types::{ListValue, Struct, value::Kind};
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(structure).collect(),
        }),
        Value::Object(members) => Kind::StructValue(Struct {
            fields: members
                .iter()
                .map(|(name, value)| (name.clone(), structure(value)))
                .collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}

/// Makes a call, which must succeed, and returns the body that reached Bedrock.
async fn sent(gateway: &Gateway, request: impl tonic::IntoRequest<StreamInvokeRequest>) -> Value {
    let before = gateway.emulator.calls().len();
    gateway.stream(request).await.is_whole();
    let calls = gateway.ended(before + 1).await;
    serde_json::from_slice(&calls.last().unwrap().body).unwrap()
}

/// Asserts that a call is refused because of this field, and that Bedrock is not called.
async fn refused(gateway: &Gateway, request: StreamInvokeRequest, field: &str) -> Answer {
    let before = gateway.emulator.calls().len();
    let shown = format!("{request:?}");
    let answer = gateway.stream(request).await;
    assert_eq!(answer.code(), Code::InvalidArgument, "{shown}");
    assert_eq!(answer.details().reason(), "INVALID_REQUEST", "{shown}");
    let fields = answer.details().fields();
    assert!(
        fields.iter().any(|known| known == field),
        "{shown}: {fields:?}"
    );
    assert_eq!(gateway.emulator.calls().len(), before, "{shown}");
    answer
}
