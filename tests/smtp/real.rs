//! A request brought to a real mail server: Postfix, from Debian, in its own folder.

use std::path::Path;
use std::process::Command;

use mulot::intake::deliver::Step;
use mulot::intake::files::UploadLimits;
use mulot::intake::mailer::Security;
use mulot::model::form::FileFormat;
use mulot::model::reference::Reference;

use crate::odd::Certificate;
use crate::postfix::{Greylist, Postfix, Sink, free_port};
use crate::sample::{TEXT, World, config, message_id, submission};

/// A message as an independent reader understands it.
fn read(message: &Path) -> serde_json::Value {
    const READER: &str = r#"
import email, email.policy, hashlib, json, sys
m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
def defects(p):
    return [str(d) for d in p.defects] + [d for q in (p.iter_parts() if p.is_multipart() else []) for d in defects(q)]
print(json.dumps({
    'id': m['Message-ID'], 'from': str(m['From']), 'to': str(m['To']), 'reply': str(m['Reply-To']),
    'subject': str(m['Subject']), 'date': m['Date'].datetime.isoformat(), 'auto': m['Auto-Submitted'],
    'text': m.get_body(('plain',)).get_content(), 'html': m.get_body(('html',)).get_content(),
    'files': [[p.get_filename(), p.get_content_type(), hashlib.sha256(p.get_content() if isinstance(p.get_content(), bytes) else p.get_content().encode()).hexdigest()] for p in m.iter_attachments()],
    'defects': defects(m)}))"#;
    let output = Command::new("python3")
        .args(["-c", READER])
        .arg(message)
        .output()
        .expect("python3 reads the mails of this test: apt-get install python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn reference(number: u8) -> Reference {
    submission(number, "").reference
}

fn id_of(number: u8) -> String {
    format!("<{}>", message_id(&reference(number)))
}

#[tokio::test]
async fn a_request_arrives_whole() {
    let postfix = Postfix::start(free_port(), &[]);
    let mut world = World::new(config(postfix.port, Security::None));
    let photo: Vec<u8> = b"%PDF-1.7\r\n".iter().copied().chain((0..200_000u32).map(|n| (n * 7 % 251) as u8)).collect();
    let limits = UploadLimits { max_bytes: 1 << 20, formats: vec![FileFormat::Pdf] };
    let mut upload = world.files.begin("Plan d'accès été.pdf", limits).unwrap();
    upload.write(&photo).unwrap();
    let file = upload.finish().unwrap();
    world.files.accept(std::slice::from_ref(&file)).unwrap();
    let mut new = submission(1, "mairie@saint-mulot.fr");
    new.mails[0].attachments.push(file.clone());
    new.files.push(file);
    world.store.record(new).await.unwrap();
    assert_eq!(world.until_idle().await, [Step::Sent], "{}", postfix.log());
    let messages = postfix.messages(1);
    let mail = read(&messages[0]);
    assert_eq!(mail["id"], id_of(1));
    assert_eq!(mail["from"], "Mairie de Saint-Mulot – guichet <guichet@saint-mulot.fr>");
    assert_eq!(mail["to"], "mairie@saint-mulot.fr");
    assert_eq!(mail["reply"], "Zoé L'Hénoret <zoe@example.fr>");
    assert_eq!(mail["subject"], format!("[Éclairage] — réf. {}", reference(1)));
    assert_eq!(mail["date"], "2026-07-12T12:00:00+02:00");
    assert_eq!(mail["auto"], "auto-generated");
    assert_eq!(mail["text"], TEXT);
    assert!(mail["html"].as_str().unwrap().contains("éteint"));
    assert_eq!(mail["files"][0][0], "Plan d'accès été.pdf");
    assert_eq!(mail["files"][0][1], "application/pdf");
    assert_eq!(mail["files"][0][2], sha256(&photo));
    assert_eq!(mail["files"][1][0], "demande.json");
    assert_eq!(mail["defects"], serde_json::json!([]));
}

fn sha256(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bytes");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_greylisted_request_arrives_at_the_next_try() {
    let greylist = Greylist::start();
    let policy = format!("smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{}", greylist.port);
    let postfix = Postfix::start(free_port(), &[policy]);
    let mut world = World::new(config(postfix.port, Security::None));
    world.store.record(submission(1, "mairie@saint-mulot.fr")).await.unwrap();
    let steps = world.until_idle().await;
    assert!(matches!(steps[..], [Step::Deferred { .. }, Step::Sent]), "{steps:?}");
    assert_eq!(read(&postfix.messages(1)[0])["id"], id_of(1));
    let events = world.store.detail(&reference(1), false).unwrap().unwrap().events;
    assert_eq!(
        (events[0].kind.as_str(), events[0].code, events[0].class.as_deref()),
        ("temporary", Some(450), Some("4.2.0"))
    );
}

#[tokio::test]
async fn an_unknown_mailbox_is_settled_and_the_backup_gets_the_request() {
    let unknown =
        "smtpd_recipient_restrictions = check_recipient_access inline:{ {inconnu@saint-mulot.fr = 550 5.1.1 unknown} }";
    let postfix = Postfix::start(free_port(), &[unknown.to_owned()]);
    let mut world = World::new(config(postfix.port, Security::None));
    world.store.record(submission(1, "inconnu@saint-mulot.fr")).await.unwrap();
    assert_eq!(world.until_idle().await, [Step::Failed, Step::Sent]);
    assert_eq!(read(&postfix.messages(1)[0])["id"], id_of(1));
    assert!(postfix.log().contains("to=<secours@saint-mulot.fr>"), "{}", postfix.log());
    let mails = world.store.detail(&reference(1), false).unwrap().unwrap().mails;
    assert_eq!((mails[0].last_code, mails[1].backup), (Some(550), true));
}

#[tokio::test]
async fn a_message_too_large_for_the_server_arrives_without_its_files() {
    let postfix = Postfix::start(free_port(), &["message_size_limit = 100000".to_owned()]);
    let mut world = World::new(config(postfix.port, Security::None));
    let limits = UploadLimits { max_bytes: 1 << 20, formats: vec![FileFormat::Pdf] };
    let mut upload = world.files.begin("plan.pdf", limits).unwrap();
    upload.write(&[b"%PDF-1.7\n".as_slice(), &[b'x'; 200_000]].concat()).unwrap();
    let file = upload.finish().unwrap();
    world.files.accept(std::slice::from_ref(&file)).unwrap();
    let mut new = submission(1, "mairie@saint-mulot.fr");
    new.mails[0].attachments.push(file.clone());
    new.files.push(file);
    world.store.record(new).await.unwrap();
    let steps = world.until_idle().await;
    assert!(matches!(steps[..], [Step::Deferred { .. }, Step::Sent]), "{steps:?}\n{}", postfix.log());
    let mail = read(&postfix.messages(1)[0]);
    assert!(mail["text"].as_str().unwrap().contains("- plan.pdf"), "{mail}");
    assert_eq!(mail["files"].as_array().unwrap().len(), 1, "demande.json only");
}

#[tokio::test]
async fn a_server_that_was_down_gets_everything_once_when_it_is_back() {
    let port = free_port();
    let mut world = World::new(config(port, Security::None));
    for number in 1..=3 {
        world.store.record(submission(number, "mairie@saint-mulot.fr")).await.unwrap();
    }
    for _ in 0..4 {
        let Step::Deferred { until } = world.step().await else { panic!("somebody listens") };
        assert_eq!(world.step().await, Step::Idle { next_at: Some(until) }, "one probe, not three");
        world.now = until;
    }
    let postfix = Postfix::start(port, &[]);
    assert_eq!(world.until_idle().await, [Step::Sent; 3]);
    let mut ids: Vec<String> =
        postfix.messages(3).iter().map(|path| read(path)["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    assert_eq!(ids, [id_of(1), id_of(2), id_of(3)]);
}

#[tokio::test]
async fn a_line_cut_around_the_message_loses_nothing() {
    for cut in [["-q", "data"], ["-q", "."], ["-Q", "rcpt"], ["-Q", "."]] {
        let port = free_port();
        let mut world = World::new(config(port, Security::None));
        world.store.record(submission(1, "mairie@saint-mulot.fr")).await.unwrap();
        let sink = Sink::start(port, &cut);
        let Step::Deferred { until } = world.step().await else { panic!("{cut:?} was not a cut") };
        drop(sink);
        world.now = until;
        let postfix = Postfix::start(port, &[]);
        assert_eq!(world.until_idle().await, [Step::Sent], "{cut:?}");
        let messages = postfix.messages(1);
        assert_eq!((messages.len(), &read(&messages[0])["id"]), (1, &serde_json::json!(id_of(1))));
    }
}

#[tokio::test]
async fn a_server_that_refuses_for_good_is_believed() {
    let port = free_port();
    let mut world = World::new(config(port, Security::None));
    let mut new = submission(1, "mairie@saint-mulot.fr");
    new.recipients_backup.clear();
    world.store.record(new).await.unwrap();
    let _sink = Sink::start(port, &["-r", "rcpt"]);
    let steps = world.until_idle_or(3).await;
    assert!(
        matches!(steps[..], [Step::Deferred { .. }, Step::Deferred { .. }, Step::Deferred { .. }]),
        "4xx: {steps:?}"
    );
    drop(_sink);
    let _sink = Sink::start(port, &["-f", "rcpt"]);
    assert_eq!(world.until_idle().await, [Step::Failed]);
}

#[tokio::test]
async fn postfix_is_spoken_to_under_tls() {
    let certificate = Certificate::new("localhost");
    let postfix = Postfix::start(
        free_port(),
        &[
            format!("smtpd_tls_cert_file = {}", certificate.pem.display()),
            format!("smtpd_tls_key_file = {}", certificate.key().display()),
            "smtpd_tls_security_level = encrypt".to_owned(),
            "smtpd_tls_loglevel = 1".to_owned(),
        ],
    );
    let mut trusted = config(postfix.port, Security::StartTls);
    trusted.ca_file = Some(certificate.pem.clone());
    let mut world = World::new(trusted);
    world.store.record(submission(1, "mairie@saint-mulot.fr")).await.unwrap();
    assert_eq!(world.until_idle().await, [Step::Sent], "{}", postfix.log());
    assert_eq!(read(&postfix.messages(1)[0])["id"], id_of(1));
    assert!(postfix.log().contains("TLS connection established"), "{}", postfix.log());

    let world = World::new(config(postfix.port, Security::None));
    world.store.record(submission(2, "mairie@saint-mulot.fr")).await.unwrap();
    assert!(matches!(world.step().await, Step::Deferred { .. }), "530: STARTTLS first");
    assert_eq!(world.store.route().unwrap().unwrap().reason, "sender_refused");
}
