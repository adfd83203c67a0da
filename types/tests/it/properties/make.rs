//! Parts of requests and answers, from a generator.

use qwenda_testkit::rng::Rng;
use serde_json::{Map, Value, json};

/// Texts that formats stumble over.
const TEXTS: [&str; 16] = [
    "",
    "a",
    "Hello",
    " world",
    "你好，",
    "🙂",
    "e\u{301}",
    "\n\n",
    "\r\n",
    "\"\\\u{0}",
    "data: x\n\n",
    "[DONE]",
    "null",
    "<think>",
    "{\"a\": 1}",
    "\u{2028}\u{feff}",
];

/// Whether something is there that is there once in so many times.
pub(super) fn once_in(rng: &mut Rng, times: usize) -> bool {
    rng.below(times) == 0
}

/// A text of a few pieces, sometimes of none.
pub(super) fn text(rng: &mut Rng) -> String {
    (0..rng.below(4)).map(|_| *rng.pick(&TEXTS)).collect()
}

/// As [`text`], but not empty.
pub(super) fn words(rng: &mut Rng) -> String {
    let text = text(rng);
    if text.is_empty() { "x".to_owned() } else { text }
}

/// Any JSON but null, which says what an absent member says.
pub(super) fn value(rng: &mut Rng, depth: usize) -> Value {
    match rng.below(if depth == 0 { 4 } else { 6 }) {
        0 => json!(once_in(rng, 2)),
        1 => json!(rng.next() as i64),
        2 => json!(f64::from(rng.normal())),
        3 => json!(text(rng)),
        4 => (0..rng.below(3)).map(|_| value(rng, depth - 1)).collect(),
        _ => Value::Object((0..rng.below(3)).map(|i| (format!("k{i}{}", text(rng)), value(rng, depth - 1))).collect()),
    }
}

/// Members of names that nobody gave a meaning, now and then.
pub(super) fn unknown(rng: &mut Rng) -> Map<String, Value> {
    let count = if once_in(rng, 4) { 1 + rng.below(2) } else { 0 };
    (0..count).map(|i| (format!("x_{i}"), value(rng, 2))).collect()
}

/// Members of names that mean something in the other dialect only, now and then.
pub(super) fn foreign(rng: &mut Rng, map: &mut Map<String, Value>, names: &[&str]) {
    if once_in(rng, 6) {
        let made = value(rng, 2);
        map.insert((*rng.pick(names)).to_owned(), made);
    }
}

/// A count below this.
pub(super) fn count(rng: &mut Rng, below: usize) -> Value {
    json!(rng.below(below))
}

/// A member, half of the time.
pub(super) fn maybe(rng: &mut Rng, map: &mut Map<String, Value>, name: &str, make: impl FnOnce(&mut Rng) -> Value) {
    if once_in(rng, 3) {
        map.insert(name.to_owned(), make(rng));
    }
}

/// The object of a literal.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

/// Log-probabilities of `count` tokens.
pub(super) fn token_logprobs(rng: &mut Rng, count: usize) -> Vec<Value> {
    let one = |rng: &mut Rng| {
        let token = words(rng);
        let logprob = if once_in(rng, 5) { Value::Null } else { json!(-rng.unit()) };
        json!({"token": token, "bytes": token.as_bytes(), "logprob": logprob})
    };
    let mut token = |_| {
        let mut token = object(one(rng));
        let tops: Vec<Value> = (0..rng.below(3)).map(|_| one(rng)).collect();
        token.insert("top_logprobs".to_owned(), tops.into());
        token.into()
    };
    (0..count).map(&mut token).collect()
}
