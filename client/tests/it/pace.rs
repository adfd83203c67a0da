//! Pacing, against a service that throttles as the cloud does; no time passes but in the clock of the test.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use qwenda::{
    Billed, Client, Kind, Limit, Pace,
    transport::{Body, Request, Response, Transport, TransportError},
};
use tokio::{task::JoinSet, time::Instant};

/// What the service allows.
#[derive(Debug, Clone, Copy, Default)]
struct Rules {
    per_second: Option<usize>,
    per_minute: Option<usize>,
    /// As its second's share, with a second's worth at once.
    tokens_per_minute: Option<f64>,
    at_once: Option<usize>,
    /// A second may have this many requests, or twice as many as any of the last five.
    growth: Option<usize>,
    /// How long is asked to be waited, where that is asked.
    asks: Option<Duration>,
}

const ANSWER: Duration = Duration::from_millis(800);
const REFUSAL: Duration = Duration::from_millis(30);
/// What each answer is said to have used.
const TOKENS: f64 = 500.0;

#[derive(Clone)]
struct Cloud {
    rules: Rules,
    began: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When requests were taken, in the last minute.
    taken: VecDeque<Duration>,
    /// When requests came, refused or not.
    came: VecDeque<Duration>,
    tokens_at: Duration,
    tokens: f64,
    inside: usize,
    answered: usize,
    refused: usize,
}

impl Cloud {
    fn new(rules: Rules) -> Self {
        Self { rules, began: Instant::now(), state: Arc::default() }
    }

    /// The name of the refusal, if it is one.
    fn judge(&self) -> Option<&'static str> {
        let mut state = self.state.lock().unwrap();
        let now = self.began.elapsed();
        let state = &mut *state;
        let recent = |queue: &VecDeque<Duration>, from: Duration, until: Duration| {
            queue.iter().filter(|then| **then >= from && **then < until).count()
        };
        let second = Duration::from_secs(1);
        let ago = |seconds: u64| now.saturating_sub(Duration::from_secs(seconds));
        let before = (1..=5).map(|n| recent(&state.came, ago(n + 1), ago(n))).max().unwrap_or(0);
        let this = recent(&state.came, now.saturating_sub(second), now);
        state.came.push_back(now);
        while state.came.front().is_some_and(|then| *then + 10 * second < now) {
            state.came.pop_front();
        }
        while state.taken.front().is_some_and(|then| *then + 60 * second < now) {
            state.taken.pop_front();
        }
        let refused = if self.rules.growth.is_some_and(|least| this > least.max(2 * before)) {
            Some("limit_burst_rate")
        } else if self.rules.per_second.is_some_and(|most| recent(&state.taken, ago(1), now) >= most)
            || self.rules.per_minute.is_some_and(|most| state.taken.len() >= most)
        {
            Some("limit_requests")
        } else if self.rules.at_once.is_some_and(|most| state.inside >= most) {
            Some("Throttling.Concurrency")
        } else {
            self.rules.tokens_per_minute.and_then(|most| {
                let share = most / 60.0;
                let passed = (now - state.tokens_at).as_secs_f64();
                (state.tokens, state.tokens_at) = ((state.tokens + share * passed).min(share), now);
                if state.tokens < 0.0 {
                    return Some("insufficient_quota");
                }
                state.tokens -= TOKENS;
                None
            })
        };
        match refused {
            Some(_) => state.refused += 1,
            None => {
                state.taken.push_back(now);
                state.inside += 1;
            }
        }
        refused
    }
}

impl Transport for Cloud {
    fn send(&self, _: Request) -> BoxFuture<'static, Result<Response, TransportError>> {
        let cloud = self.clone();
        async move {
            if let Some(code) = cloud.judge() {
                tokio::time::sleep(REFUSAL).await;
                let body = format!(r#"{{"error":{{"code":"{code}","message":"too much"}}}}"#);
                let asks = cloud.rules.asks.map(|asks| ("retry-after".to_owned(), asks.as_secs().to_string()));
                return Ok(Response::new(429, asks.into_iter().collect(), Body::whole(Bytes::from(body))));
            }
            tokio::time::sleep(ANSWER).await;
            let mut state = cloud.state.lock().unwrap();
            state.inside -= 1;
            state.answered += 1;
            let body = r#"{"id":"r","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},
                "finish_reason":"stop"}],"usage":{"prompt_tokens":400,"completion_tokens":100,"total_tokens":500}}"#;
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            Ok(Response::new(200, headers, Body::whole(Bytes::from(body))))
        }
        .boxed()
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    answered: usize,
    refused: usize,
    /// Calls that gave up.
    failed: usize,
}

const CALLERS: usize = 48;

