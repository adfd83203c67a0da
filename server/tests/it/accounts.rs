//! Requests that somebody pays for.

use qwenda_backend::{BackendError, ChatEvent, Counts, Timings};
use qwenda_ledger::{
    account::Kind,
    money::{Currency, Nanos},
    terms::Terms,
};
use qwenda_server::{
    accounts::{AccountRow, Accounts, Changes, PaidRequest, Tokens, Wanted},
    keys::{self, NewKey},
};
use qwenda_testkit::{Act, Gate, Script, Scripted};
use qwenda_types::chat::FinishReason;
use serde_json::{Value, json};

use crate::service::{CHAT, Reply, Service, request};

/// A service whose key belongs to an account, with its books.
pub(crate) struct Shop {
    pub(crate) service: Service,
    accounts: Accounts,
    account: AccountRow,
}

impl Shop {
    /// With so much money, in CNY.
    async fn with(balance: &str, terms: Terms) -> Self {
        Self::serving(Scripted::new(&["qwen-plus", "qwen-scripted"]), balance, terms).await
    }

    async fn serving(backend: Scripted, balance: &str, terms: Terms) -> Self {
        Self::of(Service::serving(backend, |_| {}).await, balance, terms).await
    }

    /// Of a service that runs already.
    pub(crate) async fn of(mut service: Service, balance: &str, terms: Terms) -> Self {
        let accounts = Accounts::open(service.dir.path()).await.unwrap();
        let account = accounts.create("shop", Currency::Cny, Nanos::ZERO).await.unwrap();
        let new = NewKey { name: "till".to_owned(), account: Some("shop".to_owned()), project: None, terms };
        let (key, _) = keys::create_with(service.dir.path(), new).await.unwrap();
        service.key = key.reveal().to_owned();
        let shop = Self { service, accounts, account };
        if balance != "0" {
            shop.accounts.top_up(&shop.account, nanos(balance), None, "").await.unwrap();
        }
        shop
    }

    async fn chat(&self, fields: Value) -> Reply {
        let mut body = request(json!({"model": "qwen-plus", "max_tokens": 100}));
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.service.post(CHAT, body.to_string()).await
    }

    /// What is posted and what is pending of the balance, once nothing is pending any more.
    pub(crate) async fn balance(&self) -> Nanos {
        for _ in 0..6_000 {
            let buckets = self.accounts.buckets(&self.account).await.unwrap();
            let balance = buckets.iter().find(|bucket| bucket.kind == Kind::Balance).unwrap();
            if buckets.iter().all(|bucket| bucket.pending == 0) {
                return Nanos::new(balance.posted);
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("a hold was never settled");
    }

    /// Whether anything is pending.
    pub(crate) async fn is_held(&self) -> bool {
        self.accounts.buckets(&self.account).await.unwrap().iter().any(|bucket| bucket.pending != 0)
    }

    pub(crate) async fn requests(&self) -> Vec<PaidRequest> {
        let wanted = Wanted { until: i64::MAX, limit: 1_000, ..Wanted::default() };
        self.accounts.requests(&wanted).await.unwrap()
    }

    pub(crate) async fn is_in_order(&self) {
        let (audit, wrong) = self.accounts.audit().await.unwrap();
        assert_eq!((audit.difference, wrong), (None, None));
    }
}

fn nanos(text: &str) -> Nanos {
    text.parse().unwrap()
}

fn text(tokens: u32) -> Act {
    Act::Event(ChatEvent::Text { choice: 0, text: "x".to_owned(), completion_tokens: tokens, logprobs: Vec::new() })
}

fn started() -> Act {
    Act::Event(ChatEvent::Started { prompt_tokens: 1_000, cached_tokens: 0 })
}

fn ended(completion_tokens: u32) -> [Act; 2] {
    let usage = Counts { prompt_tokens: 1_000, completion_tokens, ..Counts::default() };
    [
        Act::Event(ChatEvent::Finished { choice: 0, reason: FinishReason::Stop }),
        Act::Event(ChatEvent::Done { usage, timings: Timings::default() }),
    ]
}

#[tokio::test]
async fn an_answer_is_paid_once_to_the_nano_streamed_or_not() {
    let shop = Shop::with("1", Terms::default()).await;
    for stream in [false, true] {
        shop.service.backend.answer(Script::text(3, &["Hel", "lo"]));
        let reply = shop.chat(json!({"stream": stream})).await;
        assert_eq!(reply.status, 200, "{}", reply.shown());
    }
    // 3 tokens at 0.8 and 2 at 2 CNY a million.
    assert_eq!(shop.balance().await, nanos("0.9999872"));
    let requests = shop.requests().await;
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.charge == nanos("0.0000064") && request.line.status == "finished"));
    shop.is_in_order().await;
}

