//! Another machine over SSH, with the user's own `ssh`, keys, agent and configuration; and what its words mean, in French.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Stdio};

use super::error::PublishError;
use super::ordered::Ordered;
use super::sftp::Sftp;
use super::shell::{Shell, State};
use super::{Access, Host, Local, Order, Result};
use crate::fs::cause;
use crate::model::publication::SshTarget;

/// Opens the target the best way it allows: whole folders with a shell and rsync, else file by file.
pub(super) fn open(
    target: &SshTarget,
    order: &Order<'_>,
    access: Access,
    local: Option<&Local>,
) -> Result<Box<dyn Host>> {
    let line = Line::new(target);
    let state = if target.ordered { None } else { State::of(&line)? };
    match state {
        Some(state) if state.is_fit() => Ok(Box::new(Shell::open(line, state, order, access, local)?)),
        Some(State { version: Some(_), .. }) => Err(PublishError::Ssh {
            sentence: format!("rsync n'est plus là, ici ou sur {}", target.host),
            remedy: "installez-le des deux côtés (apt install rsync), puis relancez".into(),
            is_way: false,
        }),
        _ => {
            let name = local.map(|local| local.name.clone()).unwrap_or_default();
            let sftp = Sftp::open(line, access)?;
            Ok(Box::new(Ordered::open(sftp, target.versions, order, access, &name)?))
        }
    }
}

/// How the other machine is reached.
pub(super) struct Line {
    pub(super) target: SshTarget,
}

impl Line {
    fn new(target: &SshTarget) -> Line {
        Line { target: target.clone() }
    }

    /// The folder served.
    pub(super) fn served(&self) -> &str {
        &self.target.path
    }

    /// The folder beside it where versions and descriptions are.
    pub(super) fn beside(&self) -> String {
        format!("{}.versions", self.target.path)
    }

    /// Options that `ssh` and `sftp` share. Nothing is ever asked: a question that nobody sees would last for ever.
    pub(super) fn options(&self) -> Vec<OsString> {
        let mut options: Vec<OsString> = Vec::new();
        for option in ["BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=10", "ServerAliveCountMax=3"] {
            options.extend(["-o".into(), option.into()]);
        }
        if let Some(port) = self.target.port {
            options.extend(["-o".into(), format!("Port={port}").into()]);
        }
        if let Some(key) = &self.target.key_file {
            options.extend(["-o".into(), "IdentitiesOnly=yes".into(), "-i".into(), key.into()]);
        }
        if let Some(hosts) = &self.target.known_hosts {
            options.extend(["-o".into(), format!("UserKnownHostsFile=\"{}\"", hosts.display()).into()]);
        }
        options
    }

    /// `web@2001:db8::1` as `ssh` wants it, without the brackets that separate a path elsewhere.
    pub(super) fn bare_host(&self) -> String {
        bare_host(&self.target)
    }

