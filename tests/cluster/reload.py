"""Changes of the configuration on a real kubelet: which reach running pods, which replace them, and which are refused."""

import concurrent.futures
import time
import urllib.request

import node
import rendering
from processes import Failed, check, run, until

# According to Kubernetes' documentation, a pod gets a changed ConfigMap at its next sync.
LONGEST = 2 * node.SYNC_SECONDS
ALIAS = "renamed"
WITH_ALIAS = {"config": {"targets": {ALIAS: {"model_id": "us.amazon.nova-lite-v1:0"}}}}
ELSEWHERE = {"model_id": "us.amazon.nova-lite-v1:0", "region": "us-west-2", "project": "arn:aws:bedrock:us-east-1:123456789012:project/p"}
PROBLEM = "is in us-east-1, not in us-west-2"
JOB = "bedrock-grpc-check"


def run_all(release, clients):
    """Runs changes with open streams, none of which may break."""
    changes = Changes(release, clients)
    changes.check_alias()
    changes.check_bad_config()
    changes.check_old_version()
    changes.check_restart()


class Changes:
    """Upgrades of a release that change its configuration."""

    def __init__(self, release, clients):
        self.release, self.clients = release, clients

    def _pods(self):
        """Which containers run: pods by name, with their identity and their restarts."""
        return {pod["metadata"]["name"]: (pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]) for pod in self.release.pods()}

    def _addresses(self):
        return [pod["status"]["podIP"] for pod in self.release.pods()]

    def _upgrade(self, changes):
        self.release.helm("helm-v4", "upgrade", self.release.name, rendering.CHART, "--values", self.release.write_values(changes))

    def _metric(self, address, name):
        with urllib.request.urlopen(f"http://{address}:9090/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        (value,) = [line.split()[-1] for line in lines if line.startswith(f"{name} ")]
        return float(value)

    def _unbroken(self, title):
        report = self.clients.report()
        broken = {what: report[what] for what in ("broken", "failed") if report[what]}
        check(f"{title}: no stream breaks and no call fails, {report['open']} streams are open", not broken and report["open"] > 0, lambda: str(broken))

    def check_alias(self):
        """A changed alias reaches running pods."""
        before, addresses = self._pods(), self._addresses()
        check("no pod has the alias before", not any(map(self._has_alias, addresses)))
        self._upgrade(WITH_ALIAS)
        start = time.monotonic()
        for address in addresses:
            until(f"{address} has the alias", lambda address=address: self._has_alias(address), self.release.explain, LONGEST - (time.monotonic() - start))
        took = time.monotonic() - start
        check(f"helm upgrade with a changed alias: {len(before)} pods have it {took:.1f} s later, at most 2 x syncFrequency ({LONGEST} s)", took <= LONGEST)
        self._check_calls("after it")
        check("no pod was replaced, and no container restarted", self._pods() == before, lambda: f"{before}\n{self._pods()}")
        ended = self.release.get("events", f"--field-selector=involvedObject.kind=Job,involvedObject.name={JOB},reason=Completed")
        check("the Job has checked the configuration before it", len(ended) == 1, self.release.explain)
        left = self.release.kubectl("get", "jobs,configmaps", "--output=name").split()
        check("the Job and its ConfigMap are removed", not [name for name in left if name.endswith(JOB)], lambda: str(left))
        self._unbroken("after the upgrade")

    def _has_alias(self, address):
        """Returns whether a pod lists the alias. A call would take as long as its answer."""
        return ALIAS in run(self.release.binary, "targets", "--address", f"http://{address}:50051")

    def _check_calls(self, title):
        """Calls to the alias on all pods."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda address: self.release.chat(f"{address}:50051", ALIAS), self._addresses()))
        check(f"{title}, all {len(answers)} pods answer calls to the alias", answers and all(answers))

    def check_bad_config(self):
        """A configuration with which every new pod would fail changes nothing."""
        before, text = self._pods(), self._config()
        try:
            # Only the service compares a project with a target's Regions, so the chart renders it.
            self._upgrade({"config": {"targets": {ALIAS: ELSEWHERE}}})
        except Failed as failure:
            check("helm upgrade with a bad configuration fails, and prints why", PROBLEM in str(failure), lambda failure=failure: str(failure))
        else:
            raise Failed("helm upgrade has accepted a bad configuration")
        log = self.release.kubectl("logs", f"job/{JOB}")
        check("the log of the Job has the problem", PROBLEM in log, lambda: log)
        check("nothing has changed: the ConfigMap and the pods are the same", self._config() == text and self._pods() == before)
        self._upgrade(WITH_ALIAS)
        check("the next upgrade, with a good configuration, replaces the Job", True)
        self._unbroken("after the refused upgrade")

    def _config(self):
        return self.release.get(f"configmap/{self.release.name}")["data"]["config.yaml"]

    def check_old_version(self):
        """Pods refuse the configuration of a newer version, and keep their own."""
        before, text = self._pods(), self._config()
        metric = "bedrock_grpc_config_last_reload_successful"
        for config, expected in [(f"{text}\na_key_of_a_newer_version: 1\n", 0), (text, 1)]:
            self.release.write_config(config)
            for address in self._addresses():
                until(f"{metric} is {expected}", lambda address=address, expected=expected: self._metric(address, metric) == expected,
                      self.release.explain, patience=LONGEST)
            self._check_calls(f"while {metric} is {expected}")
        pod = next(iter(before))
        refusals = [line for line in self.release.kubectl("logs", pod).splitlines() if "a_key_of_a_newer_version" in line]
        check("a pod logs the refusal once, with the key", len(refusals) == 1, lambda: "\n".join(refusals))
        check("no container restarted", self._pods() == before)

    def check_restart(self):
        """A changed key that needs a restart replaces the pods."""
        before = set(self._pods())
        self._upgrade({"config": {**WITH_ALIAS["config"], "workers": 2}})
        replaced = self.release.replaced(before)
        check(f"a changed `workers` replaces all {len(before)} pods", replaced, self.release.explain)
        self._unbroken("after the rolling update")
