//! Reads a TOML table key by key and collects every mistake with its place, in French.
//!
//! serde stops at the first mistake and speaks English; a secretary is served better by all of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::civil::{Date, DateTime, Time};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::content::Moment;

/// A text with the file and line it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
    pub(crate) first_line: u32,
}

impl Source<'_> {
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        Place::span(self.file, self.text, span, self.first_line)
    }

    /// The whole key written around a byte of a line.
    fn key_around(&self, at: usize) -> Range<usize> {
        let start = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        let line = self.text[start..].lines().next().unwrap_or("");
        start..start + line.split('=').next().unwrap_or(line).trim_end().len()
    }

    /// « 4,50 » when the line at a byte gives it as a value.
    fn comma_number(&self, at: usize) -> Option<&str> {
        let start = self.text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
        let value = self.text[start..].lines().next()?.split_once('=')?.1.split('#').next()?.trim();
        let (whole, cents) = value.split_once(',')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (digits(whole.trim_start_matches('-')) && digits(cents)).then_some(value)
    }

    /// The bracket of a line above that is open at a byte and that nothing closes before the next title.
    fn open_above(&self, at: usize, (open, close): (u8, u8)) -> Option<Range<usize>> {
        let (before, after) = self.text.split_at_checked(at)?;
        let mut inner = 0;
        let opening = before.bytes().rposition(|byte| match byte {
            byte if byte == close => {
                inner += 1;
                false
            }
            byte if byte == open && inner > 0 => {
                inner -= 1;
                false
            }
            byte => byte == open,
        })?;
        let own = after.find("\n[").map_or(after, |title| &after[..title]);
        let count = |wanted: u8| own.bytes().filter(|byte| *byte == wanted).count();
        let is_unclosed = before[opening..].contains('\n') && count(close) <= count(open);
        is_unclosed.then_some(opening..opening + 1)
    }

    fn excerpt(&self, span: Range<usize>) -> &str {
        self.text.get(span).unwrap_or("").lines().next().unwrap_or("").trim()
    }
}

/// Parses a text, telling every syntax error; after a bracket that is not closed nothing means what it says.
pub(crate) fn parse<'a>(source: Source<'a>, diagnostics: &mut Vec<Diagnostic>) -> Spanned<DeTable<'a>> {
    let (table, errors) = DeTable::parse_recoverable(source.text);
    let mut told: Vec<Diagnostic> = Vec::new();
    let mut last_line = u32::MAX;
    for error in errors {
        let one = unclosed(source, &error).inspect(|one| last_line = last_line.min(one.place.line));
        let one = one.unwrap_or_else(|| syntax_error(source, &error));
        if !told.contains(&one) {
            told.push(one);
        }
    }
    diagnostics.extend(told.into_iter().filter(|one| one.place.line <= last_line));
    table
}

/// What there is to say of a bracket that is not closed on the lines after it: the mistake is where it opens.
fn unclosed(source: Source<'_>, error: &toml::de::Error) -> Option<Diagnostic> {
    let (said, at) = (error.message(), error.span()?.start);
    let of = |names: &[&str], brackets| {
        let is_one = names.iter().any(|name| said.starts_with(name));
        is_one.then(|| source.open_above(at, brackets)).flatten()
    };
    let list = of(&["unexpected `=` in array", "unclosed array,", "missing comma between array"], (b'[', b']'));
    let table = of(&["missing comma between key", "unclosed inline"], (b'{', b'}'));
    let (at, message, hint) = match (list, table) {
        (Some(at), _) => (at, "le crochet [ n'est pas fermé", "fermez la liste par un crochet droit ]"),
        (None, Some(at)) => (at, "l'accolade { n'est pas fermée", "fermez-la par } sur la même ligne"),
        (None, None) => return None,
    };
    let hint = format!("{hint} ; les lignes d'après en font partie");
    Some(Diagnostic::error(Code::BadToml, source.place(at), message).hint(hint))
}

