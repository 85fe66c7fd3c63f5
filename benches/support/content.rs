//! Communes to build, and the physical limit to measure their build by.

#![allow(dead_code, unreachable_pub, reason = "shared by benches that each use a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rayon::prelude::*;

/// A file system in memory when there is one: disks differ too much.
pub fn memory_folder() -> PathBuf {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() }
}

/// One `mulot build` of a folder of `root`: its duration and its peak memory in kB.
pub fn mulot(root: &Path, folder: &str, dest: &Path) -> (Duration, u64) {
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mulot"))
        .args(["build", folder, "--date", "2026-11-21", "--sortie"])
        .arg(dest)
        .current_dir(root)
        .env("XDG_CACHE_HOME", root.join("cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mulot runs");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        if let Some(kilobytes) = std::fs::read_to_string(&status).ok().as_deref().and_then(high_water) {
            peak = kilobytes;
        }
        if let Some(ended) = child.try_wait().expect("waited") {
            assert!(ended.success(), "the generated commune builds");
            return (started.elapsed(), peak);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn high_water(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
}

/// Reads, parses and writes the same bytes, and nothing else.
pub fn probe(folder: &Path, site: &[(String, Vec<u8>)], dest: &Path) -> Duration {
    let started = Instant::now();
    let sources = read_tree(folder);
    let parsed: usize = sources
        .par_iter()
        .filter(|(path, _)| path.ends_with(".md"))
        .map(|(_, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            let mut parts = text.splitn(3, "+++");
            let (_, front, body) = (parts.next(), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let table: toml::Table = front.parse().expect("front matter");
            let mut html = String::with_capacity(body.len() * 2);
            pulldown_cmark::html::push_html(
                &mut html,
                pulldown_cmark::Parser::new_ext(body, pulldown_cmark::Options::all()),
            );
            table.len() + html.len()
        })
        .sum();
    std::hint::black_box(parsed);
    let folders: std::collections::BTreeSet<_> =
        site.iter().filter_map(|(path, _)| dest.join(path).parent().map(Path::to_owned)).collect();
    folders.iter().for_each(|folder| std::fs::create_dir_all(folder).expect("a folder"));
    site.par_iter().for_each(|(path, bytes)| std::fs::write(dest.join(path), bytes).expect("written"));
    started.elapsed()
}

pub fn read_tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files: Vec<_> =
        walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file()).collect();
    files
        .par_iter()
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
            (path, std::fs::read(entry.path()).expect("readable"))
        })
        .collect()
}

/// A commune of `size` contents: half news, the rest events, pages, associations; each with `sections` parts of about 1 kB,
/// links and tables.
pub fn generate(folder: &Path, size: usize, sections: usize) {
    let minimal = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal");
    for (path, bytes) in read_tree(&minimal) {
        write(folder, &path, &bytes);
    }
    let body = body(sections);
    for number in 0..size {
        let (year, month, day) = (2020 + number % 7, number / 7 % 12 + 1, number / 84 % 28 + 1);
        let link =
            "[l'accueil de la mairie](../pages/mairie/index.md) et [ce sujet](../actualites/2026-01-01-sujet-0.md)"
                .to_owned();
        let (path, front) = match number % 10 {
            _ if number == 0 => {
                ("actualites/2026-01-01-sujet-0.md".to_owned(), "resume = \"Un résumé de quelques mots.\"\n".to_owned())
            }
            0..=4 => (
                format!("actualites/{year}-{month:02}-{day:02}-sujet-{number}.md"),
                "resume = \"Un résumé de quelques mots pour la liste.\"\ncategorie = \"travaux\"\n".to_owned(),
            ),
            5 | 6 => (
                format!("agenda/{year}-{month:02}-{day:02}-fete-{number}.md"),
                "lieu = \"Place du Tilleul\"\ncategorie = \"fete\"\n".to_owned(),
            ),
            7 | 8 => (format!("pages/vie-{}/page-{number}.md", number % 5), "resume = \"Une page.\"\n".to_owned()),
            _ => (
                format!("annuaire/associations/association-{number}.md"),
                "objet = \"Faire vivre le village.\"\ncreneaux = [\"Le mardi soir\"]\n".to_owned(),
            ),
        };
        let up = if path.matches('/').count() == 2 { link.replace("../", "../../") } else { link };
        write(
            folder,
            &path,
            format!(
                "+++\ntitre = \"Sujet numéro {number} : une nouvelle du village\"\n{front}+++\n\nVoir {up}.\n\n{body}"
            )
            .as_bytes(),
        );
    }
}

fn body(sections: usize) -> String {
    let paragraph = "La mairie vous informe que les travaux commencent lundi : la rue reste ouverte aux riverains, les autres passent par la place. Le *car scolaire* s'arrête devant l'église, et **les poubelles** sont à sortir la veille avant 19 heures ! ";
    let mut body = String::new();
    for section in 1..=sections {
        body.push_str(&format!("## Partie {section}\n\n{}\n\n- un premier point\n- un deuxième, avec une [adresse](https://www.service-public.gouv.fr/)\n- un troisième\n\n", paragraph.repeat(3)));
    }
    body.push_str("| Jour | Collecte |\n|---|---|\n| lundi | ordures |\n| jeudi | tri |\n\n> [!NOTE]\n> Les jours fériés décalent la collecte d'un jour.\n");
    body
}

pub fn write(folder: &Path, path: &str, bytes: &[u8]) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, bytes).expect("written");
}
