use super::*;
use crate::intake::mailer::Security;

fn read(text: &str) -> Result<GuichetConfig, Vec<String>> {
    GuichetConfig::parse("guichet.toml", text, Path::new("/etc/mulot"), None)
        .map_err(|told| told.into_iter().map(|one| format!("{}: {}", one.place, one.message)).collect())
}

const SMTP: &str = "dossier = \"commune\"\ndonnees = \"/var/lib/mulot\"\n\
    [courriel]\ntransport = \"smtp\"\nserveur = \"smtp.exemple.fr\"\n";

#[test]
fn what_is_not_said_takes_safe_values() {
    let config = read(SMTP).unwrap();
    assert_eq!(config.folder, Path::new("/etc/mulot/commune"));
    assert_eq!(config.data, Path::new("/var/lib/mulot"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    let Transport::Smtp(smtp) = config.transport else { panic!("smtp") };
    assert_eq!((smtp.port, smtp.security), (587, Security::StartTls));
    assert_eq!(config.form_limits.files_bytes, 15 << 20);
}

#[test]
fn a_server_starts_only_with_the_folders_it_shows() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("guichet.toml");
    let rest = "donnees = \"d\"\n[courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n";
    std::fs::write(&file, format!("dossier = \"absent\"\nsite = \"absent-public\"\n{rest}")).unwrap();
    let told = GuichetConfig::read_to_serve(&file, Secrets::default()).unwrap_err();
    let lines: Vec<_> = told.iter().map(|one| one.place.line).collect();
    assert_eq!(lines, [1, 2], "{told:?}");
    assert!(told[0].message.contains(&root.path().join("absent").display().to_string()), "{told:?}");
    assert!(GuichetConfig::read(&file, Secrets::default()).is_ok(), "the requests can still be looked at");
}

#[test]
fn everything_can_be_said() {
    let text = "dossier = \"c\"\ndonnees = \"d\"\ncle_fichier = \"secret/cle\"\necoute = \"/run/m.sock\"\nsite = \"public\"\nproxy = [\"127.0.0.1\", \"::1\"]\nhsts_jours = 30\n\
        [courriel]\ntransport = \"dossier\"\ndossier = \"boite\"\n[limites]\nfichiers_mo = 10\nenvois_par_adresse = 20\n";
    let config = read(text).unwrap();
    assert_eq!(config.listen, ListenAddress::Unix("/run/m.sock".into()));
    assert_eq!(config.key_file.as_deref(), Some(Path::new("/etc/mulot/secret/cle")));
    assert_eq!(config.proxies.len(), 2);
    assert_eq!(config.hsts_seconds, 30 * 86_400);
    assert_eq!(config.rates.sends, 20);
    assert!(matches!(config.transport, Transport::Folder(folder) if folder == Path::new("/etc/mulot/boite")));
}

#[test]
fn limits_against_abuse_and_measures_can_be_said() {
    let text = format!(
        "{SMTP}[limites]\nenvois_par_heure = 1000\nenvois_par_courriel = 4\naccuses_par_jour = 2\nquarantaine_heures = 24\n\
         [mesures]\necoute = \"127.0.0.1:9464\"\n"
    );
    let config = read(&text).unwrap();
    assert_eq!((config.rates.form_sends, config.rates.email_sends, config.rates.receipts), (500, 4, 2));
    assert_eq!(config.rates.quarantine, jiff::SignedDuration::from_hours(24));
    assert_eq!(config.metrics.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:9464"));
    assert_eq!(read(SMTP).unwrap().metrics, None, "off unless asked");
}

#[test]
fn the_code_of_the_mairie_comes_from_a_file_and_is_long() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("code_agent_fichier = \"code\"\nconfirmer_destinataires = false\n{SMTP}par_heure = 50\n");
    let read = || GuichetConfig::parse("guichet.toml", &text, dir.path(), None);
    assert!(read().unwrap_err()[0].message.contains("ne peut pas être lu"));
    std::fs::write(dir.path().join("code"), "court\n").unwrap();
    assert!(read().unwrap_err()[0].message.contains("trop court"));
    std::fs::write(dir.path().join("code"), "champ de lin\n").unwrap();
    let config = read().unwrap();
    assert_eq!(config.agent_code, AgentCode::new("champ de lin"));
    assert_eq!((config.per_hour, config.confirms_mailboxes), (Some(50), false));
    let plain = GuichetConfig::parse("guichet.toml", SMTP, dir.path(), None).unwrap();
    assert_eq!((plain.agent_code, plain.per_hour, plain.confirms_mailboxes), (None, None, true));
}

#[test]
fn a_mailbox_of_reports_can_be_said_and_its_password_never_leaves_in_clear() {
    let own = "[rebonds]\nserveur = \"imap.exemple.fr\"\nidentifiant = \"guichet@exemple.fr\"\n";
    let parse = |rest: &str, imap: Option<&str>| {
        let secrets = Secrets { imap: imap.map(str::to_owned), ..Secrets::default() };
        let text = format!("{SMTP}{own}{rest}");
        GuichetConfig::parse_and("guichet.toml", &text, Path::new("/"), secrets, |_, _, _| {})
    };
    let bounces = parse("traites = \"Rebonds\"\n", Some("secret")).unwrap().bounces.unwrap();
    assert_eq!((bounces.port, bounces.security, bounces.folder.as_str()), (993, Security::Tls, "INBOX"));
    assert_eq!(bounces.done_folder.as_deref(), Some("Rebonds"));
    assert!(!format!("{bounces:?}").contains("secret"));
    let told = parse("", None).unwrap_err();
    assert!(told[0].hint.as_deref().is_some_and(|hint| hint.contains(BOUNCES_PASSWORD_VARIABLE)), "{told:?}");
    let told = parse("chiffrement = \"aucun\"\n", Some("secret")).unwrap_err();
    assert_eq!(told[0].message, "le mot de passe partirait en clair");
    assert!(read(SMTP).unwrap().bounces.is_none(), "off unless asked");
}

#[test]
fn a_signature_needs_a_name_a_domain_and_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let parse = |rest: &str| {
        let text = format!("{SMTP}[courriel.dkim]\n{rest}");
        let told = GuichetConfig::parse("guichet.toml", &text, dir.path(), None);
        told.map_err(|told| told.into_iter().map(|one| one.message).collect::<Vec<_>>())
    };
    let told = parse("selecteur = \"mulot\"\n").unwrap_err();
    assert_eq!(told, ["la clé « cle_fichier » manque", "la clé « domaine » manque"]);
    let all = "selecteur = \"mulot\"\ndomaine = \"exemple.fr\"\ncle_fichier = \"dkim.pem\"\n";
    assert!(parse(all).unwrap_err()[0].contains("ne peut pas être lue"));
    std::fs::write(dir.path().join("dkim.pem"), "rien").unwrap();
    assert!(parse(all).unwrap_err()[0].contains("pas de clé DKIM"));
    std::fs::write(dir.path().join("dkim.pem"), "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n").unwrap();
    assert_eq!(parse(all).unwrap().signer.unwrap().record_name(), "mulot._domainkey.exemple.fr");
    assert_eq!(parse(&all.replace("exemple.fr", "a b")).unwrap_err(), ["« a b » ne convient pas à « domaine »"]);
}

