//! Filters that leave out the pods that no rule denies: AutoMQ pods and exempt pods.

use super::{
    MatchCondition, NamespaceScope,
    cel::{Cel, CelPath, is_one_of, literal, matches_any, patterns},
    reach::operation_is,
    sorted,
};
use crate::{
    kubernetes::{
        name::Glob,
        selector::{LabelSelector, Operator, Requirement},
    },
    policy::{
        Policy,
        pod_owner::{AutoMq, Exemption},
        request::Operation,
    },
};

/// The namespace of a request whose resource has one.
const NAMESPACE: &str = "request.namespace";

const KUBE_SYSTEM: &str = "kube-system";

/// The pods that the entry `pods` and similar entries leave out.
pub(super) struct Outside<'p> {
    policy: &'p Policy,
    /// Namespaces that are out as a whole, by exact name.
    namespaces: Vec<String>,
}

impl<'p> Outside<'p> {
    pub(super) fn new(policy: &'p Policy, own_namespace: &str) -> Self {
        let exempt = policy.exempt.iter().filter(|it| it.is_by_namespace_only());
        let exempt = exempt.filter_map(|it| it.namespace.as_exact()).map(str::to_owned);
        let automq = if policy.automq.is_by_namespace_only() {
            automq_namespaces(policy)
        } else {
            Vec::new()
        };
        let fixed = [own_namespace.to_owned(), KUBE_SYSTEM.to_owned()];
        Self { policy, namespaces: sorted(fixed.into_iter().chain(exempt).chain(automq)) }
    }

    /// The scope by which the API server selects namespaces.
    pub(super) fn scope(&self) -> NamespaceScope {
        NamespaceScope::Except(self.namespaces.clone())
    }

    /// The scope without any of AutoMQ's namespaces, for requests that show no labels of the pod.
    pub(super) fn scope_without_automq(&self) -> NamespaceScope {
        let automq = automq_namespaces(self.policy);
        NamespaceScope::Except(sorted(self.namespaces.iter().cloned().chain(automq)))
    }

    pub(super) fn includes(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|it| it == namespace)
    }

    /// Whether the namespace is none of those that are out as a whole by a glob.
    pub(super) fn in_no_free_namespace(&self) -> Cel {
        let whole = self.policy.exempt.iter().filter(|it| it.is_by_namespace_only());
        let exempt = whole.map(|it| &it.namespace);
        let automq = self.policy.automq.is_by_namespace_only();
        let automq = automq.then_some(&self.policy.automq.namespaces).into_iter().flatten();
        Cel::not(matches_any(NAMESPACE, patterns(automq.chain(exempt))))
    }

    /// Whether the namespace is none of AutoMQ's, where no selector has said so.
    pub(super) fn in_no_automq_namespace(&self) -> Cel {
        let automq = &self.policy.automq;
        if automq.is_by_namespace_only() {
            // By selector and by `in_no_free_namespace`.
            return Cel::Always;
        }
        Cel::not(matches_any(NAMESPACE, &automq.namespaces))
    }

    /// Whether a binding's namespace, which is all that it shows, has no pod that may run on a pool.
    pub(super) fn is_binding_outside_all(&self) -> Cel {
        let in_any = |globs: &mut dyn Iterator<Item = &'p Glob>| matches_any(NAMESPACE, globs);
        Cel::all([
            Cel::not(in_any(&mut self.policy.automq.namespaces.iter())),
            Cel::not(in_any(&mut self.policy.exempt.iter().map(|it| &it.namespace))),
        ])
    }

    /// Whether a binding's namespace, which is all that it shows, is none that is out by a glob.
    pub(super) fn binding_is_outside(&self) -> Option<MatchCondition> {
        let automq = patterns(&self.policy.automq.namespaces);
        let in_no_automq = Cel::not(matches_any(NAMESPACE, automq));
        let exempt = self.policy.exempt.iter().filter(|it| it.is_by_namespace_only());
        let exempt = patterns(exempt.map(|it| &it.namespace));
        let in_none = Cel::all([in_no_automq, Cel::not(matches_any(NAMESPACE, exempt))]);
        MatchCondition::new("in-no-namespace-of-automq-or-exempt", in_none)
    }

    /// Whether the pod is neither AutoMQ's nor exempt, as far as no selector has said so.
    pub(super) fn pod_is_outside(&self, owner: OwnerCounts) -> Option<MatchCondition> {
        // A filter of ten agents would cost every pod more than the few requests about agents do.
        let is_outside = self.is_pod_outside(owner, Agents::Left);
        MatchCondition::new("neither-automqs-nor-exempt", is_outside)
    }

    /// Whether the pod is neither AutoMQ's nor exempt, as an expression.
    pub(super) fn is_pod_outside(&self, owner: OwnerCounts, agents: Agents) -> Cel {
        let automq = &self.policy.automq;
        let is_automq =
            if automq.is_by_namespace_only() { Cel::Never } else { is_automq_pod(automq) };
        let is_meant = |it: &&Exemption| agents == Agents::Included || !it.is_agent();
        let partial = self.policy.exempt.iter();
        let partial = partial.filter(|it| !it.is_by_namespace_only()).filter(is_meant);
        let partial = partial.filter(|it| {
            !it.namespace.as_exact().is_some_and(|namespace| self.includes(namespace))
        });
        let none = [self.in_no_free_namespace(), Cel::not(is_automq)]
            .into_iter()
            .chain(partial.map(|it| Cel::not(is_exempt(it, owner))));
        Cel::all(none)
    }
}

/// Whether a filter knows the presets' agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agents {
    /// The filter leaves the agents to the rule.
    Left,
    /// The filter leaves the agents' pods out, as the rule does.
    Included,
}

