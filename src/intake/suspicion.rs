//! Counts the signs that a request was written by a machine that sells. Pure; it never refuses anything.
//!
//! No sign is a proof: a person writes three links, speaks Ukrainian, types fast or uses a throw-away address, and none of
//! these alone reaches [`THRESHOLD`]. Several together send the request to quarantine, where it waits and is never lost.

use std::collections::BTreeMap;

use crate::model::form::IDENTITY_STEP;
use crate::model::intake::Suspicion;
use crate::model::submission::{Answer, AnswerValue, ValidAnswers};

/// Points from which a request waits in quarantine.
pub const THRESHOLD: u32 = 3;

/// What is known of a request besides its answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signs {
    /// Confirmed faster than a person reads.
    pub hasty: bool,
    /// The field that must stay empty was filled again after the page had asked to empty it.
    pub trapped: bool,
    /// How many of the last requests said exactly the same.
    pub same_before: u32,
}

/// What the answers and their signs are worth. The same answers give the same points, in any order.
pub fn judge(answers: &ValidAnswers, signs: Signs) -> Suspicion {
    let texts: Vec<(bool, String)> = answers.answers.iter().flat_map(texts).collect();
    let whole = texts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n");
    let found = [
        ("liens", links_points(texts.iter().map(|(_, text)| links(text)).sum())),
        ("lien_dans_identite", if texts.iter().any(|(who, text)| *who && links(text) > 0) { 2 } else { 0 }),
        ("balises", if has_markup(&whole) { 2 } else { 0 }),
        ("alphabet", if is_mostly_foreign(&whole) { 2 } else { 0 }),
        ("rengaine", u32::from(is_one_word_over_and_over(&whole))),
        ("deja_dit", same_points(signs.same_before)),
        ("formules", pattern_points(&whole)),
        ("adresse_jetable", u32::from(answers.sender.email.as_deref().is_some_and(is_throw_away))),
        ("hate", u32::from(signs.hasty)),
        ("piege", if signs.trapped { THRESHOLD } else { 0 }),
    ];
    let reasons: Vec<&'static str> =
        found.iter().filter(|(_, points)| *points > 0).map(|(reason, _)| *reason).collect();
    Suspicion { points: found.iter().map(|(_, points)| points).sum(), reasons }
}

/// Whether a request with so many points waits in quarantine.
pub fn is_suspect(suspicion: &Suspicion) -> bool {
    suspicion.points >= THRESHOLD
}

/// What two requests that say the same have in common: their free texts, without case nor spaces. `None` when they are too
/// short to tell anything: many people write « Bonjour ».
pub fn gist(answers: &ValidAnswers) -> Option<String> {
    let free = answers.answers.iter().flat_map(texts).filter(|(who, _)| !who).map(|(_, text)| text);
    let gist: String = free
        .collect::<String>()
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    (gist.chars().count() >= SHORTEST_GIST).then_some(gist)
}

/// Free texts of an answer, and whether it says who the person is. Choices and files are not words of hers.
fn texts(answer: &Answer) -> Vec<(bool, String)> {
    let who = answer.step.as_deref() == Some(IDENTITY_STEP);
    match &answer.value {
        AnswerValue::Text(text) => vec![(who, text.clone())],
        AnswerValue::Address(lines) => vec![(who, lines.join("\n"))],
        _ => Vec::new(),
    }
}

/// Links in a text: what begins as one does, a bare domain is too often the end of a sentence.
fn links(text: &str) -> usize {
    let text = text.to_lowercase();
    let schemes = text.matches("http://").count() + text.matches("https://").count();
    let bare = text.match_indices("www.").filter(|(at, _)| !text[..*at].ends_with("://")).count();
    schemes + bare
}

fn links_points(links: usize) -> u32 {
    match links {
        0..=2 => 0,
        3..=5 => 2,
        _ => THRESHOLD,
    }
}

fn same_points(before: u32) -> u32 {
    match before {
        0 => 0,
        1 => 1,
        2..=4 => 2,
        _ => THRESHOLD,
    }
}

/// Code of pages and forums: nobody writes it to a mairie by hand.
fn has_markup(text: &str) -> bool {
    let text = text.to_lowercase();
    ["<a ", "</a>", "href=", "[url", "[/url]", "[link", "<script", "<iframe"].iter().any(|code| text.contains(code))
}

