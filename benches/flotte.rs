//! Builds of many communes, beside a probe of the physical limit.
//!
//! `cargo bench --bench flotte`:
//!
//! - *50 communes × 200 pages*, pages of about 28 kB: the work that `Zola` and `Hugo` were measured on (one process a commune);
//!   cold, after one edit, after none, medians of five rounds, with the probe that reads, parses and writes the same bytes;
//! - *rien changé*: 100 and 1,000 communes of 20 contents, decided without a build;
//! - *mémoire*: 100, 1,000 communes, peak of the cold build: it must not grow with their number;
//! - `MULOT_LONG=1`: all villages of France under 3,500 inhabitants, 20 contents each, on the disk of `MULOT_BANC` (the
//!   temporary folder otherwise, some 40 GB): time, memory, size, at a tenth and whole, so that growth can be seen.

#[path = "support/content.rs"]
mod content;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use content::{generate, memory_folder, mulot, probe, read_tree, write};
use rayon::prelude::*;

const ROUNDS: usize = 5;

fn main() {
    fifty();
    unchanged();
    if std::env::var_os("MULOT_LONG").is_some() {
        france();
    }
}

/// The territoire of a folder, each commune with so many contents.
fn territoire(root: &Path, communes: impl IntoIterator<Item = String>, contents: usize, sections: usize) -> usize {
    write(root, "territoire.toml", b"nom = \"Pays du banc\"\n");
    let names: Vec<String> = communes.into_iter().collect();
    names.par_iter().for_each(|name| {
        let folder = root.join("communes").join(name);
        generate(&folder, contents, sections);
        let path = folder.join("commune.toml");
        let text = std::fs::read_to_string(&path).expect("a text").replace("trou.example", &format!("{name}.example"));
        std::fs::write(&path, text).expect("written");
    });
    names.len()
}

/// As old as an hour: a file just written would be built once more.
fn wait_for_the_clock() {
    // The program does not believe the times of files younger than two seconds; a bench may wait for them.
    std::thread::sleep(Duration::from_secs(3));
}

fn fifty() {
    let root = tempfile::tempdir_in(memory_folder()).expect("a folder");
    let folder = root.path().join("pays");
    territoire(&folder, (0..50).map(|number| format!("commune-{number:02}")), 200, 20);
    let mut times: [Vec<f64>; 4] = Default::default();
    let (mut peak, mut pages, mut bytes) = (0, 0, 0);
    for round in 0..ROUNDS {
        let dest = root.path().join(format!("sites-{round}"));
        wait_for_the_clock();
        let (cold, memory) = mulot(root.path(), "pays", &dest);
        peak = peak.max(memory);
        let (same, _) = mulot(root.path(), "pays", &dest);
        let edited = folder.join("communes/commune-07/actualites/2026-01-01-sujet-0.md");
        let text = std::fs::read_to_string(&edited).expect("a news item");
        std::fs::write(&edited, format!("{text}\nUne phrase de plus.\n")).expect("written");
        let (edit, _) = mulot(root.path(), "pays", &dest);
        std::fs::write(&edited, text).expect("written");
        let site = read_tree(&dest);
        let html = site.iter().filter(|(path, _)| path.ends_with(".html"));
        (pages, bytes) = html.fold((0, 0), |(pages, total), (_, page)| (pages + 1, total + page.len()));
        let floor = probe(&folder, &site, &root.path().join("sonde"));
        for (list, time) in times.iter_mut().zip([floor, cold, edit, same]) {
            list.push(time.as_secs_f64() * 1e3);
        }
        std::fs::remove_dir_all(&dest).expect("removed");
        std::fs::remove_dir_all(root.path().join("sonde")).expect("removed");
    }
    let [floor, cold, edit, same] = times.map(|mut list| {
        list.sort_by(f64::total_cmp);
        list[list.len() / 2]
    });
    println!(
        "50 communes × 200 contenus : {pages} pages de {:.1} ko ; sonde {floor:.0} ms, à froid {cold:.0} ms ({:.2} fois la sonde), \
         une page changée {edit:.0} ms ({:.0} fois moins qu'à froid), rien changé {same:.0} ms, mémoire {} Mo",
        bytes as f64 / f64::from(pages) / 1e3,
        cold / floor,
        cold / edit,
        peak / 1024,
    );
}

fn unchanged() {
    for communes in [100_usize, 1_000] {
        let root = tempfile::tempdir_in(memory_folder()).expect("a folder");
        let folder = root.path().join("pays");
        territoire(&folder, (0..communes).map(|number| format!("commune-{number:04}")), 20, 4);
        let dest = root.path().join("sites");
        wait_for_the_clock();
        let (cold, peak) = mulot(root.path(), "pays", &dest);
        let mut times: Vec<Duration> = (0..ROUNDS).map(|_| mulot(root.path(), "pays", &dest).0).collect();
        times.sort();
        println!(
            "{communes} communes × 20 contenus : à froid {:.1} s, mémoire {} Mo ; rien changé {} ms",
            cold.as_secs_f64(),
            peak / 1024,
            times[ROUNDS / 2].as_millis(),
        );
    }
}

fn france() {
    let disk = std::env::var_os("MULOT_BANC").map_or_else(std::env::temp_dir, PathBuf::from);
    let villages: Vec<_> = mulot::registry::all()
        .expect("the list")
        .into_iter()
        .filter(|record| record.population.is_some_and(|count| count < 3_500))
        .map(|record| format!("c{}", record.code_insee.to_lowercase()))
        .collect();
    for part in [villages.len() / 10, villages.len()] {
        let root = tempfile::tempdir_in(&disk).expect("a folder");
        let folder = root.path().join("pays");
        let started = SystemTime::now();
        territoire(&folder, villages[..part].iter().cloned(), 20, 4);
        let generated = started.elapsed().expect("a time");
        wait_for_the_clock();
        let dest = root.path().join("sites");
        let (cold, peak) = mulot(root.path(), "pays", &dest);
        let (same, _) = mulot(root.path(), "pays", &dest);
        let (files, bytes) = walkdir::WalkDir::new(&dest)
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_file())
            .filter_map(|entry| entry.metadata().ok())
            .fold((0_u64, 0_u64), |(files, bytes), data| (files + 1, bytes + data.len()));
        println!(
            "{part} villages × 20 contenus : générés en {:.0} s, construits en {:.0} s ({:.1} ms par village), rien changé {:.1} s, \
             mémoire {} Mo, {files} fichiers, {:.1} Go",
            generated.as_secs_f64(),
            cold.as_secs_f64(),
            cold.as_secs_f64() * 1e3 / part as f64,
            same.as_secs_f64(),
            peak / 1024,
            bytes as f64 / 1e9,
        );
    }
}
