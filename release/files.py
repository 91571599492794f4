"""What a release has beside the binaries: chart, install.yaml, the manifests of Krew and Homebrew, and the checksums.

`make release-files` runs it, after the archives of the binaries have been put into the folder of the artifacts.
"""

import hashlib
import os
import pathlib
import re
import shutil
import sys
import tempfile
import textwrap

from helm_python.chart import Chart

import binary
import places
from binary import ARTIFACTS
from places import CHART, NAME, REPOSITORY, ROOT, TAG, VERSION

sys.path.insert(0, str(ROOT / "tests/chart"))

import engine

SUMMARY = "Keeps AutoMQ's dedicated Kubernetes node pools dedicated"

# The kinds that other objects need, in the order of Helm.
FIRST = [
    *["Namespace", "NetworkPolicy", "ResourceQuota", "PodDisruptionBudget", "ServiceAccount", "ConfigMap"],
    *["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service"],
]

# `audit` denies nothing: an installation starts with it, as docs/install.md says.
INSTALL_VALUES = {"mode": "audit"}


def package_chart(folder, mtime):
    """The chart as `helm package` makes it, with the time of the commit."""
    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copytree(CHART, pathlib.Path(place) / NAME)
        for path in copy.rglob("*"):
            os.utime(path, (mtime, mtime))
        return pathlib.Path(Chart.load(copy).save(folder))


def install_manifest():
    """The objects of the chart as texts for `kubectl apply`, for clusters without Helm."""
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {engine.NAMESPACE}"
    templates = engine.render(INSTALL_VALUES).items()
    texts = [text for path, text in templates if path.endswith(".yaml") and not engine.is_of_helm_test(path)]
    documents = [it.strip() for text in texts for it in re.split(r"^---$", text, flags=re.MULTILINE)]
    objects = sorted([namespace, *filter(None, documents)], key=order)
    values = " ".join(f"--set {key}={value}" for key, value in INSTALL_VALUES.items())
    comment = f"""\
        # PoolGuard {VERSION} in namespace {engine.NAMESPACE}, in mode audit: it denies and changes nothing.
        # These are the objects of `helm template {engine.RELEASE} --namespace {engine.NAMESPACE} {values}`.
        # PoolGuard's config is in the ConfigMap {engine.RELEASE}: {REPOSITORY}/blob/{TAG}/docs/configuration.md
        """
    return textwrap.dedent(comment) + "".join(f"---\n{it}\n" for it in objects)


def order(document):
    kind = re.search(r"^kind: (\w+)$", document, re.MULTILINE)[1]
    return FIRST.index(kind) if kind in FIRST else len(FIRST)


def archives():
    """The archives of the binaries, by platform: (file name, checksum)."""
    found = {}
    for path in sorted(ARTIFACTS.glob(f"{NAME}-{TAG}-*.tar.gz")):
        platform = path.name.removeprefix(f"{NAME}-{TAG}-").removesuffix(".tar.gz")
        found[platform] = (path.name, checksum(path))
    return found


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def krew_manifest(found):
    """The plugin `kubectl poolguard`, for the index of Krew."""
    platforms = ""
    for platform, (file, digest) in found.items():
        system, arch = platform.split("-")
        platforms += f"""\
    - selector:
        matchLabels:
          os: {system}
          arch: {arch}
      uri: {places.DOWNLOADS}/{file}
      sha256: {digest}
      bin: {NAME}
      files:
        - from: {NAME}
          to: .
        - from: LICENSE
          to: .
"""
    return f"""\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: {NAME}
spec:
  version: {TAG}
  homepage: {REPOSITORY}
  shortDescription: {SUMMARY}
  description: |
    PoolGuard is an admission webhook that keeps other workloads off AutoMQ's dedicated node pools.
    The plugin is its command line:
      kubectl poolguard check    tests if a cluster meets AutoMQ's requirements
      kubectl poolguard init     drafts a config from a cluster
      kubectl poolguard review   decides about manifests, and changes nothing in a cluster
      kubectl poolguard status   checks an installation of PoolGuard
  platforms:
{platforms}"""


def homebrew_formula(found):
    """The formula of Homebrew. It installs the archive, and compiles nothing."""
    lines = []
    for system, name in [("darwin", "macos"), ("linux", "linux")]:
        blocks = []
        for arch, word in [("arm64", "arm"), ("amd64", "intel")]:
            if f"{system}-{arch}" in found:
                file, digest = found[f"{system}-{arch}"]
                blocks += [f"    on_{word} do", f'      url "{places.DOWNLOADS}/{file}"', f'      sha256 "{digest}"', "    end"]
        if blocks:
            lines += [f"  on_{name} do", *blocks, "  end", ""]
    return f"""\
class Poolguard < Formula
  desc "{SUMMARY}"
  homepage "{REPOSITORY}"
  version "{VERSION}"
  license "{places.PACKAGE["license"]}"

{chr(10).join(lines)}
  def install
    bin.install "{NAME}"
    bash_completion.install "completions/{NAME}.bash" => "{NAME}"
    zsh_completion.install "completions/_{NAME}"
    fish_completion.install "completions/{NAME}.fish"
    pwsh_completion.install "completions/_{NAME}.ps1"
    man1.install Dir["man/*.1"]
  end

  test do
    assert_match version.to_s, shell_output("#{{bin}}/{NAME} --version")
  end
end
"""


def checksums():
    """Every artifact, as `sha256sum` prints it."""
    paths = sorted(it for it in ARTIFACTS.iterdir() if it.name != "SHA256SUMS")
    return "".join(f"{checksum(it)}  {it.name}\n" for it in paths)


def main():
    found = archives()
    if not found:
        sys.exit(f"{ARTIFACTS} has no archive of {TAG}: run make release-binary")
    package_chart(ARTIFACTS, binary.epoch())
    (ARTIFACTS / "install.yaml").write_text(install_manifest())
    (ARTIFACTS / f"{NAME}.krew.yaml").write_text(krew_manifest(found))
    (ARTIFACTS / f"{NAME}.rb").write_text(homebrew_formula(found))
    (ARTIFACTS / "SHA256SUMS").write_text(checksums())
    print((ARTIFACTS / "SHA256SUMS").read_text(), end="")
    if not places.REGISTRY:
        print("Cargo.toml names no registry yet: the image in install.yaml and in the chart has none")


if __name__ == "__main__":
    main()
