//! The program as a technician runs it: a configuration file, a site, forms.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::secure_test::*;

fn mulot(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mulot"));
    command.current_dir(folder).args(words).env("XDG_CACHE_HOME", folder.join("cache")).stderr(Stdio::null());
    command
}

#[test]
fn site_and_forms_are_served_by_one_program_with_its_own_certificate() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal");
    assert!(Command::new("cp").arg("-r").arg(sample).arg(folder.join("commune")).status().unwrap().success());
    assert!(
        mulot(folder, &["build", "commune", "--sortie", "public"]).stdout(Stdio::null()).status().unwrap().success()
    );
    let authority = Authority::new();
    authority.write(folder, &["trou.example"]);
    std::fs::write(folder.join("racine.pem"), &authority.pem).unwrap();
    let [inside, https, http] = [(); 3].map(|()| free_port());
    let config = format!(
        "dossier = \"commune\"\ndonnees = \"donnees\"\necoute = \"127.0.0.1:{inside}\"\nsite = \"public\"\n\
         confirmer_destinataires = false\n[courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n\
         [https]\necoute = \"127.0.0.1:{https}\"\necoute_http = \"127.0.0.1:{http}\"\n\
         [[https.certificats]]\ncertificat = \"chaine.pem\"\ncle_privee = \"cle.pem\"\n"
    );
    std::fs::write(folder.join("guichet.toml"), config).unwrap();
    let mut server = mulot(folder, &["guichet", "guichet.toml"]).spawn().unwrap();
    let curl = |path: &str, more: &[&str]| {
        let output = Command::new("curl")
            .current_dir(folder)
            .args(["-sS", "--http2", "--noproxy", "*", "--cacert", "racine.pem", "--max-time", "30"])
            .args(["--resolve", &format!("trou.example:{https}:127.0.0.1")])
            .args(more)
            .arg(format!("https://trou.example:{https}{path}"))
            .output()
            .unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    until("the program serves", || {
        assert!(server.try_wait().unwrap().is_none(), "it has stopped");
        curl("/guichet/sante", &[])
    });
    assert!(curl("/", &[]).unwrap().contains("<html"));
    let code = ["-o", "/dev/null", "-w", "%{http_code} %{http_version}"];
    assert_eq!(curl("/guichet/saisir-la-mairie/", &code).unwrap(), "200 2");
    let own = format!("origin: https://trou.example:{https}");
    let post = |origin: &str| {
        curl("/guichet/saisir-la-mairie/verifier", &[&code[..], &["-H", origin, "-d", "nom=x"]].concat())
    };
    assert_eq!(post(&own).unwrap(), "422 2", "a form of this site is read");
    assert_eq!(post("origin: https://mechant.example").unwrap(), "403 2");
    assert!(curl("/", &["-I"]).unwrap().contains("strict-transport-security: max-age=604800"));
    let plain = Command::new("curl")
        .args([
            "-sS",
            "--noproxy",
            "*",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{redirect_url}",
            "-H",
            "host: trou.example",
        ])
        .arg(format!("http://127.0.0.1:{http}/eau/"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&plain.stdout), "308 https://trou.example/eau/");
    // The certificate of a file is followed like one that was asked for; a name that it is not for is told.
    let state = || {
        let told = mulot(folder, &["etat", "guichet.toml", "--format", "json"]).output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        told["communes"][0].clone()
    };
    let certificate = &state()["certificats"][0];
    assert_eq!(certificate["hote"], "trou.example");
    assert!(certificate["jusqu_au"].is_string(), "{certificate}");
    authority.write(folder, &["ailleurs.example"]);
    let told = state()["a_regarder"].to_string();
    assert!(told.contains("le certificat de trou.example manque"), "{told}");
    assert!(Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap().success());
    assert!(server.wait().unwrap().success());
}