#[test]
fn files_have_limits_and_perhaps_an_antivirus() {
    let usual = read(SMTP).unwrap();
    assert_eq!((usual.files, usual.form_limits.mail_bytes), (FileSettings::default(), 7 << 20));
    let text = format!("clamav = \"clamd.ctl\"\n{SMTP}");
    assert!(read(&text).unwrap_err()[0].contains("n'est pas une adresse de clamd"));
    let set = read(&format!(
        "clamav = \"127.0.0.1:3310\"\n{SMTP}[limites]\ncourriel_mo = 12\nbrouillons_mo = 64\npieces_mo = 900\n"
    ));
    let set = set.unwrap();
    assert_eq!(set.files.scanner, Some(ScannerAddress::Tcp(([127, 0, 0, 1], 3310).into())));
    assert_eq!((set.files.max_draft_bytes, set.files.max_kept_bytes), (64 << 20, 900 << 20));
    assert_eq!(set.form_limits.mail_bytes, 12 << 20);
    let socket = read(&format!("clamav = \"/run/clamav/clamd.ctl\"\n{SMTP}")).unwrap().files.scanner;
    assert_eq!(socket, Some(ScannerAddress::Unix("/run/clamav/clamd.ctl".into())));
    assert!(read(&format!("clamav = \"192.0.2.7:3310\"\n{SMTP}")).is_err());
}

