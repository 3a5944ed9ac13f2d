"""Every alert as its condition happens: series that are born above 0, resets, gaps, missed scrapes, restarts, long names, other releases, and an end."""

import re

import pytest
import yaml

from rendering import NAMESPACE, run
from test_metrics import ISSUERS, STORE, pod_of, promtool, rules, series

LENGTH = 120
PODS = ("bcdfg", "hjklm", "npqrs")
CALLS = "bedrock_grpc_calls_total"


def failed(code, reason):
    return (CALLS, {"target": "claude", "code": code, "reason": reason})


# The counters by which alerts fire. Each rises by 60 in a minute.
COUNTERS = {
    "BedrockGrpcErrors": failed("UNAVAILABLE", "UPSTREAM_CONNECT"),
    "BedrockGrpcCredentials": failed("PERMISSION_DENIED", "UPSTREAM_CREDENTIALS"),
    "BedrockGrpcDailyQuota": failed("RESOURCE_EXHAUSTED", "UPSTREAM_QUOTA"),
    "BedrockGrpcThrottled": failed("RESOURCE_EXHAUSTED", "UPSTREAM_THROTTLED"),
    "BedrockGrpcTruncated": failed("UNAVAILABLE", "UPSTREAM_TRUNCATED"),
    "BedrockGrpcPanic": failed("INTERNAL", "PANIC"),
    "BedrockGrpcRefused": ("bedrock_grpc_refused_total", {}),
    "BedrockGrpcUnknownMembers": ("bedrock_grpc_unknown_total", {"kind": "event"}),
    "BedrockGrpcIssuerKeys": ("bedrock_grpc_issuer_key_fetches_total", {"issuer": "https://a.example", "outcome": "error"}),
    "BedrockGrpcAuthenticationFailures": ("bedrock_grpc_authentication_failures_total", {"reason": "unknown"}),
    "BedrockGrpcLimitsStoreDown": ("bedrock_grpc_limit_store_without_total", {"policy": "local"}),
}
# The gauges by which alerts fire, with a right and a wrong value.
GAUGES = {
    "BedrockGrpcBreakerOpen": ("bedrock_grpc_breaker_state", {"model_id": "m", "source_region": "us-east-1", "state": "open"}, 0, 1),
    "BedrockGrpcFull": ("bedrock_grpc_open_calls", {}, 100, 950),
    "BedrockGrpcConfigReload": ("bedrock_grpc_config_last_reload_successful", {}, 1, 0),
    "BedrockGrpcCertificateExpires": ("bedrock_grpc_tls_certificate_expiry_timestamp_seconds", {}, 5_000_000, 100_000),
    "BedrockGrpcModelEndOfLife": ("bedrock_grpc_model_end_of_life_timestamp_seconds", {"model_id": "m", "source_region": "us-east-1"}, 50_000_000, 100_000),
    "BedrockGrpcLimitsStoreDown": ("bedrock_grpc_limit_store_available", {}, 1, 0),
    "BedrockGrpcLimitsStoreEviction": ("bedrock_grpc_limit_store_evicts", {}, 0, 1),
    "BedrockGrpcBudget": ("bedrock_grpc_budget_used_ratio", {"scope": "caller", "name": "a", "limit": "usd_per_month"}, 0.5, 0.9),
    "BedrockGrpcScrapesMissed": ("up", {"job": "j"}, 1, 0),
}
# How many missed scrapes an alert on a gauge outlasts, if it is not four.
GAPS = {"BedrockGrpcBreakerOpen": 1}
# The histograms by which alerts fire: how much their buckets rise in a minute.
HISTOGRAMS = {
    "BedrockGrpcSlowFirstEvent": ("bedrock_grpc_time_to_first_event_seconds_bucket", {"25.6": 0, "51.2": 60, "+Inf": 60}),
    "BedrockGrpcSlowTokens": ("bedrock_grpc_inter_token_gap_seconds_bucket", {"10.0": 900, "30.0": 1000, "+Inf": 1000}),
}
# These alerts are about pods and their number.
PODS_THEMSELVES = {"BedrockGrpcAbsent", "BedrockGrpcPodsMissing", "BedrockGrpcRestarts"}


def minutes(text):
    """A duration of Prometheus in minutes."""
    return int(re.fullmatch(r"(\d+)m", text)[1])


