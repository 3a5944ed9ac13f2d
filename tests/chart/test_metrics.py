"""Alerts, the dashboard and the autoscalers use only metrics, labels and reasons that exist. A Prometheus that scrapes a running gateway shows them."""

import json
import re
import subprocess

import pytest
import yaml

from rendering import NAMESPACE, RELEASE, ROOT, VALUE_SETS, objects, parse, run, template, values_of
from watching import POD, wait_for, watched_gateway

DASHBOARD = ROOT / "helm/bedrock-grpc/dashboards/bedrock-grpc.json"
RULES = "production-eks"
# The values that Grafana inserts for these variables. A rate needs two readings, and this test
# takes one per second.
VARIABLES = {"$namespace": ".*", "$pod": ".*", "$target": ".*", "$__rate_interval": "1m"}
# No input makes a gateway panic. The test for rules with this metric uses other reasons.
WITHOUT_DATA = {"BedrockGrpcPanic", "BedrockGrpcAbsent", "BedrockGrpcModelEndOfLife"}
# These expressions compare or subtract in the middle. Without its threshold, the rest is not an
# expression.
WHOLE = {"BedrockGrpcPodsMissing", "BedrockGrpcRestarts", "BedrockGrpcScrapesMissed", "BedrockGrpcCertificateExpires"}
# With this, there is an alert on the keys of issuers.
ISSUERS = "--set=config.access.kubernetes.audience=a"
# With this, there are alerts on the store of limits.
STORE = "--set=config.limits.store=redis://redis.example.com"
# Their series exist only with callers, issuers of tokens, sinks of usage records or the end of a
# model's life, which this gateway does not have.
WITHOUT_SERIES = {
    "bedrock_grpc_authentication_failures_total",
    "bedrock_grpc_budget_used_ratio",
    "bedrock_grpc_caller_calls_total",
    "bedrock_grpc_caller_cost_nano_usd_total",
    "bedrock_grpc_caller_tokens_total",
    "bedrock_grpc_issuer_key_fetches_total",
    "bedrock_grpc_issuer_keys_fetched_timestamp_seconds",
    "bedrock_grpc_model_end_of_life_timestamp_seconds",
    "bedrock_grpc_usage_records_dropped_total",
    "bedrock_grpc_usage_records_written_total",
}
SUFFIXES = {"counter": "_total", "histogram": "_bucket", "info": "_info", "gauge": ""}


def rules(*arguments, release=RELEASE):
    """The chart's rules: those of the production values, with TLS."""
    rendered = template(*values_of(RULES), "--set=tls.enabled=true,tls.existingSecret=s", *arguments, release=release)
    (rule,) = [obj for obj in parse(rendered) if obj["kind"] == "PrometheusRule"]
    return rule["spec"]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A gateway that has received calls of every kind, and a Prometheus with the chart's rules that has read its metrics."""
    with watched_gateway(tmp_path_factory.mktemp("watched"), rules()) as both:
        yield both


def families(text):
    """The metrics that a gateway declares, with their kinds."""
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))


def names(text):
    """The same by the names that Prometheus gives them; histograms by that of their buckets."""
    return {name + SUFFIXES[kind] for name, kind in families(text).items()}


