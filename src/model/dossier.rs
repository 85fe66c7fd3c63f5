//! The life of an accepted request: what was done with it, when, by whom, and what the law makes of it. Pure.
//!
//! Acts are only ever added; state and dates are what they add up to. Articles are of the code des relations entre le public
//! et l'administration (CRPA).

use jiff::civil::Date;
use jiff::{ToSpan, Unit, Zoned};
use serde::{Deserialize, Serialize};

use super::calendar::add_delay;
use super::form::Delay;
use super::receipt::{Effect, Receipt};
use super::submission::StoredFile;

/// The agent who acts for the mairie: the person written to must know first name, last name and title (art. L111-2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// « Claire ».
    #[serde(rename = "prenom")]
    pub first_name: String,
    /// « Denis ».
    #[serde(rename = "nom")]
    pub last_name: String,
    /// « secrétaire de mairie ».
    #[serde(rename = "qualite")]
    pub title: String,
}

impl Agent {
    /// « Claire Denis, secrétaire de mairie ».
    pub fn words(&self) -> String {
        format!("{} {}, {}", self.first_name, self.last_name, self.title)
    }
}

/// One event of a request's life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// When, in the commune's zone.
    #[serde(rename = "le")]
    pub at: Zoned,
    /// Who acted for the mairie; `None` when the resident did.
    pub agent: Option<Agent>,
    /// What was done.
    #[serde(rename = "acte")]
    pub kind: ActKind,
    /// What the resident was written, paragraph by paragraph; empty when the resident acted.
    #[serde(rename = "lettre")]
    pub letter: Vec<String>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ActKind {
    /// An agent deals with it.
    PriseEnCharge,
    /// The mairie's *accusé de réception* left, for a request whose regime the form did not know (art. R112-11-1).
    Accuse {
        /// What silence does.
        regime: Regime,
    },
    /// Something is missing (art. L114-5).
    Pieces {
        /// What, one line each.
        asked: Vec<String>,
        /// Day by which it is to be sent, included.
        until: Date,
        /// Whether this letter is the *accusé de réception* too (art. R112-11-4).
        accuse: bool,
    },
    /// The resident added what was missing.
    Complement {
        /// In the resident's words; may be empty.
        text: String,
        /// Files in their place.
        files: Vec<StoredFile>,
    },
    /// Nothing is missing any more: the mairie says so, and since which day (art. L114-5).
    Complet {
        /// Day the last of what was asked came.
        since: Date,
    },
    /// Accepted.
    Acceptation,
    /// Refused, with the reasons written in the letter.
    Refus,
    /// Sent on to the body in charge (art. L114-2).
    Transmission {
        /// Its name.
        body: String,
    },
    /// Answered without a decision.
    Cloture,
    /// The resident gave it up.
    Annulation,
}

impl ActKind {
    /// The word used in the store and in logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            ActKind::PriseEnCharge => "prise_en_charge",
            ActKind::Accuse { .. } => "accuse",
            ActKind::Pieces { .. } => "pieces",
            ActKind::Complement { .. } => "complement",
            ActKind::Complet { .. } => "complet",
            ActKind::Acceptation => "acceptation",
            ActKind::Refus => "refus",
            ActKind::Transmission { .. } => "transmission",
            ActKind::Cloture => "cloture",
            ActKind::Annulation => "annulation",
        }
    }
}

/// What the silence of the mairie does, once it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Nothing is to be decided.
    SansDecision,
    /// Acceptance after the delay (art. L231-1).
    Acceptation(Delay),
    /// Rejection after the delay (art. L231-4).
    Rejet(Delay),
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nobody has taken it up through the guichet.
    Recue,
    /// An agent deals with it.
    PriseEnCharge,
    /// Something is missing.
    PiecesDemandees,
    /// What was missing has come.
    Completee,
    /// Accepted.
    Acceptee,
    /// Refused.
    Refusee,
    /// Sent on to another body.
    Transmise,
    /// Answered without a decision.
    Classee,
    /// Given up by the resident.
    Annulee,
}

impl State {
    /// Whether nothing more is awaited from the mairie.
    pub fn is_closed(self) -> bool {
        self >= State::Acceptee
    }

