//! The catalogue's pages are templates: they render for a commune that has filled everything, and for one that has not.

use std::borrow::Cow;
use std::path::Path;

use jiff::civil::date;
use mulot::load::{Embedded, Layers, Shared};
use mulot::model::form::{Condition, Form, Identity, Nature, Silence};
use mulot::model::site::Site;
use tera::{Context, Tera};

const PAGES: [(&str, &str); 4] = [
    ("accessibilite", include_str!("../content/pages/accessibilite.md")),
    ("conditions-du-guichet", include_str!("../content/pages/conditions-du-guichet.md")),
    ("donnees-personnelles", include_str!("../content/pages/donnees-personnelles.md")),
    ("mentions-legales", include_str!("../content/pages/mentions-legales.md")),
];

fn full() -> serde_json::Value {
    serde_json::json!({
        "nom": "Le Plantay", "forme_de": "du Plantay", "forme_a": "au Plantay", "siret": "21010299800011",
        "domaine": "https://www.le-plantay.example",
        "maire": { "prenom": "Hélène", "nom": "Aubry", "qualite": "maire" },
        "mairie": { "adresse": ["12, place du Tilleul"], "code_postal": "01330", "ville": "Le Plantay",
            "telephone": "04 99 00 12 34", "courriel": "mairie@le-plantay.example" },
        "hebergeur": { "nom": "Hébergeur Exemple", "adresse": "1, rue du Serveur, 59000 Lille", "telephone": "03 20 00 00 00" },
        "dpo": { "nom": "Centre de gestion", "courriel": "dpo@exemple.example", "adresse": "", "telephone": "" },
        "accessibilite": { "etat": "partiellement conforme", "taux": 72, "audit_le": "2026-05-04", "audit_par": "Cabinet Exemple" },
        "guichet": { "adresse": "", "expediteur": "formulaires@le-plantay.example" },
    })
}

fn blank() -> serde_json::Value {
    serde_json::json!({
        "nom": "Le Plantay", "forme_de": "du Plantay", "forme_a": "au Plantay", "siret": "", "domaine": "", "maire": null,
        "mairie": { "adresse": [], "code_postal": "", "ville": "", "telephone": "", "courriel": "" },
        "hebergeur": null, "dpo": null,
        "accessibilite": { "etat": "non conforme", "taux": null, "audit_le": null, "audit_par": null },
        "guichet": { "adresse": "", "expediteur": "" },
    })
}

fn forms() -> serde_json::Value {
    serde_json::json!([{
        "titre": "Saisir la mairie en ligne", "url": "/demarches/saisir-la-mairie/", "finalite": "traiter votre demande",
        "base_legale": "mission d’intérêt public", "conservation": "12 mois", "destinataires": "le secrétariat",
        "donnees": ["Prénom", "Nom de famille"],
    }])
}

