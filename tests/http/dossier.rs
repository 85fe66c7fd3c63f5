//! After the receipt: the resident follows, the mairie acts from its mailbox, both without any script.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use mail_parser::MessageParser;
use mulot::intake::mailer::{Outcome, Phase, Refusal};
use mulot::intake::store::{Access, Store, StoreOptions};
use mulot::intake::token::Keys;
use mulot::model::mail::MailRole;
use mulot::model::reference::Reference;

use crate::server_test::*;

/// A mail as a person reads it.
struct Read {
    role: MailRole,
    subject: String,
    text: String,
    id: String,
    first: Option<String>,
    attachments: usize,
}

/// Waits for as many mails; gives them in order.
fn mails(server: &ServerTest, count: usize) -> Vec<Read> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.mails.taken().len() < count && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let taken = server.mails.taken();
    assert_eq!(taken.len(), count);
    let read = taken.iter().map(|parcel| {
        let message = MessageParser::default().parse(parcel.bytes.as_slice()).unwrap();
        Read {
            role: parcel.role,
            subject: message.subject().unwrap().to_owned(),
            text: message.body_text(0).unwrap().replace("\r\n", "\n"),
            id: message.message_id().unwrap().to_owned(),
            first: message.in_reply_to().as_text().map(str::to_owned),
            attachments: message.attachment_count(),
        }
    });
    read.collect()
}

fn last(mails: &[Read], role: MailRole) -> &Read {
    mails.iter().rfind(|mail| mail.role == role).expect("a mail")
}

/// The path of the first address of the guichet in a text.
fn link(text: &str, part: &str) -> String {
    let at = text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    text[at..].split_whitespace().next().unwrap().to_owned()
}

/// Sends a request as a resident does; gives the follow-up page and the mairie's page.
fn sent(server: &ServerTest, answers: Vec<(String, String)>) -> (String, String) {
    let check = server.post(&format!("/guichet/{FORM}/verifier"), &answers);
    assert_eq!(check.status, 200, "{}", check.text());
    let receipt = server.post(&format!("/guichet/{FORM}/envoyer"), &check.fields());
    assert_eq!(receipt.status, 303, "{}", receipt.text());
    let page = server.get(receipt.location()).text();
    let follow = page.split("href=\"").find(|rest| rest.starts_with("/guichet/suivi/")).expect("a link to follow");
    let follow = follow.split('"').next().unwrap().to_owned();
    let mails = mails(server, 2);
    assert!(last(&mails, MailRole::Usager).text.contains(&follow), "the receipt says where to follow");
    (follow, link(&last(&mails, MailRole::Mairie).text, "/guichet/agir/"))
}

fn signed(fields: Vec<(String, String)>) -> Vec<(String, String)> {
    [("agent_prenom", "Claire"), ("agent_nom", "Denis"), ("agent_qualite", "secrétaire de mairie")]
        .into_iter()
        .fold(fields, |fields, (name, value)| with(fields, name, value))
}

/// Opens the letter of an action, signs it, changes it, and sends it.
fn act(server: &ServerTest, page: &str, action: &str, changes: &[(&str, &str)]) -> Answer {
    let place = format!("{page}/{action}");
    let letter = server.get(&place);
    assert_eq!(letter.status, 200, "{}", letter.text());
    let fields = changes.iter().fold(signed(letter.fields()), |fields, (name, value)| with(fields, name, value));
    server.post(&place, &fields)
}

