//! Reads the token counts of answers in the models' own formats. The counts are taken from the
//! headers of Bedrock's response or the metrics in its last chunk, or else from members of the
//! model's format.

use crate::{
    bedrock::{HeaderCounts, ModelHead},
    pb::{
        CacheDetail, CacheTtl, ConverseStreamMetadata, PerformanceConfigLatency,
        PerformanceConfiguration, ServiceTier, ServiceTierType, TokenUsage,
    },
    translate::{
        json::{Reader, Syntax, ValueKind},
        open_enum,
    },
};

/// The maximum size of an answer that is searched for token counts, in bytes. Larger answers
/// contain images and have no token counts.
const MAX_PARSED: usize = 1 << 20;

/// Collects the token counts from the members of an answer or a chunk. A value that is not a count,
/// such as a negative number or a text, is skipped, and does not affect the others.
#[derive(Debug, Default)]
pub(super) struct CountedMembers {
    /// Counts outside of any object: those of Amazon Titan and Meta.
    outside: Counts,
    /// The output tokens of Titan's `results`.
    of_results: Option<i32>,
    /// The counts in `usage`: those of Anthropic, Amazon Nova and OpenAI.
    usage: Counts,
    /// The counts in an object in another one: `message` in Anthropic's first chunk, `metadata` in
    /// Amazon Nova's last chunk, `meta` in answers of Cohere.
    nested: Counts,
}

impl CountedMembers {
    /// Reads the value of a member of this name.
    pub(super) fn member(&mut self, name: &str, reader: &mut Reader<'_>) -> Result<(), Syntax> {
        match name {
            "inputTextTokenCount" | "prompt_token_count" => {
                read_count(reader, &mut self.outside.input)
            }
            "totalOutputTextTokenCount" | "generation_token_count" => {
                read_count(reader, &mut self.outside.output)
            }
            "results" => self.results(reader),
            "usage" => self.usage.read_usage(reader),
            "message" | "metadata" | "meta" => members(reader, |name, reader| match name {
                "usage" | "billed_units" => self.nested.read_usage(reader),
                _ => skip(reader),
            }),
            _ => skip(reader),
        }
    }

    /// Reads `results` of Amazon Titan.
    fn results(&mut self, reader: &mut Reader<'_>) -> Result<(), Syntax> {
        if reader.peek()? != ValueKind::Array {
            return skip(reader);
        }
        reader.enter_array()?;
        let mut first = true;
        while reader.element(&mut first)? {
            let mut tokens = None;
            members(reader, |name, reader| match name {
                "tokenCount" => read_count(reader, &mut tokens),
                _ => skip(reader),
            })?;
            if let Some(tokens) = tokens {
                self.of_results = Some(self.of_results.unwrap_or_default().saturating_add(tokens));
            }
        }
        Ok(())
    }

    /// Returns the counts that were found.
    pub(super) fn counts(self) -> Counts {
        let results = Counts {
            output: self.of_results,
            ..Counts::default()
        };
        results.or(self.outside).or(self.usage).or(self.nested)
    }
}

/// Calls `read` for the members of an object. Each call must read one value. A value that is not an
/// object is skipped.
fn members<'a>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&str, &mut Reader<'a>) -> Result<(), Syntax>,
) -> Result<(), Syntax> {
    if reader.peek()? != ValueKind::Object {
        return skip(reader);
    }
    reader.enter_object()?;
    let mut first = true;
    while let Some(name) = reader.member(&mut first)? {
        read(&name, reader)?;
    }
    Ok(())
}

fn skip(reader: &mut Reader<'_>) -> Result<(), Syntax> {
    reader.skip().map(drop)
}

/// Reads a value into `count`, unless it is not a count or `count` is already known.
fn read_count(reader: &mut Reader<'_>, count: &mut Option<i32>) -> Result<(), Syntax> {
    if reader.peek()? != ValueKind::Number {
        return skip(reader);
    }
    *count = count.or(valid(reader.number()?.parse().ok()));
    Ok(())
}

/// Bedrock's metrics in the last chunk of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InvocationMetrics {
    counts: Counts,
    /// The duration of the call, in milliseconds.
    pub(super) invocation_latency: Option<i64>,
}

