//! The one door to the Markdown parser: a content's body to safe HTML with French typography.
//!
//! 1. CommonMark, tables, footnotes, definition lists and alerts are read as events, each with its place in the file.
//! 2. Links and pictures are resolved against the folder; what leads nowhere is told with file and line.
//! 3. HTML is written by hand here, escaped; only a body that holds raw HTML goes through the sanitiser.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use pulldown_cmark::{Alignment, BlockQuoteKind, Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeWithOffset};

use super::links::{Destination, Links};
use super::view::ImageView;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::content::Body;
use crate::model::site::Target;
use crate::text::slug::slug;
use crate::text::typography::{french, quotes};

/// Start of the ids that templates, notes and tables use: a heading never takes it.
const RESERVED: &str = "bloc-";

/// `sizes` of the pictures of a text: the column, or the screen when it is narrower.
const PICTURE_SIZES: &str = "(min-width: 46rem) 42rem, 100vw";

/// A body made HTML.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    /// Safe HTML.
    pub(super) html: String,
    /// Level, id and title of each heading.
    pub(super) headings: Vec<(u8, String, String)>,
    /// Links to headings, to verify once every body is known.
    pub(super) anchors: Vec<AnchorLink>,
    /// What is wrong.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// A link to a heading.
#[derive(Debug)]
pub(super) struct AnchorLink {
    /// The page it leads to.
    pub(super) target: Target,
    /// Without `#`.
    pub(super) anchor: String,
    /// Where it is written.
    pub(super) place: Place,
}

/// Renders a body whose first level of headings (`##`) becomes `h{level}`, 2 or 3.
pub(super) fn render(links: &Links<'_>, path: &str, body: &Body, level: u8) -> Rendered {
    if body.markdown.trim().is_empty() {
        return Rendered::default();
    }
    let mut writer = Writer::new(links, path, body, level);
    writer.run();
    writer.finish()
}

/// Renders one line (a thing to prepare): links and emphasis only, no block.
pub(super) fn inline(links: &Links<'_>, path: &str, place: &Place, markdown: &str) -> Rendered {
    let body = Body { markdown: markdown.to_owned(), first_line: place.line };
    let mut rendered = render(links, path, &body, 2);
    let html = rendered.html.trim();
    if let Some(inner) =
        html.strip_prefix("<p>").and_then(|html| html.strip_suffix("</p>")).filter(|html| !html.contains("<p>"))
    {
        rendered.html = inner.to_owned();
    }
    rendered
}

/// Escapes text for HTML content and quoted attributes.
pub(super) fn escape(text: &str, out: &mut String) {
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        let entity = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            _ => continue,
        };
        out.push_str(&text[copied..at]);
        out.push_str(entity);
        copied = at + 1;
    }
    out.push_str(&text[copied..]);
}

struct Writer<'w, 's> {
    links: &'w Links<'s>,
    path: &'w str,
    body: &'w Body,
    shift: u8,
    out: String,
    rendered: Rendered,
    ids: BTreeSet<String>,
    /// Level of the heading before, the page's title being 1.
    last_level: u8,
    heading: Option<OpenHeading>,
    in_code: bool,
    link: Option<OpenLink>,
    table: Table,
    tables: usize,
    notes: Notes,
    /// Buffers under the footnote being written.
    outer: Vec<(String, String)>,
    raw_html: Option<u32>,
}

/// A heading being written.
struct OpenHeading {
    /// Where it starts in the output.
    start: usize,
    level: u8,
    title: String,
    place: Place,
}

/// A link being written.
struct OpenLink {
    /// Closes it; empty when the link was refused and only its words stay.
    close: String,
    words: String,
    range: Range<usize>,
}

#[derive(Default)]
struct Table {
    alignments: Vec<Alignment>,
    in_head: bool,
    cell: usize,
}

/// Footnotes, in the order of their first call.
#[derive(Default)]
struct Notes {
    order: Vec<String>,
    calls: BTreeMap<String, usize>,
    texts: BTreeMap<String, String>,
}

