//! The door of a server that has nothing in front of it: HTTPS for all, plain HTTP that only leads there.
//!
//! Each commune has one host; the other names it goes by lead to it. Certificates come from files, looked at again every
//! minute, or from an authority ([`acme`](super::acme)). A host without certificate is refused alone: the others are served.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::Notify;

use super::StartError;
use super::acme::{Acme, Challenges, Way};
use super::desk::Clock;
use super::headers::{Outside, Policy, harden};
use super::host;
use super::https_config::{CertificateFiles, HttpsConfig};
use super::listen::{self, Limits, ListenAddress, Listener, Stop};
use super::tls::{Certificate, Certificates, server_config};

/// The names of one commune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosted {
    /// Its host: `www.exemple.fr`, without port, in lower case.
    pub main: String,
    /// Other hosts that lead to it.
    pub others: Vec<String>,
    /// What people type as well, `exemple.fr` for `www.exemple.fr`: led there too, where the DNS knows it.
    pub twin: Option<String>,
}

impl Hosted {
    /// The names of a commune that is reached at those addresses (`https://www.exemple.fr`), the main one first; addresses
    /// that are not https are left out. `None`: there is no other.
    pub fn of<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Option<Hosted> {
        let mut hosts: Vec<String> = Vec::new();
        for address in addresses {
            let uri = address.parse::<Uri>().ok();
            let host = uri.as_ref().filter(|uri| uri.scheme_str() == Some("https")).and_then(Uri::host);
            if let Some(host) = host.map(str::to_ascii_lowercase).filter(|host| !hosts.contains(host)) {
                hosts.push(host);
            }
        }
        let others = if hosts.is_empty() { return None } else { hosts.split_off(1) };
        let main = hosts.pop()?;
        let twin = match main.strip_prefix("www.") {
            Some(bare) => Some(bare.to_owned()),
            None => (main.matches('.').count() == 1).then(|| format!("www.{main}")),
        };
        let twin = twin.filter(|twin| !others.contains(twin));
        Some(Hosted { main, others, twin })
    }

    /// The names it surely goes by, the main one first.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.main.as_str()).chain(self.others.iter().map(String::as_str))
    }
}

/// The hosts of a server; replaced while it runs.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    names: Arc<RwLock<Arc<Names>>>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Names {
    list: Vec<Hosted>,
    main_of: BTreeMap<String, String>,
}

impl Hosts {
    /// Those hosts.
    pub fn new(list: Vec<Hosted>) -> Self {
        let hosts = Hosts::default();
        hosts.set(list);
        hosts
    }

    /// Replaces them; certificates of new ones are asked for at once.
    pub fn set(&self, list: Vec<Hosted>) {
        let mut main_of = BTreeMap::new();
        for one in &list {
            for name in one.names().chain(one.twin.as_deref()) {
                main_of.entry(name.to_owned()).or_insert_with(|| one.main.clone());
            }
        }
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Names { list, main_of });
        self.changed.notify_one();
    }

    pub(super) fn list(&self) -> Vec<Hosted> {
        self.names().list.clone()
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn names(&self) -> Arc<Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The main host of the commune that goes by that name.
    fn main_of(&self, host: &str) -> Option<String> {
        self.names().main_of.get(host).cloned()
    }
}

/// The door, open.
pub struct Front {
    https: Listener,
    http: Option<Listener>,
    hosts: Hosts,
    challenges: Challenges,
    certificates: Arc<Certificates>,
    files: Vec<Watched>,
    acme: Option<Acme>,
    outside: Outside,
    look_every: Duration,
}

impl Front {
    /// Listens, and takes up the certificates that are there: those of the files, and those obtained before. Nobody is asked
    /// for anything yet.
    ///
    /// # Errors
    /// [`StartError`] for an address that is taken or a certificate in a file that cannot be used.
    pub async fn open(
        config: HttpsConfig,
        hosts: Hosts,
        data: &Path,
        hsts_seconds: u64,
        clock: Clock,
    ) -> Result<Front, StartError> {
        let certificates = Arc::new(Certificates::default());
        let mut files = Vec::new();
        for one in config.files {
            let (watched, certificate) = Watched::open(one)?;
            certificates.show(&certificate);
            files.push(watched);
        }
        let tls = server_config(certificates.clone()).map_err(|error| StartError::Tls(error.to_string()))?;
        let https = Listener::bind(&config.listen).await?.secured(tls);
        let http = match &config.listen_http {
            Some(address) => Some(Listener::bind(address).await?),
            None => None,
        };
        let challenges = Challenges::default();
        let acme = match config.automatic {
            Some(automatic) => {
                let way = if http.is_some() { Way::Http(challenges.clone()) } else { Way::Tls };
                let folder = data.join(super::acme::FOLDER);
                Some(Acme::open(automatic, &folder, way, certificates.clone(), hosts.clone(), clock)?)
            }
            None => None,
        };
        let outside = Outside { https: true, guichet_origin: None, hsts_seconds };
        let look_every = config.look_every;
        Ok(Front { https, http, hosts, challenges, certificates, files, acme, outside, look_every })
    }

    /// Where HTTPS is spoken, with the port the system chose.
    pub fn https_addr(&self) -> &ListenAddress {
        self.https.local_addr()
    }

    /// Where plain HTTP is spoken.
    pub fn http_addr(&self) -> Option<&ListenAddress> {
        self.http.as_ref().map(Listener::local_addr)
    }

