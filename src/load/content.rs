//! Reads one `.md` file into a typed content.

use jiff::civil::Date;

use super::commune::{email, person, telephone};
use super::form::form;
use super::hours::opening_hours;
use super::toml_reader::{Item, Reader, Source, parse};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::content::{
    Alert, AlertLevel, Association, Body, Commerce, ContactDetails, Content, Demarche, DocumentRef, Elu, Equipement,
    Event, Handler, Home, ImageRef, Kind, Layer, News, Price, Publication, Service, Tile,
};
use crate::text::slug::slug;
use crate::text::typography::french;

/// Name of the home page's file.
pub(super) const HOME: &str = "accueil.md";

/// A type of content, by its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    News,
    Alert,
    Event,
    Elu,
    Service,
    Association,
    Commerce,
    Equipement,
    Demarche,
    Page,
}

impl Type {
    /// The type of the contents of a folder; `None` where none lives.
    pub(super) fn of(path: &str) -> Option<Type> {
        FOLDERS.iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, kind)| *kind)
    }

    /// The folders where contents live.
    pub(super) fn folders() -> impl Iterator<Item = &'static str> {
        FOLDERS.iter().map(|(folder, _)| folder.trim_end_matches('/'))
    }
}

/// Each folder and what lives in it.
const FOLDERS: [(&str, Type); 10] = [
    ("actualites/", Type::News),
    ("alertes/", Type::Alert),
    ("agenda/", Type::Event),
    ("annuaire/elus/", Type::Elu),
    ("annuaire/services/", Type::Service),
    ("annuaire/associations/", Type::Association),
    ("annuaire/commerces/", Type::Commerce),
    ("annuaire/equipements/", Type::Equipement),
    ("demarches/", Type::Demarche),
    ("pages/", Type::Page),
];

/// Front matter and body of a file, with the line each starts at.
struct Split<'a> {
    front: &'a str,
    body: Body,
}

fn split<'a>(path: &str, text: &'a str, diagnostics: &mut Vec<Diagnostic>) -> Option<Split<'a>> {
    let after = text.strip_prefix("+++").and_then(|rest| {
        let line = rest.find('\n')?;
        rest[..line].trim().is_empty().then(|| &rest[line + 1..])
    });
    let Some(after) = after else {
        if text.lines().next().is_some_and(|line| line.trim_end() == "---") {
            diagnostics.push(
                Diagnostic::error(Code::NoFrontMatter, Place::line(path, 1), "l'en-tête est entre deux lignes ---")
                    .hint("remplacez les deux lignes --- par +++, et chaque « titre: … » par titre = \"…\""),
            );
            return None;
        }
        diagnostics.push(
            Diagnostic::error(Code::NoFrontMatter, Place::line(path, 1), "ce fichier ne commence pas par un en-tête")
                .hint("la première ligne doit être +++, puis les clés (titre = \"…\"), puis +++, puis le texte"),
        );
        return None;
    };
    let mut offset = 0;
    for (number, line) in after.split_inclusive('\n').enumerate() {
        if line.trim_end() == "+++" {
            let body = Body { markdown: after[offset + line.len()..].to_owned(), first_line: number as u32 + 3 };
            return Some(Split { front: &after[..offset], body });
        }
        offset += line.len();
    }
    diagnostics.push(
        Diagnostic::error(Code::NoFrontMatter, Place::line(path, 1), "l'en-tête n'est pas fermé")
            .hint("ajoutez une ligne +++ entre les clés et le texte"),
    );
    None
}

