use std::time::SystemTime;

use super::*;
use crate::transport::{Body, Response};

fn failed(kind: Kind, replay: Replay, attempts: u32) -> Failed {
    Failed { kind, replay, asked: None, attempts, elapsed: Duration::ZERO, replays: false }
}

#[test]
fn pauses_double_and_are_drawn_from_all_that_is_below() {
    let retry = Retry { attempts_max: 20, ..Retry::default() };
    for (kind, attempts, most_ms) in [
        (Kind::Connect, 1, 500),
        (Kind::Connect, 2, 1000),
        (Kind::Connect, 4, 4000),
        (Kind::Connect, 19, 30_000),
        (Kind::Throttled(Throttle::Tokens), 1, 2000),
        (Kind::Throttled(Throttle::Overloaded), 1, 1000),
    ] {
        let most = Duration::from_millis(most_ms);
        let spread = most.as_nanos() as u64;
        assert_eq!(retry.pause(&failed(kind, Replay::Safe, attempts), 0), Some(Duration::ZERO));
        assert_eq!(retry.pause(&failed(kind, Replay::Safe, attempts), spread), Some(most), "{kind:?} {attempts}");
        assert_eq!(retry.pause(&failed(kind, Replay::Safe, attempts), spread + 1), Some(Duration::ZERO));
    }
}

#[test]
fn what_may_have_been_carried_out_is_sent_again_only_where_that_is_safe() {
    for (unknown, replays, again) in [
        (Unknown::Fail, true, false),
        (Unknown::WhenReplayed, false, false),
        (Unknown::WhenReplayed, true, true),
        (Unknown::SendAgain, false, true),
    ] {
        let retry = Retry { unknown, ..Retry::default() };
        let lost = Failed { replays, ..failed(Kind::Disconnected, Replay::Unknown, 1) };
        assert_eq!(retry.pause(&lost, 0).is_some(), again, "{unknown:?} {replays}");
        let refused = Failed { replays, ..failed(Kind::Refused, Replay::Never, 1) };
        assert_eq!(retry.pause(&refused, 0), None);
    }
}

#[test]
fn attempts_time_and_what_is_asked_for_have_bounds() {
    let retry = Retry::default();
    assert!(retry.pause(&failed(Kind::Connect, Replay::Safe, 3), 0).is_some());
    assert_eq!(retry.pause(&failed(Kind::Connect, Replay::Safe, 4), 0), None);
    assert_eq!(Retry::none().pause(&failed(Kind::Connect, Replay::Safe, 1), 0), None);
    let late = Failed { elapsed: Duration::from_secs(91), ..failed(Kind::Connect, Replay::Safe, 1) };
    assert_eq!(retry.pause(&late, 0), None);
    for (seconds, want) in [(7, Some(7)), (90, Some(90)), (91, None), (121, None)] {
        let asked = Some(Duration::from_secs(seconds));
        let asked = Failed { asked, ..failed(Kind::Throttled(Throttle::Tokens), Replay::Safe, 1) };
        assert_eq!(retry.pause(&asked, 0), want.map(Duration::from_secs), "{seconds}");
    }
}

#[test]
fn a_wait_is_read_in_all_its_forms() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_792_567_680); // Wed, 21 Oct 2026 07:28:00 GMT
    for (headers, want_ms) in [
        (&[("retry-after-ms", "1"), ("retry-after", "7")][..], Some(1)),
        (&[("retry-after", "7")], Some(7000)),
        (&[("retry-after", " 0.5 ")], Some(500)),
        (&[("retry-after-ms", "x"), ("retry-after", "2")], Some(2000)),
        (&[("retry-after", "-1")], None),
        (&[("retry-after", "NaN")], None),
        (&[("retry-after", "soon")], None),
        (&[("retry-after", "1e300")], Some(86_400_000)),
        (&[("retry-after", "Wed, 21 Oct 2026 07:28:09 GMT")], Some(9000)),
        (&[("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT")], Some(0)),
        (&[("retry-after", "Wed, 21 Oct 2026 09:00:03 GMT"), ("date", "Wed, 21 Oct 2026 09:00:00 GMT")], Some(3000)),
        (&[], None),
    ] {
        let owned = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let response = Response::new(429, owned, Body::whole(""));
        assert_eq!(asked(&response, now), want_ms.map(Duration::from_millis), "{headers:?}");
    }
}

#[test]
fn an_allowance_ends_and_comes_back_with_what_succeeds() {
    let allowance = Allowance::new(2);
    assert!(allowance.spend() && allowance.spend() && !allowance.spend());
    for _ in 0..9 {
        allowance.earn();
    }
    assert!(!allowance.spend());
    allowance.earn();
    assert!(allowance.spend());
    for _ in 0..1000 {
        allowance.earn();
    }
    assert!(allowance.spend() && allowance.spend() && !allowance.spend());
}
