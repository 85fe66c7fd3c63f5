//! Each call to the disk of an acceptance made to fail in turn, as SQLite's own tests do: the first, the second… until the
//! acceptance ends without meeting the fault; once, then for good.
//!
//! Nothing is shown that is not stored, the refusal is a page with the answers and a button, and the same button works as
//! soon as the fault is over. The server is the same from the first fault to the last: nobody starts it again.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use crate::bench::{Bench, Filled, Guichet, PATIENCE, WITH_FILE, answers, pause, pdf, reference};
use crate::http::{Answer, Client, hidden_inputs};
use crate::is_long;
use crate::trace::Trace;
use std::time::Instant;

/// Calls of the acceptance that never wake a thread: a fault in them is always one of the disk.
const CALLS: [&str; 6] =
    ["fsync,fdatasync", "rename,renameat,renameat2", "mkdir,mkdirat", "pwrite64", "ftruncate", "openat"];

/// An error, and whether it lasts. `EINTR` never does: an interrupted call is made again, and would be for ever.
const ERRORS: [(&str, bool); 6] =
    [("EIO", false), ("EIO", true), ("ENOSPC", false), ("ENOSPC", true), ("EINTR", false), ("EROFS", true)];

#[test]
fn a_disk_that_fails_at_any_call_never_makes_us_lie() {
    let bench = Bench::silent();
    let guichet = bench.start();
    let mut sweep = Sweep::new(&bench, &guichet);
    for calls in CALLS {
        for (error, lasts) in ERRORS {
            for nth in chosen(calls, error, lasts) {
                let when = if lasts { format!("{nth}+") } else { nth.to_string() };
                if !sweep.fault(&[
                    "-e",
                    &format!("trace={calls}"),
                    "-e",
                    &format!("inject={calls}:error={error}:when={when}"),
                ]) {
                    break;
                }
            }
        }
    }
    sweep.conclude();
    guichet.kill();
}

/// Which calls fail: all of them in the long form, a few in the short one.
fn chosen(calls: &str, error: &str, lasts: bool) -> Box<dyn Iterator<Item = u32>> {
    let step = match (calls, error, lasts) {
        _ if is_long() => 1,
        ("fsync,fdatasync" | "rename,renameat,renameat2", "EIO", _) => 1,
        ("pwrite64", "EIO", false) => 16,
        ("mkdir,mkdirat" | "ftruncate", "ENOSPC", true) => 1,
        ("openat", "EIO", false) => 6,
        ("pwrite64", "ENOSPC", true) => 40,
        _ => return Box::new(std::iter::empty()),
    };
    Box::new((1..).step_by(step))
}

#[test]
fn a_draft_that_cannot_be_written_is_refused_and_nothing_else() {
    let bench = Bench::silent();
    let guichet = bench.start();
    let mut sweep = Sweep::new(&bench, &guichet);
    for (error, lasts) in ERRORS {
        for nth in 1.. {
            let when = if lasts { format!("{nth}+") } else { nth.to_string() };
            if !sweep.draft_fault(&format!("inject=write:error={error}:when={when}")) {
                break;
            }
        }
    }
    sweep.conclude();
    guichet.kill();
}

#[test]
fn after_a_failed_sync_all_that_was_promised_is_written_anew_first() {
    let bench = Bench::silent();
    let guichet = bench.start();
    let mut client = guichet.client();
    let kept = Filled::contact(&mut client, 1).unwrap();
    let kept_reference = reference(&kept.send(&mut client).unwrap()).unwrap();
    bench.await_silence();
    let filled = Filled::contact(&mut client, 2).unwrap();
    let seen = "trace=fsync,fdatasync,pwrite64,ftruncate";
    let trace =
        Trace::attach(guichet.child.id(), bench.root(), &["-e", seen, "-e", "inject=fsync,fdatasync:error=EIO:when=1"]);
    let refused = filled.send(&mut client).unwrap();
    assert_eq!(refused.status, 503, "a sync that failed was believed");
    assert_eq!(
        reference(&kept.send(&mut client).unwrap()),
        Some(kept_reference),
        "what was promised is no longer known"
    );
    let accepted = reference(&filled.send(&mut client).unwrap());
    let calls = trace.detach();
    assert!(accepted.is_some(), "the disk works again and the guichet does not");
    let failed = calls.iter().position(|call| call.is_injected()).unwrap();
    let after = &calls[failed + 1..];
    let at = |what: &str, place: &str| {
        let found =
            after.iter().position(|call| call.name.starts_with(what) && call.text.contains(place) && call.is_done());
        found.unwrap_or_else(|| panic!("no {what} of {place} after the failure: {calls:#?}"))
    };
    let (database, log) = ("/guichet.db>", "/guichet.db-wal>");
    assert!(at("pwrite64", database) < at("fsync", database), "{calls:#?}");
    assert!(at("fsync", database) < at("ftruncate", log), "the log was emptied too early: {calls:#?}");
    assert!(at("ftruncate", log) < at("pwrite64", log), "written behind what the disk may have lost: {calls:#?}");
    bench.assert_sound();
    guichet.kill();
}

