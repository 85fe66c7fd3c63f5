//! `mulot serve`: the live preview, with the real guichet inside.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use clap::Args;

use super::faults::start_fault;
use super::{Exit, FolderArgs, cache_dir, day_note, generator, missing_folder, picture_cache, report, telemetry};
use crate::diagnostic::{Diagnostic, Severity};
use crate::load::Territoire;
use crate::pipeline::Base;
use crate::server::listen::{Limits, ListenAddress, stop_signal};
use crate::server::preview::{Bounds, News, Preview, PreviewConfig, TerritoirePreview};
use crate::server::{BuildReport, DIAGNOSTICS_URL};
use crate::text::numbers::plural;

#[derive(Debug, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Port de cette machine (4000 s'il n'est pas donné ; 0 : un port libre)
    #[arg(long, short = 'p', value_name = "PORT", default_value_t = 4000, hide_default_value = true)]
    port: u16,
}

pub(super) fn run(args: &ServeArgs) -> Exit {
    telemetry::start(tracing::level_filters::LevelFilter::ERROR, false);
    let folder = args.folder.folder.clone();
    if let Some(exit) = missing_folder(&folder) {
        return exit;
    }
    let address = Arc::new(OnceLock::new());
    let is_territoire = Territoire::is_one(&folder);
    let config = PreviewConfig {
        folder: folder.clone(),
        listen: ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], args.port))),
        state: cache_dir(),
        base: Arc::new(Base::embedded()),
        pictures: Arc::new(picture_cache()),
        generator: generator(),
        now: args.folder.date.map(|_| args.folder.now()),
        limits: Limits::default(),
        told: Arc::new({
            let address = address.clone();
            move |news: News<'_>| match news {
                News::Built(folder, built) if is_territoire => {
                    report::say(format!("— {}", name_of(folder)));
                    tell(built, folder, &OnceLock::new());
                }
                News::Built(folder, built) => tell(built, folder, &address),
                News::Failed(folder, error) => {
                    report::say(format!("— {}", name_of(folder)));
                    let _ = start_fault(
                        error,
                        "rechargez la page pour essayer encore ; les autres communes restent ouvertes",
                    );
                }
            }
        }),
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    runtime.block_on(async {
        match is_territoire {
            true => territoire(config, args).await,
            false => commune(config, args, &address).await,
        }
    })
}

const OTHER_PORT: &str = "choisissez un autre port : mulot serve --port 4001";

/// One commune, at the root of the address.
async fn commune(config: PreviewConfig, args: &ServeArgs, address: &OnceLock<String>) -> Exit {
    let folder = config.folder.clone();
    let preview = match Preview::build(config).await {
        Ok(preview) => preview,
        Err(error) => return start_fault(&error, OTHER_PORT),
    };
    // Known once it listens; builds are told it by then.
    let here = address.get_or_init(|| preview.local_addr().to_string());
    tell(preview.first_build(), &folder, address);
    report::say(format!("Votre site{} : http://{here}/", day_note(&args.folder)));
    report::say(format!("Boîte aux lettres : http://{here}/__mulot/boite (rien ne quitte cette machine)"));
    report::say("Enregistrez un fichier : la page se recharge. Ctrl+C pour arrêter.");
    preview.run_until_stopped(stop_signal()).await;
    Exit::Done
}

/// The communes of a territoire, each under a name of its own.
async fn territoire(config: PreviewConfig, args: &ServeArgs) -> Exit {
    let preview = match TerritoirePreview::build(config, Bounds::default()).await {
        Ok(preview) => preview,
        Err(error) => return start_fault(&error, OTHER_PORT),
    };
    let port = match preview.local_addr() {
        ListenAddress::Tcp(address) => address.port(),
        _ => args.port,
    };
    let count = plural(preview.communes() as u64, "commune", "communes");
    report::say(format!("Votre territoire{}, {count} : http://localhost:{port}/", day_note(&args.folder)));
    report::say(format!(
        "Chaque commune : http://NOM.localhost:{port}/, construite à sa première visite (rien ne quitte cette machine)"
    ));
    report::say("Enregistrez un fichier : la page se recharge. Ctrl+C pour arrêter.");
    preview.run_until_stopped(stop_signal()).await;
    Exit::Done
}

/// The name of a commune's folder.
fn name_of(folder: &Path) -> String {
    folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Says what a build did.
fn tell(built: &BuildReport, folder: &Path, address: &OnceLock<String>) {
    let draw = |told: &[Diagnostic]| report::text(told, folder, report::colour(&std::io::stderr()));
    for line in lines(built, address.get().map(String::as_str), draw) {
        report::say(line.trim_end());
    }
}

/// Warnings, then errors, so that what was just broken stands last; blanks, which stay for weeks, are only counted.
fn lines(built: &BuildReport, address: Option<&str>, draw: impl Fn(&[Diagnostic]) -> String) -> Vec<String> {
    let of = |severity: Severity| -> Vec<Diagnostic> {
        built.diagnostics.iter().filter(|told| told.severity == severity).cloned().collect()
    };
    let (warnings, errors, blanks) = (of(Severity::Warning), of(Severity::Error), of(Severity::Blank).len() as u64);
    let mut lines = Vec::new();
    if blanks > 0 {
        let at = address.map(|address| format!(" : http://{address}{DIAGNOSTICS_URL}")).unwrap_or_default();
        lines.push(format!("{}{at}", plural(blanks, "point à compléter", "points à compléter")));
    }
    lines.extend([draw(&warnings), draw(&errors)].into_iter().filter(|drawn| !drawn.is_empty()));
    let summary = report::summary(&[warnings, errors].concat());
    let with = if summary.is_empty() { String::new() } else { format!(" — {summary}") };
    lines.push(if built.is_good {
        format!(
            "{} en {} ms{with}",
            plural(built.files as u64, "fichier prêt", "fichiers prêts"),
            built.took.as_millis()
        )
    } else {
        let meanwhile = match built.files {
            0 => "la page les montre en attendant que ce soit corrigé",
            _ => "la dernière version correcte reste affichée",
        };
        format!("{summary} : {meanwhile}")
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Place};

    #[test]
    fn the_new_error_stands_last_and_blanks_are_counted() {
        let at = || Place::file("a.md");
        let built = BuildReport {
            is_good: false,
            files: 12,
            took: std::time::Duration::ZERO,
            diagnostics: vec![
                Diagnostic::error(Code::DeadLink, at(), "faute"),
                Diagnostic::blank(Code::LegalMention, at(), "vide"),
                Diagnostic::blank(Code::LegalMention, at(), "vide aussi"),
                Diagnostic::warning(Code::Stale, at(), "attention"),
            ],
        };
        let draw = |told: &[Diagnostic]| told.iter().map(|one| one.message.clone()).collect::<Vec<_>>().join(" ");
        let lines = lines(&built, Some("127.0.0.1:4000"), draw);
        let lines: Vec<_> = lines.iter().map(|line| line.replace('\u{a0}', " ")).collect();
        assert_eq!(
            lines,
            [
                "2 points à compléter : http://127.0.0.1:4000/__mulot/diagnostics",
                "attention",
                "faute",
                "1 erreur, 1 avertissement : la dernière version correcte reste affichée",
            ]
        );
        let first = super::lines(&BuildReport { files: 0, ..built }, None, draw);
        assert!(first.last().is_some_and(|line| line.contains("la page les montre")), "{first:?}");
    }
}
