"""A mesh's sidecar, simulated by a proxy process: what happens to an open stream if the sidecar stops before the gateway, and after it."""

import contextlib
import signal
import subprocess
import sys
import time

import pytest
import yaml

from rendering import BINARY
from test_first_hour import free_ports
from watching import LONG, logged, running

# Forwards connections until SIGTERM, and then stops at once, as a sidecar without a drain does.
PROXY = """
import socket, sys, threading

def copy(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)

def serve(client):
    gateway = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    threading.Thread(target=copy, args=(client, gateway), daemon=True).start()
    copy(gateway, client)

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
DRAIN_LIMIT = 40


class Pod:
    """A gateway on an emulator, behind a proxy, with one open stream of about three seconds."""

    def __init__(self, folder, stack):
        emulator, port, admin, self.port = free_ports(4)
        endpoint = f"http://127.0.0.1:{emulator}"
        config = {
            "listen": f"127.0.0.1:{port}",
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "workers": 1,
            "bedrock": {"region": "us-east-1", "endpoint_url": endpoint},
            "discovery": {"enabled": False},
            "targets": {"claude": {"model_id": "us.anthropic.claude-sonnet-5"}},
            "drain": {"lame_duck": 0, "limit": f"{DRAIN_LIMIT}s"},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        emulate = ["emulate", f"--listen=127.0.0.1:{emulator}", "--unchecked", "--time-to-first-token=1ms", "--tokens-per-second=20", "--tokens=60"]
        announced = folder / "emulator"
        stack.enter_context(running(BINARY, *emulate, "--announce", announced))
        keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_EC2_METADATA_DISABLED": "true"}
        log = folder / "gateway.log"
        self.gateway = stack.enter_context(running(BINARY, "serve", "--config", folder / "config.yaml", environment=keys, log=log))
        logged(self.gateway, log, '("serving")')
        proxy_log = folder / "proxy.log"
        self.proxy = stack.enter_context(running(sys.executable, "-c", PROXY, self.port, port, log=proxy_log))
        logged(self.proxy, proxy_log, "(ready)")
        end = time.monotonic() + LONG
        while not announced.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        command = [BINARY, "chat", "--address", f"http://127.0.0.1:{self.port}", "--target", "claude", "Why is the sky blue?"]
        self.client = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        stack.callback(self.client.kill)
        # The stream is open as soon as its first word arrives.
        assert self.client.stdout.read(1)


@pytest.fixture
def pod(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Pod(tmp_path, stack)


def test_a_sidecar_that_stops_after_the_gateway_breaks_nothing(pod):
    pod.gateway.send_signal(signal.SIGTERM)
    _, error = pod.client.communicate(timeout=LONG)
    assert pod.client.returncode == 0, error
    assert pod.gateway.wait(LONG) == 0
    pod.proxy.terminate()


def test_a_sidecar_that_stops_first_breaks_the_stream_and_does_not_hold_up_the_gateway(pod):
    start = time.monotonic()
    pod.gateway.send_signal(signal.SIGTERM)
    pod.proxy.send_signal(signal.SIGTERM)
    _, error = pod.client.communicate(timeout=LONG)
    assert pod.client.returncode != 0
    assert "UNAVAILABLE" in error.upper(), error
    assert pod.gateway.wait(LONG) == 0
    # It does not wait for a stream whose client has disconnected.
    assert time.monotonic() - start < DRAIN_LIMIT / 2
