//! Words of what follows a request: ready letters, sentences the law asks for, dates told to each side. Pure.

use jiff::civil::Date;

use super::{Case, Decision};
use crate::intake::compose::ready_start;
use crate::model::dossier::{ActKind, Action, Horizon, Life, Regime, Side, State};
use crate::model::form::Appeal;
use crate::model::receipt::{Effect, Issuer, Receipt, acceptation_words, cada_words, court, rejet_words};
use crate::text::dates::short_date;
use crate::text::numbers::plural;
use crate::text::typography::french;

/// What a ready letter leaves to be written.
pub const TO_WRITE: &str = "[Votre réponse]";

/// The letter an action begins with; the agent may change every word of it.
pub fn draft(action: Action, case: &Case, today: Date) -> String {
    let named = case.named();
    let capital = format!("V{}", &named[1..]);
    let (noun, _) = case.noun();
    let body = match action {
        Action::Prendre => {
            format!("Nous avons bien lu {named}.\n\nJe m'en occupe et je vous écris dès qu'une réponse est prête.")
        }
        Action::Accuser => return String::new(),
        Action::Completer => format!(
            "{capital}, est maintenant {}. Nous l'étudions et nous vous écrivons dès qu'une réponse est prête.",
            if case.is_feminine() { "complète" } else { "complet" }
        ),
        Action::Pieces => format!("Pour étudier {named}, il nous manque ce qui suit."),
        Action::Accepter => match case.life.accepted_by_silence(today) {
            Some(on) => format!(
                "{capital}, est considérée comme acceptée depuis le {}, sans réponse de la mairie. Cette lettre le confirme.",
                short_date(on)
            ),
            None => format!("{capital}, est acceptée."),
        },
        Action::Refuser => format!("Nous avons étudié {named}. Nous ne pouvons pas l'accepter."),
        Action::Transmettre => format!("{capital}, ne relève pas de la mairie."),
        Action::Clore => format!("Voici notre réponse à {noun} « {} » :\n\n{TO_WRITE}", case.kept.form_title),
    };
    french(&format!("Bonjour,\n\n{body}")).into_owned()
}

/// What is added after the agent's own words, whatever they are. `today` is the day it is sent.
pub fn legal_words(decision: &Decision, case: &Case, issuer: &Issuer, today: Date) -> Vec<String> {
    match &decision.kind {
        ActKind::Accuse { regime } => accuse_words(*regime, case, issuer),
        ActKind::Pieces { asked, until, accuse } => pieces_words(asked, *until, *accuse, case, today),
        ActKind::Complet { since } => complete_words(*since, case, today),
        // Art. L232-3.
        ActKind::Acceptation if case.life.accepted_by_silence(today).is_some() => vec![
            "Vous pouvez demander à la mairie une attestation de l'acceptation par son silence (code des relations entre le public et l'administration, art. L232-3).".into(),
        ],
        ActKind::Refus => refusal_words(&decision.reasons, case, issuer),
        ActKind::Transmission { body } => transmission_words(body, case, today),
        _ => Vec::new(),
    }
}

/// Art. R112-11-1: what the receipt given at once could not say.
pub fn accuse_words(regime: Regime, case: &Case, issuer: &Issuer) -> Vec<String> {
    let mut words = ready_start(case.receipt.envoi());
    let on = case.life.decided_on(regime);
    match regime {
        Regime::SansDecision => words.push("Votre envoi n'appelle pas de décision de la mairie.".into()),
        Regime::Acceptation(delay) => words.extend(acceptation_words(delay, on)),
        Regime::Rejet(delay) => words.extend(rejet_words(delay, on, &court(issuer.court.as_ref()))),
    }
    words
}

/// Art. L114-5: the delay runs, or runs again, from the day all has come.
fn complete_words(since: Date, case: &Case, today: Date) -> Vec<String> {
    let after = case.life.clone().once_complete(since);
    let mut words = vec![format!("Votre dossier est complet depuis le {}.", short_date(since))];
    let word = match after.horizon(today) {
        Horizon::On(Side::Acceptation, on) => Some(("acceptée", on)),
        Horizon::On(Side::Rejet, on) => Some(("rejetée", on)),
        _ => None,
    };
    words.extend(word.map(|(word, on)| {
        let (is, from) = if on <= today { ("est", "depuis le") } else { ("sera", "le") };
        format!(
            "Sans réponse de la mairie, votre demande {is} considérée comme {word} {from} {} (code des relations entre le public et l'administration, art. L114-5).",
            short_date(on)
        )
    }));
    words
}

