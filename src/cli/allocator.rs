//! Has the system's allocator give memory back: a photograph that is looked at takes tens of megabytes for a second.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Read by glibc before `main`, and never after; other systems do not know them.
const SETTINGS: [(&str, &str); 2] = [
    // Bytes from which a block is the system's own and goes back to it at once: what a database or a photograph takes. Left
    // alone, glibc raises the threshold to 32 MB with the first photograph, then keeps as much for each thread.
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
    // Heaps: one for each thread that ever opened a commune keeps what the others could use.
    ("MALLOC_ARENA_MAX", "2"),
];

/// Starts this program again in its own process, told to give memory back; returns when it is, or when that cannot be done:
/// it then keeps more memory, nothing else.
pub(super) fn give_back() {
    // Set already: by this very function, or by somebody who knows better.
    if SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut words = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    let _ = again.args(words).envs(SETTINGS).exec();
}
