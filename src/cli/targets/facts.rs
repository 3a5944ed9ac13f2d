//! Formats the fields of a route as text. The table and the JSON contain the same texts.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use prost_types::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::pb::{Route, RouteHealth, Target, TargetKind};

const DAY: Duration = Duration::from_secs(86_400);
/// How long before the end of a model's life it is shown as near. AWS announces the end at least
/// six months before. Half of that is left to select, test and roll out a successor.
const NEAR: Duration = Duration::from_secs(90 * 86_400);

pub(super) fn kind(route: &Route) -> &'static str {
    let name = TargetKind::try_from(route.kind)
        .unwrap_or_default()
        .as_str_name();
    name.trim_start_matches("TARGET_KIND_")
}

pub(super) fn health(route: &Route) -> &'static str {
    match RouteHealth::try_from(route.health).unwrap_or_default() {
        RouteHealth::Unspecified => "unknown",
        RouteHealth::Healthy => "healthy",
        RouteHealth::Throttled => "throttled",
        RouteHealth::Unhealthy => "unhealthy",
    }
}

pub(super) fn unavailable_for(route: &Route) -> Option<Duration> {
    Duration::try_from(route.unavailable_for?).ok()
}

/// Formats a time in UTC. `None` if it is not a valid time.
pub(super) fn rfc3339(time: Timestamp) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(time.seconds).ok()?;
    time.format(&Rfc3339).ok()
}

/// Returns a line for each model ID and source Region whose model is near its end of life, or has
/// reached it.
pub(super) fn near_ends(targets: &[Target], now: SystemTime) -> Vec<String> {
    let mut lines = BTreeSet::new();
    for route in targets.iter().flat_map(|target| &target.routes) {
        let Some(end) = route.end_of_life else {
            continue;
        };
        let (Some(text), Ok(end)) = (rfc3339(end), SystemTime::try_from(end)) else {
            continue;
        };
        let date = text.split('T').next().unwrap_or_default();
        let model = format!("{} in {}", route.model_id, route.source_region);
        match end.duration_since(now) {
            Ok(left) if left < NEAR => {
                let days = left.as_secs() / DAY.as_secs();
                lines.insert(format!(
                    "warning: {model} reaches its end of life on {date}, in {days} days: move its targets to another model"
                ));
            }
            Ok(_) => {}
            Err(_) => {
                lines.insert(format!(
                    "warning: {model} has reached its end of life on {date}: Bedrock refuses its calls"
                ));
            }
        }
    }
    lines.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_near_their_end_are_named_once() {
        let now = SystemTime::UNIX_EPOCH + 1_000 * DAY;
        let route = |model_id: &str, end: Option<SystemTime>| Route {
            model_id: model_id.to_owned(),
            source_region: "us-east-1".to_owned(),
            end_of_life: end.map(Into::into),
            ..Route::default()
        };
        let target = Target {
            routes: vec![
                route("old", Some(now + 30 * DAY)),
                route("old", Some(now + 30 * DAY)),
                route("new", Some(now + 91 * DAY)),
                route("gone", Some(now - DAY)),
                route("unknown", None),
            ],
            ..Target::default()
        };
        assert_eq!(
            near_ends(&[target], now),
            [
                "warning: gone in us-east-1 has reached its end of life on 1972-09-26: Bedrock refuses its calls",
                "warning: old in us-east-1 reaches its end of life on 1972-10-27, in 30 days: move its targets to another model",
            ]
        );
    }
}
