use crate::keeper::{Discovery, NotFound};
use outlast_core::wire::Provider;
use outlast_core::{BoxFuture, Code};
pub(crate) struct HttpDiscovery;
impl Discovery for HttpDiscovery {
    fn discover<'a>(&'a self, _issuer: &'a str) -> BoxFuture<'a, Result<Provider, NotFound>> {
        Box::pin(async move { Err(NotFound { code: Code::MetadataInvalid, detail: String::new() }) })
    }
}
