//! What a resident reads when a file is not taken: what it is, and another way to send it.

use crate::intake::files::{Content, FileError, Unwanted};
use crate::intake::validate::format_words;
use crate::model::form::{FieldKind, Form};
use crate::text::numbers::{file_size, telephone_display};

/// The sentence beside the question `input`, without final stop; `total` is the limit of all files when it is the one passed.
pub(super) fn refusal(form: &Form, (input, file_name): (&str, &str), error: &FileError, total: Option<u64>) -> String {
    let shown: String = file_name.chars().filter(|c| !c.is_control()).take(60).collect();
    let is_program = is_program(file_name);
    let shown = if shown.is_empty() { "Ce fichier".to_owned() } else { format!("« {shown} »") };
    match (error, total) {
        (FileError::TooLarge { .. } | FileError::Quota { .. }, _) if is_program => {
            format!("{shown} est un programme, pas un document : {}", instead(form, input))
        }
        (FileError::TooLarge { .. }, Some(most)) => format!(
            "Vos fichiers dépassent {} en tout : {shown} n'a pas été gardé. Réduisez-les, ou apportez-les à la mairie",
            file_size(most)
        ),
        (FileError::TooLarge { max_bytes }, None) => {
            format!("{shown} dépasse {} : {}", file_size(*max_bytes), too_large_remedy(form, input, file_name))
        }
        (FileError::Empty, _) => format!("{shown} est vide : choisissez un autre fichier"),
        (FileError::Unwanted(unwanted), _) => format!("{shown} {}", content(form, input, *unwanted)),
        (FileError::Quota { .. }, _) => format!(
            "{shown} n'a pas été gardé : le guichet a déjà trop de fichiers en attente. Vos réponses sont gardées : {}",
            other_way(form, input)
        ),
        _ => format!("{shown} n'a pas pu être enregistré : joignez-le de nouveau"),
    }
}

/// What the file is, then what to do.
fn content(form: &Form, input: &str, unwanted: Unwanted) -> String {
    let instead = instead(form, input);
    match unwanted {
        Unwanted::Format(Content::Heic) => format!(
            "est une photo HEIC, que la mairie ne pourrait pas ouvrir. Sur l'iPhone, faites une capture d'écran de la photo et joignez-la ; pour les prochaines photos : Réglages, Appareil photo, Formats, « Le plus compatible ». Sinon, {}",
            other_way(form, input)
        ),
        Unwanted::Format(Content::Program) => format!("est un programme, pas un document : {instead}"),
        Unwanted::Format(Content::Svg) => {
            format!("est un dessin SVG, qui peut contenir un programme : exportez-le en image ou en PDF, puis {instead}")
        }
        Unwanted::Format(Content::Html) => {
            format!("est une page web : ouvrez-la, imprimez-la au format PDF, puis {instead}")
        }
        Unwanted::Format(Content::Zip | Content::Archive) => {
            format!("n'est pas d'un format accepté (dossier compressé, ou document d'un logiciel de bureau) : {instead}")
        }
        Unwanted::Format(Content::OldOffice) => format!(
            "est un document d'un ancien format, ou protégé par un mot de passe : enregistrez-le au format PDF, puis {instead}"
        ),
        Unwanted::Format(Content::Media) => format!("est un son ou une vidéo : {instead}"),
        Unwanted::Format(_) => format!("n'est pas d'un format accepté : {instead}"),
        Unwanted::Macros => {
            "contient des macros (un programme) : enregistrez le document sans macros, ou au format PDF".into()
        }
        Unwanted::Nested => "contient un autre fichier compressé : enregistrez le document au format PDF".into(),
        Unwanted::Embedded => {
            "contient un programme ou l'objet d'un autre logiciel : enregistrez le document au format PDF, ou faites-en une photo".into()
        }
        Unwanted::Launch => {
            "lance un programme à l'ouverture : imprimez-le vers un nouveau PDF, ou faites-en une photo".into()
        }
        Unwanted::Bomb => "grossirait démesurément à l'ouverture : enregistrez le document au format PDF".into(),
        Unwanted::Locked => "est protégé par un mot de passe : enregistrez-le sans mot de passe".into(),
        Unwanted::Twofold => "est deux fichiers en un : imprimez-le vers un nouveau PDF, puis joignez ce PDF".into(),
        Unwanted::BrokenDocument => {
            format!("est abîmé ou incomplet : enregistrez-le de nouveau, ou {}", other_way(form, input))
        }
        Unwanted::BrokenPicture => {
            "est une image abîmée ou incomplète : joignez-la de nouveau, ou reprenez la photo".into()
        }
        Unwanted::TooManyPixels => {
            "est une image trop grande (plus de 50 millions de points) : choisissez une plus petite taille".into()
        }
        Unwanted::Virus => format!(
            "n'a pas été gardé : il contient un virus. Ne l'envoyez d'aucune autre façon ; {instead} qui vient d'un autre appareil, ou appelez la mairie"
        ),
    }
}

