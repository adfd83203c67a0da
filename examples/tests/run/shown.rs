//! The pages as a reader sees them: in a browser, with what they do in it.
//!
//! `QWENDA_TEST_PICTURES=FOLDER` keeps a picture of what each shows.

use std::net::SocketAddr;

use qwenda::types::error::{ApiError, Code};
use qwenda_backend::BackendError;
use qwenda_server::config::Cors;
use qwenda_testkit::{Gate, Script, TinyModel, scripted::Played};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    browser::Browser,
    service::{Service, address, bare, said},
};

const WEB: &str = env!("CARGO_BIN_EXE_web");
const PHONE: &str = env!("CARGO_BIN_EXE_phone");
/// Runs if anybody takes it for more than text.
const SCRIPT: &str = "<img src=x onerror=\"window.executed = true\"><b>bold</b>";

/// A way to a server on which every byte of an answer comes alone, so that characters and events are cut anywhere.
async fn bytewise(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((here, _)) = listener.accept().await {
            here.set_nodelay(true).unwrap();
            let (mut from_here, mut to_here) = here.into_split();
            let (mut from_there, mut to_there) = TcpStream::connect(to).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_here, &mut to_there).await });
            tokio::spawn(async move {
                let mut byte = [0];
                while matches!(from_there.read(&mut byte).await, Ok(1)) && to_here.write_all(&byte).await.is_ok() {
                    tokio::task::yield_now().await;
                }
            });
        }
    });
    addr
}

#[tokio::test]
async fn the_web_page_shows_an_answer_piece_by_piece_in_whole_characters() {
    let service = Service::start().await;
    let mut web = service.command(WEB, &["127.0.0.1:0"]).spawn().unwrap();
    let host = bytewise(address(&mut web).await.0.parse().unwrap()).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("http://{host}/"), "zh-CN").await;
    assert_eq!(page.value("document.documentElement.lang").await, "zh-CN");
    page.picture("web-empty").await;

    let gate = Gate::new();
    service.backend.answer(Script::text(3, &["天空是", "蓝色的 🌏。\n\n", "因为瑞利散射。"]).wait_before(2, &gate));
    page.write("天空为什么是蓝色的？").await;
    page.press_enter().await;
    page.shows(".assistant", "天空是").await;
    page.shows("#send", "停止").await;
    page.picture("web-coming").await;
    gate.open();
    page.shows(".assistant", "天空是蓝色的 🌏。\n\n因为瑞利散射。").await;
    page.shows("#send", "发送").await;

    // What was said goes along with what is said next; the keyboard alone is enough.
    service.backend.answer(Script::text(3, &["对。"]));
    page.write("真的吗？").await;
    page.press_enter().await;
    page.shows(".said:last-child", "对。").await;
    let asked = said(&service.backend.calls()[1]);
    assert!(asked.ends_with("assistant: 天空是蓝色的 🌏。\n\n因为瑞利散射。\nuser: 真的吗？\n"), "{asked}");
    page.resize(360, 640, true).await;
    page.until("document.documentElement.scrollWidth <= innerWidth").await;
    page.picture("web-mobile").await;
    assert_eq!(page.complaints(), [""; 0]);
}

#[tokio::test]
async fn the_web_page_stops_an_answer_and_keeps_what_came() {
    let service = Service::start().await;
    let mut web = service.command(WEB, &["127.0.0.1:0"]).spawn().unwrap();
    let (host, _) = address(&mut web).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("http://{host}/"), "en").await;
    let gate = Gate::new();
    let played = service.backend.answer(Script::text(3, &["One, ", "two"]).wait_before(2, &gate));
    page.write("Count.").await;
    page.click("#send").await;
    page.until("document.querySelector('.assistant')?.textContent === 'One, '").await;
    page.click("#send").await;
    assert_eq!(played.over().await, Played::Dropped(2));
    page.shows("#send", "Send").await;
    page.picture("web-stopped").await;
    service.backend.answer(Script::text(3, &["two, three"]));
    page.write("Go on.").await;
    page.click("#send").await;
    page.shows(".said:last-child", "two, three").await;
    assert!(said(&service.backend.calls()[1]).contains("assistant: One, \n"));
    assert_eq!(page.complaints(), [""; 0]);
}

#[tokio::test]
async fn the_web_page_takes_nothing_that_is_said_for_more_than_text() {
    let service = Service::start().await;
    let mut web = service.command(WEB, &["127.0.0.1:0"]).spawn().unwrap();
    let (host, _) = address(&mut web).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("http://{host}/"), "en").await;
    service.backend.answer(Script::text(3, &["You said ", SCRIPT]));
    page.write(SCRIPT).await;
    page.click("#send").await;
    page.shows(".assistant", &format!("You said {SCRIPT}")).await;
    page.shows(".user", SCRIPT).await;
    let refused = ApiError::of(Code::DataInspectionFailed).say(format!("No: {SCRIPT}"));
    service.backend.answer(Script::refuse(BackendError::Refused(Box::new(refused))));
    page.write("again").await;
    page.click("#send").await;
    page.until("document.querySelector('.error')").await;
    assert!(page.text(".error").await.contains(SCRIPT), "{}", page.text(".error").await);
    assert_eq!(page.value("document.querySelectorAll('img, b').length").await, 0);
    assert!(page.value("window.executed").await.is_null());
    // What was refused is no part of the conversation.
    page.shows("#send", "Send").await;
    service.backend.answer(Script::text(3, &["fine"]));
    page.write("other").await;
    page.click("#send").await;
    page.shows(".said:last-child", "fine").await;
    assert!(!said(service.backend.calls().last().unwrap()).contains("again"));
    page.picture("web-error").await;
    assert_eq!(page.complaints(), [""; 0]);
}

