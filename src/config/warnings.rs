//! Finds settings that are valid but have no effect.

use super::{Alias, Config, Problem, RouteOptions, Targets, problem::ConfigLocation};
use crate::aws::{Sampling, Side, model_id};

impl Config {
    /// Returns settings that are valid but have no effect, such as defaults that a model refuses.
    pub fn warnings(&self) -> Vec<Problem> {
        let targets = &self.targets;
        let mut warnings = Vec::new();
        for (name, alias) in &targets.aliases {
            warnings.extend(sampling(name, alias, targets));
            warnings.extend(default_region(name, alias, self));
        }
        warnings
    }
}

/// Warns about routes that take their source Region from `bedrock.region`, if that is outside of a
/// fence.
fn default_region(name: &str, alias: &Alias, config: &Config) -> Option<Problem> {
    let region = config.bedrock.region.as_deref()?;
    let takes_default = |route: &&RouteOptions| {
        route.regions.is_empty() && model_id::region_of_arn(&route.model_id).is_none()
    };
    let route = alias.routes.iter().find(takes_default)?;
    let mut fences = [&alias.only, &config.targets.only].into_iter();
    let fence = fences.find(|fence| fence.side_of_region(region) == Side::Outside)?;
    let message = format!(
        "{} is called in bedrock.region, {region}, outside of only: [{fence}], so calls never take this route; set its region",
        route.model_id
    );
    let key = format!("targets.{name}.routes");
    Some(Problem::new(key, ConfigLocation::default(), message))
}

/// Warns about defaults that the gateway does not send, because a model of the target would refuse
/// them.
fn sampling(name: &str, alias: &Alias, targets: &Targets) -> Option<Problem> {
    let defaults = &alias.defaults;
    let (model_id, accepted) = strictest(alias, targets)?;
    let (key, message) = match (accepted, defaults.temperature, defaults.top_p) {
        (Sampling::EitherOne, Some(_), Some(_)) => (
            "top_p",
            format!(
                "{model_id} refuses temperature and top_p in one request, so the gateway sends only temperature; remove one of the two"
            ),
        ),
        (Sampling::Neither, Some(_), _) => (
            "temperature",
            format!("{model_id} refuses it, so the gateway does not send it; remove it"),
        ),
        (Sampling::Neither, None, Some(_)) => (
            "top_p",
            format!("{model_id} refuses it, so the gateway does not send it; remove it"),
        ),
        _ => return None,
    };
    let key = format!("targets.{name}.defaults.{key}");
    Some(Problem::new(key, ConfigLocation::default(), message))
}

/// Returns the most restrictive of the models that a target may call, because the same request is
/// sent to each of them.
fn strictest<'a>(alias: &'a Alias, targets: &'a Targets) -> Option<(&'a str, Sampling)> {
    let fallbacks = std::iter::successors(Some(alias), |alias| {
        targets.aliases.get(alias.fallback.as_ref()?)
    });
    fallbacks
        .flat_map(|alias| &alias.routes)
        .map(|route| (route.model_id.as_str(), Sampling::of_model(&route.model_id)))
        .max_by_key(|(_, sampling)| *sampling)
}
