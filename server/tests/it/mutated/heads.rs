//! Whole requests mutated as bytes, their heads included: what is not HTTP any more, or promises bytes
//! that do not come. Such a connection may simply end, but only with a status that blames the caller.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use qwenda_testkit::{Script, mutate::mutant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Caller, HANGS, rounds,
    routes::{self, Route},
    seed,
};
use crate::service::Service;

const ROUTES: [Route; 4] = [routes::CHATS[0], routes::GENERATIONS[0], routes::EMBEDDINGS[0], routes::TOKENS];
const ROUNDS: u64 = 300;
pub(super) const COUNT: u64 = ROUTES.len() as u64 * ROUNDS;
/// Many of them wait until the server has had enough.
const AT_ONCE: usize = 64;

/// All that a connection answers until it ends.
async fn answer(service: &Service, request: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(service.addr).await.unwrap();
    let mut bytes = Vec::new();
    // The server may have had enough before all is written.
    if socket.write_all(request).await.is_ok() {
        let _ = socket.read_to_end(&mut bytes).await;
    }
    bytes
}

#[tokio::test]
async fn no_bytes_at_all_are_a_5xx_and_the_next_good_request_is_answered() {
    let impatient = Duration::from_millis(400);
    let service = Service::with(|config| (config.header_timeout, config.body_timeout) = (impatient, impatient)).await;
    let mut statuses = std::collections::BTreeMap::new();
    for route in &ROUTES {
        let sample = &route.samples()[0];
        let body = sample.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let whole = route.head(&service, sample, &body, "Connection: close\r\n") + &body;
        let others: [&[u8]; 3] = [
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ];
        let requests = stream::iter(rounds(ROUNDS)).map(|round| {
            service.backend.answer(Script::text(1, &["a"]));
            let request = mutant(seed(), round, whole.as_bytes(), &others);
            let service = &service;
            async move {
                let bytes = tokio::time::timeout(HANGS, answer(service, &request)).await;
                let shown = String::from_utf8_lossy(&request).into_owned();
                (bytes.unwrap_or_else(|_| panic!("no end of\n{shown}")), shown)
            }
        });
        let mut requests = requests.buffer_unordered(AT_ONCE);
        while let Some((bytes, shown)) = requests.next().await {
            let text = String::from_utf8_lossy(&bytes);
            let status = text.strip_prefix("HTTP/1.").map(|rest| rest[2..5].to_owned());
            let class = status.as_deref().map_or("none", |status| &status[..1]);
            assert!(["none", "2", "4"].contains(&class), "{shown}\n{text}");
            *statuses.entry(class.to_owned()).or_insert(0) += 1;
        }
        Caller::new(&service).await.send_good(route, 0, "after broken heads").await;
    }
    assert!(statuses["2"] > 20 && statuses["4"] > 20, "{statuses:?}");
}
