//! `mulot build` and `mulot check` on a territoire: progress, one table at the end, the worst outcome as exit code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::report::{self, Format};
use super::{Exit, generator, picture_cache};
use crate::builds::Lock;
use crate::diagnostic::{Code, Diagnostic, Place, first_error, has_errors};
use crate::fleet::{self, FleetRequest, Line, Outcome, Sending, Sent};
use crate::load::{Member, Territoire};
use crate::model::territoire::Territoire as Model;
use crate::pictures::PictureCache;
use crate::pipeline::Base;
use crate::text::numbers::{file_size, plural};

/// What a command on a territoire is told.
pub(super) struct Order<'a> {
    /// The territoire's folder.
    pub(super) folder: &'a Path,
    /// Where the sites are, when it is not where the territoire says.
    pub(super) sites: Option<PathBuf>,
    /// Instant to build for.
    pub(super) now: jiff::Timestamp,
    /// Form of the report.
    pub(super) format: Format,
    /// Whether to build even what has not changed.
    pub(super) anew: bool,
    /// Whether to say all of every commune, and not its errors alone.
    pub(super) details: bool,
}

/// A territoire, read, with its communes.
pub(super) struct Read {
    pub(super) territoire: Arc<Territoire>,
    pub(super) members: Vec<Member>,
}

/// Reads a territoire; says what is wrong with it.
pub(super) fn read(folder: &Path) -> Result<Read, Exit> {
    let (territoire, told) = Territoire::read(folder);
    if !told.is_empty() {
        report::say(report::text(&told, folder, report::colour(&std::io::stderr())).trim_end());
        report::say("");
    }
    let Some(territoire) = territoire.filter(|_| !has_errors(&told)) else {
        report::say(format!("{} : rien n'a été fait, les sites en place restent", report::summary(&told)));
        return Err(Exit::Fault);
    };
    match territoire.members() {
        Ok(members) if members.is_empty() => {
            report::say(format!("erreur : « {} » n'a aucune commune", folder.display()));
            report::say("aide : ajoutez-en une : mulot new --insee 01299, depuis ce dossier");
            Err(Exit::Fault)
        }
        Ok(members) => Ok(Read { territoire: Arc::new(territoire), members }),
        Err(error) => {
            report::say(format!("erreur : {}", error.sentence()));
            report::say("aide : les communes vont dans le dossier communes/ du territoire, un dossier par commune");
            Err(Exit::Fault)
        }
    }
}

/// Waits until no other build works on the same sites.
pub(super) fn lock(sites: &Path) -> Result<Lock, Exit> {
    match Lock::take(sites) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => {
            report::say(format!("erreur : un autre mulot construit déjà dans « {} »", sites.display()));
            report::say("aide : attendez qu'il ait fini, puis recommencez ; rien n'a été changé");
            Err(Exit::Machine)
        }
        Err(error) => {
            report::say(format!("erreur : {}", error.sentence()));
            report::say(
                "aide : vérifiez la place libre et le droit d'écrire à cet endroit ; les sites en place n'ont pas bougé",
            );
            Err(Exit::Machine)
        }
    }
}

