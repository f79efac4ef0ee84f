//! Stripe Connect, standard accounts. The client secret is the platform's secret API key.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "stripe-connect",
    display_name: "Stripe Connect",
    authorization_endpoint: Some("https://connect.stripe.com/oauth/authorize"),
    token_endpoint: "https://connect.stripe.com/oauth/token",
    upstreams: &["https://api.stripe.com"],
    quirks: &[
        "The client secret is the platform's secret API key.",
        "A grant is ended at a deauthorization address, not as RFC 7009 says.",
    ],
    documentation: "https://docs.stripe.com/connect/oauth-reference",
    ..BLANK
};
