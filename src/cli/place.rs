//! Where the data of a guichet and its key are, for the orders that work beside it.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::{Exit, report};
use crate::intake::files::{BucketPlace, FileError, FileOptions, FileStore};
use crate::intake::store::{Access, Base, Store, StoreOptions};
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
        DataPlace { data: path.to_owned(), key_file: key_file(None), config: None, commune: None, hall: None }
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
            })));
        };
        let of = |name: String, folder: &Path| {
            let own = config.of(&name, folder);
            let (data, key_file) = (own.data.clone(), own.key_file.clone());
            let hall = Some(config.common.data.clone());
            DataPlace { data, key_file, config: Some(own), commune: Some(name), hall }
        };
        let mut places: Vec<DataPlace> =
            members(root)?.into_iter().map(|member| of(member.name, &member.folder)).collect();
        let aside = set_aside(&config.common.data, &places);
        if !aside.is_empty() && commune.is_none_or(|wanted| aside.iter().any(|name| name == wanted)) {
            let (names, whose) = (aside.join(", "), if aside.len() == 1 { "ses" } else { "leurs" });
            report::say(format!(
                "avertissement : guichet fermé, commune mise de côté ou dossier absent : {names} ; {whose} demandes sont là, et rien \
                 ne les efface que mulot demandes purger"
            ));
        }
        places.extend(aside.into_iter().map(|name| {
            let folder = root.join(Territoire::COMMUNES).join(&name);
            of(name, &folder)
        }));
        places.sort_by(|one, other| one.commune.cmp(&other.commune));
        let Some(wanted) = commune else { return Ok(Places::All(places)) };
        match places.iter().position(|place| place.commune.as_deref() == Some(wanted)) {
            Some(at) => Ok(Places::One(Box::new(places.swap_remove(at)))),
            None => {
                report::say(format!("erreur : aucune commune du territoire ne s'appelle « {wanted} »"));
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

/// Names of communes whose requests are there, and whose guichet is not opened any more: what they received is still to be copied,
/// read and erased in time. Those whose database is on a server leave nothing to be found by.
fn set_aside(data: &Path, served: &[DataPlace]) -> Vec<String> {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let served: Vec<PathBuf> = served.iter().map(|place| whole(&place.data)).collect();
    let names = crate::fs::folders(data).unwrap_or_default();
    let is_aside = |name: &String| {
        let own = data.join(name);
        Store::is_in(&own) && !served.contains(&whole(&own))
    };
    names.into_iter().filter(is_aside).collect()
}

/// The communes of a territoire that are there.
fn members(root: &Path) -> Result<Vec<load::Member>, Exit> {
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
    Ok(members.into_iter().filter(|member| member.exists).collect())
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
