//! `bot`.

use qwenda_testkit::Script;

use crate::service::{Service, said};

const BOT: &str = env!("CARGO_BIN_EXE_bot");

#[tokio::test]
async fn a_bot_remembers_across_runs_until_it_is_told_to_forget() {
    let service = Service::start().await;
    service.backend.answer(Script::text(9, &["Hello, Ada."]));
    let first = service.run(BOT, &[], "My name is Ada.\n/quit\n").await;
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), "> Hello, Ada.\n> "), "{}", first.stderr);

    service.backend.answer(Script::text(9, &["Ada."]));
    service.backend.answer(Script::text(9, &["I do not know."]));
    let second = service.run(BOT, &[], "What is my name?\n/plan And now?\n/forget\nWho am I?\n").await;
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert!(second.stdout.contains("(messages so far: 2)") && second.stdout.contains("6 messages"), "{second:?}");
    let calls = service.backend.calls();
    assert!(said(&calls[1]).contains("user: My name is Ada.\nassistant: Hello, Ada.\nuser: What is my name?\n"));
    assert!(!said(&calls[2]).contains("Ada"), "{}", said(&calls[2]));

    let third = service.run(BOT, &[], "").await;
    assert!(third.stdout.contains("(messages so far: 2)"), "{third:?}");
}

#[tokio::test]
async fn what_no_longer_fits_comes_back_when_it_is_asked_for() {
    let service = Service::start().await;
    let long = |word: &str| format!("{}\n", format!("{word} ").repeat(2_400));
    let mut words = "My order number is 8123.\n".to_owned();
    service.backend.answer(Script::text(9, &["Noted."]));
    for word in ["apple", "river", "stone", "cloud"] {
        service.backend.answer(Script::text(9, &["Nice."]));
        words += &long(word);
    }
    assert_eq!(service.run(BOT, &["talk.db"], &words).await.code, Some(0));

    service.backend.answer(Script::text(9, &["8123."]));
    let ran = service.run(BOT, &["talk.db"], "What is my order number?\n").await;
    assert!(ran.stdout.contains("8123."), "{ran:?}");
    let said = said(service.backend.calls().last().unwrap());
    assert!(!said.contains("\nuser: My order number is 8123.\n"), "its turn is left out");
    assert!(said.contains("My order number is 8123."), "and comes back");
}
