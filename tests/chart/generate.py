"""Makes values.schema.json and the table in README.md from the chart's values.yaml.

`make docs` runs it. A value is explained by the one line of comment above it; the schema takes its
type from its default, and what a default cannot say from the table below.
"""

import json
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/poolguard"
CONFIG_SCHEMA = ROOT / "docs/config.schema.json"
START = "<!-- values: `make docs` writes this table -->\n"
END = "<!-- end of values -->\n"

NAME = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"
KEY = r"^[-._a-zA-Z0-9]*$"
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
SECONDS = {"type": "integer", "minimum": 0, "maximum": 600}
DURATION = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
LABELS = TEXTS
FREE = {"type": "object"}
SUBJECT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["kind", "name"],
    "properties": {
        "kind": {"enum": ["User", "Group", "ServiceAccount"]},
        "name": {"type": "string", "minLength": 1},
        "namespace": {"type": "string"},
        "apiGroup": {"enum": ["", "rbac.authorization.k8s.io"]},
    },
}
TOLERATION = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "key": {"type": "string"},
        "operator": {"enum": ["Equal", "Exists"]},
        "value": {"type": "string"},
        "effect": {"enum": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"]},
        "tolerationSeconds": {"type": "integer"},
    },
}
AFFINITY = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "podAffinity": FREE,
        "podAntiAffinity": FREE,
        # The required part is the chart's own: it keeps PoolGuard off the pools' nodes.
        "nodeAffinity": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "preferredDuringSchedulingIgnoredDuringExecution": {"type": "array", "items": FREE}
            },
        },
    },
}
QUANTITIES = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number"]},
}
REFERENCE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "kind": {"type": "string", "minLength": 1},
        "group": {"type": "string", "minLength": 1},
    },
}
PULL_SECRET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {"name": {"type": "string", "minLength": 1}},
}

