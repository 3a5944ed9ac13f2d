//! The parts of a request that are the caller's own JSON: they must arrive exactly as written.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The caller's own JSON in a Converse request, by path. Only white space between tokens is
/// removed.
pub(super) fn of(body: &RawValue) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk("", "", body, &mut found);
    found
}

fn walk(path: &str, parent: &str, value: &RawValue, found: &mut BTreeMap<String, String>) {
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()) {
        for (name, value) in members {
            let path = format!("{path}/{name}");
            if is_document(parent, &name) {
                found.insert(path, compact(value.get()));
            } else {
                walk(&path, &name, value, found);
            }
        }
    } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        for (index, item) in items.into_iter().enumerate() {
            walk(&format!("{path}/{index}"), parent, item, found);
        }
    }
}

fn is_document(parent: &str, name: &str) -> bool {
    matches!(
        (parent, name),
        ("inputSchema" | "content", "json")
            | ("toolUse", "input")
            | ("", "additionalModelRequestFields")
    )
}

/// JSON text without white space between its tokens.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|c| {
            let keep = in_string || !c.is_ascii_whitespace();
            match c {
                '"' if !escaped => in_string = !in_string,
                '\\' if in_string && !escaped => {
                    escaped = true;
                    return keep;
                }
                _ => {}
            }
            escaped = false;
            keep
        })
        .collect()
}

#[test]
fn documents_keep_order_and_numbers() {
    let body = r#"{"toolConfig": {"tools": [{"toolSpec": {"inputSchema": {"json": {"z": 1.0, "a": " \" x"}}}}]},
        "messages": [{"content": [{"toolUse": {"input": [ 1e3 ]}}, {"toolResult": {"content": [{"json": { }}]}}]}]}"#;
    let found = of(&serde_json::from_str::<Box<RawValue>>(body).unwrap());
    let texts: Vec<_> = found.values().map(String::as_str).collect();
    assert_eq!(texts, ["[1e3]", "{}", r#"{"z":1.0,"a":" \" x"}"#]);
}
