//! What is counted of the guichet, in the text format of Prometheus. Nothing of a person: no label is an address, a name or a
//! reference, and their number is fixed by the program.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::intake::files::FileCounts;
use crate::model::mail::MailRole;

/// What this process has counted since it started.
#[derive(Debug, Default)]
pub(super) struct Measures {
    accepted: AtomicU64,
    again: AtomicU64,
    quarantined: AtomicU64,
    receipts_capped: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    latency: Histogram,
}

/// What the store and the machine say at the time of asking.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Mails that a server took, by role.
    pub(super) delivered: Vec<(MailRole, u64)>,
    /// Seconds the oldest mail waits, by role; zero when none does.
    pub(super) oldest: Vec<(MailRole, u64)>,
    /// Mails that wait too long, or were refused for good.
    pub(super) stuck: u64,
    /// Requests in quarantine.
    pub(super) quarantine: u64,
    /// Transactions committed.
    pub(super) commits: u64,
    /// Orders served by them.
    pub(super) orders: u64,
    /// Orders that wait for the writer.
    pub(super) queue: u64,
    /// Free bytes where requests are kept.
    pub(super) free_bytes: u64,
    /// What became of files.
    pub(super) files: FileCounts,
    /// Whether mails are being delivered.
    pub(super) delivering: bool,
    /// Whether the way out was closed at the last attempt.
    pub(super) route_closed: bool,
}

impl Measures {
    /// Counts an answer to a posted form: its outcome in a word of the program, whether it refuses, how long it took.
    pub(super) fn answer(&self, outcome: &'static str, is_refusal: bool, took: Duration) {
        match outcome {
            "accepted" => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                self.latency.add(took);
            }
            "again" => {
                self.again.fetch_add(1, Ordering::Relaxed);
            }
            outcome if is_refusal => {
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(outcome).or_default() += 1;
            }
            _ => {}
        }
    }

    /// Counts what was kept back of a request.
    pub(super) fn kept_back(&self, quarantined: bool, receipt_capped: bool) {
        self.quarantined.fetch_add(u64::from(quarantined), Ordering::Relaxed);
        self.receipts_capped.fetch_add(u64::from(receipt_capped), Ordering::Relaxed);
    }

    /// All of it, as a collector reads it.
    pub(super) fn text(&self, seen: &Seen) -> String {
        let mut page = Page::default();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        page.one("mulot_demandes_acceptees_total", "counter", "Demandes acceptées", count(&self.accepted));
        page.one(
            "mulot_demandes_redites_total",
            "counter",
            "Envois répétés d'une demande acceptée",
            count(&self.again),
        );
        page.one(
            "mulot_demandes_suspectes_total",
            "counter",
            "Demandes mises en quarantaine",
            count(&self.quarantined),
        );
        page.one(
            "mulot_accuses_plafonnes_total",
            "counter",
            "Accusés restés sur la page, adresse trop sollicitée",
            count(&self.receipts_capped),
        );
        page.head("mulot_demandes_refusees_total", "counter", "Envois refusés, par raison");
        for (reason, count) in self.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            page.line("mulot_demandes_refusees_total", &format!("raison=\"{reason}\""), count);
        }
        let by_role = |role: &MailRole| format!("role=\"{}\"", role.as_str());
        page.head("mulot_messages_remis_total", "counter", "Messages remis, depuis la création du guichet");
        seen.delivered.iter().for_each(|(role, count)| page.line("mulot_messages_remis_total", &by_role(role), count));
        page.head("mulot_attente_secondes", "gauge", "Attente du plus ancien message à envoyer");
        seen.oldest.iter().for_each(|(role, wait)| page.line("mulot_attente_secondes", &by_role(role), wait));
        page.one("mulot_messages_bloques", "gauge", "Messages en retard ou refusés", seen.stuck);
        page.one("mulot_quarantaine", "gauge", "Demandes en quarantaine", seen.quarantine);
        page.one("mulot_ecritures_total", "counter", "Transactions écrites", seen.commits);
        page.one("mulot_ordres_total", "counter", "Ordres servis par ces transactions", seen.orders);
        page.one("mulot_ordres_en_attente", "gauge", "Ordres qui attendent l'écriture", seen.queue);
        page.one("mulot_octets_libres", "gauge", "Place libre où sont gardées les demandes", seen.free_bytes);
        let files = &seen.files;
        page.one("mulot_pieces_recues_total", "counter", "Fichiers reçus", files.taken);
        page.head("mulot_pieces_refusees_total", "counter", "Fichiers refusés pour ce qu'ils contiennent, par raison");
        for (reason, count) in &files.refused {
            page.line("mulot_pieces_refusees_total", &format!("raison=\"{reason}\""), count);
        }
        page.one(
            "mulot_pieces_non_analysees_total",
            "counter",
            "Fichiers pris sans que l'antivirus ait pu les regarder",
            files.unscanned,
        );
        page.one("mulot_pieces_lues_total", "counter", "Fichiers lus par la mairie avec leur lien", files.read);
        page.one("mulot_octets_brouillons", "gauge", "Fichiers envoyés et pas encore confirmés", files.draft_bytes);
        page.one("mulot_octets_pieces", "gauge", "Fichiers acceptés et gardés", files.kept_bytes);
        page.one("mulot_livraison_en_marche", "gauge", "1 si les messages sont envoyés", u8::from(seen.delivering));
        page.one(
            "mulot_messagerie_fermee",
            "gauge",
            "1 si le serveur de courriel a refusé",
            u8::from(seen.route_closed),
        );
        self.latency.write(&mut page, "mulot_envoi_secondes", "Temps pour accepter une demande");
        page.0
    }
}

