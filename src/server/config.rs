//! `guichet.toml`: what the production server is told, in French, every mistake with its line.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::agent::{AgentCode, SHORTEST};
use super::https_config::{HttpsConfig, https};
use super::listen::{Limits, ListenAddress};
use super::rate::RateLimits;
use super::receive::FormLimits;
use crate::diagnostic::{Code, Diagnostic, Place, has_errors};
use crate::intake::bounces::ImapConfig;
use crate::intake::files::FileOptions;
use crate::intake::files::scanner::ScannerAddress;
use crate::intake::mailer::{Credentials, Deadlines, Security, Signer, SignerError, SmtpConfig, Transport};
use crate::load::toml_reader::{Reader, Source, parse};

/// Variable that may hold the password of the mail account.
pub const PASSWORD_VARIABLE: &str = "MULOT_SMTP_MOT_DE_PASSE";

/// Variable that may hold the password of the mailbox of reports.
pub const BOUNCES_PASSWORD_VARIABLE: &str = "MULOT_IMAP_MOT_DE_PASSE";

/// Passwords that do not come from files; never printed.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Of the mail account.
    pub smtp: Option<String>,
    /// Of the mailbox of reports.
    pub imap: Option<String>,
}

impl Secrets {
    /// For whoever neither sends nor reads mails: the passwords need not be known.
    pub fn unneeded() -> Secrets {
        Secrets { smtp: Some("–".to_owned()), imap: Some("–".to_owned()) }
    }
}

/// Settings of the guichet of one commune.
///
/// Shape: see `docs/guichet.md`. Relative paths are taken from the folder of the file.
#[derive(Debug, Clone)]
pub struct GuichetConfig {
    /// The commune's folder.
    pub folder: PathBuf,
    /// Where requests are kept.
    pub data: PathBuf,
    /// The key file, when it is not `cle` in that folder.
    pub key_file: Option<PathBuf>,
    /// Where to listen.
    pub listen: ListenAddress,
    /// Folder of the site to serve as well.
    pub site: Option<PathBuf>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpAddr>,
    /// Seconds browsers are told to come back by https only.
    pub hsts_seconds: u64,
    /// Where mails go.
    pub transport: Transport,
    /// How long strangers may hold.
    pub limits: Limits,
    /// How much a form may send.
    pub form_limits: FormLimits,
    /// How often.
    pub rates: RateLimits,
    /// Free bytes on the disk below which nothing more is taken.
    pub reserve_bytes: u64,
    /// Whether a mailbox must have proved that it is read before requests are sent to it; not on a machine for tests.
    pub confirms_mailboxes: bool,
    /// The code typed by who acts for the mairie; `None`: the link of a mail is enough.
    pub agent_code: Option<AgentCode>,
    /// Signs messages (DKIM); `None`: the mail server does, or nobody.
    pub signer: Option<Signer>,
    /// The mailbox where servers report what they could not deliver; `None`: it is not read.
    pub bounces: Option<ImapConfig>,
    /// Messages handed to the mail server in an hour, at most; `None`: as many as there are.
    pub per_hour: Option<u32>,
    /// Where measures are given, to this machine alone; nowhere unless asked.
    pub metrics: Option<ListenAddress>,
    /// How many files may be kept, and who looks at them.
    pub files: FileSettings,
    /// HTTPS, spoken without anything in front; `None`: a proxy does.
    pub https: Option<HttpsConfig>,
}

/// Limits of the files kept, and the antivirus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// Bytes of all files sent and not yet confirmed.
    pub max_draft_bytes: u64,
    /// Bytes of all accepted files.
    pub max_kept_bytes: u64,
    /// Where clamd listens; no antivirus unless asked.
    pub scanner: Option<ScannerAddress>,
}

impl FileSettings {
    /// What the file store is opened with, `reserve` bytes being left free.
    pub(super) fn options(self, reserve: u64) -> FileOptions {
        let FileSettings { max_draft_bytes, max_kept_bytes, scanner } = self;
        FileOptions { min_free_bytes: reserve, max_draft_bytes, max_kept_bytes, scanner }
    }
}

impl Default for FileSettings {
    fn default() -> Self {
        FileSettings { max_draft_bytes: 200 << 20, max_kept_bytes: 5_000 << 20, scanner: None }
    }
}

