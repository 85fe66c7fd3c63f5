//! Reads `commune.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use super::form::opening;
use super::hours::opening_hours;
use super::publication::publication;
use super::toml_reader::{Below, Reader, Source, parse};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::commune::{
    Accessibilite, CatalogueChoice, CatalogueSet, Commune, Dpo, FormSettings, GuichetSettings, Hebergeur, Identite,
    Mairie, Person, Tribunal, Urgence,
};
use crate::model::names::NameForms;
use crate::text::numbers;

/// Name of the file.
pub(super) const FILE: &str = "commune.toml";

/// The commune that the text of a `commune.toml` describes, over what its territoire, whose folder is `root`, says; `None` when
/// it has no name.
pub(super) fn read(
    text: &str,
    (below, root): (&[Below<'_, '_>], &Path),
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Commune> {
    let source = Source { file: FILE, text, first_line: 1 };
    let table = parse(source, diagnostics);
    commune(Reader::new(source, &table).above(below), root, diagnostics)
}

/// The commune a table describes; `None` when it has no name.
pub(super) fn commune(mut reader: Reader<'_, '_>, root: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<Commune> {
    if reader.is_newer(Commune::FORMAT, diagnostics) {
        return None;
    }
    let nom = reader.required("nom", diagnostics);
    let names = nom.as_deref().map(NameForms::guess);
    let forme_de = reader.text("forme_de", diagnostics);
    let forme_a = reader.text("forme_a", diagnostics);
    let code_insee = code_insee(&mut reader, diagnostics);
    let siret = siret(&mut reader, diagnostics);
    let population = reader.integer("population", 0..=3_000_000, diagnostics).map(|count| count as u32);
    let epci = reader.text("epci", diagnostics);
    let departement = reader.text("departement", diagnostics);
    let region = reader.text("region", diagnostics);
    let fuseau = time_zone(&mut reader, diagnostics);
    let devise = reader.text("devise", diagnostics);
    let domaine = web_origin(&mut reader, "domaine", diagnostics);
    let maire = person(reader.table("maire", diagnostics), diagnostics);
    let mairie = mairie(&mut reader, diagnostics);
    let identite = identite(&mut reader, diagnostics);
    let hebergeur = hebergeur(&mut reader, diagnostics);
    let dpo = dpo(&mut reader, diagnostics);
    let accessibilite = accessibilite(&mut reader, diagnostics);
    let actes_publicite = reader.table("actes", diagnostics).and_then(|mut actes| {
        let words = [("electronique", "electronique"), ("affichage", "affichage"), ("papier", "papier")];
        let mode = actes.word("publicite", &words, diagnostics);
        actes.finish(diagnostics);
        mode.map(str::to_owned)
    });
    let guichet = guichet(&mut reader, diagnostics);
    let menu_order = reader.table("menu", diagnostics).map_or_else(Vec::new, |mut menu| {
        let order = menu.texts("ordre", diagnostics);
        menu.finish(diagnostics);
        order
    });
    let catalogue = catalogue(&mut reader, diagnostics);
    let form_settings = form_settings(&mut reader, diagnostics);
    let publication = publication(&mut reader, root, diagnostics);
    let places = reader.places();
    reader.finish(diagnostics);
    let names = names?;
    Some(Commune {
        names: NameForms {
            forme_de: forme_de.unwrap_or(names.forme_de),
            forme_a: forme_a.unwrap_or(names.forme_a),
            nom: names.nom,
        },
        code_insee,
        siret,
        population,
        epci,
        departement,
        region,
        fuseau,
        devise,
        domaine,
        maire,
        mairie,
        identite,
        hebergeur,
        dpo,
        accessibilite,
        actes_publicite,
        guichet,
        menu_order,
        catalogue,
        form_settings,
        publication,
        places,
    })
}

fn code_insee(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> String {
    let code = reader.text("code_insee", diagnostics).unwrap_or_default();
    let department =
        code.get(..2).is_some_and(|start| start.bytes().all(|b| b.is_ascii_digit()) || matches!(start, "2A" | "2B"));
    let valid = code.len() == 5 && department && code[2..].bytes().all(|b| b.is_ascii_digit());
    if !code.is_empty() && !valid {
        diagnostics.push(
            Diagnostic::error(
                Code::BadValue,
                reader.place("code_insee"),
                format!("« {code} » n'est pas un code INSEE"),
            )
            .hint("cinq caractères entre guillemets, par exemple \"01299\" ou \"2A004\" ; ce n'est pas le code postal"),
        );
    }
    code
}

fn siret(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> String {
    let siret: String = reader.text("siret", diagnostics).unwrap_or_default().replace([' ', '\u{a0}', '\u{202f}'], "");
    if !siret.is_empty() && numbers::siret(&siret).is_none() {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, reader.place("siret"), format!("« {siret} » n'est pas un numéro SIRET"))
                .hint("quatorze chiffres entre guillemets ; le dernier est une clé de contrôle"),
        );
    }
    siret
}

fn time_zone(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> String {
    let zone = reader.text("fuseau", diagnostics).unwrap_or_else(|| "Europe/Paris".into());
    if jiff::tz::TimeZone::get(&zone).is_err() {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, reader.place("fuseau"), format!("le fuseau « {zone} » n'existe pas"))
                .hint("en métropole : \"Europe/Paris\" ; outre-mer : \"Indian/Reunion\", \"America/Martinique\"…"),
        );
        return "Europe/Paris".into();
    }
    zone
}

fn web_origin(reader: &mut Reader<'_, '_>, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> String {
    let written = reader.text(key, diagnostics).unwrap_or_default();
    origin(written, key, reader, diagnostics)
}

/// Scheme and host of a site without final slash, checked; empty when blank.
pub(super) fn origin(
    written: String,
    key: &'static str,
    reader: &Reader<'_, '_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> String {
    let origin = written.trim_end_matches('/').to_owned();
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let valid = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', ' ', '?', '#', '@']));
    if !origin.is_empty() && !valid {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, reader.place(key), format!("« {origin} » n'est pas une adresse de site"))
                .hint(format!("écrivez {key} = \"https://www.exemple.fr\", sans chemin")),
        );
        return String::new();
    }
    origin
}

/// A telephone number, checked; empty when blank.
pub(super) fn telephone(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> String {
    let written = reader.text("telephone", diagnostics).unwrap_or_default();
    if !written.is_empty() && numbers::telephone_link(&written).is_none() {
        diagnostics.push(
            Diagnostic::error(
                Code::BadValue,
                reader.place("telephone"),
                format!("« {written} » n'est pas un numéro de téléphone"),
            )
            .hint("écrivez les dix chiffres, par exemple \"04 74 98 00 00\", ou le numéro international : \"+41 22…\""),
        );
    }
    written
}

/// A postal code: five figures.
fn postal_code(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> String {
    let code = reader.text("code_postal", diagnostics).unwrap_or_default();
    if !code.is_empty() && (code.len() != 5 || !code.bytes().all(|byte| byte.is_ascii_digit())) {
        diagnostics.push(
            Diagnostic::error(
                Code::BadValue,
                reader.place("code_postal"),
                format!("« {code} » n'est pas un code postal"),
            )
            .hint("cinq chiffres entre guillemets, par exemple \"01330\""),
        );
    }
    code
}

/// An e-mail address, checked; empty when blank.
pub(super) fn email(reader: &mut Reader<'_, '_>, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> String {
    let address = reader.text(key, diagnostics).unwrap_or_default();
    check_email(&address, reader.place(key), diagnostics);
    address
}

pub(super) fn check_email(address: &str, place: Place, diagnostics: &mut Vec<Diagnostic>) {
    let valid = address.split_once('@').is_some_and(|(local, domain)| {
        let clean = |part: &str| {
            !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "@<>(),;\"".contains(c))
        };
        clean(local) && clean(domain) && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.')
    });
    if !address.is_empty() && !valid {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, place, format!("« {address} » n'est pas une adresse électronique"))
                .hint("écrivez par exemple \"mairie@exemple.fr\""),
        );
    }
}

fn emails(reader: &mut Reader<'_, '_>, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
    let list = reader.texts(key, diagnostics);
    for address in &list {
        check_email(address, reader.place(key), diagnostics);
    }
    list
}

pub(super) fn person(table: Option<Reader<'_, '_>>, diagnostics: &mut Vec<Diagnostic>) -> Option<Person> {
    let mut table = table?;
    let person = Person {
        prenom: table.text("prenom", diagnostics).unwrap_or_default(),
        nom: table.text("nom", diagnostics).unwrap_or_default(),
        qualite: table.text("qualite", diagnostics).unwrap_or_default(),
    };
    table.finish(diagnostics);
    (!person.nom.is_empty()).then_some(person)
}

fn mairie(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Mairie {
    let Some(mut table) = reader.table("mairie", diagnostics) else { return Mairie::default() };
    let adresse = table.texts("adresse", diagnostics);
    let code_postal = postal_code(&mut table, diagnostics);
    let ville = table.text("ville", diagnostics).unwrap_or_default();
    let telephone_written = telephone(&mut table, diagnostics);
    let courriel = email(&mut table, "courriel", diagnostics);
    let urgence = table.table("urgence", diagnostics).and_then(|mut urgence| {
        let libelle = urgence.text("libelle", diagnostics);
        let telephone = telephone(&mut urgence, diagnostics);
        urgence.finish(diagnostics);
        Some(Urgence { libelle: libelle?, telephone }).filter(|urgence| !urgence.telephone.is_empty())
    });
    let alsace_moselle = table.flag("alsace_moselle", diagnostics).unwrap_or(false);
    let hours = opening_hours(&mut table, alsace_moselle, diagnostics);
    table.finish(diagnostics);
    Mairie { adresse, code_postal, ville, telephone: telephone_written, courriel, urgence, hours }
}

fn identite(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Identite {
    let Some(mut table) = reader.table("identite", diagnostics) else { return Identite::default() };
    let mut couleur = table.text("couleur", diagnostics).unwrap_or_default().to_lowercase();
    let valid =
        couleur.strip_prefix('#').is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if !couleur.is_empty() && !valid {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, table.place("couleur"), format!("« {couleur} » n'est pas une couleur"))
                .hint("écrivez un dièse et six chiffres ou lettres de a à f : \"#2f6b4f\""),
        );
        couleur.clear();
    }
    let identite = Identite {
        couleur,
        couleur_place: table.place("couleur"),
        blason: table.text("blason", diagnostics),
        image: table.text("image", diagnostics),
        image_alternative: table.text("image_alternative", diagnostics).unwrap_or_default(),
    };
    table.finish(diagnostics);
    identite
}

fn hebergeur(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Hebergeur> {
    let mut table = reader.table("hebergeur", diagnostics)?;
    let host = Hebergeur {
        nom: table.text("nom", diagnostics).unwrap_or_default(),
        adresse: table.text("adresse", diagnostics).unwrap_or_default(),
        telephone: telephone(&mut table, diagnostics),
    };
    table.finish(diagnostics);
    Some(host)
}

fn dpo(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Dpo> {
    let mut table = reader.table("dpo", diagnostics)?;
    let dpo = Dpo {
        nom: table.text("nom", diagnostics).unwrap_or_default(),
        courriel: email(&mut table, "courriel", diagnostics),
        adresse: table.text("adresse", diagnostics).unwrap_or_default(),
        telephone: telephone(&mut table, diagnostics),
    };
    table.finish(diagnostics);
    Some(dpo)
}

fn accessibilite(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Accessibilite {
    const NONE: &str = "non conforme";
    let mut state = Accessibilite { etat: NONE.into(), taux: None, audit_le: None, audit_par: None };
    let Some(mut table) = reader.table("accessibilite", diagnostics) else { return state };
    let words = [
        (NONE, NONE),
        ("partiellement conforme", "partiellement conforme"),
        ("totalement conforme", "totalement conforme"),
    ];
    let claimed = table.word("etat", &words, diagnostics).unwrap_or(NONE);
    state.taux = table.integer("taux", 0..=100, diagnostics).map(|rate| rate as u8);
    state.audit_le = table.date("audit_le", diagnostics);
    state.audit_par = table.text("audit_par", diagnostics);
    // RGAA 4.1, obligations: without a valid audit the state is « non conforme »; « partiellement » from 50 %, « totalement » at 100 %.
    let proven = state.audit_le.is_some()
        && state.audit_par.is_some()
        && match claimed {
            "totalement conforme" => state.taux == Some(100),
            "partiellement conforme" => state.taux.is_some_and(|rate| rate >= 50),
            _ => true,
        };
    if claimed != NONE && !proven {
        diagnostics.push(
            Diagnostic::error(Code::LegalMention, table.place("etat"), format!("l'état « {claimed} » n'est pas prouvé"))
                .hint("ajoutez taux, audit_le et audit_par (50 % au moins pour « partiellement », 100 % pour « totalement »), ou écrivez \"non conforme\""),
        );
    } else {
        state.etat = claimed.into();
    }
    table.finish(diagnostics);
    state
}

fn guichet(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> GuichetSettings {
    let Some(mut table) = reader.table("guichet", diagnostics) else { return GuichetSettings::default() };
    let settings = GuichetSettings {
        adresse: guichet_address(&mut table, diagnostics),
        expediteur: email(&mut table, "expediteur", diagnostics),
        destinataires: emails(&mut table, "destinataires", diagnostics),
        destinataires_secours: emails(&mut table, "destinataires_secours", diagnostics),
        tribunal: table.table("tribunal", diagnostics).and_then(|mut court| {
            let nom = court.text("nom", diagnostics);
            let adresse = court.text("adresse", diagnostics).unwrap_or_default();
            court.finish(diagnostics);
            Some(Tribunal { nom: nom?, adresse })
        }),
    };
    table.finish(diagnostics);
    settings
}

/// Where the guichet answers: scheme and host, then perhaps a path when several communes share a host.
fn guichet_address(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> String {
    const KEY: &str = "adresse";
    let written = table.text(KEY, diagnostics).unwrap_or_default();
    let written = written.trim_end_matches('/');
    let host = written.find("://").map_or(0, |at| at + 3);
    let (site, path) = match written[host..].find('/') {
        Some(at) => written.split_at(host + at),
        None => (written, ""),
    };
    let may_be = |path: &str| path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_path = |path: &str| {
        !path.is_empty() && !path.starts_with('.') && path != "guichet" && path != "assets" && may_be(path)
    };
    if !path.is_empty() && !path[1..].split('/').all(|part| part == COMMUNE_NAME || is_path(part)) {
        let message = format!("« {path} » n'est pas un chemin où mettre le guichet");
        let told = Diagnostic::error(Code::BadValue, table.place(KEY), message);
        diagnostics.push(told.hint(format!(
            "écrivez {KEY} = \"https://guichet.exemple.fr\", ou {KEY} = \"https://guichet.exemple.fr/{COMMUNE_NAME}\" dans les [defauts.guichet] d'un territoire"
        )));
        return String::new();
    }
    let site = origin(site.to_owned(), KEY, table, diagnostics);
    if site.is_empty() { site } else { format!("{site}{path}") }
}

/// Stands for the name of the commune's folder in the address of a guichet that communes share.
pub(super) const COMMUNE_NAME: &str = "{commune}";

fn catalogue(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> CatalogueChoice {
    let Some(mut table) = reader.table("catalogue", diagnostics) else { return CatalogueChoice::default() };
    let set = match table.texts("demarches", diagnostics) {
        list if list.is_empty() || list == ["essentielles"] => CatalogueSet::Essential,
        list if list == ["toutes"] => CatalogueSet::All,
        list if list == ["aucune"] => CatalogueSet::Only(Vec::new()),
        list => CatalogueSet::Only(list),
    };
    let with = table.texts("avec", diagnostics);
    let choice = CatalogueChoice { set, with, without: table.texts("sans", diagnostics) };
    table.finish(diagnostics);
    choice
}

/// `[demarches.reserver-une-salle]`: what the commune settles without copying the fiche.
fn form_settings(reader: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, FormSettings> {
    let Some(table) = reader.table("demarches", diagnostics) else { return BTreeMap::new() };
    let named = table.named_tables(diagnostics);
    let settings = named.into_iter().map(|(slug, mut table)| {
        let recipients = table.texts("destinataires", diagnostics);
        for address in &recipients {
            check_email(address, table.place("destinataires"), diagnostics);
        }
        let settings = FormSettings {
            service: table.text("service", diagnostics),
            recipients,
            opening: opening(&mut table, diagnostics),
            resource: table.text("ressource", diagnostics).map(|resource| (resource, table.place("ressource"))),
            regime_confirmed: table.flag("regime_confirme", diagnostics).unwrap_or(false),
            place: table.table_place(),
        };
        table.finish(diagnostics);
        (slug, settings)
    });
    settings.collect()
}
