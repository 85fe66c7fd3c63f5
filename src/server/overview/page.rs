//! The words of the page: for a browser, for a terminal, for a mail.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Overview, Row, rules};
use crate::builds::Issue;
use crate::embedded;
use crate::render::Theme;
use crate::render::view::{OverviewRow, OverviewView, ToSee};
use crate::text::dates::{short_date, time};
use crate::text::numbers::{file_size, plural};
use crate::text::typography::french;

/// The page, self-contained; `None` when the theme cannot draw it.
pub fn html(overview: &Overview, theme: &Theme) -> Option<String> {
    theme.render(&view(overview)).ok()
}

/// The same for a terminal or a mail, a line each.
pub fn text(overview: &Overview) -> Vec<String> {
    let view = view(overview);
    let mut lines = vec![format!("{} – {}", view.title, view.seen), view.summary.clone(), String::new()];
    if !view.to_see.is_empty() {
        lines.push("À regarder".to_owned());
        for one in &view.to_see {
            lines.push(format!("! {} : {}", one.name, one.words.join(" ; ")));
        }
        lines.push(String::new());
    }
    let width = view.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max("Commune".len());
    let heads = [
        "site du",
        "publié le",
        "corriger",
        "relire",
        "demandes",
        "ouvertes",
        "en retard",
        "bloquées",
        "quarant.",
        "certificat",
        "sauvegarde",
    ];
    lines.push(format!("  {:width$}{}", "Commune", columns(&heads)));
    for (row, shown) in overview.communes.iter().zip(&view.rows) {
        let mark = if shown.wrong { "!" } else { " " };
        let day = |at: Option<Timestamp>| iso(at, &overview.zone());
        let (built, published) = (day(row.site.as_ref().and_then(|site| site.construit_le)), day(row.publie_le));
        let (certificate, backup) = (day(certificate(row)), day(row.sauvegarde_le));
        let cells = [
            &built,
            &published,
            &shown.to_mend,
            &shown.stale,
            &shown.received,
            &shown.open,
            &shown.late,
            &shown.stuck,
            &shown.quarantine,
            &certificate,
            &backup,
        ];
        lines.push(format!("{mark} {:width$}{}", shown.name, columns(&cells.map(String::as_str))));
    }
    lines.push(String::new());
    lines.extend(view.rules.iter().take(8).map(|rule| format!("  {rule}")));
    lines.extend(view.machine.iter().map(|line| format!("  {line}")));
    lines
}

/// Cells under their heads: dates are ten signs wide, numbers fit under their words.
fn columns(cells: &[&str; WIDTHS.len()]) -> String {
    cells.iter().zip(WIDTHS).map(|(cell, width)| format!("  {cell:>width$}")).collect()
}

const WIDTHS: [usize; 11] = [10, 10, 8, 6, 8, 8, 9, 8, 8, 10, 10];

/// When the first of its certificates ends.
fn certificate(row: &Row) -> Option<Timestamp> {
    row.certificats.iter().filter_map(|state| state.until).min()
}

/// « M0701 dans 12 communes : une mention que la loi demande manque ».
fn rule((code, count): (String, usize)) -> String {
    let words = embedded::rule_words(&code).map(|words| format!(" : {}", words.replace('`', ""))).unwrap_or_default();
    format!("{code} dans {}{words}", plural(count as u64, "commune", "communes"))
}

fn view(overview: &Overview) -> OverviewView<'_> {
    let zone = overview.zone();
    let seen = overview.le.to_zoned(zone.clone());
    let wrong: Vec<&Row> = overview.communes.iter().filter(|row| !row.a_regarder.is_empty()).collect();
    let trouble = overview.machine_trouble();
    let summary = match (wrong.len(), trouble) {
        (0, None) => "Tout va bien.".to_owned(),
        (0, Some(trouble)) => format!("{trouble}."),
        (count, _) => {
            let trouble = trouble.map(|trouble| format!(" {trouble}.")).unwrap_or_default();
            format!("{} à regarder.{trouble}", plural(count as u64, "commune", "communes"))
        }
    };
    OverviewView {
        title: overview.territoire.as_str().into(),
        summary,
        in_order: overview.en_ordre,
        seen: format!("{} à {}", short_date(seen.date()), time(seen.time())),
        to_see: to_see(overview),
        caption: plural(overview.communes.len() as u64, "commune", "communes"),
        rows: overview.communes.iter().map(|row| shown_row(row, name(row).to_owned(), &zone)).collect(),
        rules: rules(overview).into_iter().map(rule).collect(),
        machine: machine(overview).collect(),
    }
}

