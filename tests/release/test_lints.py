"""The build of `make test` lints what it compiles, and leaves out no target."""

import os
import re
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

from modules import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
MANIFEST = '[package]\nname = "example"\nedition = "2024"\n[workspace]\n'


def build(source):
    """The result of the build that the Makefile describes, of a crate with this source."""
    settings = re.search(r"^LINTING := (.+)$", MAKEFILE, re.MULTILINE)[1]
    environment = os.environ | dict(setting.split("=", 1) for setting in settings.split())
    with tempfile.TemporaryDirectory() as folder:
        crate = Path(folder)
        (crate / "src").mkdir()
        (crate / "Cargo.toml").write_text(MANIFEST)
        (crate / "src/lib.rs").write_text(source)
        command = ["cargo", "test", "--no-run", "--offline", "--target-dir", crate / "target"]
        return subprocess.run(command, cwd=crate, env=environment, capture_output=True, text=True)


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

    def test_every_target_is_compiled(self):
        manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
        named = re.findall(r"--test (\w+)", "".join(re.findall(r"^\w+_TARGETS := (.+\n)", MAKEFILE, re.MULTILINE)))
        self.assertEqual(sorted(named), sorted(it["name"] for it in manifest["test"]))


if __name__ == "__main__":
    unittest.main()
