//! Custom kinds whose objects make pods, and where each keeps a pod template, by the definitions of their projects.
//!
//! Kinds that take single fields of a pod, as a `SparkApplication` takes `spec.driver.tolerations`, are not here: what
//! becomes of such a field is up to their controllers.

use serde_json::Value;

/// A place in objects of a custom kind that holds a pod template.
#[derive(Debug, PartialEq, Eq)]
pub struct CustomTemplate {
    /// API group.
    pub group: &'static str,
    /// The kind, as the API spells it.
    pub kind: &'static str,
    /// Plural of the kind.
    pub plural: &'static str,
    /// The field path of the template; `[*]` stands for every item of a list, or every value of a map.
    pub path: &'static str,
}

const fn template(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    path: &'static str,
) -> CustomTemplate {
    CustomTemplate { group, kind, plural, path }
}

/// The known templates, in the order of groups and kinds.
static TEMPLATES: [CustomTemplate; 50] = [
    template("agones.dev", "Fleet", "fleets", "spec.template.spec.template"),
    template("agones.dev", "GameServer", "gameservers", "spec.template"),
    template("agones.dev", "GameServerSet", "gameserversets", "spec.template.spec.template"),
    template(
        "apps.kruise.io",
        "AdvancedCronJob",
        "advancedcronjobs",
        "spec.template.broadcastJobTemplate.spec.template",
    ),
    template(
        "apps.kruise.io",
        "AdvancedCronJob",
        "advancedcronjobs",
        "spec.template.jobTemplate.spec.template",
    ),
    template("apps.kruise.io", "BroadcastJob", "broadcastjobs", "spec.template"),
    template("apps.kruise.io", "CloneSet", "clonesets", "spec.template"),
    template("apps.kruise.io", "DaemonSet", "daemonsets", "spec.template"),
    template("apps.kruise.io", "StatefulSet", "statefulsets", "spec.template"),
    template(
        "apps.kruise.io",
        "UnitedDeployment",
        "uniteddeployments",
        "spec.template.advancedStatefulSetTemplate.spec.template",
    ),
    template(
        "apps.kruise.io",
        "UnitedDeployment",
        "uniteddeployments",
        "spec.template.cloneSetTemplate.spec.template",
    ),
    template(
        "apps.kruise.io",
        "UnitedDeployment",
        "uniteddeployments",
        "spec.template.deploymentTemplate.spec.template",
    ),
    template(
        "apps.kruise.io",
        "UnitedDeployment",
        "uniteddeployments",
        "spec.template.statefulSetTemplate.spec.template",
    ),
    template("argoproj.io", "Experiment", "experiments", "spec.templates[*].template"),
    template("argoproj.io", "Rollout", "rollouts", "spec.template"),
    template("batch.volcano.sh", "CronJob", "cronjobs", "spec.jobTemplate.spec.tasks[*].template"),
    template("batch.volcano.sh", "Job", "jobs", "spec.tasks[*].template"),
    template(
        "flink.apache.org",
        "FlinkBlueGreenDeployment",
        "flinkbluegreendeployments",
        "spec.template.spec.jobManager.podTemplate",
    ),
    template(
        "flink.apache.org",
        "FlinkBlueGreenDeployment",
        "flinkbluegreendeployments",
        "spec.template.spec.podTemplate",
    ),
    template(
        "flink.apache.org",
        "FlinkBlueGreenDeployment",
        "flinkbluegreendeployments",
        "spec.template.spec.taskManager.podTemplate",
    ),
    template(
        "flink.apache.org",
        "FlinkDeployment",
        "flinkdeployments",
        "spec.jobManager.podTemplate",
    ),
    template("flink.apache.org", "FlinkDeployment", "flinkdeployments", "spec.podTemplate"),
    template(
        "flink.apache.org",
        "FlinkDeployment",
        "flinkdeployments",
        "spec.taskManager.podTemplate",
    ),
    template(
        "jobset.x-k8s.io",
        "JobSet",
        "jobsets",
        "spec.replicatedJobs[*].template.spec.template",
    ),
    template("kubeflow.org", "MPIJob", "mpijobs", "spec.mpiReplicaSpecs[*].template"),
    template("kubeflow.org", "PaddleJob", "paddlejobs", "spec.paddleReplicaSpecs[*].template"),
    template("kubeflow.org", "PyTorchJob", "pytorchjobs", "spec.pytorchReplicaSpecs[*].template"),
    template("kubeflow.org", "TFJob", "tfjobs", "spec.tfReplicaSpecs[*].template"),
    template("kubeflow.org", "XGBoostJob", "xgboostjobs", "spec.xgbReplicaSpecs[*].template"),
    template(
        "leaderworkerset.x-k8s.io",
        "LeaderWorkerSet",
        "leaderworkersets",
        "spec.leaderWorkerTemplate.leaderTemplate",
    ),
    template(
        "leaderworkerset.x-k8s.io",
        "LeaderWorkerSet",
        "leaderworkersets",
        "spec.leaderWorkerTemplate.workerTemplate",
    ),
    template("ray.io", "RayCluster", "rayclusters", "spec.headGroupSpec.template"),
    template("ray.io", "RayCluster", "rayclusters", "spec.workerGroupSpecs[*].template"),
    template(
        "ray.io",
        "RayCronJob",
        "raycronjobs",
        "spec.jobTemplate.rayClusterSpec.headGroupSpec.template",
    ),
    template(
        "ray.io",
        "RayCronJob",
        "raycronjobs",
        "spec.jobTemplate.rayClusterSpec.workerGroupSpecs[*].template",
    ),
    template("ray.io", "RayCronJob", "raycronjobs", "spec.jobTemplate.submitterPodTemplate"),
    template("ray.io", "RayJob", "rayjobs", "spec.rayClusterSpec.headGroupSpec.template"),
    template("ray.io", "RayJob", "rayjobs", "spec.rayClusterSpec.workerGroupSpecs[*].template"),
    template("ray.io", "RayJob", "rayjobs", "spec.submitterPodTemplate"),
    template("ray.io", "RayService", "rayservices", "spec.rayClusterConfig.headGroupSpec.template"),
    template(
        "ray.io",
        "RayService",
        "rayservices",
        "spec.rayClusterConfig.workerGroupSpecs[*].template",
    ),
    template("serving.knative.dev", "Configuration", "configurations", "spec.template"),
    template("serving.knative.dev", "Service", "services", "spec.template"),
    template(
        "sparkoperator.k8s.io",
        "ScheduledSparkApplication",
        "scheduledsparkapplications",
        "spec.template.driver.template",
    ),
    template(
        "sparkoperator.k8s.io",
        "ScheduledSparkApplication",
        "scheduledsparkapplications",
        "spec.template.executor.template",
    ),
    template(
        "sparkoperator.k8s.io",
        "SparkApplication",
        "sparkapplications",
        "spec.driver.template",
    ),
    template(
        "sparkoperator.k8s.io",
        "SparkApplication",
        "sparkapplications",
        "spec.executor.template",
    ),
    template("sparkoperator.k8s.io", "SparkConnect", "sparkconnects", "spec.executor.template"),
    template("sparkoperator.k8s.io", "SparkConnect", "sparkconnects", "spec.server.template"),
    template(
        "trainer.kubeflow.org",
        "ClusterTrainingRuntime",
        "clustertrainingruntimes",
        "spec.template.spec.replicatedJobs[*].template.spec.template",
    ),
];

