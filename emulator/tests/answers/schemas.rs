//! Tool input for schemas like those of real tools.

use serde_json::{Value, json};

use super::{ask, user, with};

/// The input that the emulator generates for a tool with this schema.
fn input(prompt: &str, schema: Value) -> Value {
    let tool = json!({"toolSpec": {"name": "t", "inputSchema": {"json": schema}}});
    let answer = ask(&with(
        user(prompt),
        json!({"toolConfig": {"tools": [tool], "toolChoice": {"tool": {"name": "t"}}}}),
    ));
    answer.tool_calls()[0].input()
}

fn member(prompt: &str, schema: Value) -> Value {
    let whole = json!({"type": "object", "properties": {"value": schema}, "required": ["value"]});
    input(prompt, whole)["value"].clone()
}

#[test]
fn keywords() {
    for (schema, value) in [
        (json!({"const": {"a": 1}}), json!({"a": 1})),
        (json!({"enum": ["x", "y"]}), json!("x")),
        (json!({"type": "string", "default": "d"}), json!("d")),
        (json!({"type": "string", "examples": ["e"]}), json!("e")),
        (
            json!({"type": "integer", "minimum": 3, "multipleOf": 5}),
            json!(5),
        ),
        (
            json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
            json!(0.25),
        ),
        (json!({"type": "integer", "maximum": -4}), json!(-4)),
        (
            json!({"type": "string", "pattern": "^v[0-9]+\\.[0-9]+$"}),
            json!("v0.0"),
        ),
        (
            json!({"type": "string", "format": "uuid"}),
            json!("00000000-0000-4000-8000-000000000000"),
        ),
        (
            json!({"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": true}),
            json!([1, 2, 3]),
        ),
        (
            json!({"type": "array", "prefixItems": [{"const": 1}, {"const": "b"}], "items": false}),
            json!([1, "b"]),
        ),
        (
            json!({"oneOf": [{"type": "integer", "minimum": 1, "maximum": 0}, {"type": "boolean"}]}),
            json!(true),
        ),
        (
            json!({"type": "string", "not": {"const": "example value"}, "enum": ["example value", "other"]}),
            json!("other"),
        ),
        (json!({"type": ["null", "boolean"]}), json!(true)),
        (
            json!({"type": "object", "minProperties": 2, "additionalProperties": {"const": 0}}),
            json!({"property1": 0, "property2": 0}),
        ),
    ] {
        assert_eq!(member("?", schema.clone()), value, "{schema}");
    }
}

#[test]
fn references_may_be_recursive() {
    let tree = json!({
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "required": ["root"],
        "$defs": {"node": {
            "type": "object",
            "properties": {
                "label": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["label", "children"],
        }},
    });
    let value = input("?", tree);
    let mut depth = 0;
    let mut node = &value["root"];
    while node.is_object() {
        assert!(
            node["label"].is_string() && node["children"].is_array(),
            "{node}"
        );
        depth += 1;
        node = &node["children"][0];
    }
    assert!((1..10).contains(&depth), "{value}");
    let endless = json!({"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}, "required": ["a"]});
    assert!(input("?", endless).get("a").is_some());
}

#[test]
fn schemas_without_end_come_to_one() {
    let me = || json!({"$ref": "#"});
    for schema in [
        json!({"type": "object", "properties": {"a": me(), "b": me(), "c": me()}, "required": ["a", "b", "c"]}),
        json!({"type": "object", "anyOf": [me(), me(), me(), me()]}),
        json!({"type": "object", "oneOf": [me(), me(), me(), me()], "allOf": [me(), me()]}),
        json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "array", "minItems": 1000, "items": me()}}}),
        json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "^((a{1000}){1000}){1000}$"}}}),
        json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "^(a*)*b$"}}}),
        json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "minLength": 9_000_000_000_u64}}}),
    ] {
        assert!(input(&"a".repeat(50_000), schema).is_object());
    }
}

#[test]
fn compositions_are_joined() {
    let schema = json!({"allOf": [
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 2}}, "required": ["a"]},
        {"properties": {"a": {"maximum": 2}, "b": {"anyOf": [{"type": "null"}, {"type": "string"}]}}, "required": ["b"]},
    ]});
    assert_eq!(member("?", schema), json!({"a": 2, "b": null}));
}

#[test]
fn the_prompt_comes_first() {
    let schema = json!({
        "type": "object",
        "properties": {
            "recipient": {"type": "string", "format": "email"},
            "subject": {"type": "string"},
            "copies": {"type": "integer", "minimum": 1, "maximum": 10},
            "cities": {"type": "array", "items": {"type": "string"}},
            "priority": {"type": "string", "enum": ["low", "high"]},
            "due_date": {"type": "string", "format": "date"},
            "unmentioned": {"type": "boolean"},
        },
        "required": ["recipient", "subject"],
    });
    let prompt = "Send 3 copies of \"Rain in spring\" to jo@example.com before 2026-05-01 about these cities: Rome, Oslo; with high priority";
    assert_eq!(
        input(prompt, schema),
        json!({
            "recipient": "jo@example.com",
            "subject": "Rain in spring",
            "copies": 3,
            "cities": ["Rome", "Oslo"],
            "priority": "high",
            "due_date": "2026-05-01",
        })
    );
    let topic = json!({"type": "object", "properties": {"concept": {"type": "string"}}, "required": ["concept"]});
    assert_eq!(
        input("Explain cloud computing", topic),
        json!({"concept": "cloud computing"})
    );
}