impl Notes {
    /// Number of a note (from 1) and how many times it was called, this call included.
    fn call(&mut self, label: &str) -> (usize, usize) {
        let calls = self.calls.entry(label.to_owned()).or_insert(0);
        *calls += 1;
        if *calls == 1 {
            self.order.push(label.to_owned());
        }
        let number = self.order.iter().position(|known| known == label).map_or(0, |at| at + 1);
        (number, *calls)
    }
}

type Events<'e> = Vec<(Event<'e>, Range<usize>)>;

impl<'w, 's> Writer<'w, 's> {
    fn new(links: &'w Links<'s>, path: &'w str, body: &'w Body, level: u8) -> Self {
        Writer {
            links,
            path,
            body,
            shift: level.saturating_sub(2),
            out: String::with_capacity(body.markdown.len() * 5 / 4 + 64),
            rendered: Rendered::default(),
            ids: BTreeSet::new(),
            last_level: level - 1,
            heading: None,
            in_code: false,
            link: None,
            table: Table::default(),
            tables: 0,
            notes: Notes::default(),
            outer: Vec::new(),
            raw_html: None,
        }
    }

    fn run(&mut self) {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_GFM
            | Options::ENABLE_DEFINITION_LIST;
        let body = self.body;
        let parser = Parser::new_ext(&body.markdown, options).into_offset_iter();
        let events: Events<'_> = TextMergeWithOffset::new(parser).collect();
        let mut at = 0;
        while at < events.len() {
            at = self.step(&events, at);
        }
    }

    /// Writes the event at `at`; gives the next one to write.
    fn step(&mut self, events: &Events<'_>, at: usize) -> usize {
        let (event, range) = &events[at];
        match event {
            Event::Start(Tag::Paragraph) => {
                if let Some(end) = lone_image(events, at) {
                    self.image(events, at + 1, true);
                    return end + 1;
                }
                self.out.push_str("<p>");
            }
            Event::Start(Tag::Image { .. }) => return self.image(events, at, false) + 1,
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(*tag),
            Event::Text(text) => self.text(text, events, at),
            Event::Code(code) => {
                self.out.push_str("<code>");
                escape(code, &mut self.out);
                self.out.push_str("</code>");
                self.heard(code);
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                self.out.push_str(html);
                self.raw_html.get_or_insert(self.line(range.start));
                self.judge_raw(html, range);
            }
            Event::SoftBreak => {
                self.out.push('\n');
                self.heard(" ");
            }
            Event::HardBreak => self.out.push_str("<br>\n"),
            Event::Rule => self.out.push_str("<hr>\n"),
            Event::FootnoteReference(label) => {
                let (number, call) = self.notes.call(label);
                let nth = if call == 1 { String::new() } else { format!("-{call}") };
                let _ = write!(
                    self.out,
                    "<sup class=\"appel\"><a href=\"#bloc-note-{number}\" id=\"bloc-appel-{number}{nth}\" aria-label=\"Note {number}\">{number}</a></sup>"
                );
            }
            Event::TaskListMarker(done) => self.out.push_str(if *done { "☑ " } else { "☐ " }),
            Event::InlineMath(text) | Event::DisplayMath(text) => escape(text, &mut self.out),
        }
        at + 1
    }

