"""The commands that run each language's example, and the limitations of its library."""

import dataclasses
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).parent.parent.parent
TARGET = ROOT / "target" / "clients"


@dataclasses.dataclass(frozen=True)
class Language:
    name: str
    # The library that transports its calls.
    library: str
    command: list[str]
    # The command in its README, for the tool use.
    demo: list[str]
    # Prints the version of its runtime.
    version: list[str]
    # The library's version, from the file that pins it.
    pin: tuple[str, str]
    # How it gets the addresses of several pods: see `Ways.both`.
    pods: str = ""
    # Rows that do not apply, and why.
    without: dict[str, str] = dataclasses.field(default_factory=dict)
    # The differences from the row: another `bedrock`, other members of `expect`, or members that it
    # `leaves_out`.
    differs: dict[str, dict] = dataclasses.field(default_factory=dict)

    @property
    def folder(self):
        return ROOT / "examples" / self.name

    def versions(self):
        """The versions of its runtime and of its library."""
        said = subprocess.run(self.version, capture_output=True, text=True, cwd=self.folder, check=True)
        file, pattern = self.pin
        return said.stdout.splitlines()[0], re.search(pattern, (self.folder / file).read_text()).group(1)


PYTHON = str(TARGET / "python" / "bin" / "python")

LANGUAGES = [
    Language(
        name="python",
        library="grpcio",
        command=[PYTHON, "main.py", "scenario"],
        demo=[PYTHON, "main.py", "tools"],
        version=[PYTHON, "--version"],
        pin=("requirements.txt", r"grpcio==(\S+)"),
        pods="dns",
        # grpcio's timer for this deadline can be some seconds off, and then nothing reaches
        # Bedrock.
        differs={"config-deadline": {"bedrock": None}},
    ),
    Language(
        name="go",
        library="grpc-go",
        command=[str(TARGET / "go"), "scenario"],
        demo=["go", "run", ".", "tools"],
        version=["go", "version"],
        pin=("go.mod", r"google.golang.org/grpc v(\S+)"),
        pods="dns",
    ),
    Language(
        name="node",
        library="grpc-js",
        command=["node_modules/.bin/tsx", "src/main.ts", "scenario"],
        demo=["npm", "start", "--", "tools"],
        version=["node", "--version"],
        pin=("package.json", r'grpc-js": "([^"]+)"'),
        pods="ipv4",
    ),
    Language(
        name="browser",
        library="connect-web",
        command=["node", "scenario.js"],
        demo=[],
        version=["chromium", "--version"],
        pin=("package.json", r'connect-web": "([^"]+)"'),
        without={
            "readme": "its scenario.js presses the page's buttons first",
            "large-answer-refused": "connect-web has no limit",
            "token-file": "pages read no files",
            "round-robin": "a load balancer chooses",
            "update": "a load balancer chooses",
            "go-away": "the browser owns the connection",
            "go-away-crossing": "the browser owns the connection",
            "keepalive": "the browser owns the connection; the deadline ends a call whose connection died",
        },
    ),
    Language(
        name="java",
        library="grpc-java",
        command=["sh", "-c", 'exec java -Djdk.net.hosts.file="$PODS_HOSTS" -cp "target/classes:$(cat target/classpath)" example.Main scenario "$@"', "java"],
        demo=["mvn", "--quiet", "exec:java", "-Dexec.args=tools"],
        version=["java", "--version"],
        pin=("pom.xml", r"<grpc.version>([^<]+)"),
        pods="hosts",
        # grpc-java retries every status with a pushback, whatever the policy's codes are.
        differs={"rate-limit": {"bedrock": ["Faulted", "Faulted", "Faulted"]}},
    ),
    Language(
        name="rust",
        library="tonic",
        command=[str(ROOT / "target" / "clients-rust" / "debug" / "bedrock-grpc-example"), "scenario"],
        demo=["cargo", "run", "--quiet", "--", "tools"],
        version=["rustc", "--version"],
        pin=("Cargo.lock", r'name = "tonic"\nversion = "([^"]+)"'),
        pods="commas",
        differs={
            # If a stream ends with its connection, tonic has no specific gRPC code for it.
            "keepalive": {"expect": {"code": "UNKNOWN"}},
            "large-answer-refused": {"expect": {"code": "OUT_OF_RANGE"}},
        },
    ),
    Language(
        name="grpcurl",
        library="grpcurl",
        command=["./scenario.sh"],
        demo=["./main.sh", "tools"],
        version=["bash", "--version"],
        pin=("../../tests/all", r"cmd/grpcurl@v([0-9.]+)"),
        without={
            "deadline-of-attempts": "grpcurl tries once",
            "config-deadline": "grpcurl reads no service config; -max-time does it",
            "config-attempts": "grpcurl reads no service config, and tries once",
            "config-throttling": "grpcurl reads no service config, and tries once",
            "large-answer-refused": "its examples are all shown with -max-msg-sz",
            "round-robin": "every call is a process",
            "update": "every call is a process",
            "go-away": "every call is a process",
            "go-away-crossing": "every call is a process",
            "keepalive": "every call is a process; -max-time ends one whose connection died",
        },
        # grpcurl does not retry.
        differs={"retries": {"bedrock": ["Faulted"], "leaves_out": ["took_ms_at_least"]}},
    ),
]
