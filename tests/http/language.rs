//! The form language at work: pages, groups, exits, prices, opening dates, as a browser without script goes.

use crate::server_test::*;

const FETE: &str = r#"+++
titre = "Louer la salle"
service = "secretariat"
qui_traite = "commune"

[formulaire]
nature = "demande"
identite = "personne"
regime = "inconnu"
en_pages = true
OPENING

[formulaire.donnees]
finalite = "répondre"
base_legale = "mission d'intérêt public"
conservation = "3 mois"

[[champ]]
id = "profil"
type = "choix"
question = "Vous êtes…"
obligatoire = true
etape = "La fête"
choix = [{ libelle = "Habitant", prix = 80 }, { valeur = "ext", libelle = "Extérieur", prix = 160.50 }]

[[champ]]
id = "participants"
type = "nombre"
question = "Combien de participants ?"
obligatoire = true

[[champ]]
id = "trop"
type = "sortie"
si = "profil = ext et participants > 50"
titre = "La salle est trop petite"
texte = "Appelez la **communauté de communes**."

[[champ]]
id = "jour"
type = "date"
question = "Quel jour ?"
au_plus_tot = "15 jours"

[[champ]]
id = "enfants"
type = "groupe"
question = "Quels enfants viendront ?"
un = "Enfant"
nombre_min = 0
nombre_max = 3
etape = "Les enfants"

[[champ.champ]]
id = "prenom"
type = "texte"
question = "Prénom"
obligatoire = true

[[champ.champ]]
id = "repas"
type = "nombre"
question = "Repas"
prix_unitaire = 4.50

[[champ]]
id = "plan"
type = "texte"
question = "Où garez-vous les cars ?"
si = "participants >= 100"
etape = "Le stationnement"
obligatoire = true
+++
"#;

fn server(opening: &'static str) -> ServerTest {
    ServerTest::guichet_with(|config| {
        let folder = config.folder.join("demarches");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("fete.md"), FETE.replace("OPENING", opening)).unwrap();
    })
}

const VERIFY: &str = "/guichet/fete/verifier";
const MODIFY: &str = "/guichet/fete/modifier";

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The fields of a page with some filled in.
fn filled(page: &Answer, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().fold(page.fields(), |fields, (name, value)| with(fields, name, value))
}

/// The first page, filled by somebody of the village.
fn first(participants: &str) -> Vec<(String, String)> {
    fields(&[("page", "1"), ("profil", "habitant"), ("participants", participants), ("jour", "2099-06-01")])
}

const PERSON: [(&str, &str); 6] = [
    ("prenom", "Zélie"),
    ("nom", "Quatrebarbes"),
    ("adresse.voie", "3, rue du Four"),
    ("adresse.code_postal", "53999"),
    ("adresse.commune", "Trou"),
    ("courriel", "zelie@exemple.fr"),
];

#[test]
fn an_answer_that_another_page_rules_out_is_told_not_to_be_sent() {
    let server = server("");
    let children = server.post(VERIFY, &first("120"));
    let coaches = server.post(VERIFY, &filled(&children, &[]));
    let person = server.post(VERIFY, &filled(&coaches, &[("plan", "Derrière l’église")]));
    let check = server.post(VERIFY, &filled(&person, &PERSON));
    assert!(check.text().contains("Derrière l’église") && !check.text().contains("ne sera pas envoyée"));
    let again = server.post("/guichet/fete/modifier?aller=1", &check.fields());
    let check = server.post(VERIFY, &filled(&again, &[("participants", "30")]));
    let page = check.text();
    assert!(page.contains("Vérifiez et envoyez") && page.contains("Une réponse ne sera pas envoyée"), "{page}");
    assert!(page.contains("Où garez-vous les cars") && !page.contains("Derrière l’église"), "{page}");
}

