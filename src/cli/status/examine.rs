//! The comparison of an installation with what it should be. It takes the facts that were read, and does no I/O.

mod dry_run;
mod published;

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    facts::{InstallationFlags, ReadObject, StatusFacts},
    finding::{Check, StatusFinding, StatusReport},
};
use crate::{
    admission::webhooks::{Address, BackstopState, Installation, entries},
    api::{
        installation::InstallationNames,
        rbac::{self, Duties, PolicyRule, RoleScope},
    },
    cli::page::count,
    config::RegistrationMode,
    controllers::{
        certificates::{authority::Validity, bundle},
        registration::{additions::CloudAdditions, drift::differences},
    },
    policy::mode::{BackstopMode, Mode, RuleModes, RuleName},
};

/// The largest age of a Lease with a live holder. The holder renews it every few seconds.
const LEASE_MAX_AGE: SignedDuration = SignedDuration::from_secs(60);
/// The remaining validity below which a check warns: the time that is left to renew an authority.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The largest number of differences, or of rights, that a message names.
const NAMED_MAX: usize = 4;

pub(super) fn examine(installed: &InstallationFlags, facts: &StatusFacts) -> StatusReport {
    let mut findings = replicas(installed, facts);
    findings.push(version(facts));
    findings.push(lease(installed, facts));
    findings.push(registration(installed, facts));
    findings.extend(backstop(facts));
    findings.push(certificate(facts));
    findings.push(dry_run::intruder(facts));
    findings.extend(config(facts));
    findings.extend(published::config(installed, facts));
    findings.extend(published::scan(installed, facts));
    findings.push(rights(installed, facts));
    let InstallationFlags { namespace, name, .. } = installed;
    StatusReport { title: format!("PoolGuard {namespace}/{name}"), findings }
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// Returns the object, or the finding that it does not exist or is not known.
fn there<'f>(
    check: Check,
    what: &str,
    read: &'f ReadObject,
) -> Result<&'f Value, Box<StatusFinding>> {
    match read {
        Ok(Some(object)) => Ok(object),
        Ok(None) => Err(Box::new(check.error(format!("There is no {what}")))),
        Err(why) => Err(Box::new(check.unknown(format!("{what} could not be read: {why}")))),
    }
}

fn replicas(installed: &InstallationFlags, facts: &StatusFacts) -> Vec<StatusFinding> {
    let InstallationFlags { namespace, name, .. } = installed;
    let what = format!("Deployment {namespace}/{name}");
    let deployment = match there(Check::Replicas, &what, &facts.deployment) {
        Ok(deployment) => deployment,
        Err(finding) => {
            let fix = "# install PoolGuard (docs/install.md), or name its namespace with --namespace and its release with --name";
            return vec![finding.fix_if_absent(fix)];
        }
    };
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let desired = deployment.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let ready = number("/status/readyReplicas");
    let logs = format!(
        "kubectl -n {namespace} get pods -l app.kubernetes.io/name=poolguard\nkubectl -n {namespace} logs deployment/{name}"
    );
    let mut findings = Vec::new();
    let failure = list(deployment, "/status/conditions")
        .find(|it| text(it, "/type") == "ReplicaFailure" && text(it, "/status") == "True");
    if let Some(condition) = failure {
        let why = text(condition, "/message");
        let finding = Check::Replicas.error(format!("Kubernetes cannot create a replica: {why}"));
        findings.push(if why.contains("quota") || why.contains("priority") {
            finding.fix("# set priorityQuota: true in the chart's values: some clouds allow this priority class only with a ResourceQuota")
        } else {
            finding.fix(logs.clone())
        });
    }
    findings.push(match (ready, desired) {
        (_, 0) => Check::Replicas
            .error("The Deployment has 0 replicas, so PoolGuard does not answer: the API server rejects requests of entries that fail closed, and lets the others pass without a check")
            .fix(format!("kubectl -n {namespace} scale deployment/{name} --replicas=2")),
        (0, _) => Check::Replicas.error(format!("None of {desired} replicas is ready")).fix(logs),
        (ready, desired) if ready < desired => {
            Check::Replicas.warning(format!("{ready} of {desired} replicas are ready")).fix(logs)
        }
        (_, 1) => Check::Replicas
            .warning("There is one replica, so each restart is an outage")
            .fix(format!("kubectl -n {namespace} scale deployment/{name} --replicas=2")),
        (ready, _) => Check::Replicas.pass(format!("{ready} of {desired} replicas are ready")),
    });
    findings
}

