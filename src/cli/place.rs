//! Where the data of a guichet and its key are, for the orders that work beside it.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::{Exit, report};
use crate::intake::store::{Access, Base, StoreOptions};
use crate::intake::token::KEY_FILE;
use crate::load::{self, Layers};
use crate::server::base::BASE_PASSWORD_VARIABLE;
use crate::server::config::{GuichetConfig, Secrets};

/// Environment variable of the key file, when no configuration names it.
const KEY_VARIABLE: &str = "MULOT_CLE_FICHIER";
/// Folder where systemd puts the credentials of a service.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// A data folder and its key.
#[derive(Debug, Clone)]
pub(super) struct DataPlace {
    /// The data folder.
    pub(super) data: PathBuf,
    /// The key file, when it is not in that folder.
    pub(super) key_file: Option<PathBuf>,
    /// The configuration, when it was given.
    pub(super) config: Option<GuichetConfig>,
}

impl DataPlace {
    /// The same for a folder that may not be there yet: what is not a configuration is its path.
    pub(super) fn to_fill(path: &Path, order: &str) -> Result<DataPlace, Exit> {
        if path.exists() || path.extension().is_some_and(|extension| extension == "toml") {
            return DataPlace::find(path, order);
        }
        Ok(DataPlace { data: path.to_owned(), key_file: key_file(None), config: None })
    }

    /// How its store is opened beside a guichet that serves.
    pub(super) fn beside(&self) -> StoreOptions {
        let (key_file, base) = (self.key_file.clone(), self.base().cloned());
        StoreOptions { access: Access::Beside, key_file, base, ..StoreOptions::default() }
    }

    /// The database server, when the database is no file of the folder.
    pub(super) fn base(&self) -> Option<&Base> {
        self.config.as_ref()?.base.as_ref()
    }

    /// The place of a data folder, or the one a configuration names; `order` is how to say it again.
    pub(super) fn find(path: &Path, order: &str) -> Result<DataPlace, Exit> {
        if path.is_dir() {
            return Ok(DataPlace { data: path.to_owned(), key_file: key_file(None), config: None });
        }
        // Nothing is sent.
        match GuichetConfig::read(path, Secrets::without_mail(std::env::var(BASE_PASSWORD_VARIABLE).ok())) {
            Ok(config) => Ok(DataPlace {
                data: config.data.clone(),
                key_file: key_file(config.key_file.clone()),
                config: Some(config),
            }),
            Err(diagnostics) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                report::say(report::text(&diagnostics, folder, report::colour(&std::io::stderr())).trim_end());
                report::say(format!(
                    "aide : donnez la configuration du guichet ou son dossier de données : {order} --guichet CHEMIN"
                ));
                Err(Exit::Fault)
            }
        }
    }
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
        let (sources, _) = load::sources(&Layers::of(&config.folder, &load::Shared::default()));
        TimeZone::get(&sources?.commune.fuseau).ok()
    });
    told.or_else(|| TimeZone::get("Europe/Paris").ok()).unwrap_or(TimeZone::UTC)
}
