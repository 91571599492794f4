//! Text to an index of a cluster, and on to a snapshot.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/properties/texts.rs"]
mod texts;

fuzz_target!(|text: &str| texts::check_dump(text));
