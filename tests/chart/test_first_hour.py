"""docs/kubernetes.md as a newcomer follows it, as far as possible without a cluster and without AWS."""

import json
import re
import shlex
import socket
import subprocess
import textwrap
import time

import pytest
import yaml

from rendering import BINARY, CHART, HELMS, NAMESPACE, ROOT, TOOLS, objects, parse, run, template
from watching import LONG, logged, running

PAGE = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
VALUES = re.search(r"```yaml values\n(# values.yaml\n.*?)```", PAGE, re.S)[1]


def commands():
    """The commands of the page, with their continuation lines joined."""
    lines = re.sub(r"\\\n\s+", "", "\n".join(re.findall(r"^    (.*)$", PAGE, re.M)))
    return [shlex.split(line, comments=True) for line in lines.splitlines() if re.match("(helm|kubectl|docker|aws|bedrock-grpc|kind) ", line)]


# The steps of the first hour, in this order: what a line of the page begins with.
STEPS = [
    "docker build",
    "docker push",
    "bedrock-grpc check values.yaml",
    "bedrock-grpc iam-policy --config values.yaml",
    "aws iam create-role",
    "aws iam put-role-policy",
    "helm install bedrock-grpc",
    "helm test bedrock-grpc",
    "kubectl --namespace inference port-forward",
    "bedrock-grpc chat",
    "kubectl --namespace inference run first-call",
    "helm upgrade bedrock-grpc",
    "bedrock-grpc check values.yaml",
    "helm upgrade bedrock-grpc",
    "kubectl --namespace inference rollout status",
    "helm uninstall bedrock-grpc",
    "aws iam delete-role",
]


def test_the_page_has_every_step_in_order():
    """Without AWS, and then on EKS."""
    written = [" ".join(each) for each in commands()]
    first = next(index for index, line in enumerate(written) if line.startswith("aws ecr"))
    assert [line.split()[:2] for line in written[:first]].count(["helm", "install"]) == 1
    rest = iter(written[first:])
    for step in STEPS:
        assert any(line.startswith(step) for line in rest), step


def test_the_values_for_ipv6_bind_and_serve_ipv6_alone(tmp_path):
    section = PAGE.split("## IPv6-only clusters\n")[1].split("\n## ")[0]
    (tmp_path / "values.yaml").write_text(textwrap.dedent("\n".join(re.findall(r"^    .*$", section, re.M))), encoding="utf-8")
    found = parse(template("--values", tmp_path / "values.yaml"))
    services = [obj["spec"] for obj in found if obj["kind"] == "Service"]
    assert services and all(spec["ipFamilies"] == ["IPv6"] for spec in services)
    (config,) = [yaml.safe_load(obj["data"]["config.yaml"]) for obj in found if obj["kind"] == "ConfigMap" and "config.yaml" in obj["data"]]
    for address in (config["listen"], config["admin"]["listen"]):
        assert address.startswith("[::]:")


@pytest.fixture
def values(tmp_path):
    (tmp_path / "values.yaml").write_text(VALUES, encoding="utf-8")
    return tmp_path


def test_check_accepts_the_values(values):
    assert "values.yaml: ok; 1 aliases" in run(BINARY, "check", "values.yaml", cwd=values)


def test_the_policy_is_the_one_on_the_page(values):
    (command,) = [each for each in commands() if each[:2] == ["bedrock-grpc", "iam-policy"]]
    printed = json.loads(run(BINARY, *command[1 : command.index(">")], cwd=values))
    policy, trust = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.S))
    assert printed == policy
    (condition,) = (each["Condition"]["StringEquals"] for each in trust["Statement"])
    (account,) = [obj for obj in parse(template("--values", values / "values.yaml", release="bedrock-grpc")) if obj["kind"] == "ServiceAccount"]
    assert f"system:serviceaccount:inference:{account['metadata']['name']}" in condition.values()
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == yaml.safe_load(VALUES)["aws"]["roleArn"]


@pytest.mark.parametrize("helm", HELMS)
def test_every_install_and_upgrade_renders(helm, values):
    installs = [each for each in commands() if each[0] == "helm" and each[1] in ("install", "upgrade")]
    assert len(installs) >= 3
    for _, _, release, chart, *options in installs:
        options = [ROOT / word if word.startswith("helm/") else word for word in options if word not in ("--create-namespace", "--wait")]
        assert ROOT / chart == CHART
        run(TOOLS / helm, "template", release, CHART, "--kube-version", "1.34.0", *options, cwd=values)


def test_ports_and_names_are_those_of_the_release():
    services = {obj["metadata"]["name"]: obj["spec"]["ports"][0]["port"] for obj in parse(template(release="bedrock-grpc")) if obj["kind"] == "Service"}
    forwards = [each for each in commands() if "port-forward" in each]
    assert len(forwards) == 2
    for command in forwards:
        name = command[command.index("port-forward") + 1].removeprefix("service/")
        local, remote = command[-1].split(":")
        assert services[name.removeprefix("try-")] == int(remote)
        assert any(f"--address http://127.0.0.1:{local}" in " ".join(each) for each in commands())
    assert f"http://bedrock-grpc.inference.svc:{services['bedrock-grpc']}" in PAGE


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_without_aws_the_pod_answers_its_first_call(tmp_path):
    """The containers of the pod, as processes, on free ports; then `helm test` and the page's first call."""
    (deployment,) = objects("try", "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (sidecar,), (gateway,) = pod["initContainers"], pod["containers"]
    assert sidecar["restartPolicy"] == "Always"
    (config,) = [obj["data"]["config.yaml"] for obj in objects("try", "ConfigMap") if "config.yaml" in obj["data"]]
    emulator_port, port, admin = free_ports(3)
    config = yaml.safe_load(config.replace("127.0.0.1:8900", f"127.0.0.1:{emulator_port}"))
    config |= {"listen": f"127.0.0.1:{port}", "admin": {"listen": f"127.0.0.1:{admin}"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    environment = {each["name"]: each["value"] for each in gateway["env"]}
    log = tmp_path / "gateway.log"
    arguments = [word.replace("127.0.0.1:8900", f"127.0.0.1:{emulator_port}") for word in sidecar["args"]]
    serve = [word.replace("/etc/bedrock-grpc/config/config.yaml", str(tmp_path / "config.yaml")) for word in gateway["args"]]
    with running(BINARY, *arguments), running(BINARY, *serve, environment=environment, log=log) as process:
        logged(process, log, '("serving")')
        end = time.monotonic() + LONG
        while subprocess.run(["bash", "-c", f": <>/dev/tcp/127.0.0.1/{emulator_port}"], capture_output=True).returncode:
            assert time.monotonic() < end, "the emulator does not listen"
        (health,) = [obj for obj in objects("try", "Pod")]
        service = f"rel-bedrock-grpc.{NAMESPACE}.svc:50051"
        asked = [word.replace(service, f"127.0.0.1:{port}") for word in health["spec"]["containers"][0]["args"]]
        assert run(BINARY, *asked) == "SERVING\n"
        call = next(each for each in commands() if each[:2] == ["bedrock-grpc", "chat"])
        call = [word.replace("127.0.0.1:50051", f"127.0.0.1:{port}") for word in call[1:]]
        assert len(run(BINARY, *call).split()) > 5
        process.terminate()
        assert process.wait(pod["terminationGracePeriodSeconds"]) == 0
