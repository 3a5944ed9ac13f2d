//! The files of the page, with the headers that browsers receive.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
        REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body_util::Full;
use tonic::body::Body;

/// The Content-Security-Policy. The page may only run its own script, call the gateway that serves
/// it, and show images that the user added.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// Browsers must not mix files of different versions of the gateway.
const CACHE: &str = "no-cache";

struct File {
    path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

static FILES: [File; 4] = [
    File {
        path: "/",
        content_type: "text/html; charset=utf-8",
        content: include_bytes!("assets/index.html"),
    },
    File {
        path: "/assets/playground.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!("assets/playground.js"),
    },
    File {
        path: "/assets/playground.css",
        content_type: "text/css; charset=utf-8",
        content: include_bytes!("assets/playground.css"),
    },
    File {
        path: "/assets/icon.svg",
        content_type: "image/svg+xml",
        content: include_bytes!("assets/icon.svg"),
    },
];

/// Returns the response to a request for one of the files. `None` for other requests.
pub(super) fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    if method != Method::GET && method != Method::HEAD {
        return None;
    }
    let file = FILES.iter().find(|file| file.path == path)?;
    let etag = format!("\"{:08x}\"", crc32fast::hash(file.content));
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        let tags = value.to_str().unwrap_or_default().split(',');
        // RFC 9110 defines the weak comparison for this header.
        tags.map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == etag || tag == "*")
    });
    let content = if known || method == Method::HEAD {
        Body::empty()
    } else {
        Body::new(Full::new(Bytes::from_static(file.content)))
    };
    let mut response = Response::new(content);
    let answered = response.headers_mut();
    answered.insert(ETAG, HeaderValue::try_from(etag).ok()?);
    answered.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE));
    answered.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answered.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answered.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answered.insert(
        "cross-origin-opener-policy",
        HeaderValue::from_static("same-origin"),
    );
    answered.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        answered.insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
        answered.insert(CONTENT_LENGTH, HeaderValue::from(file.content.len()));
    }
    Some(response)
}
