//! The emulator's answers, tested only through its public API.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect"
)]

mod metadata;
mod models;
mod properties;
mod reader;
mod refusals;
mod schemas;

use bedrock_emulator::{
    answer::{Style, answer, answer_with},
    script::Script,
};
use serde_json::{Value, json};

use reader::{Answer, check_script};

const MODEL: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";

fn ask(body: &Value) -> Answer {
    let script = answer(MODEL, body).expect("an answer");
    check_script(&script);
    Answer::of(&script)
}

fn user(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": text}]}]})
}

fn with(mut body: Value, more: Value) -> Value {
    let (Some(members), Value::Object(more)) = (body.as_object_mut(), more) else {
        panic!("both are objects");
    };
    members.extend(more);
    body
}

#[test]
fn text_is_about_the_prompt() {
    let answer = ask(&with(
        user("Tell me about the history of tea in Portugal"),
        json!({"system": [{"text": "You are a historian."}]}),
    ));
    assert_eq!(answer.stop_reason, "end_turn");
    let text = answer.text();
    assert!(text.contains("history of tea"), "{text}");
    assert!(text.contains("You are a historian"), "{text}");
    assert!(text.matches('.').count() >= 3, "{text}");
}

#[test]
fn text_names_attachments_and_counts_messages() {
    let body = json!({"messages": [
        {"role": "user", "content": [{"text": "Hello there, emulator, what are you?"}]},
        {"role": "assistant", "content": [{"text": "Hi"}]},
        {"role": "user", "content": [
            {"text": "Compare these"},
            {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
            {"document": {"format": "pdf", "name": "Annual report", "source": {"bytes": "JVBERi0="}}},
        ]},
    ]});
    let text = ask(&body).text();
    assert!(text.contains("an image (png)"), "{text}");
    assert!(
        text.contains("a document named \"Annual report\" (pdf)"),
        "{text}"
    );
    assert!(text.contains("3 messages"), "{text}");
}

#[test]
fn length_follows_the_request() {
    let words = |prompt: &str| ask(&user(prompt)).text().split_whitespace().count();
    assert_eq!(words("Write 300 words about lighthouses"), 300);
    assert_eq!(
        words("What is the capital of France? Reply in one word."),
        1
    );
    let style = Style {
        default_length: 400,
        ..Style::default()
    };
    let long = answer_with(MODEL, &user("Describe lighthouses"), &style).expect("an answer");
    let tokens = Answer::of(&long).usage("outputTokens");
    assert!((400..480).contains(&tokens), "{tokens}");
}

#[test]
fn max_tokens_cuts_exactly() {
    let answer = ask(&with(
        user("Write 300 words about lighthouses"),
        json!({"inferenceConfig": {"maxTokens": 17}}),
    ));
    assert_eq!(answer.stop_reason, "max_tokens");
    assert_eq!(answer.usage("outputTokens"), 17);
}

#[test]
fn stop_sequence_ends_the_text_before_it() {
    let answer = ask(&with(
        user("count to 20"),
        json!({"inferenceConfig": {"stopSequences": ["17", ", 5"]}, "additionalModelResponseFieldPaths": ["/stop_sequence", "/nothing"]}),
    ));
    assert_eq!(answer.stop_reason, "stop_sequence");
    assert_eq!(answer.text(), "1, 2, 3, 4");
    assert_eq!(
        answer.message_stop["additionalModelResponseFields"],
        json!({"stop_sequence": ", 5"})
    );
}

fn weather_tools() -> Value {
    json!({"tools": [
        {"toolSpec": {"name": "get_weather", "description": "Get the current weather for a location", "inputSchema": {"json": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "The city"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["location"],
        }}}},
        {"toolSpec": {"name": "add", "description": "Add x and y together", "inputSchema": {"json": {
            "type": "object",
            "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
            "required": ["x", "y"],
        }}}},
    ]})
}

#[test]
fn calls_a_related_tool_with_values_of_the_prompt() {
    let body = with(
        user("What is the weather in San Francisco, CA in fahrenheit?"),
        json!({"toolConfig": weather_tools()}),
    );
    let answer = ask(&body);
    assert_eq!(answer.stop_reason, "tool_use");
    assert!(answer.text().starts_with("I'll check"), "{}", answer.text());
    let calls = answer.tool_calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].name, "get_weather");
    assert_eq!(
        calls[0].input(),
        json!({"location": "San Francisco, CA", "unit": "fahrenheit"})
    );
    assert_eq!(calls[0].fragments.first().map(String::as_str), Some(""));
    assert!(calls[0].fragments.len() > 3, "{:?}", calls[0].fragments);
    assert_eq!(calls[0].id.len(), "tooluse_".len() + 22);
}

