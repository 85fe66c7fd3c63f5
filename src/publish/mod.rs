//! Sends a site that was built to where visitors read it, so that no visitor ever sees half of it, and puts the previous one back.
//!
//! Two ways. Where a whole folder can take the place of another (a folder of this machine; another machine with a shell and
//! rsync), the new version is prepared beside the old one and shown in one step. Where files can only go one by one (SFTP,
//! buckets), they go in an order that never breaks a link, and what they replace is kept first. Either way a run that was killed
//! is simply run again. This module knows nothing of communes: a folder, a target, an hour.

mod attempt;
mod books;
mod bucket;
mod error;
mod folder;
mod ordered;
mod register;
mod sftp;
mod shell;
mod ssh;
mod tree;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use attempt::{Attempt, dated_ahead, is_ahead, keep_attempt, last_attempt};
pub use error::PublishError;
pub use register::{Document, Entry, REGISTER, broken_at};

use crate::fs::{self, FsError};
use crate::model::publication::{Changes, Manifest, Target, Version};
use crate::s3::HalfKey;
use books::History;
use tree::Tree;

type Result<T> = std::result::Result<T, PublishError>;

/// How long a run waits for another of this machine, which may be one that was killed and whose last file is still on its way.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked.
#[derive(Debug)]
pub struct Order<'a> {
    /// The site that was built.
    pub site: &'a Path,
    /// Folder of this machine where the register and the state of publications are, beside the site.
    pub state: &'a Path,
    /// Where it goes; relative paths of this machine already resolved.
    pub target: &'a Target,
    /// Identifier and secret that the environment gives, for a bucket.
    pub keys: std::result::Result<Option<(String, String)>, HalfKey>,
    /// Whether to take the place of a publication that was interrupted on another machine.
    pub take_over: bool,
    /// The hour of publication.
    pub now: Timestamp,
}

/// What was published, or would be.
#[derive(Debug)]
pub struct Done {
    /// What is served from now on.
    pub version: Version,
    /// What was served before.
    pub before: Option<Version>,
    /// Files of the version.
    pub files: usize,
    /// What it changes for visitors.
    pub changes: Changes,
}

/// What stands at a target.
#[derive(Debug, Default)]
struct Standing {
    history: History,
    /// What the version served holds.
    manifest: Manifest,
    /// Whether a publication was interrupted: what stands is then between two versions.
    unfinished: bool,
}

/// A place a site is published at.
trait Host {
    /// What stands there.
    fn standing(&mut self) -> Result<Standing>;
    /// What a kept version holds.
    fn manifest_of(&mut self, version: &Version) -> Result<Manifest>;
    /// Shows a site.
    fn send(&mut self, tree: &Tree, standing: &mut Standing, now: Timestamp) -> Result<()>;
    /// Shows a version that is kept.
    fn go_back(&mut self, standing: &mut Standing, to: &Version, manifest: &Manifest) -> Result<()>;
}

/// Whether something will be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Look,
    Change,
}

fn open(order: &Order<'_>, access: Access, local: Option<&Local>) -> Result<Box<dyn Host>> {
    let name = local.map(|local| local.name.clone()).unwrap_or_default();
    Ok(match order.target {
        Target::Folder(target) => Box::new(folder::Folder::open(target, order, access)?),
        Target::S3(target) => Box::new(ordered::Ordered::open(
            bucket::Shelves::open(target, order)?,
            target.versions,
            order,
            access,
            &name,
        )?),
        Target::Ssh(target) => ssh::open(target, order, access, local)?,
    })
}

/// What publishing would change; nothing is touched.
///
/// # Errors
/// [`PublishError`].
pub fn preview(order: &Order<'_>) -> Result<Done> {
    let tree = Tree::read(order.site)?;
    let standing = open(order, Access::Look, None)?.standing()?;
    let changes = Changes::between(&standing.manifest, &tree.manifest);
    let version = Version { version: tree.version, at: order.now };
    Ok(Done { version, before: standing.history.live().cloned(), files: tree.manifest.files.len(), changes })
}

/// Publishes a site, and writes it down in the register.
///
/// # Errors
/// [`PublishError`]; visitors then see the version that stood there, or the new one, whole.
pub fn send(order: &Order<'_>) -> Result<Done> {
    attempt::kept(order.state, order.now, sent(order))
}

