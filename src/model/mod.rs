//! What a commune's site, a form and a submission ARE. Pure data: no file, clock, network or randomness.

pub mod form;
pub mod submission;
