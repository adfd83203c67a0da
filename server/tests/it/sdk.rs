//! Our SDK against our service: both dialects, and a network that breaks wherever it likes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use qwenda::{Client, Kind, Protocol, Retry};
use qwenda_testkit::Script;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{service::Service, tools::calls};

fn client(url: String, key: &str) -> qwenda::Builder {
    let retry = Retry { pause_first: Duration::ZERO, attempts_max: 8, ..Retry::default() };
    Client::builder().qwenda(url).key(key).retry(retry).retry_allowance(1000)
}

#[tokio::test]
async fn every_call_means_the_same_in_both_dialects() {
    let service = Service::start().await;
    for protocol in [Protocol::OpenAi, Protocol::DashScope] {
        let url = format!("http://{}/v1", service.addr);
        let client = client(url, &service.key).protocol(protocol).build().unwrap();
        service.backend.answer(Script::text(3, &["Hel", "lo"]));
        let reply = client.chat("qwen-scripted").user("hi").await.unwrap();
        assert_eq!((reply.text(), reply.usage().unwrap().input_tokens), ("Hello", 3), "{protocol:?}");
        service.backend.answer(Script::text(3, &["Hel", "lo"]));
        let whole = client.chat("qwen-scripted").user("hi").unstreamed().await.unwrap();
        assert_eq!((whole.text(), whole.finish()), (reply.text(), reply.finish()), "{protocol:?}");
        service.backend.answer(calls());
        let reply = client.chat("qwen-scripted").user("hi").await.unwrap();
        let called: Vec<(&str, &str)> =
            reply.tool_calls().iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
        assert_eq!(called, [("weather", "{\"city\": \"北京\"}"), ("weather", "{}")], "{protocol:?}");
        assert_eq!(client.embed("qwen-scripted", ["a", "b"]).dimensions(8).await.unwrap().len(), 2, "{protocol:?}");
        let ranking = client.rerank("qwen-scripted", "cat", ["a dog", "a cat"]).await.unwrap();
        assert_eq!(ranking.hits[0].index, 1, "{protocol:?}");
        assert_eq!(client.tokenize("qwen-scripted", "two words").await.unwrap().ids.len(), 2, "{protocol:?}");
        assert_eq!(client.models().await.unwrap().len(), 2, "{protocol:?}");
        let unknown = client.chat("no-such-model").user("hi").await.unwrap_err();
        assert_eq!((unknown.kind(), unknown.request_id().is_some()), (Kind::NotFound, true), "{protocol:?}");
    }
    let stranger = client(format!("http://{}/v1", service.addr), "sk-00000000").build().unwrap();
    assert_eq!(stranger.chat("qwen-scripted").user("hi").await.unwrap_err().kind(), Kind::Unauthorized);
}

/// A way to the service on which the first answer breaks after so many bytes.
async fn breaking(to: SocketAddr, after: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((here, _)) = listener.accept().await {
            let left = if counted.fetch_add(1, Ordering::SeqCst) == 0 { after } else { usize::MAX };
            tokio::spawn(carry(here, TcpStream::connect(to).await.unwrap(), left));
        }
    });
    (addr, connections)
}

async fn carry(here: TcpStream, there: TcpStream, mut left: usize) {
    let (mut from_here, mut to_here) = here.into_split();
    let (mut from_there, mut to_there) = there.into_split();
    let asking = tokio::spawn(async move { tokio::io::copy(&mut from_here, &mut to_there).await });
    let mut buffer = [0; 4096];
    while let Ok(count) = from_there.read(&mut buffer).await {
        let count = count.min(left);
        if count == 0 || to_here.write_all(&buffer[..count]).await.is_err() {
            break;
        }
        left -= count;
        if left == 0 {
            break;
        }
    }
    asking.abort();
}

#[tokio::test]
async fn an_answer_is_made_once_and_whole_wherever_its_connection_breaks() {
    let service = Service::start().await;
    let pieces = ["one ", "two ", "三 ", "four"];
    for protocol in [Protocol::OpenAi, Protocol::DashScope] {
        let mut broken = 0;
        // From within the head to beyond the end.
        for after in (1..2600).step_by(97) {
            let (addr, connections) = breaking(service.addr, after).await;
            let client = client(format!("http://{addr}/v1"), &service.key).protocol(protocol).build().unwrap();
            let before = service.totals.requests();
            service.backend.answer(Script::text(3, &pieces));
            let reply = client.chat("qwen-scripted").user("count").await.unwrap();
            assert_eq!(reply.text(), pieces.concat(), "{protocol:?} broken after {after}");
            assert_eq!(reply.usage().unwrap().output_tokens, 4, "{protocol:?} broken after {after}");
            assert_eq!(service.totals.requests() - before, 1, "{protocol:?} broken after {after}");
            broken += usize::from(connections.load(Ordering::SeqCst) > 1);
        }
        assert!(broken > 5, "{protocol:?}: {broken} connections broke in the middle");
    }
}
