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
SIZE = {"type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$"}
COUNT = {"type": "integer", "minimum": 1, "maximum": 100000}
NUMBER_OR_PERCENTAGE = {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+%$"}
OPTIONAL_NUMBER_OR_PERCENTAGE = {**NUMBER_OR_PERCENTAGE, "pattern": "^([0-9]+%)?$"}


def list_of(required, properties, **others):
    """A list of objects with these keys and no others."""
    item = {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
        **others,
    }
    return {"type": "array", "items": item}


TEXT = {"type": "string", "minLength": 1}
TEXT_LIST = {"type": "array", "items": TEXT}
FREE_LIST = {"type": "array", "items": FREE}
ENVIRONMENT = list_of(
    ["name"],
    {
        "name": TEXT,
        "value": {"type": "string"},
        "valueFrom": FREE,
    },
)
# The source of a volume is one of many kinds: Kubernetes checks it.
VOLUMES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name"],
        "minProperties": 2,
        "properties": {"name": TEXT},
    },
}
MOUNTS = list_of(
    ["name", "mountPath"],
    {
        "name": TEXT,
        "mountPath": {"type": "string", "pattern": "^/"},
        "subPath": TEXT,
        "subPathExpr": TEXT,
        "readOnly": {"type": "boolean"},
        "recursiveReadOnly": {"enum": ["Disabled", "IfPossible", "Enabled"]},
        "mountPropagation": {"enum": ["None", "HostToContainer", "Bidirectional"]},
    },
)
PROBE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "initialDelaySeconds": {"type": "integer", "minimum": 0},
        **{
            key: {"type": "integer", "minimum": 1}
            for key in ("periodSeconds", "timeoutSeconds", "failureThreshold")
        },
    },
}
DNS_CONFIG = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "nameservers": TEXT_LIST,
        "searches": TEXT_LIST,
        "options": list_of(["name"], {"name": TEXT, "value": {"type": "string"}}),
    },
}
SELECTOR = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"matchLabels": TEXTS, "matchExpressions": FREE_LIST},
}
RELABELINGS = list_of(
    [],
    {
        "sourceLabels": TEXT_LIST,
        "separator": {"type": "string"},
        "targetLabel": TEXT,
        "regex": {"type": "string"},
        "modulus": {"type": "integer"},
        "replacement": {"type": "string"},
        "action": TEXT,
    },
)
EXPRESSIONS = list_of(
    ["key", "operator"],
    {
        "key": TEXT,
        "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]},
        "values": {"type": "array", "items": {"type": "string"}},
    },
)
NODE_TERMS = list_of([], {"matchExpressions": EXPRESSIONS, "matchFields": EXPRESSIONS}, minProperties=1)
SUBJECTS = list_of(
    ["kind", "name"],
    {
        "kind": {"enum": ["User", "Group", "ServiceAccount"]},
        "name": TEXT,
        "namespace": {"type": "string"},
        "apiGroup": {"enum": ["", "rbac.authorization.k8s.io"]},
    },
)
TOLERATIONS = list_of(
    [],
    {
        "key": {"type": "string"},
        "operator": {"enum": ["Equal", "Exists"]},
        "value": {"type": "string"},
        "effect": {"enum": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"]},
        "tolerationSeconds": {"type": "integer"},
    },
)
AFFINITY = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "podAffinity": FREE,
        "podAntiAffinity": FREE,
        # The chart joins each of the required terms with those that keep PoolGuard off the pools' nodes.
        "nodeAffinity": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["nodeSelectorTerms"],
                    "properties": {"nodeSelectorTerms": {**NODE_TERMS, "minItems": 1}},
                },
                "preferredDuringSchedulingIgnoredDuringExecution": FREE_LIST,
            },
        },
    },
}
QUANTITY = {"type": ["string", "number"]}
QUANTITIES = {"type": "object", "additionalProperties": QUANTITY}
REFERENCE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "kind": {"type": "string", "minLength": 1},
        "group": {"type": "string", "minLength": 1},
    },
}
PULL_SECRETS = list_of(["name"], {"name": TEXT})

