"""The binary of this machine, as a release has it: the same bytes from the same commit and compiler, in every folder.

`make release-binary` runs it. It writes an archive and a list of the crates in the binary (a CycloneDX SBOM).
"""

import gzip
import io
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import uuid

import notices
import places
from places import ROOT

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
ARTIFACTS = TARGET / "release-artifacts"
CARGO = os.environ.get("CARGO", "cargo")


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def rustc(key):
    """What the compiler says of itself."""
    return re.search(rf"^{key}: (.*)$", output("rustc", "-vV"), re.MULTILINE)[1]


def commit():
    return output("git", "rev-parse", "HEAD")


def epoch():
    """When the commit was made: the time of everything in a release."""
    return int(output("git", "log", "-1", "--format=%ct"))


def environment(host):
    """The variables of the build. They keep the folders of this machine out of the binary."""
    cargo_home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    library = pathlib.Path(output("rustc", "--print", "sysroot")) / "lib/rustlib/src/rust"
    # The last one that matches counts: the target folder may be in the one of the sources.
    folders = {ROOT: "/poolguard", TARGET: "/target", cargo_home: "/cargo", library: f"/rustc/{rustc('commit-hash')}"}
    flags = [f"--remap-path-prefix={folder}={name}" for folder, name in folders.items()]
    if "linux" in host:
        # As in the Dockerfile, which says why.
        flags.append("-Ctarget-feature=+crt-static")
    return {
        **os.environ,
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        "CARGO_INCREMENTAL": "0",
        "CFLAGS": " ".join(f"-ffile-prefix-map={folder}={name}" for folder, name in folders.items()),
        "POOLGUARD_REVISION": commit(),
        "SOURCE_DATE_EPOCH": str(epoch()),
        # For the archives of macOS.
        "ZERO_AR_DATE": "1",
    }


def build(host):
    # With a named target, the flags do not reach build scripts and procedural macros.
    command = [CARGO, "build", "--release", "--locked", "--bin", places.NAME, "--target", host]
    subprocess.run(command, cwd=ROOT, check=True, env={**environment(host), "CARGO_TARGET_DIR": str(TARGET)})
    return TARGET / host / "release" / places.NAME


def archive(members, mtime):
    """A .tar.gz with nothing in it of the machine or of the time of today. Members: name, content, mode."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=mtime) as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, content, mode in sorted(members):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode, entry.mtime = len(content), mode, mtime
                tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def sbom(host, mtime):
    """The crates in the binary, with license and checksum, and which of them uses which, as CycloneDX 1.6."""
    metadata, linked = notices.packages(host)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(it["name"], it["version"]): it.get("checksum") for it in lock}
    packages = {it["id"]: it for it in linked}

    def reference(package):
        return f"pkg:cargo/{package['name']}@{package['version']}"

    def component(package):
        of_root = package["id"] == metadata["resolve"]["root"]
        found = {
            "type": "application" if of_root else "library",
            "bom-ref": reference(package),
            "name": package["name"],
            "version": package["version"],
            "purl": reference(package),
            "licenses": [{"expression": notices.expression(package)}],
        }
        checksum = checksums[package["name"], package["version"]]
        if checksum:
            found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        return found

    def uses(node):
        kinds = ((it["pkg"], {kind["kind"] for kind in it["dep_kinds"]}) for it in node["deps"])
        return sorted(reference(packages[it]) for it, kind in kinds if it in packages and None in kind)

    components = {reference(it): component(it) for it in packages.values()}
    root = components.pop(f"pkg:cargo/{places.NAME}@{places.VERSION}")
    properties = {"commit": commit(), "rustc": rustc("release"), "target": host}
    root["properties"] = [{"name": f"poolguard:{name}", "value": value} for name, value in properties.items()]
    nodes = [it for it in metadata["resolve"]["nodes"] if it["id"] in packages]
    uses_by_reference = {reference(packages[it["id"]]): uses(it) for it in nodes}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{places.REPOSITORY}/{commit()}/{host}')}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(mtime)),
            "component": root,
        },
        "components": [it for _, it in sorted(components.items())],
        "dependencies": [{"ref": name, "dependsOn": used} for name, used in sorted(uses_by_reference.items())],
    }


def shell_files(binary):
    """The completions of shells and the man pages, as members of the archive: the binary writes them."""
    names = {"bash": "poolguard.bash", "zsh": "_poolguard", "fish": "poolguard.fish", "powershell": "_poolguard.ps1"}
    scripts = {f"completions/{name}": output(binary, "completions", shell) for shell, name in names.items()}
    with tempfile.TemporaryDirectory() as folder:
        output(binary, "man", "--directory", folder)
        pages = {f"man/{path.name}": path.read_text() for path in pathlib.Path(folder).iterdir()}
    return [(name, text.strip().encode() + b"\n", 0o644) for name, text in {**scripts, **pages}.items()]


def host_platform(host):
    """A platform as Go names it, which is what Krew and images use."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[host.split("-")[0]]
    return f"{'darwin' if 'apple' in host else 'linux'}-{machine}"


def is_static(binary):
    """Whether no loader and no library is asked for: the ELF has no PT_INTERP."""
    content = binary.read_bytes()
    start, size, count = (int.from_bytes(content[at : at + width], "little") for at, width in [(32, 8), (54, 2), (56, 2)])
    kinds = {int.from_bytes(content[at : at + 4], "little") for at in range(start, start + size * count, size)}
    return 3 not in kinds


def main():
    if output("git", "status", "--porcelain"):
        sys.exit("a release is built from a commit: commit or stash your changes first")
    host, mtime = rustc("host"), epoch()
    binary = build(host)
    if "linux" in host and not is_static(binary):
        sys.exit(f"{binary} is not static")
    said = json.loads(output(binary, "version", "-o", "json"))
    if (said["version"], said["commit"], said["target"]) != (places.VERSION, commit(), host):
        sys.exit(f"{binary} says that it is {said}")
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    name = f"{places.NAME}-{places.TAG}-{host_platform(host)}"
    members = [
        (places.NAME, binary.read_bytes(), 0o755),
        ("LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644),
        ("NOTICES.txt", notices.notices(host).encode(), 0o644),
    ]
    (ARTIFACTS / f"{name}.tar.gz").write_bytes(archive(members + shell_files(binary), mtime))
    (ARTIFACTS / f"{name}.cdx.json").write_text(json.dumps(sbom(host, mtime), indent=1) + "\n")
    print(f"{name}: {rustc('release')}, {platform.platform(terse=True)}")


if __name__ == "__main__":
    main()
