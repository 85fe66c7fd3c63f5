//! The cheapest hosting: SFTP and nothing else. Files go one by one, each under another name first, then renamed over the old one.
//!
//! One `sftp` of the system is kept open and driven by its batch of commands; after each, it is asked to echo a word, by which we
//! know that it was done. What a page was is kept by a hard link: nothing travels twice.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use super::books::Books;
use super::ordered::Shelf;
use super::ssh::{Line, no_program};
use super::{Access, Result};
use crate::fs::{self, FsError};
use crate::model::publication::Manifest;

/// A machine that speaks SFTP.
pub(super) struct Sftp {
    line: Line,
    session: Option<Session>,
    /// Folders that are known to be there.
    folders: BTreeSet<String>,
    /// Where descriptions pass on this machine.
    desk: tempfile::TempDir,
}

struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    errors: JoinHandle<String>,
    count: u32,
}

impl Sftp {
    pub(super) fn open(line: Line, access: Access) -> Result<Sftp> {
        let desk = tempfile::tempdir().map_err(|source| FsError {
            action: "créer le dossier",
            path: std::env::temp_dir(),
            source,
        })?;
        let mut sftp = Sftp { line, session: None, folders: BTreeSet::new(), desk };
        if access == Access::Change {
            let (served, beside) = (sftp.line.served().to_owned(), sftp.line.beside());
            let make: Vec<String> =
                [served, beside.clone(), format!("{beside}/objets"), format!("{beside}/manifestes")]
                    .iter()
                    .map(|folder| format!("-mkdir {}", quoted(folder)))
                    .collect();
            sftp.run(&make)?;
        }
        Ok(sftp)
    }

    /// Does these commands; what they wrote. A command that fails ends the session, unless it starts with `-`.
    fn run(&mut self, commands: &[String]) -> Result<Vec<String>> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session::start(&self.line)?),
        };
        match session.run(commands) {
            Some(said) => Ok(said),
            None => {
                let (errors, code) = self.session.take().map(Session::end).unwrap_or_default();
                Err(self.line.explain(&errors, code))
            }
        }
    }

    fn served(&self, path: &str) -> String {
        quoted(&format!("{}/{path}", self.line.served()))
    }

    fn beside(&self, name: &str) -> String {
        quoted(&format!("{}/{name}", self.line.beside()))
    }

    /// Commands that make the folders above a path of the site.
    fn folders_of(&mut self, path: &str) -> Vec<String> {
        let mut commands = Vec::new();
        for (at, _) in path.match_indices('/') {
            let folder = &path[..at];
            if self.folders.insert(folder.to_owned()) {
                commands.push(format!("-mkdir {}", self.served(folder)));
            }
        }
        commands
    }
}