/// Reads the home page.
pub(super) fn home(path: &str, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Home> {
    let Split { front, body } = split(path, text, diagnostics)?;
    let source = Source { file: path, text: front, first_line: 2 };
    let table = parse(source, diagnostics);
    let mut reader = Reader::new(source, &table);
    let title = reader.text("titre", diagnostics).map(nice);
    let tagline = reader.text("accroche", diagnostics).map(nice);
    let mut tiles = Vec::new();
    for mut tile in reader.tables("tuile", diagnostics) {
        let title = tile.required("titre", diagnostics);
        let link = tile.required("lien", diagnostics);
        let text = tile.text("texte", diagnostics).map(nice);
        let icon = tile.text("icone", diagnostics);
        if let Some(name) = icon.as_deref().filter(|name| !ICONS.contains(name)) {
            diagnostics.push(
                Diagnostic::error(Code::BadValue, tile.place("icone"), format!("l'icône « {name} » n'existe pas"))
                    .hint(format!("icônes possibles : {}", ICONS.join(", "))),
            );
        }
        let place = tile.place("lien");
        tile.finish(diagnostics);
        if let (Some(title), Some(link)) = (title, link) {
            tiles.push(Tile { title: nice(title), text, link, icon, place });
        }
    }
    if tiles.len() > 6 {
        diagnostics.push(
            Diagnostic::error(
                Code::BadValue,
                reader.place("tuile"),
                format!("{} tuiles : six au plus tiennent sur l'accueil", tiles.len()),
            )
            .hint("gardez les six démarches les plus demandées"),
        );
    }
    reader.finish(diagnostics);
    Some(Home { title, tagline, tiles, body, path: path.to_owned() })
}

/// Icons a tile may show.
const ICONS: [&str; 20] = [
    "courrier",
    "telephone",
    "calendrier",
    "maison",
    "ecole",
    "poubelle",
    "salle",
    "alerte",
    "carte",
    "document",
    "personnes",
    "commerce",
    "sante",
    "arbre",
    "eau",
    "signaler",
    "livre",
    "sport",
    "bus",
    "etat-civil",
];

fn nice(text: String) -> String {
    match french(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(text) => text,
    }
}

/// Reads a content; the pictures and documents of one that is not usable are `named`.
pub(super) fn content(
    path: &str,
    layer: Layer,
    kind: Type,
    text: &str,
    (named, diagnostics): (&mut Vec<DocumentRef>, &mut Vec<Diagnostic>),
) -> Option<Content> {
    let Split { front, body } = split(path, text, diagnostics)?;
    let source = Source { file: path, text: front, first_line: 2 };
    let table = parse(source, diagnostics);
    let mut reader = Reader::new(source, &table);
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".md");
    let place = if reader.has("titre") { reader.place("titre") } else { Place::line(path, 1) };

    let mut title = reader.text("titre", diagnostics).map(nice);
    let kind = kind_of(&mut reader, kind, stem, &mut title, diagnostics);
    if title.is_none() {
        diagnostics.push(reader.missing("titre"));
    }
    let image = reader.text("image", diagnostics).map(|written| ImageRef {
        path: join(path, &written),
        alt: String::new(),
        credit: None,
        place: reader.place("image"),
    });
    let alt_given = reader.has("image_alternative");
    let alt = reader.text("image_alternative", diagnostics).map(nice);
    let credit = reader.text("image_credit", diagnostics).map(nice);
    if let Some(image) = image.as_ref().filter(|_| !alt_given) {
        diagnostics.push(
            Diagnostic::error(Code::Alternative, image.place.clone(), "l'image n'a pas de description")
                .hint("ajoutez image_alternative = \"ce que montre l'image\" (ou \"\" si elle est décorative)"),
        );
    }
    let image = image.map(|image| ImageRef { alt: alt.unwrap_or_default(), credit, ..image });
    let documents = documents(&mut reader, path, diagnostics);
    let publication = Publication {
        draft: reader.flag("brouillon", diagnostics).unwrap_or(false),
        from: reader.date("publie_le", diagnostics),
        until: reader.date("expire_le", diagnostics),
    };
    if let (Some(from), Some(until)) = (publication.from, publication.until)
        && until < from
    {
        diagnostics.push(
            Diagnostic::error(Code::BadDate, reader.place("expire_le"), "ce contenu expire avant d'être publié")
                .hint("mettez une date expire_le égale ou postérieure à publie_le"),
        );
    }
    let slug_place = if reader.has("adresse") { reader.place("adresse") } else { place.clone() };
    let slug = slug(&reader.text("adresse", diagnostics).unwrap_or_else(|| stem.to_owned()));
    let old_addresses = old_addresses(&mut reader, diagnostics);
    let summary = reader.text("resume", diagnostics).map(nice);
    if matches!(kind, Some(Kind::News(_))) && summary.is_none() {
        diagnostics
            .push(reader.missing("resume").hint("ajoutez resume = \"…\" : une phrase pour la liste et l'accueil"));
    }
    let content = Content {
        path: path.to_owned(),
        layer,
        slug,
        slug_place,
        title: title.unwrap_or_else(|| stem.to_owned()),
        summary,
        simple_summary: reader.text("resume_simple", diagnostics).map(nice),
        image,
        documents,
        publication,
        verified: reader.date("verifie_le", diagnostics),
        review_before: reader.date("revoir_avant", diagnostics),
        old_addresses,
        order: reader.integer("ordre", -1_000_000..=1_000_000, diagnostics),
        in_menu: reader.flag("menu", diagnostics).unwrap_or(true),
        variables: reader.flag("variables", diagnostics).unwrap_or(false),
        kind: Kind::Page { is_index: false },
        body,
        place,
    };
    reader.finish(diagnostics);
    if kind.is_none() {
        let image = content.image.as_ref();
        named.extend(image.map(|image| DocumentRef {
            path: image.path.clone(),
            title: None,
            place: image.place.clone(),
        }));
        named.extend_from_slice(&content.documents);
    }
    kind.map(|kind| Content { kind, ..content })
}

