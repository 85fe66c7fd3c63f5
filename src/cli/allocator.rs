//! Has the system's allocator give memory back: a photograph that is looked at takes tens of megabytes for a second.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Read by glibc before `main`, and never after; other systems do not know it.
const THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";
/// Bytes from which a block is the system's own and goes back to it at once. Left alone, glibc raises the threshold to 32 MB
/// with the first photograph, then keeps as much for each thread.
const BYTES: &str = "262144";

/// Starts this program again in its own process, told to give memory back; returns when it is, or when that cannot be done:
/// it then keeps more memory, nothing else.
pub(super) fn give_back() {
    if std::env::var_os(THRESHOLD).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut words = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    let _ = again.args(words).env(THRESHOLD, BYTES).exec();
}
