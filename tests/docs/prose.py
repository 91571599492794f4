"""Asks about new sentences of the documentation that may be hard to read.

    python3 tests/docs/prose.py [BASE]

Reads every Markdown file that differs from the commit BASE, uncommitted changes included, and reports each
sentence that BASE does not have and that is long, or that has a phrase which often hides who acts. These
are questions for the writer: the exit code is 0. Without BASE it is the merge base with origin/main, or
the commit before HEAD if that merge base is HEAD itself or does not exist.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

WORDS_MAX = 35

# A phrase, and the question to its writer. "{}" is the phrase as it was found.
PHRASES: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern, re.IGNORECASE), question)
    for pattern, question in [
        (r"\b(?:somebody|nobody|whoever)\b", '"{}": who acts?'),
        (r"\bwhatever\b", '"{}": can the thing be named?'),
        (r"\b(?:is|are|was|were) told\b", '"{}": who reports what to whom?'),
        (r", so that\b", '"{}": is it a purpose? For a consequence, write ", so" or a second sentence.'),
        (r"\bof (?:AutoMQ|PoolGuard)['’]s\b", '"{}": could the noun come first, as in "the AutoMQ pods"?'),
    ]
]

FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
HEADING = re.compile(r"^#{1,6}\s+")
ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
QUOTE = re.compile(r"^\s*>\s?")
TABLE_RULE = re.compile(r"[\s|:-]+")
CELL_END = re.compile(r"(?<!\\)\|")
SENTENCE_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)[.!?][)\"'*_]*(?=\s|$)")
# What holds no prose: code, the target of a link, a comment.
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
TARGET = re.compile(r"(?<=\]\()[^)\s]+(?=\))")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


class Sentence(NamedTuple):
    """A sentence, or the rest of a cell, an item or a heading that ends without a full stop."""

    line: int
    text: str

    def masked(self) -> str:
        """The text with every piece of code and every link target as one word."""
        return mask(self.text)

    def word_count(self) -> int:
        return sum(any(letter.isalnum() for letter in word) for word in self.masked().split())

    def questions(self) -> Iterator[str]:
        if self.word_count() > WORDS_MAX:
            yield f"{self.word_count()} words in one sentence: could it be two?"
        text = self.masked()
        for pattern, question in PHRASES:
            for found in pattern.finditer(text):
                yield question.replace("{}", found[0].removeprefix(", "))


class Passage:
    """Lines that are read as one text: a paragraph, an item of a list, a cell of a table, a heading."""

    def __init__(self) -> None:
        self.text = ""
        self.starts: list[tuple[int, int]] = []

    def add(self, line: int, text: str) -> None:
        if self.text:
            self.text += " "
        self.starts.append((len(self.text), line))
        self.text += text.strip()

    def sentences(self) -> Iterator[Sentence]:
        masked, start = mask(self.text), 0
        for end in [*(match.end() for match in SENTENCE_END.finditer(masked)), len(self.text)]:
            piece = self.text[start:end]
            if piece.strip():
                first = start + len(piece) - len(piece.lstrip())
                line = max(line for offset, line in self.starts if offset <= first)
                yield Sentence(line, piece.strip())
            start = end


def mask(text: str) -> str:
    """The text in its length, without what could be taken for the end of a sentence or for a phrase."""
    text = COMMENT.sub(lambda found: " " * len(found[0]), text)
    for pattern in (CODE, TARGET):
        text = pattern.sub(lambda found: "x" * len(found[0]), text)
    return text


def passages(page: str) -> Iterator[Passage]:
    """The passages of a page in Markdown, without its blocks of code and the rules of its tables."""
    passage, fence = Passage(), ""
    for number, line in enumerate(page.splitlines(), start=1):
        mark = FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and line.strip() == mark[1]:
                fence = ""
            continue
        is_table = line.lstrip().startswith("|")
        if mark or is_table or not line.strip() or HEADING.match(line) or ITEM.match(line):
            yield passage
            passage = Passage()
        if mark:
            fence = mark[1]
        elif is_table and not TABLE_RULE.fullmatch(line):
            for cell in CELL_END.split(line.strip().strip("|")):
                of_cell = Passage()
                of_cell.add(number, cell)
                yield of_cell
        elif HEADING.match(line):
            of_heading = Passage()
            of_heading.add(number, HEADING.sub("", line, count=1))
            yield of_heading
        elif line.strip() and not is_table:
            passage.add(number, QUOTE.sub("", ITEM.sub("", line, count=1), count=1))
    yield passage


def sentences(page: str) -> list[Sentence]:
    return [sentence for passage in passages(page) for sentence in passage.sentences()]


def new_sentences(before: str, after: str) -> list[Sentence]:
    """Those that the page did not have before, wherever in it they stood."""
    known = {sentence.text for sentence in sentences(before)}
    return [sentence for sentence in sentences(after) if sentence.text not in known]


def git(*arguments: str) -> str | None:
    """What git prints, or None if it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def default_base() -> str | None:
    """The commit to compare with, or None if the clone does not have it."""
    head = git("rev-parse", "--verify", "--quiet", "HEAD")
    base = git("merge-base", "HEAD", "origin/main")
    if base is None or base == head:
        base = git("rev-parse", "--verify", "--quiet", "HEAD~1")
    return base.strip() if base else None


def changed_pages(base: str) -> list[str]:
    changed = git("diff", "--name-only", "--diff-filter=d", "--no-renames", "-z", base, "--", "*.md") or ""
    untracked = git("ls-files", "--others", "--exclude-standard", "-z", "--", "*.md") or ""
    return sorted({name for name in (changed + untracked).split("\0") if name})


def main(arguments: list[str]) -> None:
    base = arguments[0] if arguments else default_base()
    if base is None:
        print("prose: no commit to compare with (a shallow clone?): nothing was read")
        return
    if git("rev-parse", "--verify", "--quiet", f"{base}^{{tree}}") is None:
        print(f"prose: {base} is no commit of this clone: nothing was read")
        return
    pages, count = changed_pages(base), 0
    for page in pages:
        before = git("show", f"{base}:{page}") or ""
        for sentence in new_sentences(before, (ROOT / page).read_text(encoding="utf-8")):
            for question in sentence.questions():
                count += 1
                print(f"{page}:{sentence.line}: {question}")
    print(f"prose: {count} question(s) about {len(pages)} changed page(s) since {base[:12]}")


if __name__ == "__main__":
    main(sys.argv[1:])
