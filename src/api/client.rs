//! The client for the API server: its configuration, its requests, and the explanation of its errors.

use std::{fmt::Display, path::Path, time::Duration};

use anyhow::{Context, anyhow, bail};
use http::Response;
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
    core::Status,
};

use serde_json::Value;
use tokio::time::timeout;

use crate::{
    api::rbac::PolicyRule,
    json::{JsonError, text::likely},
};

/// The time limit for an answer of the API server, except for watches.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the client configuration of a kubeconfig, or of the cluster that this process runs in.
pub async fn configure(kubeconfig: Option<&Path>, context: Option<&str>) -> anyhow::Result<Config> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
    let mut config = if let Some(file) = kubeconfig {
        std::fs::metadata(file)
            .with_context(|| format!("cannot read the kubeconfig {}", file.display()))?;
        let kubeconfig = Kubeconfig::read_from(file)
            .with_context(|| format!("{} is not a valid kubeconfig", file.display()))?;
        if let Some(context) = context {
            require_context(&kubeconfig, context, &file.display())?;
        }
        Config::from_custom_kubeconfig(kubeconfig, &options).await.with_context(|| {
            format!("{} does not describe a cluster that PoolGuard can reach", file.display())
        })?
    } else if context.is_none() && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        Config::incluster()
            .context("PoolGuard runs in a pod, but it cannot use the pod's service account")?
    } else if let Ok(config) = Config::from_kubeconfig(&options).await {
        config
    } else if let Some(context) = context {
        require_context(&Kubeconfig::read().unwrap_or_default(), context, &"the kubeconfig")?;
        bail!(
            "the context {context} of the kubeconfig does not describe a cluster that PoolGuard can reach"
        );
    } else {
        return Err(NoCluster.into());
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // PoolGuard retries by itself and logs the reason; the client would retry without a message.
    config.default_retry = false;
    Ok(config)
}

/// Checks that a kubeconfig has a context.
fn require_context(
    kubeconfig: &Kubeconfig,
    context: &str,
    file: &dyn Display,
) -> anyhow::Result<()> {
    let names: Vec<&str> = kubeconfig.contexts.iter().map(|it| it.name.as_str()).collect();
    if names.contains(&context) {
        return Ok(());
    }
    let meant = likely(context, names.iter().copied());
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "`kubectl config get-contexts` lists the contexts".to_owned(),
    };
    bail!("{file} has no context `{context}`; {hint}");
}

/// The error that neither a kubeconfig nor a pod's service account names a cluster.
#[derive(Debug, thiserror::Error)]
#[error("PoolGuard found no cluster: run it in a pod, or name a kubeconfig with --kubeconfig FILE")]
pub struct NoCluster;

/// Adds to [`NoCluster`] the flag of the commands that also read a dump.
pub fn or_dump(error: anyhow::Error) -> anyhow::Error {
    if error.is::<NoCluster>() {
        anyhow!("{error}. Or name the output of `poolguard dump` with --cluster FILE")
    } else {
        error
    }
}

/// Creates a client for the API server. A command that the kubeconfig runs to log in can fail here.
pub fn connect(config: Config) -> anyhow::Result<Client> {
    Client::try_from(config).map_err(|error| {
        let why = innermost(&error);
        if matches!(error, kube::Error::Auth(_)) {
            anyhow!(
                "cannot log in to the API server as the kubeconfig says: {why}. If the kubeconfig runs a command to log \
                 in (`exec`), check that this command is installed and works"
            )
        } else {
            anyhow!("cannot set up the connection to the API server: {why}")
        }
    })
}

/// Returns the last error of the chain. Each error of the chain repeats the next one, and the last one
/// says what happened.
fn innermost(error: &kube::Error) -> &dyn std::error::Error {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}

/// Sends a request and waits for the answer, at most [`REQUEST_TIMEOUT`].
pub async fn text(client: &Client, request: http::Request<Vec<u8>>) -> Result<String, kube::Error> {
    answer(client, request).await.map(Response::into_body)
}

/// Sends a request like [`text`], and returns the answer with its headers. The headers contain the warnings.
pub async fn answer(
    client: &Client,
    request: http::Request<Vec<u8>>,
) -> Result<Response<String>, kube::Error> {
    let exchange = async {
        let (parts, body) = client.send(request.map(Body::from)).await?.into_parts();
        let text = String::from_utf8(body.collect_bytes().await?.into());
        let text = text.map_err(kube::Error::FromUtf8)?;
        if parts.status.is_success() {
            return Ok(Response::from_parts(parts, text));
        }
        // A proxy answers with a text of its own.
        let unknown = |_| Status::failure(text.trim(), "").with_code(parts.status.as_u16());
        let status = serde_json::from_str(&text).unwrap_or_else(unknown);
        Err(kube::Error::Api(Box::new(status)))
    };
    match timeout(REQUEST_TIMEOUT, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(kube::Error::Service("it does not answer".into())),
    }
}

/// Returns the path at which the API server serves a group, in the version that the API server prefers.
pub async fn base(client: &Client, group: &str) -> Result<String, kube::Error> {
    if group.is_empty() {
        return Ok("/api/v1".to_owned());
    }
    let request = http::Request::get(format!("/apis/{group}")).body(Vec::new());
    let found = text(client, request.map_err(kube::Error::HttpError)?).await?;
    let found: Value = serde_json::from_str(&found).map_err(kube::Error::SerdeError)?;
    let version = found.pointer("/preferredVersion/groupVersion").and_then(Value::as_str);
    let unnamed = || kube::Error::Service(format!("{group} has no version").into());
    Ok(format!("/apis/{}", version.ok_or_else(unnamed)?))
}

/// The error of a request to the API server. Its text is one line that says who is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The API server denied the request because a right is missing. An administrator has to add it.
    #[error("{message}. Add the rule {rule} to the {}", rule.scope)]
    Forbidden {
        /// The message of the API server.
        message: String,
        /// The rule to add.
        rule: Box<PolicyRule>,
    },
    /// The API server answered with an error.
    #[error("{0}")]
    Answered(String),
    /// The API server did not answer.
    #[error("cannot send a request to the API server: {0}")]
    NotAnswered(String),
    /// The request or the answer is not JSON of the expected shape. This is a fault of PoolGuard.
    #[error("{0}")]
    Unreadable(String),
}

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<http::Error> for ApiError {
    fn from(error: http::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        Self::Unreadable(format!("the list is not JSON: {error}"))
    }
}

impl From<kube::core::request::Error> for ApiError {
    fn from(error: kube::core::request::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<&kube::Error> for ApiError {
    fn from(error: &kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            let message = status.message.trim();
            return Self::Answered(if message.is_empty() {
                format!("the API server answered {}", status.code)
            } else {
                message.to_owned()
            });
        }
        Self::NotAnswered(innermost(error).to_string())
    }
}

/// Converts an error of a request into an [`ApiError`].
pub fn explain(error: &kube::Error) -> ApiError {
    error.into()
}

/// Converts an error of a request that needed a right. If the API server answered 403, the error names
/// the rule to add.
pub fn explain_with(error: &kube::Error, right: &PolicyRule) -> ApiError {
    let explained = explain(error);
    if code(error) == Some(403) {
        ApiError::Forbidden { message: explained.to_string(), rule: Box::new(right.clone()) }
    } else {
        explained
    }
}

/// Returns the HTTP status of an answer; `None` if the API server did not answer.
pub fn code(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error { Some(status.code) } else { None }
}

/// Returns the time that the API server asks the client to wait before the next request.
pub fn retry_after(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}
