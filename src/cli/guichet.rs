//! `mulot guichet`: the production server of one commune or of a territoire.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sd_notify::NotifyState;

use super::faults::start_fault;
use super::place::{is_key_open, key_file, open_key_words};
use super::{Exit, generator, picture_cache, report, telemetry};
use crate::diagnostic::Diagnostic;
use crate::intake::token::KEY_FILE;
use crate::pipeline::Base;
use crate::server::StartError;
use crate::server::config::{GuichetConfig, HallConfig, Role, Secrets};
use crate::server::guichet::{Guichet, Means};
use crate::server::listen::{ListenError, Listener, stop_signal};
use crate::text::numbers::plural;

#[derive(Debug, Clone, Args)]
#[command(help_template = super::usage::TEMPLATE)]
pub(super) struct GuichetArgs {
    /// Fichier de configuration (guichet.toml s'il n'est pas donné)
    #[arg(value_name = "CONFIG", default_value = "guichet.toml", hide_default_value = true)]
    config: PathBuf,
    /// Ne fait qu'une moitié du travail : accueil reçoit les demandes, courrier les envoie (sans cette option : tout)
    #[arg(long = "role", value_name = "RÔLE", hide_possible_values = true)]
    role: Option<RoleName>,
}

/// A role, as it is typed.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RoleName {
    Accueil,
    Courrier,
}

impl GuichetArgs {
    fn role(&self) -> Role {
        match self.role {
            None => Role::Whole,
            Some(RoleName::Accueil) => Role::Front,
            Some(RoleName::Courrier) => Role::Back,
        }
    }

    /// The configuration, read anew.
    fn read(&self) -> Result<HallConfig, Vec<Diagnostic>> {
        let role = self.role();
        let secrets = if role.delivers() { Secrets::of_service() } else { Secrets::withheld() };
        let mut config = HallConfig::read_to_serve(&self.config, &secrets)?;
        config.role = role;
        if config.territoire.is_none() {
            config.common.key_file = key_file(config.common.key_file);
        }
        Ok(config)
    }
}

pub(super) fn run(args: &GuichetArgs) -> Exit {
    super::allocator::give_back();
    telemetry::start(tracing::level_filters::LevelFilter::INFO, true);
    let config = match args.read() {
        Ok(config) => config,
        Err(diagnostics) => {
            let folder = args.config.parent().unwrap_or(std::path::Path::new("."));
            report::say(report::text(&diagnostics, folder, report::colour(&std::io::stderr())).trim_end());
            return Exit::Fault;
        }
    };
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
        let (shared, common) = (config.territoire.clone(), config.common.clone());
        let socket = match inherited(args.role()) {
            Ok(socket) => socket,
            Err(error) => return start_fault(&StartError::Listen(error), ""),
        };
        let guichet = match Guichet::build_on(config, means, socket).await {
            Ok(guichet) => guichet,
            Err(error) => {
                return start_fault(&error, "changez la clé ecoute de la configuration, ou arrêtez l'autre programme");
            }
        };
        let rereading = args.clone();
        let guichet = guichet.rereading(Arc::new(move || rereading.read()));
        let told = match &shared {
            Some(territoire) => tell_many(&guichet, territoire, args.role()),
            None => tell_one(&guichet, &common, args.role()),
        };
        if let Err(exit) = told {
            return exit;
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
        let ending = async {
            // Nobody may be there to be told: that is no fault.
            let _ = sd_notify::notify(&[NotifyState::Ready]);
            tokio::select! {
                () = stop_signal() => {}
                () = keep_watchdog_quiet() => {}
            }
            let _ = sd_notify::notify(&[NotifyState::Stopping]);
        };
        guichet.run_until_stopped(ending).await;
        report::say("Guichet arrêté : tout ce qui était accepté est gardé.");
        Exit::Done
    })
}

/// The socket that systemd listens to and gives to who receives: this process then needs no network of its own.
fn inherited(role: Role) -> Result<Option<Listener>, ListenError> {
    if !role.receives() {
        return Ok(None);
    }
    let mut sockets = listenfd::ListenFd::from_env();
    if let Ok(Some(socket)) = sockets.take_tcp_listener(0) {
        return Listener::inherited_tcp(socket).map(Some);
    }
    match sockets.take_unix_listener(0) {
        Ok(Some(socket)) => Listener::inherited_unix(socket).map(Some),
        _ => Ok(None),
    }
}

/// Tells systemd's watchdog, when there is one, that the program is alive; never ends.
async fn keep_watchdog_quiet() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        tokio::time::sleep(limit / 3).await;
        let _ = sd_notify::notify(&[NotifyState::Watchdog]);
    }
}

/// What the one who starts the guichets of a territoire must know.
fn tell_many(guichet: &Guichet, territoire: &Path, role: Role) -> Result<(), Exit> {
    let census = guichet.census();
    let communes = plural(census.communes as u64, "commune", "communes");
    report::say(match role {
        Role::Back => format!("Courrier en marche pour {communes} de « {} »", territoire.display()),
        _ => format!(
            "Guichet ouvert sur {} : {communes} de « {} », {}",
            guichet.local_addr(),
            territoire.display(),
            plural(guichet.hosts().len() as u64, "domaine", "domaines")
        ),
    });
    let unreached = guichet.unreached();
    if !unreached.is_empty() {
        report::say(report::text(&unreached, territoire, report::colour(&std::io::stderr())).trim_end());
        report::say("Les autres communes sont servies ; corrigez, puis rechargez (systemctl reload, ou kill -HUP)");
    }
    if census.nowhere > 0 {
        report::say(format!(
            "avertissement : {} sans domaine ni adresse de guichet : personne ne peut {} joindre",
            plural(census.nowhere as u64, "commune est", "communes sont"),
            if census.nowhere == 1 { "la" } else { "les" }
        ));
    }
    Ok(())
}

/// The same for the guichet of one commune.
fn tell_one(guichet: &Guichet, config: &GuichetConfig, role: Role) -> Result<(), Exit> {
    let key = config.key_file.clone().unwrap_or_else(|| config.data.join(KEY_FILE));
    let summary = report::summary(guichet.diagnostics());
    if !summary.is_empty() {
        report::say(format!("{summary} (mulot check en donne le détail)"));
    }
    let forms = plural(guichet.open_forms().unwrap_or_default().len() as u64, "formulaire", "formulaires");
    let mails = guichet.destination().map(|to| format!("courriels vers {to}"));
    report::say(match role {
        Role::Back => format!("Courrier en marche : {}", mails.unwrap_or_default()),
        _ => format!(
            "Guichet ouvert sur {} : {forms} ; {}",
            guichet.local_addr(),
            mails.unwrap_or_else(|| "un autre programme envoie les courriels (--role courrier)".to_owned())
        ),
    });
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
                forms => {
                    format!("{} d'ici là", plural(forms as u64, "formulaire reste fermé", "formulaires restent fermés"))
                }
            };
            report::say(format!(
                "À confirmer : {} ; {closed}. Un code part vers chaque boîte (mulot demandes destinataires)",
                waiting.join(", ")
            ));
        }
        Err(error) => return Err(start_fault(&error, "")),
    }
    Ok(())
}
