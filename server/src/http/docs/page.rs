//! What all pages have: the head, the ways to the other pages and languages, the headers.

use std::fmt::Write as _;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};

use super::{super::language::Language, html::escape};

const STYLE: &str = include_str!("style.css");
const FRAME_OPTIONS: HeaderName = HeaderName::from_static("x-frame-options");

/// A page but for its nonce, which is another one each time.
#[derive(Debug)]
pub(super) struct Page {
    before: String,
    after: String,
}

/// What a page is made of; `contents` and `main` are HTML.
pub(super) struct Parts {
    pub(super) title: String,
    /// Where it is, as in `/docs`.
    pub(super) path: &'static str,
    /// Links into the page.
    pub(super) contents: String,
    pub(super) main: String,
}

impl Page {
    pub(super) fn new(parts: &Parts, language: Language) -> Self {
        let title = escape(&parts.title);
        let tag = language.tag();
        let before = format!(
            "<!doctype html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style nonce=\""
        );
        let mut after = format!("\">\n{STYLE}</style>\n</head>\n<body>\n");
        let skip = language.of("Skip to the text", "跳到正文");
        let contents = language.of("Contents", "目录");
        let _ = writeln!(after, "<a class=\"skip\" href=\"#main\">{skip}</a>");
        after.push_str(&head(parts.path, language));
        let _ = write!(
            after,
            "<div class=\"columns\">\n<nav class=\"contents\" aria-label=\"{contents}\">\n<details open>\n\
             <summary>{contents}</summary>\n{}</details>\n</nav>\n\
             <main id=\"main\">\n<h1>{title}</h1>\n{}</main>\n</div>\n</body>\n</html>\n",
            parts.contents, parts.main
        );
        Self { before, after }
    }

    pub(super) fn respond(&self, language: Language) -> Response {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let text = format!("{}{nonce}{}", self.before, self.after);
        let mut response = language.response("text/html; charset=utf-8", text);
        // The page has links and a style, and needs nothing else.
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let headers = response.headers_mut();
        let policy = HeaderValue::try_from(policy).expect("a policy is ASCII");
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        response
    }
}

fn head(path: &str, language: Language) -> String {
    let query = language.of("?lang=en", "?lang=zh");
    let current = |is: bool| if is { " aria-current=\"page\"" } else { "" };
    let mut out = format!("<header>\n<nav aria-label=\"{}\">\n<ul>\n", language.of("Pages", "页面"));
    for (to, name) in [
        ("/docs", language.of("API", "接口")),
        ("/docs/errors", language.of("Errors", "错误码")),
        ("/openapi.json", "openapi.json"),
    ] {
        let _ = writeln!(out, "<li><a href=\"{to}{query}\"{}>{name}</a></li>", current(to == path));
    }
    let _ = write!(out, "</ul>\n</nav>\n<nav aria-label=\"{}\">\n<ul>\n", language.of("Languages", "语言"));
    for (other, query, name) in [(Language::En, "en", "English"), (Language::Zh, "zh", "简体中文")] {
        let tag = other.tag();
        let current = if other == language { " aria-current=\"true\"" } else { "" };
        let _ = writeln!(
            out,
            "<li><a href=\"{path}?lang={query}\" hreflang=\"{tag}\" lang=\"{tag}\"{current}>{name}</a></li>"
        );
    }
    out.push_str("</ul>\n</nav>\n</header>\n");
    out
}