/// Builds all communes of a territoire.
pub(super) fn build(order: &Order<'_>) -> Exit {
    let started = Instant::now();
    let Read { territoire, members } = match read(order.folder) {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    let sites = order.sites.clone().unwrap_or_else(|| fleet::sites_of(&territoire));
    if let Err(exit) = refuse_inside(&sites, &territoire.root) {
        return exit;
    }
    let _lock = match lock(&sites) {
        Ok(lock) => lock,
        Err(exit) => return exit,
    };
    let tools = Tools::new();
    let request = FleetRequest { anew: order.anew, ..tools.request(&territoire, &sites, order.now) };
    let bar = progress(members.len(), order.format);
    let lines = fleet::build(&request, &members, &|line| advance(&bar, line));
    bar.finish_and_clear();
    let report = Report::of(&territoire.model, &lines, Some(&sites), started.elapsed());
    give(&report, &lines, order, &territoire)
}

/// Builds all communes of a territoire, then sends each site to its target.
pub(super) fn publish(order: &Order<'_>, sending: &Sending) -> Exit {
    let started = Instant::now();
    let Read { territoire, members } = match read(order.folder) {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    // What is only tried leaves nothing behind: the sites in place may be what visitors see.
    let aside = sending.dry.then(tempfile::tempdir);
    let sites = match &aside {
        Some(Ok(aside)) => aside.path().join("sites"),
        Some(Err(error)) => {
            report::say(format!("erreur : impossible d'écrire les sites à l'essai : {}", crate::fs::cause(error)));
            return Exit::Machine;
        }
        None => fleet::sites_of(&territoire),
    };
    if let Err(exit) = refuse_inside(&sites, &territoire.root) {
        return exit;
    }
    let _lock = match lock(&sites) {
        Ok(lock) => lock,
        Err(exit) => return exit,
    };
    let now = jiff::Timestamp::now();
    let ahead = members
        .iter()
        .filter_map(|member| crate::publish::dated_ahead(&fleet::state_of(&territoire, &member.name), now));
    super::publish::tell_clock(ahead.max());
    let tools = Tools::new();
    let request = tools.request(&territoire, &sites, order.now);
    let bar = progress(members.len(), order.format);
    let mut lines = fleet::build(&request, &members, &|line| advance(&bar, line));
    bar.finish_and_clear();
    let bar = progress(members.len(), order.format);
    let sent = fleet::publish(&request, (&members, &lines), sending, &|name, _| {
        bar.set_message(name.to_owned());
        bar.inc(1);
    });
    bar.finish_and_clear();
    for (line, sent) in lines.iter_mut().zip(&sent) {
        if let Sent::Refused(errors) = sent {
            (line.outcome, line.counts.erreurs) = (Outcome::Refused, errors.len());
            line.diagnostics.clone_from(errors);
        }
    }
    let mut report = Report::of(&territoire.model, &lines, Some(&sites), started.elapsed());
    report.publications = Some(sent.iter().zip(&lines).map(|(sent, line)| Publication::of(line, sent)).collect());
    report.essai = sending.dry;
    // The sites of a try are gone with it.
    report.sites = report.sites.filter(|_| !sending.dry);
    give(&report, &lines, order, &territoire)
}

/// What became of a site once built.
#[derive(Serialize)]
struct Publication<'a> {
    dossier: &'a str,
    /// `publie`, `inchange`, `sans_destination`, `refuse`, `panne`.
    issue: &'static str,
    ajoutes: usize,
    modifies: usize,
    retires: usize,
    octets: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remede: Option<String>,
}

impl<'a> Publication<'a> {
    fn of(line: &'a Line, sent: &Sent) -> Self {
        let mut told = Publication {
            dossier: &line.name,
            issue: "refuse",
            ajoutes: 0,
            modifies: 0,
            retires: 0,
            octets: 0,
            cause: None,
            remede: None,
        };
        match sent {
            Sent::Done(done) => {
                let changes = &done.changes;
                told.issue = if changes.is_empty() { "inchange" } else { "publie" };
                (told.ajoutes, told.modifies) = (changes.added.len(), changes.changed.len());
                (told.retires, told.octets) = (changes.removed.len(), changes.bytes);
            }
            Sent::Nowhere => {
                told.issue = "sans_destination";
                told.remede =
                    Some("ajoutez [publication] à commune.toml, ou [defauts.publication] à territoire.toml".into());
            }
            Sent::Refused(_) | Sent::NotBuilt => told.cause = why_not_built(line),
            Sent::Misdirected(sentence, remedy) => {
                (told.cause, told.remede) = (Some(sentence.clone()), Some((*remedy).to_owned()));
            }
            Sent::NotTried { sentence, remedy } => {
                told.issue = "panne";
                (told.cause, told.remede) = (Some(format!("pas essayé, {sentence}")), Some(remedy.clone()));
            }
            Sent::Failed(error) => {
                told.issue = "panne";
                (told.cause, told.remede) = (Some(error.to_string()), Some(error.remedy()));
            }
        }
        told
    }

    /// A line of the table.
    fn words(&self, dry: bool) -> String {
        let count = |number: usize, one: &str, many: &str| match number {
            0 => None,
            number => Some(plural(number as u64, one, many)),
        };
        match self.issue {
            "publie" => {
                let parts = [
                    count(self.ajoutes, "ajouté", "ajoutés"),
                    count(self.modifies, "modifié", "modifiés"),
                    count(self.retires, "retiré", "retirés"),
                ];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                format!(
                    "{} ({}, {})",
                    if dry { "à publier" } else { "publié" },
                    parts.join(", "),
                    file_size(self.octets)
                )
            }
            "inchange" => "rien n'a changé".to_owned(),
            "sans_destination" => "sans destination".to_owned(),
            "panne" => format!("panne : {}", self.cause.as_deref().unwrap_or_default()),
            _ => match &self.cause {
                Some(cause) => format!("non publié : {cause}"),
                None => "non publié".to_owned(),
            },
        }
    }
}

/// Why a commune has no site to publish, in a sentence; `None` when its line does not say it.
fn why_not_built(line: &Line) -> Option<String> {
    let sentence = match &line.outcome {
        Outcome::Failed(sentence) => sentence.clone(),
        _ => first_error(&line.diagnostics),
    };
    Some(sentence).filter(|sentence| !sentence.is_empty())
}

/// Checks all communes of a territoire.
pub(super) fn check(order: &Order<'_>) -> Exit {
    let started = Instant::now();
    let Read { territoire, members } = match read(order.folder) {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    let tools = Tools::new();
    let request = tools.request(&territoire, Path::new(""), order.now);
    let bar = progress(members.len(), order.format);
    let lines = fleet::check(&request, &members, order.details, &|line| advance(&bar, line));
    bar.finish_and_clear();
    let report = Report::of(&territoire.model, &lines, None, started.elapsed());
    give(&report, &lines, order, &territoire)
}

/// Refuses sites inside the folder that people edit.
pub(super) fn refuse_inside(sites: &Path, root: &Path) -> Result<(), Exit> {
    let absolute = std::path::absolute(sites).unwrap_or_else(|_| sites.to_owned());
    let existing = absolute.ancestors().find_map(|above| above.canonicalize().ok()).unwrap_or(absolute);
    // Nor around it: each site would lie beside whatever stands there.
    let around = std::path::absolute(sites).is_ok_and(|sites| sites.canonicalize().unwrap_or(sites) == *existing)
        && root.starts_with(&existing)
        && existing != *root;
    if around {
        report::say(format!(
            "erreur : « {} » contient le territoire : ce n'est pas un dossier de sites",
            sites.display()
        ));
        report::say("aide : donnez un dossier à part : sites = \"../sites\" dans territoire.toml, ou --sortie DIR");
        return Err(Exit::Fault);
    }
    let is_content = |file: &str| sites.join(file).is_file();
    if !existing.starts_with(root) && (is_content(Model::FILE) || is_content(crate::model::commune::Commune::FILE)) {
        report::say(format!("erreur : « {} » contient des textes : ce n'est pas un dossier de sites", sites.display()));
        report::say("aide : donnez un dossier à part : sites = \"../sites\" dans territoire.toml, ou --sortie DIR");
        return Err(Exit::Fault);
    }
    if !existing.starts_with(root) {
        return Ok(());
    }
    report::say(format!(
        "erreur : les sites ne peuvent pas être dans le dossier du territoire (« {} »)",
        sites.display()
    ));
    report::say("aide : donnez un dossier à côté : sites = \"../sites\" dans territoire.toml, ou --sortie DIR");
    Err(Exit::Fault)
}

/// A commune asked for by its folder: its territoire, its name, and what the territoire knows of it; `None` outside of one.
fn member_at(folder: &Path) -> Option<(Arc<Territoire>, String, Option<Member>)> {
    let root = Territoire::above(folder)?;
    let territoire = Arc::new(Territoire::read(&root).0?);
    let name = folder.canonicalize().ok()?.file_name()?.to_string_lossy().into_owned();
    let member = territoire.members().ok()?.into_iter().find(|member| member.name == name);
    Some((territoire, name, member))
}

/// What is to be said of a commune that claims a domain of another one of its territoire.
pub(super) fn clash(folder: &Path) -> Option<Diagnostic> {
    let (territoire, _, member) = member_at(folder)?;
    fleet::clash(&Tools::new().request(&territoire, Path::new(""), jiff::Timestamp::now()), &member?)
}

/// Why a commune of a territoire is not published, asked for by itself as with the others: what, and what to do.
pub(super) fn unpublishable(folder: &Path) -> Option<(String, &'static str)> {
    let (territoire, name, member) = member_at(folder)?;
    let Some(member) = member else {
        return Some(match territoire.model.is_active(&name) {
            true => (format!("« {name} » n'est pas le nom d'une commune du territoire"), "renommez ce dossier"),
            false => {
                let sentence = format!("« {name} » est mis de côté par {} (active = false)", Model::FILE);
                (sentence, "retirez cette ligne, puis recommencez")
            }
        });
    };
    fleet::misdirection(&Tools::new().request(&territoire, Path::new(""), jiff::Timestamp::now()), &member)
}

/// What every build of a territoire is made with.
pub(super) struct Tools {
    base: Base,
    pictures: PictureCache,
    /// Which program this is: another one builds all sites anew.
    program: Vec<u8>,
}

impl Tools {
    pub(super) fn new() -> Self {
        let program = fleet::program(env!("CARGO_PKG_VERSION"), std::env::current_exe().ok().as_deref());
        Tools { base: Base::embedded(), pictures: picture_cache(), program }
    }

    /// A build of what has changed.
    pub(super) fn request<'a>(
        &'a self,
        territoire: &'a Arc<Territoire>,
        sites: &'a Path,
        now: jiff::Timestamp,
    ) -> FleetRequest<'a> {
        FleetRequest {
            territoire,
            base: &self.base,
            pictures: &self.pictures,
            now,
            options: crate::render::Options { preview: None, generator: generator() },
            program: &self.program,
            sites,
            anew: false,
        }
    }
}

