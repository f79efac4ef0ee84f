//! By authorization code (RFC 6749 4.1, 8252, 7636, 9126, 9207): in a browser on this machine, by
//! paste, or by whichever of the two comes first.

use super::loopback::{Arrival, Loopback};
use super::redirect::Redirect;
use super::take_over::{Consent, TakenOver, server, stored};
use super::{LoggedIn, LoginError, LoginOptions, LoginPrompt, LoginStep, LoginWay};
use crate::discovery::NotFound;
use crate::handle::GrantHandle;
use outlast_core::classify::{EndpointKind, Verdict};
use outlast_core::outcome::describe;
use outlast_core::wire::{Answer, Provider, TokenRequest};
use outlast_core::{Code, Grant, Secret, Terms, Timestamp};
use outlast_oauth::dpop;
use outlast_oauth::login::{Answered, Asking, Authorization, Denial, Pushed, read_answer, read_pasted, read_pushed};
use std::time::Duration;

/// How long a person has (N17).
const PERSON_MAX: Duration = Duration::from_secs(10 * 60);
/// Shortest time after which a pushed request that expired is pushed anew.
const PUSH_AGAIN_MIN: Duration = Duration::from_secs(10);

/// One login that goes on.
struct Session<'a> {
    handle: &'a GrantHandle,
    prompt: &'a dyn LoginPrompt,
    provider: &'a Provider,
    terms: &'a Terms,
    held: &'a Grant,
    redirect_uri: &'a str,
    listening: bool,
    /// Of the key that the code is bound to (RFC 9449 10).
    thumbprint: Option<String>,
    deadline: Timestamp,
    /// The requests whose answer may still come: more than one where a pushed request expired.
    outstanding: Vec<Authorization>,
}

/// An answer that ends the waiting.
struct Consented {
    request: Authorization,
    code: Secret,
}

impl GrantHandle {
    pub(super) async fn login_by_code(
        &self,
        way: LoginWay,
        options: &LoginOptions,
        prompt: &dyn LoginPrompt,
    ) -> Result<LoggedIn, LoginError> {
        let provider = self.keeper.provider(&self.entry).await.map_err(|missing| server(&self.entry, missing))?;
        let held = self.with_client(provider, stored(self.keeper.parts(), &self.entry).await?).await?;
        let terms = self.entry.terms.as_registered(&held);
        let redirect = Redirect::read(self.settings().login.redirect_uri.as_deref());
        let redirect = redirect.map_err(|why| self.unavailable(why))?;
        let proof_key = self.new_proof_key()?;
        let thumbprint = proof_key.as_ref().and_then(|key| dpop::thumbprint(key).ok());
        // Bound before anybody is told the address: nobody else can take the port in between (F73).
        let mut listener = match &redirect.listen {
            Some(listen) if way == LoginWay::Browser => {
                Some(Loopback::bind(&redirect, listen).await.map_err(|why| self.unavailable(why))?)
            }
            Some(_) | None => None,
        };
        let redirect_uri = listener.as_ref().map_or(redirect.registered(), |bound| &bound.redirect_uri).to_owned();
        let mut session = Session {
            handle: self,
            prompt,
            provider,
            terms: &terms,
            held: &held,
            redirect_uri: &redirect_uri,
            listening: listener.is_some(),
            thumbprint,
            deadline: self.keeper.now().plus(PERSON_MAX),
            outstanding: Vec::new(),
        };
        let consented = session.wait(&mut listener).await;
        if let Some(listener) = listener {
            listener.close().await;
        }
        let Consented { request, code } = consented?;
        let consent = Consent {
            request: TokenRequest { proof_key, ..request.exchange(&code, &terms, provider) },
            kind: EndpointKind::Token,
            nonce: request.nonce().cloned(),
            switch_account: options.switch_account,
            registration: held.registration.clone(),
        };
        match self.keeper.take_over(&self.entry, consent).await? {
            TakenOver::LoggedIn(brought) => Ok(brought),
            TakenOver::Refused(Verdict::ClientMisconfigured, evidence) => {
                self.forget_client(&held).await;
                Err(LoginError::of_refusal(&self.entry, &Verdict::ClientMisconfigured, &evidence))
            }
            TakenOver::Refused(verdict, evidence) => Err(LoginError::of_refusal(&self.entry, &verdict, &evidence)),
            TakenOver::Unanswered(missing) => Err(server(&self.entry, missing)),
        }
    }
}

