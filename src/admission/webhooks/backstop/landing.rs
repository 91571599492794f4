//! Placement in the Common Expression Language: whether a pod can land on a node of a row.
//!
//! It says yes only where [`crate::policy::placement`] does. Where a row or the language says too little (a label
//! with a value for each node, a host name that no dedicated node has, a number of more than 18 digits), it says no.
//!
//! Names that are bound: `c` the row, `n` the name of its node, `t` a term of the pod's required node affinity,
//! `d` a domain.

use super::table::{ABSENT, LIVE, OTHERS, OWN, TAINTS, Table, UNKNOWN};
use crate::{admission::webhooks::cel::literal, policy::pool::HOST_NAME_LABEL};

/// A label key, as the API server accepts it.
const KEY: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// A label value.
const VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";
/// The bound of `Gt` or `Lt`, which must be a label value as well.
const BOUND: &str = "^[0-9]{1,18}$";
/// An integer that every implementation reads.
const INTEGER: &str = "^-?[0-9]{1,18}$";

const EXPRESSIONS: &str = "(has(t.matchExpressions) ? t.matchExpressions : [])";
const FIELDS: &str = "(has(t.matchFields) ? t.matchFields : [])";

/// The required node affinity of the pod, which must have one.
const REQUIRED: &str =
    "object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";

/// Which node of a row is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Any of them.
    Any,
    /// The one named `n`, whose host has the same name.
    Named,
}

/// The pod's terms that can be read, if it has a required node affinity.
pub(super) fn terms() -> String {
    let value = literal(VALUE);
    let bound = literal(BOUND);
    let lists = "has(q.values) && q.values.size() > 0";
    let readable = format!(
        "({EXPRESSIONS}.size() > 0 || {FIELDS}.size() > 0) && {EXPRESSIONS}.all(q, q.key.matches({}) && \
         (q.operator in ['In', 'NotIn'] ? {lists} && q.values.all(v, v.matches({value})) : \
         q.operator in ['Exists', 'DoesNotExist'] ? !has(q.values) || q.values.size() == 0 : \
         q.operator in ['Gt', 'Lt'] && has(q.values) && q.values.size() == 1 && \
         q.values[0].matches({bound}))) && {FIELDS}.all(f, f.key == 'metadata.name' && f.operator in ['In', \
         'NotIn'] && has(f.values) && f.values.size() == 1)",
        literal(KEY)
    );
    format!(
        "variables.hasTerms && has({REQUIRED}.nodeSelectorTerms) ? \
         {REQUIRED}.nodeSelectorTerms.filter(t, {readable}) : []"
    )
}

/// Whether the pod has a required node affinity.
pub(super) fn has_terms() -> String {
    "has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity) && \
     has(object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution)"
        .to_owned()
}

/// The pod's node selector.
pub(super) fn selector() -> String {
    "has(object.spec.nodeSelector) ? object.spec.nodeSelector : {}".to_owned()
}

/// Whether the pod can land on a node of the row `c` without naming it.
pub(super) fn lands_on_any(table: &Table) -> String {
    let (selects, term) = (selects(table, Node::Any), term_holds(table, Node::Any));
    format!(
        "{} && {selects} && (!variables.hasTerms || variables.terms.exists(t, {term}))",
        is_open()
    )
}

/// Whether the pod can land on a node that it names, by its selector or by a term.
pub(super) fn lands_on_named(table: &Table) -> String {
    let host = literal(HOST_NAME_LABEL);
    let (selects, term) = (selects(table, Node::Named), term_holds(table, Node::Named));
    let open = is_open();
    let on_row = |holds: &str| {
        format!("{}.exists(c, {open} && {selects} && {holds})", row_of_name(table, "n"))
    };
    let by_selector = format!(
        "{host} in variables.selector && [variables.selector[{host}]].exists(n, {})",
        on_row(&format!("(!variables.hasTerms || variables.terms.exists(t, {term}))"))
    );
    let by_field = format!(
        "{FIELDS}.exists(f, f.operator == 'In' && [f.values[0]].exists(n, {}))",
        on_row(&term)
    );
    let by_host = format!(
        "{EXPRESSIONS}.exists(q, q.key == {host} && q.operator == 'In' && q.values.exists(n, {}))",
        on_row(&term)
    );
    format!("({by_selector}) || variables.terms.exists(t, {by_field} || {by_host})")
}

/// The number of the row of a named node; empty if no dedicated node has the name.
fn number_of_name(table: &Table, name: &str) -> String {
    let looks = (0..table.names.len())
        .map(|at| format!("{name} in variables.names{at} ? variables.names{at}[{name}] : "));
    format!("({}'')", looks.collect::<String>())
}

/// The row of a named node whose host has the same name, as a list of one; empty if there is none.
fn row_of_name(table: &Table, name: &str) -> String {
    let other_host = is_dedicated(table, &format!("('~' + {name})"));
    let number = number_of_name(table, name);
    let rows = row_of_number(table, "i");
    format!("[{number}].filter(i, i != '' && !({other_host})).map(i, {rows})")
}

