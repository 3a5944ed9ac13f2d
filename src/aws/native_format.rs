//! The models' own formats of request bodies: which field limits the number of output tokens, and
//! which tokens Bedrock reports.

/// What the gateway knows about the body format of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeFormat {
    /// The model writes text. The maximum number of output tokens is at this path of the body, and
    /// Bedrock reports the tokens of a call.
    Text(&'static [&'static str]),
    /// The model writes no tokens. Bedrock reports the tokens of the input.
    Embedding,
    /// The model writes no tokens, and Bedrock reports no tokens.
    Uncounted,
}

use NativeFormat::{Embedding, Text, Uncounted};

/// The body format of foundation models, by the beginning of their IDs. The first match applies.
/// Source: Bedrock's documentation of request bodies.
const FORMATS: &[(&str, NativeFormat)] = &[
    ("amazon.titan-embed", Embedding),
    ("amazon.titan-image", Uncounted),
    (
        "amazon.titan-text",
        Text(&["textGenerationConfig", "maxTokenCount"]),
    ),
    (
        "amazon.titan-tg1",
        Text(&["textGenerationConfig", "maxTokenCount"]),
    ),
    ("amazon.nova-canvas", Uncounted),
    ("amazon.nova-micro", Text(&["inferenceConfig", "maxTokens"])),
    ("amazon.nova-lite", Text(&["inferenceConfig", "maxTokens"])),
    ("amazon.nova-pro", Text(&["inferenceConfig", "maxTokens"])),
    (
        "amazon.nova-premier",
        Text(&["inferenceConfig", "maxTokens"]),
    ),
    ("amazon.rerank", Uncounted),
    ("anthropic.claude", Text(&["max_tokens"])),
    ("ai21.jamba", Text(&["max_tokens"])),
    ("cohere.command-r", Text(&["max_tokens"])),
    ("cohere.embed", Embedding),
    ("cohere.rerank", Uncounted),
    ("deepseek.r1", Text(&["max_tokens"])),
    ("meta.llama", Text(&["max_gen_len"])),
    ("mistral.", Text(&["max_tokens"])),
    ("stability.", Uncounted),
];

impl NativeFormat {
    /// Returns the format of a foundation model, given its ID. `None` if the format is unknown.
    pub fn of_model(model: &str) -> Option<Self> {
        FORMATS
            .iter()
            .find(|(start, _)| model.starts_with(start))
            .map(|(_, format)| *format)
    }

    /// Returns whether Bedrock reports the tokens of a call.
    pub const fn counts_tokens(self) -> bool {
        match self {
            Text(_) | Embedding => true,
            Uncounted => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_models() {
        for (model, expected) in [
            ("amazon.titan-embed-text-v2:0", Some(Embedding)),
            ("amazon.titan-image-generator-v2:0", Some(Uncounted)),
            ("anthropic.claude-sonnet-5", Some(Text(&["max_tokens"]))),
            ("meta.llama3-8b-instruct-v1:0", Some(Text(&["max_gen_len"]))),
            (
                "amazon.nova-pro-v1:0",
                Some(Text(&["inferenceConfig", "maxTokens"])),
            ),
            ("amazon.nova-canvas-v1:0", Some(Uncounted)),
            ("someone.new-model", None),
        ] {
            assert_eq!(NativeFormat::of_model(model), expected, "{model}");
        }
    }
}
