use jiff::ToSpan;
use jiff::civil::date;

use super::fields::{action_answers, action_form, complement, complement_form, decision};
use super::*;
use crate::intake::compose;
use crate::model::dossier::Action;
use crate::model::form::{Appeal, Delay, Identity, Nature, Silence};
use crate::model::receipt::tests::{form, issuer, moment, reference};
use crate::model::submission::{RawAnswers, Sender, StoredFile, ValidAnswers};

const TWO_MONTHS: Delay = Delay::Months(2);

fn links() -> RequestLinks {
    RequestLinks {
        follow: Some("https://www.saint-mulot.example/guichet/suivi/2026-KJM2-QYJD-9/secret".into()),
        act: Some("https://www.saint-mulot.example/guichet/agir/jeton".into()),
        pieces: None,
    }
}

/// Jeanne's request, received on 21 November 2026.
fn case(nature: Nature, silence: Silence) -> Case {
    let form = form(nature, Identity::Person, silence);
    let receipt = Receipt::for_submission(&form, &issuer(), &reference(), &moment());
    let sender = Sender { name: "Jeanne Martin".into(), email: Some("jeanne@exemple.fr".into()) };
    let answers = ValidAnswers { answers: Vec::new(), sender: sender.clone(), ..ValidAnswers::default() };
    let request = compose::mails(&form, &issuer(), &answers, &receipt, &links()).remove(0);
    let kept = Kept {
        reference: reference(),
        form_id: form.id.clone(),
        form_title: form.title.clone(),
        received_at: moment(),
        purge_after: date(2027, 11, 21),
        receipt: serde_json::to_value(KeptReceipt { receipt }).unwrap(),
        sender,
        answers: Vec::new(),
        acts: Vec::new(),
        request: Some(request),
        is_undelivered: false,
        held_until: None,
    };
    Case::of(kept).expect("a receipt")
}

/// A week after reception.
fn later() -> Zoned {
    moment().saturating_add(7.days())
}

/// What an agent sends by changing nothing but what must be written.
fn decided(
    case: &Case,
    action: Action,
    changes: &[(&str, &str)],
) -> Result<Act, Vec<crate::model::submission::FieldError>> {
    let form = action_form(action, case, &issuer());
    let mut raw = action_answers(action, case, later().date());
    let signed = [("agent_prenom", "Claire"), ("agent_nom", "Denis"), ("agent_qualite", "secrétaire de mairie")];
    for (name, value) in signed.iter().chain(changes) {
        raw.values.insert((*name).to_owned(), vec![(*value).to_owned()]);
    }
    let (decision, agent) = decision(action, case, &form, &raw, later().date())?;
    Ok(act(decision, agent, case, &issuer(), &later()))
}

#[track_caller]
fn golden(name: &str, text: &str, expected: &str) {
    if let Some(folder) = std::env::var_os("MULOT_GOLDEN") {
        std::fs::write(std::path::Path::new(&folder).join(name), text).expect("a folder");
        return;
    }
    assert_eq!(text, expected, "{name}: run with MULOT_GOLDEN=tests/receipts to write it again, then read it");
}

/// Both mails of an act, as text.
fn written(case: &Case, act: &Act) -> String {
    let mails = mails(case, act, case.kept.acts.len() + 1, &issuer(), &links());
    let text = |mail: &Mail| format!("Objet : {}\n\n{}", mail.subject, mail.text);
    mails.iter().map(text).collect::<Vec<_>>().join("\n==========\n\n")
}

