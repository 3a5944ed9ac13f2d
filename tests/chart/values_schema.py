"""Writes what is generated from values.yaml: the schema of the values, and the files that templates read.

    values_schema.py CHART-FOLDER

The types are those that the head of values.yaml describes. The schema of `config` is the service's own; types of Kubernetes and of
custom resources are those that their projects publish, so that Helm rejects a misspelled field before Kubernetes does.
"""

import copy
import json
import pathlib
import re
import sys

import yaml

import crds
import kubernetes_types

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "src/config/schema.json"
TYPES = {"string": "string", "bool": "boolean", "null": "null", "object": "object", "list": "array", "int": "integer", "number": "number"}
# Kubernetes stores most numbers in 32 bits.
MOST = 2**31 - 1

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
NAME = "[a-zA-Z_][a-zA-Z0-9_]*"
SCALARS = {"type": ["string", "number", "boolean"]}
LABEL_KEY = rf"({LABEL}(\.{LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
LABEL_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
# What a registry's host and the parts of an image's path can be.
HOST = r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]+)?"
COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
CERTIFICATE_ARN = "arn:aws[a-z-]*:(acm|iam):[^ ,]+"
QUANTITY = r"[0-9]+(\.[0-9]+)?([eE][0-9]{1,2}|[mkMGTPE]|[KMGTPE]i)?"


def text_like(pattern, most=None):
    """A text that matches a pattern from its beginning to its end."""
    return {"type": "string", "pattern": f"^({pattern})$", **({"maxLength": most} if most else {})}


def map_of(keys, values):
    """A map whose keys match a pattern. Helm reports the path of an additional property, but not that of a name that does not match."""
    return {"type": "object", "patternProperties": {f"^({keys})$": values}, "additionalProperties": False}


# The types that have a name.
NAMED = {
    "object name": text_like(rf"({LABEL}(\.{LABEL})*)?", 253),
    "role ARN": text_like("(arn:aws[a-z-]*:iam::[0-9]{12}:role/.+)?"),
    "AWS Region": text_like("(([a-z0-9]+-){2,}[0-9]+)?"),
    "namespace": text_like(f"({LABEL})?"),
    "certificate ARNs": text_like(f"({CERTIFICATE_ARN}(,{CERTIFICATE_ARN})*)?"),
    "registry": text_like(f"(({HOST}|{COMPONENT})(/{COMPONENT})*/?)?"),
    "repository": text_like(f"({HOST}/)?{COMPONENT}(/{COMPONENT})*", 255),
    "tag": text_like("([a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?"),
    "digest": text_like("(sha256:[0-9a-f]{64})?"),
    # Neither "." nor names that begin with "..".
    "key of a Secret": text_like(r"(\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,251})?"),
    "host name": text_like(rf"(\*\.)?{LABEL}(\.{LABEL})*", 253),
    "host pattern": text_like(r"[-a-zA-Z0-9_*]+(\.[-a-zA-Z0-9_*]+)*\.?", 253),
    "precise host name": text_like(rf"{LABEL}(\.{LABEL})*", 253),
    "label key": text_like(LABEL_KEY, 317),
    "CIDR": kubernetes_types.CIDR,
    "IP family": {"enum": ["IPv4", "IPv6"]},
    "percentage": text_like(r"[0-9]{1,2}%|100%"),
    "Go duration": text_like(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+"),
    "Prometheus duration": text_like(r"0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?") | {"minLength": 1},
    "Gateway duration": text_like(r"([0-9]{1,5}(h|m|s|ms)){1,4}"),
    # Numbers and booleans are quoted by the templates.
    "map of labels": map_of(LABEL_KEY, {"anyOf": [text_like(LABEL_VALUE), {"type": ["number", "boolean"]}]}),
    "map of annotations": map_of(LABEL_KEY, SCALARS),
    "map of strings": map_of(NAME, SCALARS),
    "map of quantities": map_of("cpu|memory", {"anyOf": [text_like(QUANTITY), {"type": "number", "minimum": 0}]}),
    "map of alerts": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "for": text_like(r"0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?") | {"minLength": 1},
                "severity": {"type": "string", "minLength": 1},
                "labels": map_of(NAME, SCALARS),
                "runbookUrl": {"type": "string", "pattern": r"^$|^https?://[^\s{}]+$"},
            },
        },
    },
}


