//! `mulot publish`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::build::beside;
use super::report::{self, Format, FormatArgs};
use super::{Exit, FolderArgs, generator, missing_folder, picture_cache, resolved, territoire};
use crate::diagnostic::{self, Diagnostic, Severity};
use crate::fleet::{self, Sending};
use crate::load::Territoire;
use crate::model::publication::{Changes, Target, Version};
use crate::pipeline::{self, Base, BuildRequest};
use crate::publish::{self, Done, Order, PublishError};
use crate::text::dates::{short_date, time};
use crate::text::numbers::{file_size, plural};

/// Names shown of what would be sent.
const SHOWN: usize = 12;

#[derive(Debug, Args)]
#[command(
    help_template = super::usage::TEMPLATE,
    after_help = "La destination est dans [publication] de commune.toml (docs/publier.md). Une publication interrompue se relance \
                  telle quelle : ce qui est déjà parti ne repart pas."
)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Dit ce qui serait envoyé, sans rien changer à la destination
    #[arg(long = "essai", conflicts_with = "back")]
    dry: bool,
    /// Remet en ligne la version précédente
    #[arg(long = "retour")]
    back: bool,
    /// Prend la place d'une publication interrompue sur une autre machine
    #[arg(long = "reprendre")]
    take_over: bool,
    #[command(flatten)]
    report: FormatArgs,
}

#[derive(Serialize)]
struct Report<'a> {
    /// `publication`, `retour` or `essai`.
    action: &'a str,
    fait: bool,
    destination: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    precedente: Option<&'a Version>,
    fichiers: usize,
    octets: u64,
    ajoutes: &'a [String],
    modifies: &'a [String],
    retires: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    erreur: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remede: Option<String>,
    diagnostics: &'a [Diagnostic],
}

pub(super) fn run(args: &PublishArgs) -> Exit {
    let folder = &args.folder.folder;
    if let Some(exit) = missing_folder(folder) {
        return exit;
    }
    if Territoire::is_one(folder) {
        return all_of(args);
    }
    let Some((site, diagnostics)) = resolved(folder, args.folder.now()) else {
        return refuse(args, None, &pipeline::check(&request(args, &Base::embedded(), &picture_cache())).diagnostics);
    };
    let zone = TimeZone::get(&site.commune.fuseau).unwrap_or(TimeZone::UTC);
    let name = absolute(folder).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let target = site.commune.publication.as_ref();
    let target = match target.map(|target| target.for_commune(&name).based_on(&absolute(folder))) {
        Some(target) => target,
        None if diagnostic::has_errors(&diagnostics) => return refuse(args, None, &diagnostics),
        None => {
            report::say("erreur : commune.toml ne dit pas où publier le site");
            report::say(
                "aide : ajoutez [publication] avec dossier = \"…\", ssh = \"compte@serveur:/chemin\" ou s3 = \"https://hôte/seau\" \
                 (docs/publier.md)",
            );
            return Exit::Fault;
        }
    };
    if !args.back
        && let Some((sentence, remedy)) = territoire::unpublishable(folder)
    {
        report::say(format!("erreur : {sentence} : rien n'a été publié"));
        report::say(format!("aide : {remedy}"));
        return Exit::Fault;
    }
    let (site, state) = places(folder);
    tell_clock(publish::dated_ahead(&state, Timestamp::now()));
    let work = Work { args, folder, zone: &zone, target: &target, site, state };
    if args.back { work.go_back() } else { work.publish() }
}

/// Says that what was published is dated later than now: a register is read as evidence, long after.
pub(super) fn tell_clock(dated: Option<Timestamp>) {
    if let Some(at) = dated {
        let at = at.to_zoned(TimeZone::system());
        report::say(format!(
            "avertissement : la dernière publication est datée du {} à {} : l'horloge de cette machine retarde, ou elle avançait alors",
            short_date(at.date()),
            time(at.time())
        ));
        report::say("aide : mettez-la à l'heure (timedatectl set-ntp true) : le registre des publications en dépend");
    }
}