#[test]
fn every_letter_is_complete_in_law() {
    let rejet = case(Nature::Demande, Silence::Rejet(TWO_MONTHS));
    let acceptation = case(Nature::Demande, Silence::Acceptation(TWO_MONTHS));
    let inconnu = case(Nature::Demande, Silence::Inconnu);
    let mut asked_already = case(Nature::Demande, Silence::Rejet(TWO_MONTHS));
    let missing = ActKind::Pieces { asked: vec!["un plan".into()], until: date(2026, 12, 28), accuse: false };
    let before = moment().saturating_add(3.days());
    asked_already.kept.acts.push(Act { at: before, agent: None, kind: missing, letter: Vec::new() });
    let asked_already = Case::of(asked_already.kept).expect("a receipt");
    let asked = [("pieces", "un plan de la place\nl'attestation d'assurance"), ("date_limite", "2026-12-28")];
    let body = [("organisme", "Communauté de communes du Bocage, 2, rue des Haies")];
    for (name, case, action, changes, expected) in [
        (
            "lettre-prise-en-charge.txt",
            &rejet,
            Action::Prendre,
            &[][..],
            include_str!("../../../tests/receipts/lettre-prise-en-charge.txt"),
        ),
        (
            "lettre-pieces-rejet.txt",
            &rejet,
            Action::Pieces,
            &asked,
            include_str!("../../../tests/receipts/lettre-pieces-rejet.txt"),
        ),
        (
            "lettre-pieces-acceptation.txt",
            &acceptation,
            Action::Pieces,
            &asked,
            include_str!("../../../tests/receipts/lettre-pieces-acceptation.txt"),
        ),
        (
            "lettre-pieces-accuse.txt",
            &inconnu,
            Action::Pieces,
            &asked,
            include_str!("../../../tests/receipts/lettre-pieces-accuse.txt"),
        ),
        (
            "lettre-complet.txt",
            &asked_already,
            Action::Completer,
            &[("complet_le", "2026-11-27")],
            include_str!("../../../tests/receipts/lettre-complet.txt"),
        ),
        (
            "lettre-acceptation.txt",
            &rejet,
            Action::Accepter,
            &[],
            include_str!("../../../tests/receipts/lettre-acceptation.txt"),
        ),
        (
            "lettre-refus.txt",
            &rejet,
            Action::Refuser,
            &[("motifs", "La place est déjà réservée ce jour-là.")],
            include_str!("../../../tests/receipts/lettre-refus.txt"),
        ),
        (
            "lettre-transmission-rejet.txt",
            &rejet,
            Action::Transmettre,
            &body,
            include_str!("../../../tests/receipts/lettre-transmission-rejet.txt"),
        ),
        (
            "lettre-transmission-acceptation.txt",
            &acceptation,
            Action::Transmettre,
            &body,
            include_str!("../../../tests/receipts/lettre-transmission-acceptation.txt"),
        ),
        (
            "lettre-reponse.txt",
            &rejet,
            Action::Clore,
            &[("lettre", "Bonjour,\n\nLa place est libre ce jour-là.")],
            include_str!("../../../tests/receipts/lettre-reponse.txt"),
        ),
        (
            "lettre-accuse-rejet.txt",
            &inconnu,
            Action::Accuser,
            &[("modele", "rejet"), ("delai", "4")],
            include_str!("../../../tests/receipts/lettre-accuse-rejet.txt"),
        ),
        (
            "lettre-accuse-acceptation.txt",
            &inconnu,
            Action::Accuser,
            &[("modele", "acceptation"), ("lettre", "Nous vous écrirons avant Noël.")],
            include_str!("../../../tests/receipts/lettre-accuse-acceptation.txt"),
        ),
        (
            "lettre-accuse-information.txt",
            &inconnu,
            Action::Accuser,
            &[("modele", "information")],
            include_str!("../../../tests/receipts/lettre-accuse-information.txt"),
        ),
    ] {
        let act = decided(case, action, changes).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let text = written(case, &act);
        golden(name, &text, expected);
        // Art. L111-2: first name, name, title and address of the service.
        for words in ["Claire Denis, secrétaire de mairie", "Secrétariat de la mairie", "12, place du Tilleul"] {
            assert!(text.contains(words), "{name}: {words}");
        }
    }
}

