//! `test`: policy tests, with their differences and their mistakes.

mod mistakes;
mod schema;

use std::fs;

use insta::assert_snapshot;
use tempfile::TempDir;

use self::mistakes::errors;
use super::{Said, poolguard, said};
use crate::scenario::data_text;

const BROKER: &str = "
apiVersion: v1
kind: Pod
metadata: {name: broker-0, namespace: automq-instance-1}
spec: {containers: []}
";

/// A folder with tests in `tests`, beside the recorded config and cluster.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["config.yaml", "cluster.json"] {
            fs::write(folder.path().join(name), data_text(name)).unwrap();
        }
        fs::create_dir(folder.path().join("tests")).unwrap();
        Self(folder)
    }

    /// A folder whose only test is this one, with a broker as its input.
    fn with_case(text: &str) -> Self {
        Self::new().file("a/case.yaml", text).file("a/pod.yaml", BROKER)
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.0.path().join("tests").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn test(&self, arguments: &[&str]) -> Said {
        let arguments = [&["test", "tests"], arguments].concat();
        said(poolguard(&arguments).current_dir(self.0.path()))
    }
}

/// A test of this command with the recorded config and cluster.
fn case(head: &str, command: &str, expect: &str) -> String {
    let inputs = match command {
        "review" => ", inputs: [pod.yaml]",
        "serve" => ", inputs: [review.json]",
        _ => "",
    };
    let run = format!("command: {command}, config: ../../config.yaml, cluster: ../../cluster.json");
    format!("{head}run: {{{run}{inputs}}}\nexpect: {expect}\n")
}

/// Tests that fail, one for each kind of expectation.
const FAILING: [(&str, &str, &str, &str); 9] = [
    (
        "decision",
        "title: A broker names no node.\nwhy: It belongs to instance-1.\n",
        "review",
        "{results: {pod.yaml: {decision: deny}}}",
    ),
    ("rule", "", "review", "{results: {pod.yaml: {decision: patch, rule: pod-intrusion}}}"),
    (
        "texts",
        "",
        "review",
        "{results: {pod.yaml: {decision: patch, says: [pool-z, pool-a, the moon], saysNot: [toleration of]}}}",
    ),
    ("record", "", "review", "{results: {pod.yaml: {decision: patch, recorded: exempt}}}"),
    (
        "patch",
        "",
        "review",
        "{results: {pod.yaml: {decision: patch, patchTouches: [/spec/tolerations, /metadata], patchSays: [pool-z]}}}",
    ),
    ("exit", "", "review", "{exit: [1, 2]}"),
    ("output", "", "review", "{says: [pool-z], saysNot: [instance-1]}"),
    (
        "finding",
        "",
        "check",
        "{has: [{rule: node-taint, status: fail, pool: pool-a}, {rule: instance, says: [moon]}], hasNot: [{rule: node-zone, pool: pool-b}]}",
    ),
    ("stream", "", "serve", "{lines: 2, says: [moon]}"),
];

fn failing() -> Folder {
    let review = data_text("reviews/deployment-create-plain.json");
    FAILING.iter().fold(Folder::new(), |folder, (name, head, command, expect)| {
        folder
            .file(&format!("{name}/case.yaml"), &case(head, command, expect))
            .file(&format!("{name}/pod.yaml"), BROKER)
            .file(&format!("{name}/review.json"), &review)
    })
}

