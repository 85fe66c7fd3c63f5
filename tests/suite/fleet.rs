//! A territoire: many communes, one command; what is wrong with one is nobody else's trouble.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::commune_test::{CommuneTest, Run};

/// A territoire in a temporary place, its communes made by `mulot new` from the model of the smallest commune.
struct Fleet {
    test: CommuneTest,
}

const NAMES: [&str; 4] = ["aulnay", "bazoches", "chavannes", "dormans"];

impl Fleet {
    fn new(names: &[&str]) -> Self {
        let fleet = Fleet { test: CommuneTest::empty() };
        fleet.write("territoire.toml", "nom = \"Pays des Essais\"\n");
        for name in names {
            fleet.add(name);
        }
        fleet
    }

    /// Adds a commune with words of its own: its name, and a secret on a page, in a PDF, in its directory.
    fn add(&self, name: &str) {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal");
        for file in walkdir::WalkDir::new(&model).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
            let inside = file.path().strip_prefix(&model).expect("inside").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(file.path()).expect("a text");
            let text = text.replace("Trou-la-Ville", &title(name)).replace("trou.example", &format!("{name}.example"));
            self.write(&format!("communes/{name}/{inside}"), text);
        }
        let news = format!(
            "+++\ntitre = \"Nouvelle {}\"\nresume = \"Une phrase.\"\n+++\nCanari-{name} au balcon.\n",
            title(name)
        );
        self.write(&format!("communes/{name}/actualites/2026-11-02-nouvelle.md"), news);
    }

    fn root(&self) -> PathBuf {
        self.test.root().join("pays")
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("written");
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.root().join(path)).expect("a text");
        assert!(text.contains(from), "{path} holds no « {from} »");
        self.write(path, text.replacen(from, to, 1));
    }

    fn site(&self, commune: &str) -> PathBuf {
        self.test.root().join("pays-public").join(commune)
    }

    fn page(&self, commune: &str, path: &str) -> String {
        std::fs::read_to_string(self.site(commune).join(path)).unwrap_or_default()
    }

    fn run(&self, words: &[&str]) -> Run {
        plain(self.test.run(words))
    }

    fn build(&self) -> Told {
        self.build_at("2026-11-21")
    }

    fn build_at(&self, day: &str) -> Told {
        Told::of(self.run(&["build", "pays", "--date", day, "--format", "json"]))
    }

    /// Builds until everything is known to be unchanged: a file just written is not trusted at once.
    fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let told = self.build();
            assert_eq!(told.code, 0, "{told:?}");
            if told.with("inchange").len() == told.communes.len() {
                return;
            }
            assert!(Instant::now() < deadline, "{told:?}");
        }
    }
}

/// What a build told to tools.
#[derive(Debug)]
struct Told {
    code: i32,
    communes: BTreeMap<String, Value>,
}

impl Told {
    fn of(run: Run) -> Told {
        let report: Value =
            serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", run.stdout, run.stderr));
        let rows = report["communes"].as_array().expect("a list").iter();
        let communes = rows.map(|row| (row["dossier"].as_str().expect("a name").to_owned(), row.clone())).collect();
        Told { code: run.code, communes }
    }

    fn with(&self, issue: &str) -> BTreeSet<&str> {
        let rows = self.communes.iter().filter(|(_, row)| row["issue"] == issue);
        rows.map(|(name, _)| name.as_str()).collect()
    }

    fn codes(&self, commune: &str) -> Vec<&str> {
        let told = self.communes[commune]["diagnostics"].as_array().expect("a list");
        told.iter().filter_map(|one| one["code"].as_str()).collect()
    }
}

/// No-break spaces being spaces.
fn plain(run: Run) -> Run {
    let plain = |text: String| text.replace(['\u{a0}', '\u{202f}'], " ");
    Run { code: run.code, stdout: plain(run.stdout), stderr: plain(run.stderr) }
}

