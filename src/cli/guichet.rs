//! `mulot guichet`: the production server of one commune.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::faults::start_fault;
use super::place::{is_key_open, key_file, open_key_words};
use super::{Exit, generator, picture_cache, report, telemetry};
use crate::intake::token::KEY_FILE;
use crate::pipeline::Base;
use crate::server::config::{BOUNCES_PASSWORD_VARIABLE, GuichetConfig, PASSWORD_VARIABLE, Secrets};
use crate::server::guichet::{Guichet, Means};
use crate::server::listen::stop_signal;
use crate::text::numbers::plural;

#[derive(Debug, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct GuichetArgs {
    /// Fichier de configuration (guichet.toml s'il n'est pas donné)
    #[arg(value_name = "CONFIG", default_value = "guichet.toml", hide_default_value = true)]
    config: PathBuf,
}

pub(super) fn run(args: &GuichetArgs) -> Exit {
    super::allocator::give_back();
    telemetry::start(tracing::level_filters::LevelFilter::INFO, true);
    let variable = |name| std::env::var(name).ok();
    let secrets = Secrets { smtp: variable(PASSWORD_VARIABLE), imap: variable(BOUNCES_PASSWORD_VARIABLE) };
    let mut config = match GuichetConfig::read_to_serve(&args.config, secrets) {
        Ok(config) => config,
        Err(diagnostics) => {
            let folder = args.config.parent().unwrap_or(std::path::Path::new("."));
            report::say(report::text(&diagnostics, folder, report::colour(&std::io::stderr())).trim_end());
            return Exit::Fault;
        }
    };
    config.key_file = key_file(config.key_file);
    let key = config.key_file.clone().unwrap_or_else(|| config.data.join(KEY_FILE));
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    runtime.block_on(async {
        let means = Means {
            base: Arc::new(Base::embedded()),
            pictures: Arc::new(picture_cache()),
            generator: generator(),
            clock: Arc::new(jiff::Timestamp::now),
        };
        let guichet = match Guichet::build(config, means).await {
            Ok(guichet) => guichet,
            Err(error) => {
                return start_fault(&error, "changez la clé ecoute de la configuration, ou arrêtez l'autre programme");
            }
        };
        let summary = report::summary(guichet.diagnostics());
        if !summary.is_empty() {
            report::say(format!("{summary} (mulot check en donne le détail)"));
        }
        report::say(format!(
            "Guichet ouvert sur {} : {} ; courriels vers {}",
            guichet.local_addr(),
            plural(guichet.open_forms().len() as u64, "formulaire", "formulaires"),
            guichet.destination()
        ));
        if is_key_open(&key) {
            report::say(format!("avertissement : {}", open_key_words(&key)));
        }
        if let Some(name) = guichet.signed_as() {
            report::say(format!("Messages signés (DKIM) : {name} ; mulot demandes dkim donne ce qu'il faut publier"));
        }
        // On a terminal the one who reads is at work here; elsewhere this line is a journal.
        match guichet.waiting_mailboxes(std::io::stderr().is_terminal()) {
            Ok((waiting, _)) if waiting.is_empty() => {}
            Ok((waiting, forms)) => {
                let closed = match forms {
                    0 => "aucun formulaire ne l'attend".to_owned(),
                    forms => format!(
                        "{} d'ici là",
                        plural(forms as u64, "formulaire reste fermé", "formulaires restent fermés")
                    ),
                };
                report::say(format!(
                    "À confirmer : {} ; {closed}. Un code part vers chaque boîte (mulot demandes destinataires)",
                    waiting.join(", ")
                ));
            }
            Err(error) => return start_fault(&error, ""),
        }
        if let Some(front) = guichet.front() {
            report::say(format!("HTTPS sur {}", front.https_addr()));
            let waiting = front.waiting();
            if !waiting.is_empty() {
                report::say(format!(
                    "Sans certificat pour le moment : {} (mulot demandes etat dit où l'on en est)",
                    waiting.join(", ")
                ));
            }
        }
        if let Some(address) = guichet.metrics_addr() {
            report::say(format!("Mesures sur {address}, chemin /metrics"));
        }
        guichet.run_until_stopped(stop_signal()).await;
        report::say("Guichet arrêté : tout ce qui était accepté est gardé.");
        Exit::Done
    })
}