    /// « Prise en charge », in words everyone reads.
    pub fn words(self) -> &'static str {
        match self {
            State::Recue => "Reçue",
            State::PriseEnCharge => "Prise en charge",
            State::PiecesDemandees => "Documents demandés",
            State::Completee => "Complétée",
            State::Acceptee => "Acceptée",
            State::Refusee => "Refusée",
            State::Transmise => "Transmise à un autre organisme",
            State::Classee => "Réponse donnée",
            State::Annulee => "Annulée",
        }
    }
}

/// What an agent of the mairie may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Say who deals with it.
    Prendre,
    /// Send the *accusé de réception*.
    Accuser,
    /// Say that nothing is missing any more.
    Completer,
    /// Ask for what is missing.
    Pieces,
    /// Accept.
    Accepter,
    /// Refuse.
    Refuser,
    /// Send it on.
    Transmettre,
    /// Close it with an answer.
    Clore,
}

impl Action {
    /// Every action, in the order they are offered.
    pub const ALL: [Action; 8] = [
        Action::Accuser,
        Action::Prendre,
        Action::Completer,
        Action::Pieces,
        Action::Accepter,
        Action::Refuser,
        Action::Transmettre,
        Action::Clore,
    ];

    /// The word in the page's address.
    pub fn slug(self) -> &'static str {
        match self {
            Action::Prendre => "prendre-en-charge",
            Action::Accuser => "accuse-de-reception",
            Action::Completer => "dossier-complet",
            Action::Pieces => "demander-des-pieces",
            Action::Accepter => "accepter",
            Action::Refuser => "refuser",
            Action::Transmettre => "transmettre",
            Action::Clore => "clore",
        }
    }

    /// The action of that address.
    pub fn of_slug(slug: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.slug() == slug)
    }
}

/// Which decision silence makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Deemed accepted.
    Acceptation,
    /// Deemed rejected.
    Rejet,
}

/// What time brings to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizon {
    /// Nothing: no decision is awaited, or it is given.
    Nothing,
    /// The mairie's *accusé de réception* is due by that day, included (art. R112-11-2).
    Accuse(Date),
    /// The *accusé de réception* has left with what was missing, and never said what silence does (art. R112-11-1, 3°).
    Unsaid,
    /// The delay does not run: what is missing is awaited (art. L114-5).
    Stopped(Side),
    /// Deemed decided on that day.
    On(Side, Date),
    /// Something came: if it is all that was asked, deemed decided on that day at the earliest. Only the mairie can say it, so
    /// that the delay is not said to run again (art. L114-5: from the reception of all that is required).
    IfComplete(Side, Date),
}

/// What is awaited from the resident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What, one line each.
    pub asked: Vec<String>,
    /// Day by which it is to be sent, included.
    pub until: Date,
}

/// What the acts of a request add up to.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    /// Where it stands.
    pub state: State,
    /// What silence does, when it is known.
    pub regime: Option<Regime>,
    /// What is awaited from the resident.
    pub missing: Option<Missing>,
    /// To whom it was sent on.
    pub sent_to: Option<String>,
    received: Date,
    accuse_before: Option<Date>,
    is_request: bool,
    completed: Option<Date>,
    suspended_days: i32,
    /// Since when something is awaited, and until when it may be sent.
    pause: Option<(Date, Date)>,
    /// Day something came last, which may not be all.
    came: Option<Date>,
    complements: usize,
}

impl Life {
    /// The life of a request received with this receipt, after these acts.
    pub fn of(receipt: &Receipt, acts: &[Act]) -> Life {
        let (regime, accuse_before) = match receipt {
            Receipt::Enregistrement(accuse) => (None, Some(accuse.reception_before)),
            Receipt::Message(_) => (Some(Regime::SansDecision), None),
            Receipt::Reception(accuse) => match accuse.effect {
                Effect::Acceptation { delay, .. } => (Some(Regime::Acceptation(delay)), None),
                Effect::Rejet { delay, .. } => (Some(Regime::Rejet(delay)), None),
                Effect::Declaration | Effect::Information | Effect::SansDecision => (Some(Regime::SansDecision), None),
            },
        };
        let start = Life {
            state: State::Recue,
            regime,
            missing: None,
            sent_to: None,
            received: receipt.envoi().received_at.date(),
            accuse_before,
            is_request: !matches!(receipt, Receipt::Message(_)),
            completed: None,
            suspended_days: 0,
            pause: None,
            came: None,
            complements: 0,
        };
        acts.iter().fold(start, Life::after)
    }

