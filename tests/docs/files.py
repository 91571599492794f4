"""Every file of the two crates, with the first sentence of its documentation: a part of ARCHITECTURE.md.

`make docs` writes it again (`--write`), and a test compares.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- files: `make docs` writes this part -->\n", "<!-- end of files -->\n"

# As far as needed to see that the sentence ends there: not at `e.g. x`, `main.rs` or `1.5`.
SENTENCE = re.compile(r"(.+?\.)(?= [A-Z`]|$)")


def first_sentence(source: Path) -> str:
    lines = []
    for line in source.read_text().splitlines():
        if not line.startswith("//!"):
            break
        text = line.removeprefix("//!").strip()
        if not text:
            break
        lines.append(text)
    paragraph = re.sub(r"\[`([^`]+)`\](\([^)]*\))?", r"`\1`", " ".join(lines))
    sentence = SENTENCE.match(paragraph)
    return (sentence[1] if sentence else paragraph).rstrip(".:").replace("|", "\\|")


def sources() -> list[Path]:
    found = [*(ROOT / "src").rglob("*.rs"), *(ROOT / "core/src").rglob("*.rs")]
    return sorted(path for path in found if path.name != "tests.rs" and "tests" not in path.parts)


def render() -> str:
    folders: dict[Path, list[str]] = {}
    for source in sources():
        name = source.relative_to(ROOT)
        folders.setdefault(name.parent, []).append(f"`{name.name}`: {first_sentence(source)}.")
    rows = [f"| `{folder}` | {' <br> '.join(files)} |" for folder, files in folders.items()]
    return "\n".join(["| folder | its files |", "|---|---|", *rows, ""])


def parts() -> tuple[str, str, str]:
    before, rest = PAGE.read_text().split(BEGIN)
    written, after = rest.split(END)
    return before, written, after


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    before, _, after = parts()
    PAGE.write_text(f"{before}{BEGIN}{render()}{END}{after}")
