"""Draws the pictures of the README, and of its translation, into docs/images.

    POOLGUARD=target/debug/poolguard python3 tests/docs/readme_pictures.py

`make screenshot` takes those of the check's page (screenshot.py), which need Chromium.
"""

from __future__ import annotations

from denial import terminal
from overview import CHINESE, ENGLISH, overview
from pages import DOCS

IMAGES = DOCS / "images"


def pictures() -> dict[str, str]:
    """Every picture that needs no browser, by its name in docs/images."""
    return {
        "overview.svg": overview(ENGLISH),
        "overview.zh.svg": overview(CHINESE),
        "denial.svg": terminal(),
    }


def main() -> None:
    for name, content in pictures().items():
        (IMAGES / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