/// AutoMQ's namespaces that have an exact name. Those of instances always have one.
pub(super) fn automq_namespaces(policy: &Policy) -> Vec<String> {
    let named = policy.automq.namespaces.iter().filter_map(Glob::as_exact);
    sorted(named.chain(policy.instances.iter().map(|instance| instance.namespace.as_str())))
}

/// Whether the pod of the request is AutoMQ's.
pub(super) fn is_automq_pod(automq: &AutoMq) -> Cel {
    let AutoMq { namespaces, pods, service_accounts } = automq;
    Cel::all([
        matches_any(NAMESPACE, namespaces),
        labels_match(pods),
        service_account_matches(service_accounts),
    ])
}

/// The case in which the owner that a pod names counts. Anyone can write an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnerCounts {
    /// The owner counts if the DaemonSet controller sends the request.
    Asking,
    /// The owner counts if it is stored already and the request does not change it.
    Stored,
}

fn is_exempt(exemption: &Exemption, owner: OwnerCounts) -> Cel {
    let Exemption { namespace, service_accounts, daemon_sets, pods, reason: _, origin: _ } =
        exemption;
    Cel::all([
        matches_any(NAMESPACE, [namespace]),
        labels_match(pods),
        service_account_matches(service_accounts),
        daemon_set_matches(daemon_sets, owner),
    ])
}

fn labels_match(selector: &LabelSelector) -> Cel {
    let metadata = CelPath::object().key("metadata");
    let labels = metadata.key("labels");
    let requirement = |Requirement { key, operator, values }: &Requirement| {
        let there = Cel::all([metadata.holds("labels"), labels.has(key)]);
        let listed = is_one_of(&labels.key(key).to_string(), values);
        match operator {
            Operator::Exists => there,
            Operator::DoesNotExist => Cel::not(there),
            Operator::In => Cel::all([there, listed]),
            Operator::NotIn => Cel::not(Cel::all([there, listed])),
        }
    };
    Cel::all(selector.requirements().iter().map(requirement))
}

fn service_account_matches(globs: &[Glob]) -> Cel {
    if globs.is_empty() {
        return Cel::Always;
    }
    let any = matches_any("a", globs);
    if any == Cel::Always {
        return Cel::Always;
    }
    let is_text = match patterns(globs).next() {
        Some(_) => Cel::term("type(a) == string"),
        None => Cel::Always,
    };
    let any = Cel::all([is_text, any]);
    let spec = CelPath::object().key("spec");
    let field = |name: &str| format!("({}) ? {}", spec.has_text(name), spec.key(name));
    // The API server fills in both spellings; a name that is not there means `default`.
    let account =
        format!("{} : ({} : 'default')", field("serviceAccountName"), field("serviceAccount"));
    Cel::all([CelPath::object().holds("spec"), Cel::exists(format!("[{account}]"), "a", any)])
}

fn daemon_set_matches(globs: &[Glob], counts: OwnerCounts) -> Cel {
    if globs.is_empty() {
        return Cel::Always;
    }
    let owner = CelPath::bound("o");
    let named = Cel::all([owner.has("name"), matches_any("o.name", globs)]);
    match counts {
        OwnerCounts::Asking => has_daemon_set(named),
        OwnerCounts::Stored => {
            let (new, old) =
                (CelPath::object().key("metadata"), CelPath::old_object().key("metadata"));
            let stays = Cel::not(new.differs(&old, "ownerReferences"));
            let is_update = operation_is(Operation::Update.as_str());
            Cel::all([is_update, has_daemon_set(named), stays])
        }
    }
}

/// Whether the pod names a DaemonSet as its controller, of which this holds.
pub(super) fn has_daemon_set(named: Cel) -> Cel {
    let owner = CelPath::bound("o");
    let is_meant = Cel::all([
        Cel::term("has(o.controller)"),
        Cel::term("o.controller == true"),
        owner.text_is("kind", ["DaemonSet"]),
        owner.has("apiVersion"),
        Cel::term(format!("o.apiVersion.startsWith({})", literal("apps/"))),
        named,
    ]);
    let metadata = CelPath::object().key("metadata");
    let owners = metadata.key("ownerReferences");
    Cel::all([metadata.holds("ownerReferences"), Cel::exists(owners, "o", is_meant)])
}

/// The properties that make a pod AutoMQ's or exempt and that can be changed on the pod: labels, and the owner.
pub(super) struct Changeable<'p> {
    /// The namespaces in which such a property counts.
    pub(super) namespaces: Vec<&'p Glob>,
    /// Whether an owner counts somewhere.
    pub(super) owners: bool,
}

impl<'p> Changeable<'p> {
    pub(super) fn of(policy: &'p Policy) -> Self {
        let automq = (!policy.automq.pods.is_everything()).then_some(&policy.automq.namespaces);
        // A pod can change its labels and owners, and neither its namespace nor its service account.
        let depends = |it: &&Exemption| {
            let Exemption {
                namespace: _,
                service_accounts: _,
                daemon_sets,
                pods,
                reason: _,
                origin: _,
            } = it;
            !pods.is_everything() || !daemon_sets.is_empty()
        };
        let exempt = || policy.exempt.iter().filter(|it| !it.is_agent() && depends(it));
        Self {
            namespaces: automq
                .into_iter()
                .flatten()
                .chain(exempt().map(|it| &it.namespace))
                .collect(),
            owners: exempt().any(|it| !it.daemon_sets.is_empty()),
        }
    }

    /// The namespaces by exact name, unless one is only known by a glob.
    pub(super) fn exact(&self) -> Option<Vec<String>> {
        self.namespaces.iter().map(|glob| glob.as_exact().map(str::to_owned)).collect()
    }

    pub(super) fn in_one(&self) -> Cel {
        matches_any(NAMESPACE, self.namespaces.iter().copied())
    }
}
