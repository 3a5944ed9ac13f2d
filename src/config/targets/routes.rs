//! `routes`: the routes of a target.

use crate::{
    aws::model_id,
    config::{section::Section, units},
};

/// A model ID, and the source Regions and accounts in which it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteOptions {
    /// A model ID, the ID of an inference profile, or an ARN. `model_id`. Required.
    pub model_id: String,
    /// The source Regions, which share the calls. `regions`, or `region` for a single one. Default:
    /// the Region of the ARN, or else that of the gateway.
    pub regions: Vec<String>,
    /// The AWS accounts that the gateway calls, by their names in `accounts`. Each account makes a
    /// separate route, and these routes share the calls. `accounts`, or `account` for a single one.
    /// Default: the account of the gateway's own identity.
    pub accounts: Vec<String>,
    /// The order in which routes are tried, from the lowest number. Routes with the same number
    /// share the calls. `order`, default: the position in the list, from 1.
    pub order: u32,
    /// The route's share of the calls among routes with the same order. `weight`, default 1.
    pub weight: u32,
}

impl RouteOptions {
    /// Creates a route to a model ID, an inference profile or an ARN, in the Region of the ARN or
    /// of the gateway.
    pub fn to(model_id: impl Into<String>) -> Self {
        Self {
            model_id: model_id.into(),
            regions: Vec::new(),
            accounts: Vec::new(),
            order: 1,
            weight: 1,
        }
    }
}

/// Reads the routes of a target: `routes`, or `model_id` for a single one.
pub(super) fn read(target: &mut Section<'_>) -> Vec<RouteOptions> {
    let sections = target.list_of_sections("routes");
    let short = PLACE_KEYS.iter().any(|key| target.has(key));
    match sections {
        Some(sections) => {
            if short {
                target.report(
                    "routes",
                    "set either `routes`, or `model_id` with `region` or `regions` for a single route, but not both",
                );
            }
            // The keys are read nevertheless, so that they are not also reported as unknown.
            if short {
                let _reported = read_place(target);
            } else {
                target.know(&PLACE_KEYS);
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
            .map(|place| RouteOptions {
                regions: place.regions,
                accounts: place.accounts,
                ..RouteOptions::to(place.model_id)
            })
            .collect(),
    }
}

fn read_route(mut section: Section<'_>, place: u32) -> Option<RouteOptions> {
    let order = section.value("order", |text| units::number(text, 1, 1_000));
    let weight = section.value("weight", |text| units::number(text, 1, 1_000));
    let route = read_place(&mut section).map(|at| RouteOptions {
        model_id: at.model_id,
        regions: at.regions,
        accounts: at.accounts,
        order: order.unwrap_or(place),
        weight: weight.unwrap_or(1),
    });
    section.finish();
    route
}

/// The keys that [`read_place`] reads.
const PLACE_KEYS: [&str; 5] = ["model_id", "region", "regions", "account", "accounts"];

/// A model ID, its source Regions and accounts.
struct RoutePlace {
    model_id: String,
    regions: Vec<String>,
    accounts: Vec<String>,
}

/// Reads a model ID, its source Regions and accounts.
fn read_place(section: &mut Section<'_>) -> Option<RoutePlace> {
    let model_id = section.value("model_id", model);
    let has_both = section.has("region") && section.has("regions");
    let one = section.value("region", units::region);
    let several = section.list("regions", units::region);
    if has_both {
        section.report("regions", "set either `region` or `regions`, but not both");
    }
    if several.as_ref().is_some_and(Vec::is_empty) {
        section.report(
            "regions",
            "is an empty list; name at least one Region, such as us-east-1, or remove the key to use the default Region",
        );
    }
    if section.has("account") && section.has("accounts") {
        section.report("accounts", "either `account` or `accounts`, but not both");
    }
    let account = section.value("account", units::text);
    let accounts = section.list("accounts", units::text);
    if accounts.as_ref().is_some_and(Vec::is_empty) {
        section.report(
            "accounts",
            "is an empty list; name at least one of `accounts`, or remove the key to use the gateway's own identity",
        );
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
    let mut accounts: Vec<String> = accounts.into_iter().flatten().chain(account).collect();
    accounts.sort();
    accounts.dedup();
    Some(RoutePlace {
        model_id,
        regions,
        accounts,
    })
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
