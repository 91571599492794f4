//! Tests with mistakes: what is wrong, and where.

use insta::assert_snapshot;

use super::{BROKER, Folder, case};
use crate::cli::{Said, poolguard, said};

#[test]
fn every_mistake_of_a_test_is_reported_in_one_run_with_its_place() {
    let text = "\
title: [An intruder]
run:
  comand: review
  config: ../../confg.yaml
  inputs: pod.yaml
  user: root
expect:
  exit: 256
  results:
    pod.yaml:
      decision: denied
      message: pool-a
  has:
  - {status: failed}
";
    let said = Folder::with_case(text).test(&[]);
    assert_eq!((said.code, said.out.as_str()), (2, "0 passed, 0 failed, 1 not run\n"));
    said.assert_plain();
    assert_snapshot!(said.err, @r#"
    error: expected a string in `title`, found a list
     --> tests/a/case.yaml:1:8
      |
    1 | title: [An intruder]
      |        ^^^^^^^^^^^^^

    error: unknown key `comand` in `run`; did you mean `command`?
     --> tests/a/case.yaml:3:3
      |
    3 |   comand: review
      |   ^^^^^^

    error: cannot read `../../confg.yaml`: there is no such file; did you mean `../../config.yaml`?
     --> tests/a/case.yaml:4:11
      |
    4 |   config: ../../confg.yaml
      |           ^^^^^^^^^^^^^^^^

    error: expected a list in `run.inputs`, found the string `pod.yaml`
     --> tests/a/case.yaml:5:11
      |
    5 |   inputs: pod.yaml
      |           ^^^^^^^^
      |
      = help: write `[pod.yaml]`

    error: unknown key `user` in `run`
     --> tests/a/case.yaml:6:3
      |
    6 |   user: root
      |   ^^^^
      |
      = help: the key is `as`, like the flag of `poolguard review`

    error: expected a whole number from 0 to 255 or a list in `expect.exit`, found the number 256
     --> tests/a/case.yaml:8:9
      |
    8 |   exit: 256
      |         ^^^

    error: expected one of `deny`, `warn`, `patch`, `allow`, `unreadable` in `expect.results["pod.yaml"].decision`, found `denied`
      --> tests/a/case.yaml:11:17
       |
    11 |       decision: denied
       |                 ^^^^^^
       |
       = help: the decision is `deny`

    error: unknown key `message` in `expect.results["pod.yaml"]`
      --> tests/a/case.yaml:12:7
       |
    12 |       message: pool-a
       |       ^^^^^^^
       |
       = help: the key is `says`, a list of texts that the message contains

    error: expected one of `pass`, `fail`, `unknown` in `expect.has[0].status`, found `failed`
      --> tests/a/case.yaml:14:14
       |
    14 |   - {status: failed}
       |              ^^^^^^
    "#);
}

/// Tests with mistakes, and what PoolGuard says about each: the place in the file, and the first line.
pub(super) const MISTAKEN: [(&str, &str); 29] = [
    ("run: {command: [\n", "1:16: this is not YAML: unclosed bracket '['"),
    ("", "expected a mapping in the test, found nothing"),
    ("- run\n", "1:1: expected a mapping in the test, found a list"),
    ("run: {command: review, inputs: [pod.yaml]}\n", "1:1: missing key `expect` at the top level"),
    ("run: {command: review, inputs: [pod.yaml]}\nexpect: {}\n", "2:9: the test expects nothing"),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {results: {}, says: []}\n",
        "2:9: the test expects nothing",
    ),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {exit: []}\n",
        "2:16: `exit` is a list without an exit code",
    ),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {says: [' ']}\n",
        "2:17: this text is empty",
    ),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {results: {pod.yaml: {rule: pod-intrusion}}}\n",
        "2:30: missing key `decision` in `expect.results[\"pod.yaml\"]`",
    ),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {results: {pod.yaml: {decision: deny, rule: pod-intrusoin}}}\n",
        "2:53: expected one of `pod-intrusion`, `workload-intrusion`, `pod-placement`, `cluster-exclusive`, `node-taint`, `node-identity`, `node-machine-type`, `node-zone`, `node-pool`, `role-binding` in `expect.results[\"pod.yaml\"].rule`, found `pod-intrusoin`; did you mean `pod-intrusion`?",
    ),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {results: {pods.yaml: {decision: deny}}}\n",
        "2:20: `pods.yaml` is no input of this test; did you mean `pod.yaml`?",
    ),
    (
        "run: {command: review, inputs: [pods.yaml]}\nexpect: {results: {pod.yaml: {decision: deny}}}\n",
        "1:33: cannot read `pods.yaml`: there is no such file; did you mean `pod.yaml`? | 2:20: `pod.yaml` is no input of this test",
    ),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {results: {'pod.yaml#2': {decision: deny}}}\n",
        "2:20: no result has the name `pod.yaml#2`; did you mean `pod.yaml`?",
    ),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {results: {pod.yaml: {decision: unreadable, rule: node-taint}}}\n",
        "2:59: an input that PoolGuard cannot read has no `rule`",
    ),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {has: [{rule: node-taint}]}\n",
        "2:10: `has` is a key for `check`, and this test runs `review`",
    ),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {time: {than: [], atMost: -1}}\n",
        "2:23: `than` has no input to compare with | 2:35: expected a number from 0 up in `expect.time.atMost`, found the number -1",
    ),
    (
        "run: {command: reviw, inputs: [pod.yaml]}\nexpect: {exit: 1}\n",
        "1:16: expected one of `review`, `check`, `config-check`, `serve` in `run.command`, found `reviw`; did you mean `review`?",
    ),
    ("run: {command: review}\nexpect: {exit: 1}\n", "1:6: `review` has no `inputs`"),
    (
        "run: {command: review, inputs: [pod.yml]}\nexpect: {exit: 1}\n",
        "1:33: cannot read `pod.yml`: there is no such file; did you mean `pod.yaml`?",
    ),
    (
        "run: {command: review, inputs: [pod.yaml], plan: pod.yaml}\nexpect: {exit: 1}\n",
        "1:44: `plan` is a key for `check`, and this test runs `review`",
    ),
    (
        "run: {command: review, inputs: [pod.yaml], generate: make.sh}\nexpect: {exit: 1}\n",
        "1:54: cannot read `make.sh`: there is no such file",
    ),
    (
        "run: {command: check}\nexpect: {exit: 1}\n",
        "1:6: `check` has neither a `cluster` nor a `plan`",
    ),
    (
        "run: {command: check, cluster: pod.yaml, plan: pod.yaml}\nexpect: {exit: 1}\n",
        "1:42: `check` has a `cluster` and a `plan`; it reads only one of them",
    ),
    (
        "run: {command: check, cluster: ../../cluster.json}\nexpect: {has: [{}]}\n",
        "2:16: this finding is empty: any finding matches",
    ),
    (
        "run: {command: check, plan: pod.yaml}\nexpect: {has: [{status: fail}]}\n",
        "tests/a/pod.yaml is not a plan in the format of `terraform show -json PLAN`: it is not one JSON document: expected value at line 2 column 1",
    ),
    (
        "run: {command: check, plan: pod.yaml}\nexpect: {saysNot: [wine]}\n",
        "tests/a/pod.yaml is not a plan in the format of `terraform show -json PLAN`: it is not one JSON document: expected value at line 2 column 1",
    ),
    (
        "run: {command: review, inputs: [pod.yaml]}\nexpect: {results: {'pod.yaml#1': {decision: deny}, 'pod.yaml#2': {decision: deny}}}\n",
        "2:20: no result has the name `pod.yaml#1`; did you mean `pod.yaml`? | 2:52: no result has the name `pod.yaml#2`; did you mean `pod.yaml`?",
    ),
    ("run: {command: config-check}\nexpect: {exit: 1}\n", "1:6: `config-check` has no `config`"),
    (
        "run: {command: serve, inputs: [pod.yaml]}\nexpect: {lines: 1}\n",
        "tests/a/pod.yaml: PoolGuard cannot read the request: the body is not an AdmissionReview in JSON: expected an object at line 2, column 1",
    ),
];

