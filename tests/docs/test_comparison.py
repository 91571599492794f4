"""docs/comparison.md: what its table says of PoolGuard is what a test of PoolGuard says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import unittest

from denial import CLUSTER, CONFIG
from pages import ROOT

PAGE = (ROOT / "docs/comparison.md").read_text(encoding="utf-8")
CASES = ROOT / "tests/data/cases"
DECISIONS = {"denied": "deny", "allowed": "allow"}


def rows() -> list[list[str]]:
    """The rows of the table of requests."""
    [table] = re.findall(r"^\| request \| should be .*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


class Requests(unittest.TestCase):
    def test_cases_and_tests_say_the_same(self) -> None:
        sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/it").rglob("*.rs"))
        for request, should_be, _, poolguard in rows():
            decision = poolguard.split(":")[0]
            if should_be in DECISIONS:
                self.assertEqual(decision, should_be, request)
            for case in re.findall(r"case `(\S+)`", poolguard):
                results = json.loads((CASES / case / "case.json").read_text(encoding="utf-8"))["expect"]["results"]
                found = {result["decision"] for result in results.values()}
                self.assertEqual(found, {DECISIONS[decision]}, case)
            for test in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", poolguard):
                self.assertTrue(f"fn {test}(" in sources, test)

    def test_pods_without_a_case_are_allowed(self) -> None:
        outside = next(
            item["metadata"]["name"]
            for item in json.loads(CLUSTER.read_text(encoding="utf-8"))["items"]
            if item["kind"] == "Node" and not item["spec"].get("taints")
        )
        for spec in [{}, {"nodeName": outside}]:
            pod = {
                **{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}], **spec},
            }
            command = [os.environ["POOLGUARD"], "review", "--config", CONFIG, "--cluster", CLUSTER, "-"]
            done = subprocess.run(command, input=json.dumps(pod), capture_output=True, encoding="utf-8", check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_poolguards_config_is_valid(self) -> None:
        [config] = re.findall(r"```yaml\n(apiVersion: poolguard\.io.*?)```", PAGE, re.DOTALL)
        command = [os.environ["POOLGUARD"], "config", "check", "-"]
        done = subprocess.run(command, input=config, capture_output=True, encoding="utf-8", check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


    def test_both_engines_get_the_same_expressions(self) -> None:
        validations = re.findall(r"^  validations:\n((?:  +.*\n|  - .*\n)+)", PAGE, re.MULTILINE)
        self.assertEqual(len(validations), 2)
        self.assertEqual(*validations)


class Sources(unittest.TestCase):
    def test_each_project_has_one(self) -> None:
        for section in PAGE.split("\n### ")[4:]:
            self.assertIn("](https://", section, section.splitlines()[0])


if __name__ == "__main__":
    unittest.main()
