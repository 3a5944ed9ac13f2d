"""Alerts, the dashboard and the autoscalers ask for metrics, labels and reasons that there are: of a gateway that runs, in a Prometheus that reads it."""

import json
import re
import subprocess

import pytest
import yaml

from rendering import ROOT, VALUE_SETS, objects, run
from watching import POD, wait_for, watched_gateway

DASHBOARD = ROOT / "helm/bedrock-grpc/dashboards/bedrock-grpc.json"
RULES = "production-eks"
# What Grafana puts in their place. A rate needs two readings, which come once a second here.
VARIABLES = {"$namespace": ".*", "$pod": ".*", "$target": ".*", "$__rate_interval": "1m"}
# Nothing makes a gateway panic from outside. All others of its kind are there, which is what this one asks about.
WITHOUT_DATA = {"BedrockGrpcPanic", "BedrockGrpcAbsent"}
SUFFIXES = {"counter": "_total", "histogram": "_bucket", "info": "_info", "gauge": ""}


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A gateway that has had calls of every kind, and a Prometheus with the chart's rules that has read its metrics."""
    (rule,) = objects(RULES, "PrometheusRule")
    with watched_gateway(tmp_path_factory.mktemp("watched"), rule["spec"]) as both:
        yield both


def families(text):
    """The metrics that a gateway says it has, with their kinds."""
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
    (rule,) = objects(RULES, "PrometheusRule")
    return {alert["alert"]: alert["expr"] for alert in rule["spec"]["groups"][0]["rules"] if "alert" in alert}


def dashboard():
    """The dashboard's expressions by the title of their panel."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def expressions():
    """Every expression of the chart, by where it stands."""
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
        known = set()
        for name, labels in asked(expression):
            assert name in read, f"{place}: there is no metric {name}"
            unknown = labels - read[name]
            assert not unknown, f"{place}: {name} has no label {unknown}"
            known |= read[name]
        assert grouped(expression) <= known, f"{place}: {expression}"


def test_every_metric_is_on_the_dashboard(watched):
    gateway, _ = watched
    shown = {name for place, expression in expressions() if place.startswith("dashboard") for name, _ in asked(expression)}
    assert shown == names(gateway.metrics())


def test_the_dashboard_has_something_to_show(watched):
    _, prometheus = watched
    for title, expression in dashboard():
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        assert prometheus.query(expression), f"{title}: {expression}"


def test_alerts_look_at_something(watched):
    _, prometheus = watched
    for name, expression in alerts().items():
        # Without its threshold.
        value, _, _ = expression.rpartition(" > ")
        found = prometheus.query(value or expression)
        assert bool(found) == (name not in WITHOUT_DATA), f"{name}: {expression}: {found}"


def test_prometheus_takes_the_rules_and_sees_what_is_wrong(watched):
    _, prometheus = watched

    # What waits for nothing fires at once; what has to last for minutes is waiting.
    states = {"BedrockGrpcDailyQuota": "firing", "BedrockGrpcBreakerOpen": "pending", "BedrockGrpcRefused": "pending", "BedrockGrpcAbsent": "inactive"}

    def evaluated():
        rules = {rule["name"]: rule for rule in prometheus.ask("rules")["groups"][0]["rules"]}
        assert {name: rule.get("lastError") for name, rule in rules.items() if rule["health"] == "err"} == {}
        return all(rule["health"] == "ok" for rule in rules.values()) and states.items() <= {name: rule["state"] for name, rule in rules.items()}.items() and rules

    rules = wait_for(evaluated)
    assert rules.keys() == alerts().keys()
    (breaker,) = rules["BedrockGrpcBreakerOpen"]["alerts"]
    assert breaker["annotations"]["summary"] == "amazon.nova-lite-v1:0.fault-service-unavailable in us-east-1 fails, and is left alone"


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
    (rule,) = objects(RULES, "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    (tmp_path / "cases.yaml").write_text((ROOT / "tests/chart/alerts.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    run("promtool", "test", "rules", tmp_path / "cases.yaml")
    tested = set(re.findall(r"alertname: (\w+)", (ROOT / "tests/chart/alerts.yaml").read_text(encoding="utf-8")))
    assert tested == {alert["alert"] for alert in rule["spec"]["groups"][0]["rules"]}
