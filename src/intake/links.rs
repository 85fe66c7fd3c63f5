//! Addresses that mails and pages carry: the resident's follow-up page, the mairie's page of actions.

use jiff::{SignedDuration, Timestamp};

use super::token::Keys;
use crate::model::reference::Reference;

/// Makes addresses of one guichet.
#[derive(Debug, Clone)]
pub struct Links {
    keys: Keys,
    base: String,
}

/// The addresses of one request, for its mails; `None` when the guichet's own address is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLinks {
    /// The resident's page.
    pub follow: Option<String>,
    /// The mairie's page.
    pub act: Option<String>,
}

impl Links {
    /// Links of the guichet that answers at `base`, scheme and host; empty when it is not known.
    pub fn new(keys: Keys, base: &str) -> Links {
        Links { keys, base: base.trim_end_matches('/').to_owned() }
    }

    /// The addresses of a request in a mail written now.
    pub fn of(&self, reference: &Reference, now: Timestamp) -> RequestLinks {
        if self.base.is_empty() {
            return RequestLinks::default();
        }
        let until = now.checked_add(ACT_LIFE).unwrap_or(Timestamp::MAX);
        RequestLinks {
            follow: Some(format!("{}{}", self.base, self.follow_path(reference))),
            act: Some(format!("{}/guichet/agir/{}", self.base, self.keys.act_token(reference, until))),
        }
    }

    /// The page by which an agent fills forms for residents, and the last moment it opens; `None` when the guichet's own address
    /// is not known.
    pub fn counter(&self, now: Timestamp) -> Option<(String, Timestamp)> {
        let until = now.checked_add(COUNTER_LIFE).unwrap_or(Timestamp::MAX);
        let link = || format!("{}/guichet/comptoir/{}/", self.base, self.keys.counter_token(until));
        (!self.base.is_empty()).then(|| (link(), until))
    }

    /// The follow-up page, from the root of the guichet.
    pub fn follow_path(&self, reference: &Reference) -> String {
        format!("/guichet/suivi/{reference}/{}", self.keys.follow_secret(reference))
    }
}

/// How long a link of the counter opens: an agent keeps it in the browser; each digest brings a new one.
const COUNTER_LIFE: SignedDuration = SignedDuration::from_hours(24 * 31);
/// How long a mail lets the mairie act: longer than any delay of ours; each later mail about the request brings a new link.
const ACT_LIFE: SignedDuration = SignedDuration::from_hours(24 * 183);