impl Session<'_> {
    /// Shows the address and waits for the first answer of this login, by whichever way.
    async fn wait(&mut self, listener: &mut Option<Loopback>) -> Result<Consented, LoginError> {
        let clock = self.handle.keeper.clock();
        let prompt = self.prompt;
        let mut good_until = self.ask().await?;
        let mut pasted = prompt.pasted();
        loop {
            let now = clock.now();
            if now >= self.deadline {
                return Err(LoginError::Expired { grant: self.terms.id.clone() });
            }
            if now >= good_until {
                // The person may be in the middle of it: a server that is ill for a moment ends nothing.
                good_until = self.ask().await.unwrap_or_else(|_ill| now.plus(PUSH_AGAIN_MIN));
            }
            let wake = now.until(good_until.min(self.deadline));
            let settled = tokio::select! {
                arrival = next(listener) => self.arrived(arrival),
                text = &mut pasted => {
                    pasted = prompt.pasted();
                    self.was_pasted(&text)
                }
                () = clock.sleep(wake) => None,
            };
            if let Some(settled) = settled {
                return settled;
            }
        }
    }

    /// Shows the person an address, and tells until when the server knows it.
    async fn ask(&mut self) -> Result<Timestamp, LoginError> {
        let asking = Asking {
            terms: self.terms,
            provider: self.provider,
            wanted: &self.held.wanted,
            redirect_uri: self.redirect_uri,
            proof_key_thumbprint: self.thumbprint.as_deref(),
        };
        let request = Authorization::begin(&asking).map_err(|why| self.handle.unavailable(why.to_string()))?;
        let (address, good_until) = match self.push(&request).await? {
            Some(pushed) => {
                let life = pushed.expires_in.max(PUSH_AGAIN_MIN);
                let address = request.pushed_address(&pushed.request_uri, self.terms);
                (address, self.handle.keeper.now().plus(life))
            }
            None => (request.address(), self.deadline),
        };
        self.prompt.show(LoginStep::Visit {
            address,
            redirect_uri: self.redirect_uri.to_owned(),
            listening: self.listening,
            expires_at: self.deadline,
            replaces: !self.outstanding.is_empty(),
        });
        self.outstanding.push(request);
        Ok(good_until)
    }

    /// Pushes a request where the server takes that (RFC 9126); without need of it, one that is
    /// refused goes by the address instead.
    async fn push(&self, request: &Authorization) -> Result<Option<Pushed>, LoginError> {
        let Some(push) = request.push(self.terms, self.provider) else {
            return if self.provider.push_required {
                Err(self.handle.unavailable("its server wants pushed requests, and does not say where to"))
            } else {
                Ok(None)
            };
        };
        let entry = &self.handle.entry;
        let failed = match self.handle.keeper.parts().endpoint.ask(&push).await {
            Answer::Complete(reply) => match read_pushed(&reply, &self.provider.quirks) {
                Ok(pushed) => return Ok(Some(pushed)),
                Err((verdict, evidence)) => LoginError::of_refusal(entry, &verdict, &evidence),
            },
            Answer::Lost(fault) | Answer::Unsent(fault) => {
                server(entry, NotFound { code: fault.code(), detail: describe(fault).to_owned() })
            }
        };
        if self.provider.push_required { Err(failed) } else { Ok(None) }
    }

    /// A request at the listener. A stranger's is answered and changes nothing: whoever sends forged
    /// answers must not be able to end the login (F73).
    fn arrived(&self, arrival: Arrival) -> Option<Result<Consented, LoginError>> {
        let judged = self.judge(&arrival.query);
        arrival.answer(judged.is_some());
        judged
    }

    fn was_pasted(&self, text: &str) -> Option<Result<Consented, LoginError>> {
        match read_pasted(text, self.redirect_uri) {
            Ok(query) => {
                let judged = self.judge(query);
                if judged.is_none() {
                    self.prompt.refuse("that address belongs to another sign-in than this one");
                }
                judged
            }
            Err(why) => {
                self.prompt.refuse(why);
                None
            }
        }
    }

    fn judge(&self, query: &str) -> Option<Result<Consented, LoginError>> {
        let grant = self.terms.id.clone();
        let error = match read_answer(query, &self.outstanding, self.provider) {
            Answered::Code(place, code) => {
                let request = self.outstanding.get(place)?.clone();
                return Some(Ok(Consented { request, code }));
            }
            Answered::Denied(Denial::Person, said) => LoginError::Denied { grant, said },
            Answered::Denied(Denial::Request, said) => LoginError::Server {
                grant,
                code: Code::ClientMisconfigured,
                detail: format!("the authorization server refuses the request ({said})"),
            },
            Answered::Denied(Denial::Server, said) => LoginError::Server {
                grant,
                code: Code::ServerUnreachable,
                detail: format!("the authorization server is ill ({said})"),
            },
            Answered::Forged(why) => LoginError::Refused { grant, why: why.to_owned() },
            Answered::Stranger => return None,
        };
        Some(Err(error))
    }
}

async fn next(listener: &mut Option<Loopback>) -> Arrival {
    match listener {
        Some(listener) => listener.next().await,
        None => std::future::pending().await,
    }
}
