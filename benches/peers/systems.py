"""The systems to compare: how each is started, when it is ready, and how it is called.

Each runs in its default configuration, with the settings that its documentation requires for production.
"""

import dataclasses
import json
import pathlib
import re
import secrets
import subprocess

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
REGION = "us-east-1"
KEY_ID, SECRET = "EMULATOR", "emulator-secret-access-key"
AWS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION}
HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class System:
    name: str
    # The arguments of the load generator.
    load: list[str]
    command: list[str]
    env: dict[str, str]
    # The port and path that answer when it is ready.
    ready: tuple[int, str]
    version: str


def output(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout.strip()


def package_version(venv, package):
    return output(venv / "bin/python", "-c", f"import importlib.metadata as m; print(m.version({package!r}))")


def direct(endpoint):
    """The arguments of the load generator for calls without a gateway."""
    return ["-api", "bedrock", "-url", endpoint, "-model", MODEL]


def systems(home, binary, endpoint, port):
    """All systems. They call Bedrock at `endpoint` and listen on `port`; the next port is also theirs."""
    address = f"127.0.0.1:{port}"
    configs = home / "configs"
    configs.mkdir(exist_ok=True)

    def config(name, text):
        file = configs / name
        file.write_text(text if isinstance(text, str) else json.dumps(text))
        return str(file)

    def openai(path, model, headers):
        more = [part for name, value in headers.items() for part in ("-header", f"{name}={value}")]
        return ["-api", "openai", "-url", f"http://{address}{path}/chat/completions", "-model", model, *more]

    own = config("bedrock-grpc.yaml", {
        "listen": address,
        "admin": {"listen": f"127.0.0.1:{port + 1}"},
        "bedrock": {"region": REGION, "endpoint_url": endpoint},
        "targets": {"claude": {"model_id": MODEL}},
    })
    litellm = config("litellm.yaml", {"model_list": [{"model_name": "claude", "litellm_params": {
        "model": f"bedrock/converse/{MODEL}", "aws_region_name": REGION, "aws_bedrock_runtime_endpoint": endpoint,
        "aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET,
    }}]})
    tensorzero = config("tensorzero.toml", f"""
[gateway]
observability.enabled = false

[models.claude]
routing = ["bedrock"]

[models.claude.providers.bedrock]
type = "aws_bedrock"
model_id = "{MODEL}"
region = "{REGION}"
endpoint_url = "{endpoint}"
""")
    key = "sk-" + secrets.token_hex(16)
    version = re.search(r"\S+$", output(binary, "--version")).group()
    portkey = home / "portkey/node_modules/@portkey-ai/gateway"

    def grpc(channels):
        load = ["-api", "grpc", "-url", address, "-model", "claude", "-channels", str(channels)]
        name = f"bedrock-grpc, {channels} connection{'s' if channels > 1 else ''}"
        return System(name, load, [str(binary), "serve", "--config", own], AWS, (port + 1, "/readyz"), version)

    return [
        grpc(1),
        grpc(16),
        System(
            "TensorZero",
            openai("/openai/v1", "tensorzero::model_name::claude", {}),
            [str(home / "tensorzero/bin/python"), str(HERE / "embedded_gateway.py"), tensorzero],
            {**AWS, "LD_PRELOAD": str(home / "port.so"), "PORT_TO_BIND": str(port)},
            (port, "/health"),
            package_version(home / "tensorzero", "tensorzero"),
        ),
        System(
            "Portkey",
            openai("/v1", MODEL, {
                "x-portkey-provider": "bedrock", "x-portkey-custom-host": endpoint, "x-portkey-aws-region": REGION,
                "x-portkey-aws-access-key-id": KEY_ID, "x-portkey-aws-secret-access-key": SECRET,
            }),
            ["node", "-r", str(HERE / "loopback.cjs"), str(portkey / "build/start-server.js"), f"--port={port}", "--headless"],
            {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
            (port, "/"),
            json.loads((portkey / "package.json").read_text())["version"],
        ),
        System(
            "LiteLLM",
            openai("/v1", "claude", {"authorization": f"Bearer {key}"}),
            [str(home / "litellm/bin/litellm"), "--config", litellm, "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"],
            # The settings for production. The prices are those of the package, not of the network.
            {"LITELLM_MASTER_KEY": key, "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            (port, "/health/liveliness"),
            package_version(home / "litellm", "litellm"),
        ),
    ]