#[test]
fn a_failed_test_shows_what_was_expected_and_what_came() {
    let said = failing().test(&[]);
    assert_eq!((said.code, said.err.as_str()), (1, ""));
    said.assert_plain();
    assert_snapshot!(said.out, @r#"
    FAIL decision
      test: A broker names no node.
      why:  It belongs to instance-1.
      pod.yaml
        expected  deny
        got       patch [pod-placement]
                  [pod-placement] PoolGuard adds to Pod automq-instance-1/broker-0 of instance
                  instance-1: toleration of taint dedicated=automq:NoSchedule, node affinity to pool
                  pool-a, zones us-east-1a

    FAIL exit
      exit code
        expected  1 or 2
        got       0
                  pod.yaml: patch
                  [pod-placement] PoolGuard adds to Pod automq-instance-1/broker-0 of instance
                  instance-1: toleration of taint dedicated=automq:NoSchedule, node affinity to pool
                  pool-a, zones us-east-1a

    FAIL finding
      findings
        expected  a finding with rule node-taint, status fail, pool pool-a
        got       node-taint pass, pool pool-a: dedicated=automq:NoSchedule on 1 node
                  node-taint pass, pool pool-b: dedicated=automq:NoSchedule on 1 node
                  node-taint pass, pool pool-abc: dedicated=automq:NoSchedule on 3 nodes
        expected  a finding with rule instance, text `moon`
        got       instance pass, pool pool-a: Namespace automq-instance-1 of instance instance-1 exists
                  instance fail (warning), pool pool-b: Namespace automq-instance-2 of instance
                  instance-2 does not exist. The instance is not deployed, or it runs in a namespace
                  that the config does not name
                  instance pass, pool pool-abc: Namespace automq-instance-3 of instance instance-3
                  exists
        expected  no finding with rule node-zone, pool pool-b
        got       node-zone pass, pool pool-b: 1 zone: us-east-1b

    FAIL output
      output
        expected  an output with `pool-z`
        got       pod.yaml: patch
                  [pod-placement] PoolGuard adds to Pod automq-instance-1/broker-0 of instance
                  instance-1: toleration of taint dedicated=automq:NoSchedule, node affinity to pool
                  pool-a, zones us-east-1a
        expected  no output with `instance-1`
        got       [pod-placement] PoolGuard adds to Pod automq-instance-1/broker-0 of instance
                  instance-1: toleration of taint …

    FAIL patch
      pod.yaml
        expected  a patch of /spec/tolerations /metadata
        got       a patch of /spec/tolerations /spec/affinity
        expected  a patch with `pool-z`
        got       {"op":"add","path":"/spec/tolerations","value":[{"effect":"NoSchedule","key":"dedicated","operator":"Equal","value":"automq"}]}
                  {"op":"add","path":"/spec/affinity","value":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"eks.amazonaws.com/nodegroup","operator":"In","values":["automq-a"]},{"key":"topology.kubernetes.io/zone","operator":"In","values":["us-east-1a"]}]}]}}}}

    FAIL record
      pod.yaml
        expected  recorded as exempt
        got       recorded as patch
                  [pod-placement] PoolGuard adds to Pod automq-instance-1/broker-0 of instance
                  instance-1: toleration of taint dedicated=automq:NoSchedule, node affinity to pool
                  pool-a, zones us-east-1a

    FAIL rule
      pod.yaml
        expected  patch [pod-intrusion]
        got       patch [pod-placement]
                  [pod-placement] PoolGuard adds to Pod automq-instance-1/broker-0 of instance
                  instance-1: toleration of taint dedicated=automq:NoSchedule, node affinity to pool
                  pool-a, zones us-east-1a

    FAIL stream
      audit stream
        expected  2 lines
        got       0 lines
        expected  an audit stream with `moon`
        got       no text

    FAIL texts
      pod.yaml
        expected  a message with `pool-z` and `the moon`
        got       [pod-placement] PoolGuard adds to Pod automq-instance-1/broker-0 of instance
                  instance-1: toleration of taint dedicated=automq:NoSchedule, node affinity to pool
                  pool-a, zones us-east-1a
        expected  no message with `toleration of`
        got       … to Pod automq-instance-1/broker-0 of instance instance-1: toleration of taint
                  dedicated=automq:NoSchedule, node affinity to pool …

    0 passed, 9 failed
    "#);
}

#[test]
fn tests_are_found_at_any_depth_and_chosen_by_name_or_kind() {
    let with_kind = |kind: &str| case(&format!("kind: {kind}\n"), "review", "{exit: 0}");
    let deep = with_kind("wine").replace("../../", "../../../../");
    let folder = Folder::with_case(&with_kind("water"))
        .file("b/c/d/case.json", &deep)
        .file("b/c/d/pod.yaml", BROKER)
        .file("broken/case.yml", "expect: {}\n");
    for (filter, code, expected) in [
        ("wine", 0, "1 passed, 0 failed\n"),
        ("water", 0, "1 passed, 0 failed\n"),
        ("b/c", 0, "1 passed, 0 failed\n"),
        ("b", 2, "1 passed, 0 failed, 1 not run\n"),
        ("", 2, "2 passed, 0 failed, 1 not run\n"),
    ] {
        let said = folder.test(&["--filter", filter]);
        assert_eq!((said.code, said.out.as_str()), (code, expected), "{filter}: {said:?}");
    }
    let none = folder.test(&["--filter", "milk"]);
    let expected = "error: none of the 3 tests in tests has `milk` in its name or `kind`\n";
    assert_eq!((none.code, none.err.as_str()), (2, expected));
    let one = said(poolguard(&["test", "tests/a/case.yaml"]).current_dir(folder.0.path()));
    assert_eq!((one.code, one.out.as_str()), (0, "1 passed, 0 failed\n"));
}

