//! The JSON Schema of a test, and the tests that are shown to people.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::mistakes::MISTAKEN;
use crate::{
    cli::run,
    scenario::{data, documents_of},
};

fn schema() -> Value {
    run(&["test", "--schema"]).json()
}

/// The value of a test file without keys that say nothing.
fn value_of(text: &str) -> Value {
    let mut value = documents_of(text).remove(0);
    for part in ["run", "expect"] {
        value[part].as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    value
}

/// The files of tests below a folder of the repository.
fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(cases(&path));
        } else if path.file_stem().is_some_and(|name| name == "case") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_examples_pass_and_are_valid_by_the_schema() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tests");
    let said = run(&["test", examples.to_str().unwrap()]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for provider in ["aws", "gcp", "azure", "alibaba", "huawei", "tencent", "oracle"] {
        let files = cases(&examples.join(provider));
        assert!(files.len() >= 5, "{provider} has {} tests", files.len());
    }
    let files = [cases(&examples), cases(&data("cases"))].concat();
    assert!(files.len() > 150, "{} tests", files.len());
    for file in files {
        let value = value_of(&fs::read_to_string(&file).unwrap());
        let errors: Vec<_> = validator.iter_errors(&value).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", file.display());
    }
}

/// What the schema shows of the mistakes.
const SHAPES: [&str; 6] = [
    "inputs: [pod.yaml]}\nexpect: {has",
    "{pod.yaml: {rule:",
    "pod-intrusoin",
    "atMost: -1",
    "reviw",
    "inputs: [pod.yaml], plan",
];

#[test]
fn the_schema_refuses_what_the_command_refuses() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (text, _) in MISTAKEN {
        let Ok(value) = serde_saphyr::from_str::<Value>(text) else { continue };
        // Keys, types and choices; not files, and not what is empty.
        let is_about_shape = !text.contains("expect") || SHAPES.iter().any(|it| text.contains(it));
        assert_eq!(validator.is_valid(&value), !is_about_shape, "{text}");
    }
}

#[test]
fn the_schema_in_the_documentation_is_the_printed_one() {
    let printed = run(&["test", "--schema"]).out;
    let kept = include_str!("../../../../docs/test.schema.json");
    assert!(kept == printed, "write it anew: cargo run -- test --schema > docs/test.schema.json");
}

#[test]
fn every_key_of_a_test_is_documented_and_described() {
    fn look(schema: &Value, keys: &mut Vec<String>) {
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            assert!(below.get("description").is_some(), "`{key}` has no description");
            keys.push(key.clone());
        }
    }
    let (schema, mut keys) = (schema(), Vec::new());
    look(&schema, &mut keys);
    for definition in schema["$defs"].as_object().unwrap().values() {
        look(definition, &mut keys);
    }
    let page = include_str!("../../../../docs/policy-tests.md");
    for key in keys {
        let is_documented =
            page.contains(&format!("`{key}`")) || page.contains(&format!("{key}: "));
        assert!(is_documented, "docs/policy-tests.md says nothing of `{key}`");
    }
}

#[test]
fn the_schema_says_nothing_that_the_command_does_not_check() {
    const WORDS: [&str; 18] = [
        "$defs",
        "$id",
        "$ref",
        "$schema",
        "additionalProperties",
        "const",
        "default",
        "description",
        "enum",
        "examples",
        "items",
        "maximum",
        "minimum",
        "oneOf",
        "properties",
        "required",
        "title",
        "type",
    ];
    fn look(schema: &Value) {
        for (word, below) in schema.as_object().into_iter().flatten() {
            assert!(WORDS.contains(&word.as_str()) || word == "x-refusals", "{word} in {schema}");
            match word.as_str() {
                "$defs" | "properties" => below.as_object().unwrap().values().for_each(look),
                "items" => look(below),
                "additionalProperties" if below.is_object() => look(below),
                "oneOf" => below.as_array().unwrap().iter().for_each(look),
                _ => {}
            }
        }
    }
    let mut schema = schema();
    // The keys of each command.
    schema.as_object_mut().unwrap().remove("allOf").unwrap();
    look(&schema);
}
