//! `mulot build`: the starter, the swap, the machine's faults.

use std::collections::BTreeMap;
use std::path::Path;

use snapbox::{assert_data_eq, str};

use crate::commune_test::CommuneTest;

/// Every file below a folder with its bytes.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path().strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
                files.insert(path, std::fs::read(entry.path()).expect("readable"));
            }
        }
    }
    files
}

#[test]
fn the_starter_builds_without_a_word_and_leaves_its_folder_alone() {
    let test = CommuneTest::starter();
    let before = tree(&test.folder());
    let run = test.build();
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.starts_with("Site prêt"), "{}", run.stdout);
    assert!(!run.stdout.contains('—'), "no diagnostic: {}", run.stdout);
    assert_eq!(tree(&test.folder()), before);
    let contents = before.keys().filter(|path| path.ends_with(".md")).count();
    assert!(contents >= 60, "{contents} contents");
    for page in
        ["index.html", "404.html", "sitemap.xml", "robots.txt", "demarches/saisir-la-mairie/formulaire/index.html"]
    {
        assert!(test.public().join(page).is_file(), "{page}");
    }
}

#[test]
fn the_starter_passes_every_rule() {
    let run = CommuneTest::starter().check();
    assert_eq!(
        (run.code, run.stdout.trim()),
        (0, "Saint-Mulot-des-Champs (comme au 21 novembre 2026) : rien à signaler")
    );
}

#[test]
fn two_builds_of_one_folder_are_the_same_to_the_byte() {
    let (one, two) = (CommuneTest::starter(), CommuneTest::starter());
    assert_eq!((one.build().code, two.build().code), (0, 0));
    let (one, two) = (tree(&one.public()), tree(&two.public()));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (path, bytes) in &one {
        assert!(bytes == &two[path], "{path} differs");
    }
}

#[test]
fn a_second_build_writes_only_what_changed() {
    let test = CommuneTest::starter();
    test.build();
    let run = test.build();
    assert!(run.stdout.contains("rien n'a changé"), "{}", run.stdout);
    let test = test.edit("pages/mairie/index.md", "+++\n\n", "+++\n\nUne phrase nouvelle.\n\n");
    let run = test.build();
    let told = run.stdout.replace('\u{a0}', " ");
    assert!(told.contains(" ; 1 fichier écrit,") || told.contains(" ; 2 fichiers écrits,"), "{told}");
    assert!(test.page("mairie/index.html").contains("Une phrase nouvelle"));
}

