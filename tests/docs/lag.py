"""Asks about pictures and translations that may be about an older PoolGuard.

    POOLGUARD=target/debug/poolguard python3 tests/docs/lag.py

These are questions: the exit code is 0. A picture of the check's page needs a browser, which `make test` does not have,
and a translation needs a person who speaks both languages.
"""

from __future__ import annotations

import screenshot
import translations


def questions() -> list[str]:
    """What may be out of date, each with what to do."""
    found = translations.questions()
    if not screenshot.is_current():
        found.append("docs/images/check-*.png: the page has other words now: `make screenshot`?")
    return found


def main() -> None:
    found = questions()
    for question in found:
        print(question)
    print(f"lag: {len(found)} question(s)")


if __name__ == "__main__":
    main()
