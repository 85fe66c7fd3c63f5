//! `guichet.toml`: what the production server is told, in French, every mistake with its line.

mod bucket;
mod hall;
mod limits;
mod mail;
mod places;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::bucket::{KeyFault, bucket, keys_of_service};
use self::hall::TERRITOIRE;
pub use self::hall::{HallConfig, OverviewMail, Role};
pub(super) use self::limits::RESERVE_BYTES;
use self::limits::{set_files, set_limits};
use self::mail::{bounces, dkim, transport};
use self::places::{listen, metrics_address, proxies, scanner};
use super::agent::{AgentCode, SHORTEST};
use super::base::BASE_PASSWORD_VARIABLE;
use super::https_config::{HttpsConfig, https};
use super::listen::{Limits, ListenAddress};
use super::proxy::Proxy;
use super::rate::RateLimits;
use super::receive::FormLimits;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::intake::bounces::ImapConfig;
use crate::intake::files::scanner::ScannerAddress;
use crate::intake::files::{BucketPlace, FileOptions};
use crate::intake::mailer::{Signer, Transport};
use crate::intake::store::Base;
use crate::load::toml_reader::Reader;

/// Variable that may hold the password of the mail account.
pub const PASSWORD_VARIABLE: &str = "MULOT_SMTP_MOT_DE_PASSE";

/// Variable that may hold the password of the mailbox of reports.
pub const BOUNCES_PASSWORD_VARIABLE: &str = "MULOT_IMAP_MOT_DE_PASSE";

/// Folder where systemd puts the credentials of a service.
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// Passwords that do not come from files named in the configuration; never printed.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Of the mail account.
    pub smtp: Option<String>,
    /// Of the mailbox of reports.
    pub imap: Option<String>,
    /// Of the database server.
    pub base: Option<String>,
    /// Identifier and secret of the key to the bucket of files.
    pub bucket: Option<(String, String)>,
    /// Why there is none though the service was given one.
    bucket_fault: Option<KeyFault>,
    /// Folder of the credentials of the service (systemd): `smtp`, `imap`, and `smtp-NOM`, `imap-NOM` of one commune.
    pub folder: Option<PathBuf>,
    /// Whether no file that holds a secret of mails may be read.
    pub(super) withheld: bool,
}

impl Secrets {
    /// Those of the environment of a service that sends.
    pub fn of_service() -> Secrets {
        let variable = |name| std::env::var(name).ok();
        let folder = std::env::var_os(CREDENTIALS_VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let (smtp, imap) = (variable(PASSWORD_VARIABLE), variable(BOUNCES_PASSWORD_VARIABLE));
        let base = variable(BASE_PASSWORD_VARIABLE);
        let (bucket, bucket_fault) = match keys_of_service(folder.as_deref()) {
            Ok(keys) => (keys, None),
            Err(fault) => (None, Some(fault)),
        };
        Secrets { smtp, imap, base, bucket, bucket_fault, folder, withheld: false }
    }

    /// For an order of the administration: it neither sends nor reads mails.
    pub fn beside() -> Secrets {
        let Secrets { base, bucket, bucket_fault, .. } = Secrets::of_service();
        Secrets { bucket, bucket_fault, ..Secrets::without_mail(base) }
    }

    /// For whoever neither sends nor reads mails: their passwords need not be known, that of the database is.
    pub fn without_mail(base: Option<String>) -> Secrets {
        Secrets { smtp: Some("–".to_owned()), imap: Some("–".to_owned()), base, ..Secrets::default() }
    }

    /// For a process that must hold no password of mails: none is read, nor a key of signatures, whatever the configuration
    /// names.
    pub fn withheld() -> Secrets {
        Secrets { withheld: true, ..Secrets::beside() }
    }

    /// The passwords of a commune: its own credentials first.
    fn of(&self, commune: Option<&str>) -> Secrets {
        let read = |name: String| {
            let bytes = crate::fs::read(&self.folder.as_ref()?.join(name)).ok()?;
            let line = String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned();
            Some(line).filter(|line| !line.is_empty())
        };
        let find = |kind: &str, known: &Option<String>| {
            let own = commune.and_then(|commune| read(format!("{kind}-{commune}")));
            own.or_else(|| read(kind.to_owned())).or_else(|| known.clone())
        };
        Secrets { smtp: find("smtp", &self.smtp), imap: find("imap", &self.imap), ..self.clone() }
    }

    /// Communes that have credentials of their own.
    fn named(&self) -> Vec<String> {
        let entries = self.folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok());
        let names = entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let commune = |name: String| {
            let commune = name.strip_prefix("smtp-").or_else(|| name.strip_prefix("imap-"))?;
            Some(commune.to_owned())
        };
        names.filter_map(commune).collect()
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
    /// The database server; `None`: a file of that folder.
    pub base: Option<Base>,
    /// Where to listen.
    pub listen: ListenAddress,
    /// Folder of the site to serve as well.
    pub site: Option<PathBuf>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<Proxy>,
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
    /// The bucket that keeps them; `None`: the data folder does.
    pub bucket: Option<BucketPlace>,
}

impl FileSettings {
    /// What the file store is opened with, `reserve` bytes being left free.
    pub(super) fn options(self, reserve: u64) -> FileOptions {
        let FileSettings { max_draft_bytes, max_kept_bytes, scanner, bucket } = self;
        let (min_free_bytes, patience) = (reserve, BUCKET_PATIENCE);
        FileOptions { min_free_bytes, max_draft_bytes, max_kept_bytes, scanner, bucket, patience }
    }
}

impl Default for FileSettings {
    fn default() -> Self {
        FileSettings { max_draft_bytes: 200 << 20, max_kept_bytes: 5_000 << 20, scanner: None, bucket: None }
    }
}

impl GuichetConfig {
    /// What tells two settings apart, secrets included, without telling them.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{self:?}").as_bytes());
        let smtp = match &self.transport {
            Transport::Smtp(smtp) => smtp.credentials.as_ref(),
            _ => None,
        };
        for credentials in smtp.into_iter().chain(self.bounces.as_ref().map(|bounces| &bounces.credentials)) {
            hasher.update(credentials.password.as_bytes()).update(&[0]);
        }
        if let Some(code) = &self.agent_code {
            code.hash_into(&mut hasher);
        }
        if let Some(bucket) = &self.files.bucket {
            bucket.hash_into(&mut hasher);
        }
        hasher.update(self.signer.as_ref().map(Signer::record).unwrap_or_default().as_bytes());
        *hasher.finalize().as_bytes()
    }

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
        let (name, text) = read_text(path)?;
        Self::parse_and(&name, &text, path.parent().unwrap_or(Path::new(".")), secrets, judge)
    }

    /// Reads a text; `base` is the folder relative paths are taken from.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn parse(file: &str, text: &str, base: &Path, password: Option<String>) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_and(file, text, base, Secrets { smtp: password, ..Secrets::default() }, |_, _, _| {})
    }

    fn parse_and(file: &str, text: &str, base: &Path, secrets: Secrets, judge: Judge) -> Result<Self, Vec<Diagnostic>> {
        HallConfig::parse_and(file, text, base, &secrets, judge).map(|hall| hall.common)
    }
}

