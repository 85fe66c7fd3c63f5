//! Certificates asked for and renewed by ourselves (ACME, RFC 8555): one for each commune, one after another.
//!
//! What was obtained is kept in a folder of the data and shown at the next start, whether the authority answers or not. A
//! commune whose name leads elsewhere waits alone, longer and longer; a name beside the main one is left out of the
//! certificate rather than taking it down. No more orders are made than the authority allows.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order,
    Problem, RetryPolicy,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::StartError;
use super::desk::Clock;
use super::front::{Hosted, Hosts};
use super::https_config::Automatic;
use super::listen::Stop;
use super::tls::{Certificate, Certificates};

/// Where certificates are kept, in the data folder.
pub const FOLDER: &str = "certificats";
/// What `mulot demandes` reads, beside them.
const STATE: &str = "etat.json";

/// Proofs for an authority that asks by plain HTTP, by token.
#[derive(Debug, Clone, Default)]
pub(super) struct Challenges(Arc<RwLock<BTreeMap<String, String>>>);

impl Challenges {
    pub(super) fn proof(&self, token: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    fn put(&self, token: &str, proof: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), proof.to_owned());
    }

    fn remove(&self, token: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }
}

/// How we prove that a name leads here.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// By a file asked for on port 80.
    Http(Challenges),
    /// By a certificate of our own on port 443.
    Tls,
}

/// Why there is no certificate for some names; French sentences, one a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Refused {
    by_name: BTreeMap<String, String>,
    /// Nothing more is to be asked before that, for anybody.
    not_before: Option<Timestamp>,
    /// Whether only the exchange went wrong: the same may be asked at once.
    is_mere_chance: bool,
}

/// A commune that waits.
#[derive(Debug, Clone)]
struct Waits {
    times: usize,
    until: Timestamp,
    refused: BTreeMap<String, String>,
    names: Vec<String>,
}

/// What is known of the certificate of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    /// The host.
    #[serde(rename = "hote")]
    pub host: String,
    /// Until when its certificate is good; `None`: it has none.
    #[serde(rename = "jusqu_au")]
    pub until: Option<Timestamp>,
    /// Why it has none, or not that of today; a French sentence.
    #[serde(rename = "probleme")]
    pub trouble: Option<String>,
    /// When it is asked for again.
    #[serde(rename = "nouvel_essai")]
    pub again: Option<Timestamp>,
}

