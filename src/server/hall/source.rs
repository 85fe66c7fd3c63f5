//! What a guichet shows, read from the commune's folder.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use super::settings::Settings;
use crate::diagnostic::Diagnostic;
use crate::load::Territoire;
use crate::model::media_type::ASSETS;
use crate::model::output::Output;
use crate::pipeline::{BuildRequest, build, understand};
use crate::render::Options;
use crate::render::guichet::Pages;
use crate::server::StartError;
use crate::server::desk::DeskContent;
use crate::server::guichet::Means;

/// Where the content comes from.
pub(super) struct Source {
    /// The commune's folder.
    pub(super) folder: PathBuf,
    /// Its territoire, as it was last read.
    pub(super) territoire: RwLock<Option<Arc<Territoire>>>,
    pub(super) means: Arc<Means>,
    /// Whether the pages of the site are drawn too, so that every mistake of the folder is told. One commune's guichet does; that
    /// of a territoire opens communes all day long, and a dead link in the news is no reason to refuse a request.
    pub(super) is_thorough: bool,
}

/// A folder, read and ready to show.
pub(super) struct Content {
    pub(super) content: DeskContent,
    /// Of the site, what the guichet's own pages name: the rest is served elsewhere.
    pub(super) files: Output,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Source {
    /// Name of the commune's folder.
    pub(super) fn name(&self) -> String {
        self.folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Of a commune, as its settings now have it.
    pub(super) fn of(settings: &Settings, folder: PathBuf, means: &Arc<Means>) -> Arc<Source> {
        Arc::new(Source {
            folder,
            territoire: RwLock::new(settings.territoire.clone()),
            means: means.clone(),
            is_thorough: settings.territoire.is_none(),
        })
    }

    /// Reads the folder.
    ///
    /// # Errors
    /// [`StartError::Content`] when errors stand in it.
    pub(super) fn content(&self) -> Result<Content, StartError> {
        let options = Options { preview: None, generator: self.means.generator.clone() };
        let pictures = &*self.means.pictures;
        let territoire = self.territoire.read().unwrap_or_else(PoisonError::into_inner).clone();
        let request = BuildRequest {
            folder: &self.folder,
            base: &self.means.base,
            territoire: territoire.as_ref(),
            pictures,
            now: (self.means.clock)(),
            options: options.clone(),
        };
        let wanted = |path: &str| path.starts_with(ASSETS) || path.starts_with("medias/");
        let (mut files, mut built) = match self.is_thorough {
            true => Output::keep(wanted, |sink| build(&request, sink)),
            false => (Output::default(), understand(&request)),
        };
        let is_good = built.is_good();
        let (Some(site), Some(theme), true) = (built.site.take(), &built.theme, is_good) else {
            return Err(StartError::Content(built.diagnostics));
        };
        let (named, (pages, told)) =
            Output::keep(wanted, |sink| Pages::with_files(&site, theme, pictures, &options, sink));
        files.files.extend(named.files);
        if !self.is_thorough && crate::diagnostic::has_errors(&told) {
            return Err(StartError::Content(told));
        }
        built.diagnostics.extend(told);
        crate::diagnostic::sort(&mut built.diagnostics);
        Ok(Content { content: DeskContent::new(site, pages), files, diagnostics: built.diagnostics })
    }
}
