"""No link leads nowhere, and the book has every page of docs/."""

from __future__ import annotations

import re
import sys
import unittest
from collections import Counter

import pages
from pages import DOCS, ROOT, fault, links, listed

sys.path.insert(0, str(ROOT / "book"))
from links import rewritten  # noqa: E402
from pictures import IMAGES, PICTURES  # noqa: E402


class Links(unittest.TestCase):
    def test_they_lead_to_a_file_and_to_a_heading_of_it(self) -> None:
        found = 0
        for page in listed():
            for target in links(page.read_text()):
                found += 1
                with self.subTest(f"{page.relative_to(ROOT)}: {target}"):
                    self.assertEqual(fault(page, target), "")
        self.assertGreater(found, 300)

    def test_a_wrong_one_is_found(self) -> None:
        page = DOCS / "install.md"
        for target, expected in [
            ("rules.md", ""),
            ("rules.md#what-happens-if-", ""),
            ("#in-an-emergency", ""),
            (f"{pages.REPOSITORY}/blob/main/docs/rules.md", ""),
            ("https://example.com/missing#nothing", ""),
            ("rule.md", "there is no such file"),
            ("rules.md#what-happens-when-", "the file has no such heading"),
            (f"{pages.REPOSITORY}/blob/main/docs/rule.md", "there is no such file"),
        ]:
            with self.subTest(target):
                self.assertEqual(fault(page, target), expected)

    def test_titles_become_anchors_as_on_github(self) -> None:
        text = "# `mapRoles` in `aws-auth`\n## What is *it*?\n## What is it?\n```sh\n# no title\n```\n### See [a b](c.md)!\n"
        expected = {"maproles-in-aws-auth", "what-is-it", "what-is-it-1", "see-a-b"}
        self.assertEqual(pages.anchors(text), expected)

    def test_links_in_code_do_not_count(self) -> None:
        text = 'See [a](b.md "c"), `[d](e.md)` and <img src="f.svg">.\n```text\n[g](h.md)\n```\n'
        self.assertEqual([*links(text)], ["b.md", "f.svg"])


class Book(unittest.TestCase):
    def test_it_has_every_page_once(self) -> None:
        named = Counter(re.findall(r"\]\(([^)]+\.md)\)", (DOCS / "SUMMARY.md").read_text()))
        there = Counter(str(page.relative_to(DOCS)) for page in listed() if DOCS in page.parents)
        self.assertEqual(named, there - Counter(["SUMMARY.md"]))

    def test_links_work_in_it(self) -> None:
        for page, target, expected in [
            ("install.md", "../README.md#quick-start", f"{pages.REPOSITORY}/blob/main/README.md#quick-start"),
            ("install.md", "../examples", f"{pages.REPOSITORY}/tree/main/examples"),
            ("how-to/ci.md", "../../SECURITY.md", f"{pages.REPOSITORY}/blob/main/SECURITY.md"),
            ("how-to/ci.md", "../install.md#gitops", "../install.md#gitops"),
            ("how-to/ci.md", "../runbooks/README.md#alerts", "../runbooks/index.md#alerts"),
            ("install.md", "README.md", "index.md"),
            ("install.md", "rules.md", "rules.md"),
            ("install.md", "#upgrade", "#upgrade"),
            ("install.md", "https://example.com/README.md", "https://example.com/README.md"),
        ]:
            with self.subTest(page, target=target):
                self.assertEqual(rewritten(page, f"See [it]({target})."), f"See [it]({expected}).")


class Pictures(unittest.TestCase):
    def test_they_are_those_that_the_script_draws(self) -> None:
        """`make docs` writes them."""
        for name, draw in PICTURES.items():
            self.assertEqual((IMAGES / f"{name}.svg").read_text(), draw(), name)


if __name__ == "__main__":
    unittest.main()
