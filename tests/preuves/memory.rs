//! That the memory photographs take is given back: the figures are in `benches/charge.rs`, here is what they rest on.

use crate::bench::Bench;

#[test]
fn a_guichet_has_its_allocator_give_memory_back_and_stays_the_same_process() {
    let bench = Bench::new();
    let guichet = bench.start();
    let read = |what: &str| std::fs::read(format!("/proc/{}/{what}", guichet.child.id())).unwrap();
    let (environment, words) = (read("environ"), read("cmdline"));
    let holds = |bytes: &[u8], word: &[u8]| bytes.split(|byte| *byte == 0).any(|one| one == word);
    for setting in [&b"MALLOC_MMAP_THRESHOLD_=131072"[..], b"MALLOC_ARENA_MAX=2"] {
        assert!(holds(&environment, setting), "{}", String::from_utf8_lossy(&environment));
    }
    assert!(holds(&words, b"guichet") && holds(&words, b"guichet.toml"), "{}", String::from_utf8_lossy(&words));
}
