"""What a release is made of, without a build of the binary: the same bytes on every machine, and of the right form."""

import io
import os
import re
import shutil
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import yaml
from helm_python.chart import Chart

from modules import ROOT, binary, engine, files, notices, places
from places import NAME, TAG, VERSION

TIME = 1_700_000_000
ARCHIVES = {"darwin-arm64": ("d.tar.gz", "a" * 64), "linux-amd64": ("l.tar.gz", "b" * 64)}


class Archive(unittest.TestCase):
    def test_it_depends_on_its_members_and_the_time_of_the_commit_only(self):
        members = [("poolguard", b"binary", 0o755), ("LICENSE", b"text", 0o644)]
        packed = binary.archive(members, TIME)
        self.assertEqual(packed, binary.archive(members[::-1], TIME))
        self.assertNotEqual(packed, binary.archive(members, TIME + 1))
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            found = [(it.name, it.mode, it.mtime, it.uid, it.gid, it.uname, it.gname) for it in tar.getmembers()]
        self.assertEqual(found, [(name, mode, TIME, 0, 0, "", "") for name, mode in [("LICENSE", 0o644), ("poolguard", 0o755)]])


class ShellFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.members = {name: content.decode() for name, content, _ in binary.shell_files(os.environ["POOLGUARD"])}

    def test_there_is_a_completion_script_for_each_shell_and_a_man_page_for_each_command(self):
        for name, start in [
            ("completions/poolguard.bash", "_poolguard() {"),
            ("completions/_poolguard", "#compdef poolguard\n"),
            ("completions/poolguard.fish", "# Print an optspec"),
            ("completions/_poolguard.ps1", "\nusing namespace"),
        ]:
            self.assertTrue(self.members[name].startswith(start.strip()), self.members[name][:200])
        pages = {name for name in self.members if name.startswith("man/")}
        self.assertLessEqual({"man/poolguard.1", "man/poolguard-check.1", "man/poolguard-config-check.1"}, pages)

    def test_homebrew_installs_all_of_them(self):
        formula = files.homebrew_formula(ARCHIVES)
        for name in self.members:
            self.assertTrue(f'"{name}"' in formula or name.startswith("man/"), name)
        self.assertIn('man1.install Dir["man/*.1"]', formula)