fn title(name: &str) -> String {
    name[..1].to_uppercase() + &name[1..]
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<&str> {
    names.into_iter().collect()
}

#[test]
fn an_epci_of_the_official_list_is_created_and_built_at_once() {
    let test = CommuneTest::empty();
    let run = plain(test.run(&["new", "dombes", "--territoire", "200069193"]));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("Communauté de communes de la Dombes (SIREN 200069193) : 36 communes"),
        "{}",
        run.stderr
    );
    let told = Told::of(test.run(&["build", "dombes", "--date", "2026-11-21", "--format", "json"]));
    assert_eq!((told.code, told.with("construit").len()), (0, 36), "{told:?}");
    let plantay = std::fs::read_to_string(test.root().join("dombes-public/le-plantay/index.html")).expect("a page");
    assert!(plantay.contains("Le Plantay"));
    // One more, from the territoire's own folder.
    let mut command = test.command(&["new", "--insee", "01001"]);
    let again = command.current_dir(test.root().join("dombes")).output().expect("it runs");
    assert_eq!(again.status.code(), Some(1), "a folder of that name stands there");
    let mut command = test.command(&["new", "copie", "--insee", "01001"]);
    let again = command.current_dir(test.root().join("dombes")).output().expect("it runs");
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        again.status.code() == Some(1)
            && said.contains("est déjà dans ce territoire : communes/l-abergement-clemenciat"),
        "{said}"
    );
    let mut command = test.command(&["new", "--insee", "48010"]);
    let added = command.current_dir(test.root().join("dombes")).output().expect("it runs");
    let said = String::from_utf8_lossy(&added.stderr).into_owned();
    assert!(added.status.success() && said.contains("avertissement : ") && said.contains("quand même"), "{said}");
    let told = Told::of(test.run(&["build", "dombes", "--date", "2026-11-21", "--format", "json"]));
    assert_eq!((told.code, told.communes.len()), (0, 37));
    // From its communes/, and from inside of one of them.
    for (from, code, name) in
        [("communes", "01053", "bourg-en-bresse"), ("communes/le-plantay", "01004", "amberieu-en-bugey")]
    {
        let mut command = test.command(&["new", "--insee", code]);
        let added = command.current_dir(test.root().join("dombes").join(from)).output().expect("it runs");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        assert!(test.root().join("dombes/communes").join(name).join("commune.toml").is_file(), "{name}");
    }
    // Two that are nearly named so.
    // Nothing invented among real communes, nothing inside one of them.
    for (inside, words, said) in [
        ("dombes", &["new", "essai"][..], "la commune d'exemple est inventée"),
        ("dombes/communes", &["new", "essai"], "la commune d'exemple est inventée"),
        (
            "dombes/communes/l-abergement-clemenciat",
            &["new", "essai", "--insee", "01004"],
            "serait dans le dossier de la commune",
        ),
        ("dombes/communes/l-abergement-clemenciat", &["new", "essai"], "serait dans le dossier de la commune"),
    ] {
        let mut command = test.command(words);
        let run = plain(test.told(&command.current_dir(test.root().join(inside)).output().expect("it runs")));
        assert!(run.code == 1 && run.stderr.contains(said), "{inside} {words:?} {} {}", run.stdout, run.stderr);
        assert!(!test.root().join(inside).join("essai").exists());
    }
    let run = test.run(&["new", "autre", "--territoire", "Dombes"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("200042497") && run.stderr.contains("200069193"), "{}", run.stderr);
    assert_eq!(test.run(&["new", "autre", "--territoire", "123456789"]).code, 1);
}

#[test]
fn only_what_changed_is_built() {
    let fleet = Fleet::new(&NAMES);
    assert_eq!(fleet.build().with("construit"), set(NAMES));
    fleet.settle();
    let before =
        std::fs::metadata(fleet.site("aulnay").join("index.html")).expect("a page").modified().expect("a time");
    fleet.edit("communes/chavannes/actualites/2026-11-02-nouvelle.md", "au balcon", "sur le toit");
    let told = fleet.build();
    assert_eq!((told.code, told.with("construit")), (0, set(["chavannes"])), "{told:?}");
    assert!(fleet.page("chavannes", "actualites/2026-11-02-nouvelle/index.html").contains("sur le toit"));
    let after = std::fs::metadata(fleet.site("aulnay").join("index.html")).expect("a page").modified().expect("a time");
    assert_eq!(before, after);
    // What is said of one commune alone is for it alone; what is said of all is for all.
    fleet.settle();
    fleet.write(
        "territoire.toml",
        "nom = \"Pays des Essais\"\n[[commune]]\ndossier = \"dormans\"\n[commune.defauts]\ndevise = \"Qui dort dîne\"\n",
    );
    assert_eq!(fleet.build().with("construit"), set(["dormans"]));
    assert!(fleet.page("dormans", "index.html").contains("Qui dort dîne"));
    fleet.write(
        "commun/actualites/2026-11-03-collecte.md",
        "+++\ntitre = \"Collecte\"\nresume = \"Une phrase.\"\n+++\nPour tous.\n",
    );
    assert_eq!(fleet.build().with("construit"), set(NAMES));
    // Another day may show other things; a site that is gone comes back.
    fleet.settle();
    assert_eq!(fleet.build_at("2026-11-22").with("construit"), set(NAMES));
    fleet.settle();
    std::fs::remove_dir_all(fleet.site("bazoches")).expect("removed");
    assert_eq!(fleet.build().with("construit"), set(["bazoches"]));
    assert!(fleet.page("bazoches", "index.html").contains("Bazoches"));
}

