//! What a token request came to, for [`crate::settle`].

use crate::classify::{EndpointKind, Evidence, Quirks, Verdict, classify, tells_of_reuse};
use crate::error::Code;
use crate::wire::{Answer, Fault, Reply, TokenResponse};
use http::Uri;
use http::header::LOCATION;
use std::time::Duration;

/// What a token request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A command that was to bring it failed, or printed nothing that can be used.
    CommandFailed {
        /// In words without secrets.
        detail: String,
    },
    /// It was carried out, and what it brought must not be used: the refresh token it was sent with may
    /// be replaced by one that was thrown away.
    Discarded {
        /// What kind of failure.
        code: Code,
        /// Why, in words without secrets.
        detail: String,
    },
    /// It may have been carried out, and no answer says so: the refresh token may be spent.
    InDoubt {
        /// In words without secrets.
        detail: String,
    },
    /// The token endpoint sent us elsewhere, which is not followed: what it was sent is for it alone.
    Redirected {
        /// In words without secrets.
        detail: String,
    },
    /// The server answered and gave no token.
    Refused(Verdict, Evidence),
    /// A new token set.
    Renewed(TokenResponse),
    /// The server calls the grant dead, and says that the refresh token was used before.
    Reused(Evidence),
    /// A key may have been made that nobody knows.
    RotationInDoubt {
        /// In words without secrets.
        detail: String,
        /// How long no other is made.
        pause: Duration,
    },
    /// Nothing reached the server's token logic: nothing is spent.
    Unsent(Fault),
}

/// How a grant type reads the token set in a reply; nothing if it holds none.
pub type Reader<'a> = &'a (dyn Fn(&Reply) -> Option<TokenResponse> + Sync);

/// Reads the answer to a token request (behaviour table of token endpoint replies).
pub fn judge(answer: &Answer, quirks: &Quirks, read: Reader<'_>) -> Outcome {
    judge_as(EndpointKind::Token, answer, quirks, read)
}

/// The same for a request of that kind: a device code that is polled for has words of its own.
pub fn judge_as(kind: EndpointKind, answer: &Answer, quirks: &Quirks, read: Reader<'_>) -> Outcome {
    match answer {
        Answer::Unsent(fault) => Outcome::Unsent(*fault),
        Answer::Lost(fault) => Outcome::InDoubt { detail: describe(*fault).to_owned() },
        Answer::Complete(reply) => judge_reply(kind, reply, quirks, read),
    }
}

fn judge_reply(kind: EndpointKind, reply: &Reply, quirks: &Quirks, read: Reader<'_>) -> Outcome {
    if (200..300).contains(&reply.status)
        && let Some(response) = read(reply)
    {
        return Outcome::Renewed(response);
    }
    let judgement = classify(kind, reply.status, &reply.headers, &reply.body, quirks);
    match (reply.status, judgement.verdict) {
        // The server began to work on the request and broke: it may have rotated (F32, D4).
        (
            408 | 500 | 502 | 503 | 504,
            Verdict::Transient { retry_after: None } | Verdict::Unknown | Verdict::NotAuth,
        ) => Outcome::InDoubt { detail: format!("the server answered {}", reply.status) },
        // A success that holds neither token nor error came from the server, which then did rotate,
        // unless it is a page: those come from portals on the way, which carried nothing out (F34).
        (200..=299, Verdict::NotAuth | Verdict::Unknown) if !is_page(reply) => {
            Outcome::InDoubt { detail: "the server's success holds no token that can be read".to_owned() }
        }
        (200..=299, Verdict::NotAuth | Verdict::Unknown) => {
            Outcome::Refused(Verdict::Transient { retry_after: None }, judgement.evidence)
        }
        // Every attempt would carry the refresh token to an address that is not the server's any more (F38).
        (301 | 302 | 303 | 307 | 308, Verdict::Unknown) => Outcome::Redirected { detail: redirected(reply) },
        (_, Verdict::GrantDead) if tells_of_reuse(&reply.body) => Outcome::Reused(judgement.evidence),
        (_, verdict) => Outcome::Refused(verdict, judgement.evidence),
    }
}

fn is_page(reply: &Reply) -> bool {
    reply.body.trim_ascii_start().starts_with(b"<")
}

