//! `config check` and `config schema`.

use serde_json::Value;

use super::{poolguard, run, run_on, said};
use crate::scenario::{data_text, yaml};

#[test]
fn a_good_config_is_summarised() {
    let checked = run(&["config", "check", "config.yaml"]);
    assert_eq!(checked.code, 0);
    checked.assert_plain();
    assert!(checked.out.starts_with("ok config.yaml"), "{}", checked.out);
    for word in ["pool-abc", "us-east-1c", "instance-3", "kube-system", "pod-intrusion"] {
        assert!(checked.out.contains(word), "{word} is missing in {}", checked.out);
    }
    // The argument, the flag, the environment and standard input are the same config.
    let flag = run(&["config", "check", "--config", "config.yaml"]);
    assert_eq!(flag.out, checked.out);
    let environment = said(poolguard(&["config", "check"]).env("POOLGUARD_CONFIG", "config.yaml"));
    assert_eq!(environment.out, checked.out);
    let input = run_on(&data_text("config.yaml"), &["config", "check", "-"]);
    assert_eq!(input.out, checked.out.replace("ok config.yaml", "ok <stdin>"));
}

#[test]
fn every_mistake_of_a_bad_config_is_told_at_once() {
    let text = data_text("config.yaml")
        .replace("zones: [us-east-1b]", "zone: [us-east-1b]")
        .replace("pool: pool-a}", "pool: pool-x}");
    let checked = run_on(&text, &["config", "check", "-"]);
    assert_eq!((checked.code, checked.out.as_str()), (1, ""));
    checked.assert_plain();
    for words in ["`zone`", "`zones`", "--> <stdin>:14:3", "pool-x", "--> <stdin>:21:"] {
        assert!(checked.err.contains(words), "{words} is missing in {}", checked.err);
    }
    let machine = run_on(&text, &["config", "check", "-", "-o", "json"]);
    assert_eq!((machine.code, machine.err.as_str()), (1, ""));
    let list = machine.json();
    let errors = list.as_array().unwrap().iter().filter(|it| it["severity"] == "error");
    let places: Vec<_> = errors.map(|it| (it["line"].as_u64().unwrap(), &it["key"])).collect();
    assert!(places.iter().any(|(line, _)| *line == 14), "{places:?}");
    assert!(places.iter().any(|(line, _)| *line == 21), "{places:?}");
}

#[test]
fn a_config_that_is_not_there_is_exit_code_2() {
    let checked = run(&["config", "check", "no/such.yaml"]);
    assert_eq!((checked.code, checked.out.as_str()), (2, ""));
    assert!(checked.err.starts_with("error: cannot read no/such.yaml: "), "{}", checked.err);
    assert_eq!(run(&["config", "check"]).code, 2);
}

#[test]
fn the_schema_is_json_and_accepts_the_recorded_config() {
    let printed = run(&["config", "schema"]);
    assert_eq!((printed.code, printed.err.as_str()), (0, ""));
    let schema: Value = printed.json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut config = yaml(&data_text("config.yaml"));
    assert!(validator.is_valid(&config));
    config["pools"][0]["zone"] = "us-east-1a".into();
    assert!(!validator.is_valid(&config));
}