#[test]
fn a_broken_commune_keeps_its_last_good_site_and_stops_nobody() {
    let fleet = Fleet::new(&NAMES);
    assert_eq!(fleet.build().code, 0);
    let good = fleet.page("bazoches", "index.html");
    fleet.edit("communes/bazoches/commune.toml", "nom = \"Bazoches\"", "nom = Bazoches");
    fleet.edit("communes/chavannes/commune.toml", "nom = \"Chavannes\"", "nom = \"Chavannes-la-Neuve\"");
    let told = fleet.build();
    assert_eq!((told.code, told.with("refuse")), (1, set(["bazoches"])), "{told:?}");
    assert!(told.codes("bazoches").contains(&"M0201"), "{told:?}");
    assert_eq!(fleet.page("bazoches", "index.html"), good);
    assert!(fleet.page("chavannes", "index.html").contains("Chavannes-la-Neuve"));
    // Told again as long as it stands, and in words for people.
    let run = fleet.run(&["build", "pays", "--date", "2026-11-21"]);
    assert_eq!(run.code, 1);
    for words in ["commune.toml:1:7", "bazoches", "refusé", "1 refusée", "restent ce qu'ils étaient"] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    fleet.edit("communes/bazoches/commune.toml", "nom = Bazoches", "nom = \"Bazoches\"");
    let told = fleet.build();
    assert_eq!((told.code, told.with("refuse")), (0, set([])), "{told:?}");
}

