//! Reads a script of events, and checks it against the grammar of streams.

use std::collections::BTreeMap;

use bedrock_emulator::script::Script;
use serde_json::Value;

/// A content block.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// `start` of its `contentBlockStart`, if there was one.
    pub(crate) start: Option<Value>,
    /// The `delta` of each `contentBlockDelta`.
    pub(crate) deltas: Vec<Value>,
}

/// A tool call.
#[derive(Debug)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The input as it arrived.
    pub(crate) fragments: Vec<String>,
}

impl ToolCall {
    pub(crate) fn input(&self) -> Value {
        serde_json::from_str(&self.fragments.concat()).expect("the input is JSON")
    }
}

/// A complete answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) blocks: Vec<Block>,
    pub(crate) stop_reason: String,
    pub(crate) message_stop: Value,
    pub(crate) metadata: Value,
}

impl Answer {
    pub(crate) fn of(script: &Script) -> Self {
        let mut blocks: BTreeMap<u64, Block> = BTreeMap::new();
        let mut answer = Self::default();
        for event in &script.events {
            let index = event.payload["contentBlockIndex"].as_u64();
            match event.name {
                "contentBlockStart" => {
                    block(&mut blocks, index).start = Some(event.payload["start"].clone())
                }
                "contentBlockDelta" => block(&mut blocks, index)
                    .deltas
                    .push(event.payload["delta"].clone()),
                "messageStop" => answer.message_stop = event.payload.clone(),
                "metadata" => answer.metadata = event.payload.clone(),
                _ => {}
            }
        }
        answer.stop_reason = answer.message_stop["stopReason"]
            .as_str()
            .expect("a stop reason")
            .to_owned();
        answer.blocks = blocks.into_values().collect();
        answer
    }

    /// All text, in order.
    pub(crate) fn text(&self) -> String {
        let deltas = self.blocks.iter().flat_map(|block| &block.deltas);
        deltas.filter_map(|delta| delta["text"].as_str()).collect()
    }

    pub(crate) fn tool_calls(&self) -> Vec<ToolCall> {
        let call = |block: &Block| {
            let start = block.start.as_ref()?.get("toolUse")?;
            let text = |name: &str| start[name].as_str().expect("a string").to_owned();
            let fragment = |delta: &Value| {
                delta["toolUse"]["input"]
                    .as_str()
                    .expect("a fragment")
                    .to_owned()
            };
            Some(ToolCall {
                id: text("toolUseId"),
                name: text("name"),
                fragments: block.deltas.iter().map(fragment).collect(),
            })
        };
        self.blocks.iter().filter_map(call).collect()
    }

    /// A figure of `metadata.usage`; 0 if it is absent.
    pub(crate) fn usage(&self, name: &str) -> u64 {
        self.metadata["usage"][name].as_u64().unwrap_or(0)
    }
}

fn block(blocks: &mut BTreeMap<u64, Block>, index: Option<u64>) -> &mut Block {
    blocks.entry(index.expect("an index")).or_default()
}

/// Whether a delta contains generated text: the emulator's token.
fn is_token(delta: &Value) -> bool {
    [
        &delta["text"],
        &delta["reasoningContent"]["text"],
        &delta["toolUse"]["input"],
    ]
    .iter()
    .any(|text| text.as_str().is_some_and(|text| !text.is_empty()))
}

/// Panics unless the events follow the grammar of streams and the usage adds up.
pub(crate) fn check_script(script: &Script) {
    let names: Vec<&str> = script.events.iter().map(|event| event.name).collect();
    let count = names.len();
    assert!(count >= 3, "{names:?}");
    assert_eq!(names[0], "messageStart");
    assert_eq!(names[count - 2..], ["messageStop", "metadata"]);
    let (mut index, mut open, mut tokens) = (0, false, 0);
    for event in &script.events[1..count - 2] {
        assert_eq!(event.payload["contentBlockIndex"], index, "{event:?}");
        match event.name {
            "contentBlockStart" => {
                assert!(!open, "{event:?}");
                open = true;
            }
            "contentBlockDelta" => {
                open = true;
                assert_eq!(
                    event.payload["delta"].as_object().map(|delta| delta.len()),
                    Some(1)
                );
                tokens += u64::from(is_token(&event.payload["delta"]));
            }
            "contentBlockStop" => {
                assert!(open, "{event:?}");
                open = false;
                index += 1;
            }
            other => panic!("{other} within the blocks"),
        }
    }
    assert!(!open, "the last block is not closed");
    let answer = Answer::of(script);
    assert_eq!(answer.usage("outputTokens"), tokens);
    let parts = [
        "inputTokens",
        "outputTokens",
        "cacheReadInputTokens",
        "cacheWriteInputTokens",
    ];
    assert_eq!(
        answer.usage("totalTokens"),
        parts.iter().map(|part| answer.usage(part)).sum::<u64>()
    );
}
