//! The one door to tera: compiled templates, the palette, and the fingerprinted files of the theme.
//!
//! A theme is the built-in one, overridden file by file by the commune's `theme/` folder. A mistake in it is a French
//! [`Diagnostic`] with file, line and remedy; rendering never panics.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use tera::{Context, ErrorKind, Tera, Value};

use super::palette::{self, Color, Pair, Token};
use super::view::{AssetsView, CHROME_FOOTER, CHROME_HEADER, TEMPLATES, View};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::commune::Identite;

/// Folder of the site where the theme's files stand.
const FOLDER: &str = "assets";

/// Compiled templates, palette and files; cheap to clone, shared by pages and guichet.
#[derive(Clone)]
pub struct Theme {
    compiled: Arc<Compiled>,
    /// Root-relative address and bytes of the stylesheet.
    stylesheet: (String, Arc<[u8]>),
    color: Color,
    bar_light: Color,
    bar_dark: Color,
}

/// A theme before it has the colours of a commune; cheap to clone, shared by communes.
#[derive(Clone)]
pub struct Uncolored(Arc<Compiled>);

impl Uncolored {
    /// Compiles the templates; `base` and `overrides` are those of [`Theme::new`].
    ///
    /// Shape: `None` with at least one error when the theme cannot be used; otherwise warnings only.
    pub fn compile(
        base: &BTreeMap<String, Cow<'static, [u8]>>,
        overrides: &BTreeMap<String, Vec<u8>>,
    ) -> (Option<Uncolored>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let compiled = compile(&Source { base, overrides }, &mut diagnostics);
        let compiled = compiled.filter(|_| !crate::diagnostic::has_errors(&diagnostics));
        (compiled.map(|compiled| Uncolored(Arc::new(compiled))), diagnostics)
    }

    /// The theme in the colours of a commune.
    pub fn in_colors(&self, identite: &Identite) -> (Theme, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let theme = colored(self.0.clone(), identite, &mut diagnostics);
        (theme, diagnostics)
    }
}

/// What does not depend on the commune's colour.
struct Compiled {
    tera: Tera,
    overridden: BTreeSet<String>,
    /// Fingerprinted files but the stylesheet, by path in the site.
    files: BTreeMap<String, Arc<[u8]>>,
    /// The stylesheet without its palette.
    styles: String,
    file: ThemeFile,
    place: Place,
    script: Option<String>,
    /// What a browser checks the script against.
    script_integrity: Option<String>,
    preview_script: Option<String>,
    fonts: Vec<String>,
    icon: Option<String>,
}

/// `theme.toml`.
#[derive(Debug, Deserialize)]
struct ThemeFile {
    styles: Vec<String>,
    script: Option<String>,
    script_apercu: Option<String>,
    police_prechargee: Option<String>,
    icone: Option<String>,
    couleur_defaut: String,
    #[serde(default)]
    jeton: Vec<Token>,
    #[serde(default)]
    contraste: Vec<Pair>,
}

impl Theme {
    /// Compiles the theme of a commune.
    ///
    /// `base` holds the files of the built-in theme by path inside `themes/mulot` (`templates/page.html`), `overrides`
    /// those of the commune's `theme/` folder by the same paths, `identite` the colour to derive the palette from.
    ///
    /// Shape: `None` with at least one error when the theme cannot be used; otherwise warnings only (a colour adjusted
    /// until legible, an unknown file).
    pub fn new(
        base: &BTreeMap<String, Cow<'static, [u8]>>,
        overrides: &BTreeMap<String, Vec<u8>>,
        identite: &Identite,
    ) -> (Option<Theme>, Vec<Diagnostic>) {
        let (uncolored, mut diagnostics) = Uncolored::compile(base, overrides);
        let theme = uncolored.map(|uncolored| {
            let (theme, told) = uncolored.in_colors(identite);
            diagnostics.extend(told);
            theme
        });
        (theme, diagnostics)
    }

