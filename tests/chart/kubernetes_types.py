"""The types of Kubernetes' own API, as JSON schemas, for values that the chart passes through."""

import functools
import json

import importlib_resources
import kubernetes_validate.utils as kubernetes_validate

# The name in values.yaml -> the API group and version that it belongs to.
KNOWN = {
    "core.v1": [
        "Affinity", "Container", "EnvFromSource", "EnvVar", "HostAlias", "Lifecycle", "LocalObjectReference", "PodDNSConfig", "PodSecurityContext", "Probe",
        "ResourceRequirements", "SecurityContext", "Toleration", "TopologySpreadConstraint", "Volume", "VolumeMount",
    ],
    "apps.v1": ["DeploymentStrategy"],
    "autoscaling.v2": ["HPAScalingPolicy", "MetricSpec"],
    "networking.v1": ["IngressTLS", "NetworkPolicyEgressRule", "NetworkPolicyIngressRule", "NetworkPolicyPeer"],
}  # fmt: skip
GROUP_OF = {name: group for group, names in KNOWN.items() for name in names}
PREFIX = "io.k8s.api."

DNS_LABEL = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
OBJECT_NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", "maxLength": 253}
HOST_NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", "maxLength": 253}
HOST_PATTERN = {"type": "string", "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", "maxLength": 253}
KEY = {"type": "string", "pattern": r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$", "maxLength": 253}
LABEL_KEY = {"type": "string", "pattern": r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$", "maxLength": 317}
EMPTY_OR_LABEL_KEY = LABEL_KEY | {"pattern": f"^$|{LABEL_KEY['pattern']}"}
# Newer versions allow more.
VARIABLE = {"type": "string", "pattern": "^[-_a-zA-Z][-._a-zA-Z0-9]*$"}
# At least one letter, and no two hyphens in a row.
PORT_NAME = {"type": "string", "pattern": "^$|^[0-9]*(-?[0-9]+)*-?[a-z](-?[a-z0-9])*$", "maxLength": 15}
PORT_OR_NAME = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string", "pattern": "^[0-9]*(-?[0-9]+)*-?[a-z](-?[a-z0-9])*$", "maxLength": 15}]}
MODE = {"type": "integer", "minimum": 0, "maximum": 0o777}
# A path without "..", which does not begin at the root.
RELATIVE = {"type": "string", "pattern": r"^$|^([^/.]|\.[^/.]|\.\.[^/]|\.$)([^/]*/+([^/.]|\.[^/.]|\.\.[^/]|\.$))*[^/]*/?$"}
LABEL_MAP = {
    "type": ["object", "null"],
    "patternProperties": {r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$": {"type": "string", "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"}},
    "additionalProperties": False,
}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
PROTOCOL = {"enum": ["TCP", "UDP", "SCTP", None]}
OPERATOR = {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}
WHOLE = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
POSITIVE = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
WHOLE_OR_NULL = WHOLE | {"type": ["integer", "null"]}
METRICS = {"Resource": "resource", "ContainerResource": "containerResource", "Pods": "pods", "Object": "object", "External": "external"}
LABEL_VALUE = {"type": "string", "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"}
LABEL_KEYS = {"type": ["array", "null"], "items": LABEL_KEY, "uniqueItems": True}


def if_is(field, values, then):
    """What must hold if a field has one of these values."""
    return {"if": {"required": [field], "properties": {field: {"enum": values}}}, "then": then}


VALUES_OF_OPERATOR = [
    if_is("operator", ["In", "NotIn"], {"required": ["values"], "properties": {"values": {"type": "array", "minItems": 1}}}),
    if_is("operator", ["Exists", "DoesNotExist"], {"properties": {"values": {"type": ["array", "null"], "maxItems": 0}}}),
]
ONE_INTEGER = {"required": ["values"], "properties": {"values": {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "string", "pattern": "^-?[0-9]+$"}}}}
LOCAL_PROFILE = {"if": {"properties": {"type": {"const": "Localhost"}}}, "then": {"required": ["localhostProfile"]}, "else": {"properties": {"localhostProfile": {"type": "null"}}}}


def target_of(*kinds):
    """The target of a metric, which can be of these kinds only."""
    return {"allOf": [{"$ref": f"#/$defs/{PREFIX}autoscaling.v2.MetricTarget"}, {"properties": {"type": {"enum": list(kinds)}}}]}


SHARE = {"anyOf": [WHOLE, {"type": "string", "pattern": "^([0-9]{1,2}|100)%$"}]}
OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = rf"({OCTET}\.){{3}}{OCTET}"
H16 = r"[0-9a-fA-F]{1,4}"
IPV6 = "|".join(
    [rf"({H16}:){{7}}{H16}", rf"({H16}:){{1,7}}:"]
    + [rf"({H16}:){{1,{7 - after}}}(:{H16}){{1,{after}}}" for after in range(1, 7)]
    + [rf":((:{H16}){{1,7}}|:)"]
)
CIDR = {"type": "string", "pattern": rf"^({IPV4}/(3[0-2]|[12]?[0-9])|({IPV6})/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$"}
QUANTITY = {"anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?([eE][0-9]{1,2}|[mkMGTPE]|[KMGTPE]i)?$"}, {"type": "number", "minimum": 0}]}
ABOVE_0 = {"anyOf": [{"type": "string", "pattern": r"^[0-9.]*[1-9][0-9]*(\.[0-9]+)?([eE][0-9]{1,2}|[mkMGTPE]|[KMGTPE]i)?$"}, {"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]}
# What the API server checks beyond its published schemas, where mistakes are likely:
# (definition, field) -> the field's schema.
CLOSER = {
    ("Container", "name"): DNS_LABEL,
    ("Container", "image"): {"type": "string", "minLength": 1, "pattern": r"^\S*$"},
    ("ContainerPort", "containerPort"): PORT,
    ("ContainerPort", "hostPort"): PORT,
    ("ContainerPort", "name"): PORT_NAME,
    ("ContainerPort", "protocol"): PROTOCOL,
    ("EnvVar", "name"): VARIABLE,
    ("LocalObjectReference", "name"): OBJECT_NAME,
    ("Volume", "name"): DNS_LABEL,
    ("VolumeMount", "name"): DNS_LABEL,
    ("VolumeMount", "mountPath"): {"type": "string", "pattern": "^[^:]+$"},
    # Lt and Gt need a feature gate.
    ("Toleration", "operator"): {"enum": ["", "Exists", "Equal"]},
    ("Toleration", "key"): EMPTY_OR_LABEL_KEY,
    ("Toleration", "effect"): {"enum": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"]},
    ("TopologySpreadConstraint", "whenUnsatisfiable"): {"enum": ["DoNotSchedule", "ScheduleAnyway"]},
    ("TopologySpreadConstraint", "maxSkew"): POSITIVE,
    ("DeploymentStrategy", "type"): {"enum": ["Recreate", "RollingUpdate"]},
    ("RollingUpdateDeployment", "maxSurge"): SHARE,
    ("RollingUpdateDeployment", "maxUnavailable"): SHARE,
    ("HPAScalingPolicy", "type"): {"enum": ["Pods", "Percent"]},
    ("HPAScalingPolicy", "value"): POSITIVE,
    ("HPAScalingPolicy", "periodSeconds"): {"type": "integer", "minimum": 1, "maximum": 1800},
    ("HostAlias", "ip"): {"type": "string", "pattern": f"^({IPV4}|{IPV6})$"},
    ("HostAlias", "hostnames"): {"type": ["array", "null"], "items": HOST_NAME},
    ("SecretEnvSource", "name"): OBJECT_NAME,
    ("ConfigMapEnvSource", "name"): OBJECT_NAME,
    ("SecretKeySelector", "name"): OBJECT_NAME,
    ("ConfigMapKeySelector", "name"): OBJECT_NAME,
    ("SecretKeySelector", "key"): KEY,
    ("ConfigMapKeySelector", "key"): KEY,
    ("IngressTLS", "secretName"): OBJECT_NAME,
    ("IngressTLS", "hosts"): {"type": ["array", "null"], "items": HOST_PATTERN},
    ("TopologySpreadConstraint", "nodeAffinityPolicy"): {"enum": ["Honor", "Ignore", None]},
    ("TopologySpreadConstraint", "nodeTaintsPolicy"): {"enum": ["Honor", "Ignore", None]},
    ("TopologySpreadConstraint", "topologyKey"): LABEL_KEY,
    ("Probe", "initialDelaySeconds"): WHOLE,
    ("Probe", "periodSeconds"): POSITIVE,
    ("Probe", "timeoutSeconds"): POSITIVE,
    ("Probe", "successThreshold"): POSITIVE,
    ("Probe", "failureThreshold"): POSITIVE,
    ("Probe", "terminationGracePeriodSeconds"): POSITIVE,
    ("IPBlock", "cidr"): CIDR,
    ("IPBlock", "except"): {"type": ["array", "null"], "items": CIDR},
    ("NetworkPolicyPort", "protocol"): PROTOCOL,
    ("LabelSelectorRequirement", "operator"): OPERATOR,
    ("LabelSelectorRequirement", "key"): LABEL_KEY,
    ("LabelSelector", "matchLabels"): LABEL_MAP,
    ("NetworkPolicyPort", "port"): PORT_OR_NAME,
    ("Container", "imagePullPolicy"): {"enum": ["", "Always", "IfNotPresent", "Never"]},
    ("Container", "terminationMessagePolicy"): {"enum": ["", "File", "FallbackToLogsOnError"]},
    ("PodSecurityContext", "runAsUser"): WHOLE_OR_NULL,
    ("PodSecurityContext", "runAsGroup"): WHOLE_OR_NULL,
    ("PodSecurityContext", "fsGroup"): WHOLE_OR_NULL,
    ("PodSecurityContext", "supplementalGroups"): {"type": ["array", "null"], "items": WHOLE},
    ("PodSecurityContext", "fsGroupChangePolicy"): {"enum": ["Always", "OnRootMismatch", None]},
    ("SecurityContext", "runAsUser"): WHOLE_OR_NULL,
    ("SecurityContext", "runAsGroup"): WHOLE_OR_NULL,
    ("SecurityContext", "procMount"): {"enum": ["Default", None]},
    ("AppArmorProfile", "type"): {"enum": ["Localhost", "RuntimeDefault", "Unconfined"]},
    ("SeccompProfile", "type"): {"enum": ["Localhost", "RuntimeDefault", "Unconfined"]},
    ("ExecAction", "command"): {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ("HTTPGetAction", "port"): PORT_OR_NAME,
    ("TCPSocketAction", "port"): PORT_OR_NAME,
    ("GRPCAction", "port"): PORT,
    ("NodeSelector", "nodeSelectorTerms"): {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/io.k8s.api.core.v1.NodeSelectorTerm"}},
    ("NodeSelectorRequirement", "operator"): {"enum": ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]},
    ("NodeSelectorRequirement", "key"): LABEL_KEY,
    ("PreferredSchedulingTerm", "weight"): {"type": "integer", "minimum": 1, "maximum": 100},
    ("WeightedPodAffinityTerm", "weight"): {"type": "integer", "minimum": 1, "maximum": 100},
    ("PodAffinityTerm", "topologyKey"): LABEL_KEY,
    ("TopologySpreadConstraint", "minDomains"): POSITIVE,
    ("PodDNSConfig", "nameservers"): {"type": ["array", "null"], "maxItems": 3, "items": {"type": "string", "pattern": f"^({IPV4}|{IPV6})$"}},
    ("PodDNSConfig", "searches"): {"type": ["array", "null"], "maxItems": 32, "items": {"type": "string", "pattern": r"^(\.|_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*\.?)$"}},
    ("PodDNSConfigOption", "name"): {"type": "string", "minLength": 1},
    ("ObjectFieldSelector", "fieldPath"): {
        "type": "string",
        "pattern": r"^(metadata\.(name|namespace|uid|(annotations|labels)\['[^']+'\])|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?))$",
    },
    ("ResourceFieldSelector", "resource"): {"type": "string", "pattern": r"^(limits|requests)\.(cpu|memory|ephemeral-storage)$"},
    ("EnvFromSource", "prefix"): {"type": "string", "pattern": "^([-_a-zA-Z][-._a-zA-Z0-9]*)?$"},
    ("HostPathVolumeSource", "path"): {"type": "string", "pattern": r"^([^.]|\.[^.]|\.$)([^.]|\.[^.]|\.$)*$"},
    ("SecretVolumeSource", "secretName"): OBJECT_NAME,
    ("SecretVolumeSource", "defaultMode"): MODE,
    ("ConfigMapVolumeSource", "name"): OBJECT_NAME,
    ("ConfigMapVolumeSource", "defaultMode"): MODE,
    ("ProjectedVolumeSource", "defaultMode"): MODE,
    ("KeyToPath", "path"): RELATIVE | {"minLength": 1},
    ("KeyToPath", "mode"): MODE,
    ("ServiceAccountTokenProjection", "path"): RELATIVE | {"minLength": 1},
    ("ServiceAccountTokenProjection", "expirationSeconds"): {"type": "integer", "minimum": 600, "maximum": 2**32},
    ("VolumeMount", "subPath"): RELATIVE,
    ("VolumeMount", "mountPropagation"): {"enum": ["Bidirectional", "HostToContainer", "None", None]},
    ("MetricSpec", "type"): {"enum": list(METRICS)},
    ("MetricTarget", "value"): ABOVE_0,
    ("MetricTarget", "averageValue"): ABOVE_0,
    ("MetricTarget", "averageUtilization"): POSITIVE,
    ("MetricTarget", "type"): {"enum": ["Utilization", "Value", "AverageValue"]},
    ("ResourceMetricSource", "name"): {"enum": ["cpu", "memory"]},
    ("ResourceMetricSource", "target"): target_of("Utilization", "AverageValue"),
    ("ContainerResourceMetricSource", "name"): {"enum": ["cpu", "memory"]},
    ("ContainerResourceMetricSource", "target"): target_of("Utilization", "AverageValue"),
    ("PodsMetricSource", "target"): target_of("AverageValue"),
    ("ObjectMetricSource", "target"): target_of("Value", "AverageValue"),
    ("ExternalMetricSource", "target"): target_of("Value", "AverageValue"),
    ("MetricIdentifier", "name"): {"type": "string", "pattern": "^[^/%.][^/%]*$"},
    ("CrossVersionObjectReference", "kind"): {"type": "string", "minLength": 1, "pattern": "^[^/%.][^/%]*$"},
    ("CrossVersionObjectReference", "name"): {"type": "string", "minLength": 1, "pattern": "^[^/%.][^/%]*$"},
    ("Toleration", "value"): LABEL_VALUE,
    ("TopologySpreadConstraint", "matchLabelKeys"): LABEL_KEYS,
    ("PodAffinityTerm", "matchLabelKeys"): LABEL_KEYS,
    ("PodAffinityTerm", "mismatchLabelKeys"): LABEL_KEYS,
    ("NodeSelectorTerm", "matchFields"): {
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["key", "operator", "values"],
            "properties": {
                "key": {"const": "metadata.name"},
                "operator": {"enum": ["In", "NotIn"]},
                "values": {"type": "array", "minItems": 1, "maxItems": 1, "items": OBJECT_NAME},
            },
        },
    },
    ("Sysctl", "name"): {"type": "string", "pattern": r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$", "maxLength": 253},
    ("PodSecurityContext", "supplementalGroupsPolicy"): {"enum": ["Merge", "Strict", None]},
    ("PodSecurityContext", "seLinuxChangePolicy"): {"enum": ["MountOption", "Recursive", None]},
    # It needs a Windows node, and the image is for Linux.
    ("WindowsSecurityContextOptions", "hostProcess"): {"enum": [False, None]},
    ("HTTPGetAction", "scheme"): {"enum": ["HTTP", "HTTPS", "", None]},
    ("SleepAction", "seconds"): WHOLE,
    ("ContainerResizePolicy", "resourceName"): {"enum": ["cpu", "memory"]},
    ("ContainerResizePolicy", "restartPolicy"): {"enum": ["NotRequired", "RestartContainer"]},
    ("ResourceFieldSelector", "divisor"): {"enum": [None, 0, 1, "0", "1", "1m", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"]},
    ("EmptyDirVolumeSource", "medium"): {"anyOf": [{"enum": ["", "Memory", "HugePages", None]}, {"type": "string", "pattern": "^HugePages-[1-9][0-9]*[KMG]i$"}]},
    ("KeyToPath", "key"): KEY,
    ("PersistentVolumeClaimVolumeSource", "claimName"): OBJECT_NAME,
    ("HostPathVolumeSource", "type"): {"enum": ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice", None]},
    ("CSIVolumeSource", "driver"): {"type": "string", "pattern": "^[a-zA-Z0-9]([-a-zA-Z0-9.]{0,61}[a-zA-Z0-9])?$"},
    ("NFSVolumeSource", "path"): {"type": "string", "pattern": "^/"},
    ("NFSVolumeSource", "server"): {"type": "string", "minLength": 1},
    ("DownwardAPIVolumeFile", "path"): RELATIVE | {"minLength": 1},
    ("DownwardAPIVolumeFile", "mode"): MODE,
    ("DownwardAPIVolumeFile", "fieldRef"): {
        "type": ["object", "null"],
        "additionalProperties": False,
        "required": ["fieldPath"],
        "properties": {
            "apiVersion": {"enum": ["v1", "", None]},
            "fieldPath": {"type": "string", "pattern": r"^metadata\.(name|namespace|uid|(annotations|labels)(\['[^']+'\])?)$"},
        },
    },
    ("DownwardAPIVolumeFile", "resourceFieldRef"): {"allOf": [{"$ref": f"#/$defs/{PREFIX}core.v1.ResourceFieldSelector"}, {"required": ["containerName"]}]},
    ("ImageVolumeSource", "reference"): {"type": "string", "minLength": 1, "pattern": r"^\S*$"},
    ("ImageVolumeSource", "pullPolicy"): {"enum": ["", "Always", "IfNotPresent", "Never"]},
    # Kubelets from Kubernetes 1.33 do not mount it.
    ("Volume", "gitRepo"): {"type": "null"},
    ("PersistentVolumeClaimSpec", "accessModes"): {"type": "array", "minItems": 1, "items": {"enum": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]}},
    ("PersistentVolumeClaimSpec", "volumeMode"): {"enum": ["Filesystem", "Block", None]},
    ("VolumeResourceRequirements", "requests"): {"type": "object", "required": ["storage"], "additionalProperties": QUANTITY},
}
# Rules between several fields of a type.
HANDLERS = ["exec", "grpc", "httpGet", "tcpSocket"]
BETWEEN = {
    "SeccompProfile": LOCAL_PROFILE,
    "AppArmorProfile": LOCAL_PROFILE,
    "LifecycleHandler": {"minProperties": 1, "maxProperties": 1},
    "Probe": {"oneOf": [{"required": [each]} for each in HANDLERS]},
    "LabelSelectorRequirement": {"allOf": VALUES_OF_OPERATOR},
    "NodeSelectorRequirement": {"allOf": [*VALUES_OF_OPERATOR, if_is("operator", ["Gt", "Lt"], ONE_INTEGER)]},
    "PodAffinityTerm": {"allOf": [{"if": {"required": [key], "properties": {key: {"type": "array", "minItems": 1}}}, "then": {"required": ["labelSelector"]}} for key in ("matchLabelKeys", "mismatchLabelKeys")]},
    "VolumeProjection": {"minProperties": 1, "maxProperties": 1},
    "ClusterTrustBundleProjection": {"oneOf": [{"required": [key]} for key in ("name", "signerName")]},
    "DownwardAPIVolumeFile": {"oneOf": [{"required": [key]} for key in ("fieldRef", "resourceFieldRef")]},
    "ResourceFieldSelector": {"allOf": [if_is("resource", ["limits.cpu", "requests.cpu"], {"properties": {"divisor": {"enum": [None, 0, 1, "0", "1", "1m"]}}})]},
    "TopologySpreadConstraint": {"if": {"required": ["minDomains"]}, "then": {"properties": {"whenUnsatisfiable": {"const": "DoNotSchedule"}}}},
    "VolumeMount": {"if": {"properties": {"recursiveReadOnly": {"enum": ["Enabled", "IfPossible"]}}, "required": ["recursiveReadOnly"]}, "then": {"required": ["readOnly"], "properties": {"readOnly": {"const": True}}}},
    "MetricSpec": {"oneOf": [{"properties": {"type": {"const": kind}}, "required": [field]} for kind, field in METRICS.items()], "maxProperties": 2},
    "MetricTarget": {
        "oneOf": [
            {"properties": {"type": {"const": "Utilization"}}, "required": ["averageUtilization"], "maxProperties": 2},
            {"properties": {"type": {"const": "Value"}}, "required": ["value"], "maxProperties": 2},
            {"properties": {"type": {"const": "AverageValue"}}, "required": ["averageValue"], "maxProperties": 2},
        ],
    },
}
# Fields that the chart sets itself, in values of these types. Types within others have all of them.
SET_BY_CHART = {"Probe": HANDLERS}
REQUIRED = {
    "Container": ["name", "image"],
    "LocalObjectReference": ["name"],
    "SecretEnvSource": ["name"],
    "ConfigMapEnvSource": ["name"],
    "SecretKeySelector": ["name", "key"],
    "ConfigMapKeySelector": ["name", "key"],
    "HostAlias": ["ip"],
    "SecretVolumeSource": ["secretName"],
    "ConfigMapVolumeSource": ["name"],
    "ExecAction": ["command"],
    "PodAffinityTerm": ["topologyKey"],
    "PodDNSConfigOption": ["name"],
    "EphemeralVolumeSource": ["volumeClaimTemplate"],
    "PersistentVolumeClaimTemplate": ["spec"],
    "PersistentVolumeClaimSpec": ["accessModes", "resources"],
    "VolumeResourceRequirements": ["requests"],
    "ImageVolumeSource": ["reference"],
}


@functools.cache
def definitions():
    """All definitions of the newest version, strict."""
    folder = f"kubernetes-json-schema/v{kubernetes_validate.latest_version()}-local-strict/_definitions.json"
    text = importlib_resources.files("kubernetes_validate").joinpath(folder).read_text(encoding="utf-8")
    return json.loads(text)["$defs"]


def is_known(name):
    return name in GROUP_OF


def reference(name, collected):
    """A reference to a type; the definitions that it needs are added to those collected."""
    full = f"{PREFIX}{GROUP_OF[name]}.{name}"
    _collect(full, collected)
    if fields := SET_BY_CHART.get(name):
        known = collected[full]["properties"]
        full = f"chart.{name}"
        own = {key: value for key, value in collected[f"{PREFIX}{GROUP_OF[name]}.{name}"].items() if key not in BETWEEN[name]}
        collected[full] = own | {"properties": {key: value for key, value in known.items() if key not in fields}}
    return {"$ref": f"#/$defs/{full}"}


def _collect(full, collected):
    if full in collected:
        return
    collected[full] = {}
    name = full.rsplit(".", 1)[-1]
    if name == "Quantity":
        collected[full] = QUANTITY
        return
    schema = _plain(definitions()[full], collected)
    if "properties" in schema:
        for (owner, field), closer in CLOSER.items():
            if owner == name:
                schema["properties"][field] = closer
        if name in REQUIRED:
            schema["required"] = REQUIRED[name]
        schema |= BETWEEN.get(name, {})
    collected[full] = schema


def _plain(schema, collected):
    """The same without descriptions, which would be most of the file."""
    if isinstance(schema, list):
        return [_plain(each, collected) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {}
    for key, value in schema.items():
        if key == "description" and isinstance(value, str) or key.startswith("x-kubernetes-"):
            continue
        if key == "$ref":
            target = value.rsplit("/", 1)[-1]
            _collect(target, collected)
            value = f"#/$defs/{target}"
        plain[key] = {name: _plain(each, collected) for name, each in value.items()} if key == "properties" else _plain(value, collected)
    return plain
