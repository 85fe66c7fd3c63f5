//! Each mistake of a form has its code, its line and its remedy: `docs/formulaires.md` is the language, this is its judge.

use mulot::diagnostic::Code;

use crate::commune_test::CommuneTest;
use crate::diagnostics::assert_told;

/// What stands above the questions; the last line is line 12.
const HEAD: [&str; 12] = [
    "+++",
    "titre = \"Demande\"",
    "service = \"secretariat\"",
    "qui_traite = \"commune\"",
    "[formulaire]",
    "nature = \"demande\"",
    "identite = \"personne\"",
    "regime = \"inconnu\"",
    "[formulaire.donnees]",
    "finalite = \"répondre\"",
    "base_legale = \"mission d'intérêt public\"",
    "conservation = \"3 mois\"",
];

/// A fiche with these questions, the first line being line 13.
fn with_questions(questions: &str) -> String {
    format!("{}\n{questions}\n+++\n", HEAD.join("\n"))
}

/// A fiche where a line of the head is replaced, with one good question.
fn with_line(number: usize, line: &str) -> String {
    let mut head = HEAD.map(str::to_owned);
    head[number - 1] = line.to_owned();
    format!("{}\n{GOOD}\n+++\n", head.join("\n"))
}

const GOOD: &str = "[[champ]]\nid = \"objet\"\ntype = \"texte\"\nquestion = \"Quel objet ?\"";

fn question(lines: &str) -> String {
    with_questions(&format!("[[champ]]\nid = \"a\"\nquestion = \"A ?\"\n{lines}"))
}

fn after_choice(lines: &str) -> String {
    with_questions(&format!(
        "[[champ]]\nid = \"c\"\ntype = \"choix\"\nquestion = \"C ?\"\nchoix = [\"Un\", \"Deux\"]\n[[champ]]\nid = \"b\"\ntype = \"texte\"\nquestion = \"B ?\"\n{lines}"
    ))
}

/// A fiche with a choice « c » and a route, whose lines begin at line 18.
fn with_route(lines: &str) -> String {
    let question = "[[champ]]\nid = \"c\"\ntype = \"choix\"\nquestion = \"C ?\"\nchoix = [\"Un\", \"Deux\"]";
    format!("{}\n\n\n\n\n[[formulaire.aiguillage]]\n{lines}\n{question}\n+++\n", HEAD[..12].join("\n"))
}

/// A required choice, an exit for its first answer and another for `other`.
fn no_way_through(id: &str, other: &str) -> String {
    let exit = |name: &str, when: &str| {
        format!("[[champ]]\nid = \"{name}\"\ntype = \"sortie\"\ntexte = \"Appelez\"\nsi = \"{when}\"")
    };
    let choice = format!(
        "[[champ]]\nid = \"{id}\"\ntype = \"choix\"\nquestion = \"C ?\"\nchoix = [\"Un\", \"Deux\"]\nobligatoire = true\n# \n# "
    );
    with_questions(&format!("{choice}\n{}\n{}", exit("d", "c = un"), exit("e", other)))
}

#[test]
fn an_answer_that_meets_no_exit_is_enough() {
    for (fiche, told) in [
        (no_way_through("c", "c = deux"), true),
        (no_way_through("c", "c = un"), false),
        // Left blank, it meets none.
        (no_way_through("c", "c = deux").replace("obligatoire = true", "# "), false),
    ] {
        let test = CommuneTest::minimal().write("demarches/demande.md", &fiche);
        let run = test.run(&["check", "commune", "--date", "2026-11-21", "--format", "json"]);
        assert_eq!(run.stdout.contains("M0614"), told, "{}", run.stdout);
    }
}

#[test]
fn a_number_with_a_comma_is_told_how_to_be_written() {
    let test =
        CommuneTest::minimal().write("demarches/demande.md", question("type = \"nombre\"\nprix_unitaire = 4,50"));
    let run = test.run(&["check", "commune", "--date", "2026-11-21"]);
    assert!((run.stdout.clone() + &run.stderr).contains("4.50"), "{} {}", run.stdout, run.stderr);
}

fn group(lines: &str) -> String {
    question(&format!("type = \"groupe\"\n{lines}"))
}

