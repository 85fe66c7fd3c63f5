//! The one integration binary: what the program does, seen from outside.

mod build;
mod commune_test;
mod diagnostics;
mod layering;
