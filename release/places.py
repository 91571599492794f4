"""Where a release comes from and goes to. Cargo.toml is the one place that says so; `make docs` writes it elsewhere.

    python3 release/places.py            # as NAME=VALUE
    python3 release/places.py --tag TAG  # the same, if everything is ready for a release of this tag
    python3 release/places.py --notes    # what the changelog says of this version
    python3 release/places.py --write    # what `make docs` does
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
CHART = ROOT / "charts/poolguard"
MANIFEST = tomllib.loads((ROOT / "Cargo.toml").read_text())
PACKAGE = MANIFEST["package"]

NAME = PACKAGE["name"]
VERSION = MANIFEST["workspace"]["package"]["version"]
TAG = f"v{VERSION}"
REPOSITORY = PACKAGE["repository"]
REGISTRY = PACKAGE["metadata"]["release"]["registry"]

# Without a registry, the kubelet finds no image: the notes of the chart say so.
IMAGE = f"{REGISTRY}/{NAME}" if REGISTRY else NAME
CHARTS = f"oci://{REGISTRY}/charts" if REGISTRY else ""
DOWNLOADS = f"{REPOSITORY}/releases/download/{TAG}"
PAGES = f"{REPOSITORY}/blob/main"
RUNBOOKS = f"{PAGES}/docs/runbooks"
FILES = REPOSITORY.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main"

VALUES = {"version": VERSION, "tag": TAG, "repository": REPOSITORY, "registry": REGISTRY, "image": IMAGE, "charts": CHARTS}

SOURCE = re.compile(r"https://(?:github|raw\.githubusercontent)\.com/[\w.-]+/poolguard\b")
NUMBER = r"\d+\.\d+\.\d+(?:-[\w.]+)?"

# What a file says of the version and the registry: the pattern of the text before it, and of itself.
MENTIONS = {
    "charts/poolguard/Chart.yaml": [(r"^(?:app)?[vV]ersion: ", NUMBER, VERSION)],
    "charts/poolguard/README.md": [(r"- name: poolguard\n    version: ", NUMBER, VERSION)],
    "charts/poolguard/values.yaml": [(r"image\.repository contains it\.\n  registry: ", r"\S+", json.dumps(REGISTRY))],
    "Dockerfile": [(r"^ARG VERSION=", NUMBER, VERSION), (r"poolguard:", NUMBER, VERSION)],
    "README.md": [(r"poolguard:", NUMBER, VERSION)],
    "README.zh-CN.md": [(r"poolguard:", NUMBER, VERSION)],
    "docs/commands.md": [(r"poolguard:", NUMBER, VERSION)],
    "docs/how-to/ci.md": [(r"(?:--tag |poolguard-)v", NUMBER, VERSION)],
    "docs/how-to/gitops.md": [(r"(?:targetRevision|tag): v", NUMBER, VERSION)],
    "docs/install.md": [(r"poolguard:", NUMBER, VERSION)],
    "docs/zh/install.md": [(r"poolguard:", NUMBER, VERSION)],
    "docs/releasing.md": [(r"^ *VERSION=", NUMBER, VERSION)],
    "docs/tutorial.md": [(r"poolguard:", NUMBER, VERSION)],
}


def tracked():
    """Every text that is in Git, by its path."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.split("\0")[:-1]:
        path = ROOT / name
        if path.is_file() and path.suffix != ".png":
            yield name, path.read_text()


def rewritten(name, text):
    """The text of a file with the source, version and registry of Cargo.toml."""
    for before, pattern, value in MENTIONS.get(name, []):
        text = re.sub(f"({before}){pattern}", rf"\g<1>{value}", text, flags=re.MULTILINE)

    def source(found):
        return FILES.removesuffix("/main") if "raw." in found[0] else REPOSITORY

    return SOURCE.sub(source, text)


def write():
    for name, text in tracked():
        new = rewritten(name, text)
        if new != text:
            (ROOT / name).write_text(new)


def unready(tag, changelog):
    """What stands against a release of this tag."""
    if tag != TAG:
        yield f"the tag is {tag}, but Cargo.toml has the version {VERSION}"
    if not notes(changelog, VERSION):
        yield f"CHANGELOG.md has no section {VERSION}"
    if not REGISTRY:
        yield "Cargo.toml names no registry: set registry in [package.metadata.release], and run make docs"


def notes(changelog, version):
    """The section of a version in the changelog, without its title."""
    found = re.search(rf"^## {re.escape(version)}(?: .*)?\n((?:(?!## ).*\n?)*)", changelog, re.MULTILINE)
    return found[1].strip() + "\n" if found else ""


def main():
    parser = argparse.ArgumentParser()
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--tag")
    action.add_argument("--notes", action="store_true")
    action.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.write:
        return write()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    if arguments.notes:
        return print(notes(changelog, VERSION), end="")
    against = list(unready(arguments.tag, changelog)) if arguments.tag else []
    if against:
        sys.exit("\n".join(against))
    for name, value in VALUES.items():
        print(f"{name}={value}")


if __name__ == "__main__":
    main()
