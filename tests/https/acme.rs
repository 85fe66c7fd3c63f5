//! Certificates asked from Pebble, the test server of Let's Encrypt: nonces refused, signatures, states and proofs are its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use mulot::server::acme::{FOLDER, HostState, states};
use mulot::server::front::Hosted;
use mulot::server::https_config::Automatic;
use tempfile::TempDir;

use crate::secure_test::*;

/// An authority and its DNS, stopped when dropped.
struct Pebble {
    running: Vec<Child>,
    folder: TempDir,
    directory: String,
    management: u16,
    dns_management: u16,
}

impl Pebble {
    /// One that looks for proofs on those ports of this machine.
    fn start(http: u16, https: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = Authority::new();
        let (chain, key) = own.issue(&["localhost"]);
        let write = |name: &str, text: &str| -> PathBuf {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let (chain, key) = (write("pebble.pem", &chain), write("pebble.key", &key));
        write("racine.pem", &own.pem);
        let [port, management, dns, dns_management] = [(); 4].map(|()| free_port());
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": chain, "privateKey": key,
            "httpPort": http, "tlsPort": https, "ocspResponderURL": "", "externalAccountBindingRequired": false,
        }});
        let config = write("pebble.json", &config.to_string());
        let names = Command::new("pebble-challtestsrv")
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""])
            .args(["-dns01", &format!("127.0.0.1:{dns}"), "-management", &format!("127.0.0.1:{dns_management}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble-challtestsrv");
        let pebble = Command::new("pebble")
            .args(["-strict", "-dnsserver", &format!("127.0.0.1:{dns}"), "-config"])
            .arg(config)
            // A good nonce out of ten is refused, and no proof is believed twice.
            .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "10"), ("PEBBLE_AUTHZREUSE", "0")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble");
        let pebble = Pebble {
            running: vec![names, pebble],
            folder,
            directory: format!("https://localhost:{port}/dir"),
            management,
            dns_management,
        };
        for port in [port, management, dns_management] {
            until("Pebble listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        }
        pebble
    }

    fn settings(&self) -> Automatic {
        Automatic {
            directory: self.directory.clone(),
            root: Some(self.folder.path().join("racine.pem")),
            contact: Some("technicien@trou.example".into()),
        }
    }

    /// The root under which it issues.
    fn roots(&self) -> String {
        let own = std::fs::read_to_string(self.folder.path().join("racine.pem")).unwrap();
        let address = ([127, 0, 0, 1], self.management).into();
        let said = Secure::open(address, &own, "localhost", &[]).unwrap().get("localhost", "/roots/0");
        said[said.find("-----BEGIN").unwrap()..].to_owned()
    }

    /// Makes a name lead to another machine, where nobody listens.
    fn lead_away(&self, host: &str) {
        self.name("add-a", &format!(r#"{{"host":"{host}.","addresses":["127.0.0.99"]}}"#));
    }

    fn lead_here(&self, host: &str) {
        self.name("clear-a", &format!(r#"{{"host":"{host}."}}"#));
    }

    fn name(&self, act: &str, body: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.dns_management)).unwrap();
        let head = format!(
            "POST /{act} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for one in &mut self.running {
            let _ = one.kill();
            let _ = one.wait();
        }
    }
}

fn hosted(main: &str, others: &[&str]) -> Hosted {
    Hosted { main: main.into(), others: others.iter().map(|one| (*one).to_owned()).collect(), twin: None }
}

fn state(door: &Door, host: &str) -> Option<HostState> {
    states(&door.data()).into_iter().find(|one| one.host == host)
}

fn names(door: &Door, roots: &str, host: &str) -> Option<Vec<u8>> {
    door.secure(roots, host).ok().map(|secure| secure.certificate())
}

#[test]
fn each_commune_gets_its_certificate_and_one_that_leads_elsewhere_waits_alone() {
    let mut plan = Plan::new();
    let (http, https) = (free_port(), free_port());
    let pebble = Pebble::start(http, https);
    pebble.lead_away("ailleurs.example");
    pebble.lead_away("www.mouron.example");
    (plan.http, plan.https, plan.automatic) = (Some(http), https, Some(pebble.settings()));
    plan.hosted = vec![
        hosted("ailleurs.example", &[]),
        hosted(HOST, &[OTHER]),
        hosted("mouron.example", &["www.mouron.example"]),
    ];
    let door = plan.open();
    let roots = pebble.roots();
    until("both are certified", || {
        [HOST, OTHER, "mouron.example"].iter().all(|host| names(&door, &roots, host).is_some()).then_some(())
    });
    assert_eq!(names(&door, &roots, HOST), names(&door, &roots, OTHER), "one certificate a commune");
    assert_ne!(names(&door, &roots, HOST), names(&door, &roots, "mouron.example"));
    assert!(door.secure(&roots, HOST).unwrap().get(HOST, "/").contains("La mairie est ouverte"));
    // The one that waits says why, in words for who set up the names.
    assert!(door.secure(&roots, "ailleurs.example").is_err());
    let waits = until("noted", || state(&door, "ailleurs.example").filter(|one| one.trouble.is_some()));
    let trouble = waits.trouble.unwrap();
    assert!(trouble.starts_with("ailleurs.example : l'autorité n'a pas pu joindre ce nom"), "{trouble}");
    assert!(waits.until.is_none() && waits.again.is_some());
    let partial = until("noted", || state(&door, "mouron.example").filter(|one| one.trouble.is_some()));
    assert!(partial.until.is_some() && partial.trouble.unwrap().starts_with("www.mouron.example :"));
    assert_eq!(state(&door, HOST).unwrap().trouble, None);
    // Set right, it is certified at the next try and not before.
    pebble.lead_here("ailleurs.example");
    door.advance(1);
    until("certified at last", || names(&door, &roots, "ailleurs.example"));
    // A commune that comes is certified without a restart.
    door.hosts.set(vec![hosted(HOST, &[OTHER]), hosted("nouvelle.example", &[])]);
    until("the new one", || names(&door, &roots, "nouvelle.example"));
    only_the_owner_reads(&door);
}

fn only_the_owner_reads(door: &Door) {
    use std::os::unix::fs::PermissionsExt;
    let folder = door.data().join(FOLDER);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(files.len() >= 5, "{files:?}");
    files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{file:?}"));
}

#[test]
fn what_was_obtained_serves_while_the_authority_is_away_and_is_renewed_in_time() {
    let mut plan = Plan::new();
    let (http, https) = (free_port(), free_port());
    let pebble = Pebble::start(http, https);
    let settings = pebble.settings();
    (plan.http, plan.https, plan.automatic) = (Some(http), https, Some(settings.clone()));
    let door = plan.open();
    let roots = pebble.roots();
    let first = until("certified", || names(&door, &roots, HOST));
    let root = door.stopped();
    let again = |root, settings| {
        let mut plan = Plan { root, ..Plan::new() };
        (plan.http, plan.https, plan.automatic) = (Some(http), https, Some(settings));
        plan.open()
    };
    // The authority is unreachable: what is there serves, and is not asked for again.
    let away = Automatic { directory: format!("https://localhost:{}/dir", free_port()), ..settings.clone() };
    let door = again(root, away);
    assert_eq!(names(&door, &roots, HOST), Some(first.clone()), "at once");
    // Past two thirds of its life it is asked for; that fails, and the site is still served.
    door.advance(365 * 4);
    let waits = until("noted", || state(&door, HOST).filter(|one| one.trouble.is_some()));
    assert!(waits.trouble.unwrap().contains("n'a pas pu être jointe"), "{HOST}");
    assert_eq!(names(&door, &roots, HOST), Some(first.clone()));
    let door = again(door.stopped(), settings);
    assert_eq!(names(&door, &roots, HOST), Some(first.clone()), "good for long");
    door.advance(365 * 4);
    until("renewed", || names(&door, &roots, HOST).filter(|shown| *shown != first));
}

#[test]
fn without_port_80_the_proof_is_given_on_port_443() {
    let mut plan = Plan::new();
    let https = free_port();
    let pebble = Pebble::start(free_port(), https);
    (plan.http, plan.https, plan.automatic) = (None, https, Some(pebble.settings()));
    let door = plan.open();
    let roots = pebble.roots();
    until("certified", || names(&door, &roots, HOST));
    // Nothing is left to who pretends to be an authority.
    assert!(Secure::open(door.https, &roots, HOST, &[b"acme-tls/1"]).is_err());
    assert!(door.secure(&roots, HOST).unwrap().get(HOST, "/").starts_with("HTTP/1.1 200"));
}