#[test]
fn what_the_resident_does_is_told_to_both() {
    let mut asked = case(Nature::Demande, Silence::Rejet(TWO_MONTHS));
    let pieces = [("pieces", "un plan"), ("date_limite", "2026-12-28")];
    asked.kept.acts.push(decided(&asked, Action::Pieces, &pieces).unwrap());
    let asked = Case::of(asked.kept).unwrap();
    let file = StoredFile {
        id: "0".repeat(32),
        name: "plan secret.pdf".into(),
        media_type: "application/pdf".into(),
        size: 1_234_567,
        hash: "0".repeat(64),
        cautions: Vec::new(),
    };
    let kind = ActKind::Complement { text: "Le voici,\navec mes excuses".into(), files: vec![file.clone()] };
    let complement = Act { at: later().saturating_add(10.days()), agent: None, kind, letter: Vec::new() };
    let text = written(&asked, &complement);
    golden("courriels-complement.txt", &text, include_str!("../../../tests/receipts/courriels-complement.txt"));
    let sent = mails(&asked, &complement, 2, &issuer(), &links());
    assert!(
        !sent[0].text.contains("secret") || !sent[0].text.contains("excuses"),
        "nothing typed goes to the resident"
    );
    assert_eq!(sent[1].attachments, [file]);
    assert_eq!(sent[0].message_id, "2026-KJM2-QYJD-9.usager.2@saint-mulot.example");
    assert_eq!(sent[0].in_reply_to.as_deref(), Some("2026-KJM2-QYJD-9.usager@saint-mulot.example"));
    assert_eq!(sent[1].in_reply_to.as_deref(), Some("2026-KJM2-QYJD-9.mairie@saint-mulot.example"));
    let cancelled = Act { kind: ActKind::Annulation, ..complement };
    let text = written(&asked, &cancelled);
    golden("courriels-annulation.txt", &text, include_str!("../../../tests/receipts/courriels-annulation.txt"));
}

#[test]
fn without_an_address_only_the_mairie_is_written_to() {
    let mut case = case(Nature::Demande, Silence::Inconnu);
    case.kept.sender.email = None;
    let act = decided(&case, Action::Accepter, &[]).unwrap();
    let sent = mails(&case, &act, 1, &issuer(), &links());
    assert_eq!(sent.len(), 1);
    assert!(sent[0].text.contains("imprimez la lettre"), "{}", sent[0].text);
}

#[test]
fn what_is_missing_is_told_where_it_stands() {
    let case = case(Nature::Demande, Silence::Inconnu);
    let inputs = |action, changes: &[(&str, &str)]| -> Vec<String> {
        decided(&case, action, changes).err().unwrap_or_default().into_iter().map(|error| error.input).collect()
    };
    assert_eq!(inputs(Action::Refuser, &[]), ["motifs"]);
    assert_eq!(inputs(Action::Refuser, &[("motifs", "x"), ("agent_qualite", " ")]), ["agent_qualite"]);
    assert_eq!(inputs(Action::Clore, &[]), ["lettre"]);
    assert_eq!(inputs(Action::Pieces, &[("date_limite", "2026-11-28")]), ["pieces", "date_limite"]);
    assert_eq!(inputs(Action::Pieces, &[("pieces", "x"), ("date_limite", "2026-11-28")]), ["date_limite"]);
    assert_eq!(inputs(Action::Accuser, &[]), ["modele"]);
    assert_eq!(inputs(Action::Accuser, &[("modele", "pieces")]), ["pieces"]);
    assert_eq!(inputs(Action::Transmettre, &[]), ["organisme"]);
    let form = complement_form(&case);
    let told = complement(&form, &RawAnswers::default(), later().date()).unwrap_err();
    assert_eq!(told[0].input, "pieces");
}

#[test]
fn who_signed_last_is_written_in_the_next_letter() {
    let mut case = case(Nature::Demande, Silence::Inconnu);
    case.kept.acts.push(decided(&case, Action::Prendre, &[]).unwrap());
    let raw = action_answers(Action::Accepter, &case, later().date());
    assert_eq!(raw.first("agent_nom"), "Denis");
}

