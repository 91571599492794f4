//! Load run.
fn main() {}