#[test]
fn a_form_in_pages_asks_each_page_once_and_keeps_what_was_answered() {
    let server = server("");
    let questions = server.get("/guichet/fete/");
    assert!(questions.text().contains("Étape 1 sur 5") && !questions.text().contains("name=\"courriel\""));
    assert_eq!(questions.field("page").as_deref(), Some("1"), "the first page says which it is");
    let wrong = server.post(VERIFY, &fields(&[("page", "1.1"), ("profil", "habitant"), ("participants", "beaucoup")]));
    assert_eq!(wrong.status, 422);
    assert!(wrong.text().contains("href=\"#champ-participants\"") && !wrong.text().contains("champ-courriel"));
    let children = server.post(VERIFY, &first("30"));
    assert_eq!(children.status, 200, "{}", children.text());
    assert!(children.text().contains("Étape 2 sur 5"), "{}", children.text());
    assert_eq!(children.field("profil").as_deref(), Some("habitant"), "carried");
    assert!(children.text().contains("Ajouter «"));
    // Nobody parks a coach for thirty people: that page is passed over.
    let person = server.post(VERIFY, &filled(&children, &[]));
    assert!(person.text().contains("Étape 4 sur 5"), "{}", person.text());
    let check = server.post(VERIFY, &filled(&person, &PERSON));
    assert_eq!(check.status, 200, "{}", check.text());
    assert!(
        check.text().contains("Vérifiez et envoyez") && check.text().contains("/modifier?aller=1#champ-participants")
    );
    let again = server.post("/guichet/fete/modifier?aller=1", &check.fields());
    assert_eq!(again.field("participants").as_deref(), Some("30"));
    // All pages were seen: from a mended answer back to the check page at once.
    let check = server.post(VERIFY, &filled(&again, &[("participants", "31")]));
    assert!(check.text().contains("Vérifiez et envoyez"), "{}", check.text());
    // A hundred people: a question of another page is now asked, and only that page is shown.
    let again = server.post("/guichet/fete/modifier?aller=1", &check.fields());
    let parking = server.post(VERIFY, &filled(&again, &[("participants", "120")]));
    assert!(parking.text().contains("Où garez-vous les cars"), "{}", parking.text());
    let check = server.post(VERIFY, &filled(&parking, &[("plan", "Sur le stade")]));
    assert!(check.text().contains("Sur le stade") && check.text().contains("Vérifiez et envoyez"));
    let sent = server.post("/guichet/fete/envoyer", &check.fields());
    assert_eq!(sent.status, 303, "{}", sent.text());
    assert!(server.get(sent.location()).text().contains("Sur le stade"));
}

#[test]
fn a_group_grows_and_shrinks_without_script() {
    let server = server("");
    let children = server.post(VERIFY, &first("30"));
    let two = server.post(MODIFY, &with(filled(&children, &[("enfants.1.prenom", "Zoé")]), "groupe", "+enfants"));
    assert_eq!(two.field("enfants.1.prenom").as_deref(), Some("Zoé"));
    assert!(two.text().contains("name=\"enfants.2.prenom\""), "{}", two.text());
    assert!(two.text().contains("Étape 2 sur 5"));
    let filled_two = filled(&two, &[("enfants.2.prenom", "Léo"), ("enfants.2.repas", "2")]);
    let one = server.post(MODIFY, &with(filled_two, "groupe", "-enfants.1"));
    assert_eq!(one.field("enfants.1.prenom").as_deref(), Some("Léo"));
    assert_eq!(one.field("enfants.1.repas").as_deref(), Some("2"));
    assert!(!one.text().contains("name=\"enfants.2.prenom\""));
    // A copy half filled is told with its number; one left blank is nobody.
    let half = server.post(VERIFY, &with(filled(&two, &[("enfants.1.prenom", "")]), "enfants.2.repas", "2"));
    assert_eq!(half.status, 422);
    assert!(
        half.text().contains("Enfant 2") && half.text().contains("href=\"#champ-enfants-2-prenom\""),
        "{}",
        half.text()
    );
}