fn progress(communes: usize, format: Format) -> ProgressBar {
    if format == Format::Json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(communes as u64);
    // Hidden by itself when standard error is not a terminal.
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} communes  {msg}") {
        bar.set_style(style);
    }
    bar
}

fn advance(bar: &ProgressBar, line: &Line) {
    bar.set_message(line.name.clone());
    bar.inc(1);
}

/// The report for tools.
#[derive(Serialize)]
struct Report<'a> {
    territoire: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sites: Option<String>,
    bilan: Totals,
    communes: Vec<Row<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    essai: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    publications: Option<Vec<Publication<'a>>>,
}

#[derive(Serialize)]
struct Totals {
    communes: usize,
    /// Of a build.
    #[serde(skip_serializing_if = "Option::is_none")]
    construites: Option<usize>,
    /// Of a build.
    #[serde(skip_serializing_if = "Option::is_none")]
    inchangees: Option<usize>,
    /// Of a check: what would be built.
    #[serde(skip_serializing_if = "Option::is_none")]
    acceptees: Option<usize>,
    refusees: usize,
    en_panne: usize,
    octets: u64,
    duree_ms: u128,
}

#[derive(Serialize)]
struct Row<'a> {
    dossier: &'a str,
    nom: &'a str,
    issue: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    erreurs: usize,
    avertissements: usize,
    a_completer: usize,
    fichiers: usize,
    octets: u64,
    changes: usize,
    supprimes: usize,
    duree_ms: u128,
    diagnostics: &'a [Diagnostic],
}