    fn start(&mut self, tag: &Tag<'_>, range: &Range<usize>) {
        match tag {
            Tag::Heading { level, .. } => {
                let (start, place) = (self.out.len(), self.place(range.clone()));
                self.heading = Some(OpenHeading { start, level: *level as u8, title: String::new(), place });
            }
            Tag::BlockQuote(None) => self.out.push_str("<blockquote>\n"),
            Tag::BlockQuote(Some(kind)) => {
                let (class, label) = alert(*kind);
                let _ = writeln!(
                    self.out,
                    "<blockquote class=\"markdown-alert-{class}\" role=\"note\">\n<p class=\"alerte-mot\">{label}</p>"
                );
            }
            Tag::CodeBlock(_) => {
                self.in_code = true;
                self.out.push_str("<pre tabindex=\"0\"><code>");
            }
            Tag::List(None) => self.out.push_str("<ul>\n"),
            Tag::List(Some(1)) => self.out.push_str("<ol>\n"),
            Tag::List(Some(first)) => {
                let _ = writeln!(self.out, "<ol start=\"{first}\">");
            }
            Tag::Item => self.out.push_str("<li>"),
            Tag::FootnoteDefinition(label) => {
                self.outer.push((std::mem::take(&mut self.out), label.to_string()));
            }
            Tag::DefinitionList => self.out.push_str("<dl>\n"),
            Tag::DefinitionListTitle => self.out.push_str("<dt>"),
            Tag::DefinitionListDefinition => self.out.push_str("<dd>"),
            Tag::Table(alignments) => {
                self.tables += 1;
                self.table = Table { alignments: alignments.clone(), ..Table::default() };
                self.open_table();
            }
            Tag::TableHead => {
                self.table.in_head = true;
                self.table.cell = 0;
                self.out.push_str("<thead>\n<tr>");
            }
            Tag::TableRow => {
                self.table.cell = 0;
                self.out.push_str("<tr>");
            }
            Tag::TableCell => self.open_cell(),
            Tag::Emphasis => self.out.push_str("<em>"),
            Tag::Strong => self.out.push_str("<strong>"),
            Tag::Strikethrough => self.out.push_str("<del>"),
            Tag::Superscript => self.out.push_str("<sup>"),
            Tag::Subscript => self.out.push_str("<sub>"),
            Tag::Link { link_type: LinkType::Email, dest_url, .. } => {
                self.open_link(&format!("mailto:{dest_url}"), range)
            }
            Tag::Link { dest_url, .. } => self.open_link(dest_url, range),
            Tag::Paragraph | Tag::Image { .. } | Tag::HtmlBlock | Tag::MetadataBlock(_) => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.out.push_str("</p>\n"),
            TagEnd::Heading(_) => self.close_heading(),
            TagEnd::BlockQuote(_) => self.out.push_str("</blockquote>\n"),
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.out.push_str("</code></pre>\n");
            }
            TagEnd::List(ordered) => self.out.push_str(if ordered { "</ol>\n" } else { "</ul>\n" }),
            TagEnd::Item => self.out.push_str("</li>\n"),
            TagEnd::FootnoteDefinition => {
                if let Some((outer, label)) = self.outer.pop() {
                    let text = std::mem::replace(&mut self.out, outer);
                    self.notes.texts.insert(label, text);
                }
            }
            TagEnd::DefinitionList => self.out.push_str("</dl>\n"),
            TagEnd::DefinitionListTitle => self.out.push_str("</dt>\n"),
            TagEnd::DefinitionListDefinition => self.out.push_str("</dd>\n"),
            TagEnd::Table => self.out.push_str("</tbody>\n</table>\n</div>\n"),
            TagEnd::TableHead => {
                self.table.in_head = false;
                self.out.push_str("</tr>\n</thead>\n<tbody>\n");
            }
            TagEnd::TableRow => self.out.push_str("</tr>\n"),
            TagEnd::TableCell => self.out.push_str(if self.table.in_head { "</th>" } else { "</td>" }),
            TagEnd::Emphasis => self.out.push_str("</em>"),
            TagEnd::Strong => self.out.push_str("</strong>"),
            TagEnd::Strikethrough => self.out.push_str("</del>"),
            TagEnd::Superscript => self.out.push_str("</sup>"),
            TagEnd::Subscript => self.out.push_str("</sub>"),
            TagEnd::Link => self.close_link(),
            TagEnd::Image | TagEnd::HtmlBlock | TagEnd::MetadataBlock(_) => {}
        }
    }

    /// Opens a table that scrolls by itself, named after the heading above it.
    fn open_table(&mut self) {
        let number = self.tables;
        let _ = write!(
            self.out,
            "<div class=\"table-cadre\" role=\"region\" aria-labelledby=\"bloc-tableau-{number}\" tabindex=\"0\">\n<table>\n<caption class=\"vh\" id=\"bloc-tableau-{number}\">"
        );
        match self.rendered.headings.last() {
            Some((_, _, title)) => escape(title, &mut self.out),
            None => self.out.push_str("Tableau"),
        }
        if number > 1 {
            let _ = write!(self.out, " (tableau {number})");
        }
        self.out.push_str("</caption>\n");
    }

    fn open_cell(&mut self) {
        let class = match self.table.alignments.get(self.table.cell) {
            Some(Alignment::Right) => " class=\"droite\"",
            Some(Alignment::Center) => " class=\"centre\"",
            _ => "",
        };
        self.table.cell += 1;
        let _ = if self.table.in_head {
            write!(self.out, "<th scope=\"col\"{class}>")
        } else {
            write!(self.out, "<td{class}>")
        };
    }

    fn text(&mut self, text: &str, events: &Events<'_>, at: usize) {
        if self.in_code {
            escape(text, &mut self.out);
            return;
        }
        self.heard(text);
        self.judge_unread_link(events[at].1.clone());
        let quoted = quotes(text);
        let mended = french(&quoted);
        // An apostrophe whose second word is emphasised or linked stands at the end of this event.
        let opens = matches!(events.get(at + 1), Some((Event::Start(_), _)));
        let (mended, apostrophe) = match mended.strip_suffix('\'') {
            Some(before) if opens && before.ends_with(char::is_alphabetic) => (before, "’"),
            _ => (mended.as_ref(), ""),
        };
        if self.link.is_some() {
            escape(mended, &mut self.out);
        } else {
            autolink(mended, &mut self.out);
        }
        self.out.push_str(apostrophe);
    }

    /// Remembers words for the heading's id and the link's judgement.
    fn heard(&mut self, words: &str) {
        if let Some(heading) = &mut self.heading {
            heading.title.push_str(words);
        }
        if let Some(link) = &mut self.link {
            link.words.push_str(words);
        }
    }

    fn close_heading(&mut self) {
        let Some(OpenHeading { start, level: written, title, place }) = self.heading.take() else { return };
        if written == 1 {
            self.warn(
                Code::Title,
                place.clone(),
                "un titre « # » dans le texte ferait un second titre de page",
                "écrivez « ## » : le titre de la page vient de `titre`",
            );
        }
        let level = (written.max(2) + self.shift).min(6);
        if level > self.last_level + 1 {
            let (here, expected) =
                ("#".repeat(written as usize), "#".repeat((self.last_level + 1 - self.shift) as usize));
            self.warn(
                Code::Headings,
                place,
                &format!("le titre « {title} » saute un niveau"),
                &format!("écrivez « {expected} » au lieu de « {here} »"),
            );
        }
        self.last_level = level;
        let id = self.free_id(&slug(&title));
        self.out.insert_str(start, &format!("<h{level} id=\"{id}\">"));
        let _ = writeln!(self.out, "</h{level}>");
        self.rendered.headings.push((level, id, french(title.trim()).into_owned()));
    }

    fn free_id(&mut self, wanted: &str) -> String {
        let wanted = if wanted.starts_with(RESERVED) { format!("titre-{wanted}") } else { wanted.to_owned() };
        let mut id = wanted.clone();
        let mut number = 1;
        while !self.ids.insert(id.clone()) {
            number += 1;
            id = format!("{wanted}-{number}");
        }
        id
    }

    fn open_link(&mut self, written: &str, range: &Range<usize>) {
        let mut close = String::new();
        match self.links.resolve(self.path, written) {
            Ok(destination) => {
                close = self.open_anchor(&destination);
                if let Destination::Page { target: Some(target), anchor: Some(anchor), .. } = &destination {
                    self.rendered.anchors.push(AnchorLink {
                        target: *target,
                        anchor: anchor.clone(),
                        place: self.place(range.clone()),
                    });
                }
            }
            Err(broken) => self.rendered.diagnostics.push(broken.at(self.place(range.clone()))),
        }
        self.link = Some(OpenLink { close, words: String::new(), range: range.clone() });
    }

    fn open_anchor(&mut self, destination: &Destination) -> String {
        self.out.push_str("<a href=\"");
        escape(&destination.href(), &mut self.out);
        match destination {
            Destination::External(_) => self.out.push_str("\" rel=\"external\">"),
            _ => self.out.push_str("\">"),
        }
        match destination {
            Destination::File { details: Some(details), .. } => {
                let mut close = String::from(" <span class=\"poids\">(");
                escape(details, &mut close);
                close.push_str(")</span></a>");
                close
            }
            _ => "</a>".to_owned(),
        }
    }

    fn close_link(&mut self) {
        let Some(link) = self.link.take() else { return };
        self.out.push_str(&link.close);
        let words = link.words.trim().to_lowercase();
        let vague =
            ["ici", "cliquez ici", "cliquer ici", "lien", "ce lien", "lire la suite", "en savoir plus", "plus d'infos"];
        let message = if words.is_empty() {
            "ce lien n'a pas de mots : personne ne saura où il mène".to_owned()
        } else if vague.contains(&words.replace('’', "'").as_str()) {
            format!("« {} » ne dit pas où mène ce lien", link.words.trim())
        } else {
            return;
        };
        let place = self.place(link.range);
        self.rendered.diagnostics.push(
            Diagnostic::warning(Code::LinkText, place, message)
                .hint("écrivez entre les crochets ce que l'on trouve au bout : « [le règlement de la salle](…) »"),
        );
    }

    /// Writes the picture that starts at `at`; gives the place of its end.
    fn image(&mut self, events: &Events<'_>, at: usize, alone: bool) -> usize {
        let (Event::Start(Tag::Image { dest_url, title, .. }), range) = &events[at] else { return at };
        let mut alt = String::new();
        let mut end = at + 1;
        let mut depth = 0;
        while end < events.len() {
            match &events[end].0 {
                Event::Start(Tag::Image { .. }) => depth += 1,
                Event::End(TagEnd::Image) if depth == 0 => break,
                Event::End(TagEnd::Image) => depth -= 1,
                Event::Text(text) | Event::Code(text) => alt.push_str(text),
                Event::SoftBreak | Event::HardBreak => alt.push(' '),
                _ => {}
            }
            end += 1;
        }
        self.heard(if alt.is_empty() { "image" } else { &alt });
        match self.picture(dest_url, &alt) {
            Ok(picture) => {
                if alone {
                    self.out.push_str("<figure>");
                }
                picture_html(&picture, &mut self.out);
                if alone {
                    if !title.is_empty() {
                        self.out.push_str("<figcaption>");
                        escape(&french(title), &mut self.out);
                        self.out.push_str("</figcaption>");
                    }
                    self.out.push_str("</figure>\n");
                }
            }
            Err(broken) => self.rendered.diagnostics.push(broken.at(self.place(range.clone()))),
        }
        self.judge_alternative(&alt, dest_url, range);
        end
    }

    fn picture<'a>(&self, written: &str, alt: &'a str) -> Result<ImageView<'a>, super::links::Broken> {
        use crate::diagnostic::Severity::Error;
        if written.contains("://") || written.starts_with("//") || written.starts_with("data:") {
            return Err(super::links::Broken::new(
                Error,
                Code::BadLink,
                format!("l'image « {written} » est sur un autre site"),
                "copiez-la dans `medias/` (si vous en avez le droit), puis écrivez son chemin relatif",
            ));
        }
        match self.links.source(self.path, written)? {
            Some(path) => self.links.media.image(path, alt, None),
            None => Err(super::links::Broken::new(
                Error,
                Code::BrokenImage,
                format!("« {written} » n'est pas une image"),
                "donnez un fichier JPEG, PNG, WebP, GIF ou SVG",
            )),
        }
    }

    fn judge_alternative(&mut self, alt: &str, written: &str, range: &Range<usize>) {
        let lower = alt.trim().to_lowercase();
        let name = written.rsplit('/').next().unwrap_or("").to_lowercase();
        let image_name =
            [".jpg", ".jpeg", ".png", ".webp", ".gif", ".svg"].iter().any(|extension| lower.ends_with(extension));
        if image_name
            || (!lower.is_empty() && name == lower)
            || ["image", "photo", "illustration"].contains(&lower.as_str())
        {
            let place = self.place(range.clone());
            self.rendered.diagnostics.push(
                Diagnostic::warning(Code::Alternative, place, format!("« {alt} » ne dit pas ce que montre l'image"))
                    .hint("décrivez-la en une phrase ; laissez vide (`![](…)`) si elle est décorative"),
            );
        }
    }

    /// Tells `[words](an address)` that is no link to Markdown, and would be read as it is written.
    fn judge_unread_link(&mut self, range: Range<usize>) {
        let source = self.body.markdown.get(range.clone()).unwrap_or("");
        let Some(joint) = source.find("](").filter(|at| !source[..*at].ends_with('\\')) else { return };
        let start = source[..joint].rfind('[').unwrap_or(joint);
        let start = if source[..start].ends_with('!') { start - 1 } else { start };
        let line = source[joint + 2..].lines().next().unwrap_or("");
        let address = line.split(')').next().unwrap_or(line).trim();
        let end = (joint + 2 + line.len().min(line.find(')').map_or(line.len(), |at| at + 1))).min(source.len());
        let (message, hint) = if address.contains(char::is_whitespace) {
            (
                "ce lien n'est pas lu : son adresse contient des espaces".to_owned(),
                format!("mettez l'adresse entre chevrons : {}(<{address}>)", &source[start..=joint]),
            )
        } else {
            (
                "ce lien n'est pas lu : il serait montré tel quel".to_owned(),
                "écrivez [les mots du lien](adresse), sur une seule ligne ; pour montrer un crochet, écrivez \\["
                    .to_owned(),
            )
        };
        let place = self.place(range.start + start..range.start + end);
        self.rendered.diagnostics.push(Diagnostic::error(Code::BadLink, place, message).hint(hint));
    }

    fn judge_raw(&mut self, html: &str, range: &Range<usize>) {
        let lower = html.to_ascii_lowercase();
        let forbidden = [
            "<script",
            "<iframe",
            "<style",
            "<object",
            "<embed",
            "<form",
            "<input",
            "<button",
            "<svg",
            "<math",
            "javascript:",
        ];
        let handler = lower.split(|letter: char| letter.is_ascii_whitespace() || letter == '/').any(|word| {
            word.strip_prefix("on").is_some_and(|rest| {
                rest.split('=')
                    .next()
                    .is_some_and(|name| name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_lowercase()))
                    && rest.contains('=')
            })
        });
        let found = forbidden.iter().find(|word| lower.contains(*word)).map(|word| word.trim_start_matches('<'));
        let Some(what) = found.or(handler.then_some("on…=")) else { return };
        let place = self.place(range.clone());
        self.rendered.diagnostics.push(
            Diagnostic::warning(
                Code::BadValue,
                place,
                format!("code HTML refusé (`{what}`) : il est retiré de la page"),
            )
            .hint("écrivez du Markdown ; pour une vidéo ou une carte, mettez un lien"),
        );
    }

    fn line(&self, offset: usize) -> u32 {
        let before = &self.body.markdown.as_bytes()[..offset.min(self.body.markdown.len())];
        self.body.first_line + before.iter().filter(|byte| **byte == b'\n').count() as u32
    }

    fn place(&self, range: Range<usize>) -> Place {
        Place::span(self.path, &self.body.markdown, range, self.body.first_line)
    }

    fn warn(&mut self, code: Code, place: Place, message: &str, hint: &str) {
        self.rendered.diagnostics.push(Diagnostic::warning(code, place, message).hint(hint));
    }

    fn finish(mut self) -> Rendered {
        self.write_notes();
        if self.raw_html.is_some() {
            self.sanitise();
        }
        self.rendered.html = self.out;
        self.rendered
    }
}

