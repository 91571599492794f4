"""The chart, for every set of values: linted, rendered, validated, compared with what it was."""

import difflib
import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import tempfile
import unittest

import jsonschema
import kubernetes_validate
import yaml
from helm_python.chart import Chart, lint, values_from_yaml

import engine
import generate
from engine import CHART, CONFIGURED, NAMESPACE, RELEASE, ROOT, SETS, VERSIONS, objects, rendered

SCHEMAS = ROOT / "tests/data/schemas"
GOLDEN = ROOT / "tests/chart/golden"
CUSTOM_GROUPS = {"cert-manager.io", "grafana.integreatly.org", "monitoring.coreos.com"}

# A schema is read once, and not for every object.
kubernetes_validate.utils.schema_contents = functools.cache(
    kubernetes_validate.utils.schema_contents
)


def custom_schema(thing):
    group, version = thing["apiVersion"].split("/")
    path = SCHEMAS / f"{group}_{version}_{thing['kind']}.json"
    if not path.exists():
        raise AssertionError(f"{path.relative_to(ROOT)} is missing: nothing checks {thing['kind']}")
    return json.loads(path.read_text())


def validate(thing, version):
    """Strictly: a field that the API does not have is an error."""
    if thing["apiVersion"].split("/")[0] in CUSTOM_GROUPS:
        jsonschema.Draft202012Validator(custom_schema(thing)).validate(thing)
    else:
        found = kubernetes_validate.validate(thing, version, strict=True)
        # The library takes an older schema where it has none of that version.
        assert version.startswith(found), f"there are no schemas of Kubernetes {version}"


@functools.cache
def validate_once(text, version):
    validate(json.loads(text), version)


class Rendering(unittest.TestCase):
    def test_helm_finds_nothing_to_complain_about(self):
        for name in SETS:
            for version in VERSIONS:
                with self.subTest(name, version=version):
                    values = engine.read_values(name)
                    report = lint(CHART, values, strict=True, kube_version=f"v{version}")
                    self.assertEqual((report["messages"], report["errors"]), ([], []))

    def test_every_object_is_one_that_kubernetes_takes(self):
        for name in SETS:
            for version in VERSIONS:
                tested = engine.objects_of(rendered(name, version), of_helm_test=True)
                for thing in [*objects(name, version), *tested]:
                    with self.subTest(name, version=version, kind=thing["kind"]):
                        validate_once(json.dumps(thing, sort_keys=True), version)

    def test_a_field_that_does_not_exist_is_noticed(self):
        deployment = json.loads(json.dumps(engine.only(objects("defaults"), "Deployment")))
        deployment["spec"]["template"]["spec"]["containers"][0]["readyProbe"] = {}
        with self.assertRaises(kubernetes_validate.ValidationError):
            validate(deployment, VERSIONS[0])
        monitor = dict(engine.only(objects("monitoring"), "ServiceMonitor"))
        monitor["spec"] = {**monitor["spec"], "selectors": {}}
        with self.assertRaises(jsonschema.ValidationError):
            validate(monitor, VERSIONS[0])
        with self.assertRaisesRegex(AssertionError, "ThanosRuler.json is missing"):
            validate({"apiVersion": "monitoring.coreos.com/v1", "kind": "ThanosRuler"}, "1.37.0")

    def test_both_versions_get_the_same(self):
        for name in SETS:
            with self.subTest(name):
                self.assertEqual(*[rendered(name, version) for version in VERSIONS])

    def test_what_is_rendered_is_what_was_agreed_on(self):
        """UPDATE_GOLDEN=1 writes the files again."""
        for name in SETS:
            with self.subTest(name):
                path, text = GOLDEN / f"{name}.yaml", golden(name)
                if os.environ.get("UPDATE_GOLDEN"):
                    path.write_text(text)
                self.assertTrue(path.exists(), "UPDATE_GOLDEN=1 makes it")
                agreed = path.read_text().splitlines()
                difference = difflib.unified_diff(agreed, text.splitlines(), n=1, lineterm="")
                changed = "\n".join(difference)
                if changed:
                    self.fail(f"{path.relative_to(ROOT)} differs\n{changed}")
        self.assertEqual(sorted(path.stem for path in GOLDEN.iterdir()), SETS)

    def test_no_two_objects_have_one_name(self):
        for name in SETS:
            keys = [(it["apiVersion"], it["kind"], it["metadata"]["name"]) for it in objects(name)]
            with self.subTest(name):
                self.assertEqual(len(keys), len(set(keys)))

    def test_alerts_and_dashboard_are_those_of_the_files(self):
        found = objects("monitoring")
        rule = engine.only(found, "PrometheusRule")
        text = (CHART / "files/alerts.yaml").read_text()
        # The runbooks of main may be about other alerts than those of this version.
        version = engine.chart().metadata["appVersion"]
        pinned = text.replace("/blob/main/docs/runbooks/", f"/blob/v{version}/docs/runbooks/")
        self.assertEqual(rule["spec"], yaml.safe_load(pinned))
        dashboard = engine.only(found, "ConfigMap", f"{RELEASE}-dashboard")
        text = (CHART / "files/dashboard.json").read_text()
        self.assertEqual(json.loads(dashboard["data"][f"{RELEASE}.json"]), json.loads(text))

    def test_names_follow_the_release(self):
        for thing in engine.objects_of(engine.render({}, release="blue", namespace="other")):
            name = thing["metadata"]["name"]
            self.assertRegex(name, r"^blue-poolguard(-metrics|-break-glass)?$")
            self.assertIn(thing["metadata"].get("namespace"), (None, "other"))
            self.assertNotIn(NAMESPACE, json.dumps(thing))

    def test_names_of_a_long_release_are_still_names(self):
        values = engine.read_values("break-glass")
        for thing in engine.objects_of(engine.render(values, release="a" * 53)):
            self.assertLessEqual(len(thing["metadata"]["name"]), 63)

    def test_there_is_no_webhook_authority_or_hook(self):
        for name in SETS:
            for thing in objects(name):
                with self.subTest(name, kind=thing["kind"]):
                    self.assertNotIn("Webhook", thing["kind"])
                    self.assertNotEqual(thing["kind"], "Secret")
                    self.assertNotIn("helm.sh/hook", thing["metadata"].get("annotations", {}))

    def test_what_helm_test_makes_is_a_hook_that_the_service_does_not_lead_to(self):
        for name in SETS:
            found = engine.objects_of(rendered(name), of_helm_test=True)
            for thing in found:
                self.assertEqual(thing["metadata"]["annotations"]["helm.sh/hook"], "test")
            services = [it for it in objects(name) if it["kind"] == "Service"]
            labels = engine.only(found, "Pod")["metadata"]["labels"]
            for service in services:
                self.assertFalse(service["spec"]["selector"].items() <= labels.items(), name)

    def test_a_cluster_that_is_too_old_is_refused(self):
        self.assertEqual(engine.chart().metadata["kubeVersion"], ">=1.30.0-0")

    def test_managed_clouds_may_call_their_version_as_they_like(self):
        for version in ["1.30.4-eks-a1b2c3d", "1.31.1-gke.1146000", "1.33.1-aliyun.1"]:
            self.assertTrue(engine.render({}, version), version)


