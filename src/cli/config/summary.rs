//! The summary of a config, on one screen.

use std::{
    collections::BTreeSet,
    fmt::Display,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};

use crate::{
    config::{ConfigSettings, RegistrationMode},
    kubernetes::duration::format_duration,
    policy::{
        Policy,
        mode::{JoinMode, Mode, RuleName},
        pod_owner::Exemption,
        pool::{Instance, Pool},
        principal::Principals,
        protection::Origin,
    },
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Width of the first column.
const TITLE_WIDTH: usize = 13;

/// Writes the summary of a config that can be used.
pub(super) fn write(
    out: &mut impl Write,
    name: &str,
    policy: &Policy,
    settings: &ConfigSettings,
    warnings: usize,
) -> io::Result<()> {
    write!(out, "{GREEN}ok{GREEN:#} {name}")?;
    match warnings {
        0 => writeln!(out)?,
        1 => writeln!(out, "{YELLOW}, 1 warning{YELLOW:#}")?,
        count => writeln!(out, "{YELLOW}, {count} warnings{YELLOW:#}")?,
    }
    writeln!(out)?;
    let provider = policy.provider.map_or("read from the nodes", |provider| provider.as_str());
    section(out, "provider", &[provider.to_owned()])?;
    section(out, "taint", &[policy.taint.to_string()])?;
    section(out, "automq", &[automq(policy)])?;
    section(out, "pools", &pools(policy))?;
    section(out, "instances", &instances(policy))?;
    section(out, "exempt", &exempt(policy))?;
    section(out, "protected", &[protected(policy)])?;
    section(out, "trusted", &trusted(policy))?;
    section(out, "break-glass", &[joined(&policy.break_glass_groups)])?;
    section(out, "rules", &rules(policy))?;
    section(out, "settings", &[self::settings(settings)])
}

/// Writes a title with its lines beside it.
fn section(out: &mut impl Write, title: &str, lines: &[String]) -> io::Result<()> {
    for (index, line) in lines.iter().enumerate() {
        let title = if index == 0 { title } else { "" };
        writeln!(out, "{BOLD}{title:TITLE_WIDTH$}{BOLD:#}{}", line.trim_end())?;
    }
    Ok(())
}

fn none() -> String {
    format!("{DIM}none{DIM:#}")
}

fn joined(list: &[impl Display]) -> String {
    if list.is_empty() {
        return none();
    }
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn automq(policy: &Policy) -> String {
    let automq = &policy.automq;
    let mut parts = vec![joined(&automq.namespaces)];
    if !automq.pods.is_everything() {
        parts.push(format!("pods {}", automq.pods));
    }
    if !automq.service_accounts.is_empty() {
        parts.push(format!("service accounts {}", joined(&automq.service_accounts)));
    }
    parts.join(", ")
}

fn pools(policy: &Policy) -> Vec<String> {
    let rows: Vec<[String; 3]> = policy
        .pools
        .iter()
        .map(|pool| [pool.name.to_string(), zones(pool), machine_types(pool, policy)])
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (names, zones, types) = (width(0), width(1), width(2));
    let mut lines: Vec<_> = rows
        .iter()
        .zip(&policy.pools)
        .map(|([name, zone, kind], Pool { taint, role, .. })| {
            let mut line = vec![format!("{name:names$}  {zone:zones$}  {kind:types$}")];
            line.extend((*taint != policy.taint).then(|| taint.to_string()));
            line.extend(role.as_ref().map(|role| format!("{DIM}{role}{DIM:#}")));
            line.join("  ")
        })
        .collect();
    if policy.discovery {
        let start = if lines.is_empty() { "none declared; PoolGuard" } else { "PoolGuard also" };
        lines.push(format!("{DIM}{start} finds pools by the taint {}{DIM:#}", policy.taint));
    } else if lines.is_empty() {
        lines.push(none());
    }
    lines
}

fn zones(pool: &Pool) -> String {
    if pool.zones.is_empty() { "any zone".to_owned() } else { pool.zones.join(" ") }
}

fn machine_types(pool: &Pool, policy: &Policy) -> String {
    match (&pool.machine_types, policy.machine_types.names.len()) {
        (Some(types), _) => types.join(" "),
        (None, 0) => "any type".to_owned(),
        (None, count) => format!("catalog ({count} types)"),
    }
}

fn instances(policy: &Policy) -> Vec<String> {
    if policy.instances.is_empty() {
        return vec![none()];
    }
    let width = policy.instances.iter().map(|it| it.name.len()).max().unwrap_or_default();
    let line = |instance: &Instance| {
        let pool = policy.pools.get(instance.pool).map_or("", |pool| &pool.name);
        let mut parts = vec![format!("{:width$}  {} → {pool}", instance.name, instance.namespace)];
        if !instance.pods.is_everything() {
            parts.push(format!("pods {}", instance.pods));
        }
        if let Some(spread) = instance.zone_spread {
            parts.push(format!("zoneSpread {}", spread.as_str()));
        }
        parts.join(", ")
    };
    policy.instances.iter().map(line).collect()
}

fn exempt(policy: &Policy) -> Vec<String> {
    let shown: Vec<&Exemption> = policy.exempt.iter().filter(|it| !it.is_agent()).collect();
    let agents = policy.exempt.len() - shown.len();
    let names: Vec<_> = shown.iter().copied().map(exempt_pods).collect();
    let width = names.iter().map(String::len).max().unwrap_or_default();
    let line = |(name, entry): (&String, &&Exemption)| {
        format!("{name:width$}  {DIM}{}{DIM:#}", entry.reason)
    };
    let mut lines: Vec<String> = names.iter().zip(&shown).map(line).collect();
    if agents > 0 {
        let presets = if agents == 1 { "preset" } else { "presets" };
        lines.push(format!("{agents} {presets} for agents of the cloud"));
    }
    if lines.is_empty() { vec![none()] } else { lines }
}

/// Returns an exemption as text: `kube-system`, or `gmp-system/collector` if only pods of DaemonSets are exempt.
fn exempt_pods(entry: &Exemption) -> String {
    let daemon_sets: Vec<String> = entry.daemon_sets.iter().map(ToString::to_string).collect();
    match daemon_sets.as_slice() {
        [] => entry.namespace.to_string(),
        names => format!("{}/{}", entry.namespace, names.join(",")),
    }
}

fn protected(policy: &Policy) -> String {
    let own = policy.protected.iter().filter(|it| it.origin == Origin::Config).count();
    // Those of one name protect the same in several kinds of objects.
    let built_in = policy.protected.iter().filter(|it| it.origin == Origin::Preset);
    let built_in: BTreeSet<&str> = built_in.map(|it| it.name.as_str()).collect();
    format!("{own} from the config, {} built in", built_in.len())
}

fn trusted(policy: &Policy) -> Vec<String> {
    let list = |principals: &Principals| -> Vec<String> {
        let Principals { users, groups, service_accounts } = principals;
        [users, groups, service_accounts].into_iter().flatten().map(ToString::to_string).collect()
    };
    let mut lines = list(&policy.trusted.configured);
    if lines.is_empty() {
        lines.push(format!("{DIM}none configured{DIM:#}"));
    }
    let preset = list(&policy.trusted.preset);
    lines.extend(preset.iter().map(|name| format!("{DIM}{name} (built in){DIM:#}")));
    lines
}

fn rules(policy: &Policy) -> Vec<String> {
    let rules = &policy.rules;
    let line = |rule: RuleName| {
        let mode = rules.mode(rule);
        let extra = match rule {
            RuleName::PodIntrusion if rules.daemon_set_intrusion != mode => {
                format!("  DaemonSets {}", rules.daemon_set_intrusion)
            }
            RuleName::NodeMachineType => denies_join(rules.node_machine_type).to_owned(),
            RuleName::NodeZone => denies_join(rules.node_zone).to_owned(),
            RuleName::PodIntrusion
            | RuleName::WorkloadIntrusion
            | RuleName::PodPlacement
            | RuleName::ClusterExclusive
            | RuleName::NodeTaint
            | RuleName::NodeIdentity
            | RuleName::NodePool
            | RuleName::RoleBinding => String::new(),
        };
        let style = match mode {
            Mode::Enforce => GREEN,
            Mode::Warn => YELLOW,
            Mode::Audit | Mode::Off => DIM,
        };
        format!("{rule:18}  {style}{mode}{style:#}{extra}")
    };
    RuleName::ALL.into_iter().map(line).collect()
}

fn denies_join(mode: JoinMode) -> &'static str {
    if mode.deny_join && mode.mode == Mode::Enforce { "  denyJoin" } else { "" }
}

fn settings(settings: &ConfigSettings) -> String {
    let ConfigSettings { snapshot_max_age, scan, registration } = settings;
    let scan = if scan.enabled {
        format!("scan every {}", format_duration(scan.interval))
    } else {
        "no scan".to_owned()
    };
    let registration = match registration {
        RegistrationMode::Managed => "managed",
        RegistrationMode::External => "external",
    };
    let age = format_duration(*snapshot_max_age);
    format!("{scan}, snapshot.maxAge {age}, registration {registration}")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::config;

    fn summary_of(text: &str) -> String {
        let config::Loaded { policy, settings, warnings } =
            config::load("config.yaml", text, None).expect("no error");
        let mut out = anstream::StripStream::new(Vec::new());
        write(&mut out, "config.yaml", &policy, &settings, warnings.len()).unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    #[test]
    fn an_empty_config_shows_the_defaults() {
        assert_snapshot!(summary_of(""), @r"
        ok config.yaml, 1 warning

        provider     read from the nodes
        taint        dedicated=automq:NoSchedule
        automq       automq
        pools        none declared; PoolGuard finds pools by the taint dedicated=automq:NoSchedule
        instances    none
        exempt       kube-system  system pods of Kubernetes and the cloud (preset)
                     1 preset for agents of the cloud
        protected    0 from the config, 4 built in
        trusted      none configured
        break-glass  poolguard:break-glass
        rules        pod-intrusion       enforce
                     workload-intrusion  warn
                     pod-placement       enforce
                     cluster-exclusive   audit
                     node-taint          enforce
                     node-identity       enforce
                     node-machine-type   warn
                     node-zone           warn
                     node-pool           warn
                     role-binding        enforce
        settings     scan every 10m, snapshot.maxAge 10m, registration managed
        ");
    }

    #[test]
    fn a_config_shows_its_pools_and_instances() {
        let text = include_str!("../../../examples/aws.yaml");
        assert_snapshot!(summary_of(text), @r"
        ok config.yaml

        provider     aws
        taint        dedicated=automq:NoSchedule
        automq       automq, automq-instance-1, automq-instance-2, automq-instance-3
        pools        pool-a    us-east-1a                        r6in.large   arn:aws:iam::111122223333:role/automq-node
                     pool-b    us-east-1b                        r6in.large   arn:aws:iam::111122223333:role/automq-node
                     pool-abc  us-east-1a us-east-1b us-east-1c  r6in.xlarge  arn:aws:iam::111122223333:role/automq-node
                     PoolGuard also finds pools by the taint dedicated=automq:NoSchedule
        instances    instance-1  automq-instance-1 → pool-a
                     instance-2  automq-instance-2 → pool-b
                     instance-3  automq-instance-3 → pool-abc, zoneSpread DoNotSchedule
        exempt       kube-system               VPC CNI, kube-proxy, EBS CSI
                     monitoring/node-exporter  node metrics
                     14 presets for agents of the cloud
        protected    1 from the config, 5 built in
        trusted      arn:aws:sts::111122223333:assumed-role/automq-byoc-service-role-production/*
                     arn:aws:sts::111122223333:assumed-role/platform-terraform/*
                     eks:node-manager (built in)
        break-glass  poolguard:break-glass
        rules        pod-intrusion       enforce
                     workload-intrusion  warn
                     pod-placement       enforce
                     cluster-exclusive   audit
                     node-taint          enforce
                     node-identity       enforce
                     node-machine-type   warn
                     node-zone           warn
                     node-pool           warn
                     role-binding        enforce
        settings     scan every 10m, snapshot.maxAge 10m, registration managed
        ");
    }
}
