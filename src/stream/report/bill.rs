//! Counts the usage of a call and its cost. Settles the call's reservation exactly once, however
//! the call ends.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    access::limits::{
        Amounts, Billing, Charge, GuardrailUnits, ModelUnits, Standings, UsageAccounting,
        UsedTokens, UsedUnits,
    },
    aws::pattern,
    config::Price,
    error::Reason,
    pb::{
        BilledUnits, CacheTtl, ContentBlockDeltaEvent, EstimatedCost, MetadataEvent,
        PerformanceConfigLatency, PerformanceConfiguration, ServiceTier, ServiceTierType,
        StreamInvokeResponse, content_block_delta_event::Delta, reasoning_content_block_delta,
        stream_invoke_response::Event, tool_result_block_delta_content,
    },
    routing::Route,
    stream::native_units::AnsweredUnits,
    telemetry::usage::UsageSource,
    translate::open_enum,
};

/// The state of a call's limits, for its response: first the state after the reservation, later the
/// state after the settlement.
#[derive(Clone, Debug, Default)]
pub(crate) struct RateLimits(Arc<Mutex<Standings>>);

impl RateLimits {
    /// Returns the current state.
    pub(crate) fn now(&self) -> Standings {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, standings: Standings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = standings;
    }
}

/// The usage of a call so far.
#[derive(Debug)]
pub(crate) struct Bill {
    accounts: UsageAccounting,
    charge: Option<Charge>,
    rate_limits: Option<RateLimits>,
    /// The service options that the call requested, and later those that Bedrock reports.
    billing: Billing,
    price: Option<Arc<Price>>,
    /// The bytes of output that were read from Bedrock. There are at least as many bytes as tokens.
    output_bytes: u64,
    answered: bool,
    used: Option<UsedTokens>,
    ceiling: Option<Ceiling>,
    /// The units that the answer confirms.
    units: Option<UsedUnits>,
}

/// The maximum usage of a call for which Bedrock reports no usage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ceiling {
    /// All input tokens.
    pub(crate) input: u64,
    /// Output tokens.
    pub(crate) output: u64,
    /// Whether the output arrives as a stream. If so, the bytes that were read are used, at most
    /// `output`.
    pub(crate) is_streamed: bool,
    /// What Bedrock bills in addition to tokens.
    pub(crate) units: UsedUnits,
}

/// The cost of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) used: UsedTokens,
    pub(crate) units: UsedUnits,
    /// The cost in 1e-9 US dollars. `None` if the model has no price.
    pub(crate) nano_usd: Option<u64>,
    /// The source of the usage.
    pub(crate) source: UsageSource,
}

