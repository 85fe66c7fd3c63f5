//! Who answers where: the hosts of all communes, and the paths of those that share one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;

use super::counter::{Counter, Counters};
use super::settings::Settings;
use crate::diagnostic::{Code, Diagnostic, Place, has_errors};
use crate::intake::store::Store;
use crate::load::Territoire;
use crate::load::toml_reader::nearest;
use crate::model::territoire::Declared;
use crate::server::config::HallConfig;
use crate::server::host;

/// The communes of a configuration, and how they are reached; replaced as a whole.
pub(super) struct Plan {
    pub(super) config: Arc<HallConfig>,
    pub(super) counters: Counters,
    hosts: HashMap<String, Host>,
    /// The one commune of a guichet that serves no other: it answers to any name.
    pub(super) only: Option<Arc<Counter>>,
    /// Addresses that several communes say: nobody is reached there.
    pub(super) shared: BTreeSet<(String, String)>,
    /// The same, in words.
    pub(super) told: Vec<Diagnostic>,
}

/// Who answers on a host.
#[derive(Default)]
struct Host {
    /// Paths of guichets, without their first slash.
    paths: BTreeMap<String, Arc<Counter>>,
    /// All the rest.
    whole: Option<Arc<Counter>>,
}

/// Where a request goes.
pub(super) enum Way {
    /// To a commune, under a path that is taken off (`/le-plantay`, or nothing).
    Counter(Arc<Counter>, String),
    /// The host is ours, the path is nobody's.
    NoPath,
    /// Nobody answers to this host here.
    NoHost,
}

impl Plan {
    /// Reads what is known of each commune; those that `before` had keep what they are doing. At start, when nothing is `served`
    /// yet, communes that say the same address are reached by nobody and the others are; later, such a mistake changes nothing,
    /// unless it was there already.
    ///
    /// # Errors
    /// All that is wrong, with its place; nothing has changed. At start: nobody would be reached.
    pub(super) fn read(
        config: HallConfig,
        before: &Counters,
        served: Option<&Plan>,
        now: Timestamp,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let config = Arc::new(config);
        let known = |name: &str| before.get(name).map(|counter| counter.settings());
        let mut harmless = Vec::new();
        let settings = match &config.territoire {
            None => vec![Settings::read(&config, ("", config.common.folder.clone()), None, known("").as_deref())],
            Some(root) => {
                let (territoire, mut told) = Territoire::read(root);
                let Some(territoire) = territoire.map(Arc::new) else { return Err(told) };
                let members = territoire.members().map_err(|error| {
                    let place =
                        Place::file(root.join(crate::model::territoire::Territoire::COMMUNES).display().to_string());
                    let cause = format!("ce dossier ne peut pas être lu : {}", crate::fs::cause(&error.source));
                    told.push(
                        Diagnostic::error(Code::Unreadable, place, cause).hint("vérifiez le chemin et les droits"),
                    );
                    told
                })?;
                let unserved = strangers(&config, &territoire, &members)?;
                let faulty: Vec<Diagnostic> = members
                    .iter()
                    .filter_map(|member| territoire.model.declared(&member.name))
                    .flat_map(|declared| declared.told.clone())
                    .collect();
                // At start the others are served all the same; later, all go on with what was right.
                if served.is_some() && has_errors(&faulty) {
                    return Err(faulty);
                }
                harmless.extend(unserved.into_iter().chain(faulty));
                let read = |member: &crate::load::Member| {
                    let before = known(&member.name);
                    Settings::read(&config, (&member.name, member.folder.clone()), Some(&territoire), before.as_deref())
                };
                members.par_iter().filter(|member| member.exists).map(read).collect()
            }
        };
        let mut plan = Plan {
            config: config.clone(),
            counters: Counters::new(),
            hosts: HashMap::new(),
            only: None,
            shared: BTreeSet::new(),
            told: Vec::new(),
        };
        let mut diagnostics = Vec::new();
        // First all is judged, then the communes are told.
        let mut places: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut shared: BTreeSet<(String, String)> = BTreeSet::new();
        for settings in &settings {
            for place in places_of(settings) {
                let other = places.insert(place.clone(), settings.name.clone());
                shared.extend(other.is_some().then(|| place.clone()));
                diagnostics.extend(other.map(|other| same_place(&place, (&other, settings))));
            }
        }
        let is_new = served.is_some_and(|plan| !shared.is_subset(&plan.shared));
        if is_new || (!shared.is_empty() && places.keys().all(|place| shared.contains(place))) {
            return Err(diagnostics);
        }
        for told in &diagnostics {
            tracing::error!(event = "host.shared", place = %told.place, "communes of one address are reached by nobody");
        }
        (plan.told, plan.shared) = ([diagnostics, harmless].concat(), shared);
        for settings in settings {
            let (name, mut places) = (settings.name.clone(), places_of(&settings));
            // A request would go to one of them by chance.
            places.retain(|place| !plan.shared.contains(place));
            let counter = match before.get(&name) {
                Some(counter) => {
                    counter.set(settings);
                    counter.clone()
                }
                None => {
                    let config = settings.config();
                    let has_data = config.base.is_some() || Store::is_in(&config.data);
                    let asks = settings.known.has_mailboxes && config.confirms_mailboxes;
                    let is_due = plan.config.role.delivers() && (has_data || asks);
                    Counter::new(settings, is_due.then_some(now))
                }
            };
            for (host, path) in places {
                let host = plan.hosts.entry(host).or_default();
                match path.strip_prefix('/') {
                    Some(path) => {
                        host.paths.insert(path.to_owned(), counter.clone());
                    }
                    None => host.whole = Some(counter.clone()),
                }
            }
            if plan.config.territoire.is_none() {
                plan.only = Some(counter.clone());
            }
            plan.counters.insert(name, counter);
        }
        Ok(plan)
    }

