"""mdBook's preprocessor: makes links that work on GitHub work in the book.

A link that leaves docs/ leads to the repository. A README.md is the page index.html of its folder.

mdBook runs it with `supports RENDERER`, and then with the book as JSON on standard input.
"""

import json
import pathlib
import posixpath
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
REPOSITORY = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["repository"]
TARGET = re.compile(r"(?<=\]\()(?![a-z]+:|#)[^)\s]+(?=\))")
README = re.compile(r"(^|/)README\.md$")


def target_in_book(page, target):
    """What a link of a page becomes."""
    path, hash_, anchor = target.partition("#")
    inside = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), path))
    if inside.startswith("docs/"):
        return README.sub(r"\1index.md", path) + hash_ + anchor
    kind = "tree" if (ROOT / inside).is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{inside}{hash_}{anchor}"


def rewritten(page, text):
    return TARGET.sub(lambda found: target_in_book(page, found[0]), text)


def rewrite(items):
    """Rewrites these chapters and those below them."""
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter and chapter["source_path"]:
            chapter["content"] = rewritten(chapter["source_path"], chapter["content"])
            rewrite(chapter["sub_items"])


def main():
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    rewrite(book["items"])
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
