//! A mailbox is confirmed by its code before a form opens; what waits in quarantine is judged from the mail that tells of it.

use std::time::{Duration, Instant};

use mail_parser::MessageParser;
use mulot::intake::mailer::Parcel;
use mulot::intake::store::{Access, Store, StoreOptions};

use crate::server_test::*;

/// Waits for mails to this address; gives the texts.
fn texts_to(server: &ServerTest, to: &str, count: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let found = || server.mails.taken().into_iter().filter(|parcel| parcel.to == to).collect::<Vec<Parcel>>();
    while found().len() < count && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let read = |parcel: &Parcel| {
        let message = MessageParser::default().parse(parcel.bytes.as_slice()).unwrap();
        message.body_text(0).unwrap().replace("\r\n", "\n")
    };
    let texts: Vec<String> = found().iter().map(read).collect();
    assert_eq!(texts.len(), count, "to {to}");
    texts
}

/// The path of the first address of the guichet in a text.
fn link(text: &str, part: &str) -> String {
    let at = text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    text[at..].split_whitespace().next().unwrap().to_owned()
}

/// The code of a mail, without its space.
fn code(text: &str) -> String {
    let words = text.split("Votre code : ").nth(1).expect("a code");
    words.lines().next().unwrap().chars().filter(char::is_ascii_digit).collect()
}

fn pair(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

fn sent(server: &ServerTest, answers: &[(String, String)]) -> Answer {
    let check = server.post(&format!("/guichet/{FORM}/verifier"), answers);
    assert_eq!(check.status, 200, "{}", check.text());
    server.post(&format!("/guichet/{FORM}/envoyer"), &check.fields())
}

const MAIRIE: &str = "mairie@trou.example";

#[test]
fn a_form_opens_when_the_code_of_its_mailbox_is_typed() {
    let server = ServerTest::guichet_with(|config| config.confirms_mailboxes = true);
    let form = format!("/guichet/{FORM}/");
    let closed = server.get(&form);
    assert_eq!(closed.status, 403);
    for words in ["ouvrira bientôt", "04\u{a0}65\u{a0}71\u{a0}00\u{a0}01"] {
        assert!(closed.text().contains(words), "{words}: {}", closed.text());
    }
    let typed = server.post(&format!("{form}verifier"), &valid_answers());
    assert_eq!(typed.status, 403);
    assert!(typed.text().contains("Une benne rue du Four"), "what was typed is not lost");

    let mail = &texts_to(&server, MAIRIE, 1)[0];
    let page = link(mail, "/guichet/boite/");
    let (right, question) = (code(mail), server.get(&page));
    assert_eq!(question.status, 200);
    assert!(question.text().contains(MAIRIE) && question.text().contains("one-time-code"));
    assert_eq!(server.get(&form).status, 403, "opening the page confirms nothing");
    let wrong = if right == "000000" { "000001" } else { "000000" };
    let refused = server.post(&page, &pair("code", wrong));
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("il reste 4 essais"), "{}", refused.text());
    assert_eq!(server.post(&page, &pair("code", "")).status, 422, "nothing typed is no try");
    assert_eq!(server.get(&form).status, 403);

    let done = server.post(&page, &pair("code", &format!("{} {}", &right[..3], &right[3..])));
    assert_eq!(done.status, 303, "{}", done.text());
    let confirmed = server.get(done.location()).text();
    assert!(confirmed.contains("Cette boîte est confirmée") && !confirmed.contains("<input"), "{confirmed}");
    assert_eq!(server.get(&form).status, 200, "at once");
    assert_eq!(sent(&server, &valid_answers()).status, 303);
    texts_to(&server, MAIRIE, 2);
    assert_eq!(server.post(&page, &pair("code", &right)).status, 303, "again does no harm");
}

