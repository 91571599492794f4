"""The alerts, their runbooks, the dashboard and the page about them hold together, and with the code.

`tests/alerts/run` finds promtool and PyYAML, and starts this.
"""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "charts/poolguard/files/alerts.yaml"
DASHBOARD = ROOT / "charts/poolguard/files/dashboard.json"
RUNBOOKS = ROOT / "docs/runbooks"
PAGE = ROOT / "docs/monitoring.md"
TESTS = sorted((ROOT / "tests/alerts").glob("*.yaml"))
PROMTOOL = os.environ.get("PROMTOOL", "promtool")
RUNBOOK_URL = "https://github.com/AutoMQ/poolguard/blob/main/docs/runbooks/"
SEVERITIES = ["critical", "warning", "info"]

# What a scrape, or a Prometheus of several clusters, adds.
TARGET_LABELS = {"job", "instance", "cluster", "namespace", "pod"}

# Everything that is used of others, with its labels.
OTHERS = {
    # Kubernetes' API server: staging/src/k8s.io/apiserver/pkg/admission/metrics/metrics.go
    "apiserver_admission_webhook_fail_open_count": ["name", "type"],
    "apiserver_admission_webhook_rejection_count": [
        "name", "type", "operation", "error_type", "rejection_code",
    ],
    "apiserver_admission_webhook_request_total": ["name", "type", "operation", "code", "rejected"],
    "apiserver_admission_webhook_admission_duration_seconds_bucket": [
        "name", "type", "operation", "rejected", "le",
    ],
    "apiserver_admission_match_condition_evaluation_errors_total": [
        "name", "kind", "type", "operation",
    ],
    # kube-state-metrics: docs/metrics/workload/daemonset-metrics.md
    "kube_daemonset_status_desired_number_scheduled": ["namespace", "daemonset"],
    "kube_daemonset_status_current_number_scheduled": ["namespace", "daemonset"],
    "kube_daemonset_status_number_ready": ["namespace", "daemonset"],
    # cAdvisor, in the kubelet
    "container_memory_working_set_bytes": ["namespace", "pod", "container"],
    "container_cpu_usage_seconds_total": ["namespace", "pod", "container"],
    "container_cpu_cfs_periods_total": ["namespace", "pod", "container"],
    "container_cpu_cfs_throttled_periods_total": ["namespace", "pod", "container"],
    # Prometheus
    "up": [],
    "ALERTS": ["alertname", "alertstate", "severity"],
}

# Which set of the code a label takes its values from.
LABEL_SETS = {
    "condition": "BackstopCondition",
    "webhook": "WebhookLabel",
    "operation": "OperationLabel",
    "resource": "ResourceLabel",
    "decision": "DecisionLabel",
    "state": "NodeStateLabel",
    "result": "ReloadResult",
    "certificate": "CertificateLabel",
    "step": "AuthorityStep",
    "sink": "AuditSink",
    "client": "ClientLabel",
    "mode": "Mode",
}
# Labels of PoolGuard's metrics that may have any value.
FREE_LABELS = {"pool", "zone", "version", "revision", "hash", "daemonset_namespace", "daemonset"}
REASON_SETS = {
    "poolguard_faults_total": "FaultReason",
    "poolguard_webhook_registration_writes_total": "RegistrationWrite",
}

STRING = r'"(?:[^"\\]|\\[\s\S])*"'


def code(path):
    """A source file without its tests."""
    return (ROOT / path).read_text().split("#[cfg(test)]")[0]


def metrics_of_the_code():
    """Name → (labels, help), from the literals of src/telemetry/metrics*."""
    found = {}
    for path in ["src/telemetry/metrics.rs", *sorted(p.relative_to(ROOT) for p in (ROOT / "src/telemetry/metrics").glob("*.rs"))]:
        text = code(path)
        starts = [*re.finditer(r'"((?:poolguard|process)_\w+)",\s*(' + STRING + ")", text)]
        for start, following in zip(starts, [*starts[1:], None]):
            rest = text[start.end() : following.start() if following else len(text)]
            labels = re.search(r"&\[((?:\s*\"\w+\",?)+)\s*\]", rest.split("fn ")[0])
            names = re.findall(r'"(\w+)"', labels[1]) if labels else []
            found[start[1]] = (names, re.sub(r"\\\n\s*", "", start[2][1:-1]))
    return found