impl Session {
    fn start(line: &Line) -> Result<Session> {
        let mut command = Command::new("sftp");
        command.args(["-q", "-b", "-"]).args(line.options()).arg(&line.target.host);
        // `!echo` is done by the shell of the user, which may be one that refuses everything.
        command.env("LC_ALL", "C").env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let missing = || no_program("sftp", "openssh-client");
        let mut child = command.spawn().map_err(|_| missing())?;
        let (stdin, stdout) = (child.stdin.take().ok_or_else(missing)?, child.stdout.take().ok_or_else(missing)?);
        let mut stderr = child.stderr.take().ok_or_else(missing)?;
        let errors = std::thread::spawn(move || {
            let mut said = Vec::new();
            let _ = stderr.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        Ok(Session { child, stdin, stdout: BufReader::new(stdout), errors, count: 0 })
    }

    /// Lines that the commands wrote, once all are done; `None` when the session ended.
    fn run(&mut self, commands: &[String]) -> Option<Vec<String>> {
        self.count += 1;
        let done = format!("MULOT-{}", self.count);
        let mut script: String = commands.iter().map(|command| format!("{command}\n")).collect();
        script.push_str(&format!("!echo {done}\n"));
        self.stdin.write_all(script.as_bytes()).ok()?;
        self.stdin.flush().ok()?;
        let mut said = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stdout.read_until(b'\n', &mut line).ok()? == 0 {
                return None;
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line == done {
                return Some(said);
            }
            if !line.starts_with("sftp> ") {
                said.push(line);
            }
        }
    }

    /// What it said on its way out.
    fn end(self) -> (String, Option<i32>) {
        let Session { mut child, stdin, stdout, errors, .. } = self;
        drop((stdin, stdout));
        let code = child.wait().ok().and_then(|status| status.code());
        (errors.join().unwrap_or_default(), code)
    }
}

/// A path as one word of `sftp`, which would otherwise cut it at spaces and take `*` for many files.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

fn local(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

impl Books for Sftp {
    fn place(&self) -> String {
        format!("{}:{}", self.line.target.host, self.line.served())
    }

    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let copy = self.desk.path().join("lu");
        fs::remove(&copy)?;
        self.run(&[format!("-get {} {}", self.beside(name), local(&copy))])?;
        if copy.exists() { Ok(Some(fs::read(&copy)?)) } else { Ok(None) }
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let copy = self.desk.path().join("ecrit");
        fs::write(&copy, bytes)?;
        let passing = self.beside("passage.json");
        self.run(&[format!("put {} {passing}", local(&copy))])?;
        self.run(&[format!("rename {passing} {}", self.beside(name))]).map(drop)
    }

    fn discard(&mut self, name: &str) -> Result<()> {
        self.run(&[format!("-rm {}", self.beside(name))]).map(drop)
    }
}

impl Shelf for Sftp {
    fn put(&mut self, files: &[(String, PathBuf)]) -> Result<()> {
        let passing = self.beside("passage");
        for (path, file) in files {
            let mut commands = self.folders_of(path);
            commands.push(format!("put {} {passing}", local(file)));
            self.run(&commands)?;
            // Only once the whole file is there: if we die before, nothing takes the place of the page.
            self.run(&[format!("rename {passing} {}", self.served(path))])?;
        }
        Ok(())
    }

    fn keep(&mut self, files: &[(String, String)]) -> Result<()> {
        let link = |(path, hash): &(String, String)| {
            format!("-ln {} {}", self.served(path), self.beside(&format!("objets/{hash}")))
        };
        let commands: Vec<String> = files.iter().map(link).collect();
        self.run(&commands).map(drop)
    }

    fn restore(&mut self, files: &[(String, String)]) -> Result<bool> {
        let passing = self.beside("passage");
        for (path, hash) in files {
            let kept = self.beside(&format!("objets/{hash}"));
            if self.run(&[format!("-ls -1 {kept}")])?.is_empty() {
                return Ok(false);
            }
            let mut commands = self.folders_of(path);
            commands.push(format!("-rm {passing}"));
            commands.push(format!("ln {kept} {passing}"));
            commands.push(format!("rename {passing} {}", self.served(path)));
            self.run(&commands)?;
        }
        Ok(true)
    }

    fn remove(&mut self, paths: &[String]) -> Result<()> {
        let mut commands: Vec<String> = paths.iter().map(|path| format!("-rm {}", self.served(path))).collect();
        let folders: BTreeSet<&str> =
            paths.iter().flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at])).collect();
        // A folder that still holds something stays: the failure is the test.
        commands.extend(folders.iter().rev().map(|folder| format!("-rmdir {}", self.served(folder))));
        for folder in folders {
            self.folders.remove(folder);
        }
        self.run(&commands).map(drop)
    }

    fn forget(&mut self, hashes: &[String]) -> Result<()> {
        let forget = |hash: &String| format!("-rm {}", self.beside(&format!("objets/{hash}")));
        let commands: Vec<String> = hashes.iter().map(forget).collect();
        self.run(&commands).map(drop)
    }

    fn is_foreign(&mut self) -> Result<bool> {
        if self.line.target.ordered {
            return Ok(false);
        }
        let listed = self.run(&[format!("-ls -1a {}", quoted(self.line.served()))])?;
        let name = |line: &str| line.trim_end_matches('/').rsplit('/').next().unwrap_or("").to_owned();
        Ok(listed.iter().map(|line| name(line)).any(|name| !matches!(name.as_str(), "" | "." | "..")))
    }

    fn leaves_out(&self, _: &str, _: &Manifest) -> bool {
        false
    }
}

impl Drop for Sftp {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.end();
        }
    }
}
