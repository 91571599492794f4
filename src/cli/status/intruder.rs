//! A pod that PoolGuard must deny, created as a dry run. It tests the whole way from the API server to the answer.

use http::{HeaderMap, Request, header::WARNING};
use kube::Client;
use serde_json::{Value, json};

use crate::{admission::webhooks::NOT_ANSWERED, api::client, kubernetes::taint::Taint};

/// The API server's answer to the creation of the intruder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// PoolGuard denied the pod.
    Denied,
    /// PoolGuard did not answer, and its backstop denied the pod.
    DeniedByBackstop,
    /// The API server accepted the pod, and PoolGuard warned of it.
    Warned,
    /// The API server accepted the pod, and PoolGuard did not warn of it.
    Allowed,
    /// The API server did not reach PoolGuard, and rejected the request, as the webhook entry asks for.
    NotReached(String),
    /// The API server rejected the pod for another reason.
    Rejected(String),
}

/// The name of the pod, which is never stored.
const NAME: &str = "poolguard-dry-run";

/// Asks the API server to create the pod as a dry run.
pub(super) async fn ask(
    client: &Client,
    namespace: &str,
    taint: &Taint<'_>,
) -> Result<Answer, serde_json::Error> {
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let body = serde_json::to_vec(&pod(namespace, taint))?;
    let request = Request::post(path).header("Content-Type", "application/json").body(body);
    let Ok(request) = request else {
        return Ok(Answer::Rejected("the request is malformed".into()));
    };
    Ok(match client::answer(client, request).await {
        Ok(answer) if is_warned(answer.headers()) => Answer::Warned,
        Ok(_) => Answer::Allowed,
        Err(error) => classify(client::explain(&error).to_string()),
    })
}

/// The text that PoolGuard writes before a denial and a warning.
const BY_THE_RULE: &str = "[pod-intrusion]";

fn is_warned(headers: &HeaderMap) -> bool {
    let mut warnings = headers.get_all(WARNING).iter();
    warnings.any(|warning| warning.to_str().is_ok_and(|text| text.contains(BY_THE_RULE)))
}

fn classify(message: String) -> Answer {
    if message.contains(BY_THE_RULE) {
        if message.contains(NOT_ANSWERED) { Answer::DeniedByBackstop } else { Answer::Denied }
    } else if message.contains("failed calling webhook") && message.contains(".poolguard.io") {
        Answer::NotReached(message)
    } else {
        Answer::Rejected(message)
    }
}

/// Returns the pod. It meets the strictest Pod Security Standard, which is judged before PoolGuard.
fn pod(namespace: &str, taint: &Taint<'_>) -> Value {
    let container = json!({
        "name": "none",
        "image": "registry.invalid/none",
        "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
            "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "1m", "memory": "1Mi"}},
    });
    let toleration = json!({
        "key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect,
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"tolerations": [toleration], "containers": [container]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_an_api_server_are_told_apart() {
        let denied = r#"admission webhook "pods.poolguard.io" denied the request: [pod-intrusion] Pod default/x can run"#;
        assert_eq!(classify(denied.to_owned()), Answer::Denied);
        let backstop = r#"pods "x" is forbidden: ValidatingAdmissionPolicy 'poolguard' with binding 'poolguard' denied request: [pod-intrusion] Pod default/x can run on a node of pool a. PoolGuard did not answer this request: the API server decided it by PoolGuard's backstop."#;
        assert_eq!(classify(backstop.to_owned()), Answer::DeniedByBackstop);
        let unreached = r#"Internal error occurred: failed calling webhook "pods.poolguard.io": context deadline exceeded"#;
        assert_eq!(classify(unreached.to_owned()), Answer::NotReached(unreached.to_owned()));
        let other = r#"pods "poolguard-dry-run" is forbidden: User "alice" cannot create resource"#;
        assert_eq!(classify(other.to_owned()), Answer::Rejected(other.to_owned()));
    }
}
