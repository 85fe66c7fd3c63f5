//! `mulot demandes dkim`: the record to publish so that receivers can check the signature of our messages.

use serde_json::json;

use super::{Exit, report};
use crate::load::{self, Layers};
use crate::server::config::GuichetConfig;

/// Gives the record; code 1 when no signature is set up, or when it is not of the sender's domain.
pub(super) fn run(config: Option<&GuichetConfig>, as_json: bool) -> Exit {
    let Some(config) = config else {
        report::say("erreur : la signature est dans guichet.toml, pas dans le dossier de données");
        report::say("aide : mulot demandes dkim --guichet guichet.toml");
        return Exit::Fault;
    };
    let Some(signer) = &config.signer else {
        report::say("Les messages ne sont pas signés par le guichet (aucune table [courriel.dkim]).");
        report::say("aide : la plupart des hébergeurs signent eux-mêmes ; sinon, voir docs/guichet.md");
        return Exit::Fault;
    };
    if as_json {
        let record = json!({ "nom": signer.record_name(), "type": "TXT", "valeur": signer.record() });
        report::give(serde_json::to_string_pretty(&record).unwrap_or_default());
    } else {
        report::give(format!("Nom     {}", signer.record_name()));
        report::give("Type    TXT");
        report::give(format!("Valeur  {}", signer.record()));
    }
    match sender_domain(config) {
        Some(domain) if !is_aligned(&domain, signer.domain()) => {
            report::say(format!(
                "avertissement : les messages partent de « {domain} », la signature est de « {} » : elle ne comptera pas",
                signer.domain()
            ));
            Exit::Fault
        }
        _ => Exit::Done,
    }
}

/// The domain of the commune's `expediteur`.
fn sender_domain(config: &GuichetConfig) -> Option<String> {
    let (sources, _) = load::sources(&Layers::of(&config.folder, &load::Shared::default()));
    let sender = sources?.commune.guichet.expediteur.clone();
    sender.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase())
}

/// Whether a signature of this domain vouches for a sender of that one (DMARC, relaxed alignment).
fn is_aligned(sender: &str, signing: &str) -> bool {
    let below = |longer: &str, shorter: &str| longer.strip_suffix(shorter).is_some_and(|rest| rest.ends_with('.'));
    sender == signing || below(sender, signing) || below(signing, sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_for_its_own_domain_and_those_below() {
        assert!(is_aligned("exemple.fr", "exemple.fr") && is_aligned("guichet.exemple.fr", "exemple.fr"));
        assert!(!is_aligned("exemple.fr", "autre.fr") && !is_aligned("monexemple.fr", "exemple.fr"));
    }
}
