//! Bytes to an answer under the recorded config and another one, and what holds of every answer.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/properties/invariants.rs"]
mod invariants;

fuzz_target!(|body: &[u8]| {
    for world in &*invariants::WORLDS {
        world.check(body);
    }
});