/// What the last server noted of the certificates kept under `data`; nothing when it never asked for any.
pub fn states(data: &Path) -> Vec<HostState> {
    let bytes = std::fs::read(data.join(FOLDER).join(STATE)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Waits after a first failure, a second one…: a name just set up is soon seen, a forgotten one costs an order a day. The
/// authority allows five failures an hour for a name.
const WAITS: [SignedDuration; 6] = [
    SignedDuration::from_mins(2),
    SignedDuration::from_mins(15),
    SignedDuration::from_hours(1),
    SignedDuration::from_hours(3),
    SignedDuration::from_hours(12),
    SignedDuration::from_hours(24),
];
/// Between two orders.
const PAUSE: Duration = Duration::from_millis(500);
/// Orders in [`WINDOW`], at most; Let's Encrypt allows 300 in three hours.
const ORDERS: usize = 250;
const WINDOW: SignedDuration = SignedDuration::from_hours(3);
/// Wait when the authority says that we ask too often and not how long to wait.
const TOO_OFTEN: SignedDuration = SignedDuration::from_hours(1);
/// Orders begun anew at once when only the exchange went wrong (a nonce that had just expired).
const CHANCES: u32 = 2;
/// Longest wait for the DNS.
const DNS: Duration = Duration::from_secs(5);
/// Longest time for one order.
const PATIENCE: Duration = Duration::from_secs(180);

/// Obtains the certificates of a server.
pub(super) struct Acme {
    settings: Automatic,
    folder: PathBuf,
    way: Way,
    certificates: Arc<Certificates>,
    hosts: Hosts,
    clock: Clock,
    /// Certificates obtained here, by main host.
    own: BTreeMap<String, Certificate>,
    waits: BTreeMap<String, Waits>,
    orders: VecDeque<Timestamp>,
    not_before: Option<Timestamp>,
    account: Option<Account>,
    /// Names nobody has written down: whether they have an address, and when that was asked.
    looked_up: BTreeMap<String, (bool, Timestamp)>,
}

impl Acme {
    /// Takes up what was obtained before.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn open(
        settings: Automatic,
        folder: &Path,
        way: Way,
        certificates: Arc<Certificates>,
        hosts: Hosts,
        clock: Clock,
    ) -> Result<Acme, StartError> {
        make_folder(folder).map_err(|source| StartError::Io { path: folder.to_owned(), source })?;
        let mut acme = Acme {
            settings,
            folder: folder.to_owned(),
            way,
            certificates,
            hosts,
            clock,
            own: BTreeMap::new(),
            waits: BTreeMap::new(),
            orders: VecDeque::new(),
            not_before: None,
            account: None,
            looked_up: BTreeMap::new(),
        };
        for hosted in acme.hosts.list() {
            acme.take_up(&hosted);
        }
        Ok(acme)
    }

    /// Shows what was obtained before for a commune.
    fn take_up(&mut self, hosted: &Hosted) {
        let path = self.file(&hosted.main);
        let Ok(bytes) = std::fs::read(&path) else { return };
        match Certificate::read(&bytes, &bytes) {
            Ok(certificate) => {
                self.certificates.show(&certificate);
                self.own.insert(hosted.main.clone(), certificate);
            }
            Err(error) => {
                tracing::warn!(event = "certificate.refused", file = %path.display(), error.reason = %error, "asked for anew");
            }
        }
    }

    fn file(&self, host: &str) -> PathBuf {
        self.folder.join(format!("{host}.pem"))
    }

    /// Obtains and renews, until asked to stop.
    pub(super) async fn run(mut self, look_every: Duration, mut stop: Stop) {
        loop {
            for mut hosted in self.hosts.list() {
                if let Some(twin) = hosted.twin.take()
                    && self.dns_knows(&twin).await
                {
                    hosted.others.push(twin);
                }
                if !self.own.contains_key(&hosted.main) {
                    self.take_up(&hosted);
                }
                let now = (self.clock)();
                let Some(names) = self.due(&hosted, now) else { continue };
                if !self.may_order(now) {
                    break;
                }
                tokio::select! {
                    biased;
                    () = stop.asked() => return,
                    () = self.obtain(&hosted, names) => {}
                }
                self.note();
                tokio::select! {
                    () = stop.asked() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            tokio::select! {
                () = stop.asked() => return,
                () = self.hosts.changed() => {}
                () = tokio::time::sleep(look_every) => {}
            }
        }
    }

    /// Whether a name that nobody has written down has an address; asked once a day.
    async fn dns_knows(&mut self, name: &str) -> bool {
        let now = (self.clock)();
        if let Some((known, at)) = self.looked_up.get(name)
            && now.duration_since(*at) < SignedDuration::from_hours(24)
        {
            return *known;
        }
        let looked = tokio::time::timeout(DNS, tokio::net::lookup_host((name, 443))).await;
        let known = looked.is_ok_and(|found| found.is_ok_and(|mut found| found.next().is_some()));
        self.looked_up.insert(name.to_owned(), (known, now));
        known
    }

    /// The names to ask a certificate for now, if one is due.
    fn due(&self, hosted: &Hosted, now: Timestamp) -> Option<Vec<String>> {
        let own = self.own.get(&hosted.main);
        if own.is_none() && self.certificates.of(&hosted.main).is_some() {
            // It comes from a file.
            return None;
        }
        let names: Vec<String> = hosted.names().map(str::to_owned).collect();
        let waits = self.waits.get(&hosted.main).filter(|waits| waits.names == names);
        if waits.is_some_and(|waits| waits.until > now) {
            return None;
        }
        let is_good = own.is_some_and(|own| own.renewal() > now && names.iter().all(|name| own.covers(name)));
        (!is_good).then_some(names)
    }

    /// Whether the authority still takes orders from us.
    fn may_order(&mut self, now: Timestamp) -> bool {
        while self.orders.front().is_some_and(|first| now.duration_since(*first) > WINDOW) {
            self.orders.pop_front();
        }
        self.orders.len() < ORDERS && self.not_before.is_none_or(|until| until <= now)
    }

    /// Asks for the certificate of a commune; names that are refused are left out, as long as the main one is good.
    async fn obtain(&mut self, hosted: &Hosted, names: Vec<String>) {
        let mut wanted = names.clone();
        let mut refused = BTreeMap::new();
        let mut chances = CHANCES;
        loop {
            let now = (self.clock)();
            self.orders.push_back(now);
            let ordered = match tokio::time::timeout(PATIENCE, self.order(&wanted)).await {
                Ok(ordered) => ordered,
                Err(_) => Err(Refused::all(&wanted, "l'autorité de certification ne répond pas assez vite")),
            };
            match ordered {
                Ok((certificate, pem)) => {
                    self.keep(hosted, certificate, &pem);
                    break;
                }
                Err(told) if told.is_mere_chance && chances > 0 => chances -= 1,
                Err(told) => {
                    self.not_before = told.not_before.or(self.not_before);
                    let is_partial = told.by_name.len() < wanted.len() && !told.by_name.contains_key(&hosted.main);
                    wanted.retain(|name| !told.by_name.contains_key(name));
                    refused.extend(told.by_name);
                    let is_there = self
                        .own
                        .get(&hosted.main)
                        .is_some_and(|own| own.renewal() > now && wanted.iter().all(|name| own.covers(name)));
                    // The authority counts certificates for the same names: none is asked for twice.
                    if !is_partial || is_there {
                        break;
                    }
                }
            }
        }
        for (name, words) in &refused {
            tracing::warn!(event = "certificate.failed", host = %name, error.reason = %words, "no certificate for this name");
        }
        if refused.is_empty() {
            self.waits.remove(&hosted.main);
            return;
        }
        let times = self.waits.get(&hosted.main).filter(|waits| waits.names == names).map_or(0, |waits| waits.times);
        let wait = WAITS[times.min(WAITS.len() - 1)];
        let until = (self.clock)().checked_add(wait).unwrap_or(Timestamp::MAX);
        self.waits.insert(hosted.main.clone(), Waits { times: times + 1, until, refused, names });
    }

    fn keep(&mut self, hosted: &Hosted, certificate: Certificate, pem: &str) {
        let path = self.file(&hosted.main);
        if let Err(error) = write_secret(&path, pem.as_bytes()) {
            // It is shown all the same; the next start asks for another one.
            tracing::error!(event = "certificate.unkept", file = %path.display(), error.reason = %error, "not written");
        }
        tracing::info!(event = "certificate.obtained", names = ?certificate.names, until = %certificate.until, "shown from now on");
        self.certificates.show(&certificate);
        self.own.insert(hosted.main.clone(), certificate);
    }

    /// Writes what is known, for `mulot demandes`.
    fn note(&self) {
        let state = |hosted: &Hosted| {
            let waits = self.waits.get(&hosted.main);
            HostState {
                host: hosted.main.clone(),
                until: self.certificates.of(&hosted.main).map(|certificate| certificate.until),
                trouble: waits.map(|waits| {
                    let told = waits.refused.iter().map(|(name, words)| format!("{name} : {words}"));
                    told.collect::<Vec<_>>().join(" ; ")
                }),
                again: waits.map(|waits| waits.until),
            }
        };
        let states: Vec<HostState> = self.hosts.list().iter().map(state).collect();
        let bytes = serde_json::to_vec_pretty(&states).unwrap_or_default();
        if let Err(error) = write_secret(&self.folder.join(STATE), &bytes) {
            tracing::warn!(event = "certificate.state", error.reason = %error, "the state could not be written");
        }
    }

    async fn order(&mut self, names: &[String]) -> Result<(Certificate, String), Refused> {
        let now = (self.clock)();
        let all = |error: Error| Refused::of(names, &error, now);
        if self.account.is_none() {
            self.account = Some(self.account().await.map_err(all)?);
        }
        let Some(account) = &self.account else { return Err(Refused::all(names, "le compte n'est pas ouvert")) };
        let identifiers: Vec<Identifier> = names.iter().map(|name| Identifier::Dns(name.clone())).collect();
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await.map_err(all)?;
        let mut proofs = Vec::new();
        let proved = self.prove(&mut order, names, &mut proofs, now).await;
        for (name, token) in proofs {
            match &self.way {
                Way::Http(challenges) => challenges.remove(&token),
                Way::Tls => self.certificates.proved(&name),
            }
        }
        proved?;
        order.poll_ready(&patiently()).await.map_err(all)?;
        let unmade = |_| Refused::all(names, "la demande de certificat n'a pas pu être préparée");
        let pair = rcgen::KeyPair::generate().map_err(unmade)?;
        let mut request = rcgen::CertificateParams::new(names).map_err(unmade)?;
        request.distinguished_name = rcgen::DistinguishedName::new();
        let request = request.serialize_request(&pair).map_err(unmade)?;
        order.finalize_csr(request.der()).await.map_err(all)?;
        let chain = order.poll_certificate(&patiently()).await.map_err(all)?;
        let pem = format!("{}{chain}", pair.serialize_pem());
        let certificate = Certificate::read(pem.as_bytes(), pem.as_bytes())
            .map_err(|error| Refused::all(names, &format!("le certificat reçu ne peut pas servir : {error}")))?;
        Ok((certificate, pem))
    }

    /// Proves each name of an order; those whose proof the authority did not find are refused.
    async fn prove(
        &self,
        order: &mut Order,
        names: &[String],
        proofs: &mut Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let all = |error: Error| Refused::of(names, &error, now);
        let kind = || match self.way {
            Way::Http(_) => ChallengeType::Http01,
            Way::Tls => ChallengeType::TlsAlpn01,
        };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(all)?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let name = authorization.identifier().to_string();
            let Some(mut challenge) = authorization.challenge(kind()) else {
                return Err(Refused::all(
                    names,
                    "l'autorité de certification ne propose pas la preuve que nous savons donner",
                ));
            };
            let proof = challenge.key_authorization();
            proofs.push((name.clone(), challenge.token.clone()));
            match &self.way {
                Way::Http(challenges) => challenges.put(&challenge.token, proof.as_str()),
                Way::Tls => self
                    .certificates
                    .prove(&name, proof.digest().as_ref())
                    .map_err(|_| Refused::all(names, "la preuve n'a pas pu être préparée"))?,
            }
            challenge.set_ready().await.map_err(all)?;
        }
        let mut refused = Refused::default();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(all)?;
            let mut pause = Duration::from_millis(250);
            while authorization.status == AuthorizationStatus::Pending {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
                authorization.refresh().await.map_err(all)?;
            }
            if authorization.status != AuthorizationStatus::Valid {
                let why = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
                let words = why.map_or_else(|| "l'autorité de certification a refusé ce nom".to_owned(), words_of);
                refused.by_name.insert(authorization.identifier().to_string(), words);
            }
        }
        if refused.by_name.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// The account with the authority, opened once.
    async fn account(&self) -> Result<Account, Error> {
        let print = blake3::hash(self.settings.directory.as_bytes()).to_hex();
        let file = self.folder.join(format!("compte-{}.json", &print[..8]));
        let builder = || match &self.settings.root {
            Some(root) => Account::builder_with_root(root),
            None => Account::builder(),
        };
        if let Some(known) =
            std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<AccountCredentials>(&bytes).ok())
        {
            return builder()?.from_credentials(known).await;
        }
        let contact = self.settings.contact.as_ref().map(|address| format!("mailto:{address}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder()?.create(&wanted, self.settings.directory.clone(), None).await?;
        let bytes = serde_json::to_vec(&credentials)?;
        if let Err(error) = write_secret(&file, &bytes) {
            tracing::error!(event = "certificate.unkept", file = %file.display(), error.reason = %error, "not written");
        }
        Ok(account)
    }
}

fn patiently() -> RetryPolicy {
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(1.5).timeout(Duration::from_secs(90))
}

impl Refused {
    fn all(names: &[String], words: &str) -> Refused {
        Refused { by_name: names.iter().map(|name| (name.clone(), words.to_owned())).collect(), ..Refused::default() }
    }

    /// What an error means for these names: those it names, else all of them.
    fn of(names: &[String], error: &Error, now: Timestamp) -> Refused {
        let Error::Api(problem) = error else {
            let words = match error {
                Error::Timeout(_) => "l'autorité de certification ne répond pas assez vite".to_owned(),
                other => format!("l'autorité de certification n'a pas pu être jointe ({})", cause(other)),
            };
            return Refused::all(names, &words);
        };
        let mut refused = Refused::default();
        for sub in &problem.subproblems {
            if let (Some(Identifier::Dns(name)), Some(kind)) = (&sub.identifier, &sub.r#type) {
                refused.by_name.insert(name.clone(), words_for(kind, sub.detail.as_deref()));
            }
        }
        if refused.by_name.is_empty() {
            refused = Refused::all(names, &words_of(problem));
        }
        refused.is_mere_chance = kind_of(problem).ends_with("badNonce");
        if kind_of(problem).ends_with("rateLimited") {
            refused.not_before = now.checked_add(TOO_OFTEN).ok();
        }
        refused
    }
}

/// The last cause of an error: the first ones only say « error ».
fn cause(error: &Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn kind_of(problem: &Problem) -> &str {
    problem.r#type.as_deref().unwrap_or("")
}

fn words_of(problem: &Problem) -> String {
    words_for(kind_of(problem), problem.detail.as_deref())
}

/// What an authority reproaches, in French, with its own words behind.
fn words_for(kind: &str, detail: Option<&str>) -> String {
    let words = match kind.rsplit(':').next().unwrap_or("") {
        "dns" => {
            "ce nom n'a pas d'adresse dans le DNS : faites-le pointer vers cette machine (enregistrements A et AAAA)"
        }
        "connection" => {
            "l'autorité n'a pas pu joindre ce nom : vérifiez qu'il pointe vers cette machine, et que les ports 80 et 443 sont ouverts"
        }
        "unauthorized" | "incorrectResponse" | "tls" => {
            "ce nom mène à une autre machine que celle-ci : vérifiez ses enregistrements A et AAAA dans le DNS"
        }
        "caa" => {
            "un enregistrement CAA de ce domaine interdit cette autorité : ajoutez-la, ou retirez l'enregistrement"
        }
        "rateLimited" => "trop de demandes à l'autorité en peu de temps : rien à faire, la demande sera refaite",
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            "l'autorité ne certifie pas ce nom : vérifiez comment il est écrit"
        }
        "userActionRequired" => "l'autorité demande que ses nouvelles conditions soient acceptées",
        _ => "l'autorité de certification a refusé",
    };
    match detail {
        Some(detail) => {
            format!("{words} ({})", detail.chars().filter(|letter| !letter.is_control()).take(300).collect::<String>())
        }
        None => words.to_owned(),
    }
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Puts a file in its place whole, readable by its owner alone.
fn write_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}
