//! What is answered when no commune's own pages can: plain, and of nobody in particular.

use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::settings::Known;
use crate::server::answer::{later, page};
use std::time::Duration;

/// Nobody answers to this host here: nothing of any commune is said.
pub(super) fn no_host() -> Response {
    let words = "Aucun guichet n’est ouvert à cette adresse. Vérifiez-la, ou cherchez le site de votre commune.";
    page(StatusCode::MISDIRECTED_REQUEST, html("Adresse inconnue", &[words.to_owned()]), "no_host")
}

/// The host is that of guichets, the path is nobody's.
pub(super) fn no_path() -> Response {
    let words = "Cette page n’existe pas. Passez par le site de votre commune.";
    page(StatusCode::NOT_FOUND, html("Page introuvable", &[words.to_owned()]), "no_path")
}

/// Too many requests of one commune are under way.
pub(super) fn busy(known: &Known) -> Response {
    let mut words = vec![
        "Beaucoup de personnes utilisent ce guichet en ce moment. Rien n’a été enregistré.".to_owned(),
        "Revenez en arrière et essayez de nouveau dans une minute.".to_owned(),
    ];
    words.extend(telephone(known));
    later(page(StatusCode::SERVICE_UNAVAILABLE, html("Le guichet est très demandé", &words), "crowded"), MINUTE)
}

/// A commune's guichet cannot be opened.
pub(super) fn trouble(known: &Known) -> Response {
    let mut words = vec![
        "Ce guichet ne peut rien prendre en ce moment. Rien n’a été enregistré.".to_owned(),
        "Essayez de nouveau plus tard, écrivez à la mairie ou passez la voir : votre démarche sera prise de la même façon."
            .to_owned(),
    ];
    words.extend(telephone(known));
    later(
        page(StatusCode::SERVICE_UNAVAILABLE, html("Guichet fermé pour le moment", &words), "commune_closed"),
        FIVE_MINUTES,
    )
}

/// The folder of a guichet that answers under a path.
pub(super) fn to_folder(root: &str) -> Response {
    match HeaderValue::from_str(&format!("{root}/")) {
        Ok(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Err(_) => no_path(),
    }
}

fn telephone(known: &Known) -> Option<String> {
    let Known { title, telephone, .. } = known;
    (!telephone.is_empty()).then(|| format!("Mairie : {title}, téléphone {telephone}."))
}

fn html(title: &str, words: &[String]) -> String {
    let words: String = words.iter().map(|words| format!("<p>{}</p>", escaped(words))).collect();
    format!(
        "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title></head><body><main><h1>{title}</h1>{words}</main></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(300);
