//! How long the exact search of the SDK's stores takes: `cargo run --release -p qwenda --features memory --example
//! vectors -- [ROWS] [DIMENSIONS]`, 100000 and 1024 unless said otherwise. Every answer is checked first.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::{env, time::Instant};

use qwenda::{
    Result,
    memory::{Query, RamVectors, Record, SqliteVectors, VectorStore},
};

const QUERIES: u64 = 20;
const BATCH: u64 = 1_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut numbers = env::args().skip(1).filter_map(|text| text.parse().ok());
    let (rows, dimensions) = (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(1024));
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = folder.path().join("vectors.db");
    println!("{rows} vectors of {dimensions} numbers, the 10 nearest\n");
    println!("| store | put in, s | first search, ms | search, ms (median) |\n| --- | ---: | ---: | ---: |");
    let ram = RamVectors::new();
    measure("RamVectors", &ram, &ram, rows, dimensions as usize).await?;
    let (put, searched) = (SqliteVectors::open(&path)?, SqliteVectors::open(&path)?);
    measure("SqliteVectors", &put, &searched, rows, dimensions as usize).await
}

async fn measure(
    name: &str,
    put: &dyn VectorStore,
    searched: &dyn VectorStore,
    rows: u64,
    dimensions: usize,
) -> Result<()> {
    let begun = Instant::now();
    for first in (0..rows).step_by(BATCH as usize) {
        let records = (first..rows.min(first + BATCH)).map(|row| Record {
            id: row.to_string(),
            conversation: "c".to_owned(),
            turn: row,
            text: format!("text {row}"),
            metadata: serde_json::Map::new(),
            vector: vector(row, dimensions),
        });
        put.upsert("s", records.collect()).await?;
    }
    let filled = begun.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for query in 0..QUERIES {
        let row = query * 7919 % rows;
        let query = Query { vector: vector(row, dimensions), most: 10, conversation: Some("c".to_owned()) };
        let begun = Instant::now();
        let found = searched.search("s", query).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        assert_eq!(found[0].turn, row, "a vector is nearest to itself");
    }
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    println!("| {name} | {filled:.1} | {first:.0} | {:.1} |", times[times.len() / 2]);
    Ok(())
}

/// Numbers that look random and are the same every time.
fn vector(row: u64, dimensions: usize) -> Vec<f32> {
    let mut state = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..dimensions).map(|_| next()).collect()
}
