//! The nodes of a snapshot, as the backstop's expressions read them: a row of texts for each class and each
//! node to come, and the row of each dedicated node by its name.
//!
//! A row has the labels whose value is known, by their keys. `?KEY` refers to a domain, where less is known
//! of the label. Keys that begin with a colon describe the row itself; no label has such a key.
//!
//! Most labels have the same value in most rows. Rows with the same keys therefore share a base, which has the fields
//! that are equal in all of them. A base never has a key that one of its rows lacks, so a label that is absent or
//! unknown stays so.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::names::{NamedNode, NodeNames};
use crate::{
    admission::webhooks::cel::{list, literal},
    policy::{
        placement::LabelKnowledge,
        pool::HOST_NAME_LABEL,
        snapshot::{Class, NodeToCome, OtherLabels, Snapshot, TaintId},
    },
};

/// The number of the base that the row shares with others. It is in the row itself.
pub(super) const BASE: &str = ":base";
/// The name of the row's pool. It is in the row itself.
pub(super) const POOL: &str = ":pool";
/// The taint of the row's pool, for people.
pub(super) const POOL_TAINT: &str = ":taint";
/// The number of the taint of the row's pool.
pub(super) const OWN: &str = ":own";
/// The numbers of the row's taints, each between two bars.
pub(super) const TAINTS: &str = ":taints";
/// The domain of every label that the row does not list, or the number of a list of reserved domains.
pub(super) const OTHERS: &str = ":others";
/// The field that only the rows of existing nodes have.
pub(super) const LIVE: &str = ":live";

/// The domain of a label that is absent.
pub(super) const ABSENT: &str = "+?";
/// The domain of a label of which nothing is known.
pub(super) const UNKNOWN: &str = "-?";
/// The domain of the host name of a node to come: a name that no other node has.
const NEW_HOST: &str = "h?";
/// The domain of a label whose value differs from node to node. A row says nothing of it.
const INDIVIDUAL: &str = "!";

/// The longest text of one expression. The API server's parser takes 100,000 code points.
pub(super) const CHUNK_MAX: usize = 60_000;
/// The most rows that one expression evaluates. The API server bounds the cost of an expression.
const ROWS_MAX: usize = 64;
/// The longest text of all tables together. The API server stores objects of up to 1.5 MB.
const TEXT_MAX: usize = 900_000;

/// The rows, and the tables that they refer to.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Literals of maps from the number of a row to its fields.
    pub(super) rows: Vec<Chunk>,
    /// The literal of a map from the numbers of bases to their fields.
    pub(super) bases: String,
    /// The nodes by their names.
    pub(super) names: NodeNames,
    /// Values by domain.
    domains: BTreeMap<String, Vec<Arc<str>>>,
    /// Reserved label domains by the number of their list.
    reserved: Vec<Arc<[String]>>,
    /// The nodes and classes that did not fit.
    pub(super) omitted: Omitted,
}

/// A part of the rows.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The numbers of its rows, as the literal of a list.
    pub(super) numbers: String,
    /// The literal of the rows.
    pub(super) text: String,
    /// The literal of the rows with nothing but the names of their pools.
    pub(super) pools: String,
}

/// The parts of a snapshot that a backstop leaves out, because it would be too large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Omitted {
    /// Dedicated nodes that it does not know by name.
    pub nodes: usize,
    /// Classes of dedicated nodes that it does not know; nodes to come are never left out.
    pub classes: usize,
}

/// The error that even the nodes to come make a policy that no API server stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

type Fields = BTreeMap<String, String>;

