//! What a guichet owes without any visitor, and when next: whoever wants to close it asks here whether it may.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// A duty that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Duty {
    /// Mails of the outbox.
    Mail,
    /// The morning's digest.
    Digest,
    /// What is due is erased, drafts are swept.
    Housework,
    /// Mailboxes of the mairie get their code.
    Mailboxes,
    /// The mairie is told of what waits in quarantine.
    Quarantine,
    /// Reports of what could not be delivered.
    Bounces,
}

/// The duties of one guichet.
#[derive(Debug, Default)]
pub(super) struct Duties(Mutex<BTreeMap<Duty, State>>);

#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// Counts what happened that the last round may not have seen.
    news: u64,
    /// Whether the last round saw all of it, and when the next one is due; `None`: nothing foreseen.
    done: Option<Option<Timestamp>>,
}

/// A round of a duty under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    duty: Duty,
    news: u64,
}

impl Duties {
    /// A round begins: until it is done the duty is under way.
    pub(super) fn begin(&self, duty: Duty) -> Round {
        let mut all = self.lock();
        let state = all.entry(duty).or_default();
        state.done = None;
        Round { duty, news: state.news }
    }

    /// A round is done; the next is due at `next`. What happened meanwhile keeps the duty under way.
    pub(super) fn done(&self, round: Round, next: Option<Timestamp>) {
        let mut all = self.lock();
        let state = all.entry(round.duty).or_default();
        if state.news == round.news {
            state.done = Some(next);
        }
    }

    /// Something happened that a round must see.
    pub(super) fn news(&self, duty: Duty) {
        let mut all = self.lock();
        let state = all.entry(duty).or_default();
        state.news += 1;
        state.done = None;
    }

    /// When the first of these duties is due: now when one is under way, `None` when nothing is foreseen.
    pub(super) fn next(&self, of: &[Duty], now: Timestamp) -> Option<Timestamp> {
        let all = self.lock();
        let next = |duty: &Duty| match all.get(duty).and_then(|state| state.done) {
            Some(next) => next,
            None => Some(now),
        };
        of.iter().filter_map(next).min()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Duty, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duty_is_done_only_when_a_round_has_seen_all_that_happened() {
        let (duties, now) = (Duties::default(), Timestamp::UNIX_EPOCH);
        let later = now + jiff::SignedDuration::from_hours(1);
        let of = [Duty::Mail, Duty::Digest];
        assert_eq!(duties.next(&of, now), Some(now), "nobody has looked yet");
        for (duty, next) in [(Duty::Mail, None), (Duty::Digest, Some(later))] {
            duties.done(duties.begin(duty), next);
        }
        assert_eq!(duties.next(&of, now), Some(later));
        assert_eq!(duties.next(&[Duty::Mail], now), None);
        let round = duties.begin(Duty::Mail);
        assert_eq!(duties.next(&of, now), Some(now), "under way");
        duties.news(Duty::Mail);
        duties.done(round, None);
        assert_eq!(duties.next(&of, now), Some(now), "something came after it began");
        duties.done(duties.begin(Duty::Mail), None);
        assert_eq!(duties.next(&of, now), Some(later));
    }
}
