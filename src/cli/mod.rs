//! Understands the order, calls one function, reports in French.

mod allocator;
mod backup;
mod build;
mod check;
mod communes;
mod demandes;
mod destinataires;
mod dkim;
mod etat;
mod exemple;
mod exporter;
mod faults;
mod guichet;
mod integrity;
mod migrate;
mod new;
mod overview;
mod place;
mod publish;
mod quarantaine;
mod registre;
mod report;
mod serve;
mod telemetry;
mod territoire;
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::diagnostic::Diagnostic;
use crate::model::commune::Commune;
use crate::model::site::Site;
use crate::model::territoire::Territoire;
use crate::pictures::PictureCache;
use crate::pipeline::{Base, local};
use crate::text::dates::short_date;
use crate::{load, resolve};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the content or the order is at fault.
    Fault,
    /// 2: the machine is at fault.
    Machine,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Fault => 1,
            Exit::Machine => 2,
        })
    }
}

/// Le site et le guichet d'une commune rurale.
#[derive(Debug, Parser)]
#[command(
    name = "mulot",
    version,
    disable_help_flag = true,
    disable_help_subcommand = true,
    disable_version_flag = true,
    subcommand_help_heading = "Commandes",
    help_template = usage::TEMPLATE,
    subcommand_value_name = "COMMANDE",
    after_help = "Pour l'aide d'une commande : mulot COMMANDE --aide"
)]
struct Cli {
    /// Affiche cette aide
    #[arg(short = 'h', long = "aide", alias = "help", action = ArgAction::Help, global = true)]
    help: Option<bool>,
    /// Affiche la version
    #[arg(short = 'V', long = "version", action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Crée le dossier d'une commune, prérempli depuis la liste officielle
    New(new::NewArgs),
    /// Construit le site
    Build(build::BuildArgs),
    /// Montre le site pendant que vous écrivez, avec de vrais formulaires
    Serve(serve::ServeArgs),
    /// Vérifie le contenu, la loi et l'accessibilité, sans rien écrire
    Check(check::CheckArgs),
    /// Envoie le site là où les visiteurs le lisent, ou remet la version précédente
    Publish(publish::PublishArgs),
    /// Ouvre le guichet : reçoit les demandes des habitants et les porte à la mairie
    Guichet(guichet::GuichetArgs),
    /// Montre les demandes reçues, ce qui attend et ce qui est bloqué
    Demandes(demandes::DemandesArgs),
    /// Écrit les réglages d'un serveur web, Caddy ou nginx, pour ces sites et leur guichet
    Exemple(exemple::ExempleArgs),
    /// Dit comment vont toutes les communes : sites, demandes, certificats, sauvegardes
    Etat(overview::OverviewArgs),
    /// Écrit le registre des traitements (RGPD) à partir des formulaires
    Registre(registre::RegistreArgs),
    /// Met un dossier d'une version précédente à la forme d'aujourd'hui
    Migrate(migrate::MigrateArgs),
    /// Copie les demandes reçues, même pendant que le guichet travaille
    Backup(backup::BackupArgs),
    /// Remet une sauvegarde dans un dossier vide, après l'avoir vérifiée
    Restore(backup::RestoreArgs),
}

/// What every command on a commune's folder takes.
#[derive(Debug, Args)]
struct FolderArgs {
    /// Dossier de la commune, ou d'un territoire (le dossier courant s'il n'est pas donné)
    #[arg(value_name = "DOSSIER", default_value = ".", hide_default_value = true, value_parser = PathBufValueParser::new().map(commune_folder))]
    folder: PathBuf,
    /// Fait comme si l'on était ce jour-là, à midi (AAAA-MM-JJ)
    #[arg(long = "date", value_name = "DATE")]
    date: Option<jiff::civil::Date>,
}

/// The folder of a commune or of a territoire, whose `.toml` may be given in its place.
fn commune_folder(path: PathBuf) -> PathBuf {
    let is_known = path.ends_with(Commune::FILE) || path.ends_with(Territoire::FILE);
    match path.parent().filter(|_| is_known && path.is_file()) {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path,
    }
}

