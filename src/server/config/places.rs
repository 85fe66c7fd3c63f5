//! Where the server listens, whom it believes, who may look.

use std::net::SocketAddr;
use std::path::Path;

use super::missing;
use crate::diagnostic::{Code, Diagnostic};
use crate::intake::files::scanner::ScannerAddress;
use crate::load::toml_reader::Reader;
use crate::server::listen::ListenAddress;
use crate::server::proxy::{Proxy, ProxyError};

pub(super) fn listen(
    reader: &mut Reader<'_, '_>,
    base: &Path,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ListenAddress> {
    let Some(text) = reader.text("ecoute", diagnostics) else {
        // Behind a proxy of the same machine, as the guide has it.
        return (!reader.has("ecoute")).then(|| ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080))));
    };
    if let Ok(address) = text.parse() {
        return Some(ListenAddress::Tcp(address));
    }
    if let Some(path) = text.strip_prefix("unix:").or_else(|| text.contains('/').then_some(text.as_str())) {
        return Some(ListenAddress::Unix(base.join(path)));
    }
    diagnostics.push(
        Diagnostic::error(
            Code::BadValue,
            reader.place("ecoute"),
            format!("« {text} » n'est pas une adresse où écouter"),
        )
        .hint("écrivez ecoute = \"127.0.0.1:8080\", ou le chemin d'une socket : ecoute = \"/run/mulot/guichet.sock\""),
    );
    None
}

pub(super) fn proxies(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Proxy> {
    let texts = reader.texts("proxy", diagnostics);
    let mut proxies = Vec::with_capacity(texts.len());
    for text in texts {
        let (message, hint) = match text.parse() {
            Ok(proxy) => {
                proxies.push(proxy);
                continue;
            }
            Err(ProxyError::Everybody) => (
                format!("« {text} » : n'importe qui pourrait se faire passer pour un autre"),
                "écrivez le réseau des serveurs mandataires, par exemple proxy = [\"10.42.0.0/16\"]",
            ),
            Err(ProxyError::NoAddress) => (
                format!("« {text} » n'est pas une adresse IP ni un réseau"),
                "écrivez l'adresse du serveur mandataire, par exemple proxy = [\"127.0.0.1\"], ou son réseau : proxy = [\"10.42.0.0/16\"]",
            ),
        };
        diagnostics.push(Diagnostic::error(Code::BadValue, reader.place("proxy"), message).hint(hint));
    }
    proxies
}

/// Where measures are given: they say how busy the mairie is, so only this machine may ask.
pub(super) fn metrics_address(
    table: &mut Reader<'_, '_>,
    base: &Path,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ListenAddress> {
    if !table.has("ecoute") {
        return missing(table, "ecoute", "où donner les mesures, par exemple \"127.0.0.1:9464\"", diagnostics);
    }
    let address = listen(table, base, diagnostics)?;
    if !address.is_local() {
        diagnostics.push(
            Diagnostic::error(
                Code::BadValue,
                table.place("ecoute"),
                format!("les mesures seraient données à d'autres machines ({address})"),
            )
            .hint("écrivez ecoute = \"127.0.0.1:9464\" ; un collecteur d'une autre machine passe par un tunnel"),
        );
    }
    Some(address)
}

/// The antivirus: a socket, or a port of this machine, for files travel there in clear.
pub(super) fn scanner(
    reader: &mut Reader<'_, '_>,
    base: &Path,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ScannerAddress> {
    let text = reader.text("clamav", diagnostics)?;
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => return Some(ScannerAddress::Tcp(address)),
        Ok(_) => {}
        Err(_) if text.contains('/') => return Some(ScannerAddress::Unix(base.join(text))),
        Err(_) => {}
    }
    let message = format!("« {text} » n'est pas une adresse de clamd sur cette machine");
    diagnostics.push(
        Diagnostic::error(Code::BadValue, reader.place("clamav"), message)
            .hint("écrivez clamav = \"/run/clamav/clamd.ctl\" ou clamav = \"127.0.0.1:3310\""),
    );
    None
}