fn syntax_error(source: Source<'_>, error: &toml::de::Error) -> Diagnostic {
    let said = error.message();
    let mut span = error.span().unwrap_or(0..0);
    if said.starts_with("invalid unquoted key") {
        span = source.key_around(span.start);
    }
    let excerpt = source.excerpt(span.clone()).to_owned();
    let place = source.place(span.clone());
    let bad = |message: String, hint: &str| Diagnostic::error(Code::BadToml, place.clone(), message).hint(hint);
    let date = |message: String| {
        Diagnostic::error(Code::BadDate, place.clone(), message)
            .hint("une date s'écrit 2026-12-05 (année-mois-jour), une heure \"14:30\"")
    };
    if said.starts_with("invalid date") || said.starts_with("invalid time") {
        return date(format!("la date « {excerpt} » n'existe pas"));
    }
    if said.starts_with("string values must be quoted") {
        let digits = excerpt.bytes().filter(u8::is_ascii_digit).count();
        if digits >= 3 && excerpt.len() <= 12 && excerpt.contains(['/', '-', 'h', ':']) {
            return date(format!("« {excerpt} » n'est pas une date ou une heure"));
        }
        return if excerpt.is_empty() {
            bad(
                "il manque une valeur après le signe =".into(),
                "écrivez la valeur sur la même ligne ; un texte va entre guillemets : \"…\"",
            )
        } else if excerpt.contains(['“', '”', '«']) {
            bad(
                format!("les guillemets de « {excerpt} » ne sont pas des guillemets droits"),
                "remplacez-les par des guillemets droits : \"…\"",
            )
        } else {
            bad(
                format!("le texte « {excerpt} » n'est pas entre guillemets"),
                "mettez le texte entre guillemets droits : \"…\"",
            )
        };
    }
    if let Some(number) = source.comma_number(span.start) {
        return bad(
            format!("« {number} » n'est pas un nombre : les décimales se séparent par un point"),
            &format!("écrivez {}", number.replace(',', ".")),
        );
    }
    let (message, hint) = match said {
        _ if said.starts_with("duplicate key") => {
            (format!("la clé « {excerpt} » est écrite deux fois"), "gardez une seule des deux lignes")
        }
        _ if said.starts_with("invalid basic string") || said.starts_with("invalid literal string") => {
            ("le guillemet de fin manque".to_owned(), "fermez le texte par un guillemet droit \" sur la même ligne")
        }
        _ if said.starts_with("invalid multi-line") => {
            ("les trois guillemets de fin manquent".to_owned(), "fermez le texte par \"\"\"")
        }
        _ if said.starts_with("unclosed") && said.contains('}') => {
            ("il manque une accolade de fin".to_owned(), "ajoutez } à la fin de la ligne")
        }
        _ if said.starts_with("unclosed") => {
            ("il manque un crochet de fin".to_owned(), "ajoutez ] (ou ]] pour un titre [[…]])")
        }
        _ if said.starts_with("key with no value") => (
            "cette ligne n'a pas de valeur".to_owned(),
            "une ligne s'écrit clé = valeur, par exemple titre = \"Marché\"",
        ),
        _ if said.starts_with("invalid unquoted key") || said.starts_with("unquoted keys") => (
            format!("« {excerpt} » n'est pas un nom de clé"),
            "les clés s'écrivent sans accent ni espace : resume, publie_le",
        ),
        _ if said.starts_with("missing escaped value") => (
            "la barre \\ n'est pas permise ici".to_owned(),
            "écrivez \\\\ pour une barre, ou / dans un chemin de fichier",
        ),
        _ if said.starts_with("unexpected leading zero") => (
            "un nombre ne commence pas par zéro".to_owned(),
            "mettez un code ou un téléphone entre guillemets : \"02 99…\"",
        ),
        _ if said.starts_with("unexpected key or value") => (
            "il y a quelque chose de trop après la valeur".to_owned(),
            "une clé par ligne ; une apostrophe dans un texte demande des guillemets doubles : \"l'école\"",
        ),
        _ if said.starts_with("missing comma between array") => {
            ("il manque une virgule entre deux valeurs de la liste".to_owned(), "une liste s'écrit [\"…\", \"…\"]")
        }
        _ if said.starts_with("missing comma between key") => {
            ("il manque une virgule entre deux clés".to_owned(), "écrivez { clé = …, clé = … }")
        }
        _ if said.starts_with("extra comma") => ("il y a une virgule de trop".to_owned(), "retirez-la"),
        _ if said.starts_with("missing array opening") => {
            ("ce crochet ] ne ferme rien".to_owned(), "retirez-le, ou ouvrez la liste par [")
        }
        _ if said.starts_with("missing inline table opening") => {
            ("cette accolade } ne ferme rien".to_owned(), "retirez-la, ou ouvrez par {")
        }
        _ if said.starts_with("missing assignment") => {
            ("il manque un signe = après la clé".to_owned(), "écrivez clé = valeur")
        }
        _ if said.starts_with("extra assignment") || said.starts_with("extra `=`") => {
            ("il y a un signe = de trop".to_owned(), "écrivez clé = valeur, une fois par ligne")
        }
        _ => (
            format!("cette ligne n'est pas écrite comme il faut ({said})"),
            "comparez avec l'exemple de docs/contenu.md",
        ),
    };
    bad(message, hint)
}

