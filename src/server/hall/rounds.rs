//! Goes round the communes: opens those where something is due, closes those that nobody asks for, and follows what other
//! processes write. All legal duties of a closed guichet — the digest, the purge, mails that wait — depend on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::counter::{Counter, Glance, stamp};
use super::news::News;
use super::{Hall, is_pinned};
use crate::server::config::Role;
use crate::server::listen::Stop;

/// Goes round until told to stop.
pub(in crate::server) async fn run(hall: Arc<Hall>, mut stop: Stop) {
    let mut stamped = Instant::now();
    let mut news = None;
    let mut tick = TICK;
    loop {
        tokio::select! {
            () = stop.asked() => return,
            () = tokio::time::sleep(tick) => {}
        }
        let every = if hall.plan().config.role == Role::Back { STAMPS_OF_DELIVERY } else { STAMPS };
        if stamped.elapsed() >= every {
            stamped = Instant::now();
            let looking = hall.clone();
            let before = news.take();
            // A thousand folders are looked at: that may wait for a disk.
            let looked = tokio::task::spawn_blocking(move || {
                look_at_stamps(&looking);
                News::of(&looking, before)
            });
            news = looked.await.unwrap_or_default();
        }
        tick = if round(&hall) { TICK_OF_VISITS } else { TICK };
    }
}

/// One round; what it decides is done beside it. Whether guichets wait for a visit.
fn round(hall: &Arc<Hall>) -> bool {
    let (plan, now) = (hall.plan(), hall.now());
    let pinned = is_pinned(&plan);
    let mut visiting = 0;
    let mut due: Vec<(Timestamp, Arc<Counter>)> = Vec::new();
    for counter in plan.counters.values() {
        let glance = counter.glance();
        match &glance.awake {
            None if pinned => due.push((now, counter.clone())),
            None => due.extend(glance.due.filter(|due| *due <= now).map(|due| (due, counter.clone()))),
            Some(_) if glance.is_stale => {
                if glance.may_retry {
                    begin_close(hall, counter, PATIENCE);
                }
            }
            Some(_) if pinned => {}
            Some(_) => {
                visiting += usize::from(glance.last.is_none());
                if may_sleep(&glance, now, plan.config.asleep_after) {
                    begin_close(hall, counter, Duration::ZERO);
                }
            }
        }
    }
    due.sort_by_key(|(due, _)| *due);
    let is_waited_for = !pinned && !due.is_empty();
    for (_, counter) in due.into_iter().take(VISITS.saturating_sub(visiting)) {
        begin_visit(hall, &counter);
    }
    let mut leaving = hall.leaving.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    leaving.retain(|counter| counter.is_removed() && counter.awake().is_some());
    leaving
        .iter()
        .filter(|counter| !counter.glance().is_taken)
        .for_each(|counter| begin_close(hall, counter, PATIENCE));
    is_waited_for
}

/// Whether nobody is there, nobody came lately, and nothing is under way nor about to be.
fn may_sleep(glance: &Glance, now: Timestamp, after: SignedDuration) -> bool {
    let Some(awake) = glance.awake.as_ref().filter(|_| !glance.is_taken && !glance.is_held) else { return false };
    let is_idle = glance.last.is_none_or(|last| now.duration_since(last) >= after);
    is_idle && awake.due(now).is_none_or(|due| now.duration_until(due) > SOON)
}

/// Opens a guichet without a visitor, unless somebody opens or closes it already.
fn begin_visit(hall: &Arc<Hall>, counter: &Arc<Counter>) {
    let (hall, counter) = (hall.clone(), counter.clone());
    tokio::spawn(async move {
        let Ok(mut turn) = counter.turn.try_lock() else { return };
        if counter.awake().is_some() {
            return;
        }
        let slot = if is_pinned(&hall.plan()) { None } else { hall.slot().await };
        // What fails is logged there, and tried again later.
        let _ = hall.open(&counter, &mut turn, slot).await;
    });
}

/// Closes a guichet, unless somebody opens or closes it already.
fn begin_close(hall: &Arc<Hall>, counter: &Arc<Counter>, patience: Duration) {
    if counter.turn.try_lock().is_err() {
        return;
    }
    let (hall, counter) = (hall.clone(), counter.clone());
    tokio::spawn(async move {
        if !hall.close(&counter, patience).await && patience > Duration::ZERO {
            counter.put_off();
        }
    });
}

/// Looks which databases another process has written in: an order of the administration, or the other half of the guichet. Those
/// open here give back what they do not use.
fn look_at_stamps(hall: &Hall) {
    let (plan, now) = (hall.plan(), hall.now());
    for counter in plan.counters.values() {
        if let Some(awake) = counter.awake() {
            awake.rest();
        }
        let settings = counter.settings();
        if settings.is_on_server {
            // A server has no file to look at: what is committed there is heard (`News`), and each is visited now and then in case
            // it was not.
            let next = now.saturating_add(SERVER_VISITS).unwrap_or(now);
            let glance = counter.glance();
            if plan.config.role.delivers() && glance.awake.is_none() && glance.due.is_none_or(|due| due > next) {
                counter.is_due(next);
            }
            continue;
        }
        if !counter.was_written(stamp(&settings.data)) {
            continue;
        }
        match counter.awake() {
            Some(awake) => {
                if plan.config.role == Role::Back {
                    counter.touch(now);
                }
                awake.look_again();
            }
            None if plan.config.role.delivers() => counter.is_due(now),
            None => {}
        }
    }
}

/// Between two rounds.
const TICK: Duration = Duration::from_millis(250);
/// The same while guichets wait for a visit, most of which end at once.
const TICK_OF_VISITS: Duration = Duration::from_millis(50);
/// Between two looks at the databases.
const STAMPS: Duration = Duration::from_secs(10);
/// The same for who only delivers: a request leaves within that time.
const STAMPS_OF_DELIVERY: Duration = Duration::from_secs(1);
/// Between two visits to a closed guichet whose database is on a server, where other instances may have written.
const SERVER_VISITS: SignedDuration = SignedDuration::from_mins(10);
/// Guichets opened without a visitor at the same time.
const VISITS: usize = 2;
/// What is due within that time keeps a guichet open.
const SOON: SignedDuration = SignedDuration::from_secs(60);
/// How long visitors may keep a guichet from taking its new settings; others wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