#[test]
fn a_request_is_completed_then_accepted_from_the_mailbox() {
    let server = ServerTest::guichet();
    let (follow, page) = sent(&server, valid_answers());
    let seen = server.get(&follow).text();
    assert!(seen.contains("Reçue") && seen.contains("accusé de réception"), "{seen}");
    assert!(
        !seen.contains("Une benne rue du Four"),
        "nothing that was typed: the address is mailed to nobody knows whom"
    );
    assert!(!seen.contains("completer"), "nothing is asked yet");

    let request = server.get(&page).text();
    assert!(!request.contains("Pièces jointes"), "there is none");
    assert!(!request.contains("Le délai s’arrête") && request.contains("sert aussi d’accusé"), "no delay runs yet");
    for words in ["Une benne rue du Four", "Zélie Quatrebarbes", "Demander des documents", "accusé de réception"] {
        assert!(request.contains(words), "{words}: {request}");
    }
    let done =
        act(&server, &page, "demander-des-pieces", &[("pieces", "un plan\nla date\n"), ("date_limite", "2099-01-31")]);
    assert_eq!(done.status, 303, "{}", done.text());
    assert!(server.get(done.location()).text().contains("La lettre part"));
    let sent = mails(&server, 4);
    let asked = last(&sent, MailRole::Usager);
    for words in ["– un plan", "– la date", "31 janvier 2099", "Claire Denis, secrétaire de mairie", "Service"] {
        assert!(asked.text.contains(words), "{words}: {}", asked.text);
    }
    assert_eq!(asked.first.as_deref(), Some(sent[1].id.as_str()), "in the thread of the receipt");
    assert_ne!(asked.id, sent[1].id);
    let copy = last(&sent, MailRole::Mairie);
    assert_eq!(copy.first.as_deref(), Some(sent[0].id.as_str()), "in the thread of the request");
    assert!(copy.text.contains("un plan") && copy.subject.ends_with("documents demandés"), "{}", copy.subject);

    let seen = server.get(&follow);
    assert!(seen.text().contains("31 janvier 2099") && seen.text().contains("un plan"), "{}", seen.text());
    let complete = format!("{follow}/completer");
    let empty = server.post_parts(&complete, &texts(&seen.fields()));
    assert_eq!(empty.status, 422);
    assert!(empty.text().contains("Ajoutez au moins un document ou une précision"), "{}", empty.text());
    let refused = [file("pieces", "virus.exe", b"MZ"), file("precisions", "", b"")];
    assert_eq!(server.post_parts(&complete, &refused).status, 422, "the checks of the form");
    let mut parts = texts(&[("precisions".to_owned(), "Le 12 juillet".to_owned())]);
    parts.push(file("pieces", "plan.pdf", PDF));
    let added = server.post_parts(&complete, &parts);
    assert_eq!(added.status, 303, "{}", added.text());
    let seen = server.get(added.location()).text();
    assert!(seen.contains("bien arrivé") && seen.contains("Complétée") && seen.contains("plan.pdf"), "{seen}");
    assert!(seen.contains("Documents demandés") && seen.contains("<p>– la date</p>"), "only the mairie judges: {seen}");
    assert!(!seen.contains("(facultatif)"), "{seen}");
    let request = server.get(&page).text();
    assert!(request.contains("Documents demandés") && request.contains("la date"), "{request}");
    let sent = mails(&server, 6);
    let brought = last(&sent, MailRole::Mairie);
    assert!(brought.text.contains("Le 12 juillet"), "{}", brought.text);
    assert_eq!(brought.attachments, 1);
    let acknowledged = last(&sent, MailRole::Usager);
    assert!(acknowledged.text.contains("1 fichier") && !acknowledged.text.contains("juillet"), "{}", acknowledged.text);

    let fresh = link(&brought.text, "/guichet/agir/");
    let done = act(&server, &fresh, "accepter", &[]);
    assert_eq!(done.status, 303, "{}", done.text());
    let seen = server.get(&follow).text();
    assert!(seen.contains("Votre demande est acceptée") && seen.contains("Claire Denis"), "{seen}");
    assert!(!seen.contains("Annuler ma demande"), "it is over");
    let sent = mails(&server, 8);
    assert!(last(&sent, MailRole::Usager).text.contains("est acceptée"));
    assert!(!last(&sent, MailRole::Usager).subject.contains("accept"), "subjects show on locked screens");
    assert!(!server.get(&page).text().contains("Que voulez-vous faire"), "nothing more to do");
    let late = server.get(&format!("{page}/refuser"));
    assert_eq!(late.status, 409);
    assert!(late.text().contains("Cette demande est déjà acceptée, depuis le"), "{}", late.text());
}

