//! A small commune built by hand, for tests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{Date, Time, date};

use super::{Options, Theme, output};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::commune::{
    Accessibilite, Commune, GuichetSettings, Hebergeur, Identite, Mairie, OpeningHours, Person, TimeRange, WeeklyHours,
};
use crate::model::content::{
    Alert, AlertLevel, Body, Content, Demarche, Elu, Equipement, Event, Handler, Home, Kind, Layer, Moment, News,
    Publication, Service,
};
use crate::model::form::{
    Choice, Condition, DataNotice, Delay, Field, FieldKind, FileFormat, Form, Identity, Nature, ServiceContact, Silence,
};
use crate::model::names::NameForms;
use crate::model::output::{Artifact, Output, Picture, PictureError, Pictures, Variant};
use crate::model::site::{Directory, FileData, Hidden, Section, Site, SourceFile, Target};

/// The day of every test.
pub(super) const TODAY: Date = date(2026, 11, 21);

/// Pictures that are always 1600 × 900.
pub(super) struct FakePictures;

impl Pictures for FakePictures {
    fn picture(&self, path: &str, _file: &SourceFile) -> Result<Arc<Picture>, PictureError> {
        if path.contains("abimee") {
            return Err(PictureError::Broken("no".into()));
        }
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        let variant = |width: u32, extension: &str, media_type: &'static str| Variant {
            path: format!("{stem}-1a2b3c4d-{width}.{extension}"),
            media_type,
            width,
            height: width * 9 / 16,
            data: FileData::Memory(Arc::from(*b"x")),
        };
        Ok(Arc::new(Picture {
            width: 1600,
            height: 900,
            variants: vec![
                variant(480, "jpg", "image/jpeg"),
                variant(480, "webp", "image/webp"),
                variant(960, "jpg", "image/jpeg"),
                variant(960, "webp", "image/webp"),
            ],
        }))
    }

    fn bytes(&self, _file: &SourceFile) -> std::io::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// The built-in theme.
pub(super) fn base() -> BTreeMap<String, Cow<'static, [u8]>> {
    crate::embedded::theme().map(|(path, bytes)| (path.into_owned(), bytes)).collect()
}

pub(super) fn theme() -> Theme {
    let (theme, diagnostics) = Theme::new(&base(), &BTreeMap::new(), &Identite::default());
    assert_eq!(diagnostics, vec![]);
    theme.unwrap()
}

/// The site drawn with the built-in theme.
pub(super) fn draw(site: &Site) -> (Output, Vec<Diagnostic>) {
    let options = Options { preview: None, generator: "Mulot 0.1.0".into() };
    Output::keep(|_| true, |sink| output(site, &theme(), &FakePictures, &options, sink))
}

