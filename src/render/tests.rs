//! What the pages of a site say and do, seen from outside.

use std::collections::BTreeMap;

use jiff::civil::date;

use super::guichet::Pages;
use super::test_site::{
    FakePictures, add_draft, add_file, base, content, draw, event, form, full, news, page, site, text, theme,
};
use super::{Options, Theme};
use crate::diagnostic::{Code, Diagnostic, Severity, has_errors};
use crate::model::commune::Identite;
use crate::model::content::{Kind, Moment};
use crate::model::output::Artifact;
use crate::model::submission::{FieldError, RawAnswers, StoredFile, ValidAnswers};

/// The body of one page, and what is said of it.
fn body(markdown: &str) -> (String, Vec<Diagnostic>) {
    let mut site = site(vec![
        page("pages/mairie/index.md", "La mairie", ""),
        page("pages/mairie/essai.md", "Essai", markdown),
        page("pages/vie/école.md", "L'école", "## La cantine\n\nTexte."),
    ]);
    site.urls[2] = "/vie/ecole/".into();
    add_file(&mut site, "medias/Plan du bourg été.pdf", &[0; 340_000]);
    add_file(&mut site, "medias/village.jpg", b"jpg");
    add_file(&mut site, "medias/abimee.jpg", b"no");
    add_file(&mut site, "medias/logo.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 20\"><script>alert(1)</script><path d=\"M0 0\" onclick=\"x()\"/></svg>");
    add_draft(&mut site, "pages/vie/brouillon.md");
    let (output, diagnostics) = draw(&site);
    let html = text(&output, "mairie/essai/index.html");
    let start = html.find("<div class=\"texte\">").map_or(0, |at| at + 19);
    let end = html[start..].find("</div>\n{%").map_or(html.find("</main>").unwrap_or(html.len()), |at| start + at);
    (html[start..end].to_owned(), diagnostics)
}

