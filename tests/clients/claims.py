"""Checks docs/clients.md against claims.json.

Each statement of the page needs one claim, which begins as the statement does. The test or source that
supports the claim must exist. A claim can be supported by:

    row NAME            a row of examples/scenarios.json, compared for each language by matrix.py
    test FILE NAME      a test
    text FILE TEXT      the text is in the file: the examples do what the page recommends
    said by WHO         documentation or source of another project
    measured HOW        observed once, and not by a test that always runs
    advice              nothing that could be wrong
"""

import json
import re
import sys

from languages import ROOT

DOCS = ROOT / "docs" / "clients.md"
CLAIMS = ROOT / "tests" / "clients" / "claims.json"
ROWS = {row["name"] for row in json.loads((ROOT / "examples" / "scenarios.json").read_text())["rows"]}


def statements(text):
    """Sentences, rows of tables and blocks of code, each on one line."""
    for block in re.split(r"\n\s*\n", re.sub(r"^#.*$", "", text, flags=re.MULTILINE)):
        lines = block.strip().splitlines()
        if not lines:
            continue
        if lines[0].startswith("|"):
            # Below the table's head.
            yield from lines[2:]
        elif lines[0].startswith("```"):
            yield " ".join(lines)
        else:
            for item in re.split(r"^- ", block, flags=re.MULTILINE):
                yield from re.split(r"(?<=[.:]) (?=[A-Z`])", " ".join(item.split()))


def problem(holder):
    """The error of a claim's support, or None."""
    kind, _, rest = holder.partition(" ")
    if kind == "row":
        return None if rest in ROWS else f"there is no row {rest}"
    if kind in ("test", "text"):
        file, _, what = rest.partition(" ")
        path = ROOT / file
        if not path.is_file():
            return f"there is no {file}"
        wanted = rf"(def|fn) {re.escape(what)}\b|test\([\"'`]{re.escape(what)}" if kind == "test" else re.escape(what)
        return None if what and re.search(wanted, path.read_text()) else f"{file} has no {kind} {what!r}"
    known = holder == "advice" or holder.startswith(("said by ", "measured "))
    return None if known else f"unknown kind of support {holder!r}"


def main():
    found = [it for it in statements(DOCS.read_text()) if it]
    claims = json.loads(CLAIMS.read_text())
    problems = [f"{claim['says']!r}: {wrong}" for claim in claims for holder in claim["held_by"] or [""] if (wrong := problem(holder))]
    for n in range(max(len(found), len(claims))):
        statement = found[n] if n < len(found) else None
        says = claims[n]["says"] if n < len(claims) else None
        if statement is None or says is None or not statement.startswith(says):
            problems.append(f"docs/clients.md continues with\n    {statement}\n  but claims.json with\n    {says}")
            break
    for it in problems:
        print(f"error: {it}", file=sys.stderr)
    if problems:
        return 1
    tested = sum(any(holder.split(" ")[0] in ("row", "test", "text") for holder in claim["held_by"]) for claim in claims)
    print(f"docs/clients.md: {len(claims)} statements, {tested} of them covered by tests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