def label_sets_of_the_code():
    sets = {}
    for name, body in re.findall(r"labels! \{\s*(?:///[^\n]*\s*)*(\w+) \{(.*?)\n    \}", code("src/telemetry/metrics/label.rs"), re.S):
        sets[name] = re.findall(r'\w+ = "([^"]+)",', body)
    rules, modes = code("core/src/policy/mode.rs").split("impl fmt::Display for RuleName")
    sets["RuleName"] = re.findall(r'Self::\w+ => "([a-z-]+)"', rules)
    modes = re.findall(r'Self::\w+ => "([a-z]+)"', modes.split("impl fmt::Display for Mode")[0])
    sets["Mode"] = modes[::-1]
    return sets


CODE = metrics_of_the_code()
SETS = label_sets_of_the_code()
RULES = yaml.safe_load(ALERTS.read_text())
ALL_RULES = [rule for group in RULES["groups"] for rule in group["rules"]]
ALERT_RULES = {rule["alert"]: rule for rule in ALL_RULES if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in ALL_RULES if "record" in rule}


def known_metrics():
    """Every series name that may be asked for, with its labels."""
    known = dict(OTHERS)
    for name, (labels, _) in CODE.items():
        known[name] = labels
        if name.endswith("_duration_seconds"):
            known[f"{name}_bucket"] = [*labels, "le"]
            known[f"{name}_count"] = known[f"{name}_sum"] = labels
    for name in RECORDED:
        known[name] = ["result"]
    return known


KNOWN = known_metrics()

KEYWORDS = {
    "and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset",
    "bool", "inf", "nan", "start", "end",
}


def selectors(query):
    """(metric, [(label, operator, value)]) of every selector of a query."""
    query = re.sub(r"#.*", "", query)
    query = re.sub(r"\[[^\]]*\]", "", query)
    query = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", query)
    pattern = r"([A-Za-z_:][\w:]*)\s*(\{(?:[^{}\"]|" + STRING + r")*\}|\()?"
    found = []
    position = 0
    while match := re.compile(STRING + "|" + r"\d+[a-z]+|" + pattern).search(query, position):
        position = match.end()
        name, behind = match[1], match[2]
        if not name or behind == "(" or name.lower() in KEYWORDS:
            continue
        matchers = re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"', behind or "")
        found.append((name, matchers))
    return found


def values(metric, label):
    """The values that a label of PoolGuard's may take, or None where it is free."""
    if label == "reason":
        return SETS[REASON_SETS[metric]]
    if label == "rule":
        return SETS["RuleName"]
    return SETS.get(LABEL_SETS.get(label))


def promtool(*arguments):
    return subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def sources(value):
    """Every data source that is named anywhere within."""
    if isinstance(value, dict):
        if "datasource" in value:
            yield value["datasource"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from sources(part)


def dashboard_queries():
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]


def runbook_queries():
    for path in sorted(RUNBOOKS.glob("*.md")):
        for block in re.findall(r"```promql\n(.*?)```", path.read_text(), re.S):
            for line in block.strip().splitlines():
                yield f"{path.name}", line


def every_query():
    yield from ((rule.get("alert") or rule["record"], rule["expr"]) for rule in ALL_RULES)
    yield from dashboard_queries()
    yield from runbook_queries()


def seconds(duration):
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([dhms])", duration))


def table(text, heading):
    """The rows of the first table below a heading, without its head, as lists of cells."""
    lines = text.split(heading, 1)[1].splitlines()
    rows = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


