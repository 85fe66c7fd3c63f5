//! What comes back, from a real Postfix to a real Dovecot, and odd reports among the mails of a secretary.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use mulot::intake::bounces::{ImapConfig, ImapError, LookError, Looked, Strangers, look};
use mulot::intake::deliver::Step;
use mulot::intake::mailer::{Credentials, Security};
use mulot::intake::store::Store;
use mulot::model::intake::DeliveryState;

use crate::dovecot::{Dovecot, PASSWORD};
use crate::odd::Certificate;
use crate::postfix::{Postfix, Sink, free_port, poll};
use crate::sample::{World, config, message_id, submission};

fn imap(dovecot: &Dovecot, certificate: &Certificate, security: Security) -> ImapConfig {
    ImapConfig {
        host: "localhost".into(),
        port: if security == Security::Tls { dovecot.tls_port } else { dovecot.port },
        security,
        credentials: Credentials { user: "guichet".into(), password: PASSWORD.into() },
        ca_file: Some(certificate.pem.clone()),
        folder: "INBOX".into(),
        done_folder: None,
    }
}

/// Puts a message in a Maildir.
fn put(maildir: &Path, name: &str, text: &str) {
    let path = maildir.join("new").join(name);
    fs::write(&path, text).unwrap();
    chown(&path, Some(65_534), Some(65_534)).unwrap();
}

/// Names of the messages of a folder, with their flags, wherever they stand.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = ["new", "cur"]
        .iter()
        .filter_map(|part| fs::read_dir(folder.join(part)).ok())
        .flat_map(|entries| entries.flatten())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn failed(store: &Store, number: u8) -> bool {
    let reference = submission(number, "").reference;
    store.detail(&reference, false).unwrap().unwrap().mails[0].state == DeliveryState::Failed
}

/// The setting by which Postfix takes mail for another domain, whose server then refuses it.
fn undeliverable(port: u16) -> Vec<String> {
    vec![format!("transport_maps = inline:{{ {{ailleurs.test = smtp:[127.0.0.1]:{port}}} }}")]
}

#[tokio::test]
async fn a_request_a_server_took_and_gave_back_goes_to_the_backup() {
    let refusing = free_port();
    let _sink = Sink::start(refusing, &["-f", "rcpt"]);
    let postfix = Postfix::start(free_port(), &undeliverable(refusing));
    let mut world = World::new(config(postfix.port, Security::None));
    world.store.record(submission(1, "mairie@ailleurs.test")).await.unwrap();
    assert_eq!(world.until_idle().await, [Step::Sent], "the server took it\n{}", postfix.log());
    assert!(!failed(&world.store, 1));
    postfix.messages(1);
    let certificate = Certificate::new("localhost");
    let dovecot = Dovecot::start(&postfix.maildir(), &certificate);
    for security in [Security::Tls, Security::StartTls, Security::None] {
        let mut strangers = Strangers::default();
        let looked = look(&imap(&dovecot, &certificate, security), &world.store, &mut strangers, world.now).await;
        let looked = looked.unwrap_or_else(|error| panic!("{security:?}: {error}\n{}", dovecot.log()));
        let expected = if security == Security::Tls { (1, 1) } else { (0, 0) };
        assert_eq!((looked.ours, looked.failed), expected, "{security:?}: read once");
    }
    assert!(failed(&world.store, 1));
    assert_eq!(world.until_idle().await, [Step::Sent], "the backup");
    let log = poll("the backup is written to", || {
        Some(postfix.log()).filter(|log| log.contains("to=<secours@saint-mulot.fr>"))
    });
    assert!(log.contains("status=bounced"), "{log}");
    let left = names(&postfix.maildir());
    assert!(left.iter().any(|name| name.contains(",S") || name.contains(":2,S")), "marked, never deleted: {left:?}");
}