#[test]
fn what_no_commune_can_have_is_told_for_it_and_the_others_are_built() {
    let fleet = Fleet::new(&NAMES);
    fleet.write(
        "territoire.toml",
        "nom = \"Pays\"\n[[commune]]\ndossier = \"perdue\"\n[[commune]]\ndossier = \"dormans\"\nactive = false\n",
    );
    fleet.edit("communes/bazoches/commune.toml", "https://bazoches.example", "https://AULNAY.example");
    let folder = fleet.root().join("communes/chavannes/medias");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::os::unix::fs::symlink("..", folder.join("boucle")).expect("a link");
    fleet.add("epinal");
    let told = fleet.build();
    assert_eq!(told.code, 1);
    assert_eq!(told.with("construit"), set(["epinal"]), "{told:?}");
    assert_eq!(told.codes("perdue"), ["M1002"]);
    assert_eq!((told.codes("aulnay"), told.codes("bazoches")), (vec!["M1003"], vec!["M1003"]));
    assert_eq!(told.codes("chavannes"), ["M0106"]);
    assert!(!told.communes.contains_key("dormans"), "it is switched off");
    let place = &told.communes["perdue"]["diagnostics"][0];
    assert_eq!((&place["fichier"], &place["ligne"]), (&Value::from("territoire.toml"), &Value::from(3)));
    // Alone too.
    let run = fleet.run(&["build", "pays/communes/bazoches", "--date", "2026-11-21"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("M1003"), "{}", run.stdout);
}

#[test]
fn a_mistake_of_the_territoire_about_one_commune_stops_it_alone() {
    let fleet = Fleet::new(&NAMES);
    fleet.settle();
    fleet.write(
        "territoire.toml",
        "nom = \"Pays des Essais\"\n[[commune]]\ndossier = \"bazoches\"\ndomaines = [\"www.bazoches.fr\"]\n\
         [[commune]]\ndossier = \"chavannes\"\n[commune.defauts.dpo]\ncouriel = \"dpo@chavannes.example\"\n\
         [[commune]]\ndossier = \"dormans\"\n[[commune]]\ndossier = \"dormans\"\n",
    );
    let told = fleet.build();
    assert_eq!((told.code, told.with("refuse")), (1, set(["bazoches", "chavannes", "dormans"])), "{told:?}");
    assert_eq!(told.with("inchange"), set(["aulnay"]), "{told:?}");
    for (name, line, words) in [
        ("bazoches", 4, "n'est pas une adresse de site"),
        ("chavannes", 8, "la clé « couriel » n'existe pas ici"),
        ("dormans", 12, "décrite deux fois"),
    ] {
        let one = told.communes[name]["diagnostics"].as_array().expect("a list");
        let said = one[0]["message"].as_str().unwrap_or_default();
        assert!(one.len() == 1 && said.contains(words), "{name}: {one:?}");
        assert_eq!((&one[0]["fichier"], &one[0]["ligne"]), (&Value::from("territoire.toml"), &Value::from(line)));
        let run = fleet.run(&["check", &format!("pays/communes/{name}")]);
        assert!(
            run.code == 1 && run.stdout.contains(&format!("territoire.toml:{line}")),
            "{} {}",
            run.stdout,
            run.stderr
        );
    }
    assert_eq!(fleet.run(&["check", "pays/communes/aulnay"]).code, 0);
    fleet.write("territoire.toml", "nom = \"Pays des Essais\"\n");
    assert_eq!(fleet.build().code, 0);
}

#[test]
fn a_folder_that_is_not_ours_is_left_alone_and_the_others_are_built() {
    let fleet = Fleet::new(&["aulnay", "bazoches"]);
    let own = fleet.test.root().join("pays-public/bazoches/photos.txt");
    std::fs::create_dir_all(own.parent().expect("a parent")).expect("a folder");
    std::fs::write(&own, "à moi").expect("written");
    let told = fleet.build();
    assert_eq!((told.code, told.with("refuse"), told.with("construit")), (1, set(["bazoches"]), set(["aulnay"])));
    let one = &told.communes["bazoches"]["diagnostics"][0];
    assert!(
        one["message"].as_str().is_some_and(|said| said.contains("n'est pas un site construit par Mulot")),
        "{one}"
    );
    assert_eq!(std::fs::read_to_string(&own).expect("still there"), "à moi");
}

#[test]
fn what_the_territoire_says_is_what_communes_leave_out_or_blank() {
    let fleet = Fleet::new(&["aulnay"]);
    fleet.edit("communes/aulnay/commune.toml", "nom = \"Hôte\"", "nom = \"\"");
    fleet.edit("communes/aulnay/commune.toml", "[dpo]\nnom = \"Centre\"\ncourriel = \"dpo@aulnay.example\"", "");
    fleet.edit("communes/aulnay/commune.toml", "domaine = \"https://aulnay.example\"", "domaine = \"\"");
    fleet.write(
        "territoire.toml",
        "nom = \"Pays des Essais\"\n\n[defauts.hebergeur]\nnom = \"Hébergeur commun\"\nadresse = \"ailleurs\"\n\n\
         [defauts.dpo]\nnom = \"Délégué commun\"\ncourriel = \"dpo@pays.example\"\n\n\
         [[commune]]\ndossier = \"aulnay\"\ndomaines = [\"https://www.aulnay.example\", \"https://aulnay.example\"]\n",
    );
    let told = fleet.build();
    assert_eq!(told.code, 0, "{told:?}");
    let legal = fleet.page("aulnay", "mentions-legales/index.html");
    assert!(legal.contains("Hébergeur commun"), "{legal}");
    assert!(legal.contains("2, rue") && !legal.contains("ailleurs"), "what the commune says stands");
    assert!(fleet.page("aulnay", "sitemap.xml").contains("https://www.aulnay.example/"));
    let privacy = walk(&fleet.site("aulnay")).into_iter().any(|(_, bytes)| contains(&bytes, "dpo@pays.example"));
    assert!(privacy, "the officer of all is this commune's");
    // A mistake there is the territoire's: told once, nothing is touched.
    fleet.edit("territoire.toml", "[defauts.dpo]", "[defauts.dop]");
    let run = fleet.run(&["build", "pays"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("territoire.toml:7") && run.stderr.contains("« dpo »"), "{}", run.stderr);
    fleet.write("territoire.toml", "format = 99\nnom = \"Pays\"\n");
    let run = fleet.run(&["build", "pays"]);
    assert!(
        run.code == 1 && run.stderr.contains("M1001") && run.stderr.contains("mettez Mulot à jour"),
        "{}",
        run.stderr
    );
}

#[test]
fn nothing_of_one_commune_is_in_the_site_of_another() {
    let fleet = Fleet::new(&[]);
    let names: Vec<String> = (0..24).map(|number| format!("canton{}", char::from(b'a' + number))).collect();
    for name in &names {
        fleet.add(name);
        fleet.write(&format!("communes/{name}/medias/plan-{name}.txt"), format!("Plan de {name}"));
    }
    // A theme of its own must stay one commune's.
    fleet.write("communes/cantonc/theme/assets/propre.txt", "Thème de cantonc");
    assert_eq!(fleet.build().code, 0);
    for name in &names {
        let files = walk(&fleet.site(name));
        assert!(files.iter().any(|(_, bytes)| contains(bytes, &format!("Canari-{name}"))), "{name} shows its own");
        for other in names.iter().filter(|other| *other != name) {
            for (path, bytes) in &files {
                let leaks = path.contains(other.as_str()) || contains(bytes, other) || contains(bytes, &title(other));
                assert!(!leaks, "{path} of {name} speaks of {other}");
            }
        }
    }
}

#[test]
fn files_that_come_and_go_during_the_build_leave_whole_sites() {
    let fleet = Fleet::new(&NAMES);
    assert_eq!(fleet.build().code, 0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (done, fleet) = (&done, &fleet);
        scope.spawn(move || {
            let (folder, aside) = (fleet.root().join("communes/aulnay"), fleet.test.root().join("ailleurs"));
            for name in ["actualites", "annuaire", "pages"].into_iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                std::fs::rename(folder.join(name), &aside).expect("moved");
                std::thread::yield_now();
                std::fs::rename(&aside, folder.join(name)).expect("moved back");
            }
        });
        for _ in 0..12 {
            let told = Told::of(fleet.run(&["build", "pays", "--date", "2026-11-21", "--format", "json", "--tout"]));
            assert_eq!(told.with("construit").into_iter().filter(|name| *name != "aulnay").count(), 3, "{told:?}");
            let home = fleet.page("aulnay", "index.html");
            assert!(home.contains("Aulnay") && home.trim_end().ends_with("</html>"));
        }
        done.store(true, Ordering::Relaxed);
    });
    let told = fleet.build();
    assert_eq!(told.code, 0, "{told:?}");
    assert!(fleet.page("aulnay", "actualites/2026-11-02-nouvelle/index.html").contains("Canari-aulnay"));
}

