"""A gateway on an emulated Bedrock, calls of every kind, a second gateway with TLS, and a Prometheus that scrapes both."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import yaml

from rendering import BINARY, NAMESPACE, RELEASE, run

# The time limit of a wait for another process, on a busy machine.
LONG = 60
MODEL = "amazon.nova-lite-v1:0"
# The labels that Kubernetes's service discovery gives to a pod's metrics.
POD = {"namespace": NAMESPACE, "pod": f"{RELEASE}-bedrock-grpc-5d8f7c9b4-abcde"}
POD_WITH_TLS = {"namespace": NAMESPACE, "pod": f"{RELEASE}-bedrock-grpc-5d8f7c9b4-fghij"}


def fault(name):
    """Returns a target that gets this fault of the emulator."""
    return {"model_id": f"{MODEL}.fault-{name}"}


CONFIG = {
    "listen": "127.0.0.1:0",
    "admin": {"listen": "127.0.0.1:0"},
    "workers": 1,
    "bedrock": {"region": "us-east-1"},
    "discovery": {"enabled": False},
    "drain": {"lame_duck": 0},
    "limits": {"max_streams": 3, "max_attempts": 1},
    "allowed_model_ids": ["amazon.*"],
    "targets": {
        "claude": {"routes": [fault("throttling") | {"region": "us-west-2"}, {"model_id": "us.anthropic.claude-sonnet-5", "region": "us-east-1"}]},
        "nova": {"model_id": MODEL, "limits": {"requests_per_minute": 1000000}},
        "throttled": fault("throttling"),
        "used-up": fault("quota"),
        "broken": fault("service-unavailable"),
        "cut": fault("end-without-message-stop-after-3"),
        "forbidden": fault("access-denied"),
        "newer": fault("unknown-event"),
        "unmetered": fault("stream-throttling-after-messageStop"),
        "stalled": fault("stall-after-3"),
    },
}


def wait_for(condition):
    """Sends the request until there is an answer, and returns it."""
    end = time.monotonic() + LONG
    while not (answer := condition()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)
    return answer


@contextlib.contextmanager
def running(*command, environment=None, log=os.devnull):
    """A process that is ended with this block."""
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [str(word) for word in command], env=os.environ | (environment or {}), stdout=file, stderr=file, stdin=subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def logged(process, log, pattern):
    """Waits until a process's log matches a pattern, and returns the groups of the match."""

    def found():
        text = log.read_text(encoding="utf-8")
        assert process.poll() is None, text
        return re.search(pattern, text)

    return wait_for(found).groups()


class Gateway:
    """A running gateway."""

    def __init__(self, grpc, admin):
        self.address, self.admin = f"http://{grpc}", admin

    def metrics(self):
        """Returns the text of its /metrics."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=LONG) as answer:
            return answer.read().decode()

    def sample(self, name):
        """The sum of a metric's samples."""
        return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", self.metrics(), re.M))

    def chat(self, target, **options):
        """A call that may still be open."""
        return running(BINARY, "chat", "--address", self.address, "--target", target, "Why is the sky blue?", **options)

    def call(self, *targets):
        """Makes calls and waits until they have ended in any way."""
        for target in targets:
            with self.chat(target) as process:
                process.wait(LONG)

    def calls_of_every_kind(self):
        """Answered, also without usage, failed over, throttled, broken until the breaker opens, cut, forbidden, refused, cancelled, of an unknown target."""
        self.call("claude", "nova", MODEL, "throttled", "used-up", "cut", "forbidden", "newer", "unmetered", "no-such-target", *["broken"] * 5)
        with contextlib.ExitStack() as stalled:
            for _ in range(CONFIG["limits"]["max_streams"] - int(self.sample("bedrock_grpc_open_calls"))):
                stalled.enter_context(self.chat("stalled"))
            wait_for(lambda: self.sample("bedrock_grpc_open_calls") == CONFIG["limits"]["max_streams"])
            self.call("nova")


