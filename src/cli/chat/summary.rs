//! Summarizes a turn: route, speed, tokens.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::pb::{ResolvedTarget, StopReason, TokenUsage, stream_invoke_response::Event};

/// The minimum time over which a rate is calculated. Over a shorter time, it would mean nothing.
const SHORTEST_RATED: Duration = Duration::from_millis(10);

/// The summary of a turn, which is printed as one line.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    started: Instant,
    first_delta: Option<Instant>,
    last_delta: Option<Instant>,
    target: Option<ResolvedTarget>,
    attempts: usize,
    /// Why the model stopped, as Bedrock names it. `None` if it ended its turn.
    stopped: Option<String>,
    invoked_model: Option<String>,
    usage: Option<TokenUsage>,
}

impl Summary {
    /// Creates the summary of a turn that begins now.
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            first_delta: None,
            last_delta: None,
            target: None,
            attempts: 0,
            stopped: None,
            invoked_model: None,
            usage: None,
        }
    }

    /// Adds what an event says about the turn.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::MessageStart(start) => {
                self.target.clone_from(&start.target);
                self.attempts = start.attempts.len();
            }
            Event::ContentBlockDelta(_) => {
                let now = Instant::now();
                self.first_delta.get_or_insert(now);
                self.last_delta = Some(now);
            }
            Event::MessageStop(stop) if stop.stop_reason() != StopReason::EndTurn => {
                self.stopped = Some(stop.stop_reason_name.clone());
            }
            Event::Metadata(event) => {
                let metadata = event.metadata.as_ref();
                self.usage = metadata.and_then(|metadata| metadata.usage.clone());
                self.invoked_model = metadata
                    .and_then(|metadata| metadata.trace.as_ref()?.prompt_router.as_ref())
                    .and_then(|router| router.invoked_model_id.clone());
            }
            _ => {}
        }
    }

    /// Returns the token usage, if Bedrock reported it.
    pub(super) fn usage(&self) -> Option<&TokenUsage> {
        self.usage.as_ref()
    }

    fn tokens_per_second(&self) -> Option<f64> {
        let took = self.last_delta?.duration_since(self.first_delta?);
        // The first token is not part of the rate: the time until it arrives is latency.
        let tokens = self.usage.as_ref()?.output_tokens? - 1;
        (took >= SHORTEST_RATED && tokens > 0).then(|| f64::from(tokens) / took.as_secs_f64())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(target) = &self.target {
            let mut place = format!("target {} in {}", target.model_id, target.source_region);
            if !target.account.is_empty() {
                place.push_str(&format!(" of account {}", target.account));
            }
            parts.push(place);
        }
        if let Some(model) = &self.invoked_model {
            parts.push(format!("model {model}"));
        }
        if self.attempts > 1 {
            parts.push(format!("{} attempts", self.attempts));
        }
        if let Some(first) = self.first_delta {
            let latency = first.duration_since(self.started).as_millis();
            parts.push(format!("first token {latency} ms"));
        }
        if let Some(rate) = self.tokens_per_second() {
            parts.push(format!("{rate:.0} tokens/s"));
        }
        parts.push(match &self.usage {
            Some(usage) => tokens(usage),
            None => "usage unknown".to_owned(),
        });
        if let Some(stopped) = &self.stopped {
            parts.push(format!("stopped: {stopped}"));
        }
        f.write_str(&parts.join(" · "))
    }
}

/// Formats token counts, such as `12 in, 87 out, 1000 from the cache`.
pub(super) fn tokens(usage: &TokenUsage) -> String {
    let counts = [
        (usage.input_tokens, "in"),
        (usage.output_tokens, "out"),
        (
            usage.cache_read_input_tokens.filter(|&n| n > 0),
            "from the cache",
        ),
        (
            usage.cache_write_input_tokens.filter(|&n| n > 0),
            "into the cache",
        ),
    ];
    let said = counts
        .iter()
        .filter_map(|&(count, what)| Some(format!("{} {what}", count?)));
    said.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{
        ContentBlockDeltaEvent, ConverseStreamMetadata, MessageStartEvent, MessageStopEvent,
        MetadataEvent,
    };

    #[tokio::test(start_paused = true)]
    async fn a_summary_has_times_and_tokens() {
        let mut summary = Summary::start();
        summary.note(&Event::MessageStart(MessageStartEvent {
            target: Some(ResolvedTarget {
                model_id: "us.m".to_owned(),
                source_region: "us-east-1".to_owned(),
                ..ResolvedTarget::default()
            }),
            ..MessageStartEvent::default()
        }));
        tokio::time::advance(Duration::from_millis(212)).await;
        summary.note(&Event::ContentBlockDelta(ContentBlockDeltaEvent::default()));
        tokio::time::advance(Duration::from_secs(2)).await;
        summary.note(&Event::ContentBlockDelta(ContentBlockDeltaEvent::default()));
        summary.note(&Event::MessageStop(MessageStopEvent {
            stop_reason: StopReason::MaxTokens.into(),
            stop_reason_name: "max_tokens".to_owned(),
            ..MessageStopEvent::default()
        }));
        summary.note(&Event::Metadata(MetadataEvent {
            metadata: Some(ConverseStreamMetadata {
                usage: Some(TokenUsage {
                    input_tokens: Some(12),
                    output_tokens: Some(87),
                    ..TokenUsage::default()
                }),
                ..ConverseStreamMetadata::default()
            }),
            ..MetadataEvent::default()
        }));
        assert_eq!(
            summary.to_string(),
            "target us.m in us-east-1 · first token 212 ms · 43 tokens/s · 12 in, 87 out · stopped: max_tokens"
        );
    }
}