#[test]
fn words_follow_the_nature() {
    let drafted = |nature| draft(Action::Prendre, &case(nature, Silence::SansDecision), later().date());
    assert!(drafted(Nature::Contact).contains("votre message"));
    assert!(drafted(Nature::Declaration).contains("votre envoi"));
    assert!(drafted(Nature::Demande).contains("votre demande"));
}

#[test]
fn the_refusal_of_a_document_names_the_commission_first() {
    let mut case = case(Nature::Demande, Silence::Rejet(Delay::Months(1)));
    let Receipt::Reception(accuse) = &mut case.receipt else { panic!("a receipt with its effect") };
    let Effect::Rejet { appeal, .. } = &mut accuse.effect else { panic!("a rejection by silence") };
    *appeal = Appeal::Cada;
    let act = decided(&case, Action::Refuser, &[("motifs", "Ce document est en préparation.")]).unwrap();
    golden(
        "lettre-refus-document.txt",
        &written(&case, &act),
        include_str!("../../../tests/receipts/lettre-refus-document.txt"),
    );
    let letter = act.letter.join(" ");
    for words in ["vous recevez cette lettre", "(CADA)", "deux mois", "préalable", "R311-15", "Nantes"] {
        assert!(letter.contains(words), "{words}: {letter}");
    }
    assert!(!letter.contains("Si elle est rejetée") && !letter.contains("R421-1"), "{letter}");
}

#[test]
fn a_date_that_is_past_is_told_in_the_past() {
    let case = case(Nature::Demande, Silence::Rejet(TWO_MONTHS));
    let decision = Decision {
        kind: ActKind::Complet { since: date(2026, 11, 27) },
        letter: String::new(),
        reasons: String::new(),
    };
    let words = |today| legal_words(&decision, &case, &issuer(), today).join(" ");
    assert!(words(date(2027, 1, 21)).contains("sera considérée comme rejetée le 22 janvier 2027"));
    assert!(words(date(2027, 1, 22)).contains("est considérée comme rejetée depuis le 22 janvier 2027"));
}

#[test]
fn what_silence_has_accepted_is_confirmed_with_the_right_to_an_attestation() {
    let case = case(Nature::Demande, Silence::Acceptation(TWO_MONTHS));
    let (before, on) = (date(2027, 1, 21), date(2027, 1, 22));
    assert!(draft(Action::Accepter, &case, before).contains("est acceptée."));
    assert!(draft(Action::Accepter, &case, on).contains("acceptée depuis le 22 janvier 2027"));
    let decision = Decision { kind: ActKind::Acceptation, letter: String::new(), reasons: String::new() };
    assert!(legal_words(&decision, &case, &issuer(), before).is_empty());
    assert!(legal_words(&decision, &case, &issuer(), on)[0].contains("L232-3"));
}

#[test]
fn a_message_sent_on_is_masculine() {
    let case = case(Nature::Contact, Silence::SansDecision);
    let act = decided(&case, Action::Transmettre, &[("organisme", "Le syndicat des eaux")]).unwrap();
    let text = written(&case, &act);
    assert!(
        text.contains("La mairie l’a transmis à l’organisme") && text.contains("Votre message est transmis"),
        "{text}"
    );
    assert!(!text.contains("accepter"), "{text}");
}

#[test]
fn the_refusal_of_a_right_over_data_names_the_cnil() {
    let mut case = case(Nature::Demande, Silence::Inconnu);
    let refused = |case: &Case| decided(case, Action::Refuser, &[("motifs", "Un registre.")]).unwrap().letter.join(" ");
    assert!(!refused(&case).contains("CNIL"));
    case.kept.form_id = "droits-rgpd".into();
    let letter = refused(&case);
    assert!(letter.contains("réclamation à la CNIL") && !letter.contains("un mois"), "{letter}");
}
