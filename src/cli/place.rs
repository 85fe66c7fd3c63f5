//! Where the data of a guichet and its key are, for the orders that work beside it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::faults::AS_THE_ACCOUNT;
use super::{Exit, report};
use crate::intake::files::{BucketPlace, FileError, FileOptions, FileStore};
use crate::intake::store::{Access, Base, Store, StoreError, StoreOptions};
use crate::intake::token::KEY_FILE;
use crate::load::toml_reader::nearest;
use crate::load::{self, Layers};
use crate::model::territoire::Territoire;
use crate::server::config::{CREDENTIALS_VARIABLE, GuichetConfig, HallConfig, Secrets};

/// Environment variable of the key file, when no configuration names it.
const KEY_VARIABLE: &str = "MULOT_CLE_FICHIER";

/// A data folder and its key.
#[derive(Debug, Clone)]
pub(super) struct DataPlace {
    /// The data folder.
    pub(super) data: PathBuf,
    /// The key file, when it is not in that folder.
    pub(super) key_file: Option<PathBuf>,
    /// The configuration, when it was given: that of the commune, in a territoire.
    pub(super) config: Option<GuichetConfig>,
    /// Name of the commune's folder, in a territoire.
    pub(super) commune: Option<String>,
    /// The folder that holds the data of all its communes.
    pub(super) hall: Option<PathBuf>,
    /// How its guichet stands.
    pub(super) standing: Standing,
}

/// How the guichet of a commune stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is, or may be, served.
    Served,
    /// Nobody opens it any more.
    Aside,
    /// What says it cannot be read.
    Unknown,
}

/// What an order was given to work on.
pub(super) enum Places {
    /// The guichet of one commune.
    One(Box<DataPlace>),
    /// Those of all the communes of a territoire, in order of name.
    All(Vec<DataPlace>),
}

impl DataPlace {
    /// The data folder, or the one that holds those of all communes: what a copy must lie outside of.
    pub(super) fn whole(&self) -> &Path {
        self.hall.as_deref().unwrap_or(&self.data)
    }

    pub(super) fn folder(path: &Path) -> DataPlace {
        DataPlace {
            data: path.to_owned(),
            key_file: key_file(None),
            config: None,
            commune: None,
            hall: None,
            standing: Standing::Served,
        }
    }

    /// How its store is opened beside a guichet that serves.
    pub(super) fn beside(&self) -> StoreOptions {
        let (key_file, base) = (self.key_file.clone(), self.base().cloned());
        StoreOptions { access: Access::Beside, key_file, base, ..StoreOptions::default() }
    }

    /// Its files: in the folder, or in the bucket of the configuration.
    pub(super) fn files(&self, store: &Store) -> Result<FileStore, FileError> {
        FileStore::open_with(&self.data, store.seal(), FileOptions::beside(self.bucket().cloned()))
    }

    /// The bucket of its files, when there is one.
    pub(super) fn bucket(&self) -> Option<&BucketPlace> {
        self.config.as_ref()?.files.bucket.as_ref()
    }

    /// The database server, when the database is no file of the folder.
    pub(super) fn base(&self) -> Option<&Base> {
        self.config.as_ref()?.base.as_ref()
    }

    /// The same for a folder that may not be there yet: what is not a configuration is its path.
    pub(super) fn to_fill(path: &Path, commune: Option<&str>, order: &str) -> Result<Places, Exit> {
        if path.exists() || path.extension().is_some_and(|extension| extension == "toml") {
            return DataPlace::find(path, commune, order);
        }
        let path = commune.map_or_else(|| path.to_owned(), |commune| path.join(commune));
        Ok(Places::One(Box::new(DataPlace::folder(&path))))
    }

