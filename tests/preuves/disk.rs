//! A disk that is full, a folder that cannot be written, a database that another program holds.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use crate::bench::{Bench, Filled, Guichet, PATIENCE, pause, reference};

#[test]
fn a_full_disk_refuses_with_the_answers_kept_and_everything_else_goes_on() {
    let sink = Sink::open();
    let bench = Bench::with_server(sink.port);
    let Some(guichet) = in_small_disk(&bench) else { return };
    let mut client = guichet.client();
    let before = Filled::with_file(&mut client, 1).unwrap().unwrap();
    assert!(reference(&before.send(&mut client).unwrap()).is_some());
    let filled = Filled::with_file(&mut client, 2).unwrap().unwrap();

    // Below the reserve, then to the last byte.
    let mut ballast = Ballast::new(disk_of(&guichet));
    for left in [6 << 20, 0] {
        ballast.fill_up_to(left);
        let refused = filled.send(&mut client).unwrap();
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert!(refused.body.contains("Quatrebarbes2") && refused.body.contains("tel:"), "{}", refused.body);
        let refused = Filled::with_file(&mut client, 3).unwrap().err().expect("no place for a file");
        assert_eq!((refused.status, refused.body.contains("Quatrebarbes3")), (503, true), "{}", refused.body);
        assert_eq!(client.get("/").unwrap().status, 200, "the site needs no disk");
        assert!(client.get("/guichet/pret").unwrap().body.contains("disque"));
        if left > 0 {
            sink.let_pass();
            let deadline = Instant::now() + PATIENCE;
            while sink.taken() < 2 {
                assert!(Instant::now() < deadline, "what was accepted before does not leave");
                pause();
            }
        }
    }
    drop(ballast);
    let accepted = reference(&filled.send(&mut client).unwrap());
    assert!(accepted.is_some(), "there is space again");
    let deadline = Instant::now() + PATIENCE;
    while sink.taken() < 4 {
        assert!(Instant::now() < deadline, "what was accepted after does not leave");
        pause();
    }
    guichet.kill();
}

#[test]
fn a_folder_that_cannot_be_written_is_said_at_start() {
    let bench = Bench::new();
    let guichet = bench.start();
    let mut client = guichet.client();
    let filled = Filled::contact(&mut client, 1).unwrap();
    let shown = reference(&filled.send(&mut client).unwrap()).unwrap();
    bench.await_rest();
    guichet.kill();
    let mount = "mount --bind donnees donnees && mount -o remount,bind,ro donnees";
    let Some(told) = namespace(&bench, mount).map(|command| Guichet::try_start(command).err()) else { return };
    let told = told.expect("a folder that cannot be written is not served");
    assert!(told.contains("donnees") && !told.contains("panicked"), "{told}");
    let guichet = bench.start();
    assert!(bench.stored().contains(&shown));
    guichet.kill();
}

#[test]
fn a_database_held_by_another_program_refuses_and_is_used_again_when_it_is_let_go() {
    let bench = Bench::new();
    let guichet = bench.start();
    let mut client = guichet.client();
    let filled = Filled::contact(&mut client, 1).unwrap();
    let holder = rusqlite::Connection::open(bench.data().join("guichet.db")).unwrap();
    holder.busy_timeout(PATIENCE).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = filled.send(&mut client).unwrap();
    assert_eq!((refused.status, refused.body.contains("Jeanne Martin")), (503, true), "{}", refused.body);
    holder.execute_batch("ROLLBACK").unwrap();
    assert!(reference(&filled.send(&mut client).unwrap()).is_some());
    guichet.kill();
}

/// The program, in a mount namespace of its own where `mount` was run; `None`, said, where the system allows none.
fn namespace(bench: &Bench, mount: &str) -> Option<Command> {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script]).current_dir(bench.root());
        command
    };
    std::fs::create_dir_all(bench.data()).unwrap();
    if !unshare(mount).output().is_ok_and(|output| output.status.success()) {
        println!("skipped: no mount namespace may be made here (run the tests as root)");
        return None;
    }
    let program = bench.program();
    let mut command = unshare(&format!("{mount} && exec \"$0\" \"$@\""));
    command.arg(program.get_program()).args(program.get_args());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Some(command)
}

/// The server, its data on a file system of 40 MB.
fn in_small_disk(bench: &Bench) -> Option<Guichet> {
    namespace(bench, "mount -t tmpfs -o size=40m,mode=700 tmpfs donnees").map(Guichet::start)
}

/// The data folder as the server sees it.
fn disk_of(guichet: &Guichet) -> PathBuf {
    PathBuf::from(format!("/proc/{}/cwd/donnees", guichet.child.id()))
}

/// A file that takes all the space; removed when dropped.
struct Ballast {
    path: PathBuf,
    file: File,
}

impl Ballast {
    fn new(disk: PathBuf) -> Ballast {
        let path = disk.join("lest");
        let file = File::create(&path).unwrap();
        Ballast { path, file }
    }

    /// Leaves so many bytes free.
    fn fill_up_to(&mut self, left: u64) {
        let block = vec![0; 64 << 10];
        loop {
            let numbers = rustix::fs::statvfs(&self.path).unwrap();
            if numbers.f_bavail * numbers.f_frsize <= left || self.file.write_all(&block).is_err() {
                break;
            }
        }
        // The last bytes, one page at a time.
        while left == 0 && self.file.write_all(&block[..4096]).is_ok() {}
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A mail server that lets nobody in until it is told to, then takes everything.
struct Sink {
    port: u16,
    state: Arc<(Mutex<(bool, usize)>, Condvar)>,
}

impl Sink {
    fn open() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new((Mutex::new((false, 0)), Condvar::new()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || converse(stream, &state));
            }
        });
        Sink { port, state }
    }

    fn let_pass(&self) {
        self.state.0.lock().unwrap().0 = true;
        self.state.1.notify_all();
    }

    fn taken(&self) -> usize {
        self.state.0.lock().unwrap().1
    }
}

fn converse(mut stream: std::net::TcpStream, state: &(Mutex<(bool, usize)>, Condvar)) {
    drop(state.1.wait_while(state.0.lock().unwrap(), |(open, _)| !*open).unwrap());
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let _ = stream.write_all(b"220 sink\r\n");
    let mut in_message = false;
    for line in lines.map_while(Result::ok) {
        let answer: &[u8] = match (in_message, line.as_str()) {
            (true, ".") => {
                in_message = false;
                state.0.lock().unwrap().1 += 1;
                b"250 taken\r\n"
            }
            (true, _) => continue,
            (false, "DATA") => {
                in_message = true;
                b"354 go on\r\n"
            }
            (false, "QUIT") => b"221 bye\r\n",
            (false, _) => b"250 ok\r\n",
        };
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}
