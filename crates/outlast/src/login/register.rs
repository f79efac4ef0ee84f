//! The client of a grant whose configuration names none: registered once at its server, kept with the
//! grant, and used nowhere else (RFC 7591, N48); or described by a document that the server fetches (N51).

use super::take_over::{server, stored};
use super::{LoginError, redirect::Redirect};
use crate::discovery::NotFound;
use crate::handle::GrantHandle;
use crate::keeper::LEASE_PATIENCE;
use outlast_core::grant::Registration;
use outlast_core::wire::Provider;
use outlast_core::{Grant, Standing, Timestamp};
use outlast_oauth::client_document;
use outlast_oauth::registration::{self, Application, RegistrationError};

impl GrantHandle {
    /// `held` with a client: as it is where there is one, else with one that is registered now. Under
    /// the lease, so that two logins at once register one client.
    pub(super) async fn with_client(&self, provider: &Provider, held: Grant) -> Result<Grant, LoginError> {
        if let Some(client) = self.documented(provider) {
            // Nothing to ask for and nothing to keep: it is stored with the tokens that it brings. What is
            // held until then was given to another client, perhaps, and is renewed by that one.
            return Ok(Grant { registration: Some(client), ..held });
        }
        if self.has_client(&held) {
            return Ok(held);
        }
        let (parts, terms) = (self.keeper.parts(), &self.entry.terms);
        let lease = parts.store.lease(&terms.id, LEASE_PATIENCE).await?;
        let held = stored(parts, &self.entry).await?;
        if self.has_client(&held) {
            return Ok(held);
        }
        let redirect = Redirect::read(self.settings().login.redirect_uri.as_deref());
        let redirect = redirect.map_err(|why| self.unavailable(why))?;
        let by_code = terms.grant_type == "authorization_code";
        let redirect_uris = if by_code { vec![redirect.registered().to_owned()] } else { Vec::new() };
        let application = Application {
            grant_type: if by_code { "authorization_code" } else { "urn:ietf:params:oauth:grant-type:device_code" },
            redirect_uris: &redirect_uris,
            scope: &terms.scope,
            dpop: terms.dpop,
        };
        let (request, method) =
            registration::request(provider, &application).map_err(|error| self.unregistered(error))?;
        let answer = parts.endpoint.ask(&request).await;
        let client = registration::read(&answer, method, &terms.authorization_server);
        let client = client.map_err(|error| self.unregistered(error))?;
        tracing::info!(grant = %terms.id, "a client was registered");
        let next = Grant { registration: Some(client), ..held.clone() };
        // What is held at another server needs the client of that one until the login is done (R11): the
        // new client then comes with the tokens.
        if held.tokens.is_none() || held.authorization_server == terms.authorization_server {
            parts.store.commit(&lease, held.generation, &next).await?;
        }
        Ok(next)
    }

    /// A client that its server no longer knows is forgotten: the next login registers anew. Not while
    /// something is held that may be renewed with it.
    pub(super) async fn forget_client(&self, used: &Grant) {
        let Some(client) = used.registration.clone().filter(|_| self.entry.terms.client_id.is_empty()) else { return };
        let idle = |held: &Grant| held.tokens.is_none() || matches!(held.standing, Standing::Parked { .. });
        let same = |held: &Grant| held.registration.as_ref() == Some(&client) && idle(held);
        let change = |held: &Grant| same(held).then(|| Grant { registration: None, ..held.clone() });
        if let Err(error) = self.keeper.change(&self.entry, change).await {
            tracing::warn!(grant = %self.id(), code = %error.code(), "a client that is refused is not forgotten");
        }
    }

    /// The client that the configured document describes, where there is one and the server takes it (N51).
    fn documented(&self, provider: &Provider) -> Option<Registration> {
        let document = self.settings().login.client_document.as_deref()?;
        let terms = &self.entry.terms;
        let client = client_document::client(document, provider, &terms.authorization_server);
        client.filter(|_| terms.client_id.is_empty())
    }

    fn has_client(&self, held: &Grant) -> bool {
        let terms = &self.entry.terms;
        !terms.client_id.is_empty()
            || held
                .registration
                .as_ref()
                .is_some_and(|client| is_good(client, &terms.authorization_server, self.keeper.now()))
    }

    fn unregistered(&self, error: RegistrationError) -> LoginError {
        server(&self.entry, NotFound { code: error.code(), detail: error.to_string() })
    }
}

/// Whether a client is one of this server's, and its secret has not ended.
fn is_good(client: &Registration, authorization_server: &str, now: Timestamp) -> bool {
    client.authorization_server == authorization_server && client.secret_ends_at.is_none_or(|end| now < end)
}
