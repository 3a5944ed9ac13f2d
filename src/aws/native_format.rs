//! The models' own formats of bodies: which member limits the number of output tokens, how the end
//! of a stream is marked, and what Bedrock bills.

/// The format of a model's bodies, as far as the gateway depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeFormat {
    /// The Messages API of Anthropic.
    Anthropic,
    /// Chat or text with `max_tokens`: AI21 Jamba, DeepSeek, Mistral, Qwen, Writer and others.
    Chat,
    /// The models of Cohere that write text.
    CohereCommand,
    /// Meta Llama.
    Llama,
    /// The models of Amazon Nova that write text.
    Nova,
    /// The chat completions of OpenAI, with two names for the maximum number of output tokens.
    OpenAi,
    /// TwelveLabs Pegasus, which describes videos.
    Pegasus,
    /// The models of Amazon Titan that write text.
    TitanText,
    /// Embeddings of Cohere.
    CohereEmbedding,
    /// Embeddings of TwelveLabs Marengo.
    MarengoEmbedding,
    /// Embeddings of Amazon Nova.
    NovaEmbedding,
    /// Embeddings of Amazon Titan.
    TitanEmbedding,
    /// Images of Amazon Nova Canvas and Amazon Titan.
    AmazonImage,
    /// Images of Stability AI.
    StabilityImage,
    /// The models of Amazon and Cohere that sort documents by their relevance to a query.
    Rerank,
}

use NativeFormat::{
    AmazonImage, Anthropic, Chat, CohereCommand, CohereEmbedding, Llama, MarengoEmbedding, Nova,
    NovaEmbedding, OpenAi, Pegasus, Rerank, StabilityImage, TitanEmbedding, TitanText,
};

/// The formats by their names in the configuration.
const NAMES: &[(&str, NativeFormat)] = &[
    ("amazon_image", AmazonImage),
    ("anthropic", Anthropic),
    ("chat", Chat),
    ("cohere_command", CohereCommand),
    ("cohere_embedding", CohereEmbedding),
    ("llama", Llama),
    ("marengo_embedding", MarengoEmbedding),
    ("nova", Nova),
    ("nova_embedding", NovaEmbedding),
    ("openai", OpenAi),
    ("pegasus", Pegasus),
    ("rerank", Rerank),
    ("stability_image", StabilityImage),
    ("titan_embedding", TitanEmbedding),
    ("titan_text", TitanText),
];

/// The body formats of foundation models, by the prefix of their IDs. The first match applies.
///
/// Source: Bedrock's user guide, "Inference request parameters and response fields for foundation
/// models", with a page for each provider, and "Foundation model information" for the APIs of
/// models that have no such page. For Amazon Nova: Nova's user guide, "Complete request schema".
///
/// For Gemma, GLM, Kimi, MiniMax and Nemotron, no page of AWS that describes their bodies was
/// found. "API compatibility" in Bedrock's user guide says that Gemma and MiniMax have both
/// InvokeModel and chat completions. That the bodies of all five families are those of chat
/// completions, with `max_tokens`, is an assumption, and has not been tested with Bedrock.
const FORMATS: &[(&str, NativeFormat)] = &[
    ("ai21.jamba", Chat),
    ("amazon.nova-2-multimodal-embeddings", NovaEmbedding),
    ("amazon.nova-2-", Nova),
    ("amazon.nova-canvas", AmazonImage),
    ("amazon.nova-lite", Nova),
    ("amazon.nova-micro", Nova),
    ("amazon.nova-premier", Nova),
    ("amazon.nova-pro", Nova),
    ("amazon.rerank", Rerank),
    ("amazon.titan-embed", TitanEmbedding),
    ("amazon.titan-image", AmazonImage),
    ("amazon.titan-text", TitanText),
    ("amazon.titan-tg1", TitanText),
    ("anthropic.claude", Anthropic),
    ("cohere.command-r", CohereCommand),
    ("cohere.embed", CohereEmbedding),
    ("cohere.rerank", Rerank),
    ("deepseek.", Chat),
    ("google.gemma", Chat),
    ("meta.llama", Llama),
    ("minimax.", Chat),
    ("mistral.", Chat),
    ("moonshot.", Chat),
    ("moonshotai.", Chat),
    ("nvidia.nemotron", Chat),
    ("openai.gpt-oss", OpenAi),
    ("qwen.", Chat),
    ("stability.", StabilityImage),
    ("twelvelabs.marengo", MarengoEmbedding),
    ("twelvelabs.pegasus", Pegasus),
    ("writer.palmyra", Chat),
    ("zai.", Chat),
];

