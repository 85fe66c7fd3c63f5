//! `mulot etat`: one page for the one who looks after all communes.

use std::path::PathBuf;

use serde_json::Value;

use crate::commune_test::{CommuneTest, Run};

struct Territoire {
    test: CommuneTest,
}

impl Territoire {
    /// Two communes, built, and a guichet for both.
    fn new() -> Self {
        let test = CommuneTest::empty();
        let model = CommuneTest::minimal();
        for name in ["aulnay", "bazoches"] {
            for file in
                walkdir::WalkDir::new(model.folder()).into_iter().flatten().filter(|one| one.file_type().is_file())
            {
                let inside = file.path().strip_prefix(model.folder()).expect("inside");
                let dest = test.root().join("pays/communes").join(name).join(inside);
                std::fs::create_dir_all(dest.parent().expect("a parent")).expect("a folder");
                let text = std::fs::read_to_string(file.path())
                    .expect("a text")
                    .replace("trou.example", &format!("{name}.example"));
                std::fs::write(dest, text.replace("Trou-la-Ville", &name.to_uppercase())).expect("written");
            }
        }
        std::fs::write(test.root().join("pays/territoire.toml"), "nom = \"Pays des Essais\"\n").expect("written");
        let config = "territoire = \"pays\"\ndonnees = \"donnees\"\n[courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n\
                      [etat]\ndestinataires = [\"technique@pays.example\"]\nexpediteur = \"guichet@pays.example\"\n";
        std::fs::write(test.root().join("guichet.toml"), config).expect("written");
        std::fs::create_dir_all(test.root().join("donnees")).expect("a folder");
        Territoire { test }
    }

    fn run(&self, words: &[&str]) -> Run {
        let run = self.test.run(words);
        let plain = |text: String| text.replace(['\u{a0}', '\u{202f}'], " ");
        Run { code: run.code, stdout: plain(run.stdout), stderr: plain(run.stderr) }
    }

    fn letters(&self) -> Vec<String> {
        let mut found: Vec<PathBuf> = walkdir::WalkDir::new(self.test.root().join("boite"))
            .into_iter()
            .flatten()
            .map(|entry| entry.into_path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        found.sort();
        found.iter().map(|path| std::fs::read_to_string(path).expect("a letter")).collect()
    }
}

#[test]
fn all_is_on_one_page_and_what_calls_for_a_person_comes_first() {
    let territoire = Territoire::new();
    let run = territoire.run(&["etat", "guichet.toml"]);
    assert_eq!(run.code, 1, "{} {}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("2 communes à regarder") && run.stdout.contains("jamais été construit"),
        "{}",
        run.stdout
    );
    assert_eq!(territoire.run(&["build", "pays"]).code, 0);
    let page = territoire.run(&["etat", "guichet.toml", "--page", "etat.html"]);
    assert!(page.code == 0 && page.stdout.contains("Page écrite"), "{}", page.stdout);
    let run = territoire.run(&["etat", "guichet.toml"]);
    assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
    assert!(run.stdout.contains("Tout va bien."), "{}", run.stdout);
    let page = std::fs::read_to_string(territoire.test.root().join("etat.html")).expect("the page");
    assert!(page.contains("AULNAY") && page.contains("BAZOCHES") && !page.contains("<script"), "{page}");
    // One is broken: it is named first, with why.
    let path = territoire.test.root().join("pays/communes/bazoches/commune.toml");
    let text = std::fs::read_to_string(&path).expect("a text");
    std::fs::write(&path, text.replace("nom = \"BAZOCHES\"", "nom = BAZOCHES")).expect("written");
    assert_eq!(territoire.run(&["build", "pays"]).code, 1);
    let run = territoire.run(&["etat", "guichet.toml", "--format", "json"]);
    assert_eq!(run.code, 1);
    let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let row = &told["communes"][1];
    assert_eq!((&row["dossier"], &told["en_ordre"]), (&Value::from("bazoches"), &Value::from(false)));
    assert!(row["a_regarder"][0].as_str().is_some_and(|words| words.contains("commune.toml:")), "{row}");
    assert!(row["site"]["construit_le"].is_string(), "its last good site is dated: {row}");
    assert_eq!(row["site"]["regles"]["M0201"], 1);
}

#[test]
fn the_weekly_mails_leave_once_a_week() {
    let territoire = Territoire::new();
    assert_eq!(territoire.run(&["build", "pays"]).code, 0);
    let run = territoire.run(&["etat", "guichet.toml", "--courriel", "--mairies"]);
    assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
    assert!(run.stdout.contains("3 messages partis"), "{}", run.stdout);
    let letters = territoire.letters();
    assert_eq!(letters.len(), 3);
    let to = |address: &str| letters.iter().filter(|letter| letter.contains(&format!("To: {address}"))).count();
    assert_eq!((to("technique@pays.example"), to("mairie@aulnay.example"), to("mairie@bazoches.example")), (1, 1, 1));
    let run = territoire.run(&["etat", "guichet.toml", "--courriel", "--mairies"]);
    assert!(run.stdout.contains("0 message parti, 3 déjà partis cette semaine"), "{}", run.stdout);
    assert_eq!(territoire.letters().len(), 3);
}

#[test]
fn the_secret_address_is_made_when_asked_for_kept_and_changed() {
    let territoire = Territoire::new();
    let first = territoire.run(&["etat", "guichet.toml", "--adresse"]).stdout;
    assert!(first.starts_with("/guichet/etat/") && first.trim().len() > 60, "{first}");
    assert_eq!(territoire.run(&["etat", "guichet.toml", "--adresse"]).stdout, first);
    let second = territoire.run(&["etat", "guichet.toml", "--nouvelle-adresse"]).stdout;
    assert_ne!(second, first);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(territoire.test.root().join("donnees/adresse-etat")).expect("a file").permissions(),
    );
    assert_eq!(mode & 0o077, 0, "nobody else reads it");
}