    fn after(self, act: &Act) -> Life {
        self.after_on(&act.kind, act.at.date())
    }

    /// The same once the file is complete, before the mairie has said so.
    pub fn once_complete(self, since: Date) -> Life {
        self.after_on(&ActKind::Complet { since }, since)
    }

    fn after_on(mut self, kind: &ActKind, day: Date) -> Life {
        match kind {
            ActKind::PriseEnCharge => {
                // What is awaited from the resident stays awaited.
                if self.state == State::Recue {
                    self.state = State::PriseEnCharge;
                }
            }
            ActKind::Accuse { regime } => {
                self.regime = Some(*regime);
                self.accuse_before = None;
                if self.state == State::Recue {
                    self.state = State::PriseEnCharge;
                }
            }
            ActKind::Pieces { asked, until, accuse } => {
                self.state = State::PiecesDemandees;
                self.missing = Some(Missing { asked: asked.clone(), until: *until });
                if *accuse {
                    self.accuse_before = None;
                }
                self.pause(day, *until);
            }
            ActKind::Complement { .. } => {
                self.state = State::Completee;
                self.missing = None;
                self.complements += 1;
                self.came = Some(day);
            }
            ActKind::Complet { since } => {
                self.state = State::PriseEnCharge;
                self.missing = None;
                self.resume(*since);
            }
            ActKind::Acceptation => self.state = State::Acceptee,
            ActKind::Refus => self.state = State::Refusee,
            ActKind::Transmission { body } => {
                self.state = State::Transmise;
                self.sent_to = Some(body.clone());
            }
            ActKind::Cloture => self.state = State::Classee,
            ActKind::Annulation => self.state = State::Annulee,
        }
        self
    }

    /// Art. L114-5: while something is missing the delay does not run. A decision that silence has already made stands.
    fn pause(&mut self, day: Date, until: Date) {
        self.came = None;
        // A time to complete that was over lets a rejection run again until more is asked.
        if let Some((asked, end)) = self.pause.filter(|(_, end)| *end < day) {
            self.suspended_days += days_between(asked, end);
            self.pause = None;
            if let Some((Side::Acceptation, _)) = self.silence_on() {
                // An incomplete file is never deemed accepted.
                self.pause = Some((day, until.max(day)));
            }
        }
        let is_acquired = self.pause.is_none() && self.silence_on().is_some_and(|(_, on)| on <= day);
        if !is_acquired {
            let asked = self.pause.map_or(day, |(asked, _)| asked);
            self.pause = Some((asked, until.max(day)));
        }
    }

    fn resume(&mut self, day: Date) {
        if let Some((asked, until)) = self.pause.take() {
            self.suspended_days += days_between(asked, day.min(until));
            self.completed = Some(day.max(asked));
        }
        self.came = None;
    }

    /// Days of the time given to complete that what came has used, were it all.
    fn provisional_days(&self) -> i32 {
        match (self.pause, self.came) {
            (Some((asked, until)), Some(came)) => days_between(asked, came.min(until)),
            _ => 0,
        }
    }

    /// The day silence decides, as if nothing were missing now.
    fn silence_on(&self) -> Option<(Side, Date)> {
        let side = match self.regime? {
            Regime::SansDecision => return None,
            Regime::Acceptation(_) => Side::Acceptation,
            Regime::Rejet(_) => Side::Rejet,
        };
        self.regime.map(|regime| (side, self.decided_on(regime)))
    }

