//! The prices of what Bedrock does not bill by tokens: images, queries and the units of guardrails.

use crate::config::{section::Section, units};

/// The maximum that can be configured as the price of a unit, in 1e-9 US dollars: 1,000 dollars.
const MOST: u64 = 1_000_000_000_000;
/// The maximum that can be configured as the side of an image, in pixels.
const MOST_SIDE: u32 = 1_000_000;

/// The prices of images and queries, in 1e-9 US dollars. `None` means that Bedrock does not bill
/// the model by this unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitPrices {
    /// The price of an image of the answer to which no entry of `image_tiers` applies. `per_image`.
    pub image: Option<u64>,
    /// The prices of images by size and quality. The first entry that matches applies.
    /// `image_tiers`, default: none.
    pub image_tiers: Vec<ImageTier>,
    /// The price of an image in the body of a request for embeddings. `per_input_image`.
    pub input_image: Option<u64>,
    /// The price of a query of up to 100 documents. `per_query`.
    pub query: Option<u64>,
}

/// The price of images of one size and quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageTier {
    /// The maximum of the width and the height, in pixels. `max_side`. Required.
    pub max_side: u32,
    /// The quality. `quality`, default: any.
    pub quality: Option<ImageQuality>,
    /// The price of an image, in 1e-9 US dollars. `per_image`. Required.
    pub image: u64,
}

/// The quality of an image, as requests for images of Amazon's models name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageQuality {
    /// `standard`, which is the default of the models.
    Standard,
    /// `premium`.
    Premium,
}

impl ImageQuality {
    /// Returns the quality with this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "standard" => Some(Self::Standard),
            "premium" => Some(Self::Premium),
            _ => None,
        }
    }
}

/// The prices of guardrails, in 1e-9 US dollars. A text unit has up to 1,000 characters.
/// `guardrail_prices`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardrailPrices {
    /// The price of a text unit of denied topics. `topic`. Required.
    pub topic: u64,
    /// The price of a text unit of content filters. `content`. Required.
    pub content: u64,
    /// The price of an image of content filters. `content_image`. Required.
    pub content_image: u64,
    /// The price of a text unit of word filters. `word`, default 0.
    pub word: u64,
    /// The price of a text unit of filters for personal data. `sensitive_information`. Required.
    pub sensitive_information: u64,
    /// The price of a text unit of grounding checks. `contextual_grounding`. Required.
    pub contextual_grounding: u64,
    /// The price of a text unit of Automated Reasoning, for each of its policies.
    /// `automated_reasoning`. Required.
    pub automated_reasoning: u64,
}

/// Reads the prices of an entry of `prices`.
pub(super) fn read(section: &mut Section<'_>) -> UnitPrices {
    let image = section.value("per_image", price);
    let tiers = section.list_of_sections("image_tiers").unwrap_or_default();
    let image_tiers: Vec<_> = tiers.into_iter().map(read_tier).collect();
    let dearest = image_tiers.iter().map(|tier| tier.image).max();
    // Without this, an image whose size the body does not name would cost too little.
    if dearest.is_some_and(|dearest| image.is_none_or(|image| image < dearest)) {
        section.report(
            "image_tiers",
            "needs `per_image`, the price of images that no entry matches: at least the highest price of the entries",
        );
    }
    UnitPrices {
        image,
        image_tiers,
        input_image: section.value("per_input_image", price),
        query: section.value("per_query", price),
    }
}

fn read_tier(mut section: Section<'_>) -> ImageTier {
    let max_side = section.value("max_side", |text| units::number(text, 1, MOST_SIDE));
    let quality = section.value("quality", |text| {
        ImageQuality::named(text)
            .ok_or_else(|| format!("`{text}` is not one of: standard, premium"))
    });
    let image = section.value("per_image", price);
    for key in ["max_side", "per_image"] {
        if !section.has_had(key) {
            let what = match key {
                "max_side" => "required: the maximum of width and height, in pixels",
                _ => "required: the price of an image in 1e-9 US dollars",
            };
            section.report(key, what);
        }
    }
    section.finish();
    ImageTier {
        max_side: max_side.unwrap_or_default(),
        quality,
        image: image.unwrap_or_default(),
    }
}

/// Reads `guardrail_prices`. `None` if the section is absent.
pub(in crate::config) fn read_guardrails(root: &mut Section<'_>) -> Option<GuardrailPrices> {
    let mut section = root.optional_section("guardrail_prices")?;
    let mut required = |key: &'static str| {
        let read = section.value(key, price);
        if !section.has_had(key) {
            section.report(
                key,
                "required: the price of a unit in 1e-9 US dollars, or 0; 150000 means 0.15 dollars for a thousand units",
            );
        }
        read.unwrap_or_default()
    };
    let prices = GuardrailPrices {
        topic: required("topic"),
        content: required("content"),
        content_image: required("content_image"),
        sensitive_information: required("sensitive_information"),
        contextual_grounding: required("contextual_grounding"),
        automated_reasoning: required("automated_reasoning"),
        word: section.value("word", price).unwrap_or_default(),
    };
    section.finish();
    Some(prices)
}

fn price(text: &str) -> Result<u64, String> {
    units::number(text, 0, MOST)
}
