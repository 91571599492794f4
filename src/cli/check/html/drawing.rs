//! A pool as a drawing: zones side by side, nodes in them, residents in those.

use maud::{Markup, html};

use crate::{
    check::{NodePicture, PoolPicture, ResidentKind, ResidentPicture, ZonePicture},
    cli::page::count,
};

/// The largest number of nodes that are drawn with their names. A pool with more nodes is drawn small, a
/// square a node.
const DRAWN_MAX: usize = 24;

/// The largest number of residents of a node that are named, unless more of them are intruders.
const NAMED_MAX: usize = 6;

/// Returns the legend, which says what the colours mean.
pub(super) fn legend() -> Markup {
    html! {
        ul.legend aria-label="Colours" {
            li { i.good {} "ready node, AutoMQ pod" }
            li { i.warning {} "cordoned node, or AutoMQ pod of another pool" }
            li { i.error {} "node that is not ready or has no pool taint, or intruder pod" }
        }
    }
}

/// The zones of a pool, with their nodes.
pub(super) fn zones(pool: &PoolPicture) -> Markup {
    let nodes: usize = pool.zones.iter().map(|zone| zone.nodes.len()).sum();
    html! {
        div.zones {
            @if pool.zones.is_empty() {
                div.zone.bare { h3 { "no zone " span { "no node" } } }
            }
            @for it in &pool.zones {
                (zone(it, nodes > DRAWN_MAX))
            }
        }
    }
}

fn zone(zone: &ZonePicture, is_crowded: bool) -> Markup {
    let ZonePicture { name, is_meant, nodes } = zone;
    let class = match (is_meant, nodes.is_empty()) {
        (false, _) => "zone stray",
        (true, true) => "zone bare",
        (true, false) => "zone",
    };
    let state = match (is_meant, nodes.len()) {
        (_, 0) => "no node".to_owned(),
        (true, number) => count(number, "node"),
        (false, number) => format!("{}, not a zone of the pool", count(number, "node")),
    };
    let name = if name.is_empty() { "no zone" } else { name };
    html! {
        div class=(class) {
            h3 { (name) " " span { (state) } }
            @if is_crowded {
                ul.crowd { @for it in nodes { (square(it)) } }
            } @else {
                ul.nodes { @for it in nodes { (node(it)) } }
            }
        }
    }
}

/// The zones that a plan has for a pool, before it has nodes.
pub(super) fn planned_zones(pool: &PoolPicture) -> Markup {
    html! {
        div.zones {
            @if pool.zones.is_empty() {
                div.zone { h3 { "zones " span { "not known yet" } } }
            }
            @for ZonePicture { name, is_meant, nodes: _ } in &pool.zones {
                @if *is_meant {
                    div.zone { h3 { (name) " " span { "planned" } } }
                } @else {
                    div.zone.stray { h3 { (name) " " span { "planned, not a zone of the pool" } } }
                }
            }
        }
    }
}

/// Returns the class and the word of a node's state.
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

/// Draws one of many nodes as a square, which shows the node's name when you point at it.
fn square(node: &NodePicture) -> Markup {
    let (class, word) = state(node);
    let has_intruder = node.residents.iter().flatten().any(is_intruder);
    let is_wrong = has_intruder || !node.tainted;
    let mut title = format!("{} {} {word}", node.name, node.machine_type);
    if !node.tainted {
        title.push_str(", without the pool's taint");
    }
    if has_intruder {
        title.push_str(", with an intruder pod");
    }
    html! {
        li.(class).wrong[is_wrong] title=(title) role="img" aria-label=(title) {}
    }
}

fn node(node: &NodePicture) -> Markup {
    let NodePicture { name, machine_type, tainted, residents, .. } = node;
    let (class, word) = state(node);
    html! {
        li.node.(class) {
            b { (name) }
            small {
                span.(class) { (word) }
                @if !machine_type.is_empty() {
                    span { (machine_type) }
                }
                @if !tainted {
                    span.untainted { "no pool taint" }
                }
                @match residents.as_deref() {
                    None => { span { "pods unknown" } }
                    Some([]) => { span { "no pods" } }
                    Some(_) => {}
                }
            }
            @if let Some(residents @ [_, ..]) = residents.as_deref() {
                (pods(residents))
            }
        }
    }
}

/// Draws the pods of a node. Intruders come first, and all of them are named.
fn pods(residents: &[ResidentPicture]) -> Markup {
    let intruders = residents.iter().filter(|it| is_intruder(it)).count();
    let named = NAMED_MAX.max(intruders);
    html! {
        ul.pods {
            @for ResidentPicture { kind, name } in residents.iter().take(named) {
                @let (class, word) = match kind {
                    ResidentKind::Intruder => ("intruder", "intruder"),
                    ResidentKind::Misplaced => ("misplaced", "AutoMQ pod of another pool"),
                    ResidentKind::AutoMq => ("automq", "AutoMQ's"),
                    ResidentKind::Exempt => ("exempt", "exempt"),
                };
                li.(class) title=(word) { (name) }
            }
            @if residents.len() > named {
                li.more { "and " (residents.len() - named) " more" }
            }
        }
    }
}
