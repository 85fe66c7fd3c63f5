//! Another machine with a shell and rsync: the new version is sent beside the one served, what did not change being links, and
//! a symbolic link is moved from one to the other in one step.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use jiff::Timestamp;

use super::books::{Books, HISTORY, History, manifest, manifest_name};
use super::error::PublishError;
use super::ssh::{Line, no_program, quoted};
use super::tree::{MARK, Tree, is_version};
use super::{Access, Host, Local, Order, Result, Standing};
use crate::model::publication::{Manifest, Version};

/// Refuses what is not ours; said with the ways out.
const REMEDY: &str = "donnez un chemin qui n'existe pas encore : Mulot y mettra un lien vers la version servie ; pour remplir ce \
                      dossier fichier par fichier, écrivez ordonne = true dans [publication]";

/// What stands at the target, as its shell tells it.
pub(super) struct State {
    /// rsync is on both machines.
    rsync: bool,
    kind: Kind,
    /// The version that the link leads to.
    pub(super) version: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Absent,
    Empty,
    Ours,
    /// A folder filled by us, file by file.
    Ordered,
    Foreign,
}

impl State {
    /// Asks; `None` when there is no shell.
    pub(super) fn of(line: &Line) -> Result<Option<State>> {
        let script = format!(
            "{}\n\
             if command -v rsync >/dev/null 2>&1; then echo rsync; fi\n\
             if [ -L \"$C\" ]; then printf 'lien %s\\n' \"$(readlink \"$C\")\"\n\
             elif [ -d \"$C\" ]; then\n\
             if [ -z \"$(ls -A \"$C\")\" ]; then echo vide; elif [ -f \"$V/{HISTORY}\" ]; then echo ordonne; else echo autre; fi\n\
             elif [ -e \"$C\" ]; then echo autre; else echo absent; fi",
            names(line)
        );
        let Some(said) = line.try_script(&script)? else { return Ok(None) };
        let local = Command::new("rsync").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let rsync = said.lines().any(|word| word == "rsync") && local.is_ok_and(|status| status.success());
        let base = line.beside().rsplit('/').next().unwrap_or_default().to_owned();
        let version = said.lines().find_map(|word| word.strip_prefix("lien ")).and_then(|to| {
            let version = to.strip_prefix(&base)?.strip_prefix('/')?;
            is_version(version).then(|| version.to_owned())
        });
        let has = |word: &str| said.lines().any(|said| said == word);
        let kind = match (&version, has("absent"), has("vide"), has("ordonne")) {
            (Some(_), ..) => Kind::Ours,
            (None, true, ..) => Kind::Absent,
            (None, _, true, _) => Kind::Empty,
            (None, _, _, true) => Kind::Ordered,
            _ => Kind::Foreign,
        };
        Ok(Some(State { rsync, kind, version }))
    }

    /// Whether whole folders can be exchanged there; what is foreign is refused by the same road.
    pub(super) fn is_fit(&self) -> bool {
        self.rsync && self.kind != Kind::Ordered || self.kind == Kind::Foreign
    }
}

/// The two paths every script speaks of.
fn names(line: &Line) -> String {
    format!("C={}; V={}", quoted(line.served()), quoted(&line.beside()))
}

/// A machine with a shell and rsync.
pub(super) struct Shell {
    line: Line,
    live: Option<String>,
    kept: usize,
    /// Given to rsync as its standard input, so that the lock outlives us for as long as it works.
    lock: Option<std::fs::File>,
}

impl Shell {
    pub(super) fn open(
        line: Line,
        state: State,
        order: &Order<'_>,
        access: Access,
        local: Option<&Local>,
    ) -> Result<Shell> {
        let place = order.target.place();
        if state.kind == Kind::Foreign {
            return Err(PublishError::NotOurs { place, remedy: REMEDY });
        }
        let kept = line.target.versions;
        let mut shell = Shell { line, live: state.version, kept, lock: None };
        if access == Access::Change {
            let ours = quoted(local.map_or("", |local| local.name.as_str()));
            let force = if order.take_over { "true" } else { "false" };
            let said = shell.run(&format!(
                "mkdir -p \"$V\"\n\
                 if ! mkdir \"$V/verrou.d\" 2>/dev/null; then\n\
                 qui=$(cat \"$V/verrou.d/qui\" 2>/dev/null || true)\n\
                 if [ -n \"$qui\" ] && [ \"$qui\" != {ours} ] && ! {force}; then echo occupe; exit 0; fi\n\
                 fi\n\
                 printf %s {ours} >\"$V/verrou.d/qui\""
            ))?;
            if said.trim() == "occupe" {
                return Err(PublishError::Busy { place });
            }
            shell.lock = local.and_then(|local| local.lock.try_clone().ok());
        }
        Ok(shell)
    }

    /// Runs a script that stops at the first thing that fails.
    fn run(&self, script: &str) -> Result<String> {
        self.line.script(&format!("set -e\n{}\n{script}", names(&self.line)))
    }