fn codes(diagnostics: &[Diagnostic]) -> Vec<Code> {
    diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn a_whole_site_is_drawn_without_a_word() {
    let (output, diagnostics) = draw(&full());
    assert_eq!(diagnostics, vec![]);
    for path in [
        "index.html",
        "mairie/index.html",
        "mairie/conseil/index.html",
        "actualites/index.html",
        "actualites/2026-11-03-travaux/index.html",
        "actualites/categorie/travaux/index.html",
        "actualites/atom.xml",
        "agenda/index.html",
        "agenda/agenda.ics",
        "agenda/2026-12-05-marche/2026-12-05-marche.ics",
        "alertes/index.html",
        "alertes/atom.xml",
        "annuaire/index.html",
        "annuaire/elus/index.html",
        "annuaire/elus/aubry/index.html",
        "demarches/index.html",
        "demarches/saisir/index.html",
        "demarches/saisir/formulaire/index.html",
        "demarches/saisir/papier/index.html",
        "plan-du-site/index.html",
        "404.html",
        "vieux/index.html",
        "sitemap.xml",
        "robots.txt",
        "_redirects",
    ] {
        assert!(
            output.files.contains_key(path),
            "{path} is missing among {:#?}",
            output.files.keys().collect::<Vec<_>>()
        );
    }
}

#[test]
fn former_addresses_are_told_to_servers_too() {
    let (output, _) = draw(&full());
    let Artifact::Bytes(table) = &output.files["_redirects"] else { panic!("made by us") };
    assert_eq!(std::str::from_utf8(table), Ok("/vieux/ /mairie/conseil/ 308\n"));
}

#[test]
fn the_same_site_gives_the_same_bytes() {
    let (one, _) = draw(&full());
    let (other, _) = draw(&full());
    assert_eq!(one.files.len(), other.files.len());
    for (path, artifact) in &one.files {
        assert!(other.files[path] == *artifact, "{path} differs");
    }
}

#[test]
fn an_empty_commune_has_all_its_pages() {
    let mut empty = site(vec![]);
    empty.commune.domaine.clear();
    empty.commune.mairie = Default::default();
    let (output, diagnostics) = draw(&empty);
    assert_eq!(diagnostics, vec![]);
    assert!(output.files.contains_key("agenda/index.html"));
    assert!(!output.files.contains_key("sitemap.xml"));
}

#[test]
fn relative_links_become_addresses() {
    let (html, diagnostics) = body(
        "[école](../vie/école.md#la-cantine) [même](../vie/e\u{301}cole.md) [accueil](../../accueil.md) [rubrique](../vie/%C3%A9cole.md)",
    );
    assert_eq!(diagnostics, vec![]);
    assert!(html.contains("<a href=\"/vie/ecole/#la-cantine\">école</a>"), "{html}");
    assert!(html.contains("<a href=\"/vie/ecole/\">même</a>"), "{html}");
    assert!(html.contains("<a href=\"/\">accueil</a>"), "{html}");
    assert!(html.contains("<a href=\"/vie/ecole/\">rubrique</a>"), "{html}");
}

#[test]
fn a_dead_link_is_told_with_its_line_and_the_nearest_path() {
    let (html, diagnostics) = body("Bonjour.\n\nVoir [l'école](../vie/ecolle.md) demain.");
    assert_eq!(codes(&diagnostics), [Code::DeadLink]);
    assert_eq!(diagnostics[0].place.to_string(), "pages/mairie/essai.md:7:6");
    assert_eq!(diagnostics[0].hint.as_deref(), Some("vouliez-vous dire `../vie/école.md` ?"));
    assert!(html.contains("Voir l’école demain."), "{html}");
}

#[test]
fn a_link_to_a_draft_keeps_its_words_and_does_not_stop_the_build() {
    let (html, diagnostics) = body("[bientôt](../vie/brouillon.md)");
    assert_eq!(codes(&diagnostics), [Code::HiddenTarget]);
    assert!(!has_errors(&diagnostics));
    assert!(html.contains("<p>bientôt</p>"), "{html}");
}

#[test]
fn a_missing_heading_is_told_with_those_there_are() {
    let (_, diagnostics) = body("[école](../vie/école.md#cantine) [ici même](#rien)");
    assert_eq!(codes(&diagnostics), [Code::DeadAnchor, Code::DeadAnchor]);
    assert!(diagnostics[0].hint.as_deref().unwrap().contains("la-cantine"), "{diagnostics:?}");
}

#[test]
fn absolute_links_are_verified() {
    let (html, diagnostics) = body(
        "[agenda](/agenda/) [école](/vie/ecole) [rien](/vie/ecoles/) [nous](https://www.saint-mulot.example/agenda/)",
    );
    assert_eq!(codes(&diagnostics), [Code::BadLink]);
    assert!(diagnostics[0].hint.as_deref().unwrap().contains("/vie/ecole/"));
    assert!(html.contains("href=\"/agenda/\">agenda"), "{html}");
    assert!(html.contains("href=\"/agenda/\">nous"), "{html}");
    assert!(html.contains("href=\"/vie/ecole/\">école"), "{html}");
}

#[test]
fn links_that_would_run_code_are_refused() {
    for link in
        ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "java\tscript:alert(1)"]
    {
        let (html, diagnostics) = body(&format!("[x](<{link}>)"));
        assert!(has_errors(&diagnostics), "{link}");
        assert!(!html.contains("href=\"j") && !html.contains("href=\"d") && !html.contains("href=\"v"), "{html}");
    }
}

#[test]
fn raw_html_is_cleaned() {
    let (html, diagnostics) = body(
        "<p onclick=\"steal()\">a</p>\n<script>alert(1)</script>\n\n<a href=\"javascript:x\">b</a> <b>gras</b> <img src=x onerror=y>\n\n<a href=\"../vie/école.md\">c</a>\n\n<iframe src=\"https://x.example\"></iframe>\n\n<svg><style><img src=x onerror=z></style></svg>",
    );
    for forbidden in ["onclick", "<script", "javascript:", "onerror", "<iframe", "<svg"] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    assert!(html.contains("<b>gras</b>"), "{html}");
    assert!(html.contains("<a href=\"/vie/ecole/\">c</a>"), "{html}");
    assert!(codes(&diagnostics).contains(&Code::BadValue), "{diagnostics:?}");
}

