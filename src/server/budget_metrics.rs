//! Updates the metric of used budgets: the daily and monthly limits of the configured callers,
//! groups and targets.

use std::{sync::Arc, time::Duration};

use crate::{
    access::limits::{Limit, Names, Scope, ScopeKind, Scopes, Standing, Window},
    config::{Config, Quota},
    grpc::Generations,
    telemetry::{
        Metrics,
        metrics::{Budget, Callers},
    },
};

/// How often the counts are read.
const REFRESH: Duration = Duration::from_secs(5);
/// The maximum number of callers, groups and targets whose counts are read in one step.
const AT_ONCE: usize = 100;

/// Reads the counts of all budgets of the current configuration, forever.
pub(super) async fn follow(generations: Generations, metrics: Arc<Metrics>) {
    let callers = metrics.callers.clone();
    let mut shown = 0;
    loop {
        // The generation must not be held while the task waits, so only these parts are kept.
        let (number, accounts, budgets) = {
            let current = generations.current();
            let budgets = Arc::clone(&current.budgets);
            (current.number, current.accounts.clone(), budgets)
        };
        if shown != number {
            // Budgets that are not in the current configuration are removed from the metric.
            callers.budgets.clear();
            shown = number;
        }
        for some in budgets.chunks(AT_ONCE) {
            let scopes = Scopes {
                caller: Some(some.into()),
                target: None,
            };
            // If the store does not answer, the metric keeps the last values.
            if let Ok(standings) = accounts.limiter().standings(scopes).await {
                show(&callers, some, &standings);
            }
        }
        drop((accounts, budgets));
        tokio::time::sleep(REFRESH).await;
    }
}

/// Returns the callers, groups and targets that have a daily or monthly limit.
pub(super) fn of(config: &Config, names: &Names) -> Arc<[Arc<Scope>]> {
    let access = &config.access;
    let callers = access.callers.iter();
    let callers = callers.map(|(name, caller)| (ScopeKind::Caller, name, &caller.quota));
    let groups = access.groups.iter();
    let groups = groups.map(|(name, group)| (ScopeKind::Group, name, &group.quota));
    let targets = config.targets.aliases.iter();
    let targets = targets.map(|(name, alias)| (ScopeKind::Target, name, &alias.limits.quota));
    let scope = |(kind, name, quota): (ScopeKind, &String, &Quota)| names.scope(kind, name, quota);
    let scopes = callers.chain(groups).chain(targets).filter_map(scope);
    scopes
        .filter(|scope| scope.limits.iter().any(is_budget))
        .collect()
}

fn is_budget(limit: &Limit) -> bool {
    matches!(limit.kind.window(), Window::Day | Window::Month)
}

fn show(callers: &Callers, scopes: &[Arc<Scope>], standings: &[Standing]) {
    let limits = scopes
        .iter()
        .flat_map(|scope| scope.limits.iter().map(move |limit| (scope, limit)));
    for ((scope, limit), standing) in limits.zip(standings) {
        if is_budget(limit) {
            let label = Budget {
                scope: scope.kind.as_str(),
                name: scope.name.as_ref().to_owned(),
                limit: limit.kind.as_str(),
            };
            let used = standing.limit.saturating_sub(standing.left);
            let share = used as f64 / standing.limit.max(1) as f64;
            callers.budgets.get_or_create(&label).set(share);
        }
    }
}