#[test]
fn asking_for_a_page_never_changes_anything() {
    let server = ServerTest::guichet();
    let (follow, page) = sent(&server, valid_answers());
    let actions = [
        "accuse-de-reception",
        "prendre-en-charge",
        "demander-des-pieces",
        "accepter",
        "refuser",
        "transmettre",
        "clore",
    ];
    for action in actions {
        let letter = server.get(&format!("{page}/{action}"));
        assert_eq!(letter.status, 200, "{action}");
        assert!(letter.text().contains("Votre qualité"), "{action}");
        assert!(!letter.text().contains("<script"));
    }
    assert_eq!(server.get(&format!("{follow}/annuler")).status, 200);
    assert_eq!(server.get(&format!("{follow}/completer")).status, 303);
    for number in ["0", "1", "-1", "x", "99999999999999999999999"] {
        assert_eq!(server.get(&format!("{page}/lettre/{number}")).status, 404, "{number}");
    }
    assert_eq!(server.get(&format!("{page}/supprimer")).status, 404);
    assert!(server.get(&follow).text().contains("Reçue"));
    mails(&server, 2);
}

#[test]
fn what_is_missing_is_said_and_what_was_typed_comes_back() {
    let server = ServerTest::guichet();
    let (_, page) = sent(&server, valid_answers());
    let place = format!("{page}/refuser");
    let fields = with(server.get(&place).fields(), "lettre", "Bonjour, c'est non.");
    let back = server.post(&place, &fields);
    assert_eq!(back.status, 422);
    for words in [
        "Écrivez les motifs du refus",
        "Indiquez votre qualité",
        "href=\"#champ-agent_qualite\"",
        "4 réponses sont à revoir",
        "<title>Erreur",
    ] {
        assert!(back.text().contains(words), "{words}: {}", back.text());
    }
    assert_eq!(back.field("lettre").as_deref(), Some("Bonjour, c'est non."));
    let back = act(&server, &page, "clore", &[]);
    assert_eq!(back.status, 422);
    assert!(back.text().contains("Écrivez votre réponse"), "{}", back.text());
    let back = act(&server, &page, "demander-des-pieces", &[("pieces", "un plan"), ("date_limite", "2020-01-01")]);
    assert_eq!(back.status, 422);
    assert!(back.text().contains("date à venir"), "{}", back.text());
    mails(&server, 2);
    let done = act(&server, &page, "refuser", &[("motifs", "La place est déjà prise.")]);
    assert_eq!(done.status, 303, "{}", done.text());
    let sent = mails(&server, 4);
    let refusal = &last(&sent, MailRole::Usager).text;
    for words in ["La place est déjà prise.", "deux mois", "tribunal administratif", "Claire Denis", "en principe"] {
        assert!(refusal.contains(words), "{words}: {refusal}");
    }
}

#[test]
fn a_link_that_is_forged_foreign_or_old_opens_nothing() {
    let server = ServerTest::guichet();
    let (follow, page) = sent(&server, valid_answers());
    let token = page.rsplit('/').next().unwrap();
    let reference: Reference = follow.split('/').nth(3).unwrap().parse().unwrap();
    let foreign = Keys::from_master(&[9; 32]).act_token(&reference, jiff::Timestamp::MAX);
    let check = server.to_check_page();
    let of_form = check.iter().find(|(name, _)| name == "jeton").map(|(_, token)| token.clone()).unwrap();
    let other_end = if token.ends_with('A') { 'Q' } else { 'A' };
    let forged = format!("{}{other_end}", &token[..token.len() - 1]);
    for token in ["x".to_owned(), forged, foreign, of_form] {
        for place in [format!("/guichet/agir/{token}"), format!("/guichet/agir/{token}/accepter")] {
            let answer = server.get(&place);
            assert_eq!(answer.status, 404, "{place}");
            assert!(answer.text().contains("Lien inconnu") && answer.text().contains("04"), "a telephone is there");
        }
        assert_eq!(server.post(&format!("/guichet/agir/{token}/accepter"), &[]).status, 404);
    }
    let (start, secret) = follow.rsplit_once('/').unwrap();
    let wrong_start = if secret.starts_with('0') { '1' } else { '0' };
    let other = format!("{wrong_start}{}", &secret[1..]);
    for place in [format!("{start}/{other}"), "/guichet/suivi/pas-une-reference/x".to_owned()] {
        assert_eq!(server.get(&place).status, 404);
        assert_eq!(server.post(&format!("{place}/annuler"), &[]).status, 404);
    }
    assert_eq!(server.get(&follow.replace("suivi", "recu")).status, 404, "it does not open the receipt");
    server.advance(SignedDuration::from_hours(24 * 190));
    let old = server.get(&page);
    assert_eq!(old.status, 410);
    assert!(old.text().contains("bulletin du matin"), "{}", old.text());
    assert_eq!(server.post(&format!("{page}/prendre-en-charge"), &[]).status, 410);
}