fn sent(order: &Order<'_>) -> Result<Done> {
    let local = Local::take(order.state)?;
    let tree = Tree::freeze(order.site, &local.frozen())?;
    let mut host = open(order, Access::Change, Some(&local))?;
    let mut standing = host.standing()?;
    let before = standing.history.live().cloned();
    let changes = Changes::between(&standing.manifest, &tree.manifest);
    let same = before.as_ref().is_some_and(|before| before.version == tree.version);
    let old = std::mem::take(&mut standing.manifest);
    if !same || standing.unfinished {
        standing.manifest = old.clone();
        host.send(&tree, &mut standing, order.now)?;
    }
    let version = standing.history.live().cloned().unwrap_or(Version { version: tree.version.clone(), at: order.now });
    let told = register::Told {
        action: "publication",
        place: order.target.place(),
        version: &version,
        before: before.as_ref().filter(|before| before.version != version.version),
        old: &old,
        new: &tree.manifest,
        changes: &changes,
    };
    register::add(order.state, &told)?;
    fs::remove(&local.frozen())?;
    Ok(Done { version, before, files: tree.manifest.files.len(), changes })
}

/// Puts the previous version back, and writes it down in the register.
///
/// # Errors
/// [`PublishError`]; visitors then see one of the two versions, whole.
pub fn go_back(order: &Order<'_>) -> Result<Done> {
    attempt::kept(order.state, order.now, gone_back(order))
}

fn gone_back(order: &Order<'_>) -> Result<Done> {
    let local = Local::take(order.state)?;
    let mut host = open(order, Access::Change, Some(&local))?;
    let mut standing = host.standing()?;
    let nothing = || PublishError::NothingBefore { place: order.target.place() };
    let before = standing.history.live().cloned();
    let to = standing.history.previous().cloned().ok_or_else(nothing)?;
    let manifest = host.manifest_of(&to)?;
    let changes = Changes::between(&standing.manifest, &manifest);
    let old = standing.manifest.clone();
    host.go_back(&mut standing, &to, &manifest)?;
    let version = Version { version: to.version, at: order.now };
    let told = register::Told {
        action: "retour",
        place: order.target.place(),
        version: &version,
        before: before.as_ref(),
        old: &old,
        new: &manifest,
        changes: &changes,
    };
    register::add(order.state, &told)?;
    Ok(Done { version: Version { at: to.at, ..version }, before, files: manifest.files.len(), changes })
}

/// `../saint-mulot-publications` for `saint-mulot`: the register and the state, beside the folder and never in it.
pub fn state_beside(folder: &Path) -> PathBuf {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().map_or_else(|| "site".into(), |name| name.to_string_lossy().into_owned());
    folder.with_file_name(format!("{name}-publications"))
}

/// The turn of an order that builds and publishes: two of them would build in the same folder. Given back when dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
}

/// Takes the turn of the site whose state is kept in a folder, after waiting a little for another order to end.
///
/// # Errors
/// [`PublishError::Running`] when it does not end; [`PublishError::Fs`].
pub fn take_turn(state: &Path) -> Result<Turn> {
    fs::create_dir(state)?;
    Ok(Turn { _lock: held(&state.join("tour"))? })
}

/// A lock of this machine, once whoever has it lets it go.
fn held(path: &Path) -> Result<File> {
    let failed = |source| FsError { action: "écrire", path: path.to_owned(), source };
    let lock = File::options().create(true).append(true).open(path).map_err(failed)?;
    let until = Instant::now() + PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::WouldBlock) => return Err(PublishError::Running),
            Err(TryLockError::Error(source)) => return Err(failed(source).into()),
        }
    }
}

/// What is kept on this machine of publications: one run at a time, and the name by which targets know this machine.
struct Local {
    folder: PathBuf,
    lock: File,
    name: String,
}

impl Local {
    /// Makes the folder, and waits a little for another run to end.
    fn take(folder: &Path) -> Result<Local> {
        fs::create_dir(folder)?;
        let lock = held(&folder.join("verrou"))?;
        let name = name_of(folder)?;
        Ok(Local { folder: folder.to_owned(), lock, name })
    }

    /// Where the site to send is frozen.
    fn frozen(&self) -> PathBuf {
        self.folder.join("envoi")
    }
}

/// The name of this machine for targets: drawn once, and nothing of it says whose it is.
fn name_of(folder: &Path) -> Result<String> {
    let path = folder.join("machine");
    if let Ok(text) = std::fs::read_to_string(&path)
        && text.trim().len() == 32
    {
        return Ok(text.trim().to_owned());
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| FsError {
        action: "lire",
        path: "/dev/urandom".into(),
        source: std::io::ErrorKind::Other.into(),
    })?;
    let name = data_encoding::HEXLOWER.encode(&bytes);
    fs::write_atomic(&path, name.as_bytes())?;
    Ok(name)
}