#[test]
fn five_wrong_codes_need_another_one_and_a_forged_link_opens_nothing() {
    let server = ServerTest::guichet_with(|config| config.confirms_mailboxes = true);
    let mail = &texts_to(&server, MAIRIE, 1)[0];
    let (page, right) = (link(mail, "/guichet/boite/"), code(mail));
    for _ in 0..4 {
        assert_eq!(server.post(&page, &pair("code", "12")).status, 422);
    }
    assert_eq!(server.post(&page, &pair("code", "12")).status, 409);
    let over = server.post(&page, &pair("code", &right));
    assert_eq!(over.status, 409, "even the right one");
    assert!(!over.text().contains("<input"), "{}", over.text());
    server.advance(jiff::SignedDuration::from_mins(11));
    assert!(server.get(&page).text().contains("Recevoir un autre code"));
    assert_eq!(server.get(&format!("{page}/autre")).status, 303, "a link is not followed");
    assert_eq!(server.post(&format!("{page}/autre"), &[]).status, 303);
    let mails = texts_to(&server, MAIRIE, 2);
    assert_eq!(server.post(&page, &pair("code", &code(&mails[1]))).status, 303);

    let last = if page.ends_with('A') { "B" } else { "A" };
    let forged = format!("{}{last}", &page[..page.len() - 1]);
    assert_eq!(server.get(&forged).status, 404);
    server.advance(jiff::SignedDuration::from_hours(24 * 32));
    assert_eq!(server.get(&page).status, 410);
    assert_eq!(server.post(&page, &pair("code", &right)).status, 410);
}

