//! The way to the authorization servers, and everything that happens on it.

use crate::disk::Disk;
use crate::fault::Fault;
use crate::judge::{End, Judge};
use crate::log::Log;
use crate::process::{Moment, Process};
use crate::random::Random;
use crate::server::{Said, Server};
use crate::world::GrantPlan;
use http::{HeaderMap, HeaderValue};
use outlast::BoxFuture;
use outlast_core::store::Lease;
use outlast_core::wire::{Answer, Fault as WireFault, Reply, TokenEndpoint, TokenRequest};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The total deadline of a token request (D6).
const DEADLINE: Duration = Duration::from_secs(20);

/// How requests to one server fare at the moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skies {
    /// What happens to every request.
    pub(crate) all: Option<Fault>,
    /// What happens to so many requests in a thousand, one of these each.
    pub(crate) some: Vec<Fault>,
    pub(crate) permille: u64,
    /// Whether the server keeps from what it is in the habit of doing wrong.
    pub(crate) spotless: bool,
}

/// The network between the machine and one server.
#[derive(Debug)]
pub(crate) struct Way {
    log: Arc<Log>,
    judge: Arc<Judge>,
    pub(crate) server: Arc<Server>,
    random: Random,
    skies: Mutex<Skies>,
}

impl Way {
    pub(crate) fn new(log: &Arc<Log>, judge: &Arc<Judge>, server: &Arc<Server>, seed: u64) -> Self {
        Self {
            log: Arc::clone(log),
            judge: Arc::clone(judge),
            server: Arc::clone(server),
            random: Random::of(seed, &format!("way {}", server.number)),
            skies: Mutex::default(),
        }
    }

    pub(crate) fn set_skies(&self, skies: Skies) {
        *self.skies.lock().unwrap_or_else(PoisonError::into_inner) = skies;
    }

    /// What happens to the next request.
    fn draw(&self) -> Option<Fault> {
        let skies = self.skies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let personality = self.server.personality;
        let fault = if skies.all.is_some() {
            skies.all
        } else if !skies.some.is_empty() && self.random.chance(skies.permille) {
            Some(self.random.pick(&skies.some))
        } else if skies.spotless {
            None
        } else if self.random.chance(personality.limited_permille) {
            Some(Fault::RateLimited)
        } else if self.random.chance(personality.lost_permille) {
            Some(Fault::LostAfter)
        } else {
            None
        };
        fault.inspect(|fault| self.log.hit(*fault))
    }

    async fn transit(&self) {
        tokio::time::sleep(self.random.between(Duration::from_millis(10), Duration::from_millis(120))).await;
    }
}

/// The network as one process sees it.
#[derive(Debug)]
pub(crate) struct ProcessEndpoint {
    pub(crate) ways: Arc<Vec<Way>>,
    pub(crate) plans: Arc<Vec<GrantPlan>>,
    pub(crate) disk: Arc<Disk>,
    pub(crate) process: Arc<Process>,
}

/// What came of a request on its way.
struct Passage {
    answer: Answer,
    end: End,
    said: Option<Said>,
}

/// Tells the judge when whoever waits for an answer goes away though its process lives.
struct Waiting<'a> {
    judge: &'a Judge,
    process: &'a Process,
    grant: usize,
    ended: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.ended && !self.process.is_dead() {
            self.judge.abandoned(self.grant);
        }
    }
}

impl TokenEndpoint for ProcessEndpoint {
    fn send<'a>(&'a self, lease: &'a Lease, request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        let grant = self.plans.iter().position(|plan| plan.id == *lease.grant()).expect("every grant is planned");
        let revokes = Some(&request.endpoint) == self.plans[grant].server.revocation_endpoint().as_ref();
        Box::pin(async move {
            match revokes {
                true => self.revoke(lease, grant, request).await,
                false => self.carry(lease, grant, request).await,
            }
        })
    }

    fn ask<'a>(&'a self, _request: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        // Logins and introspection are no part of a simulated world.
        Box::pin(async { Answer::Unsent(WireFault::Connect) })
    }
}

