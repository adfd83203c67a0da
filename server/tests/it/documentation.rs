//! What the server says of itself: the OpenAPI document, its page, the errors.

use std::collections::BTreeSet;

use qwenda_types::{chat::Strictness, error::Code};

use crate::service::{Reply, Service};

/// Asks without a key; `headers` are whole lines.
async fn ask(service: &Service, path: &str, headers: &str) -> Reply {
    service.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"), b"").await
}

#[tokio::test]
async fn the_openapi_document_is_served_to_everyone_as_this_server_is_set() {
    for (strictness, most) in [(Strictness::Qwen, "exclusiveMaximum"), (Strictness::OpenAi, "maximum")] {
        let service = Service::with(|config| config.strictness = strictness).await;
        let reply = ask(&service, "/openapi.json", "").await;
        assert_eq!((reply.status, reply.headers["content-type"].as_str()), (200, "application/json"));
        let document = reply.json();
        assert_eq!(document["openapi"], "3.1.0");
        assert!(document["paths"]["/v1/chat/completions"]["post"].is_object());
        assert_eq!(document["components"]["schemas"]["ChatRequest"]["properties"]["temperature"][most], 2);
    }
}

#[tokio::test]
async fn texts_are_in_the_language_that_was_asked_for() {
    let service = Service::start().await;
    for path in ["/openapi.json", "/docs", "/docs/errors", "/docs/errors.json"] {
        for (query, header, want) in [
            ("", "", "en"),
            ("", "Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n", "zh-CN"),
            ("?lang=zh", "Accept-Language: en\r\n", "zh-CN"),
            ("?lang=en", "Accept-Language: zh\r\n", "en"),
        ] {
            let reply = ask(&service, &format!("{path}{query}"), header).await;
            assert_eq!(
                (reply.status, reply.headers["content-language"].as_str()),
                (200, want),
                "{path} {query} {header}"
            );
            let chinese = reply.body.contains("请求");
            assert_eq!(chinese, want != "en", "{path} {query} {header}");
        }
        let reply = ask(&service, &format!("{path}?lang=tlh"), "").await;
        reply.refuses(400, "invalid_parameter_error", "lang is one of");
    }
}

#[tokio::test]
async fn caches_know_that_a_text_depends_on_the_language() {
    let service = Service::start().await;
    let mut connection = service.connect().await;
    connection.write(b"HEAD /docs HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let head = connection.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("vary: accept-language"), "{head}");
}

#[tokio::test]
async fn every_code_has_its_place_in_the_catalogue() {
    let service = Service::start().await;
    for path in ["/docs/errors.json?lang=en", "/docs/errors.json?lang=zh"] {
        let list = ask(&service, path, "").await.json();
        let errors = list["errors"].as_array().unwrap();
        let ids: BTreeSet<&str> = errors.iter().map(|error| error["id"].as_str().unwrap()).collect();
        assert_eq!((ids.len(), errors.len()), (Code::ALL.len(), Code::ALL.len()));
    }
    let list = ask(&service, "/docs/errors.json?lang=en", "").await.json();
    let unknown = list["errors"].as_array().unwrap().iter().find(|error| error["id"] == "ModelNotFound").unwrap();
    assert_eq!((&unknown["openai"]["status"], &unknown["dashscope"]["status"]), (&404.into(), &400.into()));
    assert_eq!((&unknown["openai"]["code"], &unknown["retryable"]), (&"model_not_found".into(), &false.into()));
}

/// The values of this attribute, in order.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!(" {name}=\"");
    page.split(begin.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn pages_are_whole_and_fetch_nothing() {
    let service = Service::start().await;
    for path in ["/docs", "/docs/errors", "/docs?lang=zh", "/docs/errors?lang=zh"] {
        let reply = ask(&service, path, "").await;
        assert_eq!(reply.headers["content-type"], "text/html; charset=utf-8");
        let page = &reply.body;
        let policy = &reply.headers["content-security-policy"];
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
        assert!(policy.starts_with("default-src 'none'") && page.contains(&format!("<style nonce=\"{nonce}\">")));
        assert!(!page.contains("@import") && !page.contains("url("), "{path} fetches a style");
        // Every link into the page leads somewhere, and no two places have one name.
        let ids = attributes(page, "id");
        let names: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), names.len(), "{path}: {ids:?}");
        for link in attributes(page, "href") {
            match link.strip_prefix('#') {
                Some(id) => assert!(names.contains(id), "{path}: #{id} leads nowhere"),
                None => assert!(link.starts_with('/'), "{path}: {link} leads away"),
            }
        }
        for label in attributes(page, "aria-labelledby") {
            assert!(names.contains(label), "{path}: nothing is called {label}");
        }
        closes(path, page);
    }
}

/// What pages are made of: nothing here fetches or runs anything.
const ELEMENTS: [&str; 30] = [
    "html", "head", "title", "style", "body", "header", "nav", "main", "section", "article", "div", "h1", "h2", "h3",
    "h4", "p", "a", "ul", "li", "dl", "dt", "dd", "span", "code", "pre", "strong", "details", "summary", "meta",
    "!doctype",
];
const ATTRIBUTES: [&str; 14] = [
    "lang",
    "hreflang",
    "href",
    "charset",
    "name",
    "content",
    "nonce",
    "class",
    "id",
    "tabindex",
    "open",
    "html",
    "aria-label",
    "aria-labelledby",
];

/// The names of a tag's attributes; what stands between quotes is their values.
fn names(tag: &str) -> impl Iterator<Item = &str> {
    let (_, rest) = tag.split_once([' ', '\n']).unwrap_or_default();
    rest.split('"').step_by(2).flat_map(|piece| piece.split([' ', '=', '\n'])).filter(|name| !name.is_empty())
}

/// Every element is closed, by its own end and in order; headings go down by one at a time.
fn closes(path: &str, page: &str) {
    let (mut open, mut level) = (Vec::new(), 0);
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.split([' ', '\n']).next().unwrap();
        assert!(ELEMENTS.contains(&name.trim_start_matches('/')), "{path}: <{name}>");
        for attribute in names(tag) {
            assert!(ATTRIBUTES.contains(&attribute) || attribute == "aria-current", "{path}: <{tag}>");
        }
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{path}: </{name}>"),
            None if matches!(name, "!doctype" | "meta") => {}
            None => {
                open.push(name);
                if let Some(heading) = name.strip_prefix('h').and_then(|digit| digit.parse::<u8>().ok()) {
                    assert!(heading <= level + 1, "{path}: <h{heading}> after <h{level}>");
                    level = heading;
                }
            }
        }
    }
    assert_eq!(open, Vec::<&str>::new(), "{path}");
}

#[tokio::test]
async fn the_page_has_every_operation_of_the_document() {
    let service = Service::start().await;
    let document = ask(&service, "/openapi.json", "").await.json();
    let page = ask(&service, "/docs", "").await.body;
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
        for item in methods.as_object().unwrap().values() {
            let summary = item["summary"].as_str().unwrap();
            assert!(page.contains(&format!("\">{summary}</h3>")), "{path}: {summary}");
        }
    }
    for field in ["temperature", "stream_options", "incremental_output", "relevance_score", "cached_tokens"] {
        assert!(page.contains(&format!("<dt><code>{field}</code>")), "{field}");
    }
    assert!(page.contains("curl -N &quot;$QWENDA_URL/v1/chat/completions&quot;"));
}
