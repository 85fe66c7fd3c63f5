//! The preview's workshop: builds the folder again whenever it may have changed, and keeps what is shown meanwhile.
//!
//! 1. any event of the folder, and midnight, is a reason to build: events are hints, the folder is the truth;
//! 2. a good build is shown at once, whole; a broken one leaves the last good site standing, and says what is wrong;
//! 3. whoever reads never waits for a build: what is shown is exchanged in one go.
//!
//! The one door to the file watcher.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use notify_debouncer_full::notify::event::{AccessKind, AccessMode};
use notify_debouncer_full::notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::watch;

use super::desk::DeskContent;
use super::letterbox;
use crate::diagnostic::{Diagnostic, Severity};
use crate::load::{self, Territoire};
use crate::model::output::{Artifact, Output, Pictures};
use crate::model::site::FileData;
use crate::model::territoire::Territoire as TerritoireModel;
use crate::pipeline::{Base, BuildRequest, Built, build_in_memory};
use crate::render::guichet::Pages;
use crate::render::{Options, PreviewInfo, Theme};
use crate::text::numbers::plural;

/// Address of the letterbox.
pub(super) const LETTERBOX_URL: &str = "/__mulot/boite";
/// Address of the diagnostics.
pub const DIAGNOSTICS_URL: &str = "/__mulot/diagnostics";
/// Events closer than this make one build.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// What a workshop works on.
pub(super) struct Workshop {
    /// The commune's folder.
    pub(super) folder: PathBuf,
    /// The layers below.
    pub(super) base: Arc<Base>,
    /// Where pictures are made ready.
    pub(super) pictures: Arc<dyn Pictures + Send + Sync>,
    /// « Mulot 0.1.0 ».
    pub(super) generator: String,
    /// Where mails land.
    pub(super) letterbox: PathBuf,
    /// The instant to build for, when it is not now.
    pub(super) now: Option<Timestamp>,
}

/// What is wrong, with the lines of the file around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) diagnostic: Diagnostic,
    /// Number and text of each line.
    pub(super) excerpt: Vec<(usize, String)>,
}

/// What is shown, whole.
#[derive(Clone)]
pub(super) struct Shown {
    /// Every file of the last good site; empty when there never was one.
    pub(super) output: Arc<Output>,
    /// Theme of the tools' pages.
    pub(super) theme: Option<Theme>,
    /// « Saint-Mulot-des-Champs », or the folder's name.
    pub(super) title: String,
    /// Of the last build, good or not.
    pub(super) told: Vec<Told>,
    /// Whether the last build failed.
    pub(super) is_broken: bool,
    /// Whether there is a site to show.
    pub(super) has_site: bool,
    /// Changes whenever anything of this does.
    pub(super) version: u64,
    prints: BTreeMap<String, (u64, Option<std::time::SystemTime>)>,
    good: Arc<Output>,
}

impl Shown {
    /// « 2 erreurs, 1 avertissement »; `None` when there is nothing to say.
    pub(super) fn summary(&self) -> Option<String> {
        summary(self.told.iter().map(|told| &told.diagnostic))
    }
}

/// What a build did, for the terminal.
#[derive(Debug, Clone)]
pub struct BuildReport {
    /// All there is to say.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether the site shown is this one; otherwise the last good one stays.
    pub is_good: bool,
    /// Files of the site shown.
    pub files: usize,
    /// How long it took.
    pub took: Duration,
}

/// What is shown now, and to whom it is told when that changes.
pub(super) struct Board {
    shown: RwLock<Arc<Shown>>,
    version: watch::Sender<u64>,
}

impl Board {
    pub(super) fn new(shown: Shown) -> Self {
        let version = watch::Sender::new(shown.version);
        Board { shown: RwLock::new(Arc::new(shown)), version }
    }

    pub(super) fn shown(&self) -> Arc<Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Told at each change.
    pub(super) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn show(&self, shown: Shown) {
        let version = shown.version;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
        self.version.send_replace(version);
    }
}

