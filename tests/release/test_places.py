"""Cargo.toml says where a release comes from and goes to, and every other file agrees."""

import json
import re
import unittest
from unittest import mock

import yaml

from modules import ROOT, engine, files, places
from places import CHART, IMAGE, REPOSITORY, RUNBOOKS, VERSION

ARCHIVES = {"darwin-arm64": ("poolguard-x-darwin-arm64.tar.gz", "a" * 64), "linux-amd64": ("poolguard-x-linux-amd64.tar.gz", "b" * 64)}


class Places(unittest.TestCase):
    def test_every_file_agrees(self):
        """`make docs` writes them."""
        for name, text in places.tracked():
            with self.subTest(name):
                self.assertEqual(places.rewritten(name, text), text)

    def test_the_chart_names_source_version_and_image(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual((chart["home"], chart["sources"]), (REPOSITORY, [REPOSITORY]))
        self.assertEqual((chart["version"], chart["appVersion"]), (VERSION, VERSION))
        image = yaml.safe_load((CHART / "values.yaml").read_text())["image"]
        self.assertEqual((image["registry"], image["repository"], image["tag"]), (places.REGISTRY, places.NAME, ""))
        self.assertEqual(engine.container(engine.objects("defaults"))["image"], f"{IMAGE}:{VERSION}")

    def test_alerts_and_dashboard_link_to_the_runbooks(self):
        groups = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"]
        urls = [rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"] if "alert" in rule]
        dashboard = json.loads((CHART / "files/dashboard.json").read_text())
        urls += [link["url"] for link in dashboard["links"]]
        self.assertGreater(len(urls), 30)
        for url in urls:
            self.assertTrue(url.startswith(f"{RUNBOOKS}/"), url)
            self.assertTrue((ROOT / "docs/runbooks" / url.removeprefix(f"{RUNBOOKS}/")).is_file(), url)

    def test_an_install_links_to_the_runbooks_of_its_version(self):
        rules = engine.only(engine.objects("monitoring"), "PrometheusRule")
        urls = set(re.findall(r"https://\S+/docs/runbooks/", yaml.safe_dump(rules, width=1000)))
        self.assertEqual(urls, {f"{REPOSITORY}/blob/v{VERSION}/docs/runbooks/"})

    def test_manifests_name_the_image_and_the_downloads(self):
        manifest = files.install_manifest()
        self.assertEqual(set(re.findall(r"image: (.*)", manifest)), {f'"{IMAGE}:{VERSION}"'})
        for text in [files.krew_manifest(ARCHIVES), files.homebrew_formula(ARCHIVES)]:
            self.assertEqual(re.findall(r'homepage:? "?([^"\n]+)', text), [REPOSITORY])
            urls = re.findall(r'(?:uri:|url) "?([^"\n]+)', text)
            expected = {f"{REPOSITORY}/releases/download/v{VERSION}/{file}" for file, _ in ARCHIVES.values()}
            self.assertEqual(set(urls), expected)

    def test_another_source_reaches_every_file(self):
        new = "https://git.example.com/platform/guard"
        with mock.patch.multiple(places, REPOSITORY=new, FILES=f"{new}/main"):
            for name, text in places.tracked():
                with self.subTest(name):
                    links = re.findall(r"https://\S+", places.rewritten(name, text))
                    self.assertEqual([it for it in links if places.SOURCE.match(it)], [])

    def test_a_release_needs_its_tag_a_registry_and_a_section_of_the_changelog(self):
        sections = "# Changelog\n\n## Unreleased\n\n- a\n\n## 1.2.0 - 2030-01-02\n\n### Added\n\n- b\n\n## 1.1.0\n\n- c\n"
        self.assertEqual(places.notes(sections, "1.2.0"), "### Added\n\n- b\n")
        self.assertEqual(places.notes(sections, "1.1.0"), "- c\n")
        self.assertEqual(places.notes(sections, "1.2"), "")
        with mock.patch.multiple(places, REGISTRY=""):
            self.assertEqual(len(list(places.unready("v0", sections))), 3)
        with mock.patch.multiple(places, REGISTRY="registry.example.com", VERSION="1.2.0", TAG="v1.2.0"):
            self.assertEqual(list(places.unready("v1.2.0", sections)), [])


if __name__ == "__main__":
    unittest.main()
