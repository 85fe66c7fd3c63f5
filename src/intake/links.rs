//! Addresses that mails and pages carry: the resident's follow-up page, the mairie's page of actions, the files that are too
//! heavy for a mail.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::store::MailboxTag;
use super::token::{Errand, Keys};
use crate::model::reference::Reference;
use crate::model::submission::StoredFile;

/// Makes addresses of one guichet.
#[derive(Debug, Clone)]
pub struct Links {
    keys: Keys,
    base: String,
    budget: u64,
}

/// The addresses of one request, for its mails; `None` when the guichet's own address is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLinks {
    /// The resident's page.
    pub follow: Option<String>,
    /// The mairie's page.
    pub act: Option<String>,
    /// The files that a mail leaves out; all are attached when the guichet's own address is not known.
    pub pieces: Option<PieceLinks>,
}

/// The files of a mail that are reached by a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceLinks {
    /// Id of each file left out → its address.
    pub urls: BTreeMap<String, String>,
    /// The last moment they open.
    pub until: Timestamp,
}

impl PieceLinks {
    /// The address of a file; `None` when it is attached.
    pub fn url(&self, file: &StoredFile) -> Option<&str> {
        self.urls.get(&file.id).map(String::as_str)
    }
}

impl Links {
    /// Links of the guichet that answers at `base`, scheme and host, perhaps a path; empty when it is not known.
    pub fn new(keys: Keys, base: &str) -> Links {
        Links { keys, base: base.trim_end_matches('/').to_owned(), budget: MAIL_BUDGET }
    }

    /// The same, for mails that carry at most so many bytes of files.
    #[must_use]
    pub fn within(self, budget: u64) -> Links {
        Links { budget, ..self }
    }

    /// The addresses of a request in a mail written now.
    pub fn of(&self, reference: &Reference, now: Timestamp) -> RequestLinks {
        if self.base.is_empty() {
            return RequestLinks::default();
        }
        let until = now.checked_add(ACT_LIFE).unwrap_or(Timestamp::MAX);
        RequestLinks {
            follow: Some(format!("{}{}", self.base, self.follow(reference))),
            act: Some(format!("{}/guichet/agir/{}", self.base, self.keys.act_token(reference, until))),
            pieces: None,
        }
    }

    /// The page where a mailbox is confirmed, in a mail written now; `None` when the guichet's own address is not known.
    pub fn mailbox(&self, tag: &MailboxTag, now: Timestamp) -> Option<String> {
        self.errand(Errand::Mailbox, "boite", tag, now)
    }

    /// The page where a mailbox judges what waits in quarantine, in a mail written now.
    pub fn quarantine(&self, tag: &MailboxTag, now: Timestamp) -> Option<String> {
        self.errand(Errand::Quarantine, "quarantaine", tag, now)
    }

    fn errand(&self, errand: Errand, place: &str, tag: &MailboxTag, now: Timestamp) -> Option<String> {
        let until = now.checked_add(ERRAND_LIFE).unwrap_or(Timestamp::MAX);
        let token = self.keys.errand_token(errand, tag, until);
        (!self.base.is_empty()).then(|| format!("{}/guichet/{place}/{token}", self.base))
    }