    /// The day a request under this regime is decided by silence, with what was suspended so far, were what came last all that
    /// was missing; the day of reception when nothing is to be decided.
    ///
    /// Art. L114-5 and R112-11-4: acceptance runs from the day the file is complete, rejection is suspended while the
    /// resident has time to complete it. How days are counted is [`add_delay`]'s convention.
    pub fn decided_on(&self, regime: Regime) -> Date {
        match regime {
            Regime::SansDecision => self.received,
            Regime::Acceptation(delay) => {
                let came = self.pause.and(self.came);
                add_delay(came.or(self.completed).unwrap_or(self.received), delay)
            }
            Regime::Rejet(delay) => {
                let suspended = self.suspended_days + self.provisional_days();
                add_delay(self.received, delay).saturating_add(suspended.days())
            }
        }
    }

    /// What time brings, seen on a day.
    pub fn horizon(&self, today: Date) -> Horizon {
        if self.state.is_closed() && self.state != State::Transmise {
            return Horizon::Nothing;
        }
        let Some((side, on)) = self.silence_on() else {
            return match self.accuse_before {
                Some(before) if !self.state.is_closed() => Horizon::Accuse(before),
                // While documents are awaited the mairie has nothing to say yet.
                None if self.is_unsaid() && self.state != State::PiecesDemandees => Horizon::Unsaid,
                _ => Horizon::Nothing,
            };
        };
        match (side, self.pause) {
            // Art. L114-2: acceptance runs from reception by the body in charge, which we do not know.
            (Side::Acceptation, _) if self.state == State::Transmise => Horizon::Nothing,
            (_, Some(_)) if self.came.is_some() => Horizon::IfComplete(side, on),
            (Side::Acceptation, Some(_)) => Horizon::Stopped(side),
            (Side::Rejet, Some((_, until))) if today <= until => Horizon::Stopped(side),
            (Side::Rejet, Some((asked, until))) => {
                Horizon::On(side, on.saturating_add(days_between(asked, until).days()))
            }
            (_, None) => Horizon::On(side, on),
        }
    }

    /// Whether the mairie's *accusé de réception* is still to be sent.
    pub fn owes_accuse(&self) -> bool {
        self.accuse_before.is_some()
    }

    /// Whether the receipt has left without saying what silence does.
    fn is_unsaid(&self) -> bool {
        self.regime.is_none() && self.accuse_before.is_none() && !self.state.is_closed()
    }

    /// The day since which silence has accepted, were the file complete: the right is acquired.
    pub fn accepted_by_silence(&self, today: Date) -> Option<Date> {
        match self.horizon(today) {
            Horizon::On(Side::Acceptation, on) if on <= today && !self.state.is_closed() => Some(on),
            _ => None,
        }
    }

    /// What an agent may do that day, in the order it is offered.
    pub fn actions(&self, today: Date) -> Vec<Action> {
        Action::ALL.into_iter().filter(|action| self.allows(*action, today)).collect()
    }

    /// Whether an agent may do that, that day.
    pub fn allows(&self, action: Action, today: Date) -> bool {
        if self.state.is_closed() {
            return false;
        }
        let is_decided = self.regime != Some(Regime::SansDecision);
        match action {
            Action::Prendre => self.state == State::Recue,
            // A request for documents may have been the receipt; what silence does is still to be told.
            Action::Accuser => self.regime.is_none() && self.state != State::PiecesDemandees,
            Action::Completer => matches!(self.state, State::PiecesDemandees | State::Completee),
            Action::Pieces => self.is_request,
            Action::Accepter => is_decided,
            // What silence has accepted is not refused by an ordinary letter.
            Action::Refuser => is_decided && self.accepted_by_silence(today).is_none(),
            Action::Transmettre | Action::Clore => true,
        }
    }

    /// Whether the resident may add what is missing, in one go or several.
    pub fn takes_complement(&self) -> bool {
        matches!(self.state, State::PiecesDemandees | State::Completee) && self.complements < MOST_COMPLEMENTS
    }
}

/// Times a resident may add something to one request: the disk is everybody's.
const MOST_COMPLEMENTS: usize = 10;

fn days_between(from: Date, to: Date) -> i32 {
    let days = from.until((Unit::Day, to)).map_or(0, |span| span.get_days());
    days.max(0)
}

#[cfg(test)]
mod tests;