class Types:
    """Turns the words of a type into a schema, and collects the Kubernetes definitions that it refers to."""

    def __init__(self):
        self.definitions = {}

    def of_word(self, word):
        """The schema of one alternative of a type, such as `int from 1 to 10`, `list of string` or a literal value."""
        if word in NAMED:
            return copy.deepcopy(NAMED[word])
        if match := re.fullmatch(r"(int|number)(?: from (\S+))?(?: to (\S+))?", word):
            kind, least, most = match.groups()
            schema = {"type": TYPES[kind]}
            if least:
                schema["minimum"] = float(least) if "." in least else int(least)
            if most or kind == "int":
                schema["maximum"] = float(most) if most and "." in most else int(most or MOST)
            return schema
        if word.startswith("list of "):
            member = word.removeprefix("list of ")
            schema = {"type": ["array", "null"], "items": self.of_type(member)}
            if "." in member and (most := crds.most_items(*member.split(".", 1))):
                schema["maxItems"] = most
            return schema
        if word.startswith("string like "):
            return {"type": "string", "pattern": word.removeprefix("string like ")}
        if word in TYPES:
            return {"type": TYPES[word]}
        if kubernetes_types.is_known(word):
            return kubernetes_types.reference(word, self.definitions)
        if "." in word and (schema := crds.part(*word.split(".", 1))) is not None:
            return schema
        return {"const": "" if word == '""' else word}

    def of_type(self, text):
        # Within a list, "or" belongs to the members.
        words = [text] if text.startswith("list of ") else text.split(" or ")
        schemas = [self.of_word(word) for word in words]
        if all("const" in schema for schema in schemas):
            return {"enum": [schema["const"] for schema in schemas]}
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    def of_node(self, node, lines, path, kind=None):
        if kind == "map of Services":
            return map_of("[a-z0-9]([-a-z0-9]{0,14}[a-z0-9])?", {})
        if kind:
            return self.of_type(kind)
        if isinstance(node, yaml.MappingNode):
            if not node.value:
                sys.exit(f"{path}: an empty map needs its type: `# -- (object) ...`")
            return self.of_map(node, lines, path)
        if isinstance(node, yaml.SequenceNode):
            sys.exit(f"{path}: a list needs its type: `# -- (list of string) ...`")
        tag = node.tag.rsplit(":", 1)[-1]
        if tag == "null":
            sys.exit(f"{path}: a null default needs its type: `# -- (int or null) ...`")
        return {"type": {"str": "string", "bool": "boolean", "int": "integer", "float": "number"}[tag]}

    def of_map(self, node, lines, path):
        properties, required = {}, []
        for key, value in node.value:
            here = f"{path}.{key.value}".lstrip(".")
            kind, text = comment_above(lines, key.start_mark.line)
            is_scalar = isinstance(value, yaml.ScalarNode)
            is_closed_map = isinstance(value, yaml.MappingNode) and value.value and not kind
            if not text and not is_closed_map:
                sys.exit(f"{here}: has no comment `# -- what it is` above it")
            schema = self.of_node(value, lines, here, kind)
            if is_closed_map or (is_scalar and "null" not in (kind or "").split(" or ")):
                # Helm removes a key that is set to null, so only keys that may be null can be
                # missing.
                required.append(key.value)
            elif not is_scalar:
                schema = or_null(schema if value.value or "required" not in schema else {"anyOf": [{"type": "object", "maxProperties": 0}, schema]})
            if text:
                schema["description"] = text
            properties[key.value] = schema
        return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def or_null(schema):
    """The same, or nothing."""
    if schema.get("type") == "object":
        return schema | {"type": ["object", "null"]}
    return {"anyOf": [schema, {"type": "null"}]} if "$ref" in schema else schema


def comment_above(lines, line):
    """The text of the `# --` comment that ends right above a line, and the type that it begins with."""
    block = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        block.insert(0, lines[line].strip().lstrip("#").strip())
    starts = [index for index, text in enumerate(block) if text.startswith("-- ")]
    if not starts:
        return None, ""
    text = " ".join(block[starts[-1] :]).removeprefix("-- ").strip()
    if text.startswith("("):
        end = closing(text)
        return text[1:end], text[end + 1 :].strip()
    return None, text


def closing(text):
    """Where the parenthesis that a text begins with is closed: the first that is followed by a blank, as patterns have some, too."""
    depth = 0
    for index, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return index
    sys.exit(f"not closed: {text}")


