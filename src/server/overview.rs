//! How a whole territoire stands, for the one person who looks after it: communes × last build, requests, certificates, backups,
//! rules that fail. One page, printed by `mulot etat`, served at a secret address, mailed once a week.
//!
//! Only counts and dates: nothing that a resident wrote is in it.

pub mod mail;
pub mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use rayon::prelude::*;
use serde::Serialize;

use super::acme;
use super::config::{GuichetConfig, HallConfig};
use super::front::{Hosted, read_files};
use super::tls::Certificate;
use crate::builds::{self, BuildRecord, Issue};
use crate::diagnostic::{Code, Diagnostic, first_error};
use crate::fs::FsError;
use crate::intake::backup;
use crate::intake::digest::is_late;
use crate::intake::store::{Access, Store, StoreError, StoreOptions};
use crate::intake::token::KEY_FILE;
use crate::load::{self, Layers, Member, Territoire};
use crate::model::commune::Commune;
use crate::pictures::PictureCache;
use crate::pipeline::{Base, BuildRequest, understand};
use crate::publish::{self, Attempt};
use crate::render::Options;
use crate::text::numbers::plural;
use crate::write::is_site;

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
    /// Buckets that keep files of requests.
    pub seaux: Vec<BucketState>,
    /// Latest date of what was published, copied or received, when it is later than now: some clock is wrong, or was.
    pub plus_tard_que_maintenant: Option<Timestamp>,
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

/// A bucket.
#[derive(Debug, Serialize)]
pub struct BucketState {
    /// `https://hôte/seau`.
    pub adresse: String,
    /// Why it does not answer.
    pub panne: Option<String>,
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
    /// How the last order to publish it ended; `None`: there was none.
    pub publication: Option<Attempt>,
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
    /// IANA name of its clock, when it can be read.
    #[serde(skip)]
    pub fuseau: Option<String>,
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
    /// When the latest was accepted.
    pub derniere_le: Option<Timestamp>,
}

/// Mails that wait longer than this are stuck.
const STUCK_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// A site not built for that long is told: dates appear and expire.
const BUILD_AFTER: SignedDuration = SignedDuration::from_hours(3 * 24);
/// A certificate that ends sooner should have been renewed.
const CERTIFICATE_BEFORE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Free bytes below which a disk is said to be full.
const FULL_BELOW: u64 = 256 << 20;

/// Looks at a territoire, or at the one commune of a guichet; opens each database beside whoever serves.
///
/// # Errors
/// What is wrong with `territoire.toml`.
pub fn look(config: &HallConfig, base: &Base, now: Timestamp) -> Result<Overview, Vec<Diagnostic>> {
    let certificates = acme::states(&config.common.data);
    let files = config.common.https.iter().flat_map(|https| &https.files);
    let read: Vec<_> = files.map(read_files).collect();
    let all_read = read.iter().all(Result::is_ok);
    let given = read.into_iter().flatten().collect();
    let seen = Seen { config, base, pictures: PictureCache::new(None), certificates, given, all_read, now };
    let (name, rows, sites) = match &config.territoire {
        Some(root) => {
            let (territoire, told) = Territoire::read(root);
            let Some(territoire) = territoire.map(Arc::new) else { return Err(told) };
            let sites = territoire.model.sites_in(&territoire.root);
            let members = territoire.members().unwrap_or_default();
            let rows = members.par_iter().map(|member| seen.member(&territoire, member)).collect();
            (territoire.model.nom.clone(), rows, Some(sites))
        }
        None => {
            let row = seen.only();
            (row.nom.clone(), vec![row], config.common.site.clone())
        }
    };
    let folders = [Some(config.common.data.clone()), sites];
    let disques: Vec<Disk> = folders.into_iter().flatten().filter_map(disk).collect();
    let seaux = buckets(config);
    let plus_tard_que_maintenant = latest(&rows).filter(|at| publish::is_ahead(*at, now));
    let is_machine_good = disques.iter().all(|disk| !disk.plein)
        && seaux.iter().all(|seau| seau.panne.is_none())
        && plus_tard_que_maintenant.is_none();
    let en_ordre = is_machine_good && rows.iter().all(|row: &Row| row.a_regarder.is_empty());
    let fuseau = rows.iter().find_map(|row| row.fuseau.clone()).unwrap_or_else(|| "Europe/Paris".to_owned());
    Ok(Overview {
        territoire: name,
        le: now,
        fuseau,
        en_ordre,
        disques,
        seaux,
        plus_tard_que_maintenant,
        communes: rows,
    })
}

