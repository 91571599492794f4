"""Draws the pictures of docs/concepts.md: `make docs` writes them into docs/images.

A picture has a background of its own, so it is readable in the light and the dark theme of GitHub and of the book. It is
480 wide, so its text is readable on a phone.
"""

import pathlib
from html import escape

ROOT = pathlib.Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs/images"
WIDTH = 480

STYLE = """\
svg { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; }
.page { fill: #ffffff; stroke: #d0d7de; }
.box { fill: #f6f8fa; stroke: #57606a; }
.group { fill: none; stroke: #57606a; stroke-dasharray: 2 3; }
.guard { fill: #ddf4ff; stroke: #0969da; }
.good { fill: #dafbe1; stroke: #1a7f37; }
.bad { fill: #ffebe9; stroke: #cf222e; }
.next { fill: #ffffff; stroke: #0969da; stroke-dasharray: 6 4; }
text { fill: #1f2328; }
.strong { font-weight: 600; }
.small { font-size: 13px; fill: #57606a; }
.line { fill: none; stroke: #57606a; stroke-width: 1.5; }
.head { fill: #57606a; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; stroke: #30363d; }
.box { fill: #161b22; stroke: #8b949e; }
.group { stroke: #8b949e; }
.guard { fill: #0c2d4d; stroke: #58a6ff; }
.good { fill: #0f2f1a; stroke: #3fb950; }
.bad { fill: #3d1214; stroke: #f85149; }
.next { fill: #0d1117; stroke: #58a6ff; }
text { fill: #e6edf3; }
.small { fill: #9da7b3; }
.line { stroke: #8b949e; }
.head { fill: #8b949e; }
}
"""


def box(style, x, y, width, height, title, *lines):
    """A box with a title and lines, from the top."""
    parts = [f'<rect class="{style}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>']
    parts.append(text("strong", x + 12, y + 22, title))
    parts += [text("small", x + 12, y + 42 + 18 * index, line) for index, line in enumerate(lines)]
    return "\n".join(parts)


def text(style, x, y, words):
    return f'<text class="{style}" x="{x}" y="{y}">{escape(words)}</text>'


def arrow(x, top, bottom):
    """An arrow that points down."""
    line, head = f"M{x} {top}V{bottom - 4}", f"M{x - 5} {bottom - 8}h10l-5 8z"
    return f'<path class="line" d="{line}"/>\n<path class="head" d="{head}"/>'


def picture(height, description, *parts):
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
            f"<title>{escape(description)}</title>",
            f"<style>\n{STYLE}</style>",
            f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
            *parts,
            "</svg>\n",
        ]
    )


def request():
    return picture(
        652,
        "The way of a request through the API server and PoolGuard",
        box("box", 16, 16, 448, 54, "Client: kubectl, a controller, a scheduler, a kubelet", "sends a request to the API server"),
        arrow(240, 70, 94),
        box("group", 16, 94, 448, 420, "API server"),
        box("box", 32, 126, 416, 80, "1  Filter of each webhook entry", "Could a rule of PoolGuard care about this request?", "No: PoolGuard is not called. Most requests end here."),
        arrow(240, 206, 226),
        box("guard", 32, 226, 416, 80, "2  PoolGuard: /mutate", "Adds toleration, node affinity and zones to AutoMQ pods,", "and the taint to a node that joins a declared pool"),
        arrow(240, 306, 326),
        box("box", 32, 326, 416, 62, "3  Backstop (optional): admission policies", "Deny intruders that PoolGuard did not judge in 2"),
        arrow(240, 388, 408),
        box("guard", 32, 408, 416, 90, "4  PoolGuard: /validate", "Every rule judges the request. The facts are in memory:", "the config, and a snapshot of the cluster.", "PoolGuard does not call the API server to decide."),
        arrow(128, 514, 544),
        arrow(352, 514, 544),
        box("good", 16, 544, 216, 92, "allowed", "The object is stored.", "A warning, if a rule in warn", "is broken"),
        box("bad", 248, 544, 216, 92, "denied", "HTTP 403 with the reason.", "PoolGuard writes a record,", "an Event and a metric."),
    )


def nodes_to_come():
    return picture(
        470,
        "A pod that fits no node today gets the next node of the pool",
        box("group", 16, 16, 448, 148, "Pool pool-a"),
        box("box", 32, 48, 200, 100, "node-1", "exists", "taint dedicated=automq", "zone us-east-1a"),
        box("next", 248, 48, 200, 100, "node to come", "does not exist yet", "taint dedicated=automq", "zone us-east-1a"),
        text("strong", 16, 192, "A pod of another team:"),
        box("box", 16, 204, 448, 56, "tolerates dedicated=automq", "and its node affinity excludes the host name node-1"),
        arrow(240, 260, 284),
        box("box", 16, 284, 448, 36, "It fits no node, and waits as Pending"),
        arrow(240, 320, 344),
        box("box", 16, 344, 448, 36, "The autoscaler sees it, and adds a node to pool-a"),
        arrow(240, 380, 404),
        box("bad", 16, 404, 448, 50, "It would run beside AutoMQ", "PoolGuard therefore denies it when it is created"),
    )


def outage():
    return picture(
        516,
        "What the API server does while PoolGuard does not answer",
        box("guard", 16, 16, 448, 36, "PoolGuard does not answer within 1 or 3 seconds"),
        arrow(128, 52, 76),
        arrow(352, 52, 76),
        box("bad", 16, 76, 216, 200, "Fails closed: rejected", "failurePolicy: Fail", "– other pods that tolerate a", "pool's taint or name a node", "– bindings by other schedulers", "– protected objects: guarded", "fields, deletion", "– deletion of namespaces that", "the config names"),
        box("good", 248, 76, 216, 200, "Fails open: allowed", "failurePolicy: Ignore", "– AutoMQ and exempt pods", "– pods of DaemonSets", "– workloads", "– nodes: join, taints, labels", "– node-pool objects", "– break-glass members"),
        text("strong", 16, 308, "With onOutage: backstop"),
        box("box", 16, 320, 448, 74, "The backstop judges pods and bindings", "It is a set of policies in the API server itself, with the", "nodes that PoolGuard knew last. All else is as above."),
        arrow(128, 394, 418),
        arrow(352, 394, 418),
        box("bad", 16, 418, 216, 80, "Intruders: rejected", "by the policy, with a message", "of its own"),
        box("good", 248, 418, 216, 80, "Other pods: allowed", "also if they tolerate", "a pool's taint"),
    )


PICTURES = {"request": request, "nodes-to-come": nodes_to_come, "outage": outage}


def main():
    IMAGES.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (IMAGES / f"{name}.svg").write_text(draw())


if __name__ == "__main__":
    main()