#[test]
fn nothing_is_written_when_an_error_stands() {
    let test = CommuneTest::minimal();
    assert_eq!(test.build().code, 0);
    let before = tree(&test.public());
    let test =
        test.write("actualites/2026-02-31-faux.md", "+++\ntitre = \"Faux\"\nresume = \"x\"\ndate = 2026-02-31\n+++\n");
    let run = test.build();
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    assert_data_eq!(
        run.stdout,
        str![[r#"
erreur[M0205]: la date « 2026-02-31 » n'existe pas
 --> actualites/2026-02-31-faux.md:4:8
  |
4 | date = 2026-02-31
  |        ^^^^^^^^^^
  |
  = aide: une date s'écrit 2026-12-05 (année-mois-jour), une heure "14:30"

1 erreur : rien n'a été écrit, le site en place reste ce qu'il était

"#]]
    );
    assert_eq!(tree(&test.public()), before);
}

#[test]
fn reports_go_to_standard_output_and_faults_of_the_order_beside() {
    let test = CommuneTest::minimal().edit("commune.toml", "telephone = \"04 65 71 00 01\"", "telephone = \"\"");
    let check = test.check();
    assert!(check.stdout.contains("[mairie] telephone est vide") && check.stderr.is_empty(), "{}", check.stderr);
    let wrong = test.run(&["check", "nulle-part"]);
    assert!(wrong.stdout.is_empty() && wrong.stderr.contains("n'existe pas"), "{}", wrong.stdout);
}

#[test]
fn what_is_typed_slightly_wrong_is_understood_or_helped() {
    let test = CommuneTest::minimal();
    let run = test.run(&["check", "commune/commune.toml", "--date", "2026-11-21"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let run = test.run(&["check", "commune", "--date", "21/11/2026"]);
    assert!(run.code == 1 && run.stderr.contains("une date s'écrit 2026-11-21"), "{}", run.stderr);
}

#[test]
fn the_output_never_lands_in_the_folder_nor_on_something_else() {
    let test = CommuneTest::minimal();
    let inside = test.run(&["build", "commune", "--sortie", "commune/public"]);
    assert_eq!(inside.code, 1);
    assert!(inside.stderr.contains("ne peuvent pas être l'un dans l'autre"), "{}", inside.stderr);
    std::fs::create_dir(test.root().join("photos")).expect("a folder");
    std::fs::write(test.root().join("photos/vacances.jpg"), "x").expect("written");
    let other = test.run(&["build", "commune", "--sortie", "photos"]);
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("n'est pas un site construit par Mulot"), "{}", other.stderr);
    assert!(test.root().join("photos/vacances.jpg").is_file());
}

#[test]
fn a_full_disk_is_told_with_its_path_and_the_old_site_stays() {
    let test = CommuneTest::starter();
    let small = test.root().join("petit");
    std::fs::create_dir(&small).expect("a folder");
    // A file system of its own, in a mount namespace of its own.
    let script = format!(
        "mount -t tmpfs -o size=300k tmpfs {small} && mkdir {small}/site && echo ancien > {small}/site/index.html && touch {small}/site/.mulot && \
         {mulot} build commune --date 2026-11-21 --sortie {small}/site; code=$?; cat {small}/site/index.html; exit $code",
        small = small.display(),
        mulot = env!("CARGO_BIN_EXE_mulot"),
    );
    let mut command = std::process::Command::new("unshare");
    let output = command
        .args(["--mount", "--map-root-user", "sh", "-c", &script])
        .current_dir(test.root())
        .env("XDG_CACHE_HOME", test.root().join("cache"))
        .env("NO_COLOR", "1")
        .output()
        .expect("unshare (util-linux) runs");
    let run = test.told(&output);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("petit") && run.stderr.contains("place libre"), "{}", run.stderr);
    assert!(run.stderr.contains("il n'y a plus de place sur ce disque"), "{}", run.stderr);
    assert_eq!(run.stdout.trim(), "ancien");
}

#[test]
fn windows_files_and_accented_names_are_welcome() {
    let test = CommuneTest::minimal()
        .write(
            "pages/mairie/Fête d'été.md",
            "\u{feff}+++\r\ntitre = \"Fête d'été\"\r\n+++\r\n\r\n[Le plan](../../medias/Plan%20d%27été.pdf)\r\n",
        )
        .write("medias/Plan d'été.pdf", "%PDF-1.4\n%%EOF\n");
    let run = test.build();
    assert_eq!(run.code, 0, "{}", run.stderr);
    let page = test.page("mairie/fete-d-ete/index.html");
    assert!(page.contains("href=\"/medias/plan-d-ete.pdf\""), "{page}");
    assert!(test.public().join("medias/plan-d-ete.pdf").is_file());
}

#[test]
fn a_photograph_of_forty_megapixels_is_made_light() {
    let image = image::RgbImage::from_fn(8000, 5000, |x, y| image::Rgb([(x / 40) as u8, (y / 40) as u8, 90]));
    let mut bytes = Vec::new();
    image::DynamicImage::ImageRgb8(image)
        .write_with_encoder(image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 60))
        .expect("encodes");
    let test = CommuneTest::minimal()
        .write("medias/grande.jpg", bytes)
        .write("pages/mairie/photo.md", "+++\ntitre = \"Photo\"\n+++\n\n![Un dégradé](../../medias/grande.jpg)\n");
    let run = test.build();
    assert_eq!(run.code, 0, "{}", run.stderr);
    let variants: Vec<_> =
        tree(&test.public().join("medias")).into_iter().map(|(name, bytes)| (name, bytes.len())).collect();
    assert!(variants.len() >= 3 && variants.iter().all(|(_, size)| *size < 700_000), "{variants:?}");
}

#[test]
fn a_commune_in_a_territoire_takes_its_pages_and_the_nearest_file_wins() {
    let test =
        CommuneTest::minimal().edit("commune.toml", "nom = ", "epci = \"Communauté de communes du Bocage\"\nnom = ");
    let root = test.root();
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("written");
    };
    let page = |title: &str| format!("+++\ntitre = \"{title}\"\n+++\n\nDu texte.\n");
    write("territoire.toml", "nom = \"Bocage\"\n");
    write("commun/pages/eau/compteurs.md", &page("Les compteurs d’eau"));
    write("commun/pages/eau/tarifs.md", &page("Tarifs du territoire"));
    write("commun/pages/mentions-legales.md", &page("Mentions du territoire"));
    let commune = root.join("communes/saint-essai");
    std::fs::create_dir_all(commune.parent().expect("a parent")).expect("a folder");
    std::fs::rename(test.folder(), &commune).expect("moved");
    write("communes/saint-essai/pages/eau/tarifs.md", &page("Tarifs de la commune"));
    let build = || test.run(&["build", "communes/saint-essai", "--sortie", "site", "--date", "2026-11-21"]);
    let shown = |path: &str| std::fs::read_to_string(root.join("site").join(path)).expect("a page");
    let run = build();
    assert_eq!(run.code, 0, "{}", run.stderr);
    let inherited = shown("eau/compteurs/index.html");
    assert!(inherited.contains("Les compteurs d’eau"));
    assert!(inherited.contains("Page proposée par Communauté de communes du Bocage"), "{inherited}");
    assert!(shown("eau/tarifs/index.html").contains("Tarifs de la commune"));
    assert!(!shown("eau/tarifs/index.html").contains("Page proposée par"));
    assert!(shown("mentions-legales/index.html").contains("Mentions du territoire"), "nearer than the catalogue");
    assert!(shown("accessibilite/index.html").contains("Accessibilité"), "the catalogue's own");
    write("commun/pages/eau/compteurs.md", "+++\ntitre = \"Compteurs\"\npublie = \"demain\"\n+++\n");
    let run = build();
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stdout.contains("commun/pages/eau/compteurs.md:3"), "{}", run.stdout);
}

