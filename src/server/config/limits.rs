//! `[limites]`: how much may come, how often, and what is kept free.

use super::FileSettings;
use crate::diagnostic::Diagnostic;
use crate::load::toml_reader::Reader;
use crate::server::listen::Limits;
use crate::server::rate::RateLimits;
use crate::server::receive::FormLimits;

pub(super) fn set_limits(
    table: &mut Reader<'_, '_>,
    limits: &mut Limits,
    form_limits: &mut FormLimits,
    rates: &mut RateLimits,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut number = |key, range| table.integer(key, range, diagnostics).and_then(|number| u32::try_from(number).ok());
    if let Some(number) = number("connexions", 16..=65_000) {
        limits.connections = number as usize;
    }
    if let Some(number) = number("connexions_par_adresse", 1..=65_000) {
        limits.connections_per_address = number as usize;
    }
    if let Some(number) = number("requetes_par_commune", 8..=65_000) {
        rates.under_way = Some(number as usize);
    }
    if let Some(number) = number("fichiers_mo", 1..=25) {
        form_limits.files_bytes = u64::from(number) << 20;
        form_limits.drained_bytes = form_limits.drained_bytes.max(form_limits.files_bytes * 4);
    }
    if let Some(number) = number("envois_par_adresse", 1..=10_000) {
        rates.sends = number;
        rates.checks = rates.checks.max(number.saturating_mul(6));
    }
    if let Some(number) = number("envois_par_heure", 1..=1_000_000) {
        rates.all_sends = number;
        // Who expects crowds expects them on one form too.
        rates.form_sends = rates.form_sends.max(number / 2);
    }
    if let Some(number) = number("envois_par_formulaire", 1..=1_000_000) {
        rates.form_sends = number;
    }
    if let Some(number) = number("envois_par_courriel", 1..=10_000) {
        rates.email_sends = number;
    }
    if let Some(number) = number("accuses_par_jour", 1..=1_000) {
        rates.receipts = number;
    }
    // Seven days at most: the mairie has ten working days to send its own receipt (CRPA, art. R112-11-2).
    if let Some(number) = number("quarantaine_heures", 1..=168) {
        rates.quarantine = jiff::SignedDuration::from_hours(i64::from(number));
    }
}

pub(super) fn set_files(
    table: &mut Reader<'_, '_>,
    files: &mut FileSettings,
    form_limits: &mut FormLimits,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut bytes = |key, range| table.integer(key, range, diagnostics).map(|number| number.unsigned_abs() << 20);
    if let Some(bytes) = bytes("courriel_mo", 1..=25) {
        form_limits.mail_bytes = bytes;
    }
    if let Some(bytes) = bytes("brouillons_mo", 32..=1 << 20) {
        files.max_draft_bytes = bytes;
    }
    if let Some(bytes) = bytes("pieces_mo", 64..=1 << 24) {
        files.max_kept_bytes = bytes;
    }
}

/// What deliveries and the purge need to be written when the disk is short.
pub(in crate::server) const RESERVE_BYTES: u64 = 64 << 20;