#[test]
fn the_second_of_two_agents_is_told_what_happened() {
    let server = ServerTest::guichet();
    let (_, page) = sent(&server, valid_answers());
    let accept = format!("{page}/accepter");
    let mine = signed(server.get(&accept).fields());
    let refuse = format!("{page}/refuser");
    let theirs = with(signed(server.get(&refuse).fields()), "motifs", "Le terrain est inondable.");
    let first = server.post(&accept, &mine);
    assert_eq!(first.status, 303);
    let second = server.post(&refuse, &theirs);
    assert_eq!(second.status, 409);
    for words in ["rien n’est parti", "Demande acceptée", "Claire Denis", "Le terrain est inondable."] {
        assert!(second.text().contains(words), "{words}: {}", second.text());
    }
    let again = server.post(&accept, &mine);
    assert_eq!((again.status, again.location()), (303, first.location()), "a second press finds its first");
    mails(&server, 4);
}

#[test]
fn two_presses_at_once_make_one_act() {
    let server = ServerTest::guichet();
    let (_, page) = sent(&server, valid_answers());
    let accept = format!("{page}/accepter");
    let fields = signed(server.get(&accept).fields());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let presses: Vec<_> = (0..8).map(|_| scope.spawn(|| server.post(&accept, &fields).status)).collect();
        presses.into_iter().map(|press| press.join().unwrap()).collect()
    });
    assert!(statuses.contains(&303) && statuses.iter().all(|status| matches!(status, 303 | 409)), "{statuses:?}");
    mails(&server, 4);
}

#[test]
fn a_resident_cancels_behind_a_question() {
    let server = ServerTest::guichet();
    let (follow, page) = sent(&server, valid_answers());
    let question = server.get(&format!("{follow}/annuler"));
    assert!(question.text().contains("Oui, annuler ma demande"));
    let cancelled = server.post(&format!("{follow}/annuler"), &question.fields());
    assert_eq!((cancelled.status, cancelled.location()), (303, follow.as_str()));
    assert!(server.get(&follow).text().contains("Vous avez annulé cette demande"));
    assert_eq!(server.post(&format!("{follow}/annuler"), &[]).status, 303, "once is enough");
    let sent = mails(&server, 4);
    assert!(last(&sent, MailRole::Mairie).text.contains("annulé"));
    assert_eq!(server.get(&format!("{page}/accepter")).status, 409);
    let late = server.post_parts(&format!("{follow}/completer"), &[file("pieces", "plan.pdf", PDF)]);
    assert_eq!(late.status, 409);
    assert!(late.text().contains("Annulée par l’usager") && late.text().contains("plan.pdf"), "{}", late.text());
}