class Code(unittest.TestCase):
    """What is read of the code is what is there."""

    def test_every_metric_is_found(self):
        texts = [code("src/telemetry/metrics.rs"), *(p.read_text() for p in (ROOT / "src/telemetry/metrics").glob("*.rs"))]
        self.assertEqual(set(CODE), {name for text in texts for name in re.findall(r'"((?:poolguard|process)_\w+)"', text)})
        self.assertGreater(len(CODE), 20)

    def test_labels_are_found(self):
        self.assertEqual(CODE["poolguard_admission_requests_total"][0], ["webhook", "operation", "resource", "decision"])
        self.assertEqual(CODE["poolguard_admission_duration_seconds"][0], ["webhook"])
        self.assertEqual(CODE["poolguard_certificate_expiry_timestamp_seconds"][0], ["certificate"])
        self.assertEqual(CODE["poolguard_snapshot_age_seconds"][0], [])
        for name, (labels, _) in CODE.items():
            for label in labels:
                with self.subTest(metric=name, label=label):
                    self.assertTrue(label in FREE_LABELS or values(name, label))

class Alerts(unittest.TestCase):
    def test_promtool_takes_the_rules(self):
        checked = promtool("check", "rules", ALERTS)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_every_alert_says_how_grave_it_is_and_what_to_do(self):
        names = [rule["alert"] for rule in ALL_RULES if "alert" in rule]
        self.assertEqual(len(names), len(set(names)))
        for name, rule in ALERT_RULES.items():
            with self.subTest(alert=name):
                self.assertTrue(name.startswith("PoolGuard"))
                self.assertIn(rule["labels"]["severity"], SEVERITIES)
                self.assertEqual(set(rule["annotations"]), {"runbook_url", "summary", "description"})
                for text in rule["annotations"].values():
                    self.assertEqual(text, text.strip())
                self.assertTrue(rule["annotations"]["summary"].endswith("."))

    def test_clusters_are_kept_apart(self):
        """Every aggregation keeps the label `cluster`, and so does every comparison of two metrics."""
        for name, rule in ALERT_RULES.items():
            query = re.sub(r"#.*", "", rule["expr"])
            for kept in re.findall(r"\b(?:sum|max|min|avg|count)\b\s*(\([^)]*|by\s*\([^)]*)", query):
                with self.subTest(alert=name, aggregation=kept):
                    self.assertRegex(kept, r"^by\s*\(cluster\b")
            for on in re.findall(r"\bon\s*\(([^)]*)\)", query):
                with self.subTest(alert=name, on=on):
                    # PoolGuardAbsent has no cluster to name if there is no series at all.
                    self.assertTrue(on.startswith("cluster") or (name, on) == ("PoolGuardAbsent", ""))

    def test_no_job_is_named(self):
        for where, query in every_query():
            for metric, matchers in selectors(query):
                self.assertNotIn("job", [label for label, _, _ in matchers], where)


class Tests(unittest.TestCase):
    def test_promtool_runs_them(self):
        for path in TESTS:
            with self.subTest(file=path.name):
                tested = promtool("test", "rules", path)
                self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)

    def test_every_alert_fires_does_not_fire_and_resolves(self):
        kinds = {name: set() for name in ALERT_RULES}
        for path in TESTS:
            for test in yaml.safe_load(path.read_text())["tests"]:
                self.assertTrue(test["input_series"], test["name"])
                looks = {}
                for look in test["alert_rule_test"]:
                    time = seconds(look["eval_time"])
                    looks.setdefault(look["alertname"], []).append((time, bool(look["exp_alerts"])))
                for alert, times in looks.items():
                    self.assertIn(alert, kinds, path.name)
                    fired = [is_firing for _, is_firing in sorted(times)]
                    if not any(fired):
                        kinds[alert].add("does not fire")
                        continue
                    kinds[alert].add("fires")
                    if not fired[0] and not fired[-1]:
                        kinds[alert].add("resolves")
        for alert, found in kinds.items():
            self.assertEqual(found, {"fires", "does not fire", "resolves"}, alert)

    def test_their_series_are_such_as_there_are(self):
        for path in TESTS:
            for test in yaml.safe_load(path.read_text())["tests"]:
                for series in test["input_series"]:
                    with self.subTest(file=path.name, series=series["series"]):
                        [(metric, labels)] = selectors(series["series"])
                        self.assertIn(metric, KNOWN)
                        names = {label for label, _, _ in labels}
                        self.assertLessEqual(set(KNOWN[metric]), names)
                        self.assertLessEqual(names, set(KNOWN[metric]) | TARGET_LABELS)
                        for label, _, value in labels:
                            if metric.startswith("poolguard_") and label not in TARGET_LABELS:
                                self.assertIn(value, values(metric, label) or [value])


