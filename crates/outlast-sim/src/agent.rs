//! Agents: they call resources through the product's middleware, ask for tokens, and go away in the
//! middle.

use crate::fault::Fault;
use crate::process::Process;
use crate::random::Random;
use crate::world::World;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use outlast::middleware::{AuthorizeError, OUTLAST_CODE, Policy, ReplayBody, authorize};
use outlast::{Ask, Clock, GrantHandle, Keeper, TokenError};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// L2: the longest a caller of the keeper waits, in milliseconds, and what a slow disk adds to it.
const ANSWER_MAX: u64 = 30_000;
const DISK_SLACK: u64 = 12_000;
/// F85: how long a logout may go unseen, in milliseconds, with what reading the record takes.
const LOGOUT_SEEN_MAX: u64 = 1_000;
/// S7: one request, one replay, and three more of each while the resource may lag (F49); each may be
/// challenged for a nonce.
const SENDS_MAX: u64 = 8;
const CHALLENGED_SENDS_MAX: u64 = 24;

/// One agent of a process.
pub(crate) struct Agent {
    pub(crate) world: Arc<World>,
    pub(crate) process: Arc<Process>,
    pub(crate) keeper: Keeper,
    pub(crate) number: usize,
}

impl Agent {
    /// Works until its process dies.
    pub(crate) async fn work(self) {
        let name = format!("agent {}-{}-{}", self.process.slot, self.process.incarnation, self.number);
        let random = Random::of(self.world.seed, &name);
        loop {
            self.process.sleep(random.between(Duration::from_secs(5), Duration::from_secs(150))).await;
            self.process.running().await;
            let grant = random.index(self.world.plans.len());
            match random.below(20) {
                0..=11 => drop(self.call(grant).await),
                12..=17 => drop(self.ask(grant).await),
                _ => self.give_up(grant, random.between(Duration::from_millis(1), Duration::from_millis(400))).await,
            }
        }
    }

    fn handle(&self, grant: usize) -> GrantHandle {
        self.keeper.grant(&self.world.plans[grant].id).expect("every grant is configured")
    }

    /// Asks for a token.
    pub(crate) async fn ask(&self, grant: usize) -> Result<(), TokenError> {
        let (began, stops) = (self.world.log.millis(), self.process.stops());
        let handle = self.handle(grant);
        let answer = handle.access_token(Ask::default()).await;
        let took = self.world.log.millis() - began;
        if self.process.stops() == stops {
            self.world.judge.answered(grant, took, ANSWER_MAX + DISK_SLACK);
        }
        match &answer {
            Ok(token) => {
                self.check_logout(grant, began);
                self.world.judge.served(grant, &self.process, self.number, token.generation().0);
            }
            Err(error) => self.failed(grant, error),
        }
        answer.map(drop)
    }

    /// F85: a second after somebody signed out, nobody is served who could look and can tell.
    fn check_logout(&self, grant: usize, began: u64) {
        let Some(out) = self.world.judge.signed_out_at(grant) else { return };
        let looks = self.world.disk.tells_changes && self.process.ran_since(out) && self.world.disk.is_well_since(out);
        if looks && began > out + LOGOUT_SEEN_MAX {
            self.world
                .log
                .violate("F85", format_args!("grant {grant}: a token is served {} ms after a logout", began - out));
        }
    }

    fn failed(&self, grant: usize, error: &TokenError) {
        self.world.log.note(format_args!("agent {}: grant {grant} has no token: {}", self.process.slot, error.code()));
        if let TokenError::Internal { detail } = error {
            self.world.log.violate("panics", format_args!("{detail}"));
        }
    }

    /// Calls the resource; says whether it answered 200.
    pub(crate) async fn call(&self, grant: usize) -> bool {
        let sends = AtomicU64::new(0);
        let taken = AtomicBool::new(false);
        let send = |request| self.send(grant, request, &sends, &taken);
        let request = Request::post("https://api.example/v1/things").body(Full::new(Bytes::from_static(b"payload")));
        let request = request.expect("the request is well-formed");
        let answer = authorize(&self.handle(grant), &Policy::default(), request, send).await;
        let sends = sends.into_inner();
        let most = if self.world.plans[grant].is_bound() { CHALLENGED_SENDS_MAX } else { SENDS_MAX };
        if sends > most {
            self.world.log.violate("S7", format_args!("grant {grant}: a request was sent {sends} times"));
        }
        match answer {
            Ok(response) => {
                let (slot, status) = (self.process.slot, response.status());
                let code = response.headers().get(OUTLAST_CODE).and_then(|code| code.to_str().ok());
                if status != 200 {
                    self.world.log.note(format_args!("agent {slot}: grant {grant} is refused, {status}, {code:?}"));
                }
                status == 200
            }
            Err(error) => {
                if let AuthorizeError::Token(error) = &error {
                    self.failed(grant, error);
                }
                false
            }
        }
    }

    /// One request on its way to the resource.
    async fn send(
        &self,
        grant: usize,
        request: Request<ReplayBody<Full<Bytes>>>,
        sends: &AtomicU64,
        taken: &AtomicBool,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        sends.fetch_add(1, Ordering::Relaxed);
        if taken.load(Ordering::Relaxed) {
            self.world.log.violate("S7", format_args!("grant {grant}: a request that was answered is sent again"));
        }
        let (parts, body) = request.into_parts();
        let _sent = body.collect().await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        let (status, fields) = self.world.plans[grant].server.resource(grant, &parts.headers);
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.process.running().await;
        taken.fetch_or(status != 401, Ordering::Relaxed);
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
        *response.headers_mut() = fields;
        Ok(response)
    }

    /// Calls, and goes away before there is an answer.
    async fn give_up(&self, grant: usize, after: Duration) {
        tokio::select! {
            biased;
            _answered = self.call(grant) => {}
            () = self.process.sleep(after) => self.world.log.hit(Fault::CallerGone),
        }
    }
}
