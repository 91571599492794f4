//! Rules of the repository that no compiler checks: which module may use which, that every file is
//! reachable and introduces itself, that functions fit a screen, that every dependency is used.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{folder} has no Rust file");
    files
}

/// The sources of PoolGuard, a folder for each crate.
const CRATES: [&str; 2] = ["src", "core/src"];

/// The first of the rooms that are in the crate `poolguard-core`, as all below it are.
const CORE: &str = "check";

/// The rooms of both crates, the highest first, and what each may use of the others: arrows go down only.
const ROOMS: [(&str, &[&str]); 15] = [
    (
        "cli",
        &[
            "admission",
            "api",
            "check",
            "cluster",
            "config",
            "controllers",
            "json",
            "kubernetes",
            "policy",
            "runtime",
            "server",
            "service",
            "telemetry",
            "terraform",
        ],
    ),
    ("runtime", &["admission", "api", "config", "controllers", "server", "service", "telemetry"]),
    (
        "controllers",
        &[
            "admission",
            "api",
            "check",
            "cluster",
            "config",
            "json",
            "kubernetes",
            "policy",
            "server",
            "service",
            "telemetry",
        ],
    ),
    ("service", &["admission", "api", "policy", "server", "telemetry"]),
    ("api", &["admission", "cluster", "json", "kubernetes", "policy", "telemetry"]),
    ("server", &["kubernetes", "telemetry"]),
    ("telemetry", &["json", "kubernetes", "policy"]),
    ("check", &["cluster", "config", "json", "kubernetes", "policy", "terraform"]),
    ("terraform", &["json", "kubernetes", "policy"]),
    ("config", &["json", "kubernetes", "policy"]),
    ("cluster", &["json", "kubernetes", "policy"]),
    ("admission", &["json", "kubernetes", "policy"]),
    ("policy", &["json", "kubernetes"]),
    ("kubernetes", &["json"]),
    ("json", &[]),
];

/// Every Rust file of both crates, with its text.
fn all_sources() -> Vec<(PathBuf, String)> {
    CRATES.into_iter().flat_map(sources).collect()
}

/// The top-level module that a file belongs to.
fn module(path: &Path) -> String {
    let mut parts = path.components().skip_while(|it| it.as_os_str() != "src");
    let name = parts.nth(1).unwrap().as_os_str().to_str().unwrap();
    name.trim_end_matches(".rs").to_owned()
}

