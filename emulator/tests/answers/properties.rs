//! Properties that hold for every request.

use bedrock_emulator::answer::{Style, answer, answer_with};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    MODEL,
    reader::{Answer, check_script},
    user, with,
};

/// Prompts: any readable text, and texts that the emulator treats as commands.
fn prompts() -> impl Strategy<Value = String> {
    let orders = prop::sample::select(vec![
        "count to 30",
        "Write 40 words about rain in Paris",
        "Say \"Grüße 👩‍👩‍👧\"",
        "list 7 rivers",
        "What is 3 * 4?",
        "emulate:image emulate:content_filtered",
        "hello",
    ]);
    prop_oneof![
        "\\PC{1,60}".prop_filter("not blank", |text| !text.trim().is_empty()),
        "[A-Za-z ,.?0-9\"]{1,80}[a-z]",
        orders.prop_map(str::to_owned),
    ]
}

/// Nested schemas like those of real tools.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "null"})),
        Just(json!({"const": 7})),
        Just(json!({"enum": ["red", "green", 3]})),
        Just(json!({"type": "string", "format": "date"})),
        Just(json!({"type": "string", "format": "email"})),
        Just(json!({"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"})),
        Just(json!({"type": ["null", "integer"]})),
        (0_usize..6, 0_usize..30).prop_map(|(min, more)| json!({"type": "string", "minLength": min, "maxLength": min + more})),
        (-50_i64..50, 0_i64..100).prop_map(|(min, more)| json!({"type": "integer", "minimum": min, "maximum": min + more})),
        (-50_i64..50, 1_i64..100).prop_map(|(min, more)| json!({"type": "number", "exclusiveMinimum": min, "exclusiveMaximum": min + more})),
        (1_i64..9).prop_map(|step| json!({"type": "integer", "minimum": 10, "multipleOf": step})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0_usize..4).prop_map(|(items, min)| json!({"type": "array", "items": items, "minItems": min, "maxItems": min + 2})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|any| json!({ "anyOf": any })),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"allOf": [
                {"type": "object", "properties": {"a": a}, "required": ["a"]},
                {"type": "object", "properties": {"b": b}, "required": ["b"]},
            ]})),
            objects(inner),
        ]
    })
}

fn objects(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "city", "query", "count", "email", "date", "items", "id",
    ]);
    prop::collection::vec((names, inner, any::<bool>()), 0..4).prop_map(|members| {
        let mut properties = Map::new();
        let mut required: Vec<&str> = Vec::new();
        for (name, schema, needed) in members {
            if properties.insert(name.to_owned(), schema).is_none() && needed {
                required.push(name);
            }
        }
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    })
}