/// `line:column: message` of each error, and the message alone where it is about no line of the test.
pub(super) fn errors(said: &Said) -> String {
    let blocks = said.err.split("\n\n").filter_map(|block| block.strip_prefix("error: "));
    let lines = blocks.map(|block| {
        let message = block.lines().next().unwrap();
        let place =
            block.lines().find_map(|line| line.trim().strip_prefix("--> tests/a/case.yaml:"));
        place.map_or_else(|| message.to_owned(), |place| format!("{place}: {message}"))
    });
    lines.collect::<Vec<_>>().join(" | ")
}

#[test]
fn a_test_that_says_nothing_certain_is_a_mistake() {
    for (text, expected) in MISTAKEN {
        let said = Folder::with_case(text).test(&[]);
        assert_eq!((said.code, errors(&said).as_str()), (2, expected), "{text}: {said:?}");
        assert_eq!(said.out, "0 passed, 0 failed, 1 not run\n", "{text}");
    }
}

#[test]
fn a_config_with_errors_is_shown_once_for_all_tests_that_use_it() {
    let case =
        "run: {command: review, config: ../config.yaml, inputs: [pod.yaml]}\nexpect: {exit: 0}\n";
    let folder = Folder::with_case(case).file("config.yaml", "rulez: {}\n");
    let folder = ["b", "c", "d"].into_iter().fold(folder, |folder, name| {
        folder.file(&format!("{name}/case.yaml"), case).file(&format!("{name}/pod.yaml"), BROKER)
    });
    let said = folder.test(&[]);
    assert_eq!((said.code, said.out.as_str()), (2, "0 passed, 0 failed, 4 not run\n"));
    assert_eq!(said.err.matches("unknown key `rulez`").count(), 1, "{}", said.err);
    assert!(said.err.contains("--> tests/config.yaml:1:1"), "{}", said.err);
    assert!(said.err.contains("not run because of it: a, b, c and 1 more"), "{}", said.err);
}