impl ProcessEndpoint {
    /// A token is revoked: no renewal, and none of its promises is meant.
    async fn revoke(&self, lease: &Lease, grant: usize, request: &TokenRequest) -> Answer {
        let process = &self.process;
        process.reach(Moment::BeforeSend).await;
        let way = &self.ways[self.plans[grant].server.number];
        if !lease.watch().is_held() {
            return Answer::Unsent(WireFault::LeaseLost);
        }
        let form = self.form(way, request);
        let fault = way.draw();
        way.log.note(format_args!("process {}: grant {grant} is to be revoked, {fault:?}", process.slot));
        if matches!(fault, Some(Fault::RateLimited | Fault::Unavailable)) {
            way.transit().await;
            process.running().await;
            return complete(503, HeaderMap::new(), "busy");
        }
        if let Some(passage) = before_the_server(way, grant, fault).await {
            process.running().await;
            return passage.answer;
        }
        way.transit().await;
        let said = way.server.revoke_token(form.get("token").map_or("", String::as_str));
        process.reach(Moment::DuringSend).await;
        way.transit().await;
        let passage = after_the_server(way, fault, said).await;
        process.reach(Moment::WithAnswer).await;
        passage.answer
    }

    async fn carry(&self, lease: &Lease, grant: usize, request: &TokenRequest) -> Answer {
        let process = &self.process;
        process.reach(Moment::BeforeSend).await;
        let way = &self.ways[self.plans[grant].server.number];
        if request.endpoint != way.server.token_endpoint() {
            way.log.violate("S6", format_args!("grant {grant}: a request goes to {}", request.endpoint));
        }
        // As the product's client does with the first byte (F11, F13).
        if !lease.watch().is_held() {
            way.log.note(format_args!("process {}: grant {grant} has lost its lease", process.slot));
            return Answer::Unsent(WireFault::LeaseLost);
        }
        let form = self.form(way, request);
        let token = form.get("refresh_token").map(String::as_str);
        way.judge.sending(grant, process, token, self.disk.epoch(lease.grant()) == lease.fence());
        let mut waiting = Waiting { judge: &way.judge, process, grant, ended: false };
        let stops = process.stops();
        let mut passage = self.pass(way, grant, &form, request.proof_key.is_some()).await;
        process.running().await;
        if process.stops() != stops && way.random.chance(500) {
            // The deadline passed, or the connection broke, while the process stood still.
            let acted = passage.said.is_some();
            passage.answer = Answer::Lost(WireFault::Broken);
            passage.end = if acted { End::Lost } else { passage.end };
            // Whatever it was told with that, it never read.
            way.judge.told_to_wait(grant, 0);
        }
        waiting.ended = true;
        way.log.note(format_args!("process {}: grant {grant} is answered {:?}", process.slot, passage.end));
        way.judge.ended(grant, process, passage.said.as_ref(), passage.end);
        process.reach(Moment::WithAnswer).await;
        passage.answer
    }

    /// The form, as the server reads it; refuses to read one that is none (N01).
    fn form(&self, way: &Way, request: &TokenRequest) -> BTreeMap<String, String> {
        let mut form = BTreeMap::new();
        for (name, value) in request.form_members() {
            let twice = form.insert((*name).to_owned(), value.expose().to_owned()).is_some();
            if twice || value.expose().is_empty() {
                way.log.violate("N01", format_args!("{name} is sent twice, or without a value"));
            }
        }
        form
    }

    async fn pass(&self, way: &Way, grant: usize, form: &BTreeMap<String, String>, proof: bool) -> Passage {
        let fault = way.draw();
        way.log.note(format_args!("process {}: grant {grant} asks, {fault:?}", self.process.slot));
        if let Some(passage) = before_the_server(way, grant, fault).await {
            return passage;
        }
        way.transit().await;
        let said = way.server.answer(grant, form, proof);
        way.judge.acted(grant, &self.process, &said);
        self.process.reach(Moment::DuringSend).await;
        way.transit().await;
        after_the_server(way, fault, said).await
    }
}

