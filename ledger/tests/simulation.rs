//! Random lives of two accounts from a seed, by a clock that stands at midnights, jumps ahead and goes back: prices that
//! change at midnight, requests at the edges of tiers, quota and packs that end, payments, refunds, holds that are
//! posted, let go of or too late. Each price, charge and hold is compared with a second way to compute it.
//!
//! `QWENDA_SIM_SEED` repeats one, `QWENDA_SIM_STEPS` makes it longer: a million take some seconds.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
};

use qwenda_ledger::{
    account::{Bucket, Kind, Most, Part, Uncovered, cover, settle},
    money::{Currency, Nanos},
    price::{Bounds, CachePercents, Mode, ModelPrice, Origin, PriceBook, PriceEntry, Tier, Usage},
    terms::Terms,
};

const DAY: i64 = 86_400;
/// A midnight.
const BEGIN: i64 = 1_772_236_800;
const HOLD_SECONDS: i64 = 600;
/// Where the tiers end.
const EDGES: [u64; 2] = [128, 1_000];
const ACCOUNTS: [&str; 2] = ["a", "b"];
const CREDIT: i64 = 5_000_000;

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

    fn tokens(&mut self, end: u64) -> u64 {
        self.below(end as i64).unsigned_abs()
    }
}

/// What a token of input, of output and of output behind reasoning costs in a tier on a day, in nanos for a million.
fn price_of(account: &str, day: i64, tier: i64) -> [i64; 3] {
    let base = if account == "b" { 700_000_001 } else { 800_000_000 };
    let input = base + day.rem_euclid(17) * 13_000_007 + tier * 400_000_000;
    [input, input * 2 + 1, input * 5]
}

/// Days on which somebody has changed a price at midnight: `b` has one of its own on every third.
fn day_of_price(account: &str, now: i64) -> (bool, i64) {
    let day = now.div_euclid(DAY);
    (account == "b" && day.rem_euclid(3) == 0, day)
}

fn entry(account: Option<&str>, day: i64) -> PriceEntry {
    let tier = |number: usize| {
        let [input, output, thinking] = price_of(account.unwrap_or("a"), day, number as i64).map(Nanos::new);
        Tier { input_tokens_max: EDGES.get(number).copied(), input, output, output_thinking: Some(thinking) }
    };
    PriceEntry {
        id: format!("{}/{day}", account.unwrap_or("all")),
        model: "m".to_owned(),
        account: account.map(str::to_owned),
        origin: Origin::Override,
        effective_from: day * DAY,
        // Those for all hold until the next one begins; the other ends by itself.
        effective_until: account.map(|_| (day + 1) * DAY),
        currency: Currency::Cny,
        price: ModelPrice::new((0..=EDGES.len()).map(tier).collect(), CachePercents::default()).unwrap(),
        cost: None,
    }
}

struct Place {
    account: &'static str,
    kind: Kind,
    posted: i64,
    pending: i64,
    expires_at: Option<i64>,
}

struct Hold {
    account: &'static str,
    parts: Vec<Part>,
    periods: Vec<String>,
    price_id: String,
    bounds: Bounds,
    money_allowed: bool,
    expires_at: i64,
}

impl Hold {
    fn money(&self) -> i64 {
        self.parts.iter().filter(|part| part.kind == Kind::Balance).map(|part| part.amount).sum()
    }
}

struct Life {
    random: Random,
    now: i64,
    made: u64,
    book: PriceBook,
    days: BTreeSet<i64>,
    places: BTreeMap<String, Place>,
    open: BTreeMap<u64, Hold>,
    late: BTreeMap<u64, Hold>,
    /// Spent and pending.
    budgets: BTreeMap<String, (i64, i64)>,
    terms: Terms,
    /// The name of each day's and month's budget, by the day.
    names: BTreeMap<i64, Vec<String>>,
    // What is ours.
    paid: i64,
    given: i64,
    revenue: i64,
    used: i64,
    /// What was posted when its hold was over: nobody had kept room for it.
    unheld: BTreeMap<String, i64>,
    done: BTreeMap<&'static str, u64>,
}

