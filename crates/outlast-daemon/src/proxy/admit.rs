//! May this caller use that grant? Callers show a capability: a random word that opens this proxy
//! and nothing else.

use super::answer::Failure;
use crate::record::Recorder;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, StatusCode};
use outlast::task::TaskId;
use outlast::{Code, GrantId, Secret};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// The field that clients use which know only of API keys.
pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// How many capabilities are kept; a run mints one.
pub(crate) const CAPABILITIES_MAX: usize = 4096;
/// Random bytes in a capability.
const CAPABILITY_BYTES: usize = 32;

/// The capabilities that open the proxy.
#[derive(Debug, Default)]
pub(crate) struct Capabilities(RwLock<Vec<Capability>>);

#[derive(Debug)]
struct Capability {
    secret: Secret,
    admission: Admission,
}

/// What a capability opens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    /// The grants it opens; all of them where there is no list.
    pub(crate) grants: Option<BTreeSet<GrantId>>,
    /// Who records what is asked with it; nobody, usually.
    pub(crate) recorder: Option<Arc<Recorder>>,
    /// The one task it reaches; where none is named, all of them for one that opens all grants, else none.
    pub(crate) task: Option<TaskId>,
}

impl Admission {
    /// Whether it opens `grant`.
    pub(crate) fn covers(&self, grant: &GrantId) -> Result<(), Failure> {
        match &self.grants {
            Some(grants) if !grants.contains(grant) => Err(refused(format!(
                "this capability does not open grant {grant}. Stop, and ask the person who runs Outlast; \
                 do not use another credential"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether it reaches `task`.
    pub(crate) fn reaches(&self, task: &TaskId) -> Result<(), Failure> {
        let reached = match &self.task {
            Some(own) => own == task,
            None => self.grants.is_none(),
        };
        if reached {
            return Ok(());
        }
        Err(refused(format!(
            "this capability does not reach task {task}. Stop, and ask the person who runs Outlast; do not use another \
             credential"
        )))
    }

    /// The one task it was made for.
    pub(crate) fn task(&self) -> Option<&TaskId> {
        self.task.as_ref()
    }
}

/// A new capability.
pub(crate) fn draw() -> Result<Secret, getrandom::Error> {
    let mut bytes = [0; CAPABILITY_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(format!("outlast-capability-{}", URL_SAFE_NO_PAD.encode(bytes))))
}

impl Capabilities {
    /// Lets `secret` open `grants`, or all of them; false if there are too many capabilities.
    pub(crate) fn add(&self, secret: Secret, grants: Option<BTreeSet<GrantId>>) -> bool {
        self.add_for(secret, Admission { grants, ..Admission::default() })
    }

    /// The same, for whatever an admission says.
    pub(crate) fn add_for(&self, secret: Secret, admission: Admission) -> bool {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let fits = kept.len() < CAPABILITIES_MAX && !secret.is_empty();
        if fits {
            kept.push(Capability { secret, admission });
        }
        fits
    }

    /// What the capability in a request's fields opens.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<Admission, Failure> {
        if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
            return Err(Failure::request(StatusCode::BAD_REQUEST, "the request has two Authorization fields"));
        }
        let shown = shown(headers);
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        // Every one is compared, and each in time that does not depend on where it differs.
        for capability in kept.iter() {
            for word in &shown {
                if capability.secret.matches(word) {
                    found = Some(capability);
                }
            }
        }
        match found {
            Some(capability) => Ok(capability.admission.clone()),
            None => Err(refused(
                "the request shows no valid capability. Use the value of OUTLAST_CAPABILITY as the API key or bearer \
                 token; it is set in every process that `outlast run` starts. Otherwise stop; do not use another \
                 credential"
                    .to_owned(),
            )),
        }
    }
}

/// Whether a request shows a word where clients put a capability, good or not.
pub(crate) fn shows_capability(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || headers.contains_key(X_API_KEY)
}

/// The words in the places where clients put a key.
fn shown(headers: &HeaderMap) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(value) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok())
        && let Some((scheme, rest)) = value.trim().split_once(' ')
    {
        if scheme.eq_ignore_ascii_case("bearer") {
            words.push(rest.trim().to_owned());
        } else if scheme.eq_ignore_ascii_case("basic") {
            words.extend(password(rest.trim()));
        }
    }
    words.extend(headers.get_all(X_API_KEY).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned));
    words
}