/// The page of a territoire: communes, how many are open, how many cannot be.
pub(super) fn census((communes, awake, broken): (usize, usize, usize)) -> String {
    let mut page = Page::default();
    page.one("mulot_communes", "gauge", "Communes servies", communes);
    page.one("mulot_communes_ouvertes", "gauge", "Communes dont le guichet est ouvert en mémoire", awake);
    page.one("mulot_communes_en_panne", "gauge", "Communes dont le guichet ne s'ouvre pas", broken);
    page.0
}

/// A page of measures under way.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A line; `labels` are made of words of the program, which need no escape.
    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }
}

/// Counts by duration.
#[derive(Debug, Default)]
struct Histogram {
    counts: [AtomicU64; BOUNDS.len()],
    all: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let within = BOUNDS.iter().zip(&self.counts).filter(|(bound, _)| seconds <= **bound);
        within.for_each(|(_, count)| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        self.all.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn write(&self, page: &mut Page, name: &str, help: &str) {
        page.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in BOUNDS.iter().zip(&self.counts) {
            page.line(&bucket, &format!("le=\"{bound}\""), count.load(Ordering::Relaxed));
        }
        let all = self.all.load(Ordering::Relaxed);
        page.line(&bucket, "le=\"+Inf\"", all);
        page.line(&format!("{name}_sum"), "", self.micros.load(Ordering::Relaxed) as f64 / 1e6);
        page.line(&format!("{name}_count"), "", all);
    }
}

/// Seconds: from one sync of a good disk to a disk that suffers.
const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_reads_what_was_counted() {
        let measures = Measures::default();
        measures.answer("accepted", false, Duration::from_millis(8));
        measures.answer("accepted", false, Duration::from_secs(20));
        measures.answer("again", false, Duration::ZERO);
        measures.answer("to_mend", true, Duration::ZERO);
        measures.answer("to_mend", true, Duration::ZERO);
        measures.answer("check", false, Duration::ZERO);
        measures.kept_back(true, false);
        let seen = Seen {
            delivered: vec![(MailRole::Mairie, 7)],
            oldest: vec![(MailRole::Usager, 90)],
            free_bytes: 123,
            ..Seen::default()
        };
        let text = measures.text(&seen);
        for line in [
            "mulot_demandes_acceptees_total 2",
            "mulot_demandes_redites_total 1",
            "mulot_demandes_refusees_total{raison=\"to_mend\"} 2",
            "mulot_demandes_suspectes_total 1",
            "mulot_messages_remis_total{role=\"mairie\"} 7",
            "mulot_attente_secondes{role=\"usager\"} 90",
            "mulot_octets_libres 123",
            "mulot_envoi_secondes_bucket{le=\"0.005\"} 0",
            "mulot_envoi_secondes_bucket{le=\"0.01\"} 1",
            "mulot_envoi_secondes_bucket{le=\"+Inf\"} 2",
            "mulot_envoi_secondes_count 2",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        // Each name is described before its lines, once.
        let mut described = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => described.push(rest.split(' ').next().unwrap().to_owned()),
                None if line.starts_with('#') => {}
                None => {
                    let last = described.last().unwrap();
                    assert!(line.starts_with(last.as_str()), "{line} stands under {last}");
                }
            }
        }
        let names: std::collections::BTreeSet<&String> = described.iter().collect();
        assert_eq!(names.len(), described.len());
    }
}
