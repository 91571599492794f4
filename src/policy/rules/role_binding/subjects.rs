//! Subjects of a binding: a set of users, groups and service accounts.

use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

use crate::policy::{protection::RBAC_GROUP, request::Target};

/// The pointer to the subjects of a binding.
pub(super) const SUBJECTS: &str = "/subjects";

/// One subject. Two are the same if all of these are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Subject<'v> {
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

/// Whether an object of this resource has subjects whose order means nothing.
pub(super) fn are_a_set(target: &Target<'_>) -> bool {
    target.group == RBAC_GROUP
        && matches!(target.resource.as_str(), "rolebindings" | "clusterrolebindings")
}

/// Whether two lists of subjects name the same ones. Lists with something that the API server
/// rejects are equal only if they are the same.
pub(super) fn equal(old: Option<&Value>, new: Option<&Value>) -> bool {
    if old == new {
        return true;
    }
    let state = RandomState::new();
    let (Some(old), Some(new)) = (list(old), list(new)) else { return false };
    let Some(old) = hashes(old, &state) else { return false };
    // Most lists that differ differ here.
    let is_there = |subject: &Value| {
        let subject = Subject::read(subject);
        subject.is_some_and(|it| old.binary_search(&state.hash_one(it)).is_ok())
    };
    new.first().is_none_or(is_there) && hashes(new, &state) == Some(old)
}

/// The subjects; a binding may have none.
fn list(field: Option<&Value>) -> Option<&[Value]> {
    match field {
        None | Some(Value::Null) => Some(&[]),
        Some(Value::Array(list)) => Some(list),
        Some(_) => None,
    }
}

/// The hashes of subjects, in order and each once: nobody knows the keys of the hash before.
fn hashes(list: &[Value], state: &RandomState) -> Option<Vec<u64>> {
    let hash = |subject: &Value| Some(state.hash_one(Subject::read(subject)?));
    let mut hashes = list.iter().map(hash).collect::<Option<Vec<_>>>()?;
    hashes.sort_unstable();
    hashes.dedup();
    Some(hashes)
}

impl<'v> Subject<'v> {
    /// Reads a subject; `None` if the API server rejects it.
    fn read(subject: &'v Value) -> Option<Self> {
        let (mut kind, mut group, mut namespace, mut name) = ("", "", "", "");
        for (key, value) in subject.as_object()? {
            let field = match key.as_str() {
                "kind" => &mut kind,
                "apiGroup" => &mut group,
                "namespace" => &mut namespace,
                "name" => &mut name,
                _ => return None,
            };
            if !value.is_null() {
                *field = value.as_str()?;
            }
        }
        // The API server fills in a group that is missing.
        let kind = match (kind, group) {
            ("User", "" | RBAC_GROUP) => Kind::User,
            ("Group", "" | RBAC_GROUP) => Kind::Group,
            ("ServiceAccount", "") => Kind::ServiceAccount,
            _ => return None,
        };
        Some(Self { kind, namespace, name })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            assert_eq!(equal(Some(old), Some(new)), *expected, "{old} {new}");
        }
        assert!(equal(None, Some(&json!([]))));
        assert!(!equal(Some(&json!([user("a")])), None));
    }
}
