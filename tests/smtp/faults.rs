//! What the mailer says of a server that misbehaves, phase by phase.

use std::time::Duration;

use mulot::intake::mailer::{
    Credentials, Deadlines, Mailer, MailerError, Outcome, Phase, Refusal, Security, Transport,
};

use crate::odd::{Certificate, Odd, Running, Whim};
use crate::sample::{config, parcel};

fn hasty() -> Deadlines {
    Deadlines {
        connect: Duration::from_millis(500),
        hello: Duration::from_millis(1500),
        command: Duration::from_millis(500),
        data: Duration::from_millis(500),
    }
}

async fn sent(odd: Odd) -> (Outcome, Running) {
    let server = odd.start();
    let mut config = config(server.port, Security::None);
    config.deadlines = hasty();
    let mailer = Mailer::new(Transport::Smtp(config)).unwrap();
    (mailer.send(parcel()).await, server)
}

fn login() -> Option<Credentials> {
    Some(Credentials { user: "guichet".into(), password: "très secret".into() })
}

fn refusal(phase: Phase, code: Option<u16>, class: Option<&str>) -> Refusal {
    Refusal { phase, code, class: class.map(Into::into) }
}

#[tokio::test]
async fn a_good_server_takes_the_message() {
    let (outcome, server) = sent(Odd::default()).await;
    assert_eq!(outcome, Outcome::Delivered { code: 250 });
    let heard = server.heard();
    assert!(heard.contains(&"MAIL FROM:<guichet@saint-mulot.fr>".to_owned()), "{heard:?}");
    assert!(heard.contains(&"RCPT TO:<mairie@saint-mulot.fr>".to_owned()), "{heard:?}");
    assert_eq!(heard.iter().filter(|line| *line == "MESSAGE").count(), 1);
}

#[tokio::test]
async fn a_stall_ends_within_its_deadline_and_says_what_is_known() {
    for verb in ["GREETING", "EHLO"] {
        let (outcome, _server) = sent(Odd::default().whim(verb, Whim::Stall)).await;
        assert!(matches!(outcome, Outcome::Unreachable { code: None, .. }), "{verb}: {outcome:?}");
    }
    for (verb, phase) in [("MAIL", Phase::Sender), ("RCPT", Phase::Recipient), ("DATA", Phase::Data)] {
        let (outcome, _server) = sent(Odd::default().whim(verb, Whim::Stall)).await;
        assert_eq!(outcome, Outcome::Temporary(refusal(phase, None, None)), "{verb}: nothing was delivered");
    }
    let (outcome, server) = sent(Odd::default().whim(".", Whim::Stall)).await;
    assert!(matches!(outcome, Outcome::Ambiguous { .. }), "{outcome:?}");
    assert!(server.heard_verb("MESSAGE"), "the server has it all, and never said so");
}

#[tokio::test]
async fn a_cut_before_the_message_is_temporary_and_after_it_ambiguous() {
    for (verb, phase) in [("MAIL", Phase::Sender), ("RCPT", Phase::Recipient), ("DATA", Phase::Data)] {
        let (outcome, _server) = sent(Odd::default().whim(verb, Whim::Cut)).await;
        assert_eq!(outcome, Outcome::Temporary(refusal(phase, None, None)));
    }
    for verb in ["BODY", "."] {
        let (outcome, _server) = sent(Odd::default().whim(verb, Whim::Cut)).await;
        assert!(matches!(outcome, Outcome::Ambiguous { .. }), "{verb}: {outcome:?}");
    }
    let (outcome, _server) = sent(Odd::default().whim("GREETING", Whim::Cut)).await;
    assert!(matches!(outcome, Outcome::Unreachable { .. }), "{outcome:?}");
}

