//! Where a link written by an author leads: a page, a file, another site, or nowhere.
//!
//! Links between contents are relative file links; a link that leads nowhere is told with the nearest path that exists.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::assets::Media;
use crate::diagnostic::{Code, Diagnostic, Place, Severity};
use crate::model::site::{Hidden, Site, Target};

/// What may stand unescaped in an address.
const ADDRESS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/')
    .remove(b':')
    .remove(b'?')
    .remove(b'#')
    .remove(b'[')
    .remove(b']')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b'%');

/// Every address and path of a site.
pub(super) struct Links<'s> {
    site: &'s Site,
    pub(super) media: Media<'s>,
    /// Addresses of pages that no file holds: lists, forms, feeds.
    routes: BTreeSet<String>,
    /// Folded path → path, so that case, accents' encoding and Windows' habits do not break a link.
    folded: BTreeMap<String, &'s str>,
    /// Address → content.
    urls: BTreeMap<&'s str, usize>,
    /// Scheme and host of the site, without final slash; may be empty.
    domain: &'s str,
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// A page of the site, `#anchor` included; the target tells which, when a content or the home page.
    Page {
        /// Root-relative.
        url: String,
        /// Whose headings to look at.
        target: Option<Target>,
        /// Without `#`.
        anchor: Option<String>,
    },
    /// A file of the folder.
    File {
        /// Root-relative.
        url: String,
        /// « PDF, 340 ko »; `None` for pictures.
        details: Option<String>,
    },
    /// Another site.
    External(String),
    /// `mailto:`, `tel:`.
    Other(String),
}

impl Destination {
    /// For `href`.
    pub(super) fn href(&self) -> Cow<'_, str> {
        match self {
            Destination::Page { url, anchor: Some(anchor), .. } => {
                Cow::Owned(format!("{url}#{}", utf8_percent_encode(anchor, ADDRESS)))
            }
            Destination::Page { url, .. }
            | Destination::File { url, .. }
            | Destination::External(url)
            | Destination::Other(url) => Cow::Borrowed(url),
        }
    }
}

/// Why a link leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    severity: Severity,
    code: Code,
    message: String,
    hint: String,
}

impl Broken {
    pub(super) fn new(severity: Severity, code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Broken { severity, code, message: message.into(), hint: hint.into() }
    }

    fn error(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Broken::new(Severity::Error, code, message, hint)
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// The same, at its place.
    pub(super) fn at(self, place: Place) -> Diagnostic {
        Diagnostic { severity: self.severity, code: self.code, place, message: self.message, hint: Some(self.hint) }
    }
}

impl<'s> Links<'s> {
    /// Every address but those of pages that no file holds.
    pub(super) fn new(site: &'s Site, media: Media<'s>) -> Self {
        let paths = site.targets.keys().chain(site.files.keys());
        let folded = paths.map(|path| (fold(path), path.as_str())).collect();
        let urls = site.urls.iter().enumerate().map(|(id, url)| (url.as_str(), id)).collect();
        Links { site, media, routes: BTreeSet::new(), folded, urls, domain: site.commune.domaine.trim_end_matches('/') }
    }

    /// Whether the site has a page at that address.
    pub(super) fn has_page(&self, url: &str) -> bool {
        self.urls.contains_key(url) || self.routes.contains(url)
    }

    /// Adds the addresses of pages that no file holds.
    pub(super) fn set_routes(&mut self, routes: BTreeSet<String>) {
        self.routes = routes;
    }

    /// Where `written`, found in the file `from`, leads.
    pub(super) fn resolve(&self, from: &str, written: &str) -> Result<Destination, Broken> {
        let written = written.trim();
        if written.is_empty() {
            return Err(Broken::error(
                Code::BadLink,
                "lien vide",
                "écrivez entre les parenthèses le fichier ou l'adresse où mène ce lien",
            ));
        }
        if let Some(anchor) = written.strip_prefix('#') {
            return Ok(Destination::Page {
                url: String::new(),
                target: self.site.targets.get(from).copied(),
                anchor: Some(decode(anchor)),
            });
        }
        if let Some((scheme, rest)) = scheme(written) {
            return self.foreign(written, &scheme, rest);
        }
        if written.starts_with("//") {
            return Err(Broken::error(
                Code::BadLink,
                format!("lien incomplet « {written} »"),
                format!("écrivez `https:{written}`"),
            ));
        }
        if let Some(path) = written.strip_prefix('/') {
            return self.absolute(path);
        }
        self.relative(from, written)
    }

