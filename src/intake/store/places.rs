//! How many requests of a form were taken, for those that have a number of places.

use super::Store;
use super::error::{Fault, StoreError};
use super::sql::{self, Connection, params};
use crate::model::intake::Quota;
use jiff::Timestamp;

impl Store {
    /// Requests of a form received from `since` on, those called off by their sender left out.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn taken(&self, form_id: &str, since: Timestamp) -> Result<u32, StoreError> {
        self.read(|connection| Ok(count(connection, form_id, since)?))
    }
}

/// Has one transaction at a time count the places of a form, until it is committed.
pub(super) fn lock(connection: &Connection, form_id: &str) -> sql::Result<()> {
    connection.lock(&format!("places {form_id}"))
}

/// Refuses when the places are taken; called inside the transaction, so that two requests never share the last one.
pub(super) fn check(connection: &Connection, form_id: &str, quota: Option<Quota>) -> Result<(), Fault> {
    let Some(quota) = quota else { return Ok(()) };
    if count(connection, form_id, quota.since)? < quota.limit { Ok(()) } else { Err(Fault::Store(StoreError::NoPlace)) }
}

fn count(connection: &Connection, form_id: &str, since: Timestamp) -> sql::Result<u32> {
    let sql = "SELECT count(*) FROM submission WHERE form_id = ?1 AND received_ms >= ?2 AND NOT EXISTS (
                   SELECT 1 FROM act WHERE act.submission = submission.id AND act.kind = 'annulation')";
    connection.query_row(sql, params![form_id, since.as_millisecond()], |row| row.get(0))
}
