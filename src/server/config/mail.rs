//! `[courriel]` and `[rebonds]`: how mails go out, who signs them, where reports come back.

use std::path::Path;

use super::{BOUNCES_PASSWORD_VARIABLE, PASSWORD_VARIABLE, Secrets, missing, path};
use crate::diagnostic::{Code, Diagnostic};
use crate::intake::bounces::ImapConfig;
use crate::intake::mailer::{Credentials, Deadlines, Security, Signer, SignerError, SmtpConfig, Transport};
use crate::load::toml_reader::Reader;
use crate::server::host::is_this_machine;

pub(super) fn transport(
    mail: &mut Reader<'_, '_>,
    base: &Path,
    secrets: &Secrets,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Transport> {
    let is_smtp = mail.word("transport", &[("smtp", true), ("dossier", false)], diagnostics);
    let folder = path(mail, "dossier", base, diagnostics);
    let smtp = smtp(mail, base, secrets, is_smtp.unwrap_or(false), diagnostics);
    match is_smtp {
        Some(true) => smtp.map(Transport::Smtp),
        Some(false) => match folder {
            Some(folder) => Some(Transport::Folder(folder)),
            None => missing(mail, "dossier", "le dossier où les messages sont posés", diagnostics),
        },
        None if mail.has("transport") => None,
        None => missing(mail, "transport", "\"smtp\" ou \"dossier\"", diagnostics),
    }
}

fn smtp(
    mail: &mut Reader<'_, '_>,
    base: &Path,
    secrets: &Secrets,
    wanted: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<SmtpConfig> {
    let host = mail.text("serveur", diagnostics);
    let words = [("starttls", Security::StartTls), ("tls", Security::Tls), ("aucun", Security::None)];
    let security = mail.word("chiffrement", &words, diagnostics).unwrap_or(Security::StartTls);
    let usual = match security {
        Security::StartTls => 587,
        Security::Tls => 465,
        Security::None => 25,
    };
    let port = mail.integer("port", 1..=65_535, diagnostics).and_then(|port| u16::try_from(port).ok()).unwrap_or(usual);
    let user = mail.text("identifiant", diagnostics);
    let password_file = path(mail, "mot_de_passe_fichier", base, diagnostics);
    let ca_file = path(mail, "autorite", base, diagnostics);
    let hello = mail.text("nom", diagnostics);
    if !wanted {
        return None;
    }
    let host = match host {
        Some(host) => host,
        None => {
            return missing(mail, "serveur", "le serveur de messagerie, par exemple \"smtp.exemple.fr\"", diagnostics);
        }
    };
    let credentials = match user {
        Some(user) => Some(Credentials {
            user,
            password: secret(mail, password_file.as_deref(), (secrets, &secrets.smtp, PASSWORD_VARIABLE), diagnostics)?,
        }),
        None => None,
    };
    if security == Security::None && credentials.is_some() {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, mail.place("chiffrement"), "le mot de passe partirait en clair")
                .hint("écrivez chiffrement = \"starttls\" ou \"tls\", ou retirez identifiant"),
        );
    }
    Some(SmtpConfig { host, port, security, credentials, ca_file, hello, deadlines: Deadlines::default() })
}

/// The mailbox of reports.
pub(super) fn bounces(
    table: &mut Reader<'_, '_>,
    base: &Path,
    secrets: &Secrets,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ImapConfig> {
    let host = table.text("serveur", diagnostics);
    let words = [("tls", Security::Tls), ("starttls", Security::StartTls), ("aucun", Security::None)];
    let security = table.word("chiffrement", &words, diagnostics).unwrap_or(Security::Tls);
    let usual = if security == Security::Tls { 993 } else { 143 };
    let port =
        table.integer("port", 1..=65_535, diagnostics).and_then(|port| u16::try_from(port).ok()).unwrap_or(usual);
    let user = table.text("identifiant", diagnostics);
    let password_file = path(table, "mot_de_passe_fichier", base, diagnostics);
    let ca_file = path(table, "autorite", base, diagnostics);
    let folder = table.text("dossier", diagnostics).unwrap_or_else(|| "INBOX".to_owned());
    let done_folder = table.text("traites", diagnostics);
    let host =
        host.or_else(|| missing(table, "serveur", "le serveur IMAP, par exemple \"imap.exemple.fr\"", diagnostics));
    let user = user.or_else(|| missing(table, "identifiant", "le compte de la boîte d'expéditeur", diagnostics));
    let (host, user) = (host?, user?);
    let password =
        secret(table, password_file.as_deref(), (secrets, &secrets.imap, BOUNCES_PASSWORD_VARIABLE), diagnostics)?;
    if security == Security::None && !is_this_machine(&host) {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, table.place("chiffrement"), "le mot de passe partirait en clair")
                .hint("écrivez chiffrement = \"tls\" ou \"starttls\""),
        );
    }
    let credentials = Credentials { user, password };
    Some(ImapConfig { host, port, security, credentials, ca_file, folder, done_folder })
}

