//! Databricks workspaces.

use super::{BLANK, ClientAuthMethod, Form, Parameter, Pkce, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "databricks",
    display_name: "Databricks",
    parameters: &[
        Parameter {
            name: "workspace",
            meaning: "the host of the workspace, such as dbc-a1b2345c-d6e7.cloud.databricks.com",
            form: Form::Host,
        },
    ],
    authorization_endpoint: Some("https://{workspace}/oidc/v1/authorize"),
    token_endpoint: "https://{workspace}/oidc/v1/token",
    client_auth: ClientAuthMethod::Basic,
    pkce: Pkce::Supported,
    upstreams: &["https://{workspace}"],
    quirks: &[
        "Only the scope `offline_access` brings a refresh token.",
        "A service principal uses the client credentials grant with the scope `all-apis`.",
    ],
    documentation: "https://docs.databricks.com/aws/en/dev-tools/auth/oauth-u2m",
    documents: &[
        (
            "endpoints",
            "https://databrickslabs.github.io/partner-architecture/isv-partners/lakehouse-patterns/access-auth/oauth-reference",
        ),
    ],
    ..BLANK
};