#[tokio::test]
async fn without_money_nothing_is_worked_on() {
    let shop = Shop::with("0", Terms::default()).await;
    let reply = shop.chat(json!({})).await;
    assert_eq!(reply.status, 400, "{}", reply.shown());
    assert_eq!(reply.json()["error"]["code"], "Arrearage");
    assert!(shop.service.backend.calls().is_empty());

    // A model without a price costs nothing.
    shop.service.backend.answer(Script::text(3, &["Hi"]));
    assert_eq!(shop.chat(json!({"model": "qwen-scripted"})).await.status, 200);
    assert_eq!(shop.balance().await, Nanos::ZERO);
    shop.is_in_order().await;
}

#[tokio::test]
async fn who_hangs_up_pays_for_what_was_made_and_no_more() {
    let shop = Shop::with("1", Terms::default()).await;
    let gate = Gate::new();
    let acts = [started(), text(10), Act::Wait(gate.clone()), text(50)].into_iter().chain(ended(50));
    let played = shop.service.backend.answer(Script::new(acts));
    let body = request(json!({"model": "qwen-plus", "stream": true})).to_string();
    let mut connection = shop.service.connect().await;
    connection.write(shop.service.head("POST", CHAT, Some(body.len())).as_bytes()).await;
    connection.write(body.as_bytes()).await;
    gate.reached().await;
    drop(connection);
    played.over().await;
    // 1,000 tokens at 0.8 and 10 at 2 CNY a million.
    assert_eq!(shop.balance().await, nanos("0.99918"));
    assert_eq!(shop.requests().await[0].line.status, "left");
    shop.is_in_order().await;
}

#[tokio::test]
async fn what_fails_costs_nothing_and_holds_nothing() {
    let shop = Shop::with("1", Terms::default()).await;
    shop.service.backend.answer(Script::refuse(BackendError::Busy { retry_after_ms: 1 }));
    assert_eq!(shop.chat(json!({})).await.status, 429);
    shop.service.backend.answer(Script::new([started(), text(10), Act::Fail(BackendError::Internal("no".into()))]));
    assert_eq!(shop.chat(json!({})).await.status, 500);
    assert_eq!(shop.balance().await, nanos("1"));
    shop.is_in_order().await;
}

#[tokio::test]
async fn a_long_answer_holds_more_in_steps_and_ends_with_an_error_when_money_does() {
    // Enough for the prompt's bound and 1,024 tokens, but not for 2,048.
    let shop = Shop::with("0.0033", Terms::default()).await;
    let acts = [started(), text(1_000), text(1_024), text(2_000)].into_iter().chain(ended(2_000));
    shop.service.backend.answer(Script::new(acts));
    let reply = shop.chat(json!({"stream": true, "max_tokens": 4_000})).await;
    let shown = reply.shown();
    assert!(shown.contains("Arrearage") && !shown.contains("[DONE]"), "{shown}");
    // 1,000 tokens at 0.8 and 1,024 at 2 CNY a million.
    assert_eq!(shop.balance().await, nanos("0.000452"));
    shop.is_in_order().await;

    let shop = Shop::with("1", Terms::default()).await;
    let acts = [started(), text(1_024), text(3_000)].into_iter().chain(ended(3_000));
    shop.service.backend.answer(Script::new(acts));
    assert_eq!(shop.chat(json!({"max_tokens": 4_000})).await.status, 200);
    assert_eq!(shop.balance().await, nanos("0.9932"));
    shop.is_in_order().await;
}

#[tokio::test]
async fn free_quota_pays_first_and_may_be_all_that_pays() {
    let shop = Shop::with("1", Terms::default()).await;
    let quota = Tokens { free: true, tokens: 1_010, models: "qwen-plus", expires_at: None };
    assert!(shop.accounts.grant(&shop.account, quota.clone(), Some("welcome"), "").await.unwrap());
    assert!(!shop.accounts.grant(&shop.account, quota, Some("welcome"), "").await.unwrap(), "given twice");
    let shop_stops = Changes { quota_stops: Some(true), ..Changes::default() };
    shop.accounts.change(shop.account.clone(), shop_stops).await.unwrap();
    let script = || Script::new([started(), text(10)].into_iter().chain(ended(10)));
    shop.service.backend.answer(script());
    // As long as the 1,000 tokens that the backend says.
    let long = json!({"messages": [{"role": "user", "content": "x ".repeat(1_000)}]});
    assert_eq!(shop.chat(long).await.status, 200);
    assert_eq!(shop.balance().await, nanos("1"));
    let reply = shop.chat(json!({})).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (403, Some("AllocationQuota.FreeTierOnly")));
    shop.is_in_order().await;
}