#[test]
fn a_disk_that_fails_for_good_is_said_and_left_as_soon_as_it_works() {
    let bench = Bench::silent();
    let guichet = bench.start();
    let mut client = guichet.client();
    let filled = Filled::contact(&mut client, 1).unwrap();
    let trace = Trace::attach(guichet.child.id(), bench.root(), &["-e", "inject=fsync,fdatasync:error=EIO:when=1+"]);
    for _ in 0..3 {
        assert_eq!(filled.send(&mut client).unwrap().status, 503);
    }
    let ready = client.get("/guichet/pret").unwrap();
    assert_eq!((ready.status, ready.body.contains("\"base\"")), (503, true), "{}", ready.body);
    assert_eq!(client.get("/guichet/sante").unwrap().status, 200, "starting the program again mends no disk");
    drop(trace);
    assert!(reference(&filled.send(&mut client).unwrap()).is_some());
    let deadline = Instant::now() + PATIENCE;
    while client.get("/guichet/pret").unwrap().status != 200 {
        assert!(Instant::now() < deadline, "never ready again");
        pause();
    }
    guichet.kill();
}

/// Acceptances of one server, one fault each.
struct Sweep<'a> {
    bench: &'a Bench,
    guichet: &'a Guichet,
    number: usize,
    faults: usize,
    refusals: usize,
    shown: BTreeSet<String>,
}

impl<'a> Sweep<'a> {
    fn new(bench: &'a Bench, guichet: &'a Guichet) -> Self {
        Sweep { bench, guichet, number: 0, faults: 0, refusals: 0, shown: BTreeSet::new() }
    }

    /// One acceptance under a fault; gives whether the fault was met.
    fn fault(&mut self, arguments: &[&str]) -> bool {
        self.number += 1;
        let mut client = self.guichet.client();
        let trace = Trace::attach(self.guichet.child.id(), self.bench.root(), arguments);
        let page = Filled::with_file(&mut client, self.number);
        self.go_on(&mut client, page, trace, arguments)
    }

    /// The same when only the writes of the draft fail: its name is known once the upload has begun.
    fn draft_fault(&mut self, injection: &str) -> bool {
        self.number += 1;
        let mut client = self.guichet.client();
        let (before, bytes) = (self.drafts(), pdf(self.number));
        let path = format!("/guichet/{WITH_FILE}/verifier");
        client.begin_with_file(&path, &answers(self.number), ("pieces", "plan.pdf", bytes.len())).unwrap();
        client.more_of_file(&bytes[..100]).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let draft = loop {
            if let Some(draft) = self.drafts().difference(&before).next() {
                break draft.display().to_string();
            }
            assert!(Instant::now() < deadline, "no draft is made");
            pause();
        };
        let arguments = ["-P", &draft, "-e", "trace=write", "-e", injection];
        let trace = Trace::attach(self.guichet.child.id(), self.bench.root(), &arguments);
        let page = client.end_with_file(&bytes[100..]).map(Filled::of_page);
        self.go_on(&mut client, page, trace, &arguments)
    }

    fn drafts(&self) -> BTreeSet<PathBuf> {
        let entries = std::fs::read_dir(self.bench.data().join("entrants")).unwrap().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|one| one == "part")).collect()
    }

    /// Confirms under the fault what the check page carries, if it came; then, without the fault, does what the page says.
    fn go_on(
        &mut self,
        client: &mut Client,
        page: io::Result<Result<Filled, Answer>>,
        trace: Trace,
        what: &[&str],
    ) -> bool {
        let page = page.unwrap_or_else(|error| panic!("{what:?}: cut without an answer: {error}"));
        let (filled, answer) = match page {
            Err(refusal) => (None, refusal),
            Ok(filled) => {
                let answer = filled.send(client).unwrap_or_else(|error| panic!("{what:?}: cut: {error}"));
                (Some(filled), answer)
            }
        };
        let calls = trace.detach();
        let is_met = calls.iter().any(|call| call.is_injected());
        self.faults += usize::from(is_met);
        let shown = reference(&answer);
        if shown.is_none() {
            self.refusals += 1;
            self.assert_refusal(&answer, what);
        }
        // The fault is over: the button of the page works, at once.
        let again = match filled {
            Some(filled) if answer.status != 422 => filled.send(client).unwrap(),
            _ => {
                let page = Filled::with_file(client, self.number).unwrap();
                let filled = page.unwrap_or_else(|page| panic!("{what:?}: still refused: {}", page.status));
                filled.send(client).unwrap()
            }
        };
        let last = reference(&again).unwrap_or_else(|| panic!("{what:?}: still refused: {}", again.status));
        assert!(shown.is_none_or(|shown| shown == last), "{what:?}: two references for one confirmation");
        self.shown.insert(last);
        is_met
    }

    /// A page, with what was typed, a button and the telephone; never a bare error.
    fn assert_refusal(&self, answer: &Answer, what: &[&str]) {
        assert!(matches!(answer.status, 503 | 422), "{what:?}: {} {}", answer.status, answer.body);
        let kept = format!("Quatrebarbes{}", self.number);
        assert!(answer.body.contains(&kept), "{what:?}: the answers are lost: {}", answer.body);
        if answer.status == 503 {
            assert!(answer.body.contains("tel:"), "{what:?}: no telephone");
            assert!(!hidden_inputs(&answer.body).is_empty(), "{what:?}: no button that tries again");
        }
    }

    /// All that was shown is there, whole.
    fn conclude(self) {
        println!(
            "{} faults met, {} refusals, {} references shown, 0 false",
            self.faults,
            self.refusals,
            self.shown.len()
        );
        assert!(self.faults > 5 && self.refusals > 0, "hardly any fault was met");
        self.bench.assert_sound();
        let lost: Vec<_> = self.shown.difference(&self.bench.stored()).cloned().collect();
        assert!(lost.is_empty(), "shown and not stored: {lost:?}");
    }
}
