//! Publishes the sites of a territoire: those that are built and judged, each to its own target, a few at a time.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::{FleetRequest, Line, Outcome, check_one, site_of};
use crate::builds;
use crate::diagnostic::{Diagnostic, first_error};
use crate::load::{self, Layers, Member, Territoire};
use crate::model::publication::Target;
use crate::publish::{self, Done, Order, PublishError};
use crate::s3::HalfKey;

/// What publishing is asked, besides the build.
#[derive(Debug, Clone)]
pub struct Sending {
    /// Identifier and secret that the environment gives, for buckets.
    pub keys: Result<Option<(String, String)>, HalfKey>,
    /// Whether to say what would be sent, and send nothing.
    pub dry: bool,
    /// Whether to take the place of publications that were interrupted on another machine.
    pub take_over: bool,
}

/// What became of the site of a commune.
#[derive(Debug)]
pub enum Sent {
    /// It was sent, or would be; nothing was to do when nothing changed.
    Done(Done),
    /// Nothing says where it goes.
    Nowhere,
    /// It has errors that only a whole check finds.
    Refused(Vec<Diagnostic>),
    /// It was not built: its line says why.
    NotBuilt,
    /// Its target cannot be meant: a French sentence, and what to do.
    Misdirected(String, &'static str),
    /// The target or the machine failed; what visitors see is whole.
    Failed(PublishError),
    /// It was not tried: the way to its server is closed, as another site has just found.
    NotTried {
        /// What happened to that other one, in French.
        sentence: String,
        /// What to do about it, in French.
        remedy: String,
    },
}

/// Accounts of servers that let nobody in, and what they said: each is asked by the sites under way at most, then left alone.
#[derive(Default)]
struct Ways {
    closed: Mutex<BTreeMap<Way, Closed>>,
}

/// Account and host, port, key.
type Way = (String, Option<u16>, Option<PathBuf>);
/// What happened, and what to do.
type Closed = (String, String);

impl Ways {
    /// Goes to a target, unless its way is known to be closed.
    fn through(&self, target: &Target, go: impl FnOnce() -> Sent) -> Sent {
        let Target::Ssh(ssh) = target else { return go() };
        let way = (ssh.host.clone(), ssh.port, ssh.key_file.clone());
        let closed = || self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sentence, remedy)) = closed().get(&way).cloned() {
            return Sent::NotTried { sentence, remedy };
        }
        let sent = go();
        if let Sent::Failed(PublishError::Ssh { sentence, remedy, is_way: true }) = &sent {
            closed().insert(way, (sentence.clone(), remedy.clone()));
        }
        sent
    }
}

/// Publishes the sites of communes whose lines a build gave, in the same order; each is given to `told` as soon as it is known.
pub fn publish(
    request: &FleetRequest<'_>,
    (members, lines): (&[Member], &[Line]),
    sending: &Sending,
    told: &(dyn Fn(&str, &Sent) + Sync),
) -> Vec<Sent> {
    let targets: Vec<Option<Target>> = members.iter().map(|member| target_of(request, member)).collect();
    let wrong = misdirected(request, members, &targets);
    let sent: Vec<Mutex<Option<Sent>>> = members.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let ways = Ways::default();
    std::thread::scope(|scope| {
        // They wait for networks, not for processors.
        for _ in 0..AT_ONCE.min(members.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(member), Some(line)) = (members.get(at), lines.get(at)) else { return };
                    let one = match (wrong.get(&at), &targets[at]) {
                        (Some((sentence, remedy)), _) => Sent::Misdirected(sentence.clone(), remedy),
                        // What is not built may well have a target: its folder is missing, or says nothing that can be read.
                        (None, None) if !is_built(line) => Sent::NotBuilt,
                        (None, None) => Sent::Nowhere,
                        (None, Some(target)) => send(request, (member, line), (target, &ways), sending),
                    };
                    if !sending.dry {
                        note(request, member, &one);
                    }
                    told(&member.name, &one);
                    *sent[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(one);
                }
            });
        }
    });
    sent.into_iter().filter_map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// Keeps why a site was not even sent; what was sent, or failed on its way, is kept there.
fn note(request: &FleetRequest<'_>, member: &Member, sent: &Sent) {
    let cause = match sent {
        Sent::Done(_) | Sent::Failed(_) => return,
        Sent::NotTried { sentence, .. } => Some(sentence.clone()),
        Sent::Nowhere => None,
        Sent::Refused(errors) => Some(format!("le contenu est refusé : {}", first_error(errors))),
        Sent::NotBuilt => Some("le site n'a pas pu être construit".to_owned()),
        Sent::Misdirected(sentence, _) => Some(sentence.clone()),
    };
    publish::keep_attempt(&state_of(request.territoire, &member.name), Timestamp::now(), cause.as_deref());
}

/// Where the register and the state of the publications of a commune are: beside the territoire's folder, never in it.
pub fn state_of(territoire: &Territoire, commune: &str) -> PathBuf {
    territoire.model.publications_in(&territoire.root).join(commune)
}

/// Where the site of a commune goes; `None` when nothing says so.
pub fn target_of(request: &FleetRequest<'_>, member: &Member) -> Option<Target> {
    let layers = Layers::within(request.territoire, &member.folder, &request.base.catalogue);
    let (commune, _) = load::described(&layers);
    Some(commune?.publication?.for_commune(&member.name).based_on(&member.folder))
}