class Notices(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = binary.rustc("host")
        cls.text = notices.notices(cls.host)

    def test_every_crate_in_the_binary_is_listed_with_its_license(self):
        index, _, _ = self.text.partition("=" * 80)
        listed = set(re.findall(r"^(\S+) (\S+): \S", index, re.MULTILINE))
        own = {(NAME, VERSION), (f"{NAME}-core", VERSION)}
        self.assertEqual(listed, notices.linked(self.host) - own)

    def test_the_texts_of_a_crate_are_there_once_each(self):
        _, packages = notices.packages(self.host)
        for package in packages:
            if package["name"] in {"aws-lc-sys", "hyper", "rustls"}:
                self.assertTrue(notices.texts(package))
                for text in notices.texts(package):
                    self.assertEqual(self.text.count(f"{'=' * 80}\n\n{text}\n"), 1, package["name"])

    def test_nothing_of_this_machine_is_in_them(self):
        self.assertNotIn(str(ROOT), self.text)
        self.assertNotIn(str(Path.home()), self.text)


class Sbom(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sbom = binary.sbom(binary.rustc("host"), TIME)

    def test_it_lists_what_is_in_the_binary(self):
        names = {it["name"] for it in self.sbom["components"]}
        self.assertLessEqual({"aws-lc-sys", "hyper", "json-patch", "kube", "rustls", "serde_json", "tokio"}, names)
        # A procedural macro, a build script's, one of the tests.
        self.assertFalse({"serde_derive", "cc", "insta"} & names)

    def test_every_component_has_a_version_a_license_and_a_checksum(self):
        for it in self.sbom["components"]:
            self.assertEqual(it["purl"], f"pkg:cargo/{it['name']}@{it['version']}")
            self.assertRegex(it["licenses"][0]["expression"], r"^[\w.()+ -]+$")
            # A crate of the workspace comes with the commit.
            if it["name"] != f"{NAME}-core":
                self.assertRegex(it["hashes"][0]["content"], r"^[0-9a-f]{64}$")

    def test_every_component_is_reached_from_the_binary(self):
        uses = {it["ref"]: it["dependsOn"] for it in self.sbom["dependencies"]}
        reached, ahead = set(), [self.sbom["metadata"]["component"]["bom-ref"]]
        while ahead:
            reference = ahead.pop()
            if reference not in reached:
                reached.add(reference)
                ahead += uses[reference]
        self.assertEqual(reached, set(uses))
        self.assertEqual(len(reached), len(self.sbom["components"]) + 1)

    def test_it_is_the_same_each_time(self):
        self.assertEqual(self.sbom, binary.sbom(binary.rustc("host"), TIME))


class ChartPackage(unittest.TestCase):
    def test_it_depends_on_the_chart_and_the_time_of_the_commit_only(self):
        packages = []
        for time in (1_600_000_000, 1_650_000_000):
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(shutil.copytree(places.CHART, f"{folder}/chart"))
                for path in copy.rglob("*"):
                    os.utime(path, (time, time))
                with mock.patch.object(files, "CHART", copy):
                    packages.append(files.package_chart(folder, TIME).read_bytes())
        self.assertEqual(*packages)

    def test_it_renders_as_the_folder_does(self):
        with tempfile.TemporaryDirectory() as folder:
            path = files.package_chart(folder, TIME)
            self.assertEqual(path.name, f"{NAME}-{VERSION}.tgz")
            for name in ("defaults", "everything"):
                of_package = engine.render(engine.read_values(name), of=Chart.load(path))
                self.assertEqual(of_package, engine.rendered(name))


class Install(unittest.TestCase):
    def setUp(self):
        self.objects = list(yaml.safe_load_all(files.install_manifest()))

    def test_it_has_the_objects_of_the_chart_after_their_namespace(self):
        namespace, *rest = self.objects
        self.assertEqual((namespace["kind"], namespace["metadata"]["name"]), ("Namespace", engine.NAMESPACE))
        expected = engine.objects_of(engine.render({"mode": "audit"}))
        self.assertCountEqual([yaml.safe_dump(it) for it in rest], [yaml.safe_dump(it) for it in expected])
        self.assertEqual(rest[-1]["kind"], "Deployment")

    def test_it_denies_nothing(self):
        rules = yaml.safe_load(engine.config_text(self.objects))["rules"]
        self.assertEqual({it["mode"] for it in rules.values()} - {"off"}, {"audit"})


class Manifests(unittest.TestCase):
    def test_krew_accepts_the_plugin(self):
        """The rules of `ValidatePlugin` in internal/index/validation/validate.go of Krew."""
        plugin = yaml.safe_load(files.krew_manifest(ARCHIVES))
        self.assertEqual(plugin["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2")
        self.assertEqual((plugin["kind"], plugin["metadata"]["name"]), ("Plugin", NAME))
        spec = plugin["spec"]
        self.assertEqual(spec["version"], TAG)
        self.assertNotIn("\n", spec["shortDescription"])
        self.assertEqual(len(spec["platforms"]), len(ARCHIVES))
        for platform, (key, (file, digest)) in zip(spec["platforms"], ARCHIVES.items()):
            labels = platform["selector"]["matchLabels"]
            self.assertEqual(f"{labels['os']}-{labels['arch']}", key)
            self.assertTrue(platform["uri"].endswith(f"/{file}"))
            self.assertEqual((platform["sha256"], platform["bin"]), (digest, NAME))
            self.assertEqual({it["from"] for it in platform["files"]}, {NAME, "LICENSE"})

    def test_the_commands_that_krew_shows_are_there(self):
        known = engine.poolguard("--help").stdout
        for command in re.findall(r"kubectl poolguard (\w+)", files.krew_manifest(ARCHIVES)):
            self.assertRegex(known, rf"(?m)^ +{command}\b")

    def test_homebrew_finds_each_archive_by_system_and_processor(self):
        formula = files.homebrew_formula(ARCHIVES)
        blocks = re.findall(r'on_(\w+) do\n    on_(\w+) do\n +url "\S+/(\S+)"\n +sha256 "(\w+)"', formula)
        expected = [("macos", "arm", *ARCHIVES["darwin-arm64"]), ("linux", "intel", *ARCHIVES["linux-amd64"])]
        self.assertEqual(blocks, expected)
        self.assertEqual(len(re.findall(r"\bdo$|^class|^  def", formula, re.MULTILINE)), len(re.findall(r"^ *end$", formula, re.MULTILINE)))
        self.assertLessEqual(len(files.SUMMARY), 80)

    def test_checksums_are_those_of_every_file(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "b").write_bytes(b"b\n")
            (Path(folder) / "a").write_bytes(b"a\n")
            with mock.patch.object(files, "ARTIFACTS", Path(folder)):
                lines = files.checksums().splitlines()
        # sha256sum of "a\n" and "b\n".
        digests = [
            "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7",
            "0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f",
        ]
        self.assertEqual(lines, [f"{digest}  {name}" for digest, name in zip(digests, "ab")])


if __name__ == "__main__":
    unittest.main()
