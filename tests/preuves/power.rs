//! The power is cut: the server runs in a machine of its own (QEMU, in software) that is killed, system cache and all.
//!
//! What the guest did not sync is lost by construction; what it synced is in the image, which is repaired as a start after a
//! cut would, then read. The same machine with a store that does not wait for the disk must lose something: a test that
//! cannot fail proves nothing. Only in the long form.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mulot::intake::files::{FileStore, Reading};
use mulot::intake::store::{Access, Store, StoreOptions};

use crate::bench::{Filled, pause, reference};
use crate::http::Client;
use crate::mutants;

/// Where the client in the guest finds the server; set, this binary is that client.
const GUEST: &str = "MULOT_PREUVES_INVITE";
/// Clients in the guest.
const CLIENTS: usize = 8;
/// Cuts of one disk image.
const CUTS_OF_A_DISK: usize = 10;

#[test]
#[ignore = "long: tests/tout.sh --long"]
fn a_power_cut_loses_nothing_that_was_shown() {
    let machine = Machine::new(Path::new(env!("CARGO_BIN_EXE_mulot")));
    // Half of them without files, whose own syncs could hide that the log is not synced.
    let half = cycles(30).div_ceil(2);
    let (with, mut lost) = machine.cuts(half, "pieces");
    let (without, more) = machine.cuts(half, "sans");
    lost.extend(more);
    let shown = with + without;
    println!("power cuts: {shown} references shown, {} lost", lost.len());
    assert!(lost.is_empty(), "{lost:?}");
    assert!(shown > half, "hardly anything was shown");
}

#[test]
#[ignore = "long: tests/tout.sh --long"]
fn a_store_that_does_not_wait_for_the_disk_loses_what_it_showed() {
    let mutant = mutants::Nursery::new();
    let machine = Machine::new(&mutant.program("synchronous-normal"));
    let (shown, lost) = machine.cuts(cycles(30).div_ceil(5), "sans");
    println!("power cuts, synchronous=NORMAL: {shown} references shown, {} lost", lost.len());
    assert!(!lost.is_empty(), "this test cannot fail: nothing was lost of {shown}");
}

