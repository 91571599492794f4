"""Draws who reaches an AutoMQ pool and who does not: the first picture of the README, in each language.

Browsers choose the colours by the theme of the page. The picture has its own ground, so it is readable on any page.
"""

from __future__ import annotations

from html import escape
from typing import NamedTuple

SANS = "system-ui,-apple-system,'Segoe UI','Noto Sans','PingFang SC','Microsoft YaHei',Helvetica,Arial,sans-serif"
MONO = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"

# Class, property, light, dark.
COLOURS = [
    ("ground", "fill", "#ffffff", "#0d1117"),
    ("ground", "stroke", "#d1d9e0", "#3d444d"),
    ("card", "fill", "#f6f8fa", "#151b23"),
    ("card", "stroke", "#d1d9e0", "#3d444d"),
    ("node", "fill", "#ffffff", "#0d1117"),
    ("node", "stroke", "#b7c1cc", "#4b545f"),
    ("guard", "fill", "#1f3a5f", "#1f3a5f"),
    ("guard", "stroke", "#1f3a5f", "#5c86bd"),
    ("on-guard", "fill", "#ffffff", "#ffffff"),
    ("faint-on-guard", "fill", "#c5d3e4", "#c5d3e4"),
    ("pool", "fill", "#e9f4ec", "#10241a"),
    ("pool", "stroke", "#1a7f37", "#3fb950"),
    ("broker", "fill", "#1a7f37", "#238636"),
    ("other", "fill", "#59636e", "#656c76"),
    ("ink", "fill", "#1f2328", "#f0f6fc"),
    ("faint", "fill", "#59636e", "#9198a1"),
    ("good", "fill", "#1a7f37", "#3fb950"),
    ("bad", "fill", "#cf222e", "#f85149"),
    ("good-line", "stroke", "#1a7f37", "#3fb950"),
    ("bad-line", "stroke", "#cf222e", "#f85149"),
    ("plain-line", "stroke", "#818b98", "#818b98"),
    ("plain", "fill", "#818b98", "#818b98"),
]


def style() -> str:
    """The colours of both themes."""
    light = "".join(f".{name}{{{key}:{colour}}}" for name, key, colour, _ in COLOURS)
    dark = "".join(f".{name}{{{key}:{colour}}}" for name, key, other, colour in COLOURS if colour != other)
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"


def text(x: float, y: float, of_class: str, words: str, size: float = 14, **more: object) -> str:
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    return f'<text x="{x:g}" y="{y:g}" class="{of_class}" font-size="{size:g}"{attributes}>{escape(words, quote=False)}</text>'


def box(x: float, y: float, width: float, height: float, of_class: str, radius: float = 8) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" class="{of_class}"/>'


def arrow(x: float, y: float, end: float, kind: str) -> str:
    """A line to the right, with a head in the same colour."""
    return (
        f'<path d="M{x:g} {y:g}H{end - 8:g}" class="{kind}-line" fill="none" stroke-width="2"/>'
        f'<path d="M{end - 9:g} {y - 5:g}L{end:g} {y:g}L{end - 9:g} {y + 5:g}z" class="{kind}"/>'
    )


def picture(width: float, height: float, title: str, font: str, parts: list[str]) -> str:
    """A picture on its own ground. Screen readers read the title."""
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-family="{font}">',
        f"<title>{escape(title)}</title>",
        f"<style>{style()}</style>",
        box(0.5, 0.5, width - 1, height - 1, "ground", 12),
        *parts,
        "</svg>",
        "",
    ])


class Words(NamedTuple):
    """What the overview says, in one language."""

    title: str
    requests: str
    nodes: str
    automq: tuple[str, str]
    intruder: tuple[str, str]
    change: tuple[str, str]
    plain: tuple[str, str]
    api_server: str
    webhook: str
    placed: tuple[str, str]
    denied: tuple[str, str]
    kept: tuple[str, str]
    not_asked: str
    pool: str
    zone: str
    broker: str
    role: str
    others: str


ENGLISH = Words(
    title="The API server asks PoolGuard about requests that can reach an AutoMQ pool. PoolGuard places AutoMQ pods, "
    "and denies other pods and changes of taints, labels and roles.",
    requests="Requests",
    nodes="Nodes",
    automq=("AutoMQ pod", "of a configured instance"),
    intruder=("Pod of another team", "can run on a pool"),
    change=("Change of a pool", "taint, node label, cloud role"),
    plain=("Any other pod", "cannot run on a pool"),
    api_server="API server",
    webhook="admission webhook",
    placed=("places it", "adds toleration, affinity, zones"),
    denied=("denies it", "names the field and the remedy"),
    kept=("denies it", "unless you trust the user"),
    not_asked="not sent to PoolGuard",
    pool="AutoMQ pool",
    zone="zone",
    broker="broker",
    role="cloud role of the nodes",
    others="other nodes",
)