/// Where a redirect leads: the origin alone, for a path or a query may hold what was sent.
fn redirected(reply: &Reply) -> String {
    let location = reply.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    // `//host` names another server, and is read as a path.
    let location = location.filter(|text| !text.starts_with("//")).and_then(|text| text.parse::<Uri>().ok());
    let to = match location.as_ref().map(|uri| (uri.scheme_str(), uri.host(), uri.port())) {
        Some((Some(scheme), Some(host), Some(port))) => format!(" to {scheme}://{host}:{port}"),
        Some((Some(scheme), Some(host), None)) => format!(" to {scheme}://{host}"),
        Some((None, None, _)) => " to another path of the same server".to_owned(),
        Some((None | Some(_), None | Some(_), _)) | None => String::new(),
    };
    format!(
        "the token endpoint answered {}, a redirect{to}, which is not followed; the configuration has to name the \
         token endpoint or issuer that answers itself",
        reply.status
    )
}

/// A fault in words.
pub fn describe(fault: Fault) -> &'static str {
    match fault {
        Fault::Broken => "the connection broke before the whole answer arrived",
        Fault::Connect => "no connection could be made",
        Fault::Insecure => "the address is neither https nor on loopback",
        Fault::LeaseLost => "the lease of the grant was lost before anything was sent",
        Fault::OutOfReach => {
            "the address is in a private network or on this machine, where the server that names it is not"
        }
        Fault::Timeout => "no answer arrived in time",
        Fault::Tls => "no secure connection could be agreed on",
        Fault::TooLarge => "the answer was larger than 256 KiB",
        Fault::Unsigned => "the configured private key or certificate cannot be used",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_response::read_token_response;

    fn judged(status: u16, body: &str) -> Outcome {
        let reply = Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() };
        judge(&Answer::Complete(reply), &Quirks::default(), &read_token_response)
    }

    #[test]
    fn f34_a_success_without_a_token_is_in_doubt_unless_it_is_a_page() {
        for body in ["", "{}", "null", r#"{"access_token":"cut"#, "ok"] {
            assert!(matches!(judged(200, body), Outcome::InDoubt { .. }), "{body:?}");
        }
        for body in ["<html>sign in to the network</html>", "\n <!DOCTYPE html>"] {
            assert!(matches!(judged(200, body), Outcome::Refused(Verdict::Transient { .. }, _)), "{body:?}");
        }
    }

    fn sent_to(status: u16, location: &'static str) -> Outcome {
        let headers = [(LOCATION, http::HeaderValue::from_static(location))].into_iter().collect();
        judge(
            &Answer::Complete(Reply { status, headers, ..Reply::default() }),
            &Quirks::default(),
            &read_token_response,
        )
    }

    #[test]
    fn f38_a_redirect_is_told_by_its_origin_alone() {
        for status in [301, 302, 303, 307, 308] {
            for (location, wanted) in [
                ("https://login.example.net/token?code=CANARY", " to https://login.example.net,"),
                ("https://CANARY:CANARY@login.example.net:8443/CANARY", " to https://login.example.net:8443,"),
                ("/CANARY", " to another path of the same server,"),
                ("CANARY not an address", "a redirect, which"),
                ("//CANARY@other.example/CANARY", "a redirect, which"),
            ] {
                let Outcome::Redirected { detail } = sent_to(status, location) else { panic!("{status} {location}") };
                assert!(detail.contains(&status.to_string()) && detail.contains(wanted), "{detail}");
                assert!(!detail.contains("CANARY"), "{detail}");
            }
        }
        assert!(matches!(judged(307, ""), Outcome::Redirected { .. }));
        assert!(matches!(
            judged(302, r#"{"error":"invalid_client"}"#),
            Outcome::Refused(Verdict::ClientMisconfigured, _)
        ));
    }

    #[test]
    fn f32_a_server_that_breaks_is_in_doubt_and_one_that_says_wait_is_not() {
        for status in [408, 500, 502, 503, 504] {
            assert!(matches!(judged(status, ""), Outcome::InDoubt { .. }), "{status}");
        }
        let body = r#"{"error":"temporarily_unavailable"}"#;
        assert!(matches!(judged(400, body), Outcome::Refused(Verdict::Transient { .. }, _)));
    }
}
