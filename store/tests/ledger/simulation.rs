//! Random lives of an account, from a seed, against a model in memory.
//!
//! `QWENDA_SIM_SEED` repeats one, `QWENDA_SIM_STEPS` makes it longer.

use std::{collections::BTreeSet, env, time::Duration};

use qwenda_ledger::{account::Most, money::Nanos};
use qwenda_store::{
    Error, Store,
    accounts::AccountRow,
    ledger::{Deposited, HoldAsk, Refused},
    usage::Wanted,
};
use tokio::runtime::Runtime;

use crate::{
    books::{NOW, account, ask, at_once, budget_of, money, said, tokens, used},
    database::Database,
    model::{Model, State, Step},
};

#[test]
fn random_lives_add_up_on_sqlite() {
    simulate(&Database::sqlite(), 3000);
}

#[test]
fn random_lives_add_up_on_postgres() {
    let Some(database) = Runtime::new().unwrap().block_on(Database::postgres()) else { return };
    simulate(&database, 600);
    Runtime::new().unwrap().block_on(database.remove());
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((z ^ (z >> 31)) % end.unsigned_abs()).unwrap()
    }
}

struct Life {
    random: Random,
    model: Model,
    done: Vec<Step>,
    now: i64,
    made: u64,
}

fn simulate(database: &Database, steps: u64) {
    let (seed, steps) = (number("QWENDA_SIM_SEED").unwrap_or(20_260_228), number("QWENDA_SIM_STEPS").unwrap_or(steps));
    eprintln!("QWENDA_SIM_SEED={seed} QWENDA_SIM_STEPS={steps}");
    let mut life = Life { random: Random(seed), model: Model::default(), done: Vec::new(), now: NOW, made: 0 };
    let (mut runtime, mut store) = opened(database);
    for (id, credit) in [("a", 0), ("b", 500)] {
        let row = AccountRow { credit: Nanos::new(credit), ..account(id) };
        assert!(runtime.block_on(store.account_create(&row)).unwrap());
        life.model.account(id, credit);
    }
    let (mut taken, mut crashes) = (0, 0);
    while taken < steps {
        let mut together: Vec<Step> = (0..=life.random.below(8)).map(|_| life.step()).collect();
        let is_crash = life.random.below(12) == 0;
        if is_crash {
            keep_repeatable(&mut together);
        }
        let want: Vec<String> = together.iter().map(|step| life.model.apply(step)).collect();
        taken += together.len() as u64;
        if is_crash {
            // The process is gone in the middle of it. Whoever asked asks again.
            crashes += 1;
            let (gone, steps) = (store.clone(), together.clone());
            runtime.spawn(async move { at_once(steps.iter().map(|step| take(&gone, step))).await });
            // How far it comes is left to chance.
            std::thread::sleep(Duration::from_micros(life.random.below(4000).unsigned_abs()));
            drop(store);
            runtime.shutdown_timeout(Duration::ZERO);
            (runtime, store) = opened(database);
            for step in &together {
                runtime.block_on(take(&store, step));
            }
        } else {
            let got = runtime.block_on(at_once(together.iter().map(|step| take(&store, step))));
            for ((step, want), got) in together.iter().zip(want).zip(got) {
                assert_eq!(got, want, "{step:?}");
            }
        }
        if life.random.below(20) == 0 {
            runtime.block_on(compare(&store, database, &life.model));
        }
        life.done.extend(together);
    }
    assert!(crashes > 0);
    eprintln!("{crashes} crashes, {} holds, {} paid", life.model.holds.len(), life.model.charges.len());
    runtime.block_on(async {
        compare(&store, database, &life.model).await;
        store.expire(i64::MAX).await.unwrap();
        assert_eq!(store.audit().await.unwrap().open_holds, 0);
        assert_eq!(database.number("SELECT COUNT(*) FROM buckets WHERE pending <> 0").await, 0);
        store.close().await;
        database.adds_up().await;
    });
}

fn opened(database: &Database) -> (Runtime, Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = runtime.block_on(database.open());
    (runtime, store)
}

/// Leaves steps that come to the same when the first of them were written and all are asked for again: what was
/// refused must not find more than it did then.
fn keep_repeatable(steps: &mut Vec<Step>) {
    let class = |step: &Step| match step {
        Step::Hold(_) => 0,
        Step::Post(_) | Step::Void { .. } => 1,
        Step::Deposit(deposit) if !matches!(deposit.what, Deposited::Money(nanos) if nanos.is_negative()) => 2,
        _ => 3,
    };
    if let Some(at) = steps.iter().position(|step| !matches!(step, Step::TopUp { .. })) {
        steps.swap(0, at);
    } else {
        steps.clear();
        return;
    }
    let first = class(&steps[0]);
    if first == 3 {
        steps.truncate(1);
    }
    steps.retain(|step| class(step) == first);
    if first == 1 {
        // A hold is either posted or let go of, whichever comes first.
        let mut seen = BTreeSet::new();
        steps.retain(|step| match step {
            Step::Post(post) => seen.insert(post.line.id.clone()),
            Step::Void { id, .. } => seen.insert(id.clone()),
            _ => true,
        });
    }
}

/// What it comes to, in words. A store that goes away meanwhile is an answer too.
async fn take(store: &Store, step: &Step) -> String {
    try_take(store, step).await.unwrap_or_else(|error| error.to_string())
}

