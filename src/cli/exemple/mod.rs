//! `mulot exemple`: settings of a web server for the sites of a folder and their guichet.
//!
//! The headers are those of our own server, asked of the same table: the two cannot differ. Nothing is written.

mod caddy;
mod nginx;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::{Exit, build, commune_folder, missing_folder, report, territoire};
use crate::fleet;
use crate::load::{self, Layers, Territoire};
use crate::pipeline::Base;
use crate::server::headers;

#[derive(Debug, Args)]
#[command(
    help_template = super::usage::TEMPLATE,
    after_help = "Exemple : mulot exemple caddy /srv/mulot/cc-dombes > /etc/caddy/Caddyfile"
)]
pub(super) struct ExempleArgs {
    /// Serveur web : caddy ou nginx
    #[arg(value_name = "SERVEUR", hide_possible_values = true)]
    server: WebServer,
    /// Dossier de la commune, ou d'un territoire (le dossier courant s'il n'est pas donné)
    #[arg(value_name = "DOSSIER", default_value = ".", hide_default_value = true, value_parser = PathBufValueParser::new().map(commune_folder))]
    folder: PathBuf,
    /// Où sont les sites construits, quand mulot build les a écrits ailleurs (--sortie)
    #[arg(long, value_name = "DIR")]
    sites: Option<PathBuf>,
    /// Où écoute le guichet
    #[arg(long, value_name = "ADRESSE", default_value = "127.0.0.1:8080")]
    guichet: String,
    /// Jours pendant lesquels les navigateurs n'acceptent plus que le chiffrement (0 : rien n'est annoncé)
    #[arg(long = "hsts-jours", value_name = "JOURS", default_value_t = 7)]
    hsts_days: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WebServer {
    Caddy,
    Nginx,
}

/// All that a web server is told.
struct Front {
    /// Command that wrote it, to write it again.
    order: String,
    /// Where the guichet listens.
    guichet: String,
    /// The sites, in order.
    sites: Vec<SiteFront>,
    /// Hosts where there is a guichet alone.
    desks: Vec<Address>,
}

/// A site as the web server sees it.
struct SiteFront {
    /// Its address.
    address: Address,
    /// Addresses that lead to it.
    others: Vec<Address>,
    /// Folder of its pages.
    folder: PathBuf,
    /// Whether its guichet is at the same address.
    has_desk: bool,
    /// Headers of its pages.
    headers: Vec<(String, String)>,
}

/// Scheme and host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    https: bool,
    /// With its port when it is not the usual one.
    host: String,
}

impl Address {
    /// `None` for what is not an address a visitor can type.
    fn parse(url: &str) -> Option<Address> {
        let origin = headers::origin(url)?;
        let (scheme, host) = origin.split_once("://")?;
        let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
        plain.then(|| Address { https: scheme == "https", host: host.to_owned() })
    }

    fn url(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.host)
    }
}

pub(super) fn run(args: &ExempleArgs) -> Exit {
    if let Some(exit) = missing_folder(&args.folder) {
        return exit;
    }
    if !is_listener(&args.guichet) {
        report::say(format!("erreur : « {} » n'est pas une adresse de cette machine", args.guichet));
        report::say("aide : donnez la clé ecoute de guichet.toml : --guichet 127.0.0.1:8080");
        return Exit::Fault;
    }
    let communes = match communes(args) {
        Ok(communes) => communes,
        Err(exit) => return exit,
    };
    let front = front(args, communes);
    if front.sites.is_empty() {
        report::say("erreur : aucune commune n'a d'adresse : il n'y a rien à servir");
        report::say("aide : écrivez domaine dans commune.toml, ou domaines dans territoire.toml");
        return Exit::Fault;
    }
    report::give(
        match args.server {
            WebServer::Caddy => caddy::write(&front),
            WebServer::Nginx => nginx::write(&front),
        }
        .trim_end(),
    );
    Exit::Done
}

/// An address with a port, or the path of a socket; nothing that would be read as settings.
fn is_listener(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:/[]".contains(&byte));
    plain && (text.starts_with('/') || text.parse::<std::net::SocketAddr>().is_ok())
}

/// A commune with where its site is.
struct Known {
    name: String,
    domains: Vec<String>,
    desk: String,
    folder: PathBuf,
}

fn communes(args: &ExempleArgs) -> Result<Vec<Known>, Exit> {
    let base = Base::embedded();
    if !Territoire::is_one(&args.folder) {
        let layers = Layers::of(&args.folder, &base.catalogue);
        let site = args.sites.clone().unwrap_or_else(|| build::beside(&args.folder));
        return known(&layers, &args.folder, site, &[]).map(|one| vec![one]);
    }
    let territoire::Read { territoire, members } = territoire::read(&args.folder)?;
    let territoire = Arc::clone(&territoire);
    let sites = args.sites.clone().unwrap_or_else(|| fleet::sites_of(&territoire));
    let mut list = Vec::with_capacity(members.len());
    for member in members.into_iter().filter(|member| member.exists) {
        let layers = Layers::within(&territoire, &member.folder, &base.catalogue);
        let declared = territoire.model.declared(&member.name).map_or(&[][..], |declared| &declared.domaines);
        list.push(known(&layers, &member.folder, fleet::site_of(&sites, &member.name), declared)?);
    }
    Ok(list)
}

