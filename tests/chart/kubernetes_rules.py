"""What the API server checks beyond its schemas, for the objects that the chart renders: names, labels, quantities, selectors, references."""

import functools
import ipaddress
import re

import jsonschema
import jsonschema.validators
import referencing
import yaml
from kubernetes_validate import utils as kubernetes_validate

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
KEY = re.compile(rf"({LABEL}(\.{LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?([eE][0-9]{1,2}|[mkMGTPE]|[KMGTPE]i)?")
PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(rf"([a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]+)?/)?{PART}(/{PART})*(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{{0,127}}|@sha256:[0-9a-f]{{64}})?")
FACTORS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18} | {f"{unit}i": 1024**n for n, unit in enumerate("KMGTPE", 1)}


@functools.cache
def _definitions(version):
    folder = f"kubernetes-json-schema/v{version}-local-strict"
    contents = kubernetes_validate.schema_contents(f"{folder}/_definitions.json", version)
    return folder, referencing.Registry().with_resource(contents["$id"], referencing.Resource.from_contents(contents)).crawl()


@functools.cache
def _validator(version, kind, api_version):
    folder, registry = _definitions(version)
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = kubernetes_validate.schema_contents(f"{folder}/{kind.lower()}-{group}.json", version)
    return jsonschema.Draft202012Validator(schema, registry=registry)


def problems(obj, version):
    """Returns the problems that the strict schema and the API server report for an object of Kubernetes' own kinds."""
    found = [f"{'.'.join(map(str, error.path))}: {error.message[:200]}" for error in _validator(version, obj["kind"], obj["apiVersion"]).iter_errors(obj)]
    return found or list(_beyond_schema(obj))


def metadata_problems(obj):
    """Returns the problems of an object's metadata."""
    metadata = obj["metadata"]
    name = SERVICE if obj["kind"] == "Service" else SUBDOMAIN
    if not isinstance(metadata["name"], str) or not name.fullmatch(metadata["name"]) or len(metadata["name"]) > 253:
        yield f"metadata.name: {metadata['name']!r}"
    for key, value in metadata.get("labels", {}).items():
        if not (isinstance(value, str) and KEY.fullmatch(key) and VALUE.fullmatch(value)):
            yield f"metadata.labels: {key!r}: {value!r}"
    for key, value in metadata.get("annotations", {}).items():
        if not (isinstance(value, str) and KEY.fullmatch(key)):
            yield f"metadata.annotations: {key!r}: {value!r}"


def amount(quantity):
    """A quantity as a number. None if it is not one."""
    text = str(quantity)
    if not QUANTITY.fullmatch(text):
        return None
    number, suffix = re.fullmatch(r"([0-9.]+)(.*)", text).groups()
    return float(number) * (10 ** int(suffix[1:]) if re.fullmatch("[eE][0-9]+", suffix) else FACTORS[suffix])


def _share(value, of):
    return -(-int(value[:-1]) * of // 100) if isinstance(value, str) else value


def _duplicates(names):
    names = list(names)
    return {name for name in names if names.count(name) > 1}


def _beyond_schema(obj):
    yield from metadata_problems(obj)
    spec = obj.get("spec", {})
    if obj["kind"] == "Deployment":
        yield from _deployment(spec)
    elif obj["kind"] == "Pod":
        yield from _pod(spec)
    elif obj["kind"] == "Job":
        yield from _job(obj)
    elif obj["kind"] == "Service":
        yield from _service(spec)
    elif obj["kind"] == "PodDisruptionBudget":
        for key in ("minAvailable", "maxUnavailable"):
            value = spec.get(key, 1)
            if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,2}%|100%", value) or isinstance(value, int) and value < 0:
                yield f"spec.{key}: {value!r}"
    elif obj["kind"] == "NetworkPolicy":
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            for peer in [*(rule.get("from") or []), *(rule.get("to") or [])]:
                yield from _peer({key: value for key, value in (peer or {}).items() if value is not None})
    elif obj["kind"] == "HorizontalPodAutoscaler":
        if spec["minReplicas"] > spec["maxReplicas"] or not spec["metrics"]:
            yield "spec: replicas or metrics"
    elif obj["kind"] == "ConfigMap":
        for key, value in (obj.get("data") or {}).items():
            if not re.fullmatch(r"[-._a-zA-Z0-9]+", key) or not isinstance(value, str):
                yield f"data.{key}"


def _peer(peer):
    if not peer or "ipBlock" in peer and len(peer) > 1:
        yield f"a peer of {sorted(peer)}"
    block = peer.get("ipBlock", {})
    for cidr in [*([block["cidr"]] if block else []), *(block.get("except") or [])]:
        try:
            ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            yield f"cidr: {cidr}"


