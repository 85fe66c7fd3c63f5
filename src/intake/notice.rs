//! Tells the mairie, in one mail without anything of what was typed, that requests wait in quarantine.
//!
//! The law keeps the mairie from dropping what it was sent, not from looking at it before (CRPA, art. L112-11): it must know the
//! same day. At most one such mail every [`PAUSE`], whatever the flood; until it is taken it is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, Zoned};

use super::links::Links;
use super::mailer::{Mailer, Outcome, Parcel, render};
use super::reference;
use super::store::{Store, StoreError};
use crate::model::intake::Quarantined;
use crate::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};
use crate::model::receipt::Issuer;
use crate::model::reference::Reference;
use crate::text::dates::{short_date, time};
use crate::text::numbers::plural;

/// Requests to tell a mailbox of.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The mailbox.
    pub to: String,
    /// All that wait and are its business, the longest first.
    pub waiting: Vec<Quarantined>,
}

/// What is to be told now, one notice each mailbox; nothing when all was told or the last mail is recent. Pure.
///
/// `recipients` gives the mailboxes of a request: what is sent to one sector is told to no other. `last` is when the last
/// mail was taken, though what it told of may have left since.
pub fn due(
    waiting: &[Quarantined],
    recipients: impl Fn(&Quarantined) -> Vec<String>,
    (last, now): (Option<Timestamp>, Timestamp),
) -> Vec<Notice> {
    let is_recent = last.is_some_and(|last| now.duration_since(last) < PAUSE);
    if is_recent || waiting.iter().all(|one| one.told_at.is_some()) {
        return Vec::new();
    }
    let mut notices: BTreeMap<String, Vec<Quarantined>> = BTreeMap::new();
    for one in waiting {
        for to in recipients(one) {
            notices.entry(to).or_default().push(one.clone());
        }
    }
    // A mailbox that has nothing new is left alone.
    let notices = notices.into_iter().map(|(to, waiting)| Notice { to, waiting });
    notices.filter(|notice| notice.waiting.iter().any(|one| one.told_at.is_none())).collect()
}

/// The mailboxes that are told of a form's requests: its own, or whoever reads the mails of the mairie when it has none now.
/// Pure.
fn addressees(boxes: &BTreeMap<String, Vec<String>>, form: &str) -> Vec<String> {
    match boxes.get(form).filter(|own| !own.is_empty()) {
        Some(own) => own.clone(),
        None => boxes.values().flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
    }
}

/// The mailboxes that are told of a request: those it was addressed to, as far as the commune still has them; else those of its
/// form.
pub fn mailboxes_of(store: &Store, boxes: &BTreeMap<String, Vec<String>>, one: &Quarantined) -> Vec<String> {
    let mail = store.request_mail(&one.reference).ok().flatten();
    let mut own = mail.map(|mail| mail.to).unwrap_or_default();
    own.retain(|to| boxes.values().flatten().any(|known| known == to));
    if own.is_empty() { addressees(boxes, &one.form_id) } else { own }
}

/// The mail of a notice. Pure; `link` leads to the page where it is judged, `own` names it among all mails.
pub fn mail(issuer: &Issuer, notice: &Notice, link: Option<&str>, own: &Reference, now: &Zoned) -> Mail {
    let text = words(notice, link, now);
    let domain = issuer.sender.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| domain.is_ascii());
    let mut html = String::from(
        "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><title>Quarantaine</title></head><body>",
    );
    for paragraph in text.split("\n\n") {
        html.push_str("<p>");
        match link.filter(|link| paragraph.trim_end().ends_with(*link)) {
            Some(link) => {
                let (words, url) = (escaped(paragraph.trim_end().trim_end_matches(link)), escaped(link));
                html.push_str(&format!("{words}<a href=\"{url}\">{url}</a>"));
            }
            None => html.push_str(&escaped(paragraph.trim_end()).replace('\n', "<br>\n")),
        }
        html.push_str("</p>\n");
    }
    html.push_str("</body></html>\n");
    let count = plural(notice.waiting.len() as u64, "demande à vérifier", "demandes à vérifier");
    Mail {
        role: MailRole::Mairie,
        from: Mailbox { name: format!("Guichet en ligne {}", issuer.names.forme_de), email: issuer.sender.clone() },
        to: vec![notice.to.clone()],
        reply_to: None,
        subject: format!("[Guichet] {count}"),
        text,
        html,
        message_id: format!("quarantaine.{own}@{}", domain.unwrap_or("guichet.invalid")),
        date: now.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        auto_submitted: AutoSubmitted::Generated,
        in_reply_to: None,
        attachments: Vec::new(),
        json: None,
        sheets: Vec::new(),
    }
}