/// A table being read; whatever key is not asked for is unknown.
pub(crate) struct Reader<'t, 'a> {
    source: Source<'a>,
    table: &'t DeTable<'a>,
    span: Range<usize>,
    known: Vec<&'static str>,
    /// Tables of the same meaning that say what this one leaves out or blank, the nearest first.
    below: Vec<Below<'t, 'a>>,
}

/// A table of another file that stands below one.
#[derive(Clone, Copy)]
pub(crate) struct Below<'t, 'a> {
    pub(crate) source: Source<'a>,
    pub(crate) table: &'t DeTable<'a>,
}

/// A value, with the file it is written in.
#[derive(Clone, Copy)]
struct Written<'t, 'a> {
    source: Source<'a>,
    value: &'t Spanned<DeValue<'a>>,
}

impl<'t, 'a> Written<'t, 'a> {
    fn get(self) -> &'t DeValue<'a> {
        self.value.get_ref()
    }

    fn place(self) -> Place {
        self.source.place(self.value.span())
    }

    /// An element of this list.
    fn item(self, value: &'t Spanned<DeValue<'a>>) -> Self {
        Written { value, ..self }
    }

    /// This table, read as if nothing stood below it.
    fn reader(self, table: &'t DeTable<'a>) -> Reader<'t, 'a> {
        Reader { source: self.source, table, span: self.value.span(), known: Vec::new(), below: Vec::new() }
    }

    fn is_blank(self) -> bool {
        match self.get() {
            DeValue::String(text) => text.trim().is_empty(),
            DeValue::Array(items) => items.iter().all(|item| self.item(item).is_blank()),
            _ => false,
        }
    }
}

impl<'t, 'a> Reader<'t, 'a> {
    pub(crate) fn new(source: Source<'a>, table: &'t Spanned<DeTable<'a>>) -> Self {
        Reader { source, table: table.get_ref(), span: table.span(), known: Vec::new(), below: Vec::new() }
    }

    /// The same, of a table whose place is the file's.
    pub(crate) fn of(source: Source<'a>, table: &'t DeTable<'a>) -> Self {
        Reader { source, table, span: 0..0, known: Vec::new(), below: Vec::new() }
    }

    /// The same, with tables that say what this one leaves out or blank, the nearest first.
    pub(crate) fn above(mut self, below: &[Below<'t, 'a>]) -> Self {
        self.below.extend_from_slice(below);
        self
    }

