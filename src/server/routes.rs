//! The guichet's routes with all that protects them.
//!
//! ```text
//! GET  /guichet/{form}/                   questions
//! POST /guichet/{form}/verifier           answers → 200 check page, or 422 questions with what is to mend
//! POST /guichet/{form}/modifier           answers → 200 questions, filled
//! POST /guichet/{form}/envoyer            answers and token → 303 to the receipt, once and for all
//! GET  /guichet/recu/{reference}/{secret} receipt
//! GET  /guichet/piece/{token}             a file, for the mairie
//! GET  /guichet/comptoir/{token}/         forms an agent may fill; each has the routes above under it
//! GET  /guichet/sante                     the program answers
//! GET  /guichet/pret                      requests can be taken: 200, or 503 with reasons; without data
//! ```
//!
//! A form put aside is [`progress`]'s. What follows a request is beside: [`suivi`] for the resident, [`agir`] for the mairie;
//! its mailboxes have [`boite`] and [`quarantaine`].

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use tower::{Layer, ServiceExt};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::answer::crashed;
use super::desk::Desk;
use super::headers::{Outside, Policy, harden};
use super::observe::observe;
use super::receive::Refusal;
use super::refusal::refused;
use super::{agir, boite, forms, piece, progress, quarantaine, recu, suivi, watch};

/// The guichet's routes with all that protects them. `trusted` are the origins of the site and of the guichet itself.
pub(super) fn router(desk: Arc<Desk>, outside: &Outside, trusted: &[String]) -> Router {
    let routes = Router::new()
        .route("/guichet/sante", get(async || watch::alive()))
        .route("/guichet/pret", get(ready))
        .route("/guichet/{form}", get(forms::questions))
        .route("/guichet/{form}/", get(forms::questions))
        .route("/guichet/{form}/verifier", post(forms::verify).get(forms::restart))
        .route("/guichet/{form}/modifier", post(forms::modify).get(forms::restart))
        .route("/guichet/{form}/envoyer", post(forms::send).get(forms::restart))
        .route("/guichet/{form}/mettre-de-cote", post(progress::put_aside).get(forms::restart))
        .route("/guichet/{form}/reprendre", post(progress::give_back).get(forms::restart))
        .route("/guichet/comptoir/{token}/{form}", get(forms::questions))
        .route("/guichet/comptoir/{token}/{form}/", get(forms::questions))
        .route("/guichet/comptoir/{token}/{form}/verifier", post(forms::verify).get(forms::restart))
        .route("/guichet/comptoir/{token}/{form}/modifier", post(forms::modify).get(forms::restart))
        .route("/guichet/comptoir/{token}/{form}/envoyer", post(forms::send).get(forms::restart))
        .route("/guichet/comptoir/{token}/{form}/mettre-de-cote", post(progress::put_aside).get(forms::restart))
        .route("/guichet/comptoir/{token}/{form}/reprendre", post(progress::give_back).get(forms::restart))
        .route("/guichet/comptoir/{token}", get(forms::counter))
        .route("/guichet/comptoir/{token}/", get(forms::counter))
        .route("/guichet/recu/{reference}/{secret}", get(recu::receipt))
        .merge(suivi::routes())
        .merge(agir::routes())
        .merge(boite::routes())
        .merge(quarantaine::routes())
        .merge(piece::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .with_state(desk.clone())
        .layer(DefaultBodyLimit::disable());
    let guard = (desk.clone(), cross_site(trusted));
    let routes = routes
        .layer(axum::middleware::from_fn_with_state(guard, refuse_other_sites))
        .layer(axum::middleware::from_fn_with_state(desk.clone(), refuse_oddities))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(crashed))
        .layer(axum::middleware::from_fn_with_state(desk.watch.clone(), watch::count))
        .layer(axum::middleware::from_fn(observe));
    harden(routes, Policy::Guichet, outside)
}

/// Believes forms of these origins, and of this host.
fn cross_site(trusted: &[String]) -> CsrfLayer {
    trusted.iter().fold(CsrfLayer::new(), |layer, origin| match layer.clone().add_trusted_origin(origin) {
        Ok(layer) => layer,
        Err(_) => layer,
    })
}

/// Lets the layer judge method and headers alone: it writes addresses in its trace, and ours may hold the secret of a receipt.
async fn refuse_other_sites(
    State((desk, layer)): State<(Arc<Desk>, CsrfLayer)>,
    request: Request,
    next: axum::middleware::Next,
) -> Response {
    let mut shadow = axum::http::Request::new(());
    *shadow.method_mut() = request.method().clone();
    *shadow.headers_mut() = request.headers().clone();
    // Not an async closure: rustc 1.95 then stops on the second incremental build.
    let allowed = tower::service_fn(|_| std::future::ready(Ok::<_, Infallible>(Response::<()>::default())));
    let Ok(judged) = layer.layer(allowed).oneshot(shadow).await;
    if judged.extensions().get::<ProtectionError>().is_some() { foreign(&desk) } else { next.run(request).await }
}

fn foreign(desk: &Desk) -> Response {
    let words = [
        "Ce formulaire a été envoyé depuis un autre site que celui de la commune. Rien n'a été enregistré.".to_owned(),
        "Ouvrez le formulaire sur le site de la commune, puis recommencez.".to_owned(),
    ];
    desk.content().message(StatusCode::FORBIDDEN, "cross_site", "Envoi refusé", &words)
}

/// Refuses what no page of ours sends, before any other work.
async fn refuse_oddities(State(desk): State<Arc<Desk>>, request: Request, next: axum::middleware::Next) -> Response {
    let encoded = request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
    if encoded {
        return refused(&desk.content(), None, Refusal::NotAForm);
    }
    next.run(request).await
}

async fn nowhere(State(desk): State<Arc<Desk>>) -> Response {
    let words = ["Cette adresse du guichet n'existe pas.".to_owned()];
    desk.content().message(StatusCode::NOT_FOUND, "not_found", "Page introuvable", &words)
}

async fn wrong_method(State(desk): State<Arc<Desk>>) -> Response {
    let words = ["Cette page ne se demande pas de cette façon.".to_owned()];
    desk.content().message(StatusCode::METHOD_NOT_ALLOWED, "method", "Demande impossible", &words)
}

async fn ready(State(desk): State<Arc<Desk>>) -> Response {
    desk.watch.ready(&desk.depot, &desk.keys, desk.reserve_bytes, (desk.clock)()).await
}
