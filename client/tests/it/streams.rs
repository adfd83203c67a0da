//! Answers as they come.

use std::time::Duration;

use futures_util::StreamExt;
use qwenda::{Event, Finish, Kind, Mock, Protocol, types::chat::FinishReason};
use serde_json::json;

use crate::faults::{Act, Service, delta};

#[tokio::test]
async fn awaiting_and_streaming_give_the_same_reply() {
    let script = || Mock::new().stream(["a", "b"]);
    let awaited = script().client().chat("m").user("hi").await.unwrap();
    let streamed = script().client().chat("m").user("hi").stream().await.unwrap().collect().await.unwrap();
    assert_eq!(awaited, streamed);
    let mut stream = script().client().chat("m").user("hi").stream().await.unwrap();
    while stream.next().await.is_some() {}
    assert_eq!(stream.finish().unwrap(), awaited);
    let texts: Vec<String> = script()
        .client()
        .chat("m")
        .user("hi")
        .stream()
        .await
        .unwrap()
        .text_stream()
        .map(Result::unwrap)
        .collect()
        .await;
    assert_eq!(texts, ["a", "b"]);
    assert_eq!((awaited.usage().unwrap().input_tokens, awaited.finish()), (10, &Finish::Stop));
}

#[tokio::test]
async fn a_request_for_one_piece_gets_the_same_kind_of_reply() {
    let answer = json!({"id": "chatcmpl-7", "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1}});
    let mock = Mock::new().json(answer).with_header("x-request-id", "r7");
    let reply = mock.client().chat("m").user("hi").unstreamed().await.unwrap();
    assert_eq!((reply.text(), reply.request_id.as_deref()), ("a", Some("r7")));
    assert!(!mock.bodies()[0].contains_key("stream"));
}

#[tokio::test]
async fn an_answer_that_was_not_read_to_its_end_is_not_whole() {
    let mut stream = Mock::new().stream(["a", "b"]).client().chat("m").user("hi").stream().await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Event::Text(_)))));
    assert_eq!(stream.partial().text(), "a");
    let error = stream.finish().unwrap_err();
    assert_eq!((error.kind(), error.into_partial().unwrap().finish()), (Kind::Truncated, &Finish::Cut).clone());
}

#[tokio::test]
async fn a_stream_without_a_reason_for_its_end_is_whole_only_for_who_says_so() {
    let open = || Mock::new().events([json!({"choices": [{"delta": {"content": "a"}}]})]);
    let error = open().client().chat("m").user("hi").await.unwrap_err();
    assert_eq!((error.kind(), error.partial().unwrap().text()), (Kind::Truncated, "a"));
    let lenient = open().builder().accept_open_ends(true).build().unwrap();
    assert_eq!(lenient.chat("m").user("hi").await.unwrap().text(), "a");
    let silent = open().end_after(1).builder().accept_open_ends(true).build().unwrap();
    assert_eq!(silent.chat("m").user("hi").await.unwrap_err().kind(), Kind::Truncated);
}

#[tokio::test]
async fn the_native_dialect_asks_and_answers_otherwise_and_means_the_same() {
    let frames = "id:1\nevent:result\n:HTTP_STATUS/200\ndata:{\"output\":{\"choices\":[{\"message\":{\"role\":\"assistant\",\
        \"content\":\"a\"},\"finish_reason\":\"null\"}]},\"usage\":{\"input_tokens\":3,\"output_tokens\":1,\"total_tokens\":4},\
        \"request_id\":\"r1\"}\n\nid:2\nevent:result\n:HTTP_STATUS/200\ndata:{\"output\":{\"choices\":[{\"message\":\
        {\"content\":\"b\"},\"finish_reason\":\"stop\"}]},\"usage\":{\"input_tokens\":3,\"output_tokens\":2,\"total_tokens\":5},\
        \"request_id\":\"r1\"}\n\n";
    let mock = Mock::new().bytes(frames);
    let client = mock.builder().protocol(Protocol::DashScope).build().unwrap();
    let reply = client.chat("qwen-plus").user("hi").temperature(0.5).await.unwrap();
    assert_eq!((reply.text(), reply.usage().unwrap().output_tokens), ("ab", 2));
    assert_eq!(reply.request_id.as_deref(), Some("r1"));
    let request = &mock.requests()[0];
    assert!(request.url.ends_with("/api/v1/services/aigc/text-generation/generation"), "{}", request.url);
    assert_eq!(request.header("x-dashscope-sse"), Some("enable"));
    let body = &mock.bodies()[0];
    assert_eq!(body["parameters"]["incremental_output"], json!(true));
    assert_eq!(
        (&body["input"]["messages"][0]["content"], &body["parameters"]["temperature"]),
        (&json!("hi"), &json!(0.5))
    );
}

#[tokio::test]
async fn several_answers_are_told_apart() {
    let choice = |index: u32, text: &str, finish: Option<FinishReason>| json!({"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]});
    let mock = Mock::new().events([
        choice(1, "b", None),
        choice(0, "a", Some(FinishReason::Stop)),
        choice(1, "B", Some(FinishReason::Length)),
    ]);
    let reply = mock.client().chat("m").user("hi").choices(2).await.unwrap();
    let texts: Vec<(&str, &Finish)> =
        reply.choices.iter().map(|choice| (choice.text.as_str(), &choice.finish)).collect();
    assert_eq!(texts, [("a", &Finish::Stop), ("bB", &Finish::Length)]);
}

#[tokio::test]
async fn next_may_be_dropped_and_asked_for_again() {
    let mock = Mock::new().error(503, "busy").stream(["a", "b"]);
    let mut stream = mock.client().chat("m").user("hi").stream().await.unwrap();
    let mut text = String::new();
    loop {
        let mut next = Box::pin(stream.next());
        // Polled once and dropped, then asked for in earnest.
        let first = futures_util::poll!(&mut next);
        drop(next);
        let event = match first {
            std::task::Poll::Ready(event) => event,
            std::task::Poll::Pending => stream.next().await,
        };
        match event {
            Some(Ok(Event::Text(piece))) => text.push_str(&piece),
            Some(event) => drop(event.unwrap()),
            None => break,
        }
    }
    assert_eq!(text, "ab");
}

#[tokio::test]
async fn dropping_a_stream_closes_its_connection() {
    let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\n";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        assert!(socket.read(&mut buffer).await.unwrap() > 0);
        socket.write_all(format!("{head}{}", delta(None, "a")).as_bytes()).await.unwrap();
        // Until the client hangs up; what it had still to send comes first.
        while socket.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    });
    let client = qwenda::Client::builder().base_url(url).build().unwrap();
    let mut stream = client.chat("m").user("hi").stream().await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Event::Text(_)))));
    drop(stream);
    tokio::time::timeout(Duration::from_secs(60), served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_service_that_labels_a_stream_as_json_is_read_all_the_same() {
    let events =
        format!("{}data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n", delta(None, "a"));
    let service = Service::start(vec![Act::answer(200, "content-type: application/json\r\n", &events)]).await;
    let client = qwenda::Client::builder().base_url(&service.url).build().unwrap();
    assert_eq!(client.chat("m").user("hi").await.unwrap().text(), "a");
}