/// One question of that id and kind; its id is at line 14.
fn named(id: &str, kind: &str) -> String {
    with_questions(&format!("[[champ]]\nid = \"{id}\"\ntype = \"{kind}\"\nquestion = \"A ?\""))
}

/// Code, line and fiche of each mistake.
fn mistakes() -> Vec<(Code, u32, String)> {
    use Code::*;
    vec![
        // The routes: the first line below the head is line 13.
        (MissingKey, 17, with_route("destinataires = [\"nord@exemple.fr\"]")),
        (MissingKey, 17, with_route("si = \"c = un\"")),
        (BadCondition, 18, with_route("si = \"secteur\"\ndestinataires = [\"nord@exemple.fr\"]")),
        (BadCondition, 18, with_route("si = \"secteur = nord\"\ndestinataires = [\"nord@exemple.fr\"]")),
        (BadCondition, 18, with_route("si = \"c = trois\"\ndestinataires = [\"nord@exemple.fr\"]")),
        (BadCondition, 18, with_route("si = \"c != un | deux\"\ndestinataires = [\"nord@exemple.fr\"]")),
        (BadValue, 19, with_route("si = \"c = un\"\ndestinataires = [\"nord\"]")),
        (UnknownKey, 20, with_route("si = \"c = un\"\ndestinataires = [\"nord@exemple.fr\"]\nsecours = \"x\"")),
        // The table.
        (MissingKey, 5, with_line(6, "titre_bouton = \"Écrire\"")),
        (BadValue, 6, with_line(6, "nature = \"requete\"")),
        (MissingKey, 5, with_line(7, "titre_bouton = \"Écrire\"")),
        (BadValue, 7, with_line(7, "identite = \"voisin\"")),
        (BadForm, 7, with_line(7, "identite = \"aucune\"")),
        (MissingKey, 5, with_line(8, "titre_bouton = \"Écrire\"")),
        (BadValue, 8, with_line(8, "regime = \"refus\"")),
        (BadRegime, 9, with_line(8, "regime = \"rejet\"\nsilence = \"rejet\"")),
        (BadRegime, 9, with_line(8, "regime = \"rejet\"\ndelai_decision = \"2 mois\"")),
        (MissingKey, 8, with_line(8, "silence = \"acceptation\"")),
        (BadValue, 9, with_line(8, "silence = \"acceptation\"\ndelai_decision = \"bientôt\"")),
        (BadRegime, 9, with_line(8, "silence = \"inconnu\"\ndelai_decision = \"2 mois\"")),
        (BadRegime, 8, with_line(6, "nature = \"information\"").replace("\"inconnu\"", "\"acceptation\"")),
        (BadValue, 8, with_line(8, "destinataires = [\"mairie arobase exemple\"]")),
        (BadForm, 8, with_line(8, "en_pages = true")),
        (UnknownKey, 8, with_line(8, "regim = \"inconnu\"")),
        // When it is open.
        (BadOpening, 9, with_line(8, "ouvre_le = 2027-03-01\nferme_le = 2027-02-01")),
        (BadOpening, 8, with_line(8, "liste_attente = 5")),
        (BadValue, 8, with_line(8, "places = 0")),
        (BadDate, 8, with_line(8, "ouvre_le = 2027-02-30")),
        // What is done with the answers.
        (
            NoDataNotice,
            5,
            with_line(9, "")
                .replace("finalite", "# finalite")
                .replace("base_legale", "# base_legale")
                .replace("conservation", "# conservation"),
        ),
        (MissingKey, 9, with_line(10, "")),
        (MissingKey, 9, with_line(11, "")),
        (MissingKey, 9, with_line(12, "")),
        (BadValue, 12, with_line(12, "conservation = \"toujours\"")),
        (KeptTooShort, 12, question("type = \"periode\"\nau_plus_tard = \"1 an\"")),
        // The questions.
        (MissingKey, 13, with_questions("[[champ]]\ntype = \"texte\"\nquestion = \"A ?\"")),
        (BadValue, 14, with_questions("[[champ]]\nid = \"Mon objet\"\ntype = \"texte\"\nquestion = \"A ?\"")),
        (DuplicateField, 18, with_questions(&format!("{GOOD}\n{GOOD}"))),
        (DuplicateField, 14, with_questions("[[champ]]\nid = \"courriel\"\ntype = \"texte\"\nquestion = \"A ?\"")),
        (DuplicateField, 14, named("total", "texte")),
        (DuplicateField, 14, named("page", "nombre")),
        (DuplicateField, 14, named("aller", "texte")),
        (DuplicateField, 14, named("groupe", "texte")),
        (DuplicateField, 14, named("mis_de_cote", "texte")),
        (DuplicateField, 14, named("comptoir_agent", "texte")),
        (DuplicateField, 14, named("jeton", "texte")),
        (DuplicateField, 14, named("fichier", "adresse")),
        (MissingKey, 13, question("")),
        (BadValue, 16, question("type = \"text\"")),
        (MissingKey, 13, with_questions("[[champ]]\nid = \"a\"\ntype = \"texte\"")),
        (BadValue, 17, question("type = \"texte\"\nmax = 9000")),
        (
            BadForm,
            15,
            with_questions(&format!("[[champ]]\nid = \"a\"\nquestion = \"{}\"\ntype = \"texte\"", "mot ".repeat(60))),
        ),
        // Choices, numbers, prices, dates.
        (BadForm, 17, question("type = \"choix\"\nchoix = [\"Un\"]")),
        (BadForm, 17, question("type = \"choix\"\nchoix = [\"Un\", \"Un\", \"Deux\"]")),
        (BadValue, 17, question("type = \"choix\"\nchoix = [{ libelle = \"Un\", prix = -3 }, { libelle = \"Deux\" }]")),
        (BadForm, 18, question("type = \"nombre\"\nmin = 5\nmax = 2")),
        (BadValue, 17, question("type = \"nombre\"\nprix_unitaire = 1.555")),
        (BadForm, 18, question("type = \"montant\"\nmin = 50\nmax = 20")),
        (BadValue, 17, question("type = \"date\"\nau_plus_tot = \"bientôt\"")),
        (BadForm, 18, question("type = \"date\"\nau_plus_tot = \"15 jours\"\npasse = true")),
        (BadForm, 18, question("type = \"periode\"\nau_plus_tot = \"3 mois\"\nau_plus_tard = \"1 mois\"")),
        // Files.
        (BadValue, 17, question("type = \"fichier\"\nformats = [\"exe\"]")),
        (BadForm, 17, question("type = \"fichier\"\nnombre_max = 5\ntaille_max = 7")),
        (BadValue, 17, question("type = \"photo\"\ntaille_max = 40")),
        // Blocks and groups.
        (BadValue, 17, question("type = \"personne\"\nparties = [\"groupe_sanguin\"]")),
        (BadValue, 17, question("type = \"enfant\"\nparties = [\"poids\"]")),
        (BadValue, 17, question("type = \"rendez_vous\"\njours = [\"lundy\"]")),
        (MissingKey, 13, question("type = \"reservation\"")),
        (MissingKey, 13, group("[[champ.champ]]\nid = \"b\"\ntype = \"texte\"\nquestion = \"B ?\"")),
        (BadGroup, 13, group("un = \"Enfant\"")),
        (BadGroup, 20, group("un = \"Enfant\"\n[[champ.champ]]\nid = \"b\"\ntype = \"fichier\"\nquestion = \"B ?\"")),
        (
            BadForm,
            19,
            group(
                "un = \"Enfant\"\nnombre_min = 4\nnombre_max = 2\n[[champ.champ]]\nid = \"b\"\ntype = \"texte\"\nquestion = \"B ?\"",
            ),
        ),
        (
            DuplicateField,
            23,
            group(
                "un = \"Enfant\"\n[[champ.champ]]\nid = \"b\"\ntype = \"texte\"\nquestion = \"B ?\"\n[[champ.champ]]\nid = \"b\"\ntype = \"texte\"\nquestion = \"B ?\"",
            ),
        ),
        (
            UnknownKey,
            22,
            group("un = \"Enfant\"\n[[champ.champ]]\nid = \"b\"\ntype = \"texte\"\nquestion = \"B ?\"\nsi = \"a = b\""),
        ),
        // Conditions.
        (BadCondition, 22, after_choice("si = \"quand il pleut\"")),
        (BadCondition, 22, after_choice("si = \"d = un\"")),
        (BadCondition, 22, after_choice("si = \"c = trois\"")),
        (BadCondition, 22, after_choice("si = \"c =\"")),
        (BadCondition, 22, after_choice("si = \"c != un | deux\"")),
        (BadCondition, 22, after_choice("si = \"c = un et c = deux\"")),
        (BadCondition, 22, after_choice("si = \"c > 3\"")),
        (
            BadCondition,
            26,
            after_choice("[[champ]]\nid = \"d\"\ntype = \"texte\"\nquestion = \"D ?\"\nsi = \"b = un\""),
        ),
        (
            BadCondition,
            21,
            with_questions(
                "[[champ]]\nid = \"n\"\ntype = \"nombre\"\nquestion = \"N ?\"\n[[champ]]\nid = \"b\"\ntype = \"texte\"\nquestion = \"B ?\"\nsi = \"n > beaucoup\"",
            ),
        ),
        // Texts and exits.
        (MissingKey, 13, with_questions("[[champ]]\nid = \"a\"\ntype = \"information\"")),
        (
            BadForm,
            17,
            with_questions("[[champ]]\nid = \"a\"\ntype = \"information\"\ntexte = \"Lisez\"\nobligatoire = true"),
        ),
        (BadForm, 15, with_questions("[[champ]]\nid = \"a\"\ntype = \"sortie\"\ntexte = \"Appelez le département\"")),
        (MissingKey, 22, after_choice("[[champ]]\nid = \"d\"\ntype = \"sortie\"\nsi = \"c = un\"")),
        // Alerts.
        (
            BadForm,
            15,
            with_questions(
                "[[champ]]\nid = \"a\"\ntype = \"alerte\"\ntitre = \"Danger\"\ntexte = \"X\"\nrappel = \"Y\"",
            ),
        ),
        (
            MissingKey,
            22,
            after_choice(
                "[[champ]]\nid = \"d\"\ntype = \"alerte\"\ntitre = \"Danger\"\ntexte = \"X\"\nsi = \"c = un\"",
            ),
        ),
        (
            BadValue,
            25,
            after_choice(&format!(
                "[[champ]]\nid = \"d\"\ntype = \"alerte\"\ntitre = \"{}\"\ntexte = \"X\"\nrappel = \"Y\"\nsi = \"c = un\"",
                "danger ".repeat(8)
            )),
        ),
        // Exits that leave no way through.
        (NoWayThrough, 30, no_way_through("c", "c = deux")),
        (NoWayThrough, 30, no_way_through("c", "c != un")),
        (BadForm, 8, with_line(7, "identite = \"aucune\"\ntelephone_obligatoire = true")),
        (BadValue, 17, question("type = \"enfant\"\nage_max = 40")),
        (BadToml, 17, question("type = \"nombre\"\nprix_unitaire = 4,50")),
        // What the law forbids to ask.
        (
            DoubtfulQuestion,
            16,
            with_questions("[[champ]]\nid = \"a\"\ntype = \"fichier\"\nquestion = \"Justificatif de domicile\""),
        ),
        (
            DoubtfulQuestion,
            16,
            with_questions("[[champ]]\nid = \"a\"\ntype = \"fichier\"\nquestion = \"Copie certifiée du livret\""),
        ),
        (
            DoubtfulQuestion,
            16,
            with_questions("[[champ]]\nid = \"a\"\ntype = \"texte\"\nquestion = \"Votre numéro de sécurité sociale\""),
        ),
        (
            DoubtfulQuestion,
            16,
            with_questions("[[champ]]\nid = \"a\"\ntype = \"texte\"\nquestion = \"Les allergies de l'enfant\""),
        ),
    ]
}

