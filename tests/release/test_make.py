"""What make runs: `make test` lints what it compiles, and compiles every target."""

import os
import re
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

from modules import ROOT

MANIFEST = '[package]\nname = "example"\nedition = "2024"\n[workspace]\n'


def commands(target):
    """What make would run for a target."""
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    result = subprocess.run(["make", "--dry-run", target], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


def first_build():
    """The settings of the build that `make test` begins with, and its arguments."""
    found = re.search(r"^((?:[A-Z_]+=\S+ )+)\S+ test (.*--no-run.*)$", "\n".join(commands("test")), re.MULTILINE)
    return dict(setting.split("=", 1) for setting in found[1].split()), found[2]


def build(source):
    """The result of that build, of a crate with this source."""
    with tempfile.TemporaryDirectory() as folder:
        crate = Path(folder)
        (crate / "src").mkdir()
        (crate / "Cargo.toml").write_text(MANIFEST)
        (crate / "src/lib.rs").write_text(source)
        command = [os.environ.get("CARGO", "cargo"), "test", "--no-run", "--offline", "--target-dir", crate / "target"]
        return subprocess.run(command, cwd=crate, env=os.environ | first_build()[0], capture_output=True, text=True)


class Lints(unittest.TestCase):
    def test_a_lint_of_clippy_fails_the_build(self):
        result = build("#[test]\nfn adds() {\n    assert_eq!(true, 1 + 1 == 2);\n}\n")
        self.assertEqual(result.returncode, 101)
        self.assertIn("clippy::bool-assert-comparison", result.stderr)

    def test_a_warning_of_the_compiler_fails_the_build(self):
        result = build("fn unused() {}\n")
        self.assertEqual(result.returncode, 101)
        self.assertIn("dead-code", result.stderr)

    def test_a_build_without_findings_passes(self):
        self.assertEqual(build("#[test]\nfn adds() {\n    assert_eq!(1 + 1, 2);\n}\n").returncode, 0)


class Targets(unittest.TestCase):
    def test_every_target_is_compiled(self):
        # A glob also names the tests that are no part of `cargo test`.
        self.assertTrue(first_build()[1].endswith("--lib --bins --benches --test '*'"), first_build())

    def test_a_test_that_takes_minutes_has_a_command_of_its_own(self):
        tests = tomllib.loads((ROOT / "Cargo.toml").read_text())["test"]
        ran = {
            target: re.findall(r"--test (\w+)", "\n".join(commands(target))) for target in ("rollout-test", "soak")
        }
        self.assertEqual(ran, {"rollout-test": ["rollout"], "soak": ["soak"]})
        self.assertEqual([it["name"] for it in tests if not it.get("test", True)], ["rollout", "soak"])


if __name__ == "__main__":
    unittest.main()
