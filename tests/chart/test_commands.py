"""The commands in the documents, and in the notes of the chart.

The tests parse each command: with `bash -n`, with tables of the verbs and flags of kubectl and Helm, and with PoolGuard's
own `--help`. NOT_PARSED lists the other programs, and why no test runs them.

An engineer copies the commands of the guides (docs/install.md and docs/runbooks) at night, while something is broken.
For these, the tests also look up the names of objects in the rendered chart, and the messages that a command greps for
in the source.
"""

import collections
import functools
import json
import re
import shlex
import shutil
import subprocess
import textwrap
import unittest

import yaml

import documents
import engine
from engine import CHART, NAMESPACE, RELEASE, ROOT, SETS, objects, rendered

GUIDES = [ROOT / "docs/install.md", *sorted((ROOT / "docs/runbooks").glob("*.md"))]

# A word that the reader replaces, such as NODE or LABEL=VALUE, or a variable.
PLACEHOLDER = re.compile(r"[A-Z]{2,}(=[A-Z]+|-)?|\$[A-Z_]+")

# Before a command, or all of it; the command may be within.
ASSIGNMENT = re.compile(r"^[A-Z_]+=(\$\(|.*)")

# A comment, a character or a text of the source; the groups are what a text says.
TOKEN = re.compile(r'''//[^\n]*|'(?:\\.|[^\\'])'|r(#*)"(.*?)"\1|"((?:\\.|[^"\\])*)"''', re.DOTALL)

# Whether a flag takes a value.
YES, NO = True, False
KUBECTL_EVERYWHERE = {"-n": YES, "--namespace": YES, "--as": YES, "--as-group": YES}
GET = {
    **{"-o": YES, "-A": NO, "--all-namespaces": NO, "-l": YES, "--field-selector": YES},
    **{"--ignore-not-found": NO, "--show-labels": NO, "--show-managed-fields": NO},
}
KUBECTL = {
    "annotate": {"--overwrite": NO},
    "apply": {"-f": YES},
    "auth can-i": {},
    "cordon": {"-l": YES},
    "create clusterrolebinding": {"--clusterrole": YES, "--group": YES},
    "create namespace": {},
    "delete": {"--ignore-not-found": NO, "-f": YES, "-A": NO, "-l": YES},
    "describe": {},
    "diff": {"-f": YES},
    "drain": {"--ignore-daemonsets": NO, "--delete-emptydir-data": NO},
    "get": GET,
    "label": {},
    "logs": {"-l": YES, "--tail": YES, "--prefix": NO, "--since": YES, "--previous": NO, "-f": NO},
    "port-forward": {},
    "rollout restart": {},
    "rollout status": {},
    "run": {"--image": YES, "--dry-run": YES, "--overrides": YES},
    "scale": {"--replicas": YES},
    "taint": {},
    "top": {},
    "uncordon": {},
    "wait": {"-l": YES, "--for": YES, "--timeout": YES},
}
# Verbs whose first argument is a node.
OF_A_NODE = {"drain", "uncordon"}

HELM_EVERYWHERE = {"-n": YES, "--namespace": YES}
UPGRADE = {"--values": YES, "--set": YES, "--wait": NO, "--reset-then-reuse-values": NO}
HELM = {
    "history": {},
    "install": {**UPGRADE, "--create-namespace": NO},
    "rollback": {"--wait": NO},
    "test": {},
    "uninstall": {"--wait": NO},
    "upgrade": UPGRADE,
}

# Not run here: the other programs of the documents, each with the reason. Only `bash -n` checks their arguments.
NOT_PARSED = {
    **dict.fromkeys(["diff", "grep", "head", "sed", "sort", "uniq", "export", "{", "}"], "part of every shell or system"),
    **dict.fromkeys(["curl", "jq", "sha256sum"], "tools of the reader's machine"),
    **dict.fromkeys(["cargo", "make", "git"], "they build and check this repository, as the gate does"),
    **dict.fromkeys(["docker", "kind", "k3d"], "they need a container engine, which the gate does not have"),
    "gcloud": "it needs an account of the cloud",
    **dict.fromkeys(["terraform", "argocd", "flux"], "they need a cloud, or a cluster with their controllers"),
    **dict.fromkeys(["cosign", "gh"], "they read what a release published"),
}