fn pieces_words(asked: &[String], until: Date, accuse: bool, case: &Case, today: Date) -> Vec<String> {
    let mut words = vec![format!("Envoyez-nous, au plus tard le {} :", short_date(until))];
    words.extend(asked.iter().map(|piece| format!("– {piece}")));
    let already = matches!(case.life.horizon(today), Horizon::On(_, on) if on <= today);
    // Art. L114-5 and R112-11-4.
    let effect = match case.life.regime {
        _ if already => None,
        Some(Regime::SansDecision) => None,
        Some(Regime::Acceptation(_)) => Some(
            "Le délai au bout duquel votre demande est considérée comme acceptée ne court qu'à partir du jour où nous les aurons reçus (code des relations entre le public et l'administration, art. L114-5).",
        ),
        Some(Regime::Rejet(_)) => Some(
            "Le délai au bout duquel votre demande est considérée comme rejetée est suspendu pendant ce temps (code des relations entre le public et l'administration, art. L114-5).",
        ),
        None => Some(
            "Le délai au bout duquel le silence de la mairie vaut décision ne court, ou ne reprend, que lorsque nous les aurons reçus.",
        ),
    };
    words.extend(effect.map(str::to_owned));
    words.push("Vous pouvez les ajouter sur la page de suivi de votre demande, répondre au message de la mairie, ou les apporter à la mairie.".into());
    if accuse {
        // Art. R112-11-4: the receipt lists what is missing.
        words.push("Cette lettre est aussi l'accusé de réception électronique de votre envoi.".into());
        words.extend(ready_start(case.receipt.envoi()).into_iter().skip(1));
    }
    words
}

fn refusal_words(reasons: &str, case: &Case, issuer: &Issuer) -> Vec<String> {
    let mut words = vec!["Motifs de ce refus :".to_owned()];
    words.extend(paragraphs(reasons));
    let court = court(issuer.court.as_ref());
    words.push(match appeal(&case.receipt) {
        // Art. R311-15 and L342-1: the words of the receipt, counted from this letter.
        Appeal::Cada => cada_words(&court)
            .replacen("Si elle est rejetée, vous", "Vous", 1)
            .replacen("à compter du rejet", "à compter du jour où vous recevez cette lettre", 1),
        // The same words as the receipts: the code de justice administrative was not read at the source.
        _ => format!(
            "Vous pouvez demander au maire de revoir cette décision, ou saisir {court}. Le délai pour saisir le tribunal est en principe de deux mois à compter du jour où vous recevez cette lettre, sauf si un texte en prévoit un autre (code de justice administrative, art. R421-1 et R421-2)."
        ),
    });
    // The fiche says it too; the delay of the answer was not read at the source, and is not told.
    if case.kept.form_id == DATA_RIGHTS {
        words.push("Vous pouvez aussi adresser une réclamation à la CNIL (www.cnil.fr).".into());
    }
    words
}

/// The démarche by which a person uses the rights over data.
const DATA_RIGHTS: &str = "droits-rgpd";

/// Whom to turn to before the court, as the receipt said it.
fn appeal(receipt: &Receipt) -> Appeal {
    match receipt {
        Receipt::Reception(accuse) => match &accuse.effect {
            Effect::Rejet { appeal, .. } => *appeal,
            _ => Appeal::default(),
        },
        _ => Appeal::default(),
    }
}

fn transmission_words(body: &str, case: &Case, today: Date) -> Vec<String> {
    // Art. L114-2.
    let mut words = vec![format!(
        "La mairie l'a {} à l'organisme compétent le {} : {body} (code des relations entre le public et l'administration, art. L114-2). C'est lui qui vous répondra : adressez-vous à lui pour connaître la suite.",
        if case.is_feminine() { "transmise" } else { "transmis" },
        short_date(today)
    )];
    match case.life.horizon(today) {
        // How the delays run was not read again at the source: « en principe ».
        Horizon::On(Side::Rejet, on) if on > today => words.push(format!(
            "La date du {}, à laquelle votre demande sera considérée comme rejetée sans réponse, reste en principe la même.",
            short_date(on)
        )),
        Horizon::On(Side::Acceptation, on) if on > today => words.push(format!(
            "La date du {} donnée dans l'accusé de réception ne vaut plus : en principe, le délai court maintenant à partir du jour où cet organisme reçoit votre demande.",
            short_date(on)
        )),
        _ => {}
    }
    words
}

