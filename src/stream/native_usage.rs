//! Reads the token counts of answers in the models' own formats. The counts are taken from the
//! headers of Bedrock's response or the metrics in its last chunk, or else from members of the
//! model's format.

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    bedrock::{HeaderCounts, ModelHead},
    pb::{
        CacheDetail, CacheTtl, ConverseStreamMetadata, PerformanceConfigLatency,
        PerformanceConfiguration, ServiceTier, ServiceTierType, TokenUsage,
    },
    translate::grown,
};

/// The maximum size of an answer that is searched for token counts, in bytes. Larger answers
/// contain images and have no token counts.
const MAX_PARSED: usize = 1 << 20;

/// The members of answers that contain token counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Known {
    /// In Amazon Titan's format.
    #[serde(rename = "inputTextTokenCount")]
    titan_input: Option<i32>,
    results: Option<Vec<TitanResult>>,
    #[serde(rename = "totalOutputTextTokenCount")]
    titan_output: Option<i32>,
    /// In Meta's format.
    prompt_token_count: Option<i32>,
    generation_token_count: Option<i32>,
    /// In the formats of Anthropic, Amazon Nova and OpenAI.
    usage: Option<KnownUsage>,
    /// The object that contains the usage in Anthropic's first chunk (`message`) and in Amazon
    /// Nova's last chunk (`metadata`).
    #[serde(alias = "metadata")]
    message: Option<Nested>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Nested {
    Object { usage: Option<KnownUsage> },
    Other(IgnoredAny),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TitanResult {
    #[serde(rename = "tokenCount")]
    tokens: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct KnownUsage {
    #[serde(alias = "inputTokens", alias = "prompt_tokens")]
    input_tokens: Option<i32>,
    #[serde(alias = "outputTokens", alias = "completion_tokens")]
    output_tokens: Option<i32>,
    #[serde(alias = "cacheReadInputTokenCount")]
    cache_read_input_tokens: Option<i32>,
    #[serde(alias = "cacheWriteInputTokenCount")]
    cache_creation_input_tokens: Option<i32>,
    cache_creation: Option<CacheCreation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<i32>,
}

/// Bedrock's metrics in the last chunk of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct InvocationMetrics {
    input_token_count: Option<i32>,
    output_token_count: Option<i32>,
    cache_read_input_token_count: Option<i32>,
    cache_write_input_token_count: Option<i32>,
    pub(super) invocation_latency: Option<i64>,
}

/// The known token counts. None is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    input: Option<i32>,
    output: Option<i32>,
    cache_read: Option<i32>,
    cache_write: Option<i32>,
    /// The part of `cache_write` that is cached for an hour.
    for_an_hour: Option<i32>,
}

impl Counts {
    /// Reads the known members of an answer or a chunk.
    pub(crate) fn of_json(json: &[u8]) -> Self {
        let known = (json.len() <= MAX_PARSED).then(|| serde_json::from_slice::<Known>(json));
        let known = known.and_then(Result::ok).unwrap_or_default();
        let nested = known.message.and_then(|message| match message {
            Nested::Object { usage } => usage,
            Nested::Other(IgnoredAny) => None,
        });
        let usage = known.usage.or(nested).unwrap_or_default();
        let generated = known.results.as_ref().map(|results| {
            let tokens = results.iter().filter_map(|result| result.tokens);
            tokens.fold(0_i32, i32::saturating_add)
        });
        let first = |counts: [Option<i32>; 4]| counts.into_iter().flatten().find(|it| *it >= 0);
        Self {
            input: first([
                known.titan_input,
                known.prompt_token_count,
                usage.input_tokens,
                None,
            ]),
            output: first([
                generated,
                known.titan_output,
                known.generation_token_count,
                usage.output_tokens,
            ]),
            cache_read: valid(usage.cache_read_input_tokens),
            cache_write: valid(usage.cache_creation_input_tokens),
            for_an_hour: usage
                .cache_creation
                .and_then(|creation| creation.ephemeral_1h_input_tokens)
                .filter(|tokens| *tokens > 0),
        }
    }

