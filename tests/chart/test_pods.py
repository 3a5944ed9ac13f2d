"""Pods comply with the restricted Pod Security Standard, and every selector finds the pods that it should find."""

import pytest

from rendering import VALUE_SETS, objects

# The rules do not apply to values that users pass through.
OWN_CONTAINERS = {"gateway", "health", "check"}


def pods(value_set):
    """Returns the specs of all pods that a set of values renders."""
    specs = [obj["spec"]["template"]["spec"] for kind in ("Deployment", "Job") for obj in objects(value_set, kind)]
    return specs + [obj["spec"] for obj in objects(value_set, "Pod")]


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_restricted(value_set):
    for pod in pods(value_set):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert not [volume for volume in pod.get("volumes", []) if "hostPath" in volume]
        for container in pod["containers"]:
            if container["name"] in OWN_CONTAINERS:
                context = container["securityContext"]
                assert context["allowPrivilegeEscalation"] is False
                assert context["readOnlyRootFilesystem"] is True
                assert context["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_every_mount_has_its_volume(value_set):
    for pod in pods(value_set):
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        mounts = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", [])}
        assert mounts <= volumes


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_selectors_find_the_gateway_and_no_other_pod(value_set):
    (deployment,) = objects(value_set, "Deployment")
    gateway = deployment["spec"]["template"]["metadata"]["labels"]
    others = [obj["metadata"]["labels"] for obj in objects(value_set, "Pod")]
    others += [obj["spec"]["template"]["metadata"]["labels"] for obj in objects(value_set, "Job")]
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [obj["spec"]["selector"] for obj in objects(value_set, "Service")]
    selectors += [obj["spec"]["selector"]["matchLabels"] for obj in objects(value_set, "PodDisruptionBudget")]
    selectors += [obj["spec"]["selector"]["matchLabels"] for obj in objects(value_set, "PodMonitor")]
    selectors += [obj["spec"]["podSelector"]["matchLabels"] for obj in objects(value_set, "NetworkPolicy")]
    selectors += [obj["spec"]["endpointSelector"]["matchLabels"] for obj in objects(value_set, "CiliumNetworkPolicy")]
    for selector in selectors:
        assert selector.items() <= gateway.items()
        assert not [labels for labels in others if selector.items() <= labels.items()]


def test_the_service_monitor_finds_the_admin_service_alone():
    (monitor,) = objects("everything", "ServiceMonitor")
    selector = monitor["spec"]["selector"]["matchLabels"]
    found = [obj["metadata"]["name"] for obj in objects("everything", "Service") if selector.items() <= obj["metadata"]["labels"].items()]
    assert found == ["gateway-admin"]


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_ports_are_there_by_name(value_set):
    (deployment,) = objects(value_set, "Deployment")
    gateway = next(each for each in deployment["spec"]["template"]["spec"]["containers"] if each["name"] == "gateway")
    names = {port["name"] for port in gateway["ports"]}
    for service in objects(value_set, "Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
    admin = next(port["containerPort"] for port in gateway["ports"] if port["name"] == "admin")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert gateway[probe]["grpc"]["port"] == admin