#[test]
fn what_we_write_survives_the_cleaning() {
    let (html, _) = body(
        "<b>x</b>\n\n## Titre\n\n| a |\n|--:|\n| 1 |\n\n> [!NOTE]\n> Bon.\n\n![Vue](../../medias/village.jpg)\n\n[plan](<../../medias/Plan du bourg été.pdf>)",
    );
    for expected in [
        "<h2 id=\"titre\">",
        "scope=\"col\"",
        "class=\"droite\"",
        "markdown-alert-note",
        "<source",
        "srcset",
        "loading=\"lazy\"",
        "tabindex=\"0\"",
        "<span class=\"poids\">",
        "role=\"region\"",
    ] {
        assert!(html.contains(expected), "{expected} not in {html}");
    }
}

#[test]
fn text_is_escaped() {
    let (html, _) = body("a < b & 12\" `<i>` \\<script>\n\n```\n<b>&\n```");
    assert!(html.contains("a &lt; b &amp; 12&quot; <code>&lt;i&gt;</code> &lt;script&gt;"), "{html}");
    assert!(html.contains("<pre tabindex=\"0\"><code>&lt;b&gt;&amp;\n</code></pre>"), "{html}");
}

#[test]
fn typography_is_french_but_not_in_code() {
    let (html, _) = body("L'école : ouverte ! « Oui » dit l'**eau**. `l'eau : non`");
    assert!(
        html.contains("L’école\u{a0}: ouverte\u{202f}! «\u{202f}Oui\u{202f}» dit l’<strong>eau</strong>."),
        "{html}"
    );
    assert!(html.contains("<code>l&#39;eau : non</code>"), "{html}");
}

#[test]
fn bare_addresses_become_links() {
    let (html, _) =
        body("Voir https://a.example/x?y=1&z=2. Ou www.b.example, ou ecrire@c.example ! [déjà](https://d.example)");
    assert!(
        html.contains(
            "<a href=\"https://a.example/x?y=1&amp;z=2\" rel=\"external\">https://a.example/x?y=1&amp;z=2</a>."
        ),
        "{html}"
    );
    assert!(html.contains("<a href=\"https://www.b.example\" rel=\"external\">www.b.example</a>,"), "{html}");
    assert!(html.contains("<a href=\"mailto:ecrire@c.example\">ecrire@c.example</a>"), "{html}");
    assert_eq!(html.matches("https://d.example").count(), 1);
}

#[test]
fn footnotes_lead_back() {
    let (html, _) = body("Un[^a], deux[^b], encore un[^a].\n\n[^b]: Seconde.\n[^a]: Première.");
    assert!(html.contains("href=\"#bloc-note-1\" id=\"bloc-appel-1\""), "{html}");
    assert!(html.contains("id=\"bloc-appel-1-2\""), "{html}");
    assert!(html.find("Première").unwrap() < html.find("Seconde").unwrap(), "{html}");
    assert!(html.contains("<a href=\"#bloc-appel-1-2\""), "{html}");
}

#[test]
fn headings_are_judged() {
    let (html, diagnostics) = body("# Trop haut\n\n## Bien\n\n#### Saute\n\n## Bien");
    assert_eq!(codes(&diagnostics), [Code::Title, Code::Headings]);
    assert!(html.contains("<h2 id=\"trop-haut\">") && html.contains("<h2 id=\"bien-2\">"), "{html}");
}

