//! The JSON Schema of a test: that of its mirror, with the keys that each command has.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::raw::{Command, RawTest};
use crate::{config::schema_of, policy::verdict::Decision};

/// The URL at which the schema is published.
const ID: &str = "https://poolguard.io/schemas/v1alpha1/test.schema.json";

/// The decisions that audit records have.
const RECORDED: [Decision; 7] = [
    Decision::Deny,
    Decision::Warn,
    Decision::Patch,
    Decision::Audit,
    Decision::Unknown,
    Decision::Exempt,
    Decision::BreakGlass,
];

/// The decisions of audit records as the file spells them.
pub(super) fn recorded() -> [&'static str; 7] {
    RECORDED.map(Decision::as_str)
}

/// Makes the schema.
pub(super) fn make() -> Value {
    let mut schema = schema_of::<RawTest>(ID);
    let conditions: Vec<Value> =
        Command::ALL.into_iter().map(|command| keys_of(command, &schema)).collect();
    schema["allOf"] = conditions.into();
    schema
}

/// Returns the schema of an exit code, or of a list of exit codes.
pub(super) fn exit(_: &mut SchemaGenerator) -> Schema {
    let code = json!({"type": "integer", "minimum": 0, "maximum": 255});
    json_schema!({"type": ["integer", "array"], "minimum": 0, "maximum": 255, "items": code})
}

/// Returns the condition that a test of this command has no keys of other commands.
fn keys_of(command: Command, schema: &Value) -> Value {
    let without = |part: &str, kept: &[&[&str]]| -> Map<String, Value> {
        let properties = &schema["properties"][part]["properties"];
        let keys = properties.as_object().into_iter().flatten();
        let others = keys.filter(|(key, _)| !kept.iter().any(|kept| kept.contains(&key.as_str())));
        others.map(|(key, property)| (key.clone(), empty(property))).collect()
    };
    let run = without("run", &[command.run_keys(), &["command", "generate"]]);
    let expect = without("expect", &[command.expect_keys(), &["says", "saysNot"]]);
    json!({
        "if": {
            "required": ["run"],
            "properties": {
                "run": {
                    "required": ["command"],
                    "properties": {"command": {"const": command.as_str()}}
                }
            }
        },
        "then": {
            "properties": {"run": {"properties": run}, "expect": {"properties": expect}}
        }
    })
}

/// Returns the schema of a key that does not belong to a command. The key may be there if it says nothing.
fn empty(property: &Value) -> Value {
    match property["type"].as_str() {
        Some("array") => json!({"maxItems": 0}),
        Some("object") => json!({"maxProperties": 0}),
        Some(_) | None => json!(false),
    }
}