/// Where a body has its maximum number of output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxTokens {
    /// The path of the member. The gateway adds this member to bodies without a maximum.
    pub path: &'static [&'static str],
    /// Another name of the member, if the format has two.
    pub alternative: Option<&'static str>,
}

/// The member of a chunk that marks the end of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndMarker {
    /// The name of the member.
    pub member: &'static str,
    /// The value that marks the end. If `None`, every value except null does.
    pub value: Option<&'static str>,
}

/// A member of a body that is an image that Bedrock bills by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BilledMedia {
    /// The name of the member, in lower case and without separators.
    pub name: &'static str,
    /// Whether the value is an object. If not, it is a text, or a list of texts.
    pub is_object: bool,
}

impl BilledMedia {
    const fn text(name: &'static str) -> Self {
        Self {
            name,
            is_object: false,
        }
    }

    const fn object(name: &'static str) -> Self {
        Self {
            name,
            is_object: true,
        }
    }
}

/// What Bedrock bills for the calls of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billed {
    /// Tokens, which Bedrock reports. Media in the body may be billed by their number.
    Tokens,
    /// The images of the answer.
    Images,
    /// Queries of up to 100 documents.
    Queries,
}

impl NativeFormat {
    /// Returns the format of a foundation model, given its ID. `None` if the format is unknown.
    pub fn of_model(model: &str) -> Option<Self> {
        FORMATS
            .iter()
            .find(|(start, _)| model.starts_with(start))
            .map(|(_, format)| *format)
    }

