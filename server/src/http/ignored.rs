//! The header that names the fields of a request which changed nothing, so that a typo can be found.

use axum::{
    http::{HeaderName, HeaderValue},
    response::Response,
};

const IGNORED_FIELDS: HeaderName = HeaderName::from_static("x-qwenda-ignored-fields");

/// The names as a header: bounded, and without anything a header cannot hold.
pub(super) fn header(names: &[String]) -> Option<HeaderValue> {
    let mut list = String::new();
    for name in names.iter().take(32) {
        let clean = name.chars().take(64).map(|c| if c.is_ascii_graphic() && c != ',' { c } else { '?' });
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.extend(clean);
    }
    if list.is_empty() {
        return None;
    }
    HeaderValue::try_from(list).ok()
}

/// The response with that header.
pub(super) fn tell(mut response: Response, header: Option<HeaderValue>) -> Response {
    if let Some(header) = header {
        response.headers_mut().insert(IGNORED_FIELDS, header);
    }
    response
}
