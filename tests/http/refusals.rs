//! What is refused, and that nothing typed is lost by it.

use crate::server_test::*;

fn verify() -> String {
    format!("/guichet/{FORM}/verifier")
}

fn send() -> String {
    format!("/guichet/{FORM}/envoyer")
}

#[test]
fn a_program_under_the_name_of_a_pdf_is_refused_and_the_rest_kept() {
    let server = ServerTest::guichet();
    let mut parts = texts(&valid_answers());
    parts.push(file("pieces", "facture.pdf", b"MZ\x90\x00\x03\x00\x00\x00This program cannot be run in DOS mode."));
    parts.push(file("pieces", "plan.pdf", PDF));
    let answer = server.post_parts(&verify(), &parts);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("facture.pdf") && answer.text().contains("est un programme"), "{}", answer.text());
    assert!(answer.field("fichier.pieces").is_some(), "the good one is kept");
    assert_eq!(answer.field("nom").as_deref(), Some("Quatrebarbes"));
}

#[test]
fn a_picture_of_markup_is_refused_under_any_name() {
    let server = ServerTest::guichet();
    for name in ["x.svg", "x.png", "x.jpg", "x.pdf"] {
        let mut parts = texts(&valid_answers());
        parts.push(file("pieces", name, b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>"));
        assert_eq!(server.post_parts(&verify(), &parts).status, 422, "{name}");
    }
}

#[test]
fn a_file_too_large_is_refused_and_the_rest_kept() {
    let server = ServerTest::guichet();
    let mut large = PDF.to_vec();
    large.resize(6 << 20, b' ');
    let mut parts = texts(&valid_answers());
    parts.push(file("pieces", "gros.pdf", &large));
    parts.push(file("pieces", "plan.pdf", PDF));
    let answer = server.post_parts(&verify(), &parts);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("gros.pdf") && answer.text().contains("dépasse"), "{}", answer.text());
    assert!(answer.text().contains("ensuite par courriel à"), "a way out is given: {}", answer.text());
    assert!(answer.field("fichier.pieces").is_some());
}

#[test]
fn files_too_large_together_are_refused() {
    let server = ServerTest::guichet_with(|config| config.form_limits.files_bytes = 1 << 20);
    let mut large = PDF.to_vec();
    large.resize(700 << 10, b' ');
    let mut parts = texts(&valid_answers());
    parts.push(file("pieces", "un.pdf", &large));
    parts.push(file("pieces", "deux.pdf", &large));
    let answer = server.post_parts(&verify(), &parts);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("en tout"), "{}", answer.text());
    let kept = answer.fields().into_iter().filter(|(name, _)| name == "fichier.pieces").count();
    assert_eq!(kept, 1);
}

#[test]
fn much_more_than_a_form_sends_is_cut_with_the_answers_kept() {
    let server = ServerTest::guichet_with(|config| config.form_limits.drained_bytes = 2 << 20);
    let mut parts = texts(&valid_answers());
    parts.push(file("pieces", "video.mp4", &vec![0; 3 << 20]));
    let body = multipart(&parts);
    // Announced: refused at once. Not announced: cut, and what came before is kept.
    let answer = server.ask("POST", &verify(), &[("content-type", &multipart_type())], &body);
    assert_eq!(answer.status, 413);
    let mut connection = server.connect();
    let head =
        connection.head("POST", &verify(), &[("content-type", &multipart_type()), ("transfer-encoding", "chunked")]);
    connection.send(format!("{head}\r\n").as_bytes());
    for chunk in body.chunks(64 << 10) {
        connection.send(format!("{:x}\r\n", chunk.len()).as_bytes());
        connection.send(chunk);
        connection.send(b"\r\n");
    }
    let text = connection.read_until("</html>");
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    assert!(text.contains("Quatrebarbes"), "{text}");
}

#[test]
fn ten_thousand_fields_are_refused() {
    let server = ServerTest::guichet();
    let fields: Vec<(String, String)> = (0..10_000).map(|number| (format!("champ{number}"), "x".to_owned())).collect();
    assert_eq!(server.post(&verify(), &fields).status, 400);
    assert_eq!(server.post_parts(&verify(), &texts(&fields)).status, 400);
}

#[test]
fn endless_part_headers_are_refused() {
    let server = ServerTest::guichet();
    let mut body = b"------mulot0123456789\r\nContent-Disposition: form-data; name=\"nom\"\r\nX-Long: ".to_vec();
    body.resize(body.len() + (1 << 20), b'a');
    let answer = server.ask("POST", &verify(), &[("content-type", &multipart_type())], &body);
    assert_eq!(answer.status, 400);
}

