//! Amazon Cognito user pools, by the domain of the pool.

use super::{BLANK, ClientAuthMethod, Form, Parameter, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "cognito",
    display_name: "Amazon Cognito",
    parameters: &[
        Parameter {
            name: "domain",
            meaning: "the domain of the user pool, such as example.auth.eu-west-1.amazoncognito.com",
            form: Form::Host,
        },
    ],
    authorization_endpoint: Some("https://{domain}/oauth2/authorize"),
    token_endpoint: "https://{domain}/oauth2/token",
    revocation_endpoint: Some("https://{domain}/oauth2/revoke"),
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    quirks: &[
        "Protects APIs of one's own: the upstream is configured.",
        "Rotation is a setting of each app client, with a grace of at most 60 seconds.",
        "Refresh tokens last 30 days unless the app client says otherwise.",
    ],
    documentation: "https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html",
    documents: &[
        ("revocation", "https://docs.aws.amazon.com/cognito/latest/developerguide/revocation-endpoint.html"),
        (
            "rotation",
            "https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RefreshTokenRotationType.html",
        ),
    ],
    ..BLANK
};