#[test]
fn a_resident_who_comes_after_the_decision_is_told_and_loses_nothing() {
    let server = ServerTest::guichet();
    let (follow, page) = sent(&server, valid_answers());
    let asked = [("pieces", "un plan"), ("date_limite", "2099-01-31")];
    assert_eq!(act(&server, &page, "demander-des-pieces", &asked).status, 303);
    let question = server.get(&format!("{follow}/annuler"));
    assert_eq!(act(&server, &page, "accepter", &[]).status, 303);
    let mut parts = texts(&[("precisions".to_owned(), "Le 12 juillet,\nà midi".to_owned())]);
    parts.push(file("pieces", "plan.pdf", PDF));
    let late = server.post_parts(&format!("{follow}/completer"), &parts);
    assert_eq!(late.status, 409);
    let words = late.text().replace(['\u{a0}', '\u{202f}'], " ");
    for word in ["Rien n’a été ajouté", "Demande acceptée, le", "Claire Denis", "Le 12 juillet", "à midi", "plan.pdf"]
    {
        assert!(words.contains(word), "{word}: {words}");
    }
    assert!(words.contains("appelez la mairie au 0"), "{words}");
    for late in
        [server.post(&format!("{follow}/annuler"), &question.fields()), server.get(&format!("{follow}/annuler"))]
    {
        assert_eq!(late.status, 409);
        assert!(late.text().contains("n’a pas été annulée") && late.text().contains("Demande acceptée, le"));
    }
    assert!(server.get(&follow).text().contains("Votre demande est acceptée"));
    mails(&server, 6);
}

#[test]
fn the_mairie_sends_the_receipt_the_form_could_not() {
    let server = ServerTest::guichet();
    let (follow, page) = sent(&server, valid_answers());
    assert_eq!(act(&server, &page, "accuse-de-reception", &[]).status, 422, "one must be chosen");
    let missing = act(&server, &page, "accuse-de-reception", &[("modele", "pieces")]);
    assert_eq!(missing.status, 422);
    assert!(missing.text().contains("Ce qui manque"));
    let done = act(&server, &page, "accuse-de-reception", &[("modele", "rejet"), ("delai", "4"), ("lettre", "")]);
    assert_eq!(done.status, 303, "{}", done.text());
    let sent = mails(&server, 4);
    let receipt = &last(&sent, MailRole::Usager).text;
    for words in ["Accusé de réception électronique", "implicite de rejet", "4 mois", "R421-1", "Claire Denis"] {
        assert!(receipt.contains(words), "{words}: {receipt}");
    }
    assert!(server.get(&follow).text().contains("considérée comme rejetée le"));
    assert!(!server.get(&page).text().contains("accuse-de-reception"), "it is sent");
}

#[test]
fn without_an_address_the_answer_is_on_the_page_and_to_print() {
    let server = ServerTest::guichet();
    let form = "signaler-un-probleme";
    let answers = [("danger", "non"), ("categorie", "autre"), ("lieu", "Le Bourg"), ("description", "Une lampe")];
    let answers = answers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let check = server.post(&format!("/guichet/{form}/verifier"), &answers);
    assert_eq!(check.status, 200, "{}", check.text());
    let receipt = server.post(&format!("/guichet/{form}/envoyer"), &check.fields());
    let sent = mails(&server, 1);
    let page = link(&sent[0].text, "/guichet/agir/");
    let done = act(&server, &page, "clore", &[("lettre", "La lampe est réparée.")]);
    assert_eq!(done.status, 303, "{}", done.text());
    let sheet = server.get(done.location()).text();
    assert!(
        sheet.contains("ni nom ni adresse")
            && sheet.contains("La lampe est réparée.")
            && sheet.contains("Claire Denis")
    );
    assert!(last(&mails(&server, 2), MailRole::Mairie).text.contains("imprimez la lettre"));
    assert_eq!(server.get(receipt.location()).status, 200);
}

#[test]
fn a_receipt_that_was_refused_shows_on_the_follow_up_page() {
    let server = ServerTest::guichet();
    let check = server.to_check_page();
    let refusal = Refusal { phase: Phase::Recipient, code: Some(550), class: Some("5.1.1".into()) };
    server.mails.plan(Outcome::Delivered { code: 250 });
    server.mails.plan(Outcome::Permanent(refusal));
    let receipt = server.post(&format!("/guichet/{FORM}/envoyer"), &check);
    mails(&server, 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let page = server.get(receipt.location()).text();
        let follow = page.split("href=\"").find(|rest| rest.starts_with("/guichet/suivi/")).unwrap();
        let seen = server.get(follow.split('"').next().unwrap()).text();
        if seen.contains("n’a pas pu être remis") || Instant::now() > deadline {
            assert!(seen.contains("z…\u{2060}e@exemple.fr"), "{seen}");
            return;
        }
    }
}

