//! Deliberate defects of durability, each caught: without them, nobody knows that these tests can fail.
//!
//! A file of `mutants/` is a patch under a few lines of text: what it breaks, then the tests that must fail. In every run,
//! each must still apply; in the long form, each is built and must be caught.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[test]
fn every_mutant_still_applies() {
    let nursery = Nursery::new();
    let all = all();
    assert!(all.len() >= 8, "only {} mutants", all.len());
    for mutant in all {
        nursery.patch(&mutant, &[]);
        nursery.patch(&mutant, &["--reverse"]);
    }
}

#[test]
#[ignore = "long: tests/tout.sh --long"]
fn every_mutant_is_caught() {
    let (nursery, mut survivors, mut caught) = (Nursery::new(), Vec::new(), 0);
    for mutant in all() {
        nursery.patch(&mutant, &[]);
        nursery.build(&mutant);
        for test in &mutant.tests {
            let output = nursery.cargo(&["--", "--exact", test]);
            let text = String::from_utf8_lossy(&output.stdout);
            // One that fails is not one that was not found, nor one that could not run.
            let is_caught = !output.status.success() && text.contains("0 passed; 1 failed");
            println!("{} {} by {test}: {}", mutant.name, if is_caught { "caught" } else { "SURVIVES" }, mutant.breaks);
            if is_caught { caught += 1 } else { survivors.push(format!("{} {test}", mutant.name)) }
        }
        nursery.patch(&mutant, &["--reverse"]);
    }
    println!("mutants: {caught} passed, {} failed", survivors.len());
    assert!(survivors.is_empty(), "{survivors:?}");
}

/// A defect.
pub struct Mutant {
    name: String,
    path: PathBuf,
    /// In a sentence.
    breaks: String,
    /// What must notice.
    tests: Vec<String>,
}

fn all() -> Vec<Mutant> {
    let folder = manifest().join("tests/preuves/mutants");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    paths.sort();
    paths.into_iter().map(Mutant::read).collect()
}

impl Mutant {
    fn read(path: PathBuf) -> Mutant {
        let text = std::fs::read_to_string(&path).unwrap();
        let head = |key: &'static str| {
            text.lines().filter_map(move |line| line.strip_prefix(key)).map(|rest| rest.trim().to_owned())
        };
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let breaks = head("Breaks:").next().unwrap_or_else(|| panic!("{name} does not say what it breaks"));
        let tests: Vec<String> = head("Caught-by:").collect();
        assert!(!tests.is_empty(), "{name} is caught by nobody");
        Mutant { name, path, breaks, tests }
    }
}

/// A copy of the sources in which mutants are built one after the other.
pub struct Nursery {
    tree: tempfile::TempDir,
}

impl Nursery {
    pub fn new() -> Nursery {
        let tree = tempfile::tempdir().unwrap();
        let is_wanted =
            |entry: &walkdir::DirEntry| !matches!(entry.file_name().to_str(), Some("target" | "node_modules" | ".git"));
        for entry in walkdir::WalkDir::new(manifest()).into_iter().filter_entry(is_wanted).flatten() {
            let target = tree.path().join(entry.path().strip_prefix(manifest()).unwrap());
            if entry.file_type().is_dir() {
                std::fs::create_dir_all(target).unwrap();
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
        Nursery { tree }
    }

    /// The program with this defect.
    pub fn program(&self, name: &str) -> PathBuf {
        let mutant = all().into_iter().find(|mutant| mutant.name == name).expect("a mutant of that name");
        self.patch(&mutant, &[]);
        self.build(&mutant);
        let program = self.tree.path().join("mulot");
        std::fs::copy(target_dir().join("debug/mulot"), &program).unwrap();
        self.patch(&mutant, &["--reverse"]);
        program
    }

    /// Applies a mutant to the copy, or takes it away.
    fn patch(&self, mutant: &Mutant, more: &[&str]) {
        let mut git = Command::new("git");
        git.args(["apply", "-p1"]).args(more).arg(&mutant.path).current_dir(self.tree.path());
        // The copy is no repository, wherever the temporary folder is.
        let output = git.env("GIT_DIR", self.tree.path().join("nowhere")).output().expect("git is needed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} no longer applies, mend the patch: {said}", mutant.name);
    }

    fn build(&self, mutant: &Mutant) {
        let output = self.cargo(&["--no-run"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} does not build: {said}", mutant.name);
    }

    fn cargo(&self, arguments: &[&str]) -> Output {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--locked", "--offline", "--test", "preuves"]).args(arguments);
        cargo.current_dir(self.tree.path()).env("CARGO_TARGET_DIR", target_dir()).env("CARGO_INCREMENTAL", "0");
        // Nobody debugs a mutant.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env_remove("MULOT_LONG").env("RUST_BACKTRACE", "0").output().unwrap()
    }
}

/// Beside the ordinary one, whose dependencies it begins with.
fn target_dir() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_mulot"));
    let debug = program.parent().unwrap();
    let own = debug.parent().unwrap().join("mutants");
    if !own.exists() {
        std::fs::create_dir_all(&own).unwrap();
        // Hard links: what cargo makes anew, it makes under a new inode.
        let _ = Command::new("cp").arg("-al").arg(debug).arg(own.join("debug")).status();
        // Except the locks of whoever builds there meanwhile, which would be ours too.
        for lock in [".cargo-lock", ".cargo-build-lock", ".cargo-artifact-lock"] {
            let _ = std::fs::remove_file(own.join("debug").join(lock));
        }
    }
    own
}

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