impl<'a> Report<'a> {
    fn of(model: &'a Model, lines: &'a [Line], sites: Option<&Path>, duration: Duration) -> Self {
        let mut octets = 0;
        let rows = lines.iter().map(|line| {
            let issue = match (&line.outcome, sites) {
                (Outcome::Built(_), _) => "construit",
                (Outcome::Unchanged, Some(_)) => "inchange",
                (Outcome::Unchanged, None) => "accepte",
                (Outcome::Refused, _) => "refuse",
                (Outcome::Failed(_), _) => "panne",
            };
            octets += line.bytes;
            let (changes, supprimes) = match &line.outcome {
                Outcome::Built(written) => (written.changed, written.removed),
                _ => (0, 0),
            };
            Row {
                dossier: &line.name,
                nom: &line.nom,
                issue,
                cause: match &line.outcome {
                    Outcome::Failed(sentence) => Some(sentence),
                    _ => None,
                },
                erreurs: line.counts.erreurs,
                avertissements: line.counts.avertissements,
                a_completer: line.counts.a_completer,
                fichiers: line.files,
                octets: line.bytes,
                changes,
                supprimes,
                duree_ms: line.duration.as_millis(),
                diagnostics: &line.diagnostics,
            }
        });
        let communes: Vec<Row<'_>> = rows.collect();
        let count = |issue: &str| communes.iter().filter(|row| row.issue == issue).count();
        let (of_build, of_check) = (sites.is_some(), sites.is_none());
        let totals = Totals {
            communes: lines.len(),
            construites: of_build.then(|| count("construit")),
            inchangees: of_build.then(|| count("inchange")),
            acceptees: of_check.then(|| count("accepte")),
            refusees: count("refuse"),
            en_panne: count("panne"),
            octets,
            duree_ms: duration.as_millis(),
        };
        let sites = sites.map(|sites| sites.display().to_string());
        Report { territoire: &model.nom, sites, bilan: totals, communes, essai: false, publications: None }
    }

