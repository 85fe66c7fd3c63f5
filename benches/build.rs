//! Build of a generated commune beside a probe of the physical limit.
//!
//! `cargo bench --bench build [-- 100 1000 10000]`: for each number of contents, medians of five rounds, in turn:
//!
//! - *sonde*: reads every source, parses its front matter and its Markdown, writes files of the same paths and bytes as the
//!   site, on the same file system, on all cores, and nothing else;
//! - *à froid*: `mulot build` into a new folder; *une page changée*: the same after one edit; *rien changé*: the same again;
//! - peak memory of the cold build (VmHWM).
//!
//! A ratio to the probe means something on any machine; the milliseconds do not.

#[path = "support/content.rs"]
mod content;

use std::time::Duration;

use content::{generate, memory_folder, mulot, probe, read_tree};

const ROUNDS: usize = 5;

fn main() {
    let asked: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![100, 1_000, 10_000] } else { asked };
    println!(
        "contenus | sonde ms | à froid ms | rapport | une page changée ms | rien changé ms | mémoire Mo | sortie Mo"
    );
    for size in sizes {
        measure(size);
    }
}

fn measure(size: usize) {
    let root = tempfile::tempdir_in(memory_folder()).expect("a folder");
    let folder = root.path().join("commune");
    generate(&folder, size, 4);
    let mut runs = Runs::default();
    let mut peak = 0;
    let mut bytes = 0;
    for round in 0..ROUNDS {
        let dest = root.path().join(format!("site-{round}"));
        let (cold, memory) = mulot(root.path(), "commune", &dest);
        peak = peak.max(memory);
        let edited = folder.join("actualites/2026-01-01-sujet-0.md");
        let text = std::fs::read_to_string(&edited).expect("a news item");
        std::fs::write(&edited, format!("{text}\nUne phrase de plus, la {round}e.\n")).expect("written");
        let (edit, _) = mulot(root.path(), "commune", &dest);
        let (same, _) = mulot(root.path(), "commune", &dest);
        std::fs::write(&edited, text).expect("written");
        let site = read_tree(&dest);
        bytes = site.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        let probe = probe(&folder, &site, &root.path().join(format!("sonde-{round}")));
        runs.push(probe, cold, edit, same);
        std::fs::remove_dir_all(&dest).expect("removed");
        std::fs::remove_dir_all(root.path().join(format!(".site-{round}.precedent"))).ok();
        std::fs::remove_dir_all(root.path().join(format!("sonde-{round}"))).expect("removed");
    }
    let [probe, cold, edit, same] = runs.medians();
    println!(
        "{size} | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {} | {:.1}",
        probe,
        cold,
        cold / probe,
        edit,
        same,
        peak / 1024,
        bytes as f64 / 1e6,
    );
}

#[derive(Default)]
struct Runs([Vec<f64>; 4]);

impl Runs {
    fn push(&mut self, probe: Duration, cold: Duration, edit: Duration, same: Duration) {
        for (list, time) in self.0.iter_mut().zip([probe, cold, edit, same]) {
            list.push(time.as_secs_f64() * 1e3);
        }
    }

    fn medians(mut self) -> [f64; 4] {
        self.0.iter_mut().for_each(|list| list.sort_by(f64::total_cmp));
        self.0.map(|list| list[list.len() / 2])
    }
}
