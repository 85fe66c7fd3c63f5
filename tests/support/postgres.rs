//! A PostgreSQL of Debian's packages for the tests of one program: it starts with the first that asks, on a socket of its own in a
//! folder of its own, and ends with the program, whatever becomes of it.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A server; it is stopped, and its folder removed, when its standard input ends: with this program.
pub(crate) struct Server {
    dir: PathBuf,
    port: u16,
    /// Its standard input is closed with it.
    _alive: Child,
}

impl Server {
    /// The address of its database.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://mulot@{}:{}/postgres", self.dir.display().to_string().replace('/', "%2F"), self.port)
    }

    /// A connection to it, not yet spoken on.
    #[allow(dead_code, reason = "not every program that shares this file asks for it")]
    pub(crate) fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket(false)).unwrap()
    }

    /// Where it listens, to everybody or to [`Server::order`] alone.
    fn socket(&self, is_hidden: bool) -> PathBuf {
        let folder = if is_hidden { self.dir.join("cache") } else { self.dir.clone() };
        folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Nobody finds it any more, and who was there is cut off.
    #[allow(dead_code, reason = "the same")]
    pub(crate) fn hide(&self) {
        std::fs::create_dir_all(self.dir.join("cache")).unwrap();
        std::fs::rename(self.socket(false), self.socket(true)).unwrap();
        self.order("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mulot'");
    }

    /// It is back.
    #[allow(dead_code, reason = "the same")]
    pub(crate) fn show(&self) {
        std::fs::rename(self.socket(true), self.socket(false)).unwrap();
    }

    /// Does an order as its owner, by Debian's own client; gives the rows, `|` between columns.
    #[allow(dead_code, reason = "the same")]
    pub(crate) fn order(&self, sql: &str) -> Vec<String> {
        let mut psql = Command::new(program("psql"));
        psql.args(["-U", "mulot", "-d", "postgres", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h"]);
        let folder = self.socket(self.socket(true).exists());
        let done = psql.arg(folder.parent().unwrap()).args(["-p", &self.port.to_string(), "-c", sql]).output().unwrap();
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

/// The server of this program.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| start(5432, "", ("", "")))
}

/// Another one, started with more settings, for what they change.
#[allow(dead_code, reason = "the same")]
pub(crate) fn server_with(settings: &str) -> Server {
    start(5432, settings, ("", ""))
}

/// Another one, on a port of this machine too, where it wants a password; it speaks TLS with this certificate and key.
#[allow(dead_code, reason = "the same")]
pub(crate) fn server_behind_tls(port: u16, files: (&str, &str)) -> Server {
    start(
        port,
        "-c listen_addresses=127.0.0.1 -c ssl=on -c ssl_cert_file=serveur.pem -c ssl_key_file=serveur.key",
        files,
    )
}

/// A name no other test has for its schema.
#[allow(dead_code, reason = "the same")]
pub(crate) fn schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("essai_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Debian keeps the server's programs out of the path, by version.
fn program(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin").join(name)).collect())
        .unwrap_or_default();
    versions.retain(|path| path.exists());
    versions.sort();
    versions.pop().unwrap_or_else(|| {
        panic!("PostgreSQL manque : ces essais en demandent un vrai. Installez-le : sudo apt install postgresql")
    })
}

fn start(port: u16, settings: &str, (certificate, key): (&str, &str)) -> Server {
    // In memory: what is proved here is ours, and the machine's disk would only slow it down.
    let parent =
        [Path::new("/dev/shm"), &std::env::temp_dir()].into_iter().find(|path| path.is_dir()).unwrap().to_owned();
    let dir = tempfile::Builder::new().prefix("mulot-pg-").tempdir_in(parent).unwrap().keep();
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, "postgres"]).arg(&dir).arg(program("initdb").parent().unwrap());
    shell.args([settings, &port.to_string(), certificate, key]);
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "prêt", "{}", std::fs::read_to_string(dir.join("log")).unwrap_or_default());
    Server { dir, port, _alive: child }
}

/// PostgreSQL refuses to run as root.
const SCRIPT: &str = r#"
dir=$1 bin=$2 settings=$3 port=$4
if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$dir"
    as='setpriv --reuid=postgres --regid=postgres --clear-groups'
fi
cd "$dir"
trap '' INT TERM HUP
$as "$bin/initdb" -D "$dir/data" -U mulot --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 || echo non
if [ -n "$5" ]; then
    cp "$5" data/serveur.pem && cp "$6" data/serveur.key && chmod 600 data/serveur.*
    [ -z "$as" ] || chown postgres data/serveur.*
fi
# shellcheck disable=SC2086 # words
$as "$bin/postgres" -D "$dir/data" -c listen_addresses= -c unix_socket_directories="$dir" -c port="$port" \
    -c max_connections=400 -c shared_buffers=32MB $settings >"$dir/journal" 2>&1 &
server=$!
tries=0
until "$bin/pg_isready" -q -h "$dir" -p "$port"; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { echo non; break; }
    sleep 0.1
done
echo prêt
read -r _
kill -QUIT "$server"
wait "$server"
cd / && rm -rf "$dir"
"#;