#[test]
fn unrelated_tools_are_not_called() {
    let answer = ask(&with(
        user("Tell me a story about a fox"),
        json!({"toolConfig": weather_tools()}),
    ));
    assert_eq!(answer.stop_reason, "end_turn");
    assert!(answer.tool_calls().is_empty());
}

#[test]
fn tool_choice_forces_a_call() {
    let choose = |choice: Value| {
        let mut tools = weather_tools();
        tools["toolChoice"] = choice;
        ask(&with(
            user("Use 20 and 22, please"),
            json!({"toolConfig": tools}),
        ))
    };
    let answer = choose(json!({"tool": {"name": "add"}}));
    assert_eq!(answer.tool_calls()[0].input(), json!({"x": 20, "y": 22}));
    assert_eq!(answer.text(), "");
    assert_eq!(choose(json!({"any": {}})).stop_reason, "tool_use");
}

#[test]
fn parallel_calls_for_several_places() {
    let answer = ask(&with(
        user("What is the weather in Seattle and San Francisco today?"),
        json!({"toolConfig": weather_tools()}),
    ));
    let inputs: Vec<Value> = answer
        .tool_calls()
        .iter()
        .map(|call| call.input()["location"].clone())
        .collect();
    assert_eq!(inputs, ["Seattle", "San Francisco"]);
}

#[test]
fn max_tokens_leaves_a_tools_input_partial() {
    let mut tools = weather_tools();
    tools["toolChoice"] = json!({"any": {}});
    let body = with(
        user("What is the weather in San Francisco?"),
        json!({"toolConfig": tools, "inferenceConfig": {"maxTokens": 4}}),
    );
    let answer = ask(&body);
    assert_eq!(answer.stop_reason, "max_tokens");
    let input = answer.tool_calls()[0].fragments.concat();
    assert!(serde_json::from_str::<Value>(&input).is_err(), "{input}");
    assert_eq!(answer.usage("outputTokens"), 4);
}

fn tool_conversation() -> Value {
    json!({
        "messages": [
            {"role": "user", "content": [{"text": "What is the weather in Paris?"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {"location": "Paris"}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"json": {"sky": "cloudy", "celsius": 11}}]}}]},
        ],
        "toolConfig": weather_tools(),
    })
}

#[test]
fn a_tools_result_is_used() {
    let answer = ask(&tool_conversation());
    assert_eq!(answer.stop_reason, "end_turn");
    let text = answer.text();
    assert!(
        text.contains("get_weather")
            && text.contains("sky is cloudy")
            && text.contains("celsius is 11"),
        "{text}"
    );
}

#[test]
fn reasoning_comes_first_and_is_signed() {
    let body = with(
        user("Why is the sky blue?"),
        json!({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "inferenceConfig": {"maxTokens": 4096}}),
    );
    let answer = ask(&body);
    let (reasoning, text) = (&answer.blocks[0], &answer.blocks[1]);
    assert!(reasoning.deltas.len() > 20);
    let (signature, thoughts) = reasoning.deltas.split_last().expect("deltas");
    assert!(
        signature["reasoningContent"]["signature"]
            .as_str()
            .is_some_and(|text| text.len() >= 100)
    );
    assert!(
        thoughts
            .iter()
            .all(|delta| delta["reasoningContent"]["text"].is_string())
    );
    assert!(text.deltas.iter().all(|delta| delta["text"].is_string()));

    let effort = ask(&with(
        user("Why is the sky blue?"),
        json!({"outputConfig": {"effort": "low"}}),
    ));
    assert!(effort.blocks[0].deltas[0]["reasoningContent"].is_object());
    let redacted = ask(&with(
        user("emulate:redacted_reasoning why?"),
        json!({"outputConfig": {"effort": "low"}}),
    ));
    assert!(redacted.blocks[0].deltas[0]["reasoningContent"]["redactedContent"].is_string());
}

#[test]
fn citations_quote_their_source() {
    let policy =
        "Company leave policy: Employees get 20 days annual leave. Consult with HR for details.";
    let ask_about = |source: Value| {
        ask(&json!({"messages": [{"role": "user", "content": [
            {"document": {"format": "txt", "name": "company_policy", "source": source, "citations": {"enabled": true}}},
            {"text": "How many days of annual leave do employees get?"},
        ]}]}))
    };
    let cited = |answer: &Answer| {
        let delta = answer
            .blocks
            .iter()
            .flat_map(|block| &block.deltas)
            .find(|delta| delta["citation"].is_object());
        delta.expect("a citation")["citation"].clone()
    };
    let citation = cited(&ask_about(json!({"text": policy})));
    let location = &citation["location"]["documentChar"];
    let (start, end) = (
        location["start"].as_u64().expect("start") as usize,
        location["end"].as_u64().expect("end") as usize,
    );
    assert_eq!(citation["sourceContent"][0]["text"], policy[start..end]);
    assert_eq!((start, end), (0, 58));

    let chunk = cited(&ask_about(
        json!({"content": [{"text": "Nothing."}, {"text": "20 days annual leave for employees."}]}),
    ));
    assert_eq!(
        chunk["location"]["documentChunk"],
        json!({"documentIndex": 0, "start": 1, "end": 2})
    );
    let page = cited(&ask_about(json!({"bytes": "JVBERi0xLjcKAA=="})));
    assert!(page["location"]["documentPage"].is_object());

    let search = ask(&json!({"messages": [{"role": "user", "content": [
        {"searchResult": {"source": "https://example.com/tea", "title": "Tea", "content": [{"text": "Tea is a drink."}], "citations": {"enabled": true}}},
        {"text": "What is tea?"},
    ]}]}));
    let citation = cited(&search);
    assert_eq!(citation["source"], "https://example.com/tea");
    assert!(citation["location"]["searchResultLocation"].is_object());
    assert!(search.text().contains("Tea is a drink"));
}

