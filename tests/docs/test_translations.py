"""The Chinese pages: their commands and examples are those of the English pages."""

from __future__ import annotations

import subprocess
import unittest

from pages import ROOT
from translations import PAGES, blob, blocks, followed, outline


class Translations(unittest.TestCase):
    def test_their_blocks_of_code_are_those_of_the_english_page(self) -> None:
        for translation, english in PAGES.items():
            known = blocks(english.read_text(encoding="utf-8"))
            for block in blocks(translation.read_text(encoding="utf-8")):
                with self.subTest(translation.name):
                    self.assertIn(block, known, f"{english.name} has no such block: translate only its comments")

    def test_each_names_the_version_that_it_follows(self) -> None:
        for translation in PAGES:
            self.assertTrue(followed(translation.read_text(encoding="utf-8")), translation.name)

    def test_one_that_follows_the_page_of_today_has_all_its_parts(self) -> None:
        for translation, english in PAGES.items():
            text = translation.read_text(encoding="utf-8")
            if followed(text) == blob(english.read_bytes()):
                self.assertEqual(outline(text), outline(english.read_text(encoding="utf-8")), translation.name)

    def test_an_outline_has_headings_and_blocks(self) -> None:
        self.assertEqual(outline("# a\n```sh\n# b\n```\ntext\n### c\n"), ["#", "sh", "###"])

    def test_a_hash_is_that_of_git(self) -> None:
        for english in PAGES.values():
            printed = subprocess.run(["git", "hash-object", english], cwd=ROOT, capture_output=True, text=True, check=True)
            self.assertTrue(printed.stdout.startswith(blob(english.read_bytes())), english.name)

    def test_only_comments_may_differ(self) -> None:
        english = "```yaml\n# one\na: b # two\n```\n"
        for other, is_same in [
            ("```yaml\n# 一\na: b # 二\n```\n", True),
            ("   ```yaml\n   a: b\n   ```\n", True),
            ("```yaml\na: c # two\n```\n", False),
            ("```sh\na: b\n```\n", False),
            ("```yaml\na: b#c\n```\n", False),
        ]:
            self.assertEqual(blocks(other) == blocks(english), is_same, other)


if __name__ == "__main__":
    unittest.main()
