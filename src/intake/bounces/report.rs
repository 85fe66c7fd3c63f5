//! Reads what a mail server says of a message it took and could not deliver (RFC 3464). Pure.
//!
//! Such a report may come from anybody: nothing in it is believed but for a Message-ID that is ours, and then little.

use mail_parser::{Message, MessageParser, MimeHeaders, PartType};

/// What a report says of one recipient of one message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounce {
    /// Message-ID of what was sent, without angle brackets.
    pub message_id: String,
    /// Addresses the report gives for the recipient: as it was sent to, then as it ended.
    pub recipients: Vec<String>,
    /// Whether it will never be delivered; otherwise it is late.
    pub is_final: bool,
    /// Enhanced status code, `5.1.1` (RFC 3463).
    pub class: Option<String>,
    /// SMTP code of the server that refused, when it is told.
    pub code: Option<u16>,
}

/// What a message reports; nothing when it is no report, or names no message.
pub fn read(bytes: &[u8]) -> Vec<Bounce> {
    let Some(message) = MessageParser::default().parse(bytes) else { return Vec::new() };
    let is_report = message.content_type().is_some_and(|kind| {
        kind.ctype().eq_ignore_ascii_case("multipart")
            && kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("report"))
            && kind.attribute("report-type").is_none_or(|kind| kind.eq_ignore_ascii_case("delivery-status"))
    });
    if !is_report {
        return Vec::new();
    }
    let (Some(status), Some(message_id)) = (status(&message), original_id(&message)) else { return Vec::new() };
    // The first group is about the message, each other one about a recipient.
    let groups = status.split("\n\n").map(str::trim).filter(|group| !group.is_empty());
    groups.filter_map(|group| bounce(group, &message_id)).take(MOST_RECIPIENTS).collect()
}

/// The text of the part that machines read, lines ended by `\n`, long lines joined.
fn status(message: &Message<'_>) -> Option<String> {
    let part = message.parts.iter().find(|part| {
        part.content_type().is_some_and(|kind| {
            kind.ctype().eq_ignore_ascii_case("message")
                && kind.subtype().is_some_and(|subtype| {
                    subtype.eq_ignore_ascii_case("delivery-status")
                        || subtype.eq_ignore_ascii_case("global-delivery-status")
                })
        })
    })?;
    let text = match &part.body {
        PartType::Text(text) | PartType::Html(text) => text.to_string(),
        // A part that calls itself a message is read as one: its words are taken as they came.
        _ => String::from_utf8_lossy(part.contents()).into_owned(),
    };
    Some(text.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " "))
}

/// The Message-ID of what was sent: in the returned message, or in its returned headers.
fn original_id(message: &Message<'_>) -> Option<String> {
    let own = |id: Option<&str>| id.map(str::trim).filter(|id| is_id(id)).map(str::to_owned);
    message.parts.iter().rev().find_map(|part| {
        if let PartType::Message(inner) = &part.body {
            return own(inner.message_id());
        }
        let is_headers = part.content_type().is_some_and(|kind| {
            kind.subtype().is_some_and(|subtype| {
                ["rfc822-headers", "global-headers"].iter().any(|name| subtype.eq_ignore_ascii_case(name))
            })
        });
        is_headers
            .then(|| MessageParser::default().parse_headers(part.contents()))?
            .as_ref()
            .and_then(|head| own(head.message_id()))
    })
}

fn is_id(id: &str) -> bool {
    (3..=250).contains(&id.len()) && id.contains('@') && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn bounce(group: &str, message_id: &str) -> Option<Bounce> {
    let value = |name: &str| {
        group.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let action = value("action")?.to_ascii_lowercase();
    let class = value("status").and_then(|status| status.split_whitespace().next()).filter(|class| is_class(class));
    let is_final = match action.as_str() {
        // A refusal that calls itself temporary was tried for days before it was reported as failed.
        "failed" => true,
        "delayed" => false,
        // Delivered, relayed, expanded: nothing is wrong.
        _ => return None,
    };
    let address = |name: &str| {
        let (_, address) = value(name)?.split_once(';')?;
        let address = address.trim().trim_matches(['<', '>']);
        (address.len() <= 254 && address.contains('@')).then(|| address.to_owned())
    };
    let recipients: Vec<String> = ["original-recipient", "final-recipient"].into_iter().filter_map(address).collect();
    let code = value("diagnostic-code").and_then(|text| {
        let (kind, text) = text.split_once(';')?;
        let code = text.trim().get(..3)?.parse().ok().filter(|code| (400..600).contains(code));
        code.filter(|_| kind.trim().eq_ignore_ascii_case("smtp"))
    });
    Some(Bounce { message_id: message_id.to_owned(), recipients, is_final, class: class.map(str::to_owned), code })
}

fn is_class(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
}

/// Recipients read in one report: ours name one each.
const MOST_RECIPIENTS: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every report of the corpus, with what must be read in it.
    #[test]
    fn reports_of_many_servers_are_read() {
        let failed = |recipients: &[&str], class: &str, code: Option<u16>| {
            vec![Bounce {
                message_id: "2026-K7M2-QX4D-3.usager@saint-mulot.fr".into(),
                recipients: recipients.iter().map(|address| (*address).to_owned()).collect(),
                is_final: true,
                class: Some(class.into()),
                code,
            }]
        };
        let zoe = "zoe@example.fr";
        let mut late = failed(&[zoe], "4.4.1", None);
        late[0].is_final = false;
        for (name, text, expected) in [
            ("postfix", include_str!("../../../tests/rebonds/postfix.eml"), failed(&[zoe, zoe], "5.1.1", Some(550))),
            ("exim", include_str!("../../../tests/rebonds/exim.eml"), failed(&[zoe], "5.0.0", Some(550))),
            ("exchange", include_str!("../../../tests/rebonds/exchange.eml"), failed(&[zoe], "5.1.10", Some(550))),
            ("en-tetes", include_str!("../../../tests/rebonds/en-tetes.eml"), failed(&[zoe], "5.2.2", Some(552))),
            ("retard", include_str!("../../../tests/rebonds/retard.eml"), late),
            ("remis", include_str!("../../../tests/rebonds/remis.eml"), Vec::new()),
            ("sans-original", include_str!("../../../tests/rebonds/sans-original.eml"), Vec::new()),
            ("texte-libre", include_str!("../../../tests/rebonds/texte-libre.eml"), Vec::new()),
            ("accuse-de-lecture", include_str!("../../../tests/rebonds/accuse-de-lecture.eml"), Vec::new()),
        ] {
            assert_eq!(read(text.as_bytes()), expected, "{name}");
            assert_eq!(read(text.replace('\n', "\r\n").as_bytes()), expected, "{name}, with the line ends of mail");
        }
    }

    #[test]
    fn a_report_cut_short_or_without_an_address_is_read_as_far_as_it_goes() {
        let text = include_str!("../../../tests/rebonds/postfix.eml");
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)).step_by(7) {
            let _ = read(&text.as_bytes()[..end]);
        }
        let odd = text.replace("rfc822; zoe@example.fr", "x400; C=fr").replace("rfc822;zoe@example.fr", "rien");
        assert_eq!(read(odd.as_bytes())[0].recipients, Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read(&bytes);
            let _ = read(&[b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n".as_slice(), &bytes].concat());
        }
    }
}
