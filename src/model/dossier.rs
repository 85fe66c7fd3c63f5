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
    pub const ALL: [Action; 7] = [
        Action::Accuser,
        Action::Prendre,
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
    /// The delay does not run: what is missing is awaited (art. L114-5).
    Stopped(Side),
    /// Deemed decided on that day.
    On(Side, Date),
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
    pause: Option<(Date, Date)>,
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
            complements: 0,
        };
        acts.iter().fold(start, Life::after)
    }

    fn after(mut self, act: &Act) -> Life {
        let day = act.at.date();
        match &act.kind {
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
                self.resume(day);
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
        let is_acquired = self.pause.is_none() && self.silence_on().is_some_and(|(_, on)| on <= day);
        if !is_acquired {
            let asked = self.pause.map_or(day, |(asked, _)| asked);
            self.pause = Some((asked, until.max(day)));
        }
    }

    fn resume(&mut self, day: Date) {
        if let Some((asked, until)) = self.pause.take() {
            self.suspended_days += days_between(asked, day.min(until));
            self.completed = Some(day);
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

    /// The day a request under this regime is decided by silence, with what was suspended so far; the day of reception when
    /// nothing is to be decided.
    ///
    /// Art. L114-5 and R112-11-4: acceptance runs from the day the file is complete, rejection is suspended while the
    /// resident has time to complete it. How days are counted is [`add_delay`]'s convention.
    pub fn decided_on(&self, regime: Regime) -> Date {
        match regime {
            Regime::SansDecision => self.received,
            Regime::Acceptation(delay) => add_delay(self.completed.unwrap_or(self.received), delay),
            Regime::Rejet(delay) => add_delay(self.received, delay).saturating_add(self.suspended_days.days()),
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
                _ => Horizon::Nothing,
            };
        };
        match (side, self.pause) {
            // Art. L114-2: acceptance runs from reception by the body in charge, which we do not know.
            (Side::Acceptation, _) if self.state == State::Transmise => Horizon::Nothing,
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

    /// What an agent may do now, in the order it is offered.
    pub fn actions(&self) -> Vec<Action> {
        Action::ALL.into_iter().filter(|action| self.allows(*action)).collect()
    }

    /// Whether an agent may do that now.
    pub fn allows(&self, action: Action) -> bool {
        if self.state.is_closed() {
            return false;
        }
        let is_decided = self.regime != Some(Regime::SansDecision);
        match action {
            Action::Prendre => self.state == State::Recue,
            // A request for documents may have been the receipt; what silence does is still to be told.
            Action::Accuser => self.regime.is_none() && self.state != State::PiecesDemandees,
            Action::Pieces => self.is_request,
            Action::Accepter | Action::Refuser => is_decided,
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
pub(crate) mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::model::form::{Identity, Nature, Silence};
    use crate::model::receipt::tests::{form, issuer, reference};

    const TWO_MONTHS: Delay = Delay::Months(2);

    /// The receipt of a request received that day at noon.
    fn receipt(silence: Silence, day: Date) -> Receipt {
        let at = day.at(12, 0, 0, 0).in_tz("Europe/Paris").expect("a known zone");
        Receipt::for_submission(&form(Nature::Demande, Identity::Person, silence), &issuer(), &reference(), &at)
    }

    /// An act of that day.
    pub(crate) fn act(day: Date, kind: ActKind) -> Act {
        let at = day.at(9, 0, 0, 0).in_tz("Europe/Paris").expect("a known zone");
        Act { at, agent: None, kind, letter: Vec::new() }
    }

    fn pieces(day: Date, until: Date) -> Act {
        act(day, ActKind::Pieces { asked: vec!["un plan".into()], until, accuse: false })
    }

    fn complement(day: Date) -> Act {
        act(day, ActKind::Complement { text: String::new(), files: Vec::new() })
    }

    fn horizon(silence: Silence, received: Date, acts: &[Act], today: Date) -> Horizon {
        Life::of(&receipt(silence, received), acts).horizon(today)
    }

    #[test]
    fn acceptance_runs_from_the_day_the_file_is_complete() {
        let silence = Silence::Acceptation(TWO_MONTHS);
        let (received, asked, until) = (date(2026, 11, 21), date(2026, 12, 1), date(2026, 12, 31));
        assert_eq!(
            horizon(silence, received, &[], received),
            Horizon::On(Side::Acceptation, date(2027, 1, 22)),
            "as the receipt says"
        );
        let acts = [pieces(asked, until)];
        for today in [asked, until, date(2027, 6, 1)] {
            assert_eq!(horizon(silence, received, &acts, today), Horizon::Stopped(Side::Acceptation));
        }
        // Complete on 30 December: two months from the 31st end with a short February.
        let acts = [pieces(asked, until), complement(date(2026, 12, 30))];
        assert_eq!(horizon(silence, received, &acts, until), Horizon::On(Side::Acceptation, date(2027, 2, 28)));
        // The same in a leap year.
        let acts = [pieces(date(2027, 12, 1), date(2027, 12, 31)), complement(date(2027, 12, 30))];
        assert_eq!(
            horizon(silence, date(2027, 11, 21), &acts, date(2028, 1, 1)),
            Horizon::On(Side::Acceptation, date(2028, 2, 29))
        );
    }

    #[test]
    fn rejection_is_suspended_while_there_is_time_to_complete() {
        let silence = Silence::Rejet(TWO_MONTHS);
        let (received, asked, until) = (date(2026, 11, 21), date(2026, 12, 1), date(2026, 12, 31));
        let acts = [pieces(asked, until)];
        assert_eq!(horizon(silence, received, &acts, until), Horizon::Stopped(Side::Rejet));
        assert_eq!(
            horizon(silence, received, &acts, date(2027, 1, 1)),
            Horizon::On(Side::Rejet, date(2027, 2, 21)),
            "thirty days later than 22 January"
        );
        let acts = [pieces(asked, until), complement(date(2026, 12, 11))];
        assert_eq!(horizon(silence, received, &acts, until), Horizon::On(Side::Rejet, date(2027, 2, 1)));
        let late = [pieces(asked, until), complement(date(2027, 1, 15))];
        assert_eq!(horizon(silence, received, &late, date(2027, 1, 15)), Horizon::On(Side::Rejet, date(2027, 2, 21)));
    }

    #[test]
    fn a_decision_that_silence_has_made_stands() {
        for (silence, side) in
            [(Silence::Acceptation(TWO_MONTHS), Side::Acceptation), (Silence::Rejet(TWO_MONTHS), Side::Rejet)]
        {
            let acts = [pieces(date(2027, 1, 22), date(2027, 2, 22)), complement(date(2027, 2, 1))];
            let seen = horizon(silence, date(2026, 11, 21), &acts, date(2027, 2, 2));
            assert_eq!(seen, Horizon::On(side, date(2027, 1, 22)));
        }
    }

    #[test]
    fn the_mairie_gives_the_regime_the_form_did_not_know() {
        let received = date(2026, 11, 21);
        let given = |regime| vec![act(date(2026, 11, 25), ActKind::Accuse { regime })];
        let seen = |acts: &[Act]| horizon(Silence::Inconnu, received, acts, date(2026, 11, 25));
        assert_eq!(seen(&[]), Horizon::Accuse(date(2026, 12, 4)));
        assert_eq!(seen(&given(Regime::SansDecision)), Horizon::Nothing);
        assert_eq!(
            seen(&given(Regime::Rejet(Delay::Months(4)))),
            Horizon::On(Side::Rejet, date(2027, 3, 22)),
            "from reception, not from the receipt"
        );
        let asked = act(
            date(2026, 11, 25),
            ActKind::Pieces { asked: vec!["un plan".into()], until: date(2026, 12, 25), accuse: true },
        );
        let life = Life::of(&receipt(Silence::Inconnu, received), std::slice::from_ref(&asked));
        assert!(!life.owes_accuse() && !life.allows(Action::Accuser));
        let life = Life::of(&receipt(Silence::Inconnu, received), &[asked, complement(date(2026, 12, 5))]);
        assert!(life.allows(Action::Accuser), "what silence does is still to be told");
        assert_eq!(life.decided_on(Regime::Rejet(TWO_MONTHS)), date(2027, 2, 1));
        assert_eq!(life.decided_on(Regime::Acceptation(TWO_MONTHS)), date(2027, 2, 6));
    }

    #[test]
    fn once_sent_on_only_a_rejection_keeps_its_date() {
        let sent = [act(date(2026, 12, 1), ActKind::Transmission { body: "la CC du Bocage".into() })];
        let (received, today) = (date(2026, 11, 21), date(2026, 12, 2));
        assert_eq!(
            horizon(Silence::Rejet(TWO_MONTHS), received, &sent, today),
            Horizon::On(Side::Rejet, date(2027, 1, 22))
        );
        assert_eq!(horizon(Silence::Acceptation(TWO_MONTHS), received, &sent, today), Horizon::Nothing);
        assert_eq!(horizon(Silence::Inconnu, received, &sent, today), Horizon::Nothing);
    }

    #[test]
    fn what_may_be_done_follows_the_state() {
        let actions = |silence, acts: &[Act]| Life::of(&receipt(silence, date(2026, 11, 21)), acts).actions();
        use Action::*;
        assert_eq!(actions(Silence::Inconnu, &[]), Action::ALL);
        assert_eq!(
            actions(Silence::Rejet(TWO_MONTHS), &[act(date(2026, 11, 22), ActKind::PriseEnCharge)]),
            [Pieces, Accepter, Refuser, Transmettre, Clore]
        );
        assert_eq!(actions(Silence::SansDecision, &[]), [Prendre, Pieces, Transmettre, Clore]);
        for kind in [
            ActKind::Acceptation,
            ActKind::Refus,
            ActKind::Transmission { body: "x".into() },
            ActKind::Cloture,
            ActKind::Annulation,
        ] {
            assert_eq!(actions(Silence::Inconnu, &[act(date(2026, 11, 22), kind)]), []);
        }
        for action in Action::ALL {
            assert_eq!(Action::of_slug(action.slug()), Some(action));
        }
    }

    #[test]
    fn a_request_is_completed_some_times_and_no_more() {
        let mut acts = vec![pieces(date(2026, 12, 1), date(2026, 12, 31))];
        let takes = |acts: &[Act]| Life::of(&receipt(Silence::Inconnu, date(2026, 11, 21)), acts).takes_complement();
        assert!(!takes(&[]), "nothing is asked");
        for _ in 0..MOST_COMPLEMENTS {
            assert!(takes(&acts));
            acts.push(complement(date(2026, 12, 2)));
        }
        assert!(!takes(&acts));
    }

    #[test]
    fn an_act_reads_back_from_the_store() {
        for kind in [
            ActKind::PriseEnCharge,
            ActKind::Accuse { regime: Regime::Rejet(TWO_MONTHS) },
            ActKind::Accuse { regime: Regime::SansDecision },
            ActKind::Pieces { asked: vec!["un plan".into()], until: date(2026, 12, 25), accuse: true },
            ActKind::Transmission { body: "la CC".into() },
        ] {
            let agent = Agent { first_name: "Claire".into(), last_name: "Denis".into(), title: "secrétaire".into() };
            let act = Act { agent: Some(agent), ..act(date(2026, 12, 1), kind) };
            let stored = serde_json::to_string(&act).expect("an act is JSON");
            assert_eq!(serde_json::from_str::<Act>(&stored).expect("and back"), act);
        }
    }

    fn any_date() -> impl Strategy<Value = Date> {
        (1990i16..2100, 1i8..=12, 1i8..=31).prop_map(|(year, month, day)| {
            let first = date(year, month, 1);
            date(year, month, day.min(first.days_in_month()))
        })
    }

    fn any_delay() -> impl Strategy<Value = Delay> {
        prop_oneof![(1u16..200).prop_map(Delay::Days), (1u16..13).prop_map(Delay::Months)]
    }

    proptest! {
        /// Whatever the month ends and leap years: completing a file never brings the decision forward.
        #[test]
        fn asking_for_documents_never_brings_a_decision_forward(
            received in any_date(), delay in any_delay(), asked in 0i32..400, given in 0i32..60, answered in 0i32..90,
        ) {
            let ask = received.saturating_add(asked.days());
            let (until, come) = (ask.saturating_add(given.days()), ask.saturating_add(answered.days()));
            for silence in [Silence::Acceptation(delay), Silence::Rejet(delay)] {
                let Horizon::On(side, before) = horizon(silence, received, &[], received) else { panic!("a date") };
                let acts = [pieces(ask, until), complement(come)];
                let Horizon::On(_, after) = horizon(silence, received, &acts, come) else { panic!("a date") };
                if before <= ask {
                    prop_assert_eq!(before, after, "silence had decided");
                } else if side == Side::Rejet {
                    prop_assert_eq!(days_between(before, after), answered.min(given));
                } else {
                    prop_assert_eq!(after, add_delay(come, delay));
                    prop_assert!(after >= before);
                }
            }
        }

        /// The date of a rejection moves by the days suspended, however many times something is asked.
        #[test]
        fn suspensions_add_up(received in any_date(), first in 0i32..20, second in 0i32..20) {
            let silence = Silence::Rejet(TWO_MONTHS);
            let day = |days: i32| received.saturating_add(days.days());
            let acts = [
                pieces(day(1), day(1 + 20)), complement(day(1 + first)),
                pieces(day(25), day(25 + 20)), complement(day(25 + second)),
            ];
            let Horizon::On(_, on) = horizon(silence, received, &acts, day(60)) else { panic!("a date") };
            prop_assert_eq!(on, add_delay(received, TWO_MONTHS).saturating_add((first + second).days()));
        }

        /// Once closed, whatever comes, nothing is awaited but a rejection by another body.
        #[test]
        fn nothing_is_awaited_of_a_closed_request(received in any_date(), today in any_date(), delay in any_delay()) {
            for kind in [ActKind::Acceptation, ActKind::Refus, ActKind::Cloture, ActKind::Annulation] {
                for silence in [Silence::Acceptation(delay), Silence::Rejet(delay), Silence::Inconnu] {
                    let seen = horizon(silence, received, &[act(received, kind.clone())], today);
                    prop_assert_eq!(seen, Horizon::Nothing);
                }
            }
        }
    }
}
