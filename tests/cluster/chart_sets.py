"""Every set of the chart's values in a cluster: by server-side apply and by both Helms, with restricted Pod Security enforced."""

import collections
import os
import subprocess

import crds
import rendering
from processes import PATIENCE, Failed, check, until

LEVEL = "restricted"
# Objects that the sets refer to and that the chart does not create.
PREREQUISITES = [
    {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "business-critical"}, "value": 1000},
    {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gvisor"}, "handler": "runsc"},
]
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "made-elsewhere"}}
RELEASE = rendering.RELEASE
GATEWAY = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=gateway"


def install_definitions(cluster):
    """The definitions of every custom resource that the chart can make, as their projects publish them."""
    definitions = [crds.definition(group, kind) for group, kind in crds.PUBLISHED]
    cluster.apply(definitions)
    names = [f"crd/{each['metadata']['name']}" for each in definitions]
    cluster.kubectl("wait", "--for=condition=Established", *names, "--timeout=120s")
    cluster.apply(PREREQUISITES)
    check(f"{len(definitions)} definitions of custom resources, as published, are established", True)


def make_namespace(cluster, name, level=LEVEL):
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn", "audit")}
    cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}])
    cluster.apply([{**ACCOUNT, "metadata": {**ACCOUNT["metadata"], "namespace": name}}])


def check_pod_security(cluster):
    """Restricted Pod Security is enforced here, so the other checks are meaningful."""
    make_namespace(cluster, "strict")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root", "namespace": "strict"},
           "spec": {"containers": [{"name": "root", "image": "x"}]}}
    _, refusal = cluster.ask("create", "--filename", "-", objects=[pod], fails=True)
    check("a pod without a security context is refused", 'violates PodSecurity "restricted:latest"' in refusal, lambda: refusal)
    loose = rendering.template("--namespace=strict", "--skip-tests", "--set=securityContext.allowPrivilegeEscalation=true",
                               kubernetes=cluster.version)
    _, warnings = cluster.apply(rendering.parse(loose), "--dry-run=server")
    check("the chart with a looser securityContext is warned of", "would violate PodSecurity" in warnings, lambda: warnings)


