//! Bytes to audit lines, as a review, and to the page that sums them up, as lines.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/properties/invariants.rs"]
mod invariants;
#[path = "../../tests/it/properties/audit_lines.rs"]
mod audit_lines;

fuzz_target!(|bytes: &[u8]| audit_lines::check_audit(bytes));