#[test]
fn measures_are_for_this_machine_alone() {
    let told = read(&format!("{SMTP}[mesures]\necoute = \"0.0.0.0:9464\"\n")).unwrap_err();
    assert!(told[0].contains("d'autres machines"), "{told:?}");
    let told = read(&format!("{SMTP}[mesures]\n")).unwrap_err();
    assert!(told[0].contains("la clé « ecoute » manque"), "{told:?}");
    let told = read(&format!("{SMTP}[limites]\nquarantaine_heures = 1000\n")).unwrap_err();
    assert!(told[0].contains("quarantaine_heures"), "{told:?}");
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let told = read("donnes = \"d\"\necoute = \"quelque part\"\nproxy = [\"moi\"]\n[courriel]\ntransport = \"smtp\"\nchiffrement = \"ssl\"\n").unwrap_err();
    for expected in [
        "la clé « dossier » manque",
        "guichet.toml:1:1: la clé « donnes » n'existe pas ici",
        "guichet.toml:2:10: « quelque part » n'est pas une adresse où écouter",
        "« moi » n'est pas une adresse IP",
        "la clé « serveur » manque",
        "« ssl » n'est pas une valeur de « chiffrement »",
    ] {
        assert!(told.iter().any(|one| one.contains(expected)), "{expected}\n{told:#?}");
    }
}

#[test]
fn a_name_without_password_and_a_password_in_clear_are_refused() {
    let told = read(&format!("{SMTP}identifiant = \"moi\"\n")).unwrap_err();
    assert!(told[0].contains("le mot de passe de cet identifiant manque"), "{told:?}");
    let text = format!("{SMTP}identifiant = \"moi\"\nchiffrement = \"aucun\"\n");
    let told = GuichetConfig::parse("g.toml", &text, Path::new("/"), Some("secret".into())).unwrap_err();
    assert_eq!(told[0].message, "le mot de passe partirait en clair");
    assert!(!format!("{told:?}").contains("secret"));
}

fn shared(text: &str, secrets: &Secrets) -> Result<HallConfig, Vec<String>> {
    HallConfig::parse("guichet.toml", text, Path::new("/etc/mulot"), secrets)
        .map_err(|told| told.into_iter().map(|one| format!("{}: {}", one.place, one.message)).collect())
}

const SHARED: &str = "territoire = \"/srv/dombes\"\ndonnees = \"/var/lib/mulot\"\n\
    [courriel]\ntransport = \"smtp\"\nserveur = \"smtp.exemple.fr\"\nidentifiant = \"tous\"\n";

#[test]
fn a_territoire_gives_each_commune_its_part_of_what_is_said_of_all() {
    let secrets = Secrets { smtp: Some("commun".into()), ..Secrets::default() };
    let text = format!("site = \"/srv/sites\"\ncles = \"cles\"\nsommeil_minutes = 5\n{SHARED}");
    let hall = shared(&text, &secrets).unwrap();
    assert_eq!(hall.territoire.as_deref(), Some(Path::new("/srv/dombes")));
    assert_eq!((hall.most_awake, hall.asleep_after), (32, jiff::SignedDuration::from_mins(5)));
    let one = hall.of("le-plantay", Path::new("/srv/dombes/communes/le-plantay"));
    assert_eq!(one.data, Path::new("/var/lib/mulot/le-plantay"));
    assert_eq!(one.site.as_deref(), Some(Path::new("/srv/sites/le-plantay")));
    assert_eq!(one.key_file.as_deref(), Some(Path::new("/etc/mulot/cles/le-plantay")));
    assert_eq!(one.folder, Path::new("/srv/dombes/communes/le-plantay"));
}

