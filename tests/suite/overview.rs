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
        Territoire::with(&["aulnay", "bazoches"])
    }

    fn with(names: &[&str]) -> Self {
        let test = CommuneTest::empty();
        let model = CommuneTest::minimal();
        for name in names {
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
    assert!(page.code == 0 && page.stderr.contains("Page écrite"), "{}", page.stderr);
    assert!(page.stdout.contains("Tout va bien."), "the same is printed: {}", page.stdout);
    let mistyped = territoire.run(&["etat", "guichet.toml", "--page", "ww/etat.html"]);
    assert!(mistyped.code == 1 && mistyped.stderr.contains("« ww » n'existe pas"), "{}", mistyped.stderr);
    assert!(!territoire.test.root().join("ww").exists(), "no folder is made for a mistyped word");
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
    let both = territoire.run(&["etat", "guichet.toml", "--adresse", "--courriel", "--mairies"]);
    assert!(both.code == 1 && both.stderr.contains("ne va pas avec"), "{} {}", both.stdout, both.stderr);
    let folder = territoire.run(&["etat", "pays"]);
    assert!(folder.code == 1 && folder.stderr.contains("« pays » est un dossier"), "{}", folder.stderr);
    assert_eq!((folder.stderr.matches("aide :").count(), folder.stderr.contains("mulot guichet ")), (1, false));
    let second = territoire.run(&["etat", "guichet.toml", "--nouvelle-adresse"]).stdout;
    assert_ne!(second, first);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(territoire.test.root().join("donnees/adresse-etat")).expect("a file").permissions(),
    );
    assert_eq!(mode & 0o077, 0, "nobody else reads it");
}

impl Territoire {
    fn write(&self, path: &str, text: &str) {
        let path = self.test.root().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.test.root().join(path)).expect("a text");
        assert!(text.contains(from), "{path} holds no « {from} »");
        self.write(path, &text.replace(from, to));
    }

    /// What is to be looked at in a commune.
    fn to_see(&self, commune: &str) -> Vec<String> {
        let run = self.run(&["etat", "guichet.toml", "--format", "json"]);
        let told: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stderr));
        assert_eq!(run.code == 0, told["en_ordre"] == true, "{told}");
        let rows = told["communes"].as_array().expect("a list");
        let row = rows.iter().find(|row| row["dossier"] == commune).unwrap_or_else(|| panic!("{commune}: {told}"));
        let words = row["a_regarder"].as_array().expect("a list").iter();
        words.map(|words| words.as_str().expect("a text").to_owned()).collect()
    }
}

