//! How a whole territoire stands, for the one person who looks after it: communes × last build, requests, certificates, backups,
//! rules that fail. One page, printed by `mulot etat`, served at a secret address, mailed once a week.
//!
//! Only counts and dates: nothing that a resident wrote is in it.

pub mod mail;
pub mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Serialize;

use super::acme;
use super::config::{GuichetConfig, HallConfig};
use super::front::Hosted;
use crate::builds::{self, BuildRecord, Issue};
use crate::diagnostic::{Code, Diagnostic};
use crate::fs::FsError;
use crate::intake::digest::is_late;
use crate::intake::store::{Access, Store, StoreError, StoreOptions};
use crate::intake::token::KEY_FILE;
use crate::load::{self, Layers, Shared, Territoire};
use crate::model::commune::Commune;
use crate::pipeline::Base;
use crate::text::numbers::plural;

/// A territoire, as it stands.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// Its name, or that of the one commune.
    pub territoire: String,
    /// When it was looked at.
    pub le: Timestamp,
    /// IANA name of the clock of its first commune: hours are told by it.
    pub fuseau: String,
    /// Whether nothing calls for a person.
    pub en_ordre: bool,
    /// Free bytes where requests are kept, and where sites are built.
    pub disques: Vec<Disk>,
    /// Communes in order of folder.
    pub communes: Vec<Row>,
}

/// A disk.
#[derive(Debug, Serialize)]
pub struct Disk {
    /// What is on it.
    pub dossier: PathBuf,
    /// Free bytes.
    pub octets_libres: u64,
    /// Whether that is too little.
    pub plein: bool,
}

/// A commune, as it stands.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Name of its folder.
    pub dossier: String,
    /// Its name.
    pub nom: String,
    /// Its last build; `None`: never built.
    pub site: Option<BuildRecord>,
    /// When its site was last published; `None`: never, or by other means.
    pub publie_le: Option<Timestamp>,
    /// Its requests; `None`: nothing was ever received.
    pub demandes: Option<Requests>,
    /// Its host and what is known of its certificate.
    pub certificats: Vec<acme::HostState>,
    /// When its requests were last copied.
    pub sauvegarde_le: Option<Timestamp>,
    /// Contents to be read again.
    pub perimes: usize,
    /// What calls for a person, a French sentence each.
    pub a_regarder: Vec<String>,
    /// « du Plantay ».
    #[serde(skip)]
    pub de: String,
    /// Mailboxes of the mairie, for its weekly letter.
    #[serde(skip)]
    pub boites: Vec<String>,
    /// Who its letter comes from.
    #[serde(skip)]
    pub expediteur: String,
}

/// Requests, counted.
#[derive(Debug, Default, Serialize)]
pub struct Requests {
    /// Ever accepted.
    pub recues: u64,
    /// Neither answered nor closed.
    pub ouvertes: u64,
    /// Of them, those whose legal date is past.
    pub en_retard: u64,
    /// Mails that have waited for long, or were refused for good.
    pub bloques: u64,
    /// Waiting for somebody to look at.
    pub quarantaine: u64,
}

/// Mails that wait longer than this are stuck.
const STUCK_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// A backup older than this is told.
const BACKUP_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A site not built for that long is told: dates appear and expire.
const BUILD_AFTER: SignedDuration = SignedDuration::from_hours(3 * 24);
/// A certificate that ends sooner should have been renewed.
const CERTIFICATE_BEFORE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Touched by whatever makes a backup, in the data folder.
pub const BACKUP_MARK: &str = "derniere-sauvegarde";
/// Free bytes below which a disk is said to be full.
const FULL_BELOW: u64 = 256 << 20;

