//! Whose money a request is: prices, limits, holds and posts of this process.
//!
//! A request of a key with an account is admitted here ([`Books::admit`]) and settled once, by the
//! [`Charged`] that it then has. A key without an account is only held to its rules and limits.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock},
};

use futures_util::future::BoxFuture;
use qwenda_ledger::{
    account::{Kind, Most, Part, Uncovered, settle},
    limit::{Limits, Scope, Taken},
    money::{Currency, Nanos},
    price::{Bounds, Mode, PriceBook, PriceEntry, PriceList, Terms as PriceTerms, Usage},
    terms::Terms,
};
use qwenda_store::{
    Error as StoreError, Store,
    contents::Content,
    ledger::{Budget, HoldAsk, Post, Refused, RequestLine},
};
use qwenda_types::error::{ApiError, Code};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    Clock,
    content::Kept,
    limits::{Held, Limiter},
    service::admit::{Ask, Caller},
    tasks::Tasks,
};

/// For how long a hold is there without being kept. A process that dies leaves holds no longer than this.
const HOLD_SECONDS: i64 = 60;
/// When who was refused because nothing can be written may come again.
const RETRY_MS: u64 = 5_000;
/// Beyond so many holds that could not be let go of, more are left to end with this process.
const UNWRITTEN_MAX: usize = 10_000;
const DAY_SECONDS: i64 = 86_400;
/// Tokens of output that a hold covers at first, and by which it grows.
const OUTPUT_STEP: u64 = 1024;

/// The books of one process.
pub(crate) struct Books {
    store: Store,
    /// Whose holds these are.
    instance: String,
    prices: RwLock<Arc<Prices>>,
    pub(crate) limits: Arc<Limiter>,
    /// What could not be written when its request ended.
    unwritten: Mutex<VecDeque<End>>,
    clock: Clock,
    tasks: Tasks,
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Books").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// How a hold ends.
#[derive(Debug)]
enum End {
    Post(Box<Post>),
    Void(String),
}

/// One book for each currency.
pub(crate) struct Prices([PriceBook; Currency::ALL.len()]);

impl Prices {
    /// The book in this currency.
    pub(crate) fn of(&self, currency: Currency) -> &PriceBook {
        self.0.iter().find(|book| book.currency() == currency).expect("there is one for each currency")
    }

    /// The price of this id.
    pub(crate) fn get(&self, id: &str) -> Option<&PriceEntry> {
        self.0.iter().find_map(|book| book.get(id))
    }
}

/// What is known of a request before it is worked on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    /// At most so many tokens are read.
    pub(crate) input_tokens: u64,
    /// At most so many tokens are written, of all choices together.
    pub(crate) output_tokens_max: u64,
    pub(crate) thinking: bool,
    pub(crate) mode: Mode,
}

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) usage: Usage,
    pub(crate) status: &'static str,
    pub(crate) first_token_ms: Option<i64>,
    pub(crate) took_ms: i64,
    pub(crate) content: Option<Kept>,
}

/// A request that was admitted. It is settled once; dropped unsettled, it is let go.
#[derive(Debug)]
pub(crate) struct Charged {
    books: Arc<Books>,
    caller: Caller,
    id: String,
    task: &'static str,
    model: String,
    at: i64,
    hold: Option<OpenHold>,
    /// The limits it is held to, and what it took of them.
    held: Vec<Held>,
    taken: Option<Taken>,
    /// What the caller's most allows, of all choices together.
    pub(crate) output_tokens_max: Option<u64>,
}

#[derive(Debug, Clone)]
struct OpenHold {
    parts: Vec<Part>,
    price: Option<Box<PriceEntry>>,
    money_allowed: bool,
    estimate: Estimate,
    /// Output that the hold pays for.
    covered_output: u64,
}

impl Books {
    pub(crate) async fn open(store: Store, clock: Clock, tasks: Tasks) -> Result<Self, StoreError> {
        let prices = load(&store).await?;
        Ok(Self {
            limits: Arc::new(Limiter::new(&store, clock.clone(), tasks.clone())),
            store,
            instance: uuid::Uuid::new_v4().to_string(),
            prices: RwLock::new(Arc::new(prices)),
            unwritten: Mutex::default(),
            clock,
            tasks,
        })
    }

