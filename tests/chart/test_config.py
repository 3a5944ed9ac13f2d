"""The service accepts the configuration that the chart renders from `config`."""

import json
import os
import re
import socket
import subprocess
import textwrap

import jsonschema
import pytest
import yaml

from rendering import BINARY, CHART, HELMS, ROOT, TOOLS, VALUE_SETS, VARIABLES, objects, parse, run, template


class PlainLoader(yaml.SafeLoader):
    """Dates are texts, as they are for Helm and for the service."""


PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")] for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def plain_yaml(text):
    return yaml.load(text, Loader=PlainLoader)


def written(rendered, folder):
    """The rendered config as a file."""
    config = next(obj for obj in rendered if obj["kind"] == "ConfigMap" and "config.yaml" in obj["data"])
    path = folder / "config.yaml"
    path.write_text(config["data"]["config.yaml"], encoding="utf-8")
    return path


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_the_service_takes_the_config(value_set, tmp_path):
    config = written(objects(value_set), tmp_path)
    # As values, since files that it names are in the pod.
    config.write_text("config:\n" + textwrap.indent(config.read_text(encoding="utf-8"), "  "), encoding="utf-8")
    answer = run(BINARY, "check", config, env=os.environ | VARIABLES)
    assert ": ok; " in answer


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_the_config_is_right_by_the_schema_of_the_service(value_set, tmp_path):
    schema = json.loads(run(BINARY, "schema"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(written(objects(value_set), tmp_path).read_text()))


def test_the_example_is_right_by_the_schema_and_mistakes_are_not():
    validator = jsonschema.Draft202012Validator(json.loads(run(BINARY, "schema")))
    example = plain_yaml((ROOT / "examples/config.yaml").read_text(encoding="utf-8"))
    validator.validate(example)
    mistakes = [
        {"limits": {"idel": "1m"}},
        {"limits": {"idle": 60}},
        {"workers": 0},
        {"targets": {"a.b": {"model_id": "amazon.nova-lite-v1:0"}}},
        {"targets": {"a": {"model_id": "nova"}}},
        {"targets": {"a": {"model_id": "amazon.nova-lite-v1:0", "routes": [{"model_id": "amazon.nova-lite-v1:0"}]}}},
        {"tls": {"certificate_file": "tls.crt"}},
        {"cors": {"allowed_origins": ["https://a.example/path"]}},
        {"log": {"format": "xml"}},
    ]
    for mistake in mistakes:
        assert not validator.is_valid(mistake), mistake


def test_the_service_would_refuse_what_it_does_not_know(tmp_path):
    rendered = parse(template("--set", "config.limits.heartbeats=1s,checkConfig=false"))
    result = subprocess.run([BINARY, "check", written(rendered, tmp_path)], capture_output=True, text=True)
    assert result.returncode == 64
    assert "limits.heartbeats" in result.stderr


def test_the_whole_example_passes_through(tmp_path):
    example = plain_yaml((ROOT / "examples/config.yaml").read_text(encoding="utf-8"))
    values = tmp_path / "values.yaml"
    # Where the example's files are.
    folders = ["/etc/bedrock-grpc/login-ca.crt", "/etc/bedrock-grpc/redis"]
    mounts = [{"name": "files", "mountPath": folder} for folder in folders]
    given = {"extraVolumes": [{"name": "files", "secret": {"secretName": "files"}}], "extraVolumeMounts": mounts}
    values.write_text(yaml.safe_dump({"config": example, **given}), encoding="utf-8")
    for helm in HELMS:
        path = written(parse(template("--values", values, helm=helm)), tmp_path)
        assert plain_yaml(path.read_text()) == example
        run(BINARY, "check", path)


def test_the_values_of_the_docs(tmp_path):
    page = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    (tmp_path / "values.yaml").write_text(re.search(r"```yaml values\n(# values.yaml\n.*?)```", page, re.S)[1], encoding="utf-8")
    run(BINARY, "check", written(parse(template("--values", tmp_path / "values.yaml")), tmp_path))


def test_a_pod_that_ends_on_time(tmp_path):
    """The grace period that the chart gives to the shortest drain is enough for the service itself."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
    values = {"config": {"listen": f"0.0.0.0:{ports[0]}", "admin": {"listen": f"0.0.0.0:{ports[1]}"}, "drain": {"lame_duck": "100ms", "limit": "1s"}}}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    rendered = parse(template("--values", tmp_path / "values.yaml"))
    grace = next(obj for obj in rendered if obj["kind"] == "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    config = written(rendered, tmp_path)
    # This listens only on loopback: the test serves nothing to the network.
    config.write_text(config.read_text().replace("0.0.0.0", "127.0.0.1"), encoding="utf-8")
    gateway = subprocess.Popen([BINARY, "serve", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in gateway.stdout:
            if '"serving"' in line:
                break
        gateway.terminate()
        assert gateway.wait(timeout=grace) == 0
    finally:
        if gateway.poll() is None:
            gateway.kill()
            gateway.wait()
        gateway.stdout.close()


def test_the_chart_knows_the_geographies_of_the_service(tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text("config:\n  only: [nowhere]\n", encoding="utf-8")
    listed = re.compile(r"is neither a geography \(([^)]*)\)")
    service = subprocess.run([BINARY, "check", values], capture_output=True, text=True)
    chart = subprocess.run([TOOLS / "helm-v3", "template", CHART, "--kube-version", "1.34.0", "--values", values], capture_output=True, text=True)
    assert service.returncode != 0 and chart.returncode != 0
    assert listed.search(chart.stderr)[1] == listed.search(service.stdout + service.stderr)[1]
