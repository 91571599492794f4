//! Launch templates of AWS: the machine type of nodes, and what their user data tells the kubelet.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    subnets::{address_of, list, references},
    values::{Values, scalar},
};
use crate::kubernetes::{documents, taint::Taint};

const KIND: &str = "aws_launch_template";

/// The flag of the kubelet for its taints.
const TAINTS_FLAG: &str = "--register-with-taints";
/// The flag of the kubelet for its labels.
const LABELS_FLAG: &str = "--node-labels";
/// The API group of the node's own configuration on Amazon Linux 2023.
const NODE_CONFIG_GROUP: &str = "node.eks.aws/";

/// The launch templates that a plan knows.
pub(super) struct LaunchTemplates<'p> {
    plan: &'p Value,
    by_address: BTreeMap<&'p str, &'p Value>,
}

/// The settings that a launch template gives nodes. A setting that is `None` is not known, or not set.
#[derive(Debug, Default)]
pub(super) struct LaunchTemplate {
    pub(super) machine_type: Option<String>,
    pub(super) user_data: Option<UserData>,
}

/// The taints and labels that user data gives the kubelet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UserData {
    pub(super) taints: Vec<Taint<'static>>,
    pub(super) labels: Vec<(String, String)>,
}

impl<'p> LaunchTemplates<'p> {
    pub(super) fn new(plan: &'p Value) -> Self {
        let mut templates = Self { plan, by_address: BTreeMap::new() };
        for root in ["/prior_state/values/root_module", "/planned_values/root_module"] {
            if let Some(module) = plan.pointer(root) {
                templates.add(module);
            }
        }
        templates
    }

    fn add(&mut self, module: &'p Value) {
        for resource in list(module, "resources") {
            let text = |key: &str| resource.get(key).and_then(Value::as_str);
            if let (Some(KIND), Some(address), Some(values)) =
                (text("type"), text("address"), resource.get("values"))
            {
                self.by_address.insert(address, values);
            }
        }
        for child in list(module, "child_modules") {
            self.add(child);
        }
    }

    /// The template that a block of a resource names by identifier, by name, or by reference.
    pub(super) fn of(
        &self,
        change: &Value,
        values: Values<'_>,
        block: &str,
    ) -> Option<LaunchTemplate> {
        let keys = ["id", "name", "launch_template_id", "launch_template_name"];
        let found = keys.into_iter().find_map(|key| {
            let path = format!("{block}.{key}");
            match values.text(&path) {
                Some(named) => self.named(&named),
                None => self.referred(change, &path),
            }
        })?;
        let text = |key: &str| found.get(key).and_then(scalar);
        Some(LaunchTemplate {
            machine_type: text("instance_type"),
            user_data: text("user_data").and_then(|it| UserData::read(&it)),
        })
    }

    fn named(&self, name: &str) -> Option<&'p Value> {
        let is_named = |values: &&&Value| {
            ["id", "name"].iter().any(|key| values.get(*key).and_then(Value::as_str) == Some(name))
        };
        self.by_address.values().find(is_named).copied()
    }

    fn referred(&self, change: &Value, path: &str) -> Option<&'p Value> {
        let module = change.get("module_address").and_then(Value::as_str).unwrap_or_default();
        let found = references(self.plan, module, change, path)?;
        let address = found.iter().find_map(|reference| address_of(KIND, reference))?;
        let dot = if module.is_empty() { "" } else { "." };
        self.by_address.get([module, dot, address].concat().as_str()).copied()
    }
}

impl UserData {
    /// Reads what `user_data` has, in base64; `None` if it is something else.
    fn read(encoded: &str) -> Option<Self> {
        let decoded = STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let mut data = Self::default();
        for value in flags(&text, TAINTS_FLAG) {
            data.taints.extend(value.split(',').filter_map(Taint::parse));
        }
        for value in flags(&text, LABELS_FLAG) {
            let pairs = value.split(',').filter_map(|pair| pair.split_once('='));
            data.labels.extend(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        for config in node_configs(&text) {
            let taints = config.pointer("/spec/kubelet/config/registerWithTaints");
            let taints = taints.and_then(Value::as_array).into_iter().flatten();
            data.taints.extend(taints.filter_map(|taint| {
                let part = |key: &str| taint.get(key).and_then(Value::as_str);
                Some(Taint::of_cloud(
                    part("key")?,
                    part("value").unwrap_or_default(),
                    part("effect")?,
                ))
            }));
        }
        Some(data)
    }
}

/// Returns the values of a flag, wherever it occurs in the text.
fn flags<'t>(text: &'t str, flag: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(flag).skip(1).filter_map(|rest| {
        let value = rest.strip_prefix(['=', ' '])?.trim_start_matches(['"', '\'']);
        let end = value.find(|it: char| it.is_whitespace() || "\"'\\".contains(it));
        value.get(..end.unwrap_or(value.len())).filter(|value| !value.is_empty())
    })
}

/// The node's own configurations among the parts of the text.
fn node_configs(text: &str) -> Vec<Value> {
    let start = format!("apiVersion: {NODE_CONFIG_GROUP}");
    let parts = text.match_indices(&start).map(|(at, _)| {
        let part = text.get(at..).unwrap_or_default();
        // The boundary of the next part.
        part.split("\n--").next().unwrap_or(part)
    });
    let read = |part: &str| documents::read(part).ok()?.objects.into_iter().next()?.ok();
    parts.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let UserData { taints, labels } = UserData::read(&STANDARD.encode(text)).expect("is text");
        let taints = taints.iter().map(ToString::to_string);
        let labels = labels.into_iter().map(|(key, value)| format!("{key}={value}"));
        taints.chain(labels).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn user_data_of_every_image_says_what_the_kubelet_gets() {
        for (text, expected) in [
            (
                "#!/bin/bash\n/etc/eks/bootstrap.sh c --kubelet-extra-args '--node-labels=team=kafka,a=b --register-with-taints=dedicated=automq:NoSchedule'\n",
                "dedicated=automq:NoSchedule team=kafka a=b",
            ),
            (
                "KUBELET_EXTRA_ARGS=\"--register-with-taints a:NoExecute,b=c:NoSchedule\"",
                "a:NoExecute b=c:NoSchedule",
            ),
            (
                "MIME-Version: 1.0\n\n--//\nContent-Type: application/node.eks.aws\n\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n    config:\n      registerWithTaints: [{key: dedicated, value: automq, effect: NoSchedule}]\n    flags: [\"--node-labels=team=kafka\"]\n--//--\n",
                "dedicated=automq:NoSchedule team=kafka",
            ),
            ("#!/bin/bash\necho", ""),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(UserData::read("%"), None);
    }
}
