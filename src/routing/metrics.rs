//! Reports the state of the routes as metrics, at each scrape.

use std::{fmt, time::SystemTime};

use prometheus_client::{
    collector::Collector, encoding::DescriptorEncoder, metrics::MetricType, registry::Unit,
};
use tokio::time::Instant;

use super::{
    Router,
    health::{BreakerState, HealthSnapshot},
};
use crate::telemetry::metrics as labels;

/// Reports each route of an alias separately, and all other routes together.
pub struct RouteMetrics(Box<dyn Fn() -> Option<Router> + Send + Sync>);

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteMetrics").finish_non_exhaustive()
    }
}

impl RouteMetrics {
    /// Creates a collector that reports the routes of this router at each scrape.
    pub fn of(router: Router) -> Self {
        Self::of_current(move || Some(router.clone()))
    }

    /// Creates a collector that reports the routes of the current router at each scrape. Without a
    /// current router, it reports nothing.
    pub fn of_current(router: impl Fn() -> Option<Router> + Send + Sync + 'static) -> Self {
        Self(Box::new(router))
    }
}

impl Collector for RouteMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = Instant::now();
        let Some(router) = self.0() else {
            return Ok(());
        };
        let mut of_aliases = router.routes();
        of_aliases.retain(|route| route.of_alias);
        of_aliases.sort_by_key(|route| route.key());
        let known: Vec<_> = of_aliases
            .iter()
            .map(|route| (route.labels(), route.health.snapshot(now)))
            .collect();
        breakers(&mut encoder, &known)?;
        cool_downs(&mut encoder, &known, now)?;
        let ends = of_aliases.iter().filter_map(|route| {
            let end = router.end_of_life(route)?;
            Some((route.labels(), end))
        });
        ends_of_life(&mut encoder, &ends.collect::<Vec<_>>())?;

        let mut open: Vec<_> = of_aliases
            .iter()
            .map(|route| (route.labels(), route.open_calls()))
            .collect();
        let named: usize = open.iter().map(|(_, count)| count).sum();
        // The other calls include calls on routes of aliases that are no longer configured.
        let others = router.open_calls().saturating_sub(named);
        if !router.allowed_model_ids().is_empty() || others > 0 {
            open.push((labels::RouteLabels::default(), others));
        }
        open_calls(&mut encoder, &open)
    }
}

fn breakers(
    encoder: &mut DescriptorEncoder<'_>,
    known: &[(labels::RouteLabels, HealthSnapshot)],
) -> fmt::Result {
    let help = "1 for the current state of a route's breaker, 0 for the others.";
    let mut family = encoder.encode_descriptor("breaker_state", help, None, MetricType::Gauge)?;
    for (route, health) in known {
        for (state, name) in [
            (BreakerState::Closed, "closed"),
            (BreakerState::Open, "open"),
            (BreakerState::HalfOpen, "half_open"),
        ] {
            let labels = labels::Breaker {
                route: route.clone(),
                state: name,
            };
            family
                .encode_family(&labels)?
                .encode_gauge(&i64::from(health.breaker == state))?;
        }
    }
    Ok(())
}

fn cool_downs(
    encoder: &mut DescriptorEncoder<'_>,
    known: &[(labels::RouteLabels, HealthSnapshot)],
    now: Instant,
) -> fmt::Result {
    let help = "Remaining cooldown of a route that Bedrock throttles. 0 if it is not skipped.";
    let seconds = Unit::Seconds;
    let mut family =
        encoder.encode_descriptor("cool_down", help, Some(&seconds), MetricType::Gauge)?;
    for (route, health) in known {
        let left = health.cools_until.map_or(0.0, |until| {
            until.saturating_duration_since(now).as_secs_f64()
        });
        family.encode_family(route)?.encode_gauge(&left)?;
    }
    Ok(())
}

fn ends_of_life(
    encoder: &mut DescriptorEncoder<'_>,
    known: &[(labels::RouteLabels, SystemTime)],
) -> fmt::Result {
    // Like other families, this one is declared only if it has a series.
    if known.is_empty() {
        return Ok(());
    }
    let help = "When the model of a route reaches its end of life, in seconds since the Unix epoch. Only for models whose end AWS has announced.";
    let name = "model_end_of_life_timestamp_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (route, end) in known {
        let seconds = end.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = seconds.unwrap_or_default().as_secs_f64();
        family.encode_family(route)?.encode_gauge(&seconds)?;
    }
    Ok(())
}

fn open_calls(
    encoder: &mut DescriptorEncoder<'_>,
    open: &[(labels::RouteLabels, usize)],
) -> fmt::Result {
    let help = "Open calls to Bedrock.";
    let mut family =
        encoder.encode_descriptor("open_upstream_calls", help, None, MetricType::Gauge)?;
    for (route, count) in open {
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        family.encode_family(route)?.encode_gauge(&count)?;
    }
    Ok(())
}
