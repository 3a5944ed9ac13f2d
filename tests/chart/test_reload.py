"""Changes of `config`: which of them replace the pods, and what checks them before an upgrade."""

import os
import subprocess

import pytest
import yaml

from rendering import BINARY, HELMS, VALUE_SETS, VARIABLES, objects, parse, run, template

BASE = {
    "workers": 2,
    "targets": {"claude": {"model_id": "us.anthropic.claude-sonnet-5"}},
    "limits": {"store": "rediss://redis.example.com:6379", "max_streams": 100},
    "traces": {"otlp_endpoint": "http://otel:4317", "sample_ratio": 0.1},
}
LIVE = [
    {"targets": {"claude": {"model_id": "eu.anthropic.claude-sonnet-5"}}},
    {"targets": {"nova": {"model_id": "amazon.nova-lite-v1:0"}}},
    {"callers": {"app": {}}},
    {"targets": {"claude": {"description": "${file:/etc/bedrock-grpc/secrets/text}"}}},
    {"limits": {"idle": "1m"}},
    {"limits": {"max_streams": 200, "max_connections": 10, "max_watches": 5, "memory": "64MiB"}},
    {"log": {"level": "debug"}},
    {"traces": {"sample_ratio": 1}},
    {"cors": {"allowed_origins": ["https://chat.example.com"]}},
]
RESTART = [
    {"workers": 3},
    {"log": {"format": "text"}},
    {"playground": True},
    {"limits": {"on_store_failure": "deny"}},
    {"bedrock": {"region": "eu-west-1"}},
    {"traces": {"otlp_endpoint": "http://other:4317"}},
    # A running pod does not see a new variable.
    {"targets": {"claude": {"model_id": "${MODEL_ID}"}}},
    # The values of the pod itself: a port, and the time to drain.
    {"listen": "0.0.0.0:8443"},
    {"drain": {"limit": "1m"}},
]


def merged(base, change):
    """A config with some keys changed."""
    both = base | change
    return {key: merged(base[key], change[key]) if isinstance(value, dict) and key in base and key in change else value for key, value in both.items()}


def rendered(folder, config, *arguments, helm="helm-v3"):
    values = folder / "values.yaml"
    values.write_text(yaml.safe_dump({"existingSecret": "variables", "existingSecretFiles": "files", "config": config}), encoding="utf-8")
    return parse(template("--values", values, *arguments, helm=helm))


def pod(folder, config, *arguments, **options):
    """The pods' template, by which Kubernetes replaces them."""
    (deployment,) = [obj for obj in rendered(folder, config, *arguments, **options) if obj["kind"] == "Deployment"]
    return deployment["spec"]["template"]


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("change", LIVE, ids=str)
def test_a_change_that_the_service_reloads_replaces_no_pod(helm, change, tmp_path):
    assert pod(tmp_path, merged(BASE, change), helm=helm) == pod(tmp_path, BASE, helm=helm)


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("change", RESTART, ids=str)
def test_a_change_that_needs_a_restart_replaces_the_pods(helm, change, tmp_path):
    assert pod(tmp_path, merged(BASE, change), helm=helm) != pod(tmp_path, BASE, helm=helm)


@pytest.mark.parametrize("change", LIVE + RESTART, ids=str)
def test_without_reloads_every_change_replaces_the_pods(change, tmp_path):
    off = "--set=reloadConfig=false"
    assert pod(tmp_path, merged(BASE, change), off) != pod(tmp_path, BASE, off)


def test_the_config_is_where_serve_reads_it():
    for extra, path in [((), "/etc/bedrock-grpc/config"), (("--set=reloadConfig=false",), "/etc/bedrock-grpc/config/config.yaml")]:
        found = parse(template(*extra))
        (deployment,) = [obj for obj in found if obj["kind"] == "Deployment"]
        (config,) = [obj for obj in found if obj["kind"] == "ConfigMap" and "config.yaml" in obj["data"]]
        spec = deployment["spec"]["template"]["spec"]
        (gateway,) = spec["containers"]
        (mount,) = [each for each in gateway["volumeMounts"] if each["name"] == "config"]
        (volume,) = [each for each in spec["volumes"] if each["name"] == "config"]
        assert mount["mountPath"] == path
        assert gateway["args"] == ["serve", "--config=/etc/bedrock-grpc/config/config.yaml"]
        assert volume["configMap"]["name"] == config["metadata"]["name"]


# The Job before an upgrade


def job_of(found):
    """The Job, and the ConfigMap that it mounts."""
    (job,) = [obj for obj in found if obj["kind"] == "Job"]
    (volume,) = [each for each in job["spec"]["template"]["spec"]["volumes"] if each["name"] == "config"]
    (config,) = [obj for obj in found if obj["kind"] == "ConfigMap" and obj["metadata"]["name"] == volume["configMap"]["name"]]
    return job, config


