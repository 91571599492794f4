//! What an API server would send where, given the objects that are registered.

use std::sync::Arc;

use cel::{Context, Env, Program};
use poolguard::{
    admission::webhooks::{Address, Entries, Installation},
    policy::Phase,
};
use serde_json::{Value, json};

use super::expressions::{compile, standard};

/// Where PoolGuard itself runs.
pub(crate) const OWN_NAMESPACE: &str = "poolguard";

pub(crate) fn installation() -> Installation {
    Installation {
        name: "poolguard".to_owned(),
        namespace: OWN_NAMESPACE.to_owned(),
        address: Address::Service { name: "poolguard".to_owned(), port: 443 },
        owner: None,
        labels: [].into(),
    }
}

/// The registered webhooks.
pub(crate) struct ApiServer {
    webhooks: Vec<Webhook>,
    env: Arc<Env>,
}

/// A registered webhook.
pub(crate) struct Webhook {
    /// Which configuration it is in.
    pub(crate) configuration: Phase,
    pub(crate) object: Value,
    conditions: Vec<Condition>,
}

/// A match condition.
struct Condition {
    name: String,
    expression: String,
}

impl Condition {
    fn program(&self, env: &Env) -> Arc<Program> {
        let Self { name, expression } = self;
        compile(env, expression).unwrap_or_else(|error| panic!("{name}: {error}\n{expression}"))
    }
}

impl Webhook {
    pub(crate) fn name(&self) -> &str {
        let name = self.object["name"].as_str().unwrap();
        name.strip_suffix(".poolguard.io").unwrap()
    }

    /// Which path is called.
    pub(crate) fn path(&self) -> Phase {
        match self.object["clientConfig"]["service"]["path"].as_str().unwrap() {
            "/mutate" => Phase::Mutate,
            "/validate" => Phase::Validate,
            other => panic!("{other}"),
        }
    }

    pub(crate) fn fails_closed(&self) -> bool {
        self.object["failurePolicy"] == "Fail"
    }

    pub(crate) fn has_filter(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Whether rules and selectors match, without an evaluation.
    fn selects(&self, request: &Value) -> bool {
        let rules = self.object["rules"].as_array().unwrap();
        rules.iter().any(|rule| rule_matches(rule, request))
            && namespace_matches(&self.object["namespaceSelector"], request)
            && object_matches(&self.object["objectSelector"], request)
    }
}

impl ApiServer {
    /// With every condition compiled.
    pub(crate) fn new(entries: &Entries) -> Self {
        let server = Self::lazy(entries);
        for condition in server.webhooks.iter().flat_map(|it| &it.conditions) {
            condition.program(&server.env);
        }
        server
    }

    /// With conditions that are compiled when a request needs them, which takes longer than to
    /// evaluate them.
    pub(crate) fn lazy(entries: &Entries) -> Self {
        let env = Arc::new(standard());
        let configurations = entries.objects(&installation(), None);
        let mut webhooks = Vec::new();
        for (configuration, object) in
            [Phase::Mutate, Phase::Validate].into_iter().zip(configurations)
        {
            for webhook in object["webhooks"].as_array().unwrap() {
                let list = webhook["matchConditions"].as_array().into_iter().flatten();
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let conditions = list.map(|condition| Condition {
                    name: text(&condition["name"]),
                    expression: text(&condition["expression"]),
                });
                let conditions = conditions.collect();
                webhooks.push(Webhook { configuration, object: webhook.clone(), conditions });
            }
        }
        Self { webhooks, env }
    }

    pub(crate) fn webhooks(&self) -> &[Webhook] {
        &self.webhooks
    }

    /// Those whose rules and selectors match, so that their conditions are evaluated.
    pub(crate) fn selected(&self, review: &Value) -> Vec<&Webhook> {
        let request = &review["request"];
        self.webhooks.iter().filter(|webhook| webhook.selects(request)).collect()
    }

