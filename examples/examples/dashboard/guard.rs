//! Who may ask. A page of another site runs in the browser of somebody who can reach this one.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

/// A status, and why.
pub(crate) type Refusal = (StatusCode, &'static str);

/// Only this page's own files, and nobody's frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A name that another site's owner has pointed to this address would make his page one of this site's. An address, or
/// this machine's own name, cannot be pointed anywhere.
pub(crate) async fn known_host(request: Request, next: Next) -> Result<Response, Refusal> {
    if !host(request.headers()).is_some_and(is_address) {
        let why = "ask by this machine's address, or for localhost";
        return Err((StatusCode::MISDIRECTED_REQUEST, why));
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    Ok(response)
}

/// Whether a browser says that this is from this page. Every browser says where a POST is from.
pub(crate) fn is_from_this_page(headers: &HeaderMap) -> bool {
    let origin = text(headers, &ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
    let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
    origin.is_some() && origin == host(headers) && site.is_none_or(|site| site == "same-origin")
}

/// Whether a browser sent this.
pub(crate) fn is_from_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site")
}

fn host(headers: &HeaderMap) -> Option<&str> {
    text(headers, &HOST)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    name == "localhost" || bare.unwrap_or(name).parse::<IpAddr>().is_ok()
}
