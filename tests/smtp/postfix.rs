//! A Postfix of our own: its own folder, port and mailboxes; gone with the value. Nothing of the system's Postfix is touched.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A private instance that takes mail for `saint-mulot.fr` and keeps all of it in one Maildir.
pub(crate) struct Postfix {
    dir: tempfile::TempDir,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Postfix {
    /// Starts one on this port, with these lines added to its `main.cf`.
    pub(crate) fn start(port: u16, settings: &[String]) -> Postfix {
        require("postfix", "postfix");
        require_root();
        let dir = tempfile::Builder::new().prefix("mulot-postfix").tempdir().unwrap();
        let root = dir.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["conf", "queue", "data", "mail"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        chown(root.join("mail"), Some(NOBODY), Some(NOGROUP)).unwrap();
        let owner = Command::new("chown").arg("postfix").arg(root.join("data")).status().unwrap();
        assert!(owner.success(), "the Debian package postfix makes the user postfix");
        let settings = main_cf(root) + &settings.join("\n") + "\n";
        fs::write(root.join("conf/main.cf"), settings).unwrap();
        fs::write(root.join("conf/master.cf"), MASTER_CF.replace("PORT", &port.to_string())).unwrap();
        let postfix = Postfix { dir, port };
        postfix.order("start");
        poll("Postfix answers", || TcpStream::connect(("127.0.0.1", port)).ok());
        postfix
    }

    /// The messages in its Maildir, at least `count`, waiting for them.
    pub(crate) fn messages(&self, count: usize) -> Vec<PathBuf> {
        let maildir = self.dir.path().join("mail/all/new");
        poll(&format!("{count} messages in the Maildir; log:\n{}", self.log()), || {
            let entries = fs::read_dir(&maildir).ok()?;
            let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            found.sort();
            (found.len() >= count).then_some(found)
        })
    }

    /// Where it keeps all mails.
    pub(crate) fn maildir(&self) -> PathBuf {
        self.dir.path().join("mail/all")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn order(&self, order: &str) {
        let conf = self.dir.path().join("conf");
        let done = Command::new("postfix").arg("-c").arg(conf).arg(order).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success() || std::thread::panicking(), "postfix {order}: {said}\n{}", self.log());
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.order("stop");
    }
}

/// A greylist as Postfix consults it (`check_policy_service`): each recipient is refused once.
pub(crate) struct Greylist {
    pub(crate) port: u16,
}

impl Greylist {
    pub(crate) fn start() -> Greylist {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let known = Arc::new(Mutex::new(BTreeSet::new()));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Each smtpd process keeps a connection of its own.
                let known = Arc::clone(&known);
                std::thread::spawn(move || Greylist::answer(&stream, &known));
            }
        });
        Greylist { port }
    }

    fn answer(stream: &TcpStream, known: &Mutex<BTreeSet<String>>) {
        let mut recipient = String::new();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Some(value) = line.strip_prefix("recipient=") {
                recipient = value.to_owned();
            } else if line.is_empty() {
                let is_new = known.lock().unwrap().insert(recipient.clone());
                let action = if is_new { "450 4.2.0 greylisted" } else { "DUNNO" };
                let mut stream = stream;
                if stream.write_all(format!("action={action}\n\n").as_bytes()).is_err() {
                    return;
                }
            }
        }
    }
}

/// Postfix's own faulty server.
pub(crate) struct Sink(Child);

impl Sink {
    pub(crate) fn start(port: u16, options: &[&str]) -> Sink {
        require("smtp-sink", "postfix");
        let mut command = Command::new("smtp-sink");
        command.args(["-u", "nobody"]).args(options).arg(format!("127.0.0.1:{port}")).arg("16");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        poll("smtp-sink answers", || TcpStream::connect(("127.0.0.1", port)).ok());
        Sink(child)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks again and again, without sleeping, until there is an answer or twenty seconds have passed.
pub(crate) fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "never came: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

pub(crate) fn require(program: &str, package: &str) {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|dir| dir.join(program).exists() || Path::new("/usr/sbin").join(program).exists());
    assert!(found, "{program} is needed for this test: apt-get install {package}");
}

pub(crate) fn require_root() {
    let id = Command::new("id").arg("-u").output().unwrap();
    let id = String::from_utf8_lossy(&id.stdout).trim().to_owned();
    assert_eq!(id, "0", "Postfix only starts for root: run this test as root, in a container for instance");
}

fn main_cf(root: &Path) -> String {
    MAIN_CF.replace("ROOT", &root.display().to_string())
}

const NOBODY: u32 = 65534;
const NOGROUP: u32 = 65534;

const MAIN_CF: &str = "\
compatibility_level = 3.6
queue_directory = ROOT/queue
data_directory = ROOT/data
maillog_file = ROOT/log
maillog_file_prefixes = ROOT
mail_owner = postfix
myhostname = odd.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = saint-mulot.fr
virtual_mailbox_base = ROOT/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
";

const MASTER_CF: &str = "\
127.0.0.1:PORT inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
error     unix  - - n - - error
smtp      unix  - - n - - smtp
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
tlsmgr    unix  - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
";