/// What all communes are looked at with.
struct Seen<'a> {
    config: &'a HallConfig,
    base: &'a Base,
    /// Nothing is drawn.
    pictures: PictureCache,
    certificates: Vec<acme::HostState>,
    /// Those of files.
    given: Vec<Certificate>,
    /// Whether all of these could be read by who looks: another account may not.
    all_read: bool,
    now: Timestamp,
}

impl Seen<'_> {
    /// A commune of a territoire.
    fn member(&self, territoire: &Arc<Territoire>, member: &Member) -> Row {
        let layers = Layers::within(territoire, &member.folder, &self.base.catalogue);
        let declared = territoire.model.declared(&member.name);
        self.row(&About {
            name: &member.name,
            commune: load::described(&layers).0.as_ref(),
            domains: declared.map_or(&[][..], |declared| &declared.domaines),
            config: &self.config.of(&member.name, &member.folder),
            territoire: Some(territoire),
            site: builds::read(&territoire.model.sites_in(&territoire.root), &member.name),
            is_unbuilt: false,
            state: territoire.model.publications_in(&territoire.root).join(&member.name),
        })
    }

    /// The one commune of a guichet, that may stand in a territoire all the same.
    fn only(&self) -> Row {
        let config = &self.config.common;
        let folder = config.folder.canonicalize().unwrap_or_else(|_| config.folder.clone());
        let layers = Layers::of(&folder, &self.base.catalogue);
        let commune = load::described(&layers).0;
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let (site, state) = match &layers.territoire {
            Some(territoire) => (
                builds::read(&territoire.model.sites_in(&territoire.root), &name),
                territoire.model.publications_in(&territoire.root).join(&name),
            ),
            None => (None, publish::state_beside(&folder)),
        };
        let title = commune.as_ref().map_or(name.clone(), |commune| commune.names.nom.clone());
        // A build of one commune leaves no note: its site is there, or it is not.
        let stands = |folder: &Path| is_site(folder) || folder.join("index.html").is_file();
        let beside = folder.with_file_name(format!("{name}-public"));
        let is_built = site.is_some() || stands(&beside) || config.site.as_deref().is_some_and(stands);
        self.row(&About {
            name: &title,
            commune: commune.as_ref(),
            domains: &[],
            config,
            territoire: layers.territoire.as_ref(),
            is_unbuilt: !is_built && last_published(&state).is_none(),
            site,
            state,
        })
    }
}

/// The latest date that is written down of all communes.
fn latest(rows: &[Row]) -> Option<Timestamp> {
    // Not of builds: they may be asked for another day.
    let dates = rows.iter().flat_map(|row| {
        let sent = row.publication.as_ref().map(|sent| sent.le);
        let received = row.demandes.as_ref().and_then(|requests| requests.derniere_le);
        [sent, received, row.publie_le, row.sauvegarde_le]
    });
    dates.flatten().max()
}

