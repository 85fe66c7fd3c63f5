//! The servers, asked by plain HTTP: the journey of a form without any script, refusals, connections, headers, preview, logs.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod abuse;
mod boite;
#[path = "../support/chance.rs"]
mod chance;
mod connections;
mod counter;
mod dossier;
mod fichiers;
mod hall;
mod headers;
mod health;
mod injection;
mod journey;
mod language;
mod logs;
mod mangled;
#[path = "../support/photo.rs"]
mod photo;
mod preview;
mod progress;
mod refusals;
mod roles;
mod server_test;
mod sites;
mod street;
