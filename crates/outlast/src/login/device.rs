//! With a code on another device (RFC 8628): asks for one, has it shown, and polls until the person
//! has answered. What the answer brings is stored by the same poll, under its lease.

use super::take_over::{Consent, TakenOver, server, stored};
use super::{LoggedIn, LoginError, LoginOptions, LoginPrompt, LoginStep};
use crate::discovery::NotFound;
use crate::handle::GrantHandle;
use outlast_core::classify::{EndpointKind, Verdict, classify};
use outlast_core::outcome::describe;
use outlast_core::wire::{Answer, Reply, TokenRequest};
use outlast_core::{Code, Provider, Terms};
use outlast_oauth::login::device::{self, DeviceAuthorization, Heard, Polling};
use url::Url;

impl GrantHandle {
    pub(super) async fn login_by_device(
        &self,
        options: &LoginOptions,
        prompt: &dyn LoginPrompt,
    ) -> Result<LoggedIn, LoginError> {
        let provider = self.keeper.provider(&self.entry).await.map_err(|missing| server(&self.entry, missing))?;
        let held = self.with_client(provider, stored(self.keeper.parts(), &self.entry).await?).await?;
        let terms = self.entry.terms.as_registered(&held);
        let mut scope = terms.scope.clone();
        scope.extend(held.wanted.scope.iter().filter(|word| !terms.scope.contains(word)).cloned());
        let authorization = self.device_authorization(&terms, &scope, provider).await?;
        let polling = Polling::begin(&authorization, self.keeper.now());
        prompt.show(LoginStep::EnterCode {
            user_code: authorization.user_code.clone(),
            verification_uri: authorization.verification_uri.clone(),
            verification_uri_complete: authorization.verification_uri_complete.clone(),
            expires_at: polling.expires_at(),
            interval: authorization.interval,
            authorization_server: host(&provider.token_endpoint),
            scope,
        });
        let consent = Consent {
            // A key made now goes with every poll, and is kept only if one of them brings tokens.
            request: TokenRequest {
                proof_key: self.new_proof_key()?,
                ..device::token_request(&authorization, &terms, provider)
            },
            kind: EndpointKind::Device,
            nonce: None,
            switch_account: options.switch_account,
            registration: held.registration.clone(),
        };
        self.poll(polling, &consent, prompt).await
    }

    async fn device_authorization(
        &self,
        terms: &Terms,
        scope: &[String],
        provider: &Provider,
    ) -> Result<DeviceAuthorization, LoginError> {
        let request = device::authorization_request(terms, scope, provider)
            .ok_or_else(|| self.unavailable("its authorization server is not known to give out device codes"))?;
        match self.keeper.parts().endpoint.ask(&request).await {
            Answer::Complete(reply) => self.read_authorization(&reply, provider),
            Answer::Lost(fault) | Answer::Unsent(fault) => {
                Err(server(&self.entry, NotFound { code: fault.code(), detail: describe(fault).to_owned() }))
            }
        }
    }

    fn read_authorization(&self, reply: &Reply, provider: &Provider) -> Result<DeviceAuthorization, LoginError> {
        let success = (200..300).contains(&reply.status);
        let unreadable = match device::read(reply) {
            Ok(authorization) if success => return Ok(authorization),
            Ok(_) => "it gave out a code and refused to at once",
            Err(why) => why,
        };
        let refusal = classify(EndpointKind::Token, reply.status, &reply.headers, &reply.body, &provider.quirks);
        match refusal.verdict {
            // Some servers send their refusals as successes; this is none.
            Verdict::NotAuth | Verdict::Unknown if success => {
                let detail = format!("the authorization server's answer cannot be used: {unreadable}");
                Err(server(&self.entry, NotFound { code: Code::ServerMisbehaved, detail }))
            }
            verdict => Err(LoginError::of_refusal(&self.entry, &verdict, &refusal.evidence)),
        }
    }

    async fn poll(
        &self,
        mut polling: Polling,
        consent: &Consent,
        prompt: &dyn LoginPrompt,
    ) -> Result<LoggedIn, LoginError> {
        let grant = || self.id().clone();
        while let Some(at) = polling.next_at() {
            // A clock may wake early, and a machine that slept wakes late.
            while self.keeper.now() < at {
                self.keeper.clock().sleep(self.keeper.now().until(at)).await;
            }
            let heard = match self.keeper.take_over(&self.entry, consent.clone()).await? {
                TakenOver::LoggedIn(brought) => return Ok(brought),
                TakenOver::Refused(verdict, evidence) => match Heard::of(&verdict, &evidence) {
                    Heard::Denied => return Err(LoginError::Denied { grant: grant(), said: evidence.found }),
                    Heard::Expired => return Err(LoginError::Expired { grant: grant() }),
                    Heard::Refused => return Err(LoginError::of_refusal(&self.entry, &verdict, &evidence)),
                    open @ (Heard::Pending | Heard::SlowDown | Heard::Unheard { .. }) => open,
                },
                TakenOver::Unanswered(NotFound { code: Code::InsecureAddress, detail }) => {
                    return Err(server(&self.entry, NotFound { code: Code::InsecureAddress, detail }));
                }
                TakenOver::Unanswered(_) => Heard::Unheard { retry_after: None },
            };
            // After the answer, not after the question: a slow answer is no reason to ask sooner.
            let now = self.keeper.now();
            polling = polling.after(heard, now);
            prompt.show(LoginStep::Waiting { left: now.until(polling.expires_at()) });
        }
        Err(LoginError::Expired { grant: grant() })
    }
}

fn host(address: &str) -> String {
    Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
