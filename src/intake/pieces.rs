//! The words of a mail about its files: which are attached, which are reached by a link and until when, what to beware of.
//! Pure.

use jiff::Zoned;

use super::compose::Block;
use super::links::PieceLinks;
use crate::model::submission::{Caution, StoredFile};
use crate::text::dates::short_date;
use crate::text::numbers::file_size;

/// The files that the mail carries itself.
pub(super) fn attached<'f>(
    files: impl Iterator<Item = &'f StoredFile>,
    pieces: Option<&PieceLinks>,
) -> Vec<StoredFile> {
    files.filter(|file| pieces.is_none_or(|pieces| pieces.url(file).is_none())).cloned().collect()
}

/// « plan.pdf (1,2 Mo), joint à ce message ».
pub(super) fn line(file: &StoredFile, pieces: Option<&PieceLinks>) -> String {
    let place = match pieces.and_then(|pieces| pieces.url(file)) {
        Some(_) => "à télécharger (adresse plus bas)",
        None => "joint à ce message",
    };
    let cautions: String = file.cautions.iter().map(|caution| format!(" – {}", caution.words())).collect();
    format!("{} ({}), {place}{cautions}", file.name, file_size(file.size))
}

/// What is said of the files after the answers: the addresses of those left out, and what was not looked at.
pub(super) fn blocks<'f>(
    files: impl Iterator<Item = &'f StoredFile>,
    pieces: Option<&PieceLinks>,
    written: &Zoned,
) -> Vec<Block> {
    let files: Vec<&StoredFile> = files.collect();
    let mut blocks = Vec::new();
    if let Some(pieces) = pieces {
        let until = short_date(pieces.until.to_zoned(written.time_zone().clone()).date());
        blocks.push(Block::Heading("Fichiers à télécharger".into()));
        blocks.push(Block::Paragraph(format!(
            "Trop lourds pour un courriel. Chaque adresse s'ouvre jusqu'au {until} (30 jours), sans mot de passe : elle est pour la mairie seule. Après, le lien « Prendre en charge… » de ce message en donne une neuve, tant que la demande est gardée."
        )));
        let linked = files.iter().filter_map(|file| Some((file, pieces.url(file)?)));
        blocks.extend(
            linked.map(|(file, url)| Block::Paragraph(format!("{} ({}) : {url}", file.name, file_size(file.size)))),
        );
    }
    if files.iter().any(|file| file.cautions.contains(&Caution::Unscanned)) {
        blocks.push(Block::Paragraph(
            "L'antivirus n'a pas pu regarder un ou plusieurs fichiers de cette demande. Ouvrez-les comme un fichier reçu d'un inconnu : sans rien autoriser.".into(),
        ));
    }
    blocks
}
