"""Every set of values renders to objects that Kubernetes accepts, and to the same objects with Helm 3 and 4."""

import functools
import re
import shutil

import kubernetes_validate.utils as kubernetes_validate
import pytest
import yaml

import crds
from rendering import CHART, HELMS, NAMESPACE, ROOT, TOOLS, VALUE_SETS, objects, parse, run, text, values_of

KUBERNETES = [version for version in kubernetes_validate.all_versions() if tuple(map(int, version.split(".")[:2])) >= (1, 30)]
# Near pods need 1.31, user namespaces 1.33; unit tests cover the messages.
LEAST = {"everything": (1, 33), "production-eks": (1, 31)}
PAIRS = [(each, version) for each in VALUE_SETS for version in KUBERNETES if tuple(map(int, version.split(".")[:2])) >= LEAST.get(each, (1, 30))]
# Each call of `validate` would read all definitions again.
kubernetes_validate.schema_contents = functools.cache(kubernetes_validate.schema_contents)


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_lint(helm, value_set):
    run(TOOLS / helm, "lint", "--strict", "--kube-version", "1.34.0", CHART, *values_of(value_set))


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_helm_3_and_4_render_the_same(value_set):
    assert parse(text(value_set, helm="helm-v3")) == parse(text(value_set, helm="helm-v4"))


@pytest.mark.parametrize(("value_set", "kubernetes"), PAIRS)
def test_kubernetes_takes_every_object(value_set, kubernetes):
    for obj in objects(value_set, kubernetes=kubernetes):
        if not crds.is_custom(obj):
            kubernetes_validate.validate(obj, kubernetes, strict=True)


def test_kubernetes_is_asked_strictly():
    (deployment,) = objects("defaults", "Deployment")
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES[-1], strict=True)


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_custom_resources_are_what_their_projects_publish(value_set):
    found = {f"{obj['kind']}.{problem}" for obj in objects(value_set) if crds.is_custom(obj) for problem in crds.problems(obj)}
    assert not found


def test_every_custom_resource_is_in_some_set():
    rendered = {obj["kind"] for value_set in VALUE_SETS for obj in objects(value_set) if crds.is_custom(obj)}
    assert rendered == {kind for _, kind in crds.PUBLISHED}


def test_custom_resources_are_checked_strictly():
    route = next(obj for obj in objects("everything", "GRPCRoute"))
    route["spec"]["rules"][0]["timeouts"] = {"request": "10s"}
    assert any("timeouts" in problem for problem in crds.problems(route))


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_names_are_unique_and_in_the_namespace(value_set):
    names = [(obj["kind"], obj["metadata"]["name"]) for obj in objects(value_set)]
    assert len(names) == len(set(names))
    assert all(obj["metadata"].get("namespace", NAMESPACE) == NAMESPACE for obj in objects(value_set))


def test_the_package_holds_what_users_need_and_no_tests(tmp_path):
    run(TOOLS / "helm-v3", "package", CHART, "--destination", tmp_path)
    (package,) = tmp_path.glob("*.tgz")
    names = run("tar", "tzf", package).split()
    assert {"bedrock-grpc/values.schema.json", "bedrock-grpc/files/config-keys.json"} <= set(names)
    assert "bedrock-grpc/README.md" in names
    assert "bedrock-grpc/templates/tests/health.yaml" in names
    assert not [name for name in names if name.startswith(("bedrock-grpc/tests/", "bedrock-grpc/ci/"))]


def test_the_app_version_is_the_service_s():
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version


def test_readme_and_schema_are_fresh(tmp_path):
    copy = tmp_path / "bedrock-grpc"
    shutil.copytree(CHART, copy)
    run(ROOT / "tests/chart/generate", copy)
    for name in ("README.md", "values.schema.json", "files/config-keys.json"):
        assert (copy / name).read_text() == (CHART / name).read_text(), f"{name} is stale: run tests/chart/generate"