fn known(layers: &Layers<'_>, folder: &Path, site: PathBuf, declared: &[String]) -> Result<Known, Exit> {
    let (sources, told) = load::sources(layers);
    let Some(sources) = sources else {
        report::say(report::text(&told, folder, report::colour(&std::io::stderr())).trim_end());
        return Err(Exit::Fault);
    };
    let mut domains = vec![sources.commune.domaine.clone()];
    domains.extend(declared.iter().filter(|other| **other != sources.commune.domaine).cloned());
    domains.retain(|domain| !domain.is_empty());
    let site = std::path::absolute(&site).unwrap_or(site);
    Ok(Known {
        name: sources.commune.names.nom.clone(),
        domains,
        desk: sources.commune.guichet.adresse.clone(),
        folder: site,
    })
}

/// What the web server is told of these communes; those without an address are named, and left out.
fn front(args: &ExempleArgs, communes: Vec<Known>) -> Front {
    let server = if matches!(args.server, WebServer::Caddy) { "caddy" } else { "nginx" };
    let folder = std::path::absolute(&args.folder).unwrap_or_else(|_| args.folder.clone());
    let mut front = Front {
        order: format!("mulot exemple {server} {}", folder.display()),
        guichet: args.guichet.clone(),
        sites: Vec::new(),
        desks: Vec::new(),
    };
    let (mut silent, mut taken) = (Vec::new(), BTreeMap::new());
    for commune in communes {
        let mut addresses: Vec<Address> = commune.domains.iter().filter_map(|domain| Address::parse(domain)).collect();
        let Some(address) = addresses.first().cloned().filter(|_| is_quotable(&commune.folder)) else {
            silent.push(commune.name);
            continue;
        };
        if let Some(other) = taken.insert(address.host.clone(), commune.name.clone()) {
            report::say(format!(
                "avertissement : {} et {other} ont la même adresse, {} : corrigez domaine",
                commune.name,
                address.url()
            ));
            continue;
        }
        addresses.remove(0);
        let desk = Address::parse(&commune.desk);
        front.sites.push(SiteFront {
            has_desk: desk.as_ref().is_none_or(|desk| desk.host == address.host),
            headers: headers::of_site(&address.url(), &commune.desk, args.hsts_days * 86_400),
            folder: commune.folder,
            others: addresses,
            address,
        });
        front.desks.extend(desk);
    }
    front.desks.sort();
    front.desks.dedup_by(|one, other| one.host == other.host);
    front.desks.retain(|desk| !taken.contains_key(&desk.host));
    if !silent.is_empty() {
        report::say(format!("Laissées de côté, sans adresse dans domaine : {}", silent.join(", ")));
    }
    front
}

/// Whether both servers read this path as one word between quotes.
fn is_quotable(path: &Path) -> bool {
    path.to_str().is_some_and(|text| !text.contains(['"', '\\', '{', '}', '$', '\n', '`']))
}

/// Endings of the files a site is made of: what the web server must know the type of.
const ENDINGS: [&str; 27] = [
    "html",
    "css",
    "js",
    "json",
    "webmanifest",
    "geojson",
    "xml",
    "atom",
    "ics",
    "txt",
    "csv",
    "svg",
    "png",
    "jpg",
    "jpeg",
    "webp",
    "avif",
    "gif",
    "ico",
    "pdf",
    "woff2",
    "odt",
    "ods",
    "docx",
    "xlsx",
    "zip",
    "mp4",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_a_visitor_is_one() {
        assert_eq!(
            Address::parse("https://Www.Exemple.fr"),
            Some(Address { https: true, host: "www.exemple.fr".to_owned() })
        );
        for wrong in ["", "exemple.fr", "https://", "https://exemple.fr{evil}", "https://a b"] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_listener_cannot_carry_settings() {
        for right in ["127.0.0.1:8080", "[::1]:8080", "/run/mulot/guichet.sock"] {
            assert!(is_listener(right), "{right}");
        }
        for wrong in ["", "8080", "localhost", "127.0.0.1:8080; return 200", "/run/x y", "127.0.0.1:80\n}"] {
            assert!(!is_listener(wrong), "{wrong}");
        }
    }

    #[test]
    fn every_ending_has_a_type_of_its_own() {
        for ending in ENDINGS {
            assert_ne!(
                crate::model::media_type::media_type(&format!("x.{ending}")),
                "application/octet-stream",
                "{ending}"
            );
        }
    }
}
