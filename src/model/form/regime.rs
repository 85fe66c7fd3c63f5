//! Regimes: what the silence of the mairie is worth for the usual kinds of requests, in one word of the fiche.

use serde::{Deserialize, Serialize};

use super::{Delay, Silence};

/// Before whom a rejection is contested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Appeal {
    /// The administrative court.
    #[default]
    Court,
    /// The Commission d'accès aux documents administratifs first (CRPA, art. R311-15 and L342-1), then the court.
    Cada,
}

/// How sure the regime is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The article was read.
    Read,
    /// The text is only known through commentaries: the mairie is asked to have it confirmed.
    ToConfirm,
}

/// A regime of silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regime {
    /// The word of the fiche.
    pub word: &'static str,
    /// What silence means.
    pub silence: Silence,
    /// Before whom a rejection is contested.
    pub appeal: Appeal,
    /// The text, when the fiche says none.
    pub basis: Option<&'static str>,
    /// How sure it is.
    pub source: Source,
}

const fn read(word: &'static str, silence: Silence, basis: Option<&'static str>) -> Regime {
    Regime { word, silence, appeal: Appeal::Court, basis, source: Source::Read }
}

const fn told(word: &'static str, silence: Silence, basis: &'static str) -> Regime {
    Regime { word, silence, appeal: Appeal::Court, basis: Some(basis), source: Source::ToConfirm }
}

const TWO_MONTHS: Delay = Delay::Months(2);

impl Regime {
    /// All of them, in the order of the documentation.
    ///
    /// Sources: CRPA, art. L231-1, L231-4, R*311-12, R311-13, R112-11-1 (read); décrets 2015-1459 and 2016-625, CGCT
    /// art. L2144-3, CGPPP art. L2122-1 (through commentaries: to confirm).
    pub const ALL: [Regime; 13] = [
        read("acceptation", Silence::Acceptation(TWO_MONTHS), Some("CRPA, art. L231-1")),
        read("rejet", Silence::Rejet(TWO_MONTHS), Some("CRPA, art. L231-4")),
        read("financier", Silence::Rejet(TWO_MONTHS), Some("CRPA, art. L231-4")),
        told("domaine_public", Silence::Rejet(TWO_MONTHS), "CGPPP, art. L2122-1 ; décret n° 2015-1459"),
        told("locaux", Silence::Rejet(TWO_MONTHS), "CGCT, art. L2144-3 ; décret n° 2015-1459"),
        told("capacite", Silence::Rejet(Delay::Months(4)), "décret n° 2016-625"),
        told("travaux", Silence::Rejet(TWO_MONTHS), "décret n° 2016-625"),
        told("materiel", Silence::Rejet(TWO_MONTHS), "décret n° 2016-625"),
        told("encart", Silence::Rejet(TWO_MONTHS), "décret n° 2016-625"),
        told("inscription", Silence::Acceptation(TWO_MONTHS), "CRPA, art. L231-1"),
        Regime {
            word: "document",
            silence: Silence::Rejet(Delay::Months(1)),
            appeal: Appeal::Cada,
            basis: Some("CRPA, art. R*311-12 et R311-13"),
            source: Source::Read,
        },
        read("sans_decision", Silence::SansDecision, None),
        read("inconnu", Silence::Inconnu, Some("CRPA, art. L112-8")),
    ];

    /// The regime of that word.
    pub fn named(word: &str) -> Option<Regime> {
        Regime::ALL.into_iter().find(|regime| regime.word == word)
    }
}