    /// Files of the theme by path in the site (`assets/mulot-1a2b3c4d.css`). The guichet serves them too.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        let sheet = (&self.stylesheet.0[1..], &self.stylesheet.1);
        self.compiled.files.iter().map(|(path, bytes)| (path.as_str(), bytes)).chain([sheet])
    }

    /// The strong colour in light, `#rrggbb`, legible on white: for mails.
    pub fn color(&self) -> String {
        self.color.hex()
    }

    /// Address of the theme's stylesheet, root-relative.
    pub fn stylesheet_url(&self) -> &str {
        &self.stylesheet.0
    }

    /// Address of the script of `mulot serve`, if the theme has one.
    pub fn preview_script_url(&self) -> Option<&str> {
        self.compiled.preview_script.as_deref()
    }

    /// Draws a view that uses neither `site` nor `chrome`: mails, letterbox, diagnostics.
    ///
    /// # Errors
    /// A [`Diagnostic`] with the template's place when it fails.
    pub fn render<V: View>(&self, view: &V) -> Result<String, Diagnostic> {
        self.render_named(V::TEMPLATE, view)
    }

    /// Draws a view with another template than its own: the text twin of a mail ([`super::view::MAIL_TEXT`]).
    ///
    /// # Errors
    /// A [`Diagnostic`] with the template's place when it fails.
    pub fn render_named<V: View>(&self, template: &str, view: &V) -> Result<String, Diagnostic> {
        let context = Context::from_serialize(view).map_err(|error| self.diagnose(&error, template))?;
        self.compiled.tera.render(template, &context).map_err(|error| self.diagnose(&error, template))
    }

    /// The `site.assets` of every page.
    pub(super) fn assets(&self, icon: Option<String>) -> AssetsView<'static> {
        let compiled = &self.compiled;
        AssetsView {
            stylesheet_url: self.stylesheet_url().to_owned().into(),
            stylesheet_integrity: None,
            script_url: compiled.script.clone().map(Cow::from),
            script_integrity: compiled.script_integrity.clone().map(Cow::from),
            preload_fonts: compiled.fonts.iter().cloned().map(Cow::from).collect(),
            icon_url: icon.or_else(|| compiled.icon.clone()).map(Cow::from),
            icon_png_url: None,
            theme_color: self.bar_light.hex().into(),
            theme_color_dark: self.bar_dark.hex().into(),
        }
    }

    /// Draws a page with its `site` and `chrome`.
    pub(super) fn page<V: View>(&self, frame: &Frame, view: &V) -> Result<Vec<u8>, Diagnostic> {
        let fail = |error: tera::Error| self.diagnose(&error, V::TEMPLATE);
        let mut context = Context::from_serialize(view).map_err(fail)?;
        context.insert_value("site", frame.site.clone());
        context.insert_value("chrome", frame.chrome.clone());
        let mut page = Vec::with_capacity(frame.size_bytes + 8 * 1024);
        self.compiled.tera.render_to(V::TEMPLATE, &context, &mut page).map_err(fail)?;
        Ok(page)
    }

    /// Draws the header and the footer of a section, once for all its pages.
    pub(super) fn frame<S: serde::Serialize>(&self, site: &Value, chrome: &S) -> Result<Frame, Diagnostic> {
        let draw = |template: &str| -> Result<String, Diagnostic> {
            let mut context = Context::from_serialize(chrome).map_err(|error| self.diagnose(&error, template))?;
            context.insert_value("site", site.clone());
            self.compiled.tera.render(template, &context).map_err(|error| self.diagnose(&error, template))
        };
        let (header, footer) = (draw(CHROME_HEADER)?, draw(CHROME_FOOTER)?);
        let size_bytes = header.len() + footer.len();
        let chrome = super::view::Chrome { header_html: header.into(), footer_html: footer.into() };
        Ok(Frame { site: site.clone(), chrome: Value::from_serializable(&chrome), size_bytes })
    }

    /// Renders a Markdown body that uses the commune's values (`variables = true`).
    ///
    /// # Errors
    /// A [`Diagnostic`] at the line of the content.
    pub(super) fn variables(
        &self,
        markdown: &str,
        values: &Context,
        path: &str,
        first_line: u32,
    ) -> Result<String, Diagnostic> {
        self.compiled.tera.render_str(markdown, values, false).map_err(|error| {
            let (message, hint, line, column) = phrase(&error);
            let line = if line == 0 { first_line } else { first_line + line - 1 };
            let place = Place { file: path.to_owned(), line, column, length: 0 };
            Diagnostic::error(Code::Template, place, message).hint(hint)
        })
    }

    fn diagnose(&self, error: &tera::Error, template: &str) -> Diagnostic {
        let (message, hint, line, column) = phrase(error);
        let name = report(error).map_or_else(|| template.to_owned(), |report| report.file);
        let inside = format!("templates/{name}");
        let file =
            if self.compiled.overridden.contains(&inside) { format!("theme/{inside}") } else { built_in(&inside) };
        Diagnostic::error(Code::Template, Place { file, line, column, length: 0 }, message).hint(hint)
    }
}