/// A page of the output as text.
pub(super) fn text(output: &Output, path: &str) -> String {
    match output.files.get(path) {
        Some(Artifact::Bytes(bytes)) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{path}: {other:?} among {:#?}", output.files.keys().collect::<Vec<_>>()),
    }
}

pub(super) fn commune() -> Commune {
    let range =
        |from: i8, until: i8| TimeRange { from: Time::constant(from, 0, 0, 0), until: Time::constant(until, 0, 0, 0) };
    Commune {
        names: NameForms {
            nom: "Saint-Mulot".into(),
            forme_de: "de Saint-Mulot".into(),
            forme_a: "à Saint-Mulot".into(),
        },
        code_insee: "53999".into(),
        siret: String::new(),
        population: Some(612),
        epci: None,
        departement: None,
        region: None,
        fuseau: "Europe/Paris".into(),
        devise: None,
        domaine: "https://www.saint-mulot.example".into(),
        maire: Some(Person { prenom: "Hélène".into(), nom: "Aubry".into(), qualite: "maire".into() }),
        mairie: Mairie {
            adresse: vec!["12, place du Tilleul".into()],
            code_postal: "53999".into(),
            ville: "Saint-Mulot".into(),
            telephone: "02 99 00 12 34".into(),
            courriel: "mairie@saint-mulot.example".into(),
            urgence: None,
            hours: OpeningHours {
                weekly: vec![WeeklyHours {
                    days: vec![1, 2, 4],
                    ranges: vec![range(9, 12), range(14, 17)],
                    note: None,
                }],
                exceptions: vec![],
                alsace_moselle: false,
            },
        },
        identite: Identite { couleur: "#2f6b4f".into(), ..Identite::default() },
        hebergeur: Some(Hebergeur { nom: "Hébergeur".into(), adresse: "Lille".into(), telephone: "03".into() }),
        dpo: None,
        accessibilite: Accessibilite { etat: "non conforme".into(), taux: None, audit_le: None, audit_par: None },
        actes_publicite: None,
        guichet: GuichetSettings::default(),
        menu_order: vec![],
        catalogue: Default::default(),
        form_settings: Default::default(),
        publication: None,
        places: Default::default(),
    }
}

/// A page `pages/…` with a body that starts at line 5.
pub(super) fn page(path: &str, title: &str, markdown: &str) -> Content {
    content(path, title, markdown, Kind::Page { is_index: path.ends_with("/index.md") })
}

pub(super) fn content(path: &str, title: &str, markdown: &str, kind: Kind) -> Content {
    let name = path.rsplit('/').next().unwrap_or(path);
    Content {
        path: path.into(),
        layer: Layer::Commune,
        slug: name.trim_end_matches(".md").into(),
        slug_place: Place::default(),
        title: title.into(),
        summary: Some(format!("Résumé de {title}")),
        simple_summary: None,
        image: None,
        documents: vec![],
        publication: Publication::default(),
        verified: None,
        review_before: None,
        old_addresses: vec![],
        order: None,
        in_menu: true,
        variables: false,
        kind,
        body: Body { markdown: markdown.into(), first_line: 5 },
        place: Place::line(path, 2),
    }
}

pub(super) fn news(path: &str, title: &str, date: Date) -> Content {
    content(path, title, "Le texte.", Kind::News(News { date, category: Some("travaux".into()), featured: false }))
}

pub(super) fn event(path: &str, title: &str, start: Moment) -> Content {
    let event = Event {
        start,
        end: None,
        place: Some("Salle des fêtes".into()),
        equipement: None,
        organizer: None,
        price: None,
        contact: None,
        telephone: None,
        email: None,
        category: Some("fete".into()),
        cancelled: false,
    };
    content(path, title, "Le texte.", Kind::Event(event))
}

/// A commune with something of everything.
pub(super) fn full() -> Site {
    let alert = Alert {
        message: "Coupure d'eau rue du Four.".into(),
        level: AlertLevel::Attention,
        start: Moment::Day(date(2026, 11, 20)),
        end: Moment::Day(date(2026, 11, 22)),
        link: None,
    };
    let elu = Elu {
        first_name: "Hélène".into(),
        last_name: "Aubry".into(),
        function: "Maire".into(),
        delegations: vec![],
        commissions: vec![],
        surgery: None,
        telephone: None,
        email: None,
    };
    let hall = Equipement {
        kind: "salle".into(),
        contact: Default::default(),
        access: None,
        capacity: Some(180),
        surface: None,
        prices: vec![],
        rules: None,
        position: Some((48.2107, -0.4641)),
    };
    let service = Service { contact: Default::default(), responsible: None };
    let demarche = Demarche {
        essential: false,
        topic: "papiers".into(),
        handler: Handler::Commune,
        handler_name: None,
        service: Some(("secretariat".into(), Place::default())),
        audience: Some("Tout le monde".into()),
        prepare: vec!["un *justificatif*".into()],
        cost: Some("Gratuit".into()),
        delay: None,
        result: None,
        channels: vec!["en ligne".into()],
        link: None,
        link_title: None,
        form: None,
    };
    let mut site = site(vec![
        page("pages/mairie/index.md", "La mairie", ""),
        page("pages/mairie/conseil.md", "Le conseil", "## Les séances\n\nTexte."),
        news("actualites/2026-11-03-travaux.md", "Travaux rue du Four", date(2026, 11, 3)),
        event("agenda/2026-12-05-marche.md", "Marché de Noël", Moment::Time(date(2026, 12, 5).at(10, 0, 0, 0))),
        content("alertes/eau.md", "Coupure d'eau", "", Kind::Alert(alert)),
        content("annuaire/elus/aubry.md", "Hélène Aubry", "", Kind::Elu(elu)),
        content("annuaire/equipements/salle.md", "Salle des fêtes", "", Kind::Equipement(hall)),
        content("annuaire/services/secretariat.md", "Secrétariat", "", Kind::Service(service)),
        content(
            "demarches/saisir.md",
            "Saisir la mairie",
            "Voir [le conseil](../pages/mairie/conseil.md#les-seances).",
            Kind::Demarche(Box::new(demarche)),
        ),
    ]);
    site.forms.insert("saisir".into(), form());
    site.redirects.insert("/vieux/".into(), "/mairie/conseil/".into());
    site
}

/// A site of these contents, with addresses and lists as `resolve` would give them.
pub(super) fn site(contents: Vec<Content>) -> Site {
    let mut site = Site {
        commune: commune(),
        home: Home { path: "accueil.md".into(), ..Home::default() },
        now: TODAY.at(9, 0, 0, 0),
        urls: contents.iter().map(url).collect(),
        contents,
        targets: BTreeMap::new(),
        sections: vec![],
        top_pages: vec![],
        news: vec![],
        active_alerts: vec![],
        other_alerts: vec![],
        upcoming_events: vec![],
        past_events: vec![],
        directory: Directory::default(),
        demarches: vec![],
        forms: BTreeMap::new(),
        redirects: BTreeMap::new(),
        addresses: Default::default(),
        files: BTreeMap::new(),
    };
    site.targets.insert("accueil.md".into(), Target::Home);
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    for (id, content) in site.contents.iter().enumerate() {
        site.targets.insert(content.path.clone(), Target::Page(id));
        match &content.kind {
            Kind::News(_) => site.news.push(id),
            Kind::Alert(_) => site.active_alerts.push(id),
            Kind::Event(event) if event.last_day() < TODAY => site.past_events.push(id),
            Kind::Event(_) => site.upcoming_events.push(id),
            Kind::Elu(_) => site.directory.elus.push(id),
            Kind::Service(_) => site.directory.services.push(id),
            Kind::Association(_) => site.directory.associations.push(id),
            Kind::Commerce(_) => site.directory.commerces.push(id),
            Kind::Equipement(_) => site.directory.equipements.push(id),
            Kind::Demarche(_) => site.demarches.push(id),
            Kind::Page { is_index } => {
                let inside = content.path.trim_start_matches("pages/");
                let Some((folder, _)) = inside.split_once('/') else {
                    site.top_pages.push(id);
                    continue;
                };
                let section = sections.entry(folder.to_owned()).or_insert_with(|| Section {
                    key: folder.to_owned(),
                    title: content.title.clone(),
                    url: format!("/{folder}/"),
                    index: None,
                    pages: vec![],
                });
                if *is_index {
                    section.index = Some(id);
                } else {
                    section.pages.push(id);
                }
            }
        }
    }
    site.sections = sections.into_values().collect();
    site
}

fn url(content: &Content) -> String {
    let path = content.path.trim_start_matches("pages/").trim_end_matches(".md").trim_end_matches("index");
    format!("/{}/", path.trim_end_matches('/'))
}

/// Adds a file to the folder.
pub(super) fn add_file(site: &mut Site, path: &str, bytes: &[u8]) {
    let data = FileData::Memory(Arc::from(bytes));
    site.files.insert(path.into(), SourceFile { layer: Layer::Commune, data, size: bytes.len() as u64 });
}

/// Adds a draft that links may lead to.
pub(super) fn add_draft(site: &mut Site, path: &str) {
    site.targets.insert(path.into(), Target::Hidden(Hidden::Draft));
}

/// A form with a question of each kind that matters.
pub(super) fn form() -> Form {
    let field = |id: &str, kind: FieldKind, question: &str| Field {
        id: id.into(),
        kind,
        question: question.into(),
        help: None,
        required: true,
        step: Some("Votre demande".into()),
        condition: None,
        autocomplete: None,
    };
    let choice =
        |value: &str, label: &str| Choice { value: value.into(), label: label.into(), help: None, price: None };
    let mut fields = vec![
        field(
            "categorie",
            FieldKind::Choice { choices: vec![choice("eau", "L'eau"), choice("lampe", "Une lampe")] },
            "De quoi s'agit-il ?",
        ),
        field("lampe", FieldKind::Text { max: 120 }, "Quelle lampe ?"),
        field("avis", FieldKind::Information { html: "Lisez **ceci**.".into() }, ""),
        field(
            "photo",
            FieldKind::File {
                formats: vec![FileFormat::Jpg, FileFormat::Png],
                max_count: 3,
                max_bytes: 7_000_000,
                photo: false,
            },
            "Une photo",
        ),
        field("jour", FieldKind::Date { bounds: Default::default() }, "Quel jour ?"),
    ];
    fields[1].condition = Some(Condition::is("categorie", &["lampe"]));
    fields.extend(Identity::Person.fields());
    Form {
        appeal: Default::default(),
        opening: Default::default(),
        paged: false,
        counter: None,
        id: "saisir".into(),
        title: "Saisir la mairie".into(),
        page_url: "/demarches/saisir/".into(),
        nature: Nature::Demande,
        identity: Identity::Person,
        silence: Silence::Rejet(Delay::Months(2)),
        legal_basis: Some("CRPA, art. L112-8".into()),
        subject_word: "Saisine".into(),
        button: "Écrire à la mairie".into(),
        confirmation: None,
        service: ServiceContact {
            name: "Secrétariat".into(),
            address: vec!["12, place du Tilleul".into()],
            telephone: "02 99 00 12 34".into(),
            email: "mairie@saint-mulot.example".into(),
            responsible: None,
        },
        recipients: vec!["mairie@saint-mulot.example".into()],
        backup_recipients: vec![],
        delivery: Default::default(),
        data: DataNotice {
            purpose: "instruire votre demande".into(),
            legal_basis: "mission d'intérêt public".into(),
            retention: Delay::Months(12),
            recipients: "le secrétariat".into(),
        },
        fields,
    }
}
