//! A pool as a drawing: zones side by side, nodes in them, residents in those.

use std::fmt;

use crate::{
    check::{NodePicture, PoolPicture, ResidentKind, ResidentPicture, ZonePicture},
    cli::{check::markup::HtmlText, page::count},
};

/// A pool with more nodes is drawn small, a square a node.
const DRAWN_MAX: usize = 24;

/// So many residents of a node are named.
const NAMED_MAX: usize = 6;

/// What the colours mean.
pub(super) const LEGEND: &str = "<ul class=\"legend\" aria-label=\"Colours\">\
<li><i class=\"good\"></i>ready node, AutoMQ's pod</li>\
<li><i class=\"warning\"></i>cordoned, or a pod of another pool</li>\
<li><i class=\"error\"></i>not ready, without its taint, or an intruder</li></ul>";

/// The zones of a pool, with their nodes.
pub(super) fn zones(f: &mut fmt::Formatter<'_>, pool: &PoolPicture) -> fmt::Result {
    let nodes: usize = pool.zones.iter().map(|zone| zone.nodes.len()).sum();
    writeln!(f, "<div class=\"zones\">")?;
    if pool.zones.is_empty() {
        writeln!(f, "<div class=\"zone bare\"><h3>no zone <span>no node</span></h3></div>")?;
    }
    for zone in &pool.zones {
        let ZonePicture { name, is_meant, nodes: own } = zone;
        let class = match (is_meant, own.is_empty()) {
            (false, _) => "zone stray",
            (true, true) => "zone bare",
            (true, false) => "zone",
        };
        let state = match (is_meant, own.len()) {
            (_, 0) => "no node".to_owned(),
            (true, number) => count(number, "node"),
            (false, number) => format!("{}, not the pool's zone", count(number, "node")),
        };
        let name = if name.is_empty() { "no zone" } else { name };
        writeln!(f, "<div class=\"{class}\"><h3>{} <span>{state}</span></h3>", HtmlText(name))?;
        if nodes > DRAWN_MAX {
            crowd(f, own)?;
        } else {
            writeln!(f, "<ul class=\"nodes\">")?;
            for drawn in own {
                node(f, drawn)?;
            }
            writeln!(f, "</ul>")?;
        }
        writeln!(f, "</div>")?;
    }
    writeln!(f, "</div>")
}

/// The zones that a plan has for a pool, before it has nodes.
pub(super) fn planned_zones(f: &mut fmt::Formatter<'_>, pool: &PoolPicture) -> fmt::Result {
    writeln!(f, "<div class=\"zones\">")?;
    if pool.zones.is_empty() {
        writeln!(f, "<div class=\"zone\"><h3>zones <span>not known yet</span></h3></div>")?;
    }
    for zone in &pool.zones {
        let (class, state) = if zone.is_meant {
            ("zone", "planned")
        } else {
            ("zone stray", "planned, not the pool's zone")
        };
        writeln!(
            f,
            "<div class=\"{class}\"><h3>{} <span>{state}</span></h3></div>",
            HtmlText(&zone.name)
        )?;
    }
    writeln!(f, "</div>")
}

/// Class and word of a node's state.
fn state(node: &NodePicture) -> (&'static str, &'static str) {
    match (node.ready, node.cordoned) {
        (false, _) => ("down", "not ready"),
        (true, true) => ("cordoned", "cordoned"),
        (true, false) => ("ready", "ready"),
    }
}

fn is_intruder(resident: &ResidentPicture) -> bool {
    resident.kind == ResidentKind::Intruder
}

/// Many nodes: a square each, which says its name when pointed at.
fn crowd(f: &mut fmt::Formatter<'_>, nodes: &[NodePicture]) -> fmt::Result {
    writeln!(f, "<ul class=\"crowd\">")?;
    for node in nodes {
        let (class, word) = state(node);
        let has_intruder = node.residents.iter().flatten().any(is_intruder);
        let wrong = if has_intruder || !node.tainted { " wrong" } else { "" };
        let mut title = format!("{} {} {word}", node.name, node.machine_type);
        if !node.tainted {
            title.push_str(", without its taint");
        }
        if has_intruder {
            title.push_str(", with an intruder");
        }
        writeln!(
            f,
            "<li class=\"{class}{wrong}\" title=\"{}\" role=\"img\" aria-label=\"{}\"></li>",
            HtmlText(&title),
            HtmlText(&title)
        )?;
    }
    writeln!(f, "</ul>")
}

fn node(f: &mut fmt::Formatter<'_>, node: &NodePicture) -> fmt::Result {
    let NodePicture { name, machine_type, tainted, residents, .. } = node;
    let (class, word) = state(node);
    writeln!(f, "<li class=\"node {class}\"><b>{}</b>", HtmlText(name))?;
    write!(f, "<small><span class=\"{class}\">{word}</span>")?;
    if !machine_type.is_empty() {
        write!(f, "<span>{}</span>", HtmlText(machine_type))?;
    }
    if !tainted {
        write!(f, "<span class=\"untainted\">no taint</span>")?;
    }
    match residents.as_deref() {
        None => writeln!(f, "<span>pods not known</span></small>")?,
        Some([]) => writeln!(f, "<span>no pods</span></small>")?,
        Some(residents) => {
            writeln!(f, "</small>\n<ul class=\"pods\">")?;
            // Intruders come first, and are named however many they are.
            let intruders = residents.iter().filter(|it| is_intruder(it)).count();
            let named = NAMED_MAX.max(intruders);
            for ResidentPicture { kind, name } in residents.iter().take(named) {
                let (class, word) = match kind {
                    ResidentKind::Intruder => ("intruder", "intruder"),
                    ResidentKind::Misplaced => ("misplaced", "AutoMQ's, of another pool"),
                    ResidentKind::AutoMq => ("automq", "AutoMQ's"),
                    ResidentKind::Exempt => ("exempt", "exempt"),
                };
                writeln!(f, "<li class=\"{class}\" title=\"{word}\">{}</li>", HtmlText(name))?;
            }
            if residents.len() > named {
                writeln!(f, "<li class=\"more\">and {} more</li>", residents.len() - named)?;
            }
            writeln!(f, "</ul>")?;
        }
    }
    writeln!(f, "</li>")
}
