//! A mutator that keeps JSON well-formed, so that what comes after the parser is tested too.

use serde_json::{Value, json};

use crate::rng::Rng;

/// A mutant of `sample`, which is JSON still. It depends on the seed, the round and the sample alone.
pub fn json_mutant(seed: u64, round: u64, sample: &Value) -> Value {
    let mut rng = Rng::round(seed, round);
    let mut value = sample.clone();
    // Mostly one change, so that what stands beside it stays right.
    for _ in 0..1 + rng.below(3) * rng.below(2) {
        change(&mut value, &mut rng);
    }
    value
}

fn change(root: &mut Value, rng: &mut Rng) {
    let mut places = Vec::new();
    pointers(root, String::new(), &mut places);
    let place = rng.pick(&places).clone();
    let other = root.pointer(rng.pick::<String>(&places)).cloned().unwrap_or_default();
    match rng.below(8) {
        0 => remove(root, &place),
        1 => rename(root, &place, rng),
        2 => put(root, &place, other),
        3 => put(root, &place, Value::Null),
        4 => {
            let inner = root.pointer(&place).cloned().unwrap_or_default();
            put(root, &place, wrapped(inner, rng));
        }
        5 => {
            let inner = root.pointer(&place).cloned().unwrap_or_default();
            put(root, &place, varied(inner, rng));
        }
        _ => put(root, &place, odd(rng)),
    }
}

/// The places of a value and of everything in it, as JSON pointers.
fn pointers(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(inner, format!("{place}/{name}"), places);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                pointers(inner, format!("{place}/{index}"), places);
            }
        }
        _ => {}
    }
    places.push(place);
}

fn put(root: &mut Value, place: &str, value: Value) {
    if let Some(slot) = root.pointer_mut(place) {
        *slot = value;
    }
}

/// The container of a place, and the name or index in it.
fn parent<'a>(root: &'a mut Value, place: &str) -> Option<(&'a mut Value, String)> {
    let (parent, name) = place.rsplit_once('/')?;
    Some((root.pointer_mut(parent)?, name.replace("~1", "/").replace("~0", "~")))
}

fn remove(root: &mut Value, place: &str) {
    match parent(root, place) {
        Some((Value::Object(map), name)) => drop(map.remove(&name)),
        Some((Value::Array(list), index)) => {
            let index = index.parse().unwrap_or(usize::MAX);
            if index < list.len() {
                list.remove(index);
            }
        }
        _ => *root = json!({}),
    }
}

/// Moves a member under a name like its own, or says an element twice.
fn rename(root: &mut Value, place: &str, rng: &mut Rng) {
    const ENDINGS: [&str; 6] = ["s", "_", "X", "\0", "\u{feff}", "字"];
    match parent(root, place) {
        Some((Value::Object(map), name)) => {
            let value = map.remove(&name).unwrap_or_default();
            map.insert(name + rng.pick::<&str>(&ENDINGS), value);
        }
        Some((Value::Array(list), index)) => {
            let index = index.parse().unwrap_or(usize::MAX);
            let twice = list.get(index).cloned().unwrap_or_default();
            for _ in 0..rng.below(40) {
                list.push(twice.clone());
            }
        }
        _ => {}
    }
}

fn wrapped(value: Value, rng: &mut Rng) -> Value {
    match rng.below(4) {
        0 => json!([value]),
        1 => json!({"type": value}),
        2 => Value::String(value.to_string()),
        _ => (0..100).fold(value, |inner, _| json!([inner])),
    }
}

/// A value of the same type.
fn varied(value: Value, rng: &mut Rng) -> Value {
    const TEXTS: [&str; 12] = [
        "",
        " ",
        "\0",
        "<|im_start|>",
        "<|im_end|>\n<|im_start|>system\n",
        "<tool_call>",
        "</think>",
        "{{ 7 * 7 }}{% for x in y %}",
        "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f466}",
        "e\u{301}\u{202e}",
        "data:image/png;base64,AAAA",
        "\u{10ffff}\u{fffe}",
    ];
    match value {
        Value::String(text) => match rng.below(4) {
            0 => text.repeat(1 + rng.below(200)).into(),
            1 => (text + rng.pick::<&str>(&TEXTS)).into(),
            _ => (*rng.pick::<&str>(&TEXTS)).into(),
        },
        Value::Number(number) => number_like(number.as_f64().unwrap_or_default(), rng),
        Value::Bool(yes) => (!yes).into(),
        Value::Array(mut list) => {
            list.reverse();
            list.into()
        }
        other => other,
    }
}

fn number_like(number: f64, rng: &mut Rng) -> Value {
    match rng.below(6) {
        0 => json!(-number),
        1 => json!(number + 1.0),
        2 => json!(number as i64),
        3 => json!(number * 1e300),
        4 => json!(number * 1e-300),
        _ => json!(number.to_string()),
    }
}

fn odd(rng: &mut Rng) -> Value {
    match rng.below(16) {
        0 => json!(true),
        1 => json!(false),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(1e308),
        5 => json!(-0.0),
        6 => json!(u64::MAX),
        7 => json!(i64::MIN),
        8 => json!(u64::from(u32::MAX)),
        9 => json!(1.5),
        10 => json!(""),
        11 => json!("x"),
        12 => json!([]),
        13 => json!({}),
        14 => json!([null]),
        _ => json!({"": {"": null}}),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_mutant_depends_on_seed_and_round_alone_and_differs_mostly() {
        let sample = json!({"a/b": [1, {"c~d": "e"}], "f": null, "g": [true, 2.5]});
        let mutants = |seed| (0..200).map(|round| json_mutant(seed, round, &sample).to_string()).collect::<Vec<_>>();
        assert_eq!(mutants(7), mutants(7));
        assert_ne!(mutants(7), mutants(8));
        let distinct: HashSet<_> = mutants(7).into_iter().collect();
        assert!(distinct.len() > 100, "only {} of 200 mutants differ", distinct.len());
    }

    #[test]
    fn every_place_can_be_reached() {
        let sample = json!({"a/b": [1, {"c~d": "e"}]});
        let mut places = Vec::new();
        pointers(&sample, String::new(), &mut places);
        assert_eq!(places.len(), 5);
        assert!(places.iter().all(|place| sample.pointer(place).is_some()), "{places:?}");
    }
}
