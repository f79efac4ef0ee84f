//! A request of HTTP that makes a new key or puts a replaced one out of use, as the configuration says
//! it. The key itself authenticates it, in the header that the grant's requests carry it in.

use http::Method;

/// One such request. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// How it is sent: DELETE, POST or PUT.
    pub method: Method,
    /// Where to.
    pub address: String,
    /// Its JSON body, where there is one; a text `{key}` in it stands for the key.
    pub body: Option<serde_json::Value>,
    /// Where the new key stands in the answer (RFC 6901).
    pub read: Option<String>,
}

impl KeyRequest {
    /// Everything, for telling it from others.
    pub(crate) fn spelled(&self) -> String {
        let body = self.body.as_ref().map(ToString::to_string).unwrap_or_default();
        [self.method.as_str(), &self.address, &body, self.read.as_deref().unwrap_or_default()].join("\u{2}")
    }
}
