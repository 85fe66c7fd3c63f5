//! `adresses.csv`: what it offers in the forms, and what is said of one that cannot serve.

use mulot::diagnostic::Code;
use serde_json::Value;

use crate::commune_test::CommuneTest;
use crate::diagnostics::{assert_told, told};

const HEADER: &str = "cle_interop;commune_insee;commune_nom;voie_nom;lieudit_complement_nom;numero;suffixe;position;x;y;long;lat;source;date_der_maj;certification_commune\n";
const FORM: &str = "demarches/saisir-la-mairie/formulaire/index.html";
/// A form that asks for a place and gives no proposals of its own.
const PLACE: &str = "demarches/signaler-un-probleme/formulaire/index.html";

/// A row of the test commune, or of another.
fn row(insee: &str, way: &str, number: &str) -> String {
    format!("{insee}_0010_{number};{insee};Trou-la-Ville;{way};;{number};;;;;;;commune;2026-09-14;1\n")
}

fn own(way: &str, number: &str) -> String {
    row("01004", way, number)
}

fn with_file(bytes: impl AsRef<[u8]>) -> CommuneTest {
    CommuneTest::minimal().write("adresses.csv", bytes)
}

/// What is told of the file: code, line, gravity.
fn told_of_it(test: &CommuneTest) -> Vec<(String, u64, String)> {
    let of_it = |told: &&Value| told["fichier"] == "adresses.csv";
    let list = told(test);
    let text = |told: &Value, key: &str| told[key].as_str().unwrap_or("").to_owned();
    list.iter()
        .filter(of_it)
        .map(|told| (text(told, "code"), told["ligne"].as_u64().unwrap_or(0), text(told, "gravite")))
        .collect()
}