#[test]
fn a_closed_form_promises_nothing_and_an_unknown_host_is_not_invented() {
    let test = CommuneTest::minimal()
        .edit("commune.toml", "expediteur = \"formulaires@trou.example\"", "expediteur = \"\"")
        .edit("commune.toml", "nom = \"Hôte\"", "nom = \"\"");
    assert_eq!(test.build().code, 0);
    let fiche = test.page("demarches/saisir-la-mairie/index.html");
    assert!(fiche.contains("Fermé pour le moment"), "{fiche}");
    assert!(!fiche.contains("En ligne</li>") && !fiche.contains("tout de suite une preuve"), "{fiche}");
    let legal = test.page("mentions-legales/index.html");
    assert!(!legal.contains("Qui héberge") && !legal.contains("À compléter"), "{legal}");
    let open = CommuneTest::minimal();
    assert_eq!(open.build().code, 0);
    assert!(open.page("demarches/saisir-la-mairie/index.html").contains("En ligne</li>"));
    assert!(open.page("mentions-legales/index.html").contains("Qui héberge"));
}

#[test]
fn the_paper_twin_says_only_what_paper_needs() {
    let test = CommuneTest::minimal();
    assert_eq!(test.build().code, 0);
    let paper = test.page("demarches/signaler-un-probleme/papier/index.html");
    assert!(paper.contains("<h1>Signaler un problème</h1>"), "{paper}");
    assert!(!paper.contains("Mo chacun") && !paper.contains("nom@exemple"), "{paper}");
    let condition = paper.find("Si vous avez répondu").expect("for whom the first notice is");
    assert!(condition < paper.find("N’attendez pas").expect("the notice"), "{paper}");
}
