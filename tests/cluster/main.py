"""The whole run: tests/cluster/run starts it."""

import concurrent.futures
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import chart_sets
import fake_nodes
import rendering
from control_plane import ControlPlane
from processes import Failed, Processes, check, say


def check_control_plane(cluster):
    """What the control plane does with the chart by itself: nodes and their pods are fake."""
    chart_sets.install_definitions(cluster)
    fake_nodes.start(cluster)
    chart_sets.check_pod_security(cluster)
    # Most of it is waiting, for pods that must be ready for some seconds before the next ones.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for each in [pool.submit(chart_sets.ValueSet(cluster, name).run) for name in rendering.VALUE_SETS]:
            each.result()
    fake_nodes.end(cluster)


def main():
    bin, binary, inside = map(pathlib.Path, sys.argv[1:])
    # A proxy that the machine has set must not come between.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        os.environ.pop(name, None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    work = pathlib.Path(tempfile.mkdtemp(prefix="bedrock-grpc-cluster-"))
    # Containers are not root, and must come through.
    work.chmod(0o755)
    processes = Processes(work / "logs")
    start = time.monotonic()
    try:
        cluster = ControlPlane(work, bin, processes)
        check(f"Kubernetes {cluster.version} serves after {time.monotonic() - start:.0f} s", True)
        check_control_plane(cluster)
        processes.check_alive()
        say(f"{time.monotonic() - start:.0f} s")
    except Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        if keep := os.environ.get("KEEP_LOGS"):
            shutil.copytree(processes.logs, keep, dirs_exist_ok=True)
        sys.exit(1)
    finally:
        processes.end_all()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