fn password(encoded: &str) -> Option<String> {
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// Never a 401: that would send some clients into a login of their own.
fn refused(detail: String) -> Failure {
    Failure { status: StatusCode::FORBIDDEN, code: Code::CapabilityRefused, detail, retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> GrantId {
        GrantId::parse(name).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn kept() -> Capabilities {
        let kept = Capabilities::default();
        assert!(kept.add(Secret::new("word-of-all"), None));
        assert!(kept.add(Secret::new("word-of-crm"), Some(BTreeSet::from([id("crm")]))));
        kept
    }

    #[test]
    fn a_capability_is_taken_where_clients_put_keys() {
        let basic = format!("Basic {}", STANDARD.encode("anybody:word-of-all"));
        for shown in [
            headers(&[("authorization", "Bearer word-of-all")]),
            headers(&[("authorization", "bearer  word-of-all ")]),
            headers(&[("authorization", &basic)]),
            headers(&[("x-api-key", "word-of-all")]),
            headers(&[("authorization", "Bearer unused"), ("x-api-key", "word-of-all")]),
        ] {
            assert!(kept().admit(&shown).is_ok(), "{shown:?}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_403_and_text_that_says_stop() {
        let basic = format!("Basic {}", STANDARD.encode("word-of-all:"));
        for shown in [
            headers(&[]),
            headers(&[("authorization", "Bearer ")]),
            headers(&[("authorization", "Bearer word-of-al")]),
            headers(&[("authorization", "Bearer word-of-alll")]),
            headers(&[("authorization", "word-of-all")]),
            headers(&[("authorization", "Digest word-of-all")]),
            headers(&[("authorization", &basic)]),
            headers(&[("cookie", "capability=word-of-all")]),
            headers(&[("x-api-key", "")]),
        ] {
            let refusal = kept().admit(&shown).unwrap_err();
            assert_eq!((refusal.status.as_u16(), refusal.code), (403, Code::CapabilityRefused), "{shown:?}");
            assert!(refusal.detail.contains("do not use another"), "{}", refusal.detail);
        }
    }

    #[test]
    fn f65_two_authorization_fields_are_refused() {
        let shown = headers(&[("authorization", "Bearer word-of-all"), ("authorization", "Bearer word-of-all")]);
        assert_eq!(kept().admit(&shown).unwrap_err().status.as_u16(), 400);
    }

    #[test]
    fn a_capability_opens_only_its_grants() {
        let all = kept().admit(&headers(&[("authorization", "Bearer word-of-all")])).unwrap();
        let crm = kept().admit(&headers(&[("authorization", "Bearer word-of-crm")])).unwrap();
        assert!(all.covers(&id("other")).is_ok());
        assert!(crm.covers(&id("crm")).is_ok());
        assert_eq!(crm.covers(&id("other")).unwrap_err().status.as_u16(), 403);
    }

    #[test]
    fn an_empty_capability_and_one_past_the_limit_open_nothing() {
        let kept = Capabilities::default();
        assert!(!kept.add(Secret::new(""), None));
        for _ in 0..CAPABILITIES_MAX {
            assert!(kept.add(Secret::new("x"), None));
        }
        assert!(!kept.add(Secret::new("y"), None));
    }

    #[test]
    fn capabilities_are_drawn_anew_each_time() {
        assert_ne!(draw().unwrap(), draw().unwrap());
        assert!(draw().unwrap().expose().len() > 60);
    }
}
