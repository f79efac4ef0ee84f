//! A token that is had for another token (RFC 8693): exchanged anew each time, nothing spent.

use crate::request::token_request;
use outlast_core::options::{GrantOption, OptionKind};
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};
use outlast_core::token_response::read_token_set;
use outlast_core::wire::Reply;
use outlast_core::{GrantType, Secret, Terms, TokenResponse};
use serde_json::Value;

/// The row `token_exchange`.
pub(super) struct TokenExchange;

static STRATEGY: Strategy = Strategy {
    grant_type: "token_exchange",
    rfc: "RFC 8693",
    renewal: Renewal::Remint,
    rotation: Rotation::None,
    recovery: Recovery::Operator,
};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

const OPTIONS: &[GrantOption] = &[
    GrantOption::optional("actor_grant", OptionKind::Grant, "the name of the grant whose access token acts for it"),
    GrantOption::optional(
        "actor_token",
        OptionKind::Secret,
        "a token of whoever acts for the subject, in place of actor_grant",
    ),
    GrantOption::optional(
        "actor_token_type",
        OptionKind::Text,
        "what kind of token the actor's is, if not an access token",
    ),
    GrantOption::optional(
        "audience",
        OptionKind::List,
        "the names of the services the token is for, as the server knows them",
    ),
    GrantOption::optional(
        "requested_token_type",
        OptionKind::Text,
        "what kind of token is wanted, if not what the server gives by itself",
    ),
    GrantOption::optional("subject_grant", OptionKind::Grant, "the name of the grant whose access token is exchanged"),
    GrantOption::optional(
        "subject_token",
        OptionKind::Secret,
        "the token that is exchanged, in place of subject_grant",
    ),
    GrantOption::optional(
        "subject_token_type",
        OptionKind::Text,
        "what kind of token the subject's is, if not an access token",
    ),
];

impl GrantType for TokenExchange {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn options(&self) -> &'static [GrantOption] {
        OPTIONS
    }

    fn check(&self, terms: &Terms) -> Result<(), String> {
        let options = &terms.options;
        match (options.grant("subject_grant"), options.secret("subject_token")) {
            (None, None) => Err("has nothing to exchange: set subject_grant = \"NAME\", or subject_token".to_owned()),
            (Some(_), Some(_)) => {
                Err("has two tokens to exchange: keep one of subject_grant, subject_token".to_owned())
            }
            (Some(grant), None) if *grant == terms.id => {
                Err("would be exchanged from itself: name another grant in subject_grant".to_owned())
            }
            (Some(_), None) | (None, Some(_)) => check_actor(terms),
        }
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        let Renewing { terms, provider, .. } = *renewing;
        let options = &terms.options;
        let subject = renewing.subject_token.or_else(|| options.secret("subject_token"));
        let subject = subject.ok_or(Unrenewable::Misconfigured("there is no token to exchange"))?;
        let text = |name: &str, usual: &str| Secret::new(options.text(name).unwrap_or(usual));
        let mut own = vec![
            ("subject_token", subject.clone()),
            ("subject_token_type", text("subject_token_type", ACCESS_TOKEN)),
            ("requested_token_type", text("requested_token_type", "")),
        ];
        // Never the subject's in its place: who acts and for whom are two (N27).
        if let Some(actor) = renewing.actor_token.or_else(|| options.secret("actor_token")) {
            own.extend([("actor_token", actor.clone()), ("actor_token_type", text("actor_token_type", ACCESS_TOKEN))]);
        }
        // The one parameter that may stand there several times (RFC 8693 2.1).
        own.extend(options.list("audience").iter().map(|audience| ("audience", Secret::new(audience.as_str()))));
        let mut request = token_request(TOKEN_EXCHANGE, own, terms, provider);
        request.proof_key = renewing.grant.proof_key.clone();
        Ok(Redemption::Post(request))
    }

    fn read(&self, reply: &Reply, terms: &Terms) -> Option<TokenResponse> {
        let mut members: serde_json::Map<String, Value> = serde_json::from_slice(&reply.body).ok()?;
        // N27: a token of a kind that was not asked for is not an access token to be used as one.
        let issued = members.get("issued_token_type").and_then(Value::as_str);
        let wanted = terms.options.text("requested_token_type");
        let fits = match (issued, wanted) {
            // Required by RFC 8693 2.2.1; servers that leave it out issue what they always issue.
            (None, _) => true,
            (Some(issued), Some(wanted)) => issued == wanted,
            (Some(issued), None) => matches!(issued, ACCESS_TOKEN | JWT),
        };
        if !fits {
            return None;
        }
        // Not a scheme but the word that it is none (RFC 8693 2.2.1); what uses it says how.
        let applicable = members.get("token_type").and_then(Value::as_str).is_some_and(|name| name != "N_A");
        if !applicable {
            members.remove("token_type");
        }
        // A refresh token would end with the session that it came from; exchanging anew cannot.
        members.remove("refresh_token");
        read_token_set(&Value::Object(members).to_string())
    }
}

fn check_actor(terms: &Terms) -> Result<(), String> {
    let options = &terms.options;
    let (actor, token) = (options.grant("actor_grant"), options.secret("actor_token"));
    let wrong = match (actor, token) {
        (Some(_), Some(_)) => "has two tokens that act: keep one of actor_grant, actor_token",
        (Some(grant), None) if *grant == terms.id => "would act for itself: name another grant in actor_grant",
        (Some(grant), None) if options.grant("subject_grant") == Some(grant) => {
            "names one grant as who acts and for whom: name another in actor_grant, or leave it out"
        }
        (None, None) if options.text("actor_token_type").is_some() => {
            "says what kind the actor's token is and names none: set actor_grant or actor_token"
        }
        (Some(_), None) | (None, Some(_) | None) => return Ok(()),
    };
    Err(wrong.to_owned())
}