fn name(row: &Row) -> &str {
    if row.nom.is_empty() { &row.dossier } else { &row.nom }
}

/// What calls for a person, commune by commune; what is so in many of them is told once, first.
fn to_see(overview: &Overview) -> Vec<ToSee> {
    let mut communes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for row in &overview.communes {
        for words in &row.a_regarder {
            communes.entry(of_any(words, &row.dossier)).or_default().push(name(row));
        }
    }
    let is_common = |words: &str| communes.get(words).is_some_and(|communes| communes.len() > MANY);
    let common = communes.iter().filter(|(words, _)| is_common(words)).map(|(words, names)| {
        let mut told = vec![words.clone()];
        if names.len() < overview.communes.len() {
            told.push(names.join(", "));
        }
        ToSee { name: plural(names.len() as u64, "commune", "communes"), words: spoken(&told) }
    });
    let own = overview.communes.iter().filter_map(|row| {
        let words: Vec<String> =
            row.a_regarder.iter().filter(|words| !is_common(&of_any(words, &row.dossier))).cloned().collect();
        (!words.is_empty()).then(|| ToSee { name: name(row).to_owned(), words: spoken(&words) })
    });
    machine_to_see(overview).into_iter().chain(common).chain(own).collect()
}

/// What is said of a commune, as it would be of another: « /srv/sites/NOM.versions ».
fn of_any(words: &str, folder: &str) -> String {
    let mark = format!("/{folder}");
    let (mut told, mut rest) = (String::with_capacity(words.len()), words);
    while let Some((before, after)) = rest.split_once(&mark).filter(|_| !folder.is_empty()) {
        let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_'));
        told.push_str(before);
        told.push_str(if goes_on { &mark } else { "/NOM" });
        rest = after;
    }
    told + rest
}

/// Communes of which the same is told one by one, at most.
const MANY: usize = 4;

/// Sentences with the spaces and apostrophes of French.
fn spoken(sentences: &[String]) -> Vec<String> {
    sentences.iter().map(|sentence| french(sentence).into_owned()).collect()
}

fn shown_row(row: &Row, name: String, zone: &TimeZone) -> OverviewRow {
    const NOTHING: &str = "–";
    let day = |at: Option<Timestamp>| {
        at.map_or_else(|| NOTHING.to_owned(), |at| at.to_zoned(zone.clone()).strftime("%d/%m/%Y").to_string())
    };
    let number = |count: Option<u64>| count.map_or_else(|| NOTHING.to_owned(), |count| count.to_string());
    let requests = |of: fn(&super::Requests) -> u64| number(row.demandes.as_ref().map(of));
    let site = match row.site.as_ref().map(|site| &site.issue) {
        None => NOTHING.to_owned(),
        Some(Issue::Construit) => day(row.site.as_ref().and_then(|site| site.construit_le)),
        Some(Issue::Refuse(_)) => "refusé".to_owned(),
        Some(Issue::Panne(_)) => "en panne".to_owned(),
    };
    let to_mend = row.site.as_ref().map(|site| (site.signale.erreurs + site.signale.avertissements) as u64);
    OverviewRow {
        name,
        site,
        published: day(row.publie_le),
        to_mend: number(to_mend),
        stale: number(row.site.as_ref().map(|_| row.perimes as u64)),
        received: requests(|requests| requests.recues),
        open: requests(|requests| requests.ouvertes),
        late: requests(|requests| requests.en_retard),
        stuck: requests(|requests| requests.bloques),
        quarantine: requests(|requests| requests.quarantaine),
        certificate: day(certificate(row)),
        backup: day(row.sauvegarde_le),
        wrong: !row.a_regarder.is_empty(),
    }
}

