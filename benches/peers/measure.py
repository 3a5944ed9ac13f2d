"""Measures each system on the emulator and prints a table. `benches/peers/run` calls it."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

from process import Process, busy_ms
from systems import direct, systems

TOKENS = 50
# At a pace of 50 tokens/s, a stream of 50 tokens takes a second.
PACE = 50
CONCURRENCY, PACED = 16, 200


class Bench:
    def __init__(self, args):
        self.calls, self.port = args.calls, args.port
        self.home, self.binary = args.home.resolve(), args.binary.resolve()
        self.endpoint = f"http://127.0.0.1:{args.port}"
        self.log = open(self.home / "measure.log", "ab")

    def emulator(self, pace):
        emulator = Process([str(part) for part in (
            self.binary, "emulate", "--unchecked", "--listen", f"127.0.0.1:{self.port}",
            "--tokens", TOKENS, "--tokens-per-second", pace, "--time-to-first-token", "0ms",
        )], self.log, {})
        emulator.until_ready(self.port, "/foundation-models")
        return emulator

    def load(self, how, calls, *options):
        """Makes calls, and returns what the load generator measured. Fails if an answer is incomplete."""
        command = [self.home / "calls", *how, "-calls", calls, "-tokens", TOKENS, *options]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1200)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        result = json.loads(done.stdout)
        if result["complete"] != calls:
            raise RuntimeError(f"{result['complete']} of {calls} answers are complete: {result['failures']}")
        return result

    def cpu_of(self, gateway, how, calls, *options):
        """The gateway's CPU time for each of these calls in ms, and what the load generator measured."""
        before = gateway.cpu_ms()
        result = self.load(how, calls, *options)
        return (gateway.cpu_ms() - before) / calls, result

    def measure(self, system):
        figures = {}
        emulator, gateway = self.emulator(0), None
        try:
            gateway = Process(system.command, self.log, system.env)
            figures["start ms"] = gateway.until_ready(*system.ready)
            # Until the process has allocated what it needs without calls.
            time.sleep(3)
            figures["idle MB"] = gateway.memory_mb()
            # Connections, caches, just-in-time compilers.
            self.load(system.load, 300, "-concurrency", CONCURRENCY)
            self.load(system.load, 300, "-concurrency", CONCURRENCY, "-unary")
            figures["CPU-ms per stream"], _ = self.cpu_of(gateway, system.load, self.calls, "-concurrency", CONCURRENCY)
            figures["CPU-ms per unary call"], _ = self.cpu_of(gateway, system.load, self.calls, "-concurrency", CONCURRENCY, "-unary")
            alone = max(1, self.calls // 2), "-concurrency", 1
            before, through, after = self.load(direct(self.endpoint), *alone), self.load(system.load, *alone), self.load(direct(self.endpoint), *alone)
            for column, at in (("first token added, p50 ms", 0), ("p99 ms", 1)):
                figures[column] = through["first_ms"][at] - (before["first_ms"][at] + after["first_ms"][at]) / 2
            emulator.end()
            emulator = self.emulator(PACE)
            paced = max(PACED, self.calls * 6 // 10), "-concurrency", PACED, "-ramp", "1s", "-timeout", "3m"
            figures["CPU-ms per paced stream"], _ = self.cpu_of(gateway, system.load, *paced)
            figures["peak MB"] = gateway.peak_mb()
        finally:
            emulator.end()
            if gateway:
                gateway.end()
        return figures


COLUMNS = ("CPU-ms per stream", "CPU-ms per unary call", "CPU-ms per paced stream", "first token added, p50 ms", "p99 ms", "idle MB", "peak MB", "start ms")


def number(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def print_table(results, versions):
    print("| system | version | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 2))
    for name, version in versions.items():
        rounds = [figures for system, figures in results if system == name]
        cells = [" / ".join(number(figures[column]) for figures in rounds) if rounds else "failed" for column in COLUMNS]
        print(f"| {name} | {version} | " + " | ".join(cells) + " |")


def machine():
    model = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores of {model}, Linux {platform.release()}, {datetime.date.today()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=pathlib.Path)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--only", action="append", default=[], help="a system, by the beginning of its name")
    parser.add_argument("--port", type=int, default=19500, help="of the emulator; the systems use this port + 10 and + 11")
    args = parser.parse_args()
    bench, results, failed = Bench(args), [], False
    known = systems(bench.home, bench.binary, bench.endpoint, args.port + 10)
    chosen = [system for system in known if not args.only or system.name.startswith(tuple(args.only))]
    if not chosen:
        parser.error(f"--only matches none of: {', '.join(system.name for system in known)}")
    began, busy = time.monotonic(), busy_ms()
    for at in range(args.rounds):
        # Every second round is in reverse order, so that slow changes of the machine affect all
        # systems.
        for system in chosen[:: -1 if at % 2 else 1]:
            try:
                results.append((system.name, bench.measure(system)))
            except (RuntimeError, subprocess.TimeoutExpired, OSError) as error:
                failed = True
                print(f"error: {system.name}: {error}; see {bench.log.name}", file=sys.stderr)
            else:
                print(f"round {at + 1}: {system.name}", file=sys.stderr, flush=True)
    elapsed = (time.monotonic() - began) * 1e3 * os.cpu_count()
    print_table(results, {system.name: system.version for system in chosen})
    print(f"\n{machine()}; CPUs busy for {(busy_ms() - busy) / elapsed:.0%} of the time; load average {os.getloadavg()[2]:.1f}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