    /// Of keys that exclude each other, the nearest choice holds: from the layer on that says another one, nothing is read below.
    pub(crate) fn choose(&mut self, keys: &[&str]) {
        let said = |source: Source<'a>, table: &'t DeTable<'a>| -> Vec<&str> {
            let is_said = |key: &&&str| table.get(**key).is_some_and(|value| !Written { source, value }.is_blank());
            keys.iter().filter(is_said).copied().collect()
        };
        let mut chosen = said(self.source, self.table);
        for at in 0..self.below.len() {
            let below = said(self.below[at].source, self.below[at].table);
            if chosen.is_empty() {
                chosen = below;
            } else if !below.is_empty() && below != chosen {
                self.below.truncate(at);
                return;
            }
        }
    }

    /// What is written of a key: here, or below when it is absent or blank here.
    fn find(&self, key: &str) -> Option<Written<'t, 'a>> {
        let own = self.table.get(key).map(|value| Written { source: self.source, value });
        if own.is_some_and(|own| !own.is_blank()) {
            return own;
        }
        let inherited = |below: &Below<'t, 'a>| {
            Some(Written { source: below.source, value: below.table.get(key)? }).filter(|found| !found.is_blank())
        };
        self.below.iter().find_map(inherited).or(own)
    }

    /// Place of a key's value, or of the table when the key is absent.
    pub(crate) fn place(&self, key: &str) -> Place {
        self.find(key).map_or_else(|| self.table_place(), Written::place)
    }

    /// Place of the table's first line.
    pub(crate) fn table_place(&self) -> Place {
        self.source.place(self.span.start..self.span.start)
    }

    /// Where each key and each table stands, by the name a person gives it: `domaine`, `[mairie] telephone`, `[mairie]`.
    pub(crate) fn places(&self) -> BTreeMap<String, Place> {
        let mut places = BTreeMap::new();
        for below in self.below.iter().rev() {
            places_of(below.source, below.table, &mut places);
        }
        places_of(self.source, self.table, &mut places);
        places
    }

    pub(crate) fn source(&self) -> Source<'a> {
        self.source
    }

    fn value(&mut self, key: &'static str) -> Option<Written<'t, 'a>> {
        self.known.push(key);
        self.find(key)
    }

    /// Leaves out keys that cannot be judged here: they are not unknown.
    pub(crate) fn leave(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// Whether a key is written, whatever its value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// A text, trimmed; an empty one is `None`.
    pub(crate) fn text(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
        let value = self.value(key)?;
        match value.get() {
            DeValue::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            _ => {
                diagnostics.push(wrong(key, value, "un texte", &format!("écrivez {key} = \"…\"")));
                None
            }
        }
    }

    /// A text that must be there; the sentence says what it is for.
    pub(crate) fn required(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
        let before = diagnostics.len();
        let text = self.text(key, diagnostics);
        if text.is_none() && diagnostics.len() == before {
            diagnostics.push(self.missing(key));
        }
        text
    }

    /// The diagnostic of a required key that is not there.
    pub(crate) fn missing(&self, key: &str) -> Diagnostic {
        let (place, state) = match self.find(key) {
            Some(value) => (value.place(), "est vide"),
            None => (self.table_place(), "manque"),
        };
        Diagnostic::error(Code::MissingKey, place, format!("la clé « {key} » {state}"))
            .hint(format!("ajoutez une ligne {key} = … (voir docs/contenu.md)"))
    }

    pub(crate) fn flag(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<bool> {
        let value = self.value(key)?;
        match value.get() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                diagnostics.push(wrong(key, value, "true (oui) ou false (non)", &format!("écrivez {key} = true")));
                None
            }
        }
    }

    pub(crate) fn integer(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<i64> {
        let value = self.value(key)?;
        let number = match value.get() {
            DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok(),
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => Some(number),
            Some(number) => {
                diagnostics.push(
                    Diagnostic::error(Code::BadValue, value.place(), format!("« {key} » vaut {number}")).hint(format!(
                        "il faut un nombre entre {} et {}",
                        range.start(),
                        range.end()
                    )),
                );
                None
            }
            None => {
                diagnostics.push(wrong(
                    key,
                    value,
                    "un nombre entier",
                    &format!("écrivez {key} = 12, sans guillemets"),
                ));
                None
            }
        }
    }

    pub(crate) fn decimal(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<f64> {
        let value = self.value(key)?;
        let number = match value.get() {
            DeValue::Float(number) => number.as_str().replace('_', "").parse().ok(),
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            diagnostics.push(wrong(key, value, "un nombre", &format!("écrivez {key} = 48.07, avec un point")));
        }
        number
    }

    /// A day, or a day and an hour.
    pub(crate) fn moment(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<Moment> {
        let value = self.value(key)?;
        let moment = match value.get() {
            DeValue::Datetime(written) => moment(written),
            DeValue::String(text) if text.is_empty() => return None,
            DeValue::String(text) => text.parse().ok().map(Moment::Day).or_else(|| text.parse().ok().map(Moment::Time)),
            _ => None,
        };
        if moment.is_none() {
            diagnostics.push(
                Diagnostic::error(Code::BadDate, value.place(), format!("« {key} » n'est pas une date"))
                    .hint(format!("écrivez {key} = 2026-12-05, ou {key} = 2026-12-05T14:30:00 avec l'heure")),
            );
        }
        moment
    }

    pub(crate) fn date(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<Date> {
        match self.moment(key, diagnostics)? {
            Moment::Day(date) => Some(date),
            Moment::Time(time) => {
                diagnostics.push(
                    Diagnostic::error(Code::BadDate, self.place(key), format!("« {key} » attend un jour, sans heure"))
                        .hint(format!("écrivez {key} = {}", time.date())),
                );
                None
            }
        }
    }

    /// Whether the key `format` is that of a later program; it is told, and nothing else of the file should be.
    pub(crate) fn is_newer(&mut self, known: i64, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let Some(format) = self.integer("format", 0..=i64::MAX, diagnostics).filter(|format| *format > known) else {
            return false;
        };
        let message = format!("ce dossier est écrit pour un Mulot plus récent (format {format})");
        let told = Diagnostic::error(Code::NewerFormat, self.place("format"), message);
        diagnostics.push(told.hint(format!("mettez Mulot à jour : celui-ci connaît le format {known}")));
        true
    }

    /// A list of texts; one text alone is accepted as a list of one.
    pub(crate) fn texts(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
        let Some(value) = self.value(key) else { return Vec::new() };
        match value.get() {
            DeValue::String(text) if text.trim().is_empty() => Vec::new(),
            DeValue::String(text) => vec![text.trim().to_owned()],
            DeValue::Array(items) => {
                let mut texts = Vec::with_capacity(items.len());
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::String(text) if text.trim().is_empty() => {}
                        DeValue::String(text) => texts.push(text.trim().to_owned()),
                        _ => diagnostics.push(wrong(
                            key,
                            value.item(item),
                            "des textes",
                            &format!("écrivez {key} = [\"…\", \"…\"]"),
                        )),
                    }
                }
                texts
            }
            _ => {
                diagnostics.push(wrong(key, value, "une liste de textes", &format!("écrivez {key} = [\"…\", \"…\"]")));
                Vec::new()
            }
        }
    }

    /// One word of a closed list.
    pub(crate) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let text = self.text(key, diagnostics)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let hint = match nearest(&text, list.iter().copied()) {
                Some(near) => format!("vouliez-vous dire « {near} » ? Valeurs possibles : {}", list.join(", ")),
                None => format!("valeurs possibles : {}", list.join(", ")),
            };
            diagnostics.push(
                Diagnostic::error(
                    Code::BadValue,
                    self.place(key),
                    format!("« {text} » n'est pas une valeur de « {key} »"),
                )
                .hint(hint),
            );
        }
        found
    }

    /// A table within the table.
    pub(crate) fn table(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<Reader<'t, 'a>> {
        let value = self.value(key)?;
        match value.get() {
            DeValue::Table(table) => Some(value.reader(table).above(&self.below_of(key))),
            _ => {
                diagnostics.push(wrong(
                    key,
                    value,
                    "une table",
                    &format!("écrivez {key} = {{ … }} ou un titre [{key}]"),
                ));
                None
            }
        }
    }

    /// The tables of a key that stand below.
    fn below_of(&self, key: &str) -> Vec<Below<'t, 'a>> {
        let inner = |below: &Below<'t, 'a>| match below.table.get(key)?.get_ref() {
            DeValue::Table(table) => Some(Below { source: below.source, table }),
            _ => None,
        };
        self.below.iter().filter_map(inner).collect()
    }

    /// The tables this one holds, by their names, which the author chooses.
    pub(crate) fn named_tables(&self, diagnostics: &mut Vec<Diagnostic>) -> Vec<(String, Reader<'t, 'a>)> {
        let below = self.below.iter().flat_map(|below| below.table.keys());
        let names: BTreeSet<&str> = self.table.keys().chain(below).map(|key| key.get_ref().as_ref()).collect();
        let mut tables = Vec::new();
        for name in names {
            let Some(value) = self.find(name) else { continue };
            match value.get() {
                DeValue::Table(table) => {
                    tables.push((name.to_owned(), value.reader(table).above(&self.below_of(name))));
                }
                _ => diagnostics.push(wrong(name, value, "une table", &format!("écrivez [….{name}] sur une ligne"))),
            }
        }
        tables
    }

    /// A list of tables; texts of the list are given to `text`, which may refuse them.
    pub(crate) fn tables(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Reader<'t, 'a>> {
        self.items(key, diagnostics)
            .into_iter()
            .filter_map(|item| match item {
                Item::Table(table) => Some(table),
                Item::Text(_, place) => {
                    diagnostics.push(
                        Diagnostic::error(
                            Code::BadValue,
                            place,
                            format!("« {key} » attend des tables {{ … }}, pas un texte"),
                        )
                        .hint("voir docs/contenu.md"),
                    );
                    None
                }
            })
            .collect()
    }

    /// A list of tables or texts.
    pub(crate) fn items(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Item<'t, 'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get() else {
            diagnostics.push(wrong(key, value, "une liste", &format!("écrivez {key} = [ … ] ou des titres [[{key}]]")));
            return Vec::new();
        };
        let mut list = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => list.push(Item::Table(value.item(item).reader(table))),
                DeValue::String(text) => list.push(Item::Text(text.trim().to_owned(), value.item(item).place())),
                _ => diagnostics.push(wrong(key, value.item(item), "des textes ou des tables", "voir docs/contenu.md")),
            }
        }
        list
    }

    /// Tells the keys nobody asked for, with the nearest known one.
    pub(crate) fn finish(self, diagnostics: &mut Vec<Diagnostic>) {
        for (key, value) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if name.is_empty() || self.known.contains(&name) {
                continue;
            }
            let span = if key.span().is_empty() { value.span() } else { key.span() };
            let diagnostic = Diagnostic::error(
                Code::UnknownKey,
                self.source.place(span),
                format!("la clé « {name} » n'existe pas ici"),
            );
            // A key that is badly spelt is not also missing.
            if let Some(near) = nearest(name, self.known.iter().copied()).filter(|near| !self.has(near)) {
                let told = format!("la clé « {near} » manque");
                let table = self.table_place();
                diagnostics.retain(|other| other.message != told || other.place != table);
            }
            diagnostics.push(diagnostic.hint(match nearest(name, self.known.iter().copied()) {
                Some(near) => format!("vouliez-vous dire « {near} » ?"),
                None => format!("clés possibles : {}", self.known.join(", ")),
            }));
        }
    }
}