/// Whether most letters, of enough, are of an alphabet French is not written in.
fn is_mostly_foreign(text: &str) -> bool {
    let letters = text.chars().filter(|letter| letter.is_alphabetic());
    let (all, foreign) = letters.fold((0usize, 0usize), |(all, foreign), letter| {
        // Latin and its extensions end at U+024F; the additional ones (U+1E00 to U+1EFF) and ligatures are Latin too.
        let is_latin = letter <= '\u{24f}' || ('\u{1e00}'..='\u{1eff}').contains(&letter) || letter > '\u{faff}';
        (all + 1, foreign + usize::from(!is_latin))
    });
    all >= FEWEST_LETTERS && foreign * 2 > all
}

/// Whether one long word is half of a long text.
fn is_one_word_over_and_over(text: &str) -> bool {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.chars().count() >= 4);
    let mut all = 0;
    for word in words {
        *counts.entry(word.to_lowercase()).or_default() += 1;
        all += 1;
    }
    all >= FEWEST_WORDS && counts.values().any(|count| count * 2 > all)
}

/// A point for each family of things that are sold this way, three at most. Words that people of a village use (« casino » is
/// a shop) count no more than once.
fn pattern_points(text: &str) -> u32 {
    let text = text.to_lowercase();
    let count = PATTERNS.iter().filter(|family| family.iter().any(|words| text.contains(words))).count();
    u32::try_from(count).map_or(THRESHOLD, |count| count.min(THRESHOLD))
}

fn is_throw_away(email: &str) -> bool {
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase();
    THROW_AWAY.iter().any(|known| domain == *known || domain.ends_with(&format!(".{known}")))
}

/// Letters and digits under which two texts may be the same by chance.
const SHORTEST_GIST: usize = 40;
/// Letters under which an alphabet says nothing.
const FEWEST_LETTERS: usize = 20;
/// Words under which a repetition says nothing.
const FEWEST_WORDS: usize = 20;

/// What is sold through forms of strangers, one family a line.
const PATTERNS: [&[&str]; 8] = [
    &["viagra", "cialis", "levitra", "online pharmacy"],
    &["casino", "betting", "1xbet", "jackpot"],
    &["backlink", "guest post", "seo service", "référencement google", "first page of google", "search engine ranking"],
    &["bitcoin", "crypto invest", "usdt", "forex", "passive income", "investment opportunity"],
    &["t.me/", "telegram:", "whatsapp me", "wa.me/"],
    &["porn", "onlyfans", "escort", "dating site", "rencontres coquines"],
    &["unsubscribe", "click here", "cliquez ici", "limited offer", "special offer"],
    &["dear sir", "dear website owner", "dear webmaster", "i came across your website", "your website's"],
];