def _deployment(spec):
    labels = spec["template"]["metadata"]["labels"]
    if not spec["selector"]["matchLabels"].items() <= labels.items():
        yield "spec.selector does not match the template"
    for key, value in labels.items():
        if not (isinstance(value, str) and KEY.fullmatch(key) and VALUE.fullmatch(value)):
            yield f"labels of pods: {key!r}: {value!r}"
    for key, value in spec["template"]["metadata"]["annotations"].items():
        if not (isinstance(value, str) and KEY.fullmatch(key)):
            yield f"annotations of pods: {key!r}: {value!r}"
    if spec["progressDeadlineSeconds"] <= spec["minReadySeconds"]:
        yield "spec.progressDeadlineSeconds is not more than minReadySeconds"
    strategy = spec.get("strategy", {})
    rolling = strategy.get("rollingUpdate") or {}
    if strategy.get("type") == "Recreate" and rolling:
        yield "spec.strategy.rollingUpdate with Recreate"
    if rolling and {str(rolling.get(key)).strip("%") for key in ("maxSurge", "maxUnavailable")} == {"0"}:
        yield "spec.strategy.rollingUpdate: both are 0"
    yield from _pod(spec["template"]["spec"])


def _job(job):
    # It becomes a label of the pods.
    if len(job["metadata"]["name"]) > 63:
        yield f"metadata.name: {job['metadata']['name']} is longer than 63 characters"
    template = job["spec"]["template"]
    yield from metadata_problems({"kind": "Pod", "metadata": template["metadata"] | {"name": "pod"}})
    yield from _pod(template["spec"])


def _pod(spec):
    containers = spec["containers"] + spec.get("initContainers", [])
    for name in _duplicates(each["name"] for each in containers):
        yield f"two containers are called {name}"
    volumes = [each["name"] for each in spec.get("volumes", [])]
    for name in _duplicates(volumes):
        yield f"two volumes are called {name}"
    for index, volume in enumerate(spec.get("volumes", [])):
        if len(volume) > 2:
            yield f"volumes[{index}] has several sources"
    claims = [each["name"] for each in spec.get("volumes", []) if each.get("persistentVolumeClaim") or each.get("ephemeral")]
    for device in (device for each in containers for device in each.get("volumeDevices") or []):
        if device["name"] not in claims:
            yield f"there is no volume {device['name']} of a claim"
    own = [each for each in containers if each["name"] in ("gateway", "health", "check")]
    for container in own:
        if not IMAGE.fullmatch(container["image"]):
            yield f"image: {container['image']}"
        mounts = container.get("volumeMounts", [])
        for mount in mounts:
            if mount["name"] not in volumes:
                yield f"there is no volume {mount['name']}"
        for path in _duplicates(mount["mountPath"] for mount in mounts):
            yield f"two mounts at {path}"
        for name in _duplicates(each["name"] for each in container.get("env", [])):
            yield f"two variables are called {name}"
        for index, each in enumerate(container.get("env", [])):
            if "=" in each["name"] or not each["name"]:
                yield f"env[{index}]: {each['name']!r}"
        resources = container.get("resources", {})
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name, value in {**requests, **limits}.items():
            if amount(value) is None:
                yield f"resources: {name}: {value!r}"
        for name in limits.keys() & requests.keys():
            if amount(limits[name]) < amount(requests[name]):
                yield f"resources.limits.{name} is below the request"
        ports = [each["containerPort"] for each in container.get("ports", [])]
        if not all(1 <= port <= 65535 for port in ports) or _duplicates(ports):
            yield f"ports: {ports}"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            settings = container.get(probe, {})
            if len({"grpc", "exec", "httpGet", "tcpSocket"} & settings.keys()) != (1 if settings else 0):
                yield f"{probe} has several handlers"
            if probe != "readinessProbe" and settings.get("successThreshold", 1) != 1:
                yield f"{probe}.successThreshold"
    for name in _duplicates((each["topologyKey"], each["whenUnsatisfiable"]) for each in spec.get("topologySpreadConstraints", [])):
        yield f"two constraints of {name}"
    if spec.get("dnsPolicy") == "None" and not (spec.get("dnsConfig") or {}).get("nameservers"):
        yield "dnsPolicy None without servers"
    for index, each in enumerate(spec.get("tolerations") or []):
        if not each.get("key") and each.get("operator") != "Exists":
            yield f"tolerations[{index}]: no key and no Exists"
    if not isinstance(spec.get("terminationGracePeriodSeconds", 30), int):
        yield "terminationGracePeriodSeconds"


def _service(spec):
    families = spec.get("ipFamilies") or []
    if _duplicates(families) or not set(families) <= {"IPv4", "IPv6"}:
        yield f"ipFamilies: {families}"
    if len(families) == 2 and spec.get("ipFamilyPolicy") in (None, "SingleStack"):
        yield "two ipFamilies need a policy"
    for cidr in spec.get("loadBalancerSourceRanges") or []:
        try:
            ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            yield f"loadBalancerSourceRanges: {cidr}"
    if spec["type"] != "LoadBalancer" and ({"loadBalancerClass", "loadBalancerSourceRanges"} & spec.keys()):
        yield "settings of a load balancer without one"
    for port in spec["ports"]:
        if not 1 <= port["port"] <= 65535 or not KEY.fullmatch(port.get("appProtocol", "x")):
            yield f"ports: {port}"


def parse(manifest):
    """The objects of a manifest."""
    return [obj for obj in yaml.load_all(manifest, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if obj]
