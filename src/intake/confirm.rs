//! Asks each mailbox of the mairie, once, to prove that it is read: a mail with a code, before any request is sent to it.
//!
//! A slip in an address would otherwise send what residents wrote to a stranger. The mail holds nothing of any request.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, Zoned};

use super::compose::{Block, Letter, rfc3339, signature};
use super::links::Links;
use super::mailer::{Mailer, Outcome, Parcel, render};
use super::reference;
use super::store::{CodeSent, MailboxState, MailboxTag, Store, StoreError};
use crate::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};
use crate::model::receipt::Issuer;
use crate::model::reference::Reference;

/// What came of the codes that were due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Mails a server took.
    pub taken: usize,
    /// Mails it did not; each is tried again later.
    pub refused: usize,
}

/// What a mailbox would receive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Titles of its forms.
    pub forms: Vec<String>,
    /// Whether some form sends its requests to it; otherwise it only gets what another mailbox refused.
    pub is_first: bool,
    /// Name of the commune's folder, when one guichet serves many.
    pub commune: Option<String>,
}

/// Sends the codes that are due, to the mailboxes of `wanted` alone: the tag of each with what it would receive. While the way
/// out is closed nothing is tried.
///
/// # Errors
/// [`StoreError`] when the store cannot be read or written; a mail taken may then be sent once more, with the same code.
pub async fn ask(
    store: &Store,
    mailer: &Mailer,
    (issuer, links): (&Issuer, &Links),
    wanted: &BTreeMap<MailboxTag, Wanted>,
    now: &Zoned,
) -> Result<Asked, StoreError> {
    let (instant, mut asked) = (now.timestamp(), Asked::default());
    if due(store, instant).await?.is_empty() {
        return Ok(asked);
    }
    // Of several instances one sends; what it has sent meanwhile is no longer due.
    let Some(_turn) = store.turn("codes").await? else { return Ok(asked) };
    for state in &due(store, instant).await? {
        let Some(wanted) = wanted.get(&state.tag) else { continue };
        let Ok(own) = reference::draw(now) else { continue };
        let code = store.keys().mailbox_code(&state.tag, state.issued_at);
        let mail = mail(issuer, &Asking { state, code, link: links.mailbox(&state.tag, instant), wanted }, &own, now);
        let outcome = match render(&mail, Vec::new()) {
            Ok(bytes) => {
                let (from, to) = (mail.from.email, state.address.clone());
                let bytes = std::sync::Arc::new(bytes);
                mailer.send(Parcel { reference: own, role: MailRole::Mairie, from, to, bytes }).await
            }
            // An address that cannot be written to: as if a server had refused it.
            Err(_) => Outcome::Permanent(super::deliver::composing()),
        };
        let sent = judge(state, &outcome, instant);
        asked.taken += usize::from(sent == CodeSent::Taken);
        asked.refused += usize::from(sent != CodeSent::Taken);
        tracing::info!(event = "mailbox.asked", taken = sent == CodeSent::Taken, "a mailbox is asked for its code");
        store.mailbox_code_sent(state.tag, state.issued_at, sent, instant).await?;
    }
    Ok(asked)
}

/// The mailboxes whose mail is to be sent now; none while the way out is closed.
async fn due(store: &Store, now: Timestamp) -> Result<Vec<MailboxState>, StoreError> {
    let reading = store.clone();
    let read = move || match reading.route()?.is_some_and(|route| route.blocked_until > now) {
        true => Ok(Vec::new()),
        false => reading.mailboxes(),
    };
    let mut states = tokio::task::spawn_blocking(read).await.unwrap_or(Err(StoreError::Closed))?;
    states.retain(|state| is_due(state, now));
    Ok(states)
}

/// Whether the mail of a mailbox is to be sent now.
fn is_due(state: &MailboxState, now: Timestamp) -> bool {
    state.confirmed_at.is_none() && state.sent_at.is_none() && state.next_at <= now && state.has_code(now)
}

fn judge(state: &MailboxState, outcome: &Outcome, now: Timestamp) -> CodeSent {
    let at = |pause: SignedDuration| now.checked_add(pause).unwrap_or(now);
    match outcome {
        Outcome::Delivered { .. } => CodeSent::Taken,
        Outcome::Permanent(refusal) => {
            CodeSent::Later { at: at(SignedDuration::from_hours(24)), refused: Some(refusal.code.unwrap_or(550)) }
        }
        _ => {
            // Five minutes, ten, twenty… six hours at most.
            let minutes = 5_i64 << state.attempts.min(6);
            CodeSent::Later { at: at(SignedDuration::from_mins(minutes)), refused: None }
        }
    }
}

/// What the mail says.
struct Asking<'a> {
    state: &'a MailboxState,
    code: String,
    link: Option<String>,
    wanted: &'a Wanted,
}

