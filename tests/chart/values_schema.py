"""Makes values.schema.json of the comments in values.yaml, by the rules that its head tells, and of the schema of the service's own config."""

import json
import pathlib
import re
import sys

import yaml

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "src/config/schema.json"
TYPES = {"string": "string", "bool": "boolean", "null": "null", "object": "object", "list": "array", "int": "integer", "number": "number"}


def of_word(word):
    """The schema of one alternative of a type, such as `int from 1 to 10`, `list of string` or a value as it stands."""
    if match := re.fullmatch(r"(int|number)(?: from (\S+))?(?: to (\S+))?", word):
        kind, least, most = match.groups()
        schema = {"type": TYPES[kind]}
        if least:
            schema["minimum"] = float(least) if "." in least else int(least)
        if most:
            schema["maximum"] = float(most) if "." in most else int(most)
        return schema
    if word.startswith("list of "):
        return {"type": "array", "items": of_type(word.removeprefix("list of "))}
    if word.startswith("string like "):
        return {"type": "string", "pattern": word.removeprefix("string like ")}
    if word in TYPES:
        return {"type": TYPES[word]}
    return {"const": "" if word == '""' else word}


def of_type(text):
    # Within a list, "or" belongs to the members.
    words = [text] if text.startswith("list of ") else text.split(" or ")
    schemas = [of_word(word) for word in words]
    if all("const" in schema for schema in schemas):
        return {"enum": [schema["const"] for schema in schemas]}
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


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
    if match := re.match(r"\((.*?)\) (.*)", text):
        return match.group(1), match.group(2)
    return None, text


def of_node(node, lines, path, kind=None):
    if kind:
        return of_type(kind)
    if isinstance(node, yaml.MappingNode):
        if not node.value:
            sys.exit(f"{path}: an empty map needs its type: `# -- (object) ...`")
        return of_map(node, lines, path)
    if isinstance(node, yaml.SequenceNode):
        sys.exit(f"{path}: a list needs its type: `# -- (list of string) ...`")
    tag = node.tag.rsplit(":", 1)[-1]
    if tag == "null":
        sys.exit(f"{path}: what is nothing by default needs its type: `# -- (int or null) ...`")
    return {"type": {"str": "string", "bool": "boolean", "int": "integer", "float": "number"}[tag]}


def of_map(node, lines, path):
    properties = {}
    for key, value in node.value:
        here = f"{path}.{key.value}".lstrip(".")
        kind, text = comment_above(lines, key.start_mark.line)
        is_closed_map = isinstance(value, yaml.MappingNode) and value.value and kind != "object"
        if not text and not is_closed_map:
            sys.exit(f"{here}: has no comment `# -- what it is` above it")
        schema = of_node(value, lines, here, kind)
        if text:
            schema["description"] = text
        properties[key.value] = schema
    return {"type": "object", "additionalProperties": False, "properties": properties}


def open_to_more(schema):
    """A schema that knows the same keys and minds no others."""
    if isinstance(schema, list):
        return [open_to_more(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: open_to_more(value) for key, value in schema.items() if (key, value) != ("additionalProperties", False)}


def schema_of(text):
    root = of_map(yaml.compose(text), text.splitlines(), "")
    # What a parent chart hands to all of its charts.
    root["properties"]["global"] = {"type": "object", "description": "A parent chart's; not used"}
    # An image can be newer than the chart: keys that are not known here are the service's to check.
    config = open_to_more(json.loads(CONFIG.read_text(encoding="utf-8")))
    root["properties"]["config"] |= {key: config[key] for key in ("type", "properties")}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart bedrock-grpc",
        **root,
        # What the service's schema refers to.
        "$defs": config["$defs"],
    }


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as values:
        print(json.dumps(schema_of(values.read()), indent=2, ensure_ascii=False))
