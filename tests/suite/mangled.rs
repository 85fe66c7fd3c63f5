//! Fiches and settings as no hand writes them: mutilated at random, they give diagnostics with a line, never a crash.
//!
//! `MULOT_HASARD` (a number, printed when something fails) chooses the mutilations; `MULOT_LONG=1` makes a hundred times as many.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::chance::{Chance, rounds};
use crate::commune_test::CommuneTest;

/// Words of TOML and of Markdown, put where they do not belong.
const SPLINTERS: [&[u8]; 16] = [
    b"[[champ]]\n",
    b"[formulaire]\n",
    b"+++\n",
    b"id = \"objet\"\n",
    b"si = \"\"\n",
    b"si = \"a = b et c < d | e\"\n",
    b"type = \"groupe\"\n",
    b"choix = []\n",
    b"= {",
    b"\"\"\"",
    b"\\u0000",
    b"\xff\xfe",
    "\u{202e}\u{feff}".as_bytes(),
    b"99999999999999999999",
    b"prix = -0.005\n",
    b"# ",
];

/// The text of every fiche of the catalogue, and of one that holds the whole language.
fn fiches() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root.join("content/demarches"))
        .expect("the catalogue")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let mut fiches: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).expect("a fiche")).collect();
    let head = "+++\ntitre = \"Tout\"\nservice = \"secretariat\"\nqui_traite = \"commune\"\n[formulaire]\nnature = \"demande\"\nidentite = \"personne\"\nregime = \"inconnu\"\n[formulaire.donnees]\nfinalite = \"répondre\"\nbase_legale = \"mission d'intérêt public\"\nconservation = \"3 mois\"\n";
    let whole = std::fs::read_to_string(root.join("tests/formulaires/tout.toml")).expect("the whole language");
    fiches.push(format!("{head}{whole}\n+++\n").into_bytes());
    fiches
}

#[test]
fn mutilated_fiches_are_told_with_their_line_and_never_crash() {
    let fiches = fiches();
    let seed = Chance::seed();
    let mut chance = Chance::of(seed);
    let mut told = 0;
    for round in 0..rounds(2) {
        let mut test = CommuneTest::minimal();
        for number in 0..60 {
            let fiche = &fiches[chance.below(fiches.len())];
            test = test.write(&format!("demarches/essai-{number}.md"), chance.mutilated(fiche, &SPLINTERS));
        }
        if chance.below(3) == 0 {
            let commune = test.read("commune.toml").into_bytes();
            test = test.write("commune.toml", chance.mutilated(&commune, &SPLINTERS));
        }
        let run = test.run(&["check", "commune", "--date", "2026-11-21", "--format", "json"]);
        let place = || format!("MULOT_HASARD={seed}, round {round}: {}\n{}", run.stderr, run.stdout);
        assert!(run.code == 0 || run.code == 1, "code {}: {}", run.code, place());
        let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", place()));
        for one in report["diagnostics"].as_array().expect("a list") {
            let (file, line) = (one["fichier"].as_str().unwrap_or(""), one["ligne"].as_u64().unwrap_or(0));
            assert!(!file.is_empty() && !one["message"].as_str().unwrap_or("").is_empty(), "{one}");
            if let Ok(bytes) = std::fs::read(test.folder().join(file)) {
                let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
                assert!(line <= lines, "{one} in a file of {lines} lines: {}", place());
            }
            told += 1;
        }
    }
    assert!(told > 60, "the mutilations hardly hurt: {told} diagnostics");
}
