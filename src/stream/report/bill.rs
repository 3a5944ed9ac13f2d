//! What a call has used and what that costs: settles what it had reserved, exactly once, whatever
//! way it ended.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    access::limits::{Accounts, Amounts, Billing, Charge, Standings, Used},
    aws::pattern,
    config::Price,
    error::Reason,
    pb::{
        CacheTtl, ContentBlockDeltaEvent, EstimatedCost, MetadataEvent, PerformanceConfigLatency,
        ServiceTierType, StreamInvokeResponse, content_block_delta_event::Delta,
        reasoning_content_block_delta, stream_invoke_response::Event,
        tool_result_block_delta_content,
    },
    routing::Route,
};

/// How the limits of a call stand, for its response: as reserved, then as settled.
#[derive(Clone, Debug, Default)]
pub(crate) struct RateLimits(Arc<Mutex<Standings>>);

impl RateLimits {
    /// Returns how they stand now.
    pub(crate) fn now(&self) -> Standings {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, standings: Standings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = standings;
    }
}

/// What a call has used, as far as it is known.
#[derive(Debug)]
pub(crate) struct Bill {
    accounts: Accounts,
    charge: Option<Charge>,
    rate_limits: Option<RateLimits>,
    /// How the call asked to be served; then, how it was.
    billing: Billing,
    price: Option<Arc<Price>>,
    /// Bytes of output that were read from Bedrock: at least as many as tokens.
    output_bytes: u64,
    answered: bool,
    used: Option<Used>,
}

/// What a call has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) used: Used,
    /// In 1e-9 US dollars. `None` if the model has no price.
    pub(crate) nano_usd: Option<u64>,
    /// Bedrock did not say what the call used, so that this is an estimate from above.
    pub(crate) is_estimated: bool,
}

impl Bill {
    pub(crate) fn new(accounts: Accounts, charge: Option<Charge>, billing: Billing) -> Self {
        let rate_limits = charge.as_ref().map(|charge| {
            let rate_limits = RateLimits::default();
            rate_limits.set(charge.standings);
            rate_limits
        });
        Self {
            accounts,
            charge,
            rate_limits,
            billing,
            price: None,
            output_bytes: 0,
            answered: false,
            used: None,
        }
    }

    /// Returns how the call's limits stand, if it has any.
    pub(crate) fn rate_limits(&self) -> Option<RateLimits> {
        self.rate_limits.clone()
    }

    /// Where the call went last.
    pub(super) fn route(&mut self, route: &Route) {
        self.price = price_of(&self.accounts, route);
    }

    /// Bedrock sent an event. The last one is told what the call costs.
    pub(super) fn event(&mut self, response: &mut StreamInvokeResponse) {
        self.answered = true;
        match &mut response.event {
            Some(Event::ContentBlockDelta(delta)) => {
                self.output_bytes += output_bytes(delta) as u64;
            }
            Some(Event::Metadata(event)) => {
                self.usage(event);
                if let (Some(used), Some(price)) = (self.used, &self.price) {
                    let nano_usd = used.cost(price, self.billing);
                    event.estimated_cost = Some(EstimatedCost {
                        nano_usd: i64::try_from(nano_usd).unwrap_or(i64::MAX),
                    });
                }
            }
            _ => {}
        }
    }

