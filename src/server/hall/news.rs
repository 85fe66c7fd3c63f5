//! What other processes leave to deliver on a database server, heard for the communes that are asleep here.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::Hall;
use super::counter::Counter;
use crate::intake::store::{self, Base};
use crate::server::config::{HallConfig, Role};

/// One connection for all communes of the server; ends with the value.
pub(super) struct News {
    config: Arc<HallConfig>,
    base: Base,
    schemas: Vec<String>,
    _heard: Option<store::News>,
}

impl News {
    /// Hears of the communes of the present configuration, unless that is what `before` does. Only a process that delivers and
    /// nothing else needs it: any other delivers what it takes in itself.
    pub(super) fn of(hall: &Arc<Hall>, before: Option<News>) -> Option<News> {
        let plan = hall.plan();
        let config = plan.config.clone();
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(&before.config, &config)) {
            return before;
        }
        let base = config.common.base.clone().filter(|_| config.role == Role::Back && plan.only.is_none())?;
        let schema = |counter: &Arc<Counter>| Some(counter.settings().config().base?.schema().to_owned());
        let counters: BTreeMap<String, Weak<Counter>> =
            plan.counters.values().filter_map(|counter| Some((schema(counter)?, Arc::downgrade(counter)))).collect();
        let schemas: Vec<String> = counters.keys().cloned().collect();
        if let Some(before) = before.filter(|before| before.schemas == schemas && before.base.is_same(&base)) {
            return Some(News { config, ..before });
        }
        let clock = hall.means.clock.clone();
        let told = move |schema: Option<&str>| {
            let now = clock();
            let concerned = counters.iter().filter(|(name, _)| schema.is_none_or(|schema| schema == *name));
            for counter in concerned.filter_map(|(_, counter)| counter.upgrade()) {
                match counter.awake() {
                    // Its own store has heard it, unless it is being closed: then it is for the next visit.
                    Some(_) if schema.is_some() => {
                        counter.touch(now);
                        counter.is_due(now);
                    }
                    Some(_) => {}
                    None => counter.is_due(now),
                }
            }
        };
        Some(News { _heard: store::News::hear(&base, schemas.clone(), told), config, base, schemas })
    }
}
