//! A folder of this machine.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::chance::Chance;
use crate::town::Town;
use crate::visitor::{Visitor, files, of_folder};

const TARGET: &str = "dossier = \"../www/site\"\nversions = 3";

#[test]
fn visitors_see_one_version_or_the_other_and_the_previous_one_comes_back() {
    let mut town = Town::new(TARGET);
    let served = town.root().join("www/site");
    town.publish_well(&[]);
    let mut old = town.built();
    let first = files(&old);
    let before = files(&town.folder());
    for _ in 0..3 {
        town.change();
        let new = town.built();
        let visitor = Visitor::of_versions(of_folder(&served), &old, &new);
        let run = town.publish_well(&[]);
        visitor.leave();
        assert!(run.stdout.starts_with("Site publié sur « "), "{}", run.stdout);
        assert_eq!(files(&served), files(&new));
        old = new;
    }
    assert!(before.keys().all(|path| files(&town.folder()).contains_key(path)), "the commune's folder is its own");
    assert!(town.publish_well(&[]).stdout.starts_with("Rien n'a changé"));
    // Three versions are kept: the one served and two before it.
    let new = town.root().join("version-2");
    let visitor = Visitor::of_versions(of_folder(&served), &old, &new);
    let run = town.publish_well(&["--retour"]);
    visitor.leave();
    assert!(run.stdout.contains("est de nouveau en ligne"), "{}", run.stdout);
    assert_eq!(files(&served), files(&new));
    town.publish_well(&["--retour"]);
    assert_eq!(files(&served), files(&town.root().join("version-1")));
    town.publish_badly(&["--retour"], 1, "ne garde pas de version précédente");
    assert_ne!(files(&served), first);
    town.publish_well(&[]);
    assert_eq!(files(&served), files(&old));
    let register = town.register();
    let actions: Vec<_> = register.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions.join(" "), "publication publication publication publication retour retour publication");
    assert!(register.windows(2).all(|pair| pair[1].precedente.as_ref() == Some(&pair[0].version)));
}

#[test]
fn documents_that_appear_or_go_are_in_the_register() {
    let town = Town::new(TARGET);
    town.publish_well(&[]);
    let page = town.folder().join("pages/arretes.md");
    std::fs::create_dir_all(town.folder().join("medias")).unwrap();
    std::fs::write(town.folder().join("medias/arrete-2026-12.pdf"), "%PDF-1.4\n%%EOF\n").unwrap();
    let text =
        "+++\ntitre = \"Arrêtés\"\nresume = \"Arrêtés\"\npieces = [\"../medias/arrete-2026-12.pdf\"]\n+++\n\nTexte.\n";
    std::fs::write(&page, text).unwrap();
    town.publish_well(&[]);
    std::fs::remove_file(&page).unwrap();
    town.publish_well(&[]);
    let told: Vec<String> = town
        .register()
        .iter()
        .flat_map(|entry| entry.documents.clone())
        .map(|document| format!("{} {}", document.etat, document.chemin))
        .collect();
    assert_eq!(told, ["paru medias/arrete-2026-12.pdf", "retire medias/arrete-2026-12.pdf"]);
}

