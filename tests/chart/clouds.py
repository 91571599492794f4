"""Writes what PoolGuard knows of each cloud into docs/clouds, from the presets in core/src/config/presets.

`make docs` runs it. `poolguard provider NAME` prints the same data.
"""

import functools

import yaml

from engine import ROOT

PRESETS = ROOT / "core/src/config/presets"
PAGES = {
    "ack": "alibaba",
    "aks": "azure",
    "cce": "huawei",
    "eks": "aws",
    "gke": "gcp",
    "oke": "oracle",
    "other": "common",
    "tke": "tencent",
}
STRENGTHS = {
    "allow-list": "AutoMQ's list of supported types",
    "vendor-default": "default in AutoMQ's examples",
    "example": "in an example",
}


@functools.cache
def preset(name):
    return yaml.safe_load((PRESETS / f"{name}.yaml").read_text())


def codes(names):
    return " ".join(f"`{name}`" for name in names)


def cell(text):
    return text.replace("|", "\\|").replace("*", "\\*")


def agents(data):
    rows = ["| namespace | DaemonSets | what it is | source |", "|---|---|---|---|"]
    for agent in data.get("agents", []):
        names = codes(agent["namespaces"]), codes(agent["daemonSets"])
        rows.append(f"| {names[0]} | {names[1]} | {agent['reason']} | {cell(agent['source'])} |")
    return rows if len(rows) > 2 else ["The preset lists no agent."]


def machine_types(data):
    rows = ["These machine types are in the catalog:", ""]
    rows += ["| machine type | size | what the source says | source |", "|---|---|---|---|"]
    for it in data.get("machineTypes", []):
        rows.append(f"| `{it['name']}` | {it['size']} | {STRENGTHS[it['strength']]} | {cell(it['source'])} |")
    if not data.get("machineTypes"):
        return ["The catalog has no machine type. Without `machineTypes` in the config, PoolGuard does not check the type."]
    return rows


def section(name):
    """What a page says of a preset."""
    data = preset(name)
    title = "The preset that is the same on every cloud" if name == "common" else f"PoolGuard's preset for `{name}`"
    lines = [f"{title} has this data. *(inferred)* means that no document contains the names.", ""]
    lines.append(f"- **Labels that name the pool of a node:** {codes(data.get('nodePoolLabels', []))}")
    if users := data.get("trusted", {}).get("users"):
        lines.append(f"- **Trusted controllers of the cloud:** {codes(users)}")
    if namespaces := data.get("exemptNamespaces"):
        lines.append(f"- **Exempt namespaces, beside `kube-system`:** {codes(namespaces)}")
    if annotations := data.get("identityAnnotations"):
        lines.append(f"- **Protected annotations of service accounts:** {codes(annotations)}")
    lines += ["", "These DaemonSets are exempt:", "", *agents(data)]
    if name != "common":
        lines += ["", *machine_types(data)]
    return "\n".join(lines) + "\n"


def page(name):
    return ROOT / f"docs/clouds/{name}.md"


def make_page(name):
    """The page with the section of today."""
    start = f"<!-- preset {PAGES[name]}: `make docs` writes this section -->\n"
    end = "<!-- end of preset -->\n"
    before, rest = page(name).read_text().split(start)
    _, after = rest.split(end)
    return before + start + section(PAGES[name]) + end + after


def main():
    for name in PAGES:
        page(name).write_text(make_page(name))


if __name__ == "__main__":
    main()
