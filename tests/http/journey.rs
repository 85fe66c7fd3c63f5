//! From the questions to the receipt, as a browser without script goes.

use jiff::SignedDuration;

use crate::server_test::*;

fn verify() -> String {
    format!("/guichet/{FORM}/verifier")
}

fn send() -> String {
    format!("/guichet/{FORM}/envoyer")
}

#[test]
fn a_request_goes_from_the_questions_to_the_receipt_and_the_mailbox() {
    let server = ServerTest::guichet();
    let questions = server.get(&format!("/guichet/{FORM}/"));
    assert_eq!(questions.status, 200);
    assert!(questions.text().contains(&format!("action=\"{}\"", verify())));
    let mut parts = texts(&valid_answers());
    parts.push(file("pieces", "plan du jardin.pdf", PDF));
    let check = server.post_parts(&verify(), &parts);
    assert_eq!(check.status, 200, "{}", check.text());
    assert!(check.text().contains("Une benne rue du Four") && check.text().contains("plan du jardin.pdf"));
    let carried = check.fields();
    assert!(carried.iter().any(|(name, _)| name == "fichier.pieces"));
    let sent = server.post(&send(), &carried);
    assert_eq!(sent.status, 303, "{}", sent.text());
    let receipt = server.get(sent.location());
    assert_eq!(receipt.status, 200);
    let reference = sent.location().split('/').nth(3).unwrap().to_owned();
    for words in
        [reference.as_str(), "Accusé d’enregistrement électronique", "Une benne rue du Four", "z…\u{2060}e@exemple.fr"]
    {
        assert!(receipt.text().contains(words), "{words}\n{}", receipt.text());
    }
    assert!(!receipt.text().contains("<script"));
    let mails = wait_for_mails(&server, 2);
    assert!(mails.iter().any(|mail| mail.to == "mairie@trou.example"));
    assert!(mails.iter().any(|mail| mail.to == "zelie@exemple.fr"));
}

/// Mails the worker has handed over; it is told at once, so this is short.
fn wait_for_mails(server: &ServerTest, count: usize) -> Vec<mulot::intake::mailer::Parcel> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let taken = server.mails.taken();
        if taken.len() >= count || std::time::Instant::now() > deadline {
            assert_eq!(taken.len(), count);
            return taken;
        }
        std::thread::yield_now();
    }
}

#[test]
fn an_urlencoded_form_is_read_as_well() {
    let server = ServerTest::guichet();
    let check = server.post(&verify(), &valid_answers());
    assert_eq!(check.status, 200, "{}", check.text());
    assert_eq!(server.post(&send(), &check.fields()).status, 303);
}

#[test]
fn what_is_to_mend_is_said_and_what_was_typed_is_kept() {
    let server = ServerTest::guichet();
    let mut parts = texts(&with(valid_answers(), "courriel", "zelie arobase exemple"));
    parts.push(file("pieces", "plan.pdf", PDF));
    let questions = server.post_parts(&verify(), &parts);
    assert_eq!(questions.status, 422);
    let page = questions.text();
    assert!(page.contains("Une réponse est à revoir") && page.contains("href=\"#champ-courriel\""), "{page}");
    assert!(page.contains("<title>Erreur"));
    assert_eq!(questions.field("courriel").as_deref(), Some("zelie arobase exemple"));
    assert_eq!(questions.field("nom").as_deref(), Some("Quatrebarbes"));
    assert_eq!(
        questions.field("message").map(|text| text.replace("\r\n", "\n")).as_deref(),
        Some("Bonjour,\nJe voudrais poser une benne.\nMerci")
    );
    assert_eq!(questions.field("qualite").as_deref(), Some("personne"));
    // The file needs not be joined again.
    let kept = questions.field("fichier.pieces").expect("the file is kept");
    let fields = with(questions.fields(), "courriel", "zelie@exemple.fr");
    let check = server.post_parts(&verify(), &texts(&fields));
    assert_eq!(check.status, 200, "{}", check.text());
    assert_eq!(check.field("fichier.pieces"), Some(kept));
}

#[test]
fn an_answer_to_a_question_that_is_not_asked_is_told_not_to_be_sent() {
    let server = ServerTest::guichet();
    let check = server.post(&verify(), &with(valid_answers(), "association", "Les Amis du lavoir"));
    let page = check.text();
    assert_eq!(check.status, 200, "{page}");
    assert!(page.contains("Une réponse ne sera pas envoyée"), "{page}");
    assert!(page.contains("Nom de l’association") && page.contains("seulement si vous avez répondu"), "{page}");
    assert_eq!(check.field("association"), None, "what is not sent does not go on");
    let check = server.post(&verify(), &valid_answers());
    assert!(!check.text().contains("ne sera pas envoyée"));
}

