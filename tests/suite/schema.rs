//! `demande.json` against its published schema, judged by an independent validator: python3-jsonschema.

use std::process::Command;

/// Reads a schema and one document a line; says `oui` or `non` for each.
const JUDGE: &str = r#"
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
judge = jsonschema.Draft202012Validator(schema)
judge.check_schema(schema)
for line in sys.stdin:
    print('oui' if judge.is_valid(json.loads(line)) else 'non')
"#;

fn judged(documents: &[serde_json::Value]) -> Vec<bool> {
    let dir = tempfile::tempdir().expect("a folder");
    let lines = dir.path().join("lines");
    let text: Vec<String> = documents.iter().map(serde_json::Value::to_string).collect();
    std::fs::write(&lines, text.join("\n")).expect("written");
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schemas/demande-1.json");
    let input = std::fs::File::open(&lines).expect("written");
    // The module is Debian's, whatever other Python comes first.
    let own = std::path::Path::new("/usr/bin/python3");
    let python = if own.exists() { own } else { std::path::Path::new("python3") };
    let output = Command::new(python).args(["-c", JUDGE, schema]).stdin(input).output().expect("python3 runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "apt-get install python3-jsonschema: {told}");
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line == "oui").collect()
}

#[test]
fn what_the_mairie_gets_fits_the_published_schema_and_what_is_broken_does_not() {
    let good: serde_json::Value = serde_json::from_str(include_str!("../receipts/demande.json")).expect("JSON");
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut document = good.clone();
        change(&mut document);
        document
    };
    let answer = |at: usize, key: &'static str, value: serde_json::Value| {
        with(&move |document| document["reponses"][at][key] = value.clone())
    };
    let later = with(&|document| document["une_cle_de_demain"] = "x".into());
    let number = good["reponses"].as_array().expect("a list").iter().position(|one| one["type"] == "nombre");
    let broken = [
        with(&|document| document["version"] = 2.into()),
        with(&|document| document["reference"] = "2026-K7M2".into()),
        with(&|document| document["echeance"]["sens"] = "un_jour".into()),
        with(&|document| document.as_object_mut().map(|keys| keys.remove("usager")).map_or((), drop)),
        answer(number.expect("a number"), "valeur", true.into()),
        answer(0, "type", "inconnu".into()),
    ];
    let mut all = vec![good.clone(), later];
    all.extend(broken);
    let verdicts = judged(&all);
    assert_eq!(verdicts, [true, true, false, false, false, false, false, false]);
}
