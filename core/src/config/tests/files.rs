//! The files that are shown to people: the schema, the examples, the documentation.
#![expect(clippy::disallowed_methods, reason = "a test reads the files that it is about")]

use std::{fs, path::Path};

use super::*;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Files of a folder with this ending, with their text.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The configs in the YAML blocks of a Markdown text.
fn blocks(text: &str) -> Vec<&str> {
    text.split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
        .filter(|block| block.contains("kind: PoolGuardConfig"))
        .collect()
}

/// Every config that is shown to people, with where it is shown.
fn shown_configs() -> Vec<(String, String)> {
    let mut configs = files("examples", "yaml");
    let mut documents = files("docs", "md");
    if let Ok(text) = fs::read_to_string(root().join("README.md")) {
        documents.push(("README.md".to_owned(), text));
    }
    for (name, text) in documents {
        for (index, block) in blocks(&text).into_iter().enumerate() {
            configs.push((format!("{name}, block {index}"), block.to_owned()));
        }
    }
    configs.retain(|(_, text)| text.contains("kind: PoolGuardConfig"));
    configs
}

#[test]
fn every_config_that_is_shown_loads() {
    let configs = shown_configs();
    assert!(configs.len() > 8, "only {} configs found", configs.len());
    for (name, text) in configs {
        if let Err(diagnostics) = load(&name, &text, None) {
            panic!("{name}\n{}", diagnostics.render(Decoration::Plain));
        }
    }
}

#[test]
fn no_example_has_a_warning() {
    for (name, text) in files("examples", "yaml") {
        let loaded = load(&name, &text, None).unwrap();
        let warnings: Vec<_> = loaded.warnings.iter().map(|it| it.one_line(&name)).collect();
        assert!(warnings.is_empty() || name.ends_with("minimal.yaml"), "{warnings:#?}");
    }
}

#[test]
fn every_provider_has_an_example() {
    let names: Vec<_> = files("examples", "yaml").into_iter().map(|(name, _)| name).collect();
    for provider in Provider::ALL.into_iter().filter(|it| *it != Provider::Other) {
        assert!(names.iter().any(|name| name.ends_with(&format!("{provider}.yaml"))), "{provider}");
    }
}

#[test]
fn every_config_that_is_shown_is_valid_by_the_printed_schema() {
    let validator = jsonschema::validator_for(schema()).unwrap();
    for (name, text) in shown_configs() {
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn what_the_schema_refuses_does_not_load() {
    let validator = jsonschema::validator_for(schema()).unwrap();
    for body in [
        "unknown: 1",
        "provider: amazon",
        "pools: [{name: a}]",
        "pools: [{name: a, nodes: {matchLabels: {a: b}}, zones: []}]",
        "pools: [{name: a, nodes: {matchLabels: {a: b}}, zones: [a, b, c, d]}]",
        "taint: {effect: PreferNoSchedule}",
        "exempt: [{namespace: a}]",
        "scan: {interval: 10}",
        "scan: {interval: ten}",
        "rules: {node-taint: enforce}",
        "protected: [{name: p, resource: configmaps, names: []}]",
    ] {
        let text = format!("{HEAD}{body}\n");
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert!(!validator.is_valid(&value), "{body}");
        assert!(load("config.yaml", &text, None).is_err(), "{body}");
    }
}

#[test]
fn the_schema_in_the_documentation_is_the_printed_one() {
    let printed = serde_json::to_string_pretty(schema()).unwrap() + "\n";
    let kept = fs::read_to_string(root().join("docs/config.schema.json")).unwrap_or_default();
    assert!(kept == printed, "write it anew: cargo run -- config schema > docs/config.schema.json");
}

#[test]
fn the_schema_says_nothing_that_the_check_does_not_know() {
    /// Meaning, which is checked elsewhere, and what is not checked at all.
    const ANNOTATIONS: [&str; 13] = [
        "$defs",
        "$id",
        "$schema",
        "default",
        "description",
        "examples",
        "maxItems",
        "minItems",
        "minLength",
        "pattern",
        "title",
        "uniqueItems",
        "x-refusals",
    ];
    /// What the check of the structure goes by.
    const STRUCTURE: [&str; 9] = [
        "$ref",
        "additionalProperties",
        "const",
        "enum",
        "items",
        "oneOf",
        "properties",
        "required",
        "type",
    ];
    fn look(schema: &serde_json::Value) {
        for (word, below) in schema.as_object().into_iter().flatten() {
            let is_known =
                ANNOTATIONS.contains(&word.as_str()) || STRUCTURE.contains(&word.as_str());
            assert!(is_known, "{word} in {schema}");
            match word.as_str() {
                "type" => {
                    let known = ["object", "array", "string", "boolean"];
                    assert!(below.as_str().is_some_and(|it| known.contains(&it)), "{schema}");
                }
                "$defs" | "properties" => {
                    below.as_object().into_iter().flatten().for_each(|(_, below)| look(below));
                }
                "items" | "additionalProperties" => look(below),
                "oneOf" => below.as_array().into_iter().flatten().for_each(look),
                _ => {}
            }
        }
    }
    look(schema());
}

#[test]
fn every_key_is_documented() {
    let text = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut keys = Vec::new();
    collect_keys(schema(), &mut keys);
    let is_named =
        |key: &&String| text.contains(&format!("`{key}`")) || text.contains(&format!(".{key}`"));
    let missing: Vec<_> = keys.iter().filter(|key| !is_named(key)).collect();
    assert!(missing.is_empty(), "docs/configuration.md says nothing of {missing:?}");
}

/// The names of all keys, and that each has a description.
fn collect_keys(schema: &serde_json::Value, keys: &mut Vec<String>) {
    let serde_json::Value::Object(object) = schema else { return };
    if let Some(serde_json::Value::Object(properties)) = object.get("properties") {
        for (key, below) in properties {
            assert!(below.get("description").is_some(), "`{key}` has no description");
            keys.push(key.clone());
        }
    }
    for below in object.values() {
        collect_keys(below, keys);
    }
}
