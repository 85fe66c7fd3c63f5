//! A Dovecot of our own over a Maildir: its own folder and port; gone with the value. Nothing of the system's is touched.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::odd::Certificate;
use crate::postfix::{free_port, poll, require, require_root};

/// A private instance that shows one Maildir to whoever knows the password.
pub(crate) struct Dovecot {
    child: Child,
    dir: tempfile::TempDir,
    /// Where it listens, in clear until STARTTLS.
    pub(crate) port: u16,
    /// Where it listens, protected from the first byte.
    pub(crate) tls_port: u16,
}

pub(crate) const PASSWORD: &str = "tres-secret";

impl Dovecot {
    /// Starts one over this Maildir, which belongs to `nobody`.
    pub(crate) fn start(maildir: &Path, certificate: &Certificate) -> Dovecot {
        require("dovecot", "dovecot-imapd");
        require_root();
        let dir = tempfile::Builder::new().prefix("mulot-dovecot").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (port, tls_port) = (free_port(), free_port());
        let settings = CONF
            .replace("ROOT", &dir.path().display().to_string())
            .replace("MAILDIR", &maildir.display().to_string())
            .replace("CERT", &certificate.pem.display().to_string())
            .replace("KEY", &certificate.key().display().to_string())
            .replace("PASSWORD", PASSWORD)
            .replace("TLSPORT", &tls_port.to_string())
            .replace("PORT", &port.to_string());
        let conf = dir.path().join("dovecot.conf");
        fs::write(&conf, settings).unwrap();
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(&conf).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let dovecot = Dovecot { child, dir, port, tls_port };
        poll("Dovecot answers", || TcpStream::connect(("127.0.0.1", port)).ok());
        dovecot
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // It tells its children; SIGKILL would leave them.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

const CONF: &str = "\
base_dir = ROOT/run
state_dir = ROOT/state
log_path = ROOT/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <CERT
ssl_key = <KEY
disable_plaintext_auth = no
mail_location = maildir:MAILDIR
first_valid_uid = 1
passdb {
  driver = static
  args = password=PASSWORD
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=MAILDIR
}
service imap-login {
  inet_listener imap {
    port = PORT
  }
  inet_listener imaps {
    port = TLSPORT
  }
}
";
