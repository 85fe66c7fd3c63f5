//! A bucket of a server that judges signatures and clocks.

use std::fs;

use crate::commune_test::Run;
use crate::s3::{BUCKET, KEY_ID, S3Server, SECRET};
use crate::town::Town;
use crate::visitor::{Visitor, crawl, files, of_address};

/// A commune published below `site` of the server's bucket.
struct OnBucket {
    server: S3Server,
    town: Town,
}

impl OnBucket {
    fn new() -> OnBucket {
        let server = S3Server::start();
        let town =
            Town::new(&format!("s3 = \"{}/site\"\nregion = \"fr-par\"\ncle_fichier = \"../cles\"", server.url()));
        fs::write(town.root().join("cles"), format!("# identifiant, puis clé\n{KEY_ID}\n{SECRET}\n")).unwrap();
        OnBucket { server, town }
    }

    /// Objects that visitors get.
    fn served(&self) -> std::collections::BTreeMap<String, Vec<u8>> {
        let mut all = files(&self.server.objects().join("site"));
        all.retain(|path, _| !path.starts_with(".mulot/"));
        all
    }

    fn visitor(&self) -> Visitor {
        Visitor::of_links(of_address(self.server.address, &format!("/{BUCKET}/site")))
    }

    /// Requests of that kind about pages and files of the site since the last time.
    fn sent(&self, method: &str) -> usize {
        let about = |line: &&String| line.starts_with(method) && !line.contains("/.mulot/");
        self.server.take_log().iter().filter(about).count()
    }
}

#[test]
fn no_link_is_ever_broken_and_the_previous_version_comes_back_without_being_sent() {
    let mut on = OnBucket::new();
    on.town.publish_well(&["--essai"]);
    assert_eq!(on.sent("PUT"), 0);
    on.town.publish_well(&[]);
    let first = files(&on.town.built());
    assert_eq!(on.served(), first);
    assert_eq!(on.sent("PUT"), first.len());
    for _ in 0..2 {
        on.town.change();
        let visitor = on.visitor();
        on.town.publish_well(&[]);
        visitor.leave();
        assert_eq!(on.served(), files(&on.town.built()));
    }
    on.sent("PUT");
    assert!(on.town.publish_well(&[]).stdout.starts_with("Rien n'a changé"));
    let visitor = on.visitor();
    let run: Run = on.town.publish_well(&["--retour"]);
    visitor.leave();
    assert!(run.stdout.contains("est de nouveau en ligne"), "{}", run.stdout);
    assert_eq!(on.served(), files(&on.town.root().join("version-1")));
    assert_eq!(on.sent("PUT"), 0, "copies within the bucket");
    on.town.publish_well(&["--retour"]);
    assert_eq!(on.served(), first);
    on.town.publish_badly(&["--retour"], 1, "ne garde pas de version précédente");
    // Nothing is kept of the versions that went.
    assert_eq!(fs::read_dir(on.server.objects().join("site/.mulot/manifestes")).unwrap().count(), 1);
    assert_eq!(on.town.register().len(), 5);
}

#[test]
fn objects_are_served_with_their_type_and_how_long_to_keep_them() {
    let on = OnBucket::new();
    on.town.publish_well(&[]);
    let access = mulot::s3::Access {
        endpoint: format!("http://{}", on.server.address),
        bucket: BUCKET.into(),
        region: "fr-par".into(),
        key_id: KEY_ID.into(),
        secret: SECRET.into(),
    };
    let bucket = mulot::s3::Bucket::open(&access).unwrap();
    let kind = |path: &str| bucket.head(&format!("site/{path}")).unwrap().unwrap().media_type.unwrap();
    assert_eq!(kind("index.html"), "text/html; charset=utf-8");
    assert_eq!(kind("actualites/atom.xml"), "application/xml; charset=utf-8");
    let style = on.served().into_keys().find(|path| path.ends_with(".css")).unwrap();
    assert_eq!(kind(&style), "text/css; charset=utf-8");
}

#[test]
fn a_bucket_that_is_busy_half_of_the_time_and_lines_that_are_cut_only_take_longer() {
    let mut on = OnBucket::new();
    on.town.publish_well(&[]);
    on.town.change();
    on.server.be_busy(true);
    on.server.cut_every(7);
    let visitor = on.visitor();
    on.town.publish_well(&[]);
    visitor.leave();
    assert_eq!(on.served(), files(&on.town.built()));
    assert!(on.server.refused() > 50, "{} refusals", on.server.refused());
}

