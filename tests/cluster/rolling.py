"""The chart on the real node: probes, Services, `helm test`, and pods that stop while streams are open."""

import json
import os
import subprocess
import threading

import certificates
import chart_sets
import images
import node
import reload
import rendering
from processes import PATIENCE, Failed, check, run, until

NAMESPACE = "inference"
RELEASE = "bedrock-grpc"
DEPLOYMENT = f"deployment/{RELEASE}"
SELECTOR = "app.kubernetes.io/component=gateway"
TOKEN = "a-key-of-bedrock-s"
TOKENS_PER_SECOND = 2
STREAMS = int(os.environ.get("STREAMS", "200"))
UPDATES = int(os.environ.get("UPDATES", "3"))
# The values of production-eks that one small node can run: three pods, a target by name, a
# disruption budget.
VALUES = {
    "image": {"repository": node.IMAGE, "tag": node.TAG, "pullPolicy": "Never"},
    "replicaCount": 3,
    "existingSecret": "bedrock-key",
    "priorityClassName": "business-critical",
    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    "config": {"workers": 1, "targets": {"claude": {"model_id": "us.anthropic.claude-sonnet-5"}}, "limits": {"connection_age": "1m"}},
}


class Clients:
    """load.py as a process, and its reports."""

    def __init__(self, cluster, streams):
        interop = rendering.ROOT / "tests/interop"
        environment = dict(os.environ, PYTHONPATH=str(interop / ".stubs"))
        target = f"dns://{node.ADDRESS}:53/{RELEASE}-headless.{NAMESPACE}.svc.cluster.local:50051"
        self.streams = streams
        self.log = open(cluster.processes.logs / "load.log", "ab")
        command = [interop / ".venv/bin/python", rendering.ROOT / "tests/cluster/load.py", target, rendering.ROOT / "examples/service_config.json",
                   str(streams)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment,
                                      start_new_session=True)

    def report(self, what="report"):
        print(what, file=self.child.stdin, flush=True)
        line = self.child.stdout.readline()
        if not line:
            raise Failed("the clients ended by themselves; see load.log")
        return json.loads(line)

    def end(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.log.close()


class Endings:
    """How the gateway's containers ended, as kubectl's watch saw it."""

    def __init__(self, cluster):
        self.child = subprocess.Popen(cluster.command("--namespace", NAMESPACE, "get", "pods", "--selector", SELECTOR, "--watch", "--output", "json"),
                                      stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.codes = {}
        self.seen = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        lines = []
        for line in self.child.stdout:
            lines.append(line)
            if line == "}\n":
                self._take(json.loads("".join(lines)))
                lines.clear()

    def _take(self, pod):
        for status in pod["status"].get("containerStatuses", []):
            if ended := status["state"].get("terminated") or status.get("lastState", {}).get("terminated"):
                with self.seen:
                    self.codes[pod["metadata"]["name"]] = ended["exitCode"]
                    self.seen.notify_all()

    def end(self):
        self.child.kill()
        self.child.wait()


class Release:
    """The chart, installed on the node."""

    def __init__(self, cluster, binary):
        self.cluster, self.binary, self.name = cluster, binary, RELEASE
        self.values = json.loads(json.dumps(VALUES))
        chart_sets.make_namespace(cluster, NAMESPACE)
        self.kubectl("create", "secret", "generic", "bedrock-key", f"--from-literal=AWS_BEARER_TOKEN_BEDROCK={TOKEN}")

    def kubectl(self, *arguments, **options):
        return self.cluster.kubectl("--namespace", NAMESPACE, *arguments, **options)

    def get(self, *arguments):
        return self.cluster.get("--namespace", NAMESPACE, *arguments)

    def helm(self, helm, *arguments):
        return chart_sets.helm(self.cluster, helm, NAMESPACE, *arguments)

    def pods(self):
        return [pod for pod in self.get("pods", "--selector", SELECTOR) if "deletionTimestamp" not in pod["metadata"]]

    def write_values(self, changes):
        """The values with some changes, as a file."""
        path = self.cluster.work / "values.json"
        path.write_text(json.dumps(merged(self.values, changes)))
        return path

    def write_config(self, text):
        """Edits the ConfigMap by hand."""
        self.kubectl("patch", f"configmap/{RELEASE}", "--type=merge", "--patch", json.dumps({"data": {"config.yaml": text}}))

    def install(self, bedrock):
        self.values["config"]["bedrock"] = {"region": "us-east-1", "endpoint_url": bedrock}
        path = self.write_values({})
        try:
            self.helm("helm-v4", "install", RELEASE, rendering.CHART, "--values", path, "--wait", f"--timeout={PATIENCE}s")
        except Failed as failure:
            raise Failed(f"{failure}\n{self.explain()}") from None
        pods = self.pods()
        well = [status["ready"] and status["restartCount"] == 0 for pod in pods for status in pod["status"]["containerStatuses"]]
        check(f"{len(pods)} pods on a real kubelet are ready by their own probes", len(pods) == VALUES["replicaCount"] and all(well), self.explain)

    def explain(self):
        return self.kubectl("get", "events,pods", "--output=wide") + self.kubectl("describe", "pods") + self.cluster.processes.tail("kubelet")

    def chat(self, address, target="claude"):
        return run(self.binary, "chat", "--address", f"http://{address}", "--target", target, "hello").strip()

    def check_service(self):
        """Makes calls in all ways, and checks the properties of a container."""
        pod = self.pods()[0]
        check("a pod answers at its own address", self.chat(f"{pod['status']['podIP']}:50051"))
        address = self.get(f"service/{RELEASE}")["spec"]["clusterIP"]
        check("the Service answers at its address", self.chat(f"{address}:50051"))
        health = self.kubectl("exec", pod["metadata"]["name"], "--", "/usr/bin/bedrock-grpc", "health", "--address", "http://127.0.0.1:50051")
        check("`kubectl exec` with the binary's own probe", health.strip() == "SERVING")
        check("`kubectl logs` has its log, in JSON", all(map(json.loads, self.kubectl("logs", pod["metadata"]["name"]).splitlines())))
        for helm in rendering.HELMS:
            self.helm(helm, "test", RELEASE, f"--timeout={PATIENCE}s")
            check(f"{helm} test passes: a pod finds the Service by its name", True)

    # Under load

    def settle(self):
        """Waits until stopping pods are removed: by then their streams have ended."""
        until("stopping pods are removed", lambda: len(self.get("pods", "--selector", SELECTOR)) == len(self.pods()), self.explain)

    def replaced(self, old):
        self.kubectl("rollout", "status", DEPLOYMENT, f"--timeout={PATIENCE * 2}s")
        return not old & {pod["metadata"]["name"] for pod in self.pods()}

    def check_updates(self, clients):
        for number in range(1, UPDATES + 1):
            old = {pod["metadata"]["name"] for pod in self.pods()}
            self.kubectl("rollout", "restart", DEPLOYMENT)
            replaced = self.replaced(old)
            report = clients.report()
            check(f"rolling update {number} of {UPDATES}: all pods are new ones; {said(report)}", replaced and unbroken(report), self.explain)
        self.settle()
        check(f"the stopped pods are removed; {said(report := clients.report())}", unbroken(report))

    def check_scale_in(self, clients):
        self.kubectl("scale", DEPLOYMENT, "--replicas=2")
        self.settle()
        check(f"from 3 pods to {len(self.pods())}; {said(report := clients.report())}", len(self.pods()) == 2 and unbroken(report))

    def check_eviction(self, clients):
        first, second = [pod["metadata"]["name"] for pod in self.pods()]
        self.evict(first)
        refusal = self.evict(second, fails=True)
        check("a pod is evicted, and the next one at once is not: the budget", "disruption budget" in refusal, lambda: refusal)
        self.replaced({first})
        self.settle()
        check(f"the evicted pod is removed; {said(report := clients.report())}", unbroken(report))

    def evict(self, pod, fails=False):
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
        return self.cluster.ask("create", "--raw", path, "--filename", "-", objects=[eviction], fails=fails)[1]

    def check_endings(self, endings):
        """Checks every pod that stopped: it got SIGTERM, and exited with code 0."""
        codes = dict(endings.codes)
        check(f"{len(codes)} pods went, all with exit code 0: none was killed", len(codes) >= 3 * UPDATES + 2 and set(codes.values()) == {0},
              lambda: str(codes))

    def check_kill(self, clients):
        """Checks that clients see a pod that stops without GOAWAY. So the clients above would have reported it."""
        self.kubectl("delete", "pod", self.pods()[0]["metadata"]["name"], "--grace-period=1")
        report = clients.report("last")
        check(f"a pod that is given one second breaks streams, and clients say so: {said(report)}", report["broken"] and report["open"] == 0)

    def uninstall(self):
        self.helm("helm-v4", "uninstall", RELEASE, "--wait", f"--timeout={PATIENCE}s")
        until("all pods are removed", lambda: not self.get("pods", "--selector", SELECTOR), self.explain)
        check("uninstalled, all pods are removed", True)


def merged(base, changes):
    """Nested maps, with some keys changed."""
    both = base | changes
    return {key: merged(base[key], value) if key in base and key in changes and isinstance(value, dict) else value for key, value in both.items()}


def said(report):
    counts = ", ".join(f"{sum(report[what].values())} {what}" for what in ("broken", "failed"))
    return f"{report['ended_well']} streams ended successfully, {counts}, {report['open']} open" + "".join(
        f"\n      {count} x {status}" for what in ("broken", "failed") for status, count in report[what].items())


def unbroken(report):
    return not report["broken"] and not report["failed"] and report["ended_well"] > 0


def start_bedrock(cluster, binary):
    """Runs the emulator as a process next to the node. Returns its address."""
    port = 8900
    cluster.processes.start("bedrock", binary, "emulate", "--listen", f"{node.ADDRESS}:{port}", "--bearer-token", TOKEN,
                            "--time-to-first-token", "100ms", "--tokens-per-second", str(TOKENS_PER_SECOND))
    return f"http://{node.ADDRESS}:{port}"


def run_all(cluster, binary, inside, cgroup, parts):
    """Runs the node, and all requested parts on it."""
    machine = node.Node(cluster, cgroup)
    try:
        for archive in (images.pause(machine.work / "pause", node.PAUSE, cluster.bin / "pause"),
                        images.gateway(machine.work / "gateway", f"{node.IMAGE}:{node.TAG}", inside)):
            machine.load(archive)
        machine.join()
        check("a kubelet's node is ready", True)
        bedrock = start_bedrock(cluster, binary)
        release = Release(cluster, binary)
        release.install(bedrock)
        release.check_service()
        if "reload" in parts:
            certificates.run_all(release)
        endings, clients = Endings(cluster), Clients(cluster, STREAMS)
        try:
            until(f"{STREAMS} streams are open", lambda: clients.report()["open"] >= STREAMS * 0.9, release.explain)
            if "reload" in parts:
                reload.run_all(release, clients)
            if "node" in parts:
                release.check_updates(clients)
                release.check_scale_in(clients)
                release.check_eviction(clients)
                release.check_endings(endings)
                release.check_kill(clients)
        finally:
            clients.end()
            endings.end()
        release.uninstall()
    finally:
        machine.restore()
