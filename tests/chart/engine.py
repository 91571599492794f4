"""The chart, rendered by Helm itself."""

import functools
import json
import os
import pathlib
import subprocess
import tempfile

import yaml
from helm_python import HelmError, _native
from helm_python.chart import Chart, values_from_yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/poolguard"
VALUES = ROOT / "tests/chart/values"
RELEASE = "poolguard"
NAMESPACE = "poolguard-system"
VERSIONS = ["1.30.0", "1.37.0"]


def rust_sources():
    """The Rust files of both crates."""
    return [path for crate in ("src", "core/src") for path in sorted((ROOT / crate).rglob("*.rs"))]


# Sets of values that are given on top of others, as docs/install.md has it.
LAYERS = {
    "audit": ["aws"],
    "warn": ["aws"],
    "enforce-pods": ["aws"],
    "enforce": ["aws"],
    "emergency": ["aws", "enforce-pods"],
}

SETS = sorted(path.stem for path in VALUES.glob("*.yaml"))

# Temporary files, open until the tests end.
FILES = []


def merged(base, top):
    """Two files of values as `helm --values base --values top` merges them."""
    result = dict(base)
    for key, value in top.items():
        both = isinstance(result.get(key), dict) and isinstance(value, dict)
        result[key] = merged(result[key], value) if both else value
    return result


def read_values(name):
    result = {}
    for layer in [*LAYERS.get(name, []), name]:
        result = merged(result, values_from_yaml((VALUES / f"{layer}.yaml").read_text()))
    return result


# The sets whose config the chart writes.
CONFIGURED = [name for name in SETS if "existingConfigMap" not in read_values(name)]


@functools.cache
def chart():
    return Chart.load(CHART)


def render(values, version=VERSIONS[-1], release=RELEASE, namespace=NAMESPACE, of=None):
    """Text by template, as `helm template --kube-version` makes it; of this chart, or of another one."""
    # The wrapper's own `render` has no way to name the version.
    options = {"name": release, "namespace": namespace, "kube_version": f"v{version}"}
    handle = (of or chart())._raw()
    text = _native.call_string("helm_render", handle, json.dumps(values), json.dumps(options))
    rendered = json.loads(text)
    prefix = "poolguard/templates/"
    return {path.removeprefix(prefix): text for path, text in sorted(rendered.items())}


def refusal(values):
    """What Helm says against these values; empty if it takes them."""
    try:
        chart().validate_schema(values)
        render(values)
    except HelmError as error:
        return str(error)
    return ""


@functools.cache
def rendered(name, version=VERSIONS[-1]):
    return render(read_values(name), version)


def is_of_helm_test(path):
    return pathlib.PurePath(path).parent.name == "tests"


def objects_of(texts, of_helm_test=False):
    """The objects of rendered templates that an install makes, or those that only `helm test` makes."""
    manifests = [text for path, text in texts.items() if path.endswith(".yaml") and is_of_helm_test(path) == of_helm_test]
    documents = [it for text in manifests for it in yaml.load_all(text, Loader=yaml.CSafeLoader)]
    return [document for document in documents if document]


@functools.cache
def objects(name, version=VERSIONS[-1]):
    return objects_of(rendered(name, version))


def only(found, kind, name=None):
    """The one object of a kind, and perhaps of a name."""
    matching = [
        it for it in found if it["kind"] == kind and name in (None, it["metadata"]["name"])
    ]
    assert len(matching) == 1, f"{len(matching)} objects of kind {kind}, name {name}"
    return matching[0]


def container(found):
    return only(found, "Deployment")["spec"]["template"]["spec"]["containers"][0]


def config_text(found):
    return only(found, "ConfigMap", only(found, "Deployment")["metadata"]["name"])["data"][
        "config.yaml"
    ]


def binary():
    """PoolGuard, as `make test-chart` built it."""
    return os.environ.get("POOLGUARD", str(ROOT / "target/debug/poolguard"))


@functools.cache
def written(text):
    """The path of a file that holds a text, as long as the tests run."""
    file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
    file.write(text)
    file.flush()
    FILES.append(file)
    return file.name


def poolguard(*arguments):
    """Runs it to its end."""
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=60)


def start(*arguments):
    """Runs it beside the test."""
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([binary(), *arguments], text=True, **streams)
