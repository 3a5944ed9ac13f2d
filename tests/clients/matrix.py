"""Runs all rows of examples/scenarios.json in the given languages, compares the results, and prints
a matrix. See tests/clients/run.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from identities import Identities
from languages import LANGUAGES, ROOT
from update import Update
from ways import Ways

SCENARIOS = ROOT / "examples" / "scenarios.json"
ROWS = json.loads(SCENARIOS.read_text())["rows"]
# The rows of calls for embeddings, by text, because such a body cannot name its row. Nothing else
# embeds these texts.
EMBEDDED = {text: row["name"] for row in ROWS if row.get("method") == "InvokeModel" for text in [row["text"], *row["nearest_of"]]}
CALLS = os.environ["GATEWAY_EMULATOR"] + "/_emulator/calls"
# The command in the language's README, which runs in addition to the scenario.
README = {"name": "readme", "expect": {"exit": 0, "answered": True}}
# Far longer than any step of these tests.
TIMEOUT_S = 300
# Rows in which each client is idle for seconds: all languages run them in parallel. The first of
# them takes the longest.
IDLE = ["retries", "config-deadline", "config-attempts", "keepalive"]


def calls(embedding=None):
    """The calls that Bedrock received, by language and row, once all have ended.

    `embedding` is the language that made the calls for embeddings.
    """
    give_up = time.monotonic() + 20
    while True:
        with urllib.request.urlopen(CALLS, timeout=TIMEOUT_S) as answer:
            seen = [call for call in json.load(answer)["calls"] if call["operation"] in ("ConverseStream", "InvokeModel")]
        if all(call["end"] for call in seen) or time.monotonic() > give_up:
            break
        time.sleep(0.02)
    rows = {}
    for call in seen:
        call["body"] = base64.b64decode(call["body"])
        body = json.loads(call["body"])
        if call["operation"] == "InvokeModel":
            language, row = embedding, EMBEDDED.get(body["inputText"])
        else:
            # The README's commands do not name a row.
            language, _, row = body.get("requestMetadata", {}).get("row", "").partition("/")
        rows.setdefault((language, row), []).append(call)
    return rows


def forget():
    urllib.request.urlopen(urllib.request.Request(CALLS, method="DELETE"), timeout=TIMEOUT_S).close()


def run(language, rows, environment):
    """The client's results, by row."""
    with tempfile.TemporaryDirectory() as folder:
        # The row's name identifies its calls in the emulator's log.
        named = [row | {"name": f"{language.name}/{row['name']}"} for row in ROWS if row["name"] in rows]
        scenario = pathlib.Path(folder) / SCENARIOS.name
        scenario.write_text(json.dumps({"rows": named}))
        shutil.copy(SCENARIOS.with_name("image.png"), folder)
        process = subprocess.run(
            [*language.command, str(scenario)],
            cwd=language.folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT_S,
        )
    results = {}
    for line in process.stdout.splitlines():
        result = json.loads(line)
        results[result["row"].removeprefix(f"{language.name}/")] = result
    if process.returncode:
        print(f"error: {language.name} exited with {process.returncode}", file=sys.stderr)
        results["exit"] = process.returncode
    return results


