"""The README stays one page, and its numbers are those of the pages that explain them."""

from __future__ import annotations

import re
import unittest

from pages import ROOT

LINES_MAX = 100


class Readme(unittest.TestCase):
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    def test_it_is_one_page(self) -> None:
        self.assertLessEqual(len(self.text.splitlines()), LINES_MAX)

    def test_its_costs_are_measured(self) -> None:
        [costs] = re.findall(r"^\*\*Cost:\*\*(.*?)\n\n", self.text, re.MULTILINE | re.DOTALL)
        measured = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
        numbers = re.findall(r"\d+\.\d+", costs)
        self.assertGreater(len(numbers), 3)
        for number in numbers:
            self.assertRegex(measured, rf"(?<![\d.]){re.escape(number)}(?![\d])", "docs/performance.md has another number")


if __name__ == "__main__":
    unittest.main()