#[test]
fn the_user_the_groups_and_the_namespace_of_manifests_count() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {tolerations: [{operator: Exists}]}\n";
    for (run, expected) in [
        ("namespace: shop", "{decision: deny, says: [shop/a]}"),
        ("namespace: kube-system", "{decision: allow, recorded: exempt}"),
        ("groups: ['poolguard:break-glass']", "{decision: allow, recorded: break-glass}"),
        ("as: 'system:serviceaccount:kube-system:daemon-set-controller'", "{decision: deny}"),
    ] {
        let expect = format!("{{results: {{pod.yaml: {expected}}}}}");
        let text = case("", "review", &expect)
            .replace("command: review", &format!("command: review, {run}"));
        let said = Folder::new().file("a/case.yaml", &text).file("a/pod.yaml", pod).test(&[]);
        assert_eq!((said.code, said.out.as_str()), (0, "1 passed, 0 failed\n"), "{run}: {said:?}");
    }
}

#[test]
fn inputs_can_be_folders() {
    let text = "run: {command: review, inputs: [pods/]}\nexpect: {results: {pods/b/pod.yaml: {decision: allow}}}\n";
    let folder = Folder::new()
        .file("a/case.yaml", text)
        .file("a/pods/a.yaml", BROKER)
        .file("a/pods/b/pod.yaml", BROKER);
    let said = folder.test(&[]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
}

#[cfg(unix)]
#[test]
fn a_script_writes_the_files_of_a_test() {
    use std::os::unix::fs::PermissionsExt;

    let of = |script: &str| {
        let text =
            "run: {command: review, generate: make.sh, inputs: [made.yaml]}\nexpect: {exit: 0}\n";
        let folder = Folder::with_case(text).file("a/make.sh", &format!("#!/bin/sh\n{script}\n"));
        let path = folder.0.path().join("tests/a/make.sh");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        folder.test(&[])
    };
    let good = of(
        "printf 'apiVersion: v1\\nkind: Pod\\nmetadata: {name: a}\\nspec: {}\\n' > \"$1/made.yaml\"",
    );
    assert_eq!((good.code, good.err.as_str()), (0, ""), "{good:?}");
    let idle = of("true");
    assert_eq!(errors(&idle), "1:52: cannot read `made.yaml`: there is no such file");
    let failed = of("echo 'no luck' >&2; exit 3");
    assert_eq!(errors(&failed), "tests/a/make.sh ended with exit status: 3: no luck");
}

#[test]
fn the_time_of_other_inputs_is_a_limit() {
    for (at_most, code) in [("1000", 0), ("0", 1)] {
        let expect = format!("{{time: {{than: [pod.yaml], atMost: {at_most}}}}}");
        let said = Folder::with_case(&case("", "review", &expect)).test(&[]);
        assert_eq!(said.code, code, "{said:?}");
        let shown = format!("expected  at most {at_most} times as long as with pod.yaml");
        assert_eq!(said.out.contains(&shown), code == 1, "{}", said.out);
    }
}

#[test]
fn a_build_server_gets_one_case_for_each_test() {
    let folder = Folder::with_case(&case("kind: wine\n", "review", "{exit: 0}"))
        .file("b/case.yaml", &case("", "check", "{exit: 1}"))
        .file("c/case.yaml", "run: {command: check, clusters: a}\nexpect: {exit: 0}\n");
    let said = folder.test(&["-o", "junit"]);
    assert_eq!(said.code, 2);
    said.assert_plain();
    assert_snapshot!(said.out, @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="poolguard test" tests="3" skipped="0" failures="1" errors="1">
        <testsuite name="tests" tests="3" skipped="0" errors="1" failures="1">
            <testcase name="a" classname="wine"/>
            <testcase name="b" classname="poolguard">
                <failure message="exit code: expected 1, got 0" type="difference">  exit code
        expected  1
        got       0
    </failure>
            </testcase>
            <testcase name="c" classname="poolguard">
                <error message="tests/c/case.yaml:1:6: `check` has neither a `cluster` nor a `plan`; help: add `cluster: cluster.json`, a dump, or `plan: plan.json`, a Terraform plan" type="mistake">tests/c/case.yaml:1:6: `check` has neither a `cluster` nor a `plan`; help: add `cluster: cluster.json`, a dump, or `plan: plan.json`, a Terraform plan
    tests/c/case.yaml:1:23: unknown key `clusters` in `run`; did you mean `cluster`?</error>
            </testcase>
            <system-out>1 passed, 1 failed, 1 not run</system-out>
        </testsuite>
    </testsuites>
    "#);
}
