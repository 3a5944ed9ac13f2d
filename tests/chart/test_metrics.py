"""Alerts, the dashboard and the autoscalers ask for metrics, labels and reasons that there are."""

import json
import re

import pytest
import yaml

from rendering import ROOT, VALUE_SETS, objects, run

DASHBOARD = ROOT / "helm/bedrock-grpc/dashboards/bedrock-grpc.json"
# What Prometheus adds to every sample from a pod, and to histograms.
LABELS_OF_PROMETHEUS = {"namespace", "pod", "le"}


def registered():
    """The metrics of the service by name with their labels, from the source that registers them."""
    source = (ROOT / "src/telemetry/metrics.rs").read_text(encoding="utf-8")
    labels = {
        name: set(re.findall(r"^\s*pub (\w+):", body, re.M))
        for name, body in re.findall(r"EncodeLabelSet\)\]\s*pub struct (\w+) \{(.*?)\n\}", source, re.S)
    }
    kinds = dict(re.findall(r"pub (\w+): (Gauge|Counter|Histogram|Family<\w+, Counter>)", source))
    metrics = {}
    for name, field in re.findall(r'registry\.register(?:_with_unit)?\(\s*"(\w+)",.*?(\w+)\.clone\(\)', source, re.S):
        kind = kinds[field]
        family = re.match(r"Family<(\w+)", kind)
        suffix = {"Gauge": "", "Histogram": "_seconds_bucket"}.get(kind, "_total")
        metrics[f"bedrock_grpc_{name}{suffix}"] = labels[family.group(1)] if family else set()
    return metrics


def asked(expression):
    """The metrics that an expression names, with the labels by which it selects."""
    for name, selector in re.findall(r"\b(bedrock_grpc_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', selector))


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
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"dashboard: {panel['title']}", target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"dashboard: variable {variable['name']}", variable["query"]["query"]


def test_metrics_and_labels_are_those_of_the_service():
    metrics = registered()
    assert "bedrock_grpc_open_calls" in metrics and metrics["bedrock_grpc_calls_total"] == {"method", "target", "code", "reason"}
    for place, expression in expressions():
        for name, labels in asked(expression):
            assert name in metrics, f"{place}: there is no metric {name}"
            unknown = labels - metrics[name] - LABELS_OF_PROMETHEUS
            assert not unknown, f"{place}: {name} has no label {unknown}"


def test_every_metric_is_on_the_dashboard():
    shown = {name for place, expression in expressions() if place.startswith("dashboard") for name, _ in asked(expression)}
    assert shown == set(registered())


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
    (rule,) = objects("production-eks", "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    (tmp_path / "cases.yaml").write_text((ROOT / "tests/chart/alerts.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    run("promtool", "test", "rules", tmp_path / "cases.yaml")
    tested = set(re.findall(r"alertname: (\w+)", (ROOT / "tests/chart/alerts.yaml").read_text(encoding="utf-8")))
    assert tested == {alert["alert"] for alert in rule["spec"]["groups"][0]["rules"]}