impl FolderArgs {
    /// The instant to build for.
    fn now(&self) -> jiff::Timestamp {
        let noon = |date: jiff::civil::Date| date.at(12, 0, 0, 0).in_tz("Europe/Paris").map(|zoned| zoned.timestamp());
        self.date.and_then(|date| noon(date).ok()).unwrap_or_else(jiff::Timestamp::now)
    }
}

/// Runs an order: arguments as the system gives them, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage::explain(&error),
    };
    match cli.command {
        Command::New(args) => new::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Publish(args) => publish::run(&args),
        Command::Guichet(args) => guichet::run(&args),
        Command::Demandes(args) => demandes::run(&args),
        Command::Exemple(args) => exemple::run(&args),
        Command::Etat(args) => overview::run(&args),
        Command::Registre(args) => registre::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Backup(args) => backup::run_backup(&args),
        Command::Restore(args) => backup::run_restore(&args),
    }
}

/// The site of a folder without its pages, and what there is to say of it; `None` without a usable `commune.toml`.
fn resolved(folder: &Path, now: jiff::Timestamp) -> Option<(Site, Vec<Diagnostic>)> {
    let base = Base::embedded();
    let (sources, mut told) = load::sources(&load::Layers::of(folder, &base.catalogue));
    let sources = sources?;
    let local = local(now, &sources.commune.fuseau);
    let (site, more) = resolve::site(sources, local);
    told.extend(more);
    Some((site, told))
}

/// Folder of the pictures' cache: the user's, never the author's.
fn picture_cache() -> PictureCache {
    PictureCache::new(cache_dir().map(|dir| dir.join("images")))
}

/// `$XDG_CACHE_HOME/mulot`, or `~/.cache/mulot`; `None` when neither is known.
fn cache_dir() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|dir| Path::new(dir).is_absolute()).map(PathBuf::from);
    base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"))).map(|base| base.join("mulot"))
}

/// Where servers run.
fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        report::say(format!("erreur : la machine ne peut pas démarrer le serveur : {}", crate::fs::cause(&error)));
        Exit::Machine
    })
}

/// What pages say of the program.
fn generator() -> String {
    format!("Mulot {}", env!("CARGO_PKG_VERSION"))
}

/// A folder that is not there, or that only holds communes, is an order at fault, told before anything else.
fn missing_folder(folder: &Path) -> Option<Exit> {
    if let Some(territoire) = territoire_of_communes(folder) {
        report::say(format!("erreur : « {} » est le dossier communes/ d'un territoire", folder.display()));
        report::say(format!("aide : donnez celui du territoire : mulot check {}", territoire.display()));
        return Some(Exit::Fault);
    }
    if folder.is_dir() {
        return None;
    }
    report::say(format!("erreur : le dossier « {} » n'existe pas", folder.display()));
    report::say("aide : vérifiez le chemin, ou créez une commune : mulot new DOSSIER --insee 01299");
    Some(Exit::Fault)
}

/// The territoire whose `communes/` this is, as it was named when that is possible.
fn territoire_of_communes(folder: &Path) -> Option<PathBuf> {
    let whole = folder.canonicalize().ok()?;
    let root = whole.parent().filter(|_| whole.ends_with(Territoire::COMMUNES))?;
    if !load::Territoire::is_one(root) || folder.join(Commune::FILE).exists() {
        return None;
    }
    let named =
        folder.parent().filter(|named| folder.ends_with(Territoire::COMMUNES) && load::Territoire::is_one(named));
    Some(named.filter(|named| !named.as_os_str().is_empty()).unwrap_or(root).to_owned())
}

/// « Site du 21 novembre 2026 », when another day than today was asked for.
fn day_note(args: &FolderArgs) -> String {
    args.date.map(|date| format!(" (comme au {})", short_date(date))).unwrap_or_default()
}
