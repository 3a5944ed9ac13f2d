//! Estimates the maximum usage of a call before Bedrock is called. The estimate is an upper bound,
//! and the unused part is released after the call.

use std::{borrow::Cow, sync::Arc};

use super::media::MediaCounts;
use crate::{
    access::limits::{
        Amounts, Billing, GuardrailUnits, Scopes, UsageAccounting, UsedUnits, most_expensive,
    },
    aws::{Billed, ModelIdKind, NativeFormat},
    config::{Estimates, Price, RequestPolicy},
    error::{Failure, Reason},
    pb::{
        ApplyGuardrailRequest, ContentBlock, ConverseInput, DocumentBlock, DocumentFormat,
        GuardrailConverseContentBlock, MediaSource, RawMember, content_block::Content,
        document_source, guardrail_converse_content_block::Content as GuardrailContent,
        media_source, system_content_block::Content as SystemContent, tool_result_content_block,
    },
    routing::RouteCandidate,
    stream::{Ceiling, billing_of, price_of},
    translate::visit_json,
};

/// The member of Converse that contains tool definitions, as `visit_json::plain` writes it.
const TOOLS: &str = "toolconfig";

/// The maximum number of characters of a text unit of a guardrail. Source: Bedrock's price list.
const CHARACTERS_PER_UNIT: u64 = 1_000;

/// Returns the policy of a call. If the call's tokens or cost are limited, the policy always has a
/// maximum number of output tokens.
pub(super) fn policy<'a>(
    accounts: &UsageAccounting,
    scopes: &Scopes,
    mut policy: Cow<'a, RequestPolicy>,
) -> Cow<'a, RequestPolicy> {
    if policy.max_tokens.is_none() && scopes.counts_tokens() {
        let ceiling = i32::try_from(accounts.estimates().max_tokens).unwrap_or(i32::MAX);
        policy.to_mut().max_tokens = Some(ceiling);
    }
    policy
}

/// The maximum usage of a call.
pub(super) struct Estimate {
    /// The amounts that the call reserves from its limits.
    pub(super) amounts: Amounts,
    /// The usage that is assumed if Bedrock reports none.
    pub(super) ceiling: Ceiling,
}

/// Returns the maximum usage of a call with this body, for any of these routes.
///
/// # Errors
/// Fails if the cost is limited, and a model that may answer has no price.
pub(super) fn estimate(
    accounts: &UsageAccounting,
    scopes: &Scopes,
    kind: ModelIdKind,
    candidates: &[RouteCandidate],
    input: &ConverseInput,
    body_bytes: usize,
) -> Result<Estimate, Failure> {
    let input_tokens = input_tokens(accounts.estimates(), kind, input, body_bytes);
    let max_tokens = input
        .inference_config
        .as_ref()
        .and_then(|config| config.max_tokens)
        .and_then(|tokens| u64::try_from(tokens).ok());
    let ceiling = Ceiling {
        input: input_tokens,
        output: max_tokens.unwrap_or_else(|| {
            if scopes.counts_tokens() {
                accounts.estimates().max_tokens.into()
            } else {
                u64::MAX
            }
        }),
        is_streamed: true,
        units: UsedUnits::default(),
    };
    let amounts = amounts(accounts, scopes, candidates, ceiling, billing(input))?;
    Ok(Estimate { amounts, ceiling })
}

/// Returns the maximum usage of a call with a body in the model's own format.
///
/// # Errors
/// Fails if the cost is limited, and a model that may answer has no price.
pub(super) fn estimate_native(
    accounts: &UsageAccounting,
    scopes: &Scopes,
    candidates: &[RouteCandidate],
    ceiling: Ceiling,
    billing: Billing,
    has_timed_media: bool,
) -> Result<Estimate, Failure> {
    if scopes.counts_money() {
        for candidate in candidates {
            let price = priced(accounts, candidate)?;
            let billed = candidate.native_format().map(NativeFormat::billed);
            let missing = missing_price(&price, billed, ceiling.units, has_timed_media);
            if let Some((what, keys)) = missing {
                return Err(Failure::new(
                    Reason::PriceUnknown,
                    format!(
                        "{} {what}, its price in this gateway's configuration has no {keys}, and a limit on money applies to this call; use another target, or ask the operator to add {keys} to its price",
                        candidate.route.model_id
                    ),
                ));
            }
        }
    }
    let amounts = amounts(accounts, scopes, candidates, ceiling, billing)?;
    Ok(Estimate { amounts, ceiling })
}

