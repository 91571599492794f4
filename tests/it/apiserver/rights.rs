//! Who may do what, and what was asked for.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use serde_json::Value;

/// A rule of a role: cluster-wide, or within one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) verbs: Vec<String>,
    /// Empty: any name.
    pub(crate) names: Vec<String>,
    /// `None`: the whole cluster.
    pub(crate) namespace: Option<String>,
}

/// A request, as authorization sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) user: String,
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    /// Empty, or `status`.
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    /// Of a list or a watch: the name in its field selector.
    pub(crate) name: String,
    pub(crate) allowed: bool,
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

impl Rule {
    pub(crate) fn new(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Self {
        Self {
            groups: owned(groups),
            resources: owned(resources),
            verbs: owned(verbs),
            ..Self::default()
        }
    }

    /// For these names only.
    pub(crate) fn named(self, names: &[&str]) -> Self {
        Self { names: owned(names), ..self }
    }

    /// In this namespace only.
    pub(crate) fn within(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }

    pub(crate) fn everything() -> Self {
        Self::new(&["*"], &["*"], &["*"])
    }

    /// The rules of a `Role`, for its namespace, or of a `ClusterRole`.
    pub(crate) fn of_role(role: &Value) -> Vec<Self> {
        let texts = |value: &Value| -> Vec<String> {
            let texts = value.as_array().into_iter().flatten();
            texts.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let namespace = role["metadata"]["namespace"].as_str().map(ToOwned::to_owned);
        assert_eq!(role["kind"] == "Role", namespace.is_some(), "a Role has a namespace");
        let rules = role["rules"].as_array().into_iter().flatten();
        rules
            .filter(|rule| rule["nonResourceURLs"].is_null())
            .map(|rule| Self {
                groups: texts(&rule["apiGroups"]),
                resources: texts(&rule["resources"]),
                verbs: texts(&rule["verbs"]),
                names: texts(&rule["resourceNames"]),
                namespace: namespace.clone(),
            })
            .collect()
    }

    /// Whether it grants a request.
    pub(crate) fn grants(&self, asked: &Asked) -> bool {
        let has = |list: &[String], text: &str| list.iter().any(|it| it == "*" || it == text);
        let resource = if asked.subresource.is_empty() {
            asked.resource.clone()
        } else {
            format!("{}/{}", asked.resource, asked.subresource)
        };
        let any_of_subresource = format!("*/{}", asked.subresource);
        has(&self.verbs, &asked.verb)
            && has(&self.groups, &asked.group)
            && (has(&self.resources, &resource)
                || (!asked.subresource.is_empty() && self.resources.contains(&any_of_subresource)))
            && (self.names.is_empty() || self.names.contains(&asked.name))
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == asked.namespace)
    }
}

impl Asked {
    /// What a refusal says.
    pub(crate) fn refusal(&self) -> String {
        let Self { user, verb, group, resource, subresource, namespace, .. } = self;
        let slash = if subresource.is_empty() { "" } else { "/" };
        let scope = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{namespace}\"")
        };
        format!(
            "User \"{user}\" cannot {verb} resource \"{resource}{slash}{subresource}\" in API \
             group \"{group}\" {scope}"
        )
    }
}
