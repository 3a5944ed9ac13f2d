"""Processes that end with the run, and the output of the run."""

import pathlib
import signal
import socket
import subprocess
import threading
import time

# The time limit for steps that take a second on an idle machine.
PATIENCE = 180
_printing = threading.Lock()


class Failed(Exception):
    """A check has failed."""


def check(title, fact, details=lambda: ""):
    """Checks a condition. The details are computed only if it is false."""
    if not fact:
        raise Failed(f"{title}\n{details()}".rstrip())
    say(f"ok: {title}")


def say(line):
    with _printing:
        print(line, flush=True)


def run(*command, **options):
    """Runs a command, which must succeed. Returns its output."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=PATIENCE * 5, check=False, **options)
    if result.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def until(what, question, details=lambda: "", patience=PATIENCE):
    """Polls until the answer is true, and returns it. For state that is not announced."""
    end = time.monotonic() + patience
    while not (answer := question()):
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {patience} s\n{details()}")
        time.sleep(0.1)
    return answer


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Processes:
    """Processes with a log each. They end with the namespace of the run at the latest."""

    def __init__(self, logs):
        self.logs = pathlib.Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.running = []

    def start(self, name, *command, **options):
        # A separate session, so that Ctrl-C reaches only this program.
        with open(self.logs / f"{name}.log", "ab") as log:
            child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                     start_new_session=True, **options)
        self.running.append((name, child))
        return child

    def dead(self):
        """Describes the processes that ended by themselves."""
        dead = [(name, child.returncode) for name, child in self.running if child.poll() is not None]
        return "\n".join(f"{name} ended by itself, with {code}:\n{self.tail(name)}" for name, code in dead)

    def check_alive(self):
        if dead := self.dead():
            raise Failed(dead)

    def tail(self, name, lines=30):
        return "\n".join((self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def end(self, name, patience=20):
        """Ends a process: first with SIGTERM, then with SIGKILL."""
        for entry in [each for each in self.running if each[0] == name]:
            child = entry[1]
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(patience)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
            self.running.remove(entry)
