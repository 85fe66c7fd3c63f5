//! strace attached to a server that runs: sees its calls, makes some of them fail.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A trace under way.
pub struct Trace {
    strace: Child,
    file: PathBuf,
}

impl Trace {
    /// Attaches to all threads of a process; when this returns, no call escapes any more.
    ///
    /// `arguments` are those of strace: what to trace, what to inject. Numbers of calls are counted thread by thread.
    pub fn attach(pid: u32, folder: &Path, arguments: &[&str]) -> Trace {
        let file = folder.join("appels");
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-s", "64", "-o"]).arg(&file).args(arguments).arg("-p").arg(pid.to_string());
        let started = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut strace = started.expect("strace is needed for this test: apt install strace");
        let mut lines = BufReader::new(strace.stderr.take().unwrap()).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        assert!(
            first.contains("attached"),
            "strace may not attach ({first}): run the tests as root, or sysctl kernel.yama.ptrace_scope=0"
        );
        std::thread::spawn(move || lines.for_each(drop));
        Trace { strace, file }
    }

    /// Whether strace has seen the process being killed.
    pub fn saw_death(&self) -> bool {
        std::fs::read_to_string(&self.file).is_ok_and(|text| text.contains("+++ killed by SIGKILL +++"))
    }

    /// Lets the process go on alone; gives the calls that were seen.
    pub fn detach(mut self) -> Vec<Call> {
        self.let_go();
        calls(&std::fs::read_to_string(&self.file).unwrap_or_default())
    }

    /// strace detaches at SIGTERM; when it waits for a thread that has died meanwhile, it never comes back by itself.
    fn let_go(&mut self) {
        let _ = Command::new("kill").arg(self.strace.id().to_string()).stderr(Stdio::null()).status();
        let asked = Instant::now();
        while self.strace.try_wait().is_ok_and(|ended| ended.is_none()) {
            if asked.elapsed() > Duration::from_secs(5) || self.saw_death() {
                let _ = self.strace.kill();
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// A system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `fsync`.
    pub name: String,
    /// Arguments and result as strace writes them, files by their path.
    pub text: String,
    /// Line where it began.
    pub begun: usize,
    /// Line where it ended; the same when nothing happened in between.
    pub ended: usize,
}

impl Call {
    /// Whether it failed because this test wanted it.
    pub fn is_injected(&self) -> bool {
        self.text.contains("(INJECTED)")
    }

    /// Whether it did what was asked.
    pub fn is_done(&self) -> bool {
        !self.text.contains(" = -1 ") && !self.text.ends_with(" = ?")
    }
}

/// Reads what strace wrote, calls cut by another thread put together again.
fn calls(text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut cut: Vec<(&str, usize, String)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            cut.push((pid, at, begun.to_owned()));
            continue;
        }
        let (begun, whole) = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            None => (at, rest.to_owned()),
            Some((_, end)) => {
                let Some(found) = cut.iter().position(|(one, ..)| *one == pid) else { continue };
                let (_, begun, start) = cut.remove(found);
                (begun, start + end)
            }
        };
        let Some((name, text)) = whole.split_once('(') else { continue };
        calls.push(Call { name: name.to_owned(), text: text.to_owned(), begun, ended: at });
    }
    calls
}

#[test]
fn calls_cut_by_another_thread_are_put_together() {
    let text =
        "12  fsync(7</d/a> <unfinished ...>\n13 write(1</dev/pts/0>, \"x\", 1) = 1\n12  <... fsync resumed>) = 0\n";
    let read = calls(text);
    let fsync = Call { name: "fsync".into(), text: "7</d/a>) = 0".into(), begun: 0, ended: 2 };
    assert_eq!(read[1], fsync);
    assert_eq!((read[0].name.as_str(), read[0].begun, read[0].ended), ("write", 1, 1));
}
