//! The command line: one command a file.

pub mod audit;
mod check;
mod completions;
mod config;
mod dump;
mod explain;
mod fail_on;
mod init;
mod input;
mod invocation;
mod live;
mod man;
mod markup;
mod page;
mod provider;
mod render;
mod review;
mod serve;
mod status;
mod test;
mod version;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps AutoMQ's dedicated Kubernetes node pools dedicated.
///
/// PoolGuard is a validating and mutating admission webhook. It denies other workloads that could run on
/// AutoMQ's nodes, adds tolerations and zones to AutoMQ's pods, and protects the nodes' taints and labels and
/// the pools' cloud roles.
#[derive(Debug, Parser)]
#[command(name = "poolguard", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// When the output has colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        display_order = 900
    )]
    color: invocation::Color,

    #[arg(skip)]
    is_plugin: bool,

    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  poolguard init > poolguard.yaml
  poolguard config check poolguard.yaml
  poolguard dump -o cluster.json
  poolguard review --cluster cluster.json deployment.yaml
  poolguard serve --config poolguard.yaml --cluster cluster.json
  poolguard check --config poolguard.yaml --context production
  poolguard test policy-tests
  poolguard render webhooks --config poolguard.yaml | kubectl diff -f -
  kubectl logs --tail=-1 -n poolguard-system \\
    -l app.kubernetes.io/name=poolguard | poolguard audit
  poolguard explain pod-intrusion";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Review(review::Review),
    Audit(Box<audit::AuditCommand>),
    Check(check::Check),
    Status(Box<status::StatusCommand>),
    Init(init::Init),
    Dump(dump::Dump),
    Test(test::TestCommand),
    /// Check a config, or print its schema
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print the Kubernetes objects that belong to a config
    #[command(subcommand)]
    Render(render::RenderCommand),
    Provider(provider::ProviderCommand),
    Explain(explain::Explain),
    Completions(completions::Completions),
    Man(man::ManCommand),
    Version(version::VersionCommand),
}

impl Cli {
    /// Runs the command and returns its exit code, or the error that stopped it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Review(review) => review.run(),
            Command::Audit(audit) => audit.run(),
            Command::Check(check) => check.run(),
            Command::Status(status) => status.run(),
            Command::Init(init) => init.run(),
            Command::Dump(dump) => dump.run(),
            Command::Test(test) => test.run(),
            Command::Config(config) => config::run(&config),
            Command::Render(render) => render::run(&render),
            Command::Provider(provider) => provider::run(&provider),
            Command::Explain(explain) => explain.run(),
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
            Command::Version(version) => version.run(),
        }
    }
}

/// The exit code of a command whose input or environment is at fault.
pub const UNREADABLE: u8 = 2;

/// The exit code of a command whose reader has closed the pipe: what a shell reports of a process that ends by
/// SIGPIPE. The output is not complete, so a script must not take it for a success.
pub const BROKEN_PIPE: u8 = 141;

/// Returns the error of a failed command as text, or `None` if the reader of its output has closed the pipe,
/// as `head` does.
/// A plugin of kubectl names its commands as users of kubectl type them.
pub fn error_text(error: &anyhow::Error, is_plugin: bool) -> Option<String> {
    let is_broken_pipe = error.chain().any(|cause| {
        let cause = cause.downcast_ref::<std::io::Error>();
        cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    });
    let text = (!is_broken_pipe).then(|| input::error_text(error))?;
    Some(if is_plugin { invocation::with_kubectl(&text) } else { text })
}
