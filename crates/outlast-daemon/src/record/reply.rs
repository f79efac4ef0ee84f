//! A reply as it is recorded: a line of JSON with its head, then its body as it came.

use crate::proxy::{AnswerBody, OUTLAST_REPLAYED};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::{Deserialize, Serialize};

/// Raised when recorded replies change their meaning.
const FORMAT: u32 = 1;

/// Fields that are not recorded: those that carry a credential or something to prove one with, and the
/// length, which the body tells. Cookies and what is of the connection alone never reach the agent at all.
static NOT_RECORDED: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("authentication-info"),
    HeaderName::from_static("dpop-nonce"),
    HeaderName::from_static("proxy-authentication-info"),
];

/// A reply that was or is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Head {
    outlast_reply: u32,
    status: u16,
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    trailers: Vec<(String, String)>,
}

impl Reply {
    /// As it is written.
    pub(crate) fn encode(&self, method: &Method) -> Option<Vec<u8>> {
        // What answers HEAD has no body that would tell the length.
        let lasting =
            |name: &HeaderName| !NOT_RECORDED.contains(name) && (*name != CONTENT_LENGTH || *method == Method::HEAD);
        let fields = |headers: &HeaderMap| {
            let kept = headers.iter().filter(|(name, _)| lasting(name));
            // Each byte as the character of that number: not every value is UTF-8.
            kept.map(|(name, value)| {
                (name.to_string(), value.as_bytes().iter().map(|byte| char::from(*byte)).collect())
            })
            .collect()
        };
        let head = Head {
            outlast_reply: FORMAT,
            status: self.status.as_u16(),
            headers: fields(&self.headers),
            trailers: fields(&self.trailers),
        };
        let mut written = serde_json::to_vec(&head).ok()?;
        written.push(b'\n');
        written.extend_from_slice(&self.body);
        Some(written)
    }

    /// As it was written; nothing if a newer version wrote it. What a person said the work had brought is a
    /// body, and the answer a good one.
    pub(crate) fn decode(written: Vec<u8>) -> Option<Self> {
        let written = Bytes::from(written);
        let end = written.iter().position(|byte| *byte == b'\n').unwrap_or(written.len());
        let Ok(head) = serde_json::from_slice::<Head>(&written[..end]) else { return Some(Self::said(written)) };
        (head.outlast_reply == FORMAT).then(|| Self {
            status: StatusCode::from_u16(head.status).unwrap_or(StatusCode::OK),
            headers: read(head.headers),
            trailers: read(head.trailers),
            body: written.slice((end + 1).min(written.len())..),
        })
    }

    fn said(body: Bytes) -> Self {
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        Self { status: StatusCode::OK, headers, trailers: HeaderMap::new(), body }
    }

    /// The answer, marked as one of an earlier time.
    pub(crate) fn answer(self) -> Response<AnswerBody> {
        let body = Full::new(self.body).map_err(|never| match never {});
        let trailers = self.trailers;
        let mut response = if trailers.is_empty() {
            Response::new(body.boxed_unsync())
        } else {
            Response::new(body.with_trailers(async move { Some(Ok(trailers)) }).boxed_unsync())
        };
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.headers_mut().insert(OUTLAST_REPLAYED, HeaderValue::from_static("1"));
        response
    }
}

fn read(fields: Vec<(String, String)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        let value = bytes.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        if let (Ok(name), Some(value)) = (name.parse::<HeaderName>(), value) {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(fields: &[(&'static str, &[u8])], body: &'static str) -> Reply {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("9"))]);
        Reply { status: StatusCode::CREATED, headers, trailers, body: Bytes::from(body) }
    }

    #[test]
    fn a_reply_comes_back_as_it_was() {
        let fields: [(&str, &[u8]); 3] = [("link", b"<a>"), ("link", b"<b>"), ("x-name", b"caf\xe9")];
        let kept = reply(&fields, "{\"a\": 1}\nand more\n");
        assert_eq!(Reply::decode(kept.encode(&Method::GET).unwrap()), Some(kept));
    }

    #[test]
    fn no_credential_is_written_down() {
        let fields: [(&str, &[u8]); 5] = [
            ("authorization", b"Bearer CANARY"),
            ("authentication-info", b"CANARY"),
            ("dpop-nonce", b"CANARY"),
            ("content-length", b"2"),
            ("etag", b"kept"),
        ];
        let kept = reply(&fields, "ok");
        let written = String::from_utf8(kept.encode(&Method::GET).unwrap()).unwrap();
        assert!(
            !written.contains("CANARY") && !written.contains("content-length") && written.contains("etag"),
            "{written}"
        );
        let head = Reply { body: Bytes::new(), ..kept };
        assert!(String::from_utf8(head.encode(&Method::HEAD).unwrap()).unwrap().contains("content-length"));
    }

    #[test]
    fn what_a_person_said_is_a_good_answer() {
        for (said, kind) in [
            (&b"{\"id\": 17}"[..], "application/json"),
            (b"done by hand\n", "text/plain; charset=utf-8"),
            (b"", "text/plain; charset=utf-8"),
        ] {
            let read = Reply::decode(said.to_vec()).unwrap();
            assert_eq!((read.status, read.body.as_ref()), (StatusCode::OK, said));
            assert_eq!(read.headers[CONTENT_TYPE], kind);
        }
    }

    #[test]
    fn f80_what_a_newer_version_wrote_is_not_guessed() {
        assert_eq!(Reply::decode(b"{\"outlast_reply\":2,\"status\":500,\"headers\":[]}\nx".to_vec()), None);
    }
}
