"""Random values for the chart, drawn from its own schema, and what must hold for each of them.

    tests/chart/generated BINARY [SETS [SEED]]
"""

import copy
import functools
import json
import os
import re
import string
import subprocess
import textwrap

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from kubernetes_validate import utils as kubernetes_validate

import crds
import kubernetes_rules
from rendering import BINARY, CHART, TOOLS, VARIABLES

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
VERSIONS = [version for version in kubernetes_validate.all_versions() if tuple(map(int, version.split(".")[:2])) >= (1, 30)]
# Mistakes that operators make in any value.
ODD = [
    "", "banana", "a b", "A_B.", "0x10", "1e3", "on", "~", "my.gateway", "-x", "x" * 70, "5m", "${X}", "${X:-1}", "10.0.0.0/8", "0", "\n", "é",
    -1, 0, 1, 7, 42, 1000000, 3000000000, 10**12, 0.5, 1.5, True, False, None, [], {}, ["a"], {"a": 1}, [None], [{}],
]  # fmt: skip
# The service checks more than patterns for these definitions, so their values come from here.
CONFIG = {
    "model": ["us.anthropic.claude-sonnet-5", "amazon.nova-lite-v1:0", "eu.amazon.nova-lite-v1:0", "global.anthropic.claude-sonnet-5"],
    "region": ["us-east-1", "us-west-2", "eu-central-1"],
    "place": ["us", "eu", "us-east-1"],
    "address": ["0.0.0.0:50051", ":8443", "[::]:9090", "0.0.0.0:9091", "127.0.0.1:80", "0.0.0.0:0", ":70000", "0.0.0.300:1"],
    "url": ["https://vpce-1.example.com", "http://emulator:8900", "https://[fd00::1]:8443"],
    "collector": ["http://otel:4317", "https://otel.example.com", "http://10.0.0.7:4317"],
    "size": ["1B", "16MiB", "32MiB", "256KiB"],
    "request_size": ["1B", "1KB", "16MiB", "32MiB", "256KiB"],
    "memory": ["1B", "100KB", "16MiB", "32MiB", "256KiB"],
    "text": ["abc", "a-b", "x1"],
    "duration": ["0", "250ms", "5s", "010m", "10m", "2h", 0],
    "positive_duration": ["250ms", "5s", "010m", "10m", "2h", "45m"],
    "usd": ["0.000000001", "12.50", "1000000", 12.5, 100],
    "refresh": ["1s", "90s", "010m", "24h"],
    "service_account": ["team-a/web", "team-b/*", "ci/a.b"],
    "heartbeat": ["0", "1s", "20s", "2m", 0],
}  # fmt: skip
# Values of keys that refer to other parts of a config, or that must do more than match a pattern.
# Fences (`only`) are left to `check`, which has the Regions of each geography.
MEANT = {"level": ["info", "warn,h2=debug", "TRACE", "warning"], "session_duration": ["15m", "1h", "12h"], "not_after": ["2027-01-01T00:00:00Z"], "keys": [[]], "keys_file": ["/etc/bedrock-grpc/secrets/keys.yaml"], "fallback": ["a", "claude", "nowhere"], "targets": [["claude"], ["*"], ["cl*", "nova"], ["nowhere"]], "only": [[]]}
# Passed on to kinds with rules in CEL, which only an API server knows.
PASSED_ON = {("backendTrafficPolicy", "spec"): [{}, {"retry": {"numRetries": 2}}, {"tcpKeepalive": {"idleTime": "30s"}}, {"timeout": {"tcp": {"connectTimeout": "5s"}}}, {"timeout": {"http": {"requestTimeout": "15s"}}}, {"targetRefs": []}, {"retyr": {}}]}
NAMES = ["a", "config", "tls", "x-1", "claude", "nova"]
RELEASES = [*["rel"] * 12, "bedrock-grpc", "1rel", "a.b", "r" * 53, "rel-" + "x" * 40, "x" + "-" * 20 + "x", "prod-gateway", "42"]


def prune():
    """Leaves out fields of Kubernetes' types that its oldest version does not have: what an operator passes on must suit the cluster."""
    folder = f"kubernetes-json-schema/v{VERSIONS[0]}-local-strict/_definitions.json"
    oldest = kubernetes_validate.schema_contents(folder, VERSIONS[0])["$defs"]
    for name, definition in SCHEMA["$defs"].items():
        if name.startswith("io.k8s.") and "properties" in definition:
            known = oldest.get(name, {}).get("properties", {})
            definition["properties"] = {key: value for key, value in definition["properties"].items() if key in known}


prune()


def odd():
    return st.sampled_from(ODD)