#[test]
fn a_commune_of_a_territoire_may_have_settings_and_passwords_of_its_own() {
    let credentials = tempfile::tempdir().unwrap();
    std::fs::write(credentials.path().join("smtp"), "commun\n").unwrap();
    std::fs::write(credentials.path().join("smtp-villars"), "de villars\n").unwrap();
    let secrets = Secrets { folder: Some(credentials.path().to_owned()), ..Secrets::default() };
    let own = "[communes.le-plantay]\ndonnees = \"/mnt/plantay\"\n[communes.le-plantay.courriel]\nidentifiant = \"plantay\"\npar_heure = 9\n\
        [communes.le-plantay.limites]\nenvois_par_heure = 12\n";
    let hall = shared(&format!("{SHARED}{own}[limites]\naccuses_par_jour = 3\n"), &secrets).unwrap();
    let password = |name: &str| {
        let Transport::Smtp(smtp) = hall.of(name, Path::new("/c")).transport else { panic!("smtp") };
        smtp.credentials.map(|one| (one.user, one.password)).unwrap()
    };
    assert_eq!(password("le-plantay"), ("plantay".into(), "commun".into()));
    assert_eq!(password("villars"), ("tous".into(), "de villars".into()));
    assert_eq!(password("chalamont"), ("tous".into(), "commun".into()));
    let one = hall.of("le-plantay", Path::new("/c"));
    assert_eq!((one.data.as_path(), one.per_hour), (Path::new("/mnt/plantay"), Some(9)));
    assert_eq!((one.rates.all_sends, one.rates.receipts), (12, 3), "its own limit over that of all");
    assert_eq!(hall.of("villars", Path::new("/c")).rates.all_sends, RateLimits::default().all_sends);
    let other = hall.of("villars", Path::new("/c")).fingerprint();
    assert_ne!(hall.of("chalamont", Path::new("/c")).fingerprint(), other);
}

#[test]
fn what_holds_for_all_is_not_said_of_one_and_each_mistake_is_told_once() {
    let secrets = Secrets { smtp: Some("x".into()), ..Secrets::default() };
    let text = format!(
        "cle_fichier = \"cle\"\nproxy = [\"moi\"]\n{SHARED}[communes.a]\necoute = \"127.0.0.1:1\"\nchose = 1\n[communes.b]\n"
    );
    let told = shared(&text, &secrets).unwrap_err();
    for expected in [
        "chaque commune d'un territoire a sa propre clé",
        "« moi » n'est pas une adresse IP",
        "« ecoute » se règle pour toutes les communes",
        "la clé « chose » n'existe pas ici",
    ] {
        assert_eq!(told.iter().filter(|one| one.contains(expected)).count(), 1, "{expected}\n{told:#?}");
    }
    assert_eq!(told.len(), 4, "{told:#?}");
    let told = shared(&format!("dossier = \"c\"\n{SHARED}"), &secrets).unwrap_err();
    assert!(told[0].contains("ne vont pas ensemble"), "{told:?}");
    assert!(read(&format!("{SMTP}[communes.a]\n")).is_err(), "one commune has no communes");
}

#[test]
fn a_process_that_receives_reads_no_password() {
    let text = format!("{SHARED}mot_de_passe_fichier = \"/introuvable\"\n");
    assert!(shared(&text, &Secrets::default()).is_err());
    let hall = shared(&text, &Secrets::withheld()).unwrap();
    let Transport::Smtp(smtp) = hall.common.transport else { panic!("smtp") };
    assert_eq!(smtp.credentials.map(|one| one.password).as_deref(), Some("–"));
}

