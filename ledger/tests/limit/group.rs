//! Levels that are taken together.

use qwenda_ledger::limit::{
    BurstGuard, Denied, Group, Kind, Level, Limits, MINUTE_NS, Part, Rate, Refused, Scope, Shared, State, Taken, Wait,
};
use qwenda_types::error::Code;

use crate::{Random, seeds};

const SECOND: u64 = 1_000_000_000;
const NONE: Limits = Limits { requests: None, tokens: None, burst: None, concurrency: None };

/// Levels and their states, as a service would keep them.
#[derive(Clone)]
struct Levels(Vec<(Scope, Limits, State)>);

impl Levels {
    fn new(levels: &[(Scope, Limits)]) -> Self {
        Self(levels.iter().map(|(scope, limits)| (*scope, *limits, State::default())).collect())
    }

    fn group(&mut self) -> Group<'_> {
        Group::new(self.0.iter_mut().map(|(scope, limits, state)| Level { scope: *scope, limits: *limits, state }))
    }

    fn refused(&mut self, tokens: u64, now_ns: u64) -> Refused {
        match self.group().take(tokens, now_ns) {
            Err(Denied::Refused(refused)) => refused,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(&mut self, tokens: u64, now_ns: u64) -> String {
        self.refused(tokens, now_ns).to_string()
    }

    fn take(&mut self, tokens: u64, now_ns: u64) -> Taken {
        self.group().take(tokens, now_ns).expect("it is admitted")
    }

    fn states(&self) -> Vec<State> {
        self.0.iter().map(|(_, _, state)| state.clone()).collect()
    }
}

fn requests(rate: Rate) -> Limits {
    Limits { requests: Some(rate), ..NONE }
}

fn tokens(rate: Rate) -> Limits {
    Limits { tokens: Some(rate), ..NONE }
}

#[test]
fn a_refusal_names_the_level_the_kind_its_value_and_the_wait() {
    let guard = BurstGuard { floor_per_second: 1, growth: 1 };
    for (limits, kind, code, says) in [
        (
            requests(Rate::smooth(60)),
            Kind::Requests,
            Code::RateLimited,
            "the project's limit of requests per minute is 60; the next fits in 1000 ms",
        ),
        (
            tokens(Rate::minute(600)),
            Kind::Tokens,
            Code::AllocationQuota,
            "the project's limit of tokens per minute is 600; the 600 asked for fit in 60000 ms",
        ),
        (
            Limits { burst: Some(guard), ..NONE },
            Kind::Burst,
            Code::BurstRate,
            "the project's limit of requests in this second is 1; the next fits in 1000 ms",
        ),
        (
            Limits { concurrency: Some(1), ..NONE },
            Kind::Concurrency,
            Code::Concurrency,
            "the project's limit of requests at one time is 1; the next fits when one of them ends",
        ),
    ] {
        let mut levels = Levels::new(&[(Scope::Key, NONE), (Scope::Project, limits)]);
        let _running = levels.take(600, SECOND);
        let refused = levels.refused(600, SECOND);
        assert_eq!((refused.scope, refused.kind, refused.kind.code()), (Scope::Project, kind, code));
        assert_eq!(refused.to_string(), says);
    }
}

#[test]
fn what_never_fits_is_said_to_never_fit() {
    for (limits, says) in [
        (tokens(Rate::minute(600)), "the model's limit of tokens per minute is 600; the 601 asked for never fit"),
        (requests(Rate::minute(0)), "the model's limit of requests per minute is 0"),
        (Limits { concurrency: Some(0), ..NONE }, "the model's limit of requests at one time is 0"),
    ] {
        let mut levels = Levels::new(&[(Scope::Model, limits)]);
        assert_eq!(levels.refusal(601, 0), says);
        assert_eq!(levels.refused(601, 0).wait.retry_after_ms(), None);
    }
}

#[test]
fn of_several_refusals_the_longest_wait_is_told_and_the_first_of_equals() {
    let mut levels = Levels::new(&[
        (Scope::Account, requests(Rate::smooth(6))),
        (Scope::Key, requests(Rate::smooth(60))),
        (Scope::Project, Limits { concurrency: Some(1), ..requests(Rate::smooth(6)) }),
    ]);
    let taken = levels.take(1, SECOND);
    assert_eq!(levels.refusal(1, SECOND), "the project's limit of requests per minute is 6; the next fits in 10000 ms");
    let later = 10 * SECOND + SECOND / 2;
    assert!(levels.refusal(1, later).starts_with("the project's limit of requests at one time is 1"));
    levels.group().settle(taken, 0, later);
    assert_eq!(levels.refusal(1, later), "the project's limit of requests per minute is 6; the next fits in 500 ms");
}

#[test]
fn a_refusal_by_one_level_takes_nothing_of_the_others() {
    let mut levels = Levels::new(&[
        (Scope::Key, Limits { burst: Some(BurstGuard::of(Rate::minute(60))), ..requests(Rate::minute(60)) }),
        (Scope::Account, tokens(Rate::minute(1000))),
        (Scope::Model, Limits { concurrency: Some(1), ..NONE }),
    ]);
    let taken = levels.take(900, SECOND);
    let before = levels.states();
    for _ in 0..100 {
        assert!(levels.refusal(10, 2 * SECOND).starts_with("the model"));
    }
    assert_eq!(levels.states(), before);
    levels.group().settle(taken, 0, 2 * SECOND);
    let _running = levels.take(1000, 2 * SECOND);
}

#[test]
fn a_limit_set_while_requests_run_counts_them() {
    let mut levels = Levels::new(&[(Scope::Key, NONE)]);
    let taken = levels.take(5, 0);
    levels.0[0].1.concurrency = Some(1);
    assert!(levels.refusal(5, 0).contains("at one time"));
    levels.0[0].1.tokens = Some(Rate::minute(10));
    levels.group().settle(taken, 5, 0);
    let _running = levels.take(10, 0);
}

#[test]
fn a_level_that_came_or_went_while_a_request_ran_is_left_alone() {
    let limits = Limits { concurrency: Some(2), ..tokens(Rate::minute(100)) };
    let mut before = Levels::new(&[(Scope::Key, limits), (Scope::Model, limits)]);
    let taken = before.take(100, 0);
    let mut after = Levels::new(&[(Scope::Key, limits), (Scope::Account, limits)]);
    after.0[0].2 = before.0[0].2.clone();
    after.group().settle(taken, 10, 0);
    let figures = after.group().figures(0).tokens.expect("a figure");
    assert_eq!((figures.limit, figures.remaining), (100, 90));
    assert_eq!((after.0[0].2.permits.taken(), after.0[1].2.permits.taken()), (0, 0));
}

#[test]
#[should_panic(expected = "two levels of the scope key")]
fn two_levels_of_one_scope_are_a_bug() {
    Levels::new(&[(Scope::Key, NONE), (Scope::Key, NONE)]).group();
}

#[test]
fn the_figures_are_those_of_the_tightest_level_for_each_kind() {
    let mut levels = Levels::new(&[
        (Scope::Key, Limits { tokens: Some(Rate::minute(6_000)), ..requests(Rate::minute(10)) }),
        (Scope::Account, Limits { tokens: Some(Rate::minute(3_000)), ..requests(Rate::minute(600)) }),
    ]);
    let taken = levels.take(1_000, SECOND);
    let headers: Vec<String> =
        levels.group().figures(SECOND).headers().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(
        headers,
        [
            "x-ratelimit-limit-requests: 10",
            "x-ratelimit-remaining-requests: 9",
            "x-ratelimit-reset-requests: 6s",
            "x-ratelimit-limit-tokens: 3000",
            "x-ratelimit-remaining-tokens: 2000",
            "x-ratelimit-reset-tokens: 20s",
        ]
    );
    levels.group().settle(taken, 0, SECOND);
    assert_eq!(levels.group().figures(SECOND).tokens.expect("a figure").remaining, 3_000);
}

fn any_limits(random: &mut Random) -> Limits {
    let shape = random.pick(&[Rate::minute, Rate::smooth, Rate::strict]);
    let mut maybe = |percent| random.below(100) < percent;
    let (with_requests, with_tokens, with_burst, with_concurrency) = (maybe(60), maybe(60), maybe(30), maybe(50));
    Limits {
        requests: with_requests.then(|| shape(1 + random.below(600))),
        tokens: with_tokens.then(|| shape(1000 + random.below(100_000))),
        burst: with_burst.then_some(BurstGuard { floor_per_second: 2, growth: 2 }),
        concurrency: with_concurrency.then(|| 1 + random.below(20) as u32),
    }
}

#[test]
fn a_group_admits_when_each_limit_alone_would_and_at_rest_every_permit_is_back() {
    seeds(20, |mut random| {
        let limits = Scope::ALL.map(|scope| (scope, any_limits(&mut random)));
        let (mut levels, mut now_ns) = (Levels::new(&limits), MINUTE_NS);
        let mut running: Vec<Taken> = Vec::new();
        for _ in 0..5_000 {
            now_ns += random.pick(&[0, 0, SECOND / 100, SECOND, 30 * SECOND]);
            let asked = 1 + random.below(1500);
            let before = levels.states();
            let alone = limits.iter().zip(&before).all(|((_, limits), state)| admits(limits, state, asked, now_ns));
            match levels.group().take(asked, now_ns) {
                Ok(taken) => {
                    assert!(alone);
                    running.push(taken);
                }
                Err(Denied::Borrow { .. }) => panic!("nothing is leased"),
                Err(Denied::Refused(refused)) => {
                    assert!(!alone);
                    assert_eq!(levels.states(), before, "{refused}");
                    if let Wait::Ns(wait_ns) = refused.wait {
                        let _ = levels.group().take(asked, now_ns + wait_ns - 1).expect_err("too early");
                        // When it is over, all that still refuses is what no clock can tell.
                        let then = levels.clone().group().take(asked, now_ns + wait_ns);
                        let release =
                            |denied: Denied| matches!(denied, Denied::Refused(still) if still.wait == Wait::Release);
                        assert!(then.err().is_none_or(release));
                    }
                }
            }
            while random.below(2) == 0 && !running.is_empty() {
                let taken = running.swap_remove(random.below(running.len() as u64) as usize);
                levels.group().settle(taken, random.below(2000), now_ns);
            }
        }
        for taken in running {
            levels.group().settle(taken, 0, now_ns);
        }
        assert!(levels.states().iter().all(|state| state.permits.taken() == 0));
    });
}

fn admits(limits: &Limits, state: &State, asked: u64, now_ns: u64) -> bool {
    let State { requests: Part::Own(mut requests), tokens: Part::Own(mut tokens), mut burst, mut permits } =
        state.clone()
    else {
        panic!("nothing is leased");
    };
    limits.requests.is_none_or(|rate| requests.take(rate, now_ns).is_ok())
        && limits.tokens.is_none_or(|rate| tokens.take(rate, asked, now_ns).is_ok())
        && limits.burst.is_none_or(|guard| burst.take(guard, now_ns).is_ok())
        && limits.concurrency.is_none_or(|max| permits.take(max).is_ok())
}

#[test]
fn a_shared_limit_borrows_only_where_nothing_refuses() {
    let limits = Limits { concurrency: Some(1), tokens: Some(Rate::minute(1000)), ..requests(Rate::minute(60)) };
    let mut levels = Levels::new(&[(Scope::Account, limits)]);
    levels.0[0].2 = State::leased();
    let mut rows = [(Kind::Requests, Shared::default()), (Kind::Tokens, Shared::default())];
    for (kind, row) in &mut rows {
        let units = if *kind == Kind::Requests { 1 } else { 700 };
        let denied = levels.group().take(700, SECOND).expect_err("it has to borrow");
        assert_eq!(denied, Denied::Borrow { scope: Scope::Account, kind: *kind, units });
        let rate = if *kind == Kind::Requests { Rate::minute(60) } else { Rate::minute(1000) };
        let lease = levels.0[0].2.lease(*kind).expect("it is leased");
        let trade = lease.trade(rate, units, SECOND).expect("no trade runs");
        lease.receive(rate, &trade, &row.trade(rate, &trade, SECOND), SECOND);
    }
    let taken = levels.take(700, SECOND);
    let figures = levels.group().figures(SECOND);
    assert_eq!(figures.requests.map(|figure| (figure.remaining, figure.reset_ms)), Some((59, 1000)));
    assert_eq!(figures.tokens.map(|figure| (figure.limit, figure.remaining)), Some((1000, 300)));
    assert_eq!(levels.refused(1, SECOND).kind, Kind::Concurrency);
    levels.group().settle(taken, 900, SECOND);
    let denied = levels.group().take(1, SECOND).expect_err("it has to borrow");
    assert_eq!(denied.to_string(), "the account's lease of requests per minute has less than 1");
    let trade = levels.0[0].2.lease(Kind::Tokens).expect("it is leased").trade(Rate::minute(1000), 1, SECOND);
    assert_eq!(trade.map(|trade| trade.debt), Some(200));
}