# Every kind of object that a command may name: singular and plural, and whether it has a namespace.
KINDS = {}
for names, is_namespaced in [
    ("certificate certificates", True),
    ("certificaterequest certificaterequests", True),
    ("clusterrole clusterroles", False),
    ("clusterrolebinding clusterrolebindings", False),
    ("configmap configmaps", True),
    ("cronjob cronjobs", True),
    ("daemonset daemonsets", True),
    ("deployment deployments", True),
    ("endpointslice endpointslices", True),
    ("event events", True),
    ("job jobs", True),
    ("lease leases", True),
    ("mutatingwebhookconfiguration mutatingwebhookconfigurations", False),
    ("namespace namespaces", False),
    ("node nodes", False),
    ("pod pods", True),
    ("poddisruptionbudget poddisruptionbudgets", True),
    ("rolebinding rolebindings", True),
    ("secret secrets", True),
    ("statefulset statefulsets", True),
    ("validatingadmissionpolicy validatingadmissionpolicies", False),
    ("validatingadmissionpolicybinding validatingadmissionpolicybindings", False),
    ("validatingwebhookconfiguration validatingwebhookconfigurations", False),
]:
    for spelling in names.split():
        KINDS[spelling] = (names.split()[0], is_namespaced)

Command = collections.namedtuple("Command", "where words is_piped")


@functools.cache
def texts_of_the_source():
    """The texts that PoolGuard can write: the string literals of its code, each on a line of its own."""
    found = []
    for path in engine.rust_sources():
        if path.stem == "tests" or "tests" in path.parts:
            continue
        code = path.read_text().split("\n#[cfg(test)]\nmod ")[0]
        # A backslash continues a long text on the next line of the source.
        found += [re.sub(r"\\\n\s*", "", it[2] or it[3] or "") for it in TOKEN.finditer(code)]
    return "\n".join(found)


@functools.cache
def objects_that_exist():
    """(kind, name) of each object that the chart, PoolGuard, cert-manager or one of the commands creates."""
    found = {("namespace", NAMESPACE)}
    for name in SETS:
        for thing in objects(name):
            found.add((thing["kind"].lower(), thing["metadata"]["name"]))
            # The objects that PoolGuard creates at run time: a role names each of them.
            if thing["kind"] in ("Role", "ClusterRole"):
                for rule in thing["rules"]:
                    for resource in rule["resources"]:
                        kind, _ = KINDS.get(resource, (None, None))
                        found.update((kind, it) for it in rule.get("resourceNames", []) if kind)
            # The Secret that cert-manager creates.
            if thing["kind"] == "Certificate":
                found.add(("secret", thing["spec"]["secretName"]))
    for command in every_command():
        if command.words[:3] == ["kubectl", "create", "clusterrolebinding"]:
            found.add(("clusterrolebinding", command.words[3]))
    # A role of Kubernetes itself.
    found.add(("clusterrole", "cluster-admin"))
    return found


@functools.cache
def texts():
    """(where, text of a block of shell) of the guides and of the notes."""
    found = [it for page in GUIDES for it in [*documents.shell(page), *documents.commands_of_sentences(page)]]
    for name in SETS:
        for line in rendered(name)["NOTES.txt"].splitlines():
            if re.match(r"  (kubectl|helm|poolguard) ", line):
                found.append((f"NOTES.txt of {name}", line.strip() + "\n"))
    return found


@functools.cache
def other_texts():
    """The same of all other documents, whose sentences often mention only a part of a command."""
    return [it for page in documents.PAGES if page not in GUIDES for it in documents.shell(page)]


def commands_of(where, block):
    """The simple commands of a block."""
    block = re.sub(r"(^|\s)# .*$", "", block.replace("\\\n", " "), flags=re.MULTILINE)
    lexer = shlex.shlex(block, posix=True, punctuation_chars="|&;\n<>")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words, is_piped, target = [], False, False
    for token in [*lexer, "\n"]:
        if target:
            target = False
        elif set(token) <= set("<>"):
            target = True
        elif set(token) <= set("|&;\n"):
            if words:
                yield Command(where, words, is_piped)
            words, is_piped = [], token == "|"
        elif words or (token := ASSIGNMENT.sub("", token)):
            words.append(token)


