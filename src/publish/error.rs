//! Why a site could not be published, in French, and what to do about it.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::fs::FsError;
use crate::s3::{HalfKey, S3Error};

/// Why a site could not be published. What visitors see is then whole: the version that stood there, or the new one.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file of this machine, or of a target that is one of its folders.
    #[error("{}", .0.sentence())]
    Fs(#[from] FsError),
    /// A bucket.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// Another machine: the sentence and what to do.
    #[error("{sentence}")]
    Ssh {
        /// What happened, in French.
        sentence: String,
        /// What to do about it, in French.
        remedy: String,
        /// Whether it is the way there that is closed: no other site passes either.
        is_way: bool,
    },
    /// Something that Mulot did not put there stands at the target.
    #[error("« {place} » n'est pas vide, et ce n'est pas un site publié par Mulot")]
    NotOurs {
        /// The target.
        place: String,
        /// What to do about it, in French.
        remedy: &'static str,
    },
    /// The target, the commune's folder or the site that was built are one inside another.
    #[error("« {} » ne peut pas servir de destination : ce dossier sert déjà à fabriquer le site", .0.display())]
    Inside(PathBuf),
    /// Somebody else publishes there, or was interrupted there.
    #[error("une autre publication vers « {place} » est en cours, ou a été interrompue sur une autre machine")]
    Busy {
        /// The target.
        place: String,
    },
    /// Another `mulot publish` of this site runs on this machine.
    #[error("une publication de ce site est déjà en cours sur cette machine")]
    Running,
    /// The site was built again while it was being read.
    #[error("« {} » a changé pendant qu'on le lisait", .0.display())]
    Moved(PathBuf),
    /// The target was filled by whole folders, which is not possible there any more.
    #[error("« {place} » a été publié par dossiers entiers, ce qui n'y est plus possible")]
    OtherWay {
        /// The target.
        place: String,
    },
    /// Nothing to go back to.
    #[error("« {place} » ne garde pas de version précédente")]
    NothingBefore {
        /// The target.
        place: String,
    },
    /// A kept version is not whole any more.
    #[error("la version du {at} n'est plus entière dans « {place} »")]
    Incomplete {
        /// The target.
        place: String,
        /// When it was published.
        at: Timestamp,
    },
    /// A file by which the target remembers what stands there cannot be read.
    #[error("« {name} » est abîmé dans « {place} »")]
    Damaged {
        /// The target.
        place: String,
        /// The file.
        name: String,
    },
    /// Half a key for a bucket.
    #[error("il n'y a pas de clé pour « {place} » : {half}")]
    HalfKey {
        /// The target.
        place: String,
        /// Which half.
        half: HalfKey,
    },
    /// No key for a bucket.
    #[error("il n'y a pas de clé pour « {place} »")]
    NoKeys {
        /// The target.
        place: String,
    },
}

impl PublishError {
    /// What to do about it, in French.
    pub fn remedy(&self) -> String {
        match self {
            PublishError::Fs(error) if error.source.kind() == std::io::ErrorKind::StorageFull => {
                "faites de la place sur ce disque, puis relancez : le site en place n'a pas bougé".into()
            }
            PublishError::Fs(_) => {
                "vérifiez que ce chemin existe et que vous avez le droit d'y écrire, puis relancez".into()
            }
            PublishError::S3(error) => error.remedy().into(),
            PublishError::Ssh { remedy, .. } => remedy.clone(),
            PublishError::NotOurs { remedy, .. } => (*remedy).into(),
            PublishError::Inside(_) => "donnez un autre dossier dans [publication]".into(),
            PublishError::Busy { .. } => {
                "attendez qu'elle finisse ; si plus rien ne tourne ailleurs, relancez avec --reprendre".into()
            }
            PublishError::Running => "attendez qu'elle finisse, puis relancez".into(),
            PublishError::Moved(_) => "relancez".into(),
            PublishError::OtherWay { .. } => {
                "rétablissez la session SSH et rsync sur le serveur, ou donnez un autre chemin dans [publication]"
                    .into()
            }
            PublishError::NothingBefore { .. } => {
                "corrigez le contenu, puis publiez ; [publication] versions = 3 garde trois versions".into()
            }
            PublishError::Incomplete { .. } => "remettez le contenu d'alors dans le dossier, puis publiez".into(),
            PublishError::Damaged { .. } => "supprimez ce fichier, puis publiez : tout sera envoyé de nouveau".into(),
            PublishError::HalfKey { .. } | PublishError::NoKeys { .. } => {
                "donnez MULOT_S3_CLE_ID et MULOT_S3_CLE_SECRETE, ou cle_fichier dans [publication]".into()
            }
        }
    }

    /// Whether the order or its settings are at fault rather than a machine.
    pub fn is_order(&self) -> bool {
        match self {
            PublishError::S3(error) => error.is_order(),
            PublishError::NotOurs { .. }
            | PublishError::Inside(_)
            | PublishError::NothingBefore { .. }
            | PublishError::HalfKey { .. }
            | PublishError::NoKeys { .. } => true,
            _ => false,
        }
    }
}