impl Workshop {
    /// Builds once; `before` is what was shown until now.
    pub(super) fn build(&self, before: Option<&Shown>) -> (Shown, Option<DeskContent>, BuildReport) {
        let begun = Instant::now();
        let mut said = before.and_then(Shown::summary);
        let (mut output, mut built) = self.attempt(said.clone());
        if built.is_good() && summary(built.diagnostics.iter()) != said {
            // Pages say how many warnings there are, which only the build tells.
            said = summary(built.diagnostics.iter());
            (output, built) = self.attempt(said);
        }
        let is_good = built.is_good();
        let name = built.site.as_ref().map(|site| site.commune.names.nom.clone());
        let desk = self.desk(&mut built);
        let report = |shown: &Shown| BuildReport {
            diagnostics: shown.told.iter().map(|told| told.diagnostic.clone()).collect(),
            is_good,
            files: shown.output.files.len(),
            took: begun.elapsed(),
        };
        let shown = Shown { title: name.unwrap_or(self.title(before)), ..self.shown(output, &built, is_good, before) };
        let report = report(&shown);
        (shown, desk, report)
    }

    fn options(&self, said: Option<String>) -> Options {
        Options {
            preview: Some(PreviewInfo {
                letterbox_url: LETTERBOX_URL.into(),
                letters: letterbox::count(&self.letterbox),
                diagnostics_url: DIAGNOSTICS_URL.into(),
                diagnostics: said,
                script_url: None,
            }),
            generator: self.generator.clone(),
        }
    }

    fn attempt(&self, said: Option<String>) -> (Output, Built) {
        build_in_memory(&BuildRequest {
            folder: &self.folder,
            base: &self.base,
            territoire: None,
            pictures: &*self.pictures,
            now: self.now.unwrap_or_else(Timestamp::now),
            options: self.options(said),
        })
    }

    /// The guichet of a good build.
    fn desk(&self, built: &mut Built) -> Option<DeskContent> {
        if !built.is_good() {
            return None;
        }
        let (site, theme) = (built.site.take()?, built.theme.as_ref()?);
        let options = Options { preview: self.options(None).preview, generator: self.generator.clone() };
        let (pages, told) = Pages::new(&site, theme, &*self.pictures, &options);
        built.diagnostics.extend(told);
        crate::diagnostic::sort(&mut built.diagnostics);
        Some(DeskContent::new(local_guichet(site), pages))
    }

    /// What to show after a build: all of it when it is good; else what stood before, with a word about it.
    fn shown(&self, output: Output, built: &Built, is_good: bool, before: Option<&Shown>) -> Shown {
        let is_broken = !is_good;
        let told = self.told(&built.diagnostics);
        let fallback = || self.base.plain_theme();
        let theme = built.theme.clone().or_else(|| before.and_then(|before| before.theme.clone())).or_else(fallback);
        let good = match before {
            Some(before) if is_broken => before.good.clone(),
            _ if is_broken => Arc::default(),
            _ => Arc::new(output),
        };
        let has_site = !good.files.is_empty();
        let output = if is_broken && has_site { Arc::new(with_banner(&good, &told)) } else { good.clone() };
        let mut shown = Shown {
            prints: prints(&good),
            output,
            theme,
            title: String::new(),
            told,
            is_broken,
            has_site,
            version: before.map_or_else(first_version, |before| before.version),
            good,
        };
        if before.is_some_and(|before| differs(before, &shown)) {
            shown.version += 1;
        }
        shown
    }

    fn title(&self, before: Option<&Shown>) -> String {
        before.map_or_else(|| folder_name(&self.folder), |before| before.title.clone())
    }

    /// Diagnostics, errors first, each with the lines around it.
    fn told(&self, diagnostics: &[Diagnostic]) -> Vec<Told> {
        let mut told: Vec<Told> = diagnostics
            .iter()
            .map(|diagnostic| Told { excerpt: self.excerpt(diagnostic), diagnostic: diagnostic.clone() })
            .collect();
        told.sort_by_key(|told| told.diagnostic.severity);
        told
    }