def golden(name):
    """The manifests of a set, without those that are as in the defaults; the notes as a comment."""
    texts, defaults = rendered(name), rendered("defaults") if name != "defaults" else {}
    parts, same = [], []
    for path, text in texts.items():
        shown = without_files(text) if path == "monitoring.yaml" else text
        lines = [line.rstrip() for line in shown.strip("- \n").splitlines()]
        if defaults.get(path) == text and lines:
            same.append(path)
        elif path == "NOTES.txt":
            parts.append("\n".join([f"# templates/{path}", *(f"# {it}".rstrip() for it in lines)]))
        elif lines:
            parts.append("\n".join([f"# templates/{path}", *lines]))
    if same:
        parts.append(f"# As in defaults.yaml: {', '.join(same)}")
    return "\n---\n".join(parts) + "\n"


def without_files(text):
    """A manifest in which files of the chart are only named: they have tests of their own."""
    alerts = r"(kind: PrometheusRule\n.*?\nspec:\n)  groups:\n.*?(?=\n---|\Z)"
    text = re.sub(alerts, r"\1  # charts/poolguard/files/alerts.yaml", text, flags=re.DOTALL)
    lines = (CHART / "files/dashboard.json").read_text().strip().split("\n")
    whole = re.compile(r"\n *".join(re.escape(line.lstrip()) for line in lines))
    return whole.sub("# charts/poolguard/files/dashboard.json", text)


def on_nodes(labels):
    """Values that have PoolGuard run on nodes with these labels."""
    expressions = [{"key": key, "operator": "In", "values": [value]} for key, value in labels.items()]
    required = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def one_pool(labels):
    return {"pools": [{"name": "a", "nodes": {"matchLabels": labels}}]}