/// What every page of one section shares: `site`, and its header and footer already drawn.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    site: Value,
    chrome: Value,
    size_bytes: usize,
}

/// The files of a theme, the commune's before the built-in ones.
struct Source<'a> {
    base: &'a BTreeMap<String, Cow<'static, [u8]>>,
    overrides: &'a BTreeMap<String, Vec<u8>>,
}

impl Source<'_> {
    fn paths(&self) -> impl Iterator<Item = &str> {
        let all: BTreeSet<&str> = self.base.keys().chain(self.overrides.keys()).map(String::as_str).collect();
        all.into_iter()
    }

    fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.overrides.get(path).map(Vec::as_slice).or_else(|| self.base.get(path).map(|bytes| bytes.as_ref()))
    }

    fn text(&self, path: &str) -> Option<Cow<'_, str>> {
        self.bytes(path).map(String::from_utf8_lossy)
    }

    fn place(&self, path: &str) -> Place {
        Place::file(if self.overrides.contains_key(path) { format!("theme/{path}") } else { built_in(path) })
    }
}

/// Everything that does not depend on a colour; `None` when the theme cannot be used.
fn compile(source: &Source<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Compiled> {
    tell_strays(source, diagnostics);
    let file = theme_file(source, diagnostics)?;
    let tera = templates(source, diagnostics);
    let (mut files, mut names) = (BTreeMap::new(), BTreeMap::new());
    for path in source.paths().filter(|path| path.starts_with("assets/")) {
        if !file.styles.iter().any(|style| style == path) {
            let bytes = source.bytes(path).unwrap_or_default();
            let name = published_name(path, bytes);
            files.insert(name.clone(), Arc::<[u8]>::from(bytes));
            names.insert(path.to_owned(), format!("/{name}"));
        }
    }
    let mut styles = String::new();
    for path in &file.styles {
        match source.text(path) {
            Some(text) => styles.push_str(&with_published_urls(&text, path, &names)),
            None => diagnostics.push(
                Diagnostic::error(
                    Code::BadTheme,
                    source.place("theme.toml"),
                    format!("la feuille de styles `{path}` n'existe pas"),
                )
                .hint("corrigez la liste `styles` de theme.toml, ou ajoutez ce fichier"),
            ),
        }
    }
    let named = |path: &Option<String>| path.as_ref().and_then(|path| names.get(path).cloned());
    Some(Compiled {
        tera: tera?,
        overridden: source.overrides.keys().cloned().collect(),
        script_integrity: file.script.as_ref().and_then(|path| source.bytes(path)).map(integrity),
        script: named(&file.script),
        preview_script: named(&file.script_apercu),
        fonts: named(&file.police_prechargee).into_iter().collect(),
        icon: named(&file.icone),
        place: source.place("theme.toml"),
        files,
        styles,
        file,
    })
}

/// The theme in the colours of a commune.
fn colored(compiled: Arc<Compiled>, identite: &Identite, diagnostics: &mut Vec<Diagnostic>) -> Theme {
    let (mut css, color, bar_light, bar_dark) = colors(&compiled, identite, diagnostics);
    css.push_str(&compiled.styles);
    let name = published_name("assets/css/mulot.css", css.as_bytes());
    Theme { stylesheet: (format!("/{name}"), Arc::from(css.into_bytes())), compiled, color, bar_light, bar_dark }
}

/// Says which files of the commune's `theme/` folder replace nothing and are read by nobody.
fn tell_strays(source: &Source<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for path in source.overrides.keys() {
        let known = path.starts_with("templates/") || path.starts_with("assets/") || path == "theme.toml";
        if known || path.ends_with(".md") || path.ends_with(".txt") {
            continue;
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let twin = source.base.keys().find(|base| base.rsplit('/').next() == Some(name));
        let message = format!("le fichier « {path} » du dossier theme/ ne remplace rien");
        diagnostics.push(Diagnostic::warning(Code::BadTheme, source.place(path), message).hint(match twin {
            Some(twin) => format!("pour remplacer celui du thème, donnez-lui le même chemin : `theme/{twin}`"),
            None => {
                "les gabarits vont dans `theme/templates/`, les styles et les images dans `theme/assets/`".to_owned()
            }
        }));
    }
}

fn built_in(path: &str) -> String {
    format!("themes/mulot/{path}")
}

fn theme_file(source: &Source<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<ThemeFile> {
    let place = source.place("theme.toml");
    let Some(text) = source.text("theme.toml") else {
        diagnostics.push(Diagnostic::error(Code::BadTheme, place, "le thème n'a pas de fichier theme.toml"));
        return None;
    };
    match toml::from_str::<ThemeFile>(&text) {
        Ok(file) => {
            told_unknown_recipes(&file, &place, diagnostics);
            Some(file)
        }
        Err(error) => {
            let place = match error.span() {
                Some(span) => Place::span(place.file, &text, span, 1),
                None => place,
            };
            let message = format!("theme.toml ne se lit pas : {}", error.message());
            diagnostics.push(
                Diagnostic::error(Code::BadTheme, place, message)
                    .hint("corrigez ce fichier, ou retirez-le : celui du thème fourni sera pris"),
            );
            None
        }
    }
}

fn told_unknown_recipes(file: &ThemeFile, place: &Place, diagnostics: &mut Vec<Diagnostic>) {
    for token in file.jeton.iter().filter(|token| !token.clair.is_known() || !token.sombre.is_known()) {
        let message = format!("la recette du jeton `{}` ne se lit pas", token.nom);
        diagnostics.push(
            Diagnostic::error(Code::BadTheme, place.clone(), message)
                .hint("écrivez \"base\", { ecart = … }, { l = …, c = … } ou { l = …, c = …, h = … }"),
        );
    }
}

/// Every template of the theme, compiled; `None` after an error.
fn templates(source: &Source<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Tera> {
    let mut tera = Tera::new();
    let mut texts = Vec::new();
    for path in source.paths() {
        let Some(name) = path.strip_prefix("templates/") else { continue };
        let Some(bytes) = source.bytes(path) else { continue };
        match std::str::from_utf8(bytes) {
            Ok(text) => texts.push((name.to_owned(), text.to_owned())),
            Err(_) => diagnostics.push(
                Diagnostic::error(Code::NotUtf8, source.place(path), "ce gabarit n'est pas en UTF-8")
                    .hint("enregistrez-le de nouveau avec l'encodage UTF-8"),
            ),
        }
    }
    if let Err(error) = tera.add_raw_templates(texts) {
        let reports = reports(&error);
        if reports.is_empty() {
            let (message, hint, ..) = phrase(&error);
            let file = match error.kind() {
                ErrorKind::CircularExtend { tpl, .. } | ErrorKind::CircularInclude { tpl, .. } => format!("/{tpl}"),
                ErrorKind::MissingParent { current, .. } => format!("/{current}"),
                _ => String::new(),
            };
            let place = source.place(&format!("templates{file}"));
            diagnostics.push(Diagnostic::error(Code::Template, place, message).hint(hint));
        }
        for report in reports {
            let (message, hint) = french(&report.message);
            let path = format!("templates/{}", report.file);
            let mut place = source.place(&path);
            (place.line, place.column) = (report.line, report.column);
            // What is missing at the end of a file is shown on its last line, not below it.
            let lines = source.bytes(&path).map_or(0, |bytes| String::from_utf8_lossy(bytes).lines().count() as u32);
            if lines > 0 && place.line > lines {
                (place.line, place.column) = (lines, 0);
            }
            diagnostics.push(Diagnostic::error(Code::Template, place, message).hint(hint));
        }
        return None;
    }
    let mut complete = true;
    for name in TEMPLATES {
        if !tera.contains_template(name) {
            complete = false;
            let place = source.place(&format!("templates/{name}"));
            diagnostics.push(
                Diagnostic::error(Code::BadTheme, place, format!("le gabarit `{name}` manque au thème"))
                    .hint("ajoutez ce fichier, ou retirez le thème incomplet"),
            );
        }
    }
    complete.then_some(tera)
}

/// The CSS block of the palette, the strong colour, and the colours of the browser's bar in light and dark.
fn colors(
    compiled: &Compiled,
    identite: &Identite,
    diagnostics: &mut Vec<Diagnostic>,
) -> (String, Color, Color, Color) {
    let file = &compiled.file;
    let usual = Color::parse(&file.couleur_defaut).unwrap_or(Color([0x2f, 0x6b, 0x4f]));
    let wish = match identite.couleur.trim() {
        "" => usual,
        written => Color::parse(written).unwrap_or_else(|| {
            diagnostics.push(
                Diagnostic::warning(
                    Code::Contrast,
                    identite.couleur_place.clone(),
                    format!("la couleur `{written}` ne se lit pas"),
                )
                .hint(format!("écrivez-la sous la forme `#rrggbb` ; en attendant, le site prend {}", usual.hex())),
            );
            usual
        }),
    };
    let judged = palette::judge(&file.jeton, &file.contraste, wish);
    if judged.base != wish {
        let (wish, base) = (wish.hex(), judged.base.hex());
        diagnostics.push(
            Diagnostic::warning(
                Code::Contrast,
                identite.couleur_place.clone(),
                format!("la couleur {wish} ne serait pas lisible partout : le site prend {base}, de même teinte"),
            )
            .hint(format!("écrivez `couleur = \"{base}\"` dans `[identite]`, ou choisissez une couleur plus soutenue")),
        );
    }
    for failure in &judged.failures {
        let scheme = if failure.dark { "en sombre" } else { "en clair" };
        let message = format!(
            "contraste insuffisant {scheme} : {} n'atteint que {:.1} pour {:.1} attendu",
            failure.pair, failure.ratio, failure.minimum
        );
        diagnostics.push(
            Diagnostic::warning(Code::Contrast, compiled.place.clone(), message.replace('.', ","))
                .hint("éclaircissez ou foncez l'un des deux jetons de theme.toml"),
        );
    }
    let light = judged.palette.get("--couleur").map_or(judged.base, |colors| colors.0);
    let dark = judged.palette.get("--fond").map_or(Color([0; 3]), |colors| colors.1);
    (judged.palette.css(), light, light, dark)
}

/// Path in the site of a theme's file: its name with a fingerprint, so that it can be cached for ever.
fn published_name(path: &str, bytes: &[u8]) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let hash = blake3::hash(bytes).to_hex();
    match name.rsplit_once('.') {
        Some((stem, extension)) if extension != "txt" => format!("{FOLDER}/{stem}-{}.{extension}", &hash[..8]),
        _ => format!("{FOLDER}/{name}"),
    }
}

/// Value of the `integrity` attribute: another script than ours does not run.
pub(super) fn integrity(bytes: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA384, bytes);
    format!("sha384-{}", data_encoding::BASE64.encode(hash.as_ref()))
}

/// A stylesheet whose `url(…)` lead to the fingerprinted files.
fn with_published_urls(css: &str, path: &str, names: &BTreeMap<String, String>) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(at) = rest.find("url(") {
        let (before, after) = rest.split_at(at + 4);
        out.push_str(before);
        let end = after.find(')').unwrap_or(after.len());
        let written = after[..end].trim().trim_matches(['"', '\'']);
        match super::links::join(folder, written).and_then(|path| names.get(&path)) {
            // Beside the stylesheet, wherever that is served from: a guichet may stand under a path.
            Some(url) => {
                out.push('"');
                out.push_str(url.rsplit('/').next().unwrap_or(url));
                out.push('"');
            }
            None => out.push_str(&after[..end]),
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

/// One mistake of a template, as tera reports it.
struct Report {
    message: String,
    file: String,
    line: u32,
    column: u32,
}

/// The first report of an error.
fn report(error: &tera::Error) -> Option<Report> {
    reports(error).into_iter().next()
}

/// Every report of an error; several references may be wrong at once.
fn reports(error: &tera::Error) -> Vec<Report> {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => vec![Report {
            message: report.message().to_owned(),
            file: report.filename().to_owned(),
            line: report.span().start_line as u32,
            column: report.span().start_col as u32 + 1,
        }],
        ErrorKind::Msg(text) => drawn_reports(text),
        _ => Vec::new(),
    }
}

/// Reports that tera has already drawn: `error: …` then `--> file:line:column`.
fn drawn_reports(text: &str) -> Vec<Report> {
    let mut reports = Vec::new();
    let mut message = "";
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("error: ") {
            message = words;
        } else if let Some(place) = line.trim_start().strip_prefix("--> ") {
            let mut parts = place.rsplitn(3, ':');
            let column = parts.next().and_then(|part| part.parse().ok());
            let line = parts.next().and_then(|part| part.parse().ok());
            if let (Some(column), Some(line), Some(file)) = (column, line, parts.next()) {
                reports.push(Report { message: message.to_owned(), file: file.to_owned(), line, column });
            }
        }
    }
    reports
}

/// Message, remedy, line and column (0: unknown) of an error, in French.
fn phrase(error: &tera::Error) -> (String, String, u32, u32) {
    if let Some(report) = report(error) {
        let (message, hint) = french(&report.message);
        return (message, hint, report.line, report.column);
    }
    let (message, hint) = match error.kind() {
        ErrorKind::CircularExtend { tpl, .. } | ErrorKind::CircularInclude { tpl, .. } => (
            format!("le gabarit `{tpl}` se contient lui-même"),
            "retirez l'un des `extends` ou `include` de la boucle".to_owned(),
        ),
        ErrorKind::MissingParent { current, parent } => (
            format!("le gabarit `{current}` prolonge `{parent}`, qui n'existe pas"),
            "corrigez le nom après `extends`".to_owned(),
        ),
        ErrorKind::TemplateNotFound(name) => {
            (format!("le gabarit `{name}` n'existe pas"), "corrigez son nom, ou ajoutez ce fichier".to_owned())
        }
        other => french(&other.to_string()),
    };
    (message, hint, 0, 0)
}

/// A message of tera in French, with its remedy.
fn french(message: &str) -> (String, String) {
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or("").to_owned();
    if let Some(rest) = message.strip_prefix("Variable `") {
        let name = rest.split('`').next().unwrap_or("");
        let known = message.split_once("Available variables: ").map_or("", |(_, list)| list);
        return (format!("la variable `{name}` n'existe pas dans ce gabarit"), choices("variables", known));
    }
    if let Some(rest) = message.strip_prefix("Field `") {
        let name = rest.split('`').next().unwrap_or("");
        let known = message.split_once("Available fields: ").map_or("", |(_, list)| list);
        return (format!("le champ `{name}` n'existe pas ici"), choices("champs", known));
    }
    if message.contains("undefined") {
        return (
            "ce gabarit affiche une valeur qui n'existe pas".to_owned(),
            "corrigez le nom, ou prévoyez son absence : `{{ a.b or \"\" }}`, `{% if a.b %}`".to_owned(),
        );
    }
    for (english, words) in [
        ("filter", "le filtre"),
        ("Filter", "le filtre"),
        ("function", "la fonction"),
        ("Function", "la fonction"),
        ("component", "le composant"),
        ("Component", "le composant"),
        ("test", "le test"),
        ("Test", "le test"),
        ("template", "le gabarit"),
    ] {
        let unknown = ["not registered", "not found", "unknown", "Unknown", "does not exist"];
        if message.contains(english) && unknown.iter().any(|word| message.contains(word)) {
            return (
                format!("{words} `{}` n'existe pas", quoted(message)),
                format!("corrigez son nom (texte de tera : {message})"),
            );
        }
    }
    let first = message.lines().next().unwrap_or("");
    let said = [
        ("Unexpected end", "il manque une fin : `}}`, `{% endif %}`, `{% endfor %}`, `{% endblock %}`…".to_owned()),
        ("Unknown tag", "cette balise `{% … %}` n'existe pas, ou ferme ce qui n'est pas ouvert".to_owned()),
        ("Template already contains a block", format!("le bloc `{}` est écrit deux fois", quoted(first))),
        ("String opened with", "un texte entre guillemets n'est pas fermé".to_owned()),
        ("Found `", format!("`{}` n'est pas attendu ici", quoted(first))),
    ];
    let said = said.into_iter().find(|(english, _)| first.starts_with(english)).map(|(_, words)| words);
    (
        match said {
            Some(words) => format!("ce gabarit ne se lit pas : {words} [{first}]"),
            None => format!("ce gabarit ne se lit pas : {first}"),
        },
        "corrigez l'écriture du gabarit (documentation de Tera 2), ou retirez-le : celui du thème fourni sera pris"
            .to_owned(),
    )
}

fn choices(what: &str, known: &str) -> String {
    let known: Vec<&str> = known.split(", ").filter(|name| !name.is_empty() && !name.starts_with("__")).collect();
    if known.is_empty() {
        "corrigez son nom ; src/render/view.rs dit ce que reçoit chaque gabarit".to_owned()
    } else {
        format!("{what} disponibles : {}", known.join(", "))
    }
}