    fn excerpt(&self, diagnostic: &Diagnostic) -> Vec<(usize, String)> {
        let line = diagnostic.place.line as usize;
        let file = &diagnostic.place.file;
        let catalogued = || self.base.catalogue.bytes(file).map(|bytes| bytes.to_vec());
        let Some((_, text)) = load::source_of(&self.folder, file, catalogued).filter(|_| line > 0) else {
            return Vec::new();
        };
        let first = line.saturating_sub(2).max(1);
        text.lines()
            .enumerate()
            .skip(first - 1)
            .take(line + 2 - first)
            .map(|(at, text)| (at + 1, text.to_owned()))
            .collect()
    }
}

/// A guichet that is elsewhere in production is here in the preview.
fn local_guichet(mut site: crate::model::site::Site) -> crate::model::site::Site {
    site.commune.guichet.adresse.clear();
    site
}

/// Builds in a thread of its own until the sender of `nudges` goes. Of each build the guichet opens first, then its pages are
/// shown, then `told` hears of it: who is told that a commune is built finds it.
pub(super) fn run(
    workshop: &Workshop,
    board: &Board,
    nudges: &mpsc::Receiver<()>,
    mut open: impl FnMut(Option<DeskContent>),
    mut told: impl FnMut(BuildReport),
) {
    loop {
        let waited = match workshop.now {
            Some(_) => nudges.recv().map_err(|_| RecvTimeoutError::Disconnected),
            None => nudges.recv_timeout(until_midnight(Timestamp::now())),
        };
        match waited {
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(()) | Err(RecvTimeoutError::Timeout) => while nudges.try_recv().is_ok() {},
        }
        let before = board.shown();
        let built = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| workshop.build(Some(&before))));
        match built {
            Ok((shown, desk, report)) => {
                open(desk);
                if shown.version != before.version {
                    board.show(shown);
                }
                told(report);
            }
            Err(_) => tracing::error!(event = "build.panic", "a build panicked; the last good site stays"),
        }
    }
}

/// Watches the folders; dropping it ends the workshop's thread.
pub(super) struct Watcher {
    _debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
}

/// Nudges the workshop whenever something under its folders may have changed.
pub(super) fn watch(
    workshop: &Workshop,
    nudge: mpsc::Sender<()>,
) -> Result<Watcher, notify_debouncer_full::notify::Error> {
    let on_events = move |events: DebounceEventResult| {
        // Errors (an overflow, a folder gone) are a reason to look as good as any.
        let idle =
            events.is_ok_and(|events| events.iter().all(|event| is_reading(&event.kind) || is_hidden(&event.paths)));
        if !idle {
            // The workshop may have ended.
            let _ = nudge.send(());
        }
    };
    let mut debouncer = new_debouncer(DEBOUNCE, None, on_events)?;
    debouncer.watch(&workshop.folder, RecursiveMode::Recursive)?;
    debouncer.watch(&workshop.letterbox, RecursiveMode::NonRecursive)?;
    if let Some(root) = Territoire::above(&workshop.folder) {
        // Not the other communes: their folders are theirs.
        debouncer.watch(&root, RecursiveMode::NonRecursive)?;
        for shared in [TerritoireModel::COMMON, TerritoireModel::THEME]
            .map(|name| root.join(name))
            .into_iter()
            .filter(|shared| shared.is_dir())
        {
            debouncer.watch(&shared, RecursiveMode::Recursive)?;
        }
    }
    Ok(Watcher { _debouncer: debouncer })
}

/// Reading a file is an event too; taking it for a change would have the site built for ever.
fn is_reading(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write))
}

/// Names that the build ignores: `.git`, drafts of editors.
fn is_hidden(paths: &[PathBuf]) -> bool {
    !paths.is_empty()
        && paths.iter().all(|path| {
            path.components().any(|part| part.as_os_str().to_str() == Some(".git"))
                || path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(['.', '~']))
        })
}