/// Faults that keep a request from the server.
async fn before_the_server(way: &Way, grant: usize, fault: Option<Fault>) -> Option<Passage> {
    let passed = |answer, end| Some(Passage { answer, end, said: None });
    match fault? {
        Fault::Unreachable | Fault::Outage => {
            let connecting = way.random.between(Duration::from_millis(1), Duration::from_secs(5));
            tokio::time::sleep(connecting).await;
            passed(Answer::Unsent(WireFault::Connect), End::Unsent)
        }
        Fault::Blackhole | Fault::LostBefore => {
            tokio::time::sleep(DEADLINE).await;
            passed(Answer::Lost(WireFault::Timeout), End::Lost)
        }
        Fault::RateLimited => {
            way.transit().await;
            passed(complete(429, too_many(way, grant), ""), End::Answered)
        }
        Fault::Unavailable => {
            way.transit().await;
            passed(complete(503, too_many(way, grant), "busy"), End::Answered)
        }
        Fault::Refused => {
            way.transit().await;
            let status = way.random.pick(&[403, 404, 410]);
            passed(complete(status, HeaderMap::new(), "<html>blocked by the firewall</html>"), End::Answered)
        }
        Fault::Html => {
            way.transit().await;
            passed(complete(200, HeaderMap::new(), "<html>Welcome to the hotel network</html>"), End::Answered)
        }
        Fault::ServerError if way.random.chance(500) => {
            way.transit().await;
            passed(complete(502, HeaderMap::new(), ""), End::Answered)
        }
        _ => None,
    }
}

/// Faults that happen to the answer.
async fn after_the_server(way: &Way, fault: Option<Fault>, said: Said) -> Passage {
    let life = u64::try_from(way.server.personality.life.as_millis()).unwrap_or(u64::MAX);
    let (answer, end) = match fault {
        Some(Fault::LostAfter) => {
            tokio::time::sleep(DEADLINE - Duration::from_millis(300)).await;
            (Answer::Lost(WireFault::Timeout), End::Lost)
        }
        Some(Fault::Reset) => (Answer::Lost(WireFault::Broken), End::Lost),
        // What a close-delimited body looks like when it is cut.
        Some(Fault::Truncated) => {
            let end = said.body.len() / 2;
            (complete(said.status, said.headers.clone(), &said.body[..end]), End::Lost)
        }
        Some(Fault::ServerError) => {
            let status = way.random.pick(&[500, 504]);
            (complete(status, HeaderMap::new(), ""), End::Lost)
        }
        Some(Fault::Slow) => {
            tokio::time::sleep(way.random.between(Duration::from_secs(3), Duration::from_secs(19))).await;
            (complete(said.status, said.headers.clone(), &said.body), End::Arrived { life })
        }
        _ => (complete(said.status, said.headers.clone(), &said.body), End::Arrived { life }),
    };
    Passage { answer, end, said: Some(said) }
}

fn complete(status: u16, headers: HeaderMap, body: &str) -> Answer {
    Answer::Complete(Reply { status, headers, body: body.as_bytes().to_vec() })
}

/// Retry-After in one of its forms, with the Date it counts from.
fn too_many(way: &Way, grant: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let wait = way.random.between(Duration::from_secs(5), Duration::from_secs(120)).as_secs();
    let now = way.log.millis();
    let clock = way.server.clock();
    let form = way.random.below(8);
    let (text, until) = match form {
        0..=3 => (http_date(clock + wait), now + wait * 1000),
        4 | 5 => (wait.to_string(), now + wait * 1000),
        6 => ("in a while".to_owned(), 0),
        _ => ("315360000".to_owned(), now + 3_600_000),
    };
    headers.insert(http::header::DATE, HeaderValue::from_str(&http_date(clock)).expect("a date is plain text"));
    headers.insert(http::header::RETRY_AFTER, HeaderValue::from_str(&text).expect("plain text"));
    way.judge.told_to_wait(grant, until);
    headers
}

/// IMF-fixdate (RFC 9110 5.6.7), from the days of the civil calendar.
fn http_date(secs: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (days, of_day) = (secs / 86_400, secs % 86_400);
    // Days since 0000-03-01, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = year_of_era + era * 400 + u64::from(month < 2);
    let weekday = DAYS[usize::try_from(days % 7).unwrap_or(0)];
    let month = MONTHS[usize::try_from(month).unwrap_or(0)];
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(1_800_000_000), "Fri, 15 Jan 2027 08:00:00 GMT");
        assert_eq!(http_date(1_709_164_799), "Wed, 28 Feb 2024 23:59:59 GMT");
    }
}
