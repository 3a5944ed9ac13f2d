//! Formats the fields of a route as text. The table and the JSON contain the same texts.

use std::time::Duration;

use crate::pb::{Route, RouteHealth, TargetKind};

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
