//! Many communes: what changed is built, in parallel, and one failure stops nobody.
//!
//! 1. each commune's files are looked at, not read: a fingerprint says whether its site is still the right one; they are
//!    looked at again once it is built, because what changed meanwhile may or may not be on it;
//! 2. communes that claim one domain are told, and keep the sites they had;
//! 3. the others are built and published one by one on each processor, so that memory does not grow with their number.

mod fingerprint;
mod sending;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rayon::prelude::*;

use crate::builds::{self, BuildRecord, Counts, Issue};
use crate::diagnostic::{Code, Diagnostic, Place, Severity, first_error, has_errors};
use crate::load::toml_reader::nearest;
use crate::load::{self, Layers, Member, Territoire};
use crate::model::commune::Commune;
use crate::model::output::Pictures;
use crate::model::territoire::Territoire as Model;
use crate::pipeline::{self, Base, BuildRequest, Built};
use crate::render::Options;
use crate::write::{WriteError, Written, is_site};

use self::fingerprint::Fingerprints;
pub use self::fingerprint::program;
pub use self::sending::{Sending, Sent, misdirection, publish, state_of, target_of};

/// What a build of many communes is asked.
pub struct FleetRequest<'a> {
    /// The territoire.
    pub territoire: &'a Arc<Territoire>,
    /// The layers below it.
    pub base: &'a Base,
    /// Where pictures are made ready.
    pub pictures: &'a dyn Pictures,
    /// Instant the sites are built for.
    pub now: Timestamp,
    /// What pages say of the program.
    pub options: Options,
    /// Which program this is: another one builds all sites anew.
    pub program: &'a [u8],
    /// Folder of the sites, one folder a commune.
    pub sites: &'a Path,
    /// Whether to build even what has not changed.
    pub anew: bool,
}

/// What became of a commune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its site was built; how much was written.
    Built(Written),
    /// Its site is still the right one.
    Unchanged,
    /// Its folder has errors: the site in place stays.
    Refused,
    /// The machine failed, in a French sentence: the site in place stays.
    Failed(String),
}

/// A line of the report.
#[derive(Debug, Clone)]
pub struct Line {
    /// Name of its folder.
    pub name: String,
    /// The commune's name, when its `commune.toml` could be read.
    pub nom: String,
    /// What became of it.
    pub outcome: Outcome,
    /// All there is to say of its folder, counted.
    pub counts: Counts,
    /// The diagnostics: all when it was the only one, otherwise the errors.
    pub diagnostics: Vec<Diagnostic>,
    /// Files of the site in place.
    pub files: usize,
    /// Bytes of the site in place.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
}

/// Builds the sites of some communes; each line is given to `told` as soon as it is known. Lines come in order of name.
pub fn build(request: &FleetRequest<'_>, members: &[Member], told: &(dyn Fn(&Line) + Sync)) -> Vec<Line> {
    let prints = Fingerprints::of(request.territoire, request.program);
    let looks: Vec<Look> = members.par_iter().map(|member| look(request, &prints, member)).collect();
    let shared = shared_domains(request.territoire, members, &looks);
    let lines: Vec<Mutex<Option<Line>>> = members.iter().map(|_| Mutex::new(None)).collect();
    let give = |at: usize, line: Line| {
        told(&line);
        *lines[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
    };
    let mut to_build = Vec::new();
    for (at, (member, look)) in members.iter().zip(&looks).enumerate() {
        match (shared.get(&at), &look.record) {
            (Some(clash), _) => give(at, refuse(request, member, look, clash.clone())),
            _ if !member.exists => give(at, refuse(request, member, look, no_folder(request, member))),
            (None, Some(record)) if look.is_current => give(at, unchanged(member, record)),
            _ => to_build.push(at),
        }
    }
    let one = |at: usize| give(at, build_one(request, &prints, &members[at], &looks[at], false));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    if to_build.len() < workers {
        // Few communes: each is built on all processors.
        to_build.into_iter().for_each(one);
    } else {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    alone(|| {
                        while let Some(at) = to_build.get(next.fetch_add(1, Ordering::Relaxed)) {
                            one(*at);
                        }
                    });
                });
            }
        });
    }
    lines.into_iter().filter_map(|line| line.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// Builds the site of one commune whatever its fingerprint says; the line holds all that there is to say.
pub fn build_alone(request: &FleetRequest<'_>, member: &Member) -> Line {
    let prints = Fingerprints::of(request.territoire, request.program);
    let look = look(request, &prints, member);
    if let Some(clash) = clash(request, member) {
        return refuse(request, member, &look, clash);
    }
    build_one(request, &prints, member, &look, true)
}

/// What is to be said of a commune that claims a domain of another one, as their folders are now.
pub fn clash(request: &FleetRequest<'_>, member: &Member) -> Option<Diagnostic> {
    let members = request.territoire.members().ok()?;
    let at = members.iter().position(|other| other.name == member.name)?;
    clashes(request, &members).remove(&at)
}

/// The same of all communes, by rank.
fn clashes(request: &FleetRequest<'_>, members: &[Member]) -> BTreeMap<usize, Diagnostic> {
    let looks: Vec<Look> = members
        .par_iter()
        .map(|member| {
            let layers = Layers::within(request.territoire, &member.folder, &request.base.catalogue);
            let (domaine, place) = load::domain(&layers);
            Look::of_domain(domaine, place)
        })
        .collect();
    shared_domains(request.territoire, members, &looks)
}

/// Checks communes, in parallel, as `mulot check` does one; their lines hold all that there is to say when `whole`.
pub fn check(request: &FleetRequest<'_>, members: &[Member], whole: bool, told: &(dyn Fn(&Line) + Sync)) -> Vec<Line> {
    let clashes = clashes(request, members);
    let next = AtomicUsize::new(0);
    let lines = Mutex::new(BTreeMap::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                alone(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(member) = members.get(at) else { return };
                        let mut line = check_one(request, member, whole);
                        if let Some(clash) = clashes.get(&at) {
                            line.counts.erreurs += 1;
                            line.outcome = Outcome::Refused;
                            line.diagnostics.push(clash.clone());
                        }
                        told(&line);
                        lines.lock().unwrap_or_else(PoisonError::into_inner).insert(member.name.clone(), line);
                    }
                });
            });
        }
    });
    lines.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Folder of the site of a commune.