#[tokio::test]
async fn the_phones_page_calls_the_service_across_origins_with_keys_that_end() {
    let service = Service::start().await;
    let way = bytewise(service.addr).await;
    let mut command = service.command(PHONE, &["127.0.0.1:0"]);
    let mut phone = command.env("QWENDA_BASE_URL", format!("http://{way}/v1")).spawn().unwrap();
    let (host, _) = address(&mut phone).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("http://{host}/"), "zh-CN").await;
    page.resize(360, 640, true).await;
    let tokens = || page.requests().iter().filter(|request| *request == "GET /token").count();
    let ask = async |question: &str| {
        page.value("document.getElementById('text').value = ''").await;
        page.value("document.getElementById('text').focus()").await;
        page.write(question).await;
        page.click("#send").await;
    };

    let gate = Gate::new();
    service.backend.answer(Script::text(3, &["早上", "好，世界 🌏！"]).wait_before(2, &gate));
    ask("问好").await;
    page.shows("#answer", "早上").await;
    page.picture("phone-coming").await;
    gate.open();
    page.shows("#answer", "早上好，世界 🌏！").await;
    page.until("!document.getElementById('send').disabled").await;
    page.picture("phone-whole").await;
    let asked = page.requests();
    assert!(asked.contains(&"OPTIONS /v1/chat/completions".to_owned()), "{asked:?}");
    assert!(asked.contains(&"POST /v1/chat/completions".to_owned()), "{asked:?}");
    assert_eq!(tokens(), 1);

    // A key that still lasts is used again, and one that is about to end is not.
    for (minutes, keys) in [(0, 1), (1, 2)] {
        let later = format!("{{ const now = Date.now; Date.now = () => now() + {minutes} * 60_000; }}");
        page.value(&later).await;
        service.backend.answer(Script::text(3, &["好。"]));
        ask("再来").await;
        page.shows("#answer", "好。").await;
        page.until("!document.getElementById('send').disabled").await;
        assert_eq!(tokens(), keys);
    }
    // One that the service does not take any more is left for another, and nobody notices.
    page.value("key.token = 'st-ended'; key.expires_at *= 2; 0").await;
    service.backend.answer(Script::text(3, &["仍然好。"]));
    ask("还在吗").await;
    page.shows("#answer", "仍然好。").await;
    assert_eq!(tokens(), 3);
    let complaints = page.complaints();
    // The browser itself tells of the refusal.
    assert!(complaints.len() == 1 && complaints[0].contains("401"), "{complaints:?}");

    let refused = ApiError::of(Code::DataInspectionFailed).say(SCRIPT);
    service.backend.answer(Script::refuse(BackendError::Refused(Box::new(refused))));
    ask(SCRIPT).await;
    page.until("document.querySelector('#answer.error')").await;
    assert!(page.text("#answer").await.contains(SCRIPT));
    assert!(page.value("window.executed").await.is_null());
    page.until("document.documentElement.scrollWidth <= innerWidth").await;
    page.picture("phone-error").await;
}

#[tokio::test]
async fn the_phones_page_says_when_the_service_does_not_let_it_call() {
    let service = Service::with(Cors::Off).await;
    let mut phone = service.command(PHONE, &["127.0.0.1:0"]).spawn().unwrap();
    let (host, _) = address(&mut phone).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("http://{host}/"), "en").await;
    page.write("hi").await;
    page.click("#send").await;
    page.until("document.querySelector('#answer.error')").await;
    assert!(page.text("#answer").await.contains("CORS"), "{}", page.text("#answer").await);
    page.picture("phone-blocked").await;
    assert!(service.backend.calls().is_empty());
}

#[tokio::test]
async fn the_desktops_window_talks_to_its_model_and_the_program_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.gguf"), TinyModel::endless(4096).bytes()).unwrap();
    let mut command = bare(env!("CARGO_BIN_EXE_desktop"), &["./tiny.gguf"], folder.path());
    let mut desktop = command.env("QWENDA_HOME", folder.path()).spawn().unwrap();
    let (host, path) = address(&mut desktop).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("http://{host}{path}"), "en").await;
    page.write(SCRIPT).await;
    page.press_enter().await;
    page.shows(".user", SCRIPT).await;
    page.until("document.querySelector('.assistant').textContent.length > 20").await;
    page.click("#send").await;
    page.shows("#send", "Send").await;
    page.resize(360, 640, true).await;
    page.until("document.documentElement.scrollWidth <= innerWidth").await;
    page.picture("desktop").await;
    assert!(page.value("window.executed").await.is_null());
    assert_eq!(page.complaints(), [""; 0]);
    page.close().await;
    assert!(desktop.wait().await.unwrap().success());
}