fn machine(overview: &Overview) -> impl Iterator<Item = String> {
    overview.disques.iter().map(shown_disk).chain(overview.seaux.iter().map(shown_bucket))
}

/// What is wrong with what all communes stand on.
fn machine_to_see(overview: &Overview) -> Option<ToSee> {
    let full = overview.disques.iter().filter(|disk| disk.plein).map(shown_disk);
    let silent = overview.seaux.iter().filter(|seau| seau.panne.is_some()).map(shown_bucket);
    let ahead = overview.plus_tard_que_maintenant.map(|at| {
        let at = at.to_zoned(overview.zone());
        format!(
            "quelque chose est daté du {} à {}, plus tard que maintenant : mettez-la à l'heure (timedatectl set-ntp true)",
            short_date(at.date()),
            time(at.time())
        )
    });
    let words: Vec<String> = full.chain(silent).chain(ahead).collect();
    (!words.is_empty()).then(|| ToSee { name: "Cette machine".to_owned(), words: spoken(&words) })
}

fn shown_disk(disk: &super::Disk) -> String {
    let full = if disk.plein { " : presque plein" } else { "" };
    format!("{} libres pour {}{full}", file_size(disk.octets_libres), disk.dossier.display())
}

fn shown_bucket(seau: &super::BucketState) -> String {
    match &seau.panne {
        None => format!("{} répond", seau.adresse),
        Some(why) => format!("{} : {why}", seau.adresse),
    }
}

fn iso(at: Option<Timestamp>, zone: &TimeZone) -> String {
    at.map_or_else(|| "–".to_owned(), |at| at.to_zoned(zone.clone()).date().to_string())
}

/// The weekly letter of a mairie: what it alone can check, in two minutes. Subject and text.
pub fn letter(row: &Row) -> (String, String) {
    let mut points = vec![
        "Les heures d'ouverture des deux prochaines semaines sont-elles justes ? Un congé, un pont se notent dans \
         commune.toml, sous exceptions."
            .to_owned(),
        "Les alertes en cours le sont-elles encore ? Celle qui est finie se retire du dossier alertes.".to_owned(),
    ];
    points.push(match row.perimes {
        0 => "Aucun contenu n'est à relire cette semaine : une actualité, un événement à ajouter ?".to_owned(),
        count => format!(
            "{} : mulot check en donne la liste.",
            plural(count as u64, "contenu est à relire", "contenus sont à relire")
        ),
    });
    let requests = row.demandes.as_ref();
    let (open, late) = requests.map_or((0, 0), |requests| (requests.ouvertes, requests.en_retard));
    points.push(match (open, late) {
        (0, _) => "Aucune demande d'habitant n'attend de réponse.".to_owned(),
        (open, 0) => {
            format!("{} une réponse ; aucune n'est en retard.", plural(open, "demande attend", "demandes attendent"))
        }
        (open, late) => format!(
            "{} une réponse, dont {} : {} dans votre boîte.",
            plural(open, "demande attend", "demandes attendent"),
            plural(late, "en retard", "en retard"),
            if open > 1 { "elles sont" } else { "elle est" }
        ),
    });
    let mut text = format!("Bonjour,\n\nQuatre points à vérifier pour le site {}, deux minutes :\n\n", of_name(row));
    for (number, point) in points.iter().enumerate() {
        text.push_str(&format!("{}. {point}\n\n", number + 1));
    }
    text.push_str("Ce message part une fois par semaine. Il ne contient rien de ce que les habitants ont écrit.\n");
    ("[Site de la commune] Quatre points à vérifier".to_owned(), text)
}

fn of_name(row: &Row) -> String {
    if row.de.is_empty() { "de la commune".to_owned() } else { row.de.clone() }
}

#[cfg(test)]
mod tests {
    use super::of_any;

    #[test]
    fn what_differs_by_the_folder_alone_is_the_same() {
        assert_eq!(
            of_any("impossible de créer « /srv/bourg.versions »", "bourg"),
            "impossible de créer « /srv/NOM.versions »"
        );
        assert_eq!(of_any("« /srv/bourg/bourg-2/x »", "bourg"), "« /srv/NOM/bourg-2/x »");
        assert_eq!(of_any("3 demandes en retard", ""), "3 demandes en retard");
    }
}