async fn try_take(store: &Store, step: &Step) -> Result<String, Error> {
    Ok(match step.clone() {
        Step::Hold(ask) => said(store.hold(ask).await?),
        Step::TopUp { id, money, expires_at, now } => {
            said(store.top_up(&id, Nanos::new(money), expires_at, now).await?)
        }
        Step::Post(post) => store.post(post).await?.to_string(),
        Step::Void { id, now } => store.void(&id, now).await?.to_string(),
        Step::Expire { now } => store.expire(now).await?.to_string(),
        Step::Keep { instance, expires_at } => store.keep(&instance, expires_at).await?.to_string(),
        Step::Deposit(deposit) => match store.deposit(deposit).await? {
            Err(Refused::Uncovered(_)) => "short".to_owned(),
            other => format!("{other:?}"),
        },
    })
}

async fn compare(store: &Store, database: &Database, model: &Model) {
    for account in model.credit.keys() {
        for row in store.buckets(account).await.unwrap() {
            let place = &model.places[&row.id];
            assert_eq!((row.posted, row.pending), (place.posted, place.pending), "{}", row.id);
            assert!(row.pending >= 0, "{row:?}");
        }
    }
    for (column, want) in [
        ("spent", model.budgets.values().map(|budget| budget.0).sum::<i64>()),
        ("pending", model.budgets.values().map(|budget| budget.1).sum::<i64>()),
    ] {
        let sql = format!("SELECT CAST(COALESCE(SUM({column}), 0) AS BIGINT) FROM budgets");
        assert_eq!(database.number(&sql).await, want, "{column}");
    }
    let all = Wanted { from: i64::MIN, until: i64::MAX, limit: i64::MAX, ..Wanted::default() };
    let requests = store.requests(&all).await.unwrap();
    assert_eq!(requests.len(), model.charges.len());
    for paid in requests {
        assert_eq!(paid.charge.get(), model.charges[&paid.line.id]);
    }
    assert_eq!(store.audit().await.unwrap().difference, None);
}

impl Life {
    fn step(&mut self) -> Step {
        // Clocks go forward, mostly.
        self.now += self.random.below(60) - 5;
        let account = if self.random.below(3) == 0 { "b" } else { "a" };
        self.made += 1;
        let id = format!("{}", self.made);
        match self.random.below(100) {
            0..30 => Step::Hold(self.ask(&id, account)),
            30..36 => {
                let money = self.random.below(120);
                let id = self.some_hold();
                Step::TopUp { id, money, expires_at: self.now + 600, now: self.now }
            }
            36..60 => self.post(),
            60..66 => Step::Void { id: self.some_hold(), now: self.now },
            66..72 => Step::Expire { now: self.now },
            72..75 => Step::Keep { instance: self.instance(), expires_at: self.now + 300 },
            75..83 => {
                let amount =
                    if self.random.below(4) == 0 { -1 - self.random.below(200) } else { 1 + self.random.below(900) };
                let mut deposit = money(&id, amount);
                deposit.account_id = account.to_owned();
                Step::Deposit(deposit)
            }
            83..88 => {
                let expires_at = (self.random.below(3) > 0).then_some(self.now + self.random.below(5000));
                let mut deposit = tokens(&id, self.random.below(2) == 0, 1 + self.random.below(150), expires_at);
                deposit.account_id = account.to_owned();
                Step::Deposit(deposit)
            }
            _ => match self.done.len() {
                0 => Step::Expire { now: self.now },
                // Somebody asks again for what was done long ago, or just now.
                len => self.done[self.random.below(len as i64) as usize].clone(),
            },
        }
    }

    fn instance(&mut self) -> String {
        ["i", "j"][self.random.below(2) as usize].to_owned()
    }

    fn ask(&mut self, id: &str, account: &str) -> HoldAsk {
        let mut ask = ask(id, 0, 0);
        let tokens = self.random.below(120).unsigned_abs();
        ask.most = Most {
            tokens: if self.random.below(6) == 0 { 0 } else { tokens },
            money: Nanos::new(self.random.below(120)),
            money_allowed: self.random.below(5) > 0,
        };
        ask.account_id = account.to_owned();
        ask.key_id = format!("k{account}{}", self.random.below(2));
        ask.instance = self.instance();
        (ask.now, ask.expires_at) = (self.now, self.now + 300);
        if self.random.below(2) == 0 {
            let day = format!("day:{}", (self.now - NOW).div_euclid(5000));
            let month = format!("month:{}", (self.now - NOW).div_euclid(40_000));
            // Of the key, and of the project that two keys share.
            ask.budgets = vec![budget_of(&ask.key_id, &day, 600), budget_of(&format!("p{account}"), &month, 3000)];
        }
        ask
    }

    fn some_hold(&mut self) -> String {
        let all = self.model.holds.len() as i64;
        if all == 0 || self.random.below(50) == 0 {
            return "unheard-of".to_owned();
        }
        let open: Vec<&String> =
            self.model.holds.iter().filter(|(_, hold)| hold.state == State::Open).map(|(id, _)| id).collect();
        if open.is_empty() || self.random.below(8) == 0 {
            let n = self.random.below(all) as usize;
            return self.model.holds.keys().nth(n).cloned().unwrap();
        }
        open[self.random.below(open.len() as i64) as usize].clone()
    }

    fn post(&mut self) -> Step {
        let id = self.some_hold();
        let Some(hold) = self.model.holds.get(&id).cloned() else { return Step::Void { id, now: self.now } };
        let held: i64 = hold.parts.iter().map(|part| part.amount).sum();
        // Now and then a little more than was held.
        let tokens = self.random.below(held + 3).unsigned_abs();
        Step::Post(used(&hold.ask, &hold.parts, tokens))
    }
}
