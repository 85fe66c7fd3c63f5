//! The mailer against servers that misbehave (`faults`) and against Postfix (`real`); what comes back, read from Dovecot
//! (`bounces`); signatures, judged by dkimpy (`dkim`).
//!
//! Needs the Debian packages postfix, dovecot-imapd, openssl, python3, python3-dkim and python3-nacl, and root for the servers; each test says so when one is missing.
//! `DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postfix dovecot-imapd openssl python3
//! python3-dkim python3-nacl`: the system's own servers need not run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod bounces;
mod dkim;
mod dovecot;
mod faults;
mod odd;
mod postfix;
mod real;
mod sample;
