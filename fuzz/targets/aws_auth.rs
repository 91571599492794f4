//! Two texts to an update of `aws-auth`'s list of roles, by everybody's config.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/properties/invariants.rs"]
mod invariants;
#[path = "../../tests/it/properties/objects.rs"]
mod objects;

fuzz_target!(|text: &str| objects::check_map_roles(text));
