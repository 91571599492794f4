//! Somebody who asks the API server for things.

use std::fmt;

use kube::{Client, Config};
use serde_json::Value;

/// A client of one identity.
#[derive(Clone)]
pub(crate) struct User(Client);

/// Why the API server did not do it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

type Answer<T> = Result<T, Refusal>;

impl User {
    pub(crate) fn new(config: Config) -> Self {
        Self(Client::try_from(config).unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer<Value> {
        self.ask("GET", path, "application/json", Vec::new()).await
    }

    pub(crate) async fn create(&self, path: &str, object: &Value) -> Answer<Value> {
        self.ask("POST", path, "application/json", object.to_string().into_bytes()).await
    }

    pub(crate) async fn replace(&self, path: &str, object: &Value) -> Answer<Value> {
        self.ask("PUT", path, "application/json", object.to_string().into_bytes()).await
    }

    /// Changes some fields, as a JSON merge patch.
    pub(crate) async fn merge(&self, path: &str, change: &Value) -> Answer<Value> {
        let body = change.to_string().into_bytes();
        self.ask("PATCH", path, "application/merge-patch+json", body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer<Value> {
        self.ask("DELETE", path, "application/json", Vec::new()).await
    }

    async fn ask(&self, method: &str, path: &str, kind: &str, body: Vec<u8>) -> Answer<Value> {
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header(http::header::CONTENT_TYPE, kind).body(body).unwrap();
        self.0.request(request).await.map_err(Refusal::from)
    }

    /// What is not JSON, such as metrics.
    pub(crate) async fn text(&self, path: &str) -> Answer<String> {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        self.0.request_text(request).await.map_err(Refusal::from)
    }
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            return Self { code: status.code, message: status.message.clone() };
        }
        Self { code: 0, message: format!("{error:?}") }
    }
}