#[test]
fn a_run_that_is_killed_is_taken_up_where_it_was() {
    let mut on = OnBucket::new();
    on.town.publish_well(&[]);
    for held_after in [3, 70, 130, 160] {
        on.town.change();
        on.sent("PUT");
        let visitor = on.visitor();
        on.server.hold_after(held_after);
        let mut child = on.town.start();
        on.server.await_held();
        child.kill().unwrap();
        child.wait().unwrap();
        let before = on.sent("PUT");
        on.town.publish_well(&[]);
        visitor.leave();
        let (again, new) = (on.sent("PUT"), files(&on.town.built()));
        assert_eq!(on.served(), new, "held after {held_after}");
        // At most what was under way between two notes travels twice.
        let changed = new.len();
        assert!(before + again <= changed + 48, "{before} then {again} of {changed}");
        assert!(!on.server.objects().join("site/.mulot/envoi.json").exists());
    }
    on.town.publish_well(&["--retour"]);
    assert_eq!(on.served(), files(&on.town.root().join("version-3")));
    let mut wrong = Vec::new();
    crawl(&of_address(on.server.address, &format!("/{BUCKET}/site")), &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn an_interrupted_run_may_be_followed_by_another_content_or_by_the_old_one() {
    let mut on = OnBucket::new();
    on.town.publish_well(&[]);
    let first = files(&on.town.built());
    let saved = on.town.root().join("ancienne");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    };
    copy(&on.town.folder(), &saved);
    on.town.change();
    on.server.hold_after(120);
    let mut child = on.town.start();
    on.server.await_held();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(on.served(), first, "something was replaced");
    // The author changes her mind.
    fs::remove_dir_all(on.town.folder()).unwrap();
    copy(&saved, &on.town.folder());
    on.town.publish_well(&[]);
    assert_eq!(on.served(), first);
    on.town.change();
    on.town.publish_well(&[]);
    on.town.publish_well(&["--retour"]);
    assert_eq!(on.served(), first);
}

#[test]
fn what_a_bucket_refuses_is_said_with_its_remedy() {
    let on = OnBucket::new();
    fs::write(on.town.root().join("cles"), format!("{KEY_ID}\nune-autre-cle\n")).unwrap();
    on.town.publish_badly(&[], 2, "la clé d'accès est refusée par 127.0.0.1");
    fs::write(on.town.root().join("cles"), "une seule ligne\n").unwrap();
    on.town.publish_badly(&[], 1, "n'est pas un fichier de clés");
    fs::remove_file(on.town.root().join("cles")).unwrap();
    on.town.publish_badly(&[], 2, "impossible de lire");
    let lost = Town::new(&format!("s3 = \"{}\"", on.server.url()));
    lost.publish_badly(&[], 1, "il n'y a pas de clé");
    let command = &mut lost.command();
    let output = command.env("MULOT_S3_CLE_ID", KEY_ID).env("MULOT_S3_CLE_SECRETE", SECRET).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn objects_of_somebody_else_are_not_written_over() {
    let on = OnBucket::new();
    fs::create_dir_all(on.server.objects().join("site")).unwrap();
    fs::write(on.server.objects().join("site/photo.jpg"), "x").unwrap();
    on.town.publish_badly(&[], 1, "n'est pas un site publié par Mulot");
    assert_eq!(on.sent("PUT"), 0);
    fs::remove_file(on.server.objects().join("site/photo.jpg")).unwrap();
    on.town.publish_well(&[]);
    fs::write(on.server.objects().join("site/.mulot/verrou"), "une-autre-machine").unwrap();
    on.town.publish_badly(&[], 2, "une autre publication vers");
    on.town.publish_well(&["--reprendre"]);
}

#[test]
fn a_clock_that_is_one_day_off_is_named() {
    let on = OnBucket::new();
    for (shift, words) in [("+1d", "avance sur celle de"), ("-1d", "retarde sur celle de")] {
        let order = on.town.command();
        let mut command = std::process::Command::new("faketime");
        command.arg("-f").arg(shift).arg(order.get_program()).args(order.get_args()).current_dir(on.town.root());
        command.envs(order.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().expect("faketime is needed for this test: apt-get install faketime");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(
            told.contains("l'horloge de cette machine") && told.contains(words) && told.contains("d'un jour"),
            "{told}"
        );
    }
    assert_eq!(on.sent("PUT"), 0);
    on.town.publish_well(&[]);
}