#[test]
fn a_full_disk_is_a_sentence_for_each_commune_and_every_site_stays_whole() {
    let fleet = Fleet::new(&NAMES);
    fleet.write("communes/chavannes/medias/gros.pdf", vec![b'x'; 9 << 20]);
    fleet.write(
        "communes/chavannes/pages/gros.md",
        "+++\ntitre = \"Gros\"\npieces = [\"../medias/gros.pdf\"]\n+++\nVoir le document.\n",
    );
    let sites = fleet.test.root().join("pays-public");
    std::fs::create_dir_all(&sites).expect("a folder");
    // The disk goes with the namespace: what it held is looked at inside.
    let script = "mount -t tmpfs -o size=8m,mode=755 tmpfs pays-public || exit 77\n\
                  \"$0\" build pays --date 2026-11-21 --format json; code=$?\n\
                  for site in pays-public/*/; do tail -c 8 \"${site}index.html\"; done >&2\n\
                  rm pays/communes/chavannes/pages/gros.md pays/communes/chavannes/medias/gros.pdf\n\
                  \"$0\" build pays --date 2026-11-21 >&2 || exit 9\n\
                  exit $code";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_mulot")]).current_dir(fleet.test.root());
    command.env("XDG_CACHE_HOME", fleet.test.root().join("cache")).env("HOME", fleet.test.root());
    let output = command.output().expect("unshare runs");
    if output.status.code() == Some(77) || String::from_utf8_lossy(&output.stderr).contains("Operation not permitted") {
        return;
    }
    let told = Told::of(fleet.test.told(&output));
    assert_eq!(told.code, 2, "{told:?}");
    // The one beside it may meet the same full disk, for as long as the large file is being copied.
    assert!(told.with("panne").contains("chavannes") && told.with("construit").len() >= 2, "{told:?}");
    let cause = told.communes["chavannes"]["cause"].as_str().expect("a cause").to_owned();
    assert!(cause.contains("plus de place"), "{cause}");
    let said = String::from_utf8_lossy(&output.stderr).replace(['\u{a0}', '\u{202f}'], " ");
    assert_eq!(said.matches("</html>").count(), told.with("construit").len(), "{said}");
    assert!(!said.contains("No such file") && said.contains("4 communes"), "half a site: {said}");
}

