//! How the requests of a form reach the mairie, besides its ordinary recipients.

use serde::{Deserialize, Serialize};

use super::{Condition, Form};
use crate::model::submission::RawAnswers;

/// What a form says of its delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Other mailboxes for some answers; the first that fits counts.
    pub routes: Vec<Route>,
    /// Whether the morning's digest carries the requests of the day before as a file for a spreadsheet.
    pub daily_csv: bool,
}

/// Mailboxes for some answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Which answers.
    pub condition: Condition,
    /// Instead of the form's recipients; never empty.
    pub recipients: Vec<String>,
}

impl Form {
    /// The mailboxes these answers go to: those of the first route that fits, or the form's own.
    pub fn recipients_for(&self, raw: &RawAnswers) -> &[String] {
        let fits = |route: &&Route| {
            route.condition.tests.iter().all(|test| {
                self.field(&test.field).is_some_and(|parent| self.asks(parent, raw) && test.holds(parent, raw))
            })
        };
        self.delivery.routes.iter().find(fits).map_or(&self.recipients, |route| &route.recipients)
    }

    /// Every mailbox its requests may go to, whatever is answered; backups are apart.
    pub fn mailboxes(&self) -> impl Iterator<Item = &String> {
        self.recipients.iter().chain(self.delivery.routes.iter().flat_map(|route| &route.recipients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::form::{Choice, Field, FieldKind, Identity, Nature, Silence};
    use crate::model::receipt::tests::form;

    fn raw(name: &str, value: &str) -> RawAnswers {
        let mut raw = RawAnswers::default();
        raw.values.insert(name.to_owned(), vec![value.to_owned()]);
        raw
    }

    #[test]
    fn the_first_route_that_fits_counts_and_a_question_that_is_not_asked_fits_none() {
        let mut form = form(Nature::Information, Identity::None, Silence::SansDecision);
        let choice = |value: &str| Choice { value: value.into(), label: value.into(), help: None, price: None };
        let question = |id: &str, condition: Option<Condition>| {
            let kind = FieldKind::Choice { choices: vec![choice("nord"), choice("sud")] };
            Field { condition, ..Field::plain(id, kind, "Où ?", true) }
        };
        form.fields = vec![question("secteur", None), question("rive", Some(Condition::is("secteur", &["sud"])))];
        let route = |field: &str, value: &str, to: &str| Route {
            condition: Condition::is(field, &[value]),
            recipients: vec![to.to_owned()],
        };
        form.delivery.routes = vec![
            route("rive", "nord", "rive@x.fr"),
            route("secteur", "nord", "nord@x.fr"),
            route("secteur", "nord", "jamais@x.fr"),
        ];
        let own = form.recipients.clone();
        assert_eq!(form.recipients_for(&raw("secteur", "nord")), ["nord@x.fr"]);
        assert_eq!(form.recipients_for(&raw("secteur", "sud")), own);
        let mut both = raw("secteur", "nord");
        both.values.insert("rive".into(), vec!["nord".into()]);
        assert_eq!(form.recipients_for(&both), ["nord@x.fr"], "« rive » is not asked");
        both.values.insert("secteur".into(), vec!["sud".into()]);
        assert_eq!(form.recipients_for(&both), ["rive@x.fr"]);
        assert_eq!(form.mailboxes().count(), own.len() + 3);
    }
}
