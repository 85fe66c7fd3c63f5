//! What the guichet promises when the machine fails: killed, without power, without disk, with a wrong clock.
//!
//! The server is the real program, asked by plain HTTP. Each proof has a short form, for every run of the tests, and some a
//! long one, with `MULOT_LONG=1` and `--include-ignored` (`tests/tout.sh --long`). That each can fail is itself proven: `mutants`.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod bench;
mod clock;
#[allow(dead_code, reason = "the harness is shared with the other binaries")]
#[path = "../suite/commune_test.rs"]
mod commune_test;
mod crash;
mod disk;
mod faults;
#[path = "../support/http.rs"]
mod http;
mod kill;
mod memory;
mod mutants;
mod order;
mod power;
mod trace;

/// Whether the long forms were asked for.
fn is_long() -> bool {
    std::env::var_os("MULOT_LONG").is_some_and(|value| value == "1")
}