/// What time brings, told to the resident; `None` when there is nothing to say.
pub fn horizon_words(life: &Life, today: Date) -> Option<String> {
    let on = |word: &str, on: Date| {
        if on <= today {
            format!(
                "Sans réponse de la mairie, et si le dossier était complet, votre demande est considérée comme {word} depuis le {}.",
                short_date(on)
            )
        } else {
            format!(
                "Sans réponse de la mairie, et sous réserve que votre dossier soit complet, votre demande sera considérée comme {word} le {}.",
                short_date(on)
            )
        }
    };
    if life.state == State::Transmise {
        return None;
    }
    Some(match life.horizon(today) {
        Horizon::Nothing => return None,
        Horizon::Accuse(_) => "La mairie doit encore vous envoyer un accusé de réception : il dira ce que vaut son silence, et à quelle date.".into(),
        Horizon::Unsaid => "La mairie doit encore vous écrire ce que vaut son silence, et à quelle date.".into(),
        Horizon::Stopped(Side::Acceptation) => {
            "Le délai au bout duquel votre demande est considérée comme acceptée ne court pas tant que des documents manquent. Une date sera donnée ici quand ils seront arrivés.".into()
        }
        Horizon::Stopped(Side::Rejet) => {
            "Le délai au bout duquel votre demande est considérée comme rejetée est suspendu pendant le temps laissé pour envoyer les documents. Une date sera donnée ici ensuite.".into()
        }
        Horizon::IfComplete(side, day) => {
            let (word, else_) = match side {
                Side::Acceptation => ("acceptée", "le délai ne court pas encore"),
                Side::Rejet => ("rejetée", "cette date est repoussée"),
            };
            format!(
                "La mairie n'a pas encore dit si votre dossier est complet. S'il l'est, votre demande sera considérée comme {word} le {} sans réponse de sa part. S'il manque encore quelque chose, {else_} : elle vous l'écrira.",
                short_date(day)
            )
        }
        Horizon::On(Side::Acceptation, day) => on("acceptée", day),
        Horizon::On(Side::Rejet, day) => on("rejetée", day),
    })
}

/// The same, told to the mairie.
pub fn deadline_words(life: &Life, today: Date) -> Option<String> {
    if life.state.is_closed() {
        return None;
    }
    Some(match life.horizon(today) {
        Horizon::Nothing => return None,
        Horizon::Accuse(before) => format!("Accusé de réception à envoyer au plus tard le {}", short_date(before)),
        Horizon::Unsaid => {
            "L'accusé est parti sans dire ce que vaut votre silence : dites-le à l'usager, avec « Dire ce que vaut le silence »".into()
        }
        Horizon::Stopped(_) => "Délai arrêté : des documents sont attendus".into(),
        Horizon::IfComplete(side, on) => {
            let word = if side == Side::Acceptation { "acceptée" } else { "rejetée" };
            format!(
                "Dites si le dossier est complet. S'il l'est, réponse avant le {} : sinon, {word}. S'il ne l'est pas, redemandez ce qui manque",
                short_date(on)
            )
        }
        Horizon::On(Side::Acceptation, on) if on <= today => {
            format!("Acceptée par le silence de la mairie depuis le {}, si le dossier était complet", short_date(on))
        }
        Horizon::On(Side::Rejet, on) if on <= today => {
            format!("Rejetée par le silence de la mairie depuis le {}, si le dossier était complet", short_date(on))
        }
        Horizon::On(Side::Acceptation, on) => format!("Réponse avant le {} : sinon, acceptée", short_date(on)),
        Horizon::On(Side::Rejet, on) => format!("Réponse avant le {} : sinon, rejetée", short_date(on)),
    })
}

/// What an act is called, for the resident's page and for the mairie's.
pub fn act_title(kind: &ActKind) -> String {
    match kind {
        ActKind::PriseEnCharge => "Prise en charge par la mairie".into(),
        ActKind::Accuse { .. } => "Accusé de réception envoyé par la mairie".into(),
        ActKind::Pieces { until, .. } => {
            format!("Documents demandés, à envoyer au plus tard le {}", short_date(*until))
        }
        ActKind::Complement { files, .. } if files.is_empty() => "Informations ajoutées".into(),
        ActKind::Complement { files, .. } => plural(files.len() as u64, "document ajouté", "documents ajoutés"),
        ActKind::Complet { since } => format!("Dossier complet depuis le {}", short_date(*since)),
        ActKind::Acceptation => "Demande acceptée".into(),
        ActKind::Refus => "Demande refusée".into(),
        ActKind::Transmission { body } => format!("Transmise à l'organisme compétent : {body}"),
        ActKind::Cloture => "Réponse donnée par la mairie".into(),
        ActKind::Annulation => "Annulée par l'usager".into(),
    }
}

/// Paragraphs of a text typed by a person: its lines that are not blank.
pub fn paragraphs(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
