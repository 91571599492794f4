"""Draws a denial in a terminal. The text is the answer of the binary $POOLGUARD."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from html import escape
from itertools import groupby

from overview import MONO, SANS
from pages import ROOT

CLUSTER = ROOT / "examples/clusters/aws.json"
CONFIG = ROOT / "examples/clusters/aws.config.yaml"

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-0", "namespace": "shop"},
    "spec": {"containers": [{"name": "web", "image": "nginx"}], "tolerations": [{"operator": "Exists"}]},
}
COMMAND = "kubectl apply -f web.yaml"
WEBHOOK = "pods.poolguard.io"
# What kubectl and the API server write before the message of a webhook.
INTRO = f'Error from server (Forbidden): error when creating "web.yaml": admission webhook "{WEBHOOK}" denied the request: '

# The parts of a message: the words with which each begins, its colour, and what it says.
PARTS = [
    ("[pod-intrusion]", "#ff9b93", "what would happen"),
    ("spec.tolerations[0]", "#f2cc60", "the field that causes it"),
    ("To keep the pod off", "#a5d6ff", "what to do"),
]
# A terminal is dark in both themes.
GROUND, EDGE, INK, FAINT, PROMPT = "#161b22", "#3d444d", "#d1d7e0", "#9198a1", "#7ee2a0"

# In characters; then in pixels: the width of a character, the height of a line, the place of the first line.
COLUMNS = 100
GLYPH, LINE, LEFT, TOP = 8.4, 21, 30, 64
WIDTH = 2 * LEFT + COLUMNS * GLYPH

# Words in one colour.
Piece = tuple[str, str]


def denial_of(pod: dict[str, object]) -> str:
    """The message with which PoolGuard denies the creation of a pod in the example cluster."""
    command = [os.environ["POOLGUARD"], "review", "--config", CONFIG, "--cluster", CLUSTER, "-o", "json", "-"]
    said = subprocess.run(command, input=json.dumps(pod), capture_output=True, encoding="utf-8", check=False)
    if said.returncode != 1:
        raise SystemExit(f"poolguard review: exit code {said.returncode}\n{said.stderr}")
    [review] = json.loads(said.stdout)["results"]
    [denial] = review["denials"]
    return denial["message"]


def coloured(message: str) -> list[Piece]:
    """The parts of a message. Raises ValueError if the message has no such part."""
    starts = [message.index(words) for words, _, _ in PARTS]
    return [(colour, message[start:end]) for (_, colour, _), start, end in zip(PARTS, starts, [*starts[1:], None])]


def wrapped(pieces: list[Piece]) -> list[list[Piece]]:
    """The lines of a terminal in which pieces follow each other."""
    colours = [colour for colour, words in pieces for _ in words]
    whole = "".join(words for _, words in pieces)
    lines, start = [], 0
    for line in textwrap.wrap(whole, COLUMNS, break_long_words=False, break_on_hyphens=False):
        start = whole.index(line, start)
        letters = groupby(zip(colours[start:], line), key=lambda letter: letter[0])
        lines.append([(colour, "".join(letter for _, letter in group)) for colour, group in letters])
        start += len(line)
    return lines


def drawn(number: int, pieces: list[Piece]) -> str:
    """A line. Every piece has the width of its characters in any font."""
    line, column = "", 0
    for colour, words in pieces:
        if words.strip():
            line += (
                f'<text x="{LEFT + column * GLYPH:g}" y="{TOP + number * LINE:g}" fill="{colour}" xml:space="preserve" '
                f'textLength="{len(words) * GLYPH:g}" lengthAdjust="spacingAndGlyphs">{escape(words, quote=False)}</text>'
            )
        column += len(words)
    return line


def legend(y: float) -> str:
    """What the colours mean."""
    return "".join(
        f'<circle cx="{x + 5:g}" cy="{y - 4:g}" r="5" fill="{colour}"/>'
        f'<text x="{x + 18:g}" y="{y:g}" fill="{FAINT}" font-size="13" font-family="{SANS}">{meaning}</text>'
        for x, (_, colour, meaning) in ((LEFT + 210 * place, part) for place, part in enumerate(PARTS))
    )


def terminal() -> str:
    """The picture."""
    message = denial_of(POD)
    lines = [[(PROMPT, "$ "), (INK, COMMAND)], *wrapped([(FAINT, INTRO), *coloured(message)])]
    height = TOP + (len(lines) + 1) * LINE + 16
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height}" width="{WIDTH:g}" height="{height}" '
        f'role="img" font-family="{MONO}" font-size="14">',
        f"<title>{escape(f'A terminal. {COMMAND} fails: {message}')}</title>",
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1:g}" height="{height - 1}" rx="10" fill="{GROUND}" stroke="{EDGE}"/>',
        *(f'<circle cx="{LEFT + 6 + dot * 20}" cy="24" r="5.5" fill="{EDGE}"/>' for dot in range(3)),
        *(drawn(number, pieces) for number, pieces in enumerate(lines)),
        legend(height - 22),
        "</svg>",
        "",
    ])
