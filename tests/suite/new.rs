//! `mulot new`: a folder that builds at once, with nothing invented in it.

use std::path::Path;

use crate::commune_test::CommuneTest;

/// Every text of a site that speaks of the sample commune.
fn pages_about_the_sample(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if String::from_utf8_lossy(&std::fs::read(&path).expect("readable")).contains("Mulot-des-Champs") {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn communes_of_every_kind_build_at_once_and_publish_nothing_fictional() {
    for (code, de) in [
        ("01299", "du Plantay"),
        ("02281", "de L'Épine-aux-Bois"),
        ("04116", "des Mées"),
        ("29155", "d'Ouessant"),
        ("57463", "de Metz"),
        ("97411", "de Saint-Denis"),
        ("98731", "de Nuku-Hiva"),
    ] {
        let test = CommuneTest::empty();
        let run = test.run(&["new", "commune", "--insee", code]);
        assert_eq!(run.code, 0, "{code}: {}", run.stderr);
        assert!(test.read("commune.toml").contains(&format!("forme_de = \"{de}\"")), "{code}");
        let run = test.build();
        assert_eq!(run.code, 0, "{code}: {}", run.stderr);
        assert!(!run.stderr.contains("erreur") && !run.stderr.contains("avertissement"), "{code}: {}", run.stderr);
        assert!(run.stderr.contains("à compléter"), "{code}: what only the mairie knows is asked for");
        assert_eq!(pages_about_the_sample(&test.public()), Vec::<String>::new(), "{code}");
    }
}

#[test]
fn without_examples_it_builds_too() {
    let test = CommuneTest::empty();
    assert_eq!(test.run(&["new", "commune", "--nom", "le plantay", "--sans-exemples"]).code, 0);
    assert_eq!(test.build().code, 0);
    assert!(!test.folder().join("annuaire/elus/helene-aubry.md").exists());
}

#[test]
fn an_absorbed_code_leads_to_the_present_commune_and_says_so() {
    let test = CommuneTest::empty();
    let run = test.run(&["new", "commune", "--insee", "01015"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("Arbignieu (01015) est aujourd'hui"), "{}", run.stderr);
    assert!(test.read("commune.toml").contains("nom = \"Arboys en Bugey\""));
}

#[test]
fn what_cannot_be_done_is_told_and_nothing_is_made() {
    for (words, told) in [
        (["--insee", "99999"], "aucune commune n'a le code INSEE « 99999 »"),
        (["--insee", "01990"], "« 01990 » est un code postal, pas un code INSEE"),
        (["--insee", "plantay"], "« plantay » n'est pas un code INSEE"),
        (["--nom", "Nulle-Part"], "aucune commune ne répond à « Nulle-Part »"),
        (["--nom", "Saint-Denis"], "plusieurs communes répondent à « Saint-Denis »"),
    ] {
        let test = CommuneTest::empty();
        let run = test.run(&[["new", "commune"], words].concat());
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert!(!test.folder().exists());
    }
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let test = CommuneTest::empty().write("notes.txt", "à garder");
    let run = test.run(&["new", "commune", "--insee", "01299"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("« commune » n'est pas vide"), "{}", run.stderr);
    assert_eq!(std::fs::read_dir(test.folder()).expect("a folder").count(), 1);
}
