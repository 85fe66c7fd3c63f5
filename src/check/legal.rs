//! What only the mairie knows and the law wants written.

use crate::diagnostic::{Code, Diagnostic};
use crate::model::site::Site;

/// Blanks of `commune.toml`, each with the reason it is asked for.
pub(super) fn mentions(site: &Site) -> Vec<Diagnostic> {
    let commune = &site.commune;
    let host = commune.hebergeur.as_ref();
    let dpo = commune.dpo.as_ref();
    let empty = |text: Option<&str>| text.is_none_or(str::is_empty);
    // (blank?, key, why)
    let blanks: [(bool, &str, &str); 14] = [
        (
            commune.mairie.telephone.is_empty(),
            "[mairie] telephone",
            "il est sur toutes les pages et dans les mentions légales (LCEN, art. 6)",
        ),
        (
            commune.mairie.adresse.is_empty() || commune.mairie.ville.is_empty(),
            "[mairie] adresse",
            "le siège de la commune est dans les mentions légales (LCEN, art. 6) et sur l'accusé des formulaires",
        ),
        (
            commune.mairie.courriel.is_empty(),
            "[mairie] courriel",
            "les habitants doivent pouvoir écrire, et l'accusé des formulaires le donne",
        ),
        (commune.mairie.hours.weekly.is_empty(), "[mairie] horaires", "l'accueil dit si la mairie est ouverte"),
        (commune.maire.is_none(), "maire", "le maire est directeur de la publication (mentions légales)"),
        (commune.domaine.is_empty(), "domaine", "les flux, le plan du site et les courriels en ont besoin"),
        (commune.siret.is_empty(), "siret", "il identifie la commune dans les mentions légales"),
        (commune.code_insee.is_empty(), "code_insee", "il identifie la commune"),
        (
            empty(host.map(|host| host.nom.as_str())),
            "[hebergeur] nom",
            "l'hébergeur du site doit être nommé (LCEN, art. 6)",
        ),
        (
            empty(host.map(|host| host.adresse.as_str())),
            "[hebergeur] adresse",
            "l'adresse de l'hébergeur est obligatoire (LCEN, art. 6)",
        ),
        (
            empty(host.map(|host| host.telephone.as_str())),
            "[hebergeur] telephone",
            "le téléphone de l'hébergeur est obligatoire (LCEN, art. 6)",
        ),
        (
            empty(dpo.map(|dpo| dpo.nom.as_str())),
            "[dpo] nom",
            "toute commune désigne un délégué à la protection des données (RGPD, art. 37)",
        ),
        (
            empty(dpo.map(|dpo| dpo.courriel.as_str())),
            "[dpo] courriel",
            "les habitants écrivent au délégué pour exercer leurs droits",
        ),
        (
            commune.actes_publicite.is_none(),
            "[actes] publicite",
            "le conseil choisit comment les actes sont rendus publics (CGCT, art. L2131-1)",
        ),
    ];
    let told = blanks.into_iter().filter(|(blank, ..)| *blank).map(|(_, key, why)| {
        Diagnostic::blank(Code::LegalMention, commune.place(key), format!("{key} est vide"))
            .hint(format!("complétez-le : {why}"))
    });
    told.collect()
}