#[test]
fn every_mistake_of_a_form_is_told_with_its_line_and_its_remedy() {
    let mistakes = mistakes();
    assert!(mistakes.len() >= 60, "{}", mistakes.len());
    for (code, line, fiche) in mistakes {
        let test = CommuneTest::minimal().write("demarches/demande.md", &fiche);
        assert_told(&test, code, &format!("demarches/demande.md:{line}"));
    }
}

#[test]
fn a_good_form_of_every_type_is_told_nothing_about() {
    let fiche = with_questions(include_str!("../formulaires/tout.toml"));
    let test = CommuneTest::minimal()
        .write("demarches/demande.md", &fiche)
        .write("annuaire/equipements/salle.md", "+++\ntitre = \"Salle des fêtes\"\ntype = \"salle\"\n+++\n");
    let run = test.run(&["check", "commune", "--date", "2026-11-21", "--format", "json"]);
    assert!(!run.stdout.contains("demarches/demande.md"), "{}", run.stdout);
}

#[test]
fn mistakes_between_a_form_and_the_commune_are_told() {
    let fiche = with_questions(GOOD);
    let unknown = CommuneTest::minimal().append("commune.toml", "\n[demarches.rien]\nplaces = 3\n");
    assert_told_in_commune(&unknown, Code::UnknownForm);
    let service = CommuneTest::minimal()
        .write("demarches/demande.md", &fiche)
        .append("commune.toml", "\n[demarches.demande]\nservice = \"absent\"\n");
    assert_told_in_commune(&service, Code::IncompleteService);
    let to_confirm = CommuneTest::minimal().write("demarches/demande.md", fiche.replace("inconnu", "materiel"));
    assert_told(&to_confirm, Code::RegimeToConfirm, "commune.toml");
    let page = |test: &CommuneTest| {
        test.build();
        test.page("demarches/demande/index.html")
    };
    assert!(!page(&to_confirm).contains("2 mois"), "what is not confirmed is promised");
    let confirmed = to_confirm.append("commune.toml", "\n[demarches.demande]\nregime_confirme = true\n");
    assert!(page(&confirmed).replace('\u{a0}', " ").contains("2 mois"), "{}", page(&confirmed));
    let run = confirmed.run(&["check", "commune", "--date", "2026-11-21", "--format", "json"]);
    assert!(!run.stdout.contains("M0611"), "{}", run.stdout);
    let resource = CommuneTest::minimal()
        .write("demarches/demande.md", question("type = \"reservation\"\nressource = \"salle-absente\""));
    assert_told(&resource, Code::BadForm, "demarches/demande.md:17");
    let booking = question("type = \"reservation\"\nressource = \"salle-absente\"");
    let settled = CommuneTest::minimal()
        .write("demarches/demande.md", &booking)
        .write("annuaire/equipements/salle.md", "+++\ntitre = \"Salle des fêtes\"\ntype = \"salle\"\n+++\n")
        .append("commune.toml", "\n[demarches.demande]\nressource = \"salle\"\n");
    let run = settled.run(&["check", "commune", "--date", "2026-11-21", "--format", "json"]);
    assert!(!run.stdout.contains("M0606"), "{}", run.stdout);
    let wrong = CommuneTest::minimal()
        .write("demarches/demande.md", &booking)
        .append("commune.toml", "\n[demarches.demande]\nressource = \"salle-absente\"\n");
    assert_told_in_commune(&wrong, Code::BadForm);
    let needless = CommuneTest::minimal()
        .write("demarches/demande.md", &fiche)
        .append("commune.toml", "\n[demarches.demande]\nressource = \"salle\"\n");
    assert_told_in_commune(&needless, Code::BadForm);
}

/// Told somewhere in `commune.toml`.
fn assert_told_in_commune(test: &CommuneTest, code: Code) {
    let run = test.run(&["check", "commune", "--date", "2026-11-21", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).expect("a report");
    let told = report["diagnostics"].as_array().expect("a list");
    let found = told.iter().any(|told| {
        told["code"] == code.as_str() && told["fichier"] == "commune.toml" && told["ligne"].as_u64() > Some(0)
    });
    assert!(found, "{}", run.stdout);
}

#[test]
fn the_whole_catalogue_builds_and_asks_only_for_what_a_mairie_confirms() {
    let test = CommuneTest::minimal().append("commune.toml", "\n[catalogue]\ndemarches = \"toutes\"\n");
    assert_eq!(test.build().code, 0);
    let run = test.run(&["check", "commune", "--date", "2026-11-21", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).expect("a report");
    let told = report["diagnostics"].as_array().expect("a list");
    assert!(!told.is_empty() && told.iter().all(|told| told["code"] == "M0611"), "{}", run.stdout);
    let fiches = std::fs::read_dir(test.public().join("demarches")).expect("a folder").count();
    assert!(fiches > 40, "{fiches}");
}