class Queries(unittest.TestCase):
    def test_every_metric_is_there(self):
        for where, query in every_query():
            found = selectors(query)
            self.assertTrue(found, f"{where}: {query}")
            for metric, _ in found:
                self.assertIn(metric, KNOWN, f"{where}: {query}")

    def test_every_label_and_value_is_there(self):
        for where, query in every_query():
            for metric, matchers in selectors(query):
                for label, operator, value in matchers:
                    with self.subTest(where=where, metric=metric, label=label):
                        self.assertIn(label, set(KNOWN[metric]) | TARGET_LABELS)
                        allowed = values(metric, label) if metric.startswith("poolguard_") else None
                        if not allowed or "$" in value:
                            continue
                        for part in value.split("|") if "~" in operator else [re.escape(value)]:
                            self.assertTrue(any(re.fullmatch(part, it) for it in allowed), part)

    def test_every_query_is_promql(self):
        rules = []
        for index, (where, query) in enumerate([*dashboard_queries(), *runbook_queries()]):
            query = re.sub(r"\$__(rate_interval|interval|range)\b", "5m", query)
            query = re.sub(r"\$\{?\w+\}?", "x", query)
            rules.append({"record": f"query:{index}", "expr": query, "labels": {"of": where}})
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}, file)
            file.flush()
            checked = promtool("check", "rules", file.name)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertGreater(len(rules), 50)


