//! Lists foundation models. They are a selection with real IDs, not a copy of Bedrock's list.

use super::geography::Geography::{self, Apac, Eu, Global, Us};

/// A foundation model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// `modelId`.
    pub id: &'static str,
    /// `modelName`, at most 20 characters, as in the API's model.
    pub name: &'static str,
    /// `providerName`.
    pub provider: &'static str,
    /// `inputModalities`.
    pub input: &'static [&'static str],
    /// Whether the model can be called by its ID, without a profile.
    pub on_demand: bool,
    /// Whether `modelLifecycle.status` is `LEGACY`.
    pub legacy: bool,
    /// The geographies that have a profile for the model.
    pub profiles: &'static [Geography],
    /// The maximum number of output tokens of an answer, rounded. A call without `maxTokens`
    /// reserves this many tokens from the quota.
    pub max_output: u64,
    /// The number of quota tokens per output token. It is 5 for Claude 3.7 and later.
    pub burn_down: u64,
    /// What the model writes. Converse supports only models that write text.
    pub output: Output,
    /// Whether CountTokens supports the model.
    pub counts_tokens: bool,
    /// The release date, in ISO 8601.
    pub since: &'static str,
}

/// What a model writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Text.
    Text,
    /// The embedding of a text.
    Embedding,
    /// Images.
    Image,
    /// The relevance of documents to a query.
    Ranking,
}

impl Model {
    /// Returns the model with this ID.
    pub fn find(id: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.id == id)
    }

    /// Returns whether the model is available in a Region, on demand or through a profile. Models
    /// without any profile are available everywhere.
    pub fn is_in(&self, region: &str) -> bool {
        self.profiles.is_empty()
            || self
                .profiles
                .iter()
                .any(|geography| geography.has_source(region))
    }

    /// Returns the `modelArn` of the model in a Region.
    pub fn arn(&self, region: &str) -> String {
        format!("arn:aws:bedrock:{region}::foundation-model/{}", self.id)
    }
}

const TEXT: &[&str] = &["TEXT"];
const SEES: &[&str] = &["TEXT", "IMAGE"];
const EVERYWHERE: &[Geography] = &[Us, Eu, Apac, Global];
const GEOGRAPHIES: &[Geography] = &[Us, Eu, Apac];

const fn model(
    id: &'static str,
    name: &'static str,
    provider: &'static str,
    since: &'static str,
) -> Model {
    Model {
        id,
        name,
        provider,
        input: TEXT,
        on_demand: true,
        legacy: false,
        profiles: &[],
        max_output: 8192,
        burn_down: 1,
        output: Output::Text,
        counts_tokens: false,
        since,
    }
}

/// Creates a Claude model of version 3.7 or later, which is available only through profiles.
const fn claude(
    id: &'static str,
    name: &'static str,
    profiles: &'static [Geography],
    since: &'static str,
) -> Model {
    Model {
        input: SEES,
        on_demand: false,
        profiles,
        max_output: 64_000,
        burn_down: 5,
        ..model(id, name, "Anthropic", since)
    }
}

/// Creates an Amazon model that is available on demand and through profiles.
const fn nova(id: &'static str, name: &'static str, input: &'static [&'static str]) -> Model {
    Model {
        input,
        profiles: GEOGRAPHIES,
        max_output: 10_000,
        ..model(id, name, "Amazon", "2024-12-02T00:00:00Z")
    }
}

