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
