//! What was measured, as tables and as JSON.

use qwenda_backend::local::bench::{Roofline, TokenCost};
use serde_json::{Value, json};

use super::{
    http,
    plan::{BATCH_DEPTH, CALL_OWN_TOKENS, CALL_TOKENS, SYSTEM_TOKENS},
};
use crate::lang::{Lang, messages};

/// One row of a table: tokens per second of each round.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What the row is about: tokens, a depth, sequences.
    pub at: u32,
    /// Tokens per second that the machine allows at most.
    pub ceiling: f64,
    pub rounds: Vec<f64>,
}

/// Everything that one run found out.
#[derive(Debug)]
pub struct Report {
    pub model: String,
    pub isa: String,
    pub threads: usize,
    pub rounds: u32,
    pub load_ms: f64,
    /// Tokens that a row decodes for each sequence.
    pub tokens: u32,
    pub cost: TokenCost,
    pub roofline: Roofline,
    pub prefill: Vec<Row>,
    pub decode: Vec<Row>,
    pub batch: Vec<Row>,
    pub http: Option<Http>,
}

/// What the callers of the service saw.
#[derive(Debug)]
pub struct Http {
    pub callers: u32,
    pub rounds: Vec<http::Round>,
}

/// The middle of all values.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value that so large a share of all values does not exceed, between neighbours in proportion; 0 of none.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share * last as f64;
    let below = place as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, 0.0), |(least, most), &value| (value.min(least), value.max(most)))
}

impl Report {
    /// Works out what the machine allows for every row.
    pub fn set_ceilings(&mut self) {
        let (cost, machine) = (self.cost, self.roofline);
        for row in &mut self.prefill {
            row.ceiling = f64::from(row.at) / cost.prompt_s(&machine, row.at.into());
        }
        for row in &mut self.decode {
            row.ceiling = 1.0 / cost.step_s(&machine, 1, row.at.into());
        }
        for row in &mut self.batch {
            row.ceiling = f64::from(row.at) / cost.step_s(&machine, row.at.into(), BATCH_DEPTH.into());
        }
    }

    /// Output tokens per second that the machine allows at most for these callers: the shared beginning
    /// is read once, the rest of each prompt and all answers are computed for all at once.
    fn http_ceiling(&self, callers: u32) -> f64 {
        let callers = u64::from(callers);
        let own = u64::from(CALL_OWN_TOKENS) / 2;
        let prefill = self.cost.prompt_s(&self.roofline, u64::from(SYSTEM_TOKENS) + callers * own);
        let depth = u64::from(SYSTEM_TOKENS) + own + u64::from(CALL_TOKENS) / 2;
        let step = self.cost.step_s(&self.roofline, callers, depth);
        (callers * u64::from(CALL_TOKENS)) as f64 / (prefill + step * f64::from(CALL_TOKENS))
    }

    /// The tables, in words.
    pub fn text(&self, lang: Lang) -> String {
        let mut lines = vec![
            messages::bench_what(lang, &self.model, &self.isa, self.threads, self.rounds),
            messages::bench_machine(
                lang,
                self.roofline.read_bytes_per_s / 1e9,
                &self.roofline.macs_per_s.map_or("?".to_owned(), |rate| format!("{:.0}", rate / 1e9)),
                self.cost.weight_bytes as f64 / 1e9,
            ),
            messages::bench_checked(lang),
        ];
        let tables = [
            (messages::bench_prefill(lang), &self.prefill, None),
            (messages::bench_decode(lang, self.tokens), &self.decode, Some(messages::bench_depth(lang))),
            (messages::bench_batch(lang, self.tokens, BATCH_DEPTH), &self.batch, None),
        ];
        for (title, rows, label) in tables {
            if rows.is_empty() {
                continue;
            }
            lines.push(String::new());
            lines.push(title);
            lines.push(messages::bench_columns(lang));
            lines.extend(rows.iter().map(|row| row.text(label.as_deref().unwrap_or_default())));
        }
        if let Some(http) = &self.http {
            lines.push(String::new());
            lines.push(messages::bench_http(lang, http.callers, SYSTEM_TOKENS, CALL_TOKENS));
            let row =
                Row { at: http.callers, ceiling: self.http_ceiling(http.callers), rounds: http.of(|r| r.tokens_per_s) };
            lines.push(messages::bench_columns(lang));
            lines.push(row.text(""));
            let ms = |part: fn(&http::Round) -> f64| median(&http.of(part));
            lines.push(messages::bench_waits(lang, ms(|r| r.ttft_p50_ms), ms(|r| r.ttft_p95_ms), ms(|r| r.gap_max_ms)));
        }
        lines.join("\n")
    }

