//! Submissions and the small world that delivers them.

use std::sync::Arc;

use jiff::{Timestamp, Zoned};
use mulot::intake::deliver::{Step, step};
use mulot::intake::files::FileStore;
use mulot::intake::mailer::{Deadlines, Mailer, Parcel, Security, SmtpConfig, Transport};
use mulot::intake::store::{Store, StoreOptions};
use mulot::model::intake::NewSubmission;
use mulot::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};
use mulot::model::reference::Reference;
use mulot::model::submission::Sender;

/// Text with all that SMTP may harm: dots at the start of lines, long lines, accents.
pub(crate) const TEXT: &str =
    "Bonjour,\n.\n..deux points\nUn lampadaire est éteint — « rue du Puits-Perdu ».\n\nFrom la mairie\n";

/// A day in July, noon in Paris.
pub(crate) fn noon() -> Zoned {
    "2026-07-12T12:00:00+02:00[Europe/Paris]".parse().unwrap()
}

/// One request to this mailbox, and no receipt.
pub(crate) fn submission(number: u8, to: &str) -> NewSubmission {
    let reference = Reference::new(2026, [7, 0, 0, 0, number]);
    NewSubmission {
        nonce: [number; 16],
        form_id: "saisir-la-mairie".into(),
        form_title: "Saisir la mairie".into(),
        received_at: noon(),
        answers: Vec::new(),
        sender: Sender::default(),
        files: Vec::new(),
        receipt: serde_json::Value::Null,
        purge_after: "2027-07-12".parse().unwrap(),
        mails: vec![mail(&reference, to)],
        quota: None,
        recipients_backup: vec!["secours@saint-mulot.fr".into()],
        reference,
    }
}

/// The mail of that request.
pub(crate) fn mail(reference: &Reference, to: &str) -> Mail {
    Mail {
        role: MailRole::Mairie,
        from: Mailbox { name: "Mairie de Saint-Mulot – guichet".into(), email: "guichet@saint-mulot.fr".into() },
        to: vec![to.into()],
        reply_to: Some(Mailbox { name: "Zoé L'Hénoret".into(), email: "zoe@example.fr".into() }),
        subject: format!("[Éclairage] — réf. {reference}"),
        text: TEXT.into(),
        html: "<html><body><p>Un lampadaire est éteint</p></body></html>".into(),
        message_id: message_id(reference),
        in_reply_to: None,
        date: noon().to_string(),
        auto_submitted: AutoSubmitted::Generated,
        attachments: Vec::new(),
        json: Some("{\"référence\":1}".into()),
        sheets: Vec::new(),
    }
}

/// Its Message-ID, without angle brackets.
pub(crate) fn message_id(reference: &Reference) -> String {
    format!("{}.mairie@saint-mulot.fr", reference.as_str().to_lowercase())
}

/// A message that needs no store.
pub(crate) fn parcel() -> Parcel {
    let reference = Reference::new(2026, [7; 5]);
    let bytes = mulot::intake::mailer::render(&mail(&reference, "mairie@saint-mulot.fr"), Vec::new()).unwrap();
    Parcel {
        reference,
        role: MailRole::Mairie,
        from: "guichet@saint-mulot.fr".into(),
        to: "mairie@saint-mulot.fr".into(),
        bytes: Arc::new(bytes),
    }
}

/// A server on this machine.
pub(crate) fn config(port: u16, security: Security) -> SmtpConfig {
    SmtpConfig {
        host: "localhost".into(),
        port,
        security,
        credentials: None,
        ca_file: None,
        hello: Some("guichet.saint-mulot.fr".into()),
        deadlines: Deadlines::default(),
    }
}

/// A store, its files, and a clock moved by hand.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) files: FileStore,
    pub(crate) mailer: Mailer,
    pub(crate) now: Timestamp,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(config: SmtpConfig) -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions { min_free_bytes: 0, ..StoreOptions::default() }).unwrap();
        World {
            files: FileStore::open(dir.path(), store.seal(), 0).unwrap(),
            store,
            mailer: Mailer::new(Transport::Smtp(config)).unwrap(),
            now: noon().timestamp(),
            _dir: dir,
        }
    }

    pub(crate) async fn step(&self) -> Step {
        step(&self.store, &self.mailer, &self.files, self.now).await.unwrap()
    }

    /// The first `count` steps that do something, moving the clock.
    pub(crate) async fn until_idle_or(&mut self, count: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        while steps.len() < count {
            match self.step().await {
                Step::Idle { next_at: None } => break,
                Step::Idle { next_at: Some(at) } => self.now = at,
                step => steps.push(step),
            }
        }
        steps
    }

    /// Steps until all is settled, moving the clock to whatever is awaited; gives the steps that did something.
    pub(crate) async fn until_idle(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        loop {
            match self.step().await {
                Step::Idle { next_at: None } => return steps,
                Step::Idle { next_at: Some(at) } => self.now = at,
                step => steps.push(step),
            }
            assert!(steps.len() < 100, "it never ends: {steps:?}");
        }
    }
}
