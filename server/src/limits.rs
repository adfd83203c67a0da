//! How many may go on: the limits of keys, projects, accounts and models, as this process keeps them.
//!
//! Where several processes share a database, limits per minute are borrowed from it in blocks (`ledger::limit`);
//! growth and concurrency are of each process. What is borrowed is traded on a timer ([`Limiter::tick`]), or when a
//! request needs more than is left; then it waits for that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use qwenda_ledger::limit::{
    Denied, Figures, Grant, Group, Kind, Level, Limits, Rate, Refused, Scope, State, Taken, Trade, Wait,
};
use qwenda_store::{Error as StoreError, Store};
use qwenda_types::error::{ApiError, Code};
use tokio::sync::{Notify, futures::OwnedNotified};

use crate::{Clock, tasks::Tasks};

/// A trade that takes longer is given up: what it would lend has nearly ended by then.
const TRADE_TIMEOUT: Duration = Duration::from_secs(2);
/// Trades of one transaction on the timer: whoever wants one of their limits waits for it.
const TRADES_MAX: usize = 32;
/// So often a request asks again for what others took from what it had waited for.
const ASKED_MAX: u32 = 64;
/// Limits that nobody asked for in so long begin anew. All that was taken has flowed back by then.
const IDLE_NS: u64 = 600_000_000_000;

/// Limits that a request is held to, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) scope: Scope,
    /// The id of whose limits they are, other than all others'.
    pub(crate) id: String,
    pub(crate) limits: Limits,
}

/// The limits of one process.
#[derive(Debug)]
pub(crate) struct Limiter {
    slots: Mutex<HashMap<String, Slot>>,
    /// Where they are shared.
    shared: Option<Store>,
    clock: Clock,
    tasks: Tasks,
}

#[derive(Debug)]
struct Slot {
    state: State,
    /// As they were last asked for.
    limits: Limits,
    asked_ns: u64,
    /// Tells who waits that a trade has ended.
    traded: Arc<Notify>,
    /// Whether the last trade came to nothing.
    failed: bool,
}

/// A trade on its way.
struct Sent {
    row: String,
    id: String,
    kind: Kind,
    rate: Rate,
    trade: Trade,
}

/// What a try to take limits comes to.
enum Tried {
    Done(Result<Taken, ApiError>),
    /// A lease of the limits of this id has too little: a trade for it is on its way.
    Wait(OwnedNotified, String),
}

