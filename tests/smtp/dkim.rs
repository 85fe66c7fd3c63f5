//! Signed messages, judged by an independent verifier: dkimpy.
//!
//! Needs the Debian packages python3-dkim, python3-nacl and openssl.

use std::process::Command;

use mulot::intake::mailer::{Letterbox, Mailer, Outcome, Signer, Transport, render};
use mulot::model::mail::Mail;
use mulot::model::reference::Reference;

use crate::postfix::{Postfix, free_port};
use crate::sample::{World, config, mail, parcel, submission};
use mulot::intake::deliver::Step;
use mulot::intake::mailer::Security;

/// Verifies a message against a record; prints what the verifier says.
const VERIFIER: &str = r#"
import sys, dkim
message, name, record = open(sys.argv[1], 'rb').read(), sys.argv[2], sys.argv[3]
def dns(asked, timeout=5):
    asked = asked.decode() if isinstance(asked, bytes) else asked
    return record.encode() if asked.rstrip('.') == name else None
sys.exit(0 if dkim.DKIM(message).verify(dnsfunc=dns) else 1)
"#;

fn verifies(message: &[u8], signer: &Signer) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("message");
    std::fs::write(&path, message).unwrap();
    // The modules are Debian's, whatever other Python comes first.
    let own = std::path::Path::new("/usr/bin/python3");
    let mut python = Command::new(if own.exists() { own } else { std::path::Path::new("python3") });
    let output =
        python.args(["-c", VERIFIER]).arg(path).args([signer.record_name(), signer.record()]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!told.contains("ModuleNotFoundError"), "apt-get install python3-dkim python3-nacl: {told}");
    output.status.success()
}

fn signer(openssl: &[&str]) -> Signer {
    let output = Command::new("openssl").args(openssl).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Signer::new("mulot", "saint-mulot.fr", &String::from_utf8(output.stdout).unwrap()).unwrap()
}

fn signers() -> Vec<Signer> {
    vec![
        signer(&["genrsa", "2048"]),
        signer(&["genrsa", "-traditional", "2048"]),
        signer(&["genpkey", "-algorithm", "ed25519"]),
    ]
}

async fn signed(mail: &Mail, signer: &Signer) -> Vec<u8> {
    let letters = Letterbox::default();
    let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap().signing(Some(signer.clone()));
    let mut parcel = parcel();
    parcel.bytes = std::sync::Arc::new(render(mail, Vec::new()).unwrap());
    for _ in 0..2 {
        assert!(matches!(mailer.send(parcel.clone()).await, Outcome::Delivered { .. }));
    }
    let taken = letters.taken();
    assert_eq!(taken[0].bytes, taken[1].bytes, "every try gives the same bytes");
    taken[0].bytes.to_vec()
}

#[tokio::test]
async fn an_independent_verifier_believes_what_we_sign_and_nothing_else() {
    let reference = Reference::new(2026, [7; 5]);
    let mut odd = mail(&reference, "mairie@saint-mulot.fr");
    odd.subject = format!("{}  deux   espaces\tet une tabulation", "Très long sujet accentué – ".repeat(6));
    odd.text = " espaces au début  et   au milieu \t\n\n\n.\n\n\n".into();
    odd.in_reply_to = Some("un.autre@saint-mulot.fr".into());
    odd.to.push("adjoint@saint-mulot.fr".into());
    for signer in signers() {
        for mail in [&mail(&reference, "mairie@saint-mulot.fr"), &odd] {
            let message = signed(mail, &signer).await;
            let text = String::from_utf8(message.clone()).unwrap();
            assert!(verifies(&message, &signer), "{signer:?}\n{text}");
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            for forged in [
                text.replacen("From: ", "From: Intrus ", 1),
                text.replacen("Subject: ", "Subject: Autre ", 1),
                format!("{head}\r\nSubject: ajouté\r\n\r\n{body}"),
                format!("{text}un mot de plus\r\n"),
            ] {
                assert!(!verifies(forged.as_bytes(), &signer), "{signer:?}\n{forged}");
            }
        }
    }
}

#[tokio::test]
async fn a_signature_survives_a_real_mail_server() {
    let postfix = Postfix::start(free_port(), &[]);
    let mut world = World::new(config(postfix.port, Security::None));
    let signer = signer(&["genrsa", "2048"]);
    world.mailer = world.mailer.signing(Some(signer.clone()));
    world.store.record(submission(1, "mairie@saint-mulot.fr")).await.unwrap();
    assert_eq!(world.until_idle().await, [Step::Sent], "{}", postfix.log());
    let message = std::fs::read(&postfix.messages(1)[0]).unwrap();
    // What a mailbox keeps has lines ended by `\n`.
    let message = String::from_utf8(message).unwrap().replace("\r\n", "\n").replace('\n', "\r\n");
    assert!(verifies(message.as_bytes(), &signer), "{message}");
}
