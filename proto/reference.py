"""Writes docs/api.md from what buf makes of the protos:

    buf build -o -#format=json | python3 proto/reference.py >docs/api.md
"""

import json
import re
import sys

PACKAGE = ".bedrock.inference.v1."
# What a reader needs first. All other files follow by name.
FIRST = ["inference_service", "converse", "content", "tool", "event", "metadata", "error", "target", "target_service"]
# Field numbers of descriptor.proto, of which the paths of comments are made.
MESSAGE, ENUM, SERVICE, FIELD, ONEOF, VALUE, METHOD = 4, 5, 6, 2, 8, 2, 2
GOOGLE = "https://protobuf.dev/reference/protobuf/google.protobuf/#"


def main(image):
    files = {f["name"].split("/")[-1].removesuffix(".proto"): f for f in image["file"] if f["name"].startswith("bedrock/")}
    names = FIRST + sorted(set(files) - set(FIRST))
    print("# The API: `bedrock.inference.v1`\n")
    print("<!-- Written by proto/reference.py from proto/; `tests/all protos` holds it fresh. -->\n")
    print("What errors mean is in [errors.md](errors.md), how to call in [clients.md](clients.md). Field names are as in the protos.\n")
    for name in names:
        for service in files[name].get("service", []):
            print(f"- [{service['name']}](#{service['name'].lower()}): {', '.join(m['name'] for m in service['method'])}")
    for name in names:
        File(files[name]).write()


class File:
    def __init__(self, file):
        self.file = file
        locations = file["sourceCodeInfo"]["location"]
        self.comments = {tuple(it.get("path", [])): it.get("leadingComments", "") for it in locations}

    def comment(self, *path):
        """The comment of a thing, without the blank that stands before each line."""
        return re.sub(r"^ ", "", self.comments.get(path, ""), flags=re.MULTILINE).strip("\n")

    def write(self):
        for n, service in enumerate(self.file.get("service", [])):
            print(f"\n## {service['name']}\n\n{self.comment(SERVICE, n)}")
            for m, method in enumerate(service["method"]):
                answer = ("stream " if method.get("serverStreaming") else "") + link(method["outputType"])
                print(f"\n**{method['name']}** ({link(method['inputType'])}) returns ({answer})\n\n{self.comment(SERVICE, n, METHOD, m)}")
        for n, message in enumerate(self.file.get("messageType", [])):
            self.message(message, (MESSAGE, n))
        for n, enum in enumerate(self.file.get("enumType", [])):
            print(f"\n### {enum['name']}\n\n{self.comment(ENUM, n)}\n")
            print("| value | number | |\n|---|---|---|")
            for m, value in enumerate(enum["value"]):
                print(f"| `{value['name']}` | {value.get('number', 0)} | {cell(self.comment(ENUM, n, VALUE, m))} |")

    def message(self, message, path):
        print(f"\n### {message['name']}\n\n{self.comment(*path)}")
        fields = message.get("field", [])
        if fields:
            print("\n| field | type | |\n|---|---|---|")
        maps = {nested["name"]: nested["field"] for nested in message.get("nestedType", [])}
        before = None
        for n, field in enumerate(fields):
            oneof = None if field.get("proto3Optional") else field.get("oneofIndex")
            if oneof is not None and oneof != before:
                about = cell(self.comment(*path, ONEOF, oneof))
                print(f"| one of `{message['oneofDecl'][oneof]['name']}`: | | {about} |")
            before = oneof
            indent = "&emsp;" if oneof is not None else ""
            print(f"| {indent}`{field['name']}` | {kind(field, maps)} | {cell(self.comment(*path, FIELD, n))} |")


def kind(field, maps):
    """A field's type, as one would say it."""
    of = field.get("typeName", "")
    entry = maps.get(of.split(".")[-1])
    if entry:
        return f"map of {scalar(entry[0])} to {scalar(entry[1])}"
    if field["label"] == "LABEL_REPEATED":
        return f"repeated {scalar(field)}"
    return f"optional {scalar(field)}" if field.get("proto3Optional") else scalar(field)


def scalar(field):
    return link(field["typeName"]) if "typeName" in field else field["type"].removeprefix("TYPE_").lower()


def link(name):
    if name.startswith(PACKAGE):
        short = name.removeprefix(PACKAGE)
        return f"[{short}](#{short.lower()})"
    short = name.split(".")[-1]
    return f"[{short}]({GOOGLE}{short.lower()})"


def cell(text):
    """A comment as a cell of a table: one line."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main(json.load(sys.stdin))