def rarely(one_of):
    """Returns true about once in this many draws. Hypothesis prefers small numbers, so a remainder in the middle is used."""
    return st.integers(0, 100 * one_of - 1).map(lambda number: number % one_of == one_of // 2 + 1)


def resolve(schema):
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


@functools.cache
def texts(pattern):
    """Texts, most of which match a pattern of the schema."""
    return st.from_regex(re.compile(pattern), fullmatch=True, alphabet=st.sampled_from(string.ascii_letters + string.digits + "-._:/%${}*+=,@ "))


STRATEGIES = {}


def of(schema, depth):
    """Values that a schema allows."""
    key = (id(schema), depth)
    if key not in STRATEGIES:
        # The schema object is kept, so that its `id()` is not reused.
        STRATEGIES[key] = (schema, st.deferred(lambda: made(schema, depth)))
    return STRATEGIES[key][1]


def made(schema, depth):
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    if name in CONFIG:
        return st.sampled_from(CONFIG[name])
    schema = resolve(schema)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    for key in ("anyOf", "oneOf"):
        if key in schema and "properties" not in schema:
            return st.one_of([of(each, depth) for each in schema[key] if each.get("$ref") != "#/$defs/variable"])
    kinds = schema.get("type", "string")
    kind = next(each for each in ([kinds] if isinstance(kinds, str) else kinds) if each != "null" or kinds == "null")
    if kind == "string":
        return texts(schema["pattern"]) if "pattern" in schema else st.sampled_from(["a", "x-1", "Abc", "10.0.0.1", "a/b"])
    if kind in ("integer", "number"):
        least, most = schema.get("minimum", 0), schema.get("maximum", 100000)
        near = st.integers(int(least), min(int(most), int(least) + 1000))
        return st.one_of(near, st.sampled_from([least, most])) if kind == "integer" else st.floats(least, most, allow_nan=False)
    if kind == "boolean":
        return st.booleans()
    if kind == "array":
        return st.lists(of(schema.get("items", {}), depth - 1), max_size=2) if depth > 0 else st.just([])
    if kind == "object":
        return maps(schema, depth)
    return st.none()


@st.composite
def maps(draw, schema, depth):
    value = {}
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if depth > 0 and properties:
        optional = [key for key in properties if key not in required]
        chosen = draw(st.lists(st.sampled_from(optional), max_size=3, unique=True)) if optional else []
    else:
        chosen = []
    for key in [*required, *chosen]:
        if key in properties:
            value[key] = draw(st.sampled_from(MEANT[key]) if key in MEANT else of(properties[key], depth - 1))
    for pattern, each in schema.get("patternProperties", {}).items():
        for _ in range(draw(st.integers(0, 2))):
            value[draw(texts(pattern))] = draw(of(each, depth - 1))
    more = schema.get("additionalProperties")
    if isinstance(more, dict) and more and not properties:
        for key in draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True)):
            value[key] = draw(of(more, depth - 1))
    return value


def leaves(schema, path=()):
    """Every value of the chart, with its schema."""
    for key, each in schema["properties"].items():
        if key in ("global", "extraObjects", "config"):
            continue
        here = (*path, key)
        if here not in PASSED_ON and isinstance(each.get("properties"), dict) and each.get("additionalProperties") is False:
            yield from leaves(each, here)
        else:
            yield here, each


LEAVES = dict(leaves(SCHEMA))
SWITCHES = [path for path in LEAVES if path[-1] == "enabled" and path != ("enabled",)]
SECTIONS = SCHEMA["then"]["properties"]["config"]["properties"]


def put(values, path, value):
    for key in path[:-1]:
        if not isinstance(values.get(key), dict):
            values[key] = {}
        values = values[key]
    values[path[-1]] = value


@st.composite
def sets(draw, bases):
    """A set: one of the example sets or nothing, with some values changed, switched on, or broken."""
    values = copy.deepcopy(draw(st.sampled_from(bases)))
    for path in draw(st.lists(st.sampled_from(SWITCHES), max_size=2, unique=True)):
        put(values, path, draw(st.booleans()))
    for path in draw(st.lists(st.sampled_from(sorted(LEAVES)), max_size=4, unique=True)):
        broken = draw(rarely(10))
        of_path = st.sampled_from(PASSED_ON[path]) if path in PASSED_ON else of(LEAVES[path], 3)
        put(values, path, draw(odd() if broken else of_path))
    config = values.get("config")
    for key in draw(st.lists(st.sampled_from(sorted(SECTIONS.keys() - {"only"})), max_size=2, unique=True)):
        if not isinstance(config, dict):
            config = {}
        config[key] = draw(odd() if draw(rarely(20)) else of(SECTIONS[key], 4))
        values["config"] = config
    if draw(st.booleans()):
        # Otherwise, most sets would be rejected because of a value of a disabled part.
        values["checkUnused"] = False
    if draw(rarely(40)):
        put(values, (draw(st.sampled_from(sorted(SCHEMA["properties"]))),), draw(odd()))
    return {
        "release": draw(st.sampled_from(RELEASES)),
        "namespace": draw(st.sampled_from(["ns", "default", "team-a"])),
        "kubernetes": draw(st.sampled_from(VERSIONS)),
        "values": values,
    }