    /// Hosts that have no certificate yet.
    pub fn waiting(&self) -> Vec<String> {
        let list = self.hosts.list();
        list.into_iter().map(|one| one.main).filter(|host| self.certificates.of(host).is_none()).collect()
    }

    /// Serves `router` until asked to stop. Gives the number of connections cut after the delay.
    pub async fn serve(self, router: Router, limits: Limits, stop: Stop) -> usize {
        let secure = router.layer(from_fn_with_state(self.hosts.clone(), to_main_host));
        let secure = harden(secure, Policy::Site, &self.outside);
        let plain =
            harden(plain(self.hosts.clone(), self.challenges), Policy::Site, &Outside { https: false, ..self.outside });
        let look = tokio::spawn(look_again(self.files, self.certificates, self.look_every, stop.clone()));
        let asking = self.acme.map(|acme| tokio::spawn(acme.run(self.look_every, stop.clone())));
        let http = async {
            match self.http {
                Some(listener) => listen::serve(listener, plain, limits.clone(), stop.clone()).await,
                None => 0,
            }
        };
        let (https, http) = tokio::join!(listen::serve(self.https, secure, limits.clone(), stop.clone()), http);
        // They only wait, or hold an order that the next start begins anew.
        look.abort();
        asking.inspect(tokio::task::JoinHandle::abort);
        https + http
    }
}

/// Leads the other names of a commune to its main one.
async fn to_main_host(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let host = host::of(&request);
    match host.as_deref().and_then(|host| hosts.main_of(host)) {
        Some(main) if Some(main.as_str()) != host.as_deref() => lead(&main, request.uri()),
        _ => next.run(request).await,
    }
}

/// What plain HTTP answers: proofs for certificate authorities, and the way to HTTPS.
fn plain(hosts: Hosts, challenges: Challenges) -> Router {
    Router::new().fallback(move |request: Request| {
        let answer = match request.uri().path().strip_prefix(CHALLENGE) {
            Some(token) => match challenges.proof(token) {
                Some(proof) => ([(header::CONTENT_TYPE, "application/octet-stream")], proof).into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
            None => match host::of(&request) {
                // The same host first: only over HTTPS may it be told to go elsewhere.
                Some(host) if hosts.main_of(&host).is_some() => lead(&host, request.uri()),
                _ => StatusCode::MISDIRECTED_REQUEST.into_response(),
            },
        };
        std::future::ready(answer)
    })
}

/// Where an authority looks for a proof (RFC 8555, 8.3).
const CHALLENGE: &str = "/.well-known/acme-challenge/";

fn lead(host: &str, uri: &Uri) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, format!("https://{host}{path}"))]).into_response()
}

/// A certificate in files, and the state it was read in.
struct Watched {
    files: CertificateFiles,
    read: [Option<(SystemTime, u64)>; 2],
}

impl Watched {
    fn open(files: CertificateFiles) -> Result<(Watched, Certificate), StartError> {
        let read = state(&files);
        let certificate = read_files(&files)?;
        Ok((Watched { files, read }, certificate))
    }

    /// The certificate, when its files have changed; one that cannot be used is told once.
    fn again(&mut self) -> Option<Certificate> {
        let now = state(&self.files);
        if now == self.read {
            return None;
        }
        self.read = now;
        match read_files(&self.files) {
            Ok(certificate) => {
                tracing::info!(event = "certificate.read", names = ?certificate.names, "a certificate was replaced");
                Some(certificate)
            }
            Err(error) => {
                let file = self.files.chain.display();
                tracing::error!(event = "certificate.refused", %file, error.reason = %error, "the one in place stays");
                None
            }
        }
    }
}

/// The certificate of files, as they are now.
pub(super) fn read_files(files: &CertificateFiles) -> Result<Certificate, StartError> {
    let read = |path: &Path| std::fs::read(path).map_err(|source| StartError::Io { path: path.to_owned(), source });
    let (chain, key) = (read(&files.chain)?, read(&files.key)?);
    Certificate::read(&chain, &key).map_err(|source| StartError::Certificate { path: files.chain.clone(), source })
}

fn state(files: &CertificateFiles) -> [Option<(SystemTime, u64)>; 2] {
    [&files.chain, &files.key].map(|path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    })
}

async fn look_again(mut files: Vec<Watched>, certificates: Arc<Certificates>, every: Duration, mut stop: Stop) {
    while !files.is_empty() {
        tokio::select! {
            () = stop.asked() => return,
            () = tokio::time::sleep(every) => {}
        }
        files.iter_mut().filter_map(Watched::again).for_each(|certificate| certificates.show(&certificate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commune_has_one_host_and_names_that_lead_there() {
        let hosted =
            Hosted::of(["https://WWW.trou.example", "https://trou.example", "http://vieux.example", ""]).unwrap();
        assert_eq!(hosted, Hosted { main: "www.trou.example".into(), others: vec!["trou.example".into()], twin: None });
        let twin = |address: &str| Hosted::of([address]).unwrap().twin;
        assert_eq!(twin("https://www.trou.example").as_deref(), Some("trou.example"));
        assert_eq!(twin("https://trou.example").as_deref(), Some("www.trou.example"));
        assert_eq!(twin("https://mouron.bocage.example"), None);
        assert_eq!(Hosted::of(["", "http://trou.example"]), None);
        let hosts = Hosts::new(vec![hosted]);
        assert_eq!(hosts.main_of("trou.example").as_deref(), Some("www.trou.example"));
        assert_eq!(hosts.main_of("autre.example"), None);
    }
}