/// The modules of its crate that a text names: `crate::a`, and `crate::{a, b::{…}, c}`.
fn used_modules(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect()
    };
    let mut used = BTreeSet::new();
    for (index, _) in code.match_indices("crate::") {
        let rest = &code[index + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.insert(word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ if start && !character.is_whitespace() => {
                    used.insert(word(&group[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    used
}

#[test]
fn arrows_go_down_only() {
    for (place, (room, allowed)) in ROOMS.iter().enumerate() {
        for used in *allowed {
            let below = ROOMS.iter().skip(place + 1).any(|(name, _)| name == used);
            assert!(below, "{room} uses {used}, which does not stand below it");
        }
    }
    for (path, text) in all_sources() {
        let module = module(&path);
        let (is_entry, used) = (["lib", "main"].contains(&&*module), used_modules(&text));
        let row = ROOMS.iter().find(|(name, _)| *name == module);
        assert!(is_entry || row.is_some(), "{module} is no room of ROOMS");
        assert!(
            is_entry || path.starts_with("core") == is_core(&module),
            "{} stands in the wrong crate",
            path.display()
        );
        let Some((_, allowed)) = row else { continue };
        for used in used {
            let is_room = ROOMS.iter().any(|(name, _)| *name == used);
            assert!(
                !is_room || used == module || allowed.contains(&used.as_str()),
                "{} uses crate::{used}, which {module} may not",
                path.display()
            );
        }
    }
}

/// Whether a room is in the crate `poolguard-core`.
fn is_core(room: &str) -> bool {
    ROOMS.iter().skip_while(|(name, _)| *name != CORE).any(|(name, _)| *name == room)
}

/// The rows `| room | what | what it may use |` of a section of ARCHITECTURE.md.
fn table(section: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, text) = text.split_once(&format!("\n## {section}\n")).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}

#[test]
fn architecture_shows_the_rooms_and_their_arrows() {
    let shown: Vec<(String, Vec<String>)> = table("Rooms")
        .into_iter()
        .map(|row| {
            let name =
                row[0].trim_matches('`').trim_end_matches('/').trim_end_matches(".rs").to_owned();
            let used = row[2].split(", ").filter(|it| !it.is_empty()).map(str::to_owned);
            (name, used.collect())
        })
        .collect();
    let expected: Vec<(String, Vec<String>)> = ROOMS
        .iter()
        .map(|(name, used)| ((*name).to_owned(), used.iter().map(|it| (*it).to_owned()).collect()))
        .collect();
    assert_eq!(shown, expected);
}

/// A file in the map of ARCHITECTURE.md stands for itself, a folder for what no other row shows.
#[test]
fn architecture_maps_every_module() {
    let mapped: BTreeSet<PathBuf> = table("Map")
        .iter()
        .flat_map(|row| {
            row[0]
                .split(", ")
                .map(|it| {
                    let path = Path::new("src").join(it.trim_matches('`'));
                    if is_core(&module(&path)) { Path::new("core").join(path) } else { path }
                })
                .collect::<Vec<_>>()
        })
        .collect();
    for path in &mapped {
        assert!(root().join(path).exists(), "ARCHITECTURE.md shows {}", path.display());
    }
    for (path, _) in all_sources() {
        let is_mapped = mapped.contains(&path.with_extension(""))
            || path.ancestors().any(|it| mapped.contains(it));
        let is_entry = path.parent().is_some_and(|it| it.ends_with("src"));
        assert!(is_mapped || is_entry, "ARCHITECTURE.md does not show {}", path.display());
    }
}

#[test]
fn the_scan_for_arrows_sees_them() {
    let text =
        "use crate::{\n    a::{b, c},\n    d,\n};\nlet x = crate::e::f();\n// crate::comment\n";
    assert_eq!(used_modules(text), ["a", "d", "e"].map(str::to_owned).into());
}

/// That of the core, its manifest and a lint hold; these values in and values out stand beside the client that
/// sends them.
#[test]
fn what_is_written_to_the_api_server_is_made_without_a_clock_or_a_task() {
    const FORBIDDEN: [&str; 10] = [
        "async ",
        ".await",
        "tokio",
        "tracing",
        "SystemTime",
        "Instant",
        "std::env",
        "std::fs",
        "std::net",
        "kube::",
    ];
    const PURE: [&str; 4] =
        ["src/api/object_ref", "src/api/rbac", "src/api/reports/", "src/api/reports.rs"];
    const SHELL: &str = "src/api/reports/writer";
    for (path, text) in sources("src/api") {
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        let name = path.to_str().unwrap();
        let is_pure = PURE.iter().any(|it| name.starts_with(it)) && !name.starts_with(SHELL);
        if !is_pure || is_test || path.ends_with("tests.rs") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for (number, line) in code.enumerate() {
            for word in FORBIDDEN {
                assert!(!line.contains(word), "{}:{}: {word}", path.display(), number + 1);
            }
        }
    }
}

/// What would bring a clock, a task, a socket or a client into the core.
#[test]
fn the_core_depends_on_no_runtime_and_no_client() {
    const SHELL: [&str; 8] =
        ["hyper", "kube", "prometheus", "rcgen", "rustls", "tempfile", "tokio", "tracing"];
    let manifest = fs::read_to_string(root().join("core/Cargo.toml")).unwrap();
    for name in dependencies(&manifest, "dependencies") {
        assert!(!SHELL.iter().any(|it| name.starts_with(it)), "poolguard-core depends on {name}");
    }
}

#[test]
fn every_file_is_reachable() {
    for (folder, entries) in [
        ("src", &["src/main.rs", "src/lib.rs"][..]),
        ("core/src", &["core/src/lib.rs"]),
        ("tests/it", &["tests/it/main.rs"]),
        ("tests/rollout", &["tests/rollout/main.rs"]),
        ("tests/soak", &["tests/soak/main.rs"]),
        ("tests/e2e", &["tests/e2e/main.rs"]),
        ("benches", &["benches/decide.rs", "benches/load.rs"]),
    ] {
        let sources = sources(folder);
        for (path, _) in &sources {
            if entries.iter().any(|entry| path == Path::new(entry)) {
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap();
            let declaration = format!("mod {name};");
            let parent = path.parent().unwrap();
            let is_parent = |other: &Path| {
                other.with_extension("") == parent
                    || entries.iter().any(|entry| other == Path::new(entry))
            };
            let declares = |text: &str| {
                text.lines().any(|line| {
                    let line = line.trim();
                    line == declaration || line.ends_with(&format!(" {declaration}"))
                })
            };
            let is_declared =
                sources.iter().any(|(other, text)| is_parent(other) && declares(text));
            assert!(is_declared, "{} is declared by no `{declaration}`", path.display());
        }
    }
}

#[test]
fn every_file_introduces_itself() {
    for folder in ["src", "core/src", "tests", "benches"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//! "), "{} does not start with //!", path.display());
        }
    }
}

/// A function that does not fit a screen does more than one thing.
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn functions_fit_a_screen() {
    for (path, text) in all_sources() {
        let lines: Vec<&str> = text.lines().collect();
        let starts = lines.iter().enumerate().filter(|(_, line)| {
            let line = line.trim_start();
            line.starts_with("fn ") || (line.starts_with("pub") && line.contains(" fn "))
        });
        for (start, line) in starts {
            let indent = line.len() - line.trim_start().len();
            let end = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| *line == end).unwrap_or(0);
            assert!(
                length <= FUNCTION_LINES_MAX,
                "{}:{}: {length} lines",
                path.display(),
                start + 1
            );
        }
    }
}

#[test]
fn nothing_is_left_undone() {
    for folder in ["src", "core/src", "tests", "benches"] {
        for (path, text) in sources(folder) {
            for word in ["TODO", "FIXME", "XXX", "#[ignore"] {
                let is_this_list = path.ends_with("tidy.rs");
                assert!(is_this_list || !text.contains(word), "{}: {word}", path.display());
            }
        }
    }
}

/// The names in a table of a manifest.
fn dependencies(manifest: &str, table: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| *line != format!("[{table}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let entries = lines.filter(|line| !line.starts_with('#')).filter_map(|it| it.split_once(" = "));
    entries.map(|(name, _)| name.to_owned()).collect()
}

/// Whether code names a crate: `name::…`, or `use name;`.
fn names_crate(text: &str, name: &str) -> bool {
    let mut code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let is_named = |line: &str| {
        line.match_indices(name).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            let before =
                before.strip_suffix("::").filter(|it| !it.ends_with(is_of_word)).unwrap_or(before);
            let is_first = !before.ends_with(|it| is_of_word(it) || it == ':');
            is_first
                && (after.starts_with("::") || before.ends_with("use ") && after.starts_with(';'))
        })
    };
    code.any(is_named)
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn every_dependency_is_used() {
    for (manifest, table, folders) in [
        ("Cargo.toml", "dependencies", &["src"][..]),
        ("core/Cargo.toml", "dependencies", &["core/src"]),
        ("core/Cargo.toml", "dev-dependencies", &["core/src"]),
        ("Cargo.toml", "dev-dependencies", &["src", "tests", "benches"]),
        // Its targets include files of the properties.
        ("fuzz/Cargo.toml", "dependencies", &["fuzz/targets", "tests/it/properties"]),
    ] {
        let names = dependencies(&fs::read_to_string(root().join(manifest)).unwrap(), table);
        assert!(!names.is_empty(), "{manifest} has no [{table}]");
        let sources: Vec<_> = folders.iter().flat_map(|it| sources(it)).collect();
        for name in names {
            let spelled = name.replace('-', "_");
            let is_used = sources.iter().any(|(_, text)| names_crate(text, &spelled));
            let places = folders.join(" or ");
            assert!(is_used, "{manifest}: {name} is in [{table}], but nothing in {places} uses it");
        }
    }
}

#[test]
fn the_scan_for_dependencies_sees_them() {
    let manifest = "[package]\na = 1\n[dependencies]\n# c = 2\nb-c = \"1\"\nd = { version = \"1\" }\n\n[x]\ne = 1\n";
    assert_eq!(dependencies(manifest, "dependencies"), ["b-c", "d"]);
    for used in
        ["use b_c::x;", "let x = b_c::y();", "    use b_c;", "f(&::b_c::Z)", "#[derive(b_c::D)]"]
    {
        assert!(names_crate(used, "b_c"), "{used}");
    }
    for other in
        ["// b_c::x", "use crate::b_c::x;", "ab_c::x()", "b_cd::x()", "let b_c = 1;", "mod b_c;"]
    {
        assert!(!names_crate(other, "b_c"), "{other}");
    }
}
