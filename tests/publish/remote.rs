//! Another machine over SSH: a real sshd with a shell and rsync, or with SFTP and nothing else.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::town::Town;
use crate::visitor::{Visitor, crawl, files, of_folder};

/// An sshd of our own: its keys, port and folder; stopped with the value.
struct Sshd {
    dir: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Sshd {
    fn with_shell() -> Sshd {
        Sshd::start("", None)
    }

    fn sftp_only() -> Sshd {
        Sshd::start("ForceCommand internal-sftp\n", None)
    }

    /// `mount` is done first, in a namespace of its own; `None`, said, where the system allows none.
    fn on_small_disk(more: &str, size: &str) -> Option<Sshd> {
        let probe = Command::new("unshare").args(["--mount", "true"]).output();
        if !probe.is_ok_and(|output| output.status.success()) {
            println!("skipped: no mount namespace may be made here (run the tests as root)");
            return None;
        }
        Some(Sshd::start(more, Some(size)))
    }

    fn start(more: &str, disk: Option<&str>) -> Sshd {
        for (program, package) in [("/usr/sbin/sshd", "openssh-server"), ("/usr/bin/rsync", "rsync")] {
            assert!(Path::new(program).exists(), "{program} is needed for this test: apt-get install {package}");
        }
        let dir = tempfile::Builder::new().prefix("mulot-sshd").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| dir.path().join(name);
        for key in ["hote", "cle", "inconnue"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(key));
            assert!(command.status().unwrap().success());
        }
        fs::copy(at("cle.pub"), at("autorisees")).unwrap();
        fs::create_dir(at("srv")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let key = fs::read_to_string(at("hote.pub")).unwrap();
        fs::write(at("connus"), format!("[127.0.0.1]:{port} {key}")).unwrap();
        let root = dir.path().display();
        let conf = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {root}/hote\nAuthorizedKeysFile {root}/autorisees\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\nPermitRootLogin prohibit-password\n\
             MaxStartups 100\nSubsystem sftp internal-sftp\n{more}"
        );
        fs::write(at("conf"), conf).unwrap();
        // Where Debian's sshd separates its privileges; it is made at boot where the service is installed.
        let _ = fs::create_dir("/run/sshd");
        let mut command = match disk {
            None => Command::new("/usr/sbin/sshd"),
            Some(size) => {
                let mut command = Command::new("unshare");
                let script = format!("mount -t tmpfs -o size={size},mode=755 tmpfs srv && exec /usr/sbin/sshd \"$@\"");
                command.args(["--mount", "sh", "-c", &script, "sshd"]).current_dir(dir.path());
                command
            }
        };
        command.args(["-D", "-f"]).arg(at("conf")).arg("-E").arg(at("journal"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let sshd = Sshd { dir, child, port };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "sshd does not listen: {:?}", fs::read_to_string(sshd.at("journal")));
            std::thread::park_timeout(Duration::from_millis(10));
        }
        sshd
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Lines of `[publication]` for the folder of that name.
    fn target(&self, name: &str) -> String {
        let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
        format!(
            "ssh = \"{user}@127.0.0.1:{}\"\nport = {}\ncle_fichier = \"{}\"\nhotes_connus = \"{}\"",
            self.served(name).display(),
            self.port,
            self.at("cle").display(),
            self.at("connus").display()
        )
    }

    fn served(&self, name: &str) -> PathBuf {
        self.at("srv").join(name)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn with_rsync_visitors_see_one_version_or_the_other_and_the_previous_one_comes_back() {
    let sshd = Sshd::with_shell();
    let mut town = Town::new(&sshd.target("l'été du site"));
    let served = sshd.served("l'été du site");
    town.publish_well(&["--essai"]);
    assert!(!served.exists());
    town.publish_well(&[]);
    let mut old = town.built();
    assert_eq!(files(&served), files(&old));
    for _ in 0..2 {
        town.change();
        let new = town.built();
        let visitor = Visitor::of_versions(of_folder(&served), &old, &new);
        town.publish_well(&[]);
        visitor.leave();
        assert_eq!(files(&served), files(&new));
        old = new;
    }
    // What did not change is the same file in every version.
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(served.join("robots.txt")).unwrap().nlink(), 3);
    assert!(town.publish_well(&[]).stdout.starts_with("Rien n'a changé"));
    let new = town.root().join("version-1");
    let visitor = Visitor::of_versions(of_folder(&served), &old, &new);
    town.publish_well(&["--retour"]);
    visitor.leave();
    assert_eq!(files(&served), files(&new));
    assert_eq!(town.register().len(), 4);
}

#[test]
fn with_rsync_a_run_that_is_killed_is_run_again() {
    let sshd = Sshd::with_shell();
    let mut town = Town::new(&sshd.target("site"));
    let served = sshd.served("site");
    town.publish_well(&[]);
    let seed = Chance::seed();
    let mut chance = Chance::of(seed);
    let mut old = town.built();
    for round in 0..6 {
        town.change();
        let new = town.built();
        let visitor = Visitor::of_versions(of_folder(&served), &old, &new);
        let mut child = town.start();
        std::thread::park_timeout(Duration::from_millis(300 + chance.below(1_500) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        town.publish_well(&[]);
        visitor.leave();
        assert_eq!(files(&served), files(&new), "round {round}, seed {seed}");
        old = new;
    }
}

#[test]
fn with_sftp_alone_no_link_is_ever_broken_and_the_previous_version_comes_back() {
    let sshd = Sshd::sftp_only();
    let mut town = Town::new(&sshd.target("mon site [1]"));
    let served = sshd.served("mon site [1]");
    town.publish_well(&[]);
    assert_eq!(files(&served), files(&town.built()));
    for _ in 0..3 {
        town.change();
        let visitor = Visitor::of_links(of_folder(&served));
        town.publish_well(&[]);
        visitor.leave();
        assert_eq!(files(&served), files(&town.built()));
    }
    assert!(town.publish_well(&[]).stdout.starts_with("Rien n'a changé"));
    let visitor = Visitor::of_links(of_folder(&served));
    town.publish_well(&["--retour"]);
    visitor.leave();
    assert_eq!(files(&served), files(&town.root().join("version-2")));
    town.publish_well(&["--retour"]);
    assert_eq!(files(&served), files(&town.root().join("version-1")));
    town.publish_badly(&["--retour"], 1, "ne garde pas de version précédente");
}

#[test]
fn with_sftp_alone_a_run_that_is_killed_is_taken_up_where_it_was() {
    let sshd = Sshd::sftp_only();
    let mut town = Town::new(&sshd.target("site"));
    let served = sshd.served("site");
    town.publish_well(&[]);
    let notes = sshd.served("site.versions").join("envoi.json");
    for round in 0..3 {
        town.change();
        let visitor = Visitor::of_links(of_folder(&served));
        let mut child = town.start();
        let until = Instant::now() + Duration::from_secs(60);
        // Two notes: what the first one was about is done.
        let mut seen = Vec::new();
        while seen.len() < 2 {
            assert!(Instant::now() < until, "nothing is noted");
            if let Ok(note) = fs::read(&notes)
                && !seen.contains(&note)
            {
                seen.push(note);
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let stopped = std::time::SystemTime::now();
        std::thread::park_timeout(Duration::from_millis(20));
        town.publish_well(&[]);
        visitor.leave();
        let new = files(&town.built());
        assert_eq!(files(&served), new, "round {round}");
        assert!(!notes.exists());
        let again =
            new.keys().filter(|path| fs::metadata(served.join(path)).unwrap().modified().unwrap() > stopped).count();
        assert!(again < new.len(), "{again} files of {} were sent again", new.len());
    }
    town.publish_well(&["--retour"]);
    assert_eq!(files(&served), files(&town.root().join("version-2")));
}

#[test]
fn what_stands_there_is_never_replaced_unless_it_is_said() {
    let sshd = Sshd::with_shell();
    let served = sshd.served("ancien");
    fs::create_dir(&served).unwrap();
    fs::write(served.join("photo.jpg"), "x").unwrap();
    Town::new(&sshd.target("ancien")).publish_badly(&[], 1, "n'est pas un site publié par Mulot");
    assert_eq!(fs::read_dir(sshd.at("srv")).unwrap().count(), 1);
    let town = Town::new(&format!("{}\nordonne = true", sshd.target("ancien")));
    town.publish_well(&[]);
    assert!(served.join("photo.jpg").exists() && served.join("index.html").exists());
    crawl(&of_folder(&served), &mut Vec::new());
    // An empty folder gives way.
    fs::create_dir(sshd.served("vide")).unwrap();
    Town::new(&sshd.target("vide")).publish_well(&[]);
    assert!(sshd.served("vide").is_symlink());
}

#[test]
fn what_another_machine_refuses_is_said_with_its_remedy() {
    let sshd = Sshd::with_shell();
    let good = sshd.target("site");
    let key = sshd.at("cle").display().to_string();
    let cases = [
        (good.replace(&key, &sshd.at("inconnue").display().to_string()), "la clé SSH est refusée par "),
        (good.replace(&key, &sshd.at("absente").display().to_string()), "absente » n'existe pas"),
        (good.replace("connus\"", "personne\""), "n'est pas connue de cette machine"),
        (good.replace(&format!("port = {}", sshd.port), "port = 1"), "refuse la connexion SSH"),
        (good.replace("@127.0.0.1:", "@nulle-part.invalid:"), "nulle-part.invalid n'existe pas"),
    ];
    for (target, sentence) in cases {
        Town::new(&target).publish_badly(&[], 2, sentence);
    }
    fs::set_permissions(sshd.at("cle"), fs::Permissions::from_mode(0o644)).unwrap();
    Town::new(&good).publish_badly(&[], 2, "peut être lue par d'autres");
    assert_eq!(fs::read_dir(sshd.at("srv")).unwrap().count(), 0, "nothing was left there");
}

#[test]
fn two_machines_do_not_publish_at_once() {
    for sshd in [Sshd::with_shell(), Sshd::sftp_only()] {
        let town = Town::new(&sshd.target("site"));
        town.publish_well(&[]);
        let beside = sshd.served("site.versions");
        let shell = sshd.served("site").is_symlink();
        let lock = if shell { beside.join("verrou.d/qui") } else { beside.join("verrou") };
        fs::create_dir_all(lock.parent().unwrap()).unwrap();
        fs::write(&lock, "une-autre-machine").unwrap();
        town.publish_badly(&[], 2, "une autre publication vers");
        assert_eq!(fs::read_to_string(&lock).unwrap(), "une-autre-machine");
        town.publish_well(&["--reprendre"]);
        assert!(!lock.exists());
    }
}

#[test]
fn a_full_disk_over_there_leaves_the_site_as_it_was() {
    for more in ["", "ForceCommand internal-sftp\n"] {
        let Some(sshd) = Sshd::on_small_disk(more, "4m") else { return };
        let mut town = Town::new(&sshd.target("site"));
        let inside = PathBuf::from(format!("/proc/{}/root", sshd.child.id()));
        let within = |path: &Path| inside.join(path.strip_prefix("/").unwrap());
        town.publish_well(&[]);
        let first = files(&town.built());
        let ballast = within(&sshd.served("lest"));
        let filled =
            Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", ballast.display())).arg("bs=4k").output();
        assert!(!filled.unwrap().status.success(), "the disk is full");
        town.change();
        let served = served_within(&within(&sshd.served("site")));
        let run = town.publish(&[]);
        assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
        let full = run.stderr.contains("plein") || run.stderr.contains("plus de place");
        assert!(full && !run.stderr.contains("panicked"), "{}", run.stderr);
        assert_eq!(files(&served), first);
        fs::remove_file(&ballast).unwrap();
        town.publish_well(&[]);
        let served = served_within(&within(&sshd.served("site")));
        assert_eq!(files(&served), files(&town.built()));
    }
}

/// Carries bytes to an sshd, and cuts the line once so many were sent to it.
struct Tunnel {
    port: u16,
    left: std::sync::Arc<std::sync::atomic::AtomicI64>,
}

impl Tunnel {
    fn to(port: u16) -> Tunnel {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let left = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(i64::MAX));
        let tunnel = Tunnel { port: listener.local_addr().unwrap().port(), left: left.clone() };
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (left, back) = (left.clone(), (server.try_clone().unwrap(), socket.try_clone().unwrap()));
                std::thread::spawn(move || carry(&socket, &server, Some(&left)));
                std::thread::spawn(move || carry(&back.0, &back.1, None));
            }
        });
        tunnel
    }

    /// Cuts after so many bytes more.
    fn cut_after(&self, bytes: i64) {
        self.left.store(bytes, std::sync::atomic::Ordering::SeqCst);
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, left: Option<&std::sync::atomic::AtomicI64>) {
    use std::io::{Read, Write};
    let mut buffer = [0; 8_192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let cut =
            left.is_some_and(|left| left.fetch_sub(count as i64, std::sync::atomic::Ordering::SeqCst) < count as i64);
        if cut || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_line_that_is_cut_in_the_middle_is_said_and_the_order_is_given_again() {
    for sshd in [Sshd::with_shell(), Sshd::sftp_only()] {
        let tunnel = Tunnel::to(sshd.port);
        let key = fs::read_to_string(sshd.at("hote.pub")).unwrap();
        fs::write(sshd.at("connus"), format!("[127.0.0.1]:{} {key}", tunnel.port)).unwrap();
        let target = sshd.target("site").replace(&format!("port = {}", sshd.port), &format!("port = {}", tunnel.port));
        let mut town = Town::new(&target);
        let served = sshd.served("site");
        town.publish_well(&[]);
        let first = files(&town.built());
        town.change();
        let visitor = Visitor::of_links(of_folder(&served));
        // Beyond the greetings, in the middle of the pages.
        tunnel.cut_after(120_000);
        town.publish_badly(&[], 2, "127.0.0.1 ");
        if served.is_symlink() {
            assert_eq!(files(&served), first);
        }
        tunnel.cut_after(i64::MAX);
        town.publish_well(&[]);
        visitor.leave();
        assert_eq!(files(&served), files(&town.built()));
    }
}

/// A relative link read from outside of its namespace.
fn served_within(path: &Path) -> PathBuf {
    match fs::read_link(path) {
        Ok(to) => path.with_file_name("").join(to),
        Err(_) => path.to_owned(),
    }
}
