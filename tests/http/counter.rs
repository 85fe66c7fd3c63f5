//! An agent fills a form for somebody on the telephone or at the desk.

use jiff::{SignedDuration, Timestamp};
use mulot::intake::token::Keys;

use crate::server_test::*;

fn link(server: &ServerTest) -> String {
    let keys = Keys::read(&server.data().join("cle")).expect("the keys of the guichet");
    format!("/guichet/comptoir/{}", keys.counter_token(Timestamp::now() + SignedDuration::from_hours(24)))
}

/// Somebody without an electronic address, on the telephone.
fn answers() -> Vec<(String, String)> {
    let mut answers = valid_answers();
    answers.retain(|(name, _)| name != "courriel");
    for (name, value) in [("comptoir_agent", "Claire Denis, secrétaire"), ("comptoir_canal", "telephone")] {
        answers.push((name.to_owned(), value.to_owned()));
    }
    answers
}

#[test]
fn an_agent_fills_a_form_for_somebody_and_prints_the_receipt() {
    let server = ServerTest::guichet();
    let counter = link(&server);
    let list = server.get(&format!("{counter}/"));
    assert_eq!(list.status, 200, "{}", list.text());
    assert!(list.text().contains(&format!("{counter}/{FORM}/")));
    let questions = server.get(&format!("{counter}/{FORM}/"));
    assert!(questions.text().contains(&format!("action=\"{counter}/{FORM}/verifier\"")), "{}", questions.text());
    let missing = server.post(&format!("{counter}/{FORM}/verifier"), &valid_answers());
    assert_eq!(missing.status, 422, "the agent must say who and how");
    let check = server.post(&format!("{counter}/{FORM}/verifier"), &answers());
    assert_eq!(check.status, 200, "{}", check.text());
    assert!(check.text().contains("Enregistrer") && !check.text().contains("art. L112-8"));
    let sent = server.post(&format!("{counter}/{FORM}/envoyer"), &check.fields());
    assert_eq!(sent.status, 303, "{}", sent.text());
    let receipt = server.get(sent.location());
    assert!(receipt.text().contains("Imprimez cette page") && receipt.text().contains("Claire Denis"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let mails = loop {
        let mails = server.mails.taken();
        if !mails.is_empty() || std::time::Instant::now() > deadline {
            break mails;
        }
        std::thread::yield_now();
    };
    let mail = String::from_utf8_lossy(&mails[0].bytes).into_owned();
    assert!(mail.contains("Saisi au comptoir") || mail.contains("Saisi=20au=20comptoir"), "{mail}");
}

#[test]
fn an_agent_types_the_code_of_the_mairie_when_there_is_one() {
    let server = ServerTest::guichet_with(|config| {
        config.agent_code = mulot::server::agent::AgentCode::new("champ de lin");
    });
    let counter = link(&server);
    let check = server.post(&format!("{counter}/{FORM}/verifier"), &answers());
    assert!(check.text().contains("type=\"password\"") && check.text().contains("Code de la mairie"));
    let place = format!("{counter}/{FORM}/envoyer");
    for (typed, words) in [("", "Tapez le code de la mairie"), ("sésame", "n’est pas le code")] {
        let refused = server.post(&place, &with(check.fields(), "code_mairie", typed));
        assert_eq!(refused.status, 422);
        assert!(refused.text().contains(words) && !refused.text().contains("sésame"), "{}", refused.text());
        assert!(refused.text().contains("href=\"#champ-code_mairie\""), "{}", refused.text());
    }
    let sent = server.post(&place, &with(check.fields(), "code_mairie", "champ de lin"));
    assert_eq!(sent.status, 303, "{}", sent.text());
    let check = server.post(&format!("{counter}/{FORM}/verifier"), &answers());
    for _ in 0..4 {
        assert_eq!(server.post(&place, &with(check.fields(), "code_mairie", "sésame")).status, 422);
    }
    assert_eq!(server.post(&place, &with(check.fields(), "code_mairie", "champ de lin")).status, 429);
    let resident = server.post(&format!("/guichet/{FORM}/verifier"), &valid_answers());
    assert!(!resident.text().contains("Code de la mairie"), "residents have none");
}

#[test]
fn a_link_that_is_over_or_forged_opens_nothing() {
    let server = ServerTest::guichet();
    let counter = link(&server);
    for address in [format!("/guichet/comptoir/x/{FORM}/"), "/guichet/comptoir/x/".to_owned()] {
        let page = server.get(&address);
        assert_eq!(page.status, 404);
        assert!(page.text().contains("Comptoir fermé"), "{}", page.text());
    }
    assert_eq!(server.post(&format!("/guichet/comptoir/x/{FORM}/envoyer"), &answers()).status, 404);
    server.advance(SignedDuration::from_hours(25));
    let over = server.get(&format!("{counter}/{FORM}/"));
    assert_eq!(over.status, 404);
    assert!(over.text().contains("plus valable"), "{}", over.text());
}

#[test]
fn an_agent_is_neither_counted_nor_suspected() {
    let server = ServerTest::guichet();
    let counter = link(&server);
    for turn in 0..12 {
        let said = format!("http://a.example http://b.example http://c.example http://d.example {turn}");
        let check = server.post(&format!("{counter}/{FORM}/verifier"), &with(answers(), "message", &said));
        assert_eq!(check.status, 200, "{}", check.text());
        let sent = server.post(&format!("{counter}/{FORM}/envoyer"), &check.fields());
        assert_eq!(sent.status, 303, "{}", sent.text());
        assert!(!server.get(sent.location()).text().contains("publicité"));
    }
}