def run_job(found, folder, environment):
    """The container of the Job, as a process: exit code and output."""
    job, config = job_of(found)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "config"]
    for name, text in config["data"].items():
        (folder / name).write_text(text, encoding="utf-8")
    arguments = [word.replace(mount["mountPath"], str(folder)) for word in container["args"]]
    result = subprocess.run([BINARY, *arguments], capture_output=True, text=True, env=environment, check=False)
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_the_job_accepts_the_config_of_every_set(value_set, tmp_path):
    code, output = run_job(objects(value_set), tmp_path, os.environ | VARIABLES)
    assert code == 0, output
    assert ": ok; " in output


def test_the_job_refuses_what_would_keep_pods_from_starting(tmp_path):
    for config, words in [
        # The chart accepts the first value, because only the service has the Regions of a
        # geography.
        ({"only": ["eu"], "targets": {"a": {"model_id": "eu.x.y", "region": "us-east-1"}}}, "only: [eu]"),
        ({"targets": {"a": {"model_id": "${MODEL_ID}"}}}, "MODEL_ID is not set"),
    ]:
        code, output = run_job(rendered(tmp_path, config), tmp_path, {})
        assert code == 64, output
        assert words in output


def test_the_job_accepts_files_that_are_not_there_yet(tmp_path):
    config = {"callers": {"app": {}}, "access": {"keys_file": "/etc/bedrock-grpc/secrets/keys.yaml"}}
    config["targets"] = {"a": {"model_id": "${file:/etc/bedrock-grpc/secrets/model}"}}
    code, output = run_job(rendered(tmp_path, config), tmp_path, {})
    assert code == 0, output


def test_the_job_accepts_a_variable_that_the_same_upgrade_fetches(tmp_path):
    """Until the Secret has it, a placeholder takes its place, which a key that takes no text refuses."""
    token = {"traces": {"otlp_endpoint": "https://otel.example.com", "headers": {"authorization": "Bearer ${FETCHED}"}}}
    for config, expected in [(token, 0), ({"limits": {"max_streams": "${FETCHED}"}}, 64)]:
        secret = {"enabled": True, "secretStoreRef": {"name": "store"}, "data": [{"secretKey": "FETCHED", "remoteRef": {"key": "a"}}]}
        (tmp_path / "external.yaml").write_text(yaml.safe_dump({"existingSecret": "", "externalSecret": secret}), encoding="utf-8")
        found = rendered(tmp_path, config, "--values", tmp_path / "external.yaml")
        (container,) = job_of(found)[0]["spec"]["template"]["spec"]["containers"]
        placeholders, fetched = container["envFrom"]
        assert fetched == {"secretRef": {"name": "rel-bedrock-grpc", "optional": True}}
        (variables,) = [obj for obj in found if obj["kind"] == "ConfigMap" and obj["metadata"]["name"] == placeholders["configMapRef"]["name"]]
        assert variables["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
        code, output = run_job(found, tmp_path, variables["data"])
        assert code == expected, output
        assert "not-fetched-before-this-upgrade" in output or code == 0


def test_the_job_needs_nothing_that_the_upgrade_creates():
    found = objects("everything")
    job, config = job_of(found)
    spec = job["spec"]["template"]["spec"]
    made = {(obj["kind"], obj["metadata"]["name"]) for obj in found if "helm.sh/hook" not in obj["metadata"].get("annotations", {})}
    assert ("ServiceAccount", spec["serviceAccountName"]) not in made
    for volume in spec["volumes"]:
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) not in made
        else:
            assert volume["secret"]["optional"] is True
    (container,) = spec["containers"]
    external = [each["secretRef"] for each in container["envFrom"] if each.get("secretRef", {}).get("name") == "gateway"]
    assert external == [{"name": "gateway", "optional": True}]
    weights = [int(obj["metadata"]["annotations"].get("helm.sh/hook-weight", "0")) for obj in (config, job)]
    assert weights[0] < weights[1]
    assert {obj["metadata"]["annotations"]["helm.sh/hook"] for obj in (config, job)} == {"pre-upgrade"}


def test_the_job_has_the_environment_of_the_gateway():
    (deployment,) = objects("everything", "Deployment")
    gateway = next(each for each in deployment["spec"]["template"]["spec"]["containers"] if each["name"] == "gateway")
    (job,) = objects("everything", "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["env"] == gateway["env"]
    assert container["image"] == gateway["image"]


def test_the_job_can_be_left_out():
    kinds = [obj["kind"] for obj in parse(template("--set=checkJob.enabled=false"))]
    assert "Job" not in kinds
    assert kinds.count("ConfigMap") == 1