    fn exit(&self) -> Exit {
        let publications = self.publications.iter().flatten();
        if publications.clone().any(|one| one.issue == "panne") {
            return Exit::Machine;
        }
        if self.bilan.en_panne == 0 && publications.clone().any(|one| one.issue == "refuse") {
            return Exit::Fault;
        }
        match (self.bilan.en_panne, self.bilan.refusees) {
            (0, 0) => Exit::Done,
            (0, _) => Exit::Fault,
            _ => Exit::Machine,
        }
    }
}

fn give(report: &Report<'_>, lines: &[Line], order: &Order<'_>, territoire: &Territoire) -> Exit {
    if order.format == Format::Json {
        report::give(serde_json::to_string_pretty(report).unwrap_or_default());
        return report.exit();
    }
    let colour = report::colour(&std::io::stdout());
    let draw = |told: &[Diagnostic], name: &str| {
        let folder = territoire.root.join(Model::COMMUNES).join(name);
        report::give(report::text(told, &folder, colour).trim_end());
        report::give("");
    };
    let shared = Shared::of(lines, &territoire.root);
    if !shared.faults.is_empty() {
        report::give(format!("── {} ──\n", territoire.model.nom));
        shared.faults.values().for_each(|fault| draw(&[fault.told()], fault.commune));
    }
    for line in lines {
        let own: Vec<Diagnostic> = line.diagnostics.iter().filter(|told| !shared.holds(line, told)).cloned().collect();
        if !own.is_empty() {
            report::give(format!("── {} ──\n", line.name));
            draw(&own, &line.name);
        }
    }
    table(report, report.bilan.construites.is_some()).iter().for_each(report::give);
    report::give("");
    if let Some(publications) = &report.publications {
        let width = publications.iter().map(|one| one.dossier.chars().count()).max().unwrap_or(0);
        // What is as it was in a thousand communes is no news.
        let many = publications.len() > ROWS;
        let mut advised = BTreeSet::new();
        for one in publications.iter().filter(|one| !many || !matches!(one.issue, "inchange" | "publie")).take(ROWS) {
            report::give(format!("{:width$}  {}", one.dossier, one.words(report.essai)));
            // What a server refuses to all is to be mended once.
            if let Some(remedy) = one.remede.as_ref().filter(|remedy| advised.insert(*remedy)) {
                report::give(format!("{:width$}  aide : {remedy}", ""));
            }
        }
        report::give("");
        report::give(sent_summary(publications, report.essai));
    }
    report::give(summary(report));
    if report.communes.iter().any(|row| row.cause.is_some_and(|cause| cause != fleet::CRASHED)) {
        report::say(
            "aide : vérifiez la place libre et le droit d'écrire à cet endroit, puis relancez : les sites en place n'ont pas bougé",
        );
    }
    if let Some(row) = report.communes.iter().find(|row| row.a_completer > 0) {
        report::say(format!(
            "aide : mulot check {} dit ce qui reste à compléter dans une commune ; ce qui est vrai de toutes se met dans {}, \
             sous [defauts]",
            territoire.root.join(Model::COMMUNES).join(row.dossier).display(),
            Model::FILE
        ));
    }
    report.exit()
}