impl Table {
    /// The table of a snapshot.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, TooLarge> {
        let mut table = Self::default();
        let mut domain_ids = HashMap::new();
        let nodes_to_come = snapshot.nodes_to_come();
        let mut rows: Vec<Fields> = nodes_to_come
            .iter()
            .map(|node| table.node_to_come(snapshot, node, &mut domain_ids))
            .collect();
        rows.extend(snapshot.classes().iter().map(|class| class_fields(snapshot, class)));
        table.bases = share(&mut rows);
        let mut size = table.bases.len();
        let mut nodes = Vec::new();
        let mut kept = Vec::new();
        for (at, row) in rows.into_iter().enumerate() {
            let length = fields_text(&row).len();
            let fits = size + length <= TEXT_MAX;
            match at.checked_sub(nodes_to_come.len()).and_then(|at| snapshot.classes().get(at)) {
                None if !fits => return Err(TooLarge),
                None => {}
                Some(class) if !fits => {
                    table.omitted.classes += 1;
                    table.omitted.nodes += class.nodes.len();
                    continue;
                }
                Some(class) => nodes.extend(named_nodes(class, kept.len())),
            }
            size += length;
            kept.push(row);
        }
        table.rows = chunks(&kept);
        let (names, left_out) = NodeNames::new(&nodes, TEXT_MAX - size);
        table.names = names;
        table.omitted.nodes += left_out;
        let fits = |text: String| text.len() <= CHUNK_MAX;
        if fits(table.domains_text()) && fits(table.reserved_text()) {
            Ok(table)
        } else {
            Err(TooLarge)
        }
    }

    fn node_to_come(
        &mut self,
        snapshot: &Snapshot,
        node: &NodeToCome,
        ids: &mut HashMap<(String, Vec<Arc<str>>), String>,
    ) -> Fields {
        let mut fields = described(snapshot, node.pool, &node.taints);
        for (key, expected) in node.labels() {
            if key == HOST_NAME_LABEL {
                continue;
            }
            let (values, flags) = match expected {
                LabelKnowledge::Is(value) => {
                    fields.insert(key.to_owned(), value.to_string());
                    continue;
                }
                LabelKnowledge::Absent => (&[] as &[_], ABSENT),
                LabelKnowledge::Among { values, or_absent: true } => (values.as_slice(), ABSENT),
                LabelKnowledge::Among { values, or_absent: false } => (values.as_slice(), "+"),
                LabelKnowledge::NoneOf { values, or_absent: true } => (values.as_slice(), UNKNOWN),
                LabelKnowledge::NoneOf { values, or_absent: false } => (values.as_slice(), "-"),
            };
            let of = (flags.to_owned(), values.to_vec());
            let next = ids.len();
            let id = ids.entry(of).or_insert_with(|| match values {
                [] => flags.to_owned(),
                _ => format!("{flags}{next}"),
            });
            self.domains.insert(id.clone(), values.to_vec());
            fields.insert(format!("?{key}"), id.clone());
        }
        fields.insert(format!("?{HOST_NAME_LABEL}"), NEW_HOST.to_owned());
        let others = match &node.others {
            OtherLabels::Absent => ABSENT.to_owned(),
            OtherLabels::Unknown => UNKNOWN.to_owned(),
            OtherLabels::OnDemand(reserved) => {
                let known = self.reserved.iter().position(|it| it == reserved);
                known
                    .unwrap_or_else(|| {
                        self.reserved.push(Arc::clone(reserved));
                        self.reserved.len() - 1
                    })
                    .to_string()
            }
        };
        fields.insert(OTHERS.to_owned(), others);
        fields
    }

    /// The literal of a map from domains to their values.
    pub(super) fn domains_text(&self) -> String {
        let fixed = [ABSENT, UNKNOWN, NEW_HOST, INDIVIDUAL];
        let fixed = fixed.into_iter().filter(|id| !self.domains.contains_key(*id));
        let entries = fixed.map(|id| format!("{}: []", literal(id))).chain(
            self.domains.iter().map(|(id, values)| format!("{}: {}", literal(id), list(values))),
        );
        format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
    }

    /// The literal of a map from the numbers of lists to reserved label domains.
    pub(super) fn reserved_text(&self) -> String {
        let entries = self.reserved.iter().enumerate();
        let entries = entries.map(|(number, domains)| format!("'{number}': {}", list(&**domains)));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
    }

    /// Whether a provisioner sets labels on demand.
    pub(super) fn has_reserved(&self) -> bool {
        !self.reserved.is_empty()
    }
}

/// Returns the fields that every row has.
fn described(snapshot: &Snapshot, pool: usize, taints: &[TaintId]) -> Fields {
    let mut fields = Fields::new();
    let numbers: Vec<String> = taints.iter().map(|taint| taint.index().to_string()).collect();
    fields.insert(TAINTS.to_owned(), format!("|{}|", numbers.join("|")));
    if let Some(facts) = snapshot.pool(pool) {
        let own = snapshot.taints().iter().position(|taint| *taint == facts.taint);
        fields.insert(POOL.to_owned(), facts.name.to_string());
        fields.insert(POOL_TAINT.to_owned(), facts.taint.to_string());
        fields.insert(OWN.to_owned(), own.map_or_else(String::new, |own| own.to_string()));
    }
    fields
}

