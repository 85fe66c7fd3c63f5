//! The files of requests in one bucket for all the instances, none of which shares a folder with another.

use std::path::Path;

use crate::commune_test::{CommuneTest, Run};
use crate::http::{Answer, contact, hidden_inputs};
use crate::s3::{KEY_ID, S3Server, SECRET};
use crate::{Fleet, Running, insist, postgres, until};

const FORM: &str = "saisir-la-mairie";

/// Three configurations that name this bucket.
fn fleet(server: &S3Server) -> Fleet {
    let more = format!("[fichiers]\ns3 = \"{}/communes/a\"\ncle_fichier = \"seau\"\n", server.url());
    let fleet = Fleet::with(postgres::server(), &more);
    std::fs::write(fleet.test.root().join("seau"), format!("{KEY_ID}\n{SECRET}\n")).unwrap();
    fleet
}

fn answers(number: usize) -> Vec<(String, String)> {
    [
        ("objet", format!("Une benne rue du Four, {number}")),
        ("message", format!("Bonjour, je voudrais poser la benne numéro {number}.")),
        ("qualite", "personne".to_owned()),
        ("prenom", "Zélie".to_owned()),
        ("nom", format!("Quatrebarbes{number}")),
        ("adresse.voie", "3, rue du Four".to_owned()),
        ("adresse.code_postal", "01500".to_owned()),
        ("adresse.commune", "Trou-la-Ville".to_owned()),
        ("courriel", format!("zelie.{number}@exemple.fr")),
        ("telephone", String::new()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn pdf(number: usize) -> Vec<u8> {
    format!("%PDF-1.7\n{}\n%%EOF\n", format!("plan {number} ").repeat(5000)).into_bytes()
}

fn fill(fleet: &Fleet, instance: usize, number: usize) -> std::io::Result<Answer> {
    let path = format!("/guichet/{FORM}/verifier");
    fleet.client(instance)?.post_with_file(&path, &answers(number), ("pieces", "plan.pdf", &pdf(number)))
}

fn send(fleet: &Fleet, instance: usize, fields: &[(String, String)]) -> std::io::Result<Answer> {
    fleet.client(instance)?.post(&format!("/guichet/{FORM}/envoyer"), fields)
}

fn reference(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.body);
    let location = answer.header("location").unwrap().to_uppercase();
    location.split('/').find(|part| part.starts_with("20")).unwrap().to_owned()
}

fn order(fleet: &Fleet, words: &[&str]) -> Run {
    fleet.test.run(&[words, &["--guichet", &Fleet::config(0)]].concat())
}

/// Files below a folder, whatever their names.
fn count(root: &Path) -> usize {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

#[test]
fn what_one_instance_received_any_other_confirms_delivers_and_gives_out() {
    let server = S3Server::start();
    let fleet = fleet(&server);
    let mut running: Vec<Option<Running<'_>>> = (0..3).map(|number| Some(fleet.start(number))).collect();
    let mut shown = Vec::new();
    for number in 0..6 {
        let check = fill(&fleet, number, number).unwrap();
        assert_eq!(check.status, 200, "{}", check.body);
        // Who received the file is killed before it is confirmed; its machine never comes back with what it had.
        running[number % 3] = None;
        let done = send(&fleet, number + 1, &hidden_inputs(&check.body)).unwrap();
        shown.push(reference(&done));
        let folder = fleet.test.root().join(format!("donnees-{}", number % 3));
        std::fs::remove_dir_all(&folder).unwrap();
        running[number % 3] = Some(fleet.start(number % 3));
    }
    // What a killed instance had in hand is tried later, by design: the mairie's order makes it now.
    until("all was tried once", || fleet.count("outbox WHERE state = 'à_envoyer' AND attempts = 0") == 0);
    for reference in shown.iter().filter(|reference| fleet.letters.of_mairie(reference) == 0) {
        assert_eq!(order(&fleet, &["demandes", "renvoyer", reference]).code, 0);
    }
    until("all is delivered", || shown.iter().all(|reference| fleet.letters.of_mairie(reference) > 0));
    for (number, reference) in shown.iter().enumerate() {
        assert!(fleet.letters.carries(reference, &pdf(number)), "{reference} carries its file");
    }
    for number in 0..3 {
        let data = fleet.test.root().join(format!("donnees-{number}"));
        assert_eq!(count(&data.join("pj")) + count(&data.join("entrants")), 0, "nothing is left on a machine");
    }
    let sums = order(&fleet, &["demandes", "reconcilier"]);
    assert_eq!(sums.code, 0, "{}{}", sums.stdout, sums.stderr);
    let given = order(&fleet, &["demandes", "exporter", &shown[3], "--pieces", "remis"]);
    assert_eq!(given.code, 0, "{}", given.stderr);
    assert_eq!(std::fs::read(fleet.test.root().join("remis/1-plan.pdf")).unwrap(), pdf(3));
    let copy = order(&fleet, &["backup", "copie"]);
    assert_eq!(copy.code, 0, "{}", copy.stderr);
    assert_eq!(count(&fleet.test.root().join("copie/pj")), 6, "a copy holds the files");
}

#[test]
fn a_bucket_that_fails_is_told_costs_nothing_and_is_found_again() {
    let server = S3Server::start();
    let fleet = fleet(&server);
    let _running = fleet.start(0);
    let check = fill(&fleet, 0, 1).unwrap();
    assert_eq!(check.status, 200, "{}", check.body);
    let fields = hidden_inputs(&check.body);
    let ready = || fleet.client(0).unwrap().get("/guichet/pret").unwrap();
    assert!(ready().body.contains("\"seau\":\"ok\""), "{}", ready().body);

    server.cut_every(1);
    let refused = [fill(&fleet, 0, 2).unwrap(), send(&fleet, 0, &fields).unwrap()];
    // The page goes on naming the file that could not be looked up: its button sends it, too.
    let fields = hidden_inputs(&refused[1].body);
    assert!(fields.iter().any(|(name, _)| name == "fichier.pieces"), "{fields:?}");
    for refused in refused {
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert!(refused.body.contains("je voudrais poser la benne"), "the answers are kept: {}", refused.body);
        assert!(refused.header("retry-after").is_some() && !refused.body.contains(SECRET));
    }
    assert_eq!(fleet.count("submission"), 0);
    until("it says so", || ready().body.contains("\"seau\":\"injoignable\""));
    assert_eq!(ready().status, 200, "what has no file is taken all the same");
    let mut client = fleet.client(0).unwrap();
    let page = client.post("/guichet/contact/verifier", &contact(7)).unwrap();
    let done = client.post("/guichet/contact/envoyer", &hidden_inputs(&page.body)).unwrap();
    assert_eq!(done.status, 303, "{}", done.body);

    server.cut_every(0);
    server.be_busy(true);
    // Half of the answers are « slow down »: asked again behind the scenes, or by the resident.
    let refused = std::sync::atomic::AtomicUsize::new(0);
    let sent = reference(&insist(|_| send(&fleet, 0, &fields), 303, &refused));
    let check = insist(|_| fill(&fleet, 0, 3), 200, &refused);
    let other = reference(&insist(|_| send(&fleet, 0, &hidden_inputs(&check.body)), 303, &refused));
    server.be_busy(false);
    for (reference, number) in [(&sent, 1), (&other, 3)] {
        until("it is tried", || fleet.count("outbox WHERE state = 'à_envoyer' AND attempts = 0") == 0);
        if fleet.letters.of_mairie(reference) == 0 {
            order(&fleet, &["demandes", "renvoyer", reference]);
        }
        until("it is delivered", || fleet.letters.of_mairie(reference) > 0);
        assert!(fleet.letters.carries(reference, &pdf(number)));
    }

    server.cut_every(1);
    let state = order(&fleet, &["demandes", "etat"]);
    assert_eq!(state.code, 1, "{}{}", state.stdout, state.stderr);
    assert!(
        state.stdout.contains("! seau des fichiers joints") && !state.stdout.contains("fichier perdu"),
        "{}",
        state.stdout
    );
    let all = fleet.test.run(&["etat", &Fleet::config(0)]);
    assert!(all.code == 1 && all.stdout.contains("Le seau des fichiers joints ne répond pas"), "{}", all.stdout);
    assert!(all.stdout.contains(&format!("! Cette machine : {}", server.url())), "{}", all.stdout);
    let copy = order(&fleet, &["backup", "copie"]);
    assert_eq!(copy.code, 2, "{}", copy.stderr);
    assert!(copy.stderr.contains("les fichiers joints ne peuvent ni être lus ni gardés"), "{}", copy.stderr);
    server.cut_every(0);
    let all = fleet.test.run(&["etat", &Fleet::config(0)]);
    assert!(all.stdout.contains(&format!("{} répond", server.url())), "{}", all.stdout);
    let state = order(&fleet, &["demandes", "reconcilier"]);
    assert_eq!(state.code, 0, "{}{}", state.stdout, state.stderr);
}

#[test]
fn a_bucket_that_cannot_serve_is_told_at_the_start() {
    let server = S3Server::start();
    let start = |table: &str| {
        let test = CommuneTest::minimal();
        let config = format!(
            "confirmer_destinataires = false\ndossier = \"commune\"\ndonnees = \"donnees\"\necoute = \"127.0.0.1:0\"\n\
             [courriel]\ntransport = \"dossier\"\ndossier = \"courriels\"\n[fichiers]\n{table}\n"
        );
        std::fs::write(test.root().join("guichet.toml"), config).unwrap();
        std::fs::write(test.root().join("faux"), format!("{KEY_ID}\nune-autre-cle\n")).unwrap();
        std::fs::write(test.root().join("bon"), format!("{KEY_ID}\n{SECRET}\n")).unwrap();
        std::fs::write(test.root().join("court"), "une-seule-ligne\n").unwrap();
        test.run(&["guichet", "guichet.toml"])
    };
    let url = server.url();
    for (table, code, words) in [
        (format!("s3 = \"{url}\"\ncle_fichier = \"faux\""), 2, "la clé d'accès est refusée"),
        (format!("s3 = \"{url}\""), 1, "la clé du seau manque"),
        (format!("s3 = \"{url}\"\ncle_fichier = \"absent\""), 1, "ne peut pas être lu"),
        (format!("s3 = \"{url}\"\ncle_fichier = \"court\""), 1, "n'est pas un fichier de clés"),
        ("s3 = \"seau\"\ncle_fichier = \"bon\"".to_owned(), 1, "n'est pas l'adresse d'un seau"),
        ("s3 = \"http://s3.exemple.fr/seau\"\ncle_fichier = \"bon\"".to_owned(), 1, "en clair"),
        ("cle_fichier = \"bon\"".to_owned(), 1, "la clé « s3 » manque"),
        (format!("s3 = \"{url}\"\ncle_fichier = \"bon\"\nseau = 1"), 1, "« seau »"),
    ] {
        let run = start(&table);
        assert_eq!(run.code, code, "{table}\n{}", run.stderr);
        assert!(run.stderr.contains(words) && run.stderr.contains("aide"), "{table}\n{}", run.stderr);
        assert!(!run.stderr.contains("une-autre-cle") && !run.stderr.contains(SECRET), "{}", run.stderr);
    }
}
