//! AutoMQ's own resources in a plan: clusters of Kafka and of Kafka Connect on Kubernetes.

use super::{Action, Change, values::Planned};

/// A cluster of AutoMQ in a plan. What is `None` is not set, or known once the plan is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedInstance {
    /// The address in Terraform: `automq_kafka_instance.kafka`.
    pub address: String,
    /// The name of the cluster; the address if the name is not known.
    pub name: String,
    /// The zones of the cluster's networks.
    pub zones: Option<Vec<String>>,
    /// The machine types of the cluster.
    pub machine_types: Option<Vec<String>>,
    /// `nodeSelector`, `affinity` and `tolerations` of its pods, as YAML.
    pub schedule: Option<String>,
    /// The attribute that has the schedule.
    pub schedule_attribute: &'static str,
    /// Whether the plan changes the schedule of a cluster that exists already.
    pub changes_schedule: bool,
    /// The mode of the write-ahead log: `EBSWAL`, `S3WAL` or `FSWAL`.
    pub wal: Option<String>,
}

impl PlannedInstance {
    /// Reads an instance; `None` for another resource, one that is deleted, and a cluster on virtual machines.
    pub(super) fn of(change: &Change<'_>) -> Option<Self> {
        if change.action == Action::Delete {
            return None;
        }
        let values = change.values;
        let (is_on_kubernetes, schedule_attribute) = match change.kind {
            "automq_kafka_instance" => (
                values.text("compute_specs.deploy_type").as_deref() == Some("K8S"),
                "compute_specs.schedule_spec",
            ),
            "automq_connect_cluster" => {
                (values.has_some("compute.kubernetes"), "compute.kubernetes.scheduling_spec")
            }
            _ => return None,
        };
        if !is_on_kubernetes {
            return None;
        }
        let schedule = values.text(schedule_attribute);
        let pointer = format!("/change/before/{}", schedule_attribute.replace('.', "/"));
        let before = change.text.pointer(&pointer).and_then(|it| it.as_str());
        let networks = values.items("compute_specs.networks");
        let zones: Option<Vec<String>> = networks.iter().map(|it| it.text("zone")).collect();
        Some(Self {
            address: change.address.to_owned(),
            name: values.text("name").unwrap_or_else(|| change.address.to_owned()),
            zones: match values.get("compute_specs.networks") {
                Planned::Is(_) => zones,
                Planned::Absent | Planned::Unknown => None,
            },
            machine_types: values.texts("compute_specs.instance_types"),
            changes_schedule: change.kind == "automq_kafka_instance"
                && change.action == Action::Keep
                && before.is_some()
                && before != schedule.as_deref(),
            schedule,
            schedule_attribute,
            wal: values.text("features.wal_mode"),
        })
    }
}
