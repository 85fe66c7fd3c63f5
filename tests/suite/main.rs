//! The one integration binary: what the program does, seen from outside.

#![allow(unreachable_pub, reason = "the harness is shared by the modules of one binary")]

mod addresses;
mod build;
#[path = "../support/chance.rs"]
mod chance;
mod commune_test;
mod diagnostics;
mod fleet;
mod formulaires;
mod layering;
mod mangled;
mod migrate;
mod new;
mod overview;
mod schema;