class Prometheus:
    """A running Prometheus."""

    def __init__(self, address):
        self.address = address

    def ask(self, path, **parameters):
        """Returns the answer of its API."""
        query = urllib.parse.urlencode(parameters, doseq=True)
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{query}", timeout=LONG) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def query(self, expression):
        """The value of an expression now."""
        return self.ask("query", query=expression)["result"]

    def read_again(self):
        """Waits until it has read the gateway's metrics as they are by now: a reading that is under way may be older, the next one is not."""

        def readings():
            return sum(float(each["value"][1]) for each in self.query("count_over_time(up[1h])"))

        enough = readings() + 2
        wait_for(lambda: readings() >= enough)

    def labels(self):
        """The labels of each metric that it has read, by the metric's name."""
        labels = {}
        for series in self.ask("series", **{"match[]": '{__name__=~"bedrock_grpc_.*"}'}):
            labels.setdefault(series.pop("__name__"), set()).update(series)
        return labels


def start_store(start):
    """Starts a store of limits. Returns its URL and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = start("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")

    def answers():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16) == b"+PONG\r\n"

    wait_for(answers)
    return f"redis://127.0.0.1:{port}", process


def start_with_tls(folder, start):
    """Starts a gateway with TLS that has no calls. Returns its admin address."""
    names = {"certificate_file": str(folder / "tls.crt"), "key_file": str(folder / "tls.key"), "client_ca_file": str(folder / "tls.crt")}
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
    run(*made, "-keyout", names["key_file"], "-out", names["certificate_file"])
    (folder / "tls.yaml").write_text(yaml.safe_dump(CONFIG | {"tls": names}), encoding="utf-8")
    log = folder / "gateway-with-tls.log"
    process = start(BINARY, "serve", "--config", folder / "tls.yaml", environment={"AWS_EC2_METADATA_DISABLED": "true"}, log=log)
    return logged(process, log, r'"address":"[^"]+","admin":"([^"]+)"')[0]


@contextlib.contextmanager
def watched_gateway(folder, rules):
    """A gateway that has received calls of every kind, one of which is still open, and a Prometheus that has scraped their metrics."""
    announced = folder / "emulator"
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_EC2_METADATA_DISABLED": "true"}
    with contextlib.ExitStack() as processes:
        start = lambda *command, **options: processes.enter_context(running(*command, **options))
        start(
            BINARY, "emulate", "--listen", "127.0.0.1:0", "--unchecked", "--time-to-first-token", "5ms", "--tokens-per-second", "500", "--announce", announced
        )
        endpoint = wait_for(lambda: announced.exists() and announced.read_text(encoding="utf-8").strip())
        store, store_process = start_store(start)
        limits = CONFIG["limits"] | {"store": store}
        (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"limits": limits}), encoding="utf-8")
        log = folder / "gateway.log"
        serve = start(BINARY, "serve", "--config", folder / "config.yaml", environment=keys | {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": endpoint}, log=log)
        gateway = Gateway(*logged(serve, log, r'"address":"([^"]+)","admin":"([^"]+)"'))
        prometheus = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [
                {
                    "job_name": "gateway",
                    "static_configs": [{"targets": [gateway.admin], "labels": POD}, {"targets": [start_with_tls(folder, start)], "labels": POD_WITH_TLS}],
                }
            ],
            "rule_files": [str(folder / "rules.yaml")],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(prometheus), encoding="utf-8")
        log = folder / "prometheus.log"
        options = [f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}", "--web.listen-address=127.0.0.1:0"]
        process = start("prometheus", *options, "--log.format=json", log=log)
        prometheus = Prometheus(*logged(process, log, r'"address":"(127\.0\.0\.1:[1-9]\d*)".*"Listening on"'))
        logged(process, log, "(Server is ready to receive web requests)")
        wait_for(lambda: len(prometheus.query("up == 1")) == 2)
        processes.enter_context(gateway.chat("stalled"))
        wait_for(lambda: gateway.sample("bedrock_grpc_open_upstream_calls") == 1)
        # Twice, so that counters rise between two readings.
        for _ in range(2):
            gateway.calls_of_every_kind()
            prometheus.read_again()

        def has_seen_an_open_breaker():
            # Each further failure keeps the breaker open for longer.
            gateway.call("broken")
            return prometheus.query('max_over_time(bedrock_grpc_breaker_state{state="open"}[1h]) == 1')

        wait_for(has_seen_an_open_breaker)
        # The store hangs, so that the last call is decided without it.
        store_process.send_signal(signal.SIGSTOP)
        gateway.call("nova")
        prometheus.read_again()
        yield gateway, prometheus
