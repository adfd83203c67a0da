//! Names most like a mistyped one.

/// The names among `known` that a person who typed `typed` may have meant, nearest first, at most three.
pub fn near<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    // Names that a person types are short; what a program sends may be anything.
    const CHARS_MAX: usize = 100;
    let typed: String = typed.chars().take(CHARS_MAX).collect::<String>().to_lowercase();
    let length = typed.chars().count();
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let distance = edit_distance(&typed, &lower);
            // Either few letters differ, or what was typed is a piece of the name.
            let piece = length >= 2 && (lower.contains(&typed) || typed.contains(&lower));
            (piece || distance <= 2.max(length / 3)).then_some((if piece { 0 } else { distance }, name))
        })
        .collect();
    found.sort();
    found.dedup_by(|a, b| a.1 == b.1);
    found.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-0.5b-instruct", "qwen3-8b"];

    #[test]
    fn a_mistyped_name_finds_the_one_that_was_meant() {
        for (typed, first) in [
            ("qwen2.5-coder-1.5b-instuct", Some("qwen2.5-coder-1.5b-instruct")),
            ("QWEN2.5-CODER-0.5B-INSTRUCT ", Some("qwen2.5-coder-0.5b-instruct")),
            ("qwen3-b8", Some("qwen3-8b")),
            ("coder-0.5b", Some("qwen2.5-coder-0.5b-instruct")),
            ("llama", None),
            ("", None),
        ] {
            assert_eq!(near(typed, KNOWN).first().map(String::as_str), first, "{typed:?}");
        }
    }

    #[test]
    fn distances_count_swaps_once() {
        for (a, b, want) in [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3), ("模型", "模形", 1)]
        {
            assert_eq!(edit_distance(a, b), want, "{a} {b}");
            assert_eq!(edit_distance(b, a), want, "{b} {a}");
        }
    }
}
