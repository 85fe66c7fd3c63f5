//! The code that shows that who acts is of the mairie: a request's link may have been quoted in a reply to the resident.
//!
//! No account: one secret of the mairie, in a file that only the guichet reads. Wrong codes are counted in memory, by request,
//! and by link of the counter.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::form::{Field, FieldKind, Form};

pub(super) use crate::model::form::own::AGENT_CODE;
/// Characters of a code, at least: with five tries an hour it is out of reach.
pub(super) const SHORTEST: usize = 8;

/// The code of the mairie, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentCode(String);

impl AgentCode {
    /// A code, spaces around it aside; `None` when it is too short to be one.
    pub fn new(text: &str) -> Option<AgentCode> {
        let code = text.trim();
        (code.chars().count() >= SHORTEST).then(|| AgentCode(code.to_owned()))
    }
}

impl AgentCode {
    /// Tells two codes apart without telling them.
    pub(super) fn hash_into(&self, hasher: &mut blake3::Hasher) {
        hasher.update(self.0.as_bytes());
    }
}

impl fmt::Debug for AgentCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AgentCode(…)")
    }
}

/// What a typed code is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typed {
    /// It is the one, or none is asked for.
    Right,
    /// It is not.
    Wrong,
    /// Too many were not: nothing is looked at for so long.
    Stopped(Duration),
}

/// Judges codes; without one, whoever holds the link may act.
#[derive(Debug, Default)]
pub(super) struct Agents {
    code: Option<AgentCode>,
    /// Wrong codes of the last hour, by what they were typed for: a request, a link of the counter.
    wrong: Mutex<BTreeMap<String, Vec<Instant>>>,
}

impl Agents {
    pub(super) fn new(code: Option<AgentCode>) -> Self {
        Agents { code, wrong: Mutex::default() }
    }

    /// Whether a code is asked for.
    pub(super) fn asks(&self) -> bool {
        self.code.is_some()
    }

    pub(super) fn judge(&self, about: &str, typed: &str, now: Instant) -> Typed {
        let Some(AgentCode(code)) = &self.code else { return Typed::Right };
        let mut all = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, wrong| {
            wrong.retain(|at| now.saturating_duration_since(*at) < PERIOD);
            !wrong.is_empty()
        });
        if let Some(wrong) = all.get(about).filter(|wrong| wrong.len() >= MOST_WRONG) {
            return Typed::Stopped(PERIOD.saturating_sub(now.saturating_duration_since(wrong[0])));
        }
        // Hashes compare in constant time, and say nothing of how much was right.
        if blake3::hash(typed.trim().as_bytes()) == blake3::hash(code.as_bytes()) {
            return Typed::Right;
        }
        // Nothing typed is a slip, not a guess.
        if !typed.trim().is_empty() {
            all.entry(about.to_owned()).or_default().push(now);
        }
        Typed::Wrong
    }

    /// The questions of a letter, with that of the code when one is asked for. It is no answer: it is read apart and never kept.
    pub(super) fn asked(&self, mut form: Form) -> Form {
        let last = form.fields.last().filter(|_| self.asks()).cloned();
        form.fields.extend(last.map(|last| Field {
            id: AGENT_CODE.into(),
            kind: FieldKind::Text { max: 200 },
            question: "Code de la mairie".into(),
            help: Some("Il montre que vous êtes de la mairie. Le secrétariat le connaît.".into()),
            autocomplete: Some("current-password".into()),
            required: true,
            ..last
        }));
        form
    }
}

/// Wrong codes in an hour.
const MOST_WRONG: usize = 5;
const PERIOD: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_long_and_never_printed() {
        assert_eq!(AgentCode::new(" court "), None);
        let code = AgentCode::new("  champ de lin\n").unwrap();
        assert_eq!(format!("{code:?}"), "AgentCode(…)");
        assert_eq!(code, AgentCode::new("champ de lin").unwrap());
    }

    #[test]
    fn five_wrong_codes_stop_one_request_for_an_hour() {
        let agents = Agents::new(AgentCode::new("champ de lin"));
        let (one, other, now) = ("2026-K7M2-QX4D-3", "comptoir abc", Instant::now());
        assert_eq!(agents.judge(one, "", now), Typed::Wrong);
        for _ in 0..MOST_WRONG {
            assert_eq!(agents.judge(one, "champ de blé", now), Typed::Wrong);
        }
        assert_eq!(agents.judge(one, "champ de lin", now + PERIOD / 2), Typed::Stopped(PERIOD / 2));
        assert_eq!(agents.judge(other, " champ de lin ", now), Typed::Right, "the others go on");
        assert_eq!(agents.judge(one, "champ de lin", now + PERIOD), Typed::Right);
    }

    #[test]
    fn without_a_code_the_link_is_enough() {
        assert_eq!(Agents::default().judge("2026-K7M2-QX4D-3", "", Instant::now()), Typed::Right);
    }
}
