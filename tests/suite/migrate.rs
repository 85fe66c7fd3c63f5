//! Folders of earlier versions: they still build, are brought to the present format, and one of a later version is refused.

use std::path::Path;

use crate::commune_test::CommuneTest;

/// A folder as a version wrote it; never touched since.
const OLD: &str = "tests/anciens/commune-2026-11-21";

#[test]
fn the_folder_of_the_first_version_builds_before_and_after_it_is_migrated() {
    let test = CommuneTest::copy_of(OLD);
    let run = test.build();
    assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
    let before = test.page("actualites/index.html");
    let dry = test.run(&["migrate", "commune", "--essai"]);
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(dry.stdout.contains("commune.toml : dit son format : format = 1"), "{}", dry.stdout);
    let old =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(OLD).join("commune.toml")).expect("it");
    assert_eq!(test.read("commune.toml"), old, "a try writes nothing");
    let run = test.run(&["migrate", "commune"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(test.read("commune.toml"), format!("format = 1\n{old}"));
    assert_eq!(test.build().code, 0);
    assert_eq!(test.page("actualites/index.html"), before);
    let again = test.run(&["migrate", "commune"]);
    assert!(again.code == 0 && again.stdout.contains("est à jour"), "{}", again.stdout);
}

#[test]
fn a_question_that_could_not_be_answered_any_more_is_renamed() {
    let fiche = "+++\ntitre = \"Signaler une page\"\nqui_traite = \"commune\"\nservice = \"secretariat\"\n\n[formulaire]\nsilence = \"sans_decision\"\n\
                 fondement = \"CGCT, art. L2121-29\"\n[formulaire.donnees]\nfinalite = \"répondre\"\nbase_legale = \"mission d'intérêt public\"\n\
                 conservation = \"1 an\"\n\n[[champ]]\nid = \"page\"   # laquelle\ntype = \"choix\"\nquestion = \"Quelle page ?\"\n\
                 choix = [\"accueil\", \"autre\"]\n\n[[champ]]\nid = \"laquelle\"\ntype = \"texte\"\nquestion = \"Laquelle ?\"\n\
                 si = \"page = autre\"\n+++\nDites-le.\n";
    let old = CommuneTest::minimal()
        .edit("commune.toml", "nom =", "# Notre commune\nnom =")
        .write("demarches/page.md", fiche);
    assert!(old.check().stdout.contains("est réservé au guichet"), "{}", old.check().stdout);
    let run = old.run(&["migrate", "commune"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("demarches/page.md : la question « page » s'appelle « page_demande »"),
        "{}",
        run.stdout
    );
    let text = old.read("demarches/page.md");
    assert_eq!(
        text,
        fiche.replace("id = \"page\"", "id = \"page_demande\"").replace("page = autre", "page_demande = autre")
    );
    let check = old.check();
    assert!(!check.stdout.contains("est réservé au guichet"), "{}", check.stdout);
    assert!(old.read("commune.toml").starts_with("# Notre commune\nformat = 1\nnom ="), "{}", old.read("commune.toml"));
}

#[test]
fn a_territoire_is_migrated_with_all_its_communes() {
    let test = CommuneTest::empty();
    let root = test.root().join("pays");
    for name in ["aulnay", "bazoches"] {
        let folder = root.join("communes").join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("commune.toml"), format!("nom = \"{name}\"\n")).expect("written");
    }
    std::fs::write(root.join("territoire.toml"), "nom = \"Pays\"\n").expect("written");
    let run = test.run(&["migrate", "pays"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for path in ["territoire.toml", "communes/aulnay/commune.toml", "communes/bazoches/commune.toml"] {
        let text = std::fs::read_to_string(root.join(path)).expect("it");
        assert!(text.starts_with("format = 1\n"), "{path}: {text}");
    }
}

#[test]
fn a_folder_of_a_later_version_is_refused_whole() {
    let test = CommuneTest::minimal().edit("commune.toml", "nom =", "format = 99\nnouvelle_cle = true\nnom =");
    for words in [&["build", "commune"][..], &["check", "commune"], &["migrate", "commune"]] {
        let run = test.run(words);
        let told = run.stdout + &run.stderr;
        assert_eq!(run.code, 1, "{words:?}: {told}");
        assert!(told.contains("plus récent (format 99)") && told.contains("mettez Mulot à jour"), "{words:?}: {told}");
        assert!(!told.contains("nouvelle_cle"), "what a later version may say is not a mistake: {told}");
    }
    assert!(!test.public().exists());
    let run = test.run(&["migrate", "absent"]);
    assert!(run.code == 1 && run.stderr.contains("n'est ni le dossier d'une commune"), "{}", run.stderr);
}

/// A guichet whose data are those of an earlier version, beside a commune.
fn guichet(schema: &str) -> CommuneTest {
    let test = CommuneTest::minimal();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/anciens").join(schema), &test.root().join("donnees"));
    let config =
        "dossier = \"commune\"\ndonnees = \"donnees\"\n[courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n";
    std::fs::write(test.root().join("guichet.toml"), config).expect("written");
    test
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("read").flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => std::fs::copy(entry.path(), target).map(|_| ()).expect("copied"),
        }
    }
}

#[test]
fn the_base_of_a_guichet_is_upgraded_when_it_is_asked_and_kept_as_it_was() {
    let test = guichet("0003");
    let database = || std::fs::read(test.root().join("donnees/guichet.db")).expect("there");
    let before = database();
    let dry = test.run(&["migrate", "guichet.toml", "--essai"]);
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(dry.stdout.contains("donnees : format 3, à mettre au format 6"), "{}", dry.stdout);
    let bare = test.run(&["migrate", "guichet.toml"]);
    assert_eq!(bare.code, 1, "{}", bare.stdout);
    assert!(bare.stderr.contains("--sauvegarde") && bare.stderr.contains("--sans-sauvegarde"), "{}", bare.stderr);
    assert_eq!(database(), before, "nothing is changed without a copy");
    let run = test.run(&["migrate", "guichet.toml", "--sauvegarde", "copie"]);
    assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
    assert!(run.stdout.contains("mise du format 3 au format 6, 3\u{a0}demandes"), "{}", run.stdout);
    assert_eq!(std::fs::read(test.root().join("copie/guichet.db")).expect("copied"), before);
    assert!(test.root().join("copie/guichet.db-wal").exists() && !test.root().join("copie/cle").exists());
    let again = test.run(&["migrate", "guichet.toml"]);
    assert!(again.code == 0 && again.stdout.contains("format 6, à jour"), "{} {}", again.stdout, again.stderr);
    let listed = test.run(&["demandes", "--guichet", "guichet.toml"]);
    assert!(listed.stdout.contains("Demandes acceptées        3"), "{} {}", listed.stdout, listed.stderr);
    // The copy and the key together are what was there before.
    std::fs::copy(test.root().join("donnees/cle"), test.root().join("copie/cle")).expect("copied");
    let back = test.run(&["migrate", "copie", "--sans-sauvegarde"]);
    assert!(back.code == 0 && back.stdout.contains("mise du format 3 au format 6"), "{} {}", back.stdout, back.stderr);
}

#[test]
fn a_base_in_use_or_of_a_later_version_is_left_as_it_is() {
    let test = guichet("0004");
    let lock = std::fs::File::create(test.root().join("donnees/verrou")).expect("made");
    lock.lock().expect("taken");
    let held = test.run(&["migrate", "guichet.toml", "--sauvegarde", "copie"]);
    assert!(held.code == 1 && held.stderr.contains("son guichet travaille"), "{} {}", held.stdout, held.stderr);
    assert!(!test.root().join("copie").exists(), "nothing of a copy stays");
    drop(lock);
    let inside = test.run(&["migrate", "guichet.toml", "--sauvegarde", "donnees/copie"]);
    assert!(inside.code == 1 && inside.stderr.contains("que la copie doit protéger"), "{}", inside.stderr);
    let database = rusqlite::Connection::open(test.root().join("donnees/guichet.db")).expect("opened");
    database.pragma_update(None, "user_version", 99).expect("written");
    drop(database);
    for order in [&["migrate", "guichet.toml", "--sans-sauvegarde"][..], &["demandes", "--guichet", "guichet.toml"]] {
        let newer = test.run(order);
        assert_eq!(newer.code, 2, "{} {}", newer.stdout, newer.stderr);
        assert!(
            newer.stderr.contains("version plus récente de Mulot (schéma 99, celui-ci connaît 6)"),
            "{}",
            newer.stderr
        );
    }
}

#[test]
fn all_the_bases_of_a_hall_are_upgraded_each_under_its_name() {
    let test = CommuneTest::empty();
    let anciens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/anciens");
    for (commune, schema) in [("baneins", "0002"), ("chalamont", "0004"), ("villette", "")] {
        let folder = test.root().join("territoire/communes").join(commune);
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal"), &folder);
        if !schema.is_empty() {
            copy(&anciens.join(schema), &test.root().join("donnees").join(commune));
        }
    }
    std::fs::write(test.root().join("territoire/territoire.toml"), "nom = \"Pays\"\n").expect("written");
    let config = "territoire = \"territoire\"\ndonnees = \"donnees\"\n[courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n";
    std::fs::write(test.root().join("guichet.toml"), config).expect("written");
    let run = test.run(&["migrate", "guichet.toml", "--sauvegarde", "copie"]);
    assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
    for words in [
        "baneins : mise du format 2 au format 6",
        "chalamont : mise du format 4 au format 6",
        "villette : aucune demande encore",
    ] {
        assert!(run.stdout.contains(words), "{words}\n{}", run.stdout);
    }
    let data = test.run(&["migrate", "donnees"]);
    assert!(data.code == 1 && data.stderr.contains("les données d'un guichet"), "{}", data.stderr);
    for words in [&["demandes", "--commune", "villette"][..], &["backup", "--commune", "villette", "ailleurs"]] {
        let none = test.run(words);
        assert!(none.code == 1 && none.stderr.contains("« villette » : aucune demande encore"), "{}", none.stderr);
    }
    assert!(test.root().join("copie/baneins/guichet.db").exists() && test.root().join("copie/chalamont/pj").exists());
}