/// An element of a list.
pub(crate) enum Item<'t, 'a> {
    /// A table.
    Table(Reader<'t, 'a>),
    /// A text with its place.
    Text(String, Place),
}

fn wrong(key: &str, value: Written<'_, '_>, wanted: &str, hint: &str) -> Diagnostic {
    let message = format!("« {key} » attend {wanted}, pas {}", kind(value.get()));
    Diagnostic::error(Code::BadValue, value.place(), message).hint(hint)
}

fn places_of(source: Source<'_>, table: &DeTable<'_>, places: &mut BTreeMap<String, Place>) {
    for (key, value) in table.iter() {
        let name = key.get_ref();
        places.insert(name.to_string(), source.place(value.span()));
        let DeValue::Table(table) = value.get_ref() else { continue };
        // The heading, not the lines below it.
        let heading = value.span().start..value.span().start + source.excerpt(value.span()).len();
        places.insert(format!("[{name}]"), source.place(heading));
        for (key, value) in table.iter() {
            places.insert(format!("[{name}] {}", key.get_ref()), source.place(value.span()));
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "un texte",
        DeValue::Integer(_) | DeValue::Float(_) => "un nombre",
        DeValue::Boolean(_) => "true ou false",
        DeValue::Datetime(_) => "une date",
        DeValue::Array(_) => "une liste",
        DeValue::Table(_) => "une table",
    }
}

fn moment(written: &toml::value::Datetime) -> Option<Moment> {
    let date = written.date?;
    let date =
        Date::new(i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?).ok()?;
    let Some(time) = written.time else { return Some(Moment::Day(date)) };
    let time = Time::new(
        i8::try_from(time.hour).ok()?,
        i8::try_from(time.minute).ok()?,
        i8::try_from(time.second.unwrap_or(0)).ok()?,
        0,
    )
    .ok()?;
    Some(Moment::Time(DateTime::from_parts(date, time)))
}

/// The nearest of some words, when it is near enough to be a slip of the fingers.
pub(crate) fn nearest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    words
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).clamp(1, 3))
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        parse(Source { file: "a.md", text, first_line: 2 }, &mut diagnostics);
        diagnostics
    }

    #[test]
    fn syntax_errors_are_told_in_french_with_their_place() {
        let cases = [
            ("date = 2026-02-31", "la date « 2026-02-31 » n'existe pas", Code::BadDate),
            ("date = 5/12/2026", "« 5/12/2026 » n'est pas une date ou une heure", Code::BadDate),
            ("titre = Marché", "le texte « Marché » n'est pas entre guillemets", Code::BadToml),
            ("titre = “Marché”", "les guillemets de « “Marché” » ne sont pas des guillemets droits", Code::BadToml),
            ("titre = \"Marché", "le guillemet de fin manque", Code::BadToml),
            ("titre =", "il manque une valeur après le signe =", Code::BadToml),
            ("a = 1\na = 2", "la clé « a » est écrite deux fois", Code::BadToml),
            ("résumé = \"x\"", "« résumé » n'est pas un nom de clé", Code::BadToml),
            ("tel = 0299001234", "un nombre ne commence pas par zéro", Code::BadToml),
            ("x = [\nnom = \"Trou\"\nville = \"Trou\"\n", "le crochet [ n'est pas fermé", Code::BadToml),
            ("x = [1,\nnom = \"Trou\"\n", "le crochet [ n'est pas fermé", Code::BadToml),
            ("x = { a = 1\nnom = 1\nville = 2", "l'accolade { n'est pas fermée", Code::BadToml),
            ("x = [\"a\" \"b\"]", "il manque une virgule entre deux valeurs de la liste", Code::BadToml),
            ("x = [\n\"a\"\n\"b\"\n]\ny = 1", "il manque une virgule entre deux valeurs de la liste", Code::BadToml),
            ("x = [\nnom = \"Trou\"\n[mairie]\nville = [\"a\"]", "le crochet [ n'est pas fermé", Code::BadToml),
            ("x = ]", "ce crochet ] ne ferme rien", Code::BadToml),
        ];
        for (text, message, code) in cases {
            let found = errors(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!((found[0].message.as_str(), found[0].code), (message, code), "{text}");
            assert!(found[0].place.line >= 2 && found[0].hint.is_some());
        }
    }

    #[test]
    fn every_mistake_of_a_file_is_told_at_once() {
        assert_eq!(errors("date = 2026-02-31\ntitre = x y z\nheure = \"a").len(), 3);
    }

    #[test]
    fn slips_of_the_fingers_are_recognised() {
        assert_eq!(nearest("resumé", ["resume", "titre"].into_iter()), Some("resume"));
        assert_eq!(nearest("publié_le", ["publie_le", "expire_le"].into_iter()), Some("publie_le"));
        assert_eq!(nearest("couleur", ["resume", "titre"].into_iter()), None);
    }
}
