//! What callers saw, what the upstream sent and what the books say, held against each other.

use std::collections::{BTreeMap, HashMap};

use qwenda_server::accounts::{Audit, PaidRequest, Wanted};

use crate::{
    caller::Caller,
    home::{Home, INPUT_NANOS, OUTPUT_NANOS},
    upstream::Upstream,
    wire::Counted,
};

/// What the books may hold a request for without hearing of it.
const HOLD_SECONDS: i64 = 60;

/// Every request in the books, by its id.
pub fn requests(home: &Home) -> BTreeMap<String, PaidRequest> {
    let all = Wanted { from: i64::MIN, until: i64::MAX, limit: i64::MAX, ..Wanted::default() };
    let requests = home.books(async |accounts| accounts.requests(&all).await.unwrap());
    requests.into_iter().map(|paid| (paid.line.id.clone(), paid)).collect()
}

pub fn audit(home: &Home) -> Audit {
    let (audit, wrong) = home.books(async |accounts| accounts.audit().await.unwrap());
    assert_eq!((&audit.difference, wrong), (&None, None));
    audit
}

/// The operator's own audit finds nothing.
pub fn adds_up(home: &Home) {
    let audit = home.json("audit");
    assert!(audit["difference"].is_null(), "{audit}");
}

/// Every answer that somebody saw finished is charged once and as it said; nothing is charged that was not sent.
///
/// `stays`: whether the database was there all the time, so that an answer is made once in each life of the service.
pub fn charged_once(home: &Home, upstream: &Upstream, callers: &[Caller], keys: &HashMap<String, u64>, stays: bool) {
    adds_up(home);
    let paid = requests(home);
    for (id, (mark, counted)) in callers.iter().flat_map(|caller| &caller.seen.finished) {
        let paid = paid.get(id).unwrap_or_else(|| panic!("{id} of {mark:?} was answered and is not charged"));
        assert_eq!(used(paid), *counted, "{id} of {mark:?} is charged for something else");
        assert_eq!((keys[&paid.line.key_id], counted.input), *mark, "{id} is charged to somebody else");
    }
    let sent = upstream.sent();
    let mut by_mark: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for (id, paid) in &paid {
        let Counted { input, output } = used(paid);
        if paid.covered.is_empty() {
            let nanos = input as i64 * INPUT_NANOS + output as i64 * OUTPUT_NANOS;
            assert_eq!(paid.charge.get(), nanos, "{id}: {paid:?}");
        }
        match (input, output) {
            // Left, or failed, before anything was made.
            (0, 0) => assert_eq!(paid.charge.get(), 0, "{id}: {paid:?}"),
            _ => by_mark.entry((keys[&paid.line.key_id], input)).or_default().push(output),
        }
    }
    for (mark, mut paid) in by_mark {
        let mut sent = sent.get(&mark).cloned().unwrap_or_default();
        if stays {
            let lives = callers[mark.0 as usize].seen.lives[&mark];
            assert!(sent.len() <= lives as usize, "{mark:?} was made {} times in {lives} lives", sent.len());
        }
        paid.sort_unstable_by(|a, b| b.cmp(a));
        sent.sort_unstable_by(|a, b| b.cmp(a));
        let fits = paid.len() <= sent.len() && paid.iter().zip(&sent).all(|(paid, sent)| paid <= sent);
        assert!(fits, "{mark:?} is charged {paid:?}, the upstream has sent {sent:?}");
    }
}

/// Who left a service that went on living pays for what had come by then.
pub fn left_is_paid(home: &Home, callers: &[Caller]) {
    let paid = requests(home);
    for (id, words) in callers.iter().flat_map(|caller| &caller.seen.left) {
        let paid = paid.get(id).unwrap_or_else(|| panic!("{id} was left and is not in the books"));
        assert!(used(paid).output >= *words, "{id} had {words} events and pays for {:?}", paid.line.usage);
    }
}

/// Once the time of what nobody keeps is over, nothing is held.
pub fn nothing_stays_held(home: &Home) {
    home.store(async |store| {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        store.expire(i64::try_from(now).unwrap() + HOLD_SECONDS).await.unwrap();
        for account in store.account_list().await.unwrap() {
            for bucket in store.buckets(&account.id).await.unwrap() {
                assert_eq!(bucket.pending, 0, "{bucket:?}");
            }
        }
    });
    let audit = audit(home);
    assert_eq!(audit.open_holds, 0, "{audit:?}");
}

fn used(paid: &PaidRequest) -> Counted {
    Counted { input: paid.line.usage.input_tokens, output: paid.line.usage.output_tokens }
}
