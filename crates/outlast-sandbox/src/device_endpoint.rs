//! The device flow over HTTP (RFC 8628): where a device asks for codes, and where a person enters one.

use crate::body::{self, Answer};
use crate::device::letters;
use crate::form::{Form, TokenError, method_not_allowed, uncached};
use crate::server::{Shared, fresh_codes};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use url::form_urlencoded;

pub(crate) const DEVICE_AUTHORIZATION_PATH: &str = "/device_authorization";
pub(crate) const VERIFICATION_PATH: &str = "/device";

const HTML: &str = "text/html; charset=utf-8";

/// RFC 8628 3.1 and 3.2.
pub(crate) async fn authorization(shared: &Shared, request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST {
        return method_not_allowed("POST");
    }
    if let Err(error) = asked(shared, request).await {
        return error.answer();
    }
    let fresh = fresh_codes();
    let verification_uri = format!("{}{VERIFICATION_PATH}", shared.issuer);
    let content = json!({
        "device_code": fresh.device,
        "user_code": fresh.user,
        "verification_uri": verification_uri,
        "verification_uri_complete": format!("{verification_uri}?user_code={}", fresh.user),
        "expires_in": shared.settings.device_code_ttl.as_secs(),
        "interval": shared.settings.device_interval.as_secs(),
    });
    shared.with(|world, now| world.devices.begin(fresh, now));
    uncached(body::json(StatusCode::OK, &content))
}

async fn asked(shared: &Shared, request: Request<Incoming>) -> Result<(), TokenError> {
    let form = Form::read(request).await?;
    form.authenticate(&shared.settings)?;
    form.check_scope()?;
    form.check_resource(&shared.api)
}

/// RFC 8628 3.3: a page with the code, and what the person says to it. Nobody has to sign in: whoever
/// reaches it is the one person this server knows.
pub(crate) async fn verification(shared: &Shared, request: Request<Incoming>) -> Answer {
    if request.method() == Method::GET {
        let query = request.uri().query().unwrap_or_default();
        let code = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "user_code");
        // Only letters and digits are left of it: nothing in it can be taken for HTML.
        let code = code.map(|(_, code)| letters(&code)).unwrap_or_default();
        return page(
            StatusCode::OK,
            &format!(
                "<form method=\"post\"><label>Code <input name=\"user_code\" value=\"{code}\"></label> \
                 <button name=\"answer\" value=\"allow\">Allow</button> \
                 <button name=\"answer\" value=\"deny\">Deny</button></form>"
            ),
        );
    }
    if request.method() != Method::POST {
        return method_not_allowed("GET, POST");
    }
    let said = Form::read(request).await.ok();
    let said = said.as_ref().and_then(|form| Some((form.first("user_code")?, form.first("answer")?)));
    let (code, allowed) = match said {
        Some((code, "allow")) => (code, true),
        Some((code, "deny")) => (code, false),
        Some(_) | None => return page(StatusCode::BAD_REQUEST, "Enter the code, then allow or deny."),
    };
    if shared.with(|world, now| world.devices.answer(code, allowed, now)) {
        page(StatusCode::OK, "Your device has been answered. You can close this page.")
    } else {
        page(StatusCode::BAD_REQUEST, "This code is unknown, has expired or was answered.")
    }
}

fn page(status: StatusCode, content: &str) -> Answer {
    let text = format!("<!DOCTYPE html><html><head><title>Sandbox</title></head><body>{content}</body></html>");
    uncached(body::typed(status, HTML, text))
}