/// Builds and publishes all communes of a territoire.
fn all_of(args: &PublishArgs) -> Exit {
    if args.back {
        report::say("erreur : le retour se fait commune par commune");
        report::say("aide : mulot publish TERRITOIRE/communes/NOM --retour");
        return Exit::Fault;
    }
    let order = territoire::Order {
        folder: &args.folder.folder,
        sites: None,
        now: args.folder.now(),
        format: args.report.format,
        anew: false,
        details: false,
    };
    let sending = Sending { keys: crate::s3::keys_of_environment(), dry: args.dry, take_over: args.take_over };
    territoire::publish(&order, &sending)
}

/// One order, once its target is known.
struct Work<'a> {
    args: &'a PublishArgs,
    folder: &'a Path,
    zone: &'a TimeZone,
    target: &'a Target,
    /// Where the site is built.
    site: PathBuf,
    /// Where its publications are written down.
    state: PathBuf,
}

impl Work<'_> {
    fn publish(&self) -> Exit {
        let (base, pictures) = (Base::embedded(), picture_cache());
        let request = request(self.args, &base, &pictures);
        let mut diagnostics = pipeline::check(&request).diagnostics;
        diagnostics.extend(territoire::clash(self.folder));
        if diagnostic::has_errors(&diagnostics) {
            return self.refuse(&diagnostics);
        }
        // Two orders at once would build in the same folder.
        let turn = (!self.args.dry).then(|| publish::take_turn(&self.state)).transpose();
        let _turn = match turn {
            Ok(turn) => turn,
            Err(error) => return self.fail(&error, &diagnostics),
        };
        // What is only tried leaves nothing behind, not even the site beside the folder.
        let aside = self.args.dry.then(tempfile::tempdir);
        let dest = match &aside {
            Some(Ok(aside)) => aside.path().join("site"),
            Some(Err(source)) => {
                report::say(format!("erreur : impossible d'écrire le site à l'essai : {}", crate::fs::cause(source)));
                return Exit::Machine;
            }
            None => self.site.clone(),
        };
        match pipeline::publish(&request, &dest, self.folder) {
            Ok((_, Some(_))) => {}
            Ok((built, None)) => return self.refuse(&built.diagnostics),
            Err(error) => {
                report::say(format!("erreur : {error}"));
                report::say("aide : vérifiez la place libre et le droit d'écrire à cet endroit ; rien n'a été publié");
                return Exit::Machine;
            }
        }
        let order = self.order(&dest, &self.state);
        if self.args.dry {
            return match publish::preview(&order) {
                Ok(done) => self.tell_preview(&done, &diagnostics),
                Err(error) => self.fail(&error, &diagnostics),
            };
        }
        if self.args.report.format == Format::Text {
            report::say(format!("Envoi vers « {} »…", self.target.place()));
        }
        match publish::send(&order) {
            Ok(done) => self.tell_sent(&done, &diagnostics),
            Err(error) => self.fail(&error, &diagnostics),
        }
    }

    /// A site with errors is not published: who looks at all sites later is told too.
    fn refuse(&self, diagnostics: &[Diagnostic]) -> Exit {
        if !self.args.dry {
            let cause = format!("le contenu est refusé : {}", diagnostic::first_error(diagnostics));
            publish::keep_attempt(&self.state, Timestamp::now(), Some(&cause));
        }
        refuse(self.args, Some(self.target), diagnostics)
    }

    fn go_back(&self) -> Exit {
        match publish::go_back(&self.order(&self.site, &self.state)) {
            Ok(done) => {
                self.data("retour", &done, &[]);
                let (back, before) = (done.version.at, done.before.as_ref().map(|before| before.at));
                // Two versions of one minute are told apart.
                let is_close = before.is_some_and(|before| self.moment(before, false) == self.moment(back, false));
                let gone = before.map(|before| format!(" ; celle du {} est retirée", self.moment(before, is_close)));
                self.give(format!(
                    "La version du {} est de nouveau en ligne sur « {} »{} ({})",
                    self.moment(back, is_close),
                    self.target.place(),
                    gone.unwrap_or_default(),
                    summary(&done.changes, Tense::Done),
                ));
                self.give(
                    "Le contenu du dossier n'a pas changé : la prochaine publication remettra ce qu'il contient."
                        .into(),
                );
                Exit::Done
            }
            Err(error) => self.fail(&error, &[]),
        }
    }

    fn order<'o>(&'o self, site: &'o Path, state: &'o Path) -> Order<'o> {
        let keys = crate::s3::keys_of_environment();
        Order { site, state, target: self.target, keys, take_over: self.args.take_over, now: Timestamp::now() }
    }

    fn tell_sent(&self, done: &Done, diagnostics: &[Diagnostic]) -> Exit {
        self.data("publication", done, diagnostics);
        let place = self.target.place();
        if done.changes.is_empty() {
            self.give(format!(
                "Rien n'a changé sur « {place} » : {}",
                plural(done.files as u64, "fichier", "fichiers")
            ));
        } else {
            self.give(format!(
                "Site publié sur « {place} » : {}, {}",
                plural(done.files as u64, "fichier", "fichiers"),
                summary(&done.changes, Tense::Done)
            ));
        }
        self.give_warnings(diagnostics);
        Exit::Done
    }

    fn tell_preview(&self, done: &Done, diagnostics: &[Diagnostic]) -> Exit {
        self.data("essai", done, diagnostics);
        let Changes { added, changed, removed, .. } = &done.changes;
        self.give(match done.changes.is_empty() {
            true => format!("Essai : rien ne changerait sur « {} »", self.target.place()),
            false => format!(
                "Essai, rien n'a été envoyé. Sur « {} », {}",
                self.target.place(),
                summary(&done.changes, Tense::Would)
            ),
        });
        let all = [("+", added), ("~", changed), ("-", removed)];
        let lines: Vec<String> =
            all.iter().flat_map(|(sign, paths)| paths.iter().map(move |path| format!("  {sign} {path}"))).collect();
        lines.iter().take(SHOWN).for_each(|line| self.give(line.clone()));
        if lines.len() > SHOWN {
            self.give(format!("  … et {}", plural((lines.len() - SHOWN) as u64, "autre", "autres")));
        }
        self.give_warnings(diagnostics);
        Exit::Done
    }

    fn fail(&self, error: &PublishError, diagnostics: &[Diagnostic]) -> Exit {
        let action = if self.args.back { "retour" } else { "publication" };
        if self.args.report.format == Format::Json {
            let told = Report {
                erreur: Some(error.to_string()),
                remede: Some(error.remedy()),
                ..empty(action, Some(self.target), diagnostics)
            };
            report::give(serde_json::to_string_pretty(&told).unwrap_or_default());
        }
        report::say(format!("erreur : {error}"));
        report::say(format!("aide : {}", error.remedy()));
        if error.is_order() { Exit::Fault } else { Exit::Machine }
    }

    fn data(&self, action: &str, done: &Done, diagnostics: &[Diagnostic]) {
        if self.args.report.format == Format::Json {
            let told = Report {
                fait: action != "essai",
                version: Some(&done.version),
                precedente: done.before.as_ref(),
                fichiers: done.files,
                octets: done.changes.bytes,
                ajoutes: &done.changes.added,
                modifies: &done.changes.changed,
                retires: &done.changes.removed,
                ..empty(action, Some(self.target), diagnostics)
            };
            report::give(serde_json::to_string_pretty(&told).unwrap_or_default());
        }
    }

    /// A line for people: nothing beside the data when data is asked for.
    fn give(&self, line: String) {
        if self.args.report.format == Format::Text {
            report::give(line);
        }
    }

    fn give_warnings(&self, diagnostics: &[Diagnostic]) {
        if diagnostics.iter().any(|told| told.severity != Severity::Error) {
            self.give(format!("{} : mulot check les montre", report::summary(diagnostics)));
        }
    }

    /// « 21 novembre 2026 à 14 h 05 », or « à 14 h 05 min 12 s ».
    fn moment(&self, at: Timestamp, with_seconds: bool) -> String {
        let local = at.to_zoned(self.zone.clone());
        let day = short_date(local.date());
        match with_seconds {
            true => format!("{day} à {} h {:02} min {:02} s", local.hour(), local.minute(), local.second()),
            false => format!("{day} à {}", time(local.time())),
        }
    }
}

