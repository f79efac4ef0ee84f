//! The stored form of what the next login has to bring.

use super::Millis;
use outlast_core::grant::Wanted;
use outlast_core::wanted::Demand;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct StoredWanted {
    acr_values: Option<String>,
    claims: Option<String>,
    #[serde(default)]
    demands: Vec<StoredDemand>,
    max_age_secs: Option<u64>,
    scope: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredDemand {
    mark: u64,
    tried_at: Option<Millis>,
    tries: u8,
}

impl From<&Wanted> for StoredWanted {
    fn from(wanted: &Wanted) -> Self {
        let Wanted { scope, acr_values, max_age, claims, demands } = wanted;
        let demand = |&Demand { mark, tries, tried_at }: &Demand| StoredDemand {
            mark,
            tried_at: tried_at.map(Millis::from),
            tries,
        };
        Self {
            acr_values: acr_values.clone(),
            claims: claims.clone(),
            demands: demands.iter().map(demand).collect(),
            max_age_secs: max_age.map(|age| age.as_secs()),
            scope: scope.clone(),
        }
    }
}

impl From<StoredWanted> for Wanted {
    fn from(stored: StoredWanted) -> Self {
        let demand = |StoredDemand { mark, tried_at, tries }: StoredDemand| Demand {
            mark,
            tries,
            tried_at: tried_at.map(Into::into),
        };
        Self {
            scope: stored.scope,
            acr_values: stored.acr_values,
            max_age: stored.max_age_secs.map(Duration::from_secs),
            claims: stored.claims,
            demands: stored.demands.into_iter().map(demand).collect(),
        }
    }
}