    /// Those that are called.
    #[track_caller]
    pub(crate) fn called(&self, review: &Value) -> Vec<&Webhook> {
        let selected = self.selected(review);
        if selected.is_empty() {
            return selected;
        }
        let context = self.context(review);
        let holds = |webhook: &&Webhook| {
            // All of them are evaluated, whatever the others say.
            let results: Vec<bool> = webhook
                .conditions
                .iter()
                .map(|condition| match condition.program(&self.env).execute(&context) {
                    Ok(cel::Value::Bool(holds)) => holds,
                    other => {
                        panic!("{} {}: {other:?}\n{review:#}", webhook.name(), condition.name)
                    }
                })
                .collect();
            results.into_iter().all(|holds| holds)
        };
        selected.into_iter().filter(holds).collect()
    }

    fn context(&self, review: &Value) -> Context<'_, '_> {
        context(&self.env, review)
    }
}

/// What expressions see of a request.
pub(crate) fn context<'c>(env: &Arc<Env>, review: &Value) -> Context<'c, 'c> {
    let mut request = review["request"].clone();
    let fields = request.as_object_mut().unwrap();
    let take =
        |fields: &mut serde_json::Map<String, Value>, key| fields.remove(key).unwrap_or_default();
    let (object, old) = (take(fields, "object"), take(fields, "oldObject"));
    // Empty texts are left out.
    fields.retain(|_, value| *value != json!("") && !value.is_null());
    let mut context = Context::with_env(Arc::clone(env));
    for (name, value) in [("object", &object), ("oldObject", &old), ("request", &request)] {
        context.add_variable_from_value(name, cel::to_value(value).unwrap());
    }
    context
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    let path = pointer.split('/').skip(1);
    path.fold(value, |value, key| &value[key]).as_str().unwrap_or_default()
}

fn lists(list: &Value, item: &str) -> bool {
    list.as_array().into_iter().flatten().any(|it| it == item || it == "*")
}

/// Whether a request is about a namespace as an object. The API server looks at the plural name only,
/// whatever the API group.
fn is_namespace(request: &Value) -> bool {
    text(request, "/resource/resource") == "namespaces"
}

pub(crate) fn rule_matches(rule: &Value, request: &Value) -> bool {
    let (resource, sub) = (text(request, "/resource/resource"), text(request, "/subResource"));
    let full = if sub.is_empty() { resource.to_owned() } else { format!("{resource}/{sub}") };
    // A request about a namespace has its name as namespace, and is cluster-scoped.
    let has_namespace = !text(request, "/namespace").is_empty() && !is_namespace(request);
    let in_scope = match rule["scope"].as_str().unwrap() {
        "*" => true,
        "Namespaced" => has_namespace,
        "Cluster" => !has_namespace,
        other => panic!("{other}"),
    };
    in_scope
        && lists(&rule["apiGroups"], text(request, "/resource/group"))
        && lists(&rule["apiVersions"], text(request, "/resource/version"))
        && lists(&rule["operations"], text(request, "/operation"))
        && lists(&rule["resources"], &full)
}

pub(crate) fn namespace_matches(selector: &Value, request: &Value) -> bool {
    const NAME: &str = "kubernetes.io/metadata.name";
    let namespace = text(request, "/namespace");
    if is_namespace(request) {
        // Those of the object itself, where the API server puts its name in any case.
        let is_stored =
            request["operation"] == "DELETE" || !text(request, "/subResource").is_empty();
        let object = if is_stored { &request["oldObject"] } else { &request["object"] };
        let labels = object["metadata"]["labels"].as_object();
        let mut labels = labels.cloned().unwrap_or_default();
        labels.insert(NAME.to_owned(), request["name"].clone());
        return labels_match(selector, &labels.into());
    }
    // What has no namespace is never left out.
    namespace.is_empty() || labels_match(selector, &json!({ NAME: namespace }))
}

fn object_matches(selector: &Value, request: &Value) -> bool {
    *selector == json!({})
        || ["object", "oldObject"].iter().any(|side| {
            request.get(side).is_some_and(|object| {
                !object.is_null() && labels_match(selector, &object["metadata"]["labels"])
            })
        })
}

fn labels_match(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let listed = |expression: &Value| {
        let value = labels[expression["key"].as_str().unwrap()].as_str();
        let is_listed = value.is_some_and(|value| lists(&expression["values"], value));
        match expression["operator"].as_str().unwrap() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            other => panic!("{other}"),
        }
    };
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.into_iter().all(|(key, value)| labels[key] == *value)
        && expressions.into_iter().all(listed)
}
