//! `kb`.

use qwenda_testkit::Script;

use crate::service::{Service, last};

const KB: &str = env!("CARGO_BIN_EXE_kb");
const WARRANTY: &str = "# Service\n\nCall us.\n\n## Warranty\n\nThe warranty of a kettle is two years.\n";

async fn service() -> Service {
    let service = Service::start().await;
    service.write("docs/shop/warranty.md", WARRANTY);
    service.write("docs/delivery.txt", "Parcels arrive on Tuesday.\n");
    service.write("docs/.hidden.md", "The warranty of a kettle is a secret.\n");
    service.write("docs/logo.svg", "<svg/>");
    service
}

#[tokio::test]
async fn a_question_is_answered_with_the_lines_it_is_answered_from() {
    let service = service().await;
    let ran = service.run(KB, &["index", "docs", "--offline"], "").await;
    assert_eq!(ran.stdout, "files: 2, new or changed: 2, passages: 3\n", "{ran:?}");

    service.backend.answer(Script::text(9, &["Two years", " [1]. Not [7]."]));
    let ran = service.run(KB, &["--offline", "ask", "How long is the warranty of a kettle?"], "").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, "Two years [1]. Not [7].\n\n[1] docs/shop/warranty.md:7-7\n");
    let asked = last(&service.backend.calls()[0]);
    assert!(asked.starts_with("[1] docs/shop/warranty.md, Warranty\nThe warranty of a kettle"), "{asked}");
    assert!(!asked.contains("secret") && asked.ends_with("Question: How long is the warranty of a kettle?"));

    service.backend.answer(Script::text(9, &["Two years."]));
    let ran = service.run(KB, &["--offline", "ask", "How long is the warranty of a kettle?"], "").await;
    assert!(ran.stdout.contains("do not rely"), "{ran:?}");
}

#[tokio::test]
async fn what_the_documents_do_not_have_is_said_and_not_made_up() {
    let service = service().await;
    service.run(KB, &["index", "docs", "--offline"], "").await;
    let ran = service.run(KB, &["--offline", "ask", "zebra"], "").await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "The documents have nothing on this.\n"));
    assert!(service.backend.calls().is_empty(), "nobody is asked");

    service.backend.answer(Script::text(9, &["NOTHING"]));
    let ran = service.run(KB, &["--offline", "ask", "Has the kettle a warranty abroad?"], "").await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "The documents have nothing on this.\n"));
}

#[tokio::test]
async fn only_what_has_changed_is_read_again() {
    let service = service().await;
    let index = async || {
        let mut command = service.command(KB, &["index", "docs"]);
        let child = command.env("QWENDA_EMBEDDER", crate::service::MODEL).spawn().unwrap();
        crate::service::finish(child, "").await
    };
    assert!(index().await.stdout.contains("new or changed: 2"));
    let embeds = service.backend.embeds().len();
    assert!(index().await.stdout.contains("new or changed: 0"));
    assert_eq!(service.backend.embeds().len(), embeds);

    service.write("docs/delivery.txt", "Parcels arrive on Friday.\n");
    std::fs::remove_dir_all(service.folder.path().join("docs/shop")).unwrap();
    assert!(index().await.stdout.contains("files: 1, new or changed: 1, passages: 1"));

    service.backend.answer(Script::text(9, &["On Friday [1]."]));
    let mut command = service.command(KB, &["ask", "When do parcels arrive?"]);
    let child = command.env("QWENDA_EMBEDDER", crate::service::MODEL).spawn().unwrap();
    let ran = crate::service::finish(child, "").await;
    assert_eq!(ran.stdout, "On Friday [1].\n\n[1] docs/delivery.txt:1-1\n", "{ran:?}");
    let asked = last(service.backend.calls().last().unwrap());
    assert!(!asked.contains("Tuesday") && !asked.contains("warranty"), "{asked}");
}