#[test]
fn definition_lists_and_alerts_are_drawn() {
    let (html, _) = body("Cuisine\n: Four, frigo.\n\n> [!WARNING]\n> Attention.\n\n- [x] fait");
    assert!(html.contains("<dl>\n<dt>Cuisine</dt>\n<dd>Four, frigo.</dd>"), "{html}");
    assert!(html.contains("<blockquote class=\"markdown-alert-warning\" role=\"note\">"), "{html}");
    assert!(html.contains("☑"), "{html}");
}

#[test]
fn a_picture_comes_in_several_sizes_without_shifting_the_page() {
    let (html, diagnostics) = body("![Le village](../../medias/village.jpg \"Vu du nord\")");
    assert_eq!(diagnostics, vec![]);
    assert!(html.contains("<figure><picture><source type=\"image/webp\""), "{html}");
    assert!(html.contains("width=\"960\" height=\"540\" alt=\"Le village\" loading=\"lazy\""), "{html}");
    assert!(html.contains("<figcaption>Vu du nord</figcaption>"), "{html}");
}

#[test]
fn broken_missing_and_foreign_pictures_are_told() {
    let (_, diagnostics) = body(
        "![a](../../medias/abimee.jpg)\n\n![b](../../medias/vilage.jpg)\n\n![c](https://x.example/y.jpg)\n\n![IMG.jpg](../../medias/village.jpg)",
    );
    assert_eq!(codes(&diagnostics), [Code::BrokenImage, Code::MissingFile, Code::BadLink, Code::Alternative]);
    assert_eq!(diagnostics[1].hint.as_deref(), Some("vouliez-vous dire `../../medias/village.jpg` ?"));
}

#[test]
fn documents_get_clean_addresses_and_say_their_size() {
    let mut site = site(vec![page("pages/a.md", "A", "[Le plan](<../medias/Plan du bourg été.pdf>)")]);
    add_file(&mut site, "medias/Plan du bourg été.pdf", &[0; 340_000]);
    add_file(&mut site, "medias/secret.pdf", b"never named");
    let (output, diagnostics) = draw(&site);
    assert_eq!(diagnostics, vec![]);
    assert!(matches!(output.files.get("medias/plan-du-bourg-ete.pdf"), Some(Artifact::Copy(_))));
    assert!(!output.files.keys().any(|path| path.contains("secret")));
    let html = text(&output, "a/index.html");
    assert!(html.contains("<a href=\"/medias/plan-du-bourg-ete.pdf\">Le plan <span class=\"poids\">(PDF, "), "{html}");
}

#[test]
fn svg_pictures_lose_their_scripts() {
    let mut site = site(vec![page("pages/a.md", "A", "![Logo](../medias/logo.svg)")]);
    add_file(&mut site, "medias/logo.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 20\"><script>alert(1)</script><path d=\"M0 0\" onclick=\"x()\"/></svg>");
    let (output, diagnostics) = draw(&site);
    assert_eq!(diagnostics, vec![]);
    let (path, _) = output.files.iter().find(|(path, _)| path.starts_with("medias/logo-")).unwrap();
    let svg = text(&output, path);
    assert!(!svg.contains("script") && !svg.contains("onclick"), "{svg}");
    assert!(text(&output, "a/index.html").contains("width=\"40\" height=\"20\""));
}

#[test]
fn variables_are_replaced_and_their_mistakes_told_at_their_line() {
    let mut contents = vec![
        page("pages/a.md", "A", "Mairie {{ commune.forme_de }}\n"),
        page("pages/b.md", "B", "Bon.\n\n{{ commune.nimporte }}\n"),
    ];
    contents[0].variables = true;
    contents[1].variables = true;
    let (output, diagnostics) = draw(&site(contents));
    assert!(text(&output, "a/index.html").contains("Mairie de Saint-Mulot"));
    assert_eq!(codes(&diagnostics), [Code::Template]);
    assert_eq!((diagnostics[0].place.file.as_str(), diagnostics[0].place.line), ("pages/b.md", 7));
}

