"""The licenses of the crates in the binary, which their authors ask to be given along with it.

`python3 release/notices.py` prints them for the compiler's own platform; the Dockerfile runs it, so it needs nothing but
Python and Cargo.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CARGO = os.environ.get("CARGO", "cargo")

# Files in which a crate's authors say what they ask for.
NOTICE = re.compile(r"^(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)([-_.].*)?$", re.IGNORECASE)


def cargo(*arguments):
    return subprocess.run([CARGO, *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def linked(host):
    """The crates in the binary, as (name, version). Procedural macros and build scripts are not in it."""
    edges = ["--package", "poolguard", "--target", host, "--edges", "normal,no-proc-macro"]
    listed = cargo("tree", "--locked", *edges, "--prefix", "none", "--format", "{p}")
    return {tuple(re.match(r"(\S+) v(\S+)", line).groups()) for line in listed.splitlines()}


def packages(host):
    """Cargo's metadata of this platform, and its packages that are in the binary."""
    metadata = json.loads(cargo("metadata", "--locked", "--format-version=1", f"--filter-platform={host}"))
    names = linked(host)
    return metadata, [it for it in metadata["packages"] if (it["name"], it["version"]) in names]


def expression(package):
    """The license in SPDX's form: old manifests have a slash for OR."""
    return re.sub(r" ?/ ?", " OR ", package["license"])


def texts(package):
    """What the crate's authors ask for, in the order of the files' names."""
    folder = pathlib.Path(package["manifest_path"]).parent
    found = [it for it in folder.iterdir() if it.is_file() and NOTICE.match(it.name)]
    read = (it.read_text(encoding="utf-8", errors="replace") for it in sorted(found))
    return ["\n".join(line.rstrip() for line in text.strip().splitlines()) for text in read]


def notices(host):
    """Every crate with its license, and every text once, with the crates that have it."""
    _, found = packages(host)
    # A crate of the workspace has no source.
    others = [it for it in found if it["source"]]
    others.sort(key=lambda it: (it["name"], it["version"]))
    crates_by_text = {}
    for package in others:
        for text in texts(package):
            crates_by_text.setdefault(text, []).append(f"{package['name']} {package['version']}")
    page = [
        "PoolGuard contains these crates, each under its own license, and the standard library of Rust (MIT OR Apache-2.0).",
        "On Linux, it also contains glibc (LGPL-2.1-or-later). The texts of the crates follow.",
        "",
    ]
    page += [f"{it['name']} {it['version']}: {expression(it)}" for it in others]
    for text, crates in crates_by_text.items():
        page += ["", "=" * 80, ", ".join(crates), "=" * 80, "", text]
    return "\n".join(page) + "\n"


def main():
    said = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    sys.stdout.write(notices(re.search(r"^host: (.*)$", said, re.MULTILINE)[1]))


if __name__ == "__main__":
    main()