    /// Who answers to a host (lower case, without port) and a path.
    pub(super) fn way(&self, host: Option<&str>, path: &str) -> Way {
        let found = host.and_then(|host| self.hosts.get(host));
        if let Some(host) = found {
            // The longest first: `/nord/le-plantay` before `/nord`.
            let inside = path.trim_start_matches('/');
            let under = |(at, _): &(&String, &Arc<Counter>)| {
                inside.strip_prefix(at.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if let Some((at, counter)) = host.paths.iter().filter(under).max_by_key(|(at, _)| at.len()) {
                return Way::Counter(counter.clone(), format!("/{at}"));
            }
            if let Some(counter) = &host.whole {
                return Way::Counter(counter.clone(), String::new());
            }
        }
        match (&self.only, found) {
            (Some(only), _) => Way::Counter(only.clone(), String::new()),
            (None, Some(_)) => Way::NoPath,
            (None, None) => Way::NoHost,
        }
    }

    /// The hosts that are answered for.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &String> {
        self.hosts.keys()
    }
}

/// The places of a commune: a host and a path each.
fn places_of(settings: &Settings) -> Vec<(String, String)> {
    let known = &settings.known;
    let mut places: Vec<(String, String)> = known.hosts.iter().map(|host| (host.clone(), String::new())).collect();
    places.extend(known.guichet.clone().filter(|place| !places.contains(place)));
    places
}

/// Two communes at the same address: a request would go to one of them by chance.
fn same_place((host, path): &(String, String), (one, other): (&str, &Settings)) -> Diagnostic {
    // A domain that the territoire gives is wrong there, not in a commune.toml that says nothing of it.
    let declared = other.territoire.as_ref().and_then(|territoire| territoire.model.declared(&other.name));
    let given = |declared: &&Declared| declared.domaines.iter().any(|url| host::of_url(url).as_deref() == Some(host));
    let place = match declared.filter(given) {
        Some(declared) => declared.place.clone(),
        None => Place::file(format!("communes/{}/commune.toml", other.name)),
    };
    let message = format!("« {host}{path} » est déjà l'adresse de la commune « {one} »");
    Diagnostic::error(Code::SharedDomain, place, message).hint(
        "donnez à chacune son domaine, ou une adresse de guichet qui finit par son nom : adresse = \"https://guichet.exemple.fr/{commune}\"",
    )
}

/// Settings of communes that are not there. Those of one that is set aside, or has left its data, are only told; others are
/// mistakes.
fn strangers(
    config: &HallConfig,
    territoire: &Territoire,
    members: &[crate::load::Member],
) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let folder = |name: &str| territoire.root.join(crate::model::territoire::Territoire::COMMUNES).join(name);
    let has_left =
        |name: &str| territoire.model.declared(name).is_some() || config.of(name, &folder(name)).data.exists();
    let unknown = config.named.iter().filter(|(name, _)| !members.iter().any(|member| member.name == *name));
    let (left, mistaken): (Vec<_>, Vec<_>) = unknown.partition(|(name, _)| has_left(name));
    let told: Vec<Diagnostic> = mistaken
        .into_iter()
        .map(|(name, place)| {
            let message = format!("aucune commune du territoire ne s'appelle « {name} »");
            let near = nearest(name, members.iter().map(|member| member.name.as_str()));
            let hint = match near {
                Some(near) => format!("vouliez-vous dire [communes.{near}] ?"),
                None => "écrivez [communes.NOM] avec le nom d'un dossier de communes/".to_owned(),
            };
            Diagnostic::error(Code::BadValue, place.clone(), message).hint(hint)
        })
        .collect();
    if !told.is_empty() {
        return Err(told);
    }
    let one = |(name, place): &(String, Place)| {
        let message = format!("« {name} » n'est plus servie : ces réglages ne sont plus ceux de personne");
        Diagnostic::warning(Code::BadValue, place.clone(), message).hint(
            "si son dossier a changé de nom, changez-le ici aussi ; sinon, retirez-les quand ses données sont remises",
        )
    };
    Ok(left.into_iter().map(one).collect())
}