    fn foreign(&self, written: &str, scheme: &str, rest: &str) -> Result<Destination, Broken> {
        match scheme {
            "http" | "https" => {
                let host = rest.trim_start_matches('/').split(['/', '?', '#']).next().unwrap_or("");
                if !rest.starts_with("//") || host.is_empty() || host.contains(char::is_whitespace) {
                    return Err(Broken::error(
                        Code::BadLink,
                        format!("adresse incomplète « {written} »"),
                        "copiez l'adresse entière depuis le navigateur",
                    ));
                }
                if !self.domain.is_empty()
                    && let Some(path) =
                        written.strip_prefix(self.domain).filter(|rest| rest.is_empty() || rest.starts_with('/'))
                {
                    return self.absolute(path.trim_start_matches('/'));
                }
                Ok(Destination::External(utf8_percent_encode(written, ADDRESS).to_string()))
            }
            "mailto" | "tel" | "sms" | "geo" => {
                Ok(Destination::Other(utf8_percent_encode(written, ADDRESS).to_string()))
            }
            "javascript" | "vbscript" | "data" => Err(Broken::error(
                Code::BadLink,
                format!("lien « {scheme}: » refusé : il exécuterait du code"),
                "remplacez-le par une adresse https:// ou par un fichier du dossier",
            )),
            "file" => Err(Broken::error(
                Code::BadLink,
                format!("le lien « {written} » mène à votre ordinateur"),
                "copiez le fichier dans `medias/`, puis écrivez son chemin relatif",
            )),
            drive if drive.len() == 1 => Err(Broken::error(
                Code::BadLink,
                format!("le lien « {written} » mène à un disque de votre ordinateur"),
                "copiez le fichier dans `medias/`, puis écrivez son chemin relatif",
            )),
            _ => Err(Broken::error(
                Code::BadLink,
                format!("type de lien inconnu « {scheme}: »"),
                "écrivez une adresse https://, `mailto:…`, `tel:…` ou le chemin d'un fichier",
            )),
        }
    }

    /// A root-relative address.
    fn absolute(&self, path: &str) -> Result<Destination, Broken> {
        let (path, anchor) = split_anchor(path);
        let path = format!("/{}", decode(path.split('?').next().unwrap_or("")));
        let with_slash = if path.ends_with('/') { path.clone() } else { format!("{path}/") };
        if path == "/" {
            return Ok(Destination::Page { url: path, target: Some(Target::Home), anchor });
        }
        if let Some(id) = self.urls.get(path.as_str()).or_else(|| self.urls.get(with_slash.as_str())) {
            return Ok(Destination::Page { url: self.site.urls[*id].clone(), target: Some(Target::Page(*id)), anchor });
        }
        for known in [&path, &with_slash] {
            if self.routes.contains(known) || self.site.redirects.contains_key(known) {
                return Ok(Destination::Page { url: known.clone(), target: None, anchor: None });
            }
        }
        if let Some(source) = self.media.source_of(&path[1..]) {
            return self.file(source);
        }
        if let Some(file) = self.folded.get(&fold(&path[1..])) {
            return Err(Broken::error(
                Code::BadLink,
                format!("aucune page du site n'a l'adresse « {path} »"),
                format!(
                    "c'est le chemin d'un fichier : écrivez-le sans la barre de tête, relatif à cette page (`{file}` depuis la racine du dossier)"
                ),
            ));
        }
        let addresses = self.site.urls.iter().map(String::as_str).chain(self.routes.iter().map(String::as_str));
        let hint = match nearest(&path, addresses) {
            Some(near) => format!(
                "la plus proche est `{near}` ; mieux : un lien vers le fichier `.md`, vérifié et suivi s'il change d'adresse"
            ),
            None => "écrivez un lien vers le fichier `.md` de la page".to_owned(),
        };
        Err(Broken::error(Code::BadLink, format!("aucune page du site n'a l'adresse « {path} »"), hint))
    }

    /// A path relative to the folder of the file `from`.
    fn relative(&self, from: &str, written: &str) -> Result<Destination, Broken> {
        let (path, anchor) = split_anchor(written);
        let path = decode(path.split('?').next().unwrap_or("")).replace('\\', "/");
        let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        let Some(joined) = join(folder, &path) else { return Err(self.dead(from, written, &path)) };
        match self.find(&joined) {
            Some(found) => self.found(found, anchor, written),
            None => match folder_route(&joined).filter(|route| self.routes.contains(*route)) {
                Some(route) => Ok(Destination::Page { url: route.to_owned(), target: None, anchor: None }),
                None => Err(self.dead(from, written, &joined)),
            },
        }
    }