#[tokio::test]
async fn what_is_not_ours_is_left_as_it_was_and_what_is_read_can_be_moved() {
    let postfix = Postfix::start(free_port(), &[]);
    let mut world = World::new(config(postfix.port, Security::None));
    world.store.record(submission(1, "mairie@saint-mulot.fr")).await.unwrap();
    assert_eq!(world.until_idle().await, [Step::Sent]);
    let maildir = postfix.maildir();
    postfix.messages(1);
    let report = include_str!("../rebonds/postfix.eml");
    let own = report
        .replace("2026-K7M2-QX4D-3.usager@saint-mulot.fr", &message_id(&submission(1, "").reference))
        .replace("zoe@example.fr", "mairie@saint-mulot.fr");
    put(&maildir, "1.ours", &own);
    put(&maildir, "2.forged", report);
    put(&maildir, "3.free", include_str!("../rebonds/texte-libre.eml"));
    put(&maildir, "4.letter", "From: zoe@example.fr\nSubject: Bonjour\nContent-Type: text/plain\n\ndelivery-status\n");
    let certificate = Certificate::new("localhost");
    let dovecot = Dovecot::start(&maildir, &certificate);
    let mut config = imap(&dovecot, &certificate, Security::Tls);
    config.done_folder = Some("Rebonds".into());
    let mut strangers = Strangers::default();
    let looked = look(&config, &world.store, &mut strangers, world.now).await.unwrap();
    assert_eq!(looked, Looked { ours: 1, failed: 1, strange: 1 }, "{}", dovecot.log());
    assert!(failed(&world.store, 1));
    // The folder is not there: the report stays, read. What is not ours is not even marked.
    let flags = |part: &str| names(&maildir).into_iter().find(|name| name.starts_with(part)).unwrap_or_default();
    assert!(flags("1.ours").ends_with('S'), "{:?}", names(&maildir));
    for other in ["2.forged", "3.free", "4.letter"] {
        assert!(!flags(other).is_empty() && !flags(other).contains('S'), "{other}: {:?}", names(&maildir));
    }
    assert_eq!(look(&config, &world.store, &mut strangers, world.now).await.unwrap(), Looked::default(), "once");

    let folder = maildir.join(".Rebonds");
    for part in ["", "new", "cur", "tmp"] {
        fs::create_dir(folder.join(part)).unwrap();
        chown(folder.join(part), Some(65_534), Some(65_534)).unwrap();
    }
    put(&maildir, "5.again", &own);
    let looked = look(&config, &world.store, &mut strangers, world.now).await.unwrap();
    assert_eq!((looked.ours, looked.failed), (1, 0), "it was known");
    assert_eq!(names(&folder).len(), 1, "{:?}\n{}", names(&maildir), dovecot.log());
}

#[tokio::test]
async fn a_mailbox_that_cannot_be_read_says_why() {
    let postfix = Postfix::start(free_port(), &[]);
    let world = World::new(config(postfix.port, Security::None));
    let certificate = Certificate::new("localhost");
    let maildir = postfix.maildir();
    let dovecot = Dovecot::start(&maildir, &certificate);
    let ask =
        async |config: ImapConfig| look(&config, &world.store, &mut Strangers::default(), world.now).await.unwrap_err();
    let good = imap(&dovecot, &certificate, Security::Tls);
    let wrong = Credentials { user: "guichet".into(), password: "faux".into() };
    let refused = ask(ImapConfig { credentials: wrong, ..good.clone() }).await;
    assert!(matches!(refused, LookError::Imap(ImapError::Refused)), "{refused}");
    let absent = ask(ImapConfig { folder: "Absent".into(), ..good.clone() }).await;
    assert!(matches!(absent, LookError::Imap(ImapError::Folder { .. })), "{absent}");
    let strange = ask(ImapConfig { ca_file: None, ..good.clone() }).await;
    assert!(matches!(strange, LookError::Imap(ImapError::Tls { .. })), "{strange}");
    let away = ask(ImapConfig { port: free_port(), ..good }).await;
    assert!(matches!(away, LookError::Imap(ImapError::Unreachable { .. })), "{away}");
}