/// Looks at a territoire, or at the one commune of a guichet; opens each database beside whoever serves.
///
/// # Errors
/// What is wrong with `territoire.toml`.
pub fn look(config: &HallConfig, now: Timestamp) -> Result<Overview, Vec<Diagnostic>> {
    let catalogue = Shared::default();
    let mut rows = Vec::new();
    let mut fuseau = None;
    let (name, sites) = match &config.territoire {
        Some(root) => {
            let (territoire, told) = Territoire::read(root);
            let Some(territoire) = territoire.map(std::sync::Arc::new) else { return Err(told) };
            let sites = territoire.model.sites_in(&territoire.root);
            let certificates = acme::states(&config.common.data);
            for member in territoire.members().unwrap_or_default() {
                let own = config.of(&member.name, &member.folder);
                let layers = Layers::within(&territoire, &member.folder, &catalogue);
                let (commune, _) = load::described(&layers);
                fuseau = fuseau.or_else(|| Some(commune.as_ref()?.fuseau.clone()));
                let declared = territoire.model.declared(&member.name);
                let domains = declared.map_or(&[][..], |declared| &declared.domaines);
                let about = About { name: &member.name, commune: commune.as_ref(), domains, config: &own };
                let published = last_published(&territoire.model.publications_in(&territoire.root).join(&member.name));
                rows.push(row(&about, builds::read(&sites, &member.name), published, &certificates, now));
            }
            (territoire.model.nom.clone(), Some(sites))
        }
        None => {
            let layers = Layers::of(&config.common.folder, &catalogue);
            let (commune, _) = load::described(&layers);
            fuseau = commune.as_ref().map(|commune| commune.fuseau.clone());
            let title = commune.as_ref().map_or_else(String::new, |commune| commune.names.nom.clone());
            let certificates = acme::states(&config.common.data);
            let about = About { name: &title, commune: commune.as_ref(), domains: &[], config: &config.common };
            rows.push(Row { site: None, ..row(&about, None, None, &certificates, now) });
            rows.iter_mut().for_each(|row| row.a_regarder.retain(|words| words != NEVER_BUILT));
            (title, config.common.site.clone())
        }
    };
    let folders = [Some(config.common.data.clone()), sites];
    let disques: Vec<Disk> = folders.into_iter().flatten().filter_map(disk).collect();
    let en_ordre = disques.iter().all(|disk| !disk.plein) && rows.iter().all(|row| row.a_regarder.is_empty());
    let fuseau = fuseau.unwrap_or_else(|| "Europe/Paris".to_owned());
    Ok(Overview { territoire: name, le: now, fuseau, en_ordre, disques, communes: rows })
}

impl Overview {
    fn zone(&self) -> TimeZone {
        TimeZone::get(&self.fuseau).unwrap_or(TimeZone::UTC)
    }
}

/// What is known of a commune before it is looked at.
struct About<'a> {
    name: &'a str,
    commune: Option<&'a Commune>,
    domains: &'a [String],
    config: &'a GuichetConfig,
}

fn row(
    about: &About<'_>,
    site: Option<BuildRecord>,
    publie_le: Option<Timestamp>,
    certificates: &[acme::HostState],
    now: Timestamp,
) -> Row {
    let config = about.config;
    let mut a_regarder = built(site.as_ref(), now);
    let demandes = match requests(config, now) {
        Ok(requests) => requests,
        Err(sentence) => {
            a_regarder.push(sentence);
            None
        }
    };
    a_regarder.extend(demandes.iter().flat_map(waiting));
    let main = about.commune.map_or("", |commune| commune.domaine.as_str());
    let hosted = Hosted::of([main].into_iter().chain(about.domains.iter().map(String::as_str)));
    let own = |state: &&acme::HostState| hosted.as_ref().is_some_and(|hosted| hosted.main == state.host);
    let certificats: Vec<acme::HostState> = certificates.iter().filter(own).cloned().collect();
    for state in certificats.iter().filter(|state| state.until.is_none_or(|until| until < now + CERTIFICATE_BEFORE)) {
        let why = state.trouble.as_ref().map(|why| format!(" : {why}")).unwrap_or_default();
        a_regarder.push(format!("le certificat de {} manque ou se termine{why}", state.host));
    }
    let sauvegarde_le = modified(&config.data.join(BACKUP_MARK));
    if demandes.as_ref().is_some_and(|requests| requests.recues > 0) {
        match sauvegarde_le {
            None => a_regarder.push("les demandes n'ont jamais été sauvegardées (mulot backup)".to_owned()),
            Some(at) if now.duration_since(at) > BACKUP_AFTER => {
                a_regarder.push("la dernière sauvegarde a plus d'une semaine".to_owned());
            }
            Some(_) => {}
        }
    }
    let stale = Code::Stale.as_str();
    let perimes = site.as_ref().and_then(|site| site.regles.get(stale)).copied().unwrap_or(0);
    let record_name = site.as_ref().map(|site| site.nom.clone()).filter(|nom| !nom.is_empty());
    Row {
        dossier: about.name.to_owned(),
        nom: about.commune.map(|commune| commune.names.nom.clone()).or(record_name).unwrap_or_default(),
        site,
        publie_le,
        demandes,
        certificats,
        sauvegarde_le,
        perimes,
        a_regarder,
        de: about.commune.map_or_else(String::new, |commune| commune.names.forme_de.clone()),
        boites: about.commune.map_or_else(Vec::new, |commune| commune.guichet.destinataires.clone()),
        expediteur: about.commune.map_or_else(String::new, |commune| commune.guichet.expediteur.clone()),
    }
}

const NEVER_BUILT: &str = "le site n'a jamais été construit (mulot build)";

fn built(site: Option<&BuildRecord>, now: Timestamp) -> Vec<String> {
    let Some(site) = site else { return vec![NEVER_BUILT.to_owned()] };
    match &site.issue {
        Issue::Refuse(why) => vec![format!("le contenu est refusé : {why}")],
        Issue::Panne(why) => vec![format!("la construction a échoué : {why}")],
        Issue::Construit if now.duration_since(site.essaye_le) > BUILD_AFTER => {
            vec!["le site n'a pas été reconstruit depuis plus de trois jours".to_owned()]
        }
        Issue::Construit => Vec::new(),
    }
}