class Runbooks(unittest.TestCase):
    def test_every_alert_has_one_that_names_it_and_every_one_an_alert(self):
        used = set()
        for alert, rule in ALERT_RULES.items():
            with self.subTest(alert=alert):
                url = rule["annotations"]["runbook_url"]
                self.assertTrue(url.startswith(RUNBOOK_URL))
                path = RUNBOOKS / url.removeprefix(RUNBOOK_URL)
                self.assertTrue(path.is_file(), path)
                title = path.read_text().splitlines()[0]
                self.assertIn(alert, re.findall(r"\w+", title))
                used.add(path.name)
        there = {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md"}
        self.assertEqual(used, there)

    def test_each_says_what_it_means_what_to_look_at_and_what_to_do(self):
        for path in RUNBOOKS.glob("*.md"):
            if path.name == "README.md":
                continue
            text = path.read_text()
            with self.subTest(file=path.name):
                for part in ["**Meaning.** ", "**Impact.** ", "**Look at**\n", "**Do**\n"]:
                    self.assertEqual(text.count(part), 1, part)
                self.assertIn("```promql", text)
                named = set(re.findall(r"\bPoolGuard[A-Z]\w+", text))
                self.assertLessEqual(named - {"PoolGuardConfig"}, set(ALERT_RULES))

    def test_the_index_lists_every_alert_with_its_severity_and_page(self):
        listed = {}
        for alert, severity, *_ in table((RUNBOOKS / "README.md").read_text(), "# "):
            name, page = re.fullmatch(r"\[(\w+)\]\(([\w.-]+)\)", alert).groups()
            listed[name] = (severity, page)
        expected = {
            alert: (rule["labels"]["severity"], rule["annotations"]["runbook_url"].removeprefix(RUNBOOK_URL))
            for alert, rule in ALERT_RULES.items()
        }
        self.assertEqual(listed, expected)
        order = [SEVERITIES.index(severity) for severity, _ in listed.values()]
        self.assertEqual(order, sorted(order))


class Dashboard(unittest.TestCase):
    def setUp(self):
        self.dashboard = json.loads(DASHBOARD.read_text())
        self.panels = [*panels(self.dashboard)]

    def test_panels_have_an_id_of_their_own(self):
        ids = [panel["id"] for panel in self.panels]
        self.assertEqual(len(ids), len(set(ids)))

    def test_panels_do_not_overlap(self):
        taken = {}
        for panel in self.panels:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), taken, f"{panel['title']} and {taken.get((x, y))}")
                    taken[x, y] = panel["title"]

    def test_every_panel_has_a_title_a_description_and_a_unit(self):
        for panel in self.panels:
            with self.subTest(panel=panel["title"]):
                self.assertTrue(panel["title"])
                if panel["type"] == "row":
                    continue
                self.assertTrue(panel["description"].endswith("."))
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                self.assertTrue(panel["targets"])

    def test_the_data_source_is_a_variable_everywhere(self):
        variables = {it["name"]: it for it in self.dashboard["templating"]["list"]}
        self.assertEqual(variables["datasource"]["type"], "datasource")
        found = [*sources(self.dashboard)]
        self.assertGreater(len(found), len(self.panels))
        for source in found:
            self.assertEqual(source, {"type": "prometheus", "uid": "${datasource}"})

    def test_variables_are_those_that_are_used(self):
        defined = {it["name"] for it in self.dashboard["templating"]["list"]}
        used = set(re.findall(r"\$\{?(?!__)(\w+)", json.dumps(self.dashboard)))
        self.assertEqual(used, defined)
        for variable in self.dashboard["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable["definition"]).groups()
                self.assertIn(label, set(KNOWN[metric]) | TARGET_LABELS)

    def test_every_query_is_about_the_chosen_clusters(self):
        for where, query in dashboard_queries():
            for metric, matchers in selectors(query):
                self.assertIn(("cluster", "=~", "$cluster"), matchers, f"{where}: {metric}")

    def test_every_metric_of_poolguard_is_shown(self):
        shown = {metric for _, query in dashboard_queries() for metric, _ in selectors(query)}
        shown = {re.sub("_bucket$", "", metric) for metric in shown}
        self.assertEqual(set(CODE) - shown, set())


class Page(unittest.TestCase):
    def test_it_lists_every_metric_with_its_labels_type_and_unit(self):
        listed = {}
        for name, labels, unit, meaning in table(PAGE.read_text(), "## Metrics"):
            self.assertTrue(meaning)
            name = name.strip("`")
            listed[name] = re.findall(r"`(\w+)`", labels)
            ends = {"_total": "counter", "_duration_seconds": "histogram"}
            kind = next((kind for end, kind in ends.items() if name.endswith(end)), "gauge")
            self.assertTrue(unit.startswith(f"{kind}, "), f"{name}: {unit}")
        self.assertEqual(listed, {name: labels for name, (labels, _) in CODE.items()})

    def test_it_lists_every_value_of_a_closed_label(self):
        listed = {}
        for label, found in table(PAGE.read_text(), "### Labels"):
            listed[label] = re.findall(r"`([^`]+)`", found)
        expected = {f"`{label}`": SETS[name] for label, name in LABEL_SETS.items()}
        expected |= {f"`reason` of `{metric}`": SETS[name] for metric, name in REASON_SETS.items()}
        expected["`rule`"] = SETS["RuleName"]
        self.assertEqual(listed, expected)

    def test_it_lists_every_metric_of_others(self):
        page = PAGE.read_text().split("## What else is needed", 1)[1]
        for name in OTHERS:
            if name not in ("up", "ALERTS", "kube_daemonset_status_number_ready"):
                self.assertIn(f"`{name.removesuffix('_bucket')}`", page)


if __name__ == "__main__":
    unittest.main()