impl Writer<'_, '_> {
    /// Writes the notes that were called, in the order of their calls, each with the way back.
    fn write_notes(&mut self) {
        for (at, label) in std::mem::take(&mut self.notes.order).iter().enumerate() {
            let number = at + 1;
            let text = self.notes.texts.remove(label).unwrap_or_default();
            let calls = self.notes.calls.get(label).copied().unwrap_or(1);
            let text = text.trim_end();
            let (text, close) = match text.strip_suffix("</p>") {
                Some(text) => (text, "</p>"),
                None => (text, ""),
            };
            let _ = write!(
                self.out,
                "<div class=\"footnote-definition\" id=\"bloc-note-{number}\" role=\"note\"><span>{number}.</span><div>{text}"
            );
            for call in 1..=calls {
                let nth = if call == 1 { String::new() } else { format!("-{call}") };
                let _ = write!(self.out, " <a href=\"#bloc-appel-{number}{nth}\" aria-label=\"Retour au texte\">↩</a>");
            }
            let _ = writeln!(self.out, "{close}</div></div>");
        }
    }

    /// Cleans a body that holds raw HTML, and resolves the links and pictures written in it.
    fn sanitise(&mut self) {
        let line = self.raw_html.unwrap_or(self.body.first_line);
        // The filter may not borrow: it notes the addresses that want resolving, they are replaced in the clean text.
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = Arc::clone(&seen);
        let clean = ammonia::Builder::default()
            .add_tags([
                "figure",
                "figcaption",
                "picture",
                "source",
                "section",
                "details",
                "summary",
                "mark",
                "time",
                "abbr",
            ])
            .add_generic_attributes(["id", "class", "role", "tabindex", "aria-label", "aria-labelledby", "lang"])
            .add_tag_attributes("source", ["type", "srcset", "sizes"])
            .add_tag_attributes("img", ["srcset", "sizes", "loading", "decoding"])
            .add_tag_attributes("a", ["rel"])
            .add_tag_attributes("th", ["scope"])
            .add_tag_attributes("details", ["open"])
            .link_rel(None)
            .attribute_filter(move |element, attribute, value| {
                if matches!((element, attribute), ("a", "href") | ("img", "src")) {
                    let mut noted = noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    noted.insert((element == "img", value.to_owned()));
                }
                Some(value.into())
            })
            .clean(&self.out)
            .to_string();
        self.out = clean;
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let found = Mutex::new(Vec::new());
        for (image, value) in seen {
            let (element, attribute) = if image { ("img", "src") } else { ("a", "href") };
            let resolved = raw_address(self.links, self.path, line, element, &value, &found);
            if resolved.as_deref() == Some(value.as_str()) {
                continue;
            }
            let written =
                |value: &str| format!(" {attribute}=\"{}\"", value.replace('&', "&amp;").replace('"', "&quot;"));
            self.out = self.out.replace(&written(&value), &resolved.map(|to| written(&to)).unwrap_or_default());
        }
        self.rendered.diagnostics.extend(found.into_inner().unwrap_or_default());
    }
}

