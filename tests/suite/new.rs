//! `mulot new`: a folder that builds at once, with nothing invented in it.

use std::path::Path;

use crate::commune_test::CommuneTest;

/// Every text of a site that speaks of the sample commune.
fn pages_about_the_sample(folder: &Path) -> Vec<String> {
    pages_with(folder, &["Mulot-des-Champs".to_owned()])
}

/// Every text of a folder that holds one of these words, no-break spaces being spaces and apostrophes straight.
fn pages_with(folder: &Path, words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = String::from_utf8_lossy(&std::fs::read(&path).expect("readable")).replace('\u{a0}', " ");
                let text = text.replace('’', "'").replace('\u{2011}', "-");
                if words.iter().any(|word| text.contains(word.as_str())) {
                    found.push(path.display().to_string());
                }
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
        assert!(!run.stdout.contains("erreur") && !run.stdout.contains("avertissement"), "{code}: {}", run.stdout);
        assert!(run.stdout.contains("à compléter"), "{code}: what only the mairie knows is asked for");
        assert_eq!(pages_about_the_sample(&test.public()), Vec::<String>::new(), "{code}");
        // « de Le Plantay », « à Les Mées », « de Ouessant » are not French: no template writes a preposition before the name.
        let name = de.split_once([' ', '\'']).map_or("", |(_, name)| name);
        let whole = test
            .read("commune.toml")
            .lines()
            .find_map(|line| Some(line.strip_prefix("nom = ")?.trim_matches('"').to_owned()));
        let whole = whole.expect("a name");
        let wrong: Vec<String> = ["de", "à"]
            .iter()
            .map(|word| format!(" {word} {whole}"))
            .filter(|wrong| !wrong.ends_with(&format!(" {de}")) && (whole != name || wrong.starts_with(" de ")))
            .collect();
        for folder in [test.folder(), test.public()] {
            assert_eq!(pages_with(&folder, &wrong), Vec::<String>::new(), "{code}");
        }
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

#[test]
fn a_former_name_says_why_a_commune_is_listed() {
    let run = CommuneTest::empty().run(&["new", "commune", "--nom", "Arbign"]);
    assert!(run.stderr.contains("Arboys en Bugey (01300, Ain ; autrefois Arbignieu)"), "{}", run.stderr);
}