# What the default of a value does not say of it.
SCHEMAS = {
    "existingConfigMap": {"type": "string", "pattern": NAME},
    "global.imagePullSecrets": {
        "type": "array",
        "items": {"anyOf": [TEXT, PULL_SECRETS["items"]]},
    },
    "mode": {"enum": ["", "audit", "warn", "enforce"]},
    "replicas": {"type": "integer", "minimum": 0},
    "image.repository": {"type": "string", "minLength": 1},
    "image.digest": {"type": "string", "pattern": r"^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "image.pullSecrets": PULL_SECRETS,
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
    "breakGlass.subjects": SUBJECTS,
    "auditFile.size": {"type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)$"},
    "auditFile.count": {"type": "integer", "minimum": 1, "maximum": 1000},
    "auditFile.volume": FREE,
    "service.port": PORT,
    "service.annotations": TEXTS,
    "service.ipFamilyPolicy": {"enum": ["", "SingleStack", "PreferDualStack", "RequireDualStack"]},
    "service.ipFamilies": {
        "type": "array",
        "maxItems": 2,
        "uniqueItems": True,
        "items": {"enum": ["IPv4", "IPv6"]},
    },
    "ports.webhook": PORT,
    "ports.admin": PORT,
    "bindAddress": {"type": "string", "pattern": r"^([0-9.]+|\[[0-9a-f:]+\])$"},
    "dnsPolicy": {"enum": ["", "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]},
    "dnsConfig": DNS_CONFIG,
    "hostAliases": list_of(["ip", "hostnames"], {"ip": TEXT, "hostnames": TEXT_LIST}),
    "shutdown.delaySeconds": SECONDS,
    "shutdown.drainSeconds": SECONDS,
    "resources.requests": QUANTITIES,
    **{f"resources.{key}": QUANTITY for key in ("requests.cpu", "requests.memory", "limits.memory")},
    "resources.limits": QUANTITIES,
    "workerThreads": {"type": "integer", "minimum": 1},
    "logFormat": {"enum": ["json", "human"]},
    "logLevel": {"type": "string", "pattern": "^[-_:=,a-zA-Z0-9]+$"},
    **{f"serverLimits.{key}": SIZE for key in ("maxBody", "maxBodyBytesInFlight")},
    **{
        f"serverLimits.{key}": COUNT
        for key in ("maxRequestsInFlight", "maxConnections", "maxStreams")
    },
    **{
        f"serverLimits.{key}Timeout": DURATION
        for key in ("handshake", "header", "body", "answer", "idle")
    },
    "extraEnv": ENVIRONMENT,
    "extraVolumes": VOLUMES,
    "extraVolumeMounts": MOUNTS,
    **{f"probes.{key}": PROBE for key in ("liveness", "startup")},
    # Several successes in a row only make sense for readiness.
    "probes.readiness": {
        **PROBE,
        "properties": {**PROBE["properties"], "successThreshold": {"type": "integer", "minimum": 1}},
    },
    "strategy.type": {"enum": ["RollingUpdate", "Recreate"]},
    "strategy.rollingUpdate.maxSurge": NUMBER_OR_PERCENTAGE,
    "strategy.rollingUpdate.maxUnavailable": NUMBER_OR_PERCENTAGE,
    "revisionHistoryLimit": {"type": "integer", "minimum": 0},
    "runtimeClassName": {"type": "string", "pattern": NAME},
    "podDisruptionBudget.maxUnavailable": NUMBER_OR_PERCENTAGE,
    "podDisruptionBudget.minAvailable": OPTIONAL_NUMBER_OR_PERCENTAGE,
    "podDisruptionBudget.unhealthyPodEvictionPolicy": {"enum": ["AlwaysAllow", "IfHealthyBudget"]},
    "extraArgs": {"type": "array", "items": {"type": "string", "pattern": "^--[a-z]"}},
    "nodeSelector": LABELS,
    "tolerations": TOLERATIONS,
    "affinity": AFFINITY,
    "topologySpreadConstraints": FREE_LIST,
    "podSecurityContext": FREE,
    "securityContext": FREE,
    "serviceAccount.name": {"type": "string", "pattern": NAME},
    "serviceAccount.annotations": TEXTS,
    "podAnnotations": TEXTS,
    "podLabels": LABELS,
    "deploymentAnnotations": TEXTS,
    "commonLabels": LABELS,
    "commonAnnotations": TEXTS,
    "extraObjects": {
        "type": "array",
        "items": {"anyOf": [TEXT, {"type": "object", "required": ["apiVersion", "kind", "metadata"]}]},
    },
    "networkPolicy.webhookFrom": FREE_LIST,
    "networkPolicy.metricsNamespaceLabels": LABELS,
    "networkPolicy.apiServerCidrs": {
        "type": "array",
        "items": {"type": "string", "pattern": r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"},
    },
    "networkPolicy.apiServerPorts": {"type": "array", "minItems": 1, "items": PORT},
    "metrics.monitor.kind": {"enum": ["", "ServiceMonitor", "PodMonitor"]},
    "metrics.monitor.interval": DURATION,
    "metrics.monitor.namespace": {"type": "string", "pattern": NAME},
    "metrics.monitor.scrapeTimeout": {"type": "string", "pattern": f"^$|{DURATION['pattern']}"},
    "metrics.monitor.labels": LABELS,
    "metrics.monitor.relabelings": RELABELINGS,
    "metrics.monitor.metricRelabelings": RELABELINGS,
    "metrics.rules.namespace": {"type": "string", "pattern": NAME},
    "metrics.rules.labels": LABELS,
    "metrics.rules.disabled": TEXT_LIST,
    "metrics.rules.alertLabels": LABELS,
    "metrics.rules.runbookUrl": {"type": "string", "pattern": "^(https?://.+)?$"},
    "metrics.dashboard.kind": {"enum": ["ConfigMap", "GrafanaDashboard"]},
    "metrics.dashboard.namespace": {"type": "string", "pattern": NAME},
    "metrics.dashboard.labels": LABELS,
    "metrics.dashboard.annotations": TEXTS,
    "metrics.dashboard.instanceSelector": SELECTOR,
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
            if isinstance(value, dict) and value and here not in explained:
                # An open mapping: the keys of its default have an explanation each.
                properties[key]["properties"] = schema_of(value, explained, here)["properties"]
        elif isinstance(value, dict):
            properties[key] = schema_of(value, explained, here)
        else:
            properties[key] = type_of(value)
        if here in explained:
            properties[key]["description"] = explained[here]
            if here != "config":
                properties[key]["default"] = value
    # Other charts of a parent chart have globals of their own.
    return {"type": "object", "additionalProperties": path == "global", "properties": properties}


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