fn request<'a>(args: &'a PublishArgs, base: &'a Base, pictures: &'a crate::pictures::PictureCache) -> BuildRequest<'a> {
    BuildRequest {
        folder: &args.folder.folder,
        base,
        territoire: None,
        pictures,
        now: args.folder.now(),
        options: crate::render::Options { preview: None, generator: generator() },
    }
}

/// A site with errors is not published: says them all.
fn refuse(args: &PublishArgs, target: Option<&Target>, diagnostics: &[Diagnostic]) -> Exit {
    match args.report.format {
        Format::Json => {
            let told = empty("publication", target, diagnostics);
            report::give(serde_json::to_string_pretty(&told).unwrap_or_default());
        }
        Format::Text => {
            let drawn = report::text(diagnostics, &args.folder.folder, report::colour(&std::io::stdout()));
            report::give(drawn.trim_end());
            report::give(format!("\n{} : rien n'a été publié", report::summary(diagnostics)));
        }
    }
    Exit::Fault
}

fn empty<'a>(action: &'a str, target: Option<&Target>, diagnostics: &'a [Diagnostic]) -> Report<'a> {
    Report {
        action,
        fait: false,
        destination: target.map(Target::place).unwrap_or_default(),
        version: None,
        precedente: None,
        fichiers: 0,
        octets: 0,
        ajoutes: &[],
        modifies: &[],
        retires: &[],
        erreur: None,
        remede: None,
        diagnostics,
    }
}

