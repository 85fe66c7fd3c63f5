//! Where a site is published, as its `[publication]` table says it; and what it is to publish, as plain data.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What stands for the name of a commune's folder in a territoire's target.
pub const COMMUNE: &str = "{commune}";

/// Where a site goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A folder of this machine.
    Folder(FolderTarget),
    /// A folder of another machine, over SSH.
    Ssh(SshTarget),
    /// A bucket that speaks S3.
    S3(S3Target),
}

/// A folder of this machine, which a web server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderTarget {
    /// The folder served.
    pub path: PathBuf,
    /// Versions kept for going back, the one served included; at least one.
    pub versions: usize,
}

/// A folder of another machine. What is not said here is said by the user's own configuration of SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshTarget {
    /// `web@serveur.exemple`, as `ssh` takes it.
    pub host: String,
    /// The folder served: absolute, or below the home of that account.
    pub path: String,
    /// Port, when it is not the one of the configuration.
    pub port: Option<u16>,
    /// Private key, when it is not one of the user's or the agent's.
    pub key_file: Option<PathBuf>,
    /// File of known hosts, when it is not the user's.
    pub known_hosts: Option<PathBuf>,
    /// Whether a real folder that stands there may be filled file by file, in an order that never breaks a link.
    pub ordered: bool,
    /// Versions kept for going back, the one served included; at least one.
    pub versions: usize,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Target {
    /// `https://s3.fr-par.scw.cloud/mon-seau/prefixe`.
    pub address: String,
    /// `fr-par`.
    pub region: String,
    /// File of two lines, identifier and secret; the environment's when absent.
    pub key_file: Option<PathBuf>,
    /// Whether each file is marked as public (`x-amz-acl: public-read`); else the bucket's own policy says it.
    pub public: bool,
    /// Versions kept for going back, the one served included; at least one.
    pub versions: usize,
}

impl Target {
    /// Versions kept for going back, the one served included.
    pub fn versions(&self) -> usize {
        match self {
            Target::Folder(target) => target.versions,
            Target::Ssh(target) => target.versions,
            Target::S3(target) => target.versions,
        }
    }

    /// Where it is, for sentences and for the register: no key, no secret.
    pub fn place(&self) -> String {
        match self {
            Target::Folder(target) => target.path.display().to_string(),
            Target::Ssh(target) => format!("{}:{}", target.host, target.path),
            Target::S3(target) => target.address.clone(),
        }
    }

    /// The same for one commune of a territoire: `{commune}` becomes the name of its folder.
    #[must_use]
    pub fn for_commune(&self, name: &str) -> Target {
        let fill = |text: &str| text.replace(COMMUNE, name);
        let path = |path: &Path| PathBuf::from(fill(&path.to_string_lossy()));
        match self.clone() {
            Target::Folder(target) => Target::Folder(FolderTarget { path: path(&target.path), ..target }),
            Target::Ssh(target) => Target::Ssh(SshTarget {
                host: fill(&target.host),
                path: fill(&target.path),
                key_file: target.key_file.as_deref().map(path),
                ..target
            }),
            Target::S3(target) => Target::S3(S3Target {
                address: fill(&target.address),
                key_file: target.key_file.as_deref().map(path),
                ..target
            }),
        }
    }

    /// Whether each commune has a place of its own in it: without `{commune}`, all would write over one another.
    pub fn names_commune(&self) -> bool {
        self.place().contains(COMMUNE)
    }

    /// The same, paths of this machine taken from `base` when they are relative.
    #[must_use]
    pub fn based_on(&self, base: &Path) -> Target {
        let from = |path: &Path| folded(&base.join(path));
        match self.clone() {
            Target::Folder(target) => Target::Folder(FolderTarget { path: from(&target.path), ..target }),
            Target::Ssh(target) => Target::Ssh(SshTarget {
                key_file: target.key_file.as_deref().map(from),
                known_hosts: target.known_hosts.as_deref().map(from),
                ..target
            }),
            Target::S3(target) => Target::S3(S3Target { key_file: target.key_file.as_deref().map(from), ..target }),
        }
    }
}