    /// The same, for a mail with these files: in their order, each that still fits is attached, the others get an address.
    pub fn with_files<'f>(
        &self,
        reference: &Reference,
        files: impl IntoIterator<Item = &'f StoredFile>,
        now: Timestamp,
    ) -> RequestLinks {
        let links = self.of(reference, now);
        if self.base.is_empty() {
            return links;
        }
        let (mut left, mut urls) = (self.budget, BTreeMap::new());
        for file in files {
            if file.size <= left {
                left -= file.size;
            } else if let Some(path) = self.piece(reference, &file.id, now) {
                urls.insert(file.id.clone(), format!("{}{path}", self.base));
            }
        }
        let pieces = (!urls.is_empty()).then(|| PieceLinks { urls, until: piece_until(now) });
        RequestLinks { pieces, ..links }
    }

    /// The page by which an agent fills forms for residents, and the last moment it opens; `None` when the guichet's own address
    /// is not known.
    pub fn counter(&self, now: Timestamp) -> Option<(String, Timestamp)> {
        let until = now.checked_add(COUNTER_LIFE).unwrap_or(Timestamp::MAX);
        let link = || format!("{}/guichet/comptoir/{}/", self.base, self.keys.counter_token(until));
        (!self.base.is_empty()).then(|| (link(), until))
    }

    /// The follow-up page, from the root of the host.
    pub fn follow_path(&self, reference: &Reference) -> String {
        format!("{}{}", self.root(), self.follow(reference))
    }

    /// A file of a request for the mairie, from the root of the host; `None` when `file` is no id of the file store.
    pub fn piece_path(&self, reference: &Reference, file: &str, now: Timestamp) -> Option<String> {
        Some(format!("{}{}", self.root(), self.piece(reference, file, now)?))
    }

    /// The path that the guichet answers under; empty at the root of its host.
    fn root(&self) -> &str {
        let host = self.base.find("://").map_or(0, |at| at + 3);
        self.base[host..].find('/').map_or("", |at| &self.base[host + at..])
    }

    fn follow(&self, reference: &Reference) -> String {
        format!("/guichet/suivi/{reference}/{}", self.keys.follow_secret(reference))
    }

    fn piece(&self, reference: &Reference, file: &str, now: Timestamp) -> Option<String> {
        Some(format!("/guichet/piece/{}", self.keys.piece_token(reference, file, piece_until(now))?))
    }
}

fn piece_until(now: Timestamp) -> Timestamp {
    now.checked_add(PIECE_LIFE).unwrap_or(Timestamp::MAX)
}

/// How long a link of the counter opens: an agent keeps it in the browser; each digest brings a new one.
const COUNTER_LIFE: SignedDuration = SignedDuration::from_hours(24 * 31);
/// How long a mail lets the mairie act: longer than any delay of ours; each later mail about the request brings a new link.
const ACT_LIFE: SignedDuration = SignedDuration::from_hours(24 * 183);
/// How long the mail of a code, or of a quarantine, opens its page: a month covers the code and the longest quarantine.
const ERRAND_LIFE: SignedDuration = SignedDuration::from_hours(24 * 31);
/// How long a mail lets a file be read; the page of actions gives a new link as long as the request is kept.
const PIECE_LIFE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Bytes of files in a mail unless told otherwise: base 64 adds 37 %, and many mail servers stop at 10,240,000 bytes
/// (Postfix, `message_size_limit`).
pub const MAIL_BUDGET: u64 = 7 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::token::PieceCheck;

    fn file(number: u8, size: u64) -> StoredFile {
        let (name, media_type) = ("a.pdf".to_owned(), "application/pdf".to_owned());
        let (id, hash) = (format!("{number:032x}"), String::new());
        StoredFile { id, name, media_type, size, hash, cautions: Vec::new() }
    }

    #[test]
    fn what_does_not_fit_gets_an_address_for_a_month() {
        let keys = Keys::from_master(&[7; 32]);
        let reference: Reference = crate::model::receipt::tests::reference();
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let files = [file(1, 60), file(2, 50), file(3, 40)];
        let links = Links::new(keys.clone(), "https://a.example/").within(100);
        let pieces = links.with_files(&reference, &files, now).pieces.unwrap();
        assert_eq!((pieces.url(&files[0]), pieces.url(&files[2])), (None, None), "60 and 40 fit");
        let url = pieces.url(&files[1]).unwrap();
        let token = url.strip_prefix("https://a.example/guichet/piece/").unwrap();
        assert_eq!(keys.check_piece(token, now), PieceCheck::Opens(reference.clone(), files[1].id.clone()));
        assert_eq!(keys.check_piece(token, pieces.until), PieceCheck::Opens(reference.clone(), files[1].id.clone()));
        let later = pieces.until.checked_add(SignedDuration::from_secs(1)).unwrap();
        assert_eq!(keys.check_piece(token, later), PieceCheck::Expired(reference.clone()));
        for at in 0..token.len() {
            let mut forged = token.as_bytes().to_vec();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(keys.check_piece(&String::from_utf8(forged).unwrap(), now), PieceCheck::Forged, "{at}");
        }
        assert_eq!(keys.check_piece(&keys.act_token(&reference, later), now), PieceCheck::Forged, "another key");
        assert_eq!(Keys::from_master(&[8; 32]).check_piece(token, now), PieceCheck::Forged);
        assert_eq!(Links::new(keys, "").within(1).with_files(&reference, &files, now).pieces, None);
    }
}