/// Asks each bucket once with each key, whatever the number of communes that have a part of it; the worst answer is told.
fn buckets(config: &HallConfig) -> Vec<BucketState> {
    let all = std::iter::once(&config.common).chain(config.own.values());
    let places: BTreeMap<(String, &str), _> = all
        .filter_map(|config| config.files.bucket.as_ref())
        .map(|place| ((place.server(), place.key_id()), place))
        .collect();
    let mut states: BTreeMap<String, Option<String>> = BTreeMap::new();
    // Threads of their own: they only wait, and those of the processors have communes to look at.
    std::thread::scope(|scope| {
        let asked = places.into_iter().map(|((server, _), place)| {
            let asked = scope.spawn(|| place.reach().err().map(|error| error.to_string()));
            (server, asked)
        });
        for (server, asked) in asked.collect::<Vec<_>>() {
            let why = asked.join().unwrap_or_else(|_| Some("il n'a pas pu être interrogé".to_owned()));
            let told = states.entry(server).or_default();
            *told = told.take().or(why);
        }
    });
    states.into_iter().map(|(adresse, panne)| BucketState { adresse, panne }).collect()
}

impl Overview {
    /// What is wrong with what all communes stand on.
    fn machine_trouble(&self) -> Option<&'static str> {
        if self.disques.iter().any(|disk| disk.plein) {
            return Some("Le disque est presque plein");
        }
        if self.plus_tard_que_maintenant.is_some() {
            return Some("L’horloge de cette machine retarde, ou elle avançait");
        }
        let silent = self.seaux.iter().any(|seau| seau.panne.is_some());
        silent.then_some("Le seau des fichiers joints ne répond pas comme il faut")
    }

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
    territoire: Option<&'a Arc<Territoire>>,
    /// Its last build, when it was one of a territoire's.
    site: Option<BuildRecord>,
    /// Whether its site, of which no build is kept, is nowhere.
    is_unbuilt: bool,
    /// Where its publications are written down.
    state: PathBuf,
}

