//! `[https]` of `guichet.toml`: how the sites are served without anything in front.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::listen::ListenAddress;
use crate::diagnostic::{Code, Diagnostic};
use crate::load::toml_reader::Reader;

/// The authority asked when none is named.
pub const AUTHORITY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Settings of HTTPS.
///
/// Shape: see `docs/https.md`.
#[derive(Debug, Clone)]
pub struct HttpsConfig {
    /// Where HTTPS is spoken.
    pub listen: ListenAddress,
    /// Where plain HTTP is, which only leads to HTTPS and answers certificate authorities; `None`: nowhere.
    pub listen_http: Option<ListenAddress>,
    /// Certificates obtained otherwise.
    pub files: Vec<CertificateFiles>,
    /// Certificates asked for by ourselves; `None`: only those of the files.
    pub automatic: Option<Automatic>,
    /// Between two looks at what is to be done.
    pub look_every: Duration,
}

/// A certificate in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, in PEM.
    pub chain: PathBuf,
    /// The private key, in PEM.
    pub key: PathBuf,
}

/// Whom certificates are asked from (ACME, RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Automatic {
    /// Address of the authority's directory.
    pub directory: String,
    /// Certificate of the authority's own server, when this machine does not know it.
    pub root: Option<PathBuf>,
    /// Whom the authority may write to.
    pub contact: Option<String>,
}