def readme(language):
    """The result of the README's command."""
    environment = os.environ | {"CARGO_TARGET_DIR": str(ROOT / "target" / "clients-rust")}
    said = subprocess.run(language.demo, cwd=language.folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    return {"exit": said.returncode, "answered": "get_weather returned: " in said.stdout, "said": said.stdout + said.stderr}


def differences(expected, found, where=""):
    """Differences from what is expected. Other members are ignored."""
    for name, value in expected.items():
        path = f"{where}{name}"
        if name.endswith("_at_least"):
            got = (found or {}).get(name.removesuffix("_at_least"))
            if got is None or got < value:
                yield f"{path} is {got!r}, not {value!r}"
            continue
        got = (found or {}).get(name)
        if isinstance(value, dict):
            yield from differences(value, got, f"{path}.")
        elif got != value:
            yield f"{path} is {got!r}, not {value!r}"


def not_sent_back(row, seen):
    """Errors of the reasoning in the next turn: it must be unchanged, and before the tool use."""
    kind = row["sent_back"]
    # Reasoning whose text the model leaves out has a signature, too.
    is_omitted = row["model_fields"]["thinking"].get("display") == "omitted"
    history = [message for call in seen[1:] for message in json.loads(call["body"])["messages"] if message["role"] == "assistant"]
    if not history:
        yield "no answer was sent back"
    for message in history:
        kinds = [next(iter(block)) for block in message["content"]]
        if kinds.count("reasoningContent") != 1 or kinds[0] != "reasoningContent" or kinds[-1] != "toolUse":
            yield f"an answer was sent back as {kinds}"
            continue
        reasoning = message["content"][0]["reasoningContent"]
        if list(reasoning) != [kind]:
            yield f"reasoning was sent back as {list(reasoning)}"
        elif kind == "reasoningText":
            text = reasoning[kind]["text"]
            is_text_whole = text == "" if is_omitted else text.startswith("The user asks")
            if not (is_text_whole and reasoning[kind].get("signature")):
                yield f"reasoning was sent back as {reasoning}"


def ordered(schema):
    """A JSON value in which the order of members matters."""
    return json.loads(schema, object_pairs_hook=list)


def wrong(language, row, result, seen):
    """Errors of a row."""
    if result is None:
        return ["no result"]
    differs = language.differs.get(row["name"], {})
    expected = row["expect"] | differs.get("expect", {})
    for name in differs.get("leaves_out", []):
        del expected[name]
    found = list(differences(expected, result))
    ends, bedrock = [call["end"] for call in seen], differs.get("bedrock", row.get("bedrock"))
    if bedrock is not None and ends != bedrock:
        found.append(f"Bedrock saw {ends}, not {bedrock}")
    if row.get("sent_back"):
        found.extend(not_sent_back(row, seen))
    for tool in row.get("tools", []):
        sent = json.dumps(tool["input_schema"])
        for call in seen:
            [at_bedrock] = json.loads(call["body"], object_pairs_hook=dict)["toolConfig"]["tools"]
            if ordered(json.dumps(at_bedrock["toolSpec"]["inputSchema"]["json"])) != ordered(sent):
                found.append(f"the schema reached Bedrock as {at_bedrock}")
    return found


def main(names):
    languages = [language for language in LANGUAGES if language.name in names]
    with Identities(languages) as identities, Ways(os.environ["GATEWAY_GRPC"], identities.address) as ways, Update() as update:
        results, seen = run_all(languages, ways, update, identities)
    return report(languages, results, seen)


def run_all(languages, ways, update, identities):
    """What every client and Bedrock received, by language and row."""
    results, seen = {}, {}
    for language in languages:
        forget()
        rows = [row["name"] for row in ROWS if row["name"] not in language.without and row["name"] not in IDLE]
        begun, before = time.monotonic(), [pod.calls for pod in ways.pods]
        pods = {}
        if language.pods:
            pods = {"GATEWAY_PODS": ways.both(language.pods, ways.port), "GATEWAY_UPDATE": ways.both(language.pods, update.port)}
        token_file = identities.file(language)
        ways.give_token(token_file, *identities.keys[language.name])
        with update.during():
            results[language.name] = run(language, rows, ways.environment | pods | {"BEDROCK_GRPC_TOKEN_FILE": str(token_file)})
        if result := results[language.name].get("round-robin"):
            result["least_calls_of_a_pod"] = min(pod.calls - was for pod, was in zip(ways.pods, before, strict=True))
        if result := results[language.name].get("update"):
            result["updated_pods"] = update.updated
        seen |= calls(language.name)
        if "readme" not in language.without:
            results[language.name]["readme"] = readme(language)
        print(f"{language.name}: {len(rows)} rows in {time.monotonic() - begun:.0f} s", flush=True)
    forget()
    with ThreadPoolExecutor(len(languages) or 1) as pool:
        patient = pool.map(lambda it: run(it, [row for row in IDLE if row not in it.without], ways.environment), languages)
        for language, more in zip(languages, patient, strict=True):
            results[language.name] |= more
    return results, seen | calls()


def report(languages, results, seen):
    """Prints the matrix. Returns the exit code."""
    cells, notes, failed = {}, [], False
    for language in languages:
        failed = failed or "exit" in results[language.name]
        for row in [README, *ROWS]:
            name = row["name"]
            if name in language.without:
                cells[language.name, name] = "-"
                notes.append(f"{language.name} has no {name}: {language.without[name]}")
                continue
            found = wrong(language, row, results[language.name].get(name), seen.get((language.name, name), []))
            cells[language.name, name] = "FAILED" if found else "ok"
            if found:
                failed = True
                notes.append("\n  ".join([f"{language.name}, {name}:", *found, json.dumps(results[language.name].get(name, {}))[:2000]]))

    width = max(len(row["name"]) for row in ROWS)
    print("\n" + " ".join([" " * width, *(f"{language.name:8}" for language in languages)]))
    for row in [README, *ROWS]:
        print(" ".join([f"{row['name']:{width}}", *(f"{cells[language.name, row['name']]:8}" for language in languages)]).rstrip())
    print("\n" + "\n".join(notes) + ("\n" if notes else ""))
    readme_text = (ROOT / "README.md").read_text()
    for language in languages:
        runtime, version = language.versions()
        print(f"{language.name}: {runtime}, {language.library} {version}")
        row = f"| {language.library} {version} | [examples/{language.name}](examples/{language.name}) |"
        if row not in readme_text:
            print(f"error: the README does not contain: {row}")
            failed = True
    return 1 if failed or not languages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
