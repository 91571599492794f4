//! The cloud roles of pools, and the ConfigMap `kube-system/aws-auth` that maps them.

use poolguard::check::{CheckFinding, Status};
use serde_json::{Value, json};

use super::{Cluster, object};

const NODE: &str = "arn:aws:iam::111122223333:role/node";

fn cluster() -> Cluster {
    let mut cluster = Cluster::sound().config("provider: aws");
    let nodes = "- name: north\n";
    cluster.config = cluster.config.replace(nodes, &format!("{nodes}  role: \"{NODE}\"\n"));
    cluster
}

fn aws_auth(roles: &str) -> Value {
    let mut config_map = object("v1", "ConfigMap", "kube-system", "aws-auth");
    config_map["data"] = json!({"mapRoles": roles});
    config_map
}

fn node_role(arn: &str) -> String {
    format!(
        "- rolearn: {arn}\n  username: system:node:{{{{EC2PrivateDNSName}}}}\n  groups: [system:bootstrappers, system:nodes]\n"
    )
}

/// The findings about `aws-auth`.
fn about_aws_auth(cluster: &Cluster) -> Vec<CheckFinding> {
    let found = cluster.examine().findings;
    found.into_iter().filter(|it| it.fact.contains("kube-system/aws-auth")).collect()
}

#[test]
fn the_role_of_a_pool_is_mapped_or_it_is_unknown() {
    let no_access_entry = "PoolGuard cannot see if an EKS access entry maps";
    let other = json!({"apiVersion": "v1", "kind": "ConfigMapList", "items": []});
    let missing = "The input does not contain ConfigMap kube-system/aws-auth, so PoolGuard cannot check that it maps";
    let role = format!("role {NODE} of pool north");
    for (item, status, fact, command) in [
        (None, Status::Unknown, format!("{missing} {role}"), "poolguard dump -o cluster.json"),
        (
            Some(other),
            Status::Unknown,
            format!("ConfigMap kube-system/aws-auth does not exist. {no_access_entry} {role}"),
            "aws eks describe-access-entry --cluster-name $CLUSTER --principal-arn",
        ),
        (
            Some(aws_auth(&node_role("arn:aws:iam::111122223333:role/other"))),
            Status::Unknown,
            format!(
                "ConfigMap kube-system/aws-auth does not map {role}. {no_access_entry} the role"
            ),
            "aws eks describe-access-entry --cluster-name $CLUSTER --principal-arn",
        ),
        (
            Some(aws_auth(&node_role(NODE))),
            Status::Pass,
            format!("ConfigMap kube-system/aws-auth maps {role}"),
            "",
        ),
    ] {
        let cluster = item.into_iter().fold(cluster(), Cluster::with);
        let found = about_aws_auth(&cluster);
        let [found] = found.as_slice() else { panic!("{found:#?}") };
        assert_eq!((found.status, &found.fact), (status, &fact));
        assert!(found.fix.clone().unwrap_or_default().contains(command), "{found:?}");
        assert_eq!(cluster.facts(Status::Unknown).len(), usize::from(status == Status::Unknown));
    }
}

#[test]
fn a_text_that_cannot_be_read_maps_nothing_that_is_known() {
    let found = about_aws_auth(&cluster().with(aws_auth("- rolearn: [")));
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(found.status, Status::Unknown);
    let fact = "PoolGuard cannot read mapRoles of ConfigMap kube-system/aws-auth (";
    assert!(found.fact.starts_with(fact), "{}", found.fact);
}

#[test]
fn without_a_role_of_a_pool_no_mapping_is_asked_for() {
    assert_eq!(about_aws_auth(&Cluster::sound().config("provider: aws")), []);
}