    /// Sends a whole site beside the one served.
    fn transfer(&self, tree: &Tree) -> Result<()> {
        let mut command = Command::new("rsync");
        command.args(["-r", "-p", "-s", "--checksum", "--delete", "--chmod=D755,F644", "--timeout=90", "-e"]);
        command.arg(remote_shell(&self.line));
        if let Some(live) = &self.live {
            command.arg(format!("--link-dest=../{live}"));
        }
        let mut from = tree.root.clone().into_os_string();
        from.push("/");
        let host = &self.line.target.host;
        command.arg("--").arg(from).arg(format!("{host}:{}/envoi/", self.line.beside())).env("LC_ALL", "C");
        command.stdin(self.lock.as_ref().and_then(|lock| lock.try_clone().ok()).map_or(Stdio::null(), Stdio::from));
        let output = command.output().map_err(|_| no_program("rsync", "rsync"))?;
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if errors.contains("No space left") {
            // Half of a site is of no use there; what is told is why.
            let _ = self.run("rm -rf \"$V/envoi\"");
        }
        Err(self.line.explain(&errors, output.status.code()))
    }

    /// Shows a version that stands whole beside, writes down what stands, and removes what went.
    fn show(&mut self, version: &str, history: &History, gone: &[Version], before: &str) -> Result<()> {
        let base = self.line.beside().rsplit('/').next().unwrap_or_default().to_owned();
        let link = quoted(&format!("{base}/{version}"));
        let mut script = format!(
            "{before}\n\
             [ -d \"$V/{version}\" ]\n\
             if [ -d \"$C\" ] && [ ! -L \"$C\" ]; then rmdir \"$C\"; fi\n\
             rm -f \"$V/lien\"\n\
             ln -s {link} \"$V/lien\"\n\
             mv -T \"$V/lien\" \"$C\" 2>/dev/null || mv -fh \"$V/lien\" \"$C\"\n{}",
            writing(HISTORY, &serde_json::to_string(history).unwrap_or_default())
        );
        for one in gone.iter().filter(|one| one.version != version) {
            script.push_str(&format!("\nrm -rf \"$V/{0}\" \"$V/manifestes/{0}.json\"", one.version));
        }
        self.run(&script)?;
        self.live = Some(version.to_owned());
        Ok(())
    }
}

/// What `rsync` runs to reach the other machine, cut into words by its own rules: quotes, no backslash.
fn remote_shell(line: &Line) -> OsString {
    let mut words = String::from("ssh");
    for option in line.options() {
        let option = option.to_string_lossy().into_owned();
        let quote = if option.contains('"') { '\'' } else { '"' };
        words.push_str(&format!(" {quote}{option}{quote}"));
    }
    words.into()
}

/// A piece of script that writes a description, whole or not at all.
fn writing(name: &str, text: &str) -> String {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!(
        "mkdir -p \"$V/{folder}\"\ncat >\"$V/{name}.neuf\" <<'MULOT-FIN'\n{text}\nMULOT-FIN\nmv -f \"$V/{name}.neuf\" \"$V/{name}\""
    )
}

impl Books for Shell {
    fn place(&self) -> String {
        format!("{}:{}", self.line.target.host, self.line.beside())
    }

    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let said = self.run(&format!("if [ -f \"$V/{name}\" ]; then echo oui; cat \"$V/{name}\"; fi"))?;
        Ok(said.strip_prefix("oui\n").map(|text| text.as_bytes().to_vec()))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.run(&writing(name, &String::from_utf8_lossy(bytes))).map(drop)
    }

    fn discard(&mut self, name: &str) -> Result<()> {
        self.run(&format!("rm -f \"$V/{name}\"")).map(drop)
    }
}

impl Host for Shell {
    fn standing(&mut self) -> Result<Standing> {
        let mut history = History::load(self)?;
        let live = self.live.as_ref().map(|version| Version { version: version.clone(), at: Timestamp::now() });
        history.agree_with(live.as_ref());
        let manifest = manifest(self, history.live().cloned().as_ref())?;
        Ok(Standing { history, manifest, unfinished: false })
    }

    fn manifest_of(&mut self, version: &Version) -> Result<Manifest> {
        let whole = self.run(&format!("if [ -f \"$V/{}/{MARK}\" ]; then echo oui; fi", version.version))?;
        let found = manifest(self, Some(version))?;
        if whole.trim() != "oui" || found.files.is_empty() {
            return Err(PublishError::Incomplete { place: self.place(), at: version.at });
        }
        Ok(found)
    }

    fn send(&mut self, tree: &Tree, standing: &mut Standing, now: Timestamp) -> Result<()> {
        self.transfer(tree)?;
        let version = Version { version: tree.version.clone(), at: now };
        let name = manifest_name(&version.version);
        let mark = serde_json::to_string(&version).unwrap_or_default();
        let before = format!(
            "{}\n{}\n\
             sync -f \"$V/envoi\" 2>/dev/null || sync 2>/dev/null || true\n\
             rm -rf \"$V/{version}\"\n\
             mv \"$V/envoi\" \"$V/{version}\"",
            writing(&format!("envoi/{MARK}"), &mark),
            writing(&name, &serde_json::to_string(&tree.manifest).unwrap_or_default()),
            version = version.version
        );
        let gone = standing.history.push(&version.version, now, self.kept);
        self.show(&version.version, &standing.history, &gone, &before)
    }

    fn go_back(&mut self, standing: &mut Standing, to: &Version, _: &Manifest) -> Result<()> {
        let before = standing.history.versions.clone();
        standing.history.agree_with(Some(to));
        let gone = before[standing.history.versions.len()..].to_vec();
        self.show(&to.version, &standing.history, &gone, "")
    }
}

impl Drop for Shell {
    /// Whoever comes next finds the door open; a run that was killed leaves its own name on it.
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = self.run("rm -rf \"$V/verrou.d\"");
        }
    }
}
