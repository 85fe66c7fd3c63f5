//! A territoire: what `territoire.toml` says of the communes that share a folder, a server and a technician.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Place};

/// An EPCI, a département or an association that keeps the sites of its communes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Territoire {
    /// Its name, with its article or not: « Communauté de communes de la Dombes ».
    pub nom: String,
    /// Its SIREN (nine digits); empty when blank.
    pub siren: String,
    /// Folder where the sites are built, as written; `None`: beside the territoire's own.
    pub sites: Option<String>,
    /// What is said of some communes, by the name of their folder in `communes/`.
    pub communes: BTreeMap<String, Declared>,
}

/// What a territoire says of one of its communes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Which `[[commune]]` of the file it is, from 0.
    pub rank: usize,
    /// Schemes and hosts of its site without final slash, the main one first.
    pub domaines: Vec<String>,
    /// Whether it is built, published and served.
    pub active: bool,
    /// Where it is said.
    pub place: Place,
    /// What is wrong with it: this commune's trouble, and no other's.
    pub told: Vec<Diagnostic>,
}

impl Territoire {
    /// Folder of the communes, one folder each.
    pub const COMMUNES: &'static str = "communes";

    /// Folder of the contents they share.
    pub const COMMON: &'static str = "commun";

    /// Folder of the theme they share.
    pub const THEME: &'static str = "theme";

    /// Name of the file that describes it.
    pub const FILE: &'static str = "territoire.toml";

    /// Newest shape of `territoire.toml` and of the folder around it that this program knows.
    pub const FORMAT: i64 = 1;

    /// Where a file that all communes share stands in the folder of the territoire; `file` is its path in a commune's.
    pub fn shared(file: &str) -> String {
        let at_root = file == Self::FILE || file.split_once('/').is_some_and(|(first, _)| first == Self::THEME);
        if at_root { file.to_owned() } else { format!("{}/{file}", Self::COMMON) }
    }

    /// Folder of the sites of the territoire in `root`: the one it names, or `NOM-public` beside its own.
    pub fn sites_in(&self, root: &Path) -> PathBuf {
        self.sites.as_ref().map_or_else(|| beside(root, "public"), |written| root.join(written))
    }

    /// Folder of the registers of publication, one folder a commune: beside its own, never in it.
    pub fn publications_in(&self, root: &Path) -> PathBuf {
        beside(root, "publications")
    }

    /// What is said of a commune.
    pub fn declared(&self, commune: &str) -> Option<&Declared> {
        self.communes.get(commune)
    }

    /// Whether a commune is built, published and served: yes unless it is said otherwise.
    pub fn is_active(&self, commune: &str) -> bool {
        self.declared(commune).is_none_or(|declared| declared.active)
    }
}

/// `../pays-public` for `pays`.
fn beside(root: &Path, what: &str) -> PathBuf {
    let name = root.file_name().map_or_else(|| "territoire".into(), |name| name.to_string_lossy());
    root.with_file_name(format!("{name}-{what}"))
}