    /// Keeps the holds of what still runs, lets go of those that nobody keeps, and reads new prices.
    pub(crate) async fn tick(&self) -> Result<(), StoreError> {
        self.end_unwritten().await;
        let now = self.now();
        // An idle server writes nothing.
        if self.store.has_open_holds().await? {
            self.store.keep(&self.instance, now + HOLD_SECONDS).await?;
            self.store.expire(now).await?;
        }
        self.limits.forget().await?;
        self.store.contents_expire(now).await?;
        let prices = load(&self.store).await?;
        *self.prices.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(prices);
        Ok(())
    }

    /// Ends a hold. Where the database does not take it, the hold stays open and is ended with a later tick.
    async fn end(&self, end: End) -> Result<(), StoreError> {
        let done = match &end {
            End::Post(post) => self.store.post(Post::clone(post)).await,
            End::Void(id) => self.store.void(id, self.now()).await,
        };
        // What the books do not take for what it is, they do not take later either.
        if done.as_ref().is_err_and(|error| !matches!(error, StoreError::Overflow | StoreError::Row { .. })) {
            let mut unwritten = self.unwritten();
            // Posts are no more than requests ran when the database went away; whoever is refused meanwhile adds a void.
            if matches!(end, End::Post(_)) || unwritten.len() < UNWRITTEN_MAX {
                unwritten.push_back(end);
            }
        }
        done.map(|_| ())
    }

    /// Ends what could not be ended before, up to the first that still cannot; it comes last the next time.
    async fn end_unwritten(&self) {
        let waiting = self.unwritten().len();
        for _ in 0..waiting {
            let Some(end) = self.unwritten().pop_front() else { return };
            if let Err(error) = self.end(end).await {
                tracing::error!(%error, waiting, "cannot end a hold yet");
                return;
            }
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, VecDeque<End>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.now_seconds()).unwrap_or(i64::MAX)
    }

    fn price(&self, currency: Currency, account: &str, names: [&str; 2], now: i64) -> Option<PriceEntry> {
        let prices = Arc::clone(&self.prices.read().unwrap_or_else(PoisonError::into_inner));
        let book = prices.of(currency);
        names.into_iter().find_map(|name| book.at(account, name, now)).cloned()
    }

    /// Admits a request: takes its limits, and holds what it may cost at first.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        ask: &Ask,
        (id, task): (&str, &'static str),
        names: [&str; 2],
        estimate: Estimate,
    ) -> Result<Charged, ApiError> {
        let (now, caller) = (self.now(), &ask.caller);
        let first_output = estimate.output_tokens_max.min(OUTPUT_STEP);
        let held = limits_of(caller, names[0]);
        let taken = match held.is_empty() {
            true => None,
            false => {
                let tokens = estimate.input_tokens.saturating_add(first_output);
                Some(self.limits.take(&held, tokens, |figures| ask.figures.tell(figures)).await?)
            }
        };
        let mut charged = Charged {
            books: Arc::clone(self),
            caller: caller.clone(),
            id: id.to_owned(),
            task,
            model: names[0].to_owned(),
            at: now,
            hold: None,
            held,
            taken,
            output_tokens_max: None,
        };
        let Some(account) = &caller.account else { return Ok(charged) };
        if account.suspended {
            return Err(ApiError::of(Code::Arrearage).log("the account is suspended"));
        }
        let price = self.price(account.currency, &account.id, names, now).map(Box::new);
        let mut estimate = estimate;
        if let (Some(max), Some(entry)) = (ask.max_cost, &price) {
            estimate.output_tokens_max = affordable(entry, estimate, max)?;
            charged.output_tokens_max = Some(estimate.output_tokens_max);
        }
        let first_output = first_output.min(estimate.output_tokens_max);
        let money = match &price {
            Some(entry) => most(entry, estimate, first_output)?,
            None => Nanos::ZERO,
        };
        let tokens = match estimate.mode {
            Mode::RealTime if price.is_some() => estimate.input_tokens.saturating_add(first_output),
            _ => 0,
        };
        let money_allowed = !account.quota_stops;
        let key_id = caller.key_id.clone().unwrap_or_default();
        let wanted = HoldAsk {
            id: charged.id.clone(),
            account_id: account.id.clone(),
            key_id,
            model: charged.model.clone(),
            price_id: price.as_ref().map(|entry| entry.id.clone()).unwrap_or_default(),
            most: Most { tokens, money, money_allowed: money_allowed || price.is_none() },
            budgets: budgets_of(caller, now),
            instance: self.instance.clone(),
            now,
            expires_at: now + HOLD_SECONDS,
        };
        // Who leaves while it is written lets go of it: it may be there before anybody hears of it.
        charged.hold =
            Some(OpenHold { parts: Vec::new(), price, money_allowed, estimate, covered_output: first_output });
        let refused = match self.store.hold(wanted).await {
            Ok(Ok(parts)) => {
                if let Some(hold) = &mut charged.hold {
                    hold.parts = parts;
                }
                return Ok(charged);
            }
            Ok(Err(refused)) => refusal(refused),
            Err(error @ (StoreError::Away(_) | StoreError::Closed)) => away(error),
            // It may be written all the same, and is let go of.
            Err(error) => return Err(away(error)),
        };
        charged.hold = None;
        Err(refused)
    }
}