#[test]
fn a_publication_that_failed_is_told_until_one_succeeds() {
    let territoire = Territoire::new();
    let target = |folder: &str| {
        let text = format!("nom = \"Pays des Essais\"\n[defauts.publication]\ndossier = \"{folder}/{{commune}}\"\n");
        territoire.write("pays/territoire.toml", &text);
    };
    // A file stands where the folder should be.
    territoire.write("www", "");
    target("../www");
    territoire.run(&["publish", "pays", "--essai"]);
    assert_eq!(territoire.run(&["build", "pays"]).code, 0);
    assert_eq!(territoire.to_see("aulnay"), Vec::<String>::new(), "what is only tried is not kept");
    assert_eq!(territoire.run(&["publish", "pays"]).code, 2);
    let told = territoire.to_see("aulnay");
    assert!(told.len() == 1 && told[0].starts_with("la dernière publication a échoué : "), "{told:?}");
    // One of them alone, to a place that can be.
    std::fs::remove_file(territoire.test.root().join("www")).expect("removed");
    assert_eq!(territoire.run(&["publish", "pays/communes/aulnay"]).code, 0);
    assert_eq!((territoire.to_see("aulnay").len(), territoire.to_see("bazoches").len()), (0, 1));
    // Its content is refused when it is published: nothing of it is sent.
    territoire.write("pays/communes/aulnay/pages/b.md", "+++\ntitre = \"B\"\n+++\n[mort](absent.md)\n");
    assert_eq!(territoire.run(&["publish", "pays/communes/aulnay"]).code, 1);
    let told = territoire.to_see("aulnay");
    assert!(told.len() == 1 && told[0].contains("le contenu est refusé : pages/b.md"), "{told:?}");
    std::fs::remove_file(territoire.test.root().join("pays/communes/aulnay/pages/b.md")).expect("removed");
    assert_eq!(territoire.run(&["publish", "pays"]).code, 0);
    assert_eq!((territoire.to_see("aulnay").len(), territoire.to_see("bazoches").len()), (0, 0));
    // Dated later than now: some clock was wrong, or is.
    let note = "pays-publications/bazoches/dernier-essai.json";
    territoire.write(note, r#"{"le":"2126-11-27T07:00:00Z","cause":null}"#);
    let all = territoire.run(&["etat", "guichet.toml"]);
    assert!(all.code == 1 && all.stdout.contains("L’horloge de cette machine retarde"), "{}", all.stdout);
    assert!(all.stdout.contains("! Cette machine : quelque chose est daté du 27 novembre 2126"), "{}", all.stdout);
    let run = territoire.run(&["publish", "pays"]);
    assert!(
        run.code == 0 && run.stderr.contains("la dernière publication est datée du 27 novembre 2126"),
        "{}",
        run.stderr
    );
    let run = territoire.run(&["publish", "pays"]);
    assert!(run.code == 0 && !run.stderr.contains("2126"), "{}", run.stderr);
}

#[test]
fn a_guichet_that_could_not_open_is_told_before_the_next_build() {
    let territoire = Territoire::new();
    assert_eq!(territoire.run(&["build", "pays"]).code, 0);
    territoire.edit("pays/communes/bazoches/commune.toml", "nom = \"BAZOCHES\"", "nom = BAZOCHES");
    let told = territoire.to_see("bazoches");
    assert!(
        told.len() == 1 && told[0].contains("commune.toml:1:7") && told[0].contains("son guichet est fermé"),
        "{told:?}"
    );
    assert_eq!(territoire.run(&["build", "pays"]).code, 1);
    let told = territoire.to_see("bazoches");
    assert!(told.len() == 1 && told[0].starts_with("le contenu est refusé"), "told once: {told:?}");
    assert!(territoire.to_see("aulnay").is_empty());
}

#[test]
fn what_is_so_in_many_communes_is_told_once() {
    let names = ["aulnay", "bazoches", "chavannes", "dormans", "epinal", "fleury"];
    let territoire = Territoire::with(&names);
    let run = territoire.run(&["etat", "guichet.toml"]);
    assert_eq!(run.stdout.matches("jamais été construit").count(), 1, "{}", run.stdout);
    assert!(run.stdout.contains("! 6 communes : le site n’a jamais été construit"), "{}", run.stdout);
    assert_eq!(territoire.run(&["build", "pays/communes/fleury"]).code, 0);
    let run = territoire.run(&["etat", "guichet.toml"]);
    assert!(
        run.stdout.contains("5 communes : ") && run.stdout.contains("AULNAY, BAZOCHES, CHAVANNES"),
        "{}",
        run.stdout
    );
    assert_eq!(territoire.to_see("aulnay").len(), 1, "tools are told of each");
}

#[test]
fn a_commune_without_a_domain_is_told() {
    let territoire = Territoire::new();
    assert_eq!(territoire.run(&["build", "pays"]).code, 0);
    territoire.edit("pays/communes/aulnay/commune.toml", "domaine = \"https://aulnay.example\"\n", "");
    assert_eq!(territoire.run(&["build", "pays"]).code, 0);
    let told = territoire.to_see("aulnay");
    assert!(told.len() == 1 && told[0].contains("pas de domaine"), "{told:?}");
    let declared = "nom = \"Pays des Essais\"\n[[commune]]\ndossier = \"aulnay\"\ndomaines = [\"https://a.example\"]\n";
    territoire.write("pays/territoire.toml", declared);
    assert!(territoire.to_see("aulnay").is_empty());
}

#[test]
fn the_guichet_of_one_commune_is_told_of_the_same_way() {
    let territoire = Territoire::new();
    let commune = CommuneTest::minimal();
    let name = "commune";
    let config =
        "dossier = \"commune\"\ndonnees = \"donnees\"\n[courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n";
    for file in walkdir::WalkDir::new(commune.folder()).into_iter().flatten().filter(|one| one.file_type().is_file()) {
        let inside = file.path().strip_prefix(commune.folder()).expect("inside").display().to_string();
        territoire.write(&format!("{name}/{inside}"), &std::fs::read_to_string(file.path()).expect("a text"));
    }
    territoire.write("guichet.toml", config);
    let told = territoire.to_see("Trou-la-Ville");
    assert!(told.len() == 1 && told[0].contains("jamais été construit"), "{told:?}");
    assert_eq!(territoire.run(&["build", name]).code, 0);
    assert!(territoire.to_see("Trou-la-Ville").is_empty());
    territoire.edit("commune/commune.toml", "[mairie]", "[publication]\ndossier = \"commune.toml/www\"\n\n[mairie]");
    assert_eq!(territoire.run(&["publish", name]).code, 2);
    let told = territoire.to_see("Trou-la-Ville");
    assert!(told.len() == 1 && told[0].starts_with("la dernière publication a échoué"), "{told:?}");
}

#[test]
fn the_table_says_as_much_as_the_page_and_a_web_server_may_show_the_page() {
    let territoire = Territoire::new();
    territoire.edit("pays/communes/aulnay/commune.toml", "publicite = \"affichage\"", "publicite = \"\"");
    assert_eq!(territoire.run(&["build", "pays"]).code, 0);
    let run = territoire.run(&["etat", "guichet.toml"]);
    for words in
        ["certificat", "sauvegarde", "quarant.", "M0701 dans 1 commune : une mention que la loi demande manque"]
    {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    let mut command = std::process::Command::new("sh");
    let script = "umask 027; \"$0\" etat guichet.toml --page etat.html";
    let output = command.args(["-c", script, env!("CARGO_BIN_EXE_mulot")]).current_dir(territoire.test.root()).output();
    assert!(output.expect("it runs").status.code().is_some());
    let page = territoire.test.root().join("etat.html");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&page).expect("a page").permissions());
    assert_eq!(mode & 0o777, 0o640);
    assert!(std::fs::read_to_string(page).expect("a page").contains(">Quarantaine<"));
}

#[test]
fn a_commune_misspelt_in_the_configuration_is_told_with_its_line() {
    let territoire = Territoire::new();
    let config = "territoire = \"pays\"\ndonnees = \"donnees\"\necoute = \"127.0.0.1:0\"\n[courriel]\ntransport = \"dossier\"\n\
                  dossier = \"boite\"\n[communes.aulnai]\nsite = \"ailleurs\"\n";
    territoire.write("autre.toml", config);
    let run = territoire.run(&["guichet", "autre.toml"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    for words in ["autre.toml:7", "« aulnai »", "vouliez-vous dire [communes.aulnay] ?", "dans les réglages"] {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
}