pub fn site_of(sites: &Path, commune: &str) -> PathBuf {
    sites.join(commune)
}

/// Folder of the sites of a territoire: the one its file names, or `NOM-public` beside its own.
pub fn sites_of(territoire: &Territoire) -> PathBuf {
    territoire.model.sites_in(&territoire.root)
}

/// What was seen of a commune without reading it.
struct Look {
    /// Empty when it cannot be trusted.
    fingerprint: String,
    record: Option<BuildRecord>,
    is_current: bool,
    domaine: String,
    /// Where the domain is written.
    place: Place,
}

impl Look {
    /// As far as domains are concerned.
    fn of_domain(domaine: String, place: Place) -> Look {
        Look { fingerprint: String::new(), record: None, is_current: true, domaine, place }
    }
}

fn look(request: &FleetRequest<'_>, prints: &Fingerprints, member: &Member) -> Look {
    let record = builds::read(request.sites, &member.name);
    let fingerprint = if member.exists { prints.commune(member) } else { String::new() };
    let declared = request.territoire.model.declared(&member.name);
    let is_current = !request.anew
        && !fingerprint.is_empty()
        && !declared.is_some_and(|declared| has_errors(&declared.told))
        && record.as_ref().is_some_and(|record| {
            record.empreinte == fingerprint
                && record.issue == Issue::Construit
                && (record.pour..record.jusqu_a).contains(&request.now)
                && is_site(&site_of(request.sites, &member.name))
        });
    let nowhere = || Place::file(Commune::FILE);
    let (domaine, place) = match &record {
        Some(record) if is_current => (record.domaine.clone(), nowhere()),
        _ if member.exists => {
            load::domain(&Layers::within(request.territoire, &member.folder, &request.base.catalogue))
        }
        _ => (String::new(), nowhere()),
    };
    Look { fingerprint, record, is_current, domaine, place }
}

/// The communes that claim a domain another one claims too, and what to say of it.
fn shared_domains(territoire: &Territoire, members: &[Member], looks: &[Look]) -> BTreeMap<usize, Diagnostic> {
    let mut claims: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, (member, look)) in members.iter().zip(looks).enumerate() {
        let declared = territoire.model.declared(&member.name).map_or(&[][..], |declared| &declared.domaines);
        let mut hosts: Vec<String> =
            declared.iter().chain([&look.domaine]).filter(|url| !url.is_empty()).map(|url| host(url)).collect();
        hosts.sort();
        hosts.dedup();
        for host in hosts {
            claims.entry(host).or_default().push(at);
        }
    }
    let mut told = BTreeMap::new();
    for (host, claiming) in claims.into_iter().filter(|(_, claiming)| claiming.len() > 1) {
        for at in &claiming {
            let others: Vec<&str> =
                claiming.iter().filter(|other| *other != at).map(|other| members[*other].name.as_str()).collect();
            let message = format!("« {host} » est aussi l'adresse du site de « {} »", others.join(" », « "));
            // A domain that the territoire gives is wrong there, not in a commune.toml that says nothing of it.
            let declared = territoire.model.declared(&members[*at].name);
            let given = declared.filter(|declared| declared.domaines.iter().any(|url| self::host(url) == host));
            let place = given.map_or_else(|| looks[*at].place.clone(), |declared| declared.place.clone());
            let clash = Diagnostic::error(Code::SharedDomain, place, message);
            told.entry(*at).or_insert_with(|| {
                clash.hint(
                    "corrigez domaine dans commune.toml, ou domaines dans territoire.toml ; les sites en place restent",
                )
            });
        }
    }
    told
}

