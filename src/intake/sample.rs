//! Submissions for the tests of this module.

use jiff::{Timestamp, Zoned};

use crate::model::intake::NewSubmission;
use crate::model::mail::{AutoSubmitted, Mail, MailRole, Mailbox};
use crate::model::reference::Reference;
use crate::model::submission::{Answer, AnswerValue, Sender, StoredFile};

/// A day in July, noon in Paris.
pub(crate) fn noon() -> Zoned {
    "2026-07-12T12:00:00+02:00[Europe/Paris]".parse().unwrap()
}

/// The same instant.
pub(crate) fn now() -> Timestamp {
    noon().timestamp()
}

/// The reference of [`submission`] of that number.
pub(crate) fn reference(number: u32) -> Reference {
    let bytes = number.to_be_bytes();
    Reference::new(2026, [7, bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// A submission of Zoé, with a request to one mailbox of the mairie and her receipt.
pub(crate) fn submission(number: u32) -> NewSubmission {
    let reference = reference(number);
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&number.to_be_bytes());
    NewSubmission {
        nonce,
        form_id: "saisir-la-mairie".into(),
        form_title: "Saisir la mairie".into(),
        received_at: noon(),
        answers: vec![Answer {
            field: "message".into(),
            step: None,
            question: "Votre demande".into(),
            value: AnswerValue::Text("Un lampadaire est éteint rue du Puits-Perdu".into()),
        }],
        sender: Sender { name: "Zoé Lampion".into(), email: Some("zoe.lampion@example.fr".into()) },
        files: Vec::new(),
        receipt: serde_json::json!({ "titre": "Accusé d'enregistrement", "pour": "Zoé Lampion" }),
        purge_after: "2027-07-12".parse().unwrap(),
        mails: vec![
            mail(&reference, MailRole::Mairie, "mairie@saint-mulot.fr"),
            mail(&reference, MailRole::Usager, "zoe.lampion@example.fr"),
        ],
        quota: None,
        recipients_backup: vec!["secours@saint-mulot.fr".into()],
        reference,
    }
}

/// A file whose id is one letter, `a` to `f`, over and over; nothing lies anywhere.
pub(crate) fn file(letter: char) -> StoredFile {
    StoredFile {
        id: letter.to_string().repeat(32),
        name: "Plan de Lampion.pdf".into(),
        media_type: "application/pdf".into(),
        size: 8,
        hash: letter.to_string().repeat(64),
        cautions: Vec::new(),
    }
}

/// A mail of that submission.
pub(crate) fn mail(reference: &Reference, role: MailRole, to: &str) -> Mail {
    Mail {
        role,
        from: Mailbox { name: "Mairie de Saint-Mulot".into(), email: "guichet@saint-mulot.fr".into() },
        to: vec![to.into()],
        reply_to: None,
        subject: format!("[Saisir la mairie] réf. {reference}"),
        text: "Un lampadaire est éteint rue du Puits-Perdu\n".into(),
        html: "<html><body><p>Un lampadaire est éteint rue du Puits-Perdu</p></body></html>".into(),
        message_id: format!("{}.{}@saint-mulot.fr", reference.as_str().to_lowercase(), role.as_str()),
        in_reply_to: None,
        date: noon().to_string(),
        auto_submitted: AutoSubmitted::Generated,
        attachments: Vec::new(),
        json: None,
        sheets: Vec::new(),
    }
}
