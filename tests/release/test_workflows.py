"""The workflows of GitHub: they are well-formed, name every action by a commit, and run what is here."""

import re
import subprocess
import sys
import unittest
from pathlib import Path

import yaml

from modules import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
LINT = Path(sys.executable).parent / "jactionlint"


def jobs():
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield f"{path.name}: {name}", job


def commands():
    """What the steps run, by job."""
    return [(name, step["run"]) for name, job in jobs() for step in job.get("steps", []) if "run" in step]


class Workflows(unittest.TestCase):
    def test_the_linter_finds_nothing(self):
        # Containers are named by a tag, as in the Dockerfile: a build takes their security fixes.
        # shellcheck may be missing on a machine.
        flags = ["--strict-exit", "--ignore=unpinned-images", "--shellcheck=", "--pyflakes=", "--no-color"]
        result = subprocess.run([LINT, *flags, *WORKFLOWS], cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_an_action_is_named_by_one_commit_and_its_version(self):
        found = {}
        for path in WORKFLOWS:
            for used in re.findall(r"uses: (.*)", path.read_text()):
                if used.startswith("./"):
                    self.assertTrue((ROOT / used).is_file(), used)
                    continue
                self.assertRegex(used, r"^[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
                found.setdefault(used.split("@")[0], set()).add(used)
        self.assertGreater(len(found), 3)
        for action, versions in found.items():
            self.assertEqual(len(versions), 1, action)

    def test_targets_and_scripts_are_there(self):
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        found = 0
        for name, text in commands():
            for target in re.findall(r"\bmake ([a-z-]+)", text):
                found += 1
                self.assertIn(target, targets, name)
            for script in re.findall(r"(?:python3 |^)(\.?[a-z]+/[\w.]+)", text, re.MULTILINE):
                found += 1
                self.assertTrue((ROOT / script).is_file(), f"{name}: {script}")
        self.assertGreater(found, 5)

    def test_linux_is_built_in_the_image_of_the_dockerfile(self):
        builder = re.search(r"^FROM (\S+) AS build$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]
        text = "".join(path.read_text() for path in WORKFLOWS)
        self.assertEqual(set(re.findall(r"\brust:[\w.-]+", text)), {builder})

    def test_only_the_last_job_of_a_release_may_write(self):
        for name, job in jobs():
            writes = [right for right, level in job["permissions"].items() if level == "write"]
            is_last = name == "release.yml: publish"
            self.assertEqual(writes, ["contents", "id-token", "attestations"] if is_last else [], name)

    def test_jobs_with_secrets_ask_a_person_first(self):
        for name, job in jobs():
            if "secrets." in yaml.safe_dump(job):
                self.assertEqual(job["environment"], "release", name)

    def test_a_release_has_every_platform(self):
        release = dict(jobs())
        binaries = release["release.yml: binaries"]["strategy"]["matrix"]["include"]
        platforms = [f"{system}-{arch}" for system in ("linux", "darwin") for arch in ("amd64", "arm64")]
        self.assertEqual([it["platform"] for it in binaries], platforms)
        images = release["release.yml: image"]["strategy"]["matrix"]["include"]
        self.assertEqual([it["arch"] for it in images], ["amd64", "arm64"])


if __name__ == "__main__":
    unittest.main()
