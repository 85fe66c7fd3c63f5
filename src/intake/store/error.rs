//! What can go wrong with the store; phrased for people by the command line and the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::sql;
use crate::intake::seal::SealError;
use crate::intake::token::KeyError;
use crate::model::reference::Reference;
use crate::s3::S3Error;

/// Why the store did not do what was asked. Nothing of the refused order remains in it.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// No space is left, or less than the reserve; the store recovers alone when space returns.
    #[error("no space left for {}", path.display())]
    Full {
        /// The database or its folder.
        path: PathBuf,
    },
    /// Too many orders are waiting, or another process holds the database; to be tried again soon.
    #[error("too many orders wait for {}", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// Another instance already serves this folder.
    #[error("another instance holds {}", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("{} is a database of another program (application id {found:#010x})", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
        /// Application id found in its header.
        found: i32,
    },
    /// The database was written by a newer version of this program.
    #[error("{} has schema {found}, this program knows {known}", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Schema version found.
        found: i32,
        /// Newest schema version known.
        known: i32,
    },
    /// There is no database yet, and this access does not create one.
    #[error("no database at {}", path.display())]
    Absent {
        /// The database.
        path: PathBuf,
    },
    /// There is no database where one has been: its files, or the mark of a copy, are still there.
    #[error("no database at {}, where there has been one", path.display())]
    Lost {
        /// The database.
        path: PathBuf,
    },
    /// The file is not a database, or its content is damaged.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite says of it.
        reason: String,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    Key(Arc<KeyError>),
    /// The key is not the one that sealed this database.
    #[error("{} is not the key of this database", path.display())]
    WrongKey {
        /// The key file.
        path: PathBuf,
    },
    /// The disk failed while writing: nothing may be promised until all that was is written anew, which
    /// the next order tries.
    #[error("the disk failed under {}, nothing is accepted any more: {reason}", path.display())]
    Poisoned {
        /// The database.
        path: PathBuf,
        /// The first failure.
        reason: String,
    },
    /// The places of the form are taken.
    #[error("the form has no place left")]
    NoPlace,
    /// The SQLite library is older than the first one without the WAL-reset defect.
    #[error("SQLite {found} loses data in some crashes, 3.51.3 is the first safe version")]
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// A submission has this reference already; another one must be drawn.
    #[error("the reference {reference} is taken")]
    ReferenceTaken {
        /// The reference.
        reference: Reference,
    },
    /// A file or folder of the store cannot be made, opened or synced.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// The database server does not answer, or not in time: whether the last order was done is not known.
    #[error("{base}: {reason}")]
    Unreachable {
        /// Its address, without any password.
        base: String,
        /// Why.
        reason: String,
    },
    /// The bucket of the files cannot be used; what it holds is not lost.
    #[error(transparent)]
    Bucket(Arc<S3Error>),
    /// The bucket of the files is not this guichet's.
    #[error("{address} is not the bucket of this guichet")]
    ForeignBucket {
        /// Its address.
        address: String,
    },
    /// The database server refuses us: name, password, rights, or what it is set to.
    #[error("{base}: {reason}")]
    Refused {
        /// Its address, without any password.
        base: String,
        /// What it says.
        reason: String,
    },
    /// The database server is set so that it loses what it has promised, or cannot keep what we write.
    #[error("{base}: {setting} is {value}")]
    Unfit {
        /// Its address, without any password.
        base: String,
        /// The setting at fault.
        setting: &'static str,
        /// What it is.
        value: String,
    },
    /// Any other answer of PostgreSQL.
    #[error("{base}: {reason}")]
    Server {
        /// Its address, without any password.
        base: String,
        /// What it says.
        reason: String,
    },
    /// Any other answer of SQLite.
    #[error("{}: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// Why.
        source: Arc<rusqlite::Error>,
    },
    /// Something stored cannot be read back as what it should be.
    #[error("unreadable {what} in the store: {reason}")]
    Content {
        /// What was read.
        what: &'static str,
        /// Why it was refused.
        reason: String,
    },
    /// The writer has stopped: the program is ending.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// An input or output failure, with its path; a full disk is told apart.
    pub(in crate::intake) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full { path },
            _ => StoreError::Io { path, source: Arc::new(source) },
        }
    }

    /// Why the key cannot be had.
    pub(super) fn key(error: KeyError) -> Self {
        StoreError::Key(Arc::new(error))
    }

    /// A value that cannot be sealed.
    pub(super) fn unsealed(error: SealError) -> Self {
        StoreError::Content { what: "submission", reason: error.to_string() }
    }

    /// What an answer of the database means for us.
    pub(super) fn sql(place: &Path, error: sql::Error) -> Self {
        match error {
            sql::Error::Sqlite(error) => StoreError::database(place, error),
            sql::Error::Postgres(error) => error.for_us(place),
            sql::Error::Column(at) => {
                StoreError::Content { what: "column", reason: format!("column {at} holds something else") }
            }
            sql::Error::NoRow => StoreError::Content { what: "row", reason: "it is not there".into() },
        }
    }

    /// What an answer of SQLite means for us.
    pub(super) fn database(path: impl Into<PathBuf>, source: rusqlite::Error) -> Self {
        use rusqlite::ffi::{self, ErrorCode};
        let path = path.into();
        let Some(error) = source.sqlite_error() else {
            return StoreError::Database { path, source: Arc::new(source) };
        };
        match error.code {
            ErrorCode::DiskFull => StoreError::Full { path },
            // Growing the shared-memory index needs space too, and says so this way.
            _ if error.extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::Full { path },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy { path },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                StoreError::Damaged { path, reason: source.to_string() }
            }
            ErrorCode::SystemIoFailure => StoreError::Poisoned { path, reason: source.to_string() },
            _ => StoreError::Database { path, source: Arc::new(source) },
        }
    }

    /// Whether SQLite was refused a write by a disk that takes none.
    pub fn is_refused_write(&self) -> bool {
        let StoreError::Database { source, .. } = self else { return false };
        source.sqlite_error().is_some_and(|error| error.code == rusqlite::ErrorCode::ReadOnly)
    }

    /// Whether nothing written through the same connection can be trusted afterwards.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self, StoreError::Poisoned { .. } | StoreError::Damaged { .. })
    }
}

/// What a piece of work inside a transaction answers with: a refusal of ours, or one of the database.
#[derive(Debug)]
pub(super) enum Fault {
    /// Ours: the work is undone, the transaction goes on.
    Store(StoreError),
    /// The database's.
    Sql(sql::Error),
}

impl From<sql::Error> for Fault {
    fn from(error: sql::Error) -> Self {
        Fault::Sql(error)
    }
}

impl Fault {
    /// A stored value that cannot be read back.
    pub(super) fn content(what: &'static str, reason: impl ToString) -> Self {
        Fault::Store(StoreError::Content { what, reason: reason.to_string() })
    }
}
