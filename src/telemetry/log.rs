//! The log: to stderr, for people or for machines.

use std::{
    io::{self, Write},
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

use crate::json::text::escape_controls;

/// The format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people; --color says when they have colours.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// The flags of the log.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// Format of the log
    #[arg(long, env = "POOLGUARD_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Log level, or levels for modules, for example info,hyper=warn
    #[arg(long, env = "POOLGUARD_LOG_LEVEL", value_name = "LEVELS", default_value = "info")]
    pub log_level: Levels,
}

/// The log levels of modules.
#[derive(Clone, Debug)]
pub struct Levels(Targets);

/// The Kubernetes client: it logs `failed with error client error (Connect)` for every attempt. PoolGuard logs the
/// request and the reason itself.
const CLIENT: &str = "kube_client";

impl Default for Levels {
    fn default() -> Self {
        Self(Targets::new().with_default(LevelFilter::INFO).with_target(CLIENT, LevelFilter::OFF))
    }
}

impl std::str::FromStr for Levels {
    type Err = <Targets as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let levels: Targets = text.parse()?;
        let is_named = text.contains(CLIENT);
        Ok(Self(if is_named { levels } else { levels.with_target(CLIENT, LevelFilter::OFF) }))
    }
}

impl Log {
    /// Installs the log for the process, including panics. Call it once.
    pub fn start(&self) -> Result<(), TryInitError> {
        let has_colours = self.log_format == LogFormat::Human && has_colours();
        let layer = fmt::layer().with_writer(move || Escaped { out: io::stderr(), has_colours });
        let layer = match self.log_format {
            LogFormat::Human => layer.with_ansi(has_colours).with_target(false).boxed(),
            LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
        };
        tracing_subscriber::registry()
            .with(layer.with_filter(self.log_level.0.clone()))
            .try_init()?;
        log_panics();
        Ok(())
    }
}

/// Whether the log has colours. As for every other output, `--color` decides, and what the terminal and its
/// variables say.
fn has_colours() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// The start of every line of an event except the first, so that text of a request cannot look like an event.
const CONTINUED: &[u8] = b"  | ";

/// A writer that escapes the control characters of events, from any source.
struct Escaped<W> {
    out: W,
    /// Whether the log's own colours stay.
    has_colours: bool,
}

impl<W: Write> Write for Escaped<W> {
    /// Writes an event, which comes whole and ends its line.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let mut escaped = Vec::with_capacity(event.len());
        let text = event.strip_suffix(b"\n").unwrap_or(event);
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if number > 0 {
                escaped.push(b'\n');
                escaped.extend_from_slice(CONTINUED);
            }
            let mut rest = line;
            while let Some(colour) = next_colour(rest).filter(|_| self.has_colours) {
                let (before, colour_and_rest) = rest.split_at(colour.start);
                let (colour, after) = colour_and_rest.split_at(colour.len());
                append(&mut escaped, before);
                escaped.extend_from_slice(colour);
                rest = after;
            }
            append(&mut escaped, rest);
        }
        if text.len() < event.len() {
            escaped.push(b'\n');
        }
        self.out.write_all(&escaped)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn append(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    out.extend_from_slice(text);
    escape_controls(out, start);
}

/// Returns the position of the next escape sequence that only sets a colour. Escape sequences in texts of
/// events do not get here: the subscriber has escaped them.
fn next_colour(text: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.windows(2).position(|pair| pair == b"\x1b[")?;
        let codes = text.get(start + 2..)?;
        let length = codes.iter().position(|byte| !byte.is_ascii_digit() && *byte != b';')?;
        if codes.get(length) == Some(&b'm') {
            return Some(start..start + 2 + length + 1);
        }
        from = start + 2;
    }
}

/// Makes a panic a line of the log like any other, where a collector of JSON lines finds it.
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

    fn written(event: &str, has_colours: bool) -> String {
        let mut log = Escaped { out: Vec::new(), has_colours };
        log.write_all(event.as_bytes()).expect("memory takes it");
        String::from_utf8(log.out).expect("is text")
    }

    #[test]
    fn no_control_character_reaches_the_log() {
        let event = "INFO a\u{9b}31m\r b\u{202e}\x1b[31m c\n";
        assert_eq!(written(event, false), "INFO a\\u009b31m\\r b\\u202e\\u001b[31m c\n");
        assert_eq!(written("{\"a\":\"\u{7f}\"}\n", false), "{\"a\":\"\\u007f\"}\n");
    }

    #[test]
    fn no_text_begins_like_an_event() {
        assert_eq!(written("INFO a\nINFO b\n", false), "INFO a\n  | INFO b\n");
    }

    #[test]
    fn the_logs_own_colours_stay() {
        let event = "\x1b[2mtime\x1b[0m \x1b[1;32mINFO\x1b[0m \x1b[2J \x1b]0;title\x07\n";
        let expected =
            "\x1b[2mtime\x1b[0m \x1b[1;32mINFO\x1b[0m \\u001b[2J \\u001b]0;title\\u0007\n";
        assert_eq!(written(event, true), expected);
    }
}
