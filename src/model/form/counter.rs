//! The same form filled by an agent, for somebody on the telephone or at the desk.

use super::identity::IDENTITY_STEP;
use super::own::{COUNTER_AGENT, COUNTER_CHANNEL};
use super::question::{Choice, Field, FieldKind};
use super::{Form, Identity};

/// Title of the group of questions asked of the agent.
const COUNTER_STEP: &str = "Au comptoir";
/// How a request comes to an agent: at that very moment. A letter is not among them: its delays run from the day it arrived,
/// and the receipt counts from now.
const CHANNELS: [(&str, &str); 2] = [("telephone", "Par téléphone"), ("accueil", "À l’accueil de la mairie")];

impl Form {
    /// The form as an agent fills it, under the link of that secret: who fills it and how the request came are asked first.
    ///
    /// What CRPA, art. R112-9-1, asks of who writes to the administration by electronic means is not due by who calls or comes:
    /// the electronic address, the RNA and the SIRET may be left blank. Names and postal address stay: the receipt is handed
    /// or posted.
    pub fn at_counter(&self, token: &str) -> Form {
        let channels = CHANNELS.iter().map(|(value, label)| Choice {
            value: (*value).into(),
            label: (*label).into(),
            help: None,
            price: None,
        });
        let own = |id: &str, kind: FieldKind, question: &str, help: Option<&str>| Field {
            help: help.map(str::to_owned),
            step: Some(COUNTER_STEP.into()),
            ..Field::plain(id, kind, question, true)
        };
        let (who, how) = ("Qui remplit ce formulaire ?", "Comment la personne fait-elle sa demande ?");
        let mut fields = vec![
            own(COUNTER_AGENT, FieldKind::Text { max: 100 }, who, Some("Vos prénom, nom et fonction.")),
            own(COUNTER_CHANNEL, FieldKind::Choice { choices: channels.collect() }, how, None),
        ];
        fields.extend(self.fields.iter().cloned().map(|mut field| {
            if field.step.as_deref() == Some(IDENTITY_STEP) {
                relax(&mut field, self.identity);
            }
            // The agent's group ends where the form begins.
            field.step = field.step.or_else(|| Some(self.title.clone()));
            field
        }));
        Form { fields, counter: Some(token.to_owned()), ..self.clone() }
    }

    /// Whether an agent fills it.
    pub fn is_at_counter(&self) -> bool {
        self.counter.is_some()
    }
}

/// What is not due by who does not write by electronic means.
fn relax(field: &mut Field, identity: Identity) {
    // The agent's browser would offer the agent's own name.
    field.autocomplete = None;
    match field.id.as_str() {
        "courriel" => {
            field.required = false;
            field.help = Some("Si la personne en a une : l’accusé lui est envoyé. Sinon, imprimez-le.".into());
        }
        "rna" | "siret" => field.required = false,
        // A form without postal address must still leave a way to answer.
        "telephone" => field.required = field.required || identity == Identity::Free,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::form::{Nature, Silence};

    #[test]
    fn an_agent_says_who_and_how_and_needs_no_electronic_address() {
        let form = crate::model::receipt::tests::form(Nature::Demande, Identity::Person, Silence::Inconnu);
        let form = Form { fields: Identity::Person.fields(), ..form }.at_counter("jeton");
        assert_eq!(form.path(), format!("/guichet/comptoir/jeton/{}", form.id));
        let required: Vec<&str> =
            form.fields.iter().filter(|field| field.required).map(|field| field.id.as_str()).collect();
        assert_eq!(required, [COUNTER_AGENT, COUNTER_CHANNEL, "prenom", "nom", "adresse"]);
        assert!(form.fields.iter().all(|field| field.autocomplete.is_none()), "the agent is not the person");
    }
}