fn host(url: &str) -> String {
    url.split_once("://").map_or(url, |(_, host)| host).to_ascii_lowercase()
}

fn no_folder(request: &FleetRequest<'_>, member: &Member) -> Diagnostic {
    let declared = request.territoire.model.declared(&member.name);
    let place = declared.map_or_else(|| Place::file(Model::FILE), |declared| declared.place.clone());
    if let Ok(target) = std::fs::read_link(&member.folder) {
        let message =
            format!("le raccourci {}/{} ne mène nulle part (« {} »)", Model::COMMUNES, member.name, target.display());
        let hint = "remettez ce dossier en place, ou supprimez le raccourci";
        return Diagnostic::error(Code::NoFolder, Place::file(format!("{}/{}", Model::COMMUNES, member.name)), message)
            .hint(hint);
    }
    let message = format!("le dossier {}/{} n'existe pas", Model::COMMUNES, member.name);
    let told = Diagnostic::error(Code::NoFolder, place, message);
    let folders = crate::fs::folders(&request.territoire.root.join(Model::COMMUNES)).unwrap_or_default();
    let undeclared =
        folders.iter().map(String::as_str).filter(|name| request.territoire.model.declared(name).is_none());
    match nearest(&member.name, undeclared) {
        Some(near) => told.hint(format!("vouliez-vous dire dossier = \"{near}\" ?")),
        None => {
            told.hint("créez-le (mulot new), remettez-le en place, ou écrivez active = false sous ce titre [[commune]]")
        }
    }
}

/// A commune that is not even built, for one reason.
fn refuse(request: &FleetRequest<'_>, member: &Member, look: &Look, why: Diagnostic) -> Line {
    let issue = Issue::Refuse(why.message.clone());
    let declared = request.territoire.model.declared(&member.name);
    let told: Vec<Diagnostic> =
        std::iter::once(why).chain(declared.into_iter().flat_map(|declared| declared.told.clone())).collect();
    let counts = counts(&told);
    keep(request, member, look, issue, (counts, rules(&told)), None);
    line(member, look.record.as_ref(), Outcome::Refused, counts, told)
}

fn unchanged(member: &Member, record: &BuildRecord) -> Line {
    line(member, Some(record), Outcome::Unchanged, record.signale, Vec::new())
}

/// A line about a site that stays what it was.
fn line(
    member: &Member,
    record: Option<&BuildRecord>,
    outcome: Outcome,
    counts: Counts,
    diagnostics: Vec<Diagnostic>,
) -> Line {
    let (nom, files, bytes) =
        record.map_or((String::new(), 0, 0), |record| (record.nom.clone(), record.fichiers, record.octets));
    Line { name: member.name.clone(), nom, outcome, counts, diagnostics, files, bytes, duration: Duration::ZERO }
}

