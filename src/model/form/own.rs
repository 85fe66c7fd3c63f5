//! Names of inputs that the guichet uses for itself: no question may carry one.

use super::question::FieldKind;

/// Says which page of questions is posted, from 1.
pub const PAGE: &str = "page";
/// Button that asks for a page of questions, from 1.
pub const GO_TO: &str = "aller";
/// Buttons of a group: `+enfants` adds a copy, `-enfants.2` takes the second away.
pub const COPY: &str = "groupe";
/// Takes a form put aside.
pub const GIVEN_BACK: &str = "mis_de_cote";
/// Input that only robots fill.
pub const HONEYPOT: &str = "site_web";
/// Says that the page has already asked to empty the trap.
pub const TRAP_TOLD: &str = "champ_signale";
/// Carries the signed token.
pub const TOKEN: &str = "jeton";
/// Carries the code of the mairie.
pub const AGENT_CODE: &str = "code_mairie";
/// Answer that holds the sum of the prices.
pub const TOTAL: &str = "total";
/// Answer that says which agent filled the form.
pub const COUNTER_AGENT: &str = "comptoir_agent";
/// Answer that says how the request came.
pub const COUNTER_CHANNEL: &str = "comptoir_canal";
/// Before a question's name: the id of a file already received.
pub const KEPT_FILE: &str = "fichier.";
/// Before a file's id: the box that drops that file.
pub const DROPPED_FILE: &str = "retirer.";

/// Whether the guichet uses that name: a question called so could never be answered.
pub fn is_own(id: &str, kind: &FieldKind) -> bool {
    let names =
        [PAGE, GO_TO, COPY, GIVEN_BACK, HONEYPOT, TRAP_TOLD, TOKEN, AGENT_CODE, TOTAL, COUNTER_AGENT, COUNTER_CHANNEL];
    // Only a question of several inputs puts a dot after its name.
    let dotted = matches!(kind, FieldKind::Address | FieldKind::Block { .. } | FieldKind::Group { .. });
    names.contains(&id) || dotted && [KEPT_FILE, DROPPED_FILE].iter().any(|start| start.strip_suffix('.') == Some(id))
}