/// Returns what Bedrock bills but the price does not contain, and the keys that are missing. `call`
/// is the price of a call whatever Bedrock bills for it.
fn missing_price(
    price: &Price,
    billed: Option<Billed>,
    units: UsedUnits,
    has_timed_media: bool,
) -> Option<(&'static str, &'static str)> {
    let UsedUnits::Model(units) = units else {
        return None;
    };
    let prices = &price.units;
    let missing = match billed {
        Some(Billed::Images) => prices
            .image
            .is_none()
            .then_some(("is billed by images", "`per_image` or `call`")),
        Some(Billed::Queries) => prices
            .query
            .is_none()
            .then_some(("is billed by queries", "`per_query` or `call`")),
        Some(Billed::Tokens) if has_timed_media => {
            Some(("is billed by the duration of audio and video", "`call`"))
        }
        Some(Billed::Tokens) if units.input_images > 0 && prices.input_image.is_none() => Some((
            "is billed by the images in the request",
            "`per_input_image` or `call`",
        )),
        Some(Billed::Tokens) => None,
        None => Some(("is not known to report tokens", "`call`")),
    };
    missing.filter(|_| price.call == 0)
}

/// Returns whether all models have a price for the images of answers.
pub(super) fn have_price_of_images(
    accounts: &UsageAccounting,
    candidates: &[RouteCandidate],
) -> bool {
    candidates.iter().all(|candidate| {
        let price = price_of(accounts, &candidate.route);
        price.is_some_and(|price| price.units.image.is_some())
    })
}

/// Returns the maximum cost of a check of content with a guardrail.
///
/// # Errors
/// Fails if the cost is limited, and guardrails have no prices.
pub(super) fn estimate_guardrail(
    accounts: &UsageAccounting,
    scopes: &Scopes,
    request: &ApplyGuardrailRequest,
) -> Result<Estimate, Failure> {
    let (mut text, mut images) = (0_u64, 0_u64);
    for block in &request.content {
        match &block.content {
            Some(GuardrailContent::Text(block)) => {
                let characters = block.text.chars().count() as u64;
                text = text.saturating_add(characters.div_ceil(CHARACTERS_PER_UNIT).max(1));
            }
            Some(GuardrailContent::Image(_)) => images += 1,
            None => {}
        }
    }
    let units = GuardrailUnits::most(text, images);
    let mut amounts = Amounts {
        requests: 1,
        ..Amounts::default()
    };
    if scopes.counts_money() {
        let prices = accounts.guardrail_prices().ok_or_else(|| {
            Failure::new(
                Reason::PriceUnknown,
                "guardrails have no prices in this gateway's configuration, and a limit on money applies to this call; ask the operator to add `guardrail_prices`",
            )
        })?;
        amounts.nano_usd = units.cost(prices);
    }
    let ceiling = Ceiling {
        input: 0,
        output: 0,
        is_streamed: false,
        units: UsedUnits::Guardrail(units),
    };
    Ok(Estimate { amounts, ceiling })
}

/// Returns the amounts that a call reserves from its limits.
fn amounts(
    accounts: &UsageAccounting,
    scopes: &Scopes,
    candidates: &[RouteCandidate],
    ceiling: Ceiling,
    billing: Billing,
) -> Result<Amounts, Failure> {
    let mut amounts = Amounts {
        requests: 1,
        ..Amounts::default()
    };
    if !scopes.counts_tokens() {
        return Ok(amounts);
    }
    amounts.input = ceiling.input;
    amounts.output = ceiling.output;
    if scopes.counts_money() {
        for candidate in candidates {
            let price = priced(accounts, candidate)?;
            let tokens = most_expensive(&price, billing, amounts.input, amounts.output);
            let units = match ceiling.units {
                UsedUnits::Model(units) => units.cost(&price.units),
                UsedUnits::Guardrail(_) => 0,
            };
            amounts.nano_usd = amounts.nano_usd.max(tokens.saturating_add(units));
        }
    }
    Ok(amounts)
}

fn priced(accounts: &UsageAccounting, candidate: &RouteCandidate) -> Result<Arc<Price>, Failure> {
    price_of(accounts, &candidate.route).ok_or_else(|| {
        Failure::new(
            Reason::PriceUnknown,
            format!(
                "{} has no price in this gateway's configuration, and a limit on money applies to this call; use another target, or ask the operator to add the model to `prices`",
                candidate.route.model_id
            ),
        )
    })
}

