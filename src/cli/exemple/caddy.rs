//! A Caddyfile (Caddy 2.6 or later).

use std::fmt::Write;

use super::{Address, ENDINGS, Front, SiteFront};
use crate::model::media_type::{ASSETS, cache_control, media_type};

/// Writes it.
pub(super) fn write(front: &Front) -> String {
    let mut text = format!(
        "# Réglages de Caddy pour les sites et le guichet. Fait par : {}\n\
         # Après un changement de domaine, refaites-le ; puis : systemctl reload caddy\n\n",
        front.order
    );
    pages(&mut text);
    desk(&mut text, &front.guichet);
    for site in &front.sites {
        block(&mut text, site);
    }
    for address in &front.desks {
        let _ = writeln!(text, "{} {{\n\timport mulot_guichet\n}}\n", address.url());
        to_https(&mut text, address, address);
    }
    text.push_str(
        "# Un nom que personne n'a déclaré : rien n'est montré. Sans certificat pour lui, https ne répond pas non plus.\n\
         http:// {\n\trespond \"Aucun site à cette adresse.\" 421\n}\n",
    );
    text
}

/// What all sites share, but their headers.
fn pages(text: &mut String) {
    text.push_str("(mulot_pages) {\n\theader {\n\t\t-Server\n\t\tVary accept-encoding\n\t}\n");
    // Caddy's own types depend on the machine; these are the ones our server gives.
    text.push_str("\tmap {path} {mulot_type} {\n");
    for ending in ENDINGS {
        let _ = writeln!(text, "\t\t~(?i)\\.{ending}$ \"{}\"", media_type(&format!("x.{ending}")));
    }
    let _ = writeln!(text, "\t\t~/$ \"{}\"", media_type("index.html"));
    let _ = writeln!(text, "\t\tdefault \"{}\"\n\t}}\n\theader Content-Type {{mulot_type}}", media_type(""));
    let kept = cache_control(ASSETS);
    let _ = writeln!(
        text,
        "\tencode gzip\n\tfile_server {{\n\t\tprecompressed br gzip\n\t\thide .*\n\t}}\n\t\
         @assets path /{ASSETS}*\n\theader @assets Cache-Control \"{kept}\"\n\t\
         @pages not path /{ASSETS}*\n\theader @pages Cache-Control no-cache\n\t\
         @ecrire not method GET HEAD\n\terror @ecrire 405\n}}\n",
    );
    let _ = writeln!(
        text,
        "(mulot_absent) {{\n\theader {{\n\t\tContent-Type \"{}\"\n\t\tCache-Control no-cache\n\t\tVary accept-encoding\n\t\t-Server\n\t}}\n\t\
         @introuvable expression {{http.error.status_code}} == 404\n\thandle @introuvable {{\n\t\trewrite * /404.html\n\t\tfile_server\n\t}}\n\t\
         handle {{\n\t\theader Content-Type \"text/plain; charset=utf-8\"\n\t\t\
         respond \"Cette page ne répond pas pour le moment. Réessayez dans quelques minutes, ou appelez la mairie.\"\n\t}}\n}}\n",
        media_type("404.html")
    );
}

/// The way to the guichet, which gives its own headers. It refuses itself, with a page, what is too heavy; this is a last guard.
fn desk(text: &mut String, guichet: &str) {
    let upstream = if guichet.starts_with('/') { format!("unix/{guichet}") } else { guichet.to_owned() };
    let _ = writeln!(
        text,
        "(mulot_guichet) {{\n\trequest_body {{\n\t\tmax_size 70MB\n\t}}\n\treverse_proxy {upstream} {{\n\t\t\
         # Pendant une mise à jour, le visiteur attend au lieu d'être refusé.\n\t\t\
         lb_try_duration 10s\n\t\tlb_try_interval 250ms\n\t\theader_down -Server\n\t}}\n}}\n"
    );
}

fn block(text: &mut String, site: &SiteFront) {
    let _ = writeln!(text, "{} {{", site.address.url());
    if site.has_desk {
        text.push_str("\thandle /guichet/* {\n\t\timport mulot_guichet\n\t}\n");
    }
    let _ = writeln!(text, "\troot * \"{}\"\n\thandle {{", site.folder.display());
    headers(text, site);
    text.push_str("\t\timport mulot_pages\n\t}\n\thandle_errors {\n");
    headers(text, site);
    text.push_str("\t\timport mulot_absent\n\t}\n}\n\n");
    for other in site.others.iter().filter(|other| other.host != site.address.host) {
        let _ = writeln!(text, "{} {{\n\tredir {}{{uri}} 308\n}}\n", other.url(), site.address.url());
        to_https(text, other, &site.address);
    }
    to_https(text, &site.address, &site.address);
}

fn headers(text: &mut String, site: &SiteFront) {
    text.push_str("\t\theader {\n");
    // How long it is kept depends on the page: the snippets say it.
    for (name, value) in site.headers.iter().filter(|(name, _)| name != "cache-control") {
        let _ = writeln!(text, "\t\t\t{name} \"{value}\"");
    }
    text.push_str("\t\t}\n");
}

/// Plain http leads to `target`, in one step; said here because the answer to unknown names would otherwise come first.
fn to_https(text: &mut String, from: &Address, target: &Address) {
    if from.https && !from.host.contains(':') {
        let _ = writeln!(text, "http://{} {{\n\tredir {}{{uri}} 308\n}}\n", from.host, target.url());
    }
}
