//! Flags of a live cluster.

use std::{env, path::PathBuf, time::Duration};

use crate::{
    admission::webhooks::Address,
    api::{client, installation::InstallationNames},
    kubernetes::duration::parse_duration,
    runtime::ReplicaSettings,
};

/// The flags about the API server and this replica.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Live cluster")]
pub(super) struct ClusterFlags {
    /// Kubeconfig file; without it PoolGuard uses $KUBECONFIG, ~/.kube/config, or the cluster of its own pod
    #[arg(long, env = "POOLGUARD_KUBECONFIG", value_name = "FILE", conflicts_with = "cluster")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig
    #[arg(long, env = "POOLGUARD_CONTEXT", value_name = "NAME", conflicts_with = "cluster")]
    context: Option<String>,

    /// Service through which the API server calls PoolGuard. With it, PoolGuard registers its webhooks and
    /// manages its own certificate authority; without it and without --webhook-url, PoolGuard
    /// watches the cluster and answers requests, but registers nothing
    #[arg(long, env = "POOLGUARD_SERVICE", value_name = "NAME", conflicts_with = "cluster")]
    service: Option<String>,

    /// Port of the Service
    #[arg(long, env = "POOLGUARD_SERVICE_PORT", value_name = "PORT", default_value = "443")]
    service_port: u16,

    /// URL to register instead of a Service, if the API server is outside the cluster's network
    #[arg(
        long,
        env = "POOLGUARD_WEBHOOK_URL",
        value_name = "URL",
        conflicts_with_all = ["cluster", "service"]
    )]
    webhook_url: Option<String>,

    /// Namespace in which PoolGuard runs [default: the namespace of its pod]
    #[arg(long, env = "POOLGUARD_NAMESPACE", value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Name of the webhook configurations, the Lease and the Secret
    #[arg(long, env = "POOLGUARD_NAME", value_name = "NAME", default_value = "poolguard")]
    name: String,

    /// ClusterRole that owns the webhook configurations; if you delete it, Kubernetes deletes them too
    #[arg(long, env = "POOLGUARD_OWNER", value_name = "CLUSTERROLE")]
    owner: Option<String>,

    /// Name of this replica in the Lease [default: the host name]
    #[arg(long, env = "POOLGUARD_IDENTITY", value_name = "NAME")]
    identity: Option<String>,

    /// Time between the registration of a new certificate authority and its first use; in this time every API
    /// server reads the new authority
    #[arg(
        long,
        env = "POOLGUARD_CA_ROTATION_WAIT",
        value_name = "DURATION",
        value_parser = parse_duration,
        default_value = "2m"
    )]
    ca_rotation_wait: Duration,

    /// Write findings and denials as report objects of `wgpolicyk8s.io` or `openreports.io`, if the cluster has these kinds
    #[arg(
        long,
        env = "POOLGUARD_REPORTS",
        value_name = "BOOL",
        action = clap::ArgAction::Set,
        default_value_t = true
    )]
    reports: bool,
}

impl ClusterFlags {
    /// Whether this process is a replica of an installation, and not a local run.
    pub(super) fn is_installed(&self) -> bool {
        self.service.is_some() || self.webhook_url.is_some()
    }

    /// Returns the client configuration for the API server that the flags name.
    pub(super) fn configure(&self) -> anyhow::Result<kube::Config> {
        let Self { kubeconfig, context, .. } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let config = client::configure(kubeconfig.as_deref(), context.as_deref());
        runtime.block_on(config).map_err(client::or_dump)
    }

    /// The installation that this process is a replica of.
    pub(super) fn installed(self) -> Option<ReplicaSettings> {
        let Self {
            kubeconfig: _,
            context: _,
            service,
            service_port,
            webhook_url,
            namespace,
            name,
            owner,
            identity,
            ca_rotation_wait,
            reports,
        } = self;
        let service = service.map(|name| Address::Service { name, port: service_port });
        service.or_else(|| webhook_url.map(Address::Url)).map(|address| ReplicaSettings {
            namespace,
            names: InstallationNames::of(&name, owner),
            identity: identity.unwrap_or_else(host_name),
            address,
            rotation_wait: ca_rotation_wait,
            writes_reports: reports,
        })
    }
}

/// Returns the name of this replica. In a pod this is the pod's name. Elsewhere any name is enough that no
/// other replica has.
fn host_name() -> String {
    env::var("HOSTNAME").unwrap_or_else(|_| format!("poolguard-{:08x}", fastrand::u32(..)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::controllers::certificates::plan::DEFAULT_WAIT;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        flags: ClusterFlags,
        #[arg(long)]
        cluster: Option<PathBuf>,
    }

    fn installed(arguments: &[&str]) -> Option<ReplicaSettings> {
        let arguments = [&["poolguard"], arguments].concat();
        let Arguments { flags, cluster: _ } = Arguments::parse_from(arguments);
        flags.installed()
    }

    #[test]
    fn without_an_address_to_register_a_replica_only_watches() {
        assert!(installed(&["--context", "production"]).is_none());
    }

    #[test]
    fn an_address_makes_a_replica_of_an_installation() {
        let service = installed(&["--service", "guard", "--owner", "guard"]);
        let service = service.expect("is installed");
        assert_eq!(service.address, Address::Service { name: "guard".into(), port: 443 });
        assert_eq!(service.names, InstallationNames::of("poolguard", Some("guard".into())));
        assert_eq!(service.rotation_wait, DEFAULT_WAIT);
        let url = installed(&["--webhook-url", "https://127.0.0.1:8443"]);
        assert!(matches!(url.expect("is installed").address, Address::Url(_)));
    }

    #[test]
    fn a_dump_and_a_live_cluster_exclude_each_other() {
        let arguments = ["poolguard", "--cluster", "dump.yaml", "--service", "guard"];
        assert!(Arguments::try_parse_from(arguments).is_err());
    }
}
