//! HTTPS without anything in front: TLS, HTTP/2, certificates of files and of a certificate authority.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acme;
mod door;
mod hostile;
mod program;
mod secure_test;