#[test]
fn an_undefined_variable_of_an_overridden_template_is_told_not_panicked() {
    let overrides = BTreeMap::from([(
        "templates/page.html".to_owned(),
        b"{% extends \"base.html\" %}\n{% block contenu %}{{ page.titre }}{% endblock contenu %}".to_vec(),
    )]);
    let (theme, diagnostics) = Theme::new(&base(), &overrides, &Identite::default());
    assert_eq!(diagnostics, vec![]);
    let options = Options::default();
    let diagnostics = super::output(&full(), &theme.unwrap(), &FakePictures, &options, &|_, _| {});
    assert_eq!(codes(&diagnostics), [Code::Template]);
    assert_eq!(diagnostics[0].place.to_string(), "theme/templates/page.html:2:28");
    assert!(diagnostics[0].message.contains("titre"), "{diagnostics:?}");
    assert!(diagnostics[0].hint.as_deref().unwrap().contains("title"), "{diagnostics:?}");
}

#[test]
fn templates_that_do_not_compile_are_told_in_french() {
    for (template, expected) in [
        ("{{ page.title", "ne se lit pas"),
        ("{{ page.title | majuscule }}", "le filtre `majuscule`"),
        ("{{<nimporte a={1} />}}", "le composant `nimporte`"),
        ("{% extends \"rien.html\" %}", "`rien.html`"),
    ] {
        let overrides = BTreeMap::from([("templates/page.html".to_owned(), template.as_bytes().to_vec())]);
        let (theme, diagnostics) = Theme::new(&base(), &overrides, &Identite::default());
        assert!(theme.is_none(), "{template}");
        assert!(diagnostics[0].message.contains(expected), "{template}: {diagnostics:?}");
        assert!(
            diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Error && diagnostic.hint.is_some())
        );
    }
}

#[test]
fn a_file_of_the_theme_that_replaces_nothing_is_told() {
    let overrides = BTreeMap::from([("page.html".to_owned(), b"x".to_vec())]);
    let (theme, diagnostics) = Theme::new(&base(), &overrides, &Identite::default());
    assert!(theme.is_some());
    assert_eq!(codes(&diagnostics), [Code::BadTheme]);
    assert!(diagnostics[0].hint.as_deref().unwrap().contains("templates/page.html"), "{diagnostics:?}");
}

#[test]
fn a_pale_colour_is_made_legible_and_said() {
    let identite = Identite { couleur: "#ffe066".into(), ..Identite::default() };
    let (theme, diagnostics) = Theme::new(&base(), &BTreeMap::new(), &identite);
    assert_eq!(codes(&diagnostics), [Code::Contrast]);
    assert!(!has_errors(&diagnostics));
    assert_ne!(theme.unwrap().color(), "#ffe066");
}

#[test]
fn the_stylesheet_holds_the_palette_and_fingerprinted_fonts() {
    let theme = theme();
    let (path, css) = theme.files().find(|(path, _)| path.ends_with(".css")).unwrap();
    assert_eq!(format!("/{path}"), theme.stylesheet_url());
    let css = String::from_utf8(css.to_vec()).unwrap();
    assert!(css.starts_with(":root{color-scheme:light dark;--fond:#"), "{}", &css[..80]);
    assert!(css.contains("@media (prefers-color-scheme:dark)"));
    assert!(css.contains("url(\"atkinson-400-800-"), "fonts are published under the stylesheet's names");
}

#[test]
fn lists_are_paged() {
    let contents: Vec<_> = (1..=45)
        .map(|number| news(&format!("actualites/n{number:02}.md"), &format!("Nouvelle {number}"), date(2026, 1, 1)))
        .collect();
    let (output, diagnostics) = draw(&site(contents));
    assert_eq!(diagnostics, vec![]);
    assert!(output.files.contains_key("actualites/page/3/index.html"));
    assert!(!output.files.contains_key("actualites/page/4/index.html"));
    assert!(text(&output, "actualites/page/2/index.html").contains("/actualites/page/3/"));
}

