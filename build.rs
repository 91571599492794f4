//! Gives `poolguard version` the compiler, the target and the profile of the build. It reads no git: the commit comes
//! from the variable `POOLGUARD_REVISION`, so that a new commit does not compile the crate again.

use std::{env, error::Error, io::Write, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name| env::var(name).map_err(|error| format!("{name}: {error}"));
    let said = Command::new(variable("RUSTC")?).arg("-vV").output()?.stdout;
    let said = String::from_utf8(said)?;
    let release = said.lines().find_map(|line| line.strip_prefix("release: "));
    let mut out = std::io::stdout();
    writeln!(out, "cargo::rerun-if-changed=build.rs")?;
    writeln!(
        out,
        "cargo::rustc-env=POOLGUARD_RUSTC={}",
        release.ok_or("rustc -vV has no release")?
    )?;
    for name in ["TARGET", "PROFILE"] {
        writeln!(out, "cargo::rustc-env=POOLGUARD_{name}={}", variable(name)?)?;
    }
    Ok(())
}
