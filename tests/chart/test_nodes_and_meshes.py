"""The settings of docs/kubernetes.md for meshes, for components that remove nodes, and for Spot: the chart renders each of them to what the page says."""

import json
import re

import pytest
import yaml

from rendering import ROOT, parse, template

PAGE = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
NODES = PAGE.split("## Nodes that are removed\n")[1].split("\n## ")[0]
MESHES = PAGE.split("## Service meshes\n")[1].split("\n## ")[0]
# The limit of each component, in seconds, that the drain must fit in.
SPOT, CLUSTER_AUTOSCALER = 120, 600


def rendered(tmp_path, values):
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    objects = parse(template("--values", tmp_path / "values.yaml"))
    find = lambda kind: next(each for each in objects if each["kind"] == kind)
    return find("Deployment")["spec"]["template"], find("Job")["spec"]["template"]


def settings(section, where):
    """The settings that a section gives for a value, such as annotations of pods."""
    found = [yaml.safe_load(text) for text in re.findall(rf"`{where}`: (?:`([^`]+)`)", section)]
    return found + [yaml.safe_load(text) for text in re.findall(rf"`([^`]+)` in `{where}`", section)]


def test_the_page_has_the_annotations_of_each_mesh():
    istio, linkerd = settings(MESHES, "podAnnotations")
    proxy = json.loads(istio["proxy.istio.io/config"])
    # Istio's agent waits for connections only if this is set.
    assert proxy == {"holdApplicationUntilProxyStarts": True, "proxyMetadata": {"EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true"}}
    assert linkerd.keys() == {"config.alpha.linkerd.io/proxy-wait-before-exit-seconds"}
    autoscalers = {key for each in settings(NODES, "podAnnotations") for key in each}
    assert autoscalers == {"cluster-autoscaler.kubernetes.io/safe-to-evict", "karpenter.sh/do-not-disrupt"}


@pytest.mark.parametrize("annotations", settings(MESHES, "podAnnotations") + settings(NODES, "podAnnotations"), ids=lambda each: next(iter(each)))
def test_annotations_are_those_of_the_gateway_s_pods(annotations, tmp_path):
    pod, job = rendered(tmp_path, {"podAnnotations": annotations})
    assert annotations.items() <= pod["metadata"]["annotations"].items()
    # A sidecar would keep the Job from ending.
    assert not annotations.keys() & job["metadata"]["annotations"].keys()
    assert job["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert job["metadata"]["annotations"]["linkerd.io/inject"] == "disabled"


def test_linkerd_s_proxy_waits_longer_than_a_drain_and_ends_within_the_grace_period(tmp_path):
    pod, _ = rendered(tmp_path, {})
    (_, linkerd) = settings(MESHES, "podAnnotations")
    waits = int(linkerd["config.alpha.linkerd.io/proxy-wait-before-exit-seconds"])
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    drain = grace - 10
    assert drain < waits < grace
    assert f"The chart's default grace period is {grace} s" in NODES


@pytest.mark.parametrize(("component", "limit"), [("Cluster Autoscaler", CLUSTER_AUTOSCALER), ("Spot interruption", SPOT)])
def test_the_drain_fits_within_the_limit_of_the_component(component, limit, tmp_path):
    (row,) = [line for line in NODES.splitlines() if line.startswith(f"| {component} |")]
    value = re.search(r"`config\.drain\.limit: (\w+)`", row)[1]
    pod, _ = rendered(tmp_path, {"config": {"drain": {"limit": value}}})
    assert pod["spec"]["terminationGracePeriodSeconds"] <= limit


@pytest.mark.parametrize("label", ["karpenter.sh/capacity-type: on-demand", "eks.amazonaws.com/capacityType: ON_DEMAND"])
def test_on_demand_nodes_are_those_of_the_gateway(label, tmp_path):
    assert f"`{label}`" in NODES
    labels = yaml.safe_load(label)
    pod, _ = rendered(tmp_path, {"nodeSelector": labels})
    assert pod["spec"]["nodeSelector"] == labels