    /// The place of a data folder, or those of a configuration; `commune` names one of a territoire, `order` is how to say it
    /// again.
    pub(super) fn find(path: &Path, commune: Option<&str>, order: &str) -> Result<Places, Exit> {
        if path.is_dir() {
            let path = commune.map_or_else(|| path.to_owned(), |commune| path.join(commune));
            return Ok(Places::One(Box::new(DataPlace::folder(&path))));
        }
        // Nothing is sent.
        let config = match HallConfig::read(path, &Secrets::beside()) {
            Ok(config) => config,
            Err(diagnostics) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                report::say(report::text(&diagnostics, folder, report::colour(&std::io::stderr())).trim_end());
                report::say(format!(
                    "aide : donnez la configuration du guichet ou son dossier de données : {order} --guichet CHEMIN"
                ));
                return Err(Exit::Fault);
            }
        };
        let Some(root) = &config.territoire else {
            if commune.is_some() {
                report::say("erreur : cette configuration est celle d'une seule commune");
                report::say("aide : retirez --commune");
                return Err(Exit::Fault);
            }
            return Ok(Places::One(Box::new(DataPlace {
                data: config.common.data.clone(),
                key_file: key_file(config.common.key_file.clone()),
                config: Some(config.common),
                commune: None,
                hall: None,
                standing: Standing::Served,
            })));
        };
        let of = |name: String, folder: &Path| {
            let own = config.of(&name, folder);
            let (data, key_file) = (own.data.clone(), own.key_file.clone());
            let hall = Some(config.common.data.clone());
            let standing = Standing::Served;
            DataPlace { data, key_file, config: Some(own), commune: Some(name), hall, standing }
        };
        if config.common.base.is_none() {
            look_into(&config.common.data)?;
        }
        let (territoire, members) = match members(root) {
            Ok((territoire, members)) => (Some(territoire), members),
            // What was received is copied, listed and erased whatever the contents have become.
            Err(exit) => {
                let named = maybe_aside(&config, root, None, &[]);
                if !named.into_iter().any(|name| holds_requests(&of(name, root), &[])) {
                    return Err(exit);
                }
                report::say("avertissement : voici les communes dont les données sont là");
                (None, Vec::new())
            }
        };
        let mut places: Vec<DataPlace> = members.into_iter().map(|member| of(member.name, &member.folder)).collect();
        let standing = if territoire.is_some() { Standing::Aside } else { Standing::Unknown };
        let aside: Vec<DataPlace> = maybe_aside(&config, root, territoire.as_ref(), &places)
            .into_iter()
            .map(|name| {
                let folder = root.join(Territoire::COMMUNES).join(&name);
                DataPlace { standing, ..of(name, &folder) }
            })
            .filter(|place| holds_requests(place, &places))
            .collect();
        let names: Vec<&str> = aside.iter().filter_map(|place| place.commune.as_deref()).collect();
        if territoire.is_some() && !names.is_empty() && commune.is_none_or(|wanted| names.contains(&wanted)) {
            let (names, whose) = (names.join(", "), if names.len() == 1 { "ses" } else { "leurs" });
            report::say(format!(
                "avertissement : guichet fermé, commune mise de côté ou dossier absent : {names} ; {whose} demandes sont là, et rien \
                 ne les efface que mulot demandes purger"
            ));
        }
        places.extend(aside);
        places.sort_by(|one, other| one.commune.cmp(&other.commune));
        let Some(wanted) = commune else { return Ok(Places::All(places)) };
        match places.iter().position(|place| place.commune.as_deref() == Some(wanted)) {
            Some(at) => Ok(Places::One(Box::new(places.swap_remove(at)))),
            None => {
                report::say(match territoire.is_some() {
                    true => format!("erreur : aucune commune du territoire ne s'appelle « {wanted} »"),
                    false => format!("erreur : il n'y a pas de demandes de « {wanted} » là où elles devraient être"),
                });
                let names: Vec<&str> = places.iter().filter_map(|place| place.commune.as_deref()).collect();
                report::say(match nearest(wanted, names.into_iter()) {
                    Some(near) => format!("aide : vouliez-vous dire « {near} » ?"),
                    None => "aide : donnez le nom de son dossier dans communes/".to_owned(),
                });
                Err(Exit::Fault)
            }
        }
    }
}

/// Names that communes may have whose guichet is not opened any more: those of folders of data, those that have settings of their
/// own, those that are switched off; those of all folders when the territoire cannot be read.
fn maybe_aside(
    config: &HallConfig,
    root: &Path,
    territoire: Option<&load::Territoire>,
    served: &[DataPlace],
) -> BTreeSet<String> {
    let folders = |folder: &Path| crate::fs::folders(folder).unwrap_or_default();
    let mut names: BTreeSet<String> = folders(&config.common.data).into_iter().collect();
    names.extend(config.named.iter().map(|(name, _)| name.clone()));
    match territoire {
        Some(territoire) => names.extend(territoire.model.communes.keys().cloned()),
        None => names.extend(folders(&root.join(Territoire::COMMUNES))),
    }
    names.retain(|name| served.iter().all(|place| place.commune.as_ref() != Some(name)));
    names
}