#[tokio::test]
async fn a_key_is_held_to_its_terms() {
    let terms = |text: &str| serde_json::from_str::<Terms>(text).unwrap();
    for (text, status, code) in [
        (r#"{"models":["qwen3-*"]}"#, 403, "Model.AccessDenied"),
        (r#"{"networks":["10.0.0.0/8"]}"#, 403, "access_denied"),
        (r#"{"expires_at":1}"#, 401, "invalid_api_key"),
        (r#"{"role":"viewer"}"#, 403, "access_denied"),
        (r#"{"budget_day":"0.00001"}"#, 429, "insufficient_quota"),
        (r#"{"requests_per_minute":0}"#, 429, "limit_requests"),
        (r#"{"tokens_per_minute":100}"#, 400, "invalid_parameter_error"),
    ] {
        let shop = Shop::with("1", terms(text)).await;
        let reply = shop.chat(json!({})).await;
        assert_eq!(reply.status, status, "{text}: {}", reply.shown());
        assert_eq!(reply.json()["error"]["code"], code, "{text}");
        assert_eq!(shop.balance().await, nanos("1"));
        assert!(shop.service.backend.calls().is_empty(), "{text}");
    }
    let shop = Shop::with("1", terms(r#"{"requests_per_minute":2}"#)).await;
    for status in [200, 200, 429] {
        shop.service.backend.answer(Script::text(3, &["Hi"]));
        let reply = shop.chat(json!({})).await;
        assert_eq!(reply.status, status, "{}", reply.shown());
        assert_eq!(reply.headers.contains_key("retry-after"), status == 429);
        assert_eq!(reply.headers["x-ratelimit-limit-requests"], "2");
    }
}

#[tokio::test]
async fn a_most_ends_the_answer_before_it_costs_more_or_refuses_it() {
    let shop = Shop::with("1", Terms::default()).await;
    let ask = async |max_cost: &str| {
        let body = request(json!({"model": "qwen-plus"})).to_string();
        let head = shop.service.head("POST", CHAT, Some(body.len()));
        let head = head.strip_suffix("\r\n").unwrap().to_owned() + &format!("x-qwenda-max-cost: {max_cost}\r\n\r\n");
        shop.service.send(&head, body.as_bytes()).await
    };
    shop.service.backend.answer(Script::text(3, &["Hi"]));
    assert_eq!(ask("0.001").await.status, 200);
    // What 0.001 CNY buys behind at most so many tokens of input, at 2 CNY a million.
    let most = shop.service.backend.calls()[0].request.max_tokens.unwrap();
    assert!((100..500).contains(&most), "{most}");
    for (max_cost, keyword) in [("0.0000001", "max_cost"), ("much", "x-qwenda-max-cost"), ("-1", "x-qwenda-max-cost")] {
        let reply = ask(max_cost).await;
        assert_eq!(reply.status, 400, "{}", reply.shown());
        assert!(reply.shown().contains(keyword), "{}", reply.shown());
    }
    assert_eq!(shop.service.backend.calls().len(), 1);
    shop.balance().await;
    shop.is_in_order().await;
}

#[tokio::test]
async fn many_texts_are_held_for_each_by_itself() {
    let backend = Scripted::new(&["text-embedding-v4", "qwen3-rerank", "qwen-plus"]);
    let shop = Shop::serving(backend, "0.005", Terms::default()).await;
    // Ten thousand tokens at 0.5 CNY a million are as much; of one text the model reads 4,096 at most.
    let texts: Vec<String> = (0..10).map(|_| "x ".repeat(1_000)).collect();
    for (path, body) in [
        ("/v1/embeddings", json!({"model": "text-embedding-v4", "input": texts})),
        ("/v1/rerank", json!({"model": "qwen3-rerank", "query": "x ".repeat(1_000), "documents": vec!["y"; 10]})),
    ] {
        let reply = shop.service.post(path, body.to_string()).await;
        assert_eq!(reply.json()["error"]["code"], "Arrearage", "{path}: {}", reply.shown());
    }
    assert!(shop.service.backend.embeds().is_empty() && shop.service.backend.reranks().is_empty());
    assert_eq!(shop.balance().await, nanos("0.005"));
}
