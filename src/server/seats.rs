//! What is open while somebody needs it: who is inside holds a seat, and who closes it waits for the seats to be empty.
//!
//! Decides neither when to open nor when to close: the hall does for its guichets, the preview of a territoire for its
//! communes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::held::Held;

/// A place that is open or closed, with those who are inside.
pub(super) struct Seats<T> {
    state: Mutex<State<T>>,
    /// A seat was left.
    left: Notify,
}

struct State<T> {
    open: Option<Arc<T>>,
    taken: usize,
    is_closing: bool,
    /// Nobody comes in any more.
    is_removed: bool,
    /// When the last visitor came.
    last: Option<Timestamp>,
}

/// How the place stands.
pub(super) struct Glance<T> {
    pub(super) open: Option<Arc<T>>,
    pub(super) is_taken: bool,
    pub(super) last: Option<Timestamp>,
}

impl<T> Default for Seats<T> {
    fn default() -> Self {
        let state = State { open: None, taken: 0, is_closing: false, is_removed: false, last: None };
        Seats { state: Mutex::new(state), left: Notify::new() }
    }
}

impl<T> Seats<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat, when it is open.
    pub(super) fn sit(self: &Arc<Self>, now: Option<Timestamp>) -> Option<Seat<T>> {
        let mut state = self.state();
        let open = state.open.clone().filter(|_| !state.is_closing && !state.is_removed)?;
        state.taken += 1;
        state.last = now.or(state.last);
        Some(Seat { seats: self.clone(), open: Some(open) })
    }

    pub(super) fn is_removed(&self) -> bool {
        self.state().is_removed
    }

    /// Lets nobody in any more, or again.
    pub(super) fn set_removed(&self, is_removed: bool) {
        self.state().is_removed = is_removed;
    }

    /// What works there now.
    pub(super) fn open(&self) -> Option<Arc<T>> {
        self.state().open.clone()
    }

    /// It is open.
    pub(super) fn opened(&self, open: Arc<T>) {
        let mut state = self.state();
        (state.open, state.last) = (Some(open), None);
    }

    /// Lets nobody in and waits for the seats to be empty, `patience` at most; `false`: they were not, all goes on.
    pub(super) async fn empty(&self, patience: Duration) -> bool {
        self.state().is_closing = true;
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let left = self.left.notified();
            if self.state().taken == 0 {
                return true;
            }
            if tokio::time::timeout_at(deadline, left).await.is_err() {
                let mut state = self.state();
                if state.taken == 0 {
                    return true;
                }
                state.is_closing = false;
                return false;
            }
        }
    }

    /// Closes it, once it is empty.
    pub(super) fn close(&self) -> Option<Arc<T>> {
        self.state().open.take()
    }

    /// It may be opened again.
    pub(super) fn closed(&self) {
        self.state().is_closing = false;
    }

    /// How it stands.
    pub(super) fn glance(&self) -> Glance<T> {
        let state = self.state();
        Glance { open: state.open.clone(), is_taken: state.taken > 0, last: state.last }
    }

    /// Somebody asks for it elsewhere: it stays open as for a visitor of its own.
    pub(super) fn touch(&self, now: Timestamp) {
        self.state().last = Some(now);
    }
}

/// A seat at an open place, until the last byte of the answer.
pub(super) struct Seat<T> {
    seats: Arc<Seats<T>>,
    open: Option<Arc<T>>,
}

impl<T> Seat<T> {
    pub(super) fn open(&self) -> Option<&Arc<T>> {
        self.open.as_ref()
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        // What it holds of the place goes before the seat: who closes must be the last to hold it.
        self.open = None;
        self.seats.state().taken -= 1;
        self.seats.left.notify_waiters();
    }
}

/// An answer that keeps its seat until its body is sent.
pub(super) fn seated<H: Send + Unpin + 'static>(response: Response, held: H) -> Response {
    response.map(|body| Body::new(Held::new(body, held)))
}
