//! Login with Amazon (LWA).

use super::{BLANK, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "amazon",
    display_name: "Login with Amazon",
    authorization_endpoint: Some("https://www.amazon.com/ap/oa"),
    token_endpoint: "https://api.amazon.com/auth/o2/token",
    pkce: Pkce::Supported,
    upstreams: &["https://api.amazon.com"],
    quirks: &[
        "Its device flow predates RFC 8628: requests name `response_type=device_code`, and polling names the user \
         code; no device endpoint is given here for that reason.",
    ],
    documentation: "https://developer.amazon.com/docs/login-with-amazon/authorization-code-grant.html",
    documents: &[
        (
            "device flow",
            "https://developer.amazon.com/docs/login-with-amazon/retrieve-code-other-platforms-cbl-docs.html",
        ),
    ],
    ..BLANK
};