#[test]
fn what_is_not_a_form_is_refused() {
    let server = ServerTest::guichet();
    let post = |kind: &str, body: &[u8]| server.ask("POST", &verify(), &[("content-type", kind)], body).status;
    assert_eq!(post("application/json", b"{}"), 415);
    assert_eq!(post("text/plain", b"nom=x"), 415);
    assert_eq!(post("multipart/form-data", b"x"), 400, "no boundary");
    assert_eq!(post(&multipart_type(), b"no part at all"), 400);
    assert_eq!(
        post(&multipart_type(), b"------mulot0123456789\r\nContent-Disposition: form-data; name=\"nom\"\r\n\r\nhalf"),
        400
    );
    let zipped = [("content-type", "application/x-www-form-urlencoded"), ("content-encoding", "gzip")];
    assert_eq!(server.ask("POST", &verify(), &zipped, b"nom=x").status, 415);
}

#[test]
fn names_and_values_that_no_page_of_ours_sends_are_dropped() {
    let server = ServerTest::guichet();
    let mut parts = texts(&valid_answers());
    parts.push(file("nom", "faux.pdf", PDF));
    parts.push(file("inconnu", "autre.pdf", PDF));
    parts.extend(texts(&[
        ("admin".into(), "oui".into()),
        ("fichier.nom".into(), "../../etc/passwd".into()),
        ("pieces".into(), "x".into()),
    ]));
    let answer = server.post_parts(&verify(), &parts);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains("passwd") && !answer.text().contains("faux.pdf"));
}

#[test]
fn a_file_that_expired_is_asked_for_again() {
    let server = ServerTest::guichet();
    let carried = with(server.to_check_page(), "fichier.pieces", "00000000000000000000000000000000");
    let answer = server.post(&send(), &carried);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("joignez-le de nouveau"), "{}", answer.text());
    assert_eq!(answer.field("nom").as_deref(), Some("Quatrebarbes"));
}

#[test]
fn what_was_typed_is_text_and_nothing_else() {
    let server = ServerTest::guichet();
    let nasty = "<script>alert(1)</script>\"'><img src=x> {{7*7}} {% raw %}";
    let check = server.post(&verify(), &with(valid_answers(), "objet", nasty));
    assert_eq!(check.status, 200);
    assert!(!check.text().contains("<script") && !check.text().contains("<img src=x"));
    assert_eq!(check.field("objet").as_deref(), Some(nasty));
    let receipt = server.get(server.post(&send(), &check.fields()).location());
    assert!(!receipt.text().contains("<script") && receipt.text().contains("{{7*7}}"));
}

#[test]
fn a_full_disk_is_said_and_what_was_typed_stays() {
    let server = ServerTest::guichet_with(|config| config.reserve_bytes = u64::MAX >> 1);
    let check = server.post(&verify(), &valid_answers());
    assert_eq!(check.status, 200, "nothing is stored before the end");
    let answer = server.post(&send(), &check.fields());
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert!(answer.text().contains("Essayer encore") && answer.text().contains("Quatrebarbes"));
    assert!(answer.text().contains("tel:"), "the telephone is there");
    assert_eq!(answer.field("message").map(|text| text.contains("benne")), Some(true));
    assert_eq!(answer.field("jeton"), check.field("jeton"), "trying again is the same request");
    // A file cannot be taken either.
    let mut parts = texts(&valid_answers());
    parts.push(file("pieces", "plan.pdf", PDF));
    let answer = server.post_parts(&verify(), &parts);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.field("nom").as_deref(), Some("Quatrebarbes"));
    assert_eq!(server.get("/guichet/sante").status, 200, "the program answers, starting it again mends nothing");
    let ready = server.get("/guichet/pret");
    assert_eq!((ready.status, ready.text().contains("\"raisons\":[\"disque\"]")), (503, true), "{}", ready.text());
}

#[test]
fn health_tells_nothing_but_health() {
    let server = ServerTest::guichet();
    let answer = server.get("/guichet/sante");
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"etat\":\"ok\"}\n"));
}