fn version(facts: &StatusFacts) -> StatusFinding {
    let pods = match &facts.pods {
        Ok(pods) => pods,
        Err(why) => return Check::Version.unknown(format!("The pods could not be read: {why}")),
    };
    let mut images: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in pods {
        let image = list(pod, "/spec/containers").map(|it| text(it, "/image")).next();
        *images.entry(image.unwrap_or_default()).or_default() += 1;
    }
    let named: Vec<String> =
        images.iter().map(|(image, count)| format!("{count} x {image}")).collect();
    match images.len() {
        0 => Check::Version.unknown("There is no pod of PoolGuard"),
        1 => Check::Version
            .pass(format!("Every replica runs {}", images.keys().next().unwrap_or(&""))),
        _ => Check::Version
            .warning(format!("The replicas run different images: {}", named.join(", ")))
            .fix("# during a rollout this is normal; otherwise finish the rollout, or undo it"),
    }
}

fn lease(installed: &InstallationFlags, facts: &StatusFacts) -> StatusFinding {
    let InstallationFlags { namespace, name, .. } = installed;
    let lease = match there(Check::Lease, &format!("Lease {namespace}/{name}"), &facts.lease) {
        Ok(lease) => lease,
        Err(finding) => return *finding,
    };
    let holder = text(lease, "/spec/holderIdentity");
    let renewed: Option<Timestamp> = text(lease, "/spec/renewTime").parse().ok();
    let age = renewed.map(|renewed| renewed.duration_until(facts.now));
    let fix = format!("kubectl -n {namespace} logs deployment/{name} | grep -i lease");
    match age {
        _ if holder.is_empty() => Check::Lease
            .error("No replica holds the Lease, so none registers webhooks, rotates certificates or scans")
            .fix(fix),
        Some(age) if age <= LEASE_MAX_AGE => Check::Lease.pass(format!("{holder} holds the Lease")),
        Some(age) => Check::Lease
            .error(format!("{holder} has not renewed the Lease for {} s", age.as_secs()))
            .fix(fix),
        None => Check::Lease.error(format!("{holder} has never renewed the Lease")).fix(fix),
    }
}

/// Returns the address at which the API server calls PoolGuard, from the registered configuration.
fn address(configuration: &Value) -> Address {
    let client = configuration.pointer("/webhooks/0/clientConfig");
    let service = client.and_then(|it| it.get("service"));
    match (service, client) {
        (Some(service), _) => Address::Service {
            name: text(service, "/name").to_owned(),
            port: service
                .get("port")
                .and_then(Value::as_u64)
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or(443),
        },
        (None, Some(client)) => {
            let url = text(client, "/url");
            Address::Url(url.rsplit_once('/').map_or(url, |(base, _)| base).to_owned())
        }
        (None, None) => Address::Url(String::new()),
    }
}

fn registration(installed: &InstallationFlags, facts: &StatusFacts) -> StatusFinding {
    let InstallationFlags { namespace, name, .. } = installed;
    let mut live = Vec::new();
    for (kind, read) in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]
        .iter()
        .zip(&facts.configurations)
    {
        match there(Check::Registration, &format!("{kind} {name}"), read) {
            Ok(object) => live.push(object),
            Err(finding) => {
                let fix = "# the Lease holder registers it when a replica is ready; if it does not, read its log";
                return finding.fix_if_absent(fix);
            }
        }
    }
    let Ok(loaded) = &facts.config else {
        return Check::Registration
            .unknown("Without the config PoolGuard cannot tell what should be registered");
    };
    let policy = loaded.policy.with_node_pool_objects(&facts.found);
    let installation = Installation {
        name: name.clone(),
        namespace: namespace.clone(),
        address: live.first().map_or_else(|| Address::Url(String::new()), |it| address(it)),
        owner: None,
        labels: BTreeMap::new(),
    };
    let state = if is_backed(facts) { BackstopState::InForce } else { BackstopState::Absent };
    let desired = entries(&policy, namespace, state).objects(&installation, None);
    let additions = CloudAdditions::from(policy.provider);
    let differing: Vec<String> = desired
        .iter()
        .zip(&live)
        .flat_map(|(desired, live)| differences(desired, live, additions))
        .map(|it| it.to_string())
        .collect();
    let all = live.iter().flat_map(|it| list(it, "/webhooks"));
    let (closed, open): (Vec<&Value>, Vec<&Value>) =
        all.partition(|it| text(it, "/failurePolicy") == "Fail");
    if differing.is_empty() {
        let total = closed.len() + open.len();
        return Check::Registration.pass(format!(
            "{total} entries match the config; {} of them fail closed",
            closed.len()
        ));
    }
    let fix = match loaded.settings.registration {
        RegistrationMode::Managed => {
            "# the Lease holder corrects this within seconds; if you still see it after a minute, read its log"
        }
        RegistrationMode::External => "# apply the output of `poolguard render webhooks` again",
    };
    Check::Registration
        .warning(format!("The registered entries differ from the config: {}", named(&differing)))
        .fix(fix)
}