    /// Returns the format with this name in the configuration.
    pub fn named(name: &str) -> Option<Self> {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, format)| *format)
    }

    /// Returns all names in the configuration.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// Returns the name in the configuration.
    pub fn name(self) -> &'static str {
        let known = NAMES.iter().find(|(_, format)| *format == self);
        known.map_or("", |(name, _)| *name)
    }

    /// Returns where bodies have the maximum number of output tokens. `None` if the model writes no
    /// text.
    pub const fn max_tokens(self) -> Option<MaxTokens> {
        let (path, alternative): (&'static [&'static str], _) = match self {
            Anthropic | Chat | CohereCommand => (&["max_tokens"], None),
            Llama => (&["max_gen_len"], None),
            Nova => (&["inferenceConfig", "maxTokens"], None),
            OpenAi => (&["max_completion_tokens"], Some("max_tokens")),
            Pegasus => (&["maxOutputTokens"], None),
            TitanText => (&["textGenerationConfig", "maxTokenCount"], None),
            CohereEmbedding | MarengoEmbedding | NovaEmbedding | TitanEmbedding | AmazonImage
            | StabilityImage | Rerank => return None,
        };
        Some(MaxTokens { path, alternative })
    }

    /// Returns whether the model writes text.
    pub const fn writes_text(self) -> bool {
        self.max_tokens().is_some()
    }

    /// Returns the marker at the end of a stream, in addition to Bedrock's own one. `None` if the
    /// format has no marker that is unambiguous.
    pub const fn end_marker(self) -> Option<EndMarker> {
        let (member, value) = match self {
            Anthropic => ("type", Some("message_stop")),
            CohereCommand => ("is_finished", Some("true")),
            Llama => ("stop_reason", None),
            Nova => ("messageStop", None),
            TitanText => ("completionReason", None),
            // Answers of chat completions can have several choices, which end separately.
            Chat | OpenAi | Pegasus | CohereEmbedding | MarengoEmbedding | NovaEmbedding
            | TitanEmbedding | AmazonImage | StabilityImage | Rerank => return None,
        };
        Some(EndMarker { member, value })
    }

    /// Returns what Bedrock bills.
    pub const fn billed(self) -> Billed {
        match self {
            AmazonImage | StabilityImage => Billed::Images,
            Rerank => Billed::Queries,
            Anthropic | Chat | CohereCommand | Llama | Nova | OpenAi | Pegasus | TitanText
            | CohereEmbedding | MarengoEmbedding | NovaEmbedding | TitanEmbedding => Billed::Tokens,
        }
    }

    /// Returns the members of a body that are images that Bedrock bills by number.
    pub const fn billed_media(self) -> &'static [BilledMedia] {
        match self {
            CohereEmbedding => {
                &const {
                    [
                        BilledMedia::text("images"),
                        BilledMedia::text("imageurl"),
                        BilledMedia::text("url"),
                    ]
                }
            }
            MarengoEmbedding => &const { [BilledMedia::object("mediasource")] },
            NovaEmbedding => &const { [BilledMedia::object("image")] },
            TitanEmbedding => &const { [BilledMedia::text("inputimage")] },
            Anthropic | Chat | CohereCommand | Llama | Nova | OpenAi | Pegasus | TitanText
            | AmazonImage | StabilityImage | Rerank => &[],
        }
    }

    /// Returns the names of members that contain audio or video that Bedrock bills by duration,
    /// which the gateway cannot determine. The names are in lower case and without separators.
    pub const fn timed_media(self) -> &'static [&'static str] {
        match self {
            MarengoEmbedding | NovaEmbedding => &["audio", "video"],
            Pegasus => &["mediasource"],
            Anthropic | Chat | CohereCommand | Llama | Nova | OpenAi | TitanText
            | CohereEmbedding | TitanEmbedding | AmazonImage | StabilityImage | Rerank => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_models() {
        for (model, expected) in [
            ("amazon.titan-embed-text-v2:0", Some(TitanEmbedding)),
            ("amazon.titan-embed-image-v1", Some(TitanEmbedding)),
            ("amazon.titan-image-generator-v2:0", Some(AmazonImage)),
            ("anthropic.claude-sonnet-5", Some(Anthropic)),
            ("meta.llama3-8b-instruct-v1:0", Some(Llama)),
            ("amazon.nova-pro-v1:0", Some(Nova)),
            ("amazon.nova-2-lite-v1:0", Some(Nova)),
            (
                "amazon.nova-2-multimodal-embeddings-v1:0",
                Some(NovaEmbedding),
            ),
            ("amazon.nova-canvas-v1:0", Some(AmazonImage)),
            ("openai.gpt-oss-120b-1:0", Some(OpenAi)),
            ("qwen.qwen3-32b-v1:0", Some(Chat)),
            ("deepseek.v3-v1:0", Some(Chat)),
            ("mistral.pixtral-large-2502-v1:0", Some(Chat)),
            ("writer.palmyra-x5-v1:0", Some(Chat)),
            ("cohere.command-r-plus-v1:0", Some(CohereCommand)),
            ("cohere.rerank-v3-5:0", Some(Rerank)),
            ("twelvelabs.pegasus-1-2-v1:0", Some(Pegasus)),
            ("someone.new-model", None),
        ] {
            assert_eq!(NativeFormat::of_model(model), expected, "{model}");
        }
    }

    #[test]
    fn each_format_has_one_name() {
        for (name, format) in NAMES {
            assert_eq!(NativeFormat::named(name), Some(*format));
            assert_eq!(format.name(), *name);
        }
        for (_, format) in FORMATS {
            assert_ne!(format.name(), "", "{format:?}");
        }
        assert!(NAMES.is_sorted_by_key(|(name, _)| *name));
        assert_eq!(NativeFormat::named("turbo"), None);
    }

    /// A longer prefix must be listed before a shorter one that it begins with.
    #[test]
    fn each_beginning_can_match() {
        for (start, format) in FORMATS {
            assert_eq!(NativeFormat::of_model(start), Some(*format), "{start}");
        }
    }
}
