//! Snowflake OAuth for custom clients.

use super::{BLANK, ClientAuthMethod, Form, Parameter, Pkce, Preset, Rotates};

pub(super) const PRESET: Preset = Preset {
    name: "snowflake",
    display_name: "Snowflake",
    parameters: &[
        Parameter {
            name: "account",
            meaning: "the account's identifier as in its host name, such as exampleorg-account1",
            form: Form::Name,
        },
    ],
    authorization_endpoint: Some("https://{account}.snowflakecomputing.com/oauth/authorize"),
    token_endpoint: "https://{account}.snowflakecomputing.com/oauth/token-request",
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    rotates: Rotates::Yes,
    upstreams: &["https://{account}.snowflakecomputing.com"],
    quirks: &[
        "Whether a refresh token serves only once, and its life, are settings of the security integration.",
    ],
    documentation: "https://docs.snowflake.com/en/user-guide/oauth-custom",
    documents: &[
        (
            "PKCE, rotation and lifetimes",
            "https://docs.snowflake.com/en/sql-reference/sql/create-security-integration-oauth-snowflake",
        ),
    ],
    ..BLANK
};