/// Gives the mailboxes that are told of a request; it may read the store.
pub type Recipients = dyn Fn(&Quarantined) -> Vec<String> + Send + Sync;

/// What came of the notices that were due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Mails a server took.
    pub taken: usize,
    /// Mails it did not: the caller waits before it calls again.
    pub refused: usize,
}

/// Sends what is due. A request is told once one of its mailboxes took the mail; until then the next call tries again. While
/// the way out is closed nothing is tried: hammering a server that refuses our name would have the account locked.
///
/// # Errors
/// [`StoreError`] when the store cannot be read or written; a mail taken may then be sent once more.
pub async fn tell(
    store: &Store,
    mailer: &Mailer,
    (issuer, links): (&Issuer, &Links),
    recipients: Arc<Recipients>,
    now: &Zoned,
) -> Result<Told, StoreError> {
    let (instant, mut told) = (now.timestamp(), Told::default());
    if notices(store, &recipients, instant).await?.is_empty() {
        return Ok(told);
    }
    // Of several instances one tells; what it has told meanwhile is no longer due.
    let Some(_turn) = store.turn("notices").await? else { return Ok(told) };
    for notice in notices(store, &recipients, instant).await? {
        let Ok(own) = reference::draw(now) else { continue };
        let link = links.quarantine(&store.mailbox_tag(&notice.to), instant);
        let mail = mail(issuer, &notice, link.as_deref(), &own, now);
        let Ok(bytes) = render(&mail, Vec::new()) else { continue };
        let (from, to) = (mail.from.email, notice.to);
        let parcel = Parcel { reference: own, role: MailRole::Mairie, from, to, bytes: std::sync::Arc::new(bytes) };
        let outcome = mailer.send(parcel).await;
        let is_taken = matches!(outcome, Outcome::Delivered { .. });
        tracing::info!(
            event = "quarantine.told",
            waiting = notice.waiting.len(),
            taken = is_taken,
            "the mairie is told"
        );
        told.taken += usize::from(is_taken);
        told.refused += usize::from(!is_taken);
        if is_taken {
            store.quarantine_told(notice.waiting.into_iter().map(|one| one.reference).collect(), instant).await?;
        }
    }
    Ok(told)
}

/// What is due now; nothing while the way out is closed.
async fn notices(store: &Store, recipients: &Arc<Recipients>, now: Timestamp) -> Result<Vec<Notice>, StoreError> {
    let (reading, recipients) = (store.clone(), recipients.clone());
    let read = move || match reading.route()?.is_some_and(|route| route.blocked_until > now) {
        true => Ok(Vec::new()),
        false => {
            let waiting = reading.quarantined(now)?;
            Ok(due(&waiting, |one| recipients(one), (reading.last_quarantine_notice(now)?, now)))
        }
    };
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(StoreError::Closed))
}