#[test]
fn prices_are_added_up_and_told_to_the_resident_and_the_mairie() {
    let server = server("");
    let children = server.post(VERIFY, &first("30"));
    let answers = [("enfants.1.prenom", "Zoé"), ("enfants.1.repas", "2")];
    let person = server.post(VERIFY, &filled(&children, &answers));
    let check = server.post(VERIFY, &filled(&person, &PERSON));
    // 80 € and two meals at 4,50 €.
    assert!(check.text().contains("Total indicatif") && check.text().contains("89\u{a0}€"), "{}", check.text());
    let sent = server.post("/guichet/fete/envoyer", &check.fields());
    assert!(server.get(sent.location()).text().contains("89\u{a0}€"));
}

#[test]
fn an_exit_stops_the_journey_and_gives_the_answers_back() {
    let server = server("");
    let sent = fields(&[("page", "1.1"), ("profil", "ext"), ("participants", "60")]);
    let exit = server.post(VERIFY, &sent);
    assert_eq!(exit.status, 200);
    assert!(
        exit.text().contains("La salle est trop petite")
            && exit.text().contains("<strong>communauté de communes</strong>")
    );
    let back = server.post(MODIFY, &exit.fields());
    assert_eq!(back.field("participants").as_deref(), Some("60"));
    let forced = server.post("/guichet/fete/envoyer", &with(sent, "jeton", "x"));
    assert_eq!(forced.status, 422, "an exit cannot be sent past");
}

#[test]
fn a_date_too_near_is_refused_with_the_first_day_that_suits() {
    let server = server("");
    let near = server.post(VERIFY, &with(first("30"), "jour", "2026-01-01"));
    assert_eq!(near.status, 422);
    assert!(near.text().contains("choisissez une date à partir du"), "{}", near.text());
}

#[test]
fn a_form_that_is_not_open_yet_or_any_more_says_so_and_keeps_what_was_typed() {
    let later = server("ouvre_le = 2099-01-01");
    let page = later.get("/guichet/fete/");
    assert_eq!(page.status, 403);
    assert!(page.text().contains("Ce formulaire ouvre le 1er janvier 2099"), "{}", page.text());
    let over = server("ferme_le = 2020-01-01\nmessage_ferme = \"La fête est complète.\"");
    let page = over.post(VERIFY, &first("30"));
    assert_eq!(page.status, 403);
    assert!(page.text().contains("La fête est complète.") && page.text().contains("30"), "{}", page.text());
}

#[test]
fn places_are_counted_then_the_waiting_list_then_nobody() {
    let server = server("places = 1\nliste_attente = 1\nmessage_ferme = \"La fête est complète.\"");
    let ask = || {
        let children = server.post(VERIFY, &first("30"));
        let person = server.post(VERIFY, &filled(&children, &[]));
        server.post(VERIFY, &filled(&person, &PERSON))
    };
    let (one, two, three) = (ask(), ask(), ask());
    let send = |page: &Answer| server.post("/guichet/fete/envoyer", &page.fields());
    let first_sent = send(&one);
    assert_eq!(first_sent.status, 303, "{}", first_sent.text());
    assert!(!server.get(first_sent.location()).text().contains("liste d’attente"));
    let second_sent = send(&two);
    assert!(server.get(second_sent.location()).text().contains("liste d’attente"));
    let third_sent = send(&three);
    assert_eq!(third_sent.status, 403);
    assert!(third_sent.text().contains("La fête est complète.") && third_sent.text().contains("Zélie"), "kept to copy");
    assert_eq!(send(&one).location(), first_sent.location(), "the first press is found again");
    assert_eq!(server.get("/guichet/fete/").status, 403);
}

#[test]
fn the_fiche_of_a_form_that_is_not_open_says_when_it_opens() {
    let preview = ServerTest::preview_with(|folder| {
        std::fs::create_dir_all(folder.join("demarches")).unwrap();
        std::fs::write(folder.join("demarches/fete.md"), FETE.replace("OPENING", "ouvre_le = 2099-01-01")).unwrap();
    });
    let fiche = preview.get("/demarches/fete/");
    assert!(
        fiche.text().contains("ouvre le 1er janvier 2099") && !fiche.text().contains("/demarches/fete/formulaire/\""),
        "{}",
        fiche.text()
    );
}
