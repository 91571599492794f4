//! The differences between a registered webhook configuration and the one that the config asks for.

use std::fmt;

use serde_json::{Map, Value, json};

use super::additions::CloudAdditions;

/// The field by which an entry selects namespaces.
pub(super) const NAMESPACE_SELECTOR: &str = "namespaceSelector";
/// The field by which an entry selects objects.
const OBJECT_SELECTOR: &str = "objectSelector";

/// The suffix of the names of PoolGuard's entries.
const OWN_SUFFIX: &str = ".poolguard.io";

/// A difference between the registered and the desired configuration, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The entry; empty for the object itself.
    pub entry: String,
    /// The field that differs; empty if the entry as a whole does.
    pub field: String,
    /// The way in which the entry or the field differs.
    pub how: DifferenceKind,
}

/// The way in which an entry or a field differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// The entry is not registered.
    Missing,
    /// The registered field is not what the config asks for.
    Changed,
    /// The entry is registered, but the config does not ask for it.
    Left,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, field, how } = self;
        let how = match how {
            DifferenceKind::Missing => "is missing",
            DifferenceKind::Changed => "was changed",
            DifferenceKind::Left => "is not in the config any more",
        };
        match (entry.is_empty(), field.is_empty()) {
            (true, _) => write!(f, "{field} {how}"),
            (false, true) => write!(f, "entry {entry} {how}"),
            (false, false) => write!(f, "{field} of entry {entry} {how}"),
        }
    }
}

/// Returns the differences between the two configurations. Only what is asked for is compared: defaults of the
/// API server, and what this cloud adds by itself, are no difference.
pub fn differences(desired: &Value, live: &Value, additions: CloudAdditions) -> Vec<Difference> {
    let mut found = Vec::new();
    for field in ["labels", "annotations", "ownerReferences"] {
        let pointer = format!("/metadata/{field}");
        if !covers(desired.pointer(&pointer), live.pointer(&pointer)) {
            let field = format!("metadata.{field}");
            found.push(Difference { entry: String::new(), field, how: DifferenceKind::Changed });
        }
    }
    for entry in entries(desired) {
        let name = name(entry);
        let Some(registered) = entries(live).find(|it| self::name(it) == name) else {
            found.push(Difference {
                entry: name.into(),
                field: String::new(),
                how: DifferenceKind::Missing,
            });
            continue;
        };
        let changed = changed_fields(entry, registered, additions);
        found.extend(changed.into_iter().map(|field| Difference {
            entry: name.to_owned(),
            field,
            how: DifferenceKind::Changed,
        }));
    }
    let left = entries(live).map(name).filter(|name| name.ends_with(OWN_SUFFIX));
    for name in left.filter(|name| !entries(desired).any(|it| self::name(it) == *name)) {
        found.push(Difference {
            entry: name.into(),
            field: String::new(),
            how: DifferenceKind::Left,
        });
    }
    found
}

/// The fields of an entry that are not as they should be.
fn changed_fields(desired: &Value, live: &Value, additions: CloudAdditions) -> Vec<String> {
    let mut changed = Vec::new();
    let fields = desired.as_object().into_iter().flatten();
    for (field, value) in fields {
        let registered = live.get(field);
        let is_same = match field.as_str() {
            NAMESPACE_SELECTOR | OBJECT_SELECTOR => {
                let own_part = |selector| own_part(field, selector, additions);
                Some(own_part(value)) == registered.map(own_part)
            }
            "clientConfig" => {
                let bundle = [desired, live].map(|it| it.pointer(CA_BUNDLE));
                if !covers(bundle[0], bundle[1]) {
                    changed.push("clientConfig.caBundle".to_owned());
                }
                covers(Some(&without_bundle(value)), registered)
            }
            _ => covers(Some(value), registered),
        };
        if !is_same {
            changed.push(field.clone());
        }
    }
    // The one field whose absence says something: a condition more is a request fewer.
    let narrows = |entry: &Value| entry.pointer("/matchConditions/0").is_some();
    if !narrows(desired) && narrows(live) {
        changed.push("matchConditions".to_owned());
    }
    changed
}

const CA_BUNDLE: &str = "/clientConfig/caBundle";

fn without_bundle(client_config: &Value) -> Value {
    let mut rest = client_config.as_object().cloned().unwrap_or_default();
    rest.remove("caBundle");
    rest.into()
}

