//! `poolguard config`: checks a config, prints its schema.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::config::{self, ConfigSource, Decoration, Diagnostic, Loaded};

mod summary;

/// The subcommands of `poolguard config`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check a config: print every mistake with its line, or else a summary.
    ///
    /// Exit code 0: PoolGuard can use the config, possibly with warnings. 1: the config has errors. 2:
    /// PoolGuard could not read the file.
    Check(CheckArguments),
    /// Print the JSON Schema of the config, for example for an editor.
    Schema,
}

/// Arguments of `poolguard config check`.
#[derive(Args, Debug)]
pub(super) struct CheckArguments {
    /// The config; `-` reads standard input.
    file: Option<PathBuf>,
    /// The config, if you do not give FILE.
    #[arg(long, env = "POOLGUARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// The output format of `poolguard config check`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Text for people: mistakes on standard error, a summary on standard output.
    #[default]
    Text,
    /// A JSON list of mistakes with severity, message, line, column, key and help.
    Json,
}

/// Exit code for a config that PoolGuard can use.
const EXIT_OK: u8 = 0;
/// Exit code for a config with errors.
const EXIT_ERRORS: u8 = 1;
/// Exit code for a file that PoolGuard cannot read.
const EXIT_UNREADABLE: u8 = 2;

/// Runs the command.
pub(super) fn run(command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Check(arguments) => {
            let code = check(arguments, &mut anstream::stdout(), &mut anstream::stderr())?;
            Ok(ExitCode::from(code))
        }
        ConfigCommand::Schema => {
            let schema = serde_json::to_string_pretty(config::schema())?;
            writeln!(anstream::stdout(), "{schema}")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Checks the config, writes the summary to `out` and the mistakes to `err`, and returns the exit code.
fn check(
    arguments: &CheckArguments,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<u8> {
    let CheckArguments { file, config, output } = arguments;
    let (name, text) = match read(file.as_deref().or(config.as_deref())) {
        Ok(found) => found,
        Err(error) => {
            writeln!(err, "error: {error:#}")?;
            return Ok(EXIT_UNREADABLE);
        }
    };
    check_text(&name, &text, *output, out, err)
}

/// Checks the text of a config, writes the summary to `out` and the mistakes to `err`, and returns the exit code.
pub(super) fn check_text(
    name: &str,
    text: &str,
    output: Output,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<u8> {
    let result = config::load(name, text, None);
    let found = match &result {
        Ok(loaded) => loaded.warnings.as_slice(),
        Err(diagnostics) => diagnostics.as_slice(),
    };
    match output {
        Output::Json => write_json(out, found)?,
        Output::Text => {
            write_diagnostics(err, ConfigSource { name, text }, found)?;
            if let Ok(Loaded { policy, settings, warnings }) = &result {
                summary::write(out, name, policy, settings, warnings.len())?;
            }
        }
    }
    Ok(if result.is_ok() { EXIT_OK } else { EXIT_ERRORS })
}

/// The name of the config in messages, and its text.
fn read(path: Option<&Path>) -> anyhow::Result<(String, String)> {
    let path = path.context(
        "no config: name it as FILE, or with --config or POOLGUARD_CONFIG; `-` reads \
         standard input",
    )?;
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(("<stdin>".to_owned(), text));
    }
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    Ok((name, text))
}

fn write_diagnostics(
    out: &mut impl Write,
    source: ConfigSource<'_>,
    found: &[Diagnostic],
) -> io::Result<()> {
    for diagnostic in found {
        writeln!(out, "{}\n", diagnostic.render(source, Decoration::Styled))?;
    }
    Ok(())
}

fn write_json(out: &mut impl Write, found: &[Diagnostic]) -> anyhow::Result<()> {
    let list: Vec<_> = found
        .iter()
        .map(|Diagnostic { severity, message, key, span, help, related: _, has_line: _ }| {
            json!({
                "severity": severity.as_str(),
                "message": message,
                "line": span.line,
                "column": span.column,
                "key": key,
                "help": help,
            })
        })
        .collect();
    writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_before_the_option_and_absence_names_both() {
        let error = read(None).unwrap_err().to_string();
        assert!(error.contains("--config") && error.contains("POOLGUARD_CONFIG"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = format!("{:#}", read(Some(Path::new("/no/such/config.yaml"))).unwrap_err());
        assert!(error.starts_with("cannot read /no/such/config.yaml: "), "{error}");
    }

    /// Exit code, standard output and standard error of a check of this text.
    fn check_text(text: &str, output: Output) -> (u8, String, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let arguments = CheckArguments { file: Some(file.path().to_owned()), config: None, output };
        let (mut out, mut err) =
            (anstream::StripStream::new(Vec::new()), anstream::StripStream::new(Vec::new()));
        let code = check(&arguments, &mut out, &mut err).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (code, text(out.into_inner()), text(err.into_inner()))
    }

    #[test]
    fn the_exit_code_says_whether_the_config_can_be_used() {
        let (code, out, err) = check_text("", Output::Text);
        assert_eq!(code, 0);
        assert!(
            out.contains("1 warning") && err.contains("warning: `principals.trusted`"),
            "{out}{err}"
        );
        let (code, out, err) = check_text("zones: []\n", Output::Text);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.contains("unknown key `zones` at the top level"), "{err}");
        let absent =
            CheckArguments { file: Some("/no/such".into()), config: None, output: Output::Text };
        assert_eq!(check(&absent, &mut Vec::new(), &mut Vec::new()).unwrap(), 2);
    }

    #[test]
    fn machines_get_a_list() {
        let (code, out, err) = check_text("provider: 1\n", Output::Json);
        assert_eq!((code, err.as_str()), (1, ""));
        let list: serde_json::Value = serde_json::from_str(&out).unwrap();
        let mut list = list.as_array().unwrap().iter();
        let provider = list.find(|it| it["key"] == "provider").unwrap();
        assert_eq!(provider["severity"], "error");
        assert_eq!((&provider["line"], &provider["column"]), (&json!(1), &json!(11)));
    }
}
