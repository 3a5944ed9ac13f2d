"""The statements of docs/clients.md about Kubernetes are true of the chart, and its links have a destination."""

import re
import tomllib

import kubernetes_validate.utils as kubernetes_validate
import pytest
import yaml

from rendering import CHART, HELMS, ROOT, objects, parse, template
from test_render import KUBERNETES

DOCS = (ROOT / "docs/clients.md").read_text()
(MANIFEST,) = re.findall(r"^```yaml other\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
SERVICE = yaml.safe_load(MANIFEST)


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_kubernetes_takes_the_service(kubernetes):
    kubernetes_validate.validate(SERVICE, kubernetes, strict=True)


def values_of_the_documentation():
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for block in re.finditer(r"^```yaml values\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            yield pytest.param(block[1], id=f"{page.name}:{text.count(chr(10), 0, block.start()) + 1}")


@pytest.mark.parametrize("values", list(values_of_the_documentation()))
@pytest.mark.parametrize("helm", HELMS)
def test_helm_accepts_the_values_of_the_documentation(values, helm, tmp_path):
    (tmp_path / "values.yaml").write_text(values, encoding="utf-8")
    assert parse(template("--values", tmp_path / "values.yaml", helm=helm))


def test_it_is_the_charts_own():
    (headless,) = (it for it in objects("defaults", "Service") if it["metadata"]["name"].endswith("-headless"))
    spec, (port,), (its_port,) = SERVICE["spec"], SERVICE["spec"]["ports"], headless["spec"]["ports"]
    assert spec["clusterIP"] == headless["spec"]["clusterIP"] == "None"
    assert spec["selector"].items() <= headless["spec"]["selector"].items()
    assert port.items() <= its_port.items()
    name = SERVICE["metadata"]["name"]
    assert f"dns:///{name}.NAMESPACE.svc.cluster.local:{port['port']}" in DOCS


def test_the_links_of_the_chart_lead_into_the_repository():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    package = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    proto = (ROOT / "proto/bedrock/inference/v1/tool.proto").read_text(encoding="utf-8")
    home = "https://" + re.search(r'go_package = "(github\.com/[^/]+/[^/]+)/', proto)[1]
    assert (chart["home"], chart["sources"]) == (home, [home])
    annotations = chart["annotations"]
    assert annotations["artifacthub.io/license"] == package["license"]
    (image,) = yaml.safe_load(annotations["artifacthub.io/images"])
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert image["image"] == f"{values['image']['repository']}:{chart['appVersion']}"
    links = [chart["icon"], values["metrics"]["prometheusRule"]["runbookBaseUrl"]]
    links += [each["url"] for each in yaml.safe_load(annotations["artifacthub.io/links"])]
    for link in links:
        path = re.sub(r"^https://(github\.com|raw\.githubusercontent\.com)/[^/]+/[^/]+/((blob|tree)/)?main/", "", link)
        assert path != link and home.removeprefix("https://github.com") in link, link
        assert (ROOT / path).exists(), link
    assert f"Kubernetes {chart['kubeVersion'].removeprefix('>=').removesuffix('.0-0')} or newer" in (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
