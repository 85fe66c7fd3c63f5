//! The build on one screen: the stages called in order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::DateTime;

use crate::diagnostic::{self, Diagnostic};
use crate::load::{self, Layers, Territoire};
use crate::model::commune::Identite;
use crate::model::output::{Output, Pictures, Sink};
use crate::model::site::Site;
use crate::render::{self, Theme, Uncolored};
use crate::write::{Staging, WriteError, Written};
use crate::{check, resolve};

/// What the binary carries: the layers below every commune.
pub struct Base {
    /// The catalogue.
    pub catalogue: load::Shared,
    /// Files of the built-in theme.
    theme: BTreeMap<String, Cow<'static, [u8]>>,
    /// Themes compiled lately, by the hash of what overrides the built-in one.
    themes: Mutex<Vec<(blake3::Hash, Compiled)>>,
}

/// A compiled theme, and what there is to say of it.
type Compiled = (Option<Uncolored>, Vec<Diagnostic>);

impl Base {
    /// Those embedded in this binary.
    pub fn embedded() -> Self {
        let own = |files: &mut dyn Iterator<Item = crate::embedded::EmbeddedFile>| {
            files.map(|(path, bytes)| (path.into_owned(), bytes)).collect()
        };
        Base {
            catalogue: load::Shared::embedded(&own(&mut crate::embedded::catalogue())),
            theme: own(&mut crate::embedded::theme()),
            themes: Mutex::default(),
        }
    }

    /// The built-in theme in its own colours, for pages that no commune has.
    pub fn plain_theme(&self) -> Option<Theme> {
        self.theme(&BTreeMap::new()).0.map(|theme| theme.in_colors(&Identite::default()).0)
    }

    /// The theme with what overrides it, compiled once for all the communes that share it.
    fn theme(&self, overrides: &BTreeMap<String, Vec<u8>>) -> Compiled {
        let mut hasher = blake3::Hasher::new();
        for (path, bytes) in overrides {
            hasher.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes());
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        }
        let hash = hasher.finalize();
        // Held while compiling: the communes that wait want the same one.
        let mut themes = self.themes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = themes.iter().find(|(known, _)| *known == hash) {
            return known.clone();
        }
        let compiled = Uncolored::compile(&self.theme, overrides);
        if themes.len() >= THEMES {
            themes.remove(0);
        }
        themes.push((hash, compiled.clone()));
        compiled
    }
}

/// What a build is asked.
pub struct BuildRequest<'a> {
    /// The commune's folder.
    pub folder: &'a Path,
    /// The layers below it.
    pub base: &'a Base,
    /// Its territoire, when it is read already; otherwise it is looked for.
    pub territoire: Option<&'a Arc<Territoire>>,
    /// Where pictures are made ready.
    pub pictures: &'a dyn Pictures,
    /// Instant the site is built for.
    pub now: jiff::Timestamp,
    /// What pages say of the program, and of the preview if there is one.
    pub options: render::Options,
}

/// What a build says besides the files it draws.
pub struct Built {
    /// The site, when there is a usable `commune.toml`.
    pub site: Option<Site>,
    /// Its theme, when it compiles.
    pub theme: Option<Theme>,
    /// All there is to say, sorted.
    pub diagnostics: Vec<Diagnostic>,
}

impl Built {
    /// Whether the files may be shown or published.
    pub fn is_good(&self) -> bool {
        self.site.is_some() && self.theme.is_some() && !diagnostic::has_errors(&self.diagnostics)
    }
}

/// Builds a commune's site; its files go to `sink` as they are drawn.
pub fn build(request: &BuildRequest<'_>, sink: Sink<'_>) -> Built {
    let mut built = understand(request);
    if let (Some(site), Some(theme)) = (&built.site, &built.theme) {
        let told = render::output(site, theme, request.pictures, &request.options, sink);
        built.diagnostics.extend(told);
        diagnostic::sort(&mut built.diagnostics);
    }
    built
}

/// The same without drawing a page: the site as it is understood, and all that can be said of it before.
pub fn understand(request: &BuildRequest<'_>) -> Built {
    let mut built = Built { site: None, theme: None, diagnostics: Vec::new() };
    let layers = match request.territoire {
        Some(territoire) => Layers::within(territoire, request.folder, &request.base.catalogue),
        None => Layers::of(request.folder, &request.base.catalogue),
    };
    let (sources, told) = load::sources(&layers);
    built.diagnostics = told;
    if let Some(mut sources) = sources {
        let overrides = std::mem::take(&mut sources.theme);
        let now = local(request.now, &sources.commune.fuseau);
        let (theme, told) = request.base.theme(&overrides);
        built.diagnostics.extend(told);
        let theme = theme.map(|theme| {
            let (theme, told) = theme.in_colors(&sources.commune.identite);
            built.diagnostics.extend(told);
            theme
        });
        let (site, told) = resolve::site(sources, now);
        built.diagnostics.extend(told);
        built.diagnostics.extend(check::site(&site));
        (built.site, built.theme) = (Some(site), theme);
    }
    diagnostic::sort(&mut built.diagnostics);
    built
}

/// Builds a commune's site in memory, incomplete when an error stands.
pub fn build_in_memory(request: &BuildRequest<'_>) -> (Output, Built) {
    Output::keep(|_| true, |sink| build(request, sink))
}

/// Builds a commune's site and judges every page of it, as `mulot check` does.
pub fn check(request: &BuildRequest<'_>) -> Built {
    let (output, mut built) = build_in_memory(request);
    if let Some(site) = built.site.as_ref().filter(|_| built.is_good()) {
        built.diagnostics.extend(check::output(site, &output));
    }
    diagnostic::sort(&mut built.diagnostics);
    built
}

/// Builds a commune's site and, when it is good, publishes it at `dest`, which must not touch `kept`, the author's folder;
/// `None` when it is not.
///
/// # Errors
/// [`WriteError`]; what stood there is untouched.
pub fn publish(request: &BuildRequest<'_>, dest: &Path, kept: &Path) -> Result<(Built, Option<Written>), WriteError> {
    let staging = Staging::open(dest, kept)?;
    let built = build(request, &|path, artifact| staging.put(path, &artifact));
    let written = if built.is_good() { Some(staging.publish()?) } else { None };
    Ok((built, written))
}

/// The instant of a local date and hour in a commune's zone, the first of two where clocks go back.
pub fn instant(local: DateTime, zone: &str) -> jiff::Timestamp {
    let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    local.to_zoned(zone).map_or(jiff::Timestamp::MIN, |zoned| zoned.timestamp())
}

/// Local date and hour of an instant in a commune's zone; unknown zones were told by `load`, Paris then stands in.
pub fn local(now: jiff::Timestamp, zone: &str) -> DateTime {
    let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    now.to_zoned(zone).datetime()
}

/// Compiled themes kept: all communes of a territoire share one, save those with a `theme/` of their own.
const THEMES: usize = 4;