/// The address of a link or a picture of raw HTML; `None`, and a diagnostic, when it leads nowhere.
fn raw_address<'v>(
    links: &Links<'_>,
    path: &str,
    line: u32,
    element: &str,
    value: &'v str,
    found: &Mutex<Vec<Diagnostic>>,
) -> Option<std::borrow::Cow<'v, str>> {
    let ours = value.starts_with('/')
        || value.starts_with('#')
        || value.starts_with("http://")
        || value.starts_with("https://");
    if ours || value.starts_with("mailto:") || value.starts_with("tel:") {
        return Some(value.into());
    }
    let resolved = match element {
        "img" => links.source(path, value).and_then(|source| match source {
            Some(source) => links.media.image(source, "", None).map(|image| image.src.into_owned()),
            None => Ok(value.to_owned()),
        }),
        _ => links.resolve(path, value).map(|destination| destination.href().into_owned()),
    };
    match resolved {
        Ok(url) => Some(url.into()),
        Err(broken) => {
            if let Ok(mut found) = found.lock() {
                found.push(broken.at(Place::line(path, line)));
            }
            None
        }
    }
}

/// The place of the paragraph's end, when a paragraph holds a picture and nothing else.
fn lone_image(events: &Events<'_>, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (offset, (event, _)) in events[at + 1..].iter().enumerate() {
        match event {
            Event::Start(Tag::Image { .. }) => depth += 1,
            Event::End(TagEnd::Image) => depth -= 1,
            Event::End(TagEnd::Paragraph) => return (offset > 0).then_some(at + 1 + offset),
            _ if depth > 0 => {}
            _ => return None,
        }
        if depth == 0 && !matches!(events.get(at + 2 + offset), Some((Event::End(TagEnd::Paragraph), _))) {
            return None;
        }
    }
    None
}

