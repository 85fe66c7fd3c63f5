//! The same tests on both databases: each is run once with a file and once with a schema of its own on a real PostgreSQL.

use std::cell::RefCell;

use super::{Base, StoreOptions};

#[path = "../../../tests/support/postgres.rs"]
pub(crate) mod postgres;

thread_local! {
    /// Where the test of this thread keeps its database, when that is no file.
    static BASE: RefCell<Option<Base>> = const { RefCell::new(None) };
}

/// How a store is opened in the test under way.
pub(crate) fn options() -> StoreOptions {
    StoreOptions { min_free_bytes: 0, base: BASE.with_borrow(Clone::clone), ..StoreOptions::default() }
}

/// Whether the test under way is on PostgreSQL.
pub(crate) fn is_on_server() -> bool {
    BASE.with_borrow(Option::is_some)
}

/// Goes on with an empty database, for a test of several guichets one after the other.
pub(crate) fn renew() {
    if is_on_server() {
        BASE.set(Some(fresh_base()));
    }
}

/// A schema of the real server that nobody has used yet.
pub(crate) fn fresh_base() -> Base {
    Base::new(&postgres::server().url(), None, &postgres::schema(), None).unwrap()
}

/// Forgets the base when the test ends, however it does.
struct Chosen;

impl Chosen {
    fn new(base: Option<Base>) -> Chosen {
        match &base {
            None => println!("on SQLite"),
            Some(base) => println!("on PostgreSQL, {base:?}"),
        }
        BASE.set(base);
        Chosen
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        BASE.set(None);
    }
}

/// Runs a test on each database.
pub(crate) fn every_backend(test: impl Fn()) {
    for base in [None, Some(fresh_base())] {
        let _chosen = Chosen::new(base);
        test();
    }
}

/// The same for an asynchronous test, all of it on one thread.
pub(crate) async fn every_backend_async(test: impl AsyncFn()) {
    for base in [None, Some(fresh_base())] {
        let _chosen = Chosen::new(base);
        test().await;
    }
}
