//! Steps that are requests: sent through the library's middleware, and judged by what the answer obliges to.

use super::unit::Worked;
use crate::exit::Fault;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use outlast::classify::{EndpointKind, Quirks, Verdict, classify};
use outlast::middleware::{AuthorizeError, AuthorizedClient, OUTLAST_CODE, Policy, SendError};
use outlast::task::{Failure, StepRun};
use outlast::task_plan::{PlanFault, PlanStep, Prepared, PreparedRequest, Target, Work};
use outlast::{Advice, Code, GrantHandle, GrantId, Keeper};
use outlast_daemon::task_plan::PlanFile;
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

/// Largest answer that is recorded.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long making a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a request may take unless the plan says otherwise.
const TIME_USUAL: Duration = Duration::from_secs(5 * 60);
/// Up to this size a body is kept to be sent again after a refusal.
const REPLAY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What keeps a request from being carried out twice, at servers that heed it.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What requests are sent with.
pub(super) struct Requests {
    routes: HashMap<GrantId, Route>,
    open: reqwest::Client,
}

struct Route {
    client: AuthorizedClient,
    handle: GrantHandle,
    upstream: Uri,
    quirks: Quirks,
}

impl Requests {
    /// A client for each grant that requests of the plan carry: no two grants share a connection.
    pub(super) fn new(keeper: &Keeper, file: &PlanFile) -> Result<Self, Fault> {
        let mut routes = HashMap::new();
        for step in file.plan().steps() {
            let Work::Request(request) = &step.work else { continue };
            let (Some(grant), Target::Path(_)) = (&request.grant, &request.target) else { continue };
            if routes.contains_key(grant) {
                continue;
            }
            let handle = keeper.grant(grant)?;
            let Some(upstream) = handle.settings().upstream.clone() else {
                let detail = format!("grant {grant} has no upstream: nobody may receive its token");
                let mend = format!("set upstream = \"https://…\" in [grant.{grant}] of the configuration");
                return Err(file.fault(&PlanFault::new(&request.target_span, detail, mend)).into());
            };
            // Waiting is done between steps, where a kill leaves nothing in doubt.
            let policy = Policy { hold: Duration::ZERO, replay_body_bytes_max: REPLAY_BYTES_MAX };
            let client = AuthorizedClient::new(client()?, handle.clone()).policy(policy);
            let quirks = Quirks::for_provider(&handle.settings().quirks);
            routes.insert(grant.clone(), Route { client, handle, upstream, quirks });
        }
        Ok(Self { routes, open: client()? })
    }

    /// Whose pace a step goes by.
    pub(super) fn origin(&self, prepared: &Prepared) -> String {
        let Prepared::Request(request) = prepared else { return String::new() };
        match &request.grant {
            Some(grant) => format!("grant {grant}"),
            None => request.target.split('/').take(3).collect::<Vec<_>>().join("/"),
        }
    }

    /// Sends a request, and says what came of it.
    pub(super) async fn send(&self, step: &PlanStep, request: &PreparedRequest, run: &StepRun) -> Worked {
        let sent = async {
            let route = request.grant.as_ref().map(|grant| self.routes.get(grant));
            match route {
                Some(Some(route)) => route.send(request, run).await,
                Some(None) => Worked::failed(Failure::undone("its grant has no route").code(Code::Internal)),
                None => self.send_openly(request, run).await,
            }
        };
        let time = step.timeout.unwrap_or(TIME_USUAL);
        tokio::time::timeout(time, sent)
            .await
            .unwrap_or_else(|_| Worked::failed(Failure::unclear("no whole answer came in time")))
    }

    async fn send_openly(&self, request: &PreparedRequest, run: &StepRun) -> Worked {
        let Ok(address) = request.target.parse::<Uri>() else { return unusable("the address is none") };
        let Ok(built) = reqwest::Request::try_from(built(request, run, address).map(reqwest::Body::wrap)) else {
            return unusable("the address is none that can be asked");
        };
        match self.open.execute(built).await {
            Ok(answer) => {
                let answer = http::Response::<reqwest::Body>::from(answer);
                judged(request, answer, &Quirks::default()).await
            }
            Err(error) => unsent(&error),
        }
    }
}

impl Route {
    async fn send(&self, request: &PreparedRequest, run: &StepRun) -> Worked {
        let address = match outlast_daemon::task_plan::address(&self.upstream, &request.target) {
            Ok(address) => address,
            Err(why) => return unusable(&why),
        };
        match self.client.send(built(request, run, address)).await {
            Ok(answer) => judged(request, answer, &self.quirks).await,
            Err(error) => self.unanswered(error),
        }
    }

    fn unanswered(&self, error: SendError) -> Worked {
        match error {
            AuthorizeError::Send(error) => unsent(&error),
            // No token: either nothing was sent, or the server refused what was.
            AuthorizeError::Token(error) => {
                let (grant, code) = (self.handle.id().clone(), error.code());
                let failure = Failure::undone(format!("grant {grant} gave no token: {code}")).code(code);
                let now = self.handle.keeper().clock().now();
                let pause = || error.retry_at().map(|at| now.until(at));
                match code.advice() {
                    Advice::AskUser => Worked { needs: Some((grant, code)), ..Worked::failed(failure) },
                    // The authorization server is ill: no fault of the step's.
                    Advice::Retry | Advice::Wait => Worked { slowed: Some(pause()), ..Worked::failed(failure) },
                    Advice::Decide | Advice::FixConfig | Advice::ReportBug => Worked::failed(failure),
                }
            }
            _ => Worked::failed(Failure::unclear("no answer came")),
        }
    }
}

