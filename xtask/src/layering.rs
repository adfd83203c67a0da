//! The table of ARCHITECTURE.md against the build's own dependency graph.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;

use crate::run;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Fails unless both graphs are equal.
pub(crate) fn check() -> Result<(), String> {
    let page = fs::read_to_string(run::root().join("ARCHITECTURE.md")).map_err(|e| format!("ARCHITECTURE.md: {e}"))?;
    let told = table(&page)?;
    let real = real(&run::output("cargo", &["metadata", "--format-version", "1", "--no-deps"])?)?;
    let mut wrong = Vec::new();
    for name in told.keys().chain(real.keys()).collect::<BTreeSet<_>>() {
        let (told, real) = (told.get(name), real.get(name));
        if told != real {
            wrong.push(format!("`{name}`: the table says {told:?}, the build says {real:?}"));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("ARCHITECTURE.md and the build differ:\n  {}", wrong.join("\n  ")))
    }
}

/// Rows `| crate | imports | …` of the table under the heading "Who may import whom".
fn table(page: &str) -> Result<Graph, String> {
    let (_, rest) =
        page.split_once("## Who may import whom").ok_or("ARCHITECTURE.md has no table `Who may import whom`")?;
    let mut graph = Graph::new();
    for line in rest.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, imports, ..] = cells.as_slice() else {
            return Err(format!("not a row of the table: {line}"));
        };
        let imports = imports.split(',').map(|i| i.trim().trim_matches('`')).filter(|i| !i.is_empty() && *i != "–");
        graph.insert(name.trim_matches('`').to_owned(), imports.map(str::to_owned).collect());
    }
    Ok(graph)
}

/// Our own crates among each crate's ordinary dependencies, by folder.
fn real(metadata: &str) -> Result<Graph, String> {
    let metadata: Value = serde_json::from_str(metadata).map_err(|e| format!("cargo metadata: {e}"))?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let folder = |package: &Value| {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        manifest.rsplit('/').nth(1).unwrap_or_default().to_owned()
    };
    let ours: BTreeMap<&str, String> = packages.iter().filter_map(|p| Some((p["name"].as_str()?, folder(p)))).collect();
    let mut graph = Graph::new();
    for package in packages {
        let imports = package["dependencies"].as_array().into_iter().flatten().filter(|d| d["kind"].is_null());
        let imports = imports.filter_map(|d| ours.get(d["name"].as_str()?)).cloned().collect();
        graph.insert(folder(package), imports);
    }
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_architecture_page_is_the_real_graph() {
        check().unwrap();
    }

    #[test]
    fn a_row_that_differs_is_named() {
        let told =
            table("## Who may import whom\n| `a` | `b`, `c` | why |\n| `b` | – | why |\n## next\n| `z` | – |").unwrap();
        assert_eq!(told.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(told["a"], BTreeSet::from(["b".to_owned(), "c".to_owned()]));
        assert!(told["b"].is_empty());
    }
}
