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
fn act(day: Date, kind: ActKind) -> Act {
    let at = day.at(9, 0, 0, 0).in_tz("Europe/Paris").expect("a known zone");
    Act { at, agent: None, kind, letter: Vec::new() }
}

fn pieces(day: Date, until: Date) -> Act {
    act(day, ActKind::Pieces { asked: vec!["un plan".into()], until, accuse: false })
}

fn complement(day: Date) -> Act {
    act(day, ActKind::Complement { text: String::new(), files: Vec::new() })
}

fn complete(day: Date) -> Act {
    act(day, ActKind::Complet { since: day })
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
    let acts = [pieces(asked, until), complement(date(2026, 12, 30)), complete(date(2026, 12, 30))];
    assert_eq!(horizon(silence, received, &acts, until), Horizon::On(Side::Acceptation, date(2027, 2, 28)));
    // The same in a leap year.
    let acts = [pieces(date(2027, 12, 1), date(2027, 12, 31)), complement(date(2027, 12, 30))];
    assert_eq!(
        horizon(silence, date(2027, 11, 21), &acts, date(2028, 1, 1)),
        Horizon::IfComplete(Side::Acceptation, date(2028, 2, 29))
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
    assert_eq!(horizon(silence, received, &acts, until), Horizon::IfComplete(Side::Rejet, date(2027, 2, 1)));
    let acts = [pieces(asked, until), complement(date(2026, 12, 11)), complete(date(2026, 12, 11))];
    assert_eq!(horizon(silence, received, &acts, until), Horizon::On(Side::Rejet, date(2027, 2, 1)));
    let late = [pieces(asked, until), complement(date(2027, 1, 15)), complete(date(2027, 1, 15))];
    assert_eq!(horizon(silence, received, &late, date(2027, 1, 15)), Horizon::On(Side::Rejet, date(2027, 2, 21)));
}

#[test]
fn the_first_of_several_documents_does_not_set_the_delay_going_without_the_mairie() {
    let (received, asked, until) = (date(2026, 11, 21), date(2026, 12, 1), date(2026, 12, 31));
    let (first, last) = (date(2026, 12, 5), date(2026, 12, 20));
    let acceptation = Silence::Acceptation(TWO_MONTHS);
    let acts = [pieces(asked, until), complement(first)];
    let seen = |silence, acts: &[Act]| horizon(silence, received, acts, date(2026, 12, 21));
    assert_eq!(seen(acceptation, &acts), Horizon::IfComplete(Side::Acceptation, date(2027, 2, 6)));
    // What comes last counts, were it all.
    let acts = [pieces(asked, until), complement(first), complement(last)];
    assert_eq!(seen(acceptation, &acts), Horizon::IfComplete(Side::Acceptation, date(2027, 2, 21)));
    assert_eq!(seen(Silence::Rejet(TWO_MONTHS), &acts), Horizon::IfComplete(Side::Rejet, date(2027, 2, 10)));
    // The mairie asks for the rest: the delay stays stopped since the first day.
    let acts = [pieces(asked, until), complement(first), pieces(date(2026, 12, 10), until)];
    assert_eq!(seen(acceptation, &acts), Horizon::Stopped(Side::Acceptation));
    assert_eq!(seen(Silence::Rejet(TWO_MONTHS), &acts), Horizon::Stopped(Side::Rejet));
    // The mairie says that all has come, on the day it came.
    let acts = [
        pieces(asked, until),
        complement(first),
        complement(last),
        act(date(2026, 12, 21), ActKind::Complet { since: last }),
    ];
    assert_eq!(seen(acceptation, &acts), Horizon::On(Side::Acceptation, date(2027, 2, 21)));
    assert_eq!(seen(Silence::Rejet(TWO_MONTHS), &acts), Horizon::On(Side::Rejet, date(2027, 2, 10)));
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
    assert!(!life.owes_accuse() && !life.allows(Action::Accuser, date(2026, 11, 25)));
    let life = Life::of(&receipt(Silence::Inconnu, received), &[asked, complement(date(2026, 12, 5))]);
    assert!(life.allows(Action::Accuser, date(2026, 12, 5)), "what silence does is still to be told");
    assert_eq!(life.decided_on(Regime::Rejet(TWO_MONTHS)), date(2027, 2, 1));
    assert_eq!(life.decided_on(Regime::Acceptation(TWO_MONTHS)), date(2027, 2, 6));
}

#[test]
fn what_silence_does_is_awaited_until_it_is_said() {
    let (received, day) = (date(2026, 11, 21), date(2026, 12, 6));
    let until = date(2026, 12, 25);
    let asked = act(date(2026, 11, 25), ActKind::Pieces { asked: vec!["un plan".into()], until, accuse: true });
    let seen = |acts: &[Act]| horizon(Silence::Inconnu, received, acts, day);
    assert_eq!(seen(std::slice::from_ref(&asked)), Horizon::Nothing, "the resident's turn");
    let came = complement(date(2026, 12, 5));
    assert_eq!(seen(&[asked.clone(), came.clone()]), Horizon::Unsaid);
    assert_eq!(seen(&[asked.clone(), came.clone(), complete(date(2026, 12, 5))]), Horizon::Unsaid);
    let said = act(day, ActKind::Accuse { regime: Regime::Acceptation(TWO_MONTHS) });
    let acts = [asked, came, complete(date(2026, 12, 5)), said];
    assert_eq!(seen(&acts), Horizon::On(Side::Acceptation, date(2027, 2, 6)));
}

#[test]
fn what_silence_has_accepted_is_refused_no_more_and_what_it_has_rejected_is_still_accepted() {
    let life = |silence| Life::of(&receipt(silence, date(2026, 11, 21)), &[]);
    let (before, on) = (date(2027, 1, 21), date(2027, 1, 22));
    let accepted = life(Silence::Acceptation(TWO_MONTHS));
    assert!(accepted.allows(Action::Refuser, before) && accepted.accepted_by_silence(before).is_none());
    assert!(!accepted.allows(Action::Refuser, on) && accepted.allows(Action::Accepter, on));
    assert_eq!(accepted.accepted_by_silence(on), Some(on));
    let rejected = life(Silence::Rejet(TWO_MONTHS));
    assert!(rejected.allows(Action::Accepter, on) && rejected.allows(Action::Refuser, on));
    assert_eq!(rejected.accepted_by_silence(on), None);
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
    let day = date(2026, 12, 2);
    let actions = |silence, acts: &[Act]| Life::of(&receipt(silence, date(2026, 11, 21)), acts).actions(day);
    use Action::*;
    assert_eq!(actions(Silence::Inconnu, &[]), [Accuser, Prendre, Pieces, Accepter, Refuser, Transmettre, Clore]);
    let asked = [pieces(date(2026, 12, 1), date(2026, 12, 31)), complement(date(2026, 12, 2))];
    assert_eq!(actions(Silence::Rejet(TWO_MONTHS), &asked), [Completer, Pieces, Accepter, Refuser, Transmettre, Clore]);
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
        ActKind::Complet { since: date(2026, 12, 20) },
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
            let acts = [pieces(ask, until), complement(come), complete(come)];
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
            pieces(day(1), day(1 + 20)), complete(day(1 + first)),
            pieces(day(25), day(25 + 20)), complete(day(25 + second)),
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
