//! A test as its file has it: a plain mirror, whose documentation is that of the JSON Schema.
//!
//! A required key is an `Option`, since one run reports every mistake: the check of the structure says that it is
//! missing, and the rest is checked all the same.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::schema;
use crate::{check::Constraint, config::FileFormat, policy::mode::RuleName};

/// Returns the format of the file that PoolGuard reads as a test.
pub(super) fn format() -> FileFormat {
    FileFormat { noun: "the test", schema: schema() }
}

/// Returns the JSON Schema of a test.
pub(super) fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema::make);
    &SCHEMA
}

/// A policy test: inputs for a command of PoolGuard, and what the command must say about them.
///
/// PoolGuard finds the names of files relative to the folder of the test.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Policy test of PoolGuard", extend("x-refusals" = {
    "name": "the name of a test is that of its folder; write `title` for a sentence about it",
    "command": "write it under `run`",
    "config": "write it under `run`",
    "cluster": "write it under `run`",
    "inputs": "write it under `run`",
    "results": "write it under `expect`",
    "decision": "write it under `expect.results`, by the name of the input"
}))]
pub(super) struct RawTest {
    /// What the inputs are, in one sentence.
    #[schemars(example = &"A batch Job tolerates every taint.")]
    pub(super) title: Option<String>,
    /// Why the expected answer is the right one.
    pub(super) why: Option<String>,
    /// The group of the test, for example the rule that it is about. `--filter` looks at it, too.
    pub(super) kind: Option<String>,
    /// Where users met this situation, for example an issue or a document.
    #[serde(default)]
    #[expect(dead_code, reason = "it is for people who read the test")]
    pub(super) sources: Vec<String>,
    /// The command that PoolGuard runs, and its inputs.
    #[schemars(required)]
    pub(super) run: Option<Run>,
    /// What the command must answer. A test that expects nothing is a mistake.
    #[schemars(required)]
    pub(super) expect: Option<Expect>,
}

/// The command that PoolGuard runs, and its inputs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-refusals" = {
    "user": "the key is `as`, like the flag of `poolguard review`",
    "asGroup": "the key is `groups`",
    "input": "the key is `inputs`, a list",
    "files": "the key is `inputs`",
    "manifests": "the key is `inputs`",
    "terraformPlan": "the key is `plan`"
}))]
pub(super) struct Run {
    /// What PoolGuard runs.
    #[schemars(required)]
    pub(super) command: Option<Command>,
    /// The config of PoolGuard. Without it, PoolGuard uses the defaults.
    #[schemars(example = &"../config.yaml")]
    pub(super) config: Option<String>,
    /// The dump of a cluster. `review` without it knows no nodes: it judges the declared pools as if they had none yet.
    #[schemars(example = &"../cluster.json")]
    pub(super) cluster: Option<String>,
    /// A Terraform plan, for `check`.
    #[schemars(example = &"plan.json")]
    pub(super) plan: Option<String>,
    /// The files to decide, in this order: AdmissionReviews and manifests for `review`, AdmissionReviews as JSON for
    /// `serve`.
    #[serde(default)]
    #[schemars(example = &["pod.yaml"])]
    pub(super) inputs: Vec<String>,
    /// The user who applies the manifests. If you omit it, this is `kubernetes-admin`.
    #[serde(rename = "as")]
    #[schemars(example = &"system:serviceaccount:kube-system:daemon-set-controller")]
    pub(super) user: Option<String>,
    /// The groups of this user. If you omit them, this is `system:authenticated`.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// The namespace of manifests that do not name one. If you omit it, this is `default`.
    pub(super) namespace: Option<String>,
    /// A script that writes further files, for example a cluster of 5,000 nodes. PoolGuard gives it an empty folder as
    /// its argument. PoolGuard looks for the files of the test in this folder first, and then in the folder of the
    /// test. A `.py` script runs with `python3`.
    pub(super) generate: Option<String>,
}

/// The command of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(extend("x-refusals" = {
    "config check": "the command is `config-check`",
    "audit": "for the lines of the audit stream, the command is `serve`"
}))]
pub(super) enum Command {
    /// Decide the inputs, as `poolguard review` does.
    Review,
    /// Check a cluster or a Terraform plan, as `poolguard check` does.
    Check,
    /// Check a config, as `poolguard config check` does.
    ConfigCheck,
    /// Send the inputs to `/validate` of a webhook, and read the lines of its audit stream.
    Serve,
}

impl Command {
    /// Every command.
    pub(super) const ALL: [Self; 4] = [Self::Review, Self::Check, Self::ConfigCheck, Self::Serve];

    /// Returns the command as the file spells it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Check => "check",
            Self::ConfigCheck => "config-check",
            Self::Serve => "serve",
        }
    }

    /// The keys of `run` that this command reads, beside `command` and `generate`.
    pub(super) fn run_keys(self) -> &'static [&'static str] {
        match self {
            Self::Review => &["config", "cluster", "inputs", "as", "groups", "namespace"],
            Self::Check => &["config", "cluster", "plan"],
            Self::ConfigCheck => &["config"],
            Self::Serve => &["config", "cluster", "inputs"],
        }
    }

    /// The keys of `expect` that this command answers, beside `says` and `saysNot`.
    pub(super) fn expect_keys(self) -> &'static [&'static str] {
        match self {
            Self::Review => &["exit", "results", "time"],
            Self::Check => &["exit", "has", "hasNot"],
            Self::ConfigCheck => &["exit"],
            Self::Serve => &["lines"],
        }
    }
}

