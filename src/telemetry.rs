//! The log: to stderr, for people or for machines.

use std::{
    env,
    io::{self, IsTerminal},
    panic,
};

use tracing::{error, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

/// What the log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people; coloured on a terminal unless `NO_COLOR` is set.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// The flags of the log.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// What the log looks like
    #[arg(long, env = "POOLGUARD_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// What is logged: a level, or levels by module such as info,hyper=warn
    #[arg(long, env = "POOLGUARD_LOG_LEVEL", value_name = "LEVELS", default_value = "info")]
    pub log_level: Levels,
}

/// Which levels are logged, by module.
#[derive(Clone, Debug)]
pub struct Levels(Targets);

impl Default for Levels {
    fn default() -> Self {
        Self(Targets::new().with_default(LevelFilter::INFO))
    }
}

impl std::str::FromStr for Levels {
    type Err = <Targets as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Log {
    /// Makes this the log of the process, panics included. Once per process.
    pub fn start(&self) -> Result<(), TryInitError> {
        let layer = fmt::layer().with_writer(io::stderr);
        let layer = match self.log_format {
            LogFormat::Human => layer.with_ansi(has_colours()).with_target(false).boxed(),
            LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
        };
        tracing_subscriber::registry()
            .with(layer.with_filter(self.log_level.0.clone()))
            .try_init()?;
        log_panics();
        Ok(())
    }
}

fn has_colours() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

/// A panic is a line of the log like any other, where a collector of JSON lines finds it.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let text = info.payload_as_str().unwrap_or("no message");
        let backtrace = std::backtrace::Backtrace::capture();
        error!(location, backtrace = %backtrace, "panicked: {text}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_by_module() {
        let levels: Levels = "info,hyper=warn".parse().expect("is valid");
        assert!(levels.0.would_enable("poolguard", &tracing::Level::INFO));
        assert!(!levels.0.would_enable("hyper", &tracing::Level::INFO));
        assert!("info,hyper=loud".parse::<Levels>().is_err());
    }
}
