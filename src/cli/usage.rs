//! Help and usage errors in French.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Exit, report};

/// Shape of `--aide`.
pub(super) const TEMPLATE: &str = "\
{about-with-newline}
Usage : {usage}

{all-args}{after-help}
";

/// Says what is wrong with an order, in French.
pub(super) fn explain(error: &clap::Error) -> Exit {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        let text = error.render().to_string();
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            report::say(text.trim_end());
            return Exit::Fault;
        }
        report::give(text.trim_end());
        return Exit::Done;
    }
    let get = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let argument = get(ContextKind::InvalidArg).unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            format!("la commande « {} » n'existe pas", get(ContextKind::InvalidSubcommand).unwrap_or_default())
        }
        ErrorKind::UnknownArgument => format!("l'option « {argument} » n'existe pas"),
        ErrorKind::MissingRequiredArgument => format!("il manque : {argument}"),
        ErrorKind::MissingSubcommand => "il manque une commande".into(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("« {} » ne convient pas à {argument}", get(ContextKind::InvalidValue).unwrap_or_default())
        }
        ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{argument} attend une valeur")
        }
        ErrorKind::ArgumentConflict => {
            format!("{argument} ne va pas avec {}", get(ContextKind::PriorArg).unwrap_or_default())
        }
        _ => "cet ordre n'est pas compris".into(),
    };
    report::say(format!("erreur : {message}"));
    let suggestion = get(ContextKind::SuggestedSubcommand).or_else(|| get(ContextKind::SuggestedArg));
    let values = get(ContextKind::ValidValue).filter(|values| !values.is_empty());
    let is_date = ["--date", "--du", "--au"].iter().any(|name| argument.starts_with(name));
    report::say(match (suggestion, values) {
        (Some(near), _) => format!("aide : vouliez-vous dire « {near} » ?"),
        (None, Some(values)) => format!("aide : valeurs possibles : {values}"),
        (None, None) if is_date => "aide : une date s'écrit 2026-11-21 (année-mois-jour), et doit exister".into(),
        (None, None) => "aide : mulot --aide donne la liste des commandes et des options".into(),
    });
    Exit::Fault
}
