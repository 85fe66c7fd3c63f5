//! What those who watch over the guichet ask of the store: can it write, how much waits, what was delivered.

use super::Store;
use super::error::StoreError;
use super::sql::{Connection, params};
use crate::model::mail::MailRole;

impl Store {
    /// Has the writer begin and end a transaction that changes nothing: it is alive, the file can be written, no other
    /// process holds it, no failure of the disk is remembered.
    ///
    /// # Errors
    /// [`StoreError`] for whichever of these is not so.
    pub async fn writable(&self) -> Result<(), StoreError> {
        self.write(|_: &Connection| Ok(()), false).await
    }

    /// Orders that wait for the writer.
    pub fn queue_depth(&self) -> usize {
        self.inner.orders.as_ref().map_or(0, |orders| orders.max_capacity() - orders.capacity())
    }

    /// Mails that a server took, for the mairie and for residents.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn delivered(&self) -> Result<[(MailRole, u64); 2], StoreError> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM outbox WHERE state = 'remis' AND role = ?1";
            let count = |role: MailRole| connection.query_row(sql, params![role.as_str()], |row| row.get::<i64>(0));
            let (mairie, usager) = (count(MailRole::Mairie)?, count(MailRole::Usager)?);
            Ok([(MailRole::Mairie, mairie.unsigned_abs()), (MailRole::Usager, usager.unsigned_abs())])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::intake::sample::submission;

    #[test]
    fn a_store_says_that_it_can_write_and_what_it_delivered() {
        testing::every_backend(|| {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), testing::options()).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(store.writable()).unwrap();
            store.record_blocking(submission(1)).unwrap();
            assert_eq!(store.delivered().unwrap(), [(MailRole::Mairie, 0), (MailRole::Usager, 0)]);
            assert_eq!(store.queue_depth(), 0);
        });
    }
}
