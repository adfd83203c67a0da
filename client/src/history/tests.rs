//! What holds of every history; each runs it.

use std::fs;

use qwenda_types::chat::{Role, ToolCall};
use serde_json::json;

use super::*;

/// Messages of every kind, so that none loses anything.
fn messages(turn: usize) -> Vec<Message> {
    let mut call = Message::assistant("");
    call.tool_calls = vec![ToolCall::new(0, format!("c{turn}"), "f", "{\"city\": \"杭州\"}")];
    call.reasoning_content = Some("why".to_owned());
    let mut result = Message::text(Role::Tool, "line\nline");
    result.tool_call_id = Some(format!("c{turn}"));
    let mut user = Message::user(format!("question {turn} “é”"));
    user.rest.insert("name".to_owned(), json!("Ada"));
    vec![user, call, result, Message::assistant("answer")]
}

fn notes(turn: usize) -> Map<String, Value> {
    Map::from_iter([("summary".to_owned(), json!(format!("{turn} turns")))])
}

async fn check(history: &dyn History) {
    assert_eq!(history.load("new").await.unwrap(), Kept::default());
    assert!(history.list().await.unwrap().is_empty());
    for turn in 0..3 {
        for id in ["one", "../Two of them/第二"] {
            history.append(id, turn * 4, messages(turn), notes(turn)).await.unwrap();
        }
    }
    let all = history.list().await.unwrap();
    let all: Vec<(&str, u64)> = all.iter().map(|info| (info.id.as_str(), info.messages)).collect();
    assert_eq!(all, [("../Two of them/第二", 12), ("one", 12)]);
    let kept = history.load("../Two of them/第二").await.unwrap();
    assert_eq!(kept.messages, (0..3).flat_map(messages).collect::<Vec<_>>());
    assert_eq!(kept.notes, notes(2));

    for after in [0, 11, 13] {
        let error = history.append("one", after, messages(9), notes(9)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{after}");
    }
    history.append("one", 12, Vec::new(), notes(5)).await.unwrap();
    let kept = history.load("one").await.unwrap();
    assert_eq!((kept.messages.len(), kept.notes), (12, notes(5)));

    for wrong in ["", &"x".repeat(ID_BYTES_MAX + 1)] {
        assert_eq!(history.load(wrong).await.unwrap_err().kind(), Kind::Invalid);
        assert_eq!(history.append(wrong, 0, Vec::new(), notes(0)).await.unwrap_err().kind(), Kind::Invalid);
    }
    assert!(history.delete("one").await.unwrap());
    assert!(!history.delete("one").await.unwrap());
    assert_eq!(history.load("one").await.unwrap(), Kept::default());
    assert_eq!(history.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_holds_of_every_history_holds_in_memory() {
    check(&RamHistory::new()).await;
}

#[tokio::test]
async fn what_holds_of_every_history_holds_in_files() {
    let folder = tempfile::tempdir().unwrap();
    check(&FileHistory::open(folder.path().join("chats")).unwrap()).await;
}

#[tokio::test]
async fn a_line_that_was_cut_anywhere_was_never_begun() {
    let folder = tempfile::tempdir().unwrap();
    let history = FileHistory::open(folder.path()).unwrap();
    let path = folder.path().join("c.jsonl");
    history.append("c", 0, messages(0), notes(0)).await.unwrap();
    let first = fs::read(&path).unwrap().len();
    history.append("c", 4, messages(1), notes(1)).await.unwrap();
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let turns = usize::from(cut >= first);
        let kept = history.load("c").await.unwrap();
        assert_eq!(kept.messages.len(), turns * 4, "cut at {cut}");
        assert_eq!(history.list().await.unwrap().len(), turns);
        history.append("c", turns * 4, messages(turns), notes(turns)).await.unwrap();
        let kept = history.load("c").await.unwrap();
        assert_eq!(kept.messages, (0..=turns).flat_map(messages).collect::<Vec<_>>(), "cut at {cut}");
        assert_eq!(kept.notes, notes(turns));
    }
}

#[tokio::test]
async fn a_line_that_is_wrong_in_the_middle_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let history = FileHistory::open(folder.path()).unwrap();
    history.append("c", 0, messages(0), notes(0)).await.unwrap();
    let path = folder.path().join("c.jsonl");
    let line = fs::read_to_string(&path).unwrap();
    for (text, says) in [(format!("{{}}\n{line}"), "line 1"), (format!("{line}{line}"), "line 2: it follows 4")] {
        fs::write(&path, text).unwrap();
        let error = history.load("c").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Storage);
        assert!(error.message().contains(says), "{error}");
    }
}

/// Of several who go on with one conversation at once, each turn is one's.
async fn check_together(open: impl Fn() -> Box<dyn History>) {
    let tasks: Vec<_> = (0..4_usize)
        .map(|writer| {
            let history = open();
            tokio::spawn(async move {
                let mut mine = 0;
                while mine < 10 {
                    let after = history.load("shared").await.unwrap().messages.len();
                    let message = Message::user(format!("{writer}:{mine}"));
                    match history.append("shared", after, vec![message], Map::new()).await {
                        Ok(()) => mine += 1,
                        Err(error) => assert_eq!(error.kind(), Kind::Conflict, "{error}"),
                    }
                    let own = format!("own-{writer}");
                    let after = history.load(&own).await.unwrap().messages.len();
                    history.append(&own, after, vec![Message::user("x")], Map::new()).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let kept = open().load("shared").await.unwrap();
    let mut said: Vec<String> = kept.messages.iter().map(|message| message.plain_text().into_owned()).collect();
    for writer in 0..4 {
        let of_one: Vec<&String> = said.iter().filter(|text| text.starts_with(&format!("{writer}:"))).collect();
        let want: Vec<String> = (0..10).map(|number| format!("{writer}:{number}")).collect();
        assert_eq!(of_one, want.iter().collect::<Vec<_>>(), "in the order in which it was said");
    }
    said.sort();
    said.dedup();
    assert_eq!(said.len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_between_several_who_use_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    check_together(|| Box::new(FileHistory::open(folder.path()).unwrap())).await;
}

#[cfg(feature = "memory")]
mod sqlite {
    use super::*;

    #[tokio::test]
    async fn what_holds_of_every_history_holds_in_an_sqlite_file() {
        let folder = tempfile::tempdir().unwrap();
        check(&SqliteHistory::open(folder.path().join("chats.db")).unwrap()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nothing_is_lost_between_several_who_use_an_sqlite_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chats.db");
        check_together(|| Box::new(SqliteHistory::open(&path).unwrap())).await;
    }

    #[tokio::test]
    async fn vectors_and_histories_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.db");
        let history = SqliteHistory::open(&path).unwrap();
        let vectors = crate::memory::SqliteVectors::open(&path).unwrap();
        history.append("c", 0, messages(0), notes(0)).await.unwrap();
        assert_eq!(crate::memory::VectorStore::count(&vectors, "s", None).await.unwrap(), 0);
        assert_eq!(history.load("c").await.unwrap().messages.len(), 4);
    }
}
