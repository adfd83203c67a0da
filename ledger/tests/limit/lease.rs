//! What becomes of borrowed blocks.

use qwenda_ledger::limit::{EPOCH_NS, Grant, LEASE_NS, Lease, Rate, Shared, Short, Trade, Wait};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
const RATE: Rate = Rate::minute(600);

/// A trade for `need` units and more, at one time on both clocks.
fn trade(row: &mut Shared, lease: &mut Lease, need: u64, now_ns: u64) -> Grant {
    let trade = lease.trade(RATE, need, now_ns).expect("no trade runs");
    deliver(row, lease, &trade, now_ns)
}

fn deliver(row: &mut Shared, lease: &mut Lease, trade: &Trade, now_ns: u64) -> Grant {
    let grant = row.trade(RATE, trade, now_ns);
    lease.receive(RATE, trade, &grant, now_ns);
    grant
}

fn take(lease: &mut Lease, units: u64, now_ns: u64) -> Result<(), Short> {
    lease.take(RATE, units, now_ns).map(|taken| lease.settle(taken, units))
}

/// A lease with a block of more than one unit: the second trade knows how much was used.
fn with_block(row: &mut Shared, now_ns: u64) -> Lease {
    let mut lease = Lease::default();
    for _ in 0..4 {
        let need = lease.left() + 1;
        trade(row, &mut lease, need, now_ns);
        while take(&mut lease, 1, now_ns).is_ok() {}
    }
    trade(row, &mut lease, 1, now_ns);
    assert!(lease.left() > 8, "{}", lease.left());
    lease
}

#[test]
fn a_block_is_used_until_its_time_is_over() {
    let mut row = Shared::default();
    let lease = with_block(&mut row, 10 * SECOND);
    assert_eq!(take(&mut lease.clone(), 1, 10 * SECOND + LEASE_NS - 1), Ok(()));
    assert_eq!(take(&mut lease.clone(), 1, 10 * SECOND + LEASE_NS), Err(Short::Borrow));
}

#[test]
fn a_timer_gives_back_what_is_idle_and_the_row_has_it_at_once() {
    let mut row = Shared::default();
    let mut lease = with_block(&mut row, 10 * SECOND);
    let (left, before) = (lease.left(), row.room(RATE, 12 * SECOND));
    assert_eq!(lease.tick(RATE, 10 * SECOND + 999 * MS), None);
    let tick = lease.tick(RATE, 12 * SECOND).expect("it is due");
    assert_eq!((tick.used, tick.kept, tick.need, tick.extra), (0, 0, 0, 0));
    deliver(&mut row, &mut lease, &tick, 12 * SECOND);
    assert_eq!((row.room(RATE, 12 * SECOND) - before, lease.left(), row.lent), (left, 0, [0, 0]));
    assert_eq!(lease.tick(RATE, 20 * SECOND), None);
}

#[test]
fn a_timer_renews_what_is_in_use() {
    let mut row = Shared::default();
    let mut lease = with_block(&mut row, 10 * SECOND);
    for second in 11..60 {
        for tenth in 0..10 {
            let now_ns = second * SECOND + tenth * 100 * MS;
            if let Some(tick) = lease.tick(RATE, now_ns) {
                deliver(&mut row, &mut lease, &tick, now_ns);
            }
            if take(&mut lease, 1, now_ns).is_err() {
                trade(&mut row, &mut lease, 1, now_ns);
                assert_eq!(take(&mut lease, 1, now_ns), Ok(()), "{second}.{tenth}");
            }
        }
    }
    let about_a_second = 5..=20;
    assert!(about_a_second.contains(&(row.lent[0] + row.lent[1])), "{row:?}");
}