def asked(expression):
    """The metrics that an expression names, with the labels by which it selects."""
    for name, selector in re.findall(r"\b(bedrock_grpc_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', selector))


def grouped(expression):
    """The labels by which an expression groups."""
    return {label for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(", ")}


def alerts():
    """The chart's alerts by name."""
    return {alert["alert"]: alert["expr"] for alert in rules()["groups"][0]["rules"] if "alert" in alert}


def dashboard():
    """The dashboard's expressions by the title of their panel."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def expressions():
    """Every expression of the chart, by its place."""
    for value_set in VALUE_SETS:
        for rule in objects(value_set, "PrometheusRule"):
            for alert in rule["spec"]["groups"][0]["rules"]:
                yield f"{value_set}: {alert.get('alert', alert.get('record'))}", alert["expr"]
        for scaled in objects(value_set, "ScaledObject"):
            yield f"{value_set}: ScaledObject", scaled["spec"]["triggers"][0]["metadata"]["query"]
        for scaler in objects(value_set, "HorizontalPodAutoscaler"):
            for metric in scaler["spec"]["metrics"]:
                if metric["type"] == "Pods":
                    yield f"{value_set}: HorizontalPodAutoscaler", metric["pods"]["metric"]["name"]
    for title, expression in dashboard():
        yield f"dashboard: {title}", expression
    for variable in json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]:
        if variable["type"] == "query":
            yield f"dashboard: variable {variable['name']}", variable["query"]["query"]


def test_prometheus_reads_every_metric(watched):
    gateway, prometheus = watched
    read = prometheus.labels()
    assert "bedrock_grpc_open_calls" in read
    assert {"method", "target", "model_id", "source_region", "code", "reason"} <= read["bedrock_grpc_calls_total"]
    assert names(gateway.metrics()) <= read.keys()


def test_metrics_and_labels_are_those_of_the_service(watched):
    _, prometheus = watched
    read = prometheus.labels()
    for place, expression in expressions():
        if WITHOUT_SERIES & {name for name, _ in asked(expression)}:
            continue
        # These are labels of Prometheus's own series of alerts.
        known = {"alertname", "alertstate"} if "ALERTS{" in expression else set()
        # This series of each scrape has the labels of the pod.
        known |= POD.keys() if re.search(r"\bup\{", expression) else set()
        for name, labels in asked(expression):
            assert name in read, f"{place}: there is no metric {name}"
            unknown = labels - read[name]
            assert not unknown, f"{place}: {name} has no label {unknown}"
            known |= read[name]
        assert grouped(expression) <= known, f"{place}: {expression}"


def test_every_metric_is_on_the_dashboard(watched):
    gateway, _ = watched
    shown = {name for place, expression in expressions() if place.startswith("dashboard") for name, _ in asked(expression)}
    assert shown == names(gateway.metrics()) | WITHOUT_SERIES | {f"bedrock_grpc_tls_{what}_expiry_timestamp_seconds" for what in ("certificate", "client_ca")}


def test_metrics_without_series_are_those_of_the_documentation():
    documented = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
    for name in WITHOUT_SERIES:
        (row,) = re.findall(rf"^\| `{name}` \|([^|]*)\|", documented, re.M)
        labels = set(re.findall(r"`(\w+)`", row))
        for place, expression in expressions():
            if name in {each for each, _ in asked(expression)}:
                used = set().union(*(found for each, found in asked(expression) if each == name)) | grouped(expression)
                assert used <= labels | {"namespace", "pod"}, f"{place}: {expression}"


def test_the_dashboard_has_something_to_show(watched):
    _, prometheus = watched
    for title, expression in dashboard():
        if WITHOUT_SERIES & {name for name, _ in asked(expression)}:
            continue
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        assert prometheus.query(expression), f"{title}: {expression}"


def test_alerts_look_at_something(watched):
    _, prometheus = watched
    for name, expression in alerts().items():
        if name in WHOLE:
            continue
        # The expression without its threshold.
        value, _, _ = expression.rpartition(" > ")
        found = prometheus.query(value or expression)
        assert bool(found) == (name not in WITHOUT_DATA), f"{name}: {expression}: {found}"


def test_prometheus_takes_the_rules_and_sees_what_is_wrong(watched):
    _, prometheus = watched

    # Alerts without `for` fire at once; alerts with `for` are pending for that time.
    states = {"BedrockGrpcDailyQuota": "firing", "BedrockGrpcBreakerOpen": "pending", "BedrockGrpcRefused": "pending", "BedrockGrpcAbsent": "inactive", "BedrockGrpcPodsMissing": "pending", "BedrockGrpcCertificateExpires": "inactive"}

    def evaluated():
        rules = {rule["name"]: rule for rule in prometheus.ask("rules")["groups"][0]["rules"]}
        assert {name: rule.get("lastError") for name, rule in rules.items() if rule["health"] == "err"} == {}
        return all(rule["health"] == "ok" for rule in rules.values()) and states.items() <= {name: rule["state"] for name, rule in rules.items()}.items() and rules

    rules = wait_for(evaluated)
    assert rules.keys() == alerts().keys()
    (breaker,) = rules["BedrockGrpcBreakerOpen"]["alerts"]
    assert breaker["annotations"]["summary"] == "amazon.nova-lite-v1:0.fault-service-unavailable in us-east-1 fails, and the gateway does not call it"


def test_open_calls_are_those_of_their_route(watched):
    _, prometheus = watched
    (open_call,) = prometheus.query("bedrock_grpc_open_upstream_calls > 0")
    labels = {"model_id": "amazon.nova-lite-v1:0.fault-stall-after-3", "source_region": "us-east-1", **POD}
    assert open_call["value"][1] == "1"
    assert labels.items() <= open_call["metric"].items()


def prometheus_text(openmetrics):
    """Prometheus's older form, the only one that promtool knows: there names have their suffixes everywhere."""
    text = re.sub(r"^# (EOF|UNIT .*)\n", "", openmetrics, flags=re.M)
    for name, kind in families(openmetrics).items():
        if kind in ("counter", "info"):
            text = re.sub(rf"^# (HELP|TYPE) {name} ", rf"# \1 {name}{SUFFIXES[kind]} ", text, flags=re.M)
    return re.sub(r"^(# TYPE \w+) info$", r"\1 gauge", text, flags=re.M)


def test_promtool_takes_the_metrics(watched):
    gateway, _ = watched
    checked = subprocess.run(["promtool", "check", "metrics"], input=prometheus_text(gateway.metrics()), capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_reasons_are_those_of_the_service():
    source = (ROOT / "src/error.rs").read_text(encoding="utf-8")
    reasons = set(re.findall(r'=> "([A-Z_]+)"', source))
    for place, expression in expressions():
        for choice in re.findall(r'reason(?:=~|!~|=)"([^"]+)"', expression):
            assert set(choice.split("|")) <= reasons, f"{place}: {choice}"


@pytest.mark.parametrize("value_set", [each for each in VALUE_SETS if objects(each, "PrometheusRule")])
def test_promtool_takes_the_rules(value_set, tmp_path):
    (rule,) = objects(value_set, "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    run("promtool", "check", "rules", tmp_path / "rules.yaml")


def test_alerts_fire_when_they_should(tmp_path):
    spec = rules()
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    cases = (ROOT / "tests/chart/alerts.yaml").read_text(encoding="utf-8")
    (tmp_path / "cases.yaml").write_text(cases, encoding="utf-8")
    run("promtool", "test", "rules", tmp_path / "cases.yaml")
    assert set(re.findall(r"alertname: (\w+)", cases)) == {alert["alert"] for alert in spec["groups"][0]["rules"]}


def pod_of(deployment, replica_set, random):
    """The name that Kubernetes gives to a pod: the generated part is cut to 58 characters."""
    return f"{deployment}-{replica_set}-"[:58] + random


def series(name, values, /, **labels):
    return {"series": name + "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}", "values": values}


def promtool(folder, files, cases):
    """Runs cases against files of rules."""
    for name, spec in files.items():
        (folder / name).write_text(yaml.safe_dump(spec), encoding="utf-8")
    document = {"rule_files": list(files), "evaluation_interval": "1m", "tests": cases}
    (folder / "cases.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    run("promtool", "test", "rules", folder / "cases.yaml")


FIRING = 'count(ALERTS{alertstate="firing"}) by (alertname, release)'


@pytest.mark.parametrize("length", [1, 30, 46, 47, 48, 50, 52, 53])
@pytest.mark.parametrize("replica_set", ["7c9b4", "5d8f7c9b4", "5d8f7c9b4x"])
def test_alerts_see_the_pods_of_every_legal_name(length, replica_set, tmp_path):
    name = ("g" + "a1-b" * 20)[: length - 1] + "x" if length > 1 else "g"
    pods = [pod_of(name, replica_set, random) for random in ("bcdfg", "hjklm", "npqrs")]
    live = [series("bedrock_grpc_open_calls", "900x60", namespace=NAMESPACE, pod=pod) for pod in pods]
    panic = series("bedrock_grpc_calls_total", "_x10 1x50", namespace=NAMESPACE, pod=pods[0], target="claude", code="INTERNAL", reason="PANIC")
    quiet = {"expr": FIRING, "eval_time": "9m", "exp_samples": []}
    alert = {"expr": FIRING, "eval_time": "12m", "exp_samples": [{"labels": f'{{alertname="BedrockGrpcPanic", release="{RELEASE}"}}', "value": 1}]}
    full = {"expr": 'ALERTS{alertname="BedrockGrpcFull", alertstate="firing"}', "eval_time": "15m", "exp_samples": []}
    case = {"interval": "1m", "input_series": [*live, panic], "promql_expr_test": [quiet, alert, full]}
    # 900 of 1,000 calls is above the threshold; it is raised so that only the selector matters.
    promtool(tmp_path, {"rules.yaml": rules(f"--set=fullnameOverride={name}", "--set-json=metrics.prometheusRule.fullRatio=0.99")}, [case])


def test_keys_of_issuers_that_cannot_be_fetched_raise_an_alert(tmp_path):
    pod = pod_of("rel-bedrock-grpc", "7c9b4", "bcdfg")

    def fetches(issuer, outcome, values):
        return series("bedrock_grpc_issuer_key_fetches_total", values, namespace=NAMESPACE, pod=pod, issuer=issuer, outcome=outcome)

    fetched = [
        fetches("https://always.example", "ok", "1+1x90"),
        fetches("https://sometimes.example", "ok", "1+1x90"),
        fetches("https://sometimes.example", "error", "1+1x90"),
        fetches("https://down.example", "ok", "1+1x20 21x70"),
        fetches("https://down.example", "error", "_x20 1+6x70"),
        fetches("https://never.example", "error", "1+6x90"),
    ]
    firing = 'count(ALERTS{alertstate="firing", alertname="BedrockGrpcIssuerKeys"}) by (issuer)'

    def at(minute, *issuers):
        samples = [{"labels": f'{{issuer="https://{issuer}.example"}}', "value": 1} for issuer in issuers]
        return {"expr": firing, "eval_time": f"{minute}m", "exp_samples": samples}

    case = {"interval": "1m", "input_series": fetched, "promql_expr_test": [at(3), at(15, "never"), at(60, "down", "never")]}
    promtool(tmp_path, {"rules.yaml": rules(ISSUERS)}, [case])


def test_budgets_and_failed_credentials_raise_alerts(tmp_path):
    pod = pod_of("rel-bedrock-grpc", "7c9b4", "bcdfg")

    def budget(name, values):
        return series("bedrock_grpc_budget_used_ratio", values, namespace=NAMESPACE, pod=pod, scope="caller", name=name, limit="usd_per_month")

    def failures(reason, values):
        return series("bedrock_grpc_authentication_failures_total", values, namespace=NAMESPACE, pod=pod, reason=reason)

    counted = [
        budget("below", "0.79x60"),
        budget("above", "0.5x20 0.8x40"),
        budget("new-month", "0.9x20 0x40"),
        failures("missing", "0+1x60"),
        failures("unknown", "0x20 0+30x40"),
    ]

    def firing(alert, label, minute, *expected):
        samples = [{"labels": f'{{{label}="{name}"}}', "value": 1} for name in expected]
        return {"expr": f'count(ALERTS{{alertstate="firing", alertname="{alert}"}}) by ({label})', "eval_time": f"{minute}m", "exp_samples": samples}

    checks = [firing("BedrockGrpcBudget", "name", 15, "new-month"), firing("BedrockGrpcBudget", "name", 40, "above")]
    checks += [firing("BedrockGrpcAuthenticationFailures", "reason", 15), firing("BedrockGrpcAuthenticationFailures", "reason", 50, "unknown")]
    case = {"interval": "1m", "input_series": counted, "promql_expr_test": checks}
    promtool(tmp_path, {"rules.yaml": rules(ISSUERS, STORE)}, [case])


def test_a_store_of_limits_that_is_down_or_evicts_raises_an_alert(tmp_path):
    """Down: without a connection most of the time, or one call in twenty is decided without it. A single time-out is no alert."""
    pods = {name: pod_of("rel-bedrock-grpc", "7c9b4", name) for name in ("works", "stops", "shaky", "slows")}

    def counts(name, metric, values, **labels):
        return series(f"bedrock_grpc_limit_store_{metric}", values, namespace=NAMESPACE, pod=pods[name], **labels)

    reserve = {"step": "reserve"}
    counted = [
        *(counts(name, "available", "1x90") for name in ("works", "slows")),
        *(counts(name, "seconds_count", "0+600x90", **reserve) for name in ("works", "shaky", "slows")),
        counts("works", "without_total", "_x30 1x60", policy="local"),
        counts("works", "evicts", "0x40 1x50"),
        counts("stops", "available", "1x20 0x70"),
        counts("stops", "seconds_count", "0+600x20 12000x70", **reserve),
        # The circuit breaker opens and closes again.
        counts("shaky", "available", "1x20 0 0 1 0 0 1 0 0 1 0 0 1 0 0 1x60"),
        counts("slows", "without_total", "_x50 60+60x40", policy="local"),
    ]

    def firing(alert, minute, *expected):
        samples = [{"labels": f'{{pod="{pods[name]}"}}' if name else "{}", "value": 1} for name in expected]
        return {"expr": f'count(ALERTS{{alertstate="firing", alertname="BedrockGrpcLimitsStore{alert}"}}) by (pod)', "eval_time": f"{minute}m", "exp_samples": samples}

    checks = [firing("Down", 19), firing("Down", 30, "stops", "shaky"), firing("Down", 48, "stops"), firing("Down", 60, "stops", "slows")]
    checks += [firing("Eviction", 39), firing("Eviction", 60, "")]
    case = {"interval": "1m", "input_series": counted, "promql_expr_test": checks}
    promtool(tmp_path, {"rules.yaml": rules(STORE)}, [case])


def test_releases_in_one_prometheus_are_distinguished(tmp_path):
    """Also those whose name begins with another one's, and long ones, whose pods have one part less."""
    names = {"a": "gateway", "b": "gateway-canary", "c": "gateway-" + "x" * 45, "d": "gateway-" + "x" * 39}
    files = {f"{release}.yaml": rules(f"--set=fullnameOverride={name}", release=release) for release, name in names.items()}
    live = [
        series("bedrock_grpc_open_calls", "100x60", namespace=NAMESPACE, pod=pod_of(name, "5d8f7c9b4x", random))
        for name in names.values()
        for random in ("bcdfg", "hjklm", "npqrs")
    ]
    elsewhere = series("bedrock_grpc_open_calls", "100x60", namespace="elsewhere", pod=pod_of("gateway", "5d8f7c9b4x", "bcdfg"))
    for broken, name in names.items():
        panic = series(
            "bedrock_grpc_calls_total", "_x10 1x50", namespace=NAMESPACE, pod=pod_of(name, "5d8f7c9b4x", "bcdfg"), target="t", code="INTERNAL", reason="PANIC"
        )
        alert = {"expr": FIRING, "eval_time": "12m", "exp_samples": [{"labels": f'{{alertname="BedrockGrpcPanic", release="{broken}"}}', "value": 1}]}
        promtool(tmp_path, files, [{"interval": "1m", "input_series": [*live, elsewhere, panic], "promql_expr_test": [alert]}])
    absent = [each for each in live if f'pod="{names["b"]}-' not in each["series"]]
    alert = {"expr": FIRING, "eval_time": "12m", "exp_samples": [{"labels": '{alertname="BedrockGrpcAbsent", release="b"}', "value": 1}]}
    promtool(tmp_path, files, [{"interval": "1m", "input_series": [*absent, elsewhere], "promql_expr_test": [alert]}])


def test_every_alert_has_a_runbook():
    """And every runbook an alert; each says what it means, how to look and what to do."""
    folder = ROOT / "docs/runbooks"
    pages = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("BedrockGrpc*.md")}
    every = rules(ISSUERS, STORE)["groups"][0]["rules"]
    assert pages.keys() == alerts().keys() | {alert["alert"] for alert in every}
    for alert in every:
        page = pages[alert["alert"]]
        assert alert["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{alert['alert']}.md")
        assert page.startswith(f"# {alert['alert']}\n")
        assert re.findall(r"^\*\*(.*?)\.\*\*", page, re.M) == ["What it means", "How to look", "What to do"], alert["alert"]
        assert len(page.splitlines()) <= 14