    /// The same for programs. Its shape is documented in `docs/cli.md`.
    pub fn json(&self) -> Value {
        let rows = |name: &str, rows: &[Row]| Value::Array(rows.iter().map(|row| row.json(name)).collect());
        let http = self.http.as_ref().map(|http| {
            let tokens_per_s = http.of(|r| r.tokens_per_s);
            let ceiling = self.http_ceiling(http.callers);
            let middle = |part: fn(&http::Round) -> f64| median(&http.of(part));
            json!({
                "callers": http.callers, "system_tokens": SYSTEM_TOKENS, "output_tokens": CALL_TOKENS,
                "prompt_tokens_max": http.rounds.iter().map(|r| r.prompt_tokens).max(),
                "output_tokens_per_s": median(&tokens_per_s), "ceiling": ceiling,
                "share": median(&tokens_per_s) / ceiling,
                "ttft_p50_ms": middle(|r| r.ttft_p50_ms), "ttft_p95_ms": middle(|r| r.ttft_p95_ms),
                "gap_max_ms": middle(|r| r.gap_max_ms),
                "rounds": http.rounds.iter().map(|r| json!({
                    "output_tokens_per_s": r.tokens_per_s, "ttft_p50_ms": r.ttft_p50_ms,
                    "ttft_p95_ms": r.ttft_p95_ms, "gap_max_ms": r.gap_max_ms,
                })).collect::<Vec<_>>(),
            })
        });
        json!({
            "model": self.model, "isa": self.isa, "threads": self.threads, "rounds": self.rounds, "checked": true,
            "load_ms": self.load_ms, "decode_tokens": self.tokens,
            "roofline": {
                "read_bytes_per_s": self.roofline.read_bytes_per_s, "int8_macs_per_s": self.roofline.macs_per_s,
                "weight_bytes": self.cost.weight_bytes, "kv_bytes_per_token": self.cost.kv_bytes,
                "prompt_macs_per_token": self.cost.prompt_macs, "output_macs": self.cost.output_macs,
            },
            "prefill": rows("tokens", &self.prefill),
            "decode": rows("depth", &self.decode),
            "batch": rows("sequences", &self.batch),
            "http": http,
        })
    }
}

impl Http {
    fn of(&self, part: impl Fn(&http::Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(part).collect()
    }
}

impl Row {
    fn text(&self, label: &str) -> String {
        let (least, most) = range(&self.rounds);
        let (middle, ceiling) = (median(&self.rounds), self.ceiling);
        let range = format!("{least:.1} – {most:.1}");
        let label = format!("{label}{}", self.at);
        format!("{label:>12} {middle:>10.1} {range:>20} {ceiling:>10.1} {:>6.0} %", middle / ceiling * 100.0)
    }

    fn json(&self, name: &str) -> Value {
        let middle = median(&self.rounds);
        json!({
            name: self.at, "tokens_per_s": middle, "ceiling": self.ceiling, "share": middle / self.ceiling,
            "rounds": self.rounds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(median(&values), 2.5);
        assert_eq!((quantile(&values, 0.0), quantile(&values, 1.0)), (1.0, 4.0));
        assert!((quantile(&values, 0.95) - 3.85).abs() < 1e-9);
        assert_eq!((median(&[7.0]), median(&[])), (7.0, 0.0));
    }

    #[test]
    fn the_tables_say_the_middle_the_range_and_the_share_of_what_the_machine_allows() {
        let mut report = Report {
            model: "m".to_owned(),
            isa: "avx2".to_owned(),
            threads: 2,
            rounds: 3,
            load_ms: 1.0,
            tokens: 64,
            cost: TokenCost { weight_bytes: 400_000_000, kv_bytes: 0, prompt_macs: 300_000_000, output_macs: 0 },
            roofline: Roofline { read_bytes_per_s: 40e9, macs_per_s: Some(300e9) },
            prefill: vec![Row { at: 128, ceiling: 0.0, rounds: vec![300.0, 500.0, 400.0] }],
            decode: Vec::new(),
            batch: Vec::new(),
            http: Some(Http {
                callers: 2,
                rounds: vec![http::Round {
                    tokens_per_s: 50.0,
                    ttft_p50_ms: 10.0,
                    ttft_p95_ms: 20.0,
                    gap_max_ms: 30.0,
                    prompt_tokens: 180,
                }],
            }),
        };
        report.set_ceilings();
        let text = report.text(Lang::En);
        let row = text.lines().find(|line| line.trim_start().starts_with("128")).unwrap();
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            ["128", "400.0", "300.0", "–", "500.0", "1000.0", "40", "%"]
        );
        assert!(!text.contains("decode") && text.contains("40.0 GB/s"), "{text}");
        let json = report.json();
        assert_eq!(json["prefill"][0]["share"], 0.4);
        // 214 tokens are read at 1000 a second, then 64 steps of 10 ms give two tokens each.
        let ceiling = json["http"]["ceiling"].as_f64().unwrap();
        assert!((ceiling - 128.0 / (0.214 + 0.64)).abs() < 0.1, "{ceiling}");
        assert_eq!(json["http"]["gap_max_ms"], 30.0);
    }
}