/// Who signs messages: the key is a file, as `openssl genrsa` or `openssl genpkey` writes it.
pub(super) fn dkim(
    table: &mut Reader<'_, '_>,
    base: &Path,
    secrets: &Secrets,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Signer> {
    const KEY: &str = "cle_fichier";
    let selector = table.text("selecteur", diagnostics);
    let domain = table.text("domaine", diagnostics);
    let file = path(table, KEY, base, diagnostics);
    let selector =
        selector.or_else(|| missing(table, "selecteur", "le nom de la clé, par exemple \"mulot\"", diagnostics));
    let domain = domain.or_else(|| missing(table, "domaine", "le domaine de l'adresse expediteur", diagnostics));
    let file = file.or_else(|| missing(table, KEY, "le fichier de la clé privée", diagnostics));
    let (selector, domain, file) = (selector?, domain?, file?);
    if secrets.withheld {
        return None;
    }
    let told = |code, key, message: String, hint: &str| Diagnostic::error(code, table.place(key), message).hint(hint);
    let bytes = match crate::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("la clé DKIM ne peut pas être lue : {}", crate::fs::cause(&error.source));
            let hint = "vérifiez le chemin et les droits : le compte du guichet doit pouvoir la lire";
            diagnostics.push(told(Code::Unreadable, KEY, message, hint));
            return None;
        }
    };
    match Signer::new(&selector, &domain, &String::from_utf8_lossy(&bytes)) {
        Ok(signer) => Some(signer),
        Err(SignerError::Key) => {
            let hint = "créez-la avec : openssl genrsa -out dkim.pem 2048 (de 2048 à 4096 bits, ou une clé Ed25519)";
            diagnostics.push(told(
                Code::BadValue,
                KEY,
                "ce fichier ne contient pas de clé DKIM utilisable".into(),
                hint,
            ));
            None
        }
        Err(SignerError::Name(name)) => {
            let key = if name == selector { "selecteur" } else { "domaine" };
            let message = format!("« {name} » ne convient pas à « {key} »");
            diagnostics.push(told(Code::BadValue, key, message, "lettres sans accent, chiffres, tirets et points"));
            None
        }
    }
}

/// The password: a file's first line, or the variable.
fn secret(
    mail: &Reader<'_, '_>,
    file: Option<&Path>,
    (secrets, password, variable): (&Secrets, &Option<String>, &str),
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<String> {
    let found = match file.filter(|_| !secrets.withheld) {
        Some(file) => match crate::fs::read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).lines().next().map(str::to_owned),
            Err(error) => {
                diagnostics.push(
                    Diagnostic::error(
                        Code::Unreadable,
                        mail.place("mot_de_passe_fichier"),
                        format!("le fichier du mot de passe ne peut pas être lu : {}", crate::fs::cause(&error.source)),
                    )
                    .hint("vérifiez le chemin et les droits : le compte du guichet doit pouvoir le lire"),
                );
                return None;
            }
        },
        None => password.clone(),
    };
    let found = found.filter(|password| !password.is_empty());
    if found.is_none() {
        diagnostics.push(
            Diagnostic::error(Code::MissingKey, mail.place("identifiant"), "le mot de passe de cet identifiant manque")
                .hint(format!("écrivez mot_de_passe_fichier = \"…\", ou donnez-le dans la variable {variable}")),
        );
    }
    found
}
