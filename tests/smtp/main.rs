//! The mailer against servers that misbehave (`faults`) and against Postfix (`real`).
//!
//! Needs the Debian packages postfix, openssl and python3, and root for Postfix; each test says so when one is missing.
//! `DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postfix openssl python3`: the system's own
//! Postfix need not run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod faults;
mod odd;
mod postfix;
mod real;
mod sample;
