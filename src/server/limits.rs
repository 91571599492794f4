//! The limits of the server, as flags with defaults.

use std::time::Duration;

use clap::builder::RangedU64ValueParser;

use super::size::parse_size;
use crate::kubernetes::duration::parse_duration;

/// The limits on what clients can use of the server, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Server limits")]
pub struct Limits {
    /// Largest request body; the API server sends at most two objects of 3 MiB and a small envelope
    #[arg(
        long,
        env = "POOLGUARD_MAX_BODY",
        value_name = "SIZE",
        value_parser = parse_size,
        default_value = "7MiB"
    )]
    pub max_body: usize,

    /// Largest number of bytes of request bodies and answers in memory; above it PoolGuard answers 429. The
    /// last quarter is reserved for bodies of up to 64KiB
    #[arg(
        long,
        env = "POOLGUARD_MAX_BODY_BYTES_IN_FLIGHT",
        value_name = "SIZE",
        value_parser = parse_size,
        default_value = "32MiB"
    )]
    pub max_body_bytes_in_flight: usize,

    /// Largest number of requests at a time; above it PoolGuard ends one request with 429: the one that has waited
    /// longest for the rest of its body
    #[arg(
        long,
        env = "POOLGUARD_MAX_REQUESTS_IN_FLIGHT",
        value_name = "NUMBER",
        value_parser = at_least_one(),
        default_value = "512"
    )]
    pub max_requests_in_flight: usize,

    /// Largest number of open connections; above it PoolGuard closes the connection that is idle for the
    /// longest time. The number is lower if the limit of open files is low
    #[arg(
        long,
        env = "POOLGUARD_MAX_CONNECTIONS",
        value_name = "NUMBER",
        value_parser = at_least_one(),
        default_value = "512"
    )]
    pub max_connections: usize,

    /// Largest number of concurrent streams of an HTTP/2 connection
    #[arg(
        long,
        env = "POOLGUARD_MAX_STREAMS",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..),
        default_value = "100"
    )]
    pub max_streams: u32,

    /// Time limit for a TLS handshake, from the start of the connection
    #[arg(
        long,
        env = "POOLGUARD_HANDSHAKE_TIMEOUT",
        value_name = "DURATION",
        value_parser = parse_duration,
        default_value = "5s"
    )]
    pub handshake_timeout: Duration,

    /// Time limit for a request's header, from its first byte
    #[arg(
        long,
        env = "POOLGUARD_HEADER_TIMEOUT",
        value_name = "DURATION",
        value_parser = parse_duration,
        default_value = "5s"
    )]
    pub header_timeout: Duration,

    /// Time limit for a request's body, from the end of its header
    #[arg(
        long,
        env = "POOLGUARD_BODY_TIMEOUT",
        value_name = "DURATION",
        value_parser = parse_duration,
        default_value = "5s"
    )]
    pub body_timeout: Duration,

    /// Time limit for a client to read an answer; then PoolGuard closes the connection
    #[arg(
        long,
        env = "POOLGUARD_ANSWER_TIMEOUT",
        value_name = "DURATION",
        value_parser = parse_duration,
        default_value = "5s"
    )]
    pub answer_timeout: Duration,

    /// Time after which PoolGuard closes an idle connection; use more than 90s, because the API server must close
    /// idle connections first
    #[arg(
        long,
        env = "POOLGUARD_IDLE_TIMEOUT",
        value_name = "DURATION",
        value_parser = parse_duration,
        default_value = "2m"
    )]
    pub idle_timeout: Duration,

    /// Time for which PoolGuard continues to serve after SIGTERM [default: 5s in a cluster, 0s with --cluster]
    #[arg(
        long,
        env = "POOLGUARD_SHUTDOWN_DELAY",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub shutdown_delay: Option<Duration>,

    /// Time limit for requests in flight to finish, after PoolGuard has stopped accepting connections
    #[arg(
        long,
        env = "POOLGUARD_DRAIN_TIMEOUT",
        value_name = "DURATION",
        value_parser = parse_duration,
        default_value = "10s"
    )]
    pub drain_timeout: Duration,
}

/// The smallest value of a limit: with zero, PoolGuard could not answer any request.
fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

impl Limits {
    /// The time for which an API server keeps an idle connection.
    pub const API_SERVER_IDLE: Duration = Duration::from_secs(90);

    /// The time that a Service needs to remove the endpoint of a pod, with a margin.
    pub const CLUSTER_SHUTDOWN_DELAY: Duration = Duration::from_secs(5);
}

impl Default for Limits {
    /// The defaults of the flags.
    fn default() -> Self {
        Self {
            max_body: 7 << 20,
            max_body_bytes_in_flight: 32 << 20,
            max_requests_in_flight: 512,
            max_connections: 512,
            max_streams: 100,
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(2),
            shutdown_delay: None,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        limits: Limits,
    }

    #[test]
    fn no_flags_are_the_defaults() {
        assert_eq!(Arguments::parse_from(["poolguard"]).limits, Limits::default());
    }

    #[test]
    fn flags_take_sizes_and_durations_for_people() {
        let flags = ["poolguard", "--max-body", "512KiB", "--idle-timeout", "1m30s"];
        let limits = Arguments::parse_from(flags).limits;
        assert_eq!(limits.max_body, 512 << 10);
        assert_eq!(limits.idle_timeout, Duration::from_secs(90));
    }

    #[test]
    fn a_limit_of_zero_is_an_error() {
        for flag in ["--max-connections", "--max-requests-in-flight", "--max-streams"] {
            assert!(Arguments::try_parse_from(["poolguard", flag, "0"]).is_err(), "{flag}");
        }
    }

    #[test]
    fn the_default_idle_limit_lets_the_api_server_close_first() {
        assert!(Limits::default().idle_timeout > Limits::API_SERVER_IDLE);
    }
}
