"""The YAML in the documents: configs, values of the chart, policy tests, workflows and objects of Kubernetes."""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

import documents
import engine
from engine import CHART, ROOT

VALUES = set(yaml.safe_load((CHART / "values.yaml").read_text()))
POLICY_TEST = json.loads((ROOT / "docs/test.schema.json").read_text())
LINT = Path(sys.executable).parent / "jactionlint"
MARKER = re.compile(r"<!-- (\S+) -->")


def values_of(thing):
    """The values of the chart in an object of Argo CD or Flux."""
    if thing.get("kind") == "HelmRelease":
        return [thing["spec"].get("values", {})]
    if thing.get("kind") == "Application":
        sources = [thing["spec"]["source"]] if "source" in thing["spec"] else thing["spec"]["sources"]
        return [it["helm"].get("valuesObject", {}) for it in sources if "helm" in it]
    return []


def mistakes_of_object(thing):
    try:
        kubernetes_validate.validate(thing, "1.37", strict=True)
    except kubernetes_validate.ValidationError as error:
        return error.message
    except kubernetes_validate.SchemaNotFoundError:
        # A custom resource: what it gives to the chart is checked.
        return "".join(engine.refusal(it) for it in values_of(thing))
    return ""


def mistakes(text):
    """(kind of document, what is wrong with it) for each document of a block."""
    for thing in yaml.safe_load_all(text):
        if not isinstance(thing, dict):
            yield "part", ""
        elif thing.get("kind") == "PoolGuardConfig":
            said = engine.poolguard("config", "check", engine.written(text))
            yield "config", said.stderr if said.returncode else ""
        elif {"run", "expect"} <= set(thing):
            found = jsonschema.Draft202012Validator(POLICY_TEST).iter_errors(thing)
            yield "policy test", "\n".join(it.message for it in found)
        elif {"jobs", True} <= set(thing):
            with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
                file.write(text)
                file.flush()
                flags = ["--ignore=unpinned-images", "--ignore=concurrency-limits", "--shellcheck=", "--pyflakes=", "--no-color"]
                said = subprocess.run([LINT, *flags, file.name], capture_output=True, text=True)
            yield "workflow", said.stdout if said.returncode else ""
        elif "apiVersion" in thing:
            yield "object", mistakes_of_object(thing)
        elif set(thing) <= VALUES:
            yield "values", engine.refusal(thing)
        else:
            yield "part", ""


class Yaml(unittest.TestCase):
    def test_what_is_shown_is_valid(self):
        found = {}
        for page in documents.PAGES:
            for block in documents.blocks(page):
                if block.language == "yaml":
                    for kind, mistake in mistakes(block.text):
                        found[kind] = found.get(kind, 0) + 1
                        with self.subTest(f"{page.relative_to(ROOT)}, {kind}", text=block.text):
                            self.assertEqual(mistake, "")
        for kind in ["config", "policy test", "workflow", "object", "values"]:
            self.assertGreater(found.get(kind, 0), 0, kind)

    def test_mistakes_are_found(self):
        for kind, text in [
            ("config", "apiVersion: poolguard.io/v1alpha1\nkind: PoolGuardConfig\npool: []\n"),
            ("policy test", "run: {command: review, input: [pod.yaml]}\nexpect: {}\n"),
            ("workflow", "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps: [{use: b}]\n"),
            ("object", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {container: []}\n"),
            ("object", "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec: {values: {modes: audit}}\n"),
            ("values", "mode: enforced\n"),
        ]:
            with self.subTest(kind):
                [(found, mistake)] = mistakes(text)
                self.assertEqual(found, kind)
                self.assertNotEqual(mistake, "")

    def test_a_block_that_names_a_file_shows_the_file(self):
        found = 0
        for page in documents.PAGES:
            for block in documents.blocks(page):
                if marker := MARKER.fullmatch(block.above.strip()):
                    found += 1
                    self.assertEqual(block.text, (ROOT / marker[1]).read_text(), page.relative_to(ROOT))
        self.assertGreater(found, 10)


class Troubleshooting(unittest.TestCase):
    # Texts of Kubernetes, of Go's network library and of Helm, and the names of rules in brackets.
    ELSEWHERE = re.compile(
        r"denied the request: |Warning: |\[[a-z-]+\]?|FailedCreate|untolerated taint \{dedicated: automq\}|failed calling webhook"
        r"|no endpoints available for service|context deadline exceeded|i/o timeout|connection refused|x509:"
        r"|ValidatingAdmissionPolicy 'poolguard(-bindings)?'|cannot impersonate|insufficient quota to match these scopes"
    )

    def test_every_text_of_the_index_is_one_that_a_reader_can_see(self):
        page = (ROOT / "docs/troubleshooting.md").read_text()
        sources = [*engine.rust_sources(), *(CHART / "templates").glob("*")]
        source = "".join(path.read_text() for path in sources if path.is_file())
        # A backslash continues a long text on the next line of the source.
        source = re.sub(r"\\\n\s*", "", source)
        rows = re.findall(r"^\| (`.*?`) \| \[", page, re.MULTILINE)
        self.assertGreater(len(rows), 15)
        for shown in re.findall(r"`([^`]+)`", "".join(rows)):
            with self.subTest(shown):
                self.assertIn(self.ELSEWHERE.sub("", shown), source)


if __name__ == "__main__":
    unittest.main()