class Release:
    """The rules of a release, and its series."""

    def __init__(self, name, *settings):
        self.name = name
        self.spec = rules(ISSUERS, STORE, f"--set=fullnameOverride={name}", *settings)
        self.holds = {each["alert"]: minutes(each["for"]) for each in self.spec["groups"][0]["rules"]}

    def series(self, metric, values, labels=None, pod=PODS[0]):
        return series(metric, values, namespace=NAMESPACE, pod=pod_of(self.name, "5d8f7c9b4x", pod), **(labels or {}))

    def at_work(self, *without, scraped=f"100x{LENGTH}"):
        """The series of a release without problems, except those of some metrics. `scraped`: the open calls of the pod that has the alert's series."""
        found = [
            self.series("bedrock_grpc_open_calls", scraped if pod == PODS[0] else f"100x{LENGTH}", pod=pod)
            for pod in PODS
            if "bedrock_grpc_open_calls" not in without or pod != PODS[0]
        ]
        # They started long ago.
        found += [self.series("bedrock_grpc_start_time_seconds", f"-900000x{LENGTH}", pod=pod) for pod in PODS]
        found.append(self.series(CALLS, f"0+60x{LENGTH}", {"target": "claude", "code": "OK", "reason": ""}))
        found.append(self.series("bedrock_grpc_limit_store_seconds_count", f"0+60x{LENGTH}", {"step": "reserve"}))
        return found


def checks(alert, expected):
    """What must be firing at these minutes."""
    expression = f'count(ALERTS{{alertstate="firing", alertname="{alert}"}}) > 0'
    return [{"expr": f"({expression}) * 0 + 1", "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": 1}] if fires else []} for minute, fires in expected.items()]


def case(name, alert, release, own, expected, *without, **scraped):
    return {"name": f"{alert}: {name}", "interval": "1m", "input_series": [*release.at_work(*without, **scraped), *own], "promql_expr_test": checks(alert, expected)}


def of_counter(alert, release, other):
    metric, labels = COUNTERS[alert]
    hold = release.holds[alert]
    of = lambda values, whose=release: [whose.series(metric, values, labels)]
    rising = {29: False, 31 + hold + 5: True, 90: True}
    never = dict.fromkeys((5, 29, 33, 36, 44, 46, 55, 60, 90, 119), False)
    sparse = " ".join(str(60 * minute) if minute % 2 == 0 else "_" for minute in range(LENGTH))
    yield case("born above 0", alert, release, of("_x30 60+60x89"), rising)
    yield case("an old count", alert, release, of(f"500x{LENGTH}"), never)
    yield case("rises after a restart, too", alert, release, of("0+60x30 5+60x89"), {31 + hold + 5: True, 90: True})
    yield case("a restart sets it to 0", alert, release, of("500x30 0x90"), never)
    yield case("every second scrape is missed", alert, release, of(sparse), {hold + 40: True, 110: True})
    # Scrapes that are missed are those of all metrics of a pod.
    yield case("an old count after a gap", alert, release, of("500x30 _x12 500x77"), never, scraped="100x30 _x12 100x77")
    yield case("the end", alert, release, of("0+60x30 1800x89"), {29: True, 119: False})
    yield case("another release", alert, release, of(f"0+60x{LENGTH}", other), dict.fromkeys((30, 60, 119), False))


def of_gauge(alert, release, other):
    metric, labels, right, wrong = GAUGES[alert]
    late = 30 + release.holds[alert] + 20
    of = lambda values, whose=release: [whose.series(metric, values, labels)]
    yield case("becomes wrong", alert, release, of(f"{right}x29 {wrong}x90"), {29: False, late: True, 110: True}, metric)
    yield case("born wrong", alert, release, of(f"_x30 {wrong}x89"), {29: False, late: True}, metric)
    gap = GAPS.get(alert, 4)
    yield case("a gap in what is wrong", alert, release, of(f"{wrong}x40 _x{gap} {wrong}x75"), {40: True, 40 + gap: True, 50: True, 110: True}, metric)
    yield case("the end", alert, release, of(f"{wrong}x40 {right}x79"), {40: True, 110: False}, metric)
    yield case("right", alert, release, of(f"{right}x40 _x4 {right}x75"), dict.fromkeys((20, 43, 60, 110), False), metric)
    yield case("another release", alert, release, of(f"{wrong}x{LENGTH}", other), dict.fromkeys((30, 60, 110), False))


def of_histogram(alert, release, other):
    metric, steps = HISTOGRAMS[alert]
    labels = lambda bound: {"target": "claude", "le": bound}
    late = 30 + release.holds[alert] + 5
    of = lambda values, whose=release: [whose.series(metric, values(step), labels(bound)) for bound, step in steps.items()]
    yield case("born above 0", alert, release, of(lambda step: f"_x30 {step}+{step}x89"), {29: False, late: True, 90: True})
    yield case("rises after a restart, too", alert, release, of(lambda step: f"0+{step}x40 {step}+{step}x79"), {39: True, 45: True, 60: True})
    yield case("missed scrapes", alert, release, of(lambda step: " ".join(str(step * minute) if minute % 3 == 0 else "_" for minute in range(LENGTH))), {60: True, 110: True})
    yield case("the end", alert, release, of(lambda step: f"0+{step}x40 {step * 40}x79"), {39: True, 110: False})
    yield case("another release", alert, release, of(lambda step: f"0+{step}x{LENGTH}", other), dict.fromkeys((30, 60, 110), False))


