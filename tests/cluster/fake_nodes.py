"""Fake nodes: kwok reports that they are ready and that their pods run. They are for tests of the control plane alone."""

ANNOTATION = "kwok.x-k8s.io/node"
ZONES = ["zone-a", "zone-b", "zone-c"]
NODES_PER_ZONE = 2


def _node(number):
    name = f"fake-{number}"
    resources = {"cpu": "64", "memory": "256Gi", "pods": "250"}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: "fake"},
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
                       "topology.kubernetes.io/zone": ZONES[number % len(ZONES)]},
        },
        "status": {"capacity": resources, "allocatable": resources},
    }


def start(cluster):
    """The nodes, ready."""
    nodes = [_node(number) for number in range(len(ZONES) * NODES_PER_ZONE)]
    cluster.kubectl("create", "--filename", "-", objects=nodes)
    cluster.processes.start("kwok", cluster.bin / "kwok", f"--kubeconfig={cluster.kubeconfig}", "--manage-all-nodes=false",
                            f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake", "--node-lease-duration-seconds=40",
                            f"--config={cluster.bin}/stages.yaml")
    cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=120s")


def end(cluster):
    """Removes the nodes, with the pods on them."""
    cluster.kubectl("delete", "node", "--all", "--wait=true")
    cluster.processes.end("kwok")