    fn usage(&mut self, event: &MetadataEvent) {
        let Some(metadata) = &event.metadata else {
            return;
        };
        if let Some(tier) = metadata.service_tier {
            self.billing.service_tier = tier_word(tier.r#type());
        }
        if let Some(performance) = metadata.performance_config {
            self.billing.optimized_latency =
                performance.latency() == PerformanceConfigLatency::Optimized;
        }
        let Some(usage) = &metadata.usage else {
            return;
        };
        let count = |tokens: Option<i32>| u64::try_from(tokens.unwrap_or_default()).unwrap_or(0);
        let for_an_hour: u64 = usage
            .cache_details
            .iter()
            .filter(|detail| detail.ttl() == CacheTtl::CacheTtl1h)
            .map(|detail| count(detail.input_tokens))
            .sum();
        let written = count(usage.cache_write_input_tokens);
        self.used = Some(Used {
            input: count(usage.input_tokens),
            output: count(usage.output_tokens),
            cache_read: count(usage.cache_read_input_tokens),
            cache_write_5m: written.saturating_sub(for_an_hour),
            cache_write_1h: for_an_hour.min(written),
        });
    }

    /// Settles a call that is over. `reason` is why it failed, if it did; `attempts` how often
    /// Bedrock was called for it.
    pub(super) fn settle(mut self, reason: Option<Reason>, attempts: usize) -> Cost {
        let reserved = self
            .charge
            .as_ref()
            .map(Charge::reserved)
            .unwrap_or_default();
        let is_billed = self.answered || (attempts > 0 && may_be_billed(reason));
        let (used, is_estimated) = match self.used {
            Some(used) => (used, false),
            // From above, so that cancelling a call is never cheaper: the whole input, and a token
            // for each byte of output.
            None if is_billed => {
                let used = Used {
                    input: reserved.input,
                    output: self.output_bytes.min(reserved.output),
                    ..Used::default()
                };
                (used, true)
            }
            None => (Used::default(), false),
        };
        let nano_usd = self
            .price
            .as_ref()
            .map(|price| used.cost(price, self.billing));
        if let Some(charge) = self.charge.take() {
            let settled = charge.settle(Amounts {
                requests: 1,
                input: used.all_input(),
                output: used.output,
                nano_usd: nano_usd.unwrap_or_default(),
            });
            if let (Some(rate_limits), Some(standings)) = (&self.rate_limits, settled) {
                rate_limits.set(standings);
            }
        }
        Cost {
            used,
            nano_usd,
            is_estimated,
        }
    }
}

/// Returns the price of a route's model, by what is sent to Bedrock, or else by the foundation
/// model behind it.
pub(crate) fn price_of(accounts: &Accounts, route: &Route) -> Option<Arc<Price>> {
    let prices = accounts.prices();
    if prices.is_empty() {
        return None;
    }
    prices.of(&route.model_id, pattern::matches).or_else(|| {
        let profile = route.profile()?;
        prices.of(&profile.model, pattern::matches)
    })
}

/// Bedrock's word for a service tier.
pub(crate) const fn tier_word(tier: ServiceTierType) -> &'static str {
    match tier {
        ServiceTierType::Unspecified | ServiceTierType::Default => "default",
        ServiceTierType::Flex => "flex",
        ServiceTierType::Priority => "priority",
        ServiceTierType::Reserved => "reserved",
    }
}

/// Returns whether Bedrock may have worked, and billed, for a call that was not answered. It has
/// not if it refused the call, or was not reached.
const fn may_be_billed(reason: Option<Reason>) -> bool {
    matches!(
        reason,
        None | Some(
            Reason::Cancelled
                | Reason::ClientStalled
                | Reason::DeadlineExceeded
                | Reason::Draining
                | Reason::UpstreamIdle
                | Reason::UpstreamTruncated
                | Reason::UpstreamCorrupt
                | Reason::ModelTimeout
                | Reason::Panic
                | Reason::Internal
        )
    )
}

fn output_bytes(event: &ContentBlockDeltaEvent) -> usize {
    match &event.delta {
        Some(Delta::Text(text)) => text.len(),
        Some(Delta::ToolUse(delta)) => delta.input.len(),
        Some(Delta::ReasoningContent(delta)) => match &delta.delta {
            Some(reasoning_content_block_delta::Delta::Text(text)) => text.len(),
            Some(reasoning_content_block_delta::Delta::RedactedContent(bytes)) => bytes.len(),
            _ => 0,
        },
        Some(Delta::ToolResult(delta)) => delta
            .content
            .iter()
            .map(|part| match &part.content {
                Some(
                    tool_result_block_delta_content::Content::Text(text)
                    | tool_result_block_delta_content::Content::Json(text),
                ) => text.len(),
                None => 0,
            })
            .sum(),
        Some(Delta::Citation(_) | Delta::Image(_)) | None => 0,
    }
}
