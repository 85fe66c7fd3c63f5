//! Addresses: one content, one address, for ever.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::content::{Content, Kind};
use crate::text::slug::slug;

/// First pieces of address that the site keeps for itself.
const RESERVED: [&str; 9] =
    ["actualites", "alertes", "agenda", "annuaire", "demarches", "medias", "guichet", "assets", "plan-du-site"];

/// Address of a content: the folder's names.
pub(super) fn url(content: &Content) -> String {
    let folder = content.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_index = matches!(content.kind, Kind::Page { is_index: true });
    let folder = match content.kind {
        Kind::Page { .. } => folder.strip_prefix("pages").unwrap_or(folder).trim_start_matches('/'),
        _ => folder,
    };
    let mut url = String::from("/");
    for piece in folder.split('/').filter(|piece| !piece.is_empty()) {
        url.push_str(&slug(piece));
        url.push('/');
    }
    if !is_index {
        url.push_str(&content.slug);
        url.push('/');
    }
    url
}

/// Tells collisions and gives the redirects.
pub(super) fn check(
    contents: &[Content],
    urls: &[String],
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<String, String> {
    let mut owners: BTreeMap<&str, &Content> = BTreeMap::new();
    for (content, url) in contents.iter().zip(urls) {
        if let Kind::Page { .. } = content.kind {
            let first = url.trim_start_matches('/').split('/').next().unwrap_or("");
            if RESERVED.contains(&first) || url == "/" {
                diagnostics.push(
                    Diagnostic::error(Code::AddressCollision, content.place.clone(), format!("l'adresse {url} est réservée"))
                        .hint("changez le nom du fichier ou du dossier : cette adresse sert aux pages que Mulot fait lui-même"),
                );
            }
        }
        if let Some(other) = owners.insert(url, content) {
            diagnostics.push(
                Diagnostic::error(
                    Code::AddressCollision,
                    content.slug_place.clone(),
                    format!("l'adresse {url} est déjà celle de {}", other.path),
                )
                .hint("renommez l'un des deux fichiers, ou ajoutez adresse = \"autre-nom\""),
            );
        }
    }
    let mut redirects = BTreeMap::new();
    for (content, url) in contents.iter().zip(urls) {
        for old in &content.old_addresses {
            let old = if old.ends_with('/') || old.rsplit('/').next().is_some_and(|last| last.contains('.')) {
                old.clone()
            } else {
                format!("{old}/")
            };
            let taken = owners.get(old.as_str()).copied();
            if let Some(other) = taken {
                diagnostics.push(
                    Diagnostic::error(
                        Code::AddressCollision,
                        content.place.clone(),
                        format!("l'ancienne adresse {old} est celle de {}", other.path),
                    )
                    .hint("retirez-la de anciennes_adresses : une page existe à cet endroit"),
                );
            } else if let Some(other) = redirects.insert(old.clone(), url.clone()).filter(|other| other != url) {
                diagnostics.push(
                    Diagnostic::error(
                        Code::AddressCollision,
                        content.place.clone(),
                        format!("l'ancienne adresse {old} mène aussi à {other}"),
                    )
                    .hint("gardez-la dans un seul fichier"),
                );
            }
        }
    }
    redirects
}
