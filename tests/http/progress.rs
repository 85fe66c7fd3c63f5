//! A form put aside in a file, and given back.

use jiff::SignedDuration;

use crate::server_test::*;

/// The file that « Mettre de côté » gives.
fn put_aside(server: &ServerTest, answers: &[(String, String)]) -> Vec<u8> {
    let answer = server.post(&format!("/guichet/{FORM}/mettre-de-cote"), answers);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let name = answer.header("content-disposition").expect("a file to save").to_owned();
    assert!(name.starts_with(&format!("attachment; filename=\"{FORM}-")) && name.ends_with(".mulot\""), "{name}");
    answer.body.clone()
}

fn give_back(server: &ServerTest, form: &str, bytes: &[u8]) -> Answer {
    server.post_parts(&format!("/guichet/{form}/reprendre"), &[file("mis_de_cote", "x.mulot", bytes)])
}

#[test]
fn a_form_put_aside_is_filled_again_and_nothing_is_kept_here() {
    let server = ServerTest::guichet();
    let kept = put_aside(&server, &with(valid_answers(), "courriel", "pas encore une adresse"));
    assert!(!String::from_utf8_lossy(&kept).contains("benne"), "sealed");
    let page = give_back(&server, FORM, &kept);
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("Voici vos réponses") && page.text().contains("role=\"status\""));
    assert_eq!(page.field("nom").as_deref(), Some("Quatrebarbes"));
    assert_eq!(page.field("courriel").as_deref(), Some("pas encore une adresse"), "as typed, right or not");
}

#[test]
fn a_file_that_cannot_be_used_is_a_plain_sentence() {
    let server = ServerTest::guichet();
    let kept = put_aside(&server, &valid_answers());
    let damaged = &kept[..kept.len() - 30];
    for (bytes, words) in [(damaged, "abîmé"), (&b"%PDF-1.7"[..], "abîmé"), (&b""[..], "Choisissez le fichier")] {
        let page = give_back(&server, FORM, bytes);
        assert_eq!(page.status, 422, "{}", page.text());
        assert!(page.text().contains(words) && page.text().contains("href=\"#champ-mis_de_cote\""), "{}", page.text());
    }
    let other = give_back(&server, "contact", &kept);
    assert_eq!(other.status, 422);
    assert!(other.text().contains("Rendez ce fichier à la démarche"), "{}", other.text());
    server.advance(SignedDuration::from_hours(31 * 24));
    let late = give_back(&server, FORM, &kept);
    assert_eq!(late.status, 422);
    assert!(late.text().contains("pouvait être rendu jusqu’au"), "{}", late.text());
}

#[test]
fn a_file_too_large_is_not_read() {
    let server = ServerTest::guichet();
    let page = give_back(&server, FORM, &vec![b'x'; 3 << 20]);
    assert_eq!(page.status, 413, "{}", page.text());
}