    /// Runs a script there in `sh`; what it wrote, or `None` when there is no shell.
    pub(super) fn try_script(&self, script: &str) -> Result<Option<String>> {
        let mut command = Command::new("ssh");
        command.args(self.options()).arg("-T").arg(self.bare_host()).arg("exec sh -s").env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|_| no_program("ssh", "openssh-client"))?;
        let whole = format!("echo {HELLO}\n{{\n{script}\n}} </dev/null\n");
        if let Some(mut stdin) = child.stdin.take() {
            // One that is not read is explained by what it wrote before it ended.
            let _ = stdin.write_all(whole.as_bytes());
        }
        let output = child.wait_with_output().map_err(|_| no_program("ssh", "openssh-client"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        match said.split_once(&format!("{HELLO}\n")) {
            Some((_, said)) if output.status.success() => Ok(Some(said.to_owned())),
            Some(_) => Err(self.explain(&errors, output.status.code())),
            None if output.status.code() == Some(255) => Err(self.explain(&errors, Some(255))),
            None => Ok(None),
        }
    }

    /// The same where a shell is known to be.
    pub(super) fn script(&self, script: &str) -> Result<String> {
        self.try_script(script)?.ok_or_else(|| PublishError::Ssh {
            sentence: format!("{} n'ouvre plus de session", self.target.host),
            remedy: "relancez ; si cela dure, demandez à l'hébergeur ce qui a changé".into(),
            is_way: false,
        })
    }

    /// What `ssh`, `sftp` or `rsync` said on its way out, in French, and what to do about it.
    pub(super) fn explain(&self, errors: &str, code: Option<i32>) -> PublishError {
        let host = &self.target.host;
        let (sentence, remedy, is_way) = words(errors, &self.target);
        let sentence = sentence.unwrap_or_else(|| {
            let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
            match (last.is_empty(), code) {
                (false, _) => format!("l'envoi vers {host} a échoué : {last}"),
                (true, Some(code)) => format!("l'envoi vers {host} a échoué (code {code})"),
                (true, None) => format!("l'envoi vers {host} a été arrêté"),
            }
        });
        PublishError::Ssh { sentence, remedy, is_way }
    }
}

/// By which a shell shows that it is one, whatever greeting comes before.
const HELLO: &str = "MULOT-BONJOUR";

/// A text as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A program that this machine lacks.
pub(super) fn no_program(program: &str, package: &str) -> PublishError {
    PublishError::Ssh {
        sentence: format!("le programme {program} manque sur cette machine"),
        remedy: format!("installez-le : sudo apt install {package}"),
        is_way: true,
    }
}

fn bare_host(target: &SshTarget) -> String {
    target.host.replace(['[', ']'], "")
}

/// How to connect by hand as we do, so that what is accepted is written where we look.
fn by_hand(target: &SshTarget) -> String {
    let port = target.port.map(|port| format!("-p {port} ")).unwrap_or_default();
    let hosts = target.known_hosts.as_ref().map(|hosts| {
        let option = format!("UserKnownHostsFile=\"{}\"", hosts.display());
        format!("-o {} ", quoted(&option))
    });
    format!("ssh {port}{}{}", hosts.unwrap_or_default(), bare_host(target))
}

/// How to forget the key of a host, where we look for it.
fn forget(target: &SshTarget) -> String {
    let bare = bare_host(target);
    let name = bare.rsplit('@').next().unwrap_or(&bare);
    let name = match target.port.filter(|port| *port != 22) {
        Some(port) => quoted(&format!("[{name}]:{port}")),
        None => name.to_owned(),
    };
    let hosts = target.known_hosts.as_ref().map(|hosts| format!(" -f {}", quoted(&hosts.display().to_string())));
    format!("ssh-keygen -R {name}{}", hosts.unwrap_or_default())
}

/// The port that was asked: what `ssh` says of it, for its own configuration may name it; else ours.
fn port_of(errors: &str, target: &SshTarget) -> u16 {
    let said = errors.split_once(" port ").and_then(|(_, rest)| rest.split_once(':')?.0.parse().ok());
    said.or(target.port).unwrap_or(22)
}

/// Why the private key that the target names cannot even be read.
fn unread_key(target: &SshTarget) -> Option<(String, String)> {
    let key = target.key_file.as_ref()?;
    let error = std::fs::File::open(key).err()?;
    let (path, is_absent) = (key.display(), error.kind() == std::io::ErrorKind::NotFound);
    let sentence = match is_absent {
        true => format!("la clé SSH « {path} » n'existe pas"),
        false => format!("la clé SSH « {path} » ne peut pas être lue : {}", cause(&error)),
    };
    Some((
        sentence,
        "corrigez cle_fichier dans [publication], ou remettez la clé à cet endroit, lisible par ce compte".into(),
    ))
}

/// Known words of OpenSSH, rsync and the system, English since we ask for it: sentence and remedy in French.
/// And whether nothing at all passes that way.
fn words(errors: &str, target: &SshTarget) -> (Option<String>, String, bool) {
    let host = target.host.as_str();
    let key = target.key_file.as_ref().map(|key| key.display().to_string());
    let has = |words: &str| errors.contains(words);
    let any = |list: &[&str]| list.iter().any(|words| errors.contains(words));
    let again = "vérifiez le réseau, puis relancez : ce qui est déjà parti ne repart pas";
    let bare = host.rsplit('@').next().unwrap_or(host);
    let (sentence, remedy) = if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        (
            format!("{host} ne présente plus la même clé d'hôte qu'avant : c'est peut-être une autre machine"),
            format!("demandez à l'hébergeur si elle a changé ; si oui : {}, puis {}", forget(target), by_hand(target)),
        )
    } else if has("Host key verification failed") {
        (
            format!("la clé d'hôte de {host} n'est pas connue de cette machine"),
            format!(
                "connectez-vous une fois à la main ({}), comparez l'empreinte à celle que donne l'hébergeur, acceptez-la, \
                 puis relancez",
                by_hand(target)
            ),
        )
    } else if any(&["UNPROTECTED PRIVATE KEY", "bad permissions"]) {
        let key = key.unwrap_or_else(|| "~/.ssh/id_ed25519".into());
        (format!("la clé SSH « {key} » peut être lue par d'autres : ssh la refuse"), format!("chmod 600 « {key} »"))
    } else if has("Too many authentication failures") {
        (
            format!("{host} a refusé trop de clés SSH à la suite"),
            "dites laquelle est la bonne : cle_fichier = \"…\" dans [publication]".into(),
        )
    } else if let Some((sentence, remedy)) = unread_key(target).filter(|_| any(&KEY_REFUSED)) {
        (sentence, remedy)
    } else if any(&KEY_REFUSED) {
        let asked = key.map_or_else(String::new, |key| format!(" ({key}.pub)"));
        (
            format!("la clé SSH est refusée par {host}"),
            format!(
                "donnez la clé publique de cette machine{asked} à l'hébergeur, ou dites laquelle prendre : cle_fichier = \"…\" \
                 dans [publication]"
            ),
        )
    } else if has("Could not resolve hostname") {
        (format!("{bare} n'existe pas, ou le réseau est coupé"), "vérifiez ssh = \"…\" dans [publication]".into())
    } else if has("Connection refused") {
        (
            format!("{bare} refuse la connexion SSH"),
            format!(
                "vérifiez que SSH y est ouvert, et le port : c'est {} qui a été essayé (port = … dans [publication])",
                port_of(errors, target)
            ),
        )
    } else if any(&["timed out", "No route to host", "Network is unreachable", "Timeout, server"]) {
        (format!("{bare} ne répond pas"), again.into())
    } else if any(&["No space left on device", "Disk quota exceeded", "(28)", "(122)"]) {
        (
            format!("il n'y a plus de place sur {bare}"),
            "faites-y de la place, ou gardez moins de versions, puis relancez : le site en place n'a pas bougé".into(),
        )
    } else if any(&["vanished", "link_stat", "change_dir"]) {
        ("des fichiers ont disparu pendant l'envoi".into(), "relancez".into())
    } else if any(&["ermission denied", "Operation not permitted", "Read-only file system"]) {
        (
            format!("{host} n'a pas le droit d'écrire à cet endroit"),
            "donnez à ce compte le droit d'écrire dans le dossier et dans celui qui le contient".into(),
        )
    } else if has("cannot create directory") {
        (
            format!("le dossier de la destination ne peut pas être créé sur {host}"),
            "vérifiez le chemin dans [publication] : le dossier qui le contient doit exister et être à ce compte"
                .into(),
        )
    } else if any(&["Connection closed", "Connection reset", "Broken pipe", "connection unexpectedly closed"]) {
        (format!("la connexion avec {bare} a été coupée"), again.into())
    } else if any(&["\": Failure", "I/O error", "Input/output error"]) {
        (
            format!("{bare} n'a pas pu écrire un fichier, sans dire pourquoi"),
            "c'est souvent un disque plein ou un quota atteint : voyez avec l'hébergeur, puis relancez".into(),
        )
    } else {
        return (None, again.into(), false);
    };
    // A server that is asked again and again by who may not come in ends by banning them.
    let is_way = any(&KEY_REFUSED) || any(&WAY_CLOSED);
    (Some(sentence), remedy, is_way)
}