    /// Returns these counts, with unknown ones taken from `other`.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            cache_read: self.cache_read.or(other.cache_read),
            cache_write: self.cache_write.or(other.cache_write),
            for_an_hour: self.for_an_hour.or(other.for_an_hour),
        }
    }

    /// Returns the usage. `None` if the number of input tokens is not known.
    pub(crate) fn usage(self) -> Option<TokenUsage> {
        let input = self.input?;
        let total = [Some(input), self.output, self.cache_read, self.cache_write]
            .into_iter()
            .flatten()
            .fold(0_i32, i32::saturating_add);
        Some(TokenUsage {
            input_tokens: Some(input),
            output_tokens: Some(self.output.unwrap_or_default()),
            total_tokens: Some(total),
            cache_read_input_tokens: self.cache_read,
            cache_write_input_tokens: self.cache_write,
            cache_details: self
                .for_an_hour
                .map(|tokens| CacheDetail {
                    ttl: CacheTtl::CacheTtl1h.into(),
                    input_tokens: Some(tokens),
                    ..CacheDetail::default()
                })
                .into_iter()
                .collect(),
        })
    }
}

fn valid(count: Option<i32>) -> Option<i32> {
    count.filter(|count| *count >= 0)
}

impl From<HeaderCounts> for Counts {
    fn from(headers: HeaderCounts) -> Self {
        Self {
            input: headers.input,
            output: headers.output,
            cache_read: headers.cache_read,
            cache_write: headers.cache_write,
            for_an_hour: None,
        }
    }
}

impl From<InvocationMetrics> for Counts {
    fn from(metrics: InvocationMetrics) -> Self {
        Self {
            input: valid(metrics.input_token_count),
            output: valid(metrics.output_token_count),
            cache_read: valid(metrics.cache_read_input_token_count),
            cache_write: valid(metrics.cache_write_input_token_count),
            for_an_hour: None,
        }
    }
}

/// Returns metadata about a call, in the format of Bedrock's `metadata` event.
pub(crate) fn metadata(counts: Counts, head: &ModelHead) -> ConverseStreamMetadata {
    let performance_config = head.latency.as_deref().map(|word| {
        let (latency, latency_name) = grown::fields::<PerformanceConfigLatency>(word);
        PerformanceConfiguration {
            latency,
            latency_name,
        }
    });
    let service_tier = head.service_tier.as_deref().map(|word| {
        let (r#type, type_name) = grown::fields::<ServiceTierType>(word);
        ServiceTier { r#type, type_name }
    });
    ConverseStreamMetadata {
        usage: counts.usage(),
        performance_config,
        service_tier,
        ..ConverseStreamMetadata::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(headers: HeaderCounts, body: &str) -> Option<(i32, i32)> {
        let counts = Counts::from(headers).or(Counts::of_json(body.as_bytes()));
        let usage = counts.usage()?;
        Some((usage.input_tokens?, usage.output_tokens?))
    }

    #[test]
    fn headers_come_before_known_members() {
        let headers = HeaderCounts {
            input: Some(7),
            output: Some(3),
            ..HeaderCounts::default()
        };
        let none = HeaderCounts::default();
        let claude = r#"{"usage":{"input_tokens":1,"output_tokens":2}}"#;
        assert_eq!(counted(headers, claude), Some((7, 3)));
        for (body, expected) in [
            (claude, Some((1, 2))),
            (
                r#"{"inputTextTokenCount":5,"embedding":[0.1]}"#,
                Some((5, 0)),
            ),
            (
                r#"{"inputTextTokenCount":5,"results":[{"tokenCount":4},{"tokenCount":2}]}"#,
                Some((5, 6)),
            ),
            (
                r#"{"prompt_token_count":8,"generation_token_count":9}"#,
                Some((8, 9)),
            ),
            (
                r#"{"usage":{"inputTokens":3,"outputTokens":4}}"#,
                Some((3, 4)),
            ),
            (
                r#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
                Some((3, 4)),
            ),
            (r#"{"usage":"x"}"#, None),
            (r#"{"inputTextTokenCount":-5}"#, None),
            ("no JSON", None),
        ] {
            assert_eq!(counted(none, body), expected, "{body}");
        }
    }

    #[test]
    fn cached_tokens_keep_their_time_to_live() {
        let body = r#"{"usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":10,
            "cache_creation_input_tokens":20,"cache_creation":{"ephemeral_1h_input_tokens":15}}}"#;
        let usage = Counts::of_json(body.as_bytes()).usage().unwrap();
        assert_eq!(usage.total_tokens, Some(33));
        assert_eq!(usage.cache_write_input_tokens, Some(20));
        assert_eq!(usage.cache_details[0].input_tokens, Some(15));
    }
}