#[test]
fn two_builds_do_not_work_on_the_same_sites() {
    let fleet = Fleet::new(&["aulnay"]);
    assert_eq!(fleet.build().code, 0);
    let lock = std::fs::OpenOptions::new()
        .write(true)
        .open(fleet.test.root().join("pays-public/.etat/verrou"))
        .expect("the lock's file");
    lock.lock().expect("locked");
    let run = fleet.run(&["build", "pays"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("un autre mulot construit déjà"), "{}", run.stderr);
    drop(lock);
    assert_eq!(fleet.build().code, 0);
}

#[test]
fn sites_are_never_inside_the_folder_people_edit() {
    let fleet = Fleet::new(&["aulnay"]);
    let around = fleet.run(&["build", "pays", "--sortie", "."]);
    assert!(around.code == 1 && around.stderr.contains("contient le territoire"), "{}", around.stderr);
    for words in [vec!["build", "pays", "--sortie", "pays/sites"], vec!["build", "pays", "--sortie", "pays"]] {
        let run = fleet.run(&words);
        assert_eq!(run.code, 1, "{words:?}");
        assert!(run.stderr.contains("ne peuvent pas être dans le dossier du territoire"), "{}", run.stderr);
    }
    fleet.write("territoire.toml", "nom = \"Pays\"\nsites = \"../ailleurs\"\n");
    assert_eq!(fleet.run(&["build", "pays/communes/aulnay"]).code, 0);
    assert!(fleet.test.root().join("ailleurs/aulnay/index.html").is_file(), "a commune alone goes with the others");
    let names: Vec<_> = std::fs::read_dir(fleet.root().join("communes")).expect("a folder").flatten().collect();
    assert_eq!(names.len(), 1, "nothing is written among the communes");
}

#[test]
fn a_territoire_is_published_each_commune_to_its_own_place() {
    let fleet = Fleet::new(&["aulnay", "bazoches"]);
    let www = fleet.test.root().join("www");
    let target = |text: &str| {
        fleet.write("territoire.toml", format!("nom = \"Pays\"\n[defauts.publication]\ndossier = \"{text}\"\n"));
    };
    let published = |name: &str| std::fs::read_to_string(www.join(name).join("index.html")).unwrap_or_default();
    // One place for two communes, a blank that is none, the folder people edit: nothing leaves.
    let inside = fleet.root().join("www/{commune}");
    for text in [
        www.join("tous").display().to_string(),
        www.join("{comune}").display().to_string(),
        inside.display().to_string(),
    ] {
        target(&text);
        let run = fleet.run(&["publish", "pays", "--date", "2026-11-21"]);
        assert_eq!(run.code, 1, "{text}: {} {}", run.stdout, run.stderr);
        assert!(
            run.stdout.contains("non publié : «") && run.stdout.contains("{commune}") || text.contains("pays/www"),
            "{}",
            run.stdout
        );
        assert!(!www.exists() && !fleet.root().join("www").exists(), "{text}");
    }
    target(&www.join("{commune}").display().to_string());
    let home = fleet.page("aulnay", "index.html");
    fleet.edit("communes/aulnay/commune.toml", "nom = \"Aulnay\"", "nom = \"Aulnay-le-Neuf\"");
    let run = fleet.run(&["publish", "pays", "--date", "2026-11-21", "--essai"]);
    assert!(run.code == 0 && run.stdout.contains("à publier"), "{} {}", run.stdout, run.stderr);
    assert!(!www.exists() && fleet.page("aulnay", "index.html") == home, "a try touches nothing");
    let run = fleet.run(&["publish", "pays", "--date", "2026-11-21"]);
    assert!(run.code == 0 && run.stdout.contains("2 publiées"), "{} {}", run.stdout, run.stderr);
    assert!(published("aulnay").contains("Aulnay-le-Neuf") && published("bazoches").contains("Bazoches"));
    let run = fleet.run(&["publish", "pays", "--date", "2026-11-21"]);
    assert!(run.code == 0 && run.stdout.contains("2 déjà en ligne"), "{}", run.stdout);
    // A domain of another commune: the whole and the one alone are refused, and what is online stays.
    fleet.edit("communes/bazoches/commune.toml", "https://bazoches.example", "https://aulnay.example");
    for words in [&["publish", "pays"][..], &["publish", "pays/communes/bazoches"], &["check", "pays"]] {
        let run = fleet.run(words);
        assert_eq!(run.code, 1, "{words:?}: {} {}", run.stdout, run.stderr);
        assert!(run.stdout.contains("M1003"), "{words:?}: {}", run.stdout);
    }
    assert!(published("bazoches").contains("https://bazoches.example"));
}

#[test]
fn a_commune_that_has_no_site_is_said_to_be_unpublished_and_why() {
    let fleet = Fleet::new(&["aulnay", "bazoches"]);
    let target = fleet.test.root().join("www/{commune}");
    fleet.write(
        "territoire.toml",
        format!(
            "nom = \"Pays\"\n[defauts.publication]\ndossier = \"{}\"\n[[commune]]\ndossier = \"baneins\"\n",
            target.display()
        ),
    );
    fleet.edit("communes/bazoches/commune.toml", "nom = \"Bazoches\"", "nom = Bazoches");
    let run = fleet.run(&["publish", "pays", "--date", "2026-11-21", "--essai"]);
    assert_eq!(run.code, 1, "{} {}", run.stdout, run.stderr);
    let line = |name: &str| {
        let of = |line: &&str| line.starts_with(name) && line.contains("non publié : ");
        run.stdout.lines().find(of).unwrap_or_else(|| panic!("{name}: {}", run.stdout)).to_owned()
    };
    assert!(line("baneins").contains("communes/baneins n'existe pas"), "{}", line("baneins"));
    assert!(line("bazoches").contains("commune.toml"), "{}", line("bazoches"));
    assert!(!run.stdout.contains("sans destination"), "{}", run.stdout);
    assert!(!run.stdout.contains("sites dans"), "the folder of a try is gone: {}", run.stdout);
}

#[test]
fn a_whole_territoire_is_checked_and_told_in_one_table() {
    let fleet = Fleet::new(&NAMES);
    fleet.write("communes/dormans/pages/b.md", "+++\ntitre = \"B\"\n+++\n[mort](absent.md)\n");
    let run = fleet.run(&["check", "pays", "--date", "2026-11-21"]);
    assert_eq!(run.code, 1);
    for words in ["M0302", "dormans", "3 acceptées", "1 refusée"] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    assert!(!fleet.test.root().join("pays-public").exists(), "a check writes nothing");
}

#[test]
fn a_mistake_in_what_communes_share_is_told_once() {
    let fleet = Fleet::new(&NAMES);
    fleet.write("commun/pages/b.md", "+++\ntitre = \"B\"\n+++\n[mort](absent.md)\n");
    // One has its own page of that name, with a mistake of its own.
    fleet.write("communes/dormans/pages/b.md", "+++\ntitre = \"B\"\n+++\n\n[mort](perdu.md)\n");
    for command in ["build", "check"] {
        let run = fleet.run(&[command, "pays", "--date", "2026-11-21"]);
        assert_eq!(run.code, 1);
        assert_eq!(run.stdout.matches("erreur[M0302]").count(), 2, "{}", run.stdout);
        for words in
            ["── Pays des Essais ──", "concerne 3 communes", "commun/pages/b.md:4", "── dormans ──", "perdu.md"]
        {
            assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
        }
        assert!(!run.stdout.contains("── aulnay ──"), "{}", run.stdout);
    }
}

#[test]
fn a_check_says_for_tools_what_would_be_built() {
    let fleet = Fleet::new(&["aulnay", "bazoches"]);
    fleet.write("communes/bazoches/pages/b.md", "+++\ntitre = \"B\"\n+++\n[mort](absent.md)\n");
    let run = fleet.run(&["check", "pays", "--date", "2026-11-21", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((&report["bilan"]["acceptees"], &report["bilan"]["refusees"]), (&Value::from(1), &Value::from(1)));
    assert!(report["bilan"].get("inchangees").is_none() && report.get("sites").is_none(), "{report}");
    let told = Told::of(run);
    assert_eq!((told.with("accepte"), told.with("refuse")), (set(["aulnay"]), set(["bazoches"])));
}

#[test]
fn a_relative_target_of_the_territoire_is_taken_from_its_folder() {
    let fleet = Fleet::new(&["aulnay", "bazoches"]);
    fleet.write("territoire.toml", "nom = \"Pays\"\n[defauts.publication]\ndossier = \"../www/{commune}\"\n");
    assert_eq!(fleet.run(&["publish", "pays", "--date", "2026-11-21"]).code, 0);
    assert_eq!(fleet.run(&["publish", "pays/communes/aulnay", "--date", "2026-11-21"]).code, 0);
    for name in ["aulnay", "bazoches"] {
        assert!(fleet.test.root().join("www").join(name).join("index.html").is_file(), "{name}");
    }
    // A commune that says another kind of place keeps nothing of the common one; `[[commune]]` may say only a part.
    let common = "[defauts.publication]\nssh = \"web@serveur.example:/srv/{commune}\"\nport = 2222\n";
    let part = "[[commune]]\ndossier = \"bazoches\"\n[commune.defauts.publication]\ndossier = \"../www/{commune}\"\n";
    fleet.write("territoire.toml", format!("nom = \"Pays\"\n{part}{common}"));
    let run = fleet.run(&["publish", "pays/communes/bazoches", "--date", "2026-11-21"]);
    assert!(run.code == 0 && run.stdout.contains("www/bazoches"), "{} {}", run.stdout, run.stderr);
    let part = "[[commune]]\ndossier = \"bazoches\"\n[commune.defauts.publication]\nversions = 5\n";
    let common = "[defauts.publication]\ndossier = \"../www/{commune}\"\n";
    fleet.write("territoire.toml", format!("nom = \"Pays\"\n{part}{common}"));
    assert_eq!(fleet.run(&["publish", "pays", "--date", "2026-11-21"]).code, 0);
    // The sites as they are built are no place to publish, and a try says so too.
    fleet.write("territoire.toml", "nom = \"Pays\"\n[defauts.publication]\ndossier = \"../pays-public/{commune}\"\n");
    for more in [&[][..], &["--essai"]] {
        let run = fleet.run(&[&["publish", "pays", "--date", "2026-11-21"], more].concat());
        assert!(run.code == 1 && run.stdout.contains("ne peut pas servir de destination"), "{more:?} {}", run.stdout);
    }
    // One by one, a place is no more for two than when all are published; what is set aside stays.
    fleet.write("territoire.toml", "nom = \"Pays\"\n[defauts.publication]\ndossier = \"../tous\"\n");
    let run = fleet.run(&["publish", "pays/communes/aulnay", "--date", "2026-11-21"]);
    assert!(run.code == 1 && run.stderr.contains("aussi la destination de « bazoches »"), "{}", run.stderr);
    let aside = "[[commune]]\ndossier = \"bazoches\"\nactive = false\n";
    fleet.write("territoire.toml", format!("nom = \"Pays\"\n{aside}{common}"));
    let run = fleet.run(&["publish", "pays/communes/bazoches", "--date", "2026-11-21"]);
    assert!(run.code == 1 && run.stderr.contains("mis de côté"), "{}", run.stderr);
    fleet.write("territoire.toml", format!("nom = \"Pays\"\n{common}"));
    // A commune's own is taken from the commune's.
    fleet.edit("communes/aulnay/commune.toml", "[mairie]", "[publication]\ndossier = \"../../../seul\"\n\n[mairie]");
    assert_eq!(fleet.run(&["publish", "pays", "--date", "2026-11-21"]).code, 0);
    assert!(fleet.test.root().join("seul/index.html").is_file());
}

#[test]
fn what_was_meant_to_be_a_commune_is_told() {
    let fleet = Fleet::new(&["aulnay"]);
    let link = fleet.root().join("communes/bazoches");
    std::os::unix::fs::symlink("/nulle/part", &link).expect("a link");
    let told = fleet.build();
    assert_eq!((told.code, told.codes("bazoches")), (1, vec!["M1002"]), "{told:?}");
    fleet.write("territoire.toml", "nom = \"Pays des Essais\"\n[[commune]]\ndossier = \"aulney\"\n");
    let near = fleet.build();
    assert_eq!(
        near.communes["aulney"]["diagnostics"][0]["remede"], "vouliez-vous dire dossier = \"aulnay\" ?",
        "{near:?}"
    );
    fleet.write("territoire.toml", "nom = \"Pays des Essais\"\n");
    let message = told.communes["bazoches"]["diagnostics"][0]["message"].as_str().expect("a text").to_owned();
    assert!(message.contains("« /nulle/part »"), "{message}");
    std::fs::remove_file(link).expect("removed");
    // A link that goes round in what all share is told by where it is.
    let round = fleet.root().join("commun/pages");
    std::fs::create_dir_all(&round).expect("a folder");
    std::os::unix::fs::symlink("..", round.join("moi")).expect("a link");
    let run = fleet.run(&["check", "pays"]);
    assert!(run.code == 1 && format!("{}{}", run.stdout, run.stderr).contains("commun/pages/moi"), "{}", run.stderr);
    std::fs::remove_dir_all(round).expect("removed");
    // The folder above, with other things in it.
    std::fs::write(fleet.test.root().join("notes.md"), "rien").expect("written");
    let run = fleet.run(&["check", "."]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(
        run.code == 1 && said.contains("est-ce celui-ci") && said.contains("pays") && !said.contains("notes.md"),
        "{said}"
    );
    let run = fleet.run(&["build", "pays/communes"]);
    assert!(run.code == 1 && run.stderr.contains("communes/ d'un territoire"), "{} {}", run.stdout, run.stderr);
    assert!(run.stderr.contains("mulot check pays\n") && run.stdout.is_empty(), "{} {}", run.stdout, run.stderr);
}

fn walk(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let file = |entry: walkdir::DirEntry| {
        let inside = entry.path().strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
        (inside, std::fs::read(entry.path()).expect("readable"))
    };
    files.map(file).collect()
}

fn contains(bytes: &[u8], words: &str) -> bool {
    memchr::memmem::find(bytes, words.as_bytes()).is_some()
}