/// Other ways it says that nobody passes.
const WAY_CLOSED: [&str; 7] = [
    "REMOTE HOST IDENTIFICATION HAS CHANGED",
    "Host key verification failed",
    "UNPROTECTED PRIVATE KEY",
    "bad permissions",
    "Too many authentication failures",
    "Could not resolve hostname",
    // Refused, unreachable, silent: not a connection that is lost on the way.
    "ssh: connect to host",
];

/// How ssh says that it may not come in; a folder that refuses also says « Permission denied », with a number after it.
const KEY_REFUSED: [&str; 6] = [
    "Permission denied (publickey",
    "Permission denied (password",
    "Permission denied (keyboard",
    "Permission denied (gssapi",
    "Permission denied, please try again",
    "no mutual signature",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_system_become_a_sentence_and_a_remedy() {
        for (said, sentence) in [
            ("web@h.fr: Permission denied (publickey).", "la clé SSH est refusée par web@h.fr"),
            (
                "No ED25519 host key is known for h.fr\nHost key verification failed.",
                "n'est pas connue de cette machine",
            ),
            ("rsync: [receiver] write failed on \"/a\": No space left on device (28)", "plus de place sur h.fr"),
            ("rsync: [Receiver] mkdir \"/a\" failed: Permission denied (13)", "n'a pas le droit d'écrire"),
            ("write remote \"/a/b\": Failure", "n'a pas pu écrire un fichier"),
            ("sh: 10: printf: printf: I/O error", "n'a pas pu écrire un fichier"),
            ("client_loop: send disconnect: Broken pipe", "a été coupée"),
            ("ssh: Could not resolve hostname h.fr: Name or service not known", "h.fr n'existe pas"),
        ] {
            let (told, remedy, _) = words(said, &target());
            assert!(told.as_deref().unwrap_or("").contains(sentence), "{said}: {told:?}");
            assert!(!remedy.is_empty());
        }
        assert_eq!(words("something new", &target()).0, None);
        let closes = |said| words(said, &target()).2;
        assert!(
            closes("web@h.fr: Permission denied (publickey).")
                && closes("ssh: connect to host h.fr port 22: Connection refused")
        );
        assert!(
            !closes("mkdir: cannot create directory 'a': Permission denied") && !closes("Connection reset by peer")
        );
    }

    #[test]
    fn what_is_to_be_typed_is_what_we_do() {
        let unknown = "Host key verification failed.";
        assert!(words(unknown, &target()).1.contains("(ssh web@h.fr)"), "{}", words(unknown, &target()).1);
        let own = SshTarget { port: Some(22_022), known_hosts: Some("/c/connus".into()), ..target() };
        let told = words(unknown, &own).1;
        assert!(told.contains("(ssh -p 22022 -o 'UserKnownHostsFile=\"/c/connus\"' web@h.fr)"), "{told}");
        let told = words("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!", &own).1;
        assert!(told.contains("ssh-keygen -R '[h.fr]:22022' -f '/c/connus', puis ssh -p 22022"), "{told}");
        let refused = "ssh: connect to host h.fr port 2200: Connection refused";
        assert!(words(refused, &target()).1.contains("c'est 2200 qui"), "{}", words(refused, &target()).1);
        assert!(words("Connection refused", &own).1.contains("c'est 22022 qui"));
    }

    #[test]
    fn a_key_that_is_not_there_is_said_first() {
        let refused = "web@h.fr: Permission denied (publickey).";
        let absent = SshTarget { key_file: Some("/nulle/part/k9".into()), ..target() };
        assert_eq!(words(refused, &absent).0.as_deref(), Some("la clé SSH « /nulle/part/k9 » n'existe pas"));
        let there = tempfile::NamedTempFile::new().unwrap();
        let there = SshTarget { key_file: Some(there.path().to_owned()), ..target() };
        assert_eq!(words(refused, &there).0.as_deref(), Some("la clé SSH est refusée par web@h.fr"));
    }

    fn target() -> SshTarget {
        SshTarget {
            host: "web@h.fr".into(),
            path: "/srv/a".into(),
            port: None,
            key_file: None,
            known_hosts: None,
            ordered: false,
            versions: 3,
        }
    }

    #[test]
    fn a_text_is_one_word_whatever_is_in_it() {
        assert_eq!(quoted("/srv/l'été $(a)"), r"'/srv/l'\''été $(a)'");
    }
}