#[test]
fn unknown_forms_and_addresses_have_a_page_with_the_telephone() {
    let server = ServerTest::guichet();
    for place in ["/guichet/inconnu/", "/guichet/inconnu/verifier", "/guichet/a/b/c/d", "/guichet/%F0%9F%90%AD/"] {
        let answer = server.get(place);
        assert_eq!(answer.status, 404, "{place}");
        assert!(answer.text().contains("tel:"), "{place}");
    }
    assert_eq!(server.post("/guichet/inconnu/verifier", &valid_answers()).status, 404);
}

#[test]
fn a_form_that_cannot_give_a_receipt_is_closed() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().to_owned();
    let server = ServerTest::guichet_with(|config| {
        let text = std::fs::read_to_string(config.folder.join("commune.toml")).unwrap();
        std::fs::create_dir_all(folder.join("annuaire/services")).unwrap();
        std::fs::write(folder.join("commune.toml"), text.replace("expediteur = \"formulaires@trou.example\"", ""))
            .unwrap();
        config.folder = folder.clone();
    });
    let answer = server.get(&format!("/guichet/{FORM}/"));
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("Ce formulaire est fermé"), "{}", answer.text());
}

#[test]
fn methods_that_make_no_sense_are_refused() {
    let server = ServerTest::guichet();
    for (method, place) in [
        ("PUT", verify()),
        ("DELETE", "/guichet/sante".into()),
        ("POST", format!("/guichet/{FORM}/")),
        ("TRACE", verify()),
    ] {
        assert_eq!(server.ask(method, &place, &[], b"").status, 405, "{method} {place}");
    }
    assert_eq!(server.ask("HEAD", &format!("/guichet/{FORM}/"), &[], b"").status, 200);
}

#[test]
fn a_form_posted_from_another_site_is_refused() {
    let server = ServerTest::guichet();
    let post = |headers: &[(&str, &str)]| {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        server.ask("POST", &verify(), &all, urlencoded(&valid_answers()).as_bytes()).status
    };
    let own = format!("http://{}", server.address);
    assert_eq!(post(&[]), 200, "an old browser sends neither");
    assert_eq!(post(&[("sec-fetch-site", "same-origin")]), 200);
    assert_eq!(post(&[("sec-fetch-site", "none")]), 200);
    assert_eq!(post(&[("origin", &own)]), 200);
    assert_eq!(
        post(&[("sec-fetch-site", "cross-site"), ("origin", "https://trou.example")]),
        200,
        "the commune's own site"
    );
    assert_eq!(post(&[("sec-fetch-site", "cross-site"), ("origin", "https://mechant.example")]), 403);
    assert_eq!(post(&[("sec-fetch-site", "same-site")]), 403);
    assert_eq!(post(&[("origin", "https://mechant.example")]), 403);
    assert_eq!(post(&[("origin", "null")]), 403);
}

#[test]
fn a_flood_from_one_address_is_slowed_and_its_answers_kept() {
    let server = ServerTest::guichet_with(|config| {
        config.rates.sends = 2;
        config.proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    let send_from = |address: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-forwarded-for", address)];
        server.ask("POST", &send(), &headers, urlencoded(&server.to_check_page()).as_bytes())
    };
    assert_eq!(send_from("192.0.2.1").status, 303);
    assert_eq!(send_from("192.0.2.1").status, 303);
    let refused = send_from("198.51.100.9, 192.0.2.1");
    assert_eq!(refused.status, 429, "only the last address is believed");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.field("nom").as_deref(), Some("Quatrebarbes"));
    assert_eq!(send_from("192.0.2.2").status, 303, "others are not slowed");
}

#[test]
fn settings_that_cannot_work_are_told_before_anything_is_promised() {
    use mulot::server::{ListenError, StartError};
    let first = ServerTest::guichet();
    let root = tempfile::tempdir().unwrap();
    let data = root.path().to_owned();
    let taken = std::panic::catch_unwind(|| {
        ServerTest::guichet_with(|config| {
            config.listen = mulot::server::listen::ListenAddress::Tcp(first.address);
            config.data = data;
        })
    });
    let told = *taken.err().unwrap().downcast::<String>().unwrap();
    let expected = StartError::Listen(ListenError::InUse(mulot::server::listen::ListenAddress::Tcp(first.address)));
    assert_eq!(told, format!("{expected:?}"));
    let data = first.data();
    let locked = std::panic::catch_unwind(|| ServerTest::guichet_with(|config| config.data = data));
    assert!(locked.err().unwrap().downcast::<String>().unwrap().contains("Locked"));
}
