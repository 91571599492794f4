//! `poolguard provider`: the data that is compiled in for a provider, with its sources.

use std::{io::Write, process::ExitCode};

use clap::{Args, ValueEnum};

use super::page::{FAINT, Styled};
use crate::{config, policy::provider::Provider};

/// Show the built-in data about a cloud provider, and where each value comes from.
///
/// Without a name, it lists the providers. With a name, it prints the data of this provider and then the data for all
/// providers: labels of node pools and zones, temporary taints, the provider's own agents and controllers, protected
/// objects, and machine types.
#[derive(Args, Debug)]
pub(super) struct ProviderCommand {
    /// Name of the provider, as in the key `provider` of the config
    #[arg(value_enum, value_name = "NAME")]
    name: Option<Name>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug)]
struct Name(Provider);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// The built-in file, with its comments
    #[default]
    Yaml,
    /// The same data without the comments
    Json,
}

impl ValueEnum for Name {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Name; Provider::ALL.len()] = {
            let mut all = [Name(Provider::Other); Provider::ALL.len()];
            let mut index = 0;
            while index < all.len() {
                all[index] = Name(Provider::ALL[index]);
                index += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let Self(provider) = self;
        Some(clap::builder::PossibleValue::new(provider.as_str()).help(provider.service()))
    }
}

/// Runs the command.
pub(super) fn run(command: &ProviderCommand) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout().lock();
    let ProviderCommand { name, output } = command;
    match (name, output) {
        (None, Output::Yaml) => list(&mut out)?,
        (None, Output::Json) => {
            let all = Provider::ALL.map(|it| (it.as_str(), it.service()));
            let all =
                all.map(|(name, service)| serde_json::json!({"name": name, "service": service}));
            writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
        }
        (Some(Name(provider)), Output::Yaml) => {
            write!(out, "{}\n---\n{}", config::preset_file(*provider), config::COMMON_PRESET)?;
        }
        (Some(Name(provider)), Output::Json) => {
            let read = serde_saphyr::from_str::<serde_json::Value>;
            let preset = read(config::preset_file(*provider))?;
            let common = read(config::COMMON_PRESET)?;
            let both = serde_json::json!({"provider": preset, "common": common});
            writeln!(out, "{}", serde_json::to_string_pretty(&both)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(out: &mut impl Write) -> std::io::Result<()> {
    let width = Provider::ALL.iter().map(|it| it.as_str().len()).max().unwrap_or_default();
    for provider in Provider::ALL {
        writeln!(out, "{:width$}  {}", provider.as_str(), provider.service())?;
    }
    let hint = "poolguard provider NAME prints the built-in data of one provider.";
    writeln!(out, "\n{}", Styled(FAINT, hint))
}