/// What stands in files that communes share, and is told of more than one: it is one mistake, to be mended once.
struct Shared<'l> {
    root: &'l Path,
    faults: BTreeMap<Key<'l>, Fault<'l>>,
}

/// What tells one mistake from another.
type Key<'l> = (&'l Place, Code, &'l str);

struct Fault<'l> {
    told: &'l Diagnostic,
    /// One of the communes it is told of.
    commune: &'l str,
    /// How many there are.
    count: u64,
}

impl<'l> Shared<'l> {
    fn of(lines: &'l [Line], root: &'l Path) -> Shared<'l> {
        let mut shared = Shared { root, faults: BTreeMap::new() };
        for line in lines {
            for told in line.diagnostics.iter().filter(|told| shared.is_below(line, told)).collect::<Vec<_>>() {
                let new = || Fault { told, commune: &line.name, count: 0 };
                shared.faults.entry(key(told)).or_insert_with(new).count += 1;
            }
        }
        shared.faults.retain(|_, fault| fault.count > 1);
        shared
    }

    /// Whether it stands in what a commune shares: the nearest file of a path is the one that counts.
    fn is_below(&self, line: &Line, told: &Diagnostic) -> bool {
        let (root, file) = (self.root, &told.place.file);
        root.join(Model::shared(file)).exists() && !root.join(Model::COMMUNES).join(&line.name).join(file).exists()
    }

    /// Whether it is told for all.
    fn holds(&self, line: &Line, told: &Diagnostic) -> bool {
        self.faults.contains_key(&key(told)) && self.is_below(line, told)
    }
}

impl Fault<'_> {
    fn told(&self) -> Diagnostic {
        let message = format!("{} (concerne {} communes)", self.told.message, self.count);
        Diagnostic { message, ..self.told.clone() }
    }
}

fn key(told: &Diagnostic) -> Key<'_> {
    (&told.place, told.code, &told.message)
}