@functools.cache
def every_command():
    """The commands of the guides and the notes."""
    return [it for where, block in texts() for it in commands_of(where, block)]


@functools.cache
def other_commands():
    return [it for where, block in other_texts() for it in commands_of(where, block)]


def commands(program):
    return [it for it in every_command() if it.words[0] == program]


def commands_everywhere(program):
    return commands(program) + [it for it in other_commands() if it.words[0].split("/")[-1] == program]


def parsed(words, everywhere, verbs):
    """(verb, {flag: [values]}, [arguments]) of a command of a table."""
    flags, arguments, rest = {}, [], list(words[1:])
    verb, known = None, everywhere
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            arguments.append(word)
            for length in (1, 2):
                if verb is None and " ".join(arguments[:length]) in verbs and len(arguments) == length:
                    verb, arguments = " ".join(arguments), []
                    known = {**everywhere, **verbs[verb]}
            continue
        name, equals, value = word.partition("=")
        if name not in known:
            raise AssertionError(f"{name} is not a flag of {verb} that the table has")
        if known[name] and not equals:
            if not rest:
                raise AssertionError(f"{name} has no value")
            value = rest.pop(0)
        if not known[name] and equals:
            raise AssertionError(f"{name} takes no value")
        flags.setdefault(name, []).append(value)
    if verb is None:
        raise AssertionError(f"{arguments[:2]} is not a verb that the table has")
    return verb, flags, arguments


def named(verb, arguments):
    """(kind, name or None) of each object that a command reads or changes."""
    if verb in OF_A_NODE:
        return [("node", arguments[0])]
    if verb == "taint" or verb == "label":
        return [(KINDS[arguments[0]][0], arguments[1])]
    if verb == "create clusterrolebinding":
        return [("clusterrolebinding", arguments[0])]
    if verb in ("logs", "run"):
        return [("pod", it) for it in arguments] or [("pod", None)]
    if verb in ("apply", "diff"):
        return []
    if verb == "auth can-i":
        arguments = arguments[1:]
    if verb in ("annotate", "port-forward"):
        arguments = arguments[:2] if "/" not in arguments[0] else arguments[:1]
    if "/" in arguments[0]:
        return [tuple([KINDS[it.split("/")[0]][0], it.split("/")[1]]) for it in arguments]
    kinds = [KINDS[it][0] for it in arguments[0].split(",")]
    return [(kind, name) for kind in kinds for name in arguments[1:] or [None]]


def is_placeholder(text):
    return bool(PLACEHOLDER.fullmatch(text))


