//! `GET /metrics`: counters and how the grants stand, as text for Prometheus.

use super::{Answer, Control, typed};
use crate::metrics::GrantGauge;
use crate::status::GrantStatus;
use http::StatusCode;

pub(super) async fn answer(control: &Control) -> Answer {
    let mut gauges = Vec::new();
    for id in control.keeper.grants() {
        let Ok(handle) = control.keeper.grant(id) else { continue };
        // A record that cannot be read shows in `status`; the counters are worth having without it.
        let Ok(record) = handle.record().await else { continue };
        let status = GrantStatus::of(&handle, &record, control.now());
        gauges.push(GrantGauge {
            name: status.name,
            generation: status.generation,
            seconds_left: status.seconds_left,
            standing: status.standing,
        });
    }
    let text = control.metrics.render(&gauges, control.keeper.window());
    Ok(typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text))
}