/// The mail of a code. Pure; `own` names it among all mails.
fn mail(issuer: &Issuer, asking: &Asking<'_>, own: &Reference, now: &Zoned) -> Mail {
    let letter = letter(issuer, asking);
    let domain = issuer.sender.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| domain.is_ascii());
    Mail {
        role: MailRole::Mairie,
        from: Mailbox { name: format!("Guichet en ligne {}", issuer.names.forme_de), email: issuer.sender.clone() },
        to: vec![asking.state.address.clone()],
        reply_to: None,
        subject: "[Guichet] Une boîte aux lettres à confirmer".to_owned(),
        text: letter.text(&signature(issuer)),
        html: letter.html(&signature(issuer)),
        message_id: format!("boite.{own}@{}", domain.unwrap_or("guichet.invalid")),
        in_reply_to: None,
        date: rfc3339(now),
        auto_submitted: AutoSubmitted::Generated,
        attachments: Vec::new(),
        json: None,
        sheets: Vec::new(),
    }
}

fn letter(issuer: &Issuer, asking: &Asking<'_>) -> Letter {
    let code = spaced(&asking.code);
    let why = match asking.wanted.is_first {
        true => "arriveront dans cette boîte",
        false => {
            "arrivent dans une autre boîte. Celle-ci est la boîte de secours : elle ne reçoit que ce qui n'a pas pu être remis à la première"
        }
    };
    let mut blocks = vec![
        Block::Paragraph(format!(
            "Les demandes que les habitants {} envoient par le site {why} : avant d'en envoyer une, le guichet vérifie que l'adresse est la bonne et que quelqu'un la lit.",
            issuer.names.forme_de
        )),
        Block::Notice(format!("Votre code : {code}")),
    ];
    let whose = asking.wanted.commune.as_ref().map(|commune| format!(" --commune {commune}")).unwrap_or_default();
    let order = format!("mulot demandes destinataires{whose} --confirmer {}", asking.code);
    match &asking.link {
        Some(link) => {
            blocks.push(Block::Paragraph(format!("Ouvrez cette page et tapez-y le code : {link}")));
            blocks.push(Block::Paragraph(format!(
                "La page ne s'ouvre pas ? Dites le code à la personne qui s'occupe de la machine : {order}"
            )));
        }
        None => {
            blocks.push(Block::Paragraph(format!("Dites ce code à la personne qui s'occupe de la machine : {order}")))
        }
    }
    let mut forms: Vec<String> = asking.wanted.forms.iter().take(LISTED).cloned().collect();
    if asking.wanted.forms.len() > LISTED {
        forms.push(format!("et {} autres", asking.wanted.forms.len() - LISTED));
    }
    let mut facts = vec![("Boîte".to_owned(), asking.state.address.clone())];
    facts.extend((!forms.is_empty()).then(|| ("Démarches".to_owned(), forms.join(", "))));
    blocks.push(Block::Facts(facts));
    let meanwhile = match asking.wanted.is_first {
        true => "les formulaires qui n'ont pas d'autre boîte confirmée disent d'appeler la mairie",
        false => "les formulaires marchent, mais sans secours",
    };
    blocks
        .push(Block::Paragraph(format!("C'est à faire une seule fois, dans les trente jours. D'ici là, {meanwhile}.")));
    blocks.push(Block::Paragraph(
        "Vous n'attendiez pas ce message, ou vous n'êtes pas de la mairie ? Ne faites rien : aucune demande ne partira vers cette adresse.".into(),
    ));
    Letter { title: "Confirmez cette boîte aux lettres".into(), blocks }
}

/// « 482 913 ».
pub fn spaced(code: &str) -> String {
    code.split_at_checked(3).map_or_else(|| code.to_owned(), |(first, last)| format!("{first} {last}"))
}

