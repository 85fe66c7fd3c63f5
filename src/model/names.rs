//! Names of communes with their right articles (INSEE, type de nom en clair).

use serde::Serialize;

/// A name and its « de » and « à » forms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NameForms {
    /// « Le Plantay ».
    pub nom: String,
    /// « du Plantay ».
    pub forme_de: String,
    /// « au Plantay ».
    pub forme_a: String,
}