#[test]
fn random_lives_add_up_and_cost_what_a_second_way_computes() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (seed, steps) =
        (number("QWENDA_SIM_SEED").unwrap_or(20_260_228), number("QWENDA_SIM_STEPS").unwrap_or(200_000));
    eprintln!("QWENDA_SIM_SEED={seed} QWENDA_SIM_STEPS={steps}");
    let mut life = Life::new(seed);
    for step in 0..steps {
        life.step();
        if step % 1_000 == 0 {
            life.adds_up();
        }
    }
    life.now = i64::MAX;
    life.expire();
    life.adds_up();
    assert!(life.places.values().all(|place| place.pending == 0));
    eprintln!("{:?} over {} days", life.done, life.days.len());
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut places = BTreeMap::new();
        for account in ACCOUNTS {
            let balance = Place { account, kind: Kind::Balance, posted: 0, pending: 0, expires_at: None };
            places.insert(format!("balance:{account}"), balance);
        }
        let terms = Terms {
            budget_day: Some(Nanos::new(30_000_000)),
            budget_month: Some(Nanos::new(600_000_000)),
            ..Terms::default()
        };
        Self {
            random: Random(seed),
            now: BEGIN,
            made: 0,
            book: PriceBook::new(Currency::Cny),
            days: BTreeSet::new(),
            places,
            open: BTreeMap::new(),
            late: BTreeMap::new(),
            budgets: BTreeMap::new(),
            terms,
            names: BTreeMap::new(),
            paid: 0,
            given: 0,
            revenue: 0,
            used: 0,
            unheld: BTreeMap::new(),
            done: BTreeMap::new(),
        }
    }

    fn did(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    fn step(&mut self) {
        self.made += 1;
        self.tick();
        let account = ACCOUNTS[self.random.below(2) as usize];
        match self.random.below(100) {
            0..40 => self.hold(account),
            40..75 => self.post(),
            75..80 => self.void(),
            80..84 => self.expire(),
            84..92 => self.pay(account),
            _ => self.grant(account),
        }
    }

    /// Time goes on, stands at a midnight or a second beside it, or goes back. Prices of days ahead are known.
    fn tick(&mut self) {
        let midnight = (self.now.div_euclid(DAY) + 1) * DAY;
        self.now = match self.random.below(400) {
            0 => midnight - 1,
            1 => midnight,
            2 => midnight + 1,
            3..7 => self.now - self.random.below(DAY + 100),
            _ => self.now + self.random.below(300),
        };
        let today = self.now.div_euclid(DAY);
        for day in today - 3..=today + 2 {
            if self.days.insert(day) {
                self.book.add(entry(None, day)).unwrap();
                if day_of_price("b", day * DAY).0 {
                    self.book.add(entry(Some("b"), day)).unwrap();
                }
            }
        }
    }

    fn bounds(&mut self) -> Bounds {
        let edge = EDGES[self.random.below(2) as usize];
        let input_tokens = match self.random.below(3) {
            0 => self.random.tokens(3_000),
            _ => edge - 1 + self.random.tokens(3),
        };
        let output_tokens_max = self.random.tokens(600);
        let (thinking, mode) = (self.random.below(2) == 0, Mode::RealTime);
        Bounds { input_tokens, output_tokens_max, thinking, explicit_cache: false, mode }
    }

    fn hold(&mut self, account: &'static str) {
        let (own, day) = day_of_price(account, self.now);
        let entry = self.book.at(account, "m", self.now).unwrap();
        let price_id = entry.id.clone();
        assert_eq!(price_id, format!("{}/{day}", if own { "b" } else { "all" }), "at {}", self.now);
        let price = entry.price.clone();
        let bounds = self.bounds();
        let money = price.most_of(&bounds).unwrap();
        let money_allowed = self.random.below(5) > 0;
        let tokens = if self.random.below(3) == 0 { 0 } else { bounds.input_tokens + bounds.output_tokens_max };
        let most = Most { tokens, money, money_allowed };
        let free: Vec<Bucket> = self
            .places
            .iter()
            .filter(|(_, place)| place.account == account)
            .map(|(id, place)| Bucket {
                id: id.clone(),
                kind: place.kind,
                free: place.posted - place.pending,
                expires_at: place.expires_at,
            })
            .collect();
        let covered = cover(&free, Nanos::new(CREDIT), most, self.now);
        self.check_cover(&free, most, &covered);
        let Ok(parts) = covered else { return self.did("uncovered") };
        let periods = self.periods();
        let hold =
            Hold { account, parts, periods, price_id, bounds, money_allowed, expires_at: self.now + HOLD_SECONDS };
        let money = hold.money();
        let maxes = self.terms.budgets(self.now);
        let left = |budgets: &BTreeMap<String, (i64, i64)>, period: &String, max: Nanos| {
            let (spent, pending) = budgets.get(period).copied().unwrap_or_default();
            max.get() - spent - pending
        };
        if money > 0 && maxes.iter().any(|(period, max)| left(&self.budgets, period, *max) < money) {
            return self.did("over budget");
        }
        for period in &hold.periods {
            self.budgets.entry(period.clone()).or_default().1 += money;
        }
        for part in &hold.parts {
            self.places.get_mut(&part.bucket).unwrap().pending += part.amount;
        }
        self.open.insert(self.made, hold);
        self.did("held");
    }

    /// The budgets of this second: all seconds of a day have the same, and no other day has its.
    fn periods(&mut self) -> Vec<String> {
        let day = self.now.div_euclid(DAY);
        let names: Vec<String> = self.terms.budgets(self.now).into_iter().map(|(name, _)| name).collect();
        assert_eq!(self.names.entry(day).or_insert_with(|| names.clone()), &names, "at {}", self.now);
        for other in [day - 1, day + 1] {
            assert!(self.names.get(&other).is_none_or(|other| other[0] != names[0]), "{names:?}");
        }
        names
    }

    /// Quota before packs before money; of each what ends first; nothing that has ended; nothing that is not there.
    fn check_cover(&self, free: &[Bucket], most: Most, covered: &Result<Vec<Part>, Uncovered>) {
        let of = |id: &str| free.iter().find(|bucket| bucket.id == id).unwrap();
        let usable: i64 = free
            .iter()
            .filter(|b| b.kind != Kind::Balance && b.free > 0 && b.expires_at.is_none_or(|at| self.now < at))
            .map(|bucket| bucket.free)
            .sum();
        let wanted = i64::try_from(most.tokens).unwrap();
        let spendable = free.iter().find(|b| b.kind == Kind::Balance).unwrap().free + CREDIT;
        match covered {
            Ok(parts) => {
                let tokens: i64 = parts.iter().filter(|part| part.kind != Kind::Balance).map(|part| part.amount).sum();
                assert_eq!(tokens, wanted.min(usable), "{parts:?}");
                let money: i64 = parts.iter().filter(|part| part.kind == Kind::Balance).map(|part| part.amount).sum();
                let by_tokens = wanted > 0 && tokens == wanted;
                let pays = most.money_allowed && !by_tokens;
                assert_eq!(money, if pays { most.money.get() } else { 0 }, "{parts:?}");
                assert!(money <= spendable.max(0) && (pays || by_tokens || tokens > 0 || money == 0));
                let order = parts.iter().map(|part| (part.kind, of(&part.bucket).expires_at.unwrap_or(i64::MAX)));
                assert!(order.is_sorted(), "{parts:?}");
                for part in parts {
                    let bucket = of(&part.bucket);
                    assert!(bucket.expires_at.is_none_or(|at| self.now < at), "{part:?} has ended at {}", self.now);
                    assert!(part.amount > 0 && (part.kind == Kind::Balance || part.amount <= bucket.free), "{part:?}");
                }
            }
            Err(Uncovered::Money { wanted, .. }) => assert!(most.money_allowed && spendable < wanted.get()),
            Err(Uncovered::QuotaEnded) => assert!(!most.money_allowed && usable.min(wanted) == 0),
        }
    }

    /// Takes one of the open holds, or now and then one that is over.
    fn some_hold(&mut self) -> Option<(Hold, bool)> {
        let is_late = self.random.below(10) == 0;
        let from = if is_late { &mut self.late } else { &mut self.open };
        let len = i64::try_from(from.len()).unwrap();
        let id = *from.keys().nth(self.random.below(len.max(1)) as usize)?;
        from.remove(&id).map(|hold| (hold, is_late))
    }

    fn post(&mut self) {
        let Some((hold, is_late)) = self.some_hold() else { return };
        let usage = self.usage(hold.bounds);
        let charge = self.book.get(&hold.price_id).unwrap().price.charge(&usage).unwrap();
        assert_eq!(charge.total.get(), self.computed(&hold.price_id, &usage), "{usage:?} by {}", hold.price_id);
        let most = self.book.get(&hold.price_id).unwrap().price.most_of(&hold.bounds).unwrap();
        assert!(charge.total <= most, "{usage:?} costs {}, at most {most} was foreseen", charge.total);
        let settled = settle(&hold.parts, &charge, hold.money_allowed).unwrap();
        let tokens: i64 = settled.tokens.iter().map(|part| part.amount).sum();
        let money = settled.charge.total.get();
        assert!(money <= hold.money(), "{money} is more than was held: {:?}", hold.parts);
        assert!(money >= 0 && tokens <= i64::try_from(usage.input_tokens + usage.output_tokens).unwrap());
        if !is_late {
            self.let_go(&hold);
        }
        for part in &settled.tokens {
            assert!(hold.parts.iter().any(|held| held.bucket == part.bucket && part.amount <= held.amount), "{part:?}");
            self.take(&part.bucket, part.amount, is_late);
        }
        self.take(&format!("balance:{}", hold.account), money, is_late);
        for period in &hold.periods {
            self.budgets.get_mut(period).unwrap().0 += money;
        }
        self.used += tokens;
        self.revenue += money;
        self.did(if is_late { "posted late" } else { "posted" });
    }

    fn take(&mut self, bucket: &str, amount: i64, is_late: bool) {
        let place = self.places.get_mut(bucket).unwrap();
        place.posted -= amount;
        if is_late {
            *self.unheld.entry(bucket.to_owned()).or_default() += amount;
        }
    }

    fn usage(&mut self, bounds: Bounds) -> Usage {
        let input_tokens = match self.random.below(3) {
            0 => bounds.input_tokens,
            _ => self.random.tokens(bounds.input_tokens + 1),
        };
        let output_tokens = self.random.tokens(bounds.output_tokens_max + 1);
        Usage {
            input_tokens,
            implicit_hit_tokens: self.random.tokens(input_tokens + 1),
            output_tokens,
            reasoning_tokens: if self.random.below(2) == 0 { 0 } else { self.random.tokens(output_tokens + 1) },
            thinking: bounds.thinking,
            ..Usage::default()
        }
    }

    /// A charge by another way: the price from the day in its id, the tier by counting edges, and hundredths.
    fn computed(&self, price_id: &str, usage: &Usage) -> i64 {
        let (account, day) = price_id.split_once('/').unwrap();
        let tier = EDGES.iter().filter(|edge| usage.input_tokens > **edge).count();
        let [input, output, thinking] = price_of(account, day.parse().unwrap(), tier as i64).map(i128::from);
        let output = if usage.thinking && usage.reasoning_tokens > 0 { thinking } else { output };
        let line = |tokens: u64, price: i128, percent: i128| {
            let hundredths = i128::from(tokens) * price * percent;
            // Halves go up: nothing is negative here.
            (hundredths + 50_000_000) / 100_000_000
        };
        let plain = usage.input_tokens - usage.implicit_hit_tokens;
        let sum = line(plain, input, 100)
            + line(usage.implicit_hit_tokens, input, 20)
            + line(usage.output_tokens, output, 100);
        i64::try_from(sum).unwrap()
    }

    fn let_go(&mut self, hold: &Hold) {
        for part in &hold.parts {
            self.places.get_mut(&part.bucket).unwrap().pending -= part.amount;
        }
        for period in &hold.periods {
            self.budgets.get_mut(period).unwrap().1 -= hold.money();
        }
    }

    fn void(&mut self) {
        // What is over has been let go of already.
        if let Some((hold, false)) = self.some_hold() {
            self.let_go(&hold);
        }
        self.did("voided");
    }

    fn expire(&mut self) {
        let now = self.now;
        // Nobody comes back after so long.
        self.late.retain(|_, hold| hold.expires_at.saturating_add(DAY) > now);
        let late: Vec<u64> = self.open.iter().filter(|(_, hold)| hold.expires_at <= now).map(|(id, _)| *id).collect();
        for id in late {
            let hold = self.open.remove(&id).unwrap();
            self.let_go(&hold);
            self.late.insert(id, hold);
            self.did("expired");
        }
    }

    /// Money comes, and now and then goes back: never what is held or on credit.
    fn pay(&mut self, account: &str) {
        let place = self.places.get_mut(&format!("balance:{account}")).unwrap();
        let is_refund = self.random.below(3) == 0;
        let amount = if is_refund { -1 - self.random.below(6_000_000) } else { 1 + self.random.below(8_000_000) };
        if is_refund && place.posted - place.pending + amount < 0 {
            return self.did("no refund");
        }
        place.posted += amount;
        self.paid += amount;
        self.did(if is_refund { "refunded" } else { "paid" });
    }

    fn grant(&mut self, account: &'static str) {
        let tokens = 1 + self.random.below(4_000);
        let midnight = (self.now.div_euclid(DAY) + 1) * DAY;
        let expires_at = match self.random.below(4) {
            0 => None,
            1 => Some(midnight),
            _ => Some(self.now + 1 + self.random.below(2 * DAY)),
        };
        // Those that have ended or are empty are of no more interest once no hold names them.
        let (now, open, late) = (self.now, &self.open, &self.late);
        let named: BTreeSet<&String> =
            open.values().chain(late.values()).flat_map(|hold| &hold.parts).map(|part| &part.bucket).collect();
        let over = |place: &Place| {
            let is_empty = place.posted == 0 && place.kind != Kind::Balance;
            is_empty || place.expires_at.is_some_and(|at| at + 3 * DAY < now)
        };
        let gone: Vec<String> = self
            .places
            .iter()
            .filter(|(id, place)| over(place) && !named.contains(id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            let place = self.places.remove(&id).unwrap();
            self.given -= place.posted;
            self.unheld.remove(&id);
        }
        let kind = if self.random.below(2) == 0 { Kind::Quota } else { Kind::Pack };
        let place = Place { account, kind, posted: tokens, pending: 0, expires_at };
        self.places.insert(format!("tokens:{:012}", self.made), place);
        self.given += tokens;
        self.did("granted");
    }

    fn adds_up(&self) {
        let sum = |money: bool| -> i64 {
            self.places.values().filter(|place| (place.kind == Kind::Balance) == money).map(|place| place.posted).sum()
        };
        assert_eq!(sum(true) + self.revenue - self.paid, 0, "money");
        assert_eq!(sum(false) + self.used - self.given, 0, "tokens");
        let (mut by_place, mut by_period) = (BTreeMap::new(), BTreeMap::new());
        for hold in self.open.values() {
            for part in &hold.parts {
                *by_place.entry(&part.bucket).or_default() += part.amount;
            }
            for period in &hold.periods {
                *by_period.entry(period).or_default() += hold.money();
            }
        }
        for (id, place) in &self.places {
            let held: i64 = by_place.remove(id).unwrap_or_default();
            assert_eq!(place.pending, held, "{id}");
            let floor = if place.kind == Kind::Balance { -CREDIT } else { 0 };
            let unheld = self.unheld.get(id).copied().unwrap_or_default();
            assert!(place.posted - place.pending + unheld >= floor, "{id}: {} - {}", place.posted, place.pending);
        }
        for (period, (spent, pending)) in &self.budgets {
            let held: i64 = by_period.remove(period).unwrap_or_default();
            assert!(*pending == held && *spent >= 0, "{period}: {pending} pending, {held} held");
        }
    }
}