impl Bill {
    /// Creates the bill of a call. `ceiling` is `None` for calls that Bedrock does not bill.
    pub(crate) fn new(
        accounts: UsageAccounting,
        charge: Option<Charge>,
        billing: Billing,
        ceiling: Option<Ceiling>,
    ) -> Self {
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
            ceiling,
            units: None,
        }
    }

    /// Returns the state of the call's limits, if it has any.
    pub(crate) fn rate_limits(&self) -> Option<RateLimits> {
        self.rate_limits.clone()
    }

    /// Records the route of the last attempt.
    pub(super) fn route(&mut self, route: &Route) {
        self.price = price_of(&self.accounts, route);
    }

    /// Records an event from Bedrock. The cost is added to the last event.
    pub(super) fn event(&mut self, response: &mut StreamInvokeResponse) {
        self.answered = true;
        match &mut response.event {
            Some(Event::ContentBlockDelta(delta)) => {
                self.output_bytes += output_bytes(delta) as u64;
            }
            Some(Event::Metadata(event)) => {
                self.usage(event);
                let units = self.used_units();
                if let UsedUnits::Model(units) = units {
                    event.billed_units = billed_units(units);
                }
                // Without reported tokens, the cost is known only if Bedrock bills none.
                let has_no_tokens = self.ceiling.is_some_and(|ceiling| ceiling.input == 0);
                if self.used.is_some() || has_no_tokens && units != UsedUnits::default() {
                    let cost = self.cost(self.used.unwrap_or_default(), units);
                    event.estimated_cost = cost.map(|nano_usd| EstimatedCost {
                        nano_usd: saturated(nano_usd),
                    });
                }
            }
            _ => {}
        }
    }

    /// Records output in the model's own format, of this size in bytes.
    pub(super) fn output(&mut self, bytes: usize) {
        self.answered = true;
        self.output_bytes += bytes as u64;
    }

    /// Records the images and queries that an answer confirms. The other units are those of the
    /// request.
    pub(super) fn answered(&mut self, answered: AnsweredUnits) {
        let Some(UsedUnits::Model(asked)) = self.ceiling.map(|ceiling| ceiling.units) else {
            return;
        };
        if answered != AnsweredUnits::default() {
            self.units = Some(UsedUnits::Model(ModelUnits {
                images: answered.images.unwrap_or(asked.images),
                queries: answered.queries.unwrap_or(asked.queries),
                ..asked
            }));
        }
    }

    /// Records the units that a guardrail reports.
    pub(super) fn guardrail(&mut self, units: GuardrailUnits) {
        self.units = Some(UsedUnits::Guardrail(units));
    }

    /// Returns the units of a call that Bedrock has answered: those that the answer confirms, or
    /// else the maximum.
    fn used_units(&self) -> UsedUnits {
        let most = || self.ceiling.map(|ceiling| ceiling.units);
        self.units.or_else(most).unwrap_or_default()
    }

    /// Returns the cost of a call. `None` if it has no price.
    fn cost(&self, used: UsedTokens, units: UsedUnits) -> Option<u64> {
        match units {
            UsedUnits::Guardrail(units) => {
                let prices = self.accounts.guardrail_prices()?;
                Some(units.cost(prices))
            }
            UsedUnits::Model(units) => {
                let price = self.price.as_ref()?;
                let tokens = used.cost(price, self.billing);
                Some(tokens.saturating_add(units.cost(&price.units)))
            }
        }
    }

    fn usage(&mut self, event: &MetadataEvent) {
        let Some(metadata) = &event.metadata else {
            return;
        };
        let served = billing_of(
            metadata.service_tier.as_ref(),
            metadata.performance_config.as_ref(),
        );
        if metadata.service_tier.is_some() {
            self.billing.service_tier = served.service_tier;
        }
        if metadata.performance_config.is_some() {
            self.billing.optimized_latency = served.optimized_latency;
        }
        let Some(usage) = &metadata.usage else {
            return;
        };
        let count = |tokens: Option<i32>| u64::try_from(tokens.unwrap_or_default()).unwrap_or(0);
        let for_an_hour: u64 = usage
            .cache_details
            .iter()
            // A time to live that this version does not know is priced like the longest one.
            .filter(|detail| detail.ttl() == CacheTtl::CacheTtl1h || !detail.ttl_name.is_empty())
            .map(|detail| count(detail.input_tokens))
            .sum();
        let written = count(usage.cache_write_input_tokens);
        self.used = Some(UsedTokens {
            input: count(usage.input_tokens),
            output: count(usage.output_tokens),
            cache_read: count(usage.cache_read_input_tokens),
            cache_write_5m: written.saturating_sub(for_an_hour),
            cache_write_1h: for_an_hour.min(written),
        });
    }

    /// Settles a call that has ended. `reason` is the reason of its failure, if it failed;
    /// `attempts` is the number of attempts.
    pub(super) fn settle(mut self, reason: Option<Reason>, attempts: usize) -> Cost {
        let is_billed = self.answered || (attempts > 0 && may_be_billed(reason));
        let (used, source) = match (self.used, self.ceiling) {
            (Some(used), _) => (used, UsageSource::Reported),
            // The answer confirms what Bedrock bills, and it has no tokens.
            (None, _) if self.units.is_some() => (UsedTokens::default(), UsageSource::Reported),
            // This is an upper estimate, so that cancelling a call never makes it cheaper: the
            // whole input, and one token for each byte of output.
            (None, Some(ceiling)) if is_billed => {
                let output = if ceiling.is_streamed {
                    self.output_bytes.min(ceiling.output)
                } else {
                    ceiling.output
                };
                let used = UsedTokens {
                    input: ceiling.input,
                    output,
                    ..UsedTokens::default()
                };
                (used, UsageSource::Estimated)
            }
            (None, _) => (UsedTokens::default(), UsageSource::None),
        };
        let units = match (source, self.ceiling.map(|ceiling| ceiling.units)) {
            (UsageSource::None, Some(UsedUnits::Guardrail(_))) => {
                UsedUnits::Guardrail(GuardrailUnits::default())
            }
            (UsageSource::None, _) => UsedUnits::default(),
            (UsageSource::Reported | UsageSource::Estimated, _) => self.used_units(),
        };
        let cost = self.cost(used, units);
        let nano_usd = match source {
            // A call that is not billed costs nothing, not even the price of a call.
            UsageSource::None => cost.map(|_| 0),
            UsageSource::Reported | UsageSource::Estimated => cost,
        };
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
            units,
            nano_usd,
            source,
        }
    }
}

/// Returns the units for the client. `None` if there are none.
fn billed_units(units: ModelUnits) -> Option<BilledUnits> {
    let billed = BilledUnits {
        images: saturated(units.images),
        input_images: saturated(units.input_images),
        queries: saturated(units.queries),
    };
    (billed != BilledUnits::default()).then_some(billed)
}

fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns the price of a route's model. The price is looked up by the model ID that is sent to
/// Bedrock, or else by the ID of the foundation model behind it.
pub(crate) fn price_of(accounts: &UsageAccounting, route: &Route) -> Option<Arc<Price>> {
    let prices = accounts.prices();
    if prices.is_empty() {
        return None;
    }
    prices.of(&route.model_id, pattern::matches).or_else(|| {
        let profile = route.profile()?;
        prices.of(&profile.model, pattern::matches)
    })
}

/// Returns the options of a call that affect its prices. Values that this version does not know
/// may cost more than the known ones, so they are priced like the most expensive one.
pub(crate) fn billing_of(
    tier: Option<&ServiceTier>,
    performance: Option<&PerformanceConfiguration>,
) -> Billing {
    let tier = tier.map_or(Some(ServiceTierType::Default), |tier| {
        open_enum::value(tier.r#type, &tier.type_name)
    });
    let service_tier = match tier {
        Some(ServiceTierType::Unspecified | ServiceTierType::Default) => "default",
        Some(ServiceTierType::Flex) => "flex",
        Some(ServiceTierType::Priority) => "priority",
        Some(ServiceTierType::Reserved) => "reserved",
        None => Billing::UNKNOWN_TIER,
    };
    let latency = performance.map_or(Some(PerformanceConfigLatency::Standard), |config| {
        open_enum::value(config.latency, &config.latency_name)
    });
    Billing {
        service_tier,
        optimized_latency: matches!(latency, Some(PerformanceConfigLatency::Optimized) | None),
    }
}

/// Returns whether Bedrock may have billed a call that it did not answer. Bedrock bills nothing if
/// it refused the call or was not reached.
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
                // With an attempt, `ReplicaSaturated` means that there was no memory for the
                // answer, and `CallerUnauthenticated` that the credential was revoked during the
                // call.
                | Reason::ReplicaSaturated
                | Reason::MessageTooLarge
                | Reason::CallerUnauthenticated
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
