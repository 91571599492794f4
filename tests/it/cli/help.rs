//! `--help`: of every command, with every flag and its environment twin.

use std::collections::BTreeSet;

use super::run;

/// Every command with its flags.
pub(super) const COMMANDS: [(&[&str], &[&str]); 20] = [
    (&[], &["--help", "--version"]),
    (
        &["serve"],
        &[
            "--config",
            "--cluster",
            "--listen",
            "--admin-listen",
            "--tls-cert",
            "--tls-key",
            "--tls-ca",
            "--client-ca",
            "--kubeconfig",
            "--context",
            "--service",
            "--service-port",
            "--webhook-url",
            "--namespace",
            "--name",
            "--owner",
            "--identity",
            "--ca-rotation-wait",
            "--reports",
            "--log-format",
            "--log-level",
            "--audit-file",
            "--audit-file-size",
            "--audit-file-count",
            "--max-body",
            "--max-body-bytes-in-flight",
            "--max-requests-in-flight",
            "--max-connections",
            "--max-streams",
            "--handshake-timeout",
            "--header-timeout",
            "--body-timeout",
            "--answer-timeout",
            "--idle-timeout",
            "--shutdown-delay",
            "--drain-timeout",
        ],
    ),
    (
        &["review"],
        &[
            "--config",
            "--cluster",
            "--kubeconfig",
            "--context",
            "--as",
            "--as-group",
            "--namespace",
            "--fail-on",
            "--output",
        ],
    ),
    (
        &["audit"],
        &[
            "--by",
            "--top",
            "--output",
            "--since",
            "--until",
            "--rule",
            "--decision",
            "--namespace",
            "--user",
        ],
    ),
    (
        &["check"],
        &[
            "--config",
            "--cluster",
            "--terraform-plan",
            "--kubeconfig",
            "--context",
            "--fail-on",
            "--output",
        ],
    ),
    (
        &["status"],
        &[
            "--namespace",
            "--name",
            "--config-map",
            "--kubeconfig",
            "--context",
            "--dry-run-namespace",
            "--skip-dry-run",
            "--wait",
            "--timeout",
            "--fail-on",
            "--output",
        ],
    ),
    (&["init"], &["--cluster", "--kubeconfig", "--context", "--interactive"]),
    (&["dump"], &["--config", "--kubeconfig", "--context", "--output"]),
    (&["test"], &["--filter", "--context", "--kubeconfig", "--schema", "--output"]),
    (&["config"], &["--help"]),
    (&["config", "check"], &["--config", "--output"]),
    (&["config", "schema"], &["--help"]),
    (&["render"], &["--help"]),
    (
        &["render", "webhooks"],
        &[
            "--config",
            "--namespace",
            "--service",
            "--service-port",
            "--webhook-url",
            "--name",
            "--ca-bundle",
            "--output",
        ],
    ),
    (&["render", "policy"], &["--config", "--cluster", "--namespace", "--name", "--output"]),
    (&["provider"], &["--output"]),
    (&["explain"], &["--help"]),
    (&["completions"], &["--help"]),
    (&["man"], &["--directory"]),
    (&["version"], &["--output"]),
];

/// Flags of every command.
pub(super) const GLOBAL: [&str; 2] = ["--color", "--help"];

/// Flags that say who asks, what is looked at, what counts and how to print: they differ from call to call.
const WITHOUT_TWIN: [&str; 14] = [
    "--as",
    "--as-group",
    "--color",
    "--config-map",
    "--directory",
    "--dry-run-namespace",
    "--fail-on",
    "--help",
    "--interactive",
    "--output",
    "--skip-dry-run",
    "--timeout",
    "--version",
    "--wait",
];

/// For `review` it is whose pods are judged; elsewhere it is where PoolGuard runs. What `audit` looks for and `test`
/// runs differs from call to call.
fn has_twin(command: &[&str], flag: &str) -> bool {
    let is_of_review = command == ["review"] && flag == "--namespace";
    let is_ad_hoc = command == ["audit"] || command == ["test"];
    !is_of_review && !is_ad_hoc && !WITHOUT_TWIN.contains(&flag)
}

#[test]
fn every_command_explains_itself_and_each_of_its_flags() {
    for (command, flags) in COMMANDS {
        for help in ["-h", "--help"] {
            let said = run(&[command, &[help]].concat());
            assert_eq!((said.code, said.err.as_str()), (0, ""), "{command:?}");
            said.assert_plain();
            let usage = ["poolguard"].iter().chain(command).copied().collect::<Vec<_>>().join(" ");
            assert!(said.out.contains(&format!("Usage: {usage}")), "{}", said.out);
            let words: Vec<_> =
                said.out.split([' ', '\n', ',']).filter(|it| !it.is_empty()).collect();
            for flag in flags.iter().chain(&GLOBAL) {
                assert!(
                    words.contains(flag),
                    "{command:?} {help} does not mention {flag}:\n{}",
                    said.out
                );
                let twin =
                    format!("[env: POOLGUARD{}=", flag[1..].replace('-', "_").to_uppercase());
                let says_twin = words.join(" ").contains(&twin);
                assert_eq!(says_twin, has_twin(command, flag), "{command:?} {flag}: {twin}");
            }
            for line in said.out.lines() {
                assert!(line.chars().count() <= 100, "{command:?} {help}: {line}");
            }
            // A terminal of 80 columns would break a command line, which could then not be copied.
            for line in said.out.lines().skip_while(|line| *line != "Examples:") {
                assert!(line.chars().count() <= 80, "{command:?} {help}: {line}");
            }
        }
    }
}