def helm(cluster, name, namespace, *arguments):
    """Returns the output of one version of Helm, which must not print a warning."""
    folders = {f"HELM_{kind.upper()}_HOME": str(cluster.work / "helm" / kind) for kind in ("cache", "config", "data")}
    command = [str(word) for word in (rendering.TOOLS / name, "--namespace", namespace, *arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, KUBECONFIG=str(cluster.kubeconfig), **folders),
                            timeout=PATIENCE * 2, check=False)
    if result.returncode != 0 or "warning" in result.stderr.lower():
        raise Failed(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    return result.stdout


class ValueSet:
    """One set of values in its own namespace."""

    def __init__(self, cluster, metrics, name):
        self.cluster, self.metrics, self.name = cluster, metrics, name
        self.namespace = f"set-{name}"

    def check(self, title, fact, details=lambda: ""):
        check(f"{self.name}: {title}", fact, details)

    def kubectl(self, *arguments, **options):
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, **options)

    def get(self, *arguments):
        return self.cluster.get("--namespace", self.namespace, *arguments)

    def run(self):
        make_namespace(self.cluster, self.namespace)
        self._apply()
        self._install("helm-v3", "helm-v3")
        self._install("helm-v4", "helm-v4")
        if self.name == "defaults":
            self._install("helm-v3", "helm-v4")
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def _render(self, *arguments):
        text = rendering.template(f"--namespace={self.namespace}", *rendering.values_of(self.name), *arguments, kubernetes=self.cluster.version)
        return rendering.parse(text)

    # Server-side apply

    def _apply(self):
        objects = self._render()
        printed, warnings = self.cluster.apply(objects, "--namespace", self.namespace)
        self.check(f"all {len(objects)} objects are taken by server-side apply, without a warning",
                   warnings == "" and printed.count("serverside-applied") == len(objects), lambda: printed + warnings)
        by_kind = collections.defaultdict(list)
        for obj in objects:
            by_kind[obj["kind"]].append(obj)
        (deployment,) = by_kind["Deployment"]
        replicas = self._replicas(deployment, by_kind)
        self._await_rollout(deployment, replicas)
        self.check(f"its {replicas} pods pass Pod Security, are placed and run", True)
        self._check_spread(deployment, replicas)
        (budget,) = by_kind["PodDisruptionBudget"]
        self._check_budget(budget, replicas)
        for scaler in by_kind["HorizontalPodAutoscaler"]:
            self._check_autoscaler(scaler, replicas)
        before = self._generations(objects)
        self.cluster.apply(self._render(), "--namespace", self.namespace)
        self.check("applied again, it changes nothing", self._generations(objects) == before)
        self._delete(objects)

    def _replicas(self, deployment, by_kind):
        """Sets the number of pods that there should be. The test scales in place of KEDA, which is not installed."""
        name = deployment["metadata"]["name"]
        for scaled in by_kind["ScaledObject"]:
            least = scaled["spec"]["minReplicaCount"]
            self.kubectl("scale", f"deployment/{name}", f"--replicas={least}")
            return least
        for scaler in by_kind["HorizontalPodAutoscaler"]:
            return scaler["spec"]["minReplicas"]
        return deployment["spec"]["replicas"]

    def _await_rollout(self, deployment, replicas):
        name = f"deployment/{deployment['metadata']['name']}"
        self.kubectl("wait", name, f"--for=jsonpath={{.status.availableReplicas}}={replicas}", f"--timeout={PATIENCE}s")
        self.kubectl("rollout", "status", name, f"--timeout={PATIENCE}s")

    def _check_spread(self, deployment, replicas):
        """Every constraint is satisfied, even those that may be violated, because there is room."""
        nodes = {node["metadata"]["name"]: node["metadata"]["labels"] for node in self.cluster.get("nodes")}
        pods = self.get("pods", "--selector", GATEWAY)
        pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        for constraint in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            key = constraint["topologyKey"]
            counts = collections.Counter({labels[key]: 0 for labels in nodes.values()})
            counts.update(nodes[pod["spec"]["nodeName"]][key] for pod in pods)
            self.check(f"spread over {key}: {sorted(counts.values())}",
                       len(pods) == replicas and max(counts.values()) - min(counts.values()) <= constraint["maxSkew"])

    def _check_budget(self, budget, replicas):
        name = f"pdb/{budget['metadata']['name']}"
        self.kubectl("wait", name, f"--for=jsonpath={{.status.currentHealthy}}={replicas}", f"--timeout={PATIENCE}s")
        (condition,) = [each for each in self.get(name)["status"]["conditions"] if each["type"] == "DisruptionAllowed"]
        status = self.get(name)["status"]
        self.check(f"the budget lets {status['disruptionsAllowed']} of {status['expectedPods']} pods go",
                   condition["status"] == "True" and status["expectedPods"] == replicas and 1 <= status["disruptionsAllowed"] < max(replicas, 2),
                   lambda: str(status))

    def _check_autoscaler(self, scaler, least):
        """The autoscaler uses open calls: it scales up at once, and down only after streams had time to end."""
        name = f"hpa/{scaler['metadata']['name']}"
        (wanted,) = [int(each["pods"]["target"]["averageValue"]) for each in scaler["spec"]["metrics"] if each["type"] == "Pods"]
        self.kubectl("wait", name, "--for=condition=ScalingActive", f"--timeout={PATIENCE}s")
        self.check(f"the autoscaler went up to {least} by itself and reads its metrics", self.get(name)["status"]["currentReplicas"] == least)
        self.metrics.open_calls[self.namespace] = 2 * least * wanted
        self.kubectl("wait", name, f"--for=jsonpath={{.status.desiredReplicas}}={2 * least}", f"--timeout={PATIENCE}s")
        self.metrics.open_calls[self.namespace] = 0
        until("the autoscaler holds on", lambda: self._reason(name, "AbleToScale") == "ScaleDownStabilized", lambda: str(self.get(name)["status"]))
        self.check(f"with {2 * least * wanted} open calls it goes up to {2 * least}, and without any it waits", True)

    def _reason(self, name, condition):
        return [each["reason"] for each in self.get(name)["status"]["conditions"] if each["type"] == condition][0]

    def _generations(self, objects):
        return {(obj["kind"], obj["metadata"]["name"]): self.get(f"{_resource(obj)}/{obj['metadata']['name']}")["metadata"].get("generation")
                for obj in objects}

    def _delete(self, objects):
        self.kubectl("delete", "--filename", "-", "--wait=true", f"--timeout={PATIENCE}s", objects=objects)

    # Helm

    def _helm(self, name, *arguments):
        return helm(self.cluster, name, self.namespace, *arguments)

    def _install(self, first, second):
        """Installs with one version of Helm, upgrades with the same or another one, and uninstalls."""
        # Helm does not use the time for which pods must be ready.
        values = [*rendering.values_of(self.name), "--set=minReadySeconds=1"]
        self._helm(first, "install", RELEASE, rendering.CHART, *values)
        objects = rendering.parse(self._helm(first, "get", "manifest", RELEASE))
        found = self._existing(objects)
        (deployment,) = [obj for obj in objects if obj["kind"] == "Deployment"]
        self.check(f"{first} installs all {len(objects)} objects", len(found) == len(objects), lambda: str(found))
        self._helm(second, "upgrade", RELEASE, rendering.CHART, *values, "--set=podAnnotations.changed=yes")
        self.kubectl("rollout", "status", f"deployment/{deployment['metadata']['name']}", f"--timeout={PATIENCE}s")
        pods = [pod for pod in self.get("pods", "--selector", GATEWAY) if "deletionTimestamp" not in pod["metadata"]]
        self.check(f"{second} upgrades it: {len(pods)} new pods",
                   pods and all(pod["metadata"]["annotations"].get("changed") == "yes" for pod in pods))
        self._helm(second, "uninstall", RELEASE)
        until(f"{self.name}: nothing is left", lambda: not self._existing(objects), lambda: str(self._existing(objects)))
        self.check(f"{second} uninstalls it, and nothing is left", True)

    def _existing(self, objects):
        return self.kubectl("get", "--ignore-not-found", "--output", "name", "--filename", "-", objects=objects).split()


def _resource(obj):
    """Returns kubectl's name of the kind, with its group, because some kinds are in several groups."""
    group, _, version = obj["apiVersion"].rpartition("/")
    return f"{obj['kind']}.{version}.{group}" if group else obj["kind"]
