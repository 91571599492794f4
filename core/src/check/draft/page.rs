//! A draft as YAML, with comments for its readers.

mod yaml;

use self::yaml::{flow_list, scalar};
use super::{Checked, ConfigDraft, DraftExemption, DraftInstance, DraftPool};
use crate::{
    check::draft::{
        console::{Candidate, DraftConsole},
        nodes::DraftSelector,
    },
    json::text::without_controls,
    kubernetes::{name::is_dns_subdomain, taint::Taint},
    policy::{Policy, pool::HOST_NAME_LABEL, provider::Provider},
};

/// The largest width of a line, where a line can be split.
const WIDTH: usize = 100;

/// The command that dumps what a draft is made from.
const DUMP_COMMAND: &str = "kubectl get \
     nodes,namespaces,pods,statefulsets,daemonsets,rolebindings,clusterrolebindings -A -o json > cluster.json";

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The origin of a draft, for its first lines.
#[derive(Clone, Copy, Debug)]
pub struct DraftOrigin<'a> {
    /// The command that wrote the draft.
    pub command: &'a str,
    /// The source that the command has read: a file, or a cluster.
    pub source: &'a str,
    /// The flags that give `poolguard check` the same source.
    pub check_flags: &'a str,
}

impl ConfigDraft {
    /// The config as text. `defaults` is the policy that the draft was made with.
    pub fn to_yaml(&self, defaults: &Policy, origin: DraftOrigin<'_>) -> String {
        let mut page = Page::default();
        page.heading(self, origin);
        page.line(0, "apiVersion: poolguard.io/v1alpha1");
        page.line(0, "kind: PoolGuardConfig");
        if let Some(provider) = self.provider {
            page.line(0, &format!("provider: {provider}"));
        } else {
            let known = Provider::ALL.map(Provider::as_str).join(", ");
            page.check(
                0,
                &format!("the nodes do not show the provider; add `provider:` with one of {known}"),
            );
        }
        page.namespaces(self);
        page.pools(self, defaults);
        page.instances(self);
        page.exemptions(self);
        page.console(&self.console);
        if self.lacks_machine_types {
            page.text.push('\n');
            page.check(0, "list `machineTypes` in each pool, and turn this rule on again");
            page.line(0, "rules:");
            page.line(0, "  node-machine-type: {mode: \"off\"}");
        }
        page.text
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, indent: usize, line: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn comment(&mut self, indent: usize, text: &str) {
        self.wrapped(indent, "# ", "# ", text);
    }

    /// Writes a comment on something that the reader must decide.
    fn check(&mut self, indent: usize, text: &str) {
        self.wrapped(indent, "# check: ", "#   ", text);
    }

    fn checks(&mut self, indent: usize, texts: &[String]) {
        for text in texts {
            self.check(indent, text);
        }
    }

    /// Writes a comment. Its text may come from a cluster, and stays behind the `#`.
    fn wrapped(&mut self, indent: usize, first: &str, next: &str, text: &str) {
        let text = without_controls(text);
        let mut line = first.to_owned();
        let mut is_empty = true;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let length = indent + line.chars().count() + 1 + word.chars().count();
            if !is_empty && length > WIDTH {
                self.line(indent, &line);
                next.clone_into(&mut line);
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        self.line(indent, &line);
    }

    /// Writes an entry of a list on one line, or one key a line if the entry is long.
    fn entry(&mut self, fields: &[(&str, String)], before: &str) {
        let pairs: Vec<String> =
            fields.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let line = format!("{before}- {{{}}}", pairs.join(", "));
        if line.chars().count() <= WIDTH {
            return self.line(0, &line);
        }
        for (position, pair) in pairs.iter().enumerate() {
            let bullet = if position == 0 { "- " } else { "  " };
            self.line(0, &format!("{before}{bullet}{pair}"));
        }
    }

    fn heading(&mut self, draft: &ConfigDraft, origin: DraftOrigin<'_>) {
        let DraftOrigin { command, source, check_flags } = origin;
        let (command, flags) = (without_controls(command), without_controls(check_flags));
        self.line(0, "# PoolGuard config for this cluster: a draft.");
        self.line(0, &format!("# Written by: {command}"));
        self.comment(0, &format!("Written from: {} of {source}", draft.read));
        self.line(0, "#");
        self.line(0, "# A comment that begins with \"check:\" is for you to decide. Then run:");
        self.line(0, "#   poolguard config check poolguard.yaml");
        let check = format!("#   poolguard check --config poolguard.yaml {flags}");
        self.line(0, check.trim_end());
        if !draft.checks.is_empty() {
            self.line(0, "#");
            self.checks(0, &draft.checks);
            if draft.is_short_dump {
                self.line(0, "# This command dumps what the draft needs:");
                self.line(0, &format!("#   {DUMP_COMMAND}"));
            }
        }
    }

    fn namespaces(&mut self, draft: &ConfigDraft) {
        let namespaces = &draft.namespaces;
        self.text.push('\n');
        self.comment(
            0,
            "The namespaces of AutoMQ: PoolGuard treats every pod in them as an AutoMQ pod.",
        );
        self.line(0, "automq:");
        self.checks(2, &namespaces.checks);
        let names: Vec<&str> = draft.namespaces().collect();
        let line = format!("namespaces: {}", flow_list(&names));
        let is_plain = namespaces.entries.iter().all(|it| it.checks.is_empty());
        if is_plain && line.len() + 2 <= WIDTH {
            return self.line(2, &line);
        }
        self.line(2, "namespaces:");
        for namespace in &namespaces.entries {
            self.checks(2, &namespace.checks);
            self.line(2, &format!("- {}", scalar(&namespace.name)));
        }
    }

    fn pools(&mut self, draft: &ConfigDraft, defaults: &Policy) {
        let pools = &draft.pools;
        self.text.push('\n');
        self.comment(0, "The node pools that this draft treats as AutoMQ's, because of their taint or of the pods on them, with the zones and machine types of their present nodes.");
        let has_role = |pool: &DraftPool| pool.role != Checked::default();
        if draft.provider == Some(Provider::Aws)
            && !pools.entries.is_empty()
            && !pools.entries.iter().any(has_role)
        {
            let hint = "To protect the entry of a pool's IAM role in aws-auth, add `role:` with its ARN to the pool.";
            self.comment(0, hint);
        }
        self.checks(0, &pools.checks);
        if pools.entries.is_empty() {
            let (taint, label) = (&defaults.taint, defaults.node_pool_labels.first());
            let label = label.map_or("LABEL", String::as_str);
            let why = if draft.sees_nodes {
                format!("no node carries the taint {taint}")
            } else {
                "PoolGuard could not see the nodes".to_owned()
            };
            self.check(0, &format!("{why}; add each pool, for example:"));
            self.line(0, "# pools:");
            self.line(0, "# - name: automq-a");
            return self.line(0, &format!("#   nodes: {}", match_labels(label, "automq-a")));
        }
        self.line(0, "pools:");
        for pool in &pools.entries {
            self.pool(pool, &defaults.taint);
        }
    }

    fn pool(&mut self, pool: &DraftPool, default: &Taint<'static>) {
        let DraftPool { name, nodes, zones, machine_types, role, taint, additional_taints } = pool;
        self.line(0, &format!("- name: {}", scalar(name)));
        let key = |key: &str, value: String| Some(format!("{key}: {value}"));
        self.checked(nodes, |it| key("nodes", selector(it)));
        self.checked(zones, |it| key("zones", flow_list(it)).filter(|_| !it.is_empty()));
        self.checked(machine_types, |it| {
            key("machineTypes", flow_list(it)).filter(|_| !it.is_empty())
        });
        self.checked(role, |it| key("role", scalar(it.as_deref()?)));
        self.checked(taint, |it| key("taint", differing(it, default)?));
        self.checked(additional_taints, |it| {
            let taints: Vec<String> = it.iter().map(whole_taint).collect();
            key("additionalTaints", format!("[{}]", taints.join(", "))).filter(|_| !it.is_empty())
        });
    }

    /// Writes a key of a pool, if it has a value, below the comments on what to check in it.
    fn checked<T>(&mut self, checked: &Checked<T>, line: impl Fn(&T) -> Option<String>) {
        self.checks(2, &checked.checks);
        if let Some(line) = line(&checked.value) {
            self.line(2, &line);
        }
    }

    fn instances(&mut self, draft: &ConfigDraft) {
        let instances = &draft.instances;
        self.text.push('\n');
        self.comment(
            0,
            "The AutoMQ clusters (instances), each with the pool that its pods belong to.",
        );
        self.checks(0, &instances.checks);
        if instances.entries.is_empty() {
            return self.example_instance(draft);
        }
        // Where all entries are comments, a key without them would be in their way.
        let has_any = instances.entries.iter().any(|it| it.pool.is_some());
        self.line(0, if has_any { "instances:" } else { "# instances:" });
        for instance in &instances.entries {
            self.instance(instance);
        }
    }

    fn example_instance(&mut self, draft: &ConfigDraft) {
        self.check(0, "no pod of an instance was found; add each instance, for example:");
        let mut namespaces = draft.namespaces();
        let first = namespaces.next().unwrap_or("automq");
        // The first is often for what instances share.
        let namespace = namespaces.next().unwrap_or(first);
        let pool = draft.pools().next().unwrap_or("automq-a");
        self.line(0, "# instances:");
        let (namespace, pool) = (scalar(namespace), scalar(pool));
        self.entry(
            &[("name", "instance-1".to_owned()), ("namespace", namespace), ("pool", pool)],
            "# ",
        );
    }

    fn instance(&mut self, instance: &DraftInstance) {
        let DraftInstance { name, namespace, label, pool, checks } = instance;
        self.checks(0, checks);
        let mut fields = vec![("name", scalar(name)), ("namespace", scalar(namespace))];
        if let Some((key, value)) = label {
            fields.push(("pods", match_labels(key, value)));
        }
        let before = if pool.is_some() { "" } else { "# " };
        fields.push(("pool", pool.as_deref().map_or_else(|| "POOL".to_owned(), scalar)));
        self.entry(&fields, before);
    }

    fn exemptions(&mut self, draft: &ConfigDraft) {
        let exempt = &draft.exempt;
        if exempt.entries.is_empty() {
            return;
        }
        self.text.push('\n');
        self.comment(
            0,
            "DaemonSets that can run on AutoMQ's nodes and that no preset of PoolGuard exempts.",
        );
        self.checks(0, &exempt.checks);
        self.line(0, "exempt:");
        for DraftExemption { namespace, daemon_set, reason } in &exempt.entries {
            let fields = [
                ("namespace", scalar(namespace)),
                ("daemonSets", flow_list(&[daemon_set])),
                ("reason", scalar(reason)),
            ];
            self.entry(&fields, "");
        }
    }

    fn console(&mut self, console: &DraftConsole) {
        let DraftConsole { looks, user, candidates } = console;
        self.text.push('\n');
        self.comment(
            0,
            "AutoMQ's console: the user name that the API server sees. Without this entry, role-binding denies the \
             console's changes to the objects that give AutoMQ its permissions.",
        );
        if let Some(user) = user {
            let account = user.strip_prefix(SERVICE_ACCOUNT).and_then(|it| it.split_once(':'));
            let is_account = |(namespace, name): &(&str, &str)| {
                is_dns_subdomain(namespace) && is_dns_subdomain(name)
            };
            let trusted = match account.filter(is_account) {
                Some((namespace, name)) => {
                    format!("serviceAccounts: {}", flow_list(&[format!("{namespace}/{name}")]))
                }
                None => format!("users: {}", flow_list(&[user])),
            };
            self.line(0, "principals:");
            self.line(2, "trusted:");
            return self.line(4, &trusted);
        }
        self.comment(0, &format!("PoolGuard could not find this user in the cluster; {looks}."));
        self.line(0, "# principals:");
        self.line(0, "#   trusted:");
        self.line(0, "#     users:");
        for Candidate { user, found } in candidates {
            let found = without_controls(found);
            self.line(0, &format!("#     # check: {found} names this user"));
            self.line(0, &format!("#     - {}", scalar(user)));
        }
        if candidates.is_empty() {
            self.line(0, "#     - CONSOLE");
        }
    }
}

fn match_labels(key: &str, value: &str) -> String {
    format!("{{matchLabels: {{{}: {}}}}}", scalar(key), scalar(value))
}

fn selector(selector: &DraftSelector) -> String {
    match selector {
        DraftSelector::Label(key, value) => match_labels(key, value),
        DraftSelector::Hosts(hosts) => format!(
            "{{matchExpressions: [{{key: {HOST_NAME_LABEL}, operator: In, values: {}}}]}}",
            flow_list(hosts)
        ),
    }
}

/// The parts of a taint that differ from the default; `None` if there is none.
fn differing(taint: &Taint<'_>, default: &Taint<'_>) -> Option<String> {
    let parts = [
        ("key", &taint.key, &default.key),
        ("value", &taint.value, &default.value),
        ("effect", &taint.effect, &default.effect),
    ];
    let differing = parts.into_iter().filter(|(_, own, default)| own != default);
    let differing: Vec<String> =
        differing.map(|(key, own, _)| format!("{key}: {}", scalar(own))).collect();
    (!differing.is_empty()).then(|| format!("{{{}}}", differing.join(", ")))
}

fn whole_taint(taint: &Taint<'static>) -> String {
    let Taint { key, value, effect } = taint;
    let value =
        if value.is_empty() { String::new() } else { format!(", value: {}", scalar(value)) };
    format!("{{key: {}{value}, effect: {}}}", scalar(key), scalar(effect))
}
