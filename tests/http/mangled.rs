//! Forms as no browser sends them: whole bodies, mutilated at random, are answered by a page and leave the guichet standing.
//!
//! `MULOT_HASARD` (a number, printed when something fails) chooses the mutilations; `MULOT_LONG=1` makes a hundred times as many.

use crate::chance::{Chance, rounds};
use crate::server_test::*;

/// Words that readers of forms trip over, put where they do not belong.
const SPLINTERS: [&[u8]; 14] = [
    b"\r\n\r\n",
    b"------mulot0123456789\r\n",
    b"------mulot0123456789--\r\n",
    b"Content-Disposition: form-data; name=\"nom\"\r\n",
    b"; filename=\"\"",
    b"; filename*=utf-8''%00%ff",
    b"name=\"\"; name=\"nom\"",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n",
    b"\x00\xff\xfe",
    b"%zz%00=&&=&;",
    b"nom[]=x&nom.1.2.3=y",
    b"\"\\\"",
    "\u{202e}é\u{301}".as_bytes(),
];

#[test]
fn a_mutilated_form_is_answered_and_promises_nothing() {
    let server = ServerTest::guichet();
    let mut parts = texts(&valid_answers());
    parts.push(file("pieces", "plan.pdf", PDF));
    parts.push(file("pieces", "é\u{202e}\".pdf", PDF));
    let with_files = multipart(&parts);
    let without = urlencoded(&valid_answers()).into_bytes();
    let check = server.to_check_page();
    let (confirmed, confirmed_parts) = (urlencoded(&check).into_bytes(), multipart(&texts(&check)));
    let seed = Chance::seed();
    let mut chance = Chance::of(seed);
    let mut seen = std::collections::BTreeMap::<u16, usize>::new();
    for round in 0..rounds(150) {
        let (body, is_multipart) = match chance.below(4) {
            0 => (&with_files, true),
            1 => (&without, false),
            2 => (&confirmed_parts, true),
            _ => (&confirmed, false),
        };
        let bytes = chance.mutilated(body, &SPLINTERS);
        let kind = if is_multipart { multipart_type() } else { "application/x-www-form-urlencoded".to_owned() };
        // One mutilation in ten is called by the other's name.
        let kind = if chance.below(10) == 0 { "multipart/form-data; boundary=\"\"".to_owned() } else { kind };
        let act = ["verifier", "modifier", "envoyer"][chance.below(3)];
        let answer = server.ask("POST", &format!("/guichet/{FORM}/{act}"), &[("content-type", &kind)], &bytes);
        let told = || {
            format!(
                "MULOT_HASARD={seed}, round {round}, {act}: {}\n{:?}",
                answer.text(),
                String::from_utf8_lossy(&bytes)
            )
        };
        assert!(
            matches!(answer.status, 200 | 303 | 400 | 403 | 408 | 413 | 415 | 422 | 429),
            "{} {}",
            answer.status,
            told()
        );
        if answer.status == 303 && act == "envoyer" {
            assert_eq!(server.get(answer.location()).status, 200, "what was promised is there: {}", told());
        } else if answer.status != 303 {
            assert!(answer.text().contains("</html>"), "a page answers: {}", told());
        }
        *seen.entry(answer.status).or_default() += 1;
    }
    println!("{seen:?}");
    assert!(seen.len() >= 3, "the mutilations hardly differ: {seen:?}");
    assert_eq!(server.get("/guichet/pret").status, 200, "the guichet takes requests after all that");
}