/// Name and text of a configuration.
fn read_text(path: &Path) -> Result<(String, String), Vec<Diagnostic>> {
    let name = path.file_name().map_or_else(|| "guichet.toml".to_owned(), |name| name.to_string_lossy().into_owned());
    let unreadable = |cause: String| {
        let told = Diagnostic::error(Code::Unreadable, Place::file(path.display().to_string()), cause);
        vec![told.hint("dites où est la configuration du guichet : chemin/vers/guichet.toml")]
    };
    let bytes = crate::fs::read(path)
        .map_err(|error| unreadable(format!("ce fichier ne peut pas être lu : {}", crate::fs::cause(&error.source))))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("ce fichier n'est pas en UTF-8".to_owned()))?;
    Ok((name, text))
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
    if reader.has(TERRITOIRE) {
        absent(TERRITOIRE, &config.folder, "donnez le dossier du territoire, celui de territoire.toml".to_owned());
    } else {
        absent("dossier", &config.folder, "donnez le dossier de la commune, celui de commune.toml".to_owned());
    }
    if let Some(site) = &config.site {
        let (from, to) = (config.folder.display(), site.display());
        absent("site", site, format!("construisez d'abord le site : mulot build {from} --sortie {to}"));
    }
}

fn config(
    reader: &mut Reader<'_, '_>,
    base: &Path,
    secrets: &Secrets,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<GuichetConfig> {
    let folder = folder(reader, base, diagnostics);
    let data = path(reader, "donnees", base, diagnostics)
        .or_else(|| missing(reader, "donnees", "le dossier où les demandes sont gardées", diagnostics));
    let key_file = path(reader, "cle_fichier", base, diagnostics);
    let database = super::base::base(reader, base, secrets.base.clone(), diagnostics);
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
                let signer = dkim(&mut table, base, secrets, diagnostics);
                table.finish(diagnostics);
                signer
            });
            let transport = transport(&mut mail, base, secrets, diagnostics);
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
        let bounces = bounces(&mut table, base, secrets, diagnostics);
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
    if let Some(mut table) = reader.table("fichiers", diagnostics) {
        files.bucket = bucket(&mut table, base, secrets, diagnostics);
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
        base: database,
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

/// The folder of the commune, or of the territoire.
fn folder(reader: &mut Reader<'_, '_>, base: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<PathBuf> {
    let territoire = path(reader, TERRITOIRE, base, diagnostics);
    let folder = path(reader, "dossier", base, diagnostics);
    if reader.has(TERRITOIRE) {
        if reader.has("dossier") {
            let message =
                "« dossier » (une commune) et « territoire » (toutes celles d'un dossier) ne vont pas ensemble";
            let told = Diagnostic::error(Code::BadValue, reader.place("dossier"), message);
            diagnostics.push(told.hint("gardez l'une des deux lignes"));
        }
        return territoire.or_else(|| missing(reader, TERRITOIRE, "le dossier du territoire", diagnostics));
    }
    folder.or_else(|| missing(reader, "dossier", "le dossier de la commune", diagnostics))
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

/// How long a bucket that fails is asked again: a resident waits for the page.
const BUCKET_PATIENCE: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests;