impl Charged {
    /// Begins to keep what is asked, where the account wishes it.
    pub(crate) fn keep(&self, request: &impl Serialize) -> Option<Kept> {
        let account = self.caller.account.as_ref().filter(|account| account.content_days > 0)?;
        (!account.suspended).then(|| Kept::asked(request))
    }

    /// Whether the hold pays for so much output, of all choices together.
    pub(crate) fn covers(&self, output_tokens: u64) -> bool {
        self.hold.as_ref().is_none_or(|hold| {
            hold.covered_output >= hold.estimate.output_tokens_max || output_tokens < hold.covered_output
        })
    }

    /// Holds more, for another stretch of output. [`covered`](Self::covered) takes what comes of it.
    ///
    /// What it holds stays here meanwhile: who leaves before it is done pays for what was made.
    pub(crate) fn top_up(&self) -> BoxFuture<'static, Result<Covered, ApiError>> {
        let (books, id, hold) = (Arc::clone(&self.books), self.id.clone(), self.hold.clone());
        Box::pin(async move { top_up(&books, &id, hold).await })
    }

    /// Takes what a top-up has come to.
    pub(crate) fn covered(&mut self, covered: Covered) {
        if let Some(hold) = &mut self.hold {
            hold.covered_output = covered.output_tokens;
            if let Some(parts) = covered.parts {
                hold.parts = parts;
            }
        }
    }

    async fn settle(mut self, came: Came) -> Result<(), ApiError> {
        let used = came.usage.input_tokens.saturating_add(came.usage.output_tokens);
        if let Some(taken) = self.taken.take() {
            self.books.limits.settle(&self.held, taken, used);
        }
        let Some(hold) = self.hold.take() else { return Ok(()) };
        let (Some(account), key_id) = (&self.caller.account, self.caller.key_id.clone().unwrap_or_default()) else {
            return Ok(());
        };
        let charge = match &hold.price {
            Some(entry) => entry.price.charge(&came.usage).map_err(internal)?,
            None => qwenda_ledger::price::Charge { lines: Vec::new(), total: Nanos::ZERO },
        };
        let settlement = settle(&hold.parts, &charge, hold.money_allowed).map_err(internal)?;
        let line = RequestLine {
            id: self.id.clone(),
            at: self.at,
            account_id: account.id.clone(),
            key_id,
            task: self.task.to_owned(),
            model: self.model.clone(),
            status: came.status.to_owned(),
            usage: came.usage,
            price_id: hold.price.map(|entry| entry.id).unwrap_or_default(),
            first_token_ms: came.first_token_ms,
            took_ms: came.took_ms,
        };
        let now = self.books.now();
        let content = came.content.map(|kept| {
            let (request, answer) = kept.written();
            Content {
                request,
                answer,
                expires_at: now.saturating_add(account.content_days.saturating_mul(DAY_SECONDS)),
            }
        });
        let post = Post { line, settlement, content, now };
        self.books.end(End::Post(Box::new(post))).await.map_err(internal)
    }

    /// Settles it, whether or not anybody waits for it; what is returned is ready once it is durable. The
    /// server does not stop before.
    pub(crate) fn settle_tracked(self, came: Came) -> BoxFuture<'static, Result<(), ApiError>> {
        let (done, settled) = oneshot::channel();
        let tasks = self.books.tasks.clone();
        tasks.spawn(async move {
            let id = self.id.clone();
            let result = self.settle(came).await;
            if let Err(error) = &result {
                tracing::error!(request_id = id, error = error.logged().unwrap_or_default(), "cannot settle");
            }
            // Nobody may be waiting any more.
            let _ = done.send(result);
        });
        Box::pin(async { settled.await.unwrap_or_else(|_| Err(internal("the server stopped before it was settled"))) })
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.books.limits.settle(&self.held, taken, 0);
        }
        if self.hold.take().is_some() {
            let (books, id) = (Arc::clone(&self.books), std::mem::take(&mut self.id));
            self.books.tasks.spawn(async move {
                if let Err(error) = books.end(End::Void(id.clone())).await {
                    tracing::error!(request_id = id, %error, "cannot let go of a hold yet");
                }
            });
        }
    }
}

