//! The writer of report objects in the cluster. It writes only the reports whose content changes, with a
//! pause between two writes, and deletes the reports that have no more content.

pub mod denials;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kube::{
    Client,
    api::{DeleteParams, ListParams, PostParams, Preconditions},
    core::Request,
};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::{
    api::{
        client::{self, ApiError},
        installation::InstallationNames,
        owner, rbac,
        reports::{Report, ReportApi, ReportPlace},
    },
    cluster::wire::ListPage,
};

/// The number of report objects in a page of a list. A report has up to a megabyte.
const PAGE: u32 = 10;

/// The pause after each write, so that reports never keep an API server busy.
const REQUEST_INTERVAL: Duration = Duration::from_millis(50);

/// The largest number of attempts to write a report. Replicas that write the report of the same namespace
/// at the same time retry.
const ATTEMPTS: usize = 5;

/// The client that reads and writes the reports of an installation.
#[derive(Clone)]
pub struct Reports {
    client: Client,
    names: InstallationNames,
}

/// The subject of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportSubject {
    /// The findings of a scan.
    Findings,
    /// The recent denials and warnings.
    Denials,
}

/// A report object that existed, and the result of its change.
struct Edited {
    namespace: String,
    written: Written,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// The report has its new content, or its namespace no longer exists.
    Done,
    /// Another client wrote the object first.
    Conflict,
}

impl Reports {
    /// Creates the client for the reports of this installation.
    pub fn new(client: Client, names: InstallationNames) -> Self {
        Self { client, names }
    }

    /// Returns the kinds of reports that the cluster has. Omits a kind whose server does not answer now;
    /// a later call can return it.
    pub async fn kinds(&self) -> Result<Vec<ReportApi>, ApiError> {
        let mut kinds = Vec::new();
        for api in ReportApi::ALL {
            let request = http::Request::get(api.discovery()).body(Vec::new());
            let request = request?;
            match client::text(&self.client, request).await {
                Ok(_) => kinds.push(api),
                Err(error) if matches!(client::code(&error), Some(404 | 503)) => {}
                Err(error) => return Err(client::explain(&error)),
            }
        }
        Ok(kinds)
    }