/// Whether the API server has a policy for pods that denies.
fn is_backed(facts: &StatusFacts) -> bool {
    let [policy, binding] = &facts.policies;
    let denies = |binding: &Value| {
        list(binding, "/spec/validationActions").any(|action| action.as_str() == Some("Deny"))
    };
    matches!(policy, Ok(Some(_)))
        && binding.as_ref().is_ok_and(|it| it.as_ref().is_some_and(denies))
}

/// Checks whether the backstop that the config asks for exists. Returns `None` if the config asks for none.
fn backstop(facts: &StatusFacts) -> Option<StatusFinding> {
    let policy = &facts.config.as_ref().ok()?.policy;
    let outage = match policy.backstop {
        BackstopMode::Off => return None,
        BackstopMode::Beside => {
            "rejects new pods that tolerate a pool's taint or have spec.nodeName, except AutoMQ pods, exempt pods and pods \
             of DaemonSets"
        }
        BackstopMode::Instead => "denies intruders, and no other pod",
    };
    if is_backed(facts) {
        let fact = format!("While PoolGuard does not answer, the API server {outage}");
        return Some(Check::Backstop.pass(fact));
    }
    if let Some(why) = facts.policies.iter().find_map(|it| it.as_ref().err()) {
        return Some(Check::Backstop.unknown(format!("The backstop could not be read: {why}")));
    }
    let fix = "# the Lease holder creates it (docs/backstop.md); if it does not, read its log";
    Some(Check::Backstop.error("The backstop that the config asks for does not exist").fix(fix))
}