    /// The path of the folder that `path` means: itself, the same but for case or accents' encoding, or its `index.md`.
    pub(super) fn find(&self, path: &str) -> Option<&'s str> {
        if let Some((key, _)) = self.site.targets.get_key_value(path) {
            return Some(key);
        }
        if let Some((key, _)) = self.site.files.get_key_value(path) {
            return Some(key);
        }
        let folded = fold(path);
        let index = if folded.is_empty() { "accueil.md".to_owned() } else { format!("{folded}/index.md") };
        self.folded.get(&folded).or_else(|| self.folded.get(&index)).copied()
    }

    fn found(&self, path: &str, anchor: Option<String>, written: &str) -> Result<Destination, Broken> {
        match self.site.targets.get(path) {
            Some(Target::Home) => Ok(Destination::Page { url: "/".to_owned(), target: Some(Target::Home), anchor }),
            Some(Target::Page(id)) => {
                Ok(Destination::Page { url: self.site.urls[*id].clone(), target: Some(Target::Page(*id)), anchor })
            }
            // Its own mistakes are told; nothing is written anyway.
            Some(Target::Hidden(Hidden::Broken)) => {
                Ok(Destination::Page { url: "/".into(), target: None, anchor: None })
            }
            Some(Target::Hidden(why)) => Err(hidden(written, *why)),
            None => self.file(path),
        }
    }

    /// The file of the folder that a picture's address means; `None` when it is a page.
    pub(super) fn source(&self, from: &str, written: &str) -> Result<Option<&'s str>, Broken> {
        let path = decode(written.trim()).replace('\\', "/");
        let found = match path.strip_prefix('/') {
            Some(published) => self.media.source_of(published),
            None => {
                let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
                join(folder, &path).and_then(|joined| self.find(&joined))
            }
        };
        match found {
            Some(path) => Ok(self.site.files.contains_key(path).then_some(path)),
            None => Err(self.missing(from, written, &path)),
        }
    }

    /// A picture or a document that does not exist.
    pub(super) fn missing(&self, from: &str, written: &str, path: &str) -> Broken {
        let hint = match self.nearest_path(path) {
            Some(near) => format!("vouliez-vous dire `{}` ?", relative_path(from, near)),
            None => "vérifiez le nom et le dossier du fichier, majuscules et accents compris".to_owned(),
        };
        Broken::error(Code::MissingFile, format!("le fichier « {written} » n'existe pas"), hint)
    }

    /// A file of the folder, published.
    pub(super) fn file(&self, path: &str) -> Result<Destination, Broken> {
        self.media.link(path).map(|(url, details)| Destination::File { url, details })
    }

    fn dead(&self, from: &str, written: &str, joined: &str) -> Broken {
        let message = format!("le lien « {written} » ne mène à aucun fichier");
        let lower = written.to_lowercase();
        if lower.starts_with("www.")
            || lower
                .split('/')
                .next()
                .is_some_and(|host| host.ends_with(".fr") || host.ends_with(".com") || host.ends_with(".org"))
        {
            return Broken::error(Code::BadLink, message, format!("si c'est un site, écrivez `https://{written}`"));
        }
        if written.contains('@') && !written.contains('/') {
            return Broken::error(
                Code::BadLink,
                message,
                format!("si c'est une adresse électronique, écrivez `mailto:{written}`"),
            );
        }
        let code = if joined.ends_with(".md") || !joined.contains('.') { Code::DeadLink } else { Code::MissingFile };
        let hint = match self.nearest_path(joined) {
            Some(near) => format!("vouliez-vous dire `{}` ?", relative_path(from, near)),
            None => "vérifiez le nom et le dossier du fichier, à partir du dossier de cette page".to_owned(),
        };
        Broken::error(code, message, hint)
    }

    /// The path of the folder that looks most like `path`.
    pub(super) fn nearest_path(&self, path: &str) -> Option<&'s str> {
        let name = fold(path.rsplit('/').next().unwrap_or(path));
        let same_name = self.folded.iter().find(|(folded, _)| folded.rsplit('/').next() == Some(&name));
        same_name.map(|(_, path)| *path).or_else(|| nearest(path, self.folded.values().copied()))
    }
}