#[test]
fn each_commune_has_its_own_part_of_the_bucket_and_the_key_is_never_told() {
    let secrets =
        Secrets { smtp: Some("x".into()), bucket: Some(("id".into(), "tres-secret".into())), ..Secrets::default() };
    let table = "[fichiers]\ns3 = \"https://s3.exemple.fr/seau/tous/\"\nregion = \"fr-par\"\n";
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "id\nune clé à elle\n").unwrap();
    let own = format!(
        "[communes.villars.fichiers]\ns3 = \"https://s3.exemple.fr/autre\"\n[communes.villieu.fichiers]\ncle_fichier = \"{}\"\n",
        key.path().display()
    );
    let hall = shared(&format!("{SHARED}{table}{own}"), &secrets).unwrap();
    let of = |name: &str| hall.of(name, Path::new("/c")).files.bucket.unwrap().address();
    assert_eq!(of("chalamont"), "https://s3.exemple.fr/seau/tous/chalamont");
    assert_eq!(of("villars"), "https://s3.exemple.fr/autre", "its own, as it is said");
    assert_eq!(of("villieu"), "https://s3.exemple.fr/seau/tous/villieu", "a key of its own is no bucket of its own");
    let config = hall.of("chalamont", Path::new("/c"));
    assert!(!format!("{config:?}").contains("tres-secret"));
    let other = Secrets { bucket: Some(("id".into(), "un autre".into())), ..secrets.clone() };
    let other = shared(&format!("{SHARED}{table}"), &other).unwrap().of("chalamont", Path::new("/c"));
    assert_ne!(config.fingerprint(), other.fingerprint(), "a new key is a new configuration");
    assert!(shared(SHARED, &secrets).unwrap().common.files.bucket.is_none(), "a key alone is no bucket");
    let inside = "[fichiers]\ns3 = \"https://AKIA:tres-secret@s3.exemple.fr/seau\"\n";
    let told = shared(&format!("{SHARED}{inside}"), &secrets).unwrap_err();
    assert!(told.iter().any(|one| one.contains("contient une clé")), "{told:?}");
    assert!(!format!("{told:?}").contains("tres-secret"), "{told:?}");
}

#[test]
fn a_key_of_the_service_that_cannot_be_used_is_told_and_not_called_missing() {
    let folder = tempfile::tempdir().unwrap();
    let told = |variable: &dyn Fn(&str) -> Option<String>| {
        let bucket_fault = super::bucket::keys_among(variable, Some(folder.path())).unwrap_err();
        let secrets = Secrets { smtp: Some("x".into()), bucket_fault: Some(bucket_fault), ..Secrets::default() };
        shared(&format!("{SHARED}[fichiers]\ns3 = \"https://s3.exemple.fr/seau\"\n"), &secrets).unwrap_err()
    };
    let nothing = |_: &str| None;
    assert_eq!(super::bucket::keys_among(nothing, Some(folder.path())), Ok(None));
    let half = |name: &str| (name == "MULOT_S3_CLE_ID").then(|| "id".to_owned());
    let alone = told(&half);
    assert!(alone.iter().any(|one| one.contains("MULOT_S3_CLE_SECRETE ne l'est pas")), "{alone:?}");
    let file = folder.path().join("seau");
    std::fs::write(&file, "une-seule-ligne\n").unwrap();
    let short = told(&nothing);
    let path = file.display().to_string();
    assert!(short.iter().any(|one| one.contains("fichier de clés") && one.contains(&path)), "{short:?}");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let unread = told(&nothing);
    assert!(unread.iter().any(|one| one.contains("ne peut pas être lu") && one.contains(&path)), "{unread:?}");
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, "id\nsecret\n").unwrap();
    assert_eq!(super::bucket::keys_among(nothing, Some(folder.path())), Ok(Some(("id".into(), "secret".into()))));
}
