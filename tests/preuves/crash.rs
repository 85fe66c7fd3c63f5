//! The process dies at each of its writes in turn, from the upload of a file to the settling of its mail.
//!
//! Random kills find what is frequent; this finds what is rare: between two transactions, between a rename and a commit.

use crate::bench::{Bench, Filled, PATIENCE, pause, reference};
use crate::is_long;
use crate::trace::Trace;
use std::collections::BTreeSet;
use std::time::Instant;

/// What the process is about to do when it dies; numbers are counted in each thread.
const CALLS: [&str; 4] = ["pwrite64", "fsync,fdatasync", "rename,renameat,renameat2", "openat"];

#[test]
fn dying_at_any_write_loses_nothing_that_was_shown() {
    let (bench, mut shown, mut deaths, mut number) = (Bench::new(), BTreeSet::new(), 0, 0);
    for calls in CALLS {
        // Each thread has its own count: the longest goes through them all.
        for nth in 1.. {
            number += 1;
            if !is_long() && nth % step(calls) != 0 && nth != 1 {
                continue;
            }
            let (reference, died) = one_death(&bench, number, &format!("inject={calls}:signal=KILL:when={nth}"));
            shown.insert(reference);
            if !died {
                break;
            }
            deaths += 1;
        }
    }
    println!("{deaths} deaths, {} references shown, 0 lost", shown.len());
    assert!(deaths > 10, "hardly anything was killed");
    let guichet = bench.start();
    bench.await_delivery(&shown);
    bench.assert_sound();
    guichet.kill();
}

/// In the short form one call in so many.
fn step(calls: &str) -> usize {
    match calls {
        "pwrite64" => 12,
        "openat" => 5,
        _ => 1,
    }
}

/// Goes from an upload to a delivery while the process is to die on the way; then starts it again and presses once more.
/// Gives the reference that is shown in the end, and whether the process died.
fn one_death(bench: &Bench, number: usize, injection: &str) -> (String, bool) {
    let mut guichet = bench.start();
    let mut client = guichet.client();
    let trace = Trace::attach(guichet.child.id(), bench.root(), &["-e", injection]);
    let filled = Filled::with_file(&mut client, number).ok();
    let filled = filled.map(|page| page.unwrap_or_else(|page| panic!("{injection}: {}", page.status)));
    let answer = filled.as_ref().and_then(|filled| filled.send(&mut client).ok());
    let first = answer.map(|answer| reference(&answer).unwrap_or_else(|| panic!("{injection}: {}", answer.status)));
    if let Some(first) = &first {
        // It may still die while it delivers.
        let deadline = Instant::now() + PATIENCE;
        while !trace.saw_death() && !bench.is_settled(first) && Instant::now() < deadline {
            pause();
        }
    }
    let died = trace.saw_death() || first.is_none();
    drop(trace);
    if died {
        guichet.kill();
        guichet = bench.start();
        client = guichet.client();
    }
    let filled = match filled {
        Some(filled) => filled,
        None => Filled::with_file(&mut client, number).unwrap().unwrap_or_else(|page| panic!("{}", page.status)),
    };
    let again = filled.send(&mut client).unwrap();
    let again = reference(&again).unwrap_or_else(|| panic!("{injection}: {} {}", again.status, again.body));
    assert!(first.is_none_or(|first| first == again), "{injection}: another reference after the crash");
    if died {
        bench.hasten(&[again.clone()].into());
    }
    bench.await_delivery(&[again.clone()].into());
    bench.assert_sound();
    guichet.kill();
    (again, died)
}