fn render(source: &str, commune: &serde_json::Value, forms: &serde_json::Value) -> String {
    let body = source.splitn(3, "+++").nth(2).expect("a front matter");
    let mut tera = Tera::default();
    tera.add_raw_template("page.md", body).unwrap_or_else(|error| panic!("{error}"));
    let mut context = Context::new();
    context.insert("commune", commune);
    context.insert("formulaires", forms);
    tera.render("page.md", &context).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn pages_render_for_a_commune_that_has_filled_everything_and_for_one_that_has_not() {
    for (name, source) in PAGES {
        for (state, commune, forms) in [("full", full(), forms()), ("blank", blank(), serde_json::json!([]))] {
            let text = render(source, &commune, &forms);
            assert!(!text.contains("{{") && !text.contains("{%"), "{name} {state}");
            assert!(!text.contains("  \n") && !text.contains(": \n") && !text.contains(" ,"), "{name} {state}\n{text}");
            if let Some(folder) = std::env::var_os("MULOT_PAGES") {
                let path = std::path::Path::new(&folder).join(format!("{name}.{state}.md"));
                std::fs::write(path, text).expect("a folder to write to");
            }
        }
    }
}

#[test]
fn the_legal_notice_says_who_publishes_and_who_hosts() {
    let text = render(PAGES[3].1, &full(), &forms());
    for fact in [
        "Commune du Plantay",
        "12, place du Tilleul, 01330 Le Plantay",
        "04 99 00 12 34",
        "Hélène Aubry, maire du Plantay",
        "03 20 00 00 00",
    ] {
        assert!(text.contains(fact), "{fact}\n{text}");
    }
}

#[test]
fn the_data_page_lists_every_form() {
    let text = render(PAGES[2].1, &full(), &forms());
    for fact in [
        "### Saisir la mairie en ligne",
        "traiter votre demande",
        "12 mois",
        "- Ce qui est demandé :\n  - Prénom\n  - Nom de famille\n",
        "dpo@exemple.example",
    ] {
        assert!(text.contains(fact), "{fact}\n{text}");
    }
}

#[test]
fn the_terms_say_from_which_address_receipts_are_sent() {
    assert!(render(PAGES[1].1, &full(), &forms()).contains("formulaires@le-plantay.example"));
}

#[test]
fn the_statement_never_claims_more_than_was_measured() {
    let blank = render(PAGES[0].1, &blank(), &forms());
    assert!(blank.contains("**non conforme**") && blank.contains("Aucun audit"), "{blank}");
    let full = render(PAGES[0].1, &full(), &forms());
    assert!(
        full.contains("**partiellement conforme**") && full.contains("04/05/2026") && full.contains("72 %"),
        "{full}"
    );
}

/// The starter commune with the catalogue below it.
fn starter() -> (Site, Vec<mulot::diagnostic::Diagnostic>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let content = root.join("content");
    let catalogue: Embedded = mulot::fs::walk(&content, &content)
        .files
        .into_iter()
        .map(|file| (file.relative, Cow::Owned(std::fs::read(&file.path).expect("a file of the catalogue"))))
        .collect();
    let (sources, mut diagnostics) =
        mulot::load::sources(&Layers::of(&root.join("starter-commune"), &Shared::embedded(&catalogue)));
    let (site, told) = mulot::resolve::site(sources.expect("a commune"), date(2026, 11, 21).at(10, 0, 0, 0));
    diagnostics.extend(told);
    (site, diagnostics)
}

fn form<'s>(site: &'s Site, id: &str) -> &'s Form {
    site.forms.get(id).unwrap_or_else(|| panic!("{id} is open"))
}

#[test]
fn the_catalogue_is_read_without_a_word() {
    let (_, diagnostics) = starter();
    let own: Vec<_> = diagnostics
        .iter()
        .filter(|told| told.place.file.starts_with("pages/") || told.place.file.starts_with("demarches/"))
        .collect();
    assert!(own.is_empty(), "{own:#?}");
}

#[test]
fn the_three_forms_of_every_commune_are_open() {
    let (site, _) = starter();
    let saisine = form(&site, "saisir-la-mairie");
    assert_eq!((saisine.nature, saisine.identity, saisine.silence), (Nature::Demande, Identity::All, Silence::Inconnu));
    assert!(saisine.takes_files() && saisine.field("reponse_par_courrier").is_some());
    let contact = form(&site, "contact");
    assert_eq!((contact.nature, contact.identity), (Nature::Contact, Identity::Free));
    let report = form(&site, "signaler-un-probleme");
    assert_eq!((report.nature, report.identity), (Nature::Information, Identity::None));
    let danger = report.field("danger_appeler").and_then(|field| field.condition.as_ref()).expect("a condition");
    assert_eq!(*danger, Condition::is("danger", &["oui"]));
}

#[test]
fn questions_that_have_no_step_stay_with_those_before() {
    let (site, _) = starter();
    let report = form(&site, "signaler-un-probleme");
    assert!(report.fields.iter().all(|field| field.step.is_some()));
}