#[test]
fn what_silence_has_accepted_is_refused_no_more_but_confirmed() {
    let server = ServerTest::guichet();
    let (follow, page) = sent(&server, valid_answers());
    let close = server.get(&format!("{page}/clore")).text();
    assert!(close.contains("Ce n’est pas une décision"), "{close}");
    let said = act(&server, &page, "accuse-de-reception", &[("modele", "acceptation"), ("lettre", "")]);
    assert_eq!(said.status, 303, "{}", said.text());
    let close = server.get(&format!("{page}/clore")).text();
    assert!(close.contains("la demande sera considérée comme acceptée le"), "{close}");
    let refuse = format!("{page}/refuser");
    let fields = with(signed(server.get(&refuse).fields()), "motifs", "Le terrain est inondable.");
    mails(&server, 4);
    server.advance(SignedDuration::from_hours(24 * 70));
    let seen = server.get(&page).text();
    assert!(seen.contains("Un droit est acquis") && !seen.contains("/refuser\""), "{seen}");
    assert_eq!(server.get(&refuse).status, 409);
    let late = server.post(&refuse, &fields);
    assert_eq!(late.status, 409);
    for words in ["Rien n’est parti", "Un droit est acquis", "contrôle de légalité", "Le terrain est inondable."] {
        assert!(late.text().contains(words), "{words}: {}", late.text());
    }
    assert!(!server.get(&follow).text().contains("est refusée"));
    let done = act(&server, &page, "accepter", &[]);
    assert_eq!(done.status, 303, "{}", done.text());
    assert!(server.get(done.location()).text().contains("L232-3"));
}

#[test]
fn nothing_is_written_to_anyone_from_a_request_in_quarantine() {
    let server = ServerTest::guichet();
    let links = "https://a.example https://b.example https://c.example https://d.example https://e.example";
    let spam = with(valid_answers(), "message", &format!("Achetez <a href=x>ici</a> {links} {links}"));
    let check = server.post(&format!("/guichet/{FORM}/verifier"), &spam);
    let receipt = server.post(&format!("/guichet/{FORM}/envoyer"), &check.fields());
    let reference: Reference = receipt.location().split('/').nth(3).unwrap().parse().unwrap();
    let options = StoreOptions { access: Access::Beside, ..StoreOptions::default() };
    let store = Store::open(&server.data(), options).unwrap();
    let page = format!("/guichet/agir/{}", store.keys().act_token(&reference, jiff::Timestamp::MAX));
    let seen = server.get(&page).text();
    assert!(seen.contains("est en quarantaine") && !seen.contains("Que voulez-vous faire"), "{seen}");
    assert_eq!(server.get(&format!("{page}/accepter")).status, 409);
    let fields =
        [("version", "0"), ("lettre", "Achetez aussi ici")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let refused = server.post(&format!("{page}/accepter"), &signed(fields.to_vec()));
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("Achetez aussi ici"), "{}", refused.text());
    assert!(store.release(&reference, jiff::Timestamp::now()).unwrap());
    assert_eq!(act(&server, &page, "accepter", &[]).status, 303);
}

#[test]
fn a_danger_is_told_near_the_title() {
    let server = ServerTest::guichet();
    let form = "signaler-un-probleme";
    let answers = [("danger", "oui"), ("categorie", "autre"), ("lieu", "Le Bourg"), ("description", "Un fil à terre")];
    let answers = answers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let check = server.post(&format!("/guichet/{form}/verifier"), &answers);
    assert_eq!(check.status, 200, "{}", check.text());
    server.post(&format!("/guichet/{form}/envoyer"), &check.fields());
    let text = &mails(&server, 1)[0].text;
    assert!(!text.contains("accepter, refuser"), "{text}");
    let seen = server.get(&link(text, "/guichet/agir/")).text();
    let (alert, facts) = (seen.find("l’usager l’a signalé"), seen.find("Adresse électronique"));
    assert!(alert.is_some() && alert < facts, "{seen}");
}