def open_to_more(schema):
    """A schema that knows the same keys and accepts others: templates reject those, with the nearest key that exists."""
    if isinstance(schema, list):
        return [open_to_more(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: open_to_more(value) for key, value in schema.items() if (key, value) != ("additionalProperties", False)}


def or_removed(schema, definitions):
    """A schema whose optional sections and lists can also be null, which removes them, as in all values files of Helm. Changes `definitions`."""
    if isinstance(schema, list):
        return [or_removed(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: or_removed(value, definitions) for key, value in schema.items()}
    for key, value in schema.get("properties", {}).items():
        if isinstance(value, dict) and key not in schema.get("required", []):
            of_type = definitions[value["$ref"].removeprefix("#/$defs/")] if "$ref" in value else value
            if of_type.get("type") in ("object", "array"):
                of_type["type"] = [of_type["type"], "null"]
    return schema


def keys_of(schema, definitions):
    """The keys that a schema knows, as a tree: `*` stands for keys that the operator chooses, `[]` for members of a list."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    tree = {}
    for choice in schema.get("anyOf", []) + schema.get("oneOf", []) + schema.get("allOf", []):
        tree |= keys_of(choice, definitions) if isinstance(choice, dict) else {}
    for key, value in schema.get("properties", {}).items():
        tree[key] = keys_of(value, definitions)
    if isinstance(schema.get("additionalProperties"), dict):
        tree["*"] = keys_of(schema["additionalProperties"], definitions)
    if isinstance(schema.get("items"), dict) and (items := keys_of(schema["items"], definitions)):
        tree["[]"] = items
    return tree


def schema_of(text):
    types = Types()
    root = types.of_map(yaml.compose(text), text.splitlines(), "")
    properties = root["properties"]
    properties["global"] = {"description": "A parent chart's; not used"}
    service = {key: value for key, value in properties["service"].items() if key != "required"}
    services = properties["extraServices"]["patternProperties"]
    services.update(dict.fromkeys(services, service))
    config = open_to_more(json.loads(CONFIG.read_text(encoding="utf-8")))
    definitions = config["$defs"]
    for name in list(definitions):
        definitions[name] = or_removed(definitions[name], definitions)
    config["properties"] = or_removed({"properties": config["properties"]}, definitions)["properties"]
    # A number as a text has no bounds here: only the environment needs one.
    for name in ("digits", "decimal"):
        definitions[name] = {"description": "A number from the environment", "type": "string", "pattern": r"\$\{"}
    properties["config"]["type"] = ["object", "null"]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart bedrock-grpc",
        **root,
        "if": {"properties": {"checkConfig": {"const": True}}},
        "then": {"properties": {"config": {"properties": config["properties"]}}},
        # The definitions to which the service's schema and Kubernetes' schemas refer.
        "$defs": definitions | types.definitions,
    }


def parts_of(schema, defaults):
    """The parts of the chart that `enabled` switches on or off: their path, and the paths and defaults of what belongs to them."""
    parts = {}

    def walk(schema, defaults, path, part, within):
        properties = schema["properties"]
        if path and properties.get("enabled", {}).get("type") == "boolean":
            part, within = path, ""
            parts[part] = {}
        for key, each in properties.items():
            here = f"{within}.{key}".lstrip(".")
            # values.yaml lists every key of the chart's own maps.
            if each.get("properties") and isinstance(defaults.get(key), dict) and each["properties"].keys() == defaults[key].keys():
                walk(each, defaults[key], f"{path}.{key}".lstrip("."), part, here)
            elif part and key != "enabled" and key in defaults:
                parts[part][here] = defaults[key]

    walk(schema, defaults, "", None, "")
    return {part: values for part, values in parts.items() if values}


def main(chart):
    text = (chart / "values.yaml").read_text(encoding="utf-8")
    schema = schema_of(text)
    write(chart / "files/parts.json", json.dumps(parts_of(schema, yaml.safe_load(text)), indent=1, ensure_ascii=False))
    service = json.loads(CONFIG.read_text(encoding="utf-8"))
    write(chart / "values.schema.json", json.dumps(schema, indent=1, ensure_ascii=False))
    write(chart / "files/config-keys.json", json.dumps(keys_of(service, service["$defs"]), indent=1, ensure_ascii=False))


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