class Values(unittest.TestCase):
    # Values with a mistake, and a part of Helm's message.
    WRONG = [
        ({"replica": 3}, "additional properties 'replica' not allowed"),
        ({"replicas": "3"}, "at '/replicas': got string, want integer"),
        ({"mode": "dryrun"}, "at '/mode': value must be one of '', 'audit', 'warn', 'enforce'"),
        ({"image": {"digest": "latest"}}, "at '/image/digest'"),
        ({"config": {"pool": []}}, "at '/config': additional properties 'pool' not allowed"),
        (
            {"config": {"pools": [{"name": "a", "node": {}}]}},
            "at '/config/pools/0': missing property 'nodes'",
        ),
        (
            {"config": {"rules": {"pod-intrusion": {"mode": "deny"}}}},
            "value must be one of 'enforce', 'warn', 'audit', 'off'",
        ),
        # YAML 1.1, which Helm reads, takes off without quotes for false.
        (
            {"config": {"rules": {"node-zone": {"mode": False}}}},
            "at '/config/rules/node-zone/mode'",
        ),
        (
            {"config": {"rules": {"node-zones": {"mode": "warn"}}}},
            "at '/config/rules': additional properties 'node-zones' not allowed",
        ),
        ({"config": {"apiVersion": "v1"}}, "at '/config/apiVersion'"),
        ({"certificates": {"mode": "vault"}}, "'self-managed', 'cert-manager', 'files'"),
        (
            {"certificates": {"mode": "files"}},
            "certificates.files.existingSecret names the Secret with the certificate",
        ),
        ({"certificates": {"rotationWait": "2 minutes"}}, "at '/certificates/rotationWait'"),
        ({"ports": {"webhook": 70000}}, "maximum: got 70,000, want 65,535"),
        ({"ports": {"webhook": 8080}}, "ports.webhook and ports.admin must differ"),
        ({"extraArgs": ["-v"]}, "at '/extraArgs/0'"),
        (
            {"tolerations": [{"operator": "Exists"}]},
            "tolerations[0] tolerates dedicated=automq:NoSchedule, the taint of a dedicated pool",
        ),
        (
            {"tolerations": [{"key": "a"}, {"key": "dedicated", "value": "automq"}]},
            "tolerations[1] tolerates dedicated=automq:NoSchedule",
        ),
        (
            {
                "tolerations": [{"key": "dedicated", "value": "connect"}],
                "config": {
                    "pools": [
                        {
                            "name": "connect",
                            "nodes": {"matchLabels": {"a": "b"}},
                            "taint": {"value": "connect"},
                        }
                    ]
                },
            },
            "tolerations[0] tolerates dedicated=connect:NoSchedule",
        ),
        (
            {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}},
            "missing property 'nodeSelectorTerms'",
        ),
        (
            {**on_nodes({"pool": "a"}), "config": one_pool({"pool": "a"})},
            "nodeSelector and affinity.nodeAffinity leave only nodes of a dedicated pool",
        ),
        (
            {**on_nodes({"pool": "a", "tier": "b"}), "config": one_pool({"pool": "a"})},
            "leave only nodes of a dedicated pool",
        ),
        (
            {"nodeSelector": {"pool": "a"}, "config": one_pool({"pool": "a"})},
            "leave only nodes of a dedicated pool",
        ),
        (
            # Each of the two conditions for itself leads to nodes outside, and both together do not.
            {
                "nodeSelector": {"pool": "a"},
                **on_nodes({"tier": "b"}),
                "config": one_pool({"pool": "a", "tier": "b"}),
            },
            "leave only nodes of a dedicated pool",
        ),
        ({"enabled": False}, "set `condition: poolguard.enabled`"),
        ({"mode": "audit", "existingConfigMap": "a"}, "mode has no effect with existingConfigMap"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name names your ServiceAccount"),
        (
            {"commonLabels": {"app.kubernetes.io/instance": "a"}},
            "commonLabels has the label app.kubernetes.io/instance, which the chart sets itself",
        ),
        (
            {"podLabels": {"app.kubernetes.io/name": "a"}},
            "podLabels has the label app.kubernetes.io/name",
        ),
        (
            {"metrics": {"monitor": {"labels": {"app.kubernetes.io/component": "a"}}}},
            "metrics.monitor.labels has the label app.kubernetes.io/component",
        ),
        ({"extraVolumes": [{"name": "tls", "emptyDir": {}}]}, "extraVolumes has the name tls"),
        ({"extraVolumes": [{"name": "empty"}]}, "at '/extraVolumes/0'"),
        (
            {"extraEnv": [{"name": "POOLGUARD_IDENTITY", "value": "a"}]},
            "extraEnv has the name POOLGUARD_IDENTITY",
        ),
        ({"extraObjects": [{"kind": "ConfigMap"}]}, "at '/extraObjects/0'"),
        ({"probes": {"liveness": {"httpGet": {}}}}, "additional properties 'httpGet' not allowed"),
        ({"strategy": {"rollingUpdate": {"maxSurge": "1"}}}, "/strategy/rollingUpdate/maxSurge"),
        ({"podDisruptionBudget": {"minAvailable": 2}}, "minAvailable=2 of 2 replicas blocks every drain"),
        ({"podDisruptionBudget": {"minAvailable": "51%"}}, "minAvailable=51% of 2 replicas blocks"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable=0 blocks every drain"),
        ({"podDisruptionBudget": {"maxUnavailable": "0%"}}, "maxUnavailable=0 blocks every drain"),
        ({"service": {"ipFamilies": ["IPv5"]}}, "at '/service/ipFamilies/0'"),
        ({"serverLimits": {"maxBody": "7MB"}}, "at '/serverLimits/maxBody'"),
        ({"serverLimits": {"maxConnections": 0}}, "at '/serverLimits/maxConnections'"),
        ({"logFormat": "text"}, "at '/logFormat': value must be one of 'json', 'human'"),
        (
            {"metrics": {"rules": {"enabled": True, "disabled": ["PoolGuardGone"]}}},
            "metrics.rules.disabled names PoolGuardGone, but the chart has no such alert",
        ),
        ({"global": {"imagePullSecrets": [1]}}, "at '/global/imagePullSecrets/0'"),
        (
            {"metrics": {"service": False, "monitor": {"kind": "ServiceMonitor"}}},
            "metrics.monitor.kind=ServiceMonitor needs metrics.service=true",
        ),
        ({"metrics": {"monitor": {"kind": "Monitor"}}}, "'', 'ServiceMonitor', 'PodMonitor'"),
        ({"networkPolicy": {"apiServerPorts": []}}, "at '/networkPolicy/apiServerPorts'"),
        ({"networkPolicy": {"apiServerCidrs": ["10.0.0.1"]}}, "/networkPolicy/apiServerCidrs/0"),
        ({"breakGlass": {"subjects": [{"kind": "Role", "name": "a"}]}}, "/breakGlass/subjects/0"),
    ]

    def test_wrong_ones_are_refused_with_a_reason(self):
        for values, message in self.WRONG:
            with self.subTest(message):
                self.assertIn(message, engine.refusal(values))

    def test_the_sets_are_taken(self):
        for name in SETS:
            with self.subTest(name):
                self.assertEqual(engine.refusal(engine.read_values(name)), "")

    def test_a_parent_chart_may_have_other_globals(self):
        self.assertEqual(engine.refusal({"global": {"storageClass": "fast"}}), "")

    def test_every_value_is_in_a_set(self):
        """A golden file shows what becomes of it."""
        given = [engine.read_values(name) for name in SETS]
        defaults = values_from_yaml((CHART / "values.yaml").read_text())
        explained = generate.comments((CHART / "values.yaml").read_text())
        for path, _ in generate.values(defaults, explained):
            found = [functools.reduce(lambda tree, key: (tree or {}).get(key), path.split("."), it) for it in given]
            self.assertTrue([it for it in found if it is not None], f"no set has {path}")


class Config(unittest.TestCase):
    def test_poolguard_takes_it(self):
        for name in CONFIGURED:
            with self.subTest(name), tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(engine.config_text(objects(name)))
                file.flush()
                checked = engine.poolguard("config", "check", file.name)
                self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_its_webhooks_are_ones_that_kubernetes_takes(self):
        for text in sorted({engine.config_text(objects(name)) for name in CONFIGURED}):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(text)
                file.flush()
                made = engine.poolguard("render", "webhooks", "--config", file.name)
            self.assertEqual(made.returncode, 0, made.stderr)
            for thing in yaml.load_all(made.stdout, Loader=yaml.CSafeLoader):
                for version in VERSIONS:
                    with self.subTest(thing["kind"], version=version):
                        validate_once(json.dumps(thing, sort_keys=True), version)

    def test_it_is_what_the_examples_say(self):
        for path in sorted((ROOT / "examples").glob("*.yaml")):
            name = path.stem.replace("minimal", "defaults")
            with self.subTest(name):
                self.assertEqual(modes_apart(config(name)), modes_apart(yaml.safe_load(path.read_text())))

    def test_a_mode_lowers_the_rules_that_have_none_of_their_own(self):
        self.assertNotIn("rules", config("defaults"))
        self.assertNotIn("rules", config("enforce"))
        lowered = ["node-identity", "node-taint", "pod-intrusion", "pod-placement", "role-binding"]
        warned = {rule: {"mode": "warn"} for rule in lowered}
        self.assertEqual(config("warn")["rules"], warned)
        self.assertEqual(
            config("enforce-pods")["rules"],
            {
                **{rule: {"mode": "warn"} for rule in lowered},
                "pod-intrusion": {"mode": "enforce", "daemonSets": "warn"},
                "pod-placement": {"mode": "enforce"},
            },
        )
        audited = lowered + ["node-machine-type", "node-pool", "node-zone", "workload-intrusion"]
        for name in ["audit", "emergency"]:
            self.assertEqual(config(name)["rules"], {rule: {"mode": "audit"} for rule in audited})

    def test_no_step_denies_every_pod_of_the_cluster(self):
        for name in ["audit", "warn", "enforce-pods", "enforce"]:
            self.assertNotIn("cluster-exclusive", config(name).get("rules", {}))

    def test_the_chart_knows_the_defaults_of_the_rules(self):
        helpers = (CHART / "templates/_helpers.tpl").read_text()
        text = helpers.split('define "poolguard.defaultModes" -}}')[1].split("{{-")[0]
        table = re.findall(
            r"^\| `([a-z-]+)` \| `(enforce|warn|audit|off)` \|",
            (ROOT / "docs/configuration.md").read_text(),
            re.MULTILINE,
        )
        self.assertEqual(yaml.safe_load(text), dict(table))
        self.assertEqual(len(table), 10)


def flags_of(found):
    """The value of each flag that counts: the last one."""
    return dict(it.split("=", 1) for it in engine.container(found)["args"][1:])


def config(name):
    return yaml.safe_load(engine.config_text(objects(name)))


def modes_apart(config):
    """A config whose rules with nothing to say are left out."""
    return {key: value for key, value in config.items() if (key, value) != ("rules", {})}


class Replicas(unittest.TestCase):
    def test_arguments_are_those_of_serve(self):
        known = set(re.findall(r"--[a-z-]+", engine.poolguard("serve", "--help").stdout))
        for name in SETS:
            arguments = engine.container(objects(name))["args"]
            with self.subTest(name):
                flags = {argument.split("=")[0] for argument in arguments[1:]}
                self.assertLessEqual(flags, known)
                # The help is shown only if everything before it is an argument.
                checked = engine.poolguard(*arguments, "--help")
                self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertEqual(engine.poolguard("serve", "--nonsense=1", "--help").returncode, 2)

    def test_limits_are_those_of_serve(self):
        """The values show the defaults of the flags."""
        text = " ".join(engine.poolguard("serve", "--help").stdout.split())
        defaults = values_from_yaml((CHART / "values.yaml").read_text())
        args = flags_of(objects("defaults"))
        for limit, value in defaults["serverLimits"].items():
            flag = "--" + re.sub("[A-Z]", lambda it: f"-{it[0].lower()}", limit)
            with self.subTest(flag):
                self.assertEqual(args[flag], str(value))
                shown = re.search(rf"{flag} <[A-Z]+> .*?\[default: (\S+)\]", text)
                self.assertEqual(shown[1], str(value))
        without = engine.objects_of(engine.render({"serverLimits": {"maxBody": None}}))
        self.assertNotIn("--max-body", flags_of(without))

    def test_of_a_repeated_flag_the_last_one_counts(self):
        given = {"serverLimits": {"maxBody": "8MiB"}, "extraArgs": ["--max-body=4MiB", "--log-format=human"]}
        found = engine.objects_of(engine.render(given))
        self.assertEqual((flags_of(found)["--max-body"], flags_of(found)["--log-format"]), ("4MiB", "human"))
        checked = engine.poolguard(*engine.container(found)["args"], "--help")
        self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_they_end_in_the_time_that_they_are_given(self):
        for name in SETS:
            flags = flags_of(objects(name))
            taken = int(flags["--shutdown-delay"][:-1]) + int(flags["--drain-timeout"][:-1])
            pod = engine.only(objects(name), "Deployment")["spec"]["template"]["spec"]
            self.assertGreater(pod["terminationGracePeriodSeconds"], taken)

    def test_ports_agree(self):
        for name in SETS:
            found = objects(name)
            flags = flags_of(found)
            ports = {it["name"]: it["containerPort"] for it in engine.container(found)["ports"]}
            self.assertEqual(flags["--listen"].rpartition(":")[2], str(ports["webhook"]))
            self.assertEqual(flags["--admin-listen"].rpartition(":")[2], str(ports["admin"]))
            service = engine.only(found, "Service", flags["--service"])
            self.assertEqual(str(service["spec"]["ports"][0]["port"]), flags["--service-port"])
            self.assertEqual(service["spec"]["ports"][0]["targetPort"], "webhook")

    def test_no_service_of_the_namespace_becomes_a_flag(self):
        for name in SETS:
            pod = engine.only(objects(name), "Deployment")["spec"]["template"]["spec"]
            self.assertIs(pod["enableServiceLinks"], False)

    def test_files_are_where_the_arguments_say(self):
        for name in SETS:
            pod = engine.only(objects(name), "Deployment")["spec"]["template"]["spec"]
            mounts = {it["mountPath"]: it["name"] for it in engine.container(objects(name))["volumeMounts"]}
            paths = re.findall(r"=(/\S+)/[^/ ]+", " ".join(engine.container(objects(name))["args"]))
            further = {it["mountPath"] for it in engine.read_values(name).get("extraVolumeMounts", [])}
            with self.subTest(name):
                self.assertEqual(set(paths), set(mounts) - further)
                self.assertEqual(set(mounts.values()), {it["name"] for it in pod["volumes"]})

    def test_they_may_do_nothing_on_their_node(self):
        for name in set(SETS) - {"everything"}:
            pod = engine.only(objects(name), "Deployment")["spec"]["template"]["spec"]
            context = engine.container(objects(name))["securityContext"]
            self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
            self.assertIs(context["readOnlyRootFilesystem"], True)
            self.assertIs(context["allowPrivilegeEscalation"], False)
            self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})

    def test_a_pool_keeps_them_off_its_nodes(self):
        for name in SETS:
            values = engine.read_values(name)
            asked = {"kubernetes.io/os": "linux", "example.com/node-group": "system", **values.get("nodeSelector", {})}
            for pool in (values.get("config") or {}).get("pools", []):
                with self.subTest(name, pool=pool["name"]):
                    self.assertFalse(takes(objects(name), {**asked, **member_of(pool)}))
            with self.subTest(name):
                self.assertTrue(takes(objects(name), asked))
                self.assertFalse(takes(objects(name), {**asked, "kubernetes.io/os": "windows"}))

    def test_a_node_affinity_holds_beside_the_pools(self):
        found = objects("windows-mixed")
        linux, group = {"kubernetes.io/os": "linux"}, "example.com/node-group"
        self.assertTrue(takes(found, {**linux, group: "system"}))
        self.assertTrue(takes(found, {**linux, group: "automq", "example.com/tier": "tools"}))
        self.assertFalse(takes(found, {**linux, group: "automq", "example.com/tier": "brokers"}))
        self.assertFalse(takes(found, {**linux, group: "system", "example.com/spot": ""}))
        self.assertFalse(takes(found, linux))
        # Conditions on fields stay, also without a pool.
        term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        alone = engine.objects_of(engine.render({"affinity": {"nodeAffinity": required}}))
        self.assertEqual([it["matchFields"] for it in terms_of(alone)], [term["matchFields"]])

    def test_a_node_that_shares_a_label_with_a_pool_is_not_of_it(self):
        found = objects("pools-by-several-labels")
        linux = {"kubernetes.io/os": "linux"}
        self.assertTrue(takes(found, {**linux, "team": "kafka", "tier": "tools"}))
        self.assertFalse(takes(found, {**linux, "team": "kafka", "tier": "brokers"}))
        self.assertFalse(takes(found, {**linux, "team": "connectors"}))
        self.assertFalse(takes(found, {**linux, "spare": ""}))

    def test_a_config_with_many_conditions_makes_no_endless_list(self):
        labels = {"a": "1", "b": "2", "c": "3"}
        pools = [{"name": f"p{at}", "nodes": {"matchLabels": {**labels, "n": str(at)}}} for at in range(9)]
        found = engine.objects_of(engine.render({"config": {"pools": pools}}))
        self.assertEqual(len(terms_of(found)), 16)

    def test_one_that_is_disturbed_leaves_another(self):
        self.assertEqual(engine.only(objects("defaults"), "PodDisruptionBudget")["spec"]["maxUnavailable"], 1)
        kinds = [it["kind"] for it in engine.objects_of(engine.render({"replicas": 1}))]
        self.assertNotIn("PodDisruptionBudget", kinds)
        # Of three replicas, a drain must leave two at 50 %, because Kubernetes rounds up.
        self.assertEqual(engine.only(objects("everything"), "PodDisruptionBudget")["spec"]["minAvailable"], "50%")