/// All models.
pub static MODELS: &[Model] = &[
    model(
        "ai21.jamba-1-5-mini-v1:0",
        "Jamba 1.5 Mini",
        "AI21 Labs",
        "2024-09-23T00:00:00Z",
    ),
    Model {
        output: Output::Image,
        max_output: 0,
        ..model(
            "amazon.nova-canvas-v1:0",
            "Nova Canvas",
            "Amazon",
            "2024-12-02T00:00:00Z",
        )
    },
    nova("amazon.nova-lite-v1:0", "Nova Lite", SEES),
    nova("amazon.nova-micro-v1:0", "Nova Micro", TEXT),
    Model {
        on_demand: false,
        profiles: &[Us],
        ..nova("amazon.nova-premier-v1:0", "Nova Premier", SEES)
    },
    nova("amazon.nova-pro-v1:0", "Nova Pro", SEES),
    Model {
        output: Output::Embedding,
        max_output: 0,
        ..model(
            "amazon.titan-embed-text-v2:0",
            "Titan Embeddings V2",
            "Amazon",
            "2024-04-30T00:00:00Z",
        )
    },
    Model {
        legacy: true,
        ..model(
            "amazon.titan-text-express-v1",
            "Titan Text Express",
            "Amazon",
            "2023-11-29T00:00:00Z",
        )
    },
    Model {
        legacy: true,
        ..model(
            "amazon.titan-text-lite-v1",
            "Titan Text Lite",
            "Amazon",
            "2023-11-29T00:00:00Z",
        )
    },
    Model {
        on_demand: true,
        legacy: true,
        max_output: 4096,
        burn_down: 1,
        ..claude(
            "anthropic.claude-3-haiku-20240307-v1:0",
            "Claude 3 Haiku",
            GEOGRAPHIES,
            "2024-03-13T00:00:00Z",
        )
    },
    Model {
        legacy: true,
        counts_tokens: true,
        ..claude(
            "anthropic.claude-3-7-sonnet-20250219-v1:0",
            "Claude 3.7 Sonnet",
            GEOGRAPHIES,
            "2025-02-24T00:00:00Z",
        )
    },
    Model {
        counts_tokens: true,
        ..claude(
            "anthropic.claude-haiku-4-5-20251001-v1:0",
            "Claude Haiku 4.5",
            EVERYWHERE,
            "2025-10-15T00:00:00Z",
        )
    },
    claude(
        "anthropic.claude-opus-4-8",
        "Claude Opus 4.8",
        EVERYWHERE,
        "2026-05-01T00:00:00Z",
    ),
    Model {
        counts_tokens: true,
        ..claude(
            "anthropic.claude-sonnet-4-20250514-v1:0",
            "Claude Sonnet 4",
            EVERYWHERE,
            "2025-05-22T00:00:00Z",
        )
    },
    Model {
        counts_tokens: true,
        ..claude(
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "Claude Sonnet 4.5",
            EVERYWHERE,
            "2025-09-29T00:00:00Z",
        )
    },
    claude(
        "anthropic.claude-sonnet-4-6",
        "Claude Sonnet 4.6",
        EVERYWHERE,
        "2026-02-17T00:00:00Z",
    ),
    claude(
        "anthropic.claude-sonnet-5",
        "Claude Sonnet 5",
        EVERYWHERE,
        "2026-06-01T00:00:00Z",
    ),
    model(
        "cohere.command-r-v1:0",
        "Command R",
        "Cohere",
        "2024-04-29T00:00:00Z",
    ),
    Model {
        output: Output::Ranking,
        max_output: 0,
        ..model(
            "cohere.rerank-v3-5:0",
            "Rerank 3.5",
            "Cohere",
            "2024-12-01T00:00:00Z",
        )
    },
    Model {
        on_demand: false,
        profiles: &[Us],
        ..model(
            "deepseek.r1-v1:0",
            "DeepSeek-R1",
            "DeepSeek",
            "2025-03-10T00:00:00Z",
        )
    },
    model(
        "meta.llama3-8b-instruct-v1:0",
        "Llama 3 8B Instruct",
        "Meta",
        "2024-04-23T00:00:00Z",
    ),
    Model {
        on_demand: false,
        profiles: &[Us, Eu],
        ..model(
            "meta.llama3-2-1b-instruct-v1:0",
            "Llama 3.2 1B",
            "Meta",
            "2024-09-25T00:00:00Z",
        )
    },
    Model {
        on_demand: false,
        profiles: &[Us],
        input: SEES,
        ..model(
            "meta.llama4-maverick-17b-instruct-v1:0",
            "Llama 4 Maverick 17B",
            "Meta",
            "2025-04-28T00:00:00Z",
        )
    },
    model(
        "mistral.devstral-2-123b",
        "Devstral 2 123B",
        "Mistral AI",
        "2025-12-09T00:00:00Z",
    ),
    model(
        "mistral.mistral-7b-instruct-v0:2",
        "Mistral 7B Instruct",
        "Mistral AI",
        "2024-03-01T00:00:00Z",
    ),
];
