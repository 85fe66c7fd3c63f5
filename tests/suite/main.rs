//! The one integration binary: what the program does, seen from outside.

#![allow(unreachable_pub, reason = "the harness is shared by the modules of one binary")]

mod build;
mod commune_test;
mod diagnostics;
mod formulaires;
#[path = "../support/http.rs"]
mod http;
mod kill;
mod layering;
mod new;
mod schema;
