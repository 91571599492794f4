//! Text to a config, or to every mistake in it.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/properties/texts.rs"]
mod texts;

fuzz_target!(|text: &str| texts::check_config(text));
