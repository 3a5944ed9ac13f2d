"""What docs/clients.md says of Kubernetes holds for the chart, too."""

import re

import kubernetes_validate.utils as kubernetes_validate
import pytest
import yaml

from rendering import ROOT, objects
from test_render import KUBERNETES

DOCS = (ROOT / "docs/clients.md").read_text()
(MANIFEST,) = re.findall(r"^```yaml\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
SERVICE = yaml.safe_load(MANIFEST)


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_kubernetes_takes_the_service(kubernetes):
    kubernetes_validate.validate(SERVICE, kubernetes, strict=True)


def test_it_is_the_charts_own():
    (headless,) = (it for it in objects("defaults", "Service") if it["metadata"]["name"].endswith("-headless"))
    spec, (port,), (its_port,) = SERVICE["spec"], SERVICE["spec"]["ports"], headless["spec"]["ports"]
    assert spec["clusterIP"] == headless["spec"]["clusterIP"] == "None"
    assert spec["selector"].items() <= headless["spec"]["selector"].items()
    assert port.items() <= its_port.items()
    name = SERVICE["metadata"]["name"]
    assert f"dns:///{name}.NAMESPACE.svc.cluster.local:{port['port']}" in DOCS
