"""The schemas of custom resources, as their projects publish them: in their Go modules, which the module proxy serves and the checksum
database vouches for."""

import copy
import functools
import json
import pathlib
import re
import subprocess

import jsonschema
import yaml

# (API group, kind) -> (module, version, the definition's file in it)
PUBLISHED = {
    ("cert-manager.io", "Certificate"): ("github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds/cert-manager.io_certificates.yaml"),
    ("cilium.io", "CiliumNetworkPolicy"): ("github.com/cilium/cilium", "v1.20.2", "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml"),
    ("external-secrets.io", "ExternalSecret"): ("github.com/external-secrets/external-secrets", "v1.3.2", "config/crds/bases/external-secrets.io_externalsecrets.yaml"),
    ("gateway.envoyproxy.io", "BackendTrafficPolicy"): ("github.com/envoyproxy/gateway", "v1.9.1", "charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_backendtrafficpolicies.yaml"),
    ("gateway.networking.k8s.io", "GRPCRoute"): ("sigs.k8s.io/gateway-api", "v1.5.1", "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml"),
    ("autoscaling.k8s.io", "VerticalPodAutoscaler"): ("k8s.io/autoscaler/vertical-pod-autoscaler", "v1.5.1", "deploy/vpa-v1-crd-gen.yaml"),
    ("gateway.networking.k8s.io", "BackendTLSPolicy"): ("sigs.k8s.io/gateway-api", "v1.5.1", "config/crd/standard/gateway.networking.k8s.io_backendtlspolicies.yaml"),
    ("monitoring.googleapis.com", "PodMonitoring"): ("github.com/GoogleCloudPlatform/prometheus-engine", "v0.17.2", "charts/operator/crds/monitoring.googleapis.com_podmonitorings.yaml"),
    ("keda.sh", "ScaledObject"): ("github.com/kedacore/keda/v2", "v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml"),
    ("monitoring.coreos.com", "PodMonitor"): ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"),
    ("monitoring.coreos.com", "PrometheusRule"): ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
    ("monitoring.coreos.com", "ServiceMonitor"): ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
}


@functools.cache
def _folder(module, version):
    """Returns the folder of a module's files on this machine. Downloads them if necessary."""
    answer = subprocess.run(["go", "mod", "download", "-json", f"{module}@{version}"], check=True, capture_output=True, text=True, cwd="/")
    return pathlib.Path(json.loads(answer.stdout)["Dir"])


def _rule(rule):
    """A rule in CEL as a JSON schema, if it is about which fields stand together. None for others, which only an API server knows."""
    rule = rule.strip()
    if match := re.fullmatch(r"self\.(\w+) == '(\w+)' \? has\(self\.(\w+)\) : !has\(self\.\3\)", rule):
        key, value, field = match.groups()
        chosen = {"required": [key], "properties": {key: {"const": value}}}
        return {"if": chosen, "then": {"required": [field]}, "else": {"not": {"required": [field]}}}
    if re.fullmatch(r"has\(self\.\w+\)( \|\| has\(self\.\w+\))+", rule):
        return {"anyOf": [{"required": [field]} for field in re.findall(r"self\.(\w+)", rule)]}
    if match := re.fullmatch(r"!\(\s*has\(self\.(\w+)\) && has\(self\.(\w+)\)\s*\)", rule):
        return {"not": {"required": list(match.groups())}}
    if match := re.fullmatch(r"\(has\(self\.(\w+)\) && !has\(self\.(\w+)\)\) \|\| \(!has\(self\.\1\) && has\(self\.\2\)\)", rule):
        return {"oneOf": [{"required": [field]} for field in match.groups()]}
    return None


def _strict(schema):
    """Returns the same schema, which rejects unknown keys, as `kubectl --validate=strict` does."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    rules = [_rule(each["rule"]) for each in schema.get("x-kubernetes-validations", []) if isinstance(each, dict)]
    schema = {key: _strict(value) for key, value in schema.items() if key != "x-kubernetes-validations"}
    if rules := [each for each in rules if each]:
        schema["allOf"] = [*schema.get("allOf", []), *rules]
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
        schema["type"] = ["integer", "string"]
        schema.pop("anyOf", None)
    is_object = schema.get("type") == "object" and isinstance(schema.get("properties"), dict)
    if is_object and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema["additionalProperties"] = False
    if schema.pop("nullable", False) and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


def definition(group, kind):
    """The CustomResourceDefinition, as it is published."""
    module, version, path = PUBLISHED[group, kind]
    documents = yaml.safe_load_all((_folder(module, version) / path).read_text(encoding="utf-8"))
    return next(each for each in documents if each and each["spec"]["names"]["kind"] == kind)


def _field(kind, path):
    """The published schema of a field of a custom resource's spec, such as `rules.matches`, or of `spec` itself. None if there is no such kind."""
    group = next((group for group, known in PUBLISHED if known == kind), None)
    if group is None:
        return None
    served = [each for each in definition(group, kind)["spec"]["versions"] if each["served"]]
    newest = min(served, key=lambda each: (len(each["name"]), each["name"]))
    schema = newest["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for key in [] if path == "spec" else path.split("."):
        schema = (schema["items"] if schema["type"] == "array" else schema)["properties"][key]
    return schema


def part(kind, path):
    """The schema of a field: of its members, if it is a list. None if there is no such kind."""
    schema = _field(kind, path)
    if schema is None:
        return None
    return _without_texts(_strict(copy.deepcopy(schema["items"] if schema["type"] == "array" else schema)))


def most_items(kind, path):
    """How many members a list may have. None if it has no limit, or if there is no such kind."""
    return (_field(kind, path) or {}).get("maxItems")


def _without_texts(schema):
    """The same without descriptions, rules in CEL, and formats that JSON schema does not have."""
    if isinstance(schema, list):
        return [_without_texts(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without_texts(each) for name, each in value.items()} if key == "properties" else _without_texts(value)
        for key, value in schema.items()
        if key not in ("description", "default", "format") and not key.startswith("x-kubernetes-")
    }


@functools.cache
def _validator(group, kind, version):
    served = {each["name"]: each for each in definition(group, kind)["spec"]["versions"] if each["served"]}
    schema = _strict(copy.deepcopy(served[version]["schema"]["openAPIV3Schema"]))
    # The API server checks metadata itself, and the chart never writes a status.
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft7Validator(schema)


def problems(obj):
    """Returns the problems of a custom resource."""
    group, version = obj["apiVersion"].split("/")
    found = _validator(group, obj["kind"], version).iter_errors(obj)
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in found]


def download():
    """Downloads all definitions, so that nothing is downloaded later."""
    for module, version, _ in PUBLISHED.values():
        _folder(module, version)


def is_custom(obj):
    """Returns whether an object is a custom resource."""
    return (obj["apiVersion"].split("/")[0], obj["kind"]) in PUBLISHED
