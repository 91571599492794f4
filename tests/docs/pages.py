"""The Markdown files of the repository, with their titles and links."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
REPOSITORY = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["repository"]

FENCED = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1`*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
IMAGE = re.compile(r"<(?:img|source)\b[^>]*?\bsrc(?:set)?=\"([^\"\s]+)")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)


def listed() -> list[Path]:
    """Every Markdown file that Git tracks, or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(path for path in (ROOT / name for name in set(found.split("\0")[:-1])) if path.is_file())


def without_code(text: str) -> str:
    return CODE.sub("", FENCED.sub("", text))


def links(text: str) -> Iterator[str]:
    prose = without_code(text)
    yield from LINK.findall(prose)
    yield from IMAGE.findall(prose)


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub and mdBook make them."""
    found: Counter[str] = Counter()
    result = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for title in HEADING.findall(FENCED.sub("", text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        name = re.sub(r"[^\w -]", "", shown.lower()).replace(" ", "-")
        result.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return result


def fault(page: Path, target: str) -> str:
    """What is wrong with the target of a link; empty if it leads somewhere."""
    path, _, anchor = target.partition("#")
    if target.startswith(f"{REPOSITORY}/blob/main/"):
        file = ROOT / path.removeprefix(f"{REPOSITORY}/blob/main/")
    elif re.match(r"[a-z]+:", target):
        return ""
    else:
        file = page if not path else page.parent / path
    if not file.exists():
        return "there is no such file"
    if anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
        return "the file has no such heading"
    return ""