def drawn(number, start):
    """Returns this many sets, which are the same for the same seed."""
    bases = [{}, {}, *(yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((CHART / "ci").glob("*.yaml")))]
    found = []

    @seed(start)
    @settings(max_examples=number, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(sets(bases))
    def draw(each):
        found.append(each)

    draw()
    return found


def rendered(many):
    """Returns the result of rendering each set: `manifest`, or `error`."""
    text = "".join(json.dumps(each) + "\n" for each in many)
    result = subprocess.run([TOOLS / "render", CHART], input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


# The path of a value: its first part is one of the chart's.
PATH = re.compile(rf"(?:^|[ :])({'|'.join(SCHEMA['properties'])}|enabled)\b[\w./\[\]-]*: \S", re.M)
SCHEMA_PATH = re.compile(r"- at '(/[^']*)?': \S", re.M)


def refusal_problem(error):
    """Returns what a refusal lacks: a path, or what to do."""
    if "values.schema.json" in error or SCHEMA_PATH.search(error):
        return None if SCHEMA_PATH.search(error) else f"no path: {error}"
    if "nil pointer" in error or "reflect:" in error or "can't iterate" in error or "wrong type" in error or "error calling" in error and "execution error" not in error and ": error calling fail: " not in error:
        return f"not a refusal of the chart's: {error}"
    return None if PATH.search(error) else f"no path: {error}"


class Verdicts:
    """Returns the problems of rendered sets. Equal objects are checked once."""

    def __init__(self):
        self.seen = {}

    def of(self, manifest, version):
        objects = kubernetes_rules.parse(manifest)
        names = [(obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace")) for obj in objects]
        found = [f"two objects: {name}" for name in names if names.count(name) > 1]
        for obj in objects:
            key = (version, json.dumps(obj, sort_keys=True, default=str))
            if key not in self.seen:
                custom = crds.is_custom(obj)
                problems = [*crds.problems(obj), *kubernetes_rules.metadata_problems(obj)] if custom else kubernetes_rules.problems(obj, version)
                self.seen[key] = [f"{obj['kind']}.{problem}" for problem in problems]
            found += self.seen[key]
        return found, next((obj["data"]["config.yaml"] for obj in objects if obj["kind"] == "ConfigMap" and "config.yaml" in (obj.get("data") or {})), None)


def check(configs, folder):
    """Returns the service's problems with each config, by its index. One process checks all of them."""
    paths = []
    for index, text in configs.items():
        path = folder / f"{index}.yaml"
        # As values, since files that it names are in the pod.
        path.write_text("config:\n" + textwrap.indent(text, "  "), encoding="utf-8")
        paths.append(path)
    if not paths:
        return {}
    result = subprocess.run([BINARY, "check", *paths], capture_output=True, text=True, env=os.environ | VARIABLES)
    problems = {}
    for line in (result.stdout + result.stderr).splitlines():
        if (match := re.search(rf"{re.escape(str(folder))}/(\d+)\.yaml(.*)", line)) and not match[2].startswith(": ok; ") and "warning" not in line.lower():
            problems.setdefault(int(match[1]), []).append(match[2])
    others = [line for line in result.stderr.splitlines() if str(folder) not in line and line.strip()]
    assert result.returncode == (64 if problems else 0), others[-20:]
    return problems


def run(number, start, folder):
    """Draws sets, renders and checks them. Returns the counts and the failures."""
    many = drawn(number, start)
    results = rendered(many)
    verdicts, failures, configs = Verdicts(), [], {}
    for index, (each, result) in enumerate(zip(many, results, strict=True)):
        if "error" in result:
            problem = refusal_problem(result["error"])
            failures += [(each, problem)] if problem else []
            continue
        problems, config = verdicts.of(result["manifest"], each["kubernetes"])
        failures += [(each, "; ".join(problems))] if problems else []
        # The chart cannot know the value of a variable without a default.
        if each["values"].get("checkConfig") is not False and not re.search(r"\$\{\w+\}", config):
            configs[index] = config
    for index, problems in check(configs, folder).items():
        failures.append((many[index], f"check: {problems}"))
    refused = sum("error" in result for result in results)
    return {"sets": len(many), "refused": refused, "rendered": len(many) - refused, "configs": len(configs), "failures": len(failures)}, failures
