"""Processes that are measured through /proc."""

import http.client
import os
import pathlib
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def stat(pid):
    """The parent, the CPU time in ms and the memory in MB of a process. None if it has ended."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), (int(fields[11]) + int(fields[12])) * 1e3 / TICKS, int(fields[21]) * PAGE / 1e6


def busy_ms():
    """The CPU time of the whole machine in ms, without idle time and waiting for disks."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields[:3]) + sum(fields[5:8])) * 1e3 / TICKS


class Process:
    """A process with its descendants."""

    def __init__(self, command, log, env):
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**kept, **env})

    def until_ready(self, port, path, limit=120):
        """Waits until a path answers, and returns the time since the start in ms."""
        while time.perf_counter() - self.started < limit:
            if self.process.poll() is not None:
                raise RuntimeError(f"exited with {self.process.returncode} before it was ready")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", path)
                if connection.getresponse().status < 500:
                    return (time.perf_counter() - self.started) * 1e3
            except OSError:
                time.sleep(0.002)
            finally:
                connection.close()
        raise RuntimeError(f"not ready after {limit} s")

    def tree(self):
        known = {int(name): stat(name) for name in os.listdir("/proc") if name.isdigit()}
        found, more = set(), {self.process.pid}
        while more:
            found |= more
            more = {pid for pid, fields in known.items() if fields and fields[0] in more} - found
        return {pid: known[pid] for pid in found if known.get(pid)}

    def cpu_ms(self):
        return sum(cpu for _, cpu, _ in self.tree().values())

    def memory_mb(self):
        return sum(memory for _, _, memory in self.tree().values())

    def peak_mb(self):
        total = 0
        for pid in self.tree():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1]) * 1024 / 1e6
        return total

    def end(self):
        for pid in sorted(self.tree(), reverse=True):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