/// The pod templates of a custom object, each with its place; empty for kinds that are not known.
pub fn custom_templates(object: &Value) -> Vec<(&'static CustomTemplate, &Value)> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    let of_kind = TEMPLATES.iter().filter(|it| it.group == group && it.kind == text("kind"));
    of_kind
        .flat_map(|it| found(object, it.path).into_iter().map(move |found| (it, found)))
        .collect()
}

/// Returns the objects at a path.
fn found<'v>(object: &'v Value, path: &str) -> Vec<&'v Value> {
    path.split('.').fold(vec![object], |values, step| {
        let (key, is_each) = step.strip_suffix("[*]").map_or((step, false), |key| (key, true));
        let below = values.into_iter().filter_map(|value| value.get(key));
        if is_each {
            below.flat_map(items).collect()
        } else {
            below.filter(|it| it.is_object()).collect()
        }
    })
}

fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().filter(|it| it.is_object()).collect(),
        Value::Object(entries) => entries.values().filter(|it| it.is_object()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Whether an object of a custom kind seems to make pods: it has containers or tolerations somewhere.
pub fn makes_pods(document: &Value) -> bool {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    // The groups of Kubernetes itself that have a dot make no pods; the schema of a custom kind has such names, too.
    let is_custom =
        group.contains('.') && !["apiextensions.k8s.io", "poolguard.io"].contains(&group);
    is_custom && document.get("spec").is_some_and(describes_pods)
}

fn describes_pods(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(key, value)| {
            let is_of_pod = matches!(key.as_str(), "containers" | "tolerations" | "podTemplate");
            (is_of_pod && (value.is_array() || value.is_object())) || describes_pods(value)
        }),
        Value::Array(items) => items.iter().any(describes_pods),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_is_found_where_it_is() {
        for CustomTemplate { group, kind, path, .. } in &TEMPLATES {
            let inner = json!({"marker": true});
            let object = path.rsplit('.').fold(inner.clone(), |value, step| {
                match step.strip_suffix("[*]") {
                    Some(key) => json!({ key: [value] }),
                    None => json!({ step: value }),
                }
            });
            let mut object = object;
            object["apiVersion"] = json!(format!("{group}/v1"));
            object["kind"] = json!(kind);
            let found = custom_templates(&object);
            assert!(
                found.iter().any(|(it, found)| it.path == *path && **found == inner),
                "{kind} {path}"
            );
        }
    }

    #[test]
    fn the_table_is_sorted_and_has_each_place_once() {
        let keys: Vec<_> = TEMPLATES.iter().map(|it| (it.group, it.kind, it.path)).collect();
        assert!(keys.is_sorted_by(|one, other| one.0 <= other.0 && one != other), "{keys:?}");
    }

    #[test]
    fn values_of_a_map_and_items_of_a_list_are_places() {
        let job = json!({"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "spec": {"pytorchReplicaSpecs": {
            "Master": {"template": {"spec": {}}}, "Worker": {"template": {"spec": {}}}}}});
        assert_eq!(custom_templates(&job).len(), 2);
        let other =
            json!({"apiVersion": "example.com/v1", "kind": "Rollout", "spec": {"template": {}}});
        assert_eq!(custom_templates(&other).len(), 0);
    }
}