/// Domains that lend an address for ten minutes.
const THROW_AWAY: [&str; 10] = [
    "yopmail.com",
    "yopmail.fr",
    "mailinator.com",
    "guerrillamail.com",
    "10minutemail.com",
    "temp-mail.org",
    "trashmail.com",
    "jetable.org",
    "sharklasers.com",
    "dispostable.com",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::submission::Sender;

    fn said(name: &str, message: &str, email: &str) -> ValidAnswers {
        let answer = |field: &str, step: Option<&str>, text: &str| Answer {
            field: field.into(),
            step: step.map(str::to_owned),
            question: field.into(),
            value: AnswerValue::Text(text.into()),
        };
        ValidAnswers {
            answers: vec![answer("message", None, message), answer("nom", Some(IDENTITY_STEP), name)],
            sender: Sender { name: name.into(), email: Some(email.into()) },
            ..ValidAnswers::default()
        }
    }

    fn points(message: &str) -> u32 {
        judge(&said("Zoé Lampion", message, "zoe@exemple.fr"), Signs::default()).points
    }

    #[test]
    fn what_villagers_write_stays_under_the_threshold_even_in_haste() {
        let hasty = Signs { hasty: true, ..Signs::default() };
        for message in [
            "Bonjour, un lampadaire est éteint rue du Puits-Perdu. Merci.",
            "Le parking du Casino est plein de déchets, photos : https://photos.exemple.fr/a https://photos.exemple.fr/b",
            "Доброго дня, ми шукаємо житло для родини з двома дітьми. Дякуємо!",
            "مرحبا، أريد تسجيل طفلي في المدرسة من فضلكم وشكرا جزيلا لكم",
            "TROUS TROUS TROUS dans la route depuis des mois !!!",
            "L'œuvre de Lætitia, à l'Haÿ-les-Roses ; Ðorđe et Nguyễn Thị Hiền seront là.",
            "Mon < 3 et mes a > b ; [voir le plan]",
        ] {
            let suspicion = judge(&said("Zoé Lampion", message, "zoe@exemple.fr"), hasty);
            let is_foreign = suspicion.reasons.contains(&"alphabet");
            assert!(suspicion.points < THRESHOLD + u32::from(is_foreign), "{message}: {suspicion:?}");
            assert!(points(message) < THRESHOLD, "{message}");
        }
    }

    #[test]
    fn what_machines_sell_reaches_it() {
        for message in [
            "Dear Sir, I came across your website. <a href=\"https://x.example\">Click here</a> for backlinks",
            "[url=https://x.example]casino[/url] bitcoin",
            "https://a.example https://b.example https://c.example https://d.example https://e.example www.f.example",
            "Лучшие предложения недели: https://a.example https://b.example https://c.example casino онлайн",
        ] {
            assert!(points(message) >= THRESHOLD, "{message}: {}", points(message));
        }
    }

    #[test]
    fn each_sign_counts_for_itself_and_says_its_name() {
        let of =
            |name: &str, message: &str, email: &str, signs: Signs| judge(&said(name, message, email), signs).reasons;
        assert_eq!(of("www.x.example", "Bonjour", "a@exemple.fr", Signs::default()), ["lien_dans_identite"]);
        assert_eq!(of("Zoé", "Bonjour", "a@Yopmail.com", Signs::default()), ["adresse_jetable"]);
        assert_eq!(of("Zoé", &"promotion ".repeat(30), "a@exemple.fr", Signs::default()), ["rengaine"]);
        let signs = Signs { hasty: true, trapped: true, same_before: 1 };
        assert_eq!(of("Zoé", "Bonjour", "a@exemple.fr", signs), ["deja_dit", "hate", "piege"]);
        assert!(is_suspect(&judge(&said("Zoé", "Bonjour", "a@b.fr"), Signs { trapped: true, ..Signs::default() })));
        assert!(is_suspect(&judge(&said("Zoé", "Bonjour", "a@b.fr"), Signs { same_before: 5, ..Signs::default() })));
    }

    #[test]
    fn two_messages_have_the_same_gist_whatever_their_spaces_and_case() {
        let long = "Je voudrais savoir quand la déchetterie est ouverte au mois d'août.";
        let gist_of = |name: &str, message: &str| gist(&said(name, message, "a@b.fr"));
        assert_eq!(gist_of("Zoé", long), gist_of("Léo", &format!("  {}\r\n", long.to_uppercase())));
        assert!(gist_of("Zoé", long).is_some());
        assert_eq!(gist_of("Zoé", "Bonjour"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_judged_and_points_come_with_their_reasons(name in ".{0,80}", message in "(?s).{0,400}", hasty: bool, same_before: u32) {
            let signs = Signs { hasty, trapped: false, same_before };
            let suspicion = judge(&said(&name, &message, "a@b.fr"), signs);
            prop_assert_eq!(suspicion.points == 0, suspicion.reasons.is_empty());
            prop_assert!(suspicion.points <= 20);
        }

        #[test]
        fn the_order_of_answers_changes_nothing(first in ".{0,120}", second in ".{0,120}") {
            let one = said(&first, &second, "a@b.fr");
            let mut other = one.clone();
            other.answers.reverse();
            prop_assert_eq!(judge(&one, Signs::default()), judge(&other, Signs::default()));
        }

        #[test]
        fn more_links_never_make_a_text_less_suspect(message in ".{0,200}", count in 0usize..8) {
            let with = |count: usize| points(&format!("{message} {}", "https://x.example ".repeat(count)));
            prop_assert!(with(count + 1) >= with(count));
        }

        #[test]
        fn plain_french_sentences_are_never_suspect_however_fast(words in proptest::collection::vec("[a-zàâçéèêëîïôûùœ]{1,12}", 0..60)) {
            let signs = Signs { hasty: true, ..Signs::default() };
            let judged = judge(&said("Zoé Lampion", &words.join(" "), "zoe@exemple.fr"), signs);
            prop_assume!(judged.reasons.iter().all(|reason| *reason != "formules"));
            prop_assert!(judged.points < THRESHOLD, "{:?}", judged);
        }
    }
}