class Shell(unittest.TestCase):
    def test_there_are_commands_on_every_page(self):
        found = collections.Counter(it.where for it in every_command())
        for page in GUIDES:
            if page.name != "README.md":
                self.assertGreater(found[str(page.relative_to(ROOT))], 0, page.name)
        for name in SETS:
            self.assertGreater(found[f"NOTES.txt of {name}"], 6)

    @unittest.skipUnless(shutil.which("bash"), "bash is not installed")
    def test_bash_can_parse_them(self):
        for where, block in {*texts(), *other_texts()}:
            with self.subTest(where, block=block):
                checked = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
                self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def test_each_step_says_what_the_reader_sees_then(self):
        for page in GUIDES:
            text = page.read_text()
            for step in re.finditer(r"^( +)```sh\n(.*?)^ +```\n\n?([^\n]*)", text, re.MULTILINE | re.DOTALL):
                with self.subTest(page.name, command=step[2].strip()):
                    self.assertTrue(step[3].startswith(step[1]), "no sentence follows in this step")
                    self.assertNotIn("```", step[3])

    def test_every_other_program_is_listed_with_the_reason(self):
        used = set()
        for command in [*every_command(), *other_commands()]:
            program = command.words[0]
            with self.subTest(command.where, program=program):
                if "/" in program and program.split("/")[-1] != "poolguard":
                    folders = [ROOT, (ROOT / command.where).parent]
                    self.assertTrue([it for it in folders if (it / program).is_file()], "there is no such script")
                    continue
                used.add(program.split("/")[-1])
                self.assertIn(program.split("/")[-1], {"kubectl", "helm", "poolguard", *NOT_PARSED})
        self.assertLessEqual(set(NOT_PARSED), used)

    def test_targets_of_make_exist(self):
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        for command in commands_everywhere("make"):
            for target in [it for it in command.words[1:] if "=" not in it]:
                self.assertIn(target, targets, command)

    def test_none_runs_in_the_background(self):
        """The next command would run before the connection is open."""
        for where, block in texts():
            self.assertNotRegex(block, r"&\s*(\n|curl)", where)

    def test_what_is_searched_for_in_the_log_is_what_is_written(self):
        source = texts_of_the_source().lower()
        # A text of a comment.
        self.assertNotIn("the only place that wires", source)
        # Fields of an audit line, and parts of a message that PoolGuard or the API server puts together.
        elsewhere = re.compile(
            r'"decision"(:"[a-z-]+")?|poolguard\.io|break-glass|DaemonSet/|\[pod-intrusion\]|\[role-binding\]|\[node-'
        )
        for command in commands("grep"):
            _, *rest = command.words
            pattern = rest[-1]
            pieces = pattern.split("|") if any("E" in it for it in rest[:-1]) else [pattern]
            for piece in pieces:
                text = re.sub(r"\\(.)", r"\1", piece)
                text = elsewhere.sub("", text).strip()
                with self.subTest(command.where, searched=piece):
                    self.assertIn(text.lower(), source)

    def test_a_local_port_is_that_of_the_chart(self):
        ports = engine.container(objects("defaults"))["ports"]
        admin = next(str(it["containerPort"]) for it in ports if it["name"] == "admin")
        for command in commands("curl"):
            for url in [it for it in command.words[1:] if it.startswith("http")]:
                self.assertRegex(url, rf"^http://localhost:{admin}/(readyz|livez|metrics)$", command)
        for command in commands("kubectl"):
            if "port-forward" in command.words:
                self.assertEqual(command.words[-1], admin, command)


class Kubectl(unittest.TestCase):
    def for_each(self, check, of=commands):
        """Checks every command of kubectl. A failure names the command."""
        for command in of("kubectl"):
            with self.subTest(command.where, command=shlex.join(command.words)):
                check(*parsed(command.words, KUBECTL_EVERYWHERE, KUBECTL))

    def test_verbs_and_flags_exist(self):
        self.for_each(lambda *_: None, of=commands_everywhere)
        for wrong in ["get pods --since=1", "logs -l a=b --tail -1h", "explode pods"]:
            words = shlex.split(f"kubectl {wrong}")
            with self.assertRaises(AssertionError, msg=wrong):
                _, flags, _ = parsed(words, KUBECTL_EVERYWHERE, KUBECTL)
                self.check_times(flags)

    def check_times(self, flags):
        for value in flags.get("--since", []):
            self.assertRegex(value, r"^[0-9]+[smh]$")
        for value in flags.get("--tail", []):
            self.assertRegex(value, r"^(-1|[1-9][0-9]*)$")

    def test_times_and_numbers_can_be_read(self):
        def check(_, flags, __):
            self.check_times(flags)
            for values in flags.values():
                # Of a flag that is given twice, kubectl takes the last.
                self.assertEqual(len(values), 1)

        self.for_each(check, of=commands_everywhere)

    def test_objects_are_those_of_the_chart(self):
        def check(verb, flags, arguments):
            for kind, name in named(verb, arguments):
                if verb == "run":
                    self.assertEqual(flags["--dry-run"], ["server"])
                elif name is not None and not is_placeholder(name):
                    self.assertIn((kind, name), objects_that_exist())
            for name in flags.get("--clusterrole", []):
                self.assertIn(("clusterrole", name), objects_that_exist())

        self.for_each(check)

    def test_the_namespace_is_the_one_of_the_guide(self):
        def check(verb, flags, arguments):
            given = [*flags.get("-n", []), *flags.get("--namespace", [])]
            for namespace in given:
                is_events = "events" in arguments and namespace == "default"
                is_probe = verb == "run" and namespace == "default"
                is_own = namespace == NAMESPACE or is_placeholder(namespace)
                self.assertTrue(is_own or is_events or is_probe, namespace)
            namespaced = [kind for kind, _ in named(verb, arguments) if KINDS[kind][1]]
            everywhere = "-A" in flags or "--all-namespaces" in flags
            if namespaced and verb != "run":
                self.assertTrue(bool(given) != everywhere, "neither -n nor -A, or both")

        self.for_each(check)

    def test_impersonation_names_the_user_and_the_group_of_the_role(self):
        role = engine.only(objects("defaults"), "ClusterRole", f"{RELEASE}-break-glass")
        users, groups = [rule["resourceNames"] for rule in role["rules"]]
        account = engine.only(objects("defaults"), "ServiceAccount")["metadata"]["name"]
        replica = f"system:serviceaccount:{NAMESPACE}:{account}"
        found = []

        def check(verb, flags, _):
            if "--as-group" in flags:
                found.append(verb)
                self.assertIn("--as", flags, "kubectl takes no group without a user")
                self.assertLessEqual(set(flags["--as-group"]), set(groups))
                self.assertLessEqual(set(flags["--as"]), set(users))
            elif "--as" in flags:
                self.assertEqual((verb, flags["--as"]), ("auth can-i", [replica]))
            for group in flags.get("--group", []):
                self.assertIn(group, groups)

        self.for_each(check)
        self.assertGreater(len(found), 3)

    def test_selectors_match_the_pods(self):
        labels = engine.only(objects("defaults"), "Deployment")["spec"]["template"]["metadata"]["labels"]

        def check(verb, flags, _):
            for selector in flags.get("-l", []):
                key, _, value = selector.partition("=")
                if not is_placeholder(selector):
                    self.assertEqual(labels.get(key), value, selector)
            if verb == "logs" and "-l" in flags:
                # kubectl shows ten lines of each pod otherwise.
                self.assertTrue("--tail" in flags or "-f" in flags, "no --tail")

        self.for_each(check)

    def test_replicas_are_stopped_before_webhooks_are_deleted(self):
        """A running replica registers them again."""
        for command in commands("kubectl"):
            words = " ".join(command.words)
            if "delete" not in command.words or "webhookconfiguration" not in words:
                continue
            self.assertIn("mutatingwebhookconfiguration,validatingwebhookconfiguration", words)
            page = [" ".join(it.words) for it in commands("kubectl") if it.where == command.where]
            before = page[: page.index(words)]
            stop = rf"^kubectl -n {NAMESPACE} scale deployment/\S+ --replicas=0$"
            self.assertTrue([it for it in before if re.match(stop, it)], command)


