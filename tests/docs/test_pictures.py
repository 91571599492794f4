"""The pictures of the README: they show what PoolGuard says today, and every reader can use them."""

from __future__ import annotations

import os
import re
import subprocess
import unittest
import xml.etree.ElementTree as xml

from denial import CONFIG, POD, WEBHOOK, denial_of
from pages import ROOT
from readme_pictures import IMAGES, pictures
from screenshot import THEMES, hash_of_words, text_of, with_text

PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
SVG = "{http://www.w3.org/2000/svg}"
BYTES_MAX = 150_000


class Pictures(unittest.TestCase):
    def test_they_are_drawn_from_what_poolguard_says_today(self) -> None:
        for name, content in pictures().items():
            is_current = (IMAGES / name).read_text(encoding="utf-8") == content
            self.assertTrue(is_current, f"docs/images/{name} is older than what it shows: run `make docs`")

    def test_the_denial_has_every_word_of_the_message(self) -> None:
        lines = xml.parse(IMAGES / "denial.svg").iter(f"{SVG}text")
        shown = "".join("".join(line.itertext()).replace(" ", "") for line in lines)
        self.assertIn(denial_of(POD).replace(" ", ""), shown)

    def test_it_names_a_webhook_that_poolguard_registers(self) -> None:
        command = [os.environ["POOLGUARD"], "render", "webhooks", "--config", CONFIG]
        names = ["--namespace", "poolguard-system", "--service", "poolguard", "--name", "poolguard"]
        rendered = subprocess.run([*command, *names], capture_output=True, encoding="utf-8", check=True)
        self.assertIn(f"  name: {WEBHOOK}\n", rendered.stdout)

    def test_no_line_of_the_terminal_leaves_it(self) -> None:
        root = xml.parse(IMAGES / "denial.svg").getroot()
        for line in root.iter(f"{SVG}text"):
            end = float(line.get("x", "0")) + float(line.get("textLength", "0"))
            self.assertLess(end, float(root.get("width", "0")), "".join(line.itertext()))

    def test_each_has_words_for_those_who_cannot_see_it(self) -> None:
        for page in filter(lambda page: page.exists(), PAGES):
            text = page.read_text(encoding="utf-8")
            shown = re.findall(r"!\[(.*)\]\((\S+)\)", text)
            shown += [(alt, src) for alt, src in re.findall(r'<img alt="(.*?)" src="(\S+?)"', text)]
            self.assertEqual(len(shown), 3, page.name)
            for alt, source in [*shown, *(("dark", it) for it in re.findall(r'srcset="(\S+?)"', text))]:
                self.assertTrue((ROOT / source).is_file(), source)
                self.assertTrue(alt, source)
        for path in IMAGES.glob("*.svg"):
            self.assertTrue(xml.parse(path).findtext(f"{SVG}title"), path.name)

    def test_they_are_small(self) -> None:
        for path in IMAGES.iterdir():
            self.assertLess(path.stat().st_size, BYTES_MAX, path.name)


class Screenshot(unittest.TestCase):
    def test_it_knows_the_words_that_it_shows(self) -> None:
        for name in THEMES:
            self.assertTrue(text_of((IMAGES / name).read_bytes()), name)
        empty = b"\x89PNG\r\n\x1a\n" + bytes(25) + b"rest"
        words = hash_of_words("<p>one</p>")
        self.assertEqual(text_of(with_text(empty, words)), words)
        self.assertEqual(text_of(empty), "")

    def test_only_words_count(self) -> None:
        for html, is_same in [
            ("<style>p { color: red }</style><p>one  two</p>", True),
            ("<p>one two</p><footer class='faint'>2030</footer>", True),
            ("<div>one</div>\n<b>two</b>", True),
            ("<p>one &amp; two</p>", False),
        ]:
            self.assertEqual(hash_of_words(html) == hash_of_words("<p>one two</p>"), is_same, html)


if __name__ == "__main__":
    unittest.main()
