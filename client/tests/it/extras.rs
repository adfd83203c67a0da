//! Files and batches, what is observed, what is recorded.

use std::sync::{Arc, Mutex};

use qwenda::{Kind, Mock, What, batch_lines};
use serde_json::json;

#[tokio::test]
async fn a_file_is_sent_as_a_form_and_found_again_by_its_id() {
    let file =
        json!({"id": "file-batch-1", "bytes": 3, "filename": "a.jsonl", "purpose": "batch", "status": "processed"});
    let list = json!({"object": "list", "has_more": true, "data": [file]});
    let deleted = json!({"object": "file", "deleted": true, "id": "file-batch-1"});
    let mock = Mock::new().json(file.clone()).json(list).json(file).bytes("{}\n").json(deleted);
    let files = mock.client().files();
    assert_eq!(files.upload("a.jsonl", "batch", "{}\n").await.unwrap().bytes, 3);
    assert!(files.list(None).await.unwrap().has_more);
    assert_eq!(files.get("file-batch-1").await.unwrap().filename, "a.jsonl");
    assert_eq!(files.content("file-batch-1").await.unwrap(), b"{}\n");
    files.delete("file-batch-1").await.unwrap();
    let requests = mock.requests();
    let body = String::from_utf8(requests[0].body.to_vec()).unwrap();
    let boundary = requests[0].header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    let form = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{boundary}\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\
         content-type: application/octet-stream\r\n\r\n{{}}\n\r\n--{boundary}--\r\n"
    );
    assert_eq!(body, form);
    let urls: Vec<&str> = requests.iter().map(|request| request.url.rsplit_once("/v1/").unwrap().1).collect();
    assert_eq!(urls, ["files", "files", "files/file-batch-1", "files/file-batch-1/content", "files/file-batch-1"]);
    for id in ["", "..", "a/b", "a?b", "文件"] {
        assert_eq!(files.get(id).await.unwrap_err().kind(), Kind::Invalid, "{id:?}");
    }
    assert_eq!(files.upload("a\"b", "batch", "").await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_asked_about_until_it_is_over() {
    let status =
        |status: &str| json!({"id": "batch_1", "status": status, "request_counts": {"total": 2}, "errors": null});
    let mock =
        Mock::new().json(status("validating")).json(status("in_progress")).error(503, "busy").json(status("completed"));
    let batches = mock.client().batches();
    let batch = batches.create("file-1", "/v1/chat/completions", "24h").await.unwrap();
    let over = batches.wait(&batch.id, std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!((over.is_over(), over.request_counts.total), (true, 2));
    assert_eq!(mock.bodies()[0]["completion_window"], "24h");
}

#[tokio::test]
async fn lines_of_a_batch_are_checked_before_they_are_sent() {
    let client = Mock::new().client();
    let chat = |model: &str| client.chat(model).user("hi");
    let (a, b, thinking) = (chat("m"), chat("other"), chat("m").thinking(true));
    let lines = |rows: Vec<(&str, &qwenda::ChatBuilder)>| {
        batch_lines(rows.into_iter().map(|(id, chat)| (id.to_owned(), chat)))
            .map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let good = lines(vec![("1", &a), ("2", &a)]).unwrap();
    assert_eq!(good.lines().count(), 2);
    let first: serde_json::Value = serde_json::from_str(good.lines().next().unwrap()).unwrap();
    assert_eq!((&first["custom_id"], &first["body"]["model"]), (&json!("1"), &json!("m")));
    for rows in [vec![], vec![("1", &a), ("1", &a)], vec![("1", &a), ("2", &b)], vec![("1", &a), ("2", &thinking)]] {
        assert_eq!(lines(rows).unwrap_err().kind(), Kind::Invalid);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_observes_sees_each_attempt_and_the_end() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let mock = Mock::new().error(503, "busy").reply("hi");
    let observed = mock.builder().observe(move |observation| {
        let what = match &observation.what {
            What::Sent => "sent".to_owned(),
            What::Began { status } => format!("began {status}"),
            What::Failed { kind, pause, .. } => format!("failed {kind:?} again {}", pause.is_some()),
            What::Finished { usage, cost } => {
                format!("finished {} {}", usage.as_ref().unwrap().input_tokens, cost.as_ref().unwrap())
            }
            other => format!("{other:?}"),
        };
        told.lock()
            .unwrap()
            .push(format!("{} {} {} {what}", observation.operation, observation.model, observation.attempt));
    });
    observed.build().unwrap().chat("qwen-plus").user("hi").await.unwrap();
    let want = [
        "chat qwen-plus 1 sent",
        "chat qwen-plus 1 failed Throttled(Overloaded) again true",
        "chat qwen-plus 2 sent",
        "chat qwen-plus 2 began 200",
        "chat qwen-plus 2 finished 10 0.00001 CNY",
    ];
    assert_eq!(*seen.lock().unwrap(), want);
}

#[tokio::test]
async fn a_cassette_records_once_plays_back_and_has_no_key_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.json");
    let key = "sk-planted-0123456789";
    let mock = Mock::new().stream(["one ", key]).stream(["two"]).error(429, "slower").with_header("set-cookie", key);
    let ask = async |client: qwenda::Client| {
        let chat = |text: &str| client.chat("m").user(format!("{text} {key}")).retry(qwenda::Retry::none());
        let first = chat("a").await.unwrap().into_text();
        let second = chat("a").await.unwrap().into_text();
        (first, second, chat("b").await.unwrap_err().kind())
    };
    let recorded = ask(mock.builder().key(key).cassette(&path).build().unwrap()).await;
    assert_eq!(recorded.0, format!("one {key}"));
    let tape = std::fs::read_to_string(&path).unwrap();
    assert!(!tape.contains("planted"), "{tape}");
    // Nobody answers but the cassette; the address may be another one.
    let silent = Mock::new();
    let player = silent.builder().base_url("http://elsewhere.invalid/v1").cassette(&path).build().unwrap();
    let played = ask(player.clone()).await;
    assert_eq!((played.0.as_str(), &played.1, played.2), ("one sk-***", &recorded.1, recorded.2));
    assert!(silent.requests().is_empty());
    let error = player.chat("m").user("never asked").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Disconnected);
    std::fs::write(&path, "not a tape").unwrap();
    assert_eq!(silent.builder().cassette(&path).build().unwrap_err().kind(), Kind::Config);
}

#[cfg(feature = "blocking")]
#[test]
fn what_is_waited_for_is_the_same_and_async_code_is_told_to_await() {
    let mock = Mock::new().reply("a").stream(["b", "c"]);
    let client = qwenda::blocking::Client::new(mock.client()).unwrap();
    assert_eq!(client.wait(client.chat("m").user("hi")).unwrap().text(), "a");
    let mut stream = client.stream(client.chat("m").user("hi")).unwrap();
    assert!(stream.by_ref().all(|event| event.is_ok()));
    assert_eq!(stream.finish().unwrap().text(), "bc");
    let inside = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = inside.block_on(async { client.wait(client.chat("m").user("hi")).unwrap_err() });
    assert_eq!(error.kind(), Kind::Config);
}