impl GuichetConfig {
    /// Reads a file; `secrets` are what does not come from files.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn read(path: &Path, secrets: Secrets) -> Result<Self, Vec<Diagnostic>> {
        Self::read_and(path, secrets, |_, _, _| {})
    }

    /// The same, for a server about to start: the folders it shows must be there.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn read_to_serve(path: &Path, secrets: Secrets) -> Result<Self, Vec<Diagnostic>> {
        Self::read_and(path, secrets, shown_folders)
    }

    fn read_and(path: &Path, secrets: Secrets, judge: Judge) -> Result<Self, Vec<Diagnostic>> {
        let name =
            path.file_name().map_or_else(|| "guichet.toml".to_owned(), |name| name.to_string_lossy().into_owned());
        let unreadable = |cause: String| {
            let told = Diagnostic::error(Code::Unreadable, Place::file(path.display().to_string()), cause);
            vec![told.hint("indiquez le fichier de configuration : mulot guichet chemin/vers/guichet.toml")]
        };
        let bytes = crate::fs::read(path).map_err(|error| {
            unreadable(format!("ce fichier ne peut pas être lu : {}", crate::fs::cause(&error.source)))
        })?;
        let text = String::from_utf8(bytes).map_err(|_| unreadable("ce fichier n'est pas en UTF-8".to_owned()))?;
        let base = path.parent().unwrap_or(Path::new("."));
        Self::parse_and(&name, &text, base, secrets, judge)
    }

    /// Reads a text; `base` is the folder relative paths are taken from.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn parse(file: &str, text: &str, base: &Path, password: Option<String>) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_and(file, text, base, Secrets { smtp: password, imap: None }, |_, _, _| {})
    }

    fn parse_and(file: &str, text: &str, base: &Path, secrets: Secrets, judge: Judge) -> Result<Self, Vec<Diagnostic>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut diagnostics = Vec::new();
        let source = Source { file, text, first_line: 1 };
        let table = parse(source, &mut diagnostics);
        let mut reader = Reader::new(source, &table);
        let config = config(&mut reader, base, secrets, &mut diagnostics);
        if let Some(config) = &config {
            judge(config, &reader, &mut diagnostics);
        }
        reader.finish(&mut diagnostics);
        match config {
            Some(config) if !has_errors(&diagnostics) => Ok(config),
            _ => {
                crate::diagnostic::sort(&mut diagnostics);
                Err(diagnostics)
            }
        }
    }
}

/// What is judged besides the text of the file.
type Judge = fn(&GuichetConfig, &Reader<'_, '_>, &mut Vec<Diagnostic>);

/// Tells the folders a server shows and does not find: it would answer « not found » to everybody.
fn shown_folders(config: &GuichetConfig, reader: &Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut absent = |key: &str, path: &Path, hint: String| {
        if !path.is_dir() {
            let message = format!("le dossier « {} » n'existe pas", path.display());
            diagnostics.push(Diagnostic::error(Code::BadValue, reader.place(key), message).hint(hint));
        }
    };
    absent("dossier", &config.folder, "donnez le dossier de la commune, celui de commune.toml".to_owned());
    if let Some(site) = &config.site {
        let (from, to) = (config.folder.display(), site.display());
        absent("site", site, format!("construisez d'abord le site : mulot build {from} --sortie {to}"));
    }
}

