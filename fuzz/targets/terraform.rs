//! Text to a Terraform plan, which is held against configs.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/properties/texts.rs"]
mod texts;

fuzz_target!(|text: &str| texts::check_plan(text));
