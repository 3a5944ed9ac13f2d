"""Measures clients for several values of `coalesce`, and prints a table. `benches/clients/run` calls it."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benches" / "peers"))

from process import Process

HERE = pathlib.Path(__file__).parent
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
AWS = {"AWS_ACCESS_KEY_ID": "EMULATOR", "AWS_SECRET_ACCESS_KEY": "emulator-secret-access-key"}
TOKENS, PACE = 200, 40
COALESCE_MS = (0, 20, 50, 100)


def clients(load, address, streams):
    """The command of each client for a value of `coalesce` in ms, and what its output is called."""

    def script(*command):
        return lambda ms: [*command, address, streams, TOKENS, ms]

    def go(ms):
        return [load, "-api", "grpc", "-url", address, "-model", "claude", "-tokens", TOKENS, "-calls", streams, "-concurrency", streams, "-coalesce", f"{ms}ms"]

    return {
        "Python, grpcio": script(ROOT / "target/clients/python/bin/python", HERE / "client.py"),
        "Go, grpc-go": go,
        "Node, grpc-js": script(ROOT / "examples/node/node_modules/.bin/tsx", HERE / "client.mts"),
    }


def measure(command, gateway, streams):
    """Deltas, CPU-ms of the client and of the gateway, each for one stream."""
    before = gateway.cpu_ms()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stderr)
    result = json.loads(done.stdout)
    if "complete" in result and result["complete"] != streams:
        raise RuntimeError(f"{result['complete']} of {streams} answers are complete: {result['failures']}")
    # Scripts read one stream more, before they measure.
    calls = streams if "complete" in result else streams + 1
    deltas, cpu = result.get("deltas", result.get("pieces")), result.get("cpu_ms", result.get("client_cpu_ms"))
    return deltas, cpu, (gateway.cpu_ms() - before) / calls


def between(values, digits):
    low, high = min(values), max(values)
    texts = dict.fromkeys((f"{low:.{digits}f}", f"{high:.{digits}f}"))
    return " to ".join(texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load", type=pathlib.Path)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=20, help="open at the same time")
    parser.add_argument("--port", type=int, default=19600, help="of the emulator; the gateway uses the next two")
    args = parser.parse_args()
    endpoint, address = f"http://127.0.0.1:{args.port}", f"127.0.0.1:{args.port + 1}"
    config = {
        "listen": address,
        "admin": {"listen": f"127.0.0.1:{args.port + 2}"},
        "bedrock": {"region": "us-east-1", "endpoint_url": endpoint},
        "targets": {"claude": {"model_id": MODEL}},
    }
    binary, figures = str(args.binary.resolve()), {}
    with tempfile.TemporaryDirectory() as work, open(pathlib.Path(work) / "log", "wb") as log:
        file = pathlib.Path(work) / "config.yaml"
        file.write_text(json.dumps(config))
        pace = ["--tokens", str(TOKENS), "--tokens-per-second", str(PACE), "--time-to-first-token", "20ms"]
        started = [Process([binary, "emulate", "--unchecked", "--listen", endpoint.removeprefix("http://"), *pace], log, {})]
        try:
            started[0].until_ready(args.port, "/foundation-models")
            gateway = Process([binary, "serve", "--config", str(file)], log, AWS)
            started.append(gateway)
            gateway.until_ready(args.port + 2, "/readyz")
            for at in range(args.rounds):
                for ms in COALESCE_MS[:: -1 if at % 2 else 1]:
                    for name, command in clients(args.load, address, args.streams).items():
                        result = measure(command(ms), gateway, args.streams)
                        figures.setdefault((name, ms), []).append(result)
                print(f"round {at + 1}", file=sys.stderr, flush=True)
        finally:
            for process in started:
                process.end()
    print("| client | `coalesce` | deltas per stream | CPU-ms of the client | CPU-ms of the gateway |\n|---|---|---|---|---|")
    for name in clients(args.load, address, args.streams):
        for ms in COALESCE_MS:
            deltas, client, gateway = zip(*figures[name, ms])
            print(f"| {name} | {ms} ms | {between(deltas, 0)} | {between(client, 1)} | {between(gateway, 1)} |")


if __name__ == "__main__":
    main()
