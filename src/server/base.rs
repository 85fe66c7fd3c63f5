//! The database server in `guichet.toml`: its address, never its password, which comes from a file or the environment.

use std::path::Path;

use crate::diagnostic::{Code, Diagnostic};
use crate::intake::store::{Base, BaseError};
use crate::load::toml_reader::Reader;

/// Variable that may hold the password of the database.
pub const BASE_PASSWORD_VARIABLE: &str = "MULOT_BASE_MOT_DE_PASSE";

/// The schema of a commune that names none.
const SCHEMA: &str = "guichet";

const KEY: &str = "base";
pub(super) const SCHEMA_KEY: &str = "base_schema";
const PASSWORD_KEY: &str = "base_mot_de_passe_fichier";
const CERTIFICATE_KEY: &str = "base_certificat";

/// Reads the keys of the database; `None` when it is a file of the data folder, or when something is wrong with them.
pub(super) fn base(
    reader: &mut Reader<'_, '_>,
    folder: &Path,
    password: Option<String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Base> {
    let url = reader.text(KEY, diagnostics)?;
    let schema = reader.text(SCHEMA_KEY, diagnostics).unwrap_or_else(|| SCHEMA.to_owned());
    let authority = reader.text(CERTIFICATE_KEY, diagnostics).map(|path| folder.join(path));
    let password = match reader.text(PASSWORD_KEY, diagnostics).map(|path| folder.join(path)) {
        None => password,
        Some(file) => match crate::fs::read(&file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).lines().next().map(str::to_owned),
            Err(error) => {
                let cause = crate::fs::cause(&error.source);
                let message = format!("le fichier du mot de passe de la base ne peut pas être lu : {cause}");
                let hint = "vérifiez le chemin et les droits : le compte du guichet doit pouvoir le lire";
                diagnostics.push(Diagnostic::error(Code::Unreadable, reader.place(PASSWORD_KEY), message).hint(hint));
                return None;
            }
        },
    };
    let password = password.filter(|password| !password.is_empty());
    match Base::new(&url, password, &schema, authority.as_deref()) {
        Ok(base) => Some(base),
        Err(error) => {
            let (code, key, message, hint) = words(error);
            diagnostics.push(Diagnostic::error(code, reader.place(key), message).hint(hint));
            None
        }
    }
}

/// What is wrong with an address, and what to do; never the address itself, which may hold a password.
fn words(error: BaseError) -> (Code, &'static str, String, String) {
    let example = "écrivez base = \"postgresql://compte@machine/base\"";
    match error {
        BaseError::Url(reason) => {
            (Code::BadValue, KEY, format!("l'adresse de la base n'est pas comprise ({reason})"), example.to_owned())
        }
        BaseError::Password => (
            Code::BadValue,
            KEY,
            "le mot de passe est écrit dans l'adresse de la base".to_owned(),
            format!(
                "retirez-le de ce fichier ; donnez-le dans la variable {BASE_PASSWORD_VARIABLE} ou par {PASSWORD_KEY}"
            ),
        ),
        BaseError::Incomplete(part) => {
            let part = match part {
                "user" => "de compte",
                "host" => "de machine",
                _ => "de base",
            };
            (Code::BadValue, KEY, format!("l'adresse de la base ne donne pas {part}"), example.to_owned())
        }
        BaseError::Clear => (
            Code::BadValue,
            KEY,
            "les demandes partiraient en clair vers une autre machine".to_owned(),
            "retirez sslmode=disable : le chiffrement est alors exigé ; sans lui, la base doit être sur cette machine"
                .to_owned(),
        ),
        BaseError::Schema(name) => (
            Code::BadValue,
            SCHEMA_KEY,
            format!("« {name} » ne convient pas comme nom de schéma"),
            "des minuscules sans accent, des chiffres et _, par exemple commune_01299".to_owned(),
        ),
        BaseError::Certificate { path, reason } => (
            Code::Unreadable,
            CERTIFICATE_KEY,
            format!("le certificat « {} » ne peut pas être utilisé : {reason}", path.display()),
            "donnez le certificat PEM de l'autorité qui a signé celui du serveur PostgreSQL".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{GuichetConfig, Secrets};
    use super::*;

    const REST: &str = "dossier = \"c\"\ndonnees = \"d\"\n";
    const MAIL: &str = "[courriel]\ntransport = \"dossier\"\ndossier = \"b\"\n";

    fn read(lines: &str, password: Option<&str>) -> Result<Option<Base>, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "du fichier\n").unwrap();
        std::fs::write(dir.path().join("guichet.toml"), format!("{REST}{lines}{MAIL}")).unwrap();
        let secrets = Secrets::without_mail(password.map(str::to_owned));
        GuichetConfig::read(&dir.path().join("guichet.toml"), secrets)
            .map(|config| config.base)
            .map_err(|told| told.into_iter().map(|one| format!("{} {}", one.place, one.message)).collect())
    }

    #[test]
    fn a_database_server_can_be_said_and_its_password_never_is() {
        assert!(read("", None).unwrap().is_none(), "a file unless asked");
        let base = read("base = \"postgresql://mulot@localhost/mairie\"\n", Some("secret")).unwrap().unwrap();
        assert_eq!((base.name(), base.schema()), ("postgresql://mulot@localhost/mairie", "guichet"));
        let all = "base = \"postgresql://mulot@base.exemple.fr/m\"\nbase_schema = \"commune_01299\"\n\
                   base_mot_de_passe_fichier = \"secret\"\n";
        let base = read(all, None).unwrap().unwrap();
        assert_eq!(base.schema(), "commune_01299");
        assert!(!format!("{base:?}").contains("fichier"));
    }

    #[test]
    fn every_mistake_names_its_line_and_no_secret() {
        for (lines, expected) in [
            ("base = \"postgresql://m:secret@localhost/m\"\n", "guichet.toml:3:8 le mot de passe est écrit"),
            ("base = \"mysql://m@localhost/m\"\n", "n'est pas comprise"),
            ("base = \"postgresql://m@ailleurs.fr/m?sslmode=disable\"\n", "partiraient en clair"),
            ("base = \"postgresql://localhost/m\"\n", "ne donne pas de compte"),
            ("base = \"postgresql://m@localhost/m\"\nbase_schema = \"Mairie\"\n", "guichet.toml:4:15 « Mairie »"),
            ("base = \"postgresql://m@localhost/m\"\nbase_mot_de_passe_fichier = \"absent\"\n", "ne peut pas être lu"),
            ("base = \"postgresql://m@ailleurs.fr/m\"\nbase_certificat = \"secret\"\n", "ne peut pas être utilisé"),
        ] {
            let told = read(lines, None).unwrap_err().join("\n");
            assert!(told.contains(expected) && !told.contains("m:secret"), "{expected}\n{told}");
        }
    }
}