/// A link to a content that is not on the site that day: said, not refused, for contents expire by themselves.
fn hidden(written: &str, why: Hidden) -> Broken {
    let (state, hint) = match why {
        Hidden::Draft => ("est un brouillon", "publiez-le (retirez `brouillon = true`) ou retirez le lien"),
        Hidden::NotYet => (
            "n'est pas encore publié (`publie_le`)",
            "le lien apparaîtra le jour venu ; jusque-là, seuls ses mots sont affichés",
        ),
        Hidden::Expired => (
            "n'est plus publié (`expire_le`)",
            "retirez le lien ou repoussez `expire_le` ; seuls ses mots sont affichés",
        ),
        Hidden::Broken | Hidden::SwitchedOff => {
            ("est retiré du catalogue par commune.toml", "remettez cette fiche dans `[catalogue]`, ou retirez le lien")
        }
    };
    Broken::new(
        Severity::Warning,
        Code::HiddenTarget,
        format!("le lien « {written} » mène à un contenu qui {state}"),
        hint,
    )
}

/// Addresses of lists, by the folder that feeds them.
fn folder_route(folder: &str) -> Option<&'static str> {
    Some(match folder.trim_end_matches('/') {
        "actualites" => "/actualites/",
        "alertes" => "/alertes/",
        "agenda" => "/agenda/",
        "annuaire" => "/annuaire/",
        "annuaire/elus" => "/annuaire/elus/",
        "annuaire/services" => "/annuaire/services/",
        "annuaire/associations" => "/annuaire/associations/",
        "annuaire/commerces" => "/annuaire/commerces/",
        "annuaire/equipements" => "/annuaire/equipements/",
        "demarches" => "/demarches/",
        _ => return None,
    })
}

/// Scheme in lower case and what follows its colon.
fn scheme(written: &str) -> Option<(String, &str)> {
    let end = written.find(':')?;
    let scheme: String = written[..end].chars().filter(|letter| !letter.is_ascii_control()).collect();
    let valid = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'));
    valid.then(|| (scheme.to_ascii_lowercase(), &written[end + 1..]))
}

fn split_anchor(written: &str) -> (&str, Option<String>) {
    match written.split_once('#') {
        Some((path, anchor)) if !anchor.is_empty() => (path, Some(decode(anchor))),
        Some((path, _)) => (path, None),
        None => (written, None),
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A path followed from a folder; `None` when it climbs out of the root.
pub(super) fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// `to` as a link in the file `from` writes it.
pub(super) fn relative_path(from: &str, to: &str) -> String {
    let here: Vec<&str> = from.split('/').collect();
    let there: Vec<&str> = to.split('/').collect();
    let folders = here.len() - 1;
    let shared = here[..folders].iter().zip(&there[..there.len() - 1]).take_while(|(a, b)| a == b).count();
    format!("{}{}", "../".repeat(folders - shared), there[shared..].join("/"))
}

/// A path without case and without the ways of encoding accents: NFC and NFD fold to the same.
fn fold(path: &str) -> String {
    let mut folded = String::with_capacity(path.len());
    for letter in path.trim_matches('/').chars() {
        match letter {
            '\u{300}'..='\u{36f}' => {}
            letter if letter.is_ascii() => folded.push(letter.to_ascii_lowercase()),
            letter => folded.push_str(&crate::text::slug::slug(letter.encode_utf8(&mut [0; 4]))),
        }
    }
    folded
}

/// The candidate that differs least, when it differs little.
pub(super) fn nearest<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = fold(wanted).chars().collect();
    let limit = (wanted.len() / 3).max(2);
    let near = candidates.map(|candidate| (distance(&wanted, &fold(candidate), limit), candidate));
    near.filter(|(distance, _)| *distance <= limit).min().map(|(_, candidate)| candidate)
}

/// Letters to add, take away or change (Levenshtein); more than `limit` when lengths alone differ by more.
fn distance(wanted: &[char], candidate: &str, limit: usize) -> usize {
    let candidate: Vec<char> = candidate.chars().collect();
    if wanted.len().abs_diff(candidate.len()) > limit {
        return limit + 1;
    }
    let mut row: Vec<usize> = (0..=candidate.len()).collect();
    for (i, letter) in wanted.iter().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, other) in candidate.iter().enumerate() {
            let changed = corner + usize::from(letter != other);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[candidate.len()]
}
