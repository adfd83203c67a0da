//! Pulls over HTTP.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
};

use super::*;

/// How the server answers one connection.
#[derive(Clone)]
enum Answer {
    /// As a good server does.
    Good,
    /// The whole file, whatever was asked.
    Whole,
    /// As a good one, but the connection ends after so many bytes of the body.
    Cut(usize),
    /// As a good one, but nothing follows after so many bytes of the body until the caller leaves.
    Stall(usize),
    /// Other bytes of the same length.
    Spoilt,
    /// Another length.
    Short,
    Status(&'static str),
    Redirect(String),
}

/// A server that gives its answers in turn, the last one for ever.
struct Server {
    url: String,
    /// The `range` header of each request, or an empty string.
    ranges: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(content: &[u8], answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/toy.gguf", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let (content, asked) = (content.to_owned(), ranges.clone());
        thread::spawn(move || {
            for (turn, stream) in listener.incoming().enumerate() {
                let answer = &answers[turn.min(answers.len() - 1)];
                let _ = serve(stream.unwrap(), answer, &content, &asked);
            }
        });
        Self { url, ranges }
    }

    fn asked(&self) -> Vec<String> {
        self.ranges.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, content: &[u8], asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut range = String::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("range: ") {
            range = value.to_owned();
        }
        if line.is_empty() {
            break;
        }
    }
    asked.lock().unwrap().push(range.clone());
    let mut content = content.to_owned();
    match answer {
        Answer::Spoilt => content.fill(7),
        Answer::Short => drop(content.pop()),
        Answer::Status(status) => {
            return write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
        Answer::Redirect(to) => {
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
        }
        _ => {}
    }
    let total = content.len();
    let asked = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let (start, end) = match (answer, asked) {
        (Answer::Whole, _) | (_, None) => (0, total),
        (_, Some((start, end))) => (start.parse().unwrap(), end.parse::<usize>().unwrap() + 1),
    };
    let body = &content[start..end];
    match (start, end) {
        (0, end) if end == total => write!(stream, "HTTP/1.1 200 OK\r\n")?,
        _ => write!(stream, "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {start}-{}/{total}\r\n", end - 1)?,
    }
    write!(stream, "content-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    match *answer {
        Answer::Cut(bytes) => stream.write_all(&body[..bytes.min(body.len())]),
        Answer::Stall(bytes) => {
            stream.write_all(&body[..bytes])?;
            stream.read(&mut [0]).map(drop)
        }
        _ => stream.write_all(body),
    }
}

#[test]
fn a_file_is_fetched_whole() {
    let bench = Bench::of(9_000_000);
    let server = Server::start(&bench.content, vec![Answer::Good]);
    let entry = bench.entry(vec![url("a", &server.url)]);
    let mut seen = Vec::new();
    let pulled = pull(&entry, &bench.store(), &PullOptions::default(), &mut |progress| {
        assert_eq!(progress.bytes_total, 9_000_000);
        seen.push((progress.phase == Phase::Verifying, progress.bytes));
    });
    bench.is_done(pulled);
    assert!(seen.is_sorted(), "progress does not go back: {seen:?}");
    assert_eq!(seen.last(), Some(&(true, 9_000_000)));
    assert_eq!(server.asked(), [""], "one plain request");
    bench.is_done(bench.pull(&bench.entry(vec![]), &PullOptions::default()));
    assert_eq!(server.asked().len(), 1, "what is here is not fetched again");
}

#[test]
fn a_cut_connection_goes_on_where_it_broke() {
    let bench = Bench::of(9_000_000);
    for (answers, asked) in [
        (
            vec![Answer::Cut(5_000_000), Answer::Cut(1_000_000), Answer::Good],
            vec!["", "bytes=5000000-8999999", "bytes=6000000-8999999"],
        ),
        (vec![Answer::Cut(5_000_000), Answer::Whole], vec!["", "bytes=5000000-8999999"]),
    ] {
        let server = Server::start(&bench.content, answers);
        let _ = fs::remove_dir_all(bench.store().models_dir());
        bench.is_done(bench.pull(&bench.entry(vec![url("a", &server.url)]), &PullOptions::default()));
        assert_eq!(server.asked(), asked);
    }
}

#[test]
fn a_stopped_pull_is_gone_on_with_by_the_next_one() {
    let bench = Bench::of(9_000_000);
    let (options, cancel) = stoppable();
    let stalling = Server::start(&bench.content, vec![Answer::Stall(6_000_000)]);
    let stopped = pull(&bench.entry(vec![url("a", &stalling.url)]), &bench.store(), &options, &mut |progress| {
        if progress.bytes == 6_000_000 {
            cancel.store(true, Ordering::Relaxed);
        }
    });
    assert!(matches!(stopped, Err(PullError::Cancelled)), "{stopped:?}");
    bench.has_no_file();
    assert_eq!(bench.staged_bytes(), 6_000_000);

    let good = Server::start(&bench.content, vec![Answer::Good]);
    bench.is_done(bench.pull(&bench.entry(vec![url("b", &good.url)]), &PullOptions::default()));
    assert_eq!(good.asked(), ["bytes=6000000-8999999"]);
}

#[test]
fn each_source_is_tried_in_turn_and_the_reasons_are_kept() {
    let bench = Bench::of(1000);
    let absent = Server::start(&bench.content, vec![Answer::Status("404 Not Found")]);
    let spoilt = Server::start(&bench.content, vec![Answer::Spoilt]);
    let short = Server::start(&bench.content, vec![Answer::Short]);
    let good = Server::start(&bench.content, vec![Answer::Good]);
    let redirect = Server::start(&bench.content, vec![Answer::Redirect(good.url.clone())]);
    let circle = Server::start(&bench.content, vec![Answer::Redirect("/toy.gguf".into())]);
    let bad = || {
        vec![
            url("gone", &nobody()),
            url("absent", &absent.url),
            url("spoilt", &spoilt.url),
            url("short", &short.url),
            url("circle", &circle.url),
        ]
    };

    let error = bench.pull(&bench.entry(bad()), &PullOptions::default()).unwrap_err();
    bench.has_no_file();
    let PullError::WrongHash { source_name, want, got, tried, .. } = error else { panic!("{error}") };
    assert_eq!((&*source_name, &*want, &*got), ("spoilt", &*sha256(&bench.content), &*sha256(&[7; 1000])));
    let kinds: Vec<_> = tried
        .iter()
        .map(|one| {
            let kind = match &one.error {
                SourceError::Unreachable(_) => "unreachable",
                SourceError::NotFound(reason) => reason,
                SourceError::WrongHash { .. } => "hash",
                SourceError::WrongLength { want: 1000, got: 999 } => "length",
                _ => "failed",
            };
            (one.source.as_str(), kind)
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("gone", "unreachable"),
            ("absent", "404 Not Found"),
            ("spoilt", "hash"),
            ("short", "length"),
            ("circle", "failed")
        ]
    );

    let mut sources = bad();
    sources.push(url("good", &redirect.url));
    bench.is_done(bench.pull(&bench.entry(sources.clone()), &PullOptions::default()));

    let only = PullOptions { only: vec!["GONE".into()], ..PullOptions::default() };
    fs::remove_file(bench.store().models_dir().join("toy.gguf")).unwrap();
    let error = bench.pull(&bench.entry(sources), &only).unwrap_err();
    let PullError::NoNetwork { tried, .. } = error else { panic!("{error}") };
    assert_eq!(tried.len(), 1, "only the source that was asked for");
}

#[test]
fn bytes_spoilt_by_another_source_or_an_earlier_pull_do_not_blame_the_next() {
    let bench = Bench::of(5_000_000);
    // The first source sends wrong bytes and dies; the second fills the rest, sees the wrong hash, and
    // delivers everything itself.
    let mut other = bench.content.clone();
    other.fill(7);
    let dying = Server::start(&other, vec![Answer::Cut(4_500_000), Answer::Status("404 Not Found")]);
    let good = Server::start(&bench.content, vec![Answer::Good]);
    bench.is_done(
        bench.pull(&bench.entry(vec![url("dying", &dying.url), url("good", &good.url)]), &PullOptions::default()),
    );
    assert_eq!(good.asked(), ["bytes=4500000-4999999", ""]);
}

#[test]
fn a_server_that_is_ill_for_a_moment_is_asked_again() {
    let bench = Bench::of(1000);
    let server = Server::start(&bench.content, vec![Answer::Status("503 Service Unavailable"), Answer::Good]);
    bench.is_done(bench.pull(&bench.entry(vec![url("a", &server.url)]), &PullOptions::default()));
}

#[test]
fn two_pulls_at_once_fetch_once_and_both_have_the_file() {
    let bench = Bench::of(2_000_000);
    let server = Server::start(&bench.content, vec![Answer::Stall(1_000_000), Answer::Good]);
    let entry = bench.entry(vec![url("a", &server.url)]);
    let (begins, begun) = mpsc::channel();
    let (waits, waiting) = mpsc::channel();
    let (options, cancel) = stoppable();
    thread::scope(|scope| {
        // The first one stalls and holds the lock until the second one is seen to wait for it.
        let first = scope.spawn(|| {
            pull(&entry, &bench.store(), &options, &mut |progress| {
                if progress.bytes == 1_000_000 {
                    begins.send(()).unwrap();
                }
            })
        });
        begun.recv().unwrap();
        let second = scope.spawn(|| {
            let mut waited = false;
            let pulled = pull(&entry, &bench.store(), &PullOptions::default(), &mut |progress| {
                if progress.phase == Phase::Waiting && !waited {
                    waited = true;
                    waits.send(()).unwrap();
                }
            });
            assert!(waited);
            pulled
        });
        waiting.recv().unwrap();
        cancel.store(true, Ordering::Relaxed);
        assert!(matches!(first.join().unwrap(), Err(PullError::Cancelled)));
        bench.is_done(second.join().unwrap());
    });
    bench.is_done(bench.pull(&entry, &PullOptions::default()));
}
