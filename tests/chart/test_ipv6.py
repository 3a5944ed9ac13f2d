"""The IPv6 values of docs/kubernetes.md, in a network namespace that has no IPv4 address: probes and a call reach the gateway. The defaults do not work there."""

import json
import os
import re
import subprocess
import sys
import textwrap

import pytest
import yaml

from rendering import BINARY, ROOT, parse, template
from watching import LONG

PAGE = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
# This runs as the first process of the namespace. Its arguments: the binary, a folder with the
# config, and the addresses at which clients call and probes read.
SCRIPT = """
import os, pathlib, re, signal, subprocess, sys, time, urllib.error, urllib.request

binary, folder, client, admin, limit = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4], float(sys.argv[5])
ip = lambda *words: subprocess.run(["ip", *words], check=True)
ip("link", "set", "lo", "up")
ip("-4", "address", "flush", "dev", "lo")
# The pod's address.
ip("-6", "address", "add", "fd00:bed0:c::5/128", "dev", "lo", "nodad")
assert "inet " not in subprocess.run(["ip", "address"], capture_output=True, text=True, check=True).stdout
end = time.monotonic() + limit
keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_EC2_METADATA_DISABLED": "true", "PATH": os.environ["PATH"]}
start = lambda *words: subprocess.Popen([binary, *words], env=keys, stdout=subprocess.DEVNULL, stderr=open(folder / words[0], "w"))
announced = folder / "announced"
emulator = start("emulate", "--listen=[::1]:8900", "--unchecked", "--time-to-first-token=1ms", "--tokens=3", f"--announce={announced}")
gateway = start("serve", f"--config={folder / 'config.yaml'}")
while not announced.exists() or '"serving"' not in (folder / "serve").read_text():
    assert emulator.poll() is None and gateway.poll() is None and time.monotonic() < end, (folder / "serve").read_text()
    time.sleep(0.02)
try:
    ready = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{admin}/readyz", timeout=limit).status
except (urllib.error.URLError, OSError) as error:
    ready = str(error)
called = subprocess.run([binary, "chat", "--address", f"http://{client}", "--target", "claude", "Why is the sky blue?"], env=keys, capture_output=True, text=True, timeout=limit)
health = subprocess.run([binary, "health", "--address", f"http://{client}"], env=keys, capture_output=True, text=True, timeout=limit)
gateway.send_signal(signal.SIGTERM)
import json
print(json.dumps({"ready": ready, "chat": called.returncode, "answer": called.stdout, "error": called.stderr, "health": health.returncode, "exit": gateway.wait(limit)}))
emulator.kill()
"""
NAMESPACE = ["unshare", "--net", "--pid", "--fork", "--kill-child", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def documented():
    """The values under the heading."""
    section = PAGE.split("## IPv6-only clusters\n")[1].split("\n## ")[0]
    return yaml.safe_load(textwrap.dedent(re.search(r"\n\n((?:    .*\n)+)", section)[1]))


def deployed(folder, values):
    """What the gateway of a chart with these values does: its config, as the chart renders it, with an emulator as Bedrock."""
    config = {"bedrock": {"region": "us-east-1", "endpoint_url": "http://[::1]:8900"}, "discovery": {"enabled": False}, "drain": {"lame_duck": 0}, "targets": {"claude": {"model_id": "us.anthropic.claude-sonnet-5"}}}
    (folder / "values.yaml").write_text(yaml.safe_dump(values | {"config": config | values.get("config", {})}), encoding="utf-8")
    objects = parse(template("--values", folder / "values.yaml"))
    (rendered,) = [each["data"]["config.yaml"] for each in objects if each["kind"] == "ConfigMap" and "config.yaml" in each["data"]]
    (folder / "config.yaml").write_text(rendered, encoding="utf-8")
    services = [each for each in objects if each["kind"] == "Service"]
    command = [*NAMESPACE, sys.executable, "-c", SCRIPT, BINARY, folder, "[fd00:bed0:c::5]:50051", "[fd00:bed0:c::5]:9090", LONG]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=4 * LONG)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout), services


@pytest.fixture(autouse=True)
def namespaces():
    if subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode != 0:
        assert os.environ.get("CI") != "true", "this machine makes no network namespaces"
        pytest.skip("this machine makes no network namespaces")


def test_the_documented_values_serve_ipv6_alone(tmp_path):
    seen, services = deployed(tmp_path, documented())
    assert (seen["ready"], seen["chat"], seen["health"], seen["exit"]) == (200, 0, 0, 0), seen
    assert seen["answer"].strip(), seen
    assert services and all(each["spec"]["ipFamilies"] == ["IPv6"] for each in services)


def test_the_default_addresses_are_not_reachable_there(tmp_path):
    seen, _ = deployed(tmp_path, {})
    assert "refused" in str(seen["ready"]).lower() and seen["chat"] != 0 and seen["health"] != 0, seen