def member_of(pool):
    """Labels of a node of a pool."""
    labels = dict(pool["nodes"].get("matchLabels", {}))
    for one in pool["nodes"].get("matchExpressions", []):
        labels[one["key"]] = one.get("values", [""])[0]
    return labels


def terms_of(found):
    pod = engine.only(found, "Deployment")["spec"]["template"]["spec"]
    node = pod["affinity"].get("nodeAffinity", {})
    return node.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")


def takes(found, labels):
    """Whether PoolGuard may be scheduled on a node with these labels."""

    def holds(one):
        value = labels.get(one["key"])
        return {
            "In": value in one.get("values", []),
            "NotIn": value not in one.get("values", []),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[one["operator"]]

    pod = engine.only(found, "Deployment")["spec"]["template"]["spec"]
    if any(labels.get(key) != value for key, value in pod["nodeSelector"].items()):
        return False
    terms = terms_of(found)
    return terms is None or any(all(map(holds, it["matchExpressions"])) for it in terms)


def pod_of(found):
    return engine.only(found, "Deployment")["spec"]["template"]["spec"]


def of_values(values, **release):
    return engine.objects_of(engine.render(values, **release))


def quotas(found):
    return [it["spec"] for it in found if it["kind"] == "ResourceQuota"]


class Clouds(unittest.TestCase):
    def test_gke_accepts_the_priority_class(self):
        """GKE denies pods of a system class in a namespace without a quota for it, also with no replica."""
        for replicas in (0, 1, 2):
            for priority in ("system-cluster-critical", "system-node-critical"):
                [quota] = quotas(of_values({"replicas": replicas, "priorityClassName": priority}))
                [scope] = quota["scopeSelector"]["matchExpressions"]
                self.assertEqual(scope["values"], [priority])
                self.assertEqual(quota["hard"], {"pods": "1G"})
        for name in ("gcp", "gke-private"):
            self.assertEqual(len(quotas(objects(name))), 1)

    def test_no_other_class_and_namespace_has_a_quota(self):
        for values in ({"priorityClassName": ""}, {"priorityClassName": "mine"}, {"priorityQuota": False}):
            self.assertEqual(quotas(of_values(values)), [])
        self.assertEqual(quotas(of_values({}, namespace="kube-system")), [])

    def test_openshift_chooses_the_user(self):
        """restricted-v2 accepts only a user and a group of the namespace's own range."""
        for name in set(SETS) - {"everything", "audit-file"}:
            pod = pod_of(objects(name))
            for context in (pod["securityContext"], pod["containers"][0]["securityContext"]):
                fixed = {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "seLinuxOptions"}
                self.assertEqual(fixed & set(context), set(), name)

    def test_every_user_can_read_the_mounted_secrets(self):
        for name in SETS:
            for volume in pod_of(objects(name))["volumes"]:
                if "secret" in volume:
                    self.assertEqual(volume["secret"]["defaultMode"], 0o444, name)

    def test_services_have_the_ip_families_of_the_cluster(self):
        services = [it["spec"] for it in objects("ipv6") if it["kind"] == "Service"]
        self.assertEqual(len(services), 2)
        for spec in services:
            self.assertEqual((spec["ipFamilyPolicy"], spec["ipFamilies"]), ("SingleStack", ["IPv6"]))

    def test_a_rollout_that_stops_first_has_no_settings_of_the_other(self):
        strategy = engine.only(objects("recreate"), "Deployment")["spec"]["strategy"]
        self.assertEqual(strategy, {"type": "Recreate"})


class Installing(unittest.TestCase):
    def test_an_image_comes_from_the_registry_that_is_set(self):
        digest = "sha256:" + "a" * 64
        version = engine.chart().metadata["appVersion"]
        for values, image in [
            ({"image": {"registry": ""}}, f"poolguard:{version}"),
            ({"image": {"registry": "", "repository": "r.example.com/poolguard"}}, f"r.example.com/poolguard:{version}"),
            ({"image": {"registry": "r.example.com"}}, f"r.example.com/poolguard:{version}"),
            ({"image": {"registry": "r.example.com:5000/", "tag": "1"}}, "r.example.com:5000/poolguard:1"),
            ({"image": {"registry": "r", "digest": digest, "tag": "1"}}, f"r/poolguard@{digest}"),
            ({"image": {"registry": "r"}, "global": {"imageRegistry": "m"}}, f"m/poolguard:{version}"),
        ]:
            self.assertEqual(engine.container(of_values(values))["image"], image)
        self.assertEqual(pod_of(objects("private-registry"))["imagePullSecrets"], [{"name": "registry-credentials"}])
        given = {"image": {"pullSecrets": [{"name": "a"}]}, "global": {"imagePullSecrets": ["b", {"name": "a"}]}}
        self.assertEqual(pod_of(of_values(given))["imagePullSecrets"], [{"name": "a"}, {"name": "b"}])

    def test_a_label_of_the_values_changes_no_selector(self):
        for name in SETS:
            found = objects(name)
            labels = engine.only(found, "Deployment")["spec"]["template"]["metadata"]["labels"]
            selectors = [engine.only(found, "Deployment")["spec"]["selector"]["matchLabels"]]
            selectors += [it["spec"]["selector"] for it in found if it["kind"] == "Service"]
            for selector in selectors:
                self.assertEqual(set(selector), {"app.kubernetes.io/name", "app.kubernetes.io/instance"})
                self.assertLessEqual(selector.items(), labels.items())
        # The label of the pods wins over the one of every object.
        pod = engine.only(objects("everything"), "Deployment")["spec"]["template"]
        self.assertEqual(pod["metadata"]["labels"]["example.com/cost-centre"], "4712")

    def test_no_mapping_has_a_key_twice(self):
        """PyYAML takes the last one, and the API server refuses the object."""

        class Strict(yaml.SafeLoader):
            def construct_mapping(self, node, deep=False):
                keys = [self.construct_object(key) for key, _ in node.value]
                assert len(keys) == len(set(keys)), f"{keys} at {node.start_mark}"
                return super().construct_mapping(node, deep)

        for name in SETS:
            for path, text in rendered(name).items():
                if path.endswith(".yaml"):
                    list(yaml.load_all(text, Loader=Strict))

    def test_external_registration_creates_no_webhook_configuration(self):
        def rules(name):
            return engine.only(objects(name), "ClusterRole", RELEASE)["rules"]

        group = "admissionregistration.k8s.io"
        def creates(rule):
            is_webhook = any(it.endswith("webhookconfigurations") for it in rule["resources"])
            return rule["apiGroups"] == [group] and is_webhook and "create" in rule["verbs"]

        create = [it for it in rules("defaults") if creates(it)]
        self.assertEqual(len(create), 2)
        for name in ("external", "gitops"):
            self.assertEqual(rules(name), [it for it in rules("defaults") if it not in create])

    def test_roles_and_account_may_be_there_already(self):
        kinds = {it["kind"] for it in objects("own-roles")}
        self.assertFalse([it for it in kinds if "Role" in it])
        found = objects("gitops")
        self.assertNotIn("ServiceAccount", {it["kind"] for it in found})
        self.assertEqual(pod_of(found)["serviceAccountName"], "webhooks")
        for thing in found:
            if thing["kind"] in ("RoleBinding", "ClusterRoleBinding"):
                self.assertEqual([it["name"] for it in thing["subjects"]], ["webhooks"])
        created = engine.only(objects("everything"), "ServiceAccount")["metadata"]["name"]
        self.assertEqual(pod_of(objects("everything"))["serviceAccountName"], created)

    def test_a_config_may_be_there_already(self):
        found = objects("existing-config")
        self.assertNotIn("ConfigMap", {it["kind"] for it in found})
        [volume] = pod_of(found)["volumes"]
        self.assertEqual(volume["configMap"], {"name": "platform-poolguard"})

    def test_further_objects_are_manifests_or_templates(self):
        found = objects("everything")
        self.assertEqual(engine.only(found, "ConfigMap", "further")["data"]["text"], "{{ not a template }}")
        templated = engine.only(found, "ConfigMap", "automq-guard-further")
        self.assertEqual(templated["metadata"]["namespace"], NAMESPACE)

    def test_a_parent_chart_has_it_as_a_dependency(self):
        readme = (CHART / "README.md").read_text()
        block = re.search(r"```yaml\n(dependencies:\n.*?)```", readme, re.DOTALL)[1]
        [dependency] = yaml.safe_load(block)["dependencies"]
        metadata = engine.chart().metadata
        self.assertEqual((dependency["name"], dependency["version"]), (metadata["name"], metadata["version"]))
        with tempfile.TemporaryDirectory() as folder:
            parent = pathlib.Path(folder)
            shutil.copytree(CHART, parent / "charts/poolguard")
            head = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [dependency]}
            (parent / "Chart.yaml").write_text(yaml.safe_dump(head))
            loaded = Chart.load(parent)
            values = engine.read_values("subchart")
            given = {"poolguard": values, "global": values.pop("global")}
            texts = engine.render(given, release="platform", of=loaded)
            found = engine.objects_of({path: text for path, text in texts.items() if "NOTES" not in path})
            image = f"mirror.example.com/automq/poolguard:{metadata['appVersion']}"
            self.assertEqual(engine.container(found)["image"], image)
            secrets = [{"name": "mirror-credentials"}, {"name": "other-credentials"}]
            self.assertEqual(pod_of(found)["imagePullSecrets"], secrets)
            for thing in found:
                self.assertTrue(thing["metadata"]["name"].startswith("platform-poolguard"))
                self.assertEqual(thing["metadata"]["labels"]["example.com/product"], "streaming")
                validate_once(json.dumps(thing, sort_keys=True), VERSIONS[-1])
            self.assertEqual(engine.render({"poolguard": {"enabled": False}}, of=loaded), {})