/// Class and label of an alert (`> [!NOTE]`).
fn alert(kind: BlockQuoteKind) -> (&'static str, &'static str) {
    match kind {
        BlockQuoteKind::Note => ("note", "À noter"),
        BlockQuoteKind::Tip => ("tip", "Conseil"),
        BlockQuoteKind::Important => ("important", "Important"),
        BlockQuoteKind::Warning => ("warning", "Attention"),
        BlockQuoteKind::Caution => ("caution", "Danger"),
    }
}

/// Writes a picture with its variants.
fn picture_html(picture: &ImageView<'_>, out: &mut String) {
    let attribute = |name: &str, value: &str, out: &mut String| {
        let _ = write!(out, " {name}=\"");
        escape(value, out);
        out.push('"');
    };
    out.push_str("<picture>");
    for source in &picture.sources {
        out.push_str("<source");
        attribute("type", &source.mime, out);
        attribute("srcset", &source.srcset, out);
        attribute("sizes", PICTURE_SIZES, out);
        out.push('>');
    }
    out.push_str("<img");
    attribute("src", &picture.src, out);
    if let Some(srcset) = &picture.srcset {
        attribute("srcset", srcset, out);
        attribute("sizes", PICTURE_SIZES, out);
    }
    let _ = write!(out, " width=\"{}\" height=\"{}\"", picture.width, picture.height);
    attribute("alt", &picture.alt, out);
    out.push_str(" loading=\"lazy\" decoding=\"async\"></picture>");
}