/// `/a/../b` as `/b`.
fn folded(path: &Path) -> PathBuf {
    let mut folded = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if folded.file_name().is_some() => drop(folded.pop()),
            part => folded.push(part),
        }
    }
    folded
}

/// One file of a published site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// BLAKE3 of its bytes, 64 hexadecimal figures.
    #[serde(rename = "empreinte")]
    pub hash: String,
    /// Bytes.
    #[serde(rename = "octets")]
    pub size: u64,
}

/// All files of a version of a site, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Path relative to the site's root → what it holds.
    #[serde(rename = "fichiers")]
    pub files: BTreeMap<String, Fingerprint>,
}

/// A version of a site that stands, or stood, at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// First sixteen figures of the BLAKE3 of its manifest: the same files give the same version.
    pub version: String,
    /// When it was published.
    #[serde(rename = "publie_le")]
    pub at: Timestamp,
}

/// What publishing a version changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Paths that did not exist.
    pub added: Vec<String>,
    /// Paths that hold something else.
    pub changed: Vec<String>,
    /// Paths that exist no more.
    pub removed: Vec<String>,
    /// Bytes of what is added or changed.
    pub bytes: u64,
}

impl Changes {
    /// What leads from one version to another.
    pub fn between(old: &Manifest, new: &Manifest) -> Changes {
        let mut changes = Changes::default();
        for (path, file) in &new.files {
            match old.files.get(path) {
                Some(there) if there.hash == file.hash => continue,
                Some(_) => changes.changed.push(path.clone()),
                None => changes.added.push(path.clone()),
            }
            changes.bytes += file.size;
        }
        changes.removed = old.files.keys().filter(|path| !new.files.contains_key(*path)).cloned().collect();
        changes
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// In which order a file reaches visitors when files go one by one: no page may name a file that is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// New styles, pictures, documents, feeds: nothing names them yet.
    NewFile,
    /// New pages: only pages that come later lead to them.
    NewPage,
    /// Files of a name that stays.
    File,
    /// Pages of an address that stays.
    Page,
    /// What machines read: feeds, calendars, the map of the site.
    Feed,
    /// The home page, which leads to all of it.
    Home,
}

impl Turn {
    /// The turn of a path; `is_new` when nothing stands there.
    pub fn of(path: &str, is_new: bool) -> Turn {
        let page = path.ends_with(".html");
        let feed = [".xml", ".atom", ".ics", ".json", ".txt", ".webmanifest"].iter().any(|end| path.ends_with(end));
        match (path, is_new) {
            ("index.html", _) => Turn::Home,
            (_, true) if page => Turn::NewPage,
            (_, false) if page => Turn::Page,
            (_, true) => Turn::NewFile,
            _ if feed => Turn::Feed,
            (_, false) => Turn::File,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_of_a_territoire_becomes_one_of_a_commune() {
        let target = Target::Ssh(SshTarget {
            host: "web@{commune}.exemple.fr".into(),
            path: "/srv/{commune}/www".into(),
            port: None,
            key_file: Some("cles/{commune}".into()),
            known_hosts: None,
            ordered: false,
            versions: 3,
        });
        assert!(target.names_commune());
        let one = target.for_commune("saint-mulot").based_on(Path::new("/territoire"));
        assert_eq!(one.place(), "web@saint-mulot.exemple.fr:/srv/saint-mulot/www");
        let Target::Ssh(ssh) = one else { panic!("another kind") };
        assert_eq!(ssh.key_file.as_deref(), Some(Path::new("/territoire/cles/saint-mulot")));
    }

    #[test]
    fn files_reach_visitors_before_the_pages_that_name_them() {
        let mut paths = [
            ("index.html", false),
            ("sitemap.xml", false),
            ("actualites/index.html", false),
            ("medias/plan.pdf", false),
            ("actualites/fete/index.html", true),
            ("assets/style-1.css", true),
        ];
        paths.reverse();
        paths.sort_by_key(|(path, is_new)| Turn::of(path, *is_new));
        let order: Vec<_> = paths.iter().map(|(path, _)| *path).collect();
        assert_eq!(
            order,
            [
                "assets/style-1.css",
                "actualites/fete/index.html",
                "medias/plan.pdf",
                "actualites/index.html",
                "sitemap.xml",
                "index.html"
            ]
        );
    }
}