fn words(notice: &Notice, link: Option<&str>, now: &Zoned) -> String {
    let mut text = String::from("Bonjour,\n\n");
    text.push_str(&match notice.waiting.len() {
        1 => "Une demande ressemble à de la publicité. Le guichet la garde et ne l'a pas encore envoyée à votre boîte. Sans geste de votre part, elle vous parvient d'elle-même à la date indiquée : rien n'est perdu.\n\n".to_owned(),
        count => format!("{count} demandes ressemblent à de la publicité. Le guichet les garde et ne les a pas encore envoyées à votre boîte. Sans geste de votre part, elles vous parviennent d'elles-mêmes à la date indiquée : rien n'est perdu.\n\n"),
    });
    for one in notice.waiting.iter().take(LISTED) {
        let until = one.until.to_zoned(now.time_zone().clone());
        text.push_str(&format!(
            "– {}, réf. {} : part le {} à {} ({})\n",
            one.form_title,
            one.reference,
            short_date(until.date()),
            time(until.time()),
            one.reasons.iter().map(|reason| reason_words(reason)).collect::<Vec<_>>().join(", ")
        ));
    }
    if notice.waiting.len() > LISTED {
        text.push_str(&format!("– et {} autres\n", notice.waiting.len() - LISTED));
    }
    match link {
        Some(link) => text.push_str(&format!(
            "\nPour lire ce qui est écrit, puis laisser passer ou mettre de côté : {link}\n\n\
             Rien ne se passe en ouvrant cette page. Ce lien est pour la mairie seule : ne transférez pas ce message hors de la mairie.\n"
        )),
        None => text.push_str(
            "\nPour recevoir une demande tout de suite, ou pour l'écarter, donnez ce message à la personne qui s'occupe du guichet :\n\
             mulot demandes quarantaine\n\
             mulot demandes liberer RÉFÉRENCE\n\
             mulot demandes ecarter RÉFÉRENCE\n",
        ),
    }
    text.push_str("\nCe message ne contient rien de ce qui a été écrit. Il y en a un toutes les six heures au plus.\n");
    text
}