/// The options of a list of a page.
fn options(page: &str, id: &str) -> Vec<String> {
    let Some((_, rest)) = page.split_once(&format!("<datalist id=\"{id}\">")) else { return Vec::new() };
    let list = rest.split("</datalist>").next().expect("an end");
    let values = list.split("<option value=\"").skip(1).filter_map(|option| option.split('"').next());
    values
        .map(|value| value.replace("&#39;", "'").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
        .collect()
}

#[test]
fn the_communes_addresses_are_offered_where_one_is_typed() {
    let rows = [
        own("Rue du Four", "12"),
        own("Rue du Four", "3"),
        own("Rue du Four", "3"),
        own("Le Bourg", "99999"),
        own("Impasse <b> & co", "1"),
    ];
    let test = with_file(format!("{HEADER}{}", rows.concat()));
    assert_eq!(told_of_it(&test), []);
    assert_eq!(test.build().code, 0);
    let page = test.page(FORM);
    assert_eq!(
        options(&page, "adresses-connues"),
        ["1 impasse <b> & co", "Le Bourg", "3 rue du Four", "12 rue du Four"]
    );
    let street = page.split("<input").find(|input| input.contains("name=\"adresse.voie\"")).expect("a street");
    let street = street.split('>').next().unwrap_or("");
    assert!(street.contains("list=\"adresses-connues\""), "{street}");
    assert!(street.contains("autocomplete=\"address-line1\""), "browsers still fill it in: {street}");
    assert!(!page.contains("lieux-connus"), "a list that nothing asks for is not carried");
    let page = test.page(PLACE);
    assert_eq!(options(&page, "lieux-connus"), ["Impasse <b> & co", "Le Bourg", "Rue du Four"]);
    assert!(page.contains("name=\"lieu\" value=\"\" list=\"lieux-connus\""), "{page}");
    assert!(!test.public().join("adresses.csv").exists(), "the file itself is not published");
    let paper = test.page("demarches/saisir-la-mairie/papier/index.html");
    assert!(!paper.contains("<datalist"), "nothing is offered on paper");
}

#[test]
fn a_commune_without_the_file_offers_nothing() {
    let test = CommuneTest::minimal();
    assert_eq!(test.build().code, 0);
    assert!(!test.page(FORM).contains("<datalist") && !test.page(FORM).contains(" list="));
}

#[test]
fn columns_in_any_order_and_the_marks_of_windows_are_read() {
    let text = "\u{feff}numero;VOIE_NOM; suffixe\r\n3;Rue  de l’École;bis\r\n;\r\n7;\"Rue \"\"neuve\"\"\";\r\n";
    let test = with_file(text);
    assert_eq!(told_of_it(&test), [("M0109".to_owned(), 3, "avertissement".to_owned())]);
    assert_eq!(test.build().code, 0);
    let page = test.page(FORM).replace("&quot;", "'");
    assert_eq!(options(&page, "adresses-connues"), ["3 bis rue de l'École", "7 rue 'neuve'"]);
}

#[test]
fn what_is_no_address_file_is_told_and_stops_nothing() {
    for (bytes, line) in [
        ("nom;prenom\nMartin;Anne\n".as_bytes(), 1),
        (b"", 1),
        (b"%PDF-1.7\n", 1),
        (b"cle_interop;voie_nom\n01004_0010_00003;Rue du Four\n", 1),
        (b"id;numero;rep;nom_voie;code_insee\nx;3;;Rue du Four;01004\n", 1),
        (b"numero,voie_nom\n3,Rue du Four\n", 1),
    ] {
        let test = with_file(bytes);
        assert_told(&test, Code::NotAddresses, &format!("adresses.csv:{line}"));
        assert_eq!(test.build().code, 0, "{}", String::from_utf8_lossy(bytes));
    }
    let commas = with_file("numero,voie_nom\n3,Rue du Four\n");
    assert_eq!(commas.build().code, 0);
    assert_eq!(options(&commas.page(FORM), "adresses-connues"), ["3 rue du Four"], "read all the same");
    let windows = with_file(b"numero;voie_nom\n3;Rue de l'\xc9cole\n");
    assert_told(&windows, Code::NotUtf8, "adresses.csv:2");
    assert_eq!(windows.build().code, 0, "a spreadsheet does not keep the site from being built");
    let huge = with_file("");
    let file = std::fs::File::create(huge.folder().join("adresses.csv")).expect("a file");
    file.set_len(65 << 20).expect("a hole");
    assert_told(&huge, Code::NotAddresses, "adresses.csv");
}

#[test]
fn rows_that_cannot_be_read_are_told_all_at_once_and_the_others_serve() {
    let wrong = [own("", "3"), own("Rue du Four", "trois"), own("Rue du Four", "-1"), own("Rue du Four", "100000")];
    let test = with_file(format!("{HEADER}{}{}", wrong.concat(), own("Rue du Four", "5")));
    let lines: Vec<u64> = told_of_it(&test).iter().map(|(.., line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5]);
    assert_told(&test, Code::BadAddressRow, "adresses.csv:4");
    assert_eq!(test.build().code, 0);
    assert_eq!(options(&test.page(FORM), "adresses-connues"), ["5 rue du Four"]);
    let many: String = (0..500).map(|_| own("Rue du Four", "x")).collect();
    let test = with_file(format!("{HEADER}{many}"));
    assert_eq!(told_of_it(&test).len(), 9, "eight lines, then how many more");
    let open = with_file(format!("{HEADER}{}{}", own("\"Rue du Four", "3"), own("Rue du Four", "5")));
    assert_told(&open, Code::BadAddressRow, "adresses.csv:2");
}

#[test]
fn the_addresses_of_another_commune_are_never_offered() {
    let test = with_file(format!("{HEADER}{}{}", own("Rue du Four", "3"), row("01005", "Rue d'Ailleurs", "4")));
    assert_told(&test, Code::OtherCommune, "adresses.csv:3");
    assert_eq!(test.build().code, 0);
    assert_eq!(options(&test.page(FORM), "adresses-connues"), ["3 rue du Four"]);
    let test = with_file(format!("{HEADER}{}", row("01005", "Rue d'Ailleurs", "4")));
    assert_told(&test, Code::OtherCommune, "adresses.csv:2");
    assert_eq!(test.build().code, 0);
    assert!(!test.page(FORM).contains("<datalist"));
    // The first versions of the format name the commune in the key only.
    let test = with_file("cle_interop;voie_nom;numero\n01005_0010_00004;Rue d'Ailleurs;4\n");
    assert_told(&test, Code::OtherCommune, "adresses.csv:2");
}

#[test]
fn a_file_under_another_name_is_told() {
    let test = CommuneTest::minimal().write("adresses-01004.csv", HEADER);
    assert_told(&test, Code::Misplaced, "adresses-01004.csv");
    assert_told(&CommuneTest::minimal().write("BAL_01004.csv", HEADER), Code::Misplaced, "BAL_01004.csv");
    let list = told(&CommuneTest::minimal().write("balades.csv", "x").write("medias/adresses-utiles.csv", "x"));
    assert!(list.iter().all(|told| told["code"] != Code::Misplaced.as_str()), "{list:#?}");
}

#[test]
fn a_territoire_holds_one_file_for_all_its_communes() {
    let test = CommuneTest::minimal();
    let root = test.root();
    let commune = root.join("communes/trou");
    std::fs::create_dir_all(root.join("communes")).expect("a folder");
    std::fs::create_dir_all(root.join("commun")).expect("a folder");
    std::fs::write(root.join("territoire.toml"), "nom = \"Bocage\"\n").expect("written");
    let shared = format!("{HEADER}{}{}", row("01005", "Rue d'Ailleurs", "4"), own("Rue du Four", "3"));
    std::fs::write(root.join("commun/adresses.csv"), shared).expect("written");
    std::fs::rename(test.folder(), &commune).expect("moved");
    let run = test.run(&["build", "communes/trou", "--sortie", "site", "--date", "2026-11-21"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("M0110"), "{}{}", run.stdout, run.stderr);
    let page = std::fs::read_to_string(root.join("site").join(FORM)).expect("a page");
    assert_eq!(options(&page, "adresses-connues"), ["3 rue du Four"]);
}

#[test]
fn the_largest_list_stays_light() {
    let ways =
        ["Rue des Anciens-Combattants d'Afrique du Nord", "Chemin de la Fontaine-aux-Lavandières", "Rue du Four"];
    let rows: String = (1..=600).map(|number| own(ways[number % 3], &number.to_string())).collect();
    let test = with_file(format!("{HEADER}{rows}"));
    assert_eq!(test.build().code, 0);
    let page = test.page(FORM);
    assert_eq!(options(&page, "adresses-connues").len(), 600);
    assert!(page.len() < 64_000, "{} bytes", page.len());
    let bytes = format!("{HEADER}{rows}{}", own("Place du Tilleul", "601"));
    let test = with_file(bytes);
    assert_eq!(test.build().code, 0);
    assert_eq!(options(&test.page(FORM), "adresses-connues").len(), 4, "beyond, the streets alone");
}