/// Returns the service tier and the other properties of a call that affect its price.
pub(super) fn billing(input: &ConverseInput) -> Billing {
    billing_of(
        input.service_tier.as_ref(),
        input.performance_config.as_ref(),
    )
}

/// Returns the estimated number of input tokens. Each byte of the body counts as one token, except
/// for media, which count as the operator has configured.
fn input_tokens(
    estimates: &Estimates,
    kind: ModelIdKind,
    input: &ConverseInput,
    body_bytes: usize,
) -> u64 {
    let mut media = Media {
        estimates,
        base64: 0,
        tokens: 0,
    };
    for block in input.messages.iter().flat_map(|message| &message.content) {
        media.block(block);
    }
    for block in &input.system {
        if let Some(SystemContent::GuardContent(block)) = &block.content {
            media.guarded(block);
        }
    }
    media.raw(&input.raw_members);
    let stored = if kind == ModelIdKind::Prompt {
        estimates.prompt
    } else {
        0
    };
    let text = (body_bytes as u64).saturating_sub(media.base64);
    text.saturating_add(media.tokens).saturating_add(stored)
}

struct Media<'a> {
    estimates: &'a Estimates,
    /// The bytes that media take in the body, as base64.
    base64: u64,
    tokens: u64,
}

impl Media<'_> {
    fn block(&mut self, block: &ContentBlock) {
        use tool_result_content_block::Content as Part;

        match &block.content {
            Some(Content::Image(block)) => self.media(&block.source, self.estimates.image),
            Some(Content::Video(block)) => self.media(&block.source, self.estimates.video),
            Some(Content::Audio(block)) => self.media(&block.source, self.estimates.audio),
            Some(Content::Document(block)) => self.document(block),
            Some(Content::GuardContent(block)) => self.guarded(block),
            Some(Content::ToolResult(block)) => {
                for part in &block.content {
                    match &part.content {
                        Some(Part::Image(block)) => {
                            self.media(&block.source, self.estimates.image);
                        }
                        Some(Part::Video(block)) => {
                            self.media(&block.source, self.estimates.video);
                        }
                        Some(Part::Document(block)) => self.document(block),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// Counts the image of a block for a guardrail. Its bytes count as text, too.
    fn guarded(&mut self, block: &GuardrailConverseContentBlock) {
        if let Some(GuardrailContent::Image(_)) = &block.content {
            self.tokens = self.tokens.saturating_add(self.estimates.image);
        }
    }

    /// Counts media in raw members. Their bytes count as text, too.
    fn raw(&mut self, members: &[RawMember]) {
        let mut media = MediaCounts::default();
        for member in members {
            let steps = visit_json::steps(&member.pointer);
            // A schema in a tool definition can have a property such as `image`, but a definition
            // contains no media.
            if steps.first().is_some_and(|first| first == TOOLS) {
                continue;
            }
            let name = steps.last().map_or("", String::as_str);
            visit_json::visit(&member.json, name, &mut |name, leaf| media.see(name, leaf));
        }
        self.tokens = self.tokens.saturating_add(media.tokens(self.estimates));
    }

    fn media(&mut self, source: &Option<MediaSource>, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
        if let Some(media_source::Source::Bytes(bytes)) =
            source.as_ref().and_then(|source| source.source.as_ref())
        {
            self.base64 += base64_bytes(bytes.len());
        }
    }

    fn document(&mut self, block: &DocumentBlock) {
        let source = block.source.as_ref();
        match source.and_then(|source| source.source.as_ref()) {
            Some(document_source::Source::Bytes(bytes)) => {
                self.base64 += base64_bytes(bytes.len());
                let (text, pages) = (bytes.len() as u64, self.estimates.document);
                self.tokens = self.tokens.saturating_add(match block.format() {
                    DocumentFormat::Csv
                    | DocumentFormat::Html
                    | DocumentFormat::Txt
                    | DocumentFormat::Md => text,
                    DocumentFormat::Pdf
                    | DocumentFormat::Doc
                    | DocumentFormat::Docx
                    | DocumentFormat::Xls
                    | DocumentFormat::Xlsx => pages,
                    DocumentFormat::Unspecified => text.max(pages),
                });
            }
            Some(document_source::Source::S3Location(_)) => {
                self.tokens = self.tokens.saturating_add(self.estimates.document);
            }
            // Text is already counted by its bytes.
            Some(document_source::Source::Text(_) | document_source::Source::Content(_)) | None => {
            }
        }
    }
}

const fn base64_bytes(bytes: usize) -> u64 {
    (bytes.div_ceil(3) * 4) as u64
}
