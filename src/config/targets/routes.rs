//! `routes`: the routes of a target.

use crate::{
    aws::model_id,
    config::{section::Section, units},
};

/// A model ID, and the source Regions in which it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteOptions {
    /// A model ID, the ID of an inference profile, or an ARN. `model_id`. Required.
    pub model_id: String,
    /// The source Regions, which share the calls. `regions`, or `region` for a single one. Default:
    /// the Region of the ARN, or else that of the gateway.
    pub regions: Vec<String>,
    /// The order. Routes with a lower order are tried first; those with equal order share the
    /// calls. `order`, default: the position in the list, from 1.
    pub order: u32,
    /// The route's share of the calls among routes with equal order. `weight`, default 1.
    pub weight: u32,
}

impl RouteOptions {
    /// Creates a route to a model ID, an inference profile or an ARN, in the Region of the ARN or
    /// of the gateway.
    pub fn to(model_id: impl Into<String>) -> Self {
        Self {
            model_id: model_id.into(),
            regions: Vec::new(),
            order: 1,
            weight: 1,
        }
    }
}

/// Reads the routes of a target: `routes`, or `model_id` for a single one.
pub(super) fn read(target: &mut Section<'_>) -> Vec<RouteOptions> {
    let sections = target.list_of_sections("routes");
    let short = target.has("model_id") || target.has("region") || target.has("regions");
    match sections {
        Some(sections) => {
            if short {
                target.report(
                    "routes",
                    "set either `routes`, or `model_id` with `region` or `regions` for a single route, but not both",
                );
            }
            // The keys are read, so that they are not reported as unknown, too.
            if short {
                let _reported = read_place(target);
            } else {
                target.know(&["model_id", "region", "regions"]);
            }
            if sections.is_empty() {
                target.report("routes", "at least one route is required");
            }
            (1..)
                .zip(sections)
                .filter_map(|(place, section)| read_route(section, place))
                .collect()
        }
        None => read_place(target)
            .into_iter()
            .map(|(model_id, regions)| RouteOptions {
                regions,
                ..RouteOptions::to(model_id)
            })
            .collect(),
    }
}

fn read_route(mut section: Section<'_>, place: u32) -> Option<RouteOptions> {
    let order = section.value("order", |text| units::number(text, 1, 1_000));
    let weight = section.value("weight", |text| units::number(text, 1, 1_000));
    let route = read_place(&mut section).map(|(model_id, regions)| RouteOptions {
        model_id,
        regions,
        order: order.unwrap_or(place),
        weight: weight.unwrap_or(1),
    });
    section.finish();
    route
}

/// Reads a model ID and its source Regions.
fn read_place(section: &mut Section<'_>) -> Option<(String, Vec<String>)> {
    let model_id = section.value("model_id", model);
    let has_both = section.has("region") && section.has("regions");
    let one = section.value("region", region);
    let several = section.list("regions", region);
    if has_both {
        section.report("regions", "set either `region` or `regions`, but not both");
    }
    let Some(model_id) = model_id else {
        if !section.has_had("model_id") && !section.has_had("routes") {
            section.report(
                "model_id",
                "required: a model ID, the ID of an inference profile such as us.anthropic.claude-sonnet-5, or an ARN",
            );
        }
        return None;
    };
    let mut regions: Vec<String> = several.into_iter().flatten().chain(one).collect();
    if let Some(own) = model_id::region_of_arn(&model_id)
        && let Some(other) = regions.iter().find(|region| *region != own)
    {
        section.report(
            "region",
            format!(
                "the ARN can be called only in its own Region {own}, not in {other}; remove the Region"
            ),
        );
    }
    regions.dedup();
    Some((model_id, regions))
}

fn model(text: &str) -> Result<String, String> {
    let text = units::text(text)?;
    if model_id::is_raw(&text) {
        Ok(text)
    } else {
        Err(format!(
            "`{text}` is neither a model ID nor an ARN; to use another alias, set `fallback`"
        ))
    }
}

/// Parses a Region, such as `us-east-1`.
pub(in crate::config) fn region(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let is_region = parts.len() >= 3
        && parts.iter().all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
        && parts
            .last()
            .is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    if is_region {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is not an AWS Region; write one such as us-east-1"
    ))
}