#[test]
fn an_input_that_cannot_be_read_can_be_what_a_test_expects() {
    for (text, is_met) in [
        ("run: {command: check, plan: pod.yaml}\nexpect: {exit: 2, says: [is not a plan]}\n", true),
        ("run: {command: check, plan: pod.yaml}\nexpect: {says: [is not a plan]}\n", true),
        ("run: {command: check, plan: pod.yaml}\nexpect: {says: [wine]}\n", false),
        ("run: {command: config-check, config: pod.yaml}\nexpect: {exit: 1}\n", true),
        ("run: {command: review, config: pod.yaml, inputs: [pod.yaml]}\nexpect: {exit: 2}\n", true),
        (
            "run: {command: review, inputs: [case.yaml]}\nexpect: {results: {case.yaml: {decision: unreadable}}}\n",
            true,
        ),
        (
            "run: {command: review, inputs: [pod.yaml]}\nexpect: {results: {pod.yaml: {decision: unreadable}}}\n",
            false,
        ),
    ] {
        let said = Folder::with_case(text).test(&[]);
        assert_eq!((said.code, said.err.as_str()), (i32::from(!is_met), ""), "{text}: {said:?}");
    }
}

#[test]
fn a_folder_without_a_test_is_a_mistake() {
    let folder = Folder::new();
    for (arguments, expected) in [
        (
            &[][..],
            "error: tests contains no test: PoolGuard looked for `case.json`, `case.yaml` and `case.yml` in this folder and in all folders below it\n",
        ),
        (
            &["--filter", "a"],
            "error: tests contains no test: PoolGuard looked for `case.json`, `case.yaml` and `case.yml` in this folder and in all folders below it\n",
        ),
    ] {
        let said = folder.test(arguments);
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (2, "", expected));
    }
    let of = |place: &str| said(poolguard(&["test", place]).current_dir(folder.0.path()));
    assert!(of("nowhere").err.starts_with("error: cannot read nowhere: "));
    assert!(of("config.yaml").err.starts_with("error: config.yaml is no test: "));
}

#[test]
fn a_test_under_another_name_is_not_left_out_silently() {
    let good = case("", "review", "{exit: 0}");
    let folder = Folder::with_case(&good)
        .file("a/case2.yaml", &good)
        .file("b/case.yaml.orig", &good)
        .file("c/expected.yaml", "expect: {}\n")
        .file("c/script.sh", "run: expect:\n");
    let said = folder.test(&[]);
    assert_eq!((said.code, said.out.as_str()), (2, "1 passed, 0 failed, 2 not run\n"));
    for name in ["tests/a/case2.yaml", "tests/b/case.yaml.orig"] {
        let expected = format!("error: {name} looks like a test that PoolGuard does not run: ");
        assert!(said.err.contains(&expected), "{}", said.err);
    }
}
