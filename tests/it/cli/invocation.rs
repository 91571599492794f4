//! What holds for every command: colours, and the name that users type.

use std::process::{Command, Stdio};

use super::{Said, poolguard, said};

fn with(arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    said(poolguard(arguments).envs(variables.iter().copied()))
}

#[test]
fn color_says_when_the_output_has_colours() {
    let forced: &[_] = &[("CLICOLOR_FORCE", "1")];
    let refused: &[_] = &[("NO_COLOR", "1")];
    for (flags, variables, has_colours) in [
        (&[][..], &[][..], false),
        (&[], forced, true),
        (&[], refused, false),
        (&["--color", "auto"], forced, true),
        (&["--color", "always"], &[], true),
        (&["--color=always"], refused, true),
        (&["--color", "never"], forced, false),
    ] {
        for command in [&["provider"][..], &["explain", "node-zone"], &["check", "--help"]] {
            // Before and after the command.
            for arguments in [[flags, command].concat(), [command, flags].concat()] {
                let said = with(&arguments, variables);
                let found = said.out.contains('\u{1b}');
                assert_eq!(found, has_colours, "{arguments:?} {variables:?}: {said:?}");
            }
        }
        // A mistake in the arguments, a file that is not there, and a mistake in a config.
        for command in [
            &["check", "--flag"][..],
            &["check", "--cluster", "no-such.json"],
            &["config", "check", "cluster.json"],
        ] {
            let arguments = [flags, command].concat();
            let said = with(&arguments, variables);
            let found = said.err.contains('\u{1b}');
            assert_eq!(found, has_colours, "{arguments:?} {variables:?}: {said:?}");
        }
    }
}

/// The binary under the name that Krew gives it.
fn as_plugin(arguments: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("kubectl-poolguard");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_poolguard"), &link).unwrap();
    said(Command::new(link).args(arguments).env_clear().stdin(Stdio::null()))
}

#[test]
fn as_a_plugin_of_kubectl_help_and_mistakes_have_its_name() {
    for (arguments, words) in [
        (&["--help"][..], &["Usage: kubectl poolguard [", "\n  kubectl poolguard init > "][..]),
        (&["-h"], &["\n  kubectl poolguard dump -o cluster.json\n"]),
        (&["check", "--help"], &["Usage: kubectl poolguard check ", "`kubectl poolguard dump`"]),
        (&["render", "webhooks", "-h"], &["Usage: kubectl poolguard render webhooks "]),
        (&["review"], &["Usage: kubectl poolguard review "]),
        (&["reviw"], &["'review'", "Usage: kubectl poolguard ["]),
        (&["check"], &["error: ", "the output of `kubectl poolguard dump`"]),
    ] {
        let said = as_plugin(arguments);
        let text = format!("{}{}", said.out, said.err);
        for word in words {
            assert!(text.contains(word), "{arguments:?} has no {word:?}: {text}");
        }
        let usage = text.replace("kubectl poolguard", "");
        assert!(!usage.contains("`poolguard ") && !usage.contains("  poolguard "), "{text}");
        assert!(!text.contains("kubectl kubectl") && !text.contains("kubectl-poolguard"), "{text}");
    }
}

#[test]
fn as_a_plugin_of_kubectl_it_does_the_same() {
    for arguments in [&["provider"][..], &["explain", "node-taint"], &["--version"], &["version"]] {
        let plugin = as_plugin(arguments);
        let binary = said(&mut poolguard(arguments));
        assert_eq!((plugin.code, plugin.out), (binary.code, binary.out), "{arguments:?}");
    }
}
