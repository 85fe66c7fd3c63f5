//! ARCHITECTURE.md says which module may import which; this test reads it and the sources.

use std::collections::BTreeMap;
use std::path::Path;

struct Module {
    floor: u32,
    doors: Vec<String>,
}

fn table() -> BTreeMap<String, Module> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [floor, module, _, doors] = cells[..] else { return None };
        let floor = floor.parse().ok()?;
        let doors = doors.split(',').map(|door| door.trim().to_owned()).filter(|door| door != "–").collect();
        Some((module.trim_matches('`').to_owned(), Module { floor, doors }))
    });
    rows.collect()
}

/// Every source file with the module of the first level it belongs to, its unit tests left out.
fn sources() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
            let module = relative.split('/').next().unwrap_or("").trim_end_matches(".rs").to_owned();
            let is_test = relative.ends_with("tests.rs") || relative.contains("test_") || relative.contains("/tests/");
            if path.extension().is_some_and(|extension| extension == "rs") && module != "lib" && !is_test {
                let text = std::fs::read_to_string(&path).expect("a source");
                let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("").to_owned();
                files.push((relative, module, text));
            }
        }
    }
    files.sort();
    files
}

/// Names that follow `prefix` in a text, comments left out.
fn names_after<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(move |line| {
        line.match_indices(prefix).filter_map(move |(at, _)| {
            let word_before = line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
            let rest = &line[at + prefix.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (!word_before && end > 0).then(|| &rest[..end])
        })
    })
}

#[test]
fn modules_import_only_from_lower_floors() {
    let table = table();
    assert!(table.len() >= 15, "the table of ARCHITECTURE.md was read");
    let mut wrong = Vec::new();
    for (file, module, text) in sources() {
        let Some(own) = table.get(&module) else {
            wrong.push(format!("{file}: {module} is not in the table of ARCHITECTURE.md"));
            continue;
        };
        let braces =
            text.split("use crate::{").skip(1).flat_map(|rest| rest.split('}').next().unwrap_or("").split(','));
        let grouped = braces.map(|name| name.trim().split("::").next().unwrap_or("").trim());
        for name in names_after(&text, "crate::").chain(grouped).filter(|name| *name != module) {
            match table.get(name) {
                Some(other) if other.floor < own.floor => {}
                Some(other) => {
                    wrong.push(format!("{file}: floor {} imports {name} of floor {}", own.floor, other.floor))
                }
                None => {}
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_foreign_crate_has_one_door() {
    let table = table();
    // A crate that several modules open for files of their own (TOML) stands in each of their rows.
    let mut doors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (module, row) in &table {
        for door in &row.doors {
            doors.entry(door).or_default().push(module);
        }
    }
    let mut wrong = Vec::new();
    for (file, module, text) in sources() {
        for (door, owners) in &doors {
            let used = text.lines().any(|line| {
                let line = line.trim();
                !line.starts_with("//")
                    && (line.starts_with(&format!("use {door}::"))
                        || line.contains(&format!(" {door}::"))
                        || line.contains(&format!("({door}::")))
            });
            if used && !owners.contains(&module.as_str()) {
                wrong.push(format!("{file}: {door} is used outside {}", owners.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