fn cycles(usual: usize) -> usize {
    std::env::var("MULOT_COUPURES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Not a test by itself: the client in the guest. Each reference shown to it goes to the serial line, whole or not at all.
#[test]
fn the_client_in_the_guest() {
    let Ok(address) = std::env::var(GUEST) else { return };
    let address: SocketAddr = address.parse().unwrap();
    let with_files = std::env::var_os("pieces").is_some_and(|value| value == "pieces");
    std::thread::scope(|scope| {
        for thread in 0..CLIENTS {
            scope.spawn(move || {
                for turn in 0.. {
                    let number = turn * CLIENTS + thread;
                    let Some(shown) = one_request(address, number, with_files && turn % 4 == 3) else {
                        pause();
                        continue;
                    };
                    let mut stdout = std::io::stdout().lock();
                    stdout.write_all(format!("\nACK {shown}\n").as_bytes()).unwrap();
                    stdout.flush().unwrap();
                }
            });
        }
    });
}

fn one_request(address: SocketAddr, number: usize, with_file: bool) -> Option<String> {
    let mut client = Client::connect(address).ok()?;
    let filled = if with_file {
        Filled::with_file(&mut client, number).ok()?.ok()?
    } else {
        Filled::contact(&mut client, number).ok()?
    };
    reference(&filled.send(&mut client).ok()?)
}

/// What the guest boots: a kernel, and in memory the program, a commune and the client.
struct Machine {
    folder: tempfile::TempDir,
    kernel: PathBuf,
}

impl Machine {
    fn new(program: &Path) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let (kernel, modules) = kernel();
        let root = folder.path().join("racine");
        for name in ["bin", "proc", "sys", "dev", "data", "modules", "courriels", "tmp"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        copy(&on_path("busybox"), &root.join("bin/busybox"));
        for (binary, name) in [(program, "mulot"), (&std::env::current_exe().unwrap(), "client")] {
            let target = root.join("bin").join(name);
            run(Command::new("strip").arg("-o").arg(&target).arg(binary));
            libraries(binary, &root);
        }
        for (order, name) in MODULES.iter().enumerate() {
            let found = walkdir::WalkDir::new(&modules).into_iter().flatten();
            let file = found.map(|entry| entry.into_path()).find(|path| path.ends_with(format!("{name}.ko")));
            copy(&file.unwrap_or_else(|| panic!("no module {name}")), &root.join(format!("modules/{order}.ko")));
        }
        run(Command::new("cp").arg("-a").arg(manifest().join("tests/communes/minimal")).arg(root.join("commune")));
        std::fs::write(root.join("guichet.toml"), SETTINGS).unwrap();
        std::fs::write(root.join("init"), INIT).unwrap();
        run(Command::new("chmod").arg("755").arg(root.join("init")));
        let pack = "find . | cpio --quiet -o -H newc > ../memoire";
        run(Command::new("sh").args(["-c", pack]).current_dir(&root));
        Machine { folder, kernel }
    }

    /// Cuts the power so many times; gives how many references were shown, and those that are not there afterwards.
    fn cuts(&self, cuts: usize, files: &str) -> (usize, Vec<String>) {
        let (mut count, mut lost) = (0, Vec::new());
        let mut shown = BTreeSet::new();
        let disk = self.folder.path().join("disque");
        for cut in 0..cuts {
            if cut % CUTS_OF_A_DISK == 0 {
                shown.clear();
                let _ = std::fs::remove_file(&disk);
                std::fs::File::create(&disk).unwrap().set_len(512 << 20).unwrap();
                run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk));
            }
            let before = shown.len();
            shown.extend(self.one_life(&disk, files));
            count += shown.len() - before;
            let gone = self.missing(&disk, &shown);
            println!("cut {}: {} references shown, {} lost", cut + 1, shown.len() - before, gone.len());
            for reference in gone {
                shown.remove(&reference);
                lost.push(reference);
            }
        }
        (count, lost)
    }

    /// Boots, lets residents send, cuts.
    fn one_life(&self, disk: &Path, files: &str) -> Vec<String> {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-accel", "tcg", "-cpu", "max", "-m", "1024", "-smp", "2", "-nodefaults", "-display", "none"]);
        qemu.args(["-no-reboot", "-serial", "stdio", "-kernel"]).arg(&self.kernel);
        qemu.arg("-initrd").arg(self.folder.path().join("memoire"));
        qemu.args([
            "-append",
            &format!("console=ttyS0 quiet panic=-1 no_timer_check random.trust_cpu=on pieces={files}"),
        ]);
        qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,cache=writeback", disk.display()));
        let mut guest = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect(NEEDS);
        let pipe = guest.stdout.take().unwrap();
        let (heard, hear) = mpsc::channel();
        let listener = std::thread::spawn(move || {
            let mut lines = BufReader::new(pipe).split(b'\n');
            while let Some(Ok(line)) = lines.next() {
                if heard.send(String::from_utf8_lossy(&line).trim().to_owned()).is_err() {
                    break;
                }
            }
        });
        let (mut lines, mut end) = (Vec::new(), Instant::now() + BOOT);
        let mut is_open = false;
        while let Ok(line) = hear.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.starts_with("ACK ") && !is_open {
                is_open = true;
                // The moment of the cut is the test: the only wait that is not for a condition.
                let mut random = [0; 2];
                getrandom::fill(&mut random).unwrap();
                end = Instant::now() + Duration::from_millis(u64::from(u16::from_be_bytes(random)) % 5000);
            }
            lines.push(line);
        }
        guest.kill().unwrap();
        guest.wait().unwrap();
        lines.extend(hear.iter());
        listener.join().unwrap();
        lines.iter().filter(|line| !line.is_empty() && !line.starts_with("ACK ")).for_each(|line| println!("| {line}"));
        assert!(is_open, "the guest never took anything: {lines:#?}");
        // A line the cut broke was never read by anybody: a reference has its check digit.
        let whole = lines.iter().filter_map(|line| line.strip_prefix("ACK "));
        whole.filter_map(|text| text.parse::<mulot::model::reference::Reference>().ok()).map(String::from).collect()
    }

    /// Repairs the disk as a start does; gives the references that are not in its database, and fails on a lost file.
    fn missing(&self, disk: &Path, shown: &BTreeSet<String>) -> Vec<String> {
        let repaired = Command::new("e2fsck").args(["-f", "-y"]).arg(disk).output().expect(NEEDS);
        assert!(repaired.status.code().is_some_and(|code| code <= 1), "{repaired:?}");
        let out = tempfile::tempdir().unwrap();
        let dump = format!("rdump /donnees {}", out.path().display());
        run(Command::new("debugfs").args(["-R", &dump]).arg(disk).stderr(Stdio::null()));
        let dir = out.path().join("donnees");
        let options = StoreOptions { min_free_bytes: 0, access: Access::Beside, ..StoreOptions::default() };
        let store = Store::open(&dir, options).unwrap_or_else(|error| panic!("after a cut: {error}"));
        assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
        let files = FileStore::open(&dir, store.seal(), 0).unwrap();
        assert_eq!(files.verify(&store, Reading::Contents).unwrap(), Vec::new(), "a file was lost");
        let is_there = |text: &&String| store.receipt(&text.parse().unwrap()).unwrap().is_some();
        shown.iter().filter(|reference| !is_there(reference)).cloned().collect()
    }
}

