//! The operator's side: counters, faults and new families. Never part of what a client may use.

use crate::body::{self, Answer};
use crate::fault::Order;
use crate::server::{Shared, fresh_tokens};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::json;

/// Answers `GET /counters`, `POST /mint` and `POST /faults`; `None` for any other path.
pub(crate) async fn answer(shared: &Shared, request: Request<Incoming>) -> Option<Answer> {
    let path = request.uri().path();
    let allowed = match path {
        "/counters" => Method::GET,
        "/faults" | "/mint" => Method::POST,
        _ => return None,
    };
    if request.method() != allowed {
        return Some(body::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": format!("use {allowed}") })));
    }
    Some(match path {
        "/counters" => body::json(StatusCode::OK, &shared.counters().to_json()),
        "/mint" => mint(shared),
        _ => faults(shared, request).await,
    })
}

/// A new family, answered as the token endpoint would have (RFC 6749 5.1).
fn mint(shared: &Shared) -> Answer {
    let fresh = fresh_tokens();
    let issued = shared.with(|world, now| world.server.issue(fresh, now));
    body::json(StatusCode::OK, &issued.token_response())
}

async fn faults(shared: &Shared, request: Request<Incoming>) -> Answer {
    let Some(text) = body::read(request.into_body()).await else {
        return body::json(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": "body cut or too large" }));
    };
    match Order::from_json(&text) {
        Ok(order) => body::json(StatusCode::OK, &json!({ "affected": shared.obey(order) })),
        Err(error) => body::json(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() })),
    }
}