fn named(all: &[String]) -> String {
    let shown = all.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// Checks the certificate authorities that the entries trust.
fn certificate(facts: &StatusFacts) -> StatusFinding {
    let live = facts.configurations.iter().filter_map(|it| it.as_ref().ok()?.as_ref());
    let mut bundles = BTreeSet::new();
    for entry in live.flat_map(|it| list(it, "/webhooks")) {
        bundles.insert(text(entry, "/clientConfig/caBundle"));
    }
    let ends: Vec<Timestamp> = bundles
        .iter()
        .flat_map(|encoded| bundle::certificates(&STANDARD.decode(encoded).unwrap_or_default()))
        .filter_map(|it| Validity::of(&it).ok())
        .map(|validity| validity.end)
        .collect();
    let without = bundles.iter().any(|it| it.is_empty());
    let Some(last) = ends.iter().max() else {
        return if facts.configurations.iter().any(Result::is_err) {
            Check::Certificate.unknown("The registered webhooks could not be read")
        } else if bundles.is_empty() {
            Check::Certificate
                .unknown("No webhook of PoolGuard is registered, so there is no caBundle to check")
        } else {
            Check::Certificate.unknown(
                "The entries have no caBundle, so the API server trusts the authorities of its host",
            )
        };
    };
    let fix = "# the Lease holder rotates the authority in time; if it does not, read its log";
    let left = facts.now.duration_until(*last);
    let date = last.strftime("%Y-%m-%d");
    if without {
        Check::Certificate.error("Some entries have a caBundle, and others have none").fix(fix)
    } else if left.is_negative() {
        Check::Certificate
            .error(format!("The caBundle expired on {date}, so no call succeeds"))
            .fix(fix)
    } else if left < EXPIRES_SOON {
        Check::Certificate.warning(format!("The caBundle expires on {date}")).fix(fix)
    } else {
        Check::Certificate.pass(format!("The caBundle is valid until {date}"))
    }
}

fn config(facts: &StatusFacts) -> Vec<StatusFinding> {
    let loaded = match &facts.config {
        Ok(loaded) => loaded,
        Err(why) => {
            return vec![Check::Config.error(why.message.clone()).fix(why.fix)];
        }
    };
    let lowered = lowered(&loaded.policy.rules);
    let mut findings = Vec::new();
    if !lowered.is_empty() {
        findings.push(
            Check::Config
                .warning(format!("These rules are weaker than by default: {}", lowered.join("; ")))
                .fix("# before you set them to the default mode, read the audit records: PoolGuard then denies these requests (docs/install.md)"),
        );
    }
    let warnings =
        loaded.warnings.iter().map(|it| Check::Config.warning(it.one_line("config.yaml")));
    findings.extend(warnings);
    if findings.is_empty() {
        let pools = loaded.policy.pools.len();
        findings.push(
            Check::Config
                .pass(format!("The config is valid and declares {}", count(pools, "pool"))),
        );
    }
    findings
}

/// Returns the modes that are weaker than by default, each as `node-taint is in mode warn instead of enforce`.
fn lowered(rules: &RuleModes) -> Vec<String> {
    let default = RuleModes::default();
    let mut modes: Vec<(String, Mode, Mode)> =
        RuleName::ALL.map(|rule| (rule.to_string(), rules.mode(rule), default.mode(rule))).into();
    // Without a mode of their own, pods of DaemonSets have that of the rule.
    if rules.daemon_set_intrusion != rules.pod_intrusion {
        let what = format!("{} for pods of DaemonSets", RuleName::PodIntrusion);
        modes.insert(1, (what, rules.daemon_set_intrusion, default.daemon_set_intrusion));
    }
    modes.retain(|(_, mode, default)| mode < default);
    let text = |(what, mode, default)| format!("{what} is in mode {mode} instead of {default}");
    modes.into_iter().map(text).collect()
}

/// Checks whether the ClusterRole grants the rights that a replica asks for.
fn rights(installed: &InstallationFlags, facts: &StatusFacts) -> StatusFinding {
    let name = &installed.name;
    let role = match there(Check::Rights, &format!("ClusterRole {name}"), &facts.role) {
        Ok(role) => role,
        Err(finding) => return *finding,
    };
    let registers = facts
        .config
        .as_ref()
        .is_ok_and(|loaded| loaded.settings.registration == RegistrationMode::Managed);
    // Reports and a certificate of its own are choices of the installation.
    let duties = Duties { certifies: false, registers, reports: false };
    let asked = rbac::of_replica(&InstallationNames::of(name, Some(name.clone())), duties);
    let missing: Vec<String> = asked
        .iter()
        .filter(|rule| rule.scope == RoleScope::Cluster && !grants(role, rule))
        .map(ToString::to_string)
        .collect();
    if missing.is_empty() {
        return Check::Rights.pass("The ClusterRole grants every right that PoolGuard asks for");
    }
    Check::Rights.error(format!("ClusterRole {name} lacks rights: {}", named(&missing))).fix(
        "# upgrade the chart together with the image: the chart contains the rights of its version",
    )
}

fn grants(role: &Value, asked: &PolicyRule) -> bool {
    let has = |rule: &Value, pointer: &str, wanted: &str| {
        list(rule, pointer).any(|it| it.as_str().is_some_and(|it| it == wanted || it == "*"))
    };
    asked.verbs.iter().all(|verb| {
        list(role, "/rules").any(|rule| {
            let mut names = list(rule, "/resourceNames").filter_map(Value::as_str).peekable();
            let is_unnamed = names.peek().is_none();
            let names: BTreeSet<&str> = names.collect();
            let is_named = !asked.names.is_empty()
                && asked.names.iter().all(|name| names.contains(name.as_str()));
            has(rule, "/apiGroups", &asked.group)
                && has(rule, "/resources", &asked.resource)
                && has(rule, "/verbs", verb)
                && (is_unnamed || is_named)
        })
    })
}
