"""The documents of the repository, and their blocks of code."""

import collections
import functools
import re
import sys
import textwrap

from engine import ROOT

sys.path.insert(0, str(ROOT / "tests/docs"))
import pages  # noqa: E402

PAGES = pages.listed()

BLOCK = re.compile(r"^([^\n]*)\n *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

Block = collections.namedtuple("Block", "above language text")


@functools.cache
def blocks(page):
    """The blocks of code of a page, those of a list included, with the line above each."""
    return [Block(above, language, textwrap.dedent(text)) for above, language, text in BLOCK.findall(page.read_text())]


def shell(page):
    """(name of the page, text) of each block of shell."""
    name = str(page.relative_to(ROOT))
    for block in blocks(page):
        if block.language == "sh":
            yield name, block.text
        elif block.language == "console":
            yield name, "".join(f"{line[2:]}\n" for line in block.text.splitlines() if line.startswith("$ "))


def commands_of_sentences(page):
    """(name of the page, text) of each command within a sentence or a table."""
    outside = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`((?:kubectl|helm|poolguard) [^`]+)`", outside):
        # A sentence may mention a command without its arguments.
        is_mentioned = " -" not in code and code.startswith(("helm", "poolguard"))
        if not is_mentioned:
            yield str(page.relative_to(ROOT)), code + "\n"
