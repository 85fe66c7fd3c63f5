//! The order of an acceptance, call by call: nothing is shown to the resident before all of it is on the disk.
//!
//! Draft synced → moved to its place → its folder synced → submission written to the log → log synced → 303. A syscall is
//! what the kernel was really asked for: this proof does not believe the code, nor the library under it.

use crate::bench::{Bench, Filled, reference};
use crate::trace::{Call, Trace};

/// Calls that touch files or answer a browser.
const SEEN: &str =
    "trace=openat,mkdir,mkdirat,rename,renameat,renameat2,fsync,fdatasync,write,writev,sendto,sendmsg,pwrite64";

#[test]
fn nothing_is_shown_before_it_is_on_the_disk() {
    assert_order(&[]);
}

#[test]
fn a_slow_disk_is_waited_for() {
    // A sync of a hundredth of a second: an answer that does not wait for it leaves before it.
    assert_order(&["-e", "inject=fsync,fdatasync:delay_enter=20000"]);
}

fn assert_order(more: &[&str]) {
    let bench = Bench::new();
    let guichet = bench.start();
    let mut client = guichet.client();
    // What is done once only — folders, caches, the first digest — is done before anybody looks.
    let first = Filled::contact(&mut client, 0).unwrap();
    assert!(reference(&first.send(&mut client).unwrap()).is_some());
    bench.await_rest();

    let arguments: Vec<&str> = ["-e", SEEN].iter().chain(more).copied().collect();
    let trace = Trace::attach(guichet.child.id(), bench.root(), &arguments);
    let filled = Filled::with_file(&mut client, 1).unwrap().unwrap();
    let answer = filled.send(&mut client).unwrap();
    assert!(reference(&answer).is_some(), "{}", answer.body);
    let calls = trace.detach();

    let id = filled.field("fichier.pieces").unwrap();
    let (draft, kept) = (format!("/entrants/{id}.part"), format!("/pj/{}/{id}", &id[..2]));
    let shelf = format!("/pj/{}>", &id[..2]);
    let log = "/guichet.db-wal>";
    let wrote =
        |call: &&Call, place: &str| matches!(call.name.as_str(), "write" | "pwrite64") && call.text.contains(place);

    let drafted = calls.iter().filter(|call| wrote(call, &draft)).map(|call| call.ended).max().expect("a draft");
    let draft_synced = synced(&calls, &format!("{draft}>"), drafted);
    let moved = calls
        .iter()
        .find(|call| call.name.starts_with("rename") && call.text.contains(&draft) && call.text.contains(&kept))
        .filter(|call| call.is_done())
        .expect("the draft is moved to its place");
    assert!(draft_synced.ended < moved.begun, "the file was moved before it was synced: {calls:#?}");
    let shelf_synced = synced(&calls, &shelf, moved.ended);
    let shown = calls.iter().find(|call| call.text.contains("\"HTTP/1.1 303")).expect("the answer is seen");
    let writes: Vec<&Call> = calls.iter().filter(|call| wrote(call, log) && call.begun < shown.begun).collect();
    let first = writes.iter().map(|call| call.begun).min().expect("the log is written before the answer");
    assert!(shelf_synced.ended < first, "the submission was written before its file was safe: {calls:#?}");
    if let Some(made) = calls.iter().find(|call| call.name.starts_with("mkdir") && call.text.contains("/pj/")) {
        let parent_synced = synced(&calls, "/pj>", made.ended);
        assert!(parent_synced.ended < first, "the folder's own name was not synced: {calls:#?}");
    }
    // The first sync after the first write: later ones are of the delivery, which the same commit has woken.
    let log_synced = synced(&calls, log, first);
    assert!(log_synced.ended < shown.begun, "the answer left before the log was synced: {calls:#?}");
    guichet.kill();
}

/// The first sync of this file that begins after line `after`, done.
fn synced<'a>(calls: &'a [Call], place: &str, after: usize) -> &'a Call {
    calls
        .iter()
        .filter(|call| matches!(call.name.as_str(), "fsync" | "fdatasync") && call.is_done())
        .filter(|call| call.text.contains(place) && call.begun > after)
        .min_by_key(|call| call.ended)
        .unwrap_or_else(|| panic!("{place} is not synced after line {after}: {calls:#?}"))
}
