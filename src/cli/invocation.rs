//! The call of the process: its name, its arguments, and whether its output has colours.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use clap::{Arg, ColorChoice, Command, CommandFactory, FromArgMatches, ValueEnum};

use super::Cli;

/// When the output has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless the variable `NO_COLOR` is set; elsewhere if `CLICOLOR_FORCE` is set
    #[default]
    Auto,
    /// Also in a file or a pipe
    Always,
    /// Nowhere
    Never,
}

impl Color {
    /// Applies the choice to every stream of the process.
    pub(super) fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// The name of the binary, or of a link to it, as a plugin of kubectl.
const PLUGIN: &str = "kubectl-poolguard";

impl Cli {
    /// Reads the arguments of a process, the first of which is its name.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let arguments: Vec<_> = arguments.into_iter().collect();
        let program = arguments.first().map(Path::new).and_then(Path::file_stem);
        let is_plugin = program == Some(OsStr::new(PLUGIN));
        let mut command = Self::command().color(color_of_help(&arguments));
        if is_plugin {
            command = as_plugin(command).bin_name("kubectl poolguard");
        }
        let mut matches = command.try_get_matches_from_mut(arguments)?;
        let cli = Self::from_arg_matches_mut(&mut matches).map_err(|it| it.format(&mut command))?;
        cli.color.apply();
        Ok(Self { is_plugin, ..cli })
    }

    /// Whether kubectl runs the process as its plugin.
    pub fn is_plugin(&self) -> bool {
        self.is_plugin
    }
}

/// The choice of `--color` for the help and for mistakes in the arguments, which come before there is a [`Cli`].
fn color_of_help(arguments: &[OsString]) -> ColorChoice {
    let before_files = arguments.iter().take_while(|it| *it != "--");
    let texts: Vec<_> = before_files.filter_map(|it| it.to_str()).collect();
    let value = texts.iter().enumerate().find_map(|(index, text)| match *text {
        "--color" => texts.get(index + 1).copied(),
        text => text.strip_prefix("--color="),
    });
    match value {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// The command with `kubectl poolguard` in its help instead of `poolguard`.
fn as_plugin(command: Command) -> Command {
    let (about, long_about) = (command.get_about().cloned(), command.get_long_about().cloned());
    let after_help = command.get_after_help().cloned();
    let typed = |text: &dyn ToString| with_kubectl(&text.to_string());
    let mut command = command.mut_args(|arg: Arg| {
        let (help, long_help) = (arg.get_help().cloned(), arg.get_long_help().cloned());
        let arg = help.iter().fold(arg, |arg, help| arg.help(typed(help)));
        long_help.iter().fold(arg, |arg, help| arg.long_help(typed(help)))
    });
    command = about.iter().fold(command, |command, text| command.about(typed(text)));
    command = long_about.iter().fold(command, |command, text| command.long_about(typed(text)));
    command = after_help.iter().fold(command, |command, text| command.after_help(typed(text)));
    command.mut_subcommands(as_plugin)
}

/// Puts `kubectl` before the command lines of a text: in quotes, in a pipe, in a substitution, or at the start of a line.
pub(super) fn with_kubectl(text: &str) -> String {
    let starts = ["`poolguard ", "| poolguard ", "(poolguard ", "\n  poolguard "];
    starts.iter().fold(text.to_owned(), |text, start| {
        text.replace(start, &start.replace("poolguard", "kubectl poolguard"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_has_the_colours_that_the_arguments_ask_for() {
        for (arguments, expected) in [
            (&["poolguard", "check"][..], ColorChoice::Auto),
            (&["poolguard", "check", "--color", "never"], ColorChoice::Never),
            (&["poolguard", "--color=always", "check"], ColorChoice::Always),
            (&["poolguard", "check", "--color"], ColorChoice::Auto),
            (&["poolguard", "review", "--", "--color", "never"], ColorChoice::Auto),
        ] {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            assert_eq!(color_of_help(&arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn only_command_lines_get_the_name_of_the_plugin() {
        for (text, expected) in [
            ("run `poolguard dump` first", "run `kubectl poolguard dump` first"),
            (
                "Examples:\n  poolguard check\n  a | poolguard audit",
                "Examples:\n  kubectl poolguard check\n  a | kubectl poolguard audit",
            ),
            ("kubectl logs -n poolguard-system", "kubectl logs -n poolguard-system"),
        ] {
            assert_eq!(with_kubectl(text), expected);
        }
    }
}
