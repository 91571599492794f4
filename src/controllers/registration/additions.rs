//! The expressions that a managed cloud adds to every webhook configuration by itself.

use serde_json::Value;

use super::drift::NAMESPACE_SELECTOR;
use crate::policy::provider::Provider;

/// The expressions that a cloud adds to the selectors of every webhook, and adds again when somebody
/// takes them away. They are no drift, and PoolGuard writes them back. Every other expression is
/// drift, because an expression more is a request fewer: with `control-plane` `Exists`, the API server
/// would send nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudAdditions {
    /// An empty set: the cloud leaves webhooks as they are, or PoolGuard does not know which cloud it is.
    None,
    /// The expressions of the admissions enforcer of AKS, which keeps webhooks off the namespaces of
    /// AKS itself (Azure/AKS#1771).
    Aks,
}

/// An expression as the admissions enforcer writes it: its key, operator and values.
type Expression = (&'static str, &'static str, &'static [&'static str]);

/// The expressions that AKS adds. Older clusters have the first one.
const AKS: [Expression; 3] = [
    ("control-plane", "DoesNotExist", &[]),
    ("control-plane", "NotIn", &["true"]),
    ("kubernetes.azure.com/managedby", "NotIn", &["aks"]),
];

impl From<Option<Provider>> for CloudAdditions {
    fn from(provider: Option<Provider>) -> Self {
        match provider {
            Some(Provider::Azure) => Self::Aks,
            None
            | Some(
                Provider::Aws
                | Provider::Gcp
                | Provider::Alibaba
                | Provider::Huawei
                | Provider::Tencent
                | Provider::Oracle
                | Provider::Other,
            ) => Self::None,
        }
    }
}

impl CloudAdditions {
    /// Whether the cloud adds this expression to this selector.
    pub(super) fn include(self, selector: &str, expression: &Value) -> bool {
        match self {
            Self::None => false,
            Self::Aks => {
                selector == NAMESPACE_SELECTOR && AKS.iter().any(|known| is(expression, known))
            }
        }
    }
}

fn is(expression: &Value, (key, operator, values): &Expression) -> bool {
    let Some(fields) = expression.as_object() else { return false };
    let listed = fields.get("values").and_then(Value::as_array);
    let listed = listed.map(Vec::as_slice).unwrap_or_default();
    fields.keys().all(|field| matches!(field.as_str(), "key" | "operator" | "values"))
        && expression.get("key").is_some_and(|it| it == key)
        && expression.get("operator").is_some_and(|it| it == operator)
        && listed.iter().eq(values.iter())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_admissions_enforcer_writes_is_an_addition() {
        let expression = |key: &str, operator: &str, values: Value| {
            let mut expression = json!({"key": key, "operator": operator});
            if !values.is_null() {
                expression["values"] = values;
            }
            expression
        };
        let (plane, managed) = ("control-plane", "kubernetes.azure.com/managedby");
        for (key, operator, values, is_one) in [
            (plane, "DoesNotExist", Value::Null, true),
            (plane, "DoesNotExist", json!([]), true),
            (plane, "DoesNotExist", json!(["true"]), false),
            (plane, "NotIn", json!(["true"]), true),
            (plane, "NotIn", json!(["true", "false"]), false),
            (plane, "NotIn", json!(["false"]), false),
            (plane, "NotIn", json!([true]), false),
            (plane, "NotIn", Value::Null, false),
            (plane, "In", json!(["true"]), false),
            (plane, "Exists", Value::Null, false),
            (plane, "Exists", json!([]), false),
            (managed, "NotIn", json!(["aks"]), true),
            (managed, "NotIn", json!(["aks", "me"]), false),
            (managed, "In", json!(["aks"]), false),
            (managed, "Exists", Value::Null, false),
            (managed, "DoesNotExist", Value::Null, false),
            ("control-plane-2", "DoesNotExist", Value::Null, false),
            ("kubernetes.io/metadata.name", "NotIn", json!(["shop"]), false),
        ] {
            let expression = expression(key, operator, values);
            let aks = CloudAdditions::from(Some(Provider::Azure));
            assert_eq!(aks.include("namespaceSelector", &expression), is_one, "{expression}");
            assert!(!aks.include("objectSelector", &expression), "{expression}");
            let others = Provider::ALL.into_iter().filter(|it| *it != Provider::Azure).map(Some);
            for provider in others.chain([None]) {
                let additions = CloudAdditions::from(provider);
                let is_one = additions.include("namespaceSelector", &expression);
                assert!(!is_one, "{provider:?}: {expression}");
            }
        }
        for odd in [json!(null), json!([]), json!({}), json!({"key": plane})] {
            assert!(!CloudAdditions::Aks.include("namespaceSelector", &odd), "{odd}");
        }
    }
}