impl InvocationMetrics {
    /// Reads the metrics. A value that is not a number of the expected kind is skipped.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Syntax> {
        let mut metrics = Self::default();
        members(reader, |name, reader| {
            let counts = &mut metrics.counts;
            match name {
                "inputTokenCount" => read_count(reader, &mut counts.input),
                "outputTokenCount" => read_count(reader, &mut counts.output),
                "cacheReadInputTokenCount" => read_count(reader, &mut counts.cache_read),
                "cacheWriteInputTokenCount" => read_count(reader, &mut counts.cache_write),
                "invocationLatency" if reader.peek()? == ValueKind::Number => {
                    metrics.invocation_latency = reader.number()?.parse().ok();
                    Ok(())
                }
                _ => skip(reader),
            }
        })?;
        Ok(metrics)
    }
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
    /// Reads the known members of an answer. An answer that is not JSON has none.
    pub(crate) fn of_json(json: &[u8]) -> Self {
        let read = || {
            let mut reader = Reader::new(json)?;
            let mut counted = CountedMembers::default();
            members(&mut reader, |name, reader| counted.member(name, reader))?;
            reader.end().map(|()| counted.counts())
        };
        if json.len() > MAX_PARSED {
            return Self::default();
        }
        read().unwrap_or_else(|_: Syntax| Self::default())
    }

    /// Reads an object of usage. A value that is not an object is skipped.
    fn read_usage(&mut self, reader: &mut Reader<'_>) -> Result<(), Syntax> {
        members(reader, |name, reader| match name {
            "input_tokens" | "inputTokens" | "prompt_tokens" => read_count(reader, &mut self.input),
            "output_tokens" | "outputTokens" | "completion_tokens" => {
                read_count(reader, &mut self.output)
            }
            "cache_read_input_tokens" | "cacheReadInputTokens" | "cacheReadInputTokenCount" => {
                read_count(reader, &mut self.cache_read)
            }
            "cache_creation_input_tokens"
            | "cacheWriteInputTokens"
            | "cacheWriteInputTokenCount" => read_count(reader, &mut self.cache_write),
            "cache_creation" => members(reader, |name, reader| match name {
                "ephemeral_1h_input_tokens" => read_count(reader, &mut self.for_an_hour),
                _ => skip(reader),
            }),
            _ => skip(reader),
        })
    }

    /// Returns the counts of the input only.
    pub(super) fn of_input(self) -> Self {
        Self {
            output: None,
            ..self
        }
    }

    /// Returns whether the number of output tokens is known.
    pub(super) const fn has_output(&self) -> bool {
        self.output.is_some()
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
                .filter(|tokens| *tokens > 0)
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
        metrics.counts
    }
}

/// Returns metadata about a call, in the format of Bedrock's `metadata` event.
pub(crate) fn metadata(counts: Counts, head: &ModelHead) -> ConverseStreamMetadata {
    let performance_config = head.latency.as_deref().map(|word| {
        let (latency, latency_name) = open_enum::fields::<PerformanceConfigLatency>(word);
        PerformanceConfiguration {
            latency,
            latency_name,
        }
    });
    let service_tier = head.service_tier.as_deref().map(|word| {
        let (r#type, type_name) = open_enum::fields::<ServiceTierType>(word);
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
    use proptest::prelude::*;

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
            (
                r#"{"meta":{"billed_units":{"input_tokens":3,"output_tokens":4}}}"#,
                Some((3, 4)),
            ),
            // A value that is not a count does not affect the others.
            (
                r#"{"usage":{"input_tokens":3,"output_tokens":4,"cache_read_input_tokens":-1}}"#,
                Some((3, 4)),
            ),
            (
                r#"{"usage":{"input_tokens":3,"output_tokens":4,"cache_creation":"x","x":1e400}}"#,
                Some((3, 4)),
            ),
            (
                r#"{"prompt_token_count":1e400,"usage":{"inputTokens":3,"output_tokens":"4"}}"#,
                Some((3, 0)),
            ),
            (
                r#"{"inputTextTokenCount":5,"results":[{"tokenCount":4},7,{"tokenCount":"2"}]}"#,
                Some((5, 4)),
            ),
            (
                r#"{"usage":{"input_tokens":3000000000,"inputTokens":3}}"#,
                Some((3, 0)),
            ),
            (r#"{"usage":{"input_tokens":3}"#, None),
            (r#"{"usage":"x"}"#, None),
            (r#"{"inputTextTokenCount":-5}"#, None),
            ("no JSON", None),
        ] {
            assert_eq!(counted(none, body), expected, "{body}");
        }
    }

    proptest! {
        /// A value that is not a count never affects the counts beside it.
        #[test]
        fn unusable_values_do_not_affect_counts(
            (input, output) in (0..i32::MAX, 0..i32::MAX),
            junk in prop::collection::vec(
                (
                    prop::sample::select(&[
                        "cache_read_input_tokens",
                        "cache_creation",
                        "total_tokens",
                        "input_tokens",
                        "outputTokens",
                        "x",
                    ][..]),
                    prop::sample::select(&[
                        "-1", "1.5", "1e400", "-1e400", "99999999999", "null", "true", "\"7\"",
                        "[]", "[1,{}]", "{}", r#"{"input_tokens":9}"#,
                    ][..]),
                    any::<bool>(),
                ),
                0..8,
            ),
        ) {
            let mut before = String::new();
            let mut after = String::new();
            for (name, value, is_before) in junk {
                if is_before {
                    before.push_str(&format!("\"{name}\":{value},"));
                } else {
                    after.push_str(&format!(",\"{name}\":{value}"));
                }
            }
            let usage = format!(
                r#"{{"usage":{{{before}"input_tokens":{input},"output_tokens":{output}{after}}}}}"#
            );
            let counts = Counts::of_json(usage.as_bytes());
            prop_assert_eq!((counts.input, counts.output), (Some(input), Some(output)), "{}", usage);
            prop_assert_eq!((counts.cache_read, counts.cache_write), (None, None), "{}", usage);
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
