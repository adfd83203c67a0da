//! Which models answer, and which names are near a wrong one.

use qwenda_backend::ModelCard;
use qwenda_types::error::{ApiError, Code};

const NEAR_COUNT_MAX: usize = 5;
// Distances are worth computing for names a person may have typed.
const NAME_CHARS_MAX: usize = 100;

/// The model of this name.
pub(crate) fn find(models: Vec<ModelCard>, name: &str) -> Result<ModelCard, ApiError> {
    if let Some(at) = models.iter().position(|card| card.id == name) {
        return Ok(models.into_iter().nth(at).expect("`at` is a place in it"));
    }
    let names: Vec<&str> = models.iter().map(|card| card.id.as_str()).collect();
    Err(unknown(name, &near(name, &names)))
}

/// There is no model of this name, but there are these.
pub(crate) fn unknown<S: AsRef<str>>(name: &str, near: &[S]) -> ApiError {
    let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
    let near: Vec<String> = near.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    let hint = match near.as_slice() {
        [] => String::new(),
        [only] => format!(" Did you mean {only}?"),
        several => format!(" Did you mean one of {}?", several.join(", ")),
    };
    ApiError::of(Code::ModelNotFound)
        .say(format!("The model `{shown}` does not exist or you do not have access to it.{hint}"))
}

fn near<'a>(name: &str, names: &[&'a str]) -> Vec<&'a str> {
    let mut ranked: Vec<(isize, &str)> = names.iter().map(|known| (distance(name, known), *known)).collect();
    ranked.sort_by_key(|(distance, _)| *distance);
    ranked.into_iter().take(NEAR_COUNT_MAX).map(|(_, known)| known).collect()
}

/// Edits from one name to the other, less what they begin with in common; case does not count. A
/// name cut short is so nearer than another of equal length.
fn distance(a: &str, b: &str) -> isize {
    let fold = |text: &str| -> Vec<char> { text.chars().take(NAME_CHARS_MAX).flat_map(char::to_lowercase).collect() };
    let (a, b) = (fold(a), fold(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    let common = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    2 * row[b.len()] as isize - common as isize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["llama-3", "qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-0.5b-instruct", "qwen3-8b"];
        for (name, first) in [
            ("qwen2.5-coder-1.5b", "qwen2.5-coder-1.5b-instruct"),
            ("Qwen2.5-Coder-0.5B-Instruct", "qwen2.5-coder-0.5b-instruct"),
            ("qwen3_8b", "qwen3-8b"),
            ("lama-3", "llama-3"),
        ] {
            assert_eq!(near(name, &names)[0], first, "{name}");
        }
        assert!(near("x", &[]).is_empty());
    }

    #[test]
    fn an_unknown_model_is_answered_with_names_that_are_known() {
        let error = unknown("gpt", &["a", "b"]);
        assert_eq!(error.status(), 404);
        assert_eq!(
            error.message(),
            "The model `gpt` does not exist or you do not have access to it. Did you mean one of `a`, `b`?"
        );
        assert!(unknown(&"x".repeat(5000), &["a"]).message().len() < 300);
    }
}