#[test]
fn a_file_kept_can_be_taken_away() {
    let server = ServerTest::guichet();
    let mut parts = texts(&valid_answers());
    parts.push(file("pieces", "plan.pdf", PDF));
    let check = server.post_parts(&verify(), &parts);
    let id = check.field("fichier.pieces").unwrap();
    let fields = with(check.fields(), &format!("retirer.{id}"), "oui");
    let check = server.post(&verify(), &fields);
    assert_eq!((check.status, check.field("fichier.pieces")), (200, None));
}

#[test]
fn modify_gives_the_questions_back_filled() {
    let server = ServerTest::guichet();
    let carried = server.to_check_page();
    let questions = server.post(&format!("/guichet/{FORM}/modifier"), &carried);
    assert_eq!(questions.status, 200);
    assert_eq!(questions.field("prenom").as_deref(), Some("Zélie"));
    assert_eq!(questions.field("adresse.code_postal").as_deref(), Some("01500"));
    assert!(!questions.text().contains("à revoir"));
}

#[test]
fn pressing_twice_gives_one_request_and_twice_its_receipt() {
    let server = ServerTest::guichet();
    let carried = server.to_check_page();
    let first = server.post(&send(), &carried);
    let again = server.post(&send(), &carried);
    assert_eq!((first.status, again.status), (303, 303));
    assert_eq!(first.location(), again.location());
    // Even long after, and whatever was changed on the way.
    server.advance(SignedDuration::from_hours(20));
    let late = server.post(&send(), &with(carried, "nom", ""));
    assert_eq!((late.status, late.location()), (303, first.location()));
    wait_for_mails(&server, 2);
}

#[test]
fn many_presses_at_once_give_one_request() {
    let server = ServerTest::guichet();
    let carried = server.to_check_page();
    let places: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
        let presses: Vec<_> =
            (0..12).map(|_| scope.spawn(|| server.post(&send(), &carried).location().to_owned())).collect();
        presses.into_iter().map(|press| press.join().unwrap()).collect()
    });
    assert_eq!(places.len(), 1);
    wait_for_mails(&server, 2);
}

#[test]
fn an_old_check_page_is_shown_again_with_its_answers() {
    let server = ServerTest::guichet();
    let carried = server.to_check_page();
    server.advance(SignedDuration::from_hours(13));
    let check = server.post(&send(), &carried);
    assert_eq!(check.status, 422);
    assert!(check.text().contains("restée ouverte trop longtemps"), "{}", check.text());
    assert_eq!(check.field("nom").as_deref(), Some("Quatrebarbes"));
    assert_ne!(check.field("jeton"), carried.iter().find(|(name, _)| name == "jeton").map(|(_, token)| token.clone()));
    assert_eq!(server.post(&send(), &check.fields()).status, 303, "a second press is enough");
}

#[test]
fn a_token_that_is_not_ours_is_worth_nothing() {
    let server = ServerTest::guichet();
    let carried = server.to_check_page();
    for token in ["", "AAAA", &"A".repeat(76)] {
        let check = server.post(&send(), &with(carried.clone(), "jeton", token));
        assert_eq!(check.status, 422);
        assert_eq!(check.field("nom").as_deref(), Some("Quatrebarbes"));
    }
    assert!(server.mails.taken().is_empty());
}

#[test]
fn what_falls_in_the_trap_is_asked_for_once_more() {
    let server = ServerTest::guichet();
    let carried = with(server.to_check_page(), "site_web", "https://spam.example");
    let check = server.post(&send(), &carried);
    assert_eq!(check.status, 422);
    assert!(check.text().contains("Ce champ doit rester vide"), "{}", check.text());
    assert_eq!(check.field("site_web").as_deref(), Some("https://spam.example"));
    let emptied = with(check.fields(), "site_web", "");
    assert_eq!(server.post(&send(), &emptied).status, 303);
}

#[test]
fn answers_changed_on_the_way_are_judged_again() {
    let server = ServerTest::guichet();
    let carried = with(server.to_check_page(), "courriel", "pas une adresse");
    let questions = server.post(&send(), &carried);
    assert_eq!(questions.status, 422);
    assert!(questions.text().contains("href=\"#champ-courriel\""));
}