impl Limiter {
    /// Limits that are this process's alone, or shared by all on a database that is a server's.
    pub(crate) fn new(store: &Store, clock: Clock, tasks: Tasks) -> Self {
        Self { slots: Mutex::default(), shared: store.is_shared().then(|| store.clone()), clock, tasks }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ns(&self) -> u64 {
        self.clock.now_ms().saturating_mul(1_000_000)
    }

    /// Takes a request of so many tokens from all of these, or from none. `tell` hears where they stand.
    pub(crate) async fn take(
        self: &Arc<Self>,
        held: &[Held],
        tokens: u64,
        tell: impl Fn(Figures),
    ) -> Result<Taken, ApiError> {
        for _ in 0..ASKED_MAX {
            match self.try_take(held, tokens, &tell) {
                Tried::Done(done) => return done,
                Tried::Wait(traded, id) => {
                    traded.await;
                    if self.slots().get(&id).is_some_and(|slot| slot.failed) {
                        return Err(ApiError::of(Code::ServiceUnavailable)
                            .say("The service cannot look at its limits now, please try again later.")
                            .retry_after_ms(1000)
                            .log("a limit could not be borrowed"));
                    }
                }
            }
        }
        // Others were faster every time, and go on being so.
        let say = "Requests rate limit exceeded: too many requests wait for a limit that is nearly used up.";
        Err(ApiError::of(Code::RateLimited).say(say).retry_after_ms(1000))
    }

    fn try_take(self: &Arc<Self>, held: &[Held], tokens: u64, tell: impl Fn(Figures)) -> Tried {
        let mut slots = self.slots();
        let now_ns = self.now_ns();
        for one in held {
            let slot = self.slot(&mut slots, &one.id);
            (slot.limits, slot.asked_ns) = (one.limits, now_ns);
        }
        let (taken, figures) = with_group(&mut slots, held, |group| {
            let taken = group.take(tokens, now_ns);
            (taken, group.figures(now_ns))
        });
        let (scope, kind, units) = match taken {
            Ok(taken) => {
                tell(figures);
                return Tried::Done(Ok(taken));
            }
            Err(Denied::Refused(refused)) => {
                tell(figures);
                return Tried::Done(Err(refusal(refused)));
            }
            Err(Denied::Borrow { scope, kind, units }) => (scope, kind, units),
        };
        let one = held.iter().find(|one| one.scope == scope).expect("a level of this group denied it");
        let slot = self.slot(&mut slots, &one.id);
        // From here on it hears of the end of a trade, whoever began it.
        let traded = Arc::clone(&slot.traded).notified_owned();
        let trade = rate_of(one.limits, kind)
            .and_then(|rate| Some((rate, slot.state.lease(kind)?.trade(rate, units, now_ns)?)));
        if let Some((rate, trade)) = trade {
            slot.failed = false;
            self.send(vec![Sent { row: row(&one.id, kind), id: one.id.clone(), kind, rate, trade }]);
        }
        Tried::Wait(traded, one.id.clone())
    }

    fn slot<'s>(&self, slots: &'s mut HashMap<String, Slot>, id: &str) -> &'s mut Slot {
        if !slots.contains_key(id) {
            let state = if self.shared.is_some() { State::leased() } else { State::default() };
            let slot =
                Slot { state, limits: Limits::default(), asked_ns: 0, traded: Arc::new(Notify::new()), failed: false };
            slots.insert(id.to_owned(), slot);
        }
        slots.get_mut(id).expect("it was put there where it was not")
    }

    /// Corrects the estimate by what was used, and gives the permits back.
    pub(crate) fn settle(&self, held: &[Held], taken: Taken, used: u64) {
        let mut slots = self.slots();
        for one in held {
            self.slot(&mut slots, &one.id);
        }
        let now_ns = self.now_ns();
        with_group(&mut slots, held, |group| group.settle(taken, used, now_ns));
    }

    /// Reports what was used of what is borrowed, gives back what is not needed, and forgets limits that nobody asks
    /// for. Called some times a second.
    pub(crate) fn tick(self: &Arc<Self>) {
        let now_ns = self.now_ns();
        let mut due = Vec::new();
        {
            let mut slots = self.slots();
            slots.retain(|_, slot| {
                let idle = slot.asked_ns.saturating_add(IDLE_NS) < now_ns;
                // Who waits for a trade holds on to it; a clock that is set must not leave them waiting.
                !idle || slot.state.permits.taken() > 0 || Arc::strong_count(&slot.traded) > 1
            });
            if self.shared.is_none() {
                return;
            }
            for (id, slot) in slots.iter_mut() {
                for kind in [Kind::Requests, Kind::Tokens] {
                    let Some(rate) = rate_of(slot.limits, kind) else { continue };
                    let trade = slot.state.lease(kind).and_then(|lease| lease.tick(rate, now_ns));
                    due.extend(trade.map(|trade| Sent { row: row(id, kind), id: id.clone(), kind, rate, trade }));
                }
            }
        }
        due.sort_by(|one, next| one.row.cmp(&next.row));
        while !due.is_empty() {
            let rest = due.split_off(due.len().min(TRADES_MAX));
            self.send(std::mem::replace(&mut due, rest));
        }
    }

    /// Forgets what the database says of limits that nobody asks for.
    pub(crate) async fn forget(&self) -> Result<(), StoreError> {
        match &self.shared {
            Some(store) => store.forget_limits(self.now_ns()).await,
            None => Ok(()),
        }
    }

    fn send(self: &Arc<Self>, sent: Vec<Sent>) {
        let Some(store) = self.shared.clone() else { return };
        let limiter = Arc::clone(self);
        self.tasks.spawn(async move {
            let trades: Vec<_> = sent.iter().map(|one| (one.row.clone(), one.rate, one.trade.clone())).collect();
            let traded = tokio::time::timeout(TRADE_TIMEOUT, store.trade(&trades, limiter.now_ns())).await;
            let grants = match traded {
                Ok(Ok(grants)) => Some(grants),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "cannot borrow from limits");
                    None
                }
                Err(_) => {
                    tracing::warn!("borrowing from limits took too long");
                    None
                }
            };
            limiter.receive(&sent, grants.as_deref());
        });
    }

    fn receive(&self, sent: &[Sent], grants: Option<&[Grant]>) {
        let mut slots = self.slots();
        let now_ns = self.now_ns();
        for (at, one) in sent.iter().enumerate() {
            let Some(slot) = slots.get_mut(&one.id) else { continue };
            let grant = grants.and_then(|grants| grants.get(at));
            slot.failed = grant.is_none();
            if let Some(lease) = slot.state.lease(one.kind) {
                match grant {
                    Some(grant) => lease.receive(one.rate, &one.trade, grant, now_ns),
                    None => lease.lost(&one.trade),
                }
            }
            slot.traded.notify_waiters();
        }
    }
}

/// Lends the states of these limits to a group for a while. All of them have a slot.
fn with_group<R>(slots: &mut HashMap<String, Slot>, held: &[Held], run: impl FnOnce(&mut Group<'_>) -> R) -> R {
    const THERE: &str = "every limit has a slot";
    let take = |one: &Held| std::mem::take(&mut slots.get_mut(&one.id).expect(THERE).state);
    let mut states: Vec<State> = held.iter().map(take).collect();
    let levels = held.iter().zip(&mut states);
    let mut group = Group::new(levels.map(|(one, state)| Level { scope: one.scope, limits: one.limits, state }));
    let result = run(&mut group);
    for (one, state) in held.iter().zip(states) {
        slots.get_mut(&one.id).expect(THERE).state = state;
    }
    result
}

fn rate_of(limits: Limits, kind: Kind) -> Option<Rate> {
    match kind {
        Kind::Requests => limits.requests,
        Kind::Tokens => limits.tokens,
        Kind::Burst | Kind::Concurrency => None,
    }
}

fn row(id: &str, kind: Kind) -> String {
    let kind = if kind == Kind::Requests { "requests" } else { "tokens" };
    format!("{id}#{kind}")
}

fn refusal(refused: Refused) -> ApiError {
    // Nobody should come again with what never fits.
    if let Refused { scope, kind: Kind::Tokens, limit, asked, wait: Wait::Never } = refused {
        return ApiError::of(Code::InvalidParameter).say(format!(
            "This request may use {asked} tokens, and the {scope}'s limit of tokens per minute is {limit}: it never \
             fits. Shorten its messages or lower max_tokens."
        ));
    }
    let error = ApiError::of(refused.kind.code()).say(format!("Requests rate limit exceeded: {refused}."));
    match refused.wait.retry_after_ms() {
        Some(ms) => error.retry_after_ms(ms),
        None => error,
    }
}
