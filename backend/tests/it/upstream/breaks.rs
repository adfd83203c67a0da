//! Streams that break: before anything was handed on they are asked for again, after that never.

use qwenda_backend::ChatEvent;
use qwenda_testkit::{FakeUpstream, Framing, Reply, mutate};
use qwenda_types::error::Code;
use serde_json::json;

use super::asking::{ANSWER, ask, asked_once, at, text, upstream};

/// All of the answer, as it comes when nothing breaks.
async fn whole() -> Vec<ChatEvent> {
    asked_once(Reply::events(&ANSWER)).await.0
}

#[tokio::test]
async fn a_stream_cut_anywhere_is_whole_or_an_error_after_its_beginning() {
    let whole = whole().await;
    for framing in [Framing::Chunked, Framing::Close] {
        let reply = Reply::events(&ANSWER).framed(framing);
        let length = reply.bytes().len();
        // Where the connection's end is the body's, the stream is whole once its usage has come.
        let usage_ends = length - "\n\ndata: [DONE]\n\n".len();
        for cut in 0..=length {
            let (events, error) = asked_once(reply.clone().cut(cut)).await;
            match &error {
                None => assert_eq!(events, whole, "{framing:?} cut at {cut}"),
                Some(error) => {
                    assert!([502, 503].contains(&error.status()) && error.is_retryable(), "{error:?} at {cut}");
                    assert_eq!(events, whole[..events.len()], "{framing:?} cut at {cut}");
                    assert!(events.len() < whole.len(), "{framing:?} cut at {cut}");
                }
            }
            if framing == Framing::Close && cut < usage_ends || cut == length {
                assert_eq!(error.is_some(), cut < length, "{framing:?} cut at {cut}");
            }
        }
    }
}

