//! What is kept back of a request that is accepted all the same: its mails when it looks written by a machine, its receipt
//! when the address has had enough of them today. Nothing here refuses anything.

use std::time::Instant;

use jiff::Timestamp;

use super::rate::Rates;
use crate::intake::suspicion::{self, Signs};
use crate::model::form::Form;
use crate::model::intake::{Hold, Quarantined};
use crate::model::receipt::Issuer;
use crate::model::submission::ValidAnswers;
use crate::text::dates::{short_date, time};

/// A request about to be accepted, as the guard sees it.
pub(super) struct Watched<'a> {
    rates: &'a Rates,
    gist: Option<String>,
    /// Address of a resident that gets a receipt; not one of the mairie's own, which an agent types at the counter.
    email: Option<String>,
}

impl<'a> Watched<'a> {
    pub(super) fn new(rates: &'a Rates, form: &Form, issuer: &Issuer, valid: &ValidAnswers) -> Self {
        Watched { rates, gist: suspicion::gist(valid), email: residents_email(form, issuer, valid).map(str::to_owned) }
    }

    /// What is kept back, and counts the receipt that leaves.
    pub(super) fn hold(&self, valid: &ValidAnswers, signs: Signs, now: Timestamp) -> Hold {
        let same_before = self.gist.as_deref().map_or(0, |gist| self.rates.said(gist));
        let judged = suspicion::judge(valid, Signs { same_before, ..signs });
        let until = now.checked_add(self.rates.quarantine()).unwrap_or(now);
        let has_enough = self.email.as_deref().is_some_and(|email| !self.rates.take_receipt(email, Instant::now()));
        Hold { quarantine: suspicion::is_suspect(&judged).then_some((judged, until)), receipt_on_page_only: has_enough }
    }

    /// The request was recorded for the first time, or not: what was counted is kept or given back.
    pub(super) fn settle(&self, hold: &Hold, is_new: bool) {
        match (is_new, &self.gist, &self.email) {
            (true, Some(gist), _) => self.rates.say(gist),
            (false, _, Some(email)) if !hold.receipt_on_page_only => self.rates.give_receipt_back(email),
            _ => {}
        }
    }
}

/// The resident's address, when it is not one of the mairie's own.
pub(super) fn residents_email<'v>(form: &Form, issuer: &Issuer, valid: &'v ValidAnswers) -> Option<&'v str> {
    let is_own = |email: &&str| {
        let own = form.mailboxes().chain([&issuer.email, &form.service.email]);
        own.into_iter().any(|own| own.eq_ignore_ascii_case(email))
    };
    valid.sender.email.as_deref().filter(|email| !is_own(email))
}

/// What the resident is told of a request that waits: the law lets it wait, not disappear (CRPA, art. L112-11).
pub(super) fn waiting_words(held: &Quarantined, zone: &jiff::tz::TimeZone, telephone: &str) -> String {
    let until = held.until.to_zoned(zone.clone());
    format!(
        "Votre envoi est gardé, mais des signes (liens, répétitions, rapidité) le font ressembler à de la publicité : la mairie est prévenue et peut le vérifier. Sans geste de sa part, il lui parvient de lui-même le {} à {}. Si c'est pressé, appelez le {telephone}.",
        short_date(until.date()),
        time(until.time())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resident_is_told_until_when_the_request_waits_and_whom_to_call() {
        let held = Quarantined {
            reference: crate::model::reference::Reference::new(2026, [1; 5]),
            form_id: "contact".into(),
            form_title: "Contact".into(),
            since: "2026-11-26T09:00:00Z".parse().unwrap(),
            until: "2026-11-28T09:00:00Z".parse().unwrap(),
            points: 3,
            reasons: vec!["liens".into()],
            told_at: None,
        };
        let words = waiting_words(&held, &jiff::tz::TimeZone::get("Europe/Paris").unwrap(), "04 74 00 00 00");
        assert!(
            words.contains("28 novembre 2026") && words.contains("10") && words.contains("04 74 00 00 00"),
            "{words}"
        );
    }
}
