//! Summaries, good and bad.

use super::*;

#[tokio::test]
async fn a_summary_that_is_empty_refused_or_cut_changes_nothing_and_ends_after_three() {
    let cut = json!({"choices": [{"delta": {"content": "half a"}, "finish_reason": "length"}]});
    let reasoned = json!({"choices": [{"delta": {"reasoning_content": "let me think"}, "finish_reason": "stop"}]});
    let filtered = json!({"choices": [{"delta": {"content": "no"}, "finish_reason": "content_filter"}]});
    let mock =
        Mock::new().reply("0").events([cut]).reply("1").events([reasoned]).reply("2").events([filtered]).reply("3");
    let mock = mock.reply("4");
    let mut talk = mock.client().chat("m").conversation(Policy::last_turns(1).summarise_with("small"));
    for turn in 0..5_usize {
        assert_eq!(talk.send("something").await.unwrap().text(), turn.to_string());
        assert_eq!((talk.summary(), talk.history().len()), (None, 2 * turn + 2));
    }
    let models: Vec<String> = mock.bodies().iter().map(|body| body["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!(models, ["m", "small", "m", "small", "m", "small", "m", "m"]);
    assert_eq!(contents(&mock.bodies()[7]), ["something"]);
}

#[tokio::test]
async fn however_often_it_is_made_anew_a_summary_has_its_bound() {
    let mut mock = Mock::new().reply("answer");
    for _ in 0..20 {
        mock = mock.reply("- a fact").reply("answer");
    }
    let mut talk = mock.client().chat("m").conversation(Policy::last_turns(1).summarise_with("small"));
    for _ in 0..21 {
        talk.send(&"x ".repeat(9_000)).await.unwrap();
    }
    let asked: Vec<_> = mock.bodies().into_iter().filter(|body| body["model"] == "small").collect();
    let sizes: Vec<usize> = asked.iter().map(|body| contents(body)[1].len()).collect();
    assert_eq!(asked.len(), 20);
    // A long message is told by its beginning and its end.
    assert!(sizes.iter().all(|size| *size < 9_000) && sizes[1] == sizes[19], "{sizes:?}");
    assert!(asked.iter().all(|body| body["max_tokens"] == 1024));
}

#[tokio::test]
async fn turns_left_out_are_summarised_once_and_a_bad_summary_is_none() {
    let cut = json!({"choices": [{"delta": {"content": "half a"}, "finish_reason": "length"}]});
    let mock = Mock::new().reply("1").events([cut]).reply("2").reply("- a was said").reply("3");
    let mut talk = mock.client().chat("m").system("rules").conversation(Policy::last_turns(1).summarise_with("small"));
    talk.send("a").await.unwrap();
    talk.send("b").await.unwrap();
    assert_eq!(talk.summary(), None);
    talk.send("c").await.unwrap();
    assert_eq!(talk.summary(), Some("- a was said"));
    let bodies = mock.bodies();
    assert_eq!((&bodies[1]["model"], &bodies[3]["model"]), (&json!("small"), &json!("small")));
    let last = bodies[4]["messages"].as_array().unwrap();
    let contents: Vec<&str> = last.iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(contents, ["rules", "Summary of the conversation before:\n- a was said", "c"]);
    let asked = bodies[3]["messages"][1]["content"].as_str().unwrap();
    assert_eq!(asked, "user: a\nassistant: 1\nuser: b\nassistant: 2\n");
    assert_eq!(talk.history().len(), 6);
}
