//! Integration tests: everything that needs a socket, a file or the binary, and the rules as a whole.

/// A Kubernetes API server in memory.
#[allow(dead_code, reason = "not every test needs all that an API server does")]
mod apiserver;
/// The audit stream.
mod audit;
/// The chart.
mod chart;
/// The constraints of `poolguard check`, one cluster after the other.
mod check;
/// The binary as a black box.
mod cli;
/// The example cluster of each provider.
mod clouds;
/// A command of the binary, and what it prints.
mod command;
/// Generated pods, taints and tolerations.
mod generate;
/// A server under test, and a client that sends exactly the bytes it is told to.
mod http;
/// The binary in a cluster.
mod live;
/// Can a pod land on a node?
mod placement;
/// Reviews by properties: from bytes to bytes.
mod properties;
/// The recorded reviews, offline and over TLS.
mod reviews;
/// The rules, one request after the other.
mod rules;
/// A cluster, a config and requests.
mod scenario;
/// The server over real TLS.
mod server;
/// Rules of the repository.
mod tidy;
/// The webhook entries, as an API server would take them.
mod webhooks;