fn build_one(request: &FleetRequest<'_>, prints: &Fingerprints, member: &Member, look: &Look, whole: bool) -> Line {
    let started = Instant::now();
    let order = order(request, member);
    let dest = site_of(request.sites, &member.name);
    let work = || pipeline::publish(&order, &dest, &request.territoire.root);
    let done = catch_unwind(AssertUnwindSafe(work));
    let mut refusal = Vec::new();
    let (outcome, built) = match done {
        Ok(Ok((built, Some(written)))) => (Outcome::Built(written), Some(built)),
        Ok(Ok((built, None))) => (Outcome::Refused, Some(built)),
        Ok(Err(error @ (WriteError::NotOurs(_) | WriteError::InsideSource(_)))) => {
            refusal.push(
                Diagnostic::error(Code::BadValue, Place::file(Model::FILE), error.to_string())
                    .hint("mettez ailleurs ce qui est dans ce dossier, ou donnez-en un autre : sites = \"…\""),
            );
            (Outcome::Refused, None)
        }
        Ok(Err(error)) => (Outcome::Failed(sentence(error)), None),
        Err(_) => (Outcome::Failed(CRASHED.to_owned()), None),
    };
    let diagnostics = built.as_ref().map_or(&refusal[..], |built| &built.diagnostics);
    let counts = counts(diagnostics);
    let issue = match &outcome {
        Outcome::Failed(sentence) => Issue::Panne(sentence.clone()),
        Outcome::Refused => Issue::Refuse(first_error(diagnostics)),
        Outcome::Built(_) | Outcome::Unchanged => Issue::Construit,
    };
    let fresh = match (&outcome, &built) {
        (Outcome::Built(written), Some(built)) => {
            Some(Fresh { written: *written, built, fingerprint: again(prints, member, look) })
        }
        _ => None,
    };
    keep(request, member, look, issue, (counts, rules(diagnostics)), fresh);
    let kept = if whole { diagnostics.to_vec() } else { errors(diagnostics) };
    let mut line = line(member, look.record.as_ref(), outcome, counts, kept);
    if let Some(site) = built.as_ref().and_then(|built| built.site.as_ref()) {
        line.nom.clone_from(&site.commune.names.nom);
    }
    if let Outcome::Built(written) = &line.outcome {
        (line.files, line.bytes) = (written.files, written.bytes);
    }
    line.duration = started.elapsed();
    line
}

/// A site that has just been built.
struct Fresh<'b> {
    written: Written,
    built: &'b Built,
    /// Of what it was built from; empty when that is not known.
    fingerprint: String,
}

/// The fingerprint of a commune that has just been built: the one it had before, or none if something moved meanwhile.
fn again(prints: &Fingerprints, member: &Member, look: &Look) -> String {
    let now = prints.commune(member);
    if now == look.fingerprint { now } else { String::new() }
}

fn check_one(request: &FleetRequest<'_>, member: &Member, whole: bool) -> Line {
    let started = Instant::now();
    if !member.exists {
        let counts = Counts { erreurs: 1, ..Counts::default() };
        return line(member, None, Outcome::Refused, counts, vec![no_folder(request, member)]);
    }
    let order = order(request, member);
    let built = match catch_unwind(AssertUnwindSafe(|| pipeline::check(&order))) {
        Ok(built) => built,
        Err(_) => return line(member, None, Outcome::Failed(CRASHED.to_owned()), Counts::default(), Vec::new()),
    };
    let counts = counts(&built.diagnostics);
    let outcome = if has_errors(&built.diagnostics) { Outcome::Refused } else { Outcome::Unchanged };
    let nom = built.site.map_or_else(String::new, |site| site.commune.names.nom);
    let diagnostics = if whole { built.diagnostics } else { errors(&built.diagnostics) };
    Line { nom, duration: started.elapsed(), ..line(member, None, outcome, counts, diagnostics) }
}

fn order<'a>(request: &'a FleetRequest<'_>, member: &'a Member) -> BuildRequest<'a> {
    BuildRequest {
        folder: &member.folder,
        base: request.base,
        territoire: Some(request.territoire),
        pictures: request.pictures,
        now: request.now,
        options: request.options.clone(),
    }
}

/// Writes down how it went; a record that cannot be written only has the commune built again.
fn keep(
    request: &FleetRequest<'_>,
    member: &Member,
    look: &Look,
    issue: Issue,
    (signale, regles): (Counts, BTreeMap<String, usize>),
    fresh: Option<Fresh<'_>>,
) {
    let before = look.record.as_ref();
    let mut record = before.cloned().unwrap_or_else(|| BuildRecord {
        nom: String::new(),
        domaine: String::new(),
        empreinte: String::new(),
        verifie: String::new(),
        regles: BTreeMap::new(),
        pour: request.now,
        jusqu_a: request.now,
        construit_le: None,
        fichiers: 0,
        octets: 0,
        essaye_le: request.now,
        issue: issue.clone(),
        signale,
    });
    (record.issue, record.signale, record.regles, record.essaye_le) = (issue, signale, regles, request.now);
    record.domaine.clone_from(&look.domaine);
    match fresh.and_then(|fresh| Some((fresh.built.site.as_ref()?, fresh.written, fresh.fingerprint))) {
        Some((site, written, fingerprint)) => {
            record.nom.clone_from(&site.commune.names.nom);
            record.empreinte = fingerprint;
            record.pour = request.now;
            record.jusqu_a = pipeline::instant(site.changes_at(), &site.commune.fuseau);
            record.construit_le = Some(request.now);
            (record.fichiers, record.octets) = (written.files, written.bytes);
        }
        None => record.empreinte.clear(),
    }
    // Nobody is served by stopping here: the site itself is in place.
    let _ = builds::keep(request.sites, &member.name, &record);
}

