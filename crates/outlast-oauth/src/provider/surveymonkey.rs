//! SurveyMonkey: no refresh tokens.

use super::{BLANK, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "surveymonkey",
    display_name: "SurveyMonkey",
    authorization_endpoint: Some("https://api.surveymonkey.com/oauth/authorize"),
    token_endpoint: "https://api.surveymonkey.com/oauth/token",
    upstreams: &["https://api.surveymonkey.com"],
    quirks: &[
        "No refresh token is issued: access tokens last until they are revoked.",
        "Scopes are chosen in the app's settings.",
    ],
    documentation: "https://api.surveymonkey.com/v3/docs",
    ..BLANK
};