#[tokio::test]
async fn what_breaks_is_asked_for_again_only_before_its_first_event() {
    let whole = whole().await;
    let reply = Reply::events(&ANSWER).framed(Framing::Close);
    let bytes = reply.bytes();
    let first_ends = bytes.windows(2).position(|two| two == b"\n\n").unwrap() + 2;
    for cut in (0..bytes.len()).step_by(7).chain([first_ends - 1, first_ends]) {
        let fake = FakeUpstream::start().await;
        fake.reply(reply.clone().cut(cut));
        fake.reply(Reply::events(&ANSWER));
        let (events, error) = ask(&upstream(&fake, "retries = 1"), json!({})).await;
        let asked = fake.asked().len();
        match error {
            None => assert_eq!(events, whole, "cut at {cut}, asked {asked} times"),
            Some(_) => assert_eq!((asked, events.is_empty()), (1, false), "cut at {cut}"),
        }
        // The blank line after it is not waited for.
        assert_eq!(asked, if cut < first_ends - 2 { 2 } else { 1 }, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_stream_that_is_none_is_an_error() {
    let big = format!("{{\"x\":\"{}\"}}", "a".repeat(17 << 20));
    let open = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let call = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}}]}"#;
    for (reply, said) in [
        (Reply::events(&["{not json"]), "JSON that cannot be read"),
        (Reply::events(&["[1]"]), "no JSON object"),
        (Reply::events(&[r#"{"choices":7}"#]), "JSON that cannot be read"),
        (Reply::events(&[&big]), "longer than"),
        (Reply::events(&[open, "[DONE]"]), "1 of 1 choices open"),
        (Reply::events(&["[DONE]"]), "1 of 1 choices open"),
        (Reply::events(&[]), "1 of 1 choices open"),
        (Reply::events(&[call]), "has not named"),
        (Reply::json(200, r#"{"choices":[{"message":{"content":"a"}}]}"#), "no event stream"),
        (Reply::new(200, "text/html", "<html>hello</html>"), "1 of 1 choices open"),
    ] {
        let (_, error) = asked_once(reply).await;
        let error = error.expect(said);
        assert_eq!(error.code(), Code::BadGateway, "{said}: {error:?}");
        assert!(error.logged().unwrap().contains(said), "{said}: {error:?}");
    }
}

#[tokio::test]
async fn who_says_nothing_is_waited_for_only_so_long() {
    for (settings, reply) in [
        ("first_byte_timeout_ms = 20", Reply::events(&ANSWER).cut(0).hanging()),
        ("idle_timeout_ms = 20", Reply::events(&[]).framed(Framing::Close).hanging()),
        ("idle_timeout_ms = 20", Reply::events(&ANSWER[..2]).framed(Framing::Close).hanging()),
    ] {
        let fake = FakeUpstream::start().await;
        fake.reply(reply);
        let (_, error) = ask(&upstream(&fake, settings), json!({})).await;
        assert_eq!(error.unwrap().code(), Code::GatewayTimeout, "{settings}");
        // It would make us wait again.
        assert_eq!(fake.asked().len(), 1, "{settings}");
        fake.left(1).await;
    }
}

#[tokio::test]
async fn an_error_in_a_stream_is_what_it_is() {
    let error = |code: &str| format!(r#"{{"error":{{"message":"why","type":"t","param":null,"code":"{code}"}}}}"#);
    let moderated = error("data_inspection_failed");
    let (events, told) = asked_once(Reply::events(&[ANSWER[0], &moderated])).await;
    assert_eq!(text(&events), "你");
    assert_eq!(told.unwrap().code(), Code::DataInspectionFailed);
    let native = "id:1\nevent:error\n:HTTP_STATUS/429\ndata:{\"code\":\"Throttling\",\"message\":\"m\"}\n\n";
    for reply in [Reply::new(200, "text/event-stream", native), Reply::json(200, error("limit_requests"))] {
        // As good as one that came as a status: asked again.
        let fake = FakeUpstream::start().await;
        fake.reply(reply.clone());
        fake.reply(Reply::events(&ANSWER));
        let (events, told) = ask(&upstream(&fake, ""), json!({})).await;
        assert_eq!((text(&events).as_str(), told), ("你好", None));
        let (_, told) = asked_once(reply).await;
        assert_eq!(told.unwrap().status(), 429);
    }
}

#[tokio::test]
async fn any_bytes_of_an_upstream_end_in_an_answer_or_an_error() {
    let error = Reply::json(429, r#"{"error":{"message":"m","code":"limit_requests"}}"#).header("retry-after", "1");
    let call = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
    let replies = [
        Reply::events(&ANSWER),
        Reply::events(&ANSWER).framed(Framing::Close),
        Reply::events(&[call, ANSWER[3], "[DONE]"]).framed(Framing::Length),
        error,
    ];
    let samples: Vec<Vec<u8>> = replies.iter().map(Reply::bytes).collect();
    let others: Vec<&[u8]> = samples.iter().map(Vec::as_slice).collect();
    let mut ended = [0, 0];
    for round in 0..400 {
        let sample = others[round as usize % others.len()];
        let (events, error) = asked_once(Reply::raw(mutate::mutant(17, round, sample, &others))).await;
        match &error {
            None => assert!(matches!(events.last(), Some(ChatEvent::Done { .. })), "round {round}: {events:?}"),
            Some(error) => assert!((400..600).contains(&error.status()), "round {round}: {error:?}"),
        }
        ended[usize::from(error.is_some())] += 1;
    }
    // Mutants of which all break, or none, would show nothing.
    assert!(ended.iter().all(|count| *count > 20), "{ended:?}");
}

#[tokio::test]
async fn nobody_there_is_a_service_that_is_not_available() {
    let gone = FakeUpstream::start().await.base_url();
    let (_, error) = ask(&at(&gone, "retries = 1"), json!({})).await;
    let error = error.unwrap();
    assert_eq!((error.status(), error.is_retryable()), (503, true));
    assert!(error.logged().unwrap().starts_with("upstream `fake`: "), "{error:?}");
}