#[test]
fn a_trial_says_what_would_go_and_touches_nothing() {
    let mut town = Town::new(TARGET);
    let run = town.publish_well(&["--essai"]);
    assert!(run.stdout.starts_with("Essai, rien n'a été envoyé"), "{}", run.stdout);
    assert!(run.stdout.contains("  + 404.html") && run.stdout.contains("autres"), "{}", run.stdout);
    let names: Vec<_> = std::fs::read_dir(town.root()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!names.iter().any(|name| name == "www" || name == "commune-public"), "{names:?}");
    town.publish_well(&[]);
    town.change();
    let run = town.publish_well(&["--essai", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((told["action"].as_str(), told["fait"].as_bool()), (Some("essai"), Some(false)));
    assert_eq!(told["ajoutes"][0], "actualites/2026-11-01-nouvelle-1/index.html");
    assert!(told["modifies"].as_array().unwrap().len() > 10);
    assert_eq!(town.register().len(), 1);
}

#[test]
fn what_is_wrong_in_the_order_or_the_content_publishes_nothing() {
    let town = Town::new("dossier = \"../precieux\"");
    std::fs::create_dir(town.root().join("precieux")).unwrap();
    std::fs::write(town.root().join("precieux/these.odt"), "x").unwrap();
    town.publish_badly(&[], 1, "n'est pas un site publié par Mulot");
    assert_eq!(std::fs::read_dir(town.root().join("precieux")).unwrap().count(), 1);
    Town::new("dossier = \"../commune-public\"").publish_badly(&[], 1, "sert déjà à fabriquer le site");
    let town = Town::new(TARGET);
    std::fs::write(town.folder().join("pages/faux.md"), "+++\ntitre = Faux\n+++\n").unwrap();
    let run = town.publish(&[]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("rien n'a été publié"), "{}", run.stdout);
    assert!(!town.root().join("www").exists());
    let lost = Town::new("");
    let run = lost.publish(&[]);
    assert!(run.code == 1 && run.stdout.contains("ne dit pas où va le site"), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_run_that_is_killed_is_run_again() {
    let mut town = Town::new(TARGET);
    let served = town.root().join("www/site");
    town.publish_well(&[]);
    let seed = Chance::seed();
    let mut chance = Chance::of(seed);
    let mut old = town.built();
    for round in 0..8 {
        town.change();
        let new = town.built();
        let visitor = Visitor::of_versions(of_folder(&served), &old, &new);
        let mut child = town.start();
        std::thread::park_timeout(Duration::from_millis(chance.below(900) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = files(&served);
        assert!(seen == files(&old) || seen == files(&new), "round {round}, seed {seed}: neither version");
        town.publish_well(&[]);
        visitor.leave();
        assert_eq!(files(&served), files(&new), "round {round}, seed {seed}");
        old = new;
    }
    town.publish_well(&["--retour"]);
    assert_eq!(files(&served), files(&town.root().join("version-7")), "seed {seed}");
    assert_eq!(town.register().last().unwrap().action, "retour");
}

#[test]
fn a_full_disk_leaves_the_site_as_it_was() {
    let mut town = Town::new(TARGET);
    std::fs::create_dir(town.root().join("www")).unwrap();
    let first = town.built();
    town.change();
    let second = town.built();
    // The two contents, to be taken in turn inside the small disk's namespace.
    let folder = town.folder();
    let copy = |from: &std::path::Path, to: &str| {
        let done = Command::new("cp").arg("-a").arg(from).arg(town.root().join(to)).status().unwrap();
        assert!(done.success());
    };
    copy(&folder, "nouvelle");
    std::fs::write(
        folder.join("commune.toml"),
        std::fs::read_to_string(folder.join("commune.toml")).unwrap().replace("04 65 71 00 11", "04 65 71 00 01"),
    )
    .unwrap();
    std::fs::remove_file(folder.join("actualites/2026-11-01-nouvelle-1.md")).unwrap();
    let script = "set -u; P='publish commune --date 2026-11-21'\n\
        mount -t tmpfs -o size=4m,mode=755 tmpfs www || exit 77\n\
        \"$0\" $P || exit 10\n\
        diff -r -x .mulot www/site \"$1\" || exit 11\n\
        rm -rf commune && mv nouvelle commune\n\
        dd if=/dev/zero of=www/lest bs=64k 2>/dev/null\n\
        \"$0\" $P; [ $? -eq 2 ] || exit 12\n\
        diff -r -x .mulot www/site \"$1\" || exit 13\n\
        rm www/lest\n\
        \"$0\" $P || exit 14\n\
        diff -r -x .mulot www/site \"$2\" || exit 15";
    let order = town.command();
    let program = order.get_program();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script]).arg(program).arg(&first).arg(&second);
    command.current_dir(town.root()).envs(order.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) || told.contains("unshare failed") {
        println!("skipped: no mount namespace may be made here (run the tests as root)");
        return;
    }
    assert!(output.status.success(), "{:?}\n{}{told}", output.status, String::from_utf8_lossy(&output.stdout));
    assert!(
        told.contains("il n'y a plus de place sur ce disque") && told.contains("aide : faites de la place"),
        "{told}"
    );
}

#[test]
fn two_orders_at_once_come_one_after_the_other() {
    let mut town = Town::new(TARGET);
    town.publish_well(&[]);
    town.change();
    let mut both = [(); 2].map(|()| town.command());
    let both = both.each_mut().map(|order| order.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    for child in both {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        // On a slow machine the second one does not wait for ever: it says why.
        let waited = output.status.code() == Some(2) && told.contains("déjà en cours sur cette machine");
        assert!(output.status.success() || waited, "{told}");
    }
    assert_eq!(files(&town.root().join("www/site")), files(&town.built()));
    assert_eq!(town.register().len(), 2);
}

#[test]
fn a_site_that_vanished_is_said_and_what_is_served_stays() {
    use mulot::model::publication::{FolderTarget, Target};
    use mulot::publish::{Order, PublishError, send};

    let root = tempfile::tempdir().unwrap();
    let (site, state) = (root.path().join("public"), root.path().join("publications"));
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("index.html"), "un").unwrap();
    let target = Target::Folder(FolderTarget { path: root.path().join("www"), versions: 3 });
    let now = jiff::Timestamp::UNIX_EPOCH;
    let order = Order { site: &site, state: &state, target: &target, keys: Ok(None), take_over: false, now };
    send(&order).unwrap();
    std::fs::remove_dir_all(&site).unwrap();
    let error = send(&order).unwrap_err();
    assert!(matches!(error, PublishError::Fs(_)) && error.to_string().contains("public"), "{error}");
    assert_eq!(std::fs::read_to_string(root.path().join("www/index.html")).unwrap(), "un");
}