fn class_fields(snapshot: &Snapshot, class: &Class) -> Fields {
    let mut fields = described(snapshot, class.pool, &class.taints);
    fields.insert(LIVE.to_owned(), "yes".to_owned());
    fields.insert(OTHERS.to_owned(), ABSENT.to_owned());
    let individual: HashSet<&str> = class.individual_keys().chain([HOST_NAME_LABEL]).collect();
    for (key, value) in class.labels().filter(|(key, _)| !individual.contains(key)) {
        fields.insert(key.to_owned(), value.to_owned());
    }
    fields.extend(individual.into_iter().map(|key| (format!("?{key}"), INDIVIDUAL.to_owned())));
    fields
}

/// The nodes of a class, whose row has this number.
fn named_nodes(class: &Class, row: usize) -> impl Iterator<Item = NamedNode<'_>> {
    class.nodes.iter().map(move |node| NamedNode {
        name: &node.name,
        row,
        is_host: class.member(node).label(HOST_NAME_LABEL) == Some(&*node.name),
    })
}

/// Moves the fields that are equal in all rows with the same keys into a base of these rows. Returns the literal of
/// the bases.
fn share(rows: &mut [Fields]) -> String {
    let mut groups: BTreeMap<Vec<&String>, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        groups.entry(row.keys().collect()).or_default().push(at);
    }
    let base = |members: Vec<usize>| {
        let base = equal_fields(members.iter().filter_map(|at| rows.get(*at)));
        let text = fields_text(&base);
        (text.len() * (members.len() - 1), base, text, members)
    };
    let mut bases: Vec<_> = groups.into_values().map(base).collect();
    bases.sort_by_key(|(saved, ..)| Reverse(*saved));
    let mut texts = vec!["'':{}".to_owned()];
    let mut size = 0;
    for row in rows.iter_mut() {
        row.insert(BASE.to_owned(), String::new());
    }
    for (saved, base, text, members) in bases {
        size += text.len() + 16;
        if saved == 0 || size > CHUNK_MAX {
            break;
        }
        let number = texts.len().to_string();
        texts.push(format!("'{number}':{text}"));
        for at in members {
            if let Some(row) = rows.get_mut(at) {
                row.retain(|key, _| !base.contains_key(key));
                row.insert(BASE.to_owned(), number.clone());
            }
        }
    }
    format!("{{{}}}", texts.join(",\n"))
}

/// The fields that a base of these rows has.
fn equal_fields<'r>(mut rows: impl Iterator<Item = &'r Fields>) -> Fields {
    let mut equal = rows.next().cloned().unwrap_or_default();
    equal.remove(POOL);
    for row in rows {
        equal.retain(|key, value| row.get(key) == Some(value));
    }
    equal
}

fn fields_text(fields: &Fields) -> String {
    let entries = fields.iter().map(|(key, value)| format!("{}:{}", literal(key), literal(value)));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
}

/// Splits rows into parts that an expression can hold.
fn chunks(rows: &[Fields]) -> Vec<Chunk> {
    let pool =
        |row: &Fields| row.get_key_value(POOL).map(|(key, pool)| (key.clone(), pool.clone()));
    let texts = |row| (fields_text(row), fields_text(&pool(row).into_iter().collect()));
    let numbered: Vec<_> = rows.iter().map(texts).enumerate().collect();
    let chunk = |part: &[(usize, (String, String))]| {
        let numbers: Vec<String> = part.iter().map(|(number, _)| number.to_string()).collect();
        let rows = part.iter().map(|(number, (row, _))| format!("{number}:{row}"));
        let pools = part.iter().map(|(number, (_, pool))| format!("{number}:{pool}"));
        Chunk {
            numbers: format!("[{}]", numbers.join(",")),
            text: format!("{{{}}}", rows.collect::<Vec<_>>().join(",\n")),
            pools: format!("{{{}}}", pools.collect::<Vec<_>>().join(",\n")),
        }
    };
    let most = CHUNK_MAX / ROWS_MAX;
    let parts = parts(&numbered, |(_, (row, _))| row.len().max(most), CHUNK_MAX);
    parts.into_iter().map(chunk).collect()
}

/// Splits items into parts of consecutive items, each part of this length at most.
pub(super) fn parts<T>(items: &[T], length: impl Fn(&T) -> usize, most: usize) -> Vec<&[T]> {
    let mut size = 0;
    items
        .chunk_by(|_, next| {
            size += length(next) + 16;
            let fits = size <= most;
            if !fits {
                size = 0;
            }
            fits
        })
        .collect()
}