# What the default of a value does not say of it.
SCHEMAS = {
    "mode": {"enum": ["", "audit", "warn", "enforce"]},
    "replicas": {"type": "integer", "minimum": 0},
    "image.repository": {"type": "string", "minLength": 1},
    "image.digest": {"type": "string", "pattern": r"^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "image.pullSecrets": {"type": "array", "items": PULL_SECRET},
    "nameOverride": {"type": "string", "pattern": NAME},
    "fullnameOverride": {"type": "string", "pattern": NAME},
    "certificates.mode": {"enum": ["self-managed", "cert-manager", "files"]},
    "certificates.rotationWait": DURATION,
    "certificates.certManager.issuerRef": REFERENCE,
    "certificates.certManager.duration": DURATION,
    "certificates.certManager.renewBefore": DURATION,
    "certificates.files.existingSecret": {"type": "string", "pattern": NAME},
    "certificates.files.certificate": {"type": "string", "pattern": KEY, "minLength": 1},
    "certificates.files.privateKey": {"type": "string", "pattern": KEY, "minLength": 1},
    "certificates.files.authority": {"type": "string", "pattern": KEY},
    "clientAuthority.existingSecret": {"type": "string", "pattern": NAME},
    "clientAuthority.key": {"type": "string", "pattern": KEY, "minLength": 1},
    "breakGlass.user": {"type": "string", "minLength": 1},
    "breakGlass.subjects": {"type": "array", "items": SUBJECT},
    "auditFile.size": {"type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)$"},
    "auditFile.count": {"type": "integer", "minimum": 1, "maximum": 1000},
    "auditFile.volume": FREE,
    "service.port": PORT,
    "service.annotations": TEXTS,
    "ports.webhook": PORT,
    "ports.admin": PORT,
    "bindAddress": {"type": "string", "pattern": r"^([0-9.]+|\[[0-9a-f:]+\])$"},
    "shutdown.delaySeconds": SECONDS,
    "shutdown.drainSeconds": SECONDS,
    "resources.requests": QUANTITIES,
    "resources.limits": QUANTITIES,
    "workerThreads": {"type": "integer", "minimum": 1},
    "extraArgs": {"type": "array", "items": {"type": "string", "pattern": "^--[a-z]"}},
    "nodeSelector": LABELS,
    "tolerations": {"type": "array", "items": TOLERATION},
    "affinity": AFFINITY,
    "topologySpreadConstraints": {"type": "array", "items": FREE},
    "podSecurityContext": FREE,
    "securityContext": FREE,
    "serviceAccount.annotations": TEXTS,
    "podAnnotations": TEXTS,
    "podLabels": LABELS,
    "deploymentAnnotations": TEXTS,
    "commonLabels": LABELS,
    "commonAnnotations": TEXTS,
    "networkPolicy.webhookFrom": {"type": "array", "items": FREE},
    "networkPolicy.metricsNamespaceLabels": LABELS,
    "networkPolicy.apiServerCidrs": {
        "type": "array",
        "items": {"type": "string", "pattern": r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"},
    },
    "networkPolicy.apiServerPorts": {"type": "array", "minItems": 1, "items": PORT},
    "metrics.monitor.kind": {"enum": ["", "ServiceMonitor", "PodMonitor"]},
    "metrics.monitor.interval": DURATION,
    "metrics.monitor.labels": LABELS,
    "metrics.rules.labels": LABELS,
    "metrics.dashboard.labels": LABELS,
    "metrics.dashboard.annotations": TEXTS,
}


def comments(text):
    """The line of comment above each key, by its path."""
    found, path, comment = {}, [], None
    for line in text.splitlines():
        entry = re.match(r"^( *)([A-Za-z]\w*):", line)
        if line.strip().startswith("#"):
            comment = line.strip().lstrip("# ")
        elif entry:
            depth = len(entry[1]) // 2
            path = path[:depth] + [entry[2]]
            if comment:
                found[".".join(path)] = comment
            comment = None
        else:
            comment = None
    return found


def values(tree, explained, path=""):
    """Every value, as (path, default). One with a comment is one value, even if it has parts."""
    for key, value in tree.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict) and value and here not in explained:
            yield from values(value, explained, here)
        else:
            yield here, value


def type_of(value):
    kinds = {bool: "boolean", str: "string", int: "integer", list: "array", dict: "object"}
    return {"type": kinds[type(value)]}


def schema_of(tree, explained, path=""):
    """A strict schema of a mapping of values."""
    properties = {}
    for key, value in tree.items():
        here = f"{path}.{key}" if path else key
        if here == "config":
            properties[key] = {"$ref": "#/$defs/PoolGuardConfig"}
        elif here in SCHEMAS:
            properties[key] = dict(SCHEMAS[here])
        elif isinstance(value, dict):
            properties[key] = schema_of(value, explained, here)
        else:
            properties[key] = type_of(value)
        if here in explained:
            properties[key]["description"] = explained[here]
    return {"type": "object", "additionalProperties": False, "properties": properties}


def readable(schema):
    """Alternatives that are constants, as an enumeration: Helm's message then lists them.

    Keys of our own (x-…) are for other readers.
    """
    if isinstance(schema, list):
        return [readable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    alternatives = schema.get("oneOf", [])
    if alternatives and all("const" in one for one in alternatives):
        schema = {key: value for key, value in schema.items() if key != "oneOf"}
        schema["enum"] = [one["const"] for one in alternatives]
    return {key: readable(value) for key, value in schema.items() if not key.startswith("x-")}


def make_schema():
    text = (CHART / "values.yaml").read_text()
    config = readable(json.loads(CONFIG_SCHEMA.read_text()))
    definitions = config.pop("$defs")
    for key in ("$id", "$schema"):
        config.pop(key)
    schema = schema_of(yaml.safe_load(text), comments(text))
    # A chart that has this one as a part hands it its globals.
    schema["properties"]["global"] = {"type": "object"}
    # Of an older draft, which Helm 3 knows as well.
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart poolguard",
        **schema,
        "definitions": {**definitions, "PoolGuardConfig": config},
    }
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    return text.replace('"#/$defs/', '"#/definitions/') + "\n"


def make_table():
    text = (CHART / "values.yaml").read_text()
    explained = comments(text)
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for path, default in values(yaml.safe_load(text), explained):
        shown = json.dumps(default, ensure_ascii=False)
        if path == "config":
            shown = "{apiVersion: …, kind: …}"
        rows.append(f"| `{path}` | `{shown}` | {explained[path]} |")
    return "\n".join(rows) + "\n"


def make_readme():
    """README.md with the table of today."""
    before, rest = (CHART / "README.md").read_text().split(START)
    _, after = rest.split(END)
    return before + START + make_table() + END + after


if __name__ == "__main__":
    (CHART / "values.schema.json").write_text(make_schema())
    (CHART / "README.md").write_text(make_readme())