#[test]
fn calendars_speak_universal_time_and_never_change() {
    let mut held = event("agenda/a.md", "Fête ; du, village", Moment::Time(date(2026, 7, 14).at(20, 30, 0, 0)));
    if let Kind::Event(event) = &mut held.kind {
        event.end = Some(Moment::Time(date(2026, 7, 15).at(1, 0, 0, 0)));
    }
    let day = event("agenda/b.md", "Brocante", Moment::Day(date(2026, 12, 5)));
    let (output, _) = draw(&site(vec![held, day]));
    let ics = text(&output, "agenda/agenda.ics");
    for expected in [
        "PRODID:-//Mulot//Agenda communal//FR",
        "DTSTART:20260714T183000Z",
        "DTEND:20260714T230000Z",
        "UID:a@www.saint-mulot.example",
        "DTSTART;VALUE=DATE:20261205",
        "DTEND;VALUE=DATE:20261206",
        "SUMMARY:Fête\u{202f}\\; du\\, village",
    ] {
        assert!(ics.contains(expected), "{expected} not in {ics}");
    }
    assert_eq!(ics.matches("BEGIN:VEVENT").count(), 2);
    assert_eq!(ics.matches("DTSTAMP:").count(), 2);
    assert!(!ics.contains("TZID"));
}

#[test]
fn the_script_carries_its_fingerprint() {
    assert_eq!(super::theme::integrity(b""), "sha384-OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb");
    let (output, _) = draw(&full());
    let html = text(&output, "index.html");
    let tag = html.split("<script src=").nth(1).and_then(|rest| rest.split('>').next()).expect("a script");
    assert!(tag.contains(" integrity=\"sha384-"), "{tag}");
}

#[test]
fn feeds_hold_no_control_character() {
    let mut site = full();
    let id = site.news[0];
    site.contents[id].title = "Travaux\u{1} <b> & co".into();
    let (output, _) = draw(&site);
    let atom = text(&output, "actualites/atom.xml");
    assert!(!atom.chars().any(|letter| letter.is_control() && letter != '\n'), "{atom}");
    assert!(atom.contains("Travaux &lt;b&gt; &amp; co"), "{atom}");
    assert!(atom.contains("<updated>2026-11-03T00:00:00+01:00</updated>"), "{atom}");
}

#[test]
fn the_site_map_lists_each_page_once_and_no_form() {
    let (output, _) = draw(&full());
    let map = text(&output, "sitemap.xml");
    assert_eq!(map.matches("<loc>https://www.saint-mulot.example/mairie/conseil/</loc>").count(), 1);
    assert!(!map.contains("formulaire") && !map.contains("404") && !map.contains("vieux"), "{map}");
}

fn pages() -> Pages {
    let (pages, diagnostics) = Pages::new(&full(), &theme(), &FakePictures, &Options::default());
    assert_eq!(diagnostics, vec![]);
    pages
}

#[test]
fn the_guichet_keeps_what_was_typed_and_ties_each_error_to_its_field() {
    let answers = RawAnswers {
        values: BTreeMap::from([
            ("categorie".into(), vec!["lampe".into()]),
            ("lampe".into(), vec!["<b>\"rouge\"".into()]),
            ("adresse.code_postal".into(), vec!["5399".into()]),
            ("jour".into(), vec!["12 juillet".into()]),
        ]),
        files: BTreeMap::from([(
            "photo".into(),
            vec![StoredFile {
                id: "0123456789abcdef0123456789abcdef".into(),
                name: "lampe.jpg".into(),
                media_type: "image/jpeg".into(),
                size: 1_200_000,
                hash: String::new(),
                cautions: Vec::new(),
            }],
        )]),
    };
    let errors = [
        FieldError { input: "adresse.code_postal".into(), message: "Indiquez un code postal de cinq chiffres".into() },
        FieldError { input: "categorie".into(), message: "Choisissez une réponse".into() },
    ];
    let html = pages().questions(&form(), &answers, &errors, 0, Vec::new());
    assert!(html.contains("<title>Erreur\u{a0}: Saisir la mairie"), "{html}");
    assert!(
        html.find("href=\"#champ-categorie-1\"").unwrap() < html.find("href=\"#champ-adresse-code_postal\"").unwrap()
    );
    assert!(html.contains("id=\"champ-categorie-1\"") && html.contains("id=\"champ-adresse-code_postal\""), "{html}");
    assert!(html.contains("value=\"&lt;b&gt;&quot;rouge&quot;\""), "{html}");
    assert!(html.contains("name=\"fichier.photo\" value=\"0123456789abcdef0123456789abcdef\""), "{html}");
    assert!(html.contains("name=\"retirer.0123456789abcdef0123456789abcdef\""), "{html}");
    assert!(
        html.contains("type=\"text\" id=\"champ-jour\"") && html.contains("12 juillet"),
        "a refused date is kept: {html}"
    );
    assert!(html.contains("action=\"/guichet/saisir/verifier\""), "{html}");
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("Lisez <strong>ceci</strong>"), "{html}");
}