#[tokio::test]
async fn each_refusal_keeps_its_code_and_its_class_but_no_text() {
    for (verb, answer, expected) in [
        (
            "RCPT",
            "450 4.2.0 <mairie@saint-mulot.fr>: greylisted",
            Outcome::Temporary(refusal(Phase::Recipient, Some(450), Some("4.2.0"))),
        ),
        (
            "RCPT",
            "550 5.1.1 <mairie@saint-mulot.fr>: unknown",
            Outcome::Permanent(refusal(Phase::Recipient, Some(550), Some("5.1.1"))),
        ),
        ("RCPT", "421 trop de connexions OFR004_104", Outcome::Temporary(refusal(Phase::Recipient, Some(421), None))),
        (
            "MAIL",
            "553 5.7.1 not your address",
            Outcome::SenderRefused(refusal(Phase::Sender, Some(553), Some("5.7.1"))),
        ),
        ("MAIL", "552 5.3.4 too big", Outcome::Permanent(refusal(Phase::Sender, Some(552), Some("5.3.4")))),
        ("MAIL", "452 4.3.1 disk full", Outcome::Temporary(refusal(Phase::Sender, Some(452), Some("4.3.1")))),
        ("DATA", "554 5.5.1 no valid recipients", Outcome::Permanent(refusal(Phase::Data, Some(554), Some("5.5.1")))),
        (".", "554 5.7.1 spam", Outcome::Permanent(refusal(Phase::Message, Some(554), Some("5.7.1")))),
        (".", "451 4.3.0 later", Outcome::Temporary(refusal(Phase::Message, Some(451), Some("4.3.0")))),
        (
            ".",
            "550-5.7.1 several\r\n550 5.7.1 lines",
            Outcome::Permanent(refusal(Phase::Message, Some(550), Some("5.7.1"))),
        ),
    ] {
        let (outcome, _server) = sent(Odd::default().whim(verb, Whim::Answer(answer))).await;
        assert_eq!(outcome, expected, "{verb}: {answer}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_everybody_is_not_the_message_s_fault() {
    for (verb, answer, code) in [
        ("GREETING", "421 4.7.0 too many connections", Some(421)),
        ("GREETING", "554 5.7.1 you are listed", Some(554)),
        ("EHLO", "502 5.5.2 what", Some(502)),
        ("GREETING", "HTTP/1.1 400 Bad Request", None),
    ] {
        let (outcome, server) = sent(Odd::default().whim(verb, Whim::Answer(answer))).await;
        let Outcome::Unreachable { code: found, host, .. } = outcome else { panic!("{answer}: {outcome:?}") };
        assert_eq!((found, host.as_str()), (code, "localhost"), "{answer}");
        assert!(!server.heard_verb("MAIL"));
    }
}

#[tokio::test]
async fn nothing_listens() {
    let port = std::net::TcpListener::bind("localhost:0").unwrap().local_addr().unwrap().port();
    let mailer = Mailer::new(Transport::Smtp(config(port, Security::None))).unwrap();
    let outcome = mailer.send(parcel()).await;
    assert!(matches!(outcome, Outcome::Unreachable { code: None, .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_password_never_travels_in_clear() {
    let mut clear = config(25, Security::None);
    clear.credentials = login();
    let error = Mailer::new(Transport::Smtp(clear.clone())).err().unwrap();
    assert!(matches!(error, MailerError::ClearCredentials { .. }), "{error}");
    assert!(!format!("{clear:?}").contains("secret"));

    // A server, or someone between, that offers AUTH and hides STARTTLS.
    let server = Odd { extensions: vec!["AUTH PLAIN LOGIN"], ..Odd::default() }.start();
    let mut stripped = config(server.port, Security::StartTls);
    stripped.credentials = login();
    let mailer = Mailer::new(Transport::Smtp(stripped)).unwrap();
    let outcome = mailer.send(parcel()).await;
    assert!(matches!(outcome, Outcome::TlsRefused { .. }), "{outcome:?}");
    assert!(!server.heard_verb("AUTH") && !server.heard_verb("MAIL"), "{:?}", server.heard());
}

#[tokio::test]
async fn a_protected_server_gets_the_password_and_an_unknown_one_does_not() {
    let certificate = Certificate::new("localhost");
    for (security, implicit) in [(Security::StartTls, false), (Security::Tls, true)] {
        let odd = Odd {
            extensions: vec!["STARTTLS", "AUTH PLAIN LOGIN"],
            certificate: Some(certificate.clone()),
            implicit,
            ..Odd::default()
        };
        let server = odd.clone().start();
        let mut trusted = config(server.port, security);
        trusted.credentials = login();
        let mut unknown = trusted.clone();
        trusted.ca_file = Some(certificate.pem.clone());
        let mailer = Mailer::new(Transport::Smtp(trusted.clone())).unwrap();
        assert_eq!(mailer.send(parcel()).await, Outcome::Delivered { code: 250 }, "{security:?}");
        assert!(server.heard_verb("AUTH PLAIN"), "{:?}", server.heard());

        let stranger = odd.clone().start();
        unknown.port = stranger.port;
        let outcome = Mailer::new(Transport::Smtp(unknown)).unwrap().send(parcel()).await;
        assert!(matches!(outcome, Outcome::TlsRefused { .. }), "{security:?}: {outcome:?}");
        assert!(!stranger.heard_verb("AUTH"));

        let strict = odd.whim("AUTH", Whim::Answer("535 5.7.8 no")).start();
        trusted.port = strict.port;
        let outcome = Mailer::new(Transport::Smtp(trusted)).unwrap().send(parcel()).await;
        assert_eq!(outcome, Outcome::AuthRefused { code: Some(535) });
        assert!(!strict.heard_verb("MAIL"));
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let certificate = Certificate::new("mail.example.fr");
    let odd = Odd { extensions: vec!["STARTTLS"], certificate: Some(certificate.clone()), ..Odd::default() };
    let server = odd.start();
    let mut other = config(server.port, Security::StartTls);
    other.ca_file = Some(certificate.pem.clone());
    let outcome = Mailer::new(Transport::Smtp(other)).unwrap().send(parcel()).await;
    assert!(matches!(outcome, Outcome::TlsRefused { .. }), "{outcome:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_the_message_waits() {
    let certificate = Certificate::expired("localhost");
    let odd = Odd { extensions: vec!["STARTTLS"], certificate: Some(certificate.clone()), ..Odd::default() };
    let server = odd.start();
    let mut config = config(server.port, Security::StartTls);
    config.ca_file = Some(certificate.pem.clone());
    let outcome = Mailer::new(Transport::Smtp(config)).unwrap().send(parcel()).await;
    assert!(matches!(outcome, Outcome::TlsRefused { .. }), "{outcome:?}");
    assert!(!server.heard_verb("MAIL"), "nothing of the message was told: {:?}", server.heard());
}

#[tokio::test]
async fn a_server_that_drips_its_answers_is_waited_for() {
    let slow = Whim::Drip("250 2.0.0 queued");
    let (outcome, server) = sent(Odd::default().whim(".", slow)).await;
    assert_eq!(outcome, Outcome::Delivered { code: 250 });
    assert!(server.heard_verb("MESSAGE"));
}

#[test]
fn an_unusable_certificate_file_is_told_at_start() {
    let mut broken = config(587, Security::StartTls);
    broken.ca_file = Some("/nowhere/ca.pem".into());
    let error = Mailer::new(Transport::Smtp(broken)).err().unwrap();
    assert!(matches!(&error, MailerError::CaFile { path, .. } if path.ends_with("ca.pem")), "{error}");
}
