"""Two pods that are updated while clients call: each is drained, exits with code 0, and is started
again. Their connections also reach their maximum age.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.request

CONFIG = """
listen: {host}:{port}
admin: {{ listen: "127.0.0.1:0" }}
targets: {{ claude: {{ model_id: us.anthropic.claude-sonnet-5 }} }}
discovery: {{ enabled: false }}
limits: {{ connection_age: 1s }}
drain: {{ lame_duck: 0s, limit: 30s }}
log: {{ level: info }}
"""
TIMEOUT_S = 60


class Pod:
    def __init__(self, host, port, folder, more=""):
        self.config = pathlib.Path(folder) / f"{host}.yaml"
        self.config.write_text(CONFIG.format(host=host, port=port) + more)
        self.start()

    def start(self):
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": os.environ["GATEWAY_EMULATOR"],
            "AWS_ACCESS_KEY_ID": "EMULATOR",
            "AWS_SECRET_ACCESS_KEY": "emulator-secret-access-key",
        }
        self.process = subprocess.Popen(
            [os.environ["BEDROCK_GRPC"], "serve", "--config", self.config], env=environment, stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr:
            if '"serving"' in line:
                self.address, self.admin = (json.loads(line)[key] for key in ("address", "admin"))
                break
        else:
            raise RuntimeError("a pod did not come up")
        # The rest of the output is discarded, because it must not fill the pipe.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def calls(self):
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=TIMEOUT_S) as answer:
            metrics = answer.read().decode()
        return sum(int(count) for count in re.findall(r"^bedrock_grpc_calls_total\{.*\} (\d+)$", metrics, re.MULTILINE))

    def update(self):
        self.process.send_signal(signal.SIGTERM)
        # The process must exit by itself, with code 0.
        assert self.process.wait(TIMEOUT_S) == 0
        self.start()

    def end(self):
        self.process.kill()
        self.process.wait()


class Update:
    """Both pods, and how many of them were updated during the last calls."""

    HOSTS = ("127.0.0.1", "127.0.0.2")
    # A pod answers this many calls before it is updated.
    CALLS = 3

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            with socket.create_server((self.HOSTS[0], 0)) as free:
                self.port = free.getsockname()[1]
            self.pods = []
            for host in self.HOSTS:
                self.pods.append(Pod(host, self.port, folder))
                stack.callback(self.pods[-1].end)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    @contextlib.contextmanager
    def during(self):
        """Updates one pod, and then the other one, once the first gets calls again.

        A cluster also waits until a new pod is ready.
        """
        over, self.updated = threading.Event(), 0
        updating = threading.Thread(target=self.update_all, args=(over,))
        updating.start()
        try:
            yield
        finally:
            over.set()
            updating.join()

    def update_all(self, over):
        for pod in self.pods:
            if not answers(pod, self.CALLS, over):
                return
            pod.update()
            self.updated += 1
            if not answers(pod, 1, over):
                return


def answers(pod, calls, over):
    """Waits until a pod has answered this many calls. Returns whether it did in time."""
    before = pod.calls()
    while pod.calls() < before + calls:
        if over.wait(0.02):
            return False
    return True