class Monitoring(unittest.TestCase):
    def rules(self, name):
        groups = engine.only(objects(name), "PrometheusRule")["spec"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def test_alerts_follow_the_values(self):
        every, kept = self.rules("monitoring"), self.rules("grafana-operator")
        disabled = {"PoolGuardOneReplica", "PoolGuardPoolBelowThreeNodes"}
        self.assertEqual([it for it in every if it.get("alert") not in disabled], [plain(it) for it in kept])
        for rule in kept:
            if "alert" in rule:
                self.assertEqual(rule["labels"]["team"], "platform")
                page = r"^https://runbooks.example.com/poolguard/[a-z-]+\.md$"
                self.assertRegex(rule["annotations"]["runbook_url"], page)

    def test_one_replica_has_no_alert_for_one_replica(self):
        def names(replicas):
            found = of_values({"replicas": replicas, "metrics": {"rules": {"enabled": True}}})
            groups = engine.only(found, "PrometheusRule")["spec"]["groups"]
            return {rule["alert"] for group in groups for rule in group["rules"]}

        self.assertEqual(names(2) - names(1), {"PoolGuardOneReplica"})
        self.assertEqual(names(1) - names(2), set())

    def test_a_group_without_rules_is_left_out(self):
        groups = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"]
        first = [rule["alert"] for rule in groups[0]["rules"]]
        found = of_values({"metrics": {"rules": {"enabled": True, "disabled": first}}})
        left = engine.only(found, "PrometheusRule")["spec"]["groups"]
        self.assertEqual([it["name"] for it in left], [it["name"] for it in groups[1:]])

    def test_an_alert_keeps_its_severity(self):
        given = {"metrics": {"rules": {"enabled": True, "alertLabels": {"severity": "info"}}}}
        groups = engine.only(of_values(given), "PrometheusRule")["spec"]["groups"]
        severities = {rule["labels"]["severity"] for group in groups for rule in group["rules"] if "alert" in rule}
        self.assertEqual(severities, {"critical", "warning", "info"})

    def test_a_monitor_finds_the_pods_from_another_namespace(self):
        monitor = engine.only(objects("grafana-operator"), "ServiceMonitor")
        self.assertEqual(monitor["metadata"]["namespace"], "monitoring")
        self.assertEqual(monitor["spec"]["namespaceSelector"], {"matchNames": [NAMESPACE]})
        self.assertNotIn("namespaceSelector", engine.only(objects("monitoring"), "ServiceMonitor")["spec"])

    def test_grafana_operator_gets_the_dashboard(self):
        found = objects("grafana-operator")
        spec = engine.only(found, "GrafanaDashboard")["spec"]
        self.assertEqual(json.loads(spec["json"]), json.loads((CHART / "files/dashboard.json").read_text()))
        self.assertEqual(len([it for it in found if it["kind"] == "ConfigMap"]), 1)


def plain(rule):
    """A rule with the labels and the runbook that it has without values."""
    if "alert" not in rule:
        return rule
    version = engine.chart().metadata["appVersion"]
    page = rule["annotations"]["runbook_url"].rpartition("/")[2]
    address = f"https://github.com/AutoMQ/poolguard/blob/v{version}/docs/runbooks/{page}"
    labels = {key: value for key, value in rule["labels"].items() if key != "team"}
    return {**rule, "labels": labels, "annotations": {**rule["annotations"], "runbook_url": address}}


class Notes(unittest.TestCase):
    def notes(self, name):
        return rendered(name)["NOTES.txt"]

    def notes_of(self, values):
        return engine.render(values)["NOTES.txt"]

    def test_they_name_pools_and_modes(self):
        self.assertIn("pool-abc  eks.amazonaws.com/nodegroup=automq-abc  in us-east-1a", self.notes("aws"))
        self.assertIn("connect  team In (connect, connectors)", self.notes("pools-by-several-labels"))
        self.assertRegex(self.notes("audit"), r"pod-intrusion +audit")
        self.assertIn("every node with the taint dedicated=automq:NoSchedule", self.notes("defaults"))
        given = {"config": {"rules": {"pod-intrusion": {"mode": "audit", "daemonSets": "enforce"}}}}
        self.assertIn("pods of DaemonSets: enforce", self.notes_of(given))

    def test_they_say_what_becomes_of_the_test_pod(self):
        pools = {"pools": [{"name": "a", "nodes": {"matchLabels": {"pool": "a"}}}]}
        closed = {"discovery": {"enabled": False}}
        answers = {"enforce": "denies", "warn": "allows", "audit": "allows"}
        for mode, answer in answers.items():
            rules = {"rules": {"pod-intrusion": {"mode": mode}}}
            declared = self.notes_of({"config": {**pools, **rules}})
            self.assertIn(f"PoolGuard {answer} the pod", declared)
            # Without a pool in the config, only the cluster knows whether there is one.
            found = self.notes_of({"config": rules})
            self.assertIn(f"If a node has the taint dedicated=automq:NoSchedule:\n   PoolGuard {answer}", found)
            self.assertIn("If no node has this taint", found)
            nothing = self.notes_of({"config": {**closed, **rules}})
            self.assertIn("because it protects no node", nothing)
            self.assertNotIn("denies the pod", nothing)
        self.assertIn("is off.", self.notes_of({"config": {"rules": {"pod-intrusion": {"mode": "off"}}}}))

    def test_they_promise_nothing_of_what_they_do_not_know(self):
        notes = self.notes("existing-config")
        self.assertIn("reads its config from your ConfigMap platform-poolguard", notes)
        self.assertIn("If the cluster has a pool and the mode of pod-intrusion is enforce, PoolGuard denies", notes)
        self.assertNotIn("The mode of each rule", notes)
        self.assertNotIn("config.principals.trusted is empty", notes)

    def test_they_say_when_the_roles_are_missing(self):
        self.assertIn("until you create the ClusterRole and the\nRole poolguard", self.notes("own-roles"))
        self.assertNotIn("rbac.create", self.notes("defaults"))

    def test_they_say_when_no_replica_runs(self):
        self.assertIn("ATTENTION: replicas is 0.", self.notes_of({"replicas": 0}))
        self.assertNotIn("replicas is 0", self.notes("defaults"))

    def test_they_say_when_the_image_has_no_registry(self):
        for name in SETS:
            image = engine.container(objects(name))["image"]
            self.assertEqual("has no registry" in self.notes(name), "/" not in image, name)

    def test_they_warn_when_the_console_will_be_denied(self):
        warning = "config.principals.trusted is empty"
        self.assertIn(warning, self.notes("defaults"))
        for name in ["aws", "audit", "warn", "enforce"]:
            self.assertNotIn(warning, self.notes(name))

    def test_they_warn_when_nothing_is_registered(self):
        notes = self.notes("external")
        self.assertIn("PoolGuard protects nothing until you apply", notes)
        command = next(it for it in notes.splitlines() if it.startswith("  poolguard render"))
        words = shlex.split(command.split("|")[0])[1:]
        self.assertEqual(engine.poolguard(*words, "--help").returncode, 0)
        self.assertNotIn("poolguard render webhooks", self.notes("aws"))
        # In the cluster, PoolGuard knows the provider from the nodes.
        self.assertIn("First set config.provider", notes)
        given = {"config": {"registration": "external", "provider": "aws"}}
        self.assertNotIn("First set config.provider", self.notes_of(given))

    def test_they_say_what_to_do_in_an_emergency(self):
        for name in SETS:
            steps = r"scale deployment/\S+ --replicas=0\n(.*\n)+ +kubectl delete mutating"
            self.assertRegex(self.notes(name), steps)
            backstop = "kubectl delete validatingadmissionpolicybinding" in self.notes(name)
            # Helm does not see whether a config of the user's own asks for a backstop.
            self.assertEqual(backstop, name == "backstop" or name not in engine.CONFIGURED)


if __name__ == "__main__":
    unittest.main()
