//! The server's side of HTTP.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header, request::Parts};
use http_body_util::BodyExt as _;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinSet,
    time::sleep,
};

use super::{
    Shared, discovery,
    object::Shape,
    read,
    resources::TABLE,
    rights::Asked,
    route::Target,
    selector::Selector,
    status::Failure,
    store::{Key, State},
    watch::{Piece, Watch},
    write::{Part, Write, Written},
};

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Reply {
    Whole(VecDeque<Bytes>),
    Stream(UnboundedReceiver<Piece>),
    /// What was sent goes out, then the connection goes away.
    Breaking,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let data = match &mut *self {
            Self::Whole(pieces) => pieces.pop_front(),
            Self::Breaking => return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            Self::Stream(receiver) => match ready!(receiver.poll_recv(context)) {
                Some(Piece::Data(data)) => Some(data),
                Some(Piece::Break) => {
                    *self = Self::Breaking;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => None,
            },
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(pieces) => {
                SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            Self::Stream(_) | Self::Breaking => SizeHint::default(),
        }
    }
}

/// Accepts connections until it is aborted, and they with it.
pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                if !shared.state().faults.drops_connections {
                    connections.spawn(connection(Arc::clone(&shared), stream));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let cut = shared.connections.lock().unwrap().clone();
    // Lines of a watch must not wait for acknowledgements of those before.
    stream.set_nodelay(true).unwrap();
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = serving => {}
        () = cut.cancelled() => {}
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(refusal(&Failure::bad_request("the body ended early")));
    };
    let latency = shared.state().faults.latency;
    if !latency.is_zero() {
        sleep(latency).await;
    }
    shared.while_hanging().await;
    let answer = shared.change(|state| handle(&shared, state, &parts, &body.to_bytes()));
    Ok(answer.unwrap_or_else(|failure| refusal(&failure)))
}

type Answer = Result<Response<Reply>, Failure>;

fn respond(code: u16, content_type: &str, reply: Reply) -> Response<Reply> {
    let response = Response::builder().status(code).header(header::CONTENT_TYPE, content_type);
    response.body(reply).unwrap()
}

fn respond_json(code: u16, pieces: impl IntoIterator<Item = Bytes>) -> Response<Reply> {
    respond(code, "application/json", Reply::Whole(pieces.into_iter().collect()))
}

fn respond_value(code: u16, value: &Value) -> Response<Reply> {
    respond_json(code, [value.to_string().into()])
}

fn refusal(failure: &Failure) -> Response<Reply> {
    let mut response = respond_value(failure.code, &failure.to_value());
    if let Some(seconds) = failure.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn handle(shared: &Arc<Shared>, state: &mut State, parts: &Parts, body: &Bytes) -> Answer {
    let path = parts.uri.path();
    if ["/readyz", "/livez", "/healthz"].contains(&path) {
        let ok = Reply::Whole([Bytes::from_static(b"ok")].into());
        return Ok(respond(200, "text/plain; charset=utf-8", ok));
    }
    let token = header_text(&parts.headers, header::AUTHORIZATION).strip_prefix("Bearer ");
    let user = match token.map(|token| state.users.get(token)) {
        Some(Some(user)) => user.name.clone(),
        Some(None) => return Err(Failure::unauthorized()),
        None => "system:anonymous".to_owned(),
    };
    let served = |target: &Result<Target, Failure>| {
        target.as_ref().map_or(true, |target| !state.absent.contains(TABLE[target.id].group))
    };
    let Some(target) = Target::parse(&parts.method, &parts.uri).filter(served) else {
        refuse(state, "get", path)?;
        let value = discovery::answer(state, path).filter(|_| parts.method == "GET");
        return value.map(|value| respond_value(200, &value)).ok_or_else(Failure::no_such_path);
    };
    let target = target?;
    let row = &TABLE[target.id];
    let query = &target.query;
    let (fields, labels) = (query.get("fieldSelector"), query.get("labelSelector"));
    let selector = Selector::parse(row, &target.namespace, fields, labels);
    let selected = selector.as_ref().map_or("", Selector::name);
    let name = if target.name.is_empty() { selected } else { &target.name };
    let asked = Asked {
        user,
        verb: target.verb.to_owned(),
        group: row.group.to_owned(),
        resource: row.plural.to_owned(),
        subresource: target.subresource.clone(),
        namespace: scope(&target),
        name: name.to_owned(),
        allowed: false,
    };
    let is_allowed = authorize(state, token, asked.clone());
    refuse(state, target.verb, row.plural)?;
    is_allowed?;
    let call = Call { target: &target, selector: selector?, asked, token, parts, body };
    call.run(shared, state)
}

/// A namespace is within itself, as far as rights go.
fn scope(target: &Target) -> String {
    if TABLE[target.id].plural == "namespaces" {
        target.name.clone()
    } else {
        target.namespace.clone()
    }
}

fn refuse(state: &mut State, verb: &str, resource: &str) -> Result<(), Failure> {
    let Some(code) = state.faults.refuse(verb, resource) else { return Ok(()) };
    let failure = Failure::injected(code);
    Err(if code == 429 { failure.retry_after(1) } else { failure })
}

/// Records a request, and refuses it unless a rule grants it.
fn authorize(state: &mut State, token: Option<&str>, mut asked: Asked) -> Result<(), Failure> {
    let user = token.and_then(|token| state.users.get(token));
    asked.allowed = user.is_some_and(|user| user.rules.iter().any(|rule| rule.grants(&asked)));
    let row = TABLE.iter().find(|row| (row.group, row.plural) == (&asked.group, &asked.resource));
    let refusal = Failure::forbidden(row.unwrap(), &asked.name, &asked.refusal());
    let is_allowed = asked.allowed;
    state.asked.push(asked);
    if is_allowed { Ok(()) } else { Err(refusal) }
}

/// A request that is allowed.
struct Call<'a> {
    target: &'a Target,
    selector: Selector,
    asked: Asked,
    token: Option<&'a str>,
    parts: &'a Parts,
    body: &'a Bytes,
}