class Outage(unittest.TestCase):
    """The steps work while PoolGuard is down: no entry that fails closed matches them."""

    @functools.cache
    def closed(self):
        entries = []
        for text in sorted({engine.config_text(objects(name)) for name in engine.CONFIGURED}):
            path = engine.written(text)
            made = engine.poolguard("render", "webhooks", "--config", path, "--namespace", NAMESPACE)
            self.assertEqual(made.returncode, 0, made.stderr)
            for thing in yaml.load_all(made.stdout, Loader=yaml.CSafeLoader):
                entries += [it for it in thing.get("webhooks", []) if it["failurePolicy"] == "Fail"]
        self.assertGreater(len(entries), 20)
        return entries

    def test_no_entry_that_fails_closed_matches_break_glass(self):
        for name in engine.CONFIGURED:
            config = yaml.safe_load(engine.config_text(objects(name)))
            if config.get("breakGlass", {}).get("groups") == []:
                continue
            path = engine.written(yaml.safe_dump(config))
            made = engine.poolguard("render", "webhooks", "--config", path, "--namespace", NAMESPACE)
            for thing in yaml.load_all(made.stdout, Loader=yaml.CSafeLoader):
                for entry in thing.get("webhooks", []):
                    if entry["failurePolicy"] == "Fail":
                        conditions = {it["name"]: it["expression"] for it in entry["matchConditions"]}
                        self.assertTrue(conditions["by-no-break-glass-group"].startswith("!("), entry["name"])

    def test_no_entry_that_fails_closed_matches_the_other_steps(self):
        """To scale, to delete webhooks, the backstop or the Lease, and to bind a role to the group."""
        for entry in self.closed():
            for rule in entry["rules"]:
                resources, operations = set(rule["resources"]), set(rule["operations"])
                with self.subTest(entry["name"], rule=rule):
                    for resource in resources:
                        self.assertNotRegex(resource, r"\*|webhookconfigurations|validatingadmissionpolic|leases")
                        self.assertNotIn("scale", resource)
                    if "clusterrolebindings" in resources:
                        self.assertNotIn("CREATE", operations)

    def test_the_config_of_the_emergency_fails_open_everywhere(self):
        path = engine.written(engine.config_text(objects("emergency")))
        made = engine.poolguard("render", "webhooks", "--config", path, "--namespace", NAMESPACE)
        policies = re.findall(r"failurePolicy: (\w+)", made.stdout)
        self.assertEqual(set(policies), {"Ignore"})