/// The desired object with what this cloud has added to the selectors of the live one: if PoolGuard took
/// it away, the cloud would only add it again.
pub fn with_additions(desired: &Value, live: &Value, additions: CloudAdditions) -> Value {
    let mut object = desired.clone();
    let own = object.get_mut("webhooks").and_then(Value::as_array_mut);
    for entry in own.into_iter().flatten() {
        let Some(registered) = entries(live).find(|it| name(it) == name(entry)) else { continue };
        for selector in [NAMESPACE_SELECTOR, OBJECT_SELECTOR] {
            let added: Vec<_> = expressions(registered.get(selector))
                .filter(|expression| additions.include(selector, expression))
                .cloned()
                .collect();
            if added.is_empty() {
                continue;
            }
            let Some(fields) = entry.as_object_mut() else { continue };
            let place = fields.entry(selector).or_insert_with(|| json!({}));
            let mut all: Vec<_> = expressions(Some(&*place)).cloned().collect();
            all.extend(added);
            if let Some(place) = place.as_object_mut() {
                place.insert("matchExpressions".to_owned(), all.into());
            }
        }
    }
    object
}

/// A selector without what this cloud has added to it. An empty list counts as an absent one.
fn own_part(field: &str, selector: &Value, additions: CloudAdditions) -> Value {
    let mut own = selector.as_object().cloned().unwrap_or_default();
    let kept = expressions(Some(selector)).filter(|it| !additions.include(field, it));
    let kept: Vec<_> = kept.cloned().map(without_empty_values).collect();
    if kept.is_empty() {
        own.remove("matchExpressions");
    } else {
        own.insert("matchExpressions".to_owned(), kept.into());
    }
    own.into()
}

fn without_empty_values(mut expression: Value) -> Value {
    if let Some(fields) = expression.as_object_mut() {
        fields.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
    }
    expression
}

fn expressions(selector: Option<&Value>) -> impl Iterator<Item = &Value> {
    let expressions = selector.and_then(|selector| selector.get("matchExpressions"));
    expressions.and_then(Value::as_array).into_iter().flatten()
}

fn entries(object: &Value) -> impl Iterator<Item = &Value> {
    object.get("webhooks").and_then(Value::as_array).into_iter().flatten()
}

