"""Checks the links of the built book: `make book` runs it with the folder.

A link of a page works on GitHub if tests/docs says so. Here it must work in the site, too.
"""

import functools
import pathlib
import re
import sys
import urllib.parse


@functools.cache
def text(path):
    return path.read_text()


@functools.cache
def names(path):
    return set(re.findall(r'\bid="([^"]+)"', text(path)))


def faults(folder):
    for page in sorted(folder.rglob("*.html")):
        content = re.search(r"<main>.*</main>", text(page), re.DOTALL)
        # print.html joins all pages, so it has no links of its own.
        if not content or page.name in ("print.html", "404.html"):
            continue
        for target in re.findall(r'(?:href|src)="([^"]*)"', content[0]):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = urllib.parse.unquote(target).partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.is_file():
                yield f"{page.relative_to(folder)}: {target}: there is no such page"
            elif anchor and anchor not in names(file):
                yield f"{page.relative_to(folder)}: {target}: the page has no such heading"


def main():
    found = [*faults(pathlib.Path(sys.argv[1]).resolve())]
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
