//! What is known of a commune without opening its guichet: where it answers, and what it would be opened with.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diagnostic::has_errors;
use crate::load::{self, Layers, Territoire};
use crate::model::commune::Commune;
use crate::server::config::{GuichetConfig, HallConfig};
use crate::server::headers::{Outside, origin};
use crate::server::host;

/// Folder of what is known of the communes, in that of their data.
const NOTES: &str = ".communes";

/// The settings of a commune; replaced as a whole.
pub(super) struct Settings {
    pub(super) hall: Arc<HallConfig>,
    /// Name of its folder.
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) territoire: Option<Arc<Territoire>>,
    pub(super) known: Known,
    /// Where its requests are kept.
    pub(super) data: PathBuf,
    /// Whether its database is on a server.
    pub(super) is_on_server: bool,
    /// Whether its site is served too.
    pub(super) has_site: bool,
    /// Requests under way at the same time, at most.
    pub(super) under_way: Option<usize>,
    /// Changes when the guichet must be opened anew.
    pub(super) fingerprint: [u8; 32],
}

/// What `commune.toml` says of how the guichet is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Name of the commune, for who cannot be served; its folder's when its file is broken.
    pub(super) title: String,
    /// Telephone of the mairie as written; empty when it is not known.
    pub(super) telephone: String,
    /// Addresses of its site, the main one first.
    pub(super) sites: Vec<String>,
    /// Address of a guichet that is elsewhere, or empty.
    pub(super) elsewhere: String,
    /// Hosts of its site, without port, lower case.
    pub(super) hosts: BTreeSet<String>,
    /// Host of a guichet that is elsewhere, and the path under which it answers there (`/le-plantay`, or empty).
    pub(super) guichet: Option<(String, String)>,
    /// Origins that forms may come from.
    pub(super) trusted: Vec<String>,
    pub(super) outside: Outside,
    /// Address of the site, when the guichet is on another host.
    pub(super) home: Option<String>,
    /// Whether the mairie has a mailbox that must be asked to confirm.
    pub(super) has_mailboxes: bool,
}

impl Settings {
    /// Reads what is known of a commune. Its file may be broken: what was known `before` is kept, else it is reached by what its
    /// territoire says.
    pub(super) fn read(
        hall: &Arc<HallConfig>,
        (name, folder): (&str, PathBuf),
        territoire: Option<&Arc<Territoire>>,
        before: Option<&Settings>,
    ) -> Settings {
        let none = load::Shared::default();
        let layers = match territoire {
            Some(territoire) => Layers::within(territoire, &folder, &none),
            None => Layers::of(&folder, &none),
        };
        let (commune, told) = load::described(&layers);
        let declared = territoire.and_then(|territoire| territoire.model.declared(name));
        let domains = declared.map_or(&[][..], |declared| &declared.domaines);
        let is_broken = has_errors(&told);
        let note = hall.territoire.is_some().then(|| hall.common.data.join(NOTES).join(format!("{name}.json")));
        let noted = || Known::noted(note.as_deref()?, hall.common.hsts_seconds);
        let kept = is_broken.then(|| before.map(|before| before.known.clone()).or_else(noted)).flatten();
        if kept.is_some() {
            tracing::warn!(
                event = "content.refused",
                commune = name,
                "the commune's file has errors; what was known of it stays"
            );
        }
        let known = kept.unwrap_or_else(|| Known::of(commune.as_ref(), (name, domains), hall.common.hsts_seconds));
        if let Some(note) = note.filter(|_| !is_broken) {
            known.note(&note, &hall.common.data);
        }
        let mut settings = Settings {
            hall: hall.clone(),
            name: name.to_owned(),
            folder,
            territoire: territoire.cloned(),
            known,
            data: PathBuf::new(),
            is_on_server: false,
            has_site: false,
            under_way: None,
            fingerprint: [0; 32],
        };
        let config = settings.config();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&config.fingerprint()).update(format!("{:?}", settings.known).as_bytes());
        settings.fingerprint = *hasher.finalize().as_bytes();
        (settings.has_site, settings.under_way) = (config.site.is_some(), config.rates.under_way);
        (settings.data, settings.is_on_server) = (config.data, config.base.is_some());
        settings
    }

    /// What the guichet is opened with.
    pub(super) fn config(&self) -> GuichetConfig {
        match &self.hall.territoire {
            Some(_) => self.hall.of(&self.name, &self.folder),
            None => self.hall.common.clone(),
        }
    }
}

impl Known {
    fn of(commune: Option<&Commune>, (name, domains): (&str, &[String]), hsts_seconds: u64) -> Known {
        let (domaine, adresse) =
            commune.map_or(("", ""), |commune| (commune.domaine.as_str(), commune.guichet.adresse.as_str()));
        let sites = || [domaine].into_iter().chain(domains.iter().map(String::as_str));
        let public = if adresse.is_empty() { domaine } else { adresse };
        let path = commune.map_or("", Commune::guichet_path);
        let guichet = host::of_url(adresse).map(|host| (host, path.to_owned()));
        let home = (!adresse.is_empty() && !domaine.is_empty()).then(|| format!("{}/", domaine.trim_end_matches('/')));
        Known {
            title: commune.map_or_else(|| name.to_owned(), |commune| commune.names.nom.clone()),
            telephone: commune.map_or_else(String::new, |commune| commune.mairie.telephone.clone()),
            sites: sites().filter(|url| !url.is_empty()).map(str::to_owned).collect(),
            elsewhere: adresse.to_owned(),
            hosts: sites().filter_map(host::of_url).collect(),
            guichet,
            trusted: sites().chain([adresse]).filter_map(origin).collect::<BTreeSet<_>>().into_iter().collect(),
            outside: Outside { https: public.starts_with("https://"), guichet_origin: origin(adresse), hsts_seconds },
            home,
            has_mailboxes: commune.is_some_and(|commune| !commune.guichet.destinataires.is_empty()),
        }
    }

    /// What was known when its file was last right; `None` when that was never written down.
    fn noted(note: &Path, hsts_seconds: u64) -> Option<Known> {
        let mut known: Known = serde_json::from_slice(&std::fs::read(note).ok()?).ok()?;
        known.outside.hsts_seconds = hsts_seconds;
        Some(known)
    }

    /// Writes it down for the next start. A note that is lost only costs a telephone number, and only while the file is broken.
    fn note(&self, note: &Path, data: &Path) {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        // The data folder is made by who keeps requests in it, for his eyes alone.
        if data.is_dir() && std::fs::read(note).ok().as_ref() != Some(&bytes) {
            let _ = crate::fs::write_atomic(note, &bytes);
        }
    }

    /// Whether nobody can reach it.
    pub(super) fn is_nowhere(&self) -> bool {
        self.hosts.is_empty() && self.guichet.is_none()
    }
}