impl Call<'_> {
    fn run(self, shared: &Arc<Shared>, state: &mut State) -> Answer {
        let Target { id, verb, query, .. } = self.target;
        match *verb {
            "get" => {
                let pieces = read::get(state, *id, &self.key(), query, self.shape())?;
                Ok(respond_json(200, pieces))
            }
            "list" => {
                let list = read::list(state, *id, &self.selector, query, self.shape())?;
                Ok(respond_json(200, [list]))
            }
            "watch" => {
                let shape = self.shape();
                let watch = Watch::new(state, *id, self.selector, shape, query)?;
                let (sender, receiver) = unbounded_channel();
                tokio::spawn(watch.run(Arc::clone(shared), sender));
                Ok(respond(200, "application/json", Reply::Stream(receiver)))
            }
            "create" => {
                let value = self.json()?;
                let mut answer = self.written(self.write().create(state, value))?;
                if let Some(text) = &state.faults.warning {
                    let warning = format!("299 - \"{text}\"").parse().unwrap();
                    answer.headers_mut().insert(header::WARNING, warning);
                }
                Ok(answer)
            }
            "update" => {
                let value = self.json()?;
                self.written(self.write().update(state, value))
            }
            "patch" => self.written(self.patch(state)),
            "delete" => {
                let options = if self.body.is_empty() { json!({}) } else { self.json()? };
                Ok(respond_value(200, &self.write().delete(state, &options)?))
            }
            _ => self.delete_collection(state),
        }
    }

    fn key(&self) -> Key {
        (self.target.namespace.clone(), self.target.name.clone())
    }

    fn shape(&self) -> Shape {
        let accept = header_text(&self.parts.headers, header::ACCEPT);
        let is_partial = accept.contains("as=PartialObjectMetadata");
        if is_partial { Shape::Metadata } else { Shape::Whole }
    }

    fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(self.body).map_err(|error| {
            Failure::bad_request(format!("the object provided is unrecognized: {error}"))
        })
    }

    fn content_type(&self) -> &str {
        let text = header_text(&self.parts.headers, header::CONTENT_TYPE);
        text.split(';').next().unwrap_or_default().trim()
    }

    fn write(&self) -> Write {
        let query = &self.target.query;
        let agent = header_text(&self.parts.headers, header::USER_AGENT);
        let agent = agent.split('/').next().filter(|agent| !agent.is_empty());
        let manager = match query.get("fieldManager") {
            "" if self.content_type() == "application/apply-patch+yaml" => "",
            "" => agent.unwrap_or("unknown"),
            manager => manager,
        };
        Write {
            part: if self.target.subresource == "status" { Part::Status } else { Part::Main },
            force: query.is_set("force"),
            dry_run: query.get("dryRun") == "All",
            ..Write::by(self.target.id, &self.key(), manager)
        }
    }

    fn written(&self, outcome: Result<Written, Failure>) -> Answer {
        let Written { object, created } = outcome?;
        Ok(respond_json(if created { 201 } else { 200 }, object.pieces(self.shape())))
    }

    fn patch(&self, state: &mut State) -> Result<Written, Failure> {
        match self.content_type() {
            "application/merge-patch+json" => {
                let patch = self.json()?;
                self.write().patch(state, |value| {
                    json_patch::merge(value, &patch);
                    Ok(())
                })
            }
            "application/json-patch+json" => {
                let patch: json_patch::Patch = serde_json::from_slice(self.body)
                    .map_err(|error| Failure::bad_request(error.to_string()))?;
                self.write().patch(state, |value| {
                    json_patch::patch(value, &patch)
                        .map_err(|error| Failure::new(422, "Invalid", error.to_string()))
                })
            }
            "application/apply-patch+yaml" => {
                let applied = self.json().or_else(|_| self.yaml())?;
                let asked = Asked { verb: "create".to_owned(), ..self.asked.clone() };
                let may_create = |state: &mut State| authorize(state, self.token, asked);
                self.write().apply(state, applied, may_create)
            }
            _ => Err(Failure::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, \
                 application/apply-patch+yaml",
            )),
        }
    }

    fn yaml(&self) -> Result<Value, Failure> {
        let text = std::str::from_utf8(self.body).unwrap_or_default();
        serde_saphyr::from_str(text)
            .map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))
    }

    fn delete_collection(&self, state: &mut State) -> Answer {
        let options = if self.body.is_empty() { json!({}) } else { self.json()? };
        let objects = state.tables[self.target.id].objects.values();
        let matching = objects.filter(|object| self.selector.matches(object));
        let keys: Vec<Key> = matching.map(|object| object.key()).collect();
        for (namespace, name) in keys {
            Write { namespace, name, ..self.write() }.delete(state, &options)?;
        }
        Ok(respond_value(
            200,
            &json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }),
        ))
    }
}