/// Checks a value against the keywords that the schemas above use. It shares no code with the
/// emulator's own check.
fn fits(value: &Value, schema: &Value) -> Result<(), String> {
    let fail = |keyword: &str| Err(format!("{keyword}: {value} does not fit {schema}"));
    let Some(schema_members) = schema.as_object() else {
        return Ok(());
    };
    for (keyword, rule) in schema_members {
        let number = value.as_f64();
        let limit = rule.as_f64().unwrap_or_default();
        let good = match keyword.as_str() {
            "type" => {
                let name = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(number) if number.is_i64() => "integer",
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                let kinds = rule
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![rule.clone()]);
                kinds
                    .iter()
                    .any(|kind| kind == name || (kind == "number" && name == "integer"))
            }
            "const" => value == rule,
            "enum" => rule.as_array().is_some_and(|all| all.contains(value)),
            "minimum" => number.is_none_or(|number| number >= limit),
            "maximum" => number.is_none_or(|number| number <= limit),
            "exclusiveMinimum" => number.is_none_or(|number| number > limit),
            "exclusiveMaximum" => number.is_none_or(|number| number < limit),
            "multipleOf" => value
                .as_i64()
                .is_none_or(|number| number % (limit as i64) == 0),
            "minLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as f64 >= limit),
            "maxLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as f64 <= limit),
            "pattern" => value.as_str().is_none_or(|text| {
                let bytes = text.as_bytes();
                bytes.len() == 6
                    && bytes[..2].iter().all(u8::is_ascii_uppercase)
                    && bytes[2] == b'-'
                    && bytes[3..].iter().all(u8::is_ascii_digit)
            }),
            "format" if rule == "date" => value
                .as_str()
                .is_none_or(|text| text.len() == 10 && text.split('-').count() == 3),
            "format" => value.as_str().is_none_or(|text| text.contains('@')),
            "minItems" => value
                .as_array()
                .is_none_or(|items| items.len() as f64 >= limit),
            "maxItems" => value
                .as_array()
                .is_none_or(|items| items.len() as f64 <= limit),
            "items" => {
                value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .try_for_each(|item| fits(item, rule))?;
                true
            }
            "properties" => {
                for (name, schema) in rule.as_object().into_iter().flatten() {
                    value
                        .get(name)
                        .map_or(Ok(()), |member| fits(member, schema))?;
                }
                true
            }
            "required" => rule
                .as_array()
                .into_iter()
                .flatten()
                .all(|name| value.get(name.as_str().expect("a name")).is_some()),
            "additionalProperties" => {
                let known = &schema["properties"];
                value
                    .as_object()
                    .is_none_or(|members| members.keys().all(|name| known.get(name).is_some()))
            }
            "anyOf" => rule
                .as_array()
                .is_some_and(|any| any.iter().any(|schema| fits(value, schema).is_ok())),
            "allOf" => {
                rule.as_array()
                    .into_iter()
                    .flatten()
                    .try_for_each(|schema| fits(value, schema))?;
                true
            }
            other => return Err(format!("the test does not support {other}")),
        };
        if !good {
            return fail(keyword);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_well_formed_and_repeatable(prompt in prompts(), limit in 1_u64..200, thinking: bool, guarded: bool) {
        let mut body = with(user(&prompt), json!({"inferenceConfig": {"maxTokens": limit, "stopSequences": ["zq", "7"]}}));
        if thinking {
            body["outputConfig"] = json!({"effort": "high"});
        }
        if guarded {
            body["guardrailConfig"] = json!({"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled"});
        }
        let script = answer(MODEL, &body).expect("an answer");
        check_script(&script);
        prop_assert_eq!(&script, &answer(MODEL, &body).expect("an answer"));
        let answer = Answer::of(&script);
        prop_assert!(answer.usage("outputTokens") <= limit);
        prop_assert!(answer.stop_reason != "max_tokens" || answer.usage("outputTokens") == limit);
        prop_assert!(!answer.text().contains("zq"));
    }

    #[test]
    fn limits_only_cut(prompt in prompts(), limit in 1_u64..120, length in 1_u32..200) {
        let style = Style { default_length: length, ..Style::default() };
        let ask = |body: &Value| Answer::of(&answer_with(MODEL, body, &style).expect("an answer"));
        let whole = ask(&user(&prompt));
        let cut = ask(&with(user(&prompt), json!({"inferenceConfig": {"maxTokens": limit}})));
        prop_assert!(whole.text().starts_with(&cut.text()));
        prop_assert_eq!(cut.usage("outputTokens"), limit.min(whole.usage("outputTokens")));
    }

    #[test]
    fn tool_input_fits_its_schema(prompt in prompts(), schema in schemas()) {
        let schema = json!({"type": "object", "properties": {"value": schema}, "required": ["value"]});
        let body = with(user(&prompt), json!({"toolConfig": {
            "tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": schema}}}],
            "toolChoice": {"any": {}},
        }}));
        let script = answer(MODEL, &body).expect("an answer");
        check_script(&script);
        let calls = Answer::of(&script).tool_calls();
        prop_assume!(!calls.is_empty());
        for call in calls {
            // Some prompts contain triggers, which end answers early.
            if !prompt.contains("emulate:") {
                fits(&call.input(), &schema).map_err(TestCaseError::fail)?;
            }
        }
    }

    #[test]
    fn text_fits_the_format_that_is_asked_for(schema in schemas()) {
        let schema = json!({"type": "object", "properties": {"value": schema}, "required": ["value"]});
        let format = json!({"type": "json_schema", "structure": {"jsonSchema": {"schema": schema.to_string()}}});
        let body = with(user("Answer"), json!({"outputConfig": {"textFormat": format}}));
        let text = Answer::of(&answer(MODEL, &body).expect("an answer")).text();
        let value: Value = serde_json::from_str(&text).expect("JSON");
        fits(&value, &schema).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn no_body_panics(body in bodies()) {
        if let Ok(script) = answer(MODEL, &body) {
            check_script(&script);
        }
    }
}

/// Bodies with valid names in the wrong places.
fn bodies() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "messages",
        "role",
        "content",
        "text",
        "toolUse",
        "toolResult",
        "toolUseId",
        "name",
        "input",
        "system",
        "toolConfig",
        "tools",
        "toolSpec",
        "inputSchema",
        "json",
        "type",
        "document",
        "source",
        "bytes",
        "citations",
        "enabled",
        "inferenceConfig",
        "stopSequences",
        "maxTokens",
        "guardrailConfig",
        "outputConfig",
        "$ref",
        "anyOf",
        "items",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["user", "assistant", "object", "#", "é", "AAAA", ""])
            .prop_map(Value::from),
    ];
    let any = leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((names.clone(), inner), 0..4).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    });
    (any.clone(), any).prop_map(|(extra, block)| {
        let mut body = user("x");
        if let (Some(members), Some(more)) = (body.as_object_mut(), extra.as_object()) {
            members.extend(more.clone());
        }
        if let Some(blocks) = body
            .pointer_mut("/messages/0/content")
            .and_then(Value::as_array_mut)
        {
            blocks.push(block);
        }
        body
    })
}
