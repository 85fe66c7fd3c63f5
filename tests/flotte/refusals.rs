//! What the program says when the database cannot be used, in French, with the remedy and without the password.

use std::process::Command;

use mulot::intake::store::{Base, Store, StoreOptions};

use crate::commune_test::CommuneTest;
use crate::postgres;

fn commune(base: &str) -> CommuneTest {
    let test = CommuneTest::minimal();
    let config = format!(
        "confirmer_destinataires = false\ndossier = \"commune\"\ndonnees = \"donnees\"\necoute = \"127.0.0.1:0\"\n{base}\n\
         [courriel]\ntransport = \"dossier\"\ndossier = \"courriels\"\n"
    );
    std::fs::write(test.root().join("guichet.toml"), config).unwrap();
    test
}

#[test]
fn a_server_that_would_lose_what_it_promised_is_not_used() {
    let server = postgres::server_with("-c fsync=off");
    let run = commune(&format!("base = \"{}\"", server.url())).run(&["guichet", "guichet.toml"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("fsync vaut « off »") && run.stderr.contains("aide :"), "{}", run.stderr);
    assert!(server.order("SELECT 1 FROM pg_namespace WHERE nspname = 'guichet'").is_empty(), "nothing was made");
}

#[test]
fn a_server_that_is_not_there_is_named_and_the_password_is_not() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let test = commune(&format!("base = \"postgresql://mulot@127.0.0.1:{port}/mairie\""));
    for order in [&["guichet", "guichet.toml"][..], &["demandes", "--guichet", "guichet.toml"]] {
        let output = test.command(order).env("MULOT_BASE_MOT_DE_PASSE", "tres-secret").output().unwrap();
        let run = test.told(&output);
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains(&format!("postgresql://mulot@127.0.0.1:{port}/mairie")), "{}", run.stderr);
        assert!(run.stderr.contains("ne répond pas") && !run.stderr.contains("tres-secret"), "{}", run.stderr);
    }
}

#[test]
fn the_way_to_another_name_is_encrypted_and_the_password_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let openssl = |words: &[&str]| {
        let done = Command::new("openssl").args(words).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let (key, certificate) = (at("serveur.key"), at("serveur.pem"));
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = postgres::server_behind_tls(port, (&certificate, &key));
    server.order("CREATE ROLE guichet LOGIN PASSWORD 'tres-secret'; GRANT CREATE ON DATABASE postgres TO guichet");
    std::fs::write(dir.path().join("secret"), "tres-secret\n").unwrap();
    let url = format!("postgresql://guichet@localhost:{port}/postgres?sslmode=require");
    let demandes = |more: &str| {
        let test = commune(&format!("base = \"{url}\"\n{more}"));
        test.run(&["demandes", "--guichet", "guichet.toml"])
    };
    let told = |more: &str, words: &str| {
        let run = demandes(more);
        assert!(run.stderr.contains(words), "{more}\n{}", run.stderr);
    };
    let (trusted, secret) = (
        format!("base_certificat = \"{certificate}\"\n"),
        format!("base_mot_de_passe_fichier = \"{}\"\n", at("secret")),
    );
    told(&secret, "ne répond pas");
    told(&trusted, "mot de passe");
    std::fs::write(dir.path().join("faux"), "autre\n").unwrap();
    told(&format!("{trusted}base_mot_de_passe_fichier = \"{}\"\n", at("faux")), "refuse ce compte");
    // It is joined: there are no requests yet.
    told(&format!("{trusted}{secret}"), "il n'y a pas de demandes");
}

#[test]
fn a_commune_that_is_set_aside_is_found_on_the_server() {
    let (server, test) = (postgres::server_with(""), CommuneTest::empty());
    let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal");
    for name in ["aulnay", "bazoches"] {
        for file in mulot::fs::walk(&model, &model).files {
            let to = test.root().join("pays/communes").join(name).join(&file.relative);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&file.path, to).unwrap();
        }
    }
    let config = format!(
        "territoire = \"pays\"\ndonnees = \"donnees\"\nbase = \"{}\"\n[courriel]\ntransport = \"dossier\"\ndossier = \"courriels\"\n",
        server.url()
    );
    std::fs::write(test.root().join("guichet.toml"), config).unwrap();
    std::fs::write(
        test.root().join("pays/territoire.toml"),
        "nom = \"Pays\"\n[[commune]]\ndossier = \"bazoches\"\nactive = false\n",
    )
    .unwrap();
    let told = || {
        let run = test.run(&["demandes"]);
        (run.code, format!("{}{}", run.stdout, run.stderr))
    };
    let (code, said) = told();
    assert!(code == 0 && !said.contains("mise de côté"), "it never received anything: {said}");
    let base = Base::new(&server.url(), None, "guichet", None).unwrap().for_commune("bazoches");
    let options = StoreOptions { base: Some(base), min_free_bytes: 0, ..StoreOptions::default() };
    drop(Store::open(&test.root().join("donnees/bazoches"), options).unwrap());
    let (code, said) = told();
    assert!(said.contains("mise de côté ou dossier absent : bazoches"), "{said}");
    assert_eq!(code, 0, "nobody is asked to confirm its mailboxes: {said}");
    let copied = test.run(&["backup", "copie"]);
    assert!(copied.code == 0 && test.root().join("copie/bazoches/guichet.db").is_file(), "{}", copied.stderr);
    // From a machine that never served it, and so has no key of it.
    std::fs::remove_dir_all(test.root().join("donnees")).unwrap();
    let (code, said) = told();
    assert!(code == 1 && said.contains("bazoches") && said.contains("la clé ne peut pas être lue"), "{code} {said}");
}
