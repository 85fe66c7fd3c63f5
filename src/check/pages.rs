//! Reads every page as a browser does and judges it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use percent_encoding::percent_decode_str;
use rayon::prelude::*;

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::output::{Artifact, Output};

/// What a page says of itself.
#[derive(Debug, Default)]
struct Page {
    language: bool,
    title: String,
    headings: Vec<(u8, String)>,
    images_without_alternative: Vec<String>,
    links: Vec<Link>,
    ids: BTreeSet<String>,
    doubled_ids: Vec<String>,
    is_redirect: bool,
    /// Words that look like a link nobody made.
    unread_links: Vec<String>,
}

#[derive(Debug, Default)]
struct Link {
    href: String,
    name: String,
}

/// What is being read.
#[derive(Default)]
struct State {
    page: Page,
    in_title: bool,
    heading: Option<u8>,
    in_link: bool,
    /// Inside `<script>`, `<style>` or `<template>`: text that nobody reads.
    silent: u32,
    /// Inside `<code>` or `<pre>`: text shown as it is written, on purpose.
    code: u32,
}

#[derive(Default)]
struct Sink(RefCell<State>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let state = &mut *self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => state.tag(&tag),
            Token::CharacterTokens(text) => state.text(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn attribute<'t>(tag: &'t Tag, name: &str) -> Option<&'t str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

impl State {
    fn tag(&mut self, tag: &Tag) {
        let start = tag.kind == TagKind::StartTag;
        let name = &*tag.name;
        if start
            && let Some(id) = attribute(tag, "id")
            && !self.page.ids.insert(id.to_owned())
        {
            self.page.doubled_ids.push(id.to_owned());
        }
        match name {
            "html" if start => self.page.language = attribute(tag, "lang").is_some_and(|lang| !lang.is_empty()),
            "title" if self.silent == 0 => self.in_title = start && self.page.title.is_empty(),
            "meta" if start => {
                self.page.is_redirect |= attribute(tag, "http-equiv").is_some_and(|v| v.eq_ignore_ascii_case("refresh"))
            }
            "script" | "style" | "template" | "svg" => {
                self.silent = if start && !tag.self_closing {
                    self.silent + 1
                } else {
                    self.silent.saturating_sub(u32::from(!start))
                }
            }
            "code" | "pre" => self.code = if start { self.code + 1 } else { self.code.saturating_sub(1) },
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = name.as_bytes()[1] - b'0';
                if start {
                    self.page.headings.push((level, String::new()));
                }
                self.heading = start.then_some(level);
            }
            "a" if start => {
                if let Some(href) = attribute(tag, "href") {
                    let name = attribute(tag, "aria-label").unwrap_or("").to_owned();
                    self.page.links.push(Link { href: href.to_owned(), name });
                    self.in_link = true;
                }
            }
            "a" => self.in_link = false,
            "img" if start => match attribute(tag, "alt") {
                Some(alt) => self.text(alt),
                None => self.page.images_without_alternative.push(attribute(tag, "src").unwrap_or("").to_owned()),
            },
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.silent > 0 {
            return;
        }
        if self.code == 0 && text.contains("](") {
            self.page.unread_links.push(text.trim().chars().take(60).collect());
        }
        if self.in_title {
            self.page.title.push_str(text);
        }
        if let (Some(_), Some((_, heading))) = (self.heading, self.page.headings.last_mut()) {
            heading.push_str(text);
        }
        if let (true, Some(link)) = (self.in_link, self.page.links.last_mut()) {
            link.name.push_str(text);
        }
    }
}

fn read(html: &[u8]) -> Page {
    let queue = BufferQueue::default();
    queue.push_back(String::from_utf8_lossy(html).into_owned().into());
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    // The script and raw-text states belong to the tree builder; our pages hold neither inline script nor style.
    let _ = tokenizer.feed(&queue);
    tokenizer.end();
    tokenizer.sink.0.into_inner().page
}

/// Every page of the output, judged; `places` gives the author's file of a page.
pub(super) fn judge(output: &Output, places: &BTreeMap<String, Place>, domain: &str) -> Vec<Diagnostic> {
    let pages: BTreeMap<&str, Page> = output
        .files
        .par_iter()
        .filter_map(|(path, artifact)| match artifact {
            Artifact::Bytes(bytes) if path.ends_with(".html") => Some((path.as_str(), read(bytes))),
            _ => None,
        })
        .collect();
    let mut diagnostics = Vec::new();
    for (path, page) in &pages {
        let place = places.get(*path).cloned().unwrap_or_else(|| Place::file(format!("/{path}")));
        if !page.is_redirect {
            structure(page, &place, &mut diagnostics);
        }
        for link in &page.links {
            judge_link(link, path, &place, &pages, output, domain, &mut diagnostics);
        }
    }
    diagnostics
}

fn structure(page: &Page, place: &Place, diagnostics: &mut Vec<Diagnostic>) {
    let mut tell = |code, message: String, hint: &str| {
        diagnostics.push(Diagnostic::error(code, place.clone(), message).hint(hint))
    };
    if page.title.trim().is_empty() {
        tell(
            Code::Title,
            "la page n'a pas de titre".into(),
            "ajoutez titre = \"…\" ; dans un gabarit, un élément <title>",
        );
    }
    if !page.language {
        tell(Code::Title, "la page ne dit pas sa langue".into(), "le gabarit doit écrire <html lang=\"fr\">");
    }
    let first_level = page.headings.iter().filter(|(level, _)| *level == 1).count();
    if first_level != 1 {
        tell(
            Code::Title,
            format!("la page a {first_level} titres de premier niveau"),
            "il en faut un seul : titre = \"…\" le donne, commencez le texte par ##",
        );
    }
    let mut previous = 0;
    for (level, text) in &page.headings {
        if text.trim().is_empty() {
            tell(Code::Headings, "un titre est vide".into(), "écrivez un texte après les dièses, ou retirez-les");
        }
        if *level > previous + 1 && previous > 0 {
            tell(
                Code::Headings,
                format!("le titre « {} » saute un niveau (de {previous} à {level})", text.trim()),
                "descendez d'un niveau à la fois : ## puis ###",
            );
        }
        previous = *level;
    }
    for source in &page.images_without_alternative {
        tell(
            Code::Alternative,
            format!("l'image {source} n'a pas d'alternative"),
            "écrivez ![ce que montre l'image](…), ou ![](…) si elle est décorative",
        );
    }
    for words in &page.unread_links {
        tell(
            Code::BadLink,
            format!("« {words} » montre les signes d'un lien que rien n'a lu"),
            "les liens se lisent dans le texte, pas dans titre ni resume ; une adresse qui a des espaces va entre chevrons : (<…>)",
        );
    }
    for id in &page.doubled_ids {
        tell(
            Code::Title,
            format!("l'identifiant « {id} » est donné deux fois dans la page"),
            "dans un gabarit, donnez à chaque élément son propre id",
        );
    }
}

fn judge_link(
    link: &Link,
    path: &str,
    place: &Place,
    pages: &BTreeMap<&str, Page>,
    output: &Output,
    domain: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if link.name.trim().is_empty() {
        diagnostics.push(
            Diagnostic::error(Code::LinkText, place.clone(), format!("le lien vers {} n'a pas de texte", link.href))
                .hint("écrivez entre crochets où il mène : [le règlement de la salle](…)"),
        );
    }
    let href =
        link.href.strip_prefix(domain).filter(|rest| !domain.is_empty() && rest.starts_with('/')).unwrap_or(&link.href);
    let (address, fragment) = href.split_once('#').unwrap_or((href, ""));
    let address = address.split('?').next().unwrap_or("");
    // Foreign addresses, mail, telephone, and the guichet, which answers by itself.
    if address.contains(':')
        || address.starts_with("//")
        || address.starts_with("/guichet/")
        || address.starts_with("/__mulot/")
    {
        return;
    }
    let target = if address.is_empty() {
        path.to_owned()
    } else if address.starts_with('/') {
        percent_decode_str(&Output::path_of_url(address)).decode_utf8_lossy().into_owned()
    } else {
        return;
    };
    if !output.files.contains_key(&target) {
        diagnostics.push(
            Diagnostic::error(Code::DeadLink, place.clone(), format!("le lien vers {address} ne mène à rien"))
                .hint("corrigez l'adresse, ou écrivez un lien vers le fichier : [texte](../dossier/fichier.md)"),
        );
        return;
    }
    let found = pages.get(target.as_str()).is_none_or(|page| {
        let decoded = percent_decode_str(fragment).decode_utf8_lossy();
        fragment.is_empty() || page.ids.contains(fragment) || page.ids.contains(decoded.as_ref())
    });
    if !found {
        diagnostics.push(
            Diagnostic::error(
                Code::DeadAnchor,
                place.clone(),
                format!("le lien #{fragment} ne mène à aucun titre de {address}"),
            )
            .hint("l'ancre est le titre en minuscules, sans accents, les mots joints par des tirets"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(body: &str) -> Vec<&'static str> {
        let mut output = Output::default();
        output.put("index.html", format!("<!doctype html><html lang=fr><title>T</title><body>{body}"));
        output.put("a/index.html", "<!doctype html><html lang=fr><title>T</title><h1>A</h1><h2 id=ici>I</h2>");
        judge(&output, &BTreeMap::new(), "https://x.example").iter().map(|told| told.code.as_str()).collect()
    }

    #[test]
    fn a_good_page_is_not_told_anything() {
        assert_eq!(
            codes(
                "<h1>T</h1><h2>U</h2><p><a href='/a/#ici'>A</a> <a href='https://x.example/a/'>A</a><img alt='' src=x>"
            ),
            [""; 0]
        );
    }

    #[test]
    fn each_mistake_has_its_code() {
        assert_eq!(codes("<h2>T</h2>"), ["M0801"]);
        assert_eq!(codes("<h1>T</h1><h1>U</h1>"), ["M0801"]);
        assert_eq!(codes("<h1>T</h1><h3>U</h3>"), ["M0803"]);
        assert_eq!(codes("<h1>T</h1><img src=x>"), ["M0802"]);
        assert_eq!(codes("<h1>T</h1><p>[le plan](un plan.pdf)</p><p><code>[a](b)</code></p>"), ["M0305"]);
        assert_eq!(codes("<h1>T</h1><a href='/a/'><svg><title>rien</title></svg></a>"), ["M0804"]);
        assert_eq!(codes("<h1>T</h1><a href='/b/'>B</a>"), ["M0302"]);
        assert_eq!(codes("<h1>T</h1><a href='/a/#la'>A</a>"), ["M0304"]);
        assert_eq!(codes("<h1 id=x>T</h1><p id=x>"), ["M0801"]);
    }
}