/// One line a commune: what became of it, what there is to say, weight, time.
fn table(report: &Report<'_>, built: bool) -> Vec<String> {
    let shown: Vec<&Row<'_>> = match report.communes.len() {
        0..=ROWS => report.communes.iter().collect(),
        // Thousands of lines that say « inchangé » hide the one that matters.
        _ => report.communes.iter().filter(|row| matches!(row.issue, "refuse" | "panne")).take(ROWS).collect(),
    };
    let width = shown.iter().map(|row| row.dossier.chars().count()).max().unwrap_or(0).max("commune".len());
    let mut lines = vec![format!(
        "{:width$}  {:<13}  {:>7}  {:>7}  {:>11}{}",
        "commune",
        "issue",
        "erreurs",
        "avert.",
        "à compléter",
        if built { format!("  {:>9}  {:>8}", "poids", "temps") } else { String::new() }
    )];
    for row in &shown {
        let words = match row.issue {
            "inchange" => "inchangé",
            "accepte" => "accepté",
            "refuse" => "refusé",
            other => other,
        };
        let tail = if built {
            format!("  {:>9}  {:>8}", size(row.octets), time(row.duree_ms, row.issue))
        } else {
            String::new()
        };
        lines.push(format!(
            "{:width$}  {words:<13}  {:>7}  {:>7}  {:>11}{tail}",
            row.dossier, row.erreurs, row.avertissements, row.a_completer
        ));
        if let Some(cause) = row.cause {
            lines.push(format!("{:width$}  {cause}", ""));
        }
    }
    let left = report.communes.len() - shown.len();
    if left > 0 {
        lines.push(format!(
            "… et {} de plus (--format json les donne toutes)",
            plural(left as u64, "commune", "communes")
        ));
    }
    lines
}

fn sent_summary(publications: &[Publication<'_>], dry: bool) -> String {
    let count = |issue: &str| publications.iter().filter(|one| one.issue == issue).count() as u64;
    let (sent, sents) = if dry { ("à publier", "à publier") } else { ("publiée", "publiées") };
    let parts = [
        (count("publie"), sent, sents),
        (count("inchange"), "déjà en ligne", "déjà en ligne"),
        (count("sans_destination"), "sans destination", "sans destination"),
        (count("refuse"), "non publiée", "non publiées"),
        (count("panne"), "en panne", "en panne"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(count, ..)| *count > 0).map(|(count, one, many)| plural(*count, one, many)).collect();
    format!("Publication{} : {}", if dry { " (essai, rien n'a été envoyé)" } else { "" }, told.join(", "))
}

fn size(bytes: u64) -> String {
    if bytes == 0 { "–".to_owned() } else { file_size(bytes) }
}

fn time(ms: u128, issue: &str) -> String {
    if issue == "inchange" || (issue == "refuse" && ms == 0) { "–".to_owned() } else { format!("{ms} ms") }
}

fn summary(report: &Report<'_>) -> String {
    let totals = &report.bilan;
    let mut parts = Vec::new();
    let mut part = |count: usize, one: &str, many: &str| {
        if count > 0 {
            parts.push(plural(count as u64, one, many));
        }
    };
    part(totals.construites.unwrap_or(0), "construite", "construites");
    part(totals.inchangees.unwrap_or(0), "inchangée", "inchangées");
    part(totals.acceptees.unwrap_or(0), "acceptée", "acceptées");
    part(totals.refusees, "refusée", "refusées");
    part(totals.en_panne, "en panne", "en panne");
    let whole = plural(totals.communes as u64, "commune", "communes");
    let place = report.sites.as_ref().map(|sites| format!(" ; sites dans « {sites} »")).unwrap_or_default();
    let weight = if totals.octets > 0 { format!(", {}", file_size(totals.octets)) } else { String::new() };
    let seconds = format!("{:.1}", totals.duree_ms as f64 / 1000.0).replace('.', ",");
    let kept = if totals.refusees + totals.en_panne > 0 && report.sites.is_some() {
        " ; les sites des communes refusées ou en panne restent ce qu'ils étaient"
    } else {
        ""
    };
    format!("{} : {whole}, {}{weight}, en {seconds} s{place}{kept}", report.territoire, parts.join(", "))
}

/// Lines of the table at most.
const ROWS: usize = 400;
