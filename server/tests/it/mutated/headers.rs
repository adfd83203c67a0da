//! Mutated headers, content codings and queries; what stands in them is legal HTTP, and wrong.

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use qwenda_testkit::{mutate::mutant, rng::Rng};
use tokio::io::AsyncWriteExt;

use super::{
    Caller, GOOD_EVERY, rounds,
    routes::{self, Route, Sample},
    seed,
};
use crate::service::Service;

/// Headers that mean something here, with values that are right.
const HEADERS: [(&str, &str); 14] = [
    ("Content-Type", "application/json; charset=utf-8"),
    ("Content-Type", "multipart/form-data; boundary=x"),
    ("Content-Encoding", "gzip, br"),
    ("Idempotency-Key", "key-1"),
    ("Last-Event-ID", "3"),
    ("Accept", "text/event-stream, application/json;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br;q=0.5"),
    ("X-DashScope-SSE", "enable"),
    ("X-DashScope-Async", "disable"),
    ("X-DashScope-WorkSpace", "ws-1"),
    ("X-DashScope-DataInspection", "{\"input\":\"cip\",\"output\":\"cip\"}"),
    ("Origin", "http://localhost:3000"),
    ("Expect", "100-continue"),
    ("Authorization", "Bearer sk-0000000000000000000000000000000000"),
];
/// Mutants of each header, and of a body in each coding, for one sample of each route.
const VALUES: u64 = 16;
const CODED: u64 = 16;
const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];
const QUERIES: u64 = 200;

/// One route of each kind.
const ROUTES: [Route; 9] = [
    routes::CHATS[0],
    routes::CHATS[1],
    routes::GENERATIONS[0],
    routes::GENERATIONS[1],
    routes::COMPLETIONS[0],
    routes::EMBEDDINGS[0],
    routes::EMBEDDINGS[2],
    routes::RERANKS[5],
    routes::TOKENIZER[0],
];

pub(super) fn count() -> u64 {
    ROUTES.len() as u64 * (HEADERS.len() as u64 * VALUES + CODINGS.len() as u64 * CODED) + QUERIES
}

/// What may stand in a header or, with less, in a query.
fn legal(mutant: Vec<u8>) -> String {
    let clean = mutant.into_iter().map(|byte| if byte.is_ascii_control() { b'~' } else { byte }).collect();
    // The head is written as text, so bytes that are none become the mark of that.
    String::from_utf8(clean).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

async fn headers(routes: &[Route]) {
    let service = Service::start().await;
    let others: Vec<&[u8]> = HEADERS.iter().map(|(_, value)| value.as_bytes()).collect();
    for route in routes {
        let mut caller = Caller::new(&service).await;
        let samples = route.samples();
        for (index, (name, value)) in HEADERS.iter().enumerate() {
            for round in rounds(VALUES) {
                let mut rng = Rng::round(seed(), round);
                let at = rng.below(samples.len());
                let value = legal(mutant(seed() + index as u64, round, value.as_bytes(), &others));
                let what = format!("{} {name}: {value}", route.path);
                let sample = Sample { headers: "", ..samples[at].clone() };
                let body = sample.body.as_ref().unwrap().to_string();
                // A second header beside a plain one, or instead of it.
                let mut head = route.head(&service, &sample, &body, &format!("{name}: {value}\r\n"));
                if rng.below(2) == 0 {
                    head = head.replacen("Content-Type: application/json\r\n", "", 1);
                }
                caller.send(route, &head, body.as_bytes(), &what).await;
                if round % GOOD_EVERY == 0 {
                    caller.send_good(route, at, &what).await;
                }
            }
        }
        let (accepted, refused) = (caller.accepted, caller.refused);
        assert!(accepted > 10 && refused > 10, "{}: {accepted} accepted, {refused} refused", route.path);
    }
}

#[tokio::test]
async fn of_chats_and_completions() {
    headers(&[ROUTES[0], ROUTES[1], ROUTES[4]]).await;
}

#[tokio::test]
async fn of_native_generation() {
    headers(&ROUTES[2..4]).await;
}

#[tokio::test]
async fn of_the_others() {
    headers(&ROUTES[5..]).await;
}

async fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    macro_rules! with {
        ($encoder:ident) => {{
            let mut encoder = $encoder::new(Vec::new());
            encoder.write_all(body).await.unwrap();
            encoder.shutdown().await.unwrap();
            encoder.into_inner()
        }};
    }
    match coding {
        "gzip" => with!(GzipEncoder),
        "deflate" => with!(ZlibEncoder),
        "br" => with!(BrotliEncoder),
        _ => with!(ZstdEncoder),
    }
}

#[tokio::test]
async fn and_coded_bodies_with_broken_codings() {
    let service = Service::start().await;
    let (mut accepted, mut refused) = (0, 0);
    for route in &ROUTES {
        let mut caller = Caller::new(&service).await;
        let sample = &route.samples()[0];
        let plain = sample.body.as_ref().unwrap().to_string();
        for (index, coding) in CODINGS.iter().enumerate() {
            let whole = coded(coding, plain.as_bytes()).await;
            let more = format!("Content-Encoding: {coding}\r\n");
            caller.send(route, &route.head(&service, sample, &whole, &more), &whole, coding).await;
            assert!(caller.accepted > 0, "{} in {coding}", route.path);
            for round in rounds(CODED) {
                let body = mutant(seed() + index as u64, round, &whole, &[plain.as_bytes()]);
                let what = format!("{} {coding} round {round}", route.path);
                caller.send(route, &route.head(&service, sample, &body, &more), &body, &what).await;
            }
            caller.send_good(route, 0, coding).await;
        }
        accepted += caller.accepted;
        refused += caller.refused;
    }
    // Some changes undo themselves, and some codings do not check all of their bytes.
    assert!(accepted > (ROUTES.len() * CODINGS.len()) as u64 && refused > 400, "{accepted} {refused}");
}

#[tokio::test]
async fn and_queries_of_temporary_keys() {
    let service = Service::start().await;
    let mut caller = Caller::new(&service).await;
    let route = &routes::TOKENS;
    let query = "expire_in_seconds=1800&expire_in_seconds=%31&x=%E4%BD%A0";
    for round in rounds(QUERIES) {
        let changed = mutant(seed(), round, query.as_bytes(), &[b"=&=&;%%%ff+"]);
        let clean: String = changed.iter().map(|byte| legal_in_query(*byte)).collect();
        let head = service.head("POST", &format!("{}?{clean}", route.path), Some(0));
        caller.send(route, &head, b"", &clean).await;
        if round % GOOD_EVERY == 0 {
            caller.send_good(route, 1, &clean).await;
        }
    }
    assert!(caller.accepted > 10 && caller.refused > 10, "{} {}", caller.accepted, caller.refused);
}

fn legal_in_query(byte: u8) -> String {
    match byte {
        b'!'..=b'~' if !b"\"<>#`{}|\\^".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    }
}