/// Without redirects, which would carry a token elsewhere; without a proxy of the environment; and nothing
/// is sent twice that was not decided to be sent twice.
fn client() -> Result<reqwest::Client, Fault> {
    reqwest::Client::builder()
        .user_agent(concat!("outlast/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIME_MAX)
        .build()
        .map_err(|_| {
            Fault::new(Code::ConfigurationInvalid, "the trusted certificates of this system cannot be read")
                .mend("install ca-certificates")
        })
}

fn built(request: &PreparedRequest, run: &StepRun, address: Uri) -> Request<Full<Bytes>> {
    let mut built = Request::new(Full::new(Bytes::from(request.body.0.clone())));
    *built.method_mut() = request.method.clone();
    *built.uri_mut() = address;
    *built.headers_mut() = request.headers.clone();
    if !request.method.is_safe()
        && let Ok(key) = HeaderValue::from_str(&run.idempotency_key())
    {
        built.headers_mut().insert(IDEMPOTENCY_KEY, key);
    }
    built
}

fn unusable(why: &str) -> Worked {
    Worked::failed(Failure::undone(why).code(Code::PlanInvalid))
}

/// Where no connection was made, nothing was done: the server is away, which is no fault of the step's, and is
/// waited out. The error's own text may hold the address and is not told.
fn unsent(error: &reqwest::Error) -> Worked {
    if error.is_connect() {
        Worked { slowed: Some(None), ..Worked::failed(Failure::undone("no connection could be made")) }
    } else if error.is_builder() {
        Worked::failed(Failure::undone("the request cannot be sent as it is").advice(Advice::FixConfig))
    } else {
        Worked::failed(Failure::unclear("the connection broke before the answer"))
    }
}

/// Takes the answer in, and says what it obliges to.
async fn judged<B>(request: &PreparedRequest, answer: http::Response<B>, quirks: &Quirks) -> Worked
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (head, body) = answer.into_parts();
    let status = head.status.as_u16();
    let good = head.status.is_success() || request.accept.contains(&status);
    let body = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if good && error.is::<LengthLimitError>() => {
            let reason = "the answer is larger than 32 MiB, which is more than is recorded";
            return Worked::failed(Failure::unclear(reason).code(Code::OutputTooLarge));
        }
        Err(_) if good => return Worked::failed(Failure::unclear("the answer broke off")),
        // Its head says enough.
        Err(_) => Bytes::new(),
    };
    if good && !head.headers.contains_key(OUTLAST_CODE) {
        return Worked::done(None, body.to_vec());
    }
    refused(status, &head.headers, &body, quirks)
}

/// What a refusal obliges to. The text names the status alone: a body may hold anything.
fn refused(status: u16, headers: &HeaderMap, body: &[u8], quirks: &Quirks) -> Worked {
    let reason = format!("the server answered {status}");
    // The middleware's own finding comes first: it has tried what could be tried.
    let found = headers.get(OUTLAST_CODE).and_then(|code| code.to_str().ok()).and_then(Code::parse);
    if let Some(code) = found {
        return Worked::failed(Failure::undone(format!("{reason} ({code})")).code(code));
    }
    let slowed = |pause: Option<Duration>| Worked {
        outcome: Err(Failure::undone(format!("{reason}: it is asked too often")).advice(Advice::Wait)),
        slowed: Some(pause),
        needs: None,
    };
    match classify(EndpointKind::Resource, status, headers, body, quirks).verdict {
        Verdict::RateLimited { retry_after } => slowed(retry_after),
        Verdict::SlowDown => slowed(None),
        // A server that says when to come back has done nothing.
        Verdict::Transient { retry_after: Some(pause) } if matches!(status, 429 | 503) => slowed(Some(pause)),
        Verdict::Transient { .. } if matches!(status, 408 | 425 | 503) => Worked::failed(Failure::undone(reason)),
        Verdict::Transient { .. } => Worked::failed(Failure::unclear(reason)),
        Verdict::NotAuth | Verdict::Unknown if status >= 500 => Worked::failed(Failure::unclear(reason)),
        Verdict::InsufficientScope { .. } | Verdict::StepUpRequired(_) | Verdict::GrantDead => {
            Worked::failed(Failure::undone(reason).advice(Advice::AskUser))
        }
        Verdict::AccessTokenExpired
        | Verdict::AccessTokenInvalid
        | Verdict::AuthorizationPending
        | Verdict::ClientMisconfigured
        | Verdict::DpopNonceRequired { .. }
        | Verdict::NotAuth
        | Verdict::PermissionDenied
        | Verdict::Unknown => Worked::failed(Failure::undone(reason).advice(Advice::FixConfig)),
    }
}
