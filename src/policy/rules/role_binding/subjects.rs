//! Subjects of a binding: a set of users, groups and service accounts.

use std::hash::{BuildHasher, RandomState};

use crate::policy::{
    json::{Cursor, JsonError, Read},
    object::{RawObject, RawValue, is_same},
    protection::RBAC_GROUP,
    request::Target,
    text::Text,
};

/// The pointer to the subjects of a binding.
pub(super) const SUBJECTS: &str = "/subjects";

/// One subject.
#[derive(Default)]
pub(super) struct Subject<'a> {
    pub(super) kind: Text<'a>,
    pub(super) namespace: Text<'a>,
    pub(super) name: Text<'a>,
    group: Text<'a>,
    /// It has a field that the API does not know.
    has_more: bool,
}

/// A subject as the API server stores it. Two are the same if all of these are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Stored<'v> {
    kind: Kind,
    namespace: &'v str,
    name: &'v str,
}

/// The kinds that the API server allows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    User,
    Group,
    ServiceAccount,
}

impl<'a> Read<'a> for Subject<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, JsonError> {
        let mut subject = Self::default();
        cursor.object(|key, cursor| match key.as_str() {
            "kind" => cursor.fill(&mut subject.kind),
            "apiGroup" => cursor.fill(&mut subject.group),
            "namespace" => cursor.fill(&mut subject.namespace),
            "name" => cursor.fill(&mut subject.name),
            _ => {
                subject.has_more = true;
                cursor.skip()
            }
        })?;
        Ok(subject)
    }
}

impl Subject<'_> {
    /// As it is stored; `None` if the API server rejects it.
    fn stored(&self) -> Option<Stored<'_>> {
        // The API server fills in a group that is missing.
        let kind = match (self.kind.as_str(), self.group.as_str()) {
            _ if self.has_more => return None,
            ("User", "" | RBAC_GROUP) => Kind::User,
            ("Group", "" | RBAC_GROUP) => Kind::Group,
            ("ServiceAccount", "") => Kind::ServiceAccount,
            _ => return None,
        };
        Some(Stored { kind, namespace: &self.namespace, name: &self.name })
    }
}

/// Whether an object of this resource has subjects whose order means nothing.
pub(super) fn are_a_set(target: &Target<'_>) -> bool {
    target.group == RBAC_GROUP
        && matches!(target.resource.as_str(), "rolebindings" | "clusterrolebindings")
}

/// The subjects of a binding; none where they cannot be read.
pub(super) fn of<'a>(binding: &RawObject<'a>) -> Vec<Subject<'a>> {
    list(binding.at(SUBJECTS)).unwrap_or_default()
}

/// Whether two lists of subjects name the same ones. Lists with something that the API server
/// rejects are equal only if they are the same.
pub(super) fn equal(old: Option<RawValue<'_>>, new: Option<RawValue<'_>>) -> bool {
    let state = RandomState::new();
    let (Some(before), Some(after)) = (list(old), list(new)) else { return is_same(old, new) };
    let Some(before) = hashes(&before, &state) else { return is_same(old, new) };
    // Most lists that differ differ here.
    let is_there = |subject: &Subject<'_>| {
        subject.stored().is_some_and(|it| before.binary_search(&state.hash_one(it)).is_ok())
    };
    after.first().is_none_or(is_there) && hashes(&after, &state) == Some(before)
}

/// The subjects, of which a binding may have none; `None` if they cannot be read.
fn list(field: Option<RawValue<'_>>) -> Option<Vec<Subject<'_>>> {
    field.map_or_else(|| Some(Vec::new()), RawValue::read)
}

/// The hashes of subjects, in order and each once. The keys of the hash are random.
fn hashes(list: &[Subject<'_>], state: &RandomState) -> Option<Vec<u64>> {
    let hash = |subject: &Subject<'_>| Some(state.hash_one(subject.stored()?));
    let mut hashes = list.iter().map(hash).collect::<Option<Vec<_>>>()?;
    hashes.sort_unstable();
    hashes.dedup();
    Some(hashes)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::json::from_str;

    fn user(name: &str) -> Value {
        json!({ "kind": "User", "apiGroup": RBAC_GROUP, "name": name })
    }

    #[test]
    fn subjects_are_a_set() {
        let account = json!({ "kind": "ServiceAccount", "name": "a", "namespace": "n" });
        let cases = [
            (json!([user("a"), account]), json!([account, user("a")]), true),
            (json!([user("a"), user("a")]), json!([user("a")]), true),
            (json!([user("a")]), json!([user("a"), user("a")]), true),
            (json!([{ "kind": "User", "name": "a" }]), json!([user("a")]), true),
            (
                json!([{ "kind": "Group", "name": "a", "apiGroup": null }]),
                json!([{ "kind": "Group", "name": "a", "apiGroup": RBAC_GROUP }]),
                true,
            ),
            (
                json!([account]),
                json!([{ "kind": "ServiceAccount", "apiGroup": "", "name": "a", "namespace": "n" }]),
                true,
            ),
            (json!([]), json!(null), true),
            (json!([user("a"), user("b")]), json!([user("a"), user("a")]), false),
            (json!([user("a")]), json!([user("b")]), false),
            (json!([user("a")]), json!([user("a"), account]), false),
            (json!([user("a"), account]), json!([user("a")]), false),
            (json!([user("a")]), json!([{ "kind": "Group", "name": "a" }]), false),
            (
                json!([account]),
                json!([{ "kind": "ServiceAccount", "apiGroup": RBAC_GROUP, "name": "a", "namespace": "n" }]),
                false,
            ),
            (
                json!([account]),
                json!([{ "kind": "ServiceAccount", "name": "a", "namespace": "m" }]),
                false,
            ),
            (json!([user("a")]), json!([user("a"), "text"]), false),
            (json!([user("a")]), json!("text"), false),
            (json!([user("a")]), json!([{ "kind": "User", "name": "a", "x": "y" }]), false),
        ];
        for (old, new, expected) in &cases {
            let text = json!({ "old": old, "new": new }).to_string();
            let object: RawObject<'_> = from_str(&text).unwrap();
            let equal = equal(object.field("old"), object.field("new"));
            assert_eq!(equal, *expected, "{old} {new}");
        }
    }
}