/// Callers who ask again and again for so many seconds.
async fn crowd(rules: Rules, pace: Option<Pace>, seconds: u64) -> Seen {
    let cloud = Cloud::new(rules);
    let mut builder = Client::builder().base_url("http://cloud.invalid/v1").transport(cloud.clone());
    // Every call may go on as long as it likes: what is compared is the pace.
    builder = builder.retry_allowance(u32::MAX);
    if let Some(pace) = pace {
        builder = builder.pace(pace);
    }
    let client = builder.build().unwrap();
    let failed = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, failed) = (client.clone(), Arc::clone(&failed));
        callers.spawn(async move {
            loop {
                if client.chat("qwen-plus").user("hi").unstreamed().await.is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    drop(callers);
    let state = cloud.state.lock().unwrap();
    Seen { answered: state.answered, refused: state.refused, failed: failed.load(Ordering::Relaxed) }
}

#[tokio::test(start_paused = true)]
async fn a_pace_reaches_every_limit_with_few_refusals_and_is_never_worse_than_none() {
    let per_second = Rules { per_second: Some(10), ..Rules::default() };
    let asks = Some(Duration::from_secs(2));
    // The rules, and what the service could answer in three minutes.
    for (name, rules, best) in [
        ("no limit", Rules::default(), CALLERS * 180 * 10 / 8),
        ("10 a second", per_second, 1_800),
        ("1 a second", Rules { per_second: Some(1), ..per_second }, 180),
        ("600 a minute", Rules { per_minute: Some(600), ..Rules::default() }, 1_800),
        ("10 a second, asks for a wait", Rules { asks, ..per_second }, 1_800),
        ("growth and 20 a second", Rules { growth: Some(8), per_second: Some(20), ..Rules::default() }, 3_600),
        ("300,000 tokens a minute", Rules { tokens_per_minute: Some(300_000.0), ..Rules::default() }, 1_800),
        ("8 at once", Rules { at_once: Some(8), ..Rules::default() }, 1_800),
    ] {
        let without = crowd(rules, None, 180).await;
        let with = crowd(rules, Some(Pace::adaptive()), 180).await;
        let seen = format!("{name}: best {best}, without {without:?}, with {with:?}");
        println!("{seen}");
        assert!(100 * with.answered >= 84 * best, "the limit is not reached: {seen}");
        assert!(with.failed <= without.failed && with.failed <= 1, "calls give up: {seen}");
        assert!(10 * with.refused <= with.answered.max(without.refused), "there are too many refusals: {seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_that_are_told_are_never_passed() {
    let rules = Rules { per_second: Some(10), ..Rules::default() };
    let seen = crowd(rules, Some(Pace::adaptive().requests_per_min(570)), 120).await;
    assert!(seen.refused == 0 && seen.answered > 1_050, "{seen:?}");
    let rules = Rules { tokens_per_minute: Some(300_000.0), ..Rules::default() };
    let seen = crowd(rules, Some(Pace::adaptive().tokens_per_min(290_000)), 120).await;
    // What the first calls need is learned from them.
    assert!(seen.refused <= 5 && seen.answered > 950, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_little_never_waits_and_models_do_not_wait_for_each_other() {
    let cloud = Cloud::new(Rules::default());
    let pace = Pace::adaptive().requests_per_min(60);
    let builder = Client::builder().base_url("http://cloud.invalid/v1").transport(cloud);
    let client = builder.pace(pace).build().unwrap();
    let ask = |model: &'static str| {
        let client = client.clone();
        async move {
            let began = Instant::now();
            client.chat(model).user("hi").unstreamed().await.unwrap();
            began.elapsed()
        }
    };
    for _ in 0..5 {
        assert!(ask("one").await < ANSWER + Duration::from_millis(10));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // The second of two at once waits for its second; another model's does not, nor does a call without a model.
    let (first, second, other) = tokio::join!(ask("one"), ask("one"), ask("two"));
    assert!(first < ANSWER + Duration::from_millis(10) && other < ANSWER + Duration::from_millis(10));
    assert!(second > ANSWER + Duration::from_millis(900), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_pace_ends_with_the_time_of_the_call_and_is_free() {
    let client = Client::builder().base_url("http://cloud.invalid/v1").transport(Cloud::new(Rules::default()));
    let client = client.pace(Pace::adaptive().requests_per_min(1)).build().unwrap();
    client.chat("m").user("hi").unstreamed().await.unwrap();
    let late = client.chat("m").user("hi").total_timeout(Duration::from_secs(3)).await.unwrap_err();
    assert_eq!((late.kind(), late.billed()), (Kind::Timeout(Limit::Total), Billed::No));
}