/// Date at the start of a file name: `2026-12-05-marche` → 5 December 2026.
fn date_of_name(stem: &str) -> Option<Date> {
    let date = stem.get(..10)?;
    let rest = &stem[10..];
    (rest.is_empty() || rest.starts_with(['-', '_', ' '])).then(|| date.parse().ok())?
}

fn kind_of(
    reader: &mut Reader<'_, '_>,
    kind: Type,
    stem: &str,
    title: &mut Option<String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Kind> {
    Some(match kind {
        Type::News => Kind::News(news(reader, stem, diagnostics)?),
        Type::Alert => Kind::Alert(alert(reader, diagnostics)?),
        Type::Event => Kind::Event(event(reader, stem, diagnostics)?),
        Type::Elu => Kind::Elu(elu(reader, title, diagnostics)?),
        Type::Service => {
            let contact = contact(reader, "adresse_postale", diagnostics);
            let responsible = person(reader.table("responsable", diagnostics), diagnostics);
            Kind::Service(Service { contact, responsible })
        }
        Type::Association => Kind::Association(association(reader, diagnostics)),
        Type::Commerce => {
            let category = reader.required("categorie", diagnostics).map(nice).unwrap_or_default();
            let round = reader.text("tournee", diagnostics).map(nice);
            Kind::Commerce(Commerce { category, round, contact: contact(reader, "adresse_postale", diagnostics) })
        }
        Type::Equipement => Kind::Equipement(equipement(reader, diagnostics)),
        Type::Demarche => Kind::Demarche(Box::new(demarche(reader, title.as_deref().unwrap_or(stem), diagnostics))),
        Type::Page => Kind::Page { is_index: stem == "index" },
    })
}

fn news(reader: &mut Reader<'_, '_>, stem: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<News> {
    let before = diagnostics.len();
    let date = reader.date("date", diagnostics).or_else(|| date_of_name(stem));
    let words =
        ["vie-municipale", "travaux", "evenement", "ecole", "environnement", "vie-locale"].map(|word| (word, word));
    let category = reader.word("categorie", &words, diagnostics).map(str::to_owned);
    let featured = reader.flag("a_la_une", diagnostics).unwrap_or(false);
    if date.is_none() && diagnostics.len() == before {
        diagnostics.push(
            reader
                .missing("date")
                .hint("commencez le nom du fichier par la date (2026-12-05-titre.md), ou ajoutez date = 2026-12-05"),
        );
    }
    Some(News { date: date?, category, featured })
}

fn alert(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Alert> {
    let message = reader.required("message", diagnostics).map(nice);
    let length = message.as_deref().map_or(0, |text| text.chars().count());
    if length > 150 {
        diagnostics.push(
            Diagnostic::error(
                Code::BadValue,
                reader.place("message"),
                format!("le message de l'alerte fait {length} signes"),
            )
            .hint("150 signes au plus, pour tenir sur un téléphone ; mettez le détail dans le texte"),
        );
    }
    let levels = [("info", AlertLevel::Info), ("attention", AlertLevel::Attention), ("danger", AlertLevel::Danger)];
    let level = reader.word("niveau", &levels, diagnostics);
    let start = reader.moment("debut", diagnostics);
    let end = reader.moment("fin", diagnostics);
    for key in ["niveau", "debut", "fin"] {
        if !reader.has(key) {
            diagnostics.push(reader.missing(key));
        }
    }
    if let (Some(start), Some(end)) = (start, end)
        && end.date() < start.date()
    {
        diagnostics.push(ends_before_start(reader));
    }
    let link = reader.text("lien", diagnostics);
    Some(Alert { message: message?, level: level?, start: start?, end: end?, link })
}

fn ends_before_start(reader: &Reader<'_, '_>) -> Diagnostic {
    Diagnostic::error(Code::BadDate, reader.place("fin"), "la fin est avant le début").hint("corrigez debut ou fin")
}

fn event(reader: &mut Reader<'_, '_>, stem: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Event> {
    let before = diagnostics.len();
    let start =
        reader.moment("debut", diagnostics).or_else(|| date_of_name(stem).map(crate::model::content::Moment::Day));
    let end = reader.moment("fin", diagnostics);
    if start.is_none() && diagnostics.len() == before {
        diagnostics.push(
            reader
                .missing("debut")
                .hint("commencez le nom du fichier par la date, ou ajoutez debut = 2026-12-05T14:30:00"),
        );
    }
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        diagnostics.push(ends_before_start(reader));
    }
    let words =
        ["fete", "conseil", "sport", "culture", "marche", "ecole", "reunion", "nature"].map(|word| (word, word));
    let event = Event {
        start: start.unwrap_or(crate::model::content::Moment::Day(Date::ZERO)),
        end,
        place: reader.text("lieu", diagnostics).map(nice),
        equipement: reader.text("equipement", diagnostics).map(|path| join(reader.source().file, &path)),
        organizer: reader.text("organisateur", diagnostics).map(nice),
        price: reader.text("tarif", diagnostics).map(nice),
        contact: reader.text("contact", diagnostics).map(nice),
        telephone: reader.text("telephone", diagnostics),
        email: Some(email(reader, "courriel", diagnostics)).filter(|email| !email.is_empty()),
        category: reader.word("categorie", &words, diagnostics).map(str::to_owned),
        cancelled: reader.flag("annule", diagnostics).unwrap_or(false),
    };
    start.map(|_| event)
}

fn elu(reader: &mut Reader<'_, '_>, title: &mut Option<String>, diagnostics: &mut Vec<Diagnostic>) -> Option<Elu> {
    let first_name = reader.required("prenom", diagnostics);
    let last_name = reader.required("nom", diagnostics);
    let function = reader.required("fonction", diagnostics).map(nice);
    let elu = Elu {
        delegations: texts(reader, "delegations", diagnostics),
        commissions: texts(reader, "commissions", diagnostics),
        surgery: reader.text("permanence", diagnostics).map(nice),
        telephone: reader.text("telephone", diagnostics),
        email: Some(email(reader, "courriel", diagnostics)).filter(|email| !email.is_empty()),
        first_name: first_name.unwrap_or_default(),
        last_name: last_name.unwrap_or_default(),
        function: function.unwrap_or_default(),
    };
    title.get_or_insert_with(|| format!("{} {}", elu.first_name, elu.last_name));
    Some(elu)
}

fn texts(reader: &mut Reader<'_, '_>, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
    reader.texts(key, diagnostics).into_iter().map(nice).collect()
}

fn contact(
    reader: &mut Reader<'_, '_>,
    address_key: &'static str,
    diagnostics: &mut Vec<Diagnostic>,
) -> ContactDetails {
    ContactDetails {
        address: texts(reader, address_key, diagnostics),
        telephone: telephone(reader, diagnostics),
        email: email(reader, "courriel", diagnostics),
        website: website(reader, diagnostics),
        hours: opening_hours(reader, false, diagnostics),
    }
}

fn website(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
    let site = reader.text("site", diagnostics)?;
    check_web_link(&site, reader.place("site"), diagnostics).then_some(site)
}

/// Whether a text is an `https://` or `http://` address; tells it when not.
fn check_web_link(link: &str, place: Place, diagnostics: &mut Vec<Diagnostic>) -> bool {
    let valid = (link.starts_with("https://") || link.starts_with("http://"))
        && link.len() > 10
        && !link.contains([' ', '"', '<', '>']);
    if !valid {
        diagnostics.push(
            Diagnostic::error(Code::BadLink, place, format!("« {link} » n'est pas une adresse de site"))
                .hint("une adresse commence par https://"),
        );
    }
    valid
}

fn association(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Association {
    let object = reader.text("objet", diagnostics).map(nice);
    let category = reader.text("categorie", diagnostics).map(nice);
    let rna = reader.text("rna", diagnostics);
    let slots = texts(reader, "creneaux", diagnostics);
    let place = reader.text("lieu", diagnostics).map(nice);
    let website = website(reader, diagnostics);
    let mut details = ContactDetails { website, ..ContactDetails::default() };
    let mut contact_name = None;
    if let Some(mut table) = reader.table("contact", diagnostics) {
        contact_name = table.text("nom", diagnostics).map(nice);
        details.telephone = telephone(&mut table, diagnostics);
        details.email = email(&mut table, "courriel", diagnostics);
        table.finish(diagnostics);
    }
    Association { object, category, rna, contact_name, contact: details, slots, place }
}

fn equipement(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Equipement {
    let kind = reader.required("type", diagnostics).map(nice).unwrap_or_default();
    let access = reader.text("acces_pmr", diagnostics).map(nice);
    let capacity = reader.integer("capacite", 0..=1_000_000, diagnostics).map(|count| count as u32);
    let surface = reader.integer("surface", 0..=100_000_000, diagnostics).map(|count| count as u32);
    let mut prices = Vec::new();
    for mut table in reader.tables("tarifs", diagnostics) {
        let profile = table.required("profil", diagnostics);
        let price = table.required("prix", diagnostics);
        let note = table.text("note", diagnostics).map(nice);
        table.finish(diagnostics);
        if let (Some(profile), Some(price)) = (profile, price) {
            prices.push(Price { profile: nice(profile), price: nice(price), note });
        }
    }
    let rules = reader.text("reglement", diagnostics).map(|written| DocumentRef {
        path: join(reader.source().file, &written),
        title: Some("Règlement".into()),
        place: reader.place("reglement"),
    });
    let latitude = reader.decimal("latitude", diagnostics);
    let longitude = reader.decimal("longitude", diagnostics);
    let position = latitude.zip(longitude);
    if position.is_some_and(|(latitude, longitude)| {
        !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude)
    }) {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, reader.place("latitude"), "cette position n'existe pas")
                .hint("latitude entre -90 et 90, longitude entre -180 et 180, en degrés"),
        );
    }
    let contact = contact(reader, "adresse_postale", diagnostics);
    Equipement { kind, contact, access, capacity, surface, prices, rules, position }
}

fn demarche(reader: &mut Reader<'_, '_>, title: &str, diagnostics: &mut Vec<Diagnostic>) -> Demarche {
    let topics = ["papiers", "vie-quotidienne", "urbanisme", "famille", "vie-associative", "citoyennete", "autre"]
        .map(|word| (word, word));
    let handlers = [
        ("commune", Handler::Commune),
        ("epci", Handler::Epci),
        ("departement", Handler::Departement),
        ("etat", Handler::Etat),
        ("autre", Handler::Other),
    ];
    let topic = reader.word("rubrique", &topics, diagnostics).unwrap_or("autre").to_owned();
    let handler = reader.word("qui_traite", &handlers, diagnostics);
    if handler.is_none() && !reader.has("qui_traite") {
        diagnostics.push(reader.missing("qui_traite").hint("ajoutez qui_traite = \"commune\" (ou epci, departement, etat, autre) : les habitants doivent savoir à qui s'adresser"));
    }
    let link = reader.text("lien", diagnostics);
    if let Some(link) = &link {
        check_web_link(link, reader.place("lien"), diagnostics);
    }
    let form = form(reader, title, diagnostics);
    let service = reader.text("service", diagnostics).map(|service| (service, reader.place("service")));
    if let (Some(form), None) = (&form, &service) {
        diagnostics.push(
            Diagnostic::error(Code::IncompleteService, form.place.clone(), "ce formulaire ne dit pas quel service s'en occupe")
                .hint("ajoutez service = \"secretariat\" : l'accusé doit donner son nom, son adresse et son téléphone (CRPA, art. R112-11-1)"),
        );
    }
    Demarche {
        topic,
        handler: handler.unwrap_or(Handler::Commune),
        handler_name: reader.text("qui_traite_precision", diagnostics).map(nice),
        service,
        audience: reader.text("public", diagnostics).map(nice),
        prepare: texts(reader, "preparer", diagnostics),
        cost: reader.text("cout", diagnostics).map(nice),
        delay: reader.text("delai", diagnostics).map(nice),
        result: reader.text("resultat", diagnostics).map(nice),
        channels: texts(reader, "canaux", diagnostics),
        link,
        link_title: reader.text("lien_titre", diagnostics).map(nice),
        essential: reader.flag("essentielle", diagnostics).unwrap_or(false),
        form,
    }
}

fn documents(reader: &mut Reader<'_, '_>, path: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<DocumentRef> {
    let mut documents = Vec::new();
    for item in reader.items("pieces", diagnostics) {
        match item {
            Item::Text(text, place) => documents.push(DocumentRef { path: join(path, &text), title: None, place }),
            Item::Table(mut table) => {
                let file = table.required("fichier", diagnostics);
                let title = table.text("titre", diagnostics).map(nice);
                let place = table.place("fichier");
                table.finish(diagnostics);
                if let Some(file) = file {
                    documents.push(DocumentRef { path: join(path, &file), title, place });
                }
            }
        }
    }
    documents
}

fn old_addresses(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
    let mut addresses = Vec::new();
    for address in reader.texts("anciennes_adresses", diagnostics) {
        let strange = address.contains(['?', '#', ' ', '\\']) || address.contains("..") || address.contains("//");
        if address.starts_with('/') && !strange {
            addresses.push(address);
        } else {
            diagnostics.push(
                Diagnostic::error(
                    Code::BadValue,
                    reader.place("anciennes_adresses"),
                    format!("« {address} » n'est pas une adresse de ce site"),
                )
                .hint("écrivez un chemin qui commence par /, par exemple \"/vieille-page/\""),
            );
        }
    }
    addresses
}

/// Path in the folder of a link written in the file `from`: `pages/a/b.md` + `../c.pdf` → `pages/c.pdf`.
///
/// A path that climbs above the folder keeps its `..`, so that no file answers it.
pub(super) fn join(from: &str, written: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    let written = written.replace('\\', "/");
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/").nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, text: &str) -> (Option<Content>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let kind = Type::of(path).expect("a known folder");
        let content = content(path, Layer::Commune, kind, text, (&mut Vec::new(), &mut diagnostics));
        (content, super::super::once_a_line(diagnostics))
    }

    #[test]
    fn date_and_slug_come_from_the_file_name() {
        let (content, diagnostics) = read(
            "actualites/2026-12-05-marche-de-noel.md",
            "+++\ntitre = \"Marché\"\nresume = \"Venez.\"\n+++\nTexte\n",
        );
        assert_eq!(diagnostics, []);
        let content = content.expect("readable");
        assert_eq!(content.slug, "2026-12-05-marche-de-noel");
        assert!(matches!(content.kind, Kind::News(News { date, .. }) if date == jiff::civil::date(2026, 12, 5)));
        assert_eq!(content.body.first_line, 5);
    }

    #[test]
    fn mistakes_of_one_file_come_together_with_their_lines() {
        let text = "+++\ntitre = \"Fête\"\ndebut = 2026-02-31\ncategorie = \"fetes\"\nlieux = \"Place\"\n+++\n";
        let (_, diagnostics) = read("agenda/fete.md", text);
        let lines: Vec<_> = diagnostics.iter().map(|d| (d.code.as_str(), d.place.line)).collect();
        assert_eq!(lines, [("M0205", 3), ("M0204", 4), ("M0202", 5)]);
        assert_eq!(diagnostics[2].hint.as_deref(), Some("vouliez-vous dire « lieu » ?"));
    }

    #[test]
    fn a_header_is_required_and_closed() {
        assert_eq!(read("pages/a.md", "# Titre\n").1[0].code, Code::NoFrontMatter);
        let yaml = read("pages/a.md", "---\ntitre: A\n---\n").1;
        assert_eq!(yaml[0].message, "l'en-tête est entre deux lignes ---");
        assert_eq!(read("pages/a.md", "+++\ntitre = \"x\"\n").1[0].message, "l'en-tête n'est pas fermé");
    }

    #[test]
    fn links_are_joined_within_the_folder() {
        assert_eq!(join("pages/a/b.md", "../../medias/x.jpg"), "medias/x.jpg");
        assert_eq!(join("accueil.md", "pages/x.md"), "pages/x.md");
        assert_eq!(join("accueil.md", "../secret.md"), "../secret.md");
        assert_eq!(join("a.md", "e\u{301}te.pdf"), "éte.pdf");
    }
}
