//! The tokens of a call of `InvokeModel`: from the headers of Bedrock's response, or else from the
//! members that models have for them in their answers.

use serde::Deserialize;

use crate::{
    bedrock::HeaderCounts,
    pb::{
        CacheDetail, CacheTtl, ConverseStreamMetadata, PerformanceConfigLatency,
        PerformanceConfiguration, ServiceTier, ServiceTierType, TokenUsage,
    },
};

/// The size of an answer up to which its members are looked at, in bytes. Answers with images are
/// larger, and have no tokens.
const MAX_PARSED: usize = 1 << 20;

/// The members of answers with numbers of tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Known {
    /// Amazon Titan.
    #[serde(rename = "inputTextTokenCount")]
    titan_input: Option<i32>,
    results: Option<Vec<TitanResult>>,
    /// Meta.
    prompt_token_count: Option<i32>,
    generation_token_count: Option<i32>,
    /// Anthropic, Amazon Nova, and models with OpenAI's format.
    usage: Option<KnownUsage>,
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

/// Returns Bedrock's metadata about a call, as `Invoke` would report it.
pub(super) fn metadata(
    headers: HeaderCounts,
    body: &[u8],
    latency: Option<&str>,
    service_tier: Option<&str>,
) -> ConverseStreamMetadata {
    let performance_config = latency.map(|latency| PerformanceConfiguration {
        latency: match latency {
            "standard" => PerformanceConfigLatency::Standard,
            "optimized" => PerformanceConfigLatency::Optimized,
            _ => PerformanceConfigLatency::Unspecified,
        }
        .into(),
    });
    let service_tier = service_tier.map(|tier| ServiceTier {
        r#type: match tier {
            "default" => ServiceTierType::Default,
            "flex" => ServiceTierType::Flex,
            "priority" => ServiceTierType::Priority,
            "reserved" => ServiceTierType::Reserved,
            _ => ServiceTierType::Unspecified,
        }
        .into(),
    });
    ConverseStreamMetadata {
        usage: usage(headers, body),
        performance_config,
        service_tier,
        ..ConverseStreamMetadata::default()
    }
}

fn usage(headers: HeaderCounts, body: &[u8]) -> Option<TokenUsage> {
    let known = (body.len() <= MAX_PARSED).then(|| serde_json::from_slice::<Known>(body));
    let known = known.and_then(Result::ok).unwrap_or_default();
    let of_body = known.usage.unwrap_or_default();
    let generated = known.results.as_ref().map(|results| {
        let tokens = results.iter().filter_map(|result| result.tokens);
        tokens.fold(0_i32, i32::saturating_add)
    });
    let count = |counts: [Option<i32>; 4]| counts.into_iter().flatten().find(|count| *count >= 0);
    let input = count([
        headers.input,
        known.titan_input,
        known.prompt_token_count,
        of_body.input_tokens,
    ])?;
    let output = count([
        headers.output,
        generated,
        known.generation_token_count,
        of_body.output_tokens,
    ]);
    let cache_read = count([
        headers.cache_read,
        of_body.cache_read_input_tokens,
        None,
        None,
    ]);
    let cache_write = count([
        headers.cache_write,
        of_body.cache_creation_input_tokens,
        None,
        None,
    ]);
    let for_an_hour = of_body
        .cache_creation
        .and_then(|creation| creation.ephemeral_1h_input_tokens)
        .filter(|tokens| *tokens > 0);
    let total = [Some(input), output, cache_read, cache_write]
        .into_iter()
        .flatten()
        .fold(0_i32, i32::saturating_add);
    Some(TokenUsage {
        input_tokens: Some(input),
        output_tokens: Some(output.unwrap_or_default()),
        total_tokens: Some(total),
        cache_read_input_tokens: cache_read,
        cache_write_input_tokens: cache_write,
        cache_details: for_an_hour
            .map(|tokens| CacheDetail {
                ttl: CacheTtl::CacheTtl1h.into(),
                input_tokens: Some(tokens),
            })
            .into_iter()
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(headers: HeaderCounts, body: &str) -> Option<(i32, i32)> {
        let usage = usage(headers, body.as_bytes())?;
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
        let usage = usage(HeaderCounts::default(), body.as_bytes()).unwrap();
        assert_eq!(usage.total_tokens, Some(33));
        assert_eq!(usage.cache_write_input_tokens, Some(20));
        assert_eq!(usage.cache_details[0].input_tokens, Some(15));
    }
}