/// The configuration of the packaged guichet when none is named and none is here: the orders of a mail or of an incident card work
/// wherever they are typed.
pub(super) fn usual(named: Option<&Path>) -> PathBuf {
    let (here, installed) = (Path::new(HERE), Path::new(INSTALLED));
    let usual = if !here.exists() && installed.exists() { installed } else { here };
    named.unwrap_or(usual).to_owned()
}

/// The configuration when none is named.
const HERE: &str = "guichet.toml";
/// Where the Debian package has it.
const INSTALLED: &str = "/etc/mulot/guichet.toml";

/// Looks whether the data of a guichet can be read at all: what cannot be seen must not be taken for what is not there.
fn look_into(data: &Path) -> Result<(), Exit> {
    match std::fs::read_dir(data).map_err(|error| error.kind()) {
        Err(ErrorKind::PermissionDenied) => {
            report::say(format!("erreur : ce compte n'a pas le droit d'ouvrir « {} »", data.display()));
            report::say(format!("aide : {AS_THE_ACCOUNT}"));
            Err(Exit::Machine)
        }
        Err(ErrorKind::NotFound) => {
            report::say(format!(
                "avertissement : « {} » n'existe pas : aucun guichet n'a encore travaillé ici, ou la clé donnees de guichet.toml \
                 est fausse",
                data.display()
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether there are requests of a commune that is not served: what it received is still to be copied, read and erased in time.
fn holds_requests(place: &DataPlace, served: &[DataPlace]) -> bool {
    let base = place.config.as_ref().and_then(|config| config.base.clone());
    if base.is_some() {
        let options = StoreOptions { base, ..StoreOptions::default() };
        // A server that does not answer is no proof: the order itself tells it.
        let format = Store::format(&place.data, &options);
        return !matches!(format, Err(StoreError::Absent { .. } | StoreError::Foreign { .. }));
    }
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    Store::is_in(&place.data) && served.iter().all(|other| whole(&other.data) != whole(&place.data))
}

/// A territoire, and its communes that are there.
fn members(root: &Path) -> Result<(load::Territoire, Vec<load::Member>), Exit> {
    let (territoire, told) = load::Territoire::read(root);
    let Some(territoire) = territoire else {
        report::say(report::text(&told, root, report::colour(&std::io::stderr())).trim_end());
        return Err(Exit::Fault);
    };
    let members = territoire.members().map_err(|error| {
        report::say(format!(
            "erreur : les communes de « {} » ne peuvent pas être lues : {}",
            root.display(),
            crate::fs::cause(&error.source)
        ));
        Exit::Machine
    })?;
    Ok((territoire, members.into_iter().filter(|member| member.exists).collect()))
}

/// Says that an order works on one commune at a time.
pub(super) fn which(places: &[DataPlace], order: &str) -> Exit {
    let names: Vec<&str> = places.iter().filter_map(|place| place.commune.as_deref()).take(10).collect();
    report::say(format!("erreur : ce guichet est celui de {} communes : dites laquelle", places.len()));
    report::say(format!("aide : {order} --commune NOM ; par exemple {}", names.join(", ")));
    Exit::Fault
}

/// The key file: the configuration's, else the environment's, else a credential of the service; `None` for the data folder's.
pub(super) fn key_file(configured: Option<PathBuf>) -> Option<PathBuf> {
    let named = || std::env::var_os(KEY_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let credential = || {
        let path = Path::new(&std::env::var_os(CREDENTIALS_VARIABLE)?).join(KEY_FILE);
        path.is_file().then_some(path)
    };
    configured.or_else(named).or_else(credential)
}

/// Whether a key file can be read by others than its owner. A credential of systemd is not judged: its folder protects it, and the
/// mask of its access list looks like a right of the group.
pub(super) fn is_key_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let credentials = std::env::var_os(CREDENTIALS_VARIABLE).filter(|folder| !folder.is_empty());
    if credentials.is_some_and(|folder| path.starts_with(folder)) {
        return false;
    }
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// What to do about such a key.
pub(super) fn open_key_words(path: &Path) -> String {
    let path = path.display();
    format!("la clé « {path} » peut être lue par d'autres comptes que celui du guichet : chmod 600 « {path} »")
}

/// The zone of the commune of a configuration; Paris when none tells.
pub(super) fn zone_of(config: Option<&GuichetConfig>) -> TimeZone {
    let told = config.and_then(|config| {
        let (commune, _) = load::described(&Layers::of(&config.folder, &load::Shared::default()));
        TimeZone::get(&commune?.fuseau).ok()
    });
    told.or_else(|| TimeZone::get("Europe/Paris").ok()).unwrap_or(TimeZone::UTC)
}
