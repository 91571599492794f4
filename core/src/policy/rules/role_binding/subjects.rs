//! Subjects of a binding: a set of users, groups and service accounts.

use std::hash::{BuildHasher, RandomState};

use crate::{
    json::{Cursor, JsonError, Read, text::Text},
    kubernetes::{
        object::{RawObject, RawValue, is_same},
        resource::RBAC_GROUP,
    },
    policy::request::Target,
};

/// The pointer to the subjects of a binding.
pub(super) const SUBJECTS: &str = "/subjects";

/// One subject.
#[derive(Default)]
pub(super) struct BindingSubject<'a> {
    pub(super) kind: Text<'a>,
    pub(super) namespace: Text<'a>,
    pub(super) name: Text<'a>,
    group: Text<'a>,
    /// Whether the subject has a field that the API does not know.
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

impl<'a> Read<'a> for BindingSubject<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        cursor.object(|key, cursor| match key.as_str() {
            "kind" => cursor.fill(&mut self.kind),
            "apiGroup" => cursor.fill(&mut self.group),
            "namespace" => cursor.fill(&mut self.namespace),
            "name" => cursor.fill(&mut self.name),
            _ => {
                self.has_more = true;
                cursor.skip()
            }
        })
    }
}

impl BindingSubject<'_> {
    /// The subject as the API server stores it; `None` if the API server rejects it.
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

/// Whether a binding has a subject like this. One whose subjects cannot be read has none.
pub(super) fn any(
    binding: &RawObject<'_>,
    mut is_like: impl FnMut(&BindingSubject<'_>) -> bool,
) -> bool {
    let mut is_any = false;
    let read = each(binding.at(SUBJECTS), |subject| is_any = is_any || is_like(subject));
    read.is_some() && is_any
}

/// Whether two lists of subjects name the same ones. Lists with something that the API server
/// rejects are equal only if they are the same.
pub(super) fn equal(old: Option<RawValue<'_>>, new: Option<RawValue<'_>>) -> bool {
    let state = RandomState::new();
    match (hashes(old, &state), hashes(new, &state)) {
        (Some(before), Some(after)) => before == after,
        (None, _) | (_, None) => is_same(old, new),
    }
}

/// Goes over the subjects, of which a binding may have none; `None` if they cannot be read.
fn each(field: Option<RawValue<'_>>, mut subject: impl FnMut(&BindingSubject<'_>)) -> Option<()> {
    field.map_or(Some(()), |list| list.each(|it| subject(&it)))
}

/// The hashes of subjects, in order and each once; `None` if one of them is none. The keys of the hash are
/// random.
fn hashes(field: Option<RawValue<'_>>, state: &RandomState) -> Option<Vec<u64>> {
    let mut hashes = Some(Vec::new());
    each(field, |subject| match (subject.stored(), &mut hashes) {
        (Some(stored), Some(hashes)) => hashes.push(state.hash_one(stored)),
        _ => hashes = None,
    })?;
    if let Some(hashes) = &mut hashes {
        hashes.sort_unstable();
        hashes.dedup();
    }
    hashes
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::json::from_str;

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
