"""Takes the pictures of the page that `poolguard check -o html` writes, with headless Chromium.

    POOLGUARD=target/debug/poolguard python3 tests/docs/screenshot.py [CHROMIUM]

The cluster is examples/clusters/aws.json with two faults: a node of a pool has lost its taint, and the pod of another
team runs there. The pictures show the top of the page, one for each theme. Each picture holds a hash of the words of
its page, by which `make test-docs` knows that the page has changed since.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from html import unescape
from pathlib import Path

from denial import CLUSTER, CONFIG
from readme_pictures import IMAGES

# Narrow enough to be read in the width of a README, and high enough for one pool.
WIDTH, HEIGHT = 1000, 784
# The value of Chromium's setting `preferredColorScheme`.
THEMES = {"check-light.png": 1, "check-dark.png": 0}
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
NODE = "ip-10-0-1-14.ec2.internal"
# The type of a PNG's chunk with text.
TEXT = b"tEXt"
KEY = b"Words"


def faulty_cluster() -> str:
    cluster = json.loads(CLUSTER.read_text(encoding="utf-8"))
    for item in cluster["items"]:
        if item["kind"] == "Node" and item["metadata"]["name"] == NODE:
            del item["spec"]["taints"]
    cluster["items"].append({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "shop"},
        "spec": {"nodeName": NODE},
        "status": {"phase": "Running"},
    })
    return json.dumps(cluster)


def page() -> str:
    """The page, as the binary $POOLGUARD writes it."""
    poolguard = Path(os.environ["POOLGUARD"]).absolute()
    with tempfile.TemporaryDirectory() as folder:
        # The page names the file.
        (Path(folder) / "production.json").write_text(faulty_cluster(), encoding="utf-8")
        command = [poolguard, "check", "--config", CONFIG, "--cluster", "production.json", "-o", "html"]
        done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 1:
        raise SystemExit(f"poolguard check: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def hash_of_words(html: str) -> str:
    """It changes with what the page says, and not with how the page looks, nor with the version and date of its footer."""
    body = re.sub(r"<(style|footer)\b.*?</\1>", "", html, flags=re.DOTALL)
    words = unescape(re.sub(r"<[^>]*>", " ", body)).split()
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def with_text(png: bytes, value: str) -> bytes:
    """The picture with a text in it, after its header."""
    data = TEXT + KEY + b"\0" + value.encode()
    chunk = struct.pack(">I", len(data) - len(TEXT)) + data + struct.pack(">I", zlib.crc32(data))
    # The signature has 8 bytes, and the header is a chunk of 25.
    return png[:33] + chunk + png[33:]


def text_of(png: bytes) -> str:
    """The text that `with_text` put there."""
    found = re.search(re.escape(TEXT + KEY) + rb"\0([0-9a-f]{64})", png)
    return found[1].decode() if found else ""


def is_current() -> bool:
    """The committed pictures show what the page says today."""
    words = hash_of_words(page())
    return all(text_of((IMAGES / name).read_bytes()) == words for name in THEMES)


def main(arguments: list[str]) -> None:
    browser = next(filter(None, map(shutil.which, arguments or BROWSERS)), None)
    if browser is None:
        raise SystemExit("the pictures of the check's page need Chromium (Debian: chromium fonts-noto-core fonts-noto-mono)")
    html = page()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "page.html").write_text(html, encoding="utf-8")
        for name, theme in THEMES.items():
            command = [
                *[browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"],
                *[f"--blink-settings=preferredColorScheme={theme}", "--force-device-scale-factor=1.25"],
                *[f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={folder}/{name}", f"file://{folder}/page.html"],
            ]
            subprocess.run(command, check=True, capture_output=True)
            picture = with_text((Path(folder) / name).read_bytes(), hash_of_words(html))
            (IMAGES / name).write_bytes(picture)


if __name__ == "__main__":
    main(sys.argv[1:])
