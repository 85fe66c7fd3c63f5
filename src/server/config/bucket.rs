//! `[fichiers]`: the bucket that keeps the files of requests, in the words of `[publication]`.

use std::path::Path;

use super::{Secrets, missing, path};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::intake::files::BucketPlace;
use crate::load::toml_reader::Reader;
use crate::s3::{self, S3Error};
use crate::server::host;

/// Name of the credential of the service (systemd) that holds both, a line each.
pub(super) const CREDENTIAL: &str = "seau";

pub(super) const ADDRESS: &str = "s3";
const KEY: &str = "cle_fichier";

/// Why the key that a service was given cannot be used: what it is, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyFault {
    code: Code,
    message: String,
    hint: &'static str,
}

/// The key of the environment of this process, else of its credentials; `None` when neither says anything.
pub(super) fn keys_of_service(credentials: Option<&Path>) -> Result<Option<(String, String)>, KeyFault> {
    let variable = |name: &str| std::env::var(name).ok();
    keys_among(variable, credentials)
}

/// The same, of these variables.
pub(super) fn keys_among(
    variable: impl Fn(&str) -> Option<String>,
    credentials: Option<&Path>,
) -> Result<Option<(String, String)>, KeyFault> {
    let given = s3::keys_among(variable);
    if let Ok(Some(keys)) = given {
        return Ok(Some(keys));
    }
    let credential = credentials.map(|folder| folder.join(CREDENTIAL)).filter(|file| file.exists());
    match (credential, given) {
        (Some(file), _) => s3::read_keys(&file).map(Some).map_err(|error| key_fault(&error)),
        (None, Err(half)) => Err(KeyFault {
            code: Code::MissingKey,
            message: half.to_string(),
            hint: "donnez les deux variables, ou aucune des deux et cle_fichier",
        }),
        (None, Ok(none)) => Ok(none),
    }
}

/// What is said of a file of keys that cannot be used.
fn key_fault(error: &S3Error) -> KeyFault {
    match error {
        S3Error::Local(error) => KeyFault {
            code: Code::Unreadable,
            message: format!(
                "le fichier de la clé du seau, « {} », ne peut pas être lu : {}",
                error.path.display(),
                crate::fs::cause(&error.source)
            ),
            hint: "vérifiez le chemin et les droits : le compte du guichet doit pouvoir le lire",
        },
        error => KeyFault { code: Code::BadValue, message: error.to_string(), hint: error.remedy() },
    }
}

/// The bucket; `None` when something is wrong with it.
pub(super) fn bucket(
    table: &mut Reader<'_, '_>,
    base: &Path,
    secrets: &Secrets,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<BucketPlace> {
    let address = table.text(ADDRESS, diagnostics);
    let region = table.text("region", diagnostics).unwrap_or_else(|| "us-east-1".to_owned());
    let key_file = path(table, KEY, base, diagnostics);
    let address = address
        .or_else(|| missing(table, ADDRESS, "le seau, par exemple \"https://hôte/seau/prefixe\"", diagnostics))?;
    let told = |code, key, message: String, hint: &str| Diagnostic::error(code, table.place(key), message).hint(hint);
    if address.contains('@') {
        // Without its line: it would be shown, and this is read by journals.
        let place = Place::file(table.place(ADDRESS).file);
        let message = "l'adresse du seau contient une clé, que chacun y lirait".to_owned();
        let hint = "écrivez s3 = \"https://hôte/seau\", la clé dans cle_fichier, et changez cette clé chez l'hébergeur";
        diagnostics.push(Diagnostic::error(Code::BadValue, place, message).hint(hint));
        return None;
    }
    if address.starts_with("http://") && !host::of_url(&address).is_some_and(|host| host::is_this_machine(&host)) {
        let message = "ce qui est demandé au seau partirait en clair vers une autre machine".to_owned();
        diagnostics.push(told(Code::BadValue, ADDRESS, message, "écrivez https:// devant l'adresse"));
        return None;
    }
    let keys = match &key_file {
        Some(file) => s3::read_keys(file).map_err(|error| {
            let KeyFault { code, message, hint } = key_fault(&error);
            told(code, KEY, message, hint)
        }),
        None => secrets.bucket.clone().ok_or_else(|| {
            if let Some(KeyFault { code, message, hint }) = secrets.bucket_fault.clone() {
                return told(code, ADDRESS, message, hint);
            }
            let hint = "donnez-la par cle_fichier (deux lignes : l'identifiant, puis la clé secrète), ou par les variables \
                        MULOT_S3_CLE_ID et MULOT_S3_CLE_SECRETE";
            told(Code::MissingKey, KEY, "la clé du seau manque".to_owned(), hint)
        }),
    };
    match keys.map(|keys| BucketPlace::new(&address, region, keys)) {
        Ok(Ok(bucket)) => Some(bucket),
        Ok(Err(_)) => {
            let message = format!("« {address} » n'est pas l'adresse d'un seau");
            let hint = "écrivez s3 = \"https://hôte/seau\" ou \"https://hôte/seau/prefixe\", sans clé dedans";
            diagnostics.push(told(Code::BadValue, ADDRESS, message, hint));
            None
        }
        Err(wrong) => {
            diagnostics.push(wrong);
            None
        }
    }
}