#[test]
fn what_a_crashed_replica_had_stays_owed_for_two_stretches_and_then_flows_back() {
    let (mut row, start) = (Shared::default(), 10 * EPOCH_NS);
    let _crashed = with_block(&mut row, start);
    let lent = row.lent[0];
    let idle = Lease::default().trade(RATE, 0, 0).expect("no trade runs");
    let after = |stretches| {
        let (mut row, now_ns) = (row, start + stretches * EPOCH_NS);
        row.trade(RATE, &idle, now_ns);
        (row.lent[0] + row.lent[1], row.room(RATE, now_ns))
    };
    assert_eq!(after(1).0, lent);
    assert!(after(1).1 <= 600 - lent);
    assert_eq!(after(2), (0, 600 - lent));
    assert_eq!(after(17), (0, 600));
}

#[test]
fn a_trade_that_was_lost_gives_the_block_up_and_keeps_the_debt() {
    let mut row = Shared::default();
    let mut lease = with_block(&mut row, 10 * SECOND);
    let taken = lease.take(RATE, 2, 10 * SECOND).expect("there are more");
    lease.settle(taken, 50);
    let sent = lease.tick(RATE, 12 * SECOND).expect("it is due");
    assert_eq!(sent.debt, 48);
    lease.lost(&sent);
    assert_eq!(take(&mut lease, 1, 12 * SECOND), Err(Short::Borrow));
    let again = lease.trade(RATE, 1, 12 * SECOND).expect("no trade runs");
    assert_eq!((again.lent, again.used, again.kept, again.debt), (0, 0, 0, 48));
}

#[test]
fn one_trade_runs_at_a_time_and_what_is_kept_is_used_meanwhile() {
    let mut row = Shared::default();
    let mut lease = with_block(&mut row, 10 * SECOND);
    assert_eq!(take(&mut lease, 5, 11 * SECOND), Ok(()));
    let sent = lease.tick(RATE, 11 * SECOND).expect("it is due");
    assert!(lease.tick(RATE, 12 * SECOND).is_none() && lease.trade(RATE, 1, 12 * SECOND).is_none());
    assert_eq!(take(&mut lease, 2, 12 * SECOND), Ok(()));
    deliver(&mut row, &mut lease, &sent, 12 * SECOND);
    let next = lease.trade(RATE, 1, 12 * SECOND).expect("no trade runs");
    assert_eq!((next.lent, next.used + next.kept), (row.lent[0] + row.lent[1], next.lent));
    assert_eq!(next.used, 2);
}

#[test]
fn times_out_of_order_count_as_the_latest_and_a_clock_that_goes_back_loses_the_block() {
    let mut row = Shared::default();
    let mut lease = with_block(&mut row, 10 * SECOND);
    assert_eq!(take(&mut lease, 1, 10 * SECOND - 200 * MS), Ok(()));
    assert_eq!(take(&mut lease, 1, 12 * SECOND), Ok(()));
    assert_eq!(take(&mut lease, 1, 11 * SECOND), Err(Short::Borrow));
    assert_eq!(take(&mut lease, 1, 12 * SECOND), Err(Short::Borrow));
    trade(&mut row, &mut lease, 1, 5 * SECOND);
    assert_eq!(take(&mut lease, 1, 5 * SECOND), Ok(()));

    let sent = lease.trade(RATE, 10, 5 * SECOND).expect("no trade runs");
    deliver(&mut row, &mut lease, &sent, SECOND);
    assert_eq!(take(&mut lease, 1, SECOND), Err(Short::Borrow));
}

#[test]
fn a_row_whose_clock_goes_back_stands_still() {
    let (mut row, now_ns) = (Shared::default(), 100 * SECOND);
    let mut lease = Lease::default();
    trade(&mut row, &mut lease, 600, now_ns);
    let taken = lease.take(RATE, 600, now_ns).expect("it was lent");
    let mut other = Lease::default();
    let need = Trade { need: 100, extra: 0, ..other.trade(RATE, 100, 0).expect("no trade runs") };
    let grant = row.trade(RATE, &need, 40 * SECOND);
    assert_eq!((grant.lent, grant.refused), (0, Some(Wait::Ns(70 * SECOND))));
    // At its latest time all has flowed back; a refund finds nothing owed, whatever the clock says.
    row.trade(RATE, &Trade { need: 0, lent: 600, used: 600, ..need.clone() }, 170 * SECOND);
    lease.settle(taken, 0);
    let refund = Trade { extra: 0, ..lease.trade(RATE, 0, now_ns).expect("no trade runs") };
    row.trade(RATE, &refund, 40 * SECOND);
    assert_eq!((row.room(RATE, 40 * SECOND), row.room(RATE, 170 * SECOND)), (600, 600));
    assert_eq!(row.trade(RATE, &Trade { need: 600, ..need.clone() }, 40 * SECOND).lent, 600);
    assert_eq!(row.trade(RATE, &Trade { need: 1, ..need }, 170 * SECOND).lent, 0);
}