CHINESE = Words(
    title="API 服务器向 PoolGuard 询问可能到达 AutoMQ 池的请求。PoolGuard 放置 AutoMQ Pod，拒绝其他 Pod，以及对污点、标签和角色的更改。",
    requests="请求",
    nodes="节点",
    automq=("AutoMQ Pod", "属于已配置的实例"),
    intruder=("其他团队的 Pod", "可以运行在池上"),
    change=("对池的更改", "污点、节点标签、云角色"),
    plain=("其他所有 Pod", "不能运行在池上"),
    api_server="API 服务器",
    webhook="准入 Webhook",
    placed=("放置", "添加容忍度、亲和性、可用区"),
    denied=("拒绝", "写明字段和补救办法"),
    kept=("拒绝", "除非你信任该用户"),
    not_asked="不发送给 PoolGuard",
    pool="AutoMQ 池",
    zone="可用区",
    broker="broker",
    role="节点的云角色",
    others="其他节点",
)

ROWS = (96, 182, 268, 362)
KINDS = ("good", "bad", "bad", "plain")


def request(y: float, words: tuple[str, str]) -> list[str]:
    return [
        box(24, y - 30, 212, 60, "card"),
        text(40, y - 5, "ink", words[0], 15, font_weight=600),
        text(40, y + 15, "faint", words[1], 13),
    ]


def verdict(y: float, words: tuple[str, str], is_denied: bool) -> list[str]:
    sign = "M387 {0}l10 10m0-10l-10 10" if is_denied else "M386 {0}l4 5 8-10"
    place = y - 11 if is_denied else y - 5
    colour = "#ff9b93" if is_denied else "#7ee2a0"
    return [
        f'<path d="{sign.format(f"{place:g}")}" fill="none" stroke="{colour}" stroke-width="2.5" stroke-linecap="round"/>',
        text(408, y - 1, "on-guard", words[0], 15, font_weight=600),
        text(408, y + 18, "faint-on-guard", words[1], 12.5),
    ]


def nodes(words: Words) -> list[str]:
    parts = [
        box(672, 56, 204, 252, "pool"),
        text(688, 80, "ink", words.pool, 15, font_weight=600),
        text(688, 99, "faint", "dedicated=automq:NoSchedule", 11, font_family=MONO, textLength=172),
    ]
    for row, zone in enumerate("abc"):
        top = 112 + row * 52
        parts += [
            box(688, top, 172, 42, "node", 6),
            text(700, top + 26, "faint", f"{words.zone} {zone}", 13),
            box(774, top + 9, 74, 24, "broker", 12),
            text(811, top + 25.5, "on-guard", words.broker, 12.5, text_anchor="middle"),
        ]
    parts.append(text(774, 290, "faint", words.role, 13, text_anchor="middle"))
    parts += [box(672, 326, 204, 72, "card"), text(688, 350, "ink", words.others, 15, font_weight=600)]
    for column, name in enumerate(["web", "cart", "jobs"]):
        parts += [
            box(688 + column * 60, 362, 52, 24, "other", 12),
            text(714 + column * 60, 378.5, "on-guard", name, 12.5, text_anchor="middle"),
        ]
    return parts


def overview(words: Words) -> str:
    parts = [
        text(24, 36, "faint", words.requests, 13, font_weight=600),
        text(672, 36, "faint", words.nodes, 13, font_weight=600),
    ]
    for y, row in zip(ROWS, [words.automq, words.intruder, words.change, words.plain]):
        parts += request(y, row)
    for y, kind in zip(ROWS, KINDS):
        parts.append(arrow(236, y, 282, kind))
    parts += [
        box(282, 24, 70, 374, "card"),
        f'<g transform="rotate(-90 317 211)">{text(317, 216, "ink", words.api_server, 15, font_weight=600, text_anchor="middle")}</g>',
        box(368, 24, 256, 284, "guard"),
        text(384, 46, "on-guard", "PoolGuard", 15, font_weight=600),
        text(608, 46, "faint-on-guard", words.webhook, 12.5, text_anchor="end"),
        *(f'<path d="M352 {y}h16" class="{kind}-line" fill="none" stroke-width="2"/>' for y, kind in zip(ROWS, KINDS[:3])),
        *verdict(ROWS[0], words.placed, is_denied=False),
        *verdict(ROWS[1], words.denied, is_denied=True),
        *verdict(ROWS[2], words.kept, is_denied=True),
        arrow(624, ROWS[0], 672, "good"),
        arrow(352, ROWS[3], 672, "plain"),
        text(512, ROWS[3] - 12, "faint", words.not_asked, 13, text_anchor="middle"),
        *nodes(words),
    ]
    return picture(900, 422, words.title, SANS, parts)