fn config(
    reader: &mut Reader<'_, '_>,
    base: &Path,
    secrets: Secrets,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<GuichetConfig> {
    let folder = path(reader, "dossier", base, diagnostics)
        .or_else(|| missing(reader, "dossier", "le dossier de la commune", diagnostics));
    let data = path(reader, "donnees", base, diagnostics)
        .or_else(|| missing(reader, "donnees", "le dossier où les demandes sont gardées", diagnostics));
    let key_file = path(reader, "cle_fichier", base, diagnostics);
    let listen = listen(reader, base, diagnostics);
    let site = path(reader, "site", base, diagnostics);
    let proxies = proxies(reader, diagnostics);
    let confirms_mailboxes = reader.flag("confirmer_destinataires", diagnostics).unwrap_or(true);
    let agent_code = agent_code(reader, base, diagnostics);
    let hsts = reader.integer("hsts_jours", 0..=3650, diagnostics).unwrap_or(7);
    let (mut per_hour, mut signer) = (None, None);
    let transport = match reader.table("courriel", diagnostics) {
        Some(mut mail) => {
            per_hour =
                mail.integer("par_heure", 1..=100_000, diagnostics).and_then(|number| u32::try_from(number).ok());
            signer = mail.table("dkim", diagnostics).and_then(|mut table| {
                let signer = dkim(&mut table, base, diagnostics);
                table.finish(diagnostics);
                signer
            });
            let transport = transport(&mut mail, base, secrets.smtp, diagnostics);
            mail.finish(diagnostics);
            transport
        }
        None if reader.has("courriel") => None,
        None => {
            diagnostics.push(
                Diagnostic::error(Code::MissingKey, reader.table_place(), "la table [courriel] manque").hint(
                    "ajoutez [courriel] avec transport = \"smtp\" et serveur, ou transport = \"dossier\" et dossier",
                ),
            );
            None
        }
    };
    let bounces = reader.table("rebonds", diagnostics).and_then(|mut table| {
        let bounces = bounces(&mut table, base, secrets.imap, diagnostics);
        table.finish(diagnostics);
        bounces
    });
    let (mut limits, mut form_limits, mut rates) = (Limits::default(), FormLimits::default(), RateLimits::default());
    let mut reserve_bytes = RESERVE_BYTES;
    let mut files = FileSettings { scanner: scanner(reader, base, diagnostics), ..FileSettings::default() };
    if let Some(mut table) = reader.table("limites", diagnostics) {
        set_limits(&mut table, &mut limits, &mut form_limits, &mut rates, diagnostics);
        if let Some(reserve) = table.integer("reserve_mo", 16..=1 << 20, diagnostics) {
            reserve_bytes = reserve.unsigned_abs() << 20;
        }
        set_files(&mut table, &mut files, &mut form_limits, diagnostics);
        table.finish(diagnostics);
    }
    let https = https(reader, base, diagnostics);
    let metrics = reader.table("mesures", diagnostics).and_then(|mut table| {
        let address = metrics_address(&mut table, base, diagnostics);
        table.finish(diagnostics);
        address
    });
    Some(GuichetConfig {
        folder: folder?,
        data: data?,
        key_file,
        listen: listen?,
        site,
        proxies,
        hsts_seconds: u64::try_from(hsts).unwrap_or(0) * 86_400,
        transport: transport?,
        limits,
        form_limits,
        rates,
        reserve_bytes,
        confirms_mailboxes,
        agent_code,
        signer,
        bounces,
        per_hour,
        metrics,
        files,
        https,
    })
}

/// The antivirus: a socket, or a port of this machine, for files travel there in clear.
fn scanner(reader: &mut Reader<'_, '_>, base: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<ScannerAddress> {
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

fn set_files(
    table: &mut Reader<'_, '_>,
    files: &mut FileSettings,
    form_limits: &mut FormLimits,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut bytes = |key, range| table.integer(key, range, diagnostics).map(|number| number.unsigned_abs() << 20);
    if let Some(bytes) = bytes("courriel_mo", 1..=25) {
        form_limits.mail_bytes = bytes;
    }
    if let Some(bytes) = bytes("brouillons_mo", 32..=1 << 20) {
        files.max_draft_bytes = bytes;
    }
    if let Some(bytes) = bytes("pieces_mo", 64..=1 << 24) {
        files.max_kept_bytes = bytes;
    }
}

/// Where measures are given: they say how busy the mairie is, so only this machine may ask.
fn metrics_address(
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

fn path(
    reader: &mut Reader<'_, '_>,
    key: &'static str,
    base: &Path,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<PathBuf> {
    reader.text(key, diagnostics).map(|path| base.join(path))
}

/// Tells a key that must be there, unless something of the wrong kind was told already.
fn missing<T>(reader: &Reader<'_, '_>, key: &str, what: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<T> {
    let place = reader.place(key);
    if !reader.has(key) || !diagnostics.iter().any(|told| told.place == place) {
        let state = if reader.has(key) { "est vide" } else { "manque" };
        diagnostics.push(
            Diagnostic::error(Code::MissingKey, place, format!("la clé « {key} » {state}"))
                .hint(format!("écrivez {key} = \"…\" : {what} (voir docs/guichet.md)")),
        );
    }
    None
}

fn listen(reader: &mut Reader<'_, '_>, base: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<ListenAddress> {
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

fn proxies(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<IpAddr> {
    let texts = reader.texts("proxy", diagnostics);
    let mut proxies = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse::<IpAddr>() {
            Ok(address) => proxies.push(address.to_canonical()),
            Err(_) => diagnostics.push(
                Diagnostic::error(
                    Code::BadValue,
                    reader.place("proxy"),
                    format!("« {text} » n'est pas une adresse IP"),
                )
                .hint("écrivez l'adresse du serveur mandataire, par exemple proxy = [\"127.0.0.1\"]"),
            ),
        }
    }
    proxies
}

fn transport(
    mail: &mut Reader<'_, '_>,
    base: &Path,
    password: Option<String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Transport> {
    let is_smtp = mail.word("transport", &[("smtp", true), ("dossier", false)], diagnostics);
    let folder = path(mail, "dossier", base, diagnostics);
    let smtp = smtp(mail, base, password, is_smtp.unwrap_or(false), diagnostics);
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
    password: Option<String>,
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
            password: secret(mail, password_file.as_deref(), (password, PASSWORD_VARIABLE), diagnostics)?,
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
fn bounces(
    table: &mut Reader<'_, '_>,
    base: &Path,
    password: Option<String>,
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
    let password = secret(table, password_file.as_deref(), (password, BOUNCES_PASSWORD_VARIABLE), diagnostics)?;
    if security == Security::None && !["localhost", "127.0.0.1", "::1"].contains(&host.as_str()) {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, table.place("chiffrement"), "le mot de passe partirait en clair")
                .hint("écrivez chiffrement = \"tls\" ou \"starttls\""),
        );
    }
    let credentials = Credentials { user, password };
    Some(ImapConfig { host, port, security, credentials, ca_file, folder, done_folder })
}

/// Who signs messages: the key is a file, as `openssl genrsa` or `openssl genpkey` writes it.
fn dkim(table: &mut Reader<'_, '_>, base: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<Signer> {
    const KEY: &str = "cle_fichier";
    let selector = table.text("selecteur", diagnostics);
    let domain = table.text("domaine", diagnostics);
    let file = path(table, KEY, base, diagnostics);
    let selector =
        selector.or_else(|| missing(table, "selecteur", "le nom de la clé, par exemple \"mulot\"", diagnostics));
    let domain = domain.or_else(|| missing(table, "domaine", "le domaine de l'adresse expediteur", diagnostics));
    let file = file.or_else(|| missing(table, KEY, "le fichier de la clé privée", diagnostics));
    let (selector, domain, file) = (selector?, domain?, file?);
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

/// The code of the mairie: the first line of a file.
fn agent_code(reader: &mut Reader<'_, '_>, base: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<AgentCode> {
    const KEY: &str = "code_agent_fichier";
    let file = path(reader, KEY, base, diagnostics)?;
    let told = |code, message: String, hint: String| Diagnostic::error(code, reader.place(KEY), message).hint(hint);
    match crate::fs::read(&file) {
        Ok(bytes) => {
            let code = String::from_utf8_lossy(&bytes).lines().next().and_then(AgentCode::new);
            if code.is_none() {
                diagnostics.push(told(
                    Code::BadValue,
                    "le code de la mairie est trop court".to_owned(),
                    format!("écrivez-le seul dans ce fichier, sur une ligne, en {SHORTEST} signes au moins"),
                ));
            }
            code
        }
        Err(error) => {
            diagnostics.push(told(
                Code::Unreadable,
                format!("le fichier du code de la mairie ne peut pas être lu : {}", crate::fs::cause(&error.source)),
                "vérifiez le chemin et les droits : le compte du guichet doit pouvoir le lire".to_owned(),
            ));
            None
        }
    }
}

/// The password: a file's first line, or the variable.
fn secret(
    mail: &Reader<'_, '_>,
    file: Option<&Path>,
    (password, variable): (Option<String>, &str),
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<String> {
    let found = match file {
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
        None => password,
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

fn set_limits(
    table: &mut Reader<'_, '_>,
    limits: &mut Limits,
    form_limits: &mut FormLimits,
    rates: &mut RateLimits,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut number = |key, range| table.integer(key, range, diagnostics).and_then(|number| u32::try_from(number).ok());
    if let Some(number) = number("connexions", 16..=65_000) {
        limits.connections = number as usize;
    }
    if let Some(number) = number("connexions_par_adresse", 1..=65_000) {
        limits.connections_per_address = number as usize;
    }
    if let Some(number) = number("fichiers_mo", 1..=25) {
        form_limits.files_bytes = u64::from(number) << 20;
        form_limits.drained_bytes = form_limits.drained_bytes.max(form_limits.files_bytes * 4);
    }
    if let Some(number) = number("envois_par_adresse", 1..=10_000) {
        rates.sends = number;
        rates.checks = rates.checks.max(number.saturating_mul(6));
    }
    if let Some(number) = number("envois_par_heure", 1..=1_000_000) {
        rates.all_sends = number;
        // Who expects crowds expects them on one form too.
        rates.form_sends = rates.form_sends.max(number / 2);
    }
    if let Some(number) = number("envois_par_formulaire", 1..=1_000_000) {
        rates.form_sends = number;
    }
    if let Some(number) = number("envois_par_courriel", 1..=10_000) {
        rates.email_sends = number;
    }
    if let Some(number) = number("accuses_par_jour", 1..=1_000) {
        rates.receipts = number;
    }
    // Seven days at most: the mairie has ten working days to send its own receipt (CRPA, art. R112-11-2).
    if let Some(number) = number("quarantaine_heures", 1..=168) {
        rates.quarantine = jiff::SignedDuration::from_hours(i64::from(number));
    }
}

/// What deliveries and the purge need to be written when the disk is short.
pub(super) const RESERVE_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<GuichetConfig, Vec<String>> {
        GuichetConfig::parse("guichet.toml", text, Path::new("/etc/mulot"), None)
            .map_err(|told| told.into_iter().map(|one| format!("{}: {}", one.place, one.message)).collect())
    }

    const SMTP: &str = "dossier = \"commune\"\ndonnees = \"/var/lib/mulot\"\n\
        [courriel]\ntransport = \"smtp\"\nserveur = \"smtp.exemple.fr\"\n";

    #[test]
    fn what_is_not_said_takes_safe_values() {
        let config = read(SMTP).unwrap();
        assert_eq!(config.folder, Path::new("/etc/mulot/commune"));
        assert_eq!(config.data, Path::new("/var/lib/mulot"));
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        let Transport::Smtp(smtp) = config.transport else { panic!("smtp") };
        assert_eq!((smtp.port, smtp.security), (587, Security::StartTls));
        assert_eq!(config.form_limits.files_bytes, 15 << 20);
    }

    #[test]
    fn a_server_starts_only_with_the_folders_it_shows() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("guichet.toml");
        let rest = "donnees = \"d\"\n[courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n";
        std::fs::write(&file, format!("dossier = \"absent\"\nsite = \"absent-public\"\n{rest}")).unwrap();
        let told = GuichetConfig::read_to_serve(&file, Secrets::default()).unwrap_err();
        let lines: Vec<_> = told.iter().map(|one| one.place.line).collect();
        assert_eq!(lines, [1, 2], "{told:?}");
        assert!(told[0].message.contains(&root.path().join("absent").display().to_string()), "{told:?}");
        assert!(GuichetConfig::read(&file, Secrets::default()).is_ok(), "the requests can still be looked at");
    }

    #[test]
    fn everything_can_be_said() {
        let text = "dossier = \"c\"\ndonnees = \"d\"\ncle_fichier = \"secret/cle\"\necoute = \"/run/m.sock\"\nsite = \"public\"\nproxy = [\"127.0.0.1\", \"::1\"]\nhsts_jours = 30\n\
            [courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n[limites]\nfichiers_mo = 10\nenvois_par_adresse = 20\n";
        let config = read(text).unwrap();
        assert_eq!(config.listen, ListenAddress::Unix("/run/m.sock".into()));
        assert_eq!(config.key_file.as_deref(), Some(Path::new("/etc/mulot/secret/cle")));
        assert_eq!(config.proxies.len(), 2);
        assert_eq!(config.hsts_seconds, 30 * 86_400);
        assert_eq!(config.rates.sends, 20);
        assert!(matches!(config.transport, Transport::Folder(folder) if folder == Path::new("/etc/mulot/boite")));
    }

    #[test]
    fn limits_against_abuse_and_measures_can_be_said() {
        let text = format!(
            "{SMTP}[limites]\nenvois_par_heure = 1000\nenvois_par_courriel = 4\naccuses_par_jour = 2\nquarantaine_heures = 24\n\
             [mesures]\necoute = \"127.0.0.1:9464\"\n"
        );
        let config = read(&text).unwrap();
        assert_eq!((config.rates.form_sends, config.rates.email_sends, config.rates.receipts), (500, 4, 2));
        assert_eq!(config.rates.quarantine, jiff::SignedDuration::from_hours(24));
        assert_eq!(config.metrics.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:9464"));
        assert_eq!(read(SMTP).unwrap().metrics, None, "off unless asked");
    }

    #[test]
    fn the_code_of_the_mairie_comes_from_a_file_and_is_long() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("code_agent_fichier = \"code\"\nconfirmer_destinataires = false\n{SMTP}par_heure = 50\n");
        let read = || GuichetConfig::parse("guichet.toml", &text, dir.path(), None);
        assert!(read().unwrap_err()[0].message.contains("ne peut pas être lu"));
        std::fs::write(dir.path().join("code"), "court\n").unwrap();
        assert!(read().unwrap_err()[0].message.contains("trop court"));
        std::fs::write(dir.path().join("code"), "champ de lin\n").unwrap();
        let config = read().unwrap();
        assert_eq!(config.agent_code, AgentCode::new("champ de lin"));
        assert_eq!((config.per_hour, config.confirms_mailboxes), (Some(50), false));
        let plain = GuichetConfig::parse("guichet.toml", SMTP, dir.path(), None).unwrap();
        assert_eq!((plain.agent_code, plain.per_hour, plain.confirms_mailboxes), (None, None, true));
    }

    #[test]
    fn a_mailbox_of_reports_can_be_said_and_its_password_never_leaves_in_clear() {
        let own = "[rebonds]\nserveur = \"imap.exemple.fr\"\nidentifiant = \"guichet@exemple.fr\"\n";
        let parse = |rest: &str, imap: Option<&str>| {
            let secrets = Secrets { smtp: None, imap: imap.map(str::to_owned) };
            let text = format!("{SMTP}{own}{rest}");
            GuichetConfig::parse_and("guichet.toml", &text, Path::new("/"), secrets, |_, _, _| {})
        };
        let bounces = parse("traites = \"Rebonds\"\n", Some("secret")).unwrap().bounces.unwrap();
        assert_eq!((bounces.port, bounces.security, bounces.folder.as_str()), (993, Security::Tls, "INBOX"));
        assert_eq!(bounces.done_folder.as_deref(), Some("Rebonds"));
        assert!(!format!("{bounces:?}").contains("secret"));
        let told = parse("", None).unwrap_err();
        assert!(told[0].hint.as_deref().is_some_and(|hint| hint.contains(BOUNCES_PASSWORD_VARIABLE)), "{told:?}");
        let told = parse("chiffrement = \"aucun\"\n", Some("secret")).unwrap_err();
        assert_eq!(told[0].message, "le mot de passe partirait en clair");
        assert!(read(SMTP).unwrap().bounces.is_none(), "off unless asked");
    }

    #[test]
    fn a_signature_needs_a_name_a_domain_and_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let parse = |rest: &str| {
            let text = format!("{SMTP}[courriel.dkim]\n{rest}");
            let told = GuichetConfig::parse("guichet.toml", &text, dir.path(), None);
            told.map_err(|told| told.into_iter().map(|one| one.message).collect::<Vec<_>>())
        };
        let told = parse("selecteur = \"mulot\"\n").unwrap_err();
        assert_eq!(told, ["la clé « cle_fichier » manque", "la clé « domaine » manque"]);
        let all = "selecteur = \"mulot\"\ndomaine = \"exemple.fr\"\ncle_fichier = \"dkim.pem\"\n";
        assert!(parse(all).unwrap_err()[0].contains("ne peut pas être lue"));
        std::fs::write(dir.path().join("dkim.pem"), "rien").unwrap();
        assert!(parse(all).unwrap_err()[0].contains("pas de clé DKIM"));
        std::fs::write(dir.path().join("dkim.pem"), "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n").unwrap();
        assert_eq!(parse(all).unwrap().signer.unwrap().record_name(), "mulot._domainkey.exemple.fr");
        assert_eq!(parse(&all.replace("exemple.fr", "a b")).unwrap_err(), ["« a b » ne convient pas à « domaine »"]);
    }

    #[test]
    fn files_have_limits_and_perhaps_an_antivirus() {
        let usual = read(SMTP).unwrap();
        assert_eq!((usual.files, usual.form_limits.mail_bytes), (FileSettings::default(), 7 << 20));
        let text = format!("clamav = \"clamd.ctl\"\n{SMTP}");
        assert!(read(&text).unwrap_err()[0].contains("n'est pas une adresse de clamd"));
        let set = read(&format!(
            "clamav = \"127.0.0.1:3310\"\n{SMTP}[limites]\ncourriel_mo = 12\nbrouillons_mo = 64\npieces_mo = 900\n"
        ));
        let set = set.unwrap();
        assert_eq!(set.files.scanner, Some(ScannerAddress::Tcp(([127, 0, 0, 1], 3310).into())));
        assert_eq!((set.files.max_draft_bytes, set.files.max_kept_bytes), (64 << 20, 900 << 20));
        assert_eq!(set.form_limits.mail_bytes, 12 << 20);
        let socket = read(&format!("clamav = \"/run/clamav/clamd.ctl\"\n{SMTP}")).unwrap().files.scanner;
        assert_eq!(socket, Some(ScannerAddress::Unix("/run/clamav/clamd.ctl".into())));
        assert!(read(&format!("clamav = \"192.0.2.7:3310\"\n{SMTP}")).is_err());
    }

    #[test]
    fn measures_are_for_this_machine_alone() {
        let told = read(&format!("{SMTP}[mesures]\necoute = \"0.0.0.0:9464\"\n")).unwrap_err();
        assert!(told[0].contains("d'autres machines"), "{told:?}");
        let told = read(&format!("{SMTP}[mesures]\n")).unwrap_err();
        assert!(told[0].contains("la clé « ecoute » manque"), "{told:?}");
        let told = read(&format!("{SMTP}[limites]\nquarantaine_heures = 1000\n")).unwrap_err();
        assert!(told[0].contains("quarantaine_heures"), "{told:?}");
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let told = read("donnes = \"d\"\necoute = \"quelque part\"\nproxy = [\"moi\"]\n[courriel]\ntransport = \"smtp\"\nchiffrement = \"ssl\"\n").unwrap_err();
        for expected in [
            "la clé « dossier » manque",
            "guichet.toml:1:1: la clé « donnes » n'existe pas ici",
            "guichet.toml:2:10: « quelque part » n'est pas une adresse où écouter",
            "« moi » n'est pas une adresse IP",
            "la clé « serveur » manque",
            "« ssl » n'est pas une valeur de « chiffrement »",
        ] {
            assert!(told.iter().any(|one| one.contains(expected)), "{expected}\n{told:#?}");
        }
    }

    #[test]
    fn a_name_without_password_and_a_password_in_clear_are_refused() {
        let told = read(&format!("{SMTP}identifiant = \"moi\"\n")).unwrap_err();
        assert!(told[0].contains("le mot de passe de cet identifiant manque"), "{told:?}");
        let text = format!("{SMTP}identifiant = \"moi\"\nchiffrement = \"aucun\"\n");
        let told = GuichetConfig::parse("g.toml", &text, Path::new("/"), Some("secret".into())).unwrap_err();
        assert_eq!(told[0].message, "le mot de passe partirait en clair");
        assert!(!format!("{told:?}").contains("secret"));
    }
}