fn errors(diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    diagnostics.iter().filter(|told| told.severity == Severity::Error).cloned().collect()
}

/// How often each rule fails.
fn rules(diagnostics: &[Diagnostic]) -> BTreeMap<String, usize> {
    let mut rules = BTreeMap::new();
    for told in diagnostics {
        *rules.entry(told.code.as_str().to_owned()).or_default() += 1;
    }
    rules
}

fn counts(diagnostics: &[Diagnostic]) -> Counts {
    let count = |severity| diagnostics.iter().filter(|told| told.severity == severity).count();
    Counts {
        erreurs: count(Severity::Error),
        avertissements: count(Severity::Warning),
        a_completer: count(Severity::Blank),
    }
}

/// What happened to the machine, in a sentence.
fn sentence(error: WriteError) -> String {
    match error {
        WriteError::Fs(error) => error.sentence(),
        other => other.to_string(),
    }
}

/// Runs work whose own parallel parts stay on this thread: with a commune on each processor, sharing costs more than it gives.
fn alone(work: impl FnOnce() + Send) {
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

/// What is said of a commune that stopped the program itself.
pub const CRASHED: &str =
    "une panne interne de Mulot a interrompu cette commune : signalez-la avec le contenu du dossier";

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::fs;
    use crate::model::output::{Picture, PictureError};
    use crate::model::site::SourceFile;
    use crate::pictures::PictureCache;

    /// Pictures during which somebody moves a folder away and puts it back, or not.
    struct Moving {
        folder: PathBuf,
        is_moved: bool,
        pictures: PictureCache,
    }

    impl Pictures for Moving {
        fn picture(&self, path: &str, file: &SourceFile) -> Result<Arc<Picture>, PictureError> {
            if self.is_moved {
                let aside = self.folder.with_extension("ailleurs");
                std::fs::rename(&self.folder, &aside).expect("moved");
                std::fs::rename(&aside, &self.folder).expect("moved back");
            }
            self.pictures.picture(path, file)
        }

        fn bytes(&self, file: &SourceFile) -> io::Result<Vec<u8>> {
            self.pictures.bytes(file)
        }
    }

    #[test]
    fn a_commune_that_moved_while_it_was_built_is_built_again() {
        let root = tempfile::tempdir().expect("a folder");
        let (pays, sites) = (root.path().join("pays"), root.path().join("sites"));
        let commune = pays.join("communes/trou");
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/communes/minimal");
        for file in fs::walk(&model, &model).files {
            let to = commune.join(&file.relative);
            fs::create_dir(to.parent().expect("a parent")).expect("a folder");
            fs::copy(&file.path, &to).expect("a file");
        }
        fs::write(&pays.join("territoire.toml"), b"nom = \"Pays\"\n").expect("a file");
        fs::create_dir(&commune.join("actualites")).expect("a folder");
        image::RgbImage::new(8, 8).save(commune.join("actualites/a.png")).expect("a picture");
        let news = "+++\ntitre = \"A\"\nresume = \"Une phrase.\"\nimage = \"a.png\"\nimage_alternative = \"Rien\"\n+++\nTexte.\n";
        fs::write(&commune.join("actualites/2026-11-02-a.md"), news.as_bytes()).expect("a file");
        let (territoire, told) = Territoire::read(&pays);
        let territoire = Arc::new(territoire.unwrap_or_else(|| panic!("{told:?}")));
        let members = territoire.members().expect("members");
        for is_moved in [false, true] {
            // Otherwise all could happen within one tick of the clock.
            std::fs::File::open(&commune).and_then(|it| it.set_modified(UNIX_EPOCH)).expect("an old folder");
            let pictures = Moving { folder: commune.join("actualites"), is_moved, pictures: PictureCache::new(None) };
            let request = FleetRequest {
                territoire: &territoire,
                base: &Base::embedded(),
                pictures: &pictures,
                now: "2026-11-21T10:00:00Z".parse().expect("an instant"),
                options: Options::default(),
                program: b"",
                sites: &sites,
                anew: true,
            };
            let prints = Fingerprints::of(&territoire, b"").trusting();
            let look = look(&request, &prints, &members[0]);
            let line = build_one(&request, &prints, &members[0], &look, true);
            assert!(matches!(line.outcome, Outcome::Built(_)), "{line:?}");
            let record = builds::read(&sites, "trou").expect("a record");
            assert_eq!(record.empreinte.is_empty(), is_moved);
        }
    }
}