/// Whether something was done, or would be.
#[derive(Clone, Copy)]
enum Tense {
    Done,
    Would,
}

/// « 2 ajoutés, 1 modifié, 3 retirés, 12 ko ».
fn summary(changes: &Changes, tense: Tense) -> String {
    let count = |paths: &[String]| paths.len() as u64;
    let words = match tense {
        Tense::Done => [("ajouté", "ajoutés"), ("modifié", "modifiés"), ("retiré", "retirés")],
        Tense::Would => [
            ("fichier serait ajouté", "fichiers seraient ajoutés"),
            ("serait modifié", "seraient modifiés"),
            ("serait retiré", "seraient retirés"),
        ],
    };
    let counts = [count(&changes.added), count(&changes.changed), count(&changes.removed)];
    let mut parts: Vec<String> = counts
        .into_iter()
        .zip(words)
        .filter(|(count, _)| *count > 0)
        .map(|(count, (one, many))| plural(count, one, many))
        .collect();
    if changes.bytes > 0 {
        parts.push(file_size(changes.bytes));
    }
    parts.join(", ")
}

/// Where the site of a folder is built and where its publications are written down: with the others' in a territoire.
fn places(folder: &Path) -> (PathBuf, PathBuf) {
    let territoire = Territoire::above(folder).and_then(|root| Territoire::read(&root).0);
    match (territoire, absolute(folder).file_name()) {
        (Some(territoire), Some(name)) => {
            let name = name.to_string_lossy();
            (fleet::site_of(&fleet::sites_of(&territoire), &name), fleet::state_of(&territoire, &name))
        }
        _ => (beside(folder), publish::state_beside(folder)),
    }
}

fn absolute(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}
