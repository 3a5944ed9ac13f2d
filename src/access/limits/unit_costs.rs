//! Computes the cost of what Bedrock does not bill by tokens: images, queries and the units of
//! guardrails. All costs are integers of 1e-9 US dollars.

use crate::config::{GuardrailPrices, ImageQuality, UnitPrices};

/// The maximum number of policies for Automated Reasoning in a guardrail. Source: Bedrock's user
/// guide, "Automated Reasoning checks".
const MOST_REASONING_POLICIES: u64 = 2;

/// What Bedrock bills for a call, in addition to tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedUnits {
    /// The units of a model.
    Model(ModelUnits),
    /// The units of a guardrail. No model was called.
    Guardrail(GuardrailUnits),
}

/// What Bedrock bills for a model call in addition to tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelUnits {
    /// The images of the answer.
    pub images: u64,
    /// The larger one of the width and the height of these images, in pixels. `None` if the request
    /// does not name both.
    pub image_side: Option<u32>,
    /// The quality of these images. `None` if it is not known.
    pub image_quality: Option<ImageQuality>,
    /// The images in the request that Bedrock bills by their number.
    pub input_images: u64,
    /// Queries of up to 100 documents.
    pub queries: u64,
}

/// The units of a guardrail, by policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardrailUnits {
    /// Text units of denied topics.
    pub topic: u64,
    /// Text units of content filters.
    pub content: u64,
    /// Images of content filters.
    pub content_image: u64,
    /// Text units of word filters.
    pub word: u64,
    /// Text units of filters for personal data.
    pub sensitive_information: u64,
    /// Text units of grounding checks.
    pub contextual_grounding: u64,
    /// Text units of Automated Reasoning, multiplied by the number of its policies.
    pub automated_reasoning: u64,
}

impl Default for UsedUnits {
    fn default() -> Self {
        Self::Model(ModelUnits::default())
    }
}

impl UsedUnits {
    /// Returns the counts that are not zero, with their names.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = match self {
            Self::Model(units) => vec![
                ("images", units.images),
                ("input_images", units.input_images),
                ("queries", units.queries),
            ],
            Self::Guardrail(units) => vec![
                ("topic", units.topic),
                ("content", units.content),
                ("content_image", units.content_image),
                ("word", units.word),
                ("sensitive_information", units.sensitive_information),
                ("contextual_grounding", units.contextual_grounding),
                ("automated_reasoning", units.automated_reasoning),
            ],
        };
        counts.into_iter().filter(|(_, count)| *count > 0)
    }
}

impl ModelUnits {
    /// Returns the cost of these units.
    pub fn cost(&self, prices: &UnitPrices) -> u64 {
        sum([
            (self.images, self.image_price(prices)),
            (self.input_images, prices.input_image.unwrap_or_default()),
            (self.queries, prices.query.unwrap_or_default()),
        ])
    }

    /// Returns the price of one image.
    fn image_price(&self, prices: &UnitPrices) -> u64 {
        let tier = prices.image_tiers.iter().find(|tier| {
            let fits = self.image_side.is_some_and(|side| side <= tier.max_side);
            fits && tier
                .quality
                .is_none_or(|_| tier.quality == self.image_quality)
        });
        tier.map_or(prices.image, |tier| Some(tier.image))
            .unwrap_or_default()
    }
}

impl GuardrailUnits {
    /// Returns the maximum units of a check of content with this number of text units and images.
    pub fn most(text: u64, images: u64) -> Self {
        Self {
            topic: text,
            content: text,
            content_image: images,
            word: text,
            sensitive_information: text,
            contextual_grounding: text,
            automated_reasoning: text.saturating_mul(MOST_REASONING_POLICIES),
        }
    }

    /// Returns the cost of these units.
    pub fn cost(&self, prices: &GuardrailPrices) -> u64 {
        sum([
            (self.topic, prices.topic),
            (self.content, prices.content),
            (self.content_image, prices.content_image),
            (self.word, prices.word),
            (self.sensitive_information, prices.sensitive_information),
            (self.contextual_grounding, prices.contextual_grounding),
            (self.automated_reasoning, prices.automated_reasoning),
        ])
    }
}

fn sum<const N: usize>(counts: [(u64, u64); N]) -> u64 {
    counts.into_iter().fold(0, |sum, (count, price)| {
        sum.saturating_add(count.saturating_mul(price))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::ImageTier;

    fn canvas() -> UnitPrices {
        let tier = |max_side, quality, image| ImageTier {
            max_side,
            quality: Some(quality),
            image,
        };
        UnitPrices {
            image: Some(80),
            image_tiers: vec![
                tier(1024, ImageQuality::Standard, 40),
                tier(1024, ImageQuality::Premium, 60),
                tier(2048, ImageQuality::Standard, 60),
            ],
            ..UnitPrices::default()
        }
    }

    #[test]
    fn size_and_quality_select_the_price_of_an_image() {
        use ImageQuality::{Premium, Standard};

        for (side, quality, price) in [
            (Some(1024), Some(Standard), 40),
            (Some(1024), Some(Premium), 60),
            (Some(1025), Some(Standard), 60),
            (Some(1025), Some(Premium), 80),
            (Some(4096), Some(Standard), 80),
            (None, Some(Standard), 80),
            (Some(512), None, 80),
        ] {
            let units = ModelUnits {
                images: 3,
                image_side: side,
                image_quality: quality,
                ..ModelUnits::default()
            };
            assert_eq!(units.cost(&canvas()), 3 * price, "{side:?} {quality:?}");
        }
    }

    proptest! {
        /// A check never costs more than was reserved for it, whatever policies a guardrail has.
        #[test]
        fn no_guardrail_costs_more_than_the_maximum(
            (text, images, parts, rates) in (
                0..1_000_u64,
                0..20_u64,
                any::<[prop::sample::Index; 7]>(),
                any::<[u32; 7]>(),
            )
        ) {
            let part = |index: usize, most: u64| parts[index].index(most as usize + 1) as u64;
            let used = GuardrailUnits {
                topic: part(0, text),
                content: part(1, text),
                content_image: part(2, images),
                word: part(3, text),
                sensitive_information: part(4, text),
                contextual_grounding: part(5, text),
                automated_reasoning: part(6, 2 * text),
            };
            let [topic, content, content_image, word, sensitive_information, contextual_grounding, automated_reasoning] =
                rates.map(u64::from);
            let prices = GuardrailPrices {
                topic,
                content,
                content_image,
                word,
                sensitive_information,
                contextual_grounding,
                automated_reasoning,
            };
            prop_assert!(used.cost(&prices) <= GuardrailUnits::most(text, images).cost(&prices));
        }

        /// Fewer images of the same kind never cost more.
        #[test]
        fn fewer_units_never_cost_more(
            images in any::<u64>(),
            fewer in any::<prop::sample::Index>(),
            side in prop::option::of(0..5_000_u32),
            is_premium in prop::option::of(any::<bool>()),
        ) {
            let most = ModelUnits {
                images,
                image_side: side,
                image_quality: is_premium.map(|premium| match premium {
                    true => ImageQuality::Premium,
                    false => ImageQuality::Standard,
                }),
                ..ModelUnits::default()
            };
            let used = ModelUnits {
                images: fewer.index(usize::MAX) as u64 % images.max(1),
                ..most
            };
            prop_assert!(used.cost(&canvas()) <= most.cost(&canvas()));
        }
    }
}
