//! Bytes come in pieces that nobody chooses.

use std::{fs, path::Path};

use super::*;

/// A stream up to this long is cut at every pair of places too.
const PAIRS_BYTES_MAX: usize = 520;

/// Ways to send the same stream, which has LF at the end of its lines.
fn ways(text: &str) -> Vec<Vec<u8>> {
    let ends = [text.to_owned(), text.replace('\n', "\r\n"), text.replace('\n', "\r")];
    let marked = ends.iter().map(|text| format!("\u{feff}{text}"));
    let marked: Vec<String> = marked.collect();
    ends.into_iter().chain(marked).map(String::into_bytes).collect()
}

/// The stream means the same in all ways, cut at every place, and into single bytes.
fn check(name: &str, protocol: Protocol, text: &str) -> Said {
    let want = read(protocol, &[text.as_bytes()]);
    for (way, sent) in ways(text).into_iter().enumerate() {
        let bytes = sent.as_slice();
        for at in 0..=bytes.len() {
            assert_eq!(read(protocol, &[&bytes[..at], &bytes[at..]]), want, "{name}, way {way}, cut at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(protocol, &single), want, "{name}, way {way}, byte by byte");
    }
    want
}

fn check_pairs(name: &str, protocol: Protocol, text: &str) -> Said {
    assert!(text.len() <= PAIRS_BYTES_MAX, "{name} is too long for pairs: {}", text.len());
    let want = check(name, protocol, text);
    for (way, sent) in ways(text).into_iter().enumerate() {
        for a in 0..=sent.len() {
            for b in a..=sent.len() {
                let said = read(protocol, &[&sent[..a], &sent[a..b], &sent[b..]]);
                assert_eq!(said, want, "{name}, way {way}, cut at {a} and {b}");
            }
        }
    }
    want
}

#[test]
fn hand_made_streams_mean_the_same_wherever_they_are_cut_twice() {
    let delta = |delta: &str| format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
    let stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let done = "data: [DONE]\n\n";
    let text = |said: &Said| said.end.as_ref().map(|reply| reply.text().to_owned()).map_err(|(kind, _)| *kind);
    for (name, protocol, stream, want) in [
        ("text", Protocol::OpenAi, format!("{}{stop}{done}", delta(r#"{"content":"你🙂"}"#)), Ok("你🙂")),
        ("comment", Protocol::OpenAi, format!(": wait\n\n{}:\n\n{stop}{done}", delta(r#"{"content":"a"}"#)), Ok("a")),
        ("no mark", Protocol::OpenAi, format!("{}{stop}", delta(r#"{"content":"a"}"#)), Ok("a")),
        ("no reason", Protocol::OpenAi, format!("{}{done}", delta(r#"{"content":"a"}"#)), Err(Kind::Truncated)),
        ("cut", Protocol::OpenAi, delta(r#"{"content":"a"}"#), Err(Kind::Truncated)),
        ("empty", Protocol::OpenAi, done.to_owned(), Err(Kind::Truncated)),
        ("half an event", Protocol::OpenAi, format!("{stop}data: {{\"usa"), Ok("")),
        (
            "error",
            Protocol::OpenAi,
            format!("{}data: {{\"error\":{{\"code\":\"Arrearage\"}}}}\n\n", delta(r#"{"content":"a"}"#)),
            Err(Kind::Arrears),
        ),
        (
            "native",
            Protocol::DashScope,
            "id:1\nevent:result\n:HTTP_STATUS/200\ndata:{\"output\":{\"text\":\"好\",\"finish_reason\":\"stop\"}}\n\n"
                .to_owned(),
            Ok("好"),
        ),
        (
            "native error",
            Protocol::DashScope,
            "event:error\n:HTTP_STATUS/429\ndata:{\"code\":\"Throttling.BurstRate\",\"message\":\"m\"}\n\n".to_owned(),
            Err(Kind::Throttled(crate::Throttle::Burst)),
        ),
    ] {
        let said = check_pairs(name, protocol, &stream);
        assert_eq!(text(&said), want.map(str::to_owned), "{name}");
    }
}

#[test]
fn every_stream_of_the_corpus_means_the_same_wherever_it_is_cut() {
    let mut streams = 0;
    for (name, protocol, text) in corpus() {
        check(&name, protocol, &text);
        streams += 1;
    }
    assert!(streams >= 30, "{streams} streams are few");
}

/// The streams among the answers of the wire's corpus.
fn corpus() -> Vec<(String, Protocol, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../types/tests/corpus");
    let mut streams = Vec::new();
    for folder in fs::read_dir(root).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
            for section in text.split("\n=== ").skip(1) {
                let (title, body) = section.split_once('\n').unwrap_or((section, ""));
                let streamed = ["data:", "id:", ":", "event:"].iter().any(|begin| body.starts_with(begin));
                if title.starts_with("answer") && streamed {
                    let native = title.contains("native");
                    let protocol = if native { Protocol::DashScope } else { Protocol::OpenAi };
                    let body = format!("{}\n\n", body.trim_end_matches('\n'));
                    streams.push((format!("{} {title}", path.display()), protocol, body));
                }
            }
        }
    }
    streams
}

#[test]
fn an_event_of_eight_mebibytes_in_small_pieces_is_read_and_a_larger_one_refused() {
    let sent = |bytes: usize| {
        let text = "x".repeat(bytes);
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":\"stop\"}}]}}\n\n")
    };
    let reading = Reading {
        completes: false,
        protocol: Protocol::OpenAi,
        model: String::new(),
        key: None,
        event_bytes_max: 9 << 20,
        answer_bytes_max: 64 << 20,
    };
    let first = |text: String| {
        let pieces: Vec<_> = text.as_bytes().chunks(1024).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let response = Response::new(200, Vec::new(), Body::new(stream::iter(pieces)));
        let mut reader = Reader::new(reading.clone(), response).unwrap();
        reader.next(None).now_or_never().unwrap()
    };
    let Frame::Chunk(chunk) = first(sent(8 << 20)).unwrap() else { panic!("an event is a chunk") };
    assert_eq!(chunk.choices[0].delta.content.as_ref().unwrap().len(), 8 << 20);
    assert_eq!(first(sent(10 << 20)).unwrap_err().kind(), Kind::TooLarge);
}
