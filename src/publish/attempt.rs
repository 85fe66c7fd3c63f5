//! How the last order to publish a site ended, kept beside its register: who looks after a hundred sites was not there to read it.
//!
//! Decides nothing. A note that is lost only leaves a failure untold.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{PublishError, Result};
use crate::fs;

/// The last order to publish a site, or to go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it was given.
    pub le: Timestamp,
    /// Why nothing was published, a French sentence; `None`: it was done, or there was nothing to do.
    pub cause: Option<String>,
}

/// Name of the file.
const FILE: &str = "dernier-essai.json";

/// The last order of the site whose state is kept in a folder, when it is known.
pub fn last_attempt(state: &Path) -> Option<Attempt> {
    serde_json::from_slice(&std::fs::read(state.join(FILE)).ok()?).ok()
}

/// When the last order was given, if that is later than now: the clock of this machine is behind, or was ahead then.
pub fn dated_ahead(state: &Path, now: Timestamp) -> Option<Timestamp> {
    last_attempt(state).map(|last| last.le).filter(|at| is_ahead(*at, now))
}

/// Whether a date that was written down is later than now by more than two clocks of one network differ.
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    now.duration_until(at) > CLOCKS_APART
}

/// Two clocks are never quite the same.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(10);

/// Keeps how an order ended; `None`: well, or nothing is to be sent.
pub fn keep_attempt(state: &Path, now: Timestamp, cause: Option<&str>) {
    if cause.is_none() && !state.is_dir() {
        return;
    }
    let attempt = Attempt { le: now, cause: cause.map(str::to_owned) };
    // The order itself has told all of it already.
    let _ = fs::write_atomic(&state.join(FILE), &serde_json::to_vec(&attempt).unwrap_or_default());
}

/// What an order gave, once kept; that another one is under way says nothing of the site.
pub(super) fn kept<T>(state: &Path, now: Timestamp, done: Result<T>) -> Result<T> {
    match &done {
        Err(PublishError::Running) => {}
        Err(error) => keep_attempt(state, now, Some(&error.to_string())),
        Ok(_) => keep_attempt(state, now, None),
    }
    done
}
