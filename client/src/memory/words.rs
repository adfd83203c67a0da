//! Vectors of words, made here: no model, no network, the same everywhere.

use std::collections::HashMap;

use futures_util::future::BoxFuture;

use super::{Embedder, Wanted};
use crate::Result;

const DIMENSIONS: usize = 1024;
/// What words that say little count, beside 1.
const LITTLE: f32 = 0.1;
/// What the beginning of a longer word counts, so that its forms are near each other.
const BEGINNING: f32 = 0.5;
/// What a Chinese character alone counts; two in a row are nearly a word.
const ALONE: f32 = 0.3;
const BEGINNING_CHARS: usize = 4;

/// In order, to be searched.
const SAY_LITTLE: [&str; 64] = [
    "a", "about", "am", "an", "and", "are", "as", "at", "be", "but", "by", "can", "did", "do", "does", "for", "from",
    "had", "has", "have", "he", "how", "i", "if", "in", "is", "it", "its", "me", "my", "no", "not", "of", "on", "or",
    "our", "please", "she", "so", "tell", "that", "the", "their", "them", "then", "there", "they", "this", "to", "was",
    "we", "were", "what", "when", "where", "which", "who", "will", "with", "would", "you", "your", "yours", "yes",
];
const HAN_SAY_LITTLE: &str = "的了是我你他她它们在有和不也就都吗呢吧啊什么这那个一请问会把被与及或很";

/// An [`Embedder`] without a model: a text is near another where they share words, or pairs of Chinese characters.
/// It does not know that two words mean the same. For tests, and where nothing else is at hand.
///
/// # Example
/// ```
/// use qwenda::memory::WordVectors;
///
/// let vectors = WordVectors::new();
/// let near = |a: &str, b: &str| -> f32 {
///     vectors.vector(a).iter().zip(vectors.vector(b)).map(|(a, b)| a * b).sum()
/// };
/// assert!(near("My order is 8123.", "Where is my order?") > near("My order is 8123.", "The sky is blue."));
/// assert!(near("我的订单号是 8123。", "订单号是多少？") > near("我的订单号是 8123。", "今天天气很好。"));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WordVectors;

impl WordVectors {
    /// The only one there is.
    pub fn new() -> Self {
        Self
    }

    /// The vector of a text, of length 1; of nothing but zeros if it has no word.
    pub fn vector(&self, text: &str) -> Vec<f32> {
        let mut counts: HashMap<u64, (f32, f32)> = HashMap::new();
        words(text, &mut |word, weight| {
            let count = counts.entry(hash(word)).or_insert((0.0, weight));
            count.0 += 1.0;
        });
        // In one order, so that the sums are the same every time.
        let mut counts: Vec<(u64, (f32, f32))> = counts.into_iter().collect();
        counts.sort_by_key(|(hash, _)| *hash);
        let mut vector = vec![0.0; DIMENSIONS];
        for (hash, (count, weight)) in counts {
            let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
            vector[(hash % DIMENSIONS as u64) as usize] += sign * weight * count.sqrt();
        }
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|number| *number /= length);
        }
        vector
    }
}

impl Embedder for WordVectors {
    fn space(&self) -> String {
        format!("words-1-{DIMENSIONS}")
    }

    fn embed(&self, texts: Vec<String>, _: Wanted) -> BoxFuture<'static, Result<Vec<Vec<f32>>>> {
        Box::pin(super::blocking(move || Ok(texts.iter().map(|text| Self.vector(text)).collect())))
    }
}

/// Tells every word of a text, and what it counts.
fn words(text: &str, tell: &mut dyn FnMut(&str, f32)) {
    let mut word = String::new();
    let mut before: Option<char> = None;
    let lower = text.chars().flat_map(char::to_lowercase);
    for character in lower.chain(['\n']) {
        let han = is_han(character);
        if character.is_alphanumeric() && !han {
            word.push(character);
        } else if !word.is_empty() {
            latin(&word, tell);
            word.clear();
        }
        if han {
            let alone = if HAN_SAY_LITTLE.contains(character) { LITTLE * ALONE } else { ALONE };
            tell(&character.to_string(), alone);
            if let Some(before) = before {
                let little = HAN_SAY_LITTLE.contains(before) || HAN_SAY_LITTLE.contains(character);
                tell(&format!("{before}{character}"), if little { LITTLE } else { 1.0 });
            }
        }
        before = han.then_some(character);
    }
}

fn latin(word: &str, tell: &mut dyn FnMut(&str, f32)) {
    let little = SAY_LITTLE.contains(&word);
    tell(word, if little { LITTLE } else { 1.0 });
    if !little && word.chars().count() >= BEGINNING_CHARS {
        let beginning: String = word.chars().take(BEGINNING_CHARS).collect();
        tell(&format!("{beginning}…"), BEGINNING);
    }
}

fn is_han(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// FNV-1a, mixed once more.
fn hash(word: &str) -> u64 {
    let hash = word
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_same_words_are_nearer_than_others() {
        let vectors = WordVectors::new();
        let near =
            |a: &str, b: &str| -> f32 { vectors.vector(a).iter().zip(vectors.vector(b)).map(|(a, b)| a * b).sum() };
        for (question, right, wrong) in [
            ("What is my dog's name?", "My dog is called Rex; that is his name.", "What is the weather today?"),
            ("which towns did we choose", "The town we have chosen is Hangzhou", "which day did we meet"),
            ("我的生日是哪天？", "我的生日是五月三日。", "你的名字是什么？"),
            ("订单 8123 在哪里", "订单 8123 已经发货", "订单的价格是多少"),
        ] {
            let (right, wrong) = (near(question, right), near(question, wrong));
            assert!(right > wrong, "{question}: {right} and {wrong}");
        }
        assert!((near("same words", "Same, words!") - 1.0).abs() < 1e-5);
        assert!(vectors.vector("… !?").iter().all(|number| *number == 0.0));
    }
}
