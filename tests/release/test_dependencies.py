"""deny.toml gives a reason for every exception. `make deny` checks the dependencies against it."""

import re
import tomllib
import unittest

from modules import ROOT

TEXT = (ROOT / "deny.toml").read_text()
DENY = tomllib.loads(TEXT)


def entries():
    """The lines with an exception, each with the line above."""
    lines = TEXT.splitlines()
    return [(above, line) for above, line in zip(lines, lines[1:]) if re.match(r" *\{ (crate|id) = ", line)]


class Dependencies(unittest.TestCase):
    def test_every_exception_has_a_reason(self):
        for above, line in entries():
            self.assertTrue(re.search(r'reason = "\w.+"', line) or above.strip().startswith("# "), line)

    def test_every_exception_is_a_line_of_its_own(self):
        lists = [DENY["advisories"]["ignore"], DENY["licenses"]["exceptions"], DENY["bans"]["deny"], DENY["bans"]["skip"]]
        self.assertEqual(len(entries()), sum(len(it) for it in lists))
        others = {"allow", "allow-git", "allow-registry", "clarify", "private", "skip-tree"}
        found = {f"{table}.{key}" for table, keys in DENY.items() for key in keys if key in others}
        self.assertEqual(found, {"licenses.allow"})

    def test_it_checks_what_a_release_is_built_for(self):
        machines = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-apple-darwin", "aarch64-apple-darwin"]
        self.assertEqual(DENY["graph"]["targets"], machines)

    def test_the_fuzz_targets_are_built_with_the_same_dependencies(self):
        def packages(path):
            return tomllib.loads((ROOT / path).read_text())["package"]

        manifests = [tomllib.loads((ROOT / it).read_text()) for it in ("Cargo.toml", "core/Cargo.toml")]
        wanted = {name for manifest in manifests for name in manifest["dependencies"]}
        locked = {(it["name"], it["version"]) for it in packages("Cargo.lock") if it["name"] in wanted}
        found = {(it["name"], it["version"]) for it in packages("fuzz/Cargo.lock")}
        self.assertEqual(locked - found, set(), "run: cargo update --workspace --manifest-path fuzz/Cargo.toml")


if __name__ == "__main__":
    unittest.main()