fn name(entry: &Value) -> &str {
    entry.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Whether `live` holds everything that `desired` does. Lists are compared as they are.
pub fn covers(desired: Option<&Value>, live: Option<&Value>) -> bool {
    match (desired, live) {
        (None | Some(Value::Null), _) => true,
        (Some(Value::Object(desired)), Some(Value::Object(live))) => covers_fields(desired, live),
        (Some(Value::Object(desired)), None) => desired.is_empty(),
        (Some(Value::Array(desired)), None) => desired.is_empty(),
        (Some(Value::Array(desired)), Some(Value::Array(live))) => {
            desired.len() == live.len()
                && desired.iter().zip(live).all(|(desired, live)| covers(Some(desired), Some(live)))
        }
        (desired, live) => desired == live,
    }
}

fn covers_fields(desired: &Map<String, Value>, live: &Map<String, Value>) -> bool {
    desired.iter().all(|(key, value)| covers(Some(value), live.get(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Value {
        json!({
            "metadata": {"name": "poolguard", "labels": {"app.kubernetes.io/name": "poolguard"}},
            "webhooks": [
                {
                    "name": "pods.poolguard.io",
                    "failurePolicy": "Fail",
                    "clientConfig": {"caBundle": "AAAA", "service": {"name": "poolguard"}},
                    "namespaceSelector": {"matchExpressions": [
                        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]},
                    ]},
                    "objectSelector": {},
                    "matchConditions": [{"name": "a", "expression": "true"}],
                },
                {"name": "nodes.poolguard.io", "failurePolicy": "Ignore", "namespaceSelector": {}},
            ],
        })
    }

    fn texts(live: &Value) -> Vec<String> {
        texts_on(CloudAdditions::None, live)
    }

    fn texts_on(cloud: CloudAdditions, live: &Value) -> Vec<String> {
        differences(&configuration(), live, cloud).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_as_asked_for_does_not_differ() {
        assert!(texts(&configuration()).is_empty());
    }

    #[test]
    fn what_the_api_server_adds_is_no_difference() {
        let mut live = configuration();
        live["metadata"]["uid"] = "1".into();
        live["metadata"]["labels"]["other"] = "label".into();
        live["webhooks"][0]["clientConfig"]["service"]["port"] = 443.into();
        live["webhooks"][1]["matchPolicy"] = "Equivalent".into();
        assert!(texts(&live).is_empty());
    }

    #[test]
    fn every_edit_is_named() {
        let mut live = configuration();
        live["webhooks"][0]["failurePolicy"] = "Ignore".into();
        live["webhooks"][0]["matchConditions"] = json!([{"name": "a", "expression": "false"}]);
        live["webhooks"][0]["clientConfig"]["caBundle"] = "BBBB".into();
        live["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"] = json!(["shop"]);
        live["webhooks"][1] = json!({"name": "old.poolguard.io"});
        assert_eq!(
            texts(&live),
            [
                "clientConfig.caBundle of entry pods.poolguard.io was changed",
                "failurePolicy of entry pods.poolguard.io was changed",
                "matchConditions of entry pods.poolguard.io was changed",
                "namespaceSelector of entry pods.poolguard.io was changed",
                "entry nodes.poolguard.io is missing",
                "entry old.poolguard.io is not in the config any more",
            ]
        );
    }

    #[test]
    fn a_condition_more_is_a_difference() {
        let mut live = configuration();
        live["webhooks"][1]["matchConditions"] = json!([{"name": "never", "expression": "false"}]);
        assert_eq!(texts(&live), ["matchConditions of entry nodes.poolguard.io was changed"]);
    }

    #[test]
    fn a_selector_that_lets_nothing_through_is_a_difference() {
        let mut live = configuration();
        live["webhooks"][1]["namespaceSelector"] = json!({"matchLabels": {"no": "such"}});
        assert_eq!(texts(&live), ["namespaceSelector of entry nodes.poolguard.io was changed"]);
    }

    #[test]
    fn empty_values_are_values_that_are_not_there() {
        let exists = |values: Value| {
            let mut configuration = configuration();
            let expression = json!({"key": "k", "operator": "Exists", "values": values});
            configuration["webhooks"][1]["objectSelector"] =
                json!({"matchExpressions": [expression]});
            configuration
        };
        let mut bare = exists(json!([]));
        let selector = &mut bare["webhooks"][1]["objectSelector"]["matchExpressions"][0];
        selector.as_object_mut().expect("is an object").remove("values");
        for (desired, live) in [(&bare, &exists(json!([]))), (&exists(json!([])), &bare)] {
            assert!(differences(desired, live, CloudAdditions::None).is_empty());
        }
        assert!(!differences(&bare, &exists(json!(["v"])), CloudAdditions::None).is_empty());
    }

    /// With an expression in the selectors of both entries.
    fn with_expression(field: &str, expression: &Value) -> Value {
        let mut live = configuration();
        for entry in live["webhooks"].as_array_mut().expect("is a list") {
            let expressions = &mut entry[field]["matchExpressions"];
            let mut all = expressions.as_array().cloned().unwrap_or_default();
            all.push(expression.clone());
            *expressions = all.into();
        }
        live
    }

    #[test]
    fn what_aks_adds_to_selectors_is_left_alone_on_aks() {
        let added = json!({"key": "control-plane", "operator": "DoesNotExist"});
        let live = with_expression(NAMESPACE_SELECTOR, &added);
        assert!(texts_on(CloudAdditions::Aks, &live).is_empty());
        let written = with_additions(&configuration(), &live, CloudAdditions::Aks);
        for (written, live) in entries(&written).zip(entries(&live)) {
            assert_eq!(written[NAMESPACE_SELECTOR], live[NAMESPACE_SELECTOR]);
        }
        assert!(differences(&written, &live, CloudAdditions::Aks).is_empty());
        let plain = configuration();
        assert_eq!(with_additions(&plain, &plain, CloudAdditions::Aks), plain);
        // Elsewhere somebody else has written it.
        assert_eq!(
            texts(&live),
            [
                "namespaceSelector of entry pods.poolguard.io was changed",
                "namespaceSelector of entry nodes.poolguard.io was changed",
            ]
        );
        assert_eq!(with_additions(&plain, &live, CloudAdditions::None), plain);
    }

    #[test]
    fn an_expression_that_switches_the_webhooks_off_is_a_difference_on_every_cloud() {
        let exists = json!({"key": "control-plane", "operator": "Exists"});
        let listed = json!({"key": "control-plane", "operator": "DoesNotExist"});
        for (field, expression) in [(NAMESPACE_SELECTOR, exists), (OBJECT_SELECTOR, listed)] {
            let live = with_expression(field, &expression);
            for cloud in [CloudAdditions::None, CloudAdditions::Aks] {
                let changed = format!("{field} of entry pods.poolguard.io was changed");
                assert!(texts_on(cloud, &live).contains(&changed), "{cloud:?}: {expression}");
                let written = with_additions(&configuration(), &live, cloud);
                assert_eq!(written, configuration(), "{cloud:?}: {expression}");
            }
        }
    }
}