class Helm(unittest.TestCase):
    @functools.cache
    def schema(self):
        return json.loads((CHART / "values.schema.json").read_text())

    def properties(self, node):
        if "$ref" in node:
            return self.properties(self.schema()["definitions"][node["$ref"].split("/")[-1]])
        found = dict(node.get("properties", {}))
        for key in ("allOf", "anyOf", "oneOf"):
            for part in node.get(key, []):
                found |= self.properties(part)
        return found

    def assert_key(self, path):
        node = self.schema()
        for part in path.split("."):
            self.assertIn(part, self.properties(node), path)
            node = self.properties(node)[part]

    def test_commands_have_verbs_flags_and_values_that_exist(self):
        found = 0
        for command in commands_everywhere("helm"):
            with self.subTest(command.where, command=shlex.join(command.words)):
                verb, flags, arguments = parsed(command.words, HELM_EVERYWHERE, HELM)
                namespace = [*flags.get("-n", []), *flags.get("--namespace", [])]
                self.assertEqual((arguments[0], namespace), (RELEASE, [NAMESPACE]))
                if verb in ("install", "upgrade"):
                    self.assertTrue((ROOT / arguments[1] / "Chart.yaml").exists())
                for value in flags.get("--set", []):
                    found += 1
                    self.assert_key(value.partition("=")[0])
        self.assertGreater(found, 3)
        with self.assertRaises(AssertionError):
            self.assert_key("config.rule")

    def test_null_is_set_only_where_the_values_are_reset(self):
        """With --reuse-values, Helm ignores the null and takes the value of the last release."""
        for command in commands("helm"):
            if any(it.endswith("=null") for it in command.words):
                self.assertIn("--reset-then-reuse-values", command.words)


class PoolGuard(unittest.TestCase):
    def test_it_accepts_its_commands(self):
        checked = set()
        for command in commands_everywhere("poolguard"):
            words = tuple(command.words[1:])
            if words in checked:
                continue
            checked.add(words)
            with self.subTest(command.where, command=shlex.join(command.words)):
                said = engine.poolguard(*words, "--help")
                self.assertEqual(said.returncode, 0, said.stderr)
        self.assertGreater(len(checked), 4)

    def test_it_renders_for_the_namespace_that_it_runs_in(self):
        for command in commands("poolguard"):
            if command.words[1] == "render":
                given = command.words[command.words.index("--namespace") + 1]
                self.assertEqual(given, NAMESPACE, command)

    def test_a_config_from_a_pipe_is_read_from_there(self):
        for command in commands("poolguard"):
            if command.is_piped and command.words[1] == "config":
                self.assertEqual(command.words[-1], "-", command)


class Example(unittest.TestCase):
    """The tutorial shows a denial."""

    def test_it_is_what_poolguard_says(self):
        files = ROOT / "examples/tutorial"
        config = yaml.safe_load((files / "values.yaml").read_text())["config"]
        config |= {"apiVersion": "poolguard.io/v1alpha1", "kind": "PoolGuardConfig"}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "poolguard-worker2", "labels": {"example.com/pool": "automq"}},
            "spec": {"taints": [{"key": "dedicated", "value": "automq", "effect": "NoSchedule"}]},
        }
        settings = [engine.written(yaml.safe_dump(it)) for it in (config, node)]
        block = next(it.text for it in documents.blocks(ROOT / "docs/tutorial.md") if it.language == "text")
        flags = ["--config", settings[0], "--cluster", settings[1], "-o", "json"]
        said = engine.poolguard("review", *flags, files / "intruder.yaml")
        self.assertEqual(said.returncode, 1, said.stderr)
        [result] = json.loads(said.stdout)["results"]
        self.assertEqual([it["message"] for it in result["denials"]], [" ".join(block.split())])


if __name__ == "__main__":
    unittest.main()