    /// Replaces the reports of a subject with the wanted ones, by namespace. Deletes the reports that are
    /// not wanted.
    pub async fn replace(
        &self,
        api: ReportApi,
        subject: ReportSubject,
        wanted: &BTreeMap<String, Report>,
    ) -> Result<(), ApiError> {
        let edit = |namespace: &str, before: &Report| {
            wanted.get(namespace).map(|report| report.clone().since(before))
        };
        let (mut there, mut failed) = (BTreeSet::new(), None);
        for place in [ReportPlace::Everywhere, ReportPlace::Cluster] {
            let (edited, done) = self.edit(api, subject, place, edit).await;
            there.extend(edited.into_iter().map(|it| it.namespace));
            failed = done.err().or(failed);
        }
        for (namespace, report) in wanted.iter().filter(|(it, _)| !there.contains(*it)) {
            failed = self.create(api, subject, namespace, report).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Adds to the report of a namespace; an empty namespace means the report without one. `add` gets the
    /// current content and returns the new content.
    async fn add(
        &self,
        api: ReportApi,
        subject: ReportSubject,
        namespace: &str,
        add: impl Fn(&Report) -> Option<Report>,
    ) -> Result<(), ApiError> {
        for _ in 0..ATTEMPTS {
            let place = ReportPlace::of(namespace);
            let (edited, done) = self.edit(api, subject, place, |_, before| add(before)).await;
            done?;
            let written = match (edited.first(), add(&Report::default())) {
                (Some(edited), _) => edited.written,
                (None, Some(report)) => self.create(api, subject, namespace, &report).await?,
                (None, None) => Written::Done,
            };
            if written == Written::Done {
                return Ok(());
            }
        }
        Err(ApiError::Answered("other clients change the same report continuously".to_owned()))
    }

    /// Changes the reports of a place. `edit` gets the namespace and the current content, and returns the
    /// new content; `None` deletes the report. Returns the reports that existed. If the write of one
    /// report fails, PoolGuard still writes the reports of the other namespaces.
    async fn edit(
        &self,
        api: ReportApi,
        subject: ReportSubject,
        place: ReportPlace<'_>,
        edit: impl Fn(&str, &Report) -> Option<Report>,
    ) -> (Vec<Edited>, Result<(), ApiError>) {
        let mut edited = Vec::new();
        let done = self.edit_pages(api, subject, place, edit, &mut edited).await;
        (edited, done)
    }

    async fn edit_pages(
        &self,
        api: ReportApi,
        subject: ReportSubject,
        place: ReportPlace<'_>,
        edit: impl Fn(&str, &Report) -> Option<Report>,
        edited: &mut Vec<Edited>,
    ) -> Result<(), ApiError> {
        let name = subject.name(&self.names);
        let mut parameters = ListParams { limit: Some(PAGE), ..ListParams::default() };
        parameters.field_selector = Some(format!("metadata.name={name}"));
        let mut failed = None;
        loop {
            let request = Request::new(api.path(place)).list(&parameters);
            let request = request?;
            let text = match client::text(&self.client, request).await {
                Ok(text) => text,
                Err(error) if client::code(&error) == Some(404) => return Ok(()),
                Err(error) => return Err(self.explain(&error, api, place)),
            };
            let page = ListPage::read(&text)?;
            for item in page.items().into_iter().flatten() {
                let Ok(object) = serde_json::from_str::<Value>(item) else { continue };
                let field = |pointer| object.pointer(pointer).and_then(Value::as_str);
                // Not every server of reports heeds the selector.
                if field("/metadata/name") != Some(&name) {
                    continue;
                }
                let namespace = field("/metadata/namespace").unwrap_or_default().to_owned();
                let written = match edit(&namespace, &Report::read(&object)) {
                    Some(report) if report.is_said_by(&object) => Ok(Written::Done),
                    Some(report) => self.update(api, subject, &namespace, &object, &report).await,
                    None => self.delete(api, subject, &namespace, &object).await,
                };
                let written = written.unwrap_or_else(|why| {
                    failed = Some(why);
                    Written::Done
                });
                edited.push(Edited { namespace, written });
            }
            let Some(next) = page.next() else { return failed.map_or(Ok(()), Err) };
            parameters.continue_token = Some(next.to_owned());
        }
    }

    async fn create(
        &self,
        api: ReportApi,
        subject: ReportSubject,
        namespace: &str,
        report: &Report,
    ) -> Result<Written, ApiError> {
        let mut metadata = json!({
            "name": subject.name(&self.names),
            "labels": {
                "app.kubernetes.io/managed-by": "poolguard",
                "app.kubernetes.io/instance": self.names.release,
            },
            "ownerReferences": owner::references(&self.client, &self.names).await,
        });
        let place = ReportPlace::of(namespace);
        if place.is_namespaced() {
            metadata["namespace"] = namespace.into();
        }
        let metadata = metadata.as_object().cloned().unwrap_or_default();
        let body = report.object(api, place.is_namespaced(), metadata).to_string().into_bytes();
        let request = Request::new(api.path(place)).create(&PostParams::default(), body);
        self.write(api, place, request).await
    }

    async fn update(
        &self,
        api: ReportApi,
        subject: ReportSubject,
        namespace: &str,
        object: &Value,
        report: &Report,
    ) -> Result<Written, ApiError> {
        let place = ReportPlace::of(namespace);
        let metadata = object.get("metadata").and_then(Value::as_object);
        let metadata: Map<String, Value> = metadata.cloned().unwrap_or_default();
        let body = report.object(api, place.is_namespaced(), metadata).to_string().into_bytes();
        let name = subject.name(&self.names);
        let request = Request::new(api.path(place)).replace(&name, &PostParams::default(), body);
        self.write(api, place, request).await
    }

    async fn delete(
        &self,
        api: ReportApi,
        subject: ReportSubject,
        namespace: &str,
        object: &Value,
    ) -> Result<Written, ApiError> {
        let place = ReportPlace::of(namespace);
        let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        let parameters = DeleteParams {
            // Another replica may have had something to add.
            preconditions: Some(Preconditions {
                resource_version: version.map(str::to_owned),
                uid: None,
            }),
            ..DeleteParams::default()
        };
        let request = Request::new(api.path(place)).delete(&subject.name(&self.names), &parameters);
        self.write(api, place, request).await
    }

    async fn write(
        &self,
        api: ReportApi,
        place: ReportPlace<'_>,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Written, ApiError> {
        let request = request?;
        let written = client::text(&self.client, request).await;
        sleep(REQUEST_INTERVAL).await;
        match written {
            Ok(_) => Ok(Written::Done),
            Err(error) => match client::code(&error) {
                Some(404) => Ok(Written::Done),
                Some(409) => Ok(Written::Conflict),
                _ => Err(self.explain(&error, api, place)),
            },
        }
    }

    fn explain(&self, error: &kube::Error, api: ReportApi, place: ReportPlace<'_>) -> ApiError {
        let right = rbac::report(api, place.is_namespaced(), &self.names);
        client::explain_with(error, &right)
    }
}

impl ReportSubject {
    /// Returns the name of the reports about this subject.
    fn name(self, names: &InstallationNames) -> String {
        let [findings, denials] = rbac::report_names(names);
        match self {
            Self::Findings => findings,
            Self::Denials => denials,
        }
    }
}
