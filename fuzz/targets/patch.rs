//! Pods and nodes to patches, which apply and leave nothing to patch.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/properties/invariants.rs"]
mod invariants;
#[path = "../../tests/it/properties/objects.rs"]
mod objects;

fuzz_target!(|text: &str| objects::check_placed(text));
