//! Estimates the maximum usage of a call before Bedrock is called. The estimate is an upper bound,
//! and the unused part is released after the call.

use std::{borrow::Cow, sync::Arc};

use crate::{
    access::limits::{Amounts, Billing, Scopes, UsageAccounting, most_expensive},
    aws::{Billed, ModelIdKind},
    config::{Estimates, Price, RequestPolicy},
    error::{Failure, Reason},
    pb::{
        ContentBlock, ConverseInput, DocumentSource, MediaSource, content_block::Content,
        document_source, media_source, tool_result_content_block,
    },
    routing::RouteCandidate,
    stream::{Ceiling, billing_of, price_of},
};

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
) -> Result<Estimate, Failure> {
    if scopes.counts_money() {
        for candidate in candidates {
            let route = &candidate.route;
            let is_counted = candidate
                .native_format()
                .is_some_and(|format| format.billed() == Billed::Tokens);
            let price = priced(accounts, candidate)?;
            if !is_counted && price.call == 0 {
                return Err(Failure::new(
                    Reason::PriceUnknown,
                    format!(
                        "{} does not report tokens, its price in this gateway's configuration has no `call`, and a limit on money applies to this call; use another target, or ask the operator to add `call` to its price",
                        route.model_id
                    ),
                ));
            }
        }
    }
    let amounts = amounts(accounts, scopes, candidates, ceiling, billing)?;
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
            let most = most_expensive(&price, billing, amounts.input, amounts.output);
            amounts.nano_usd = amounts.nano_usd.max(most);
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
            Some(Content::Document(block)) => self.document(block.source.as_ref()),
            Some(Content::ToolResult(block)) => {
                for part in &block.content {
                    match &part.content {
                        Some(Part::Image(block)) => {
                            self.media(&block.source, self.estimates.image);
                        }
                        Some(Part::Video(block)) => {
                            self.media(&block.source, self.estimates.video);
                        }
                        Some(Part::Document(block)) => self.document(block.source.as_ref()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn media(&mut self, source: &Option<MediaSource>, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
        if let Some(media_source::Source::Bytes(bytes)) =
            source.as_ref().and_then(|source| source.source.as_ref())
        {
            self.base64 += base64_bytes(bytes.len());
        }
    }

    fn document(&mut self, source: Option<&DocumentSource>) {
        match source.and_then(|source| source.source.as_ref()) {
            Some(document_source::Source::Bytes(bytes)) => {
                self.base64 += base64_bytes(bytes.len());
                self.tokens = self.tokens.saturating_add(self.estimates.document);
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
