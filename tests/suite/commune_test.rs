//! A commune's folder to edit, and the program run on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A copy of a commune's folder in a temporary place, with an own cache and output.
pub struct CommuneTest {
    root: TempDir,
}

/// What a run of the program gave.
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Speech, the temporary folder written `[TEMP]`.
    pub stderr: String,
}

impl CommuneTest {
    /// The smallest commune that builds without a word.
    pub fn minimal() -> Self {
        Self::copy_of("tests/communes/minimal")
    }

    /// The starter commune.
    pub fn starter() -> Self {
        Self::copy_of("starter-commune")
    }

    /// No folder at all: for `new`.
    pub fn empty() -> Self {
        CommuneTest { root: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A copy of a folder of the repository.
    pub fn copy_of(folder: &str) -> Self {
        let test = Self::empty();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &test.folder());
        test
    }

    /// The commune's folder.
    pub fn folder(&self) -> PathBuf {
        self.root.path().join("commune")
    }

    /// Where `build` writes.
    pub fn public(&self) -> PathBuf {
        self.root.path().join("commune-public")
    }

    /// The temporary folder.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Writes a file of the commune.
    pub fn write(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.folder().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("written");
        self
    }

    /// Replaces words of a file that must hold them.
    pub fn edit(self, path: &str, from: &str, to: &str) -> Self {
        let text = self.read(path);
        assert!(text.contains(from), "{path} holds no « {from} »");
        self.write(path, text.replacen(from, to, 1))
    }

    /// Adds to the end of a file.
    pub fn append(self, path: &str, text: &str) -> Self {
        let whole = self.read(path) + text;
        self.write(path, whole)
    }

    /// Text of a file of the commune.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Text of a file of the site.
    pub fn page(&self, path: &str) -> String {
        std::fs::read_to_string(self.public().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Runs the program with these words, in the temporary folder.
    pub fn run(&self, words: &[&str]) -> Run {
        let output = self.command(words).output().expect("the program runs");
        self.told(&output)
    }

    /// The program with these words, ready to run.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mulot"));
        command
            .args(words)
            .current_dir(self.root.path())
            .env("XDG_CACHE_HOME", self.root.path().join("cache"))
            .env("HOME", self.root.path())
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100");
        command
    }

    /// `mulot build commune` on 21 November 2026.
    pub fn build(&self) -> Run {
        self.run(&["build", "commune", "--date", "2026-11-21"])
    }

    /// `mulot check commune` on 21 November 2026.
    pub fn check(&self) -> Run {
        self.run(&["check", "commune", "--date", "2026-11-21"])
    }

    /// What a run told, its temporary paths and durations made stable.
    pub fn told(&self, output: &Output) -> Run {
        let stable = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).expect("the program speaks UTF-8");
            let temp = self.root.path().canonicalize().expect("there");
            let text = text
                .replace(&temp.display().to_string(), "[TEMP]")
                .replace(&self.root.path().display().to_string(), "[TEMP]");
            without_durations(&text)
        };
        Run { code: output.status.code().unwrap_or(-1), stdout: stable(&output.stdout), stderr: stable(&output.stderr) }
    }
}

/// « en 31 ms » → « en [N] ms ».
fn without_durations(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for at in 1..words.len() {
        if words[at].starts_with("ms") && words[at - 1].bytes().all(|byte| byte.is_ascii_digit()) {
            words[at - 1] = "[N]".into();
        }
    }
    words.join(" ")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}