/// Escapes text, and makes links of the addresses of sites and people that stand bare in it.
fn autolink(text: &str, out: &mut String) {
    if !text.contains("://") && !text.contains("www.") && !text.contains('@') {
        escape(text, out);
        return;
    }
    let mut plain = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let skip = rest.find(|letter: char| !is_separator(letter)).unwrap_or(rest.len());
        let start = at + skip;
        let end = text[start..].find(is_separator).map_or(text.len(), |length| start + length);
        let word = trim_word(&text[start..end]);
        if let Some(href) = bare_address(word) {
            escape(&text[plain..start], out);
            out.push_str("<a href=\"");
            escape(&href, out);
            out.push_str(if href.starts_with("mailto:") { "\">" } else { "\" rel=\"external\">" });
            escape(word, out);
            out.push_str("</a>");
            plain = start + word.len();
        }
        at = end.max(start + 1).min(text.len());
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    escape(&text[plain..], out);
}

fn is_separator(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '<' | '>' | '"' | '«' | '»' | '(' | '[' | '{' | '|')
}

/// A word without the punctuation that ends its sentence.
fn trim_word(word: &str) -> &str {
    word.trim_end_matches(['.', ',', ';', ':', '!', '?', '…', ')', ']', '}', '\'', '’', '*'])
}

/// What a bare address links to.
fn bare_address(word: &str) -> Option<String> {
    let host_of =
        |rest: &str| rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('.') && !host.ends_with('.'));
    if let Some(rest) = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://")) {
        return host_of(rest).then(|| word.to_owned());
    }
    if word.starts_with("www.") && host_of(&word[4..]) {
        return Some(format!("https://{word}"));
    }
    let (local, domain) = word.split_once('@')?;
    let good = |part: &str| {
        !part.is_empty()
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | '+'))
    };
    (good(local) && good(domain) && domain.contains('.') && !domain.starts_with('.')).then(|| format!("mailto:{word}"))
}