def of_pods(release, other):
    """Pods that end, that start again, that restart, and those of another release."""
    start, calls = "bedrock_grpc_start_time_seconds", "bedrock_grpc_open_calls"
    everyone = lambda values, whose: [whose.series(calls, values, pod=pod) for pod in PODS]
    of = lambda name, alert, own, expected: {"name": f"{alert}: {name}", "interval": "1m", "input_series": own, "promql_expr_test": checks(alert, expected)}
    absent, missing, restarts = "BedrockGrpcAbsent", "BedrockGrpcPodsMissing", "BedrockGrpcRestarts"
    yield of("all pods end", absent, everyone("100x30 stale", release), {30: False, 45: True})
    yield of("all pods are back", absent, everyone("_x30 100x89", release), {20: True, 40: False})
    yield of("a gap of four minutes", absent, everyone("100x30 _x4 100x85", release), dict.fromkeys((33, 35, 45), False))
    yield of("another release's pods", absent, everyone(f"100x{LENGTH}", other), {20: True})
    lone = [release.series(calls, f"100x{LENGTH}")]
    gone = [release.series(calls, "100x30 stale", pod=pod) for pod in PODS[1:]]
    yield of("two of three end", missing, [*lone, *gone], {30: False, 40: False, 60: True})
    yield of("two of three are born late", missing, [*lone, *(release.series(calls, "_x60 100x59", pod=pod) for pod in PODS[1:])], {40: True, 70: False})
    yield of("another release's pods do not count", missing, [*lone, *everyone(f"100x{LENGTH}", other)], {40: True})
    twice = [release.series(calls, f"100x{LENGTH}", {"job": job}, pod=pod) for job in ("monitor", "annotations") for pod in PODS[:2]]
    yield of("two jobs scrape each of the two that remain", missing, twice, {40: True})
    again = "1000x20 2000x5 3000x5 4000x60"
    running = everyone(f"100x{LENGTH}", release)
    yield of("three restarts", restarts, [*running, release.series(start, again)], {24: False, 35: True, 80: False})
    yield of("three restarts with missed scrapes", restarts, [*running, release.series(start, "1000x20 _ 2000 _ _ 3000 _ _ 3000 _ 4000x60")], {21: False, 35: True})
    yield of("gaps are no restarts", restarts, [*running, release.series(start, "1000x20 _x5 1000x5 _x5 1000x5 _x5 1000x60")], dict.fromkeys((26, 36, 47, 60), False))
    yield of("another release restarts", restarts, [*running, other.series(start, again)], {35: False})


# The second name is longer than what Kubernetes keeps of it in the names of pods; in both pairs,
# one name begins with the other.
@pytest.mark.parametrize(("name", "other"), [("gateway", "gateway-canary"), ("gateway-" + "x" * 45, "gateway-" + "x" * 39)])
def test_each_alert_sees_what_happens_and_nothing_else(name, other, tmp_path):
    release, other = Release(name), Release(other)
    assert release.holds.keys() == COUNTERS.keys() | GAUGES.keys() | HISTOGRAMS.keys() | PODS_THEMSELVES
    cases = list(of_pods(release, other))
    for table, of in ((COUNTERS, of_counter), (GAUGES, of_gauge), (HISTOGRAMS, of_histogram)):
        for alert in table:
            cases += of(alert, release, other)
    run("promtool", "test", "rules", *written(tmp_path, release, cases))


def written(folder, release, cases):
    """Writes a file of cases for each alert, with a file that has only its rule: each evaluation of a rule takes time. Returns their paths."""
    for alert in release.holds:
        (rule,) = [each for each in release.spec["groups"][0]["rules"] if each["alert"] == alert]
        rules_file = folder / f"{alert}.rules.yaml"
        rules_file.write_text(yaml.safe_dump({"groups": [{"name": alert, "rules": [rule]}]}), encoding="utf-8")
        own = [each for each in cases if each["name"].startswith(f"{alert}: ")]
        assert own, alert
        document = {"rule_files": [rules_file.name], "evaluation_interval": "1m", "tests": own}
        path = folder / f"{alert}.yaml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        yield path


def test_no_alert_on_the_pods_of_a_release_without_pods():
    release = Release("gateway", "--set=replicaCount=0,autoscaling.enabled=false,checkUnused=false,podDisruptionBudget.enabled=false")
    assert "BedrockGrpcAbsent" not in release.holds
    (missing,) = [each["expr"] for each in release.spec["groups"][0]["rules"] if each["alert"] == "BedrockGrpcPodsMissing"]
    assert "bedrock_grpc_open_calls" not in missing


def test_the_threshold_of_budgets_is_a_value(tmp_path):
    release = Release("gateway", "--set-json=metrics.prometheusRule.budgetRatio=0.95")
    metric, labels, _, wrong = GAUGES["BedrockGrpcBudget"]
    below = case("below", "BedrockGrpcBudget", release, [release.series(metric, f"{wrong}x{LENGTH}", labels)], {60: False})
    above = case("above", "BedrockGrpcBudget", release, [release.series(metric, f"0.95x{LENGTH}", labels)], {60: True})
    promtool(tmp_path, {"rules.yaml": release.spec}, [below, above])
