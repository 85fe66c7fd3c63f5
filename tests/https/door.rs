//! What visitors get at the door.

use mulot::server::front::Hosted;

use crate::secure_test::*;

#[test]
fn both_protocols_are_spoken_over_tls() {
    let authority = Authority::new();
    let door = Plan::certified(&authority).open();
    for (version, said) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let told = door.curl(
            &authority.pem,
            HOST,
            "/",
            &[version, "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{size_download}"],
        );
        assert_eq!(told.unwrap(), format!("{said} 200 {}", page().len()), "{version}");
        // The host is where the routes look for it, and the address is a path, whatever the protocol.
        let told = door.curl(&authority.pem, HOST, "/hote?a=1", &[version]).unwrap();
        assert_eq!(told, format!("{HOST}:{} /hote?a=1", door.https.port()));
        let told = door.curl(&authority.pem, HOST, "/corps", &[version, "-d", "x=1"]).unwrap();
        assert_eq!(told, "3");
        let coded = door.curl(&authority.pem, HOST, "/", &[version, "--compressed"]).unwrap();
        assert_eq!(coded, page());
        let head = door.curl(&authority.pem, HOST, "/", &[version, "-I"]).unwrap().to_ascii_lowercase();
        for header in [
            "strict-transport-security: max-age=300",
            "content-security-policy:",
            "etag:",
            "x-content-type-options: nosniff",
        ] {
            assert!(head.contains(header), "{version}: {header} in {head}");
        }
        let part = door.curl(
            &authority.pem,
            HOST,
            "/grand.bin",
            &[version, "-r", "0-99", "-o", "/dev/null", "-w", "%{http_code} %{size_download}"],
        );
        assert_eq!(part.unwrap(), "206 100");
        let all = door.curl(
            &authority.pem,
            HOST,
            "/grand.bin",
            &[version, "-o", "/dev/null", "-w", "%{http_code} %{size_download}"],
        );
        assert_eq!(all.unwrap(), format!("200 {}", 4 << 20));
    }
}

#[test]
fn old_tls_is_not_spoken() {
    let authority = Authority::new();
    let door = Plan::certified(&authority).open();
    let old = ["--tls-max", "1.1", "--tlsv1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    assert_eq!(door.curl(&authority.pem, HOST, "/", &old), Err(35));
    for version in ["1.2", "1.3"] {
        assert!(door.curl(&authority.pem, HOST, "/", &["--tls-max", version]).is_ok(), "{version}");
    }
}

#[test]
fn a_stranger_s_host_gets_no_certificate() {
    let authority = Authority::new();
    let door = Plan::certified(&authority).open();
    let error = door.secure(&authority.pem, "autre.example").err().expect("no handshake");
    assert!(error.contains("AccessDenied") || error.contains("HandshakeFailure"), "{error}");
    // And by its address, without naming any host.
    assert!(door.secure(&authority.pem, "127.0.0.1").is_err());
    assert!(door.secure(&authority.pem, HOST).is_ok());
}

#[test]
fn each_host_has_its_own_certificate() {
    let authority = Authority::new();
    let mut plan = Plan::certified(&authority);
    let folder = plan.root.path().join("autre");
    std::fs::create_dir(&folder).unwrap();
    plan.files.push(authority.write(&folder, &["*.bocage.example"]));
    plan.hosted.push(Hosted { main: "mouron.bocage.example".into(), others: Vec::new(), twin: None });
    let door = plan.open();
    let shown = |host| door.secure(&authority.pem, host).unwrap().certificate();
    assert_eq!(shown(HOST), shown(OTHER));
    assert_ne!(shown(HOST), shown("mouron.bocage.example"));
    assert!(door.secure(&authority.pem, "a.mouron.bocage.example").is_err());
}

#[test]
fn plain_http_only_leads_to_https() {
    let authority = Authority::new();
    let door = Plan::certified(&authority).open();
    let said = door.plain(&format!("GET /agenda/?p=2 HTTP/1.1\r\nhost: {HOST}"));
    assert!(said.starts_with("HTTP/1.1 308"), "{said}");
    assert!(said.contains(&format!("location: https://{HOST}/agenda/?p=2\r\n")), "{said}");
    assert!(!said.contains("strict-transport-security"), "{said}");
    let other = door.plain(&format!("GET / HTTP/1.1\r\nhost: {OTHER}:80"));
    assert!(other.contains(&format!("location: https://{OTHER}/\r\n")), "the same host first: {other}");
    for head in ["GET / HTTP/1.1\r\nhost: mechant.example", "GET / HTTP/1.0"] {
        let said = door.plain(head);
        assert!(said.contains(" 421 ") && !said.contains("\nlocation"), "{said}");
    }
    for token in ["", "inconnu", "..%2f..%2fetc"] {
        let said = door.plain(&format!("GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nhost: {HOST}"));
        assert!(said.starts_with("HTTP/1.1 404"), "{said}");
    }
}

#[test]
fn the_other_names_lead_to_the_main_one() {
    let authority = Authority::new();
    let door = Plan::certified(&authority).open();
    for version in ["--http1.1", "--http2"] {
        let format = ["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", version];
        let told = door.curl(&authority.pem, OTHER, "/eau/?a=%C3%A9", &format).unwrap();
        assert_eq!(told, format!("308 https://{HOST}/eau/?a=%C3%A9"));
    }
    door.hosts.set(vec![Hosted { main: OTHER.into(), others: vec![HOST.into()], twin: None }]);
    let said = door.secure(&authority.pem, HOST).unwrap().get(HOST, "/");
    assert!(said.contains(&format!("location: https://{OTHER}/\r\n")), "{said}");
}

#[test]
fn a_certificate_that_changes_on_disk_is_shown_without_a_restart() {
    let authority = Authority::new();
    let door = Plan::certified(&authority).open();
    let shown = || door.secure(&authority.pem, HOST).unwrap().certificate();
    let first = shown();
    let mut kept = door.secure(&authority.pem, HOST).unwrap();
    // Half written: the one in place stays.
    std::fs::write(door.root.path().join("chaine.pem"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    std::thread::park_timeout(std::time::Duration::from_millis(200));
    assert_eq!(shown(), first);
    authority.write(door.root.path(), &[HOST, OTHER]);
    until("the new certificate is shown", || (shown() != first).then_some(()));
    // Who was connected before stays so.
    kept.stream.conn.complete_io(&mut kept.stream.sock).ok();
    assert!(kept.get(HOST, "/").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_request_under_way_is_finished_at_the_stop() {
    let authority = Authority::new();
    let mut door = Plan::certified(&authority).open();
    let (port, pem) = (door.https.port(), door.root.path().join("racine.pem"));
    std::fs::write(&pem, &authority.pem).unwrap();
    // Four megabytes at one and a half a second: the stop comes in between.
    let slow = std::process::Command::new("curl")
        .args(["-sS", "--http2", "--noproxy", "*", "--limit-rate", "1500k", "--cacert", pem.to_str().unwrap()])
        .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1"), "-o", "/dev/null"])
        .args(["-w", "%{http_code} %{size_download}", &format!("https://{HOST}:{port}/grand.bin"), "-D"])
        .arg(door.root.path().join("tete"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let head = door.root.path().join("tete");
    until("the answer has begun", || std::fs::read(&head).ok().filter(|head| head.ends_with(b"\r\n\r\n")));
    door.ask_to_stop();
    let output = slow.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("200 {}", 4 << 20));
    assert_eq!(door.wait_stopped(), 0);
}