/// What a top-up has come to.
#[derive(Debug)]
pub(crate) struct Covered {
    output_tokens: u64,
    parts: Option<Vec<Part>>,
}

async fn top_up(books: &Books, id: &str, hold: Option<OpenHold>) -> Result<Covered, ApiError> {
    let Some(hold) = hold else { return Ok(Covered { output_tokens: u64::MAX, parts: None }) };
    let output_tokens = hold.covered_output.saturating_add(OUTPUT_STEP).min(hold.estimate.output_tokens_max);
    let more = match &hold.price {
        Some(entry) if hold.money_allowed => {
            let before = most(entry, hold.estimate, hold.covered_output)?;
            most(entry, hold.estimate, output_tokens)?.checked_sub(before).unwrap_or(Nanos::ZERO)
        }
        _ => Nanos::ZERO,
    };
    if more == Nanos::ZERO {
        return Ok(Covered { output_tokens, parts: None });
    }
    let now = books.now();
    let mut held = hold.parts.iter().filter(|part| part.kind == Kind::Balance).map(|part| Nanos::new(part.amount));
    let money = held.try_fold(more, Nanos::checked_add).ok_or_else(|| internal("a hold overflows"))?;
    let parts = books.store.top_up(id, money, now + HOLD_SECONDS, now).await.map_err(internal)?.map_err(refusal)?;
    Ok(Covered { output_tokens, parts: Some(parts) })
}

/// How much output costs no more than `max` together with the input.
fn affordable(entry: &PriceEntry, estimate: Estimate, max: Nanos) -> Result<u64, ApiError> {
    let least = most(entry, estimate, estimate.output_tokens_max.min(1))?;
    if least > max {
        return Err(ApiError::of(Code::InvalidParameter).say(format!(
            "This request may cost {least} before its second token, which is more than its max_cost of {max}."
        )));
    }
    // Costs never fall with more output.
    let (mut fits, mut too_much) = (estimate.output_tokens_max.min(1), estimate.output_tokens_max.saturating_add(1));
    while too_much - fits > 1 {
        let middle = fits + (too_much - fits) / 2;
        if most(entry, estimate, middle)? <= max { fits = middle } else { too_much = middle }
    }
    Ok(fits)
}

fn most(entry: &PriceEntry, estimate: Estimate, output_tokens_max: u64) -> Result<Nanos, ApiError> {
    let Estimate { input_tokens, thinking, mode, .. } = estimate;
    let bounds = Bounds { input_tokens, output_tokens_max, thinking, explicit_cache: false, mode };
    entry.price.most_of(&bounds).map_err(internal)
}

