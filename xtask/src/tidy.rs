//! `cargo xtask tidy`: a gauge to look at once a week, not a gate.

use std::fs;

use crate::run;

/// Prints the largest files, the median and the number of suppressed lints.
pub(crate) fn print() -> Result<(), String> {
    let mut sizes = Vec::new();
    let mut suppressed = 0;
    for path in run::tracked()?.into_iter().filter(|p| p.ends_with(".rs")) {
        let text = fs::read_to_string(run::root().join(&path)).map_err(|e| format!("{path}: {e}"))?;
        suppressed += text.matches("#[expect(").count() + text.matches("#![expect(").count();
        sizes.push((text.lines().count(), path));
    }
    sizes.sort_by(|a, b| b.cmp(a));
    println!("files {}, median lines {}", sizes.len(), sizes.get(sizes.len() / 2).map_or(0, |s| s.0));
    println!("suppressed lints {suppressed}");
    for (lines, path) in sizes.iter().take(12) {
        println!("{lines:>6}  {path}");
    }
    Ok(())
}
