//! What works beside the routes of an open guichet, until told to stop.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::awake::blocking;
use super::source::Source;
use crate::intake::accept::Depot;
use crate::intake::bounces::{self, ImapConfig, Strangers};
use crate::intake::mailer::Mailer;
use crate::intake::notice;
use crate::model::intake::Quarantined;
use crate::server::StartError;
use crate::server::desk::{Clock, Desk, reading};
use crate::server::duties::Duty;
use crate::server::listen::Stop;
use crate::server::office::Office;

/// Reads the folder again every hour, and when asked to.
pub(super) async fn refresh(source: Arc<Source>, desk: Arc<Desk>, asked: Arc<Notify>, mut stop: Stop) {
    loop {
        tokio::select! {
            () = stop.asked() => return,
            () = asked.notified() => {}
            () = tokio::time::sleep(HOUR) => {}
        }
        match blocking(&source, Source::content).await {
            Ok(built) => {
                desk.show(built.content);
                let looking = desk.clone();
                if let Err(error) = reading(move || looking.look_at_mailboxes()).await {
                    tracing::error!(event = "mailbox.failed", error.reason = %error, "mailboxes could not be looked at");
                }
                desk.ask_again();
            }
            Err(StartError::Content(told)) => {
                let errors = told.iter().filter(|one| one.severity == crate::diagnostic::Severity::Error).count();
                tracing::warn!(
                    event = "content.refused",
                    commune = source.name(),
                    errors,
                    "the folder has errors; what was right stays in place"
                );
            }
            Err(_) => {
                tracing::warn!(
                    event = "content.refused",
                    commune = source.name(),
                    "the folder cannot be read; what was right stays in place"
                );
            }
        }
    }
}

/// Tells the mairie of what goes to quarantine, at once; what it could not be told, later and later.
pub(super) async fn tell(desk: Arc<Desk>, office: Office, mailer: Arc<Mailer>, mut stop: Stop) {
    let (watch, store) = (office.watch(), office.depot().store);
    let mut pause = TELL_AGAIN;
    loop {
        let round = watch.duties.begin(Duty::Quarantine);
        let (issuer, boxes, now) = desk.mailboxes();
        let links = desk.links(&desk.content());
        let reading = store.clone();
        let recipients = Arc::new(move |one: &Quarantined| notice::mailboxes_of(&reading, &boxes, one));
        let is_refused = match notice::tell(&store, &mailer, (&issuer, &links), recipients, &now).await {
            Ok(told) => told.refused > 0,
            Err(error) => {
                tracing::error!(event = "quarantine.failed", error.reason = %error, "the mairie could not be told");
                true
            }
        };
        pause = if is_refused { (pause * 2).min(HOUR) } else { TELL_AGAIN };
        let again = is_refused.then(|| in_an_hour(now.timestamp())).flatten();
        watch.duties.done(round, again);
        tokio::select! {
            () = stop.asked() => return,
            // A flood is no reason to try a server that refuses more often.
            () = watch.suspect(), if !is_refused => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Reads the mailbox of reports, now and then; one that cannot be read keeps nothing else from working.
pub(super) async fn listen_to_bounces(config: ImapConfig, office: Office, clock: Clock, mut stop: Stop) {
    let (mut strangers, mut pause) = (Strangers::default(), BOUNCES_AGAIN);
    let (watch, store) = (office.watch(), office.depot().store);
    loop {
        let round = watch.duties.begin(Duty::Bounces);
        let looked = tokio::select! {
            () = stop.asked() => return,
            looked = bounces::look(&config, &store, &mut strangers, clock()) => looked,
        };
        watch.duties.done(round, in_an_hour(clock()));
        match looked {
            Ok(looked) => {
                pause = BOUNCES_AGAIN;
                if looked.ours > 0 {
                    // A request that came back goes to other mailboxes.
                    watch.duties.news(Duty::Mail);
                    let (ours, failed) = (looked.ours, looked.failed);
                    tracing::info!(event = "bounces", ours, failed, "servers report what they could not deliver");
                }
            }
            Err(error) => {
                pause = (pause * 2).min(HOUR);
                tracing::warn!(event = "bounces.failed", error.reason = %error, "the mailbox of reports cannot be read");
            }
        }
        tokio::select! {
            () = stop.asked() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Weighs the files every hour: the process that delivers removes some. A bucket is weighed at start, too, which opening does not
/// do; what this process has left of uploads on its own disk then goes first, for nobody else sees it.
pub(super) async fn weigh(office: Office, mut stop: Stop) {
    let mut is_due = office.depot().files.has_bucket();
    loop {
        if is_due {
            let Depot { store, files } = office.depot();
            let store = store.weak();
            let weighed = tokio::task::spawn_blocking(move || {
                if files.sweep_scratch(SystemTime::now()).is_err() {
                    tracing::warn!(event = "files.sweep", "what was left of uploads cannot be removed");
                }
                files.measure_room(&store)
            });
            if let Ok(Err(_)) = weighed.await {
                tracing::warn!(event = "files.weigh", "the files cannot be weighed");
            }
        }
        is_due = true;
        tokio::select! {
            () = stop.asked() => return,
            () = tokio::time::sleep(HOUR) => {}
        }
    }
}

fn in_an_hour(now: Timestamp) -> Option<Timestamp> {
    now.checked_add(SignedDuration::from_hours(1)).ok()
}

/// Between two looks at what the mairie was not told yet.
const TELL_AGAIN: Duration = Duration::from_secs(300);
/// Between two looks at the mailbox of reports.
const BOUNCES_AGAIN: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3600);