#[test]
fn one_confirmed_mailbox_opens_the_form_and_gets_its_mails_alone() {
    let two = "destinataires = [\"mairie@trou.example\", \"adjoint@trou.example\"]";
    let server = ServerTest::guichet_with(|config| {
        config.confirms_mailboxes = true;
        let file = config.folder.join("commune.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("destinataires = [\"mairie@trou.example\"]", two)).unwrap();
    });
    let mail = &texts_to(&server, MAIRIE, 1)[0];
    texts_to(&server, "adjoint@trou.example", 1);
    // The technician's way, beside the server.
    let options = StoreOptions { access: Access::Beside, ..StoreOptions::default() };
    let store = Store::open(&server.data(), options).unwrap();
    assert!(store.confirm_mailbox(store.mailbox_tag(MAIRIE), jiff::Timestamp::now()).unwrap());
    let (form, deadline) = (format!("/guichet/{FORM}/"), Instant::now() + Duration::from_secs(30));
    while server.get(&form).status != 200 {
        assert!(Instant::now() < deadline, "the server never learnt of it");
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert_eq!(sent(&server, &valid_answers()).status, 303);
    texts_to(&server, "zelie@exemple.fr", 1);
    texts_to(&server, MAIRIE, 2);
    texts_to(&server, "adjoint@trou.example", 1);
    assert!(server.get(&link(mail, "/guichet/boite/")).text().contains("est confirmée"));
}

#[test]
fn a_request_in_quarantine_is_judged_from_its_mail() {
    let server = ServerTest::guichet();
    let spam = |number: u32| {
        let links = "https://a.example https://b.example https://c.example https://d.example https://e.example";
        with(valid_answers(), "message", &format!("Achetez {number} <a href=x>ici</a> {links} {links}"))
    };
    assert_eq!(sent(&server, &spam(1)).status, 303);
    let told = &texts_to(&server, MAIRIE, 1)[0];
    let page = link(told, "/guichet/quarantaine/");
    assert!(!told.contains("Achetez") && told.contains("laisser passer ou mettre de côté"), "{told}");
    assert_eq!(sent(&server, &spam(2)).status, 303);
    let seen = server.get(&page);
    assert_eq!(seen.status, 200);
    let text = seen.text();
    for words in ["Achetez 1", "Achetez 2", "Zélie", "beaucoup de liens", "Laisser passer", "Mettre de côté"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("href=\"https://a.example"), "what is written stays words");
    let buttons: Vec<String> = text
        .split("action=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .filter(|url| url.starts_with("/guichet/quarantaine/"))
        .collect();
    assert_eq!(buttons.len(), 4, "{buttons:?}");
    assert_eq!(server.get(&buttons[0]).status, 303, "a link is not followed");
    texts_to(&server, MAIRIE, 1);

    let passed = server.post(&buttons[0], &[]);
    assert_eq!(passed.status, 303, "{}", passed.text());
    let after = server.get(passed.location()).text();
    assert!(after.contains("part à l’instant") && !after.contains("Achetez 1") && after.contains("Achetez 2"));
    assert!(texts_to(&server, MAIRIE, 2)[1].contains("Achetez 1"), "it has left");
    let again = server.post(&buttons[0], &[]);
    assert_eq!(again.status, 409);
    assert!(again.text().contains("n’attend plus"), "{}", again.text());

    assert_eq!(server.post(&buttons[3], &[]).status, 303);
    assert!(server.get(&page).text().contains("Rien n’attend"));
    assert_eq!(server.post(&buttons[2], &[]).status, 409, "it was put aside");
    server.advance(jiff::SignedDuration::from_hours(24 * 32));
    assert_eq!(server.get(&page).status, 410);
}

#[test]
fn who_judges_the_quarantine_types_the_code_of_the_mairie() {
    let server = ServerTest::guichet_with(|config| {
        config.agent_code = mulot::server::agent::AgentCode::new("champ de lin");
    });
    let links = "https://a.example https://b.example https://c.example https://d.example https://e.example";
    let spam = with(valid_answers(), "message", &format!("Achetez <a href=x>ici</a> {links} {links}"));
    assert_eq!(sent(&server, &spam).status, 303);
    let page = link(&texts_to(&server, MAIRIE, 1)[0], "/guichet/quarantaine/");
    let text = server.get(&page).text();
    assert!(text.contains("type=\"password\"") && text.contains("Code de la mairie"), "{text}");
    let action = text.split("action=\"").find(|rest| rest.contains("/passer\"")).unwrap().split('"').next().unwrap();
    for act in [action.to_owned(), action.replace("/passer", "/ecarter")] {
        assert_eq!(server.post(&act, &[]).status, 422, "nothing typed");
        let wrong = server.post(&act, &pair("code_mairie", "sésame"));
        assert_eq!(wrong.status, 422);
        assert!(wrong.text().contains("n’est pas le code") && !wrong.text().contains("sésame"), "{}", wrong.text());
    }
    texts_to(&server, MAIRIE, 1);
    assert_eq!(server.post(action, &pair("code_mairie", "champ de lin")).status, 303);
    assert!(texts_to(&server, MAIRIE, 2)[1].contains("Achetez"), "it has left");
}

#[test]
fn a_mailbox_judges_the_requests_of_its_own_forms_only() {
    let server = ServerTest::guichet_with(|config| {
        let file = config.folder.join("commune.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let own = "\n[demarches.contact]\ndestinataires = [\"accueil@trou.example\"]\n";
        std::fs::write(&file, text + own).unwrap();
    });
    let links = "https://a.example https://b.example https://c.example https://d.example https://e.example";
    let spam = with(valid_answers(), "message", &format!("Achetez <a href=x>ici</a> {links} {links}"));
    assert_eq!(sent(&server, &spam).status, 303);
    let own = link(&texts_to(&server, MAIRIE, 1)[0], "/guichet/quarantaine/");
    let store =
        Store::open(&server.data(), StoreOptions { access: Access::Beside, ..StoreOptions::default() }).unwrap();
    let other = store.keys().errand_token(
        mulot::intake::token::Errand::Quarantine,
        &store.mailbox_tag("accueil@trou.example"),
        jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1),
    );
    let other = format!("/guichet/quarantaine/{other}");
    assert!(server.get(&other).text().contains("Rien n’attend"));
    let text = server.get(&own).text();
    let action = text.split("action=\"").find(|rest| rest.contains("/passer\"")).unwrap().split('"').next().unwrap();
    let theirs = action.replacen(&own, &other, 1);
    assert_ne!(theirs, action);
    assert_eq!(server.post(&theirs, &[]).status, 409, "of no mailbox but its own");
    assert!(server.get(&own).text().contains("Achetez"), "it still waits");
}

#[test]
fn who_holds_a_link_quoted_in_a_reply_cannot_act_without_the_code_of_the_mairie() {
    let server = ServerTest::guichet_with(|config| {
        config.agent_code = mulot::server::agent::AgentCode::new("champ de lin");
    });
    assert_eq!(sent(&server, &valid_answers()).status, 303);
    let page = link(&texts_to(&server, MAIRIE, 1)[0], "/guichet/agir/");
    let place = format!("{page}/accepter");
    let letter = server.get(&place);
    assert!(letter.text().contains("type=\"password\"") && letter.text().contains("Code de la mairie"));
    let signed = [("agent_prenom", "Zélie"), ("agent_nom", "Quatrebarbes"), ("agent_qualite", "maire")]
        .into_iter()
        .fold(letter.fields(), |fields, (name, value)| with(fields, name, value));
    let refused = server.post(&place, &with(signed.clone(), "code_mairie", ""));
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("Tapez le code de la mairie"), "{}", refused.text());
    for _ in 0..5 {
        let refused = server.post(&place, &with(signed.clone(), "code_mairie", "sésame"));
        assert_eq!(refused.status, 422);
        let text = refused.text();
        assert!(text.contains("n’est pas le code") && !text.contains("sésame"), "{text}");
        assert_eq!(refused.field("agent_nom").as_deref(), Some("Quatrebarbes"), "what was typed is kept");
    }
    let stopped = server.post(&place, &with(signed, "code_mairie", "champ de lin"));
    assert_eq!(stopped.status, 429);
    assert!(stopped.header("retry-after").is_some());
    texts_to(&server, MAIRIE, 1);

    let second = with(valid_answers(), "courriel", "leo@exemple.fr");
    assert_eq!(sent(&server, &second).status, 303);
    let page = link(&texts_to(&server, MAIRIE, 2)[1], "/guichet/agir/");
    let letter = server.get(&format!("{page}/accepter"));
    let fields = [("agent_prenom", "Claire"), ("agent_nom", "Denis"), ("agent_qualite", "secrétaire")]
        .into_iter()
        .fold(letter.fields(), |fields, (name, value)| with(fields, name, value));
    let done = server.post(&format!("{page}/accepter"), &with(fields, "code_mairie", " champ de lin "));
    assert_eq!(done.status, 303, "{}", done.text());
    let copy = &texts_to(&server, MAIRIE, 3)[2];
    assert!(!copy.contains("champ de lin"), "the code is kept nowhere: {copy}");
}

#[test]
fn a_request_goes_to_the_mailbox_of_what_was_answered() {
    let server = ServerTest::guichet_with(|config| {
        let fiche = "+++\ntitre = \"Un lampadaire\"\nresume = \"Un lampadaire en panne.\"\nqui_traite = \"commune\"\nservice = \"secretariat\"\n\
            [formulaire]\nnature = \"information\"\nidentite = \"aucune\"\nsilence = \"sans_decision\"\n\
            [[formulaire.aiguillage]]\nsi = \"secteur = nord\"\ndestinataires = [\"nord@trou.example\"]\n\
            [formulaire.donnees]\nfinalite = \"réparer\"\nbase_legale = \"mission d'intérêt public\"\nconservation = \"3 mois\"\n\
            [[champ]]\nid = \"secteur\"\ntype = \"choix\"\nquestion = \"Où ?\"\nchoix = [\"Nord\", \"Sud\"]\nobligatoire = true\n+++\n";
        std::fs::create_dir_all(config.folder.join("demarches")).unwrap();
        std::fs::write(config.folder.join("demarches/lampadaire.md"), fiche).unwrap();
    });
    let send = |sector: &str| {
        let check = server.post("/guichet/lampadaire/verifier", &pair("secteur", sector));
        assert_eq!(check.status, 200, "{}", check.text());
        assert_eq!(server.post("/guichet/lampadaire/envoyer", &check.fields()).status, 303);
    };
    send("nord");
    send("sud");
    assert!(texts_to(&server, "nord@trou.example", 1)[0].contains("Nord"));
    assert!(texts_to(&server, MAIRIE, 1)[0].contains("Sud"));
}
