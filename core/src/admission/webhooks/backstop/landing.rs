//! Placement in the Common Expression Language: whether a pod can land on a node of a row.
//!
//! It says yes only where [`crate::policy::placement`] does. Where a row or the language says too little (a label
//! with a value for each node, a host name that no dedicated node has, a number of more than 18 digits), it says no.
//!
//! Names that are bound: `c` the row, `b` its base, `n` the name of its node, `t` a term of the pod's required node
//! affinity, `d` a domain.

use super::{
    names::row_of_host,
    table::{ABSENT, BASE, LIVE, OTHERS, OWN, TAINTS, Table, UNKNOWN},
};
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

/// The node of a row that an expression is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Any node of the row.
    Any,
    /// The node named `n`, whose host has the same name.
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

/// Whether the pod can land on a node of a row without naming it.
pub(super) fn lands_on_any(table: &Table, row: &str) -> String {
    let (selects, term) = (selects(table, Node::Any), term_holds(table, Node::Any));
    let lands = format!(
        "{} && {selects} && (!variables.hasTerms || variables.terms.exists(t, {term}))",
        is_open()
    );
    of_row(&format!("[{row}]"), &lands)
}

/// Whether this holds for the row of a list of one.
fn of_row(rows: &str, holds: &str) -> String {
    format!("{rows}.exists(c, [variables.bases[c[{}]]].exists(b, {holds}))", literal(BASE))
}

/// Whether the row has a field.
fn has_field(key: &str) -> String {
    format!("({key} in c || {key} in b)")
}

/// A field that the row has.
fn field(key: &str) -> String {
    format!("({key} in c ? c[{key}] : b[{key}])")
}

/// Whether the pod can land on a node that it names, by its selector or by a term.
pub(super) fn lands_on_named(table: &Table) -> String {
    let host = literal(HOST_NAME_LABEL);
    let (selects, term) = (selects(table, Node::Named), term_holds(table, Node::Named));
    let open = is_open();
    let on_row =
        |holds: &str| of_row(&row_of_host(table, "n"), &format!("{open} && {selects} && {holds}"));
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

/// The row of a number that is there.
pub(super) fn row_of_number(table: &Table, number: &str) -> String {
    let last = table.rows.len().saturating_sub(1);
    let looks = (0..last)
        .map(|at| format!("{number} in variables.rows{at} ? variables.rows{at}[{number}] : "));
    format!("({}variables.rows{last}[{number}])", looks.collect::<String>())
}

/// Whether the pod tolerates all taints of the row, and on an UPDATE did not tolerate that of its pool before.
fn is_open() -> String {
    format!(
        "!variables.untolerated.exists(u, {}.contains(u)) && (request.operation == 'CREATE' || \
         variables.untoleratedBefore.exists(u, u == '|' + {} + '|'))",
        field(&literal(TAINTS)),
        field(&literal(OWN)),
    )
}

fn selects(table: &Table, node: Node) -> String {
    let value = "variables.selector[k]";
    let may_be = format!(
        "{} ? {} == {value} : {}.exists(d, d.startsWith('+') ? {value} in variables.domains[d] : \
         d.startsWith('-') && !({value} in variables.domains[d]))",
        has_field("k"),
        field("k"),
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
    let others = field(&literal(OTHERS));
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
    let of_key = format!("('?' + {key})");
    format!("[{} ? {} : {others}]", has_field(&of_key), field(&of_key))
}

/// Whether the term `t` holds for a node of the row.
fn term_holds(table: &Table, node: Node) -> String {
    let known = format!(
        "{} ? [{}].exists(w, {}) : {}.exists(d, {})",
        has_field("r.key"),
        field("r.key"),
        holds("r", "w"),
        domain(table, "r.key"),
        may_hold()
    );
    match node {
        Node::Any => format!(
            "({} ? {FIELDS}.size() == 0 : {FIELDS}.all(f, f.operator == 'NotIn')) && \
             {EXPRESSIONS}.all(r, {known})",
            has_field(&literal(LIVE))
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
