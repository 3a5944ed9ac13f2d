//! `prices` and `estimates`: the prices of models, and how many tokens a call reserves.

use std::collections::BTreeMap;

use super::unit_prices::{self, UnitPrices};
use crate::{
    aws::pattern,
    config::{section::Section, units},
};

/// The maximum that can be configured as the price of a call, in 1e-9 US dollars: 1,000 dollars.
const MOST_PER_CALL: u64 = 1_000_000_000_000;
/// The maximum that can be configured as the price of a token, in 1e-9 US dollars: 0.1 cents.
const MOST: u64 = 1_000_000;
const TIERS: [&str; 3] = ["flex", "priority", "reserved"];

/// The prices of some models. `prices` is a list; the first entry that matches a model applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Patterns of model IDs and ARNs; `*` stands for any characters. `models`. Required.
    pub models: Vec<String>,
    /// The prices per token.
    pub rates: Rates,
    /// The price of a call in addition to its tokens and units, in 1e-9 US dollars. `call`, default
    /// 0.
    pub call: u64,
    /// The prices of images and queries.
    pub units: UnitPrices,
    /// The prices per token in service tiers other than `default`, by Bedrock's name of the tier.
    /// `service_tiers`, default: the same prices as in the tier `default`.
    pub service_tiers: BTreeMap<&'static str, Rates>,
    /// The prices per token with optimized latency. `optimized_latency`, default: the same prices
    /// as without it.
    pub optimized_latency: Option<Rates>,
}

/// The prices per token, in 1e-9 US dollars: 3000 means 3 dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// The price of an input token. `input`. Required.
    pub input: u64,
    /// The price of an output token. `output`. Required.
    pub output: u64,
    /// The price of a token that is read from a prompt cache. `cache_read`, default: the price of
    /// `input`.
    pub cache_read: u64,
    /// The price of a token that is written to a prompt cache for five minutes. `cache_write_5m`,
    /// default: the price of `input`.
    pub cache_write_5m: u64,
    /// The price of a token that is written to a prompt cache for an hour. `cache_write_1h`,
    /// default: the price of `cache_write_5m`.
    pub cache_write_1h: u64,
}

/// The number of input tokens to reserve for content that is not text. For text, one token is
/// reserved for each byte. `estimates`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimates {
    /// Tokens per image. `estimates.image`, default 6000.
    pub image: u64,
    /// Tokens per document. `estimates.document`, default 50000.
    pub document: u64,
    /// Tokens per video. `estimates.video`, default 100000.
    pub video: u64,
    /// Tokens per audio file. `estimates.audio`, default 20000.
    pub audio: u64,
    /// The number of bytes of a document and its query that count as one document of a request for
    /// rerank. Bedrock divides longer documents, by tokens. `estimates.rerank_document`, default
    /// 500.
    pub rerank_document: u64,
    /// Tokens for the stored text of a prompt of Prompt management. `estimates.prompt`, default
    /// 10000.
    pub prompt: u64,
    /// The maximum number of output tokens of a call to which a limit on tokens or cost applies, if
    /// neither the caller nor the operator sets one. The gateway reserves it and sends it to
    /// Bedrock. `estimates.max_tokens`, default 4096.
    pub max_tokens: u32,
}

impl Default for Estimates {
    fn default() -> Self {
        Self {
            image: 6_000,
            document: 50_000,
            video: 100_000,
            audio: 20_000,
            rerank_document: 500,
            prompt: 10_000,
            max_tokens: 4_096,
        }
    }
}

pub(in crate::config) fn read(root: &mut Section<'_>) -> Vec<Price> {
    let sections = root.list_of_sections("prices").unwrap_or_default();
    sections.into_iter().map(read_price).collect()
}

fn read_price(mut section: Section<'_>) -> Price {
    let models = section.list("models", model_pattern);
    let is_empty = models.as_ref().is_some_and(Vec::is_empty);
    if is_empty || !section.has_had("models") {
        section.report(
            "models",
            "required: patterns of model IDs and ARNs, such as \"*anthropic.claude-sonnet-5*\"",
        );
    }
    let rates = read_rates(&mut section);
    let call = section.value("call", |text| units::number(text, 0, MOST_PER_CALL));
    let units = unit_prices::read(&mut section);
    let mut tiers = section.section("service_tiers");
    let mut service_tiers = BTreeMap::new();
    for tier in TIERS {
        if let Some(mut section) = tiers.optional_section(tier) {
            service_tiers.insert(tier, read_rates(&mut section));
            section.finish();
        }
    }
    tiers.finish();
    let optimized_latency = section
        .optional_section("optimized_latency")
        .map(|mut section| {
            let rates = read_rates(&mut section);
            section.finish();
            rates
        });
    section.finish();
    Price {
        models: models.unwrap_or_default(),
        rates,
        call: call.unwrap_or_default(),
        units,
        service_tiers,
        optimized_latency,
    }
}

fn read_rates(section: &mut Section<'_>) -> Rates {
    let mut rate = |key| section.value(key, |text| units::number(text, 0, MOST));
    let (input, output) = (rate("input"), rate("output"));
    let cache_read = rate("cache_read");
    let write_5m = rate("cache_write_5m");
    let write_1h = rate("cache_write_1h");
    for key in ["input", "output"] {
        if !section.has_had(key) {
            section.report(
                key,
                "required: the price of a token in 1e-9 US dollars; 3000 means 3 dollars for a million tokens",
            );
        }
    }
    let input = input.unwrap_or_default();
    let cache_write_5m = write_5m.unwrap_or(input);
    Rates {
        input,
        output: output.unwrap_or_default(),
        cache_read: cache_read.unwrap_or(input),
        cache_write_5m,
        cache_write_1h: write_1h.unwrap_or(cache_write_5m),
    }
}

pub(super) fn read_estimates(mut section: Section<'_>) -> Estimates {
    let default = Estimates::default();
    let mut number = |key, default| {
        section
            .value(key, |text| units::number(text, 0, 10_000_000))
            .unwrap_or(default)
    };
    let estimates = Estimates {
        image: number("image", default.image),
        document: number("document", default.document),
        video: number("video", default.video),
        audio: number("audio", default.audio),
        prompt: number("prompt", default.prompt),
        rerank_document: section
            .value("rerank_document", |text| units::number(text, 1, 1_000_000))
            .unwrap_or(default.rerank_document),
        max_tokens: section
            .value("max_tokens", |text| units::number(text, 1, 1_000_000))
            .unwrap_or(default.max_tokens),
    };
    section.finish();
    estimates
}

fn model_pattern(text: &str) -> Result<String, String> {
    let text = units::text(text)?;
    pattern::check(&text)?;
    Ok(text)
}
