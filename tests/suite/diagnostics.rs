//! Every mistake has its code, its place and its remedy.

use mulot::diagnostic::Code;
use serde_json::Value;

use crate::commune_test::CommuneTest;

/// A mistake: what is written, and the diagnostic it gives.
struct Case {
    code: Code,
    file: &'static str,
    bytes: &'static [u8],
    /// `file:line` of the diagnostic.
    place: &'static str,
}

const FORM: &str = "service = \"secretariat\"\nqui_traite = \"commune\"\n";

pub(crate) fn told(test: &CommuneTest) -> Vec<Value> {
    let run = test.run(&["check", "commune", "--date", "2026-11-21", "--format", "json"]);
    let report: Value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", run.stdout, run.stderr));
    let list = report["diagnostics"].as_array().expect("a list").clone();
    let wrong = list.iter().any(|told| told["gravite"] == "erreur");
    assert_eq!(run.code, i32::from(wrong));
    list
}

pub(crate) fn assert_told(test: &CommuneTest, code: Code, place: &str) {
    let list = told(test);
    let found = list.iter().find(|told| {
        let line = told["ligne"].as_u64().unwrap_or(0);
        let at = if line == 0 {
            told["fichier"].as_str().unwrap_or("").to_owned()
        } else {
            format!("{}:{line}", told["fichier"].as_str().unwrap_or(""))
        };
        told["code"] == code.as_str() && at == place
    });
    let Some(found) = found else { panic!("{} at {place} is not in {list:#?}", code.as_str()) };
    assert!(found["message"].as_str().is_some_and(|message| message.len() > 10));
    assert!(found["remede"].as_str().is_some_and(|hint| hint.len() > 10), "{found}");
}

fn cases() -> Vec<Case> {
    let case = |code, file, bytes: &'static str, place| Case { code, file, bytes: bytes.as_bytes(), place };
    vec![
        Case {
            code: Code::NotUtf8,
            file: "pages/a.md",
            bytes: b"+++\ntitre = \"\xe9cole\"\n+++\n",
            place: "pages/a.md:2",
        },
        Case { code: Code::NotUtf8, file: "pages/a.md", bytes: b"\xff\xfe+\0+\0+\0", place: "pages/a.md:1" },
        case(Code::NoFrontMatter, "pages/a.md", "# Titre\n", "pages/a.md:1"),
        case(Code::Misplaced, "notes.md", "+++\n+++\n", "notes.md"),
        case(Code::BadToml, "pages/a.md", "+++\ntitre = Bonjour\n+++\n", "pages/a.md:2"),
        case(Code::UnknownKey, "pages/a.md", "+++\ntitre = \"A\"\nresume_simpl = \"x\"\n+++\n", "pages/a.md:3"),
        case(Code::UnknownKey, "pages/a.md", "+++\ntitre = \"A\"\nresme = \"x\"\n+++\n", "pages/a.md:3"),
        case(Code::MissingKey, "pages/a.md", "+++\nresume = \"x\"\n+++\n", "pages/a.md:2"),
        case(Code::BadValue, "pages/a.md", "+++\ntitre = 12\n+++\n", "pages/a.md:2"),
        case(
            Code::BadDate,
            "actualites/x.md",
            "+++\ntitre = \"A\"\nresume = \"b\"\ndate = 2026-02-30\n+++\n",
            "actualites/x.md:4",
        ),
        case(Code::AddressCollision, "pages/mairie/la-une.md", "+++\ntitre = \"A\"\nadresse = \"autre\"\n+++\n", ""),
        case(Code::DeadLink, "pages/a.md", "+++\ntitre = \"A\"\n+++\n\n[x](rien.md)\n", "pages/a.md:5"),
        case(Code::DeadAnchor, "pages/a.md", "+++\ntitre = \"A\"\n+++\n\n[x](mairie/index.md#rien)\n", "pages/a.md:5"),
        case(Code::BadLink, "pages/a.md", "+++\ntitre = \"A\"\n+++\n\n[x](javascript:alert(1))\n", "pages/a.md:5"),
        case(
            Code::BadLink,
            "pages/a.md",
            "+++\ntitre = \"A\"\n+++\n\nVoir [le plan](../medias/plan du marché.pdf).\n",
            "pages/a.md:5",
        ),
        case(Code::MissingFile, "pages/a.md", "+++\ntitre = \"A\"\npieces = [\"plan.pdf\"]\n+++\n", "pages/a.md:3"),
        case(Code::BadDocument, "pages/a.md", "+++\ntitre = \"A\"\npieces = [\"plan.docx\"]\n+++\n", ""),
        case(Code::Alternative, "pages/a.md", "+++\ntitre = \"A\"\nimage = \"x.jpg\"\n+++\n", "pages/a.md:3"),
        case(Code::Stale, "pages/a.md", "+++\ntitre = \"A\"\nrevoir_avant = 2026-01-01\n+++\n", "pages/a.md:2"),
        case(Code::Headings, "pages/a.md", "+++\ntitre = \"A\"\n+++\n\n## B\n\n#### C\n", "pages/a.md:7"),
    ]
}

