//! Machines that sell, and strangers who type the address of someone else: nothing is lost, nobody is bombed.

use jiff::SignedDuration;
use mulot::intake::mailer::Parcel;

use crate::server_test::*;

const SPAM: &str =
    "Dear Sir, I came across your website. <a href=\"https://x.example\">Click here</a> for casino and backlinks";

fn send() -> String {
    format!("/guichet/{FORM}/envoyer")
}

fn post_answers(server: &ServerTest, answers: &[(String, String)]) -> Answer {
    let check = server.post(&format!("/guichet/{FORM}/verifier"), answers);
    assert_eq!(check.status, 200, "{}", check.text());
    server.post(&send(), &check.fields())
}

/// Waits for so many mails; the worker is told at once, so this is short.
fn mails(server: &ServerTest, count: usize) -> Vec<Parcel> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while server.mails.taken().len() < count && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    server.mails.taken()
}

fn text_of(mail: &Parcel) -> String {
    let message = mail_parser::MessageParser::default().parse(mail.bytes.as_slice()).unwrap();
    format!("{}\n{}", message.subject().unwrap_or_default(), message.body_text(0).unwrap_or_default())
}

#[test]
fn what_looks_like_advertising_is_kept_told_without_content_and_leaves_by_itself() {
    let server = ServerTest::guichet();
    let sent = post_answers(&server, &with(valid_answers(), "message", SPAM));
    assert_eq!(sent.status, 303, "accepted like any other");
    let receipt = server.get(sent.location());
    assert_eq!(receipt.status, 200);
    for words in ["Accusé d’enregistrement", "la mairie est prévenue", "partira plus tard", "tel:"] {
        assert!(receipt.text().contains(words), "{words}\n{}", receipt.text());
    }
    let told = mails(&server, 1);
    assert_eq!(told.len(), 1, "neither the request nor the receipt left");
    assert_eq!(told[0].to, "mairie@trou.example");
    let notice = text_of(&told[0]);
    let reference = sent.location().split('/').nth(3).unwrap();
    assert!(notice.contains("à vérifier") && notice.contains(reference), "{notice}");
    for personal in ["Quatrebarbes", "Zélie", "zelie@", "casino", "Dear Sir", "rue du Four"] {
        assert!(!notice.contains(personal), "{personal}\n{notice}");
    }
    // A plain request is not held up by it.
    let plain = with(valid_answers(), "courriel", "leo@exemple.fr");
    assert_eq!(post_answers(&server, &plain).status, 303);
    let all = mails(&server, 3);
    assert!(all.iter().any(|mail| mail.to == "leo@exemple.fr") && all.iter().all(|mail| mail.to != "zelie@exemple.fr"));
}

#[test]
fn a_trap_filled_again_goes_to_quarantine_and_never_to_nothing() {
    let server = ServerTest::guichet();
    let first = server.post(&send(), &with(server.to_check_page(), "site_web", "rempli par un gestionnaire"));
    assert_eq!(first.status, 422);
    let again = server.post(&send(), &first.fields());
    assert_eq!(again.status, 303, "{}", again.text());
    assert!(server.get(again.location()).text().contains("la mairie est prévenue"));
}

#[test]
fn the_trap_is_out_of_the_way_of_people_and_their_programs() {
    let server = ServerTest::guichet();
    let page = server.post(&format!("/guichet/{FORM}/verifier"), &valid_answers()).text();
    let trap = page.split("<div class=\"complement\"").nth(1).expect("a trap").split("</div>").next().unwrap();
    for attribute in ["aria-hidden=\"true\"", "tabindex=\"-1\"", "autocomplete=\"off\"", "Laissez ce champ vide"] {
        assert!(trap.contains(attribute), "{attribute}\n{trap}");
    }
    assert!(!trap.contains("type=\"hidden\"") && !trap.contains("style="), "{trap}");
    // Names that browsers and password managers fill.
    for name in ["url", "company", "email", "phone", "website", "address", "name"] {
        assert!(!trap.contains(&format!("name=\"{name}\"")), "{name}");
    }
}

