//! `docs/observability.md` lists every metric that the gateway exports, with its labels.

use std::collections::{BTreeMap, BTreeSet};

use bedrock_grpc::{
    bedrock::FoundationModel,
    config::Config,
    routing::{RouteMetrics, Router},
    telemetry::{Metrics, metrics},
};

use super::page;

/// Every metric with the names of its labels, from the text of `/metrics`.
fn exported() -> BTreeMap<String, BTreeSet<String>> {
    let config = Config::parse(
        "bedrock: {region: us-east-1}\naccounts: {one: {role_arn: 'arn:aws:iam::123456789012:role/x'}}\nallowed_model_ids: [x.*]\ntargets: {a: {model_id: amazon.nova-lite-v1:0, account: one}}",
        &|_| None,
    )
    .unwrap();
    let mut all = Metrics::default();
    let router = Router::new(config.targets, Some("us-east-1"));
    let ended = FoundationModel {
        id: "amazon.nova-lite-v1:0".to_owned(),
        end_of_life: Some(std::time::SystemTime::now()),
    };
    router.learn_models("us-east-1", vec![ended]);
    all.also(RouteMetrics::of(router));
    let target = metrics::TargetLabel::default();
    let route = metrics::RouteLabels {
        account: metrics::AccountLabel::named(&"one".into()),
        ..metrics::RouteLabels::default()
    };
    drop(all.calls.get_or_create(&metrics::CallLabels {
        method: "Invoke",
        target: target.clone(),
        route: route.clone(),
        code: "OK",
        reason: "",
    }));
    drop(
        all.authentication_failures
            .get_or_create(&metrics::AuthenticationFailure { reason: "missing" }),
    );
    drop(all.key_fetches.get_or_create(&metrics::KeyFetch {
        issuer: String::new(),
        outcome: "ok",
    }));
    drop(all.keys_fetched_at.get_or_create(&metrics::Issuer {
        issuer: String::new(),
    }));
    drop(
        all.limited
            .get_or_create(&metrics::LimitedResource { what: "memory" }),
    );
    for family in [&all.usage_records_written, &all.usage_records_dropped] {
        drop(family.get_or_create(&metrics::UsageSink { sink: "file" }));
    }
    let callers = &all.callers;
    let caller = String::new();
    drop(callers.calls.get_or_create(&metrics::CallerCall {
        caller: caller.clone(),
        code: "OK",
    }));
    drop(callers.tokens.get_or_create(&metrics::CallerTokens {
        caller: caller.clone(),
        kind: "input",
    }));
    drop(callers.cost.get_or_create(&metrics::CallerLabel { caller }));
    drop(callers.budgets.get_or_create(&metrics::Budget {
        scope: "caller",
        name: String::new(),
        limit: "usd_per_day",
    }));
    all.config.loaded(1, "", std::time::SystemTime::UNIX_EPOCH);
    let store = &all.limit_store;
    drop(
        store
            .duration
            .get_or_create(&metrics::StoreStep { step: "reserve" }),
    );
    drop(store.failures.get_or_create(&metrics::StoreFailure {
        step: "reserve",
        reason: "timeout",
    }));
    drop(
        store
            .without
            .get_or_create(&metrics::WithoutStore { policy: "deny" }),
    );
    let expiries = metrics::Expiries {
        own: 0,
        client_ca: Some(0),
    };
    all.also(metrics::CertificateExpiry::of_current(move || {
        Some(expiries)
    }));
    drop(all.attempts.get_or_create(&metrics::AttemptLabels {
        target: target.clone(),
        route,
        reason: "",
    }));
    drop(all.sdk_requests.get_or_create(&metrics::SdkRequest {
        operation: "ConverseStream",
        reason: "first",
    }));
    drop(all.tokens.get_or_create(&metrics::Tokens {
        target: target.clone(),
        kind: "input",
    }));
    drop(
        all.cancelled
            .get_or_create(&metrics::Cancelled { usage: "known" }),
    );
    drop(all.usage_missing.get_or_create(&metrics::UsageMissing {
        target: target.clone(),
        reason: "",
    }));
    drop(
        all.unknown
            .get_or_create(&metrics::Unknown { kind: "event" }),
    );
    drop(all.call_duration.get_or_create(&target));
    drop(all.time_to_first_event.get_or_create(&target));
    drop(all.time_to_first_token.get_or_create(&target));
    drop(all.inter_token_gap.get_or_create(&target));

    let text = all.encode();
    let mut kinds = BTreeMap::new();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            kinds.insert(name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels
                .trim_end_matches('}')
                .split(',')
                .filter_map(|label| label.split_once('='))
                .map(|(label, _)| label.to_owned())
                // A label of every histogram.
                .filter(|label| label != "le");
            // A histogram has one name in the documentation, without `_bucket`, `_sum` and
            // `_count`.
            let histogram = kinds.iter().find(|(family, kind)| {
                *kind == "histogram" && name.strip_prefix(family.as_str()).is_some()
            });
            let name = histogram.map_or(name, |(family, _)| family).to_owned();
            let known: &mut BTreeSet<String> = found.entry(name).or_default();
            known.extend(labels);
        }
    }
    for (family, kind) in kinds {
        let name = match kind.as_str() {
            "counter" => format!("{family}_total"),
            "info" => format!("{family}_info"),
            _ => family,
        };
        assert!(
            found.contains_key(&name),
            "{name}: this test makes no series of it"
        );
    }
    found
}

/// A metric with labels is not exported before it has a series.
#[test]
fn every_metric_with_labels_has_a_series_in_this_test() {
    let registry = include_str!("../../src/telemetry/metrics/mod.rs");
    let this_test = include_str!("metrics.rs");
    for line in registry.lines().filter(|line| line.contains(": Family<")) {
        let (name, _) = line
            .trim()
            .trim_start_matches("pub ")
            .split_once(':')
            .unwrap();
        assert!(
            this_test.contains(&format!("all.{name}")),
            "make a series of {name} in `exported`"
        );
    }
}

#[test]
fn metrics_are_those_of_the_registry() {
    let text = page::read("docs/observability.md");
    let mut documented = BTreeMap::new();
    for row in page::rows(&text) {
        if let [name, labels, ..] = row.as_slice()
            && let Some(name) = name
                .strip_prefix('`')
                .and_then(|name| name.strip_suffix('`'))
            && name.starts_with("bedrock_grpc_")
        {
            let labels: BTreeSet<_> = page::quoted(labels)
                .into_iter()
                .map(str::to_owned)
                .collect();
            documented.insert(name.to_owned(), labels);
        }
    }
    let exported = exported();
    for (name, labels) in &exported {
        assert_eq!(
            documented.get(name),
            Some(labels),
            "docs/observability.md on {name}: its labels"
        );
    }
    documented.retain(|name, _| !exported.contains_key(name));
    assert!(
        documented.is_empty(),
        "docs/observability.md has metrics that the gateway does not export: {documented:?}"
    );
}