/// Time left until the day changes in France; contents appear and expire then.
fn until_midnight(now: Timestamp) -> Duration {
    let paris = jiff::tz::TimeZone::get("Europe/Paris").unwrap_or(jiff::tz::TimeZone::UTC);
    let tomorrow = now.to_zoned(paris).tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
    let left = tomorrow.ok().and_then(|midnight| Duration::try_from(midnight.timestamp().duration_since(now)).ok());
    // Communes overseas change day at another hour: looking every hour is enough for them.
    left.unwrap_or(HOUR).min(HOUR) + Duration::from_millis(50)
}

const HOUR: Duration = Duration::from_secs(3600);

/// Starts anywhere, so that a page of another run reloads.
fn first_version() -> u64 {
    let mut random = [0; 4];
    // Without randomness, a page of another run may miss one reload.
    let _ = getrandom::fill(&mut random);
    u64::from(u32::from_be_bytes(random)) << 16
}

fn differs(before: &Shown, after: &Shown) -> bool {
    before.told != after.told
        || before.is_broken != after.is_broken
        || before.output.files != after.output.files
        || before.prints != after.prints
}

/// Size and date of the files served from the author's folder, whose bytes are not in the output.
fn prints(output: &Output) -> BTreeMap<String, (u64, Option<std::time::SystemTime>)> {
    let disk = output.files.iter().filter_map(|(path, artifact)| match artifact {
        Artifact::Copy(FileData::Disk(file)) => Some((path, file)),
        _ => None,
    });
    disk.map(|(path, file)| {
        let metadata = std::fs::metadata(file).ok();
        let print = metadata.map_or((0, None), |metadata| (metadata.len(), metadata.modified().ok()));
        (path.clone(), print)
    })
    .collect()
}

/// The same site, each page saying that it is not what the folder holds now.
fn with_banner(output: &Output, told: &[Told]) -> Output {
    let words = summary(told.iter().map(|told| &told.diagnostic)).unwrap_or_else(|| "Une erreur".to_owned());
    let banner = format!(
        "<aside class=\"apercu-bandeau\" aria-label=\"Erreurs\"><p><b>{words}.</b> Cette page est la dernière qui était juste.</p>\
         <p><a href=\"{DIAGNOSTICS_URL}\">Voir ce qui ne va pas</a></p></aside>"
    );
    let mut marked = output.clone();
    for (path, artifact) in &mut marked.files {
        let Artifact::Bytes(bytes) = artifact else { continue };
        let Some(at) = path.ends_with(".html").then(|| after_body_tag(bytes)).flatten() else { continue };
        *artifact = Artifact::Bytes([&bytes[..at], banner.as_bytes(), &bytes[at..]].concat().into());
    }
    marked
}

fn after_body_tag(page: &[u8]) -> Option<usize> {
    let start = page.windows(5).position(|window| window == b"<body")?;
    Some(start + page[start..].iter().position(|byte| *byte == b'>')? + 1)
}

/// « 2 erreurs, 1 avertissement, 3 à compléter ».
pub(super) fn summary<'d>(diagnostics: impl Iterator<Item = &'d Diagnostic>) -> Option<String> {
    let (mut errors, mut warnings, mut blanks) = (0, 0, 0);
    for diagnostic in diagnostics {
        match diagnostic.severity {
            Severity::Error => errors += 1,
            Severity::Warning => warnings += 1,
            Severity::Blank => blanks += 1,
        }
    }
    let mut words = Vec::new();
    if errors > 0 {
        words.push(plural(errors, "erreur", "erreurs"));
    }
    if warnings > 0 {
        words.push(plural(warnings, "avertissement", "avertissements"));
    }
    if blanks > 0 {
        words.push(format!("{blanks} à compléter"));
    }
    (!words.is_empty()).then(|| words.join(", "))
}

fn folder_name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().map_or_else(|| "ce dossier".to_owned(), |name| name.to_string_lossy().into_owned())
}