impl Seen<'_> {
    fn row(&self, about: &About<'_>) -> Row {
        let (config, now) = (about.config, self.now);
        let publication = publish::last_attempt(&about.state);
        let mut a_regarder = self.shown(about, publication.as_ref());
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
        // A site that another machine serves has its certificate there.
        let elsewhere = about.commune.map_or("", |commune| commune.guichet.adresse.as_str());
        let is_here = config.site.is_some() || elsewhere.is_empty();
        let site = hosted.filter(|_| is_here).map(|hosted| hosted.main);
        let hosts = [site, Hosted::of([elsewhere]).map(|hosted| hosted.main)];
        let certificats: Vec<acme::HostState> =
            hosts.into_iter().flatten().flat_map(|host| self.certificates_of(&host)).collect();
        for state in certificats.iter().filter(|state| state.until.is_none_or(|until| until < now + CERTIFICATE_BEFORE))
        {
            let why = state.trouble.as_ref().map(|why| format!(" : {why}")).unwrap_or_default();
            a_regarder.push(format!("le certificat de {} manque ou se termine{why}", state.host));
        }
        let sauvegarde_le = backup::last_made(&config.data);
        if demandes.as_ref().is_some_and(|requests| requests.recues > 0) {
            match sauvegarde_le {
                None => a_regarder.push("les demandes n'ont jamais été sauvegardées (mulot backup)".to_owned()),
                Some(at) if now.duration_since(at) > backup::OLD_AFTER => {
                    a_regarder.push("la dernière sauvegarde a plus d'une semaine".to_owned());
                }
                Some(_) => {}
            }
        }
        let site = about.site.clone();
        let stale = Code::Stale.as_str();
        let perimes = site.as_ref().and_then(|site| site.regles.get(stale)).copied().unwrap_or(0);
        let record_name = site.as_ref().map(|site| site.nom.clone()).filter(|nom| !nom.is_empty());
        Row {
            dossier: about.name.to_owned(),
            nom: about.commune.map(|commune| commune.names.nom.clone()).or(record_name).unwrap_or_default(),
            site,
            publie_le: last_published(&about.state),
            publication,
            demandes,
            certificats,
            sauvegarde_le,
            perimes,
            a_regarder,
            fuseau: about.commune.map(|commune| commune.fuseau.clone()),
            de: about.commune.map_or_else(String::new, |commune| commune.names.forme_de.clone()),
            boites: about.commune.map_or_else(Vec::new, |commune| commune.guichet.destinataires.clone()),
            expediteur: about.commune.map_or_else(String::new, |commune| commune.guichet.expediteur.clone()),
        }
    }

    /// What is known of the certificate of a host: asked for by ourselves, or given in files; nothing when it is not ours to have.
    fn certificates_of(&self, host: &str) -> Vec<acme::HostState> {
        let asked: Vec<acme::HostState> =
            self.certificates.iter().filter(|state| state.host == host).cloned().collect();
        let is_alone = self.config.common.https.as_ref().is_some_and(|https| https.automatic.is_none());
        let given = self.given.iter().filter(|one| one.covers(host)).map(|one| one.until).max();
        match given {
            Some(until) => {
                vec![acme::HostState { host: host.to_owned(), until: Some(until), trouble: None, again: None }]
            }
            None if asked.is_empty() && is_alone && self.all_read => {
                let trouble = Some("aucun certificat de [[https.certificats]] n'est pour ce nom".to_owned());
                vec![acme::HostState { host: host.to_owned(), until: None, trouble, again: None }]
            }
            None => asked,
        }
    }

    /// What keeps residents from reading its site, or from opening its forms.
    fn shown(&self, about: &About<'_>, publication: Option<&Attempt>) -> Vec<String> {
        let mut told = match &about.site {
            Some(site) => built(site, self.now),
            None if about.is_unbuilt || about.territoire.is_some() => vec![NEVER_BUILT.to_owned()],
            None => Vec::new(),
        };
        let closed = self.unread(about);
        match told.iter_mut().find(|words| closed.as_ref().is_some_and(|why| words.ends_with(why.as_str()))) {
            Some(words) => words.push_str(CLOSED),
            None => told.extend(closed.map(|why| format!("le contenu ne peut pas être lu : {why}{CLOSED}"))),
        }
        let is_good = about.site.as_ref().is_none_or(|site| site.issue == Issue::Construit);
        if let Some(cause) = publication.and_then(|attempt| attempt.cause.as_ref()).filter(|_| is_good) {
            told.push(format!("la dernière publication a échoué : {cause}"));
        }
        if about.commune.is_some_and(|commune| commune.domaine.is_empty()) && about.domains.is_empty() {
            told.push(NO_DOMAIN.to_owned());
        }
        told
    }

    /// Why the guichet of a commune cannot be opened as its folder is now: what it reads of it, judged as it does.
    fn unread(&self, about: &About<'_>) -> Option<String> {
        let built = understand(&BuildRequest {
            folder: &about.config.folder,
            base: self.base,
            territoire: about.territoire,
            pictures: &self.pictures,
            now: self.now,
            options: Options::default(),
        });
        (!built.is_good()).then(|| first_error(&built.diagnostics))
    }
}

/// A guichet that is open goes on with what it read before.
const CLOSED: &str = " ; son guichet est fermé, ou garde ce qu'il avait lu avant";

const NO_DOMAIN: &str =
    "pas de domaine : le site n'a pas d'adresse (domaine dans commune.toml, ou domaines dans territoire.toml)";

const NEVER_BUILT: &str = "le site n'a jamais été construit (mulot build)";

fn built(site: &BuildRecord, now: Timestamp) -> Vec<String> {
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
            derniere_le: store.latest_received()?,
        })
    };
    count().map(Some).map_err(|error| unopened(&error))
}

fn unopened(error: &StoreError) -> String {
    match error {
        StoreError::Key(_) | StoreError::WrongKey { .. } => {
            format!("les demandes ne peuvent pas être lues : la clé manque ou n'est pas la bonne ({KEY_FILE})")
        }
        StoreError::Lost { .. } => "la base des demandes n'est plus là : restaurez la dernière sauvegarde".to_owned(),
        _ => "les demandes ne peuvent pas être lues (mulot demandes --commune NOM dit pourquoi)".to_owned(),
    }
}

/// When the last line of a register of publications was written.
fn last_published(state: &Path) -> Option<Timestamp> {
    modified(&state.join(publish::REGISTER))
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
    page::html(&look(config, base, now).ok()?, &base.plain_theme()?)
}