#[test]
fn an_empty_row_tells_the_wait_and_is_not_asked_again_for_each_request() {
    let (mut row, now_ns) = (Shared::default(), 100 * SECOND);
    let (mut a, mut b) = (Lease::default(), Lease::default());
    trade(&mut row, &mut a, 600, now_ns);
    assert_eq!(take(&mut a, 600, now_ns), Ok(()));
    let grant = trade(&mut row, &mut b, 20, now_ns);
    assert_eq!((grant.lent, grant.refused, grant.room), (0, Some(Wait::Ns(2 * SECOND)), 0));
    assert_eq!(take(&mut b, 20, now_ns + 25 * MS), Err(Short::Wait(Wait::Ns(1975 * MS))));
    assert_eq!(take(&mut b, 1, now_ns + 25 * MS), Err(Short::Wait(Wait::Ns(100 * MS))));
    assert_eq!(take(&mut b, 1, now_ns + 125 * MS), Err(Short::Borrow));
    assert_eq!(take(&mut b, 601, now_ns), Err(Short::Wait(Wait::Never)));
}

/// Tells the row what happened and asks for nothing.
fn report(row: &mut Shared, lease: &mut Lease, now_ns: u64) {
    let trade = Trade { extra: 0, ..lease.trade(RATE, 0, now_ns).expect("no trade runs") };
    deliver(row, lease, &trade, now_ns);
}

#[test]
fn a_refund_reaches_the_row_as_far_as_what_was_lent_since_stays_owed() {
    for (after_seconds, others, left) in
        [(0, 0, 600), (20, 0, 600), (20, 200, 400), (60, 0, 600), (60, 200, 400), (60, 500, 100), (60, 600, 0)]
    {
        let (mut row, now_ns) = (Shared::default(), 100 * SECOND);
        let (mut a, mut b) = (Lease::default(), Lease::default());
        trade(&mut row, &mut a, 600, now_ns);
        let taken = a.take(RATE, 600, now_ns).expect("it was lent");
        report(&mut row, &mut a, now_ns);
        // Some or all of it has flowed back when it turns out that none was used.
        let now_ns = now_ns + after_seconds * SECOND;
        trade(&mut row, &mut b, others, now_ns);
        assert!(others == 0 || take(&mut b, others, now_ns).is_ok());
        report(&mut row, &mut b, now_ns);
        a.settle(taken, 0);
        report(&mut row, &mut a, now_ns);
        assert_eq!(row.room(RATE, now_ns), left, "{others} taken by others after {after_seconds} s");
    }
}

#[test]
fn nothing_overflows() {
    for rate in [Rate::minute(0), Rate::minute(1), Rate::smooth(u64::MAX), Rate::strict(u64::MAX)] {
        let (mut row, mut lease) = (Shared::default(), Lease::default());
        for now_ns in [u64::MAX, 0, SECOND, u64::MAX] {
            for (units, used) in [(u64::MAX, 0), (1, u64::MAX), (0, u64::MAX)] {
                if let Some(trade) = lease.trade(rate, units, now_ns) {
                    let grant = row.trade(rate, &trade, now_ns);
                    lease.receive(rate, &trade, &grant, now_ns);
                }
                if let Ok(taken) = lease.take(rate, units, now_ns) {
                    lease.settle(taken, used);
                }
                if let Some(tick) = lease.tick(rate, now_ns) {
                    lease.lost(&tick);
                }
            }
        }
        assert!(row.room(rate, 0) <= rate.burst());
    }
}