/// The row of a number that is there.
fn row_of_number(table: &Table, number: &str) -> String {
    let last = table.rows.len().saturating_sub(1);
    let looks = (0..last)
        .map(|at| format!("{number} in variables.rows{at} ? variables.rows{at}[{number}] : "));
    format!("({}variables.rows{last}[{number}])", looks.collect::<String>())
}

/// Whether a node of this name is dedicated.
pub(super) fn is_dedicated(table: &Table, name: &str) -> String {
    let looks = (0..table.names.len()).map(|at| format!("{name} in variables.names{at}"));
    let looks: Vec<String> = looks.collect();
    if looks.is_empty() { "false".to_owned() } else { looks.join(" || ") }
}

/// The row of a dedicated node, by its name.
pub(super) fn row_of_dedicated(table: &Table, name: &str) -> String {
    format!("[{}].map(i, {})[0]", number_of_name(table, name), row_of_number(table, "i"))
}

/// Whether the pod tolerates all taints of the row, and on an UPDATE did not tolerate that of its pool before.
fn is_open() -> String {
    format!(
        "!variables.untolerated.exists(u, c[{}].contains(u)) && (request.operation == 'CREATE' || \
         variables.untoleratedBefore.exists(u, u == '|' + c[{}] + '|'))",
        literal(TAINTS),
        literal(OWN),
    )
}

fn selects(table: &Table, node: Node) -> String {
    let value = "variables.selector[k]";
    let may_be = format!(
        "k in c ? c[k] == {value} : {}.exists(d, d.startsWith('+') ? {value} in variables.domains[d] : \
         d.startsWith('-') && !({value} in variables.domains[d]))",
        domain(table, "k")
    );
    let host = literal(HOST_NAME_LABEL);
    match node {
        Node::Any => format!("variables.selector.all(k, {may_be})"),
        Node::Named => format!("variables.selector.all(k, k == {host} ? {value} == n : {may_be})"),
    }
}

/// The domain of a label that the row does not know the value of, as a list of one.
fn domain(table: &Table, key: &str) -> String {
    let others = format!("c[{}]", literal(OTHERS));
    let others = if table.has_reserved() {
        format!(
            "({others} in variables.reserved ? (variables.reserved[{others}].exists(s, {key} == s || \
             {key}.startsWith(s + '/') || {key}.contains('.' + s + '/')) ? {} : {}) : {others})",
            literal(ABSENT),
            literal(UNKNOWN),
        )
    } else {
        others
    };
    format!("[('?' + {key}) in c ? c['?' + {key}] : {others}]")
}

/// Whether the term `t` holds for a node of the row.
fn term_holds(table: &Table, node: Node) -> String {
    let known = format!(
        "r.key in c ? {} : {}.exists(d, {})",
        holds("r", "c[r.key]"),
        domain(table, "r.key"),
        may_hold()
    );
    match node {
        Node::Any => format!(
            "({} in c ? {FIELDS}.size() == 0 : {FIELDS}.all(f, f.operator == 'NotIn')) && \
             {EXPRESSIONS}.all(r, {known})",
            literal(LIVE)
        ),
        Node::Named => format!(
            "{FIELDS}.all(f, (f.operator == 'In') == (f.values[0] == n)) && {EXPRESSIONS}.all(r, r.key == {} ? {} \
             : {known})",
            literal(HOST_NAME_LABEL),
            holds("r", "n"),
        ),
    }
}

/// Whether the requirement holds for a label that is there.
fn holds(requirement: &str, value: &str) -> String {
    let q = requirement;
    let integer = literal(INTEGER);
    format!(
        "({q}.operator == 'In' ? {value} in {q}.values : {q}.operator == 'NotIn' ? !({value} in {q}.values) : \
         {q}.operator == 'Exists' ? true : {q}.operator == 'DoesNotExist' ? false : {value}.matches({integer}) && \
         ({q}.operator == 'Gt' ? int({value}) > int({q}.values[0]) : int({value}) < int({q}.values[0])))"
    )
}

/// Whether all requirements of the term on the key of `r` may hold at once, given the domain `d`.
fn may_hold() -> String {
    let all = |holds: &str| format!("{EXPRESSIONS}.all(q, q.key != r.key || {holds})");
    let by_value = |value: &str| all(&holds("q", value));
    let absent = all("q.operator in ['NotIn', 'DoesNotExist']");
    let another = all("q.operator in ['NotIn', 'Exists']");
    let named = "p.operator == 'In' ? p.values : p.operator == 'Gt' ? [string(int(p.values[0]) + 1)] : \
                 p.operator == 'Lt' ? [string(int(p.values[0]) - 1)] : []";
    let v = by_value("v");
    format!(
        "(d.contains('?') && {absent}) || (d.startsWith('+') && variables.domains[d].exists(v, {v})) || \
         ((d.startsWith('-') || d.startsWith('h')) && {another}) || (d.startsWith('-') && {EXPRESSIONS}.exists(p, \
         p.key == r.key && ({named}).exists(v, !(v in variables.domains[d]) && {v})))"
    )
}