#[test]
fn ten_thousand_receipts_cannot_be_aimed_at_one_person() {
    let server = ServerTest::guichet_with(|config| {
        config.rates.receipts = 3;
        config.rates.email_sends = 1000;
    });
    for number in 0..8 {
        let answers = with(valid_answers(), "message", &format!("Message numéro {number} sur une benne de la rue."));
        let sent = post_answers(&server, &answers);
        assert_eq!(sent.status, 303);
        let receipt = server.get(sent.location()).text();
        assert_eq!(receipt.contains("déjà reçu plusieurs aujourd’hui"), number >= 3, "{number}\n{receipt}");
        assert!(receipt.contains("Accusé d’enregistrement"), "the page is the receipt all the same");
    }
    let all = mails(&server, 11);
    assert_eq!(all.iter().filter(|mail| mail.to == "mairie@trou.example").count(), 8, "every request leaves");
    assert_eq!(all.iter().filter(|mail| mail.to == "zelie@exemple.fr").count(), 3);
}

#[test]
fn too_many_requests_of_one_address_or_to_one_form_are_slowed_with_their_answers() {
    let server = ServerTest::guichet_with(|config| {
        config.rates.email_sends = 2;
        config.rates.form_sends = 3;
    });
    let from = |email: &str| post_answers(&server, &with(valid_answers(), "courriel", email));
    assert_eq!((from("a@exemple.fr").status, from("A@exemple.fr").status), (303, 303));
    let slowed = from("a@exemple.fr");
    assert_eq!(slowed.status, 429);
    assert!(slowed.header("retry-after").is_some());
    assert_eq!(slowed.field("nom").as_deref(), Some("Quatrebarbes"));
    for words in ["Essayer encore", "30\u{a0}minutes", "tel:", "rien n’est perdu"] {
        assert!(slowed.text().contains(words), "{words}\n{}", slowed.text());
    }
    assert_eq!(from("b@exemple.fr").status, 303);
    assert_eq!(from("c@exemple.fr").status, 429, "the form had its three");
}

#[test]
fn pages_checked_too_often_keep_what_was_typed() {
    let server = ServerTest::guichet_with(|config| {
        config.rates.checks = 1;
        config.proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    let mut parts = texts(&valid_answers());
    parts.push(file("pieces", "plan.pdf", PDF));
    let kind = multipart_type();
    let headers = [("content-type", kind.as_str()), ("x-forwarded-for", "192.0.2.7")];
    let check = || server.ask("POST", &format!("/guichet/{FORM}/verifier"), &headers, &multipart(&parts));
    assert_eq!(check().status, 200);
    let slowed = check();
    assert_eq!(slowed.status, 429);
    assert_eq!(slowed.field("nom").as_deref(), Some("Quatrebarbes"));
    assert!(slowed.text().contains("tel:") && slowed.text().contains("Essayer encore"), "{}", slowed.text());
    assert_eq!(slowed.field("fichier.pieces"), None, "files are not taken meanwhile");
    assert_eq!(server.post(&format!("/guichet/{FORM}/verifier"), &slowed.fields()).status, 200, "from elsewhere");
}

#[test]
fn the_same_words_over_and_over_end_in_quarantine() {
    let server = ServerTest::guichet();
    let places: Vec<String> = (0..7)
        .map(|number| {
            let answers = with(valid_answers(), "courriel", &format!("personne{number}@exemple.fr"));
            post_answers(&server, &answers).location().to_owned()
        })
        .collect();
    assert!(!server.get(&places[0]).text().contains("la mairie est prévenue"));
    assert!(server.get(&places[6]).text().contains("la mairie est prévenue"));
}

#[test]
fn a_request_in_quarantine_is_found_again_by_its_button_and_after_a_restart() {
    let mut first = ServerTest::guichet();
    let check = first.post(&format!("/guichet/{FORM}/verifier"), &with(valid_answers(), "message", SPAM)).fields();
    let sent = first.post(&send(), &check);
    assert_eq!(first.post(&send(), &check).location(), sent.location());
    assert_eq!(mails(&first, 1).len(), 1);
    first.ask_to_stop();
    first.wait_stopped();
    let data = first.data();
    let second = ServerTest::guichet_with(|config| config.data = data);
    assert!(second.get(sent.location()).text().contains("la mairie est prévenue"));
    second.advance(SignedDuration::from_hours(49));
    assert!(!second.get(sent.location()).text().contains("la mairie est prévenue"), "it has left");
}
