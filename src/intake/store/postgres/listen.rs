//! What instances tell each other: that something is to be delivered, and whose turn it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::super::error::StoreError;
use super::{Base, connect, key, runtime};

/// Hears what other instances commit, as long as it lives.
pub(in crate::intake::store) struct Listener {
    task: JoinHandle<()>,
}

impl Listener {
    /// Wakes `wake` whenever an instance has left something to deliver, and once after each connection: something may have been
    /// missed before. `None` when no thread can be had: the worker then looks by itself, less often.
    pub(in crate::intake::store) fn new(base: &Base, wake: Arc<Notify>) -> Option<Listener> {
        let base = base.clone();
        Some(Listener { task: runtime().ok()?.spawn(hear(base, wake)) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Hears what is left to deliver in the schemas of a database whose stores are closed, as long as it lives.
pub struct News {
    task: JoinHandle<()>,
}

impl News {
    /// Calls `told` with the name of a schema in which an instance has left something to deliver, and with `None` after each
    /// connection: something may have been missed before. `None` when no thread can be had.
    pub fn hear(
        base: &Base,
        schemas: Vec<String>,
        told: impl Fn(Option<&str>) + Send + Sync + 'static,
    ) -> Option<News> {
        let base = base.clone();
        Some(News { task: runtime().ok()?.spawn(hear_all(base, schemas, Arc::new(told))) })
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hear_all(base: Base, schemas: Vec<String>, told: Arc<impl Fn(Option<&str>) + Send + Sync + 'static>) {
    let orders: String = schemas.iter().map(|schema| format!("LISTEN \"{}\";", channel(schema))).collect();
    loop {
        let tell = Arc::clone(&told);
        let heard = move |channel: &str| tell(channel.strip_prefix(CHANNEL));
        if let Ok((client, driver)) = connect(&base, heard).await
            && client.batch_execute(&orders).await.is_ok()
        {
            told(None);
            let _ = driver.await;
            drop(client);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The channel of a schema.
pub(super) fn channel(schema: &str) -> String {
    format!("{CHANNEL}{schema}")
}

async fn hear(base: Base, wake: Arc<Notify>) {
    loop {
        let told = Arc::clone(&wake);
        // Dropping the client ends the connection: it is kept until the server has.
        if let Ok((client, driver)) = connect(&base, move |_| told.notify_one()).await
            && client.batch_execute(&format!("LISTEN \"{}\"", channel(base.schema()))).await.is_ok()
        {
            wake.notify_one();
            let _ = driver.await;
            drop(client);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// What the name of a channel begins with.
const CHANNEL: &str = "mulot_";
/// Between two connections.
const AGAIN: Duration = Duration::from_secs(2);

/// The right to do what one instance at a time does; it ends with the value, with the process, or with the connection.
pub struct Turn {
    _session: Option<Client>,
}

impl Turn {
    /// Of the only instance there is.
    pub(in crate::intake::store) fn alone() -> Turn {
        Turn { _session: None }
    }

    /// Of `what`; `None` when another instance has it.
    pub(in crate::intake::store) async fn take(base: &Base, what: &str) -> Result<Option<Turn>, StoreError> {
        let away = |error: super::Error| error.for_us(std::path::Path::new(base.name()));
        let (asked, key) = (base.clone(), key(base.schema(), &format!("turn {what}")));
        let taking = runtime().map_err(away)?.spawn(async move {
            let (client, _) = connect(&asked, |_| {}).await?;
            // Held for as long as a mail server takes: it is no statement that lasts too long.
            let row = client.query_one("SELECT pg_try_advisory_lock($1)", &[&key]).await?;
            let is_ours: bool = row.try_get(0)?;
            Ok(is_ours.then(|| Turn { _session: Some(client) }))
        });
        taking.await.map_err(|error| away(super::Error::Away(error.to_string())))?.map_err(away)
    }
}