/// A sign, as the mairie reads it.
pub fn reason_words(reason: &str) -> &'static str {
    match reason {
        "liens" => "beaucoup de liens",
        "lien_dans_identite" => "un lien à la place d'un nom",
        "balises" => "du code de page web",
        "alphabet" => "un autre alphabet",
        "rengaine" => "un mot répété",
        "deja_dit" => "le même texte que d'autres envois",
        "formules" => "des formules de publicité",
        "adresse_jetable" => "une adresse jetable",
        "hate" => "envoi très rapide",
        "piege" => "un champ caché rempli",
        _ => "autre signe",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Between two notices.
const PAUSE: SignedDuration = SignedDuration::from_hours(6);
/// Requests named in one mail.
const LISTED: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::sample::{noon, now, reference};
    use crate::intake::store::testing;

    fn waiting(number: u32, form: &str, told_at: Option<Timestamp>) -> Quarantined {
        Quarantined {
            reference: reference(number),
            form_id: form.into(),
            form_title: format!("Formulaire {form} & Cie"),
            since: now(),
            until: now() + SignedDuration::from_hours(48),
            points: 3,
            reasons: vec!["liens".into(), "hate".into()],
            told_at,
        }
    }

    fn recipients(one: &Quarantined) -> Vec<String> {
        vec![format!("{}@mairie.example", one.form_id)]
    }

    #[test]
    fn each_mailbox_is_told_of_its_own_requests() {
        let notices = due(
            &[waiting(1, "ecole", None), waiting(2, "voirie", None), waiting(3, "ecole", None)],
            recipients,
            (None, now()),
        );
        let told: Vec<(&str, usize)> = notices.iter().map(|one| (one.to.as_str(), one.waiting.len())).collect();
        assert_eq!(told, [("ecole@mairie.example", 2), ("voirie@mairie.example", 1)]);
    }

    #[test]
    fn a_form_without_a_mailbox_is_told_to_whoever_reads_the_others() {
        let own = |form: &str, boxes: &[&str]| (form.to_owned(), boxes.iter().map(|to| (*to).to_owned()).collect());
        let boxes = BTreeMap::from([own("ecole", &["a@x.fr"]), own("voirie", &[]), own("eau", &["b@x.fr", "a@x.fr"])]);
        assert_eq!(addressees(&boxes, "ecole"), ["a@x.fr"]);
        assert_eq!(addressees(&boxes, "voirie"), ["a@x.fr", "b@x.fr"]);
        assert_eq!(addressees(&boxes, "fermee"), ["a@x.fr", "b@x.fr"]);
    }

    #[test]
    fn a_flood_makes_one_mail_every_six_hours_and_what_was_told_none() {
        let told = waiting(1, "ecole", Some(now()));
        let flood: Vec<Quarantined> =
            [told.clone()].into_iter().chain((2..1000).map(|number| waiting(number, "ecole", None))).collect();
        let due = |waiting: &[Quarantined], hours| {
            super::due(waiting, recipients, (Some(now()), now() + SignedDuration::from_hours(hours)))
        };
        assert!(due(&flood, 5).is_empty());
        assert!(due(&flood[1..], 5).is_empty(), "the one that was told has left: the pause stays");
        assert_eq!(due(&flood, 6).len(), 1);
        assert!(due(&[told], 40).is_empty());
    }

    #[test]
    fn the_notice_says_what_waits_until_when_and_what_to_do() {
        let issuer = crate::model::receipt::tests::issuer();
        let notice = Notice { to: "mairie@exemple.fr".into(), waiting: vec![waiting(1, "ecole", None)] };
        let mail = mail(&issuer, &notice, None, &reference(9), &noon());
        for words in [reference(1).as_str(), "14 juillet 2026", "beaucoup de liens", "mulot demandes liberer"] {
            assert!(mail.text.contains(words), "{words}\n{}", mail.text);
        }
        assert!(mail.html.contains("&amp; Cie") && !mail.html.contains("& Cie"));
        assert_eq!(mail.subject, "[Guichet] 1\u{a0}demande à vérifier");
        let link = "https://guichet.example/guichet/quarantaine/x";
        let mail = super::mail(&issuer, &notice, Some(link), &reference(9), &noon());
        assert!(mail.html.contains(&format!("<a href=\"{link}\">")), "{}", mail.html);
        assert!(mail.text.contains(&format!("mettre de côté : {link}\n")) && !mail.text.contains("mulot demandes"));
    }

    #[tokio::test]
    async fn a_notice_that_is_refused_is_tried_again_and_then_no_more() {
        testing::every_backend_async(async || {
            use crate::intake::mailer::{Letterbox, Transport};
            use crate::intake::sample::submission;
            use crate::model::intake::{Hold, Suspicion};

            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), testing::options()).unwrap();
            let letters = Letterbox::default();
            let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap();
            let issuer = crate::model::receipt::tests::issuer();
            let until = now() + SignedDuration::from_hours(48);
            let hold =
                Hold { quarantine: Some((Suspicion { points: 3, reasons: vec!["liens"] }, until)), ..Hold::default() };
            store.record_held(submission(1), hold).await.unwrap();
            letters.plan(Outcome::Unreachable { host: "x".into(), code: None, reason: "away".into() });
            let links = Links::new(store.keys().clone(), "https://guichet.example");
            let tell =
                async |at: &Zoned| tell(&store, &mailer, (&issuer, &links), Arc::new(recipients), at).await.unwrap();
            assert_eq!(tell(&noon()).await, Told { taken: 0, refused: 1 });
            assert_eq!(tell(&noon()).await, Told { taken: 1, refused: 0 });
            assert_eq!(tell(&(noon() + SignedDuration::from_hours(12))).await, Told::default());
            let mails = letters.taken();
            assert_eq!((mails.len(), mails[0].to.as_str()), (1, "saisir-la-mairie@mairie.example"));
            let bytes = String::from_utf8_lossy(&mails[0].bytes).into_owned();
            assert!(["Lampion", "lampion", "Puits"].iter().all(|word| !bytes.contains(word)), "{bytes}");
        })
        .await;
    }

    #[tokio::test]
    async fn a_request_is_told_to_the_mailboxes_it_is_for_as_far_as_they_stand() {
        testing::every_backend_async(async || {
            use crate::intake::sample::submission;

            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), testing::options()).unwrap();
            store.record(submission(1)).await.unwrap();
            let one = waiting(1, "saisir-la-mairie", None);
            let boxes = |own: &[&str]| {
                let own = own.iter().map(|to| (*to).to_owned()).collect::<Vec<_>>();
                BTreeMap::from([("saisir-la-mairie".to_owned(), own)])
            };
            let of = |own: &[&str]| mailboxes_of(&store, &boxes(own), &one);
            assert_eq!(of(&["mairie@saint-mulot.fr", "autre@saint-mulot.fr"]), ["mairie@saint-mulot.fr"]);
            assert_eq!(of(&["neuve@saint-mulot.fr"]), ["neuve@saint-mulot.fr"], "the old one has gone");
        })
        .await;
    }

    #[test]
    fn every_sign_has_words() {
        for reason in [
            "liens",
            "lien_dans_identite",
            "balises",
            "alphabet",
            "rengaine",
            "deja_dit",
            "formules",
            "adresse_jetable",
            "hate",
            "piege",
        ] {
            assert_ne!(reason_words(reason), "autre signe");
        }
    }
}
