"""The Chinese pages, and whether they still follow their English pages.

A translation names the version of its English page by the hash that Git gives to the content of the file.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from pathlib import Path

from pages import DOCS, ROOT

# By its translation, each English page.
PAGES: dict[Path, Path] = {
    ROOT / "README.zh-CN.md": ROOT / "README.md",
    **{path: DOCS / path.name for path in sorted((DOCS / "zh").glob("*.md"))},
}
FOLLOWED = re.compile(r"^> .*blob `([0-9a-f]{12})`", re.MULTILINE)
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# A heading outside of a block of code, or a block.
PART = re.compile(r"^(#+) |^ *```(\w+)\n.*?^ *```$", re.MULTILINE | re.DOTALL)
REMARK = re.compile(r"(?:^|\s)#.*$", re.MULTILINE)


def blob(content: bytes) -> str:
    """The hash of a file's content, as `git hash-object` prints it, cut to 12 digits."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()[:12]


def followed(translation: str) -> str:
    """The version that a translation follows; empty if it names none."""
    found = FOLLOWED.search(translation)
    return found[1] if found else ""


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the content of each block of code, without its comments, which a translation translates."""
    found = []
    for language, content in BLOCK.findall(text):
        lines = REMARK.sub("", textwrap.dedent(content)).splitlines()
        found.append((language, "\n".join(line.rstrip() for line in lines if line.strip())))
    return found


def outline(text: str) -> list[str]:
    """The levels of the headings, and the languages of the blocks of code, in their order."""
    return [level or language for level, language in PART.findall(text) if level or language]


def questions() -> list[str]:
    """The translations whose English page has changed, each with what to do."""
    found = []
    for translation, english in PAGES.items():
        version = followed(translation.read_text(encoding="utf-8"))
        if version != blob(english.read_bytes()):
            name, source = translation.relative_to(ROOT), english.relative_to(ROOT)
            found.append(
                f"{name}: {source} has changed since {version}: `git diff {version} HEAD:{source}` shows how. "
                f"Translate the changes, and write the hash that `git hash-object {source}` prints."
            )
    return found