#[test]
fn a_receipt_opens_with_its_whole_address_only() {
    let server = ServerTest::guichet();
    let sent = server.post(&send(), &server.to_check_page());
    let place = sent.location();
    let (start, secret) = place.rsplit_once('/').unwrap();
    let wrong = if secret.starts_with('0') { secret.replacen('0', "1", 1) } else { format!("0{}", &secret[1..]) };
    for place in [
        format!("{start}/{wrong}"),
        format!("{start}/x"),
        "/guichet/recu/2026-AAAA-AAAA-A/x".to_owned(),
        "/guichet/recu/pas-une-reference/x".to_owned(),
    ] {
        let answer = server.get(&place);
        assert_eq!(answer.status, 404, "{place}");
        assert!(answer.text().contains("Accusé introuvable") && answer.text().contains("04"), "a telephone is there");
    }
}

#[test]
fn a_resident_without_email_reads_the_receipt_on_the_page() {
    let server = ServerTest::guichet();
    let questions = server.get("/guichet/signaler-un-probleme/");
    assert_eq!(questions.status, 200, "the catalogue has it");
    assert_eq!(server.get("/guichet/contact").status, 200, "with or without the last slash");
    let form = "/guichet/signaler-un-probleme";
    let answers = [("danger", "non"), ("categorie", "eau"), ("lieu", "Rue du Four"), ("description", "Une fuite")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let check = server.post(&format!("{form}/verifier"), &answers);
    assert_eq!(check.status, 200, "{}", check.text());
    let sent = server.post(&format!("{form}/envoyer"), &check.fields());
    let receipt = server.get(sent.location()).text();
    assert!(receipt.contains("Aucune copie ne part") && !receipt.contains("Si vous avez donné"), "{receipt}");
    let follow = receipt.split('"').find(|text| text.starts_with("/guichet/suivi/")).expect("a link to the follow-up");
    let follow = server.get(follow).text();
    assert!(follow.contains("aucun courriel ne vous la redonnera"), "{follow}");
    assert!(!follow.contains("dans le courriel de la mairie"), "{follow}");
}

#[test]
fn whoever_asks_for_the_address_of_an_answer_begins_again() {
    let server = ServerTest::guichet();
    for act in ["verifier", "modifier", "envoyer"] {
        let answer = server.get(&format!("/guichet/{FORM}/{act}"));
        assert_eq!((answer.status, answer.location()), (303, format!("/guichet/{FORM}/").as_str()));
    }
}

#[test]
fn requests_survive_a_restart() {
    let mut first = ServerTest::guichet();
    let carried = first.to_check_page();
    let sent = first.post(&send(), &carried);
    first.ask_to_stop();
    first.wait_stopped();
    let data = first.data();
    let second = ServerTest::guichet_with(|config| config.data = data);
    assert_eq!(second.get(sent.location()).status, 200);
    assert_eq!(second.post(&send(), &carried).location(), sent.location());
}

/// Two streets of the test commune.
const ADDRESSES: &str = "commune_insee;voie_nom;numero\n01004;Rue du Four;3\n01004;Place des Tilleuls;99999\n";

#[test]
fn the_communes_addresses_are_offered_again_and_never_imposed() {
    let server = ServerTest::guichet_with(|config| {
        std::fs::write(config.folder.join("adresses.csv"), ADDRESSES).unwrap();
    });
    let answers =
        |street: &str, commune: &str| with(with(valid_answers(), "adresse.voie", street), "adresse.commune", commune);
    let refused = server.post_parts(&verify(), &texts(&with(answers("4 rue du Foor", "Trou-la-Ville"), "nom", "")));
    assert_eq!(refused.status, 422);
    let page = refused.text();
    assert!(page.contains("list=\"adresses-connues\"") && page.contains("<option value=\"3 rue du Four\">"), "{page}");
    let checked = |street: &str, commune: &str| {
        let check = server.post_parts(&verify(), &texts(&answers(street, commune)));
        assert_eq!(check.status, 200, "{}", check.text());
        (check.text().replace(['\u{a0}', '\u{202f}'], " "), check)
    };
    const ASKED: &str = "Vouliez-vous dire « Rue du Four » ?";
    let (page, check) = checked("4 rue du Foor", "trou la ville");
    assert!(page.contains(ASKED), "{page}");
    assert_eq!(check.field("adresse.voie").as_deref(), Some("4 rue du Foor"), "what was typed stays");
    assert_eq!(server.post(&send(), &check.fields()).status, 303, "and is taken");
    for (street, commune) in
        [("4 rue du Foor", "Ailleurs"), ("4 rue du Four", "Trou-la-Ville"), ("12 rue des Acacias", "Trou-la-Ville")]
    {
        let (page, _) = checked(street, commune);
        assert!(!page.contains("Vouliez-vous dire"), "{street}, {commune}: {page}");
    }
}