/// Forms named in one mail.
const LISTED: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::mailer::{Letterbox, Phase, Refusal, Transport};
    use crate::intake::sample::{noon, now};
    use crate::intake::store::{Tried, testing};
    use crate::model::receipt::tests::issuer;

    const ADDRESS: &str = "mairie@saint-mulot.fr";

    struct World {
        _dir: tempfile::TempDir,
        store: Store,
        letters: Letterbox,
        mailer: Mailer,
        wanted: BTreeMap<MailboxTag, Wanted>,
    }

    impl World {
        fn new() -> World {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), testing::options()).unwrap();
            store.know_mailboxes([ADDRESS.to_owned()].into(), Default::default(), now()).unwrap();
            let letters = Letterbox::default();
            let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap();
            let wanted = [(store.mailbox_tag(ADDRESS), wanted(true))].into();
            World { _dir: dir, store, letters, mailer, wanted }
        }

        async fn ask(&self, at: &Zoned) -> Asked {
            let links = Links::new(self.store.keys().clone(), "https://guichet.example");
            ask(&self.store, &self.mailer, (&issuer(), &links), &self.wanted, at).await.unwrap()
        }
    }

    fn wanted(is_first: bool) -> Wanted {
        Wanted {
            forms: vec!["Saisir la mairie".to_owned()],
            is_first,
            commune: (!is_first).then(|| "le-plantay".to_owned()),
        }
    }

    #[test]
    fn a_backup_mailbox_is_told_what_it_is() {
        testing::every_backend(|| {
            let world = World::new();
            let state = &world.store.mailboxes().unwrap()[0];
            let said = |is_first| {
                let asking = Asking { state, code: "048291".into(), link: None, wanted: &wanted(is_first) };
                mail(&issuer(), &asking, &Reference::new(2026, [3; 5]), &noon()).text
            };
            assert!(said(true).contains("arriveront dans cette boîte"));
            let backup = said(false);
            assert!(!backup.contains("arriveront") && backup.contains("boîte de secours"), "{backup}");
            assert!(!backup.contains("appeler la mairie"), "no form waits for it: {backup}");
        });
    }

    #[tokio::test]
    async fn a_mailbox_is_asked_once_with_the_code_that_confirms_it() {
        testing::every_backend_async(async || {
            let world = World::new();
            assert_eq!(world.ask(&noon()).await, Asked { taken: 1, refused: 0 });
            assert_eq!(world.ask(&noon()).await, Asked::default(), "once");
            let sent = world.letters.taken();
            assert_eq!((sent.len(), sent[0].to.as_str()), (1, ADDRESS));
            let tag = world.store.mailbox_tag(ADDRESS);
            let code = world.store.keys().mailbox_code(&tag, now());
            let tried = world.store.try_mailbox_code(tag, code, now()).await.unwrap();
            assert_eq!(tried, Tried::Confirmed);
            assert_eq!(world.ask(&(noon() + SignedDuration::from_hours(48))).await, Asked::default());
        })
        .await;
    }

    #[tokio::test]
    async fn an_address_that_is_refused_is_noted_and_tried_again_the_next_day() {
        testing::every_backend_async(async || {
            let world = World::new();
            let refusal = Refusal { phase: Phase::Recipient, code: Some(550), class: None };
            world.letters.plan(Outcome::Permanent(refusal));
            assert_eq!(world.ask(&noon()).await, Asked { taken: 0, refused: 1 });
            assert_eq!(world.store.mailboxes().unwrap()[0].refused, Some(550));
            assert_eq!(world.ask(&(noon() + SignedDuration::from_hours(23))).await, Asked::default());
            assert_eq!(world.ask(&(noon() + SignedDuration::from_hours(24))).await, Asked { taken: 1, refused: 0 });
        })
        .await;
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_asked_later_and_later() {
        testing::every_backend_async(async || {
            let world = World::new();
            let away = || Outcome::Unreachable { host: "x".into(), code: None, reason: "away".into() };
            let mut at = noon();
            for minutes in [5, 10, 20] {
                world.letters.plan(away());
                assert_eq!(world.ask(&at).await.refused, 1);
                assert_eq!(
                    world.store.mailboxes().unwrap()[0].next_at,
                    at.timestamp() + SignedDuration::from_mins(minutes)
                );
                at = world.store.mailboxes().unwrap()[0].next_at.to_zoned(at.time_zone().clone());
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_mailbox_no_form_names_any_more_is_left_alone() {
        testing::every_backend_async(async || {
            let mut world = World::new();
            world.wanted.clear();
            assert_eq!(world.ask(&noon()).await, Asked::default());
        })
        .await;
    }

    #[test]
    fn the_mail_says_why_and_what_to_do() {
        testing::every_backend(|| {
            let world = World::new();
            let state = &world.store.mailboxes().unwrap()[0];
            let wanted = wanted(true);
            let link = Some("https://guichet.example/guichet/boite/x".to_owned());
            let asking = Asking { state, code: "048291".into(), link, wanted: &wanted };
            let mail = mail(&issuer(), &asking, &Reference::new(2026, [3; 5]), &noon());
            for words in [
                "048 291",
                "https://guichet.example/guichet/boite/x",
                "--confirmer 048291",
                "Saisir la mairie",
                ADDRESS,
            ] {
                assert!(mail.text.contains(words), "{words}\n{}", mail.text);
            }
            if let Some(folder) = std::env::var_os("MULOT_GOLDEN") {
                std::fs::write(std::path::Path::new(&folder).join("boite.txt"), &mail.text).expect("a folder");
                return;
            }
            assert_eq!(
                mail.text,
                include_str!("../../tests/receipts/boite.txt"),
                "run with MULOT_GOLDEN=tests/receipts"
            );
        });
    }
}
