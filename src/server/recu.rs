//! The receipt of a request: the page that is the accusé d'enregistrement.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{later, of_form, page};
use super::desk::{Desk, DeskContent, reading};
use super::guard::waiting_words;
use crate::intake::accept::{AcceptError, KeptReceipt};
use crate::intake::store::Detail;
use crate::model::form::Form;
use crate::model::intake::{DeliveryState, Quarantined, Recorded};
use crate::model::mail::MailRole;
use crate::model::reference::Reference;
use crate::render::guichet::Confirmation;
use crate::render::view::MessageKind;
use crate::text::dates::received_at;

pub(super) async fn receipt(
    State(desk): State<Arc<Desk>>,
    Path((reference, secret)): Path<(String, String)>,
    uri: axum::http::Uri,
) -> Response {
    let content = desk.content();
    let parsed = reference.parse::<Reference>();
    // A reference that cannot be one is tried all the same: the answer takes as long.
    let opens = desk.keys.opens(parsed.as_ref().unwrap_or(&Reference::new(0, [0; 5])), &secret);
    let (Ok(reference), true) = (parsed, opens) else {
        let words = [
            "Cette adresse ne mène à aucun accusé. Vérifiez qu'elle est complète.".to_owned(),
            "Avec votre référence, la mairie peut vous renseigner par téléphone.".to_owned(),
        ];
        return content.message(StatusCode::NOT_FOUND, "no_receipt", "Accusé introuvable", &words);
    };
    let store = desk.depot.store.clone();
    let (wanted, now) = (reference.clone(), (desk.clock)());
    let found = reading(move || {
        let Some(recorded) = store.receipt(&wanted)? else { return Ok(None) };
        let held = store.quarantine_of(&wanted, now)?;
        Ok(store.detail(&wanted, true)?.map(|detail| (recorded, detail, held)))
    })
    .await;
    match found {
        Ok(Some((recorded, detail, held))) => {
            let follow = desk.links(&content).follow_path(&recorded.reference);
            let full = desk.links(&content).of(&recorded.reference, now).follow.unwrap_or_default();
            let counter = (uri.query() == Some("comptoir")).then_some(full.as_str());
            confirmation(&content, &recorded, &detail, (held.as_ref(), &follow, counter))
        }
        Ok(None) => {
            let words = ["Cet accusé n'est plus gardé.".to_owned()];
            content.message(StatusCode::NOT_FOUND, "no_receipt", "Accusé introuvable", &words)
        }
        Err(error) => {
            tracing::error!(
                event = "receipt.failed",
                reason = AcceptError::from(error).as_str(),
                "a receipt cannot be read"
            );
            let words =
                ["Votre envoi est bien enregistré, mais l'accusé ne peut pas s'afficher en ce moment.".to_owned()];
            let answer =
                content.message(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Revenez dans un moment", &words);
            later(answer, Duration::from_secs(30))
        }
    }
}

fn confirmation(
    content: &DeskContent,
    recorded: &Recorded,
    detail: &Detail,
    (held, follow, counter): (Option<&Quarantined>, &str, Option<&str>),
) -> Response {
    let reference = recorded.reference.to_string();
    let Ok(kept) = serde_json::from_value::<KeptReceipt>(recorded.receipt.clone()) else {
        let words = [
            format!(
                "Votre envoi a été enregistré {} sous la référence {reference}.",
                received_at(&recorded.received_at)
            ),
            "Vos réponses ont été effacées du guichet, comme annoncé. La mairie peut vous renseigner.".to_owned(),
        ];
        return content.message(StatusCode::GONE, "receipt_erased", "Accusé effacé", &words);
    };
    let document = kept.receipt.document();
    let Some(form) = content.site.forms.get(&detail.form_id) else {
        let rows = document.rows.iter().map(|row| format!("{} : {}", row.label, row.value));
        let words: Vec<String> =
            [document.lead.clone()].into_iter().chain(rows).chain(document.paragraphs.clone()).collect();
        let html = content.pages.message(MessageKind::Valide, &document.title, &words, &[]);
        return page(StatusCode::OK, html, "receipt");
    };
    let copy = copy_words(detail, held.is_some());
    let waiting = held.map(|held| waiting_words(held, &content.zone, &form.service.telephone));
    // Of what usually follows, the first step is what does not happen yet.
    let usual = next_steps(form).into_iter().skip(usize::from(waiting.is_some()));
    let next: Vec<String> = waiting.into_iter().chain(usual).collect();
    let told = Confirmation {
        reference: &reference,
        received: &received_at(&recorded.received_at),
        received_iso: &recorded.received_at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        copy_sent: copy.as_deref(),
        next_steps: next,
        alerts: &kept.receipt.envoi().alerts,
        counter,
        tracking_url: Some(follow),
    };
    let html = content.pages.confirmation(form, &told, &document, &detail.answers);
    of_form(form, page(StatusCode::OK, html, "receipt"))
}

/// Where the copy of the receipt goes, the address half hidden; or that there is none, or not yet.
fn copy_words(detail: &Detail, is_held: bool) -> Option<String> {
    let email = half_hidden(detail.sender.as_ref()?.email.as_ref()?);
    let mail = detail.mails.iter().find(|mail| mail.role == MailRole::Usager);
    Some(match mail.map(|mail| mail.state) {
        Some(DeliveryState::Failed) => {
            format!("La copie par courriel n'a pas pu être remise à {email} : imprimez cette page")
        }
        Some(DeliveryState::Cancelled)
            if mail.is_some_and(|mail| mail.last_outcome.as_deref() != Some("receipt_capped")) =>
        {
            format!("Aucune copie n'est partie par courriel à {email} : imprimez cette page")
        }
        Some(DeliveryState::Cancelled) => {
            format!(
                "Aucune copie ne part par courriel à {email}, qui en a déjà reçu plusieurs aujourd'hui : imprimez cette page"
            )
        }
        _ if is_held => format!("La copie par courriel à {email} partira plus tard : imprimez cette page"),
        _ => format!("Une copie vous est envoyée à {email}"),
    })
}

/// `helene.aubry@exemple.fr` → `h…y@exemple.fr`: enough to notice a slip.
pub(super) fn half_hidden(email: &str) -> String {
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    let first: String = local.chars().take(1).collect();
    let last: String = if local.chars().count() > 3 { local.chars().rev().take(1).collect() } else { String::new() };
    // Kept on one line: a browser may break a line after « … ».
    format!("{first}…\u{2060}{last}@{domain}")
}

fn next_steps(form: &Form) -> Vec<String> {
    vec![
        format!("Votre envoi est gardé pour la mairie. Il est suivi par : {}.", form.service.name),
        format!("Sans nouvelles, appelez le {} et donnez votre référence.", form.service.telephone),
    ]
}
