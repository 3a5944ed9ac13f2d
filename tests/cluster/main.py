"""The whole run, within its own namespaces: tests/cluster/run starts it."""

import concurrent.futures
import os
import pathlib
import signal
import sys
import time
import traceback

import chart_sets
import fake_nodes
import generated_sets
import rendering
import rolling
import service_accounts
from control_plane import ControlPlane
from metrics_apis import MetricsApis
from processes import Failed, Processes, check, run, say


def check_chart(cluster):
    """Tests the chart with a control plane only: nodes and their pods are fake."""
    fake_nodes.start(cluster)
    chart_sets.check_pod_security(cluster)
    metrics = MetricsApis(cluster)
    # Most of the time is spent waiting, because pods must be ready for some seconds before the next
    # ones start.
    pool = concurrent.futures.ThreadPoolExecutor()
    sets = [pool.submit(chart_sets.ValueSet(cluster, metrics, name).run) for name in rendering.VALUE_SETS]
    try:
        for each in concurrent.futures.as_completed(sets):
            each.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    fake_nodes.end(cluster)


PARTS = ["accounts", "chart", "generated", "node", "reload"]


def everything():
    """Runs all requested parts. Raises the first failure."""
    bin, binary, inside, work = map(pathlib.Path, sys.argv[1:5])
    cgroup = sys.argv[5]
    run("ip", "link", "set", "lo", "up")
    parts = os.environ.get("PARTS", ",".join(PARTS)).split(",")
    processes = Processes(work / "logs")
    start = time.monotonic()

    def lap(what):
        processes.check_alive()
        say(f"--- {what}: {time.monotonic() - start:.0f} s")

    try:
        cluster = ControlPlane(work, bin, processes)
        check(f"Kubernetes {cluster.version} serves", True)
        lap("control plane")
        if "accounts" in parts:
            service_accounts.run_all(cluster, binary, work)
            lap("service accounts")
        if {"chart", "generated", "node", "reload"} & set(parts):
            chart_sets.install_definitions(cluster)
        if "chart" in parts:
            check_chart(cluster)
            lap("chart")
        if "generated" in parts:
            generated_sets.run_all(cluster)
            lap("random values")
        if {"node", "reload"} & set(parts):
            rolling.run_all(cluster, binary, inside, cgroup, parts)
            lap("node")
    except Failed as failure:
        say(f"FAILED: {failure}\n{processes.dead()}")
        raise


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    code = 1
    try:
        everything()
        code = 0
    except Failed:
        pass
    except SystemExit as end:
        print(end, file=sys.stderr)
    except BaseException:  # Any error is printed here. The cluster is stopped below.
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # This is the first process of its PID namespace, and the kernel ends all others with it. So
    # waiting threads are not joined.
    os._exit(code)


if __name__ == "__main__":
    main()
