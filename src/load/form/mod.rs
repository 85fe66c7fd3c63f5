//! Reads `[formulaire]`, `[formulaire.donnees]` and `[[champ]]`, and judges what can be judged in one file.
//!
//! The language is documented for its writers in `docs/formulaires.md`; each mistake has a case in
//! `tests/suite/formulaires.rs`.

mod condition;
mod exits;
mod fields;
mod kind;
mod prudence;

use super::commune::check_email;
use super::toml_reader::Reader;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::calendar::kept_until;
use crate::model::content::FormSource;
use crate::model::form::{
    Appeal, DataNotice, Delay, Delivery, Field, FieldKind, Identity, Nature, Opening, Regime, Route, Silence, Source,
};
use crate::text::typography::french;

/// Reads the form of a fiche, if it has one.
pub(super) fn form(reader: &mut Reader<'_, '_>, title: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<FormSource> {
    let fields = reader.items("champ", diagnostics);
    let Some(mut table) = reader.table("formulaire", diagnostics) else {
        if !fields.is_empty() {
            diagnostics.push(
                Diagnostic::error(
                    Code::BadForm,
                    reader.place("champ"),
                    "des questions [[champ]] sans table [formulaire]",
                )
                .hint("ajoutez [formulaire] et [formulaire.donnees] au-dessus des questions (voir docs/contenu.md)"),
            );
        }
        return None;
    };
    let place = table.table_place();
    let nature = table.word(
        "nature",
        &[
            ("demande", Nature::Demande),
            ("declaration", Nature::Declaration),
            ("information", Nature::Information),
            ("contact", Nature::Contact),
        ],
        diagnostics,
    );
    if nature.is_none() && !table.has("nature") {
        diagnostics.push(table.missing("nature"));
    }
    let identity = table.word(
        "identite",
        &[
            ("personne", Identity::Person),
            ("association", Identity::Association),
            ("entreprise", Identity::Company),
            ("personne_ou_association", Identity::PersonOrAssociation),
            ("toutes", Identity::All),
            ("libre", Identity::Free),
            ("aucune", Identity::None),
        ],
        diagnostics,
    );
    if identity.is_none() && !table.has("identite") {
        diagnostics.push(table.missing("identite"));
    }
    let nature = nature.unwrap_or(Nature::Contact);
    let identity = identity.unwrap_or(Identity::Free);
    let regime = regime(&mut table, nature, diagnostics);
    if nature == Nature::Demande && !identity.is_saisine() {
        diagnostics.push(
            Diagnostic::error(Code::BadForm, table.place("identite"), "une demande doit dire qui la fait")
                .hint("avec nature = \"demande\", choisissez identite = \"personne\", \"association\", \"entreprise\", \"personne_ou_association\" ou \"toutes\" (CRPA, art. R112-9-1)"),
        );
    }
    let legal_basis = table.text("fondement", diagnostics).or_else(|| regime.basis.map(str::to_owned));
    let subject_word = table.text("objet_du_courriel", diagnostics).unwrap_or_else(|| title.to_owned());
    let recipients = table.texts("destinataires", diagnostics);
    for address in &recipients {
        check_email(address, table.place("destinataires"), diagnostics);
    }
    let routes = table.tables("aiguillage", diagnostics);
    let daily = table.word("recapitulatif", &[("csv", true), ("aucun", false)], diagnostics);
    let button = table.text("titre_bouton", diagnostics).unwrap_or_else(|| "Commencer".into());
    let confirmation = table.text("confirmation", diagnostics).map(|text| french(&text).into_owned());
    let data = data_notice(&mut table, diagnostics);
    let opening = opening(&mut table, diagnostics);
    let telephone_required = table.flag("telephone_obligatoire", diagnostics).unwrap_or(false);
    if telephone_required && identity == Identity::None {
        diagnostics.push(
            Diagnostic::error(
                Code::BadForm,
                table.place("telephone_obligatoire"),
                "un formulaire sans identité ne peut pas demander le téléphone à tous",
            )
            .hint("retirez telephone_obligatoire, ou choisissez une autre identite"),
        );
    }
    let paged = table.flag("en_pages", diagnostics).unwrap_or(false);
    let paged_place = table.place("en_pages");
    table.finish(diagnostics);

    let (fields, resources) = fields::all(fields, identity, diagnostics);
    let routes =
        routes.into_iter().filter_map(|table| route(table, &fields, &identity.fields(), diagnostics)).collect();
    let delivery = Delivery { routes, daily_csv: daily.unwrap_or(false) };
    let data = data.map(|(data, place)| {
        if is_kept_too_short(&fields, data.retention) {
            diagnostics.push(
                Diagnostic::warning(
                    Code::KeptTooShort,
                    place,
                    "les réponses seraient effacées avant le dernier jour que l'on peut demander",
                )
                .hint("allongez conservation, ou rapprochez au_plus_tard : il faut les garder jusqu'à ce jour, et un peu après"),
            );
        }
        data
    });
    if paged && fields.iter().all(|field| field.step.is_none()) {
        diagnostics.push(
            Diagnostic::error(Code::BadForm, paged_place, "en_pages demande des étapes, et aucune question n'en a")
                .hint("ajoutez etape = \"Votre demande\" à la première question de chaque page"),
        );
    }
    Some(FormSource {
        nature,
        identity,
        silence: regime.silence,
        appeal: regime.appeal,
        to_confirm: regime.source == Source::ToConfirm,
        legal_basis,
        subject_word,
        recipients,
        delivery,
        button: french(&button).into_owned(),
        confirmation,
        data: data?,
        opening,
        paged,
        fields,
        telephone_required,
        resources,
        place,
    })
}

/// `[[formulaire.aiguillage]]`: other mailboxes for some answers.
fn route(
    mut table: Reader<'_, '_>,
    fields: &[Field],
    identity: &[Field],
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Route> {
    let place = table.place("si");
    let condition = table.required("si", diagnostics).and_then(|text| condition::read(&text, &place, diagnostics));
    if let Some(condition) = &condition {
        condition::check_route(condition, fields, identity, &place, diagnostics);
    }
    let recipients = table.texts("destinataires", diagnostics);
    for address in &recipients {
        check_email(address, table.place("destinataires"), diagnostics);
    }
    if recipients.is_empty() {
        diagnostics.push(table.missing("destinataires"));
    }
    table.finish(diagnostics);
    condition.filter(|_| !recipients.is_empty()).map(|condition| Route { condition, recipients })
}

/// When the form is open and for how many requests; `[demarches.…]` of `commune.toml` has the same keys.
pub(super) fn opening(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Opening {
    let from = table.date("ouvre_le", diagnostics);
    let until = table.date("ferme_le", diagnostics);
    let bad = |place, message: &str, hint: &str| Diagnostic::error(Code::BadOpening, place, message).hint(hint);
    if from.zip(until).is_some_and(|(from, until)| until < from) {
        let place = table.place("ferme_le");
        diagnostics.push(bad(
            place,
            "le formulaire fermerait avant d'ouvrir",
            "corrigez ouvre_le ou ferme_le : la première date vient avant la seconde",
        ));
    }
    let places = table.integer("places", 1..=100_000, diagnostics).map(|places| places as u32);
    let waiting = table.integer("liste_attente", 0..=100_000, diagnostics).map(|places| places as u32);
    if waiting.is_some_and(|waiting| waiting > 0) && places.is_none() && !table.has("places") {
        let place = table.place("liste_attente");
        diagnostics.push(bad(
            place,
            "une liste d'attente demande un nombre de places",
            "ajoutez places = 20 : au-delà, les demandes vont en liste d'attente",
        ));
    }
    let closed_message = table.text("message_ferme", diagnostics).map(|text| french(&text).into_owned());
    Opening { from, until, places, waiting: waiting.unwrap_or(0), closed_message }
}

/// What silence is worth: a regime by its name, or its details.
fn regime(table: &mut Reader<'_, '_>, nature: Nature, diagnostics: &mut Vec<Diagnostic>) -> Regime {
    let detailed = |silence| Regime { word: "", silence, appeal: Appeal::Court, basis: None, source: Source::Read };
    if !table.has("regime") {
        return detailed(silence(table, nature, diagnostics));
    }
    let words = Regime::ALL.map(|regime| (regime.word, regime));
    let regime = table.word("regime", &words, diagnostics);
    for key in ["silence", "delai_decision"] {
        if table.has(key) {
            // Read so that it is known, and told once.
            table.text(key, diagnostics);
            diagnostics.push(
                Diagnostic::error(Code::BadRegime, table.place(key), format!("regime et {key} disent la même chose"))
                    .hint(format!("gardez regime, ou remplacez-le par silence et delai_decision ; retirez {key}")),
            );
        }
    }
    let regime = regime.unwrap_or_else(|| detailed(Silence::SansDecision));
    if nature != Nature::Demande && matches!(regime.silence, Silence::Acceptation(_) | Silence::Rejet(_)) {
        diagnostics.push(not_a_request(table.place("regime")));
    }
    regime
}

/// Only requests are decided (CRPA, art. R112-11-1, 3°).
fn not_a_request(place: Place) -> Diagnostic {
    Diagnostic::error(Code::BadRegime, place, "seule une demande peut être acceptée ou rejetée par le silence")
        .hint("écrivez nature = \"demande\", ou silence = \"sans_decision\"")
}

fn silence(table: &mut Reader<'_, '_>, nature: Nature, diagnostics: &mut Vec<Diagnostic>) -> Silence {
    #[derive(Clone, Copy)]
    enum Word {
        Acceptation,
        Rejet,
        SansDecision,
        Inconnu,
    }
    let words = [
        ("acceptation", Word::Acceptation),
        ("rejet", Word::Rejet),
        ("sans_decision", Word::SansDecision),
        ("inconnu", Word::Inconnu),
    ];
    let word = table.word("silence", &words, diagnostics);
    let delay = delay(table, "delai_decision", diagnostics);
    if nature == Nature::Demande && !table.has("silence") {
        diagnostics.push(
            Diagnostic::error(
                Code::MissingKey,
                table.table_place(),
                "une demande doit dire ce que vaut le silence de la mairie",
            )
            .hint(
                "ajoutez regime = \"inconnu\" (ou un autre régime de docs/formulaires.md) : l'accusé doit le dire (CRPA, art. R112-11-1)",
            ),
        );
    }
    let with_delay = |make: fn(Delay) -> Silence, diagnostics: &mut Vec<Diagnostic>| match delay {
        Some(delay) => make(delay),
        None => {
            if !table.has("delai_decision") {
                diagnostics.push(
                    Diagnostic::error(
                        Code::MissingKey,
                        table.place("silence"),
                        "il manque le délai au bout duquel la décision est acquise",
                    )
                    .hint("ajoutez delai_decision = \"2 mois\" : la date exacte sera calculée dans l'accusé"),
                );
            }
            Silence::Inconnu
        }
    };
    let silence = match word {
        Some(Word::Acceptation) => with_delay(Silence::Acceptation, diagnostics),
        Some(Word::Rejet) => with_delay(Silence::Rejet, diagnostics),
        Some(Word::Inconnu) => Silence::Inconnu,
        Some(Word::SansDecision) | None => Silence::SansDecision,
    };
    if nature != Nature::Demande && matches!(word, Some(Word::Acceptation | Word::Rejet)) {
        diagnostics.push(not_a_request(table.place("silence")));
    }
    if delay.is_some() && !matches!(word, Some(Word::Acceptation | Word::Rejet)) {
        diagnostics.push(
            Diagnostic::error(
                Code::BadRegime,
                table.place("delai_decision"),
                "un délai de décision n'a de sens qu'avec silence = \"acceptation\" ou \"rejet\"",
            )
            .hint("retirez delai_decision, ou corrigez silence"),
        );
    }
    silence
}

fn delay(table: &mut Reader<'_, '_>, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<Delay> {
    let text = table.text(key, diagnostics)?;
    let parsed = parse_delay(&text);
    if parsed.is_none() {
        diagnostics.push(
            Diagnostic::error(Code::BadValue, table.place(key), format!("« {text} » n'est pas un délai"))
                .hint(format!("écrivez {key} = \"2 mois\", \"15 jours\" ou \"1 an\"")),
        );
    }
    parsed
}

/// « 2 mois », « 15 jours », « 1 an ».
pub(super) fn parse_delay(text: &str) -> Option<Delay> {
    let (number, unit) = text.trim().split_once([' ', '\u{a0}'])?;
    let number: u16 = number.parse().ok().filter(|number| *number > 0)?;
    match unit.trim() {
        "jour" | "jours" => Some(Delay::Days(number)),
        "mois" => Some(Delay::Months(number)),
        "an" | "ans" => Some(Delay::Years(number)),
        _ => None,
    }
}

/// Whether a date may be asked for beyond the day the answers are erased.
fn is_kept_too_short(fields: &[Field], retention: Delay) -> bool {
    let day = jiff::civil::date(2026, 1, 1);
    let erased = kept_until(day, retention);
    let latest = |field: &Field| match &field.kind {
        FieldKind::Date { bounds } if !bounds.past => bounds.on(day).1,
        _ => None,
    };
    let parts = |field: &Field| match &field.kind {
        FieldKind::Block { parts, .. } | FieldKind::Group { parts, .. } => parts.iter().filter_map(latest).max(),
        _ => latest(field),
    };
    fields.iter().filter_map(parts).any(|last| last > erased)
}

/// The notice, and where it says how long.
fn data_notice(table: &mut Reader<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<(DataNotice, Place)> {
    let Some(mut data) = table.table("donnees", diagnostics) else {
        diagnostics.push(
            Diagnostic::error(
                Code::NoDataNotice,
                table.table_place(),
                "ce formulaire ne dit pas ce qu'il fait des données (RGPD, art. 13)",
            )
            .hint("ajoutez [formulaire.donnees] avec finalite, base_legale et conservation"),
        );
        return None;
    };
    let purpose = data.required("finalite", diagnostics);
    let legal_basis = data.required("base_legale", diagnostics);
    let retention = delay(&mut data, "conservation", diagnostics);
    if retention.is_none() && !data.has("conservation") {
        diagnostics.push(data.missing("conservation"));
    }
    let recipients = data.text("destinataires", diagnostics).unwrap_or_else(|| "le secrétariat de la mairie".into());
    let place = data.place("conservation");
    data.finish(diagnostics);
    Some((DataNotice { purpose: purpose?, legal_basis: legal_basis?, retention: retention?, recipients }, place))
}