fn waiting(requests: &Requests) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |count: u64, one: &str, many: &str| {
        if count > 0 {
            told.push(plural(count, one, many));
        }
    };
    tell(requests.bloques, "message bloqué (mulot demandes)", "messages bloqués (mulot demandes)");
    tell(requests.en_retard, "demande en retard", "demandes en retard");
    told
}

/// The requests of a commune; `None` when nothing was ever received. The error is a French sentence.
fn requests(config: &GuichetConfig, now: Timestamp) -> Result<Option<Requests>, String> {
    let options = StoreOptions {
        access: Access::Beside,
        key_file: config.key_file.clone(),
        base: config.base.clone(),
        ..StoreOptions::default()
    };
    let store = match Store::open(&config.data, options) {
        Ok(store) => store,
        Err(StoreError::Absent { .. }) => return Ok(None),
        Err(error) => return Err(unopened(&error)),
    };
    let count = || -> Result<Requests, StoreError> {
        let (open, _) = store.open_requests()?;
        Ok(Requests {
            recues: store.counts()?.submissions,
            ouvertes: open.len() as u64,
            en_retard: open.iter().filter(|one| is_late(one, now)).count() as u64,
            bloques: store.stuck(now, STUCK_AFTER)?.len() as u64,
            quarantaine: store.quarantined(now)?.len() as u64,
        })
    };
    count().map(Some).map_err(|error| unopened(&error))
}

fn unopened(error: &StoreError) -> String {
    match error {
        StoreError::Key(_) | StoreError::WrongKey { .. } => {
            format!("les demandes ne peuvent pas être lues : la clé manque ou n'est pas la bonne ({KEY_FILE})")
        }
        _ => "les demandes ne peuvent pas être lues (mulot demandes --commune NOM dit pourquoi)".to_owned(),
    }
}

/// When the last line of a register of publications was written.
fn last_published(state: &Path) -> Option<Timestamp> {
    modified(&state.join(crate::publish::REGISTER))
}

fn modified(path: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    Timestamp::try_from(modified).ok()
}

fn disk(folder: PathBuf) -> Option<Disk> {
    let existing = folder.ancestors().find(|above| above.exists())?.to_owned();
    let numbers = rustix::fs::statvfs(&existing).ok()?;
    let free = numbers.f_bavail.saturating_mul(numbers.f_frsize);
    Some(Disk { dossier: folder, octets_libres: free, plein: free < FULL_BELOW })
}

/// Rules that fail, with the number of communes each fails in, the commonest first.
pub fn rules(overview: &Overview) -> Vec<(String, usize)> {
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    for site in overview.communes.iter().filter_map(|row| row.site.as_ref()) {
        for code in site.regles.keys() {
            *rules.entry(code).or_default() += 1;
        }
    }
    let mut rules: Vec<(String, usize)> = rules.into_iter().map(|(code, count)| (code.to_owned(), count)).collect();
    rules.sort_by(|(a, many), (b, more)| more.cmp(many).then(a.cmp(b)));
    rules
}

/// Monday of the week of an instant, by the clock of this machine: a weekly mail is sent once a week.
pub fn week_of(now: Timestamp) -> jiff::civil::Date {
    let today = now.to_zoned(TimeZone::system()).date();
    today.saturating_sub(i64::from(today.weekday().to_monday_zero_offset()).days())
}

/// Where the page is served, before its secret.
pub(super) const PATH: &str = "/guichet/etat/";

/// File of the secret, in the data folder.
const SECRET: &str = "adresse-etat";

/// The secret of the address, when one was made.
pub fn secret(data: &Path) -> Option<String> {
    let text = std::fs::read_to_string(data.join(SECRET)).ok()?;
    Some(text.trim().to_owned()).filter(|secret| secret.len() >= 32)
}

/// Makes a secret, in place of the one there was.
///
/// # Errors
/// [`FsError`] when it cannot be written, or the machine gives no randomness.
pub fn make_secret(data: &Path) -> Result<String, FsError> {
    let path = data.join(SECRET);
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| FsError {
        action: "écrire",
        path: path.clone(),
        source: std::io::Error::other("cette machine ne donne pas de hasard"),
    })?;
    let secret = data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
    crate::fs::write_atomic(&path, secret.as_bytes())?;
    Ok(secret)
}

/// The page for who gives the right secret.
pub(super) fn served(config: &HallConfig, given: &str, base: &Base, now: Timestamp) -> Option<String> {
    let secret = secret(&config.common.data)?;
    // Hashes are compared: how long that takes says nothing of the secret.
    if blake3::hash(given.as_bytes()) != blake3::hash(secret.as_bytes()) {
        return None;
    }
    page::html(&look(config, now).ok()?, &base.plain_theme()?)
}
