//! What a commune's site, a form and a submission ARE. Pure data: no file, clock, network or randomness.

pub mod addresses;
pub mod calendar;
pub mod commune;
pub mod content;
pub mod dossier;
pub mod form;
pub mod intake;
pub mod mail;
pub mod media_type;
pub mod names;
pub mod output;
pub mod publication;
pub mod receipt;
pub mod record;
pub mod reference;
pub mod site;
pub mod submission;
pub mod territoire;