#[test]
fn every_mistake_is_told_with_its_place_and_its_remedy() {
    for case in cases().into_iter().filter(|case| !case.place.is_empty()) {
        assert_told(&CommuneTest::minimal().write(case.file, case.bytes), case.code, case.place);
    }
}

#[test]
fn mistakes_between_files_are_told() {
    let collision = CommuneTest::minimal()
        .write("pages/mairie/a.md", "+++\ntitre = \"A\"\n+++\n")
        .write("pages/mairie/b.md", "+++\ntitre = \"B\"\nadresse = \"a\"\n+++\n");
    assert_told(&collision, Code::AddressCollision, "pages/mairie/b.md:3");
    let draft = CommuneTest::minimal()
        .write("pages/a.md", "+++\ntitre = \"A\"\n+++\n\n[b](b.md)\n")
        .write("pages/b.md", "+++\ntitre = \"B\"\nbrouillon = true\n+++\n");
    assert_told(&draft, Code::HiddenTarget, "pages/a.md:5");
    let word = CommuneTest::minimal()
        .write("pages/a.md", "+++\ntitre = \"A\"\npieces = [\"plan.docx\"]\n+++\n")
        .write("pages/plan.docx", "x");
    assert_told(&word, Code::BadDocument, "pages/a.md:3");
    let cut = CommuneTest::minimal()
        .write("pages/a.md", "+++\ntitre = \"A\"\n+++\n\n![Une photo](x.jpg)\n")
        .write("pages/x.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    assert_told(&cut, Code::BrokenImage, "pages/a.md:5");
    std::fs::remove_file(cut.folder().join("commune.toml")).expect("removed");
    assert_told(&cut, Code::NoCommune, "commune.toml");
}

#[test]
fn a_loop_of_links_is_told() {
    let test = CommuneTest::minimal();
    std::os::unix::fs::symlink(test.folder(), test.folder().join("pages/encore")).expect("a link");
    assert_told(&test, Code::LinkLoop, "pages/encore");
}

#[test]
fn blanks_of_the_mairie_are_named_and_do_not_stop_the_build() {
    let test = CommuneTest::minimal().edit("commune.toml", "telephone = \"04 65 71 00 01\"", "telephone = \"\"");
    assert_told(&test, Code::LegalMention, "commune.toml:11");
    assert_eq!(test.build().code, 0);
    let test = test.edit("annuaire/services/secretariat.md", "telephone = \"04 65 71 00 01\"\n", "");
    assert_told(&test, Code::IncompleteService, "annuaire/services/secretariat.md:2");
    assert_eq!(test.build().code, 0);
    assert!(
        !test.public().join("demarches/saisir-la-mairie/formulaire/index.html").exists(),
        "a form without telephone stays closed"
    );
    // The secretariat is the mairie: its number is enough.
    let test = CommuneTest::minimal().edit("annuaire/services/secretariat.md", "telephone = \"04 65 71 00 01\"\n", "");
    assert_eq!(test.build().code, 0);
    assert!(
        test.page("demarches/saisir-la-mairie/formulaire/index.html").contains("04\u{a0}65\u{a0}71\u{a0}00\u{a0}01")
    );
    assert!(test.page("annuaire/services/secretariat/index.html").contains("tel:+33465710001"));
    let test = test
        .write("annuaire/services/ecole.md", "+++\ntitre = \"École\"\n+++\n")
        .append("commune.toml", "\n[demarches.saisir-la-mairie]\nservice = \"ecole\"\n");
    assert_told(&test, Code::IncompleteService, "annuaire/services/ecole.md:2");
    let test = CommuneTest::minimal().edit("commune.toml", "destinataires = [\"mairie@trou.example\"]", "");
    assert_told(&test, Code::NoRecipient, "commune.toml:27");
}

#[test]
fn all_that_keeps_forms_closed_is_told_at_once_and_once() {
    let test = CommuneTest::minimal()
        .edit("annuaire/services/secretariat.md", "telephone = \"04 65 71 00 01\"\n", "")
        .edit("commune.toml", "telephone = \"04 65 71 00 01\"", "telephone = \"\"")
        .edit("commune.toml", "expediteur = \"formulaires@trou.example\"", "expediteur = \"\"")
        .edit("commune.toml", "destinataires = [\"mairie@trou.example\"]", "destinataires = []")
        .edit("commune.toml", "courriel = \"mairie@trou.example\"", "courriel = \"\"")
        .edit("commune.toml", "adresse = [\"1, place\"]", "adresse = []");
    let list = told(&test);
    let of = |code: &str| -> Vec<String> {
        let found = list.iter().filter(|told| told["code"] == code);
        found.map(|told| format!("{}:{} {}", told["fichier"], told["ligne"], told["message"])).collect()
    };
    assert_eq!(of("M0603").len(), 1, "{list:#?}");
    assert!(of("M0603")[0].contains("téléphone") && !of("M0603")[0].contains("courriel"), "{list:#?}");
    let guichet = of("M0605");
    assert_eq!(guichet.len(), 2, "{list:#?}");
    assert!(guichet[0].contains(":28 ") || guichet[0].contains(":29 "), "{guichet:?}");
    for told in guichet.iter().chain(&of("M0603")) {
        // The catalogue has many: the first three are named.
        assert!(told.contains("formulaires restent fermés, dont « ") && told.matches('«').count() <= 4, "{told}");
    }
    // The mairie's own blanks are asked for once, where they are.
    assert_eq!(of("M0701").len(), 3, "{list:#?}");
}

#[test]
fn what_is_badly_written_is_not_also_empty() {
    let bad = [
        ("domaine = \"https://trou.example\"", "domaine = \"www.trou.example\"", "commune.toml:4"),
        ("code_postal = \"01500\"", "code_postal = \"0150\"", "commune.toml:9"),
        ("telephone = \"04 65 71 00 01\"", "telephone = \"04 65 71\"", "commune.toml:11"),
    ];
    for (from, to, place) in bad {
        let test = CommuneTest::minimal().edit("commune.toml", from, to);
        assert_told(&test, Code::BadValue, place);
        assert!(told(&test).iter().all(|told| told["code"] != "M0701"), "{to}: {:#?}", told(&test));
    }
}

#[test]
fn a_link_out_of_the_folder_is_refused() {
    let test = CommuneTest::minimal();
    std::fs::create_dir(test.folder().join("medias")).expect("a folder");
    std::os::unix::fs::symlink("/etc/passwd", test.folder().join("medias/passwd.pdf")).expect("a link");
    assert_told(&test, Code::OutsideLink, "medias/passwd.pdf");
    assert_eq!(test.build().code, 1);
    assert!(!test.public().join("medias/passwd.pdf").exists());
}

#[test]
fn files_that_are_missing_are_told_with_the_other_mistakes() {
    let text = "+++\ntitre = \"A\"\nresume = \"b\"\ndate = 2026-02-30\npieces = [\"plan.pdf\"]\n\
                image = \"vue.jpg\"\nimage_alternative = \"\"\n+++\n";
    let test = CommuneTest::minimal().write("actualites/x.md", text);
    assert_told(&test, Code::BadDate, "actualites/x.md:4");
    assert_told(&test, Code::MissingFile, "actualites/x.md:5");
    assert_told(&test, Code::MissingFile, "actualites/x.md:6");
}

#[test]
fn an_adjusted_colour_is_told_where_it_is_written() {
    let test =
        CommuneTest::minimal().edit("commune.toml", "[hebergeur]", "[identite]\ncouleur = \"#ffe066\"\n\n[hebergeur]");
    assert_told(&test, Code::Contrast, "commune.toml:16");
}

#[test]
fn a_theme_with_an_undefined_variable_is_told_in_its_template() {
    let test = CommuneTest::minimal().write(
        "theme/templates/page.html",
        "{% extends \"base.html\" %}\n{% block contenu %}\n{{ page.titre_inconnu }}\n{% endblock %}\n",
    );
    let list = told(&test);
    let found = list.iter().find(|told| told["code"] == "M0501").unwrap_or_else(|| panic!("{list:#?}"));
    assert!(found["fichier"].as_str().is_some_and(|file| file.ends_with("templates/page.html")), "{found}");
    assert_eq!(found["ligne"], 3);
    assert!(found["message"].as_str().is_some_and(|message| message.contains("titre_inconnu")), "{found}");
}

#[test]
fn a_template_that_cannot_be_read_is_told_in_french_with_its_line() {
    for (template, words) in [
        ("<p>\n{% if page.title %}a\n", "il manque une fin"),
        ("<p>\n{{ page.title\n", "il manque une fin"),
        ("<p>\n{% endfor %}\n", "n'existe pas, ou ferme"),
        ("<p>\n{{ \"abc }}\n", "n'est pas fermé"),
        ("<p>\n{{ 1 + }}\n", "n'est pas attendu ici"),
    ] {
        let list = told(&CommuneTest::minimal().write("theme/templates/page.html", template));
        let found = list.iter().find(|told| told["code"] == "M0501").unwrap_or_else(|| panic!("{list:#?}"));
        assert_eq!(found["ligne"], 2, "{template}: {found}");
        assert!(found["message"].as_str().is_some_and(|message| message.contains(words)), "{found}");
    }
}

/// A form's front matter with its questions, and the diagnostic it gives.
#[test]
fn forms_are_judged_in_their_fiche() {
    let data = "[formulaire.donnees]\nfinalite = \"x\"\nbase_legale = \"y\"\nconservation = \"12 mois\"\n";
    let head = "[formulaire]\nnature = \"information\"\nidentite = \"libre\"\n";
    let field = "[[champ]]\nid = \"a\"\ntype = \"texte\"\nquestion = \"A ?\"\n";
    let cases = [
        (Code::NoDataNotice, format!("{head}{field}"), 5),
        (Code::MissingKey, format!("[formulaire]\nnature = \"information\"\n{data}{field}"), 5),
        (Code::DuplicateField, format!("{head}{data}{field}{field}"), 17),
        (
            Code::DuplicateField,
            format!("{head}{data}[[champ]]\nid = \"nom\"\ntype = \"texte\"\nquestion = \"A ?\"\n"),
            13,
        ),
        (Code::BadCondition, format!("{head}{data}{field}si = \"b = c\"\n"), 16),
        (
            Code::BadForm,
            format!("{head}{data}[[champ]]\nid = \"a\"\ntype = \"choix\"\nquestion = \"A ?\"\nchoix = [\"x\"]\n"),
            16,
        ),
        (
            Code::BadForm,
            format!("[formulaire]\nnature = \"demande\"\nsilence = \"inconnu\"\nidentite = \"libre\"\n{data}{field}"),
            8,
        ),
        (Code::MissingKey, format!("[formulaire]\nnature = \"demande\"\nidentite = \"personne\"\n{data}{field}"), 5),
        (
            Code::MissingKey,
            format!("[formulaire]\nnature = \"demande\"\nsilence = \"rejet\"\nidentite = \"personne\"\n{data}{field}"),
            7,
        ),
        (
            Code::BadForm,
            format!(
                "{head}{data}[[champ]]\nid = \"a\"\ntype = \"fichier\"\nquestion = \"A ?\"\nnombre_max = 5\ntaille_max = 7\n"
            ),
            16,
        ),
        (Code::UnknownKey, format!("{head}{data}{field}obligatoir = true\n"), 16),
    ];
    for (code, form, line) in cases {
        let text = format!("+++\ntitre = \"Demande\"\n{FORM}{form}+++\n");
        let test = CommuneTest::minimal().write("demarches/demande.md", &text);
        assert_told(&test, code, &format!("demarches/demande.md:{line}"));
    }
    let text = format!("+++\ntitre = \"D\"\nqui_traite = \"commune\"\nservice = \"voirie\"\n{head}{data}{field}+++\n");
    assert_told(&CommuneTest::minimal().write("demarches/d.md", text), Code::IncompleteService, "demarches/d.md:4");
}

#[test]
fn a_misnamed_folder_is_told_once_with_the_near_name() {
    let page = "+++\ntitre = \"A\"\n+++\n";
    let test = CommuneTest::minimal().write("actualité/a.md", page).write("actualité/b.md", page);
    let list = told(&test);
    let found: Vec<_> = list.iter().filter(|told| told["code"] == "M0105").collect();
    assert_eq!(found.len(), 1, "{list:#?}");
    assert_eq!(found[0]["fichier"], "actualité");
    assert!(found[0]["message"].as_str().is_some_and(|message| message.replace('\u{a0}', " ").contains("2 fichiers")));
    assert_eq!(found[0]["remede"], "renommez le dossier en « actualites »");
}

#[test]
fn a_key_badly_spelt_is_not_also_missing() {
    let list = told(&CommuneTest::minimal().write("pages/a.md", "+++\ntitr = \"A\"\n+++\n"));
    let codes: Vec<_> = list.iter().map(|told| told["code"].as_str().unwrap_or("")).collect();
    assert_eq!(codes, ["M0202"], "{list:#?}");
}

#[test]
fn every_code_is_in_the_documentation() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md");
    let documented = std::fs::read_to_string(path).expect("docs/diagnostics.md");
    let listed: Vec<&str> =
        documented.lines().filter_map(|line| line.strip_prefix("| `M")?.split('`').next()).collect();
    let known: Vec<&str> = Code::ALL.iter().map(|code| &code.as_str()[1..]).collect();
    assert_eq!(listed, known, "docs/diagnostics.md lists the codes in order");
}