/// The newest kernel for virtual machines that is installed, and its modules.
fn kernel() -> (PathBuf, PathBuf) {
    let kernels = std::fs::read_dir("/boot").into_iter().flatten().flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"));
    let found = kernels.filter(is_one).filter_map(|kernel| {
        let version = kernel.file_name()?.to_str()?.strip_prefix("vmlinuz-")?.to_owned();
        let modules = Path::new("/lib/modules").join(version);
        modules.is_dir().then_some((kernel, modules))
    });
    found.max().expect(NEEDS)
}

/// Copies the libraries a program is linked with.
fn libraries(binary: &Path, root: &Path) {
    let told = Command::new("ldd").arg(binary).output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    for path in text.split_whitespace().filter(|word| word.starts_with('/')) {
        let target = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        copy(Path::new(path), &target);
    }
}

fn on_path(name: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.exists()).expect(NEEDS)
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}; {NEEDS}"));
    assert!(status.success(), "{command:?}: {status}");
}

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const NEEDS: &str =
    "this needs qemu-system-x86, linux-image-cloud-amd64, busybox-static, cpio and e2fsprogs (tests/tout.sh --long)";

/// What the guest's disk needs, in the order they are loaded.
const MODULES: [&str; 6] =
    ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"];

const SETTINGS: &str = "confirmer_destinataires = false\ndossier = \"commune\"\ndonnees = \"data/donnees\"\necoute = \"127.0.0.1:8080\"\n\n\
    [courriel]\ntransport = \"dossier\"\ndossier = \"courriels\"\n\n\
    [limites]\nenvois_par_adresse = 10000\nenvois_par_heure = 1000000\n\
    envois_par_formulaire = 100000\nreserve_mo = 16\n";

const INIT: &str = "#!/bin/busybox sh
export PATH=/bin HOME=/tmp MULOT_JOURNAL=error
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
for module in 0 1 2 3 4 5; do busybox insmod /modules/$module.ko; done
busybox mount -t ext4 /dev/vda /data
busybox ip link set lo up
cd /
mulot guichet /guichet.toml &
export MULOT_PREUVES_INVITE=127.0.0.1:8080
client --exact power::the_client_in_the_guest --nocapture
busybox poweroff -f
";

/// How long a boot may last, in software, on a machine that does other things.
const BOOT: Duration = Duration::from_secs(180);
