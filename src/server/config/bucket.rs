//! `[fichiers]`: the bucket that keeps the files of requests, in the words of `[publication]`.

use std::path::Path;

use super::{Secrets, missing, path};
use crate::diagnostic::{Code, Diagnostic};
use crate::intake::files::BucketPlace;
use crate::load::toml_reader::Reader;
use crate::s3::{self, S3Error};

/// Name of the credential of the service (systemd) that holds both, a line each.
pub(super) const CREDENTIAL: &str = "seau";

pub(super) const ADDRESS: &str = "s3";
const KEY: &str = "cle_fichier";

/// The key of the environment of this process, else of its credentials.
pub(super) fn keys_of_service(credentials: Option<&Path>) -> Option<(String, String)> {
    s3::keys_of_environment().or_else(|| s3::read_keys(&credentials?.join(CREDENTIAL)).ok())
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
    if address.starts_with("http://") && !is_this_machine(&address) {
        let message = "ce qui est demandé au seau partirait en clair vers une autre machine".to_owned();
        diagnostics.push(told(Code::BadValue, ADDRESS, message, "écrivez https:// devant l'adresse"));
        return None;
    }
    let keys = match &key_file {
        Some(file) => s3::read_keys(file).map_err(|error| match error {
            S3Error::KeyFile(_) => told(Code::BadValue, KEY, error.to_string(), error.remedy()),
            S3Error::Local(error) => {
                let cause = crate::fs::cause(&error.source);
                let message = format!("le fichier de la clé du seau ne peut pas être lu : {cause}");
                let hint = "vérifiez le chemin et les droits : le compte du guichet doit pouvoir le lire";
                told(Code::Unreadable, KEY, message, hint)
            }
            error => told(Code::BadValue, KEY, error.to_string(), error.remedy()),
        }),
        None => secrets.bucket.clone().ok_or_else(|| {
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

/// Whether an address is of this machine, where nobody listens on the way.
fn is_this_machine(address: &str) -> bool {
    let host = address.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
