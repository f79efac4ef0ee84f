//! Any body gets a verdict at every endpoint, and none kills a grant at a resource.
#![no_main]

use libfuzzer_sys::fuzz_target;
use http::HeaderMap;
use outlast_core::classify::{EndpointKind, Quirks, Verdict, classify};

fuzz_target!(|body: &[u8]| {
    let (headers, quirks) = (HeaderMap::new(), Quirks::default());
    for status in [200, 400, 401, 403, 500] {
        for kind in [EndpointKind::Device, EndpointKind::Resource, EndpointKind::Token] {
            let judged = classify(kind, status, &headers, body, &quirks);
            if judged.verdict == Verdict::GrantDead {
                assert!(kind != EndpointKind::Resource && status < 500);
            }
            assert!(kind == EndpointKind::Resource || !judged.verdict.asks_for_renewal());
        }
    }
});