/// What may be joined to this question.
fn instead(form: &Form, input: &str) -> String {
    let formats = match form.field(input).map(|field| &field.kind) {
        Some(FieldKind::File { formats, .. }) => format_words(formats).replace(" et ", " ou "),
        _ => String::new(),
    };
    format!("joignez un fichier {formats}")
}

/// Whether a name is a program's: no other way is proposed for one.
fn is_program(file_name: &str) -> bool {
    const PROGRAMS: [&str; 14] =
        ["apk", "app", "bat", "cmd", "com", "dmg", "exe", "jar", "js", "lnk", "msi", "ps1", "scr", "vbs"];
    let extension = file_name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    PROGRAMS.contains(&extension.as_str())
}

/// How to do without the guichet for this file.
fn other_way(form: &Form, input: &str) -> String {
    let telephone = telephone_display(&form.service.telephone);
    let call = if telephone.is_empty() { String::new() } else { format!(" ou appelez le {telephone}") };
    if form.field(input).is_some_and(|field| field.required) {
        return format!("apportez-le à la mairie{call}");
    }
    format!("continuez sans lui et envoyez-le par courriel à {} avec la référence{call}", form.service.email)
}

/// What to do with a file that is too large: telephones offer sizes, and nobody should be stopped by a photograph.
fn too_large_remedy(form: &Form, input: &str, file_name: &str) -> String {
    let extension = file_name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let photo = matches!(extension.as_str(), "jpg" | "jpeg" | "png" | "heic" | "webp");
    let smaller = if photo { "choisissez une plus petite taille de photo" } else { "choisissez un fichier plus petit" };
    if form.field(input).is_some_and(|field| field.required) {
        return format!("{smaller}, ou apportez-le à la mairie");
    }
    let (without, later) = if photo { ("sans elle", "-la") } else { ("sans lui", "-le") };
    let address = &form.service.email;
    format!("{smaller}, ou continuez {without} et envoyez{later} ensuite par courriel à {address} avec la référence")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::form::{Identity, Nature, Silence};

    #[test]
    fn no_other_way_is_proposed_for_a_virus_or_a_program() {
        let form = crate::model::receipt::tests::form(Nature::Demande, Identity::Person, Silence::SansDecision);
        let said = |name: &str, error: FileError| refusal(&form, ("pieces", name), &error, None);
        let large = |name| said(name, FileError::TooLarge { max_bytes: 1 << 20 });
        let told = [
            said("a.pdf", FileError::Unwanted(Unwanted::Virus)),
            said("a.pdf", FileError::Unwanted(Unwanted::Format(Content::Program))),
            large("a.EXE"),
            said("a.exe", FileError::Quota { kept: false }),
        ];
        for words in &told {
            assert!(
                !words.contains("courriel") && !words.contains("apportez") && !words.contains("antivirus"),
                "{words}"
            );
        }
        assert!(large("a.pdf").contains("courriel"), "a document has another way");
    }
}