/// Targets that nobody can mean, by rank: the same for two communes, in the folder people edit, with a blank that is none.
fn misdirected(
    request: &FleetRequest<'_>,
    members: &[Member],
    targets: &[Option<Target>],
) -> BTreeMap<usize, (String, &'static str)> {
    let mut wrong = BTreeMap::new();
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, target) in targets.iter().enumerate() {
        let Some(target) = target else { continue };
        let place = target.place();
        if place.contains(['{', '}']) {
            let sentence = format!("« {place} » contient un mot entre accolades que Mulot ne connaît pas");
            wrong.insert(at, (sentence, "seul {commune} est remplacé, par le nom du dossier de la commune"));
        }
        if let Target::Folder(folder) = target
            && plain(&folder.path).starts_with(&request.territoire.root)
        {
            let sentence = format!("« {} » est dans le dossier du territoire", folder.path.display());
            wrong.insert(at, (sentence, "publiez ailleurs : un chemin entier, hors du dossier que l'on édite"));
        }
        let sites = plain(&super::sites_of(request.territoire));
        if let Target::Folder(folder) = target
            && (plain(&folder.path).starts_with(&sites) || sites.starts_with(plain(&folder.path)))
        {
            let error = PublishError::Inside(folder.path.clone());
            wrong.insert(at, (error.to_string(), "donnez un autre dossier dans [publication]"));
        }
        places.entry(place).or_default().push(at);
    }
    for (place, sharing) in places.into_iter().filter(|(_, sharing)| sharing.len() > 1) {
        for at in &sharing {
            let other = sharing.iter().find(|other| *other != at).map_or("", |other| members[*other].name.as_str());
            let sentence = format!("« {place} » est aussi la destination de « {other} »");
            wrong.insert(
                *at,
                (sentence, "mettez {commune} dans la destination commune : dossier = \"/var/www/{commune}\""),
            );
        }
    }
    wrong
}

/// Why the target of one commune cannot be meant, looked at among those of all: a French sentence, and what to do.
pub fn misdirection(request: &FleetRequest<'_>, member: &Member) -> Option<(String, &'static str)> {
    let members = request.territoire.members().ok()?;
    let at = members.iter().position(|one| one.name == member.name)?;
    let targets: Vec<Option<Target>> = members.iter().map(|one| target_of(request, one)).collect();
    misdirected(request, &members, &targets).remove(&at)
}

/// A path without `.` nor `..`, links resolved as far as it exists.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    let existing = plain.ancestors().find(|above| above.exists()).map(Path::to_owned);
    match existing.and_then(|above| Some((above.canonicalize().ok()?, plain.strip_prefix(&above).ok()?.to_owned()))) {
        Some((above, rest)) => above.join(rest),
        None => plain,
    }
}

fn send(
    request: &FleetRequest<'_>,
    (member, line): (&Member, &Line),
    (target, ways): (&Target, &Ways),
    sending: &Sending,
) -> Sent {
    if !is_built(line) {
        return Sent::NotBuilt;
    }
    if let Err(errors) = judge(request, member) {
        return Sent::Refused(errors);
    }
    let (site, state) = (site_of(request.sites, &member.name), state_of(request.territoire, &member.name));
    let order = order(&site, &state, target, sending);
    ways.through(target, || {
        let done = if sending.dry { publish::preview(&order) } else { publish::send(&order) };
        done.map_or_else(Sent::Failed, Sent::Done)
    })
}

/// Whether there is a site to send.
fn is_built(line: &Line) -> bool {
    matches!(line.outcome, Outcome::Built(_) | Outcome::Unchanged)
}

fn order<'a>(site: &'a Path, state: &'a Path, target: &'a Target, sending: &Sending) -> Order<'a> {
    let (keys, take_over) = (sending.keys.clone(), sending.take_over);
    Order { site, state, target, keys, take_over, now: Timestamp::now() }
}

/// Checks every page of a site once: what is known to be good is not read again.
fn judge(request: &FleetRequest<'_>, member: &Member) -> Result<(), Vec<Diagnostic>> {
    let record = builds::read(request.sites, &member.name);
    if record.as_ref().is_some_and(|record| !record.empreinte.is_empty() && record.verifie == record.empreinte) {
        return Ok(());
    }
    let line = check_one(request, member, false);
    if line.outcome == Outcome::Refused {
        return Err(line.diagnostics);
    }
    if let Some(mut record) = record {
        record.verifie.clone_from(&record.empreinte);
        // It only costs another check.
        let _ = builds::keep(request.sites, &member.name, &record);
    }
    Ok(())
}

/// Sites on their way at the same time.
const AT_ONCE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::publication::SshTarget;

    #[test]
    fn a_server_that_lets_nobody_in_is_not_asked_again_and_others_are() {
        let to = |host: &str| {
            Target::Ssh(SshTarget {
                host: host.into(),
                path: "/srv".into(),
                port: None,
                key_file: None,
                known_hosts: None,
                ordered: false,
                versions: 1,
            })
        };
        let fails = |is_way: bool| {
            move || {
                Sent::Failed(PublishError::Ssh {
                    sentence: "la clé SSH est refusée".into(),
                    remedy: "donnez-la".into(),
                    is_way,
                })
            }
        };
        let ways = Ways::default();
        let asked =
            |target: &Target, is_way: bool| !matches!(ways.through(target, fails(is_way)), Sent::NotTried { .. });
        assert!(
            asked(&to("web@a.fr"), false) && asked(&to("web@a.fr"), true),
            "a failure of one site is no closed way"
        );
        assert!(!asked(&to("web@a.fr"), true));
        assert!(asked(&to("web@b.fr"), false) && asked(&to("autre@a.fr"), false));
    }
}
