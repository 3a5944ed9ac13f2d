"""Renders the chart with Helm 3 and Helm 4."""

import functools
import os
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/bedrock-grpc"
TOOLS = ROOT / "target/tools/chart"
BINARY = pathlib.Path(os.environ["BEDROCK_GRPC"])
HELMS = ["helm-v3", "helm-v4"]
# The first one is what the chart does without any values.
VALUE_SETS = ["defaults", *sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))]
# The variables that the chart itself sets for the gateway.
VARIABLES = {"LIMITS_STORE_USERNAME": "limits"}
RELEASE = "rel"
NAMESPACE = "ns"


def run(*command, **options):
    """Runs a command, which must succeed. Returns its output."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}"
    return result.stdout


def values_of(value_set):
    """Returns the arguments that pass a set of values to Helm."""
    return [] if value_set == "defaults" else ["--values", CHART / "ci" / f"{value_set}-values.yaml"]


def template(*arguments, helm="helm-v3", kubernetes="1.34.0", release=RELEASE):
    """The chart rendered with these arguments."""
    return run(TOOLS / helm, "template", release, CHART, "--namespace", NAMESPACE, "--kube-version", kubernetes, *arguments)


@functools.cache
def text(value_set, **options):
    """The chart rendered with a set of values."""
    return template(*values_of(value_set), **options)


def parse(rendered):
    """The objects of a rendered text."""
    return [obj for obj in yaml.safe_load_all(rendered) if obj]


def objects(value_set, kind=None, **options):
    """The rendered objects, perhaps of one kind."""
    return [obj for obj in parse(text(value_set, **options)) if kind in (None, obj["kind"])]