/// The published lists, read once: all prices are looked at again every few seconds.
static PUBLISHED: LazyLock<[PriceList; Currency::ALL.len()]> =
    LazyLock::new(|| Currency::ALL.map(PriceList::published));

/// All prices: the published lists, and what was made here.
pub(crate) async fn load(store: &Store) -> Result<Prices, StoreError> {
    let made = store.price_list().await?;
    let mut books = Currency::ALL.map(PriceBook::new);
    for (book, list) in books.iter_mut().zip(&*PUBLISHED) {
        let currency = book.currency();
        let id = list.id().to_owned();
        let terms = PriceTerms { id, account: None, effective_from: 0, effective_until: None };
        book.add_list(list, &terms, None)
            .map_err(|error| StoreError::Row { what: "list of prices", why: error.to_string() })?;
        for entry in made.iter().filter(|entry| entry.currency == currency) {
            book.add(entry.clone()).map_err(|error| StoreError::Row { what: "prices", why: error.to_string() })?;
        }
    }
    Ok(Prices(books))
}

/// What is new is refused while it cannot be written.
fn away(error: StoreError) -> ApiError {
    tracing::error!(%error, "cannot write to the books");
    ApiError::of(Code::ServiceUnavailable)
        .say("The service cannot write to its books now, please try again later.")
        .retry_after_ms(RETRY_MS)
        .log(error)
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::of(Code::Internal).log(error)
}

fn refusal(refused: Refused) -> ApiError {
    match refused {
        Refused::Uncovered(Uncovered::QuotaEnded) => ApiError::of(Code::FreeTierOnly),
        Refused::Uncovered(Uncovered::Money { wanted, spendable }) => ApiError::of(Code::Arrearage).say(format!(
            "Access denied, please make sure your account is in good standing. This request may cost up to {wanted}; \
             the account can spend {spendable}."
        )),
        Refused::Account => ApiError::of(Code::Arrearage).log("the account is suspended"),
        Refused::Budget { owner, period, wanted, left } => {
            let whose = match &*owner {
                owner if owner.starts_with("acc_") => "account",
                owner if owner.starts_with("prj_") => "project",
                _ => "key",
            };
            ApiError::of(Code::AllocationQuota)
                .say(format!("The {whose}'s budget ({period}) has {left} left; this request may cost up to {wanted}."))
        }
        Refused::NotOpen => ApiError::of(Code::Internal).log("the hold is not open"),
    }
}

/// The limits that a request of this caller for a model is held to. There are none of who needs no key.
fn limits_of(caller: &Caller, model: &str) -> Vec<Held> {
    let Some(key_id) = &caller.key_id else { return Vec::new() };
    let mut held = Vec::new();
    let mut add = |scope, id: &dyn Fn() -> String, limits| {
        if limits != Limits::default() {
            held.push(Held { scope, id: id(), limits });
        }
    };
    add(Scope::Key, &|| key_id.clone(), caller.terms.limits());
    if let Some(project) = &caller.project {
        add(Scope::Project, &|| project.id.clone(), project.terms.limits());
    }
    if let Some(account) = &caller.account {
        add(Scope::Account, &|| account.id.clone(), account.terms.limits());
        add(Scope::Model, &|| format!("{}/{model}", account.id), account.terms.limits_of_model(model));
    }
    held
}

/// The budgets that a request of this caller counts in.
fn budgets_of(caller: &Caller, now: i64) -> Vec<Budget> {
    let key = caller.key_id.iter().map(|id| (id, &*caller.terms));
    let project = caller.project.iter().map(|project| (&project.id, &project.terms));
    let account = caller.account.iter().map(|account| (&account.id, &account.terms));
    let all = key.chain(project).chain(account).flat_map(|(owner, terms)| {
        terms.budgets(now).into_iter().map(|(period, nanos_max)| Budget { owner: owner.clone(), period, nanos_max })
    });
    all.collect()
}

/// The terms of a caller without a key.
pub(crate) fn no_terms() -> Arc<Terms> {
    Arc::new(Terms::default())
}