#[test]
fn words_between_questions_are_cleaned() {
    let mut site = full();
    let form = site.forms.get_mut("saisir").unwrap();
    form.fields[2].kind = crate::model::form::FieldKind::Information { html: "Lisez <script>alert(1)</script>".into() };
    let (output, diagnostics) = draw(&site);
    assert_eq!(codes(&diagnostics), [Code::BadValue]);
    assert!(!text(&output, "demarches/saisir/formulaire/index.html").contains("alert(1)"));
}

#[test]
fn the_static_questions_are_those_of_the_guichet() {
    let (output, _) = draw(&full());
    let of_site = text(&output, "demarches/saisir/formulaire/index.html");
    let of_guichet = pages().questions(&form(), &RawAnswers::default(), &[], 0, Vec::new());
    let form_of = |html: &str| html[html.find("<form").unwrap()..html.find("</form>").unwrap()].to_owned();
    assert_eq!(form_of(&of_site), form_of(&of_guichet));
    // The one script makes photos smaller: the site may run it, the guichet's own pages never do.
    assert!(of_site.contains("<script src=") && !of_guichet.contains("<script"));
}

#[test]
fn the_check_page_leads_back_to_each_question() {
    let answers =
        RawAnswers { values: BTreeMap::from([("categorie".into(), vec!["eau".into()])]), ..Default::default() };
    let valid = ValidAnswers { answers: vec![], sender: Default::default(), ..ValidAnswers::default() };
    let html = pages().check(&form(), &answers, &valid, vec![("jeton".into(), "abc".into())], ("", false), &[]);
    assert!(html.contains("formaction=\"/guichet/saisir/modifier#champ-categorie-1\""), "{html}");
    assert!(html.contains("name=\"jeton\" value=\"abc\""), "{html}");
    assert!(!html.contains("Quelle lampe"), "a question that was not asked is not listed: {html}");
}

#[test]
fn a_guichet_elsewhere_links_to_the_site() {
    let mut site = full();
    site.commune.guichet.adresse = "https://guichet.example".into();
    let (pages, _) = Pages::new(&site, &theme(), &FakePictures, &Options::default());
    let html = pages.questions(&form(), &RawAnswers::default(), &[], 0, Vec::new());
    assert!(html.contains("action=\"https://guichet.example/guichet/saisir/verifier\""), "{html}");
    assert!(html.contains("href=\"https://www.saint-mulot.example/demarches/saisir/\""), "{html}");
    assert!(!html.contains("href=\"/demarches"), "{html}");
}

#[test]
fn pages_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&pages());
    shared(&theme());
}

#[test]
fn a_content_of_a_kind_never_breaks_its_page() {
    let site = site(vec![content("pages/a.md", "«\u{a0}L'été\u{a0}» <script>", "", Kind::Page { is_index: false })]);
    let (output, diagnostics) = draw(&site);
    assert_eq!(diagnostics, vec![]);
    assert!(!text(&output, "a/index.html").contains("<script>"));
}