#[test]
fn no_flag_is_missing_in_this_list() {
    for (command, flags) in COMMANDS {
        let said = run(&[command, &["--help"]].concat());
        // Descriptions, in which other flags are named, are indented by ten.
        let is_flag = |line: &&str| !line.starts_with("          ");
        let lines = said.out.lines().filter(is_flag).map(str::trim_start);
        let lines = lines.filter(|line| line.starts_with('-'));
        let words = lines.flat_map(|line| line.split([' ', ',']));
        for flag in words.filter(|word| word.starts_with("--")) {
            assert!(flags.contains(&flag) || GLOBAL.contains(&flag), "{command:?} has {flag}");
        }
    }
}

#[test]
fn no_command_is_missing_in_this_list() {
    let listed: BTreeSet<_> = COMMANDS.iter().map(|(command, _)| command.join(" ")).collect();
    let mut found = BTreeSet::new();
    let mut ahead = vec![Vec::new()];
    while let Some(command) = ahead.pop() {
        let said = run(&[command.as_slice(), &["--help".to_owned()]].concat());
        let commands = said.out.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in commands.take_while(|line| !line.is_empty()) {
            let name = line.strip_prefix("  ").and_then(|line| line.split(' ').next());
            let name = name.filter(|name| !["", "help"].contains(name));
            ahead.extend(name.map(|name| [command.as_slice(), &[name.to_owned()]].concat()));
        }
        found.insert(command.join(" "));
    }
    assert_eq!(found, listed);
}

#[test]
fn the_version_is_that_of_the_package() {
    let said = run(&["--version"]);
    assert_eq!(
        (said.code, said.out),
        (0, concat!("poolguard ", env!("CARGO_PKG_VERSION"), "\n").to_owned())
    );
}

#[test]
fn version_says_what_the_binary_was_built_from() {
    let answer = run(&["version", "-o", "json"]).json();
    assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
    // As the compiler of this test has it.
    assert_eq!(answer["commit"].as_str(), option_env!("POOLGUARD_REVISION"));
    assert_eq!(answer["rust"], env!("POOLGUARD_RUSTC"));
    assert_eq!(answer["target"], env!("POOLGUARD_TARGET"));
    let features = answer["features"].as_array().unwrap();
    assert_eq!(features.contains(&"debug".into()), env!("POOLGUARD_PROFILE") == "debug");
    let page = run(&["version"]).out;
    assert!(page.starts_with(concat!("poolguard ", env!("CARGO_PKG_VERSION"), "\n")), "{page}");
    for key in ["rust", "target"] {
        assert!(page.contains(answer[key].as_str().unwrap()), "{page}");
    }
}

#[test]
fn a_mistake_in_the_arguments_is_exit_code_2_and_names_what_was_meant() {
    for (arguments, hint) in [
        (&["reviw"][..], "review"),
        (&["review", "--confg", "x", "-"], "--config"),
        (&["completions", "powershel"], "powershell"),
        (&["explain", "pod-intrusoin"], "a similar value exists: 'pod-intrusion'"),
        (&["version", "--color", "alway"], "a similar value exists: 'always'"),
        (&["man"], "--directory"),
        (&["review"], "<FILE>"),
        (&["test"], "<DIR>"),
        (&["test", "a", "-o", "html"], "junit"),
        (&["review", "-o", "yaml", "-"], "json"),
        (&["review", "--fail-on", "never", "-"], "warn"),
        (&["check", "--fail-on", "never"], "unknown"),
        (&["check", "--cluster", "a", "--context", "b"], "--context"),
        (&["init", "--cluster", "a", "--context", "b"], "--context"),
        (&["review", "--cluster", "a", "--context", "b", "-"], "--context"),
        (&["review", "--cluster", "a", "--kubeconfig", "b", "-"], "--kubeconfig"),
        (&["serve", "--listen", "somewhere"], "--listen"),
        (&["serve", "--max-body", "7MeB"], "--max-body"),
        (&["serve", "--tls-cert", "a.pem"], "--tls-key"),
        (&["serve", "--audit-file-size", "1KiB"], "64KiB"),
        (&["serve", "--audit-file-count", "0"], "--audit-file-count"),
        (&["audit", "--since", "yesterday"], "2h"),
        (&["audit", "--rule", "pod-intrusoin"], "pod-intrusion"),
        (&["audit", "--decision", "denied"], "deny"),
        (&["audit", "--by", "nodes"], "node"),
        (&["audit", "--namespace", "[a-z]"], "the only wildcards are `*` and `?`"),
    ] {
        let said = run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(hint), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn long_help_says_what_short_help_leaves_out() {
    for (command, words) in [
        ("serve", "reads the dump FILE, listens only on loopback"),
        ("review", "Exit code 0: everything is allowed"),
        ("audit", "counts damaged lines"),
        ("check", "the result of that check is `unknown`"),
        ("init", "changes nothing, and prints the config"),
        ("dump", "a warning names the RBAC rule to add"),
        ("test", "run only tests that you trust"),
    ] {
        let said = run(&[command, "--help"]);
        let text = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(words), "{command} --help: {}", said.out);
    }
}