#[test]
fn a_json_schema_shapes_the_text() {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 18}}, "required": ["name", "age"]});
    let answer = ask(&with(
        user("Invent a person"),
        json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema.to_string(), "name": "person"}}}}}),
    ));
    let value: Value = serde_json::from_str(&answer.text()).expect("JSON");
    assert!(
        value["name"].is_string() && value["age"].as_i64() >= Some(18),
        "{value}"
    );
}

fn guarded(prompt: &str) -> Value {
    with(
        user(prompt),
        json!({"guardrailConfig": {"guardrailIdentifier": "v9kpg6yrwhs2", "guardrailVersion": "DRAFT", "trace": "enabled"}}),
    )
}

#[test]
fn a_guardrail_masks_personal_data() {
    let answer = ask(&guarded(
        "Please write a letter to someone whose address, so far as I know, is jo@example.com",
    ));
    assert_eq!(answer.stop_reason, "guardrail_intervened");
    assert!(
        answer.text().contains("{EMAIL}") && !answer.text().contains("jo@example.com"),
        "{}",
        answer.text()
    );
    let trace = &answer.metadata["trace"]["guardrail"];
    let found = &trace["outputAssessments"]["v9kpg6yrwhs2"][0]["sensitiveInformationPolicy"]["piiEntities"]
        [0];
    assert_eq!(
        *found,
        json!({"action": "ANONYMIZED", "match": "jo@example.com", "type": "EMAIL"})
    );
    assert!(
        trace["inputAssessment"]["v9kpg6yrwhs2"]["invocationMetrics"]["usage"]["wordPolicyUnits"]
            .is_u64()
    );
    assert!(
        trace["modelOutput"][0]
            .as_str()
            .is_some_and(|output| output.contains("jo@example.com"))
    );
}

#[test]
fn a_guardrail_blocks_and_otherwise_lets_pass() {
    let blocked = ask(&guarded("emulate:guardrail_block now"));
    assert_eq!(blocked.stop_reason, "guardrail_intervened");
    assert_eq!(
        blocked.text(),
        "Sorry, the model cannot answer this question."
    );
    let passed = ask(&guarded("Explain rain"));
    assert_eq!(passed.stop_reason, "end_turn");
    assert!(passed.metadata["trace"]["guardrail"]["outputAssessments"].is_object());
    let untraced = ask(&user("emulate:guardrail_block now"));
    assert_eq!(untraced.stop_reason, "end_turn");
    assert!(untraced.metadata.get("trace").is_none());
}

#[test]
fn rare_stop_reasons_and_images_on_demand() {
    for reason in [
        "content_filtered",
        "malformed_model_output",
        "malformed_tool_use",
        "model_context_window_exceeded",
    ] {
        assert_eq!(
            ask(&user(&format!("Please emulate:{reason} here"))).stop_reason,
            reason
        );
    }
    let image = ask(&user("Draw: emulate:image"));
    let last = image.blocks.last().expect("a block");
    assert_eq!(last.start, Some(json!({"image": {"format": "png"}})));
    assert!(last.deltas[0]["image"]["source"]["bytes"].is_string());
}

#[test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
fn all_recorded_requests_are_answered() {
    let folder = std::env::var_os("BEDROCK_GRPC_RECORDED").expect("the variable is set");
    let mut count = 0;
    for kind in ["stream", "json", "error"] {
        let cases =
            std::fs::read_dir(std::path::Path::new(&folder).join(kind)).expect("a folder of cases");
        for case in cases {
            let path = case.expect("a case").path().join("request.json");
            let text = std::fs::read_to_string(&path).expect("a request");
            let request: Value = serde_json::from_str(&text).expect("JSON");
            let model = request["modelId"].as_str().expect("a model ID");
            let script: Script = answer(model, &request["body"])
                .unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
            check_script(&script);
            count += 1;
        }
    }
    assert!(count > 100, "{count} requests");
}
