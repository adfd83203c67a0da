//! Bytes come in pieces that nobody chooses. A stream means the same wherever it is cut, and however its
//! lines end.

use qwenda_testkit::rng::Rng;
use qwenda_types::{Dialect, sse::Event};

use crate::{
    cases,
    reader::{Item, events, items},
};

/// A stream up to this long is cut at every pair of places too.
const PAIRS_BYTES_MAX: usize = 420;
/// How often a longer stream is cut at many places.
const ROUNDS: u64 = 300;

/// A way to send a stream, with its name.
type Way = (&'static str, fn(&str) -> String);

/// Ways to send the same stream, which has LF at the end of its lines and a blank line at its own.
const WAYS: [Way; 9] = [
    ("as it is", str::to_owned),
    ("with CRLF", |text| text.replace('\n', "\r\n")),
    ("with CR", |text| text.replace('\n', "\r")),
    ("with each blank line as CR LF, the others as LF", |text| text.replace("\n\n", "\n\r\n")),
    ("with a byte-order mark", |text| format!("\u{feff}{text}")),
    ("with a byte-order mark and CRLF", |text| format!("\u{feff}{}", text.replace('\n', "\r\n"))),
    ("with comments, retry lines and empty events between", |text| {
        text.replace("\n\n", "\n: a comment: with a colon\nretry: 5\nunknown\n\n:\n\n\n")
    }),
    ("without the blank line at the end", |text| text.trim_end().to_owned()),
    ("with CRLF, without the blank line at the end", |text| text.trim_end().replace('\n', "\r\n")),
];

#[test]
fn every_stream_of_the_corpus_reads_the_same_however_it_is_sent_and_wherever_it_is_cut() {
    let mut streams = 0;
    for case in cases::all() {
        for answer in case.answers().filter(|answer| answer.is_stream()) {
            let stream = answer.stream();
            let want = events([stream.as_bytes()]);
            let said = items(&want, answer.dialect);
            assert!(!said.is_empty(), "{}: a stream says something", case.name);
            for (way, send) in WAYS {
                let name = format!("{} {:?} {way}", case.name, answer.dialect);
                let sent = send(&stream);
                assert_eq!(events([sent.as_bytes()]), want, "{name}");
                cut(&name, sent.as_bytes(), &want);
                assert_eq!(items(&events(sent.as_bytes().chunks(1)), answer.dialect), said, "{name}");
            }
            streams += 1;
        }
    }
    assert!(streams >= 30, "{streams} streams are few");
}

/// The bytes mean `want`, cut in two everywhere, into single bytes, in many places; in three everywhere
/// where there are few.
fn cut(name: &str, bytes: &[u8], want: &[Event]) {
    for at in 0..=bytes.len() {
        assert_eq!(events([&bytes[..at], &bytes[at..]]), want, "{name}, cut at {at}");
    }
    assert_eq!(events(bytes.chunks(1)), want, "{name}, byte by byte");
    if bytes.len() <= PAIRS_BYTES_MAX {
        for a in 0..=bytes.len() {
            for b in a..=bytes.len() {
                assert_eq!(events([&bytes[..a], &bytes[a..b], &bytes[b..]]), want, "{name}, cut at {a} and {b}");
            }
        }
    }
    for round in 0..ROUNDS {
        let mut rng = Rng::round(1, round);
        let most = 1 + rng.below(40);
        let (mut pieces, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(rng.below(most + 1)));
            pieces.push(piece);
            rest = more;
        }
        assert_eq!(events(pieces), want, "{name}, round {round}");
    }
}

/// Short streams, for every pair of cuts: what each says.
#[test]
fn short_streams_read_the_same_wherever_they_are_cut_twice() {
    let text = |content: &str| format!(r#"{{"choices":[{{"delta":{{"content":"{content}"}}}}]}}"#);
    let frame = |text: &str| format!(r#"{{"output":{{"text":"{text}"}}}}"#);
    for (dialect, stream, said) in [
        (Dialect::Compat, format!("data: {}\n\ndata: {}\n\ndata: [DONE]\n\n", text("你"), text("🙂")), "你🙂."),
        (Dialect::Compat, format!("data:{}\n\ndata:[DONE]\n\ndata: never read\n\n", text("a")), "a."),
        (Dialect::Compat, format!("data: {}\ndata: \ndata\n\n", text("a").replace(':', ":\ndata:")), "a"),
        (Dialect::Compat, format!("data: {}\n\ndata: {{\"error\":{{\"message\":\"m\"}}}}\n\n", text("a")), "a!500 m"),
        (Dialect::Compat, "event: error\ndata: {\"code\":\"Arrearage\",\"message\":\"m\"}\n\n".to_owned(), "!400 m"),
        (Dialect::Compat, format!("id: 1\ndata: {}\nid: 2\n\nid: 3\n\n", text("\\u4f60\\r\\n")), "你\r\n"),
        (
            Dialect::Native,
            format!("id:1\nevent:result\n:HTTP_STATUS/200\ndata:{}\n\nid:2\ndata:{}\n\n", frame("你"), frame("好")),
            "你好",
        ),
        (
            Dialect::Native,
            format!("data:{}\n\nevent:error\n:HTTP_STATUS/429\ndata:{{\"code\":\"Throttling\"}}\n\n", frame("a")),
            "a!429 Requests throttling triggered.",
        ),
        (Dialect::Native, "status: 503\ndata: {\"code\": \"X\", \"message\": \"m\"}\n\n".to_owned(), "!503 m"),
    ] {
        assert!(stream.len() < PAIRS_BYTES_MAX, "{stream:?} is too long for pairs");
        let want = events([stream.as_bytes()]);
        let found: String = items(&want, dialect).iter().map(shown).collect();
        assert_eq!(found, said, "{stream:?}");
        for (way, send) in WAYS {
            let sent = send(&stream);
            let name = format!("{stream:?} {way}");
            assert_eq!(items(&events([sent.as_bytes()]), dialect), items(&want, dialect), "{name}");
            cut(&name, sent.as_bytes(), &want);
        }
    }
}

fn shown(item: &Item) -> String {
    match item {
        Item::Chunk(chunk) => chunk.choices.iter().filter_map(|choice| choice.delta.content.as_deref()).collect(),
        Item::Frame(frame) => frame.output.text.clone().unwrap_or_default(),
        Item::Error(error) => format!("!{} {}", error.status(), error.message()),
        Item::Done => ".".to_owned(),
    }
}
