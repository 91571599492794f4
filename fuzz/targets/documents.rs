//! Text to documents, which are the same however they are written.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/properties/texts.rs"]
mod texts;

fuzz_target!(|text: &str| texts::check_documents(text));