/// Reads the table, when it is there.
pub(super) fn https(
    reader: &mut Reader<'_, '_>,
    base: &Path,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<HttpsConfig> {
    let mut table = reader.table("https", diagnostics)?;
    let listen = address(&mut table, "ecoute", 443, diagnostics);
    let is_alone = table.text("ecoute_http", &mut Vec::new()).is_some_and(|text| text == NOWHERE);
    let listen_http = if is_alone { None } else { address(&mut table, "ecoute_http", 80, diagnostics) };
    let files = certificates(&mut table, base, diagnostics);
    let has_automatic = table.has("automatique");
    let automatic = table.table("automatique", diagnostics).and_then(|mut table| {
        let automatic = automatic(&mut table, base, diagnostics);
        table.finish(diagnostics);
        automatic
    });
    if files.is_empty() && !has_automatic && !table.has("certificats") {
        diagnostics.push(
            Diagnostic::error(Code::MissingKey, table.table_place(), "la table [https] ne dit pas d'où vient le certificat")
                .hint("ajoutez [https.automatique], ou [[https.certificats]] avec certificat et cle_privee (voir docs/https.md)"),
        );
    }
    table.finish(diagnostics);
    Some(HttpsConfig { listen: listen?, listen_http, files, automatic, look_every: LOOK_EVERY })
}

const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Written where nothing is to be listened to.
const NOWHERE: &str = "aucune";

/// An address of this machine; all of them on the usual port unless said otherwise.
fn address(
    table: &mut Reader<'_, '_>,
    key: &'static str,
    port: u16,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ListenAddress> {
    let before = diagnostics.len();
    let Some(text) = table.text(key, diagnostics) else {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        return (diagnostics.len() == before).then_some(ListenAddress::Tcp(everywhere));
    };
    if let Ok(address) = text.parse() {
        return Some(ListenAddress::Tcp(address));
    }
    diagnostics.push(
        Diagnostic::error(Code::BadValue, table.place(key), format!("« {text} » n'est pas une adresse où écouter"))
            .hint(format!("écrivez {key} = \"[::]:{port}\" (toutes les adresses), ou \"192.0.2.1:{port}\"")),
    );
    None
}

fn certificates(table: &mut Reader<'_, '_>, base: &Path, diagnostics: &mut Vec<Diagnostic>) -> Vec<CertificateFiles> {
    let mut files = Vec::new();
    for mut entry in table.tables("certificats", diagnostics) {
        let mut path = |key: &'static str, what: &str| {
            let before = diagnostics.len();
            let path = entry.text(key, diagnostics);
            if path.is_none() && diagnostics.len() == before {
                diagnostics.push(
                    Diagnostic::error(Code::MissingKey, entry.place(key), format!("la clé « {key} » manque"))
                        .hint(format!("écrivez {key} = \"…\" : {what} (voir docs/https.md)")),
                );
            }
            path.map(|path| base.join(path))
        };
        let chain = path("certificat", "le fichier du certificat et de sa chaîne, en PEM");
        let key = path("cle_privee", "le fichier de la clé privée, en PEM");
        entry.finish(diagnostics);
        if let (Some(chain), Some(key)) = (chain, key) {
            files.push(CertificateFiles { chain, key });
        }
    }
    files
}

fn automatic(table: &mut Reader<'_, '_>, base: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<Automatic> {
    let directory = table.text("autorite", diagnostics).unwrap_or_else(|| AUTHORITY.to_owned());
    let root = table.text("autorite_racine", diagnostics).map(|path| base.join(path));
    let contact = table.text("courriel", diagnostics);
    if !directory.starts_with("https://") {
        diagnostics.push(
            Diagnostic::error(
                Code::BadValue,
                table.place("autorite"),
                format!("« {directory} » n'est pas l'adresse d'une autorité"),
            )
            .hint(format!("retirez la clé, ou écrivez une adresse en https:// ; sans elle : {AUTHORITY}")),
        );
    }
    if let Some(address) = contact.as_ref().filter(|address| !address.contains('@')) {
        diagnostics.push(
            Diagnostic::error(
                Code::BadValue,
                table.place("courriel"),
                format!("« {address} » n'est pas une adresse électronique"),
            )
            .hint("écrivez celle de la personne qui s'occupe de ce serveur, ou retirez la clé"),
        );
    }
    if table.flag("conditions_acceptees", diagnostics) != Some(true) {
        diagnostics.push(
            Diagnostic::error(
                Code::MissingKey,
                table.place("conditions_acceptees"),
                "l'autorité de certification demande que ses conditions soient acceptées",
            )
            .hint("lisez-les (https://letsencrypt.org/repository/), puis écrivez conditions_acceptees = true"),
        );
        return None;
    }
    Some(Automatic { directory, root, contact })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::toml_reader::{Source, parse};

    fn read(text: &str) -> (Option<HttpsConfig>, Vec<String>) {
        let mut diagnostics = Vec::new();
        let source = Source { file: "guichet.toml", text, first_line: 1 };
        let table = parse(source, &mut diagnostics);
        let mut reader = Reader::new(source, &table);
        let config = https(&mut reader, Path::new("/etc/mulot"), &mut diagnostics);
        reader.finish(&mut diagnostics);
        let told = diagnostics.iter().map(|one| format!("{}:{}", one.place.line, one.message)).collect();
        (config, told)
    }

    #[test]
    fn one_line_is_enough_for_automatic_certificates() {
        let (config, told) = read("[https.automatique]\nconditions_acceptees = true\n");
        assert_eq!(told, Vec::<String>::new());
        let config = config.unwrap();
        assert_eq!(config.listen.to_string(), "[::]:443");
        assert_eq!(config.listen_http.unwrap().to_string(), "[::]:80");
        assert_eq!(config.automatic.unwrap().directory, AUTHORITY);
        assert!(read("").0.is_none());
    }

    #[test]
    fn files_are_taken_from_the_folder_of_the_configuration() {
        let text = "[https]\necoute = \"127.0.0.1:8443\"\necoute_http = \"aucune\"\n[[https.certificats]]\ncertificat = \"a.pem\"\ncle_privee = \"/srv/a.key\"\n";
        let (config, told) = read(text);
        assert_eq!(told, Vec::<String>::new());
        let config = config.unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8443");
        assert!(config.listen_http.is_none() && config.automatic.is_none());
        assert_eq!(config.files, [CertificateFiles { chain: "/etc/mulot/a.pem".into(), key: "/srv/a.key".into() }]);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let (_, told) = read("[https]\necoute = \"partout\"\n");
        assert_eq!(
            told,
            [
                "2:« partout » n'est pas une adresse où écouter",
                "1:la table [https] ne dit pas d'où vient le certificat"
            ]
        );
        let (_, told) = read("[https.automatique]\nautorite = \"http://x\"\ncourriel = \"moi\"\n");
        assert_eq!(told.len(), 3, "{told:?}");
        let (_, told) = read("[[https.certificats]]\ncertificat = \"a.pem\"\n");
        assert_eq!(told, ["1:la clé « cle_privee » manque"]);
    }
}