/// What the command must answer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-refusals" = {
    "decision": "write it under `results`, by the name of the input",
    "rule": "write it under `results`, by the name of the input",
    "result": "the key is `results`",
    "exitCode": "the key is `exit`",
    "findings": "the keys are `has` and `hasNot`"
}))]
pub(super) struct Expect {
    /// The exit code of the command: one, or a list of those that are allowed.
    #[serde(default)]
    #[schemars(schema_with = "schema::exit", example = &1)]
    pub(super) exit: Option<ExitCodes>,
    /// For `review`: the result of each input by its name. `pods.yaml#2` is the second document of `pods.yaml`.
    #[serde(default)]
    pub(super) results: BTreeMap<String, ExpectedResult>,
    /// For `check`: findings that the answer has.
    #[serde(default)]
    pub(super) has: Vec<ExpectedFinding>,
    /// For `check`: findings that the answer does not have.
    #[serde(default)]
    pub(super) has_not: Vec<ExpectedFinding>,
    /// For `serve`: the number of lines in the audit stream. No line may have a control character.
    pub(super) lines: Option<usize>,
    /// Texts that the output of the command contains.
    #[serde(default)]
    pub(super) says: Vec<String>,
    /// Texts that the output of the command does not contain.
    #[serde(default)]
    pub(super) says_not: Vec<String>,
    /// For `review`: the time that the command may take.
    pub(super) time: Option<ExpectedTime>,
}

/// An exit code, or several that are allowed.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ExitCodes {
    One(u8),
    Several(Vec<u8>),
}

impl ExitCodes {
    /// Returns the exit codes that are allowed.
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::One(code) => std::slice::from_ref(code),
            Self::Several(codes) => codes,
        }
    }
}

/// The expected result of one input.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-refusals" = {
    "message": "the key is `says`, a list of texts that the message contains",
    "messages": "the key is `says`, a list of texts that the messages contain",
    "patch": "the keys are `patchTouches` and `patchSays`",
    "allowed": "write `decision: allow` or `decision: deny`"
}))]
pub(super) struct ExpectedResult {
    /// What PoolGuard decides about the input.
    #[schemars(required)]
    pub(super) decision: Option<ExpectedDecision>,
    /// A rule that the decision comes from.
    #[schemars(extend("enum" = RuleName::ALL.map(RuleName::as_str)))]
    pub(super) rule: Option<String>,
    /// Texts that the messages of this result contain, for example the name of a pool, a field or a taint.
    #[serde(default)]
    pub(super) says: Vec<String>,
    /// Texts that no message of this result contains.
    #[serde(default)]
    pub(super) says_not: Vec<String>,
    /// The fields that the patch changes: each of these, or a field below it, and no other.
    #[schemars(example = &["/spec/tolerations"])]
    pub(super) patch_touches: Option<Vec<String>>,
    /// Texts that the patch contains, as JSON without spaces.
    #[serde(default)]
    pub(super) patch_says: Vec<String>,
    /// A decision that the audit records of this result have.
    #[schemars(extend("enum" = schema::recorded()))]
    pub(super) recorded: Option<String>,
}

/// The decision about an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-refusals" = {
    "denied": "the decision is `deny`",
    "allowed": "the decision is `allow`",
    "exempt": "an exempt pod is allowed: write `decision: allow` and `recorded: exempt`",
    "audit": "what is only recorded is allowed: write `decision: allow` and `recorded: audit`",
    "break-glass": "write `decision: allow` and `recorded: break-glass`"
}))]
pub(super) enum ExpectedDecision {
    /// The request is denied.
    Deny,
    /// The request is allowed with a warning.
    Warn,
    /// The request is allowed with a patch, and without a warning.
    Patch,
    /// The request is allowed without a warning and without a patch.
    Allow,
    /// PoolGuard cannot read the input.
    Unreadable,
}

impl ExpectedDecision {
    /// Returns the decision as the file spells it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Patch => "patch",
            Self::Allow => "allow",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A finding that `check` must report. Leave out the keys that you do not want to compare.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-refusals" = {
    "message": "the key is `says`, a list of texts that the finding contains"
}))]
pub(super) struct ExpectedFinding {
    /// The constraint.
    #[schemars(extend("enum" = Constraint::all().map(Constraint::as_str).collect::<Vec<_>>()))]
    pub(super) rule: Option<String>,
    /// Whether the constraint holds.
    #[schemars(extend("enum" = ["pass", "fail", "unknown"]))]
    pub(super) status: Option<String>,
    /// The severity of the finding.
    #[schemars(extend("enum" = ["error", "warning", "note"]))]
    pub(super) severity: Option<String>,
    /// The pool.
    pub(super) pool: Option<String>,
    /// The node.
    pub(super) node: Option<String>,
    /// The object, as `Kind namespace/name`; for a Terraform plan, the address of the resource.
    pub(super) object: Option<String>,
    /// Texts that the message or the fix contains.
    #[serde(default)]
    pub(super) says: Vec<String>,
}

/// A limit of time, compared with other inputs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExpectedTime {
    /// The inputs to compare with.
    #[schemars(required)]
    pub(super) than: Option<Vec<String>>,
    /// The largest permitted ratio of the command's time to its time with these inputs, for example 2 for twice as long.
    #[schemars(required, range(min = 0))]
    pub(super) at_most: Option<f64>,
}

impl fmt::Display for ExpectedDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
