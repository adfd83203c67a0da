//! What is measured: which rows of which tables, how often.

use crate::args::{self, Section};

/// Tokens that each caller of the service gets.
pub const CALL_TOKENS: u32 = 64;
/// Tokens of the instructions that all callers share.
pub const SYSTEM_TOKENS: u32 = 150;
/// Tokens of a caller's own, at most, with what the template adds.
pub const CALL_OWN_TOKENS: u32 = 64;
/// Tokens before those that a batch decodes.
pub const BATCH_DEPTH: u32 = 128;
/// Pages are not shared between sequences, and the last of each is not full.
const PAGE_SLACK: u32 = 64;

/// The tables of one run; an empty one is not measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub rounds: u32,
    /// Tokens of prompts.
    pub prefill: Vec<u32>,
    /// Tokens before those that are decoded.
    pub decode: Vec<u32>,
    /// Sequences at once.
    pub batch: Vec<u32>,
    /// Tokens that each sequence decodes.
    pub tokens: u32,
    /// Callers of the service at once; 0: not measured.
    pub callers: u32,
}

impl Plan {
    /// What the flags ask for, as far as the model's context of `context` tokens has room for it.
    pub fn new(args: &args::Bench, context: u32) -> Self {
        let wanted = |section| args.only.is_empty() || args.only.contains(&section);
        let (prefill, mut decode, batch, tokens): (&[u32], Vec<u32>, &[u32], _) = if args.quick {
            (&[128, 512], vec![0], &[1, 4], 32)
        } else {
            (&[128, 512, 2048], vec![0, 2048], &[1, 2, 4, 8, 16], 64)
        };
        if args.deep {
            decode.push(16_384);
        }
        let keep = |section, rows: &[u32], more: u32| -> Vec<u32> {
            rows.iter().copied().filter(|row| wanted(section) && row + more < context).collect()
        };
        let batch_fits = BATCH_DEPTH + tokens + 1 < context;
        let call_fits = SYSTEM_TOKENS + CALL_OWN_TOKENS + CALL_TOKENS < context;
        let callers = args.callers.map_or(if args.quick { 4 } else { 8 }, |callers| callers.get());
        Self {
            rounds: args.rounds.map_or(if args.quick { 1 } else { 5 }, |rounds| rounds.get()),
            prefill: keep(Section::Prefill, prefill, 1),
            decode: keep(Section::Decode, &decode, tokens + 1),
            batch: if batch_fits { keep(Section::Batch, batch, 0) } else { Vec::new() },
            tokens,
            callers: if wanted(Section::Http) && call_fits { callers } else { 0 },
        }
    }

    /// Tokens for which the engine needs room.
    pub fn kv_tokens(&self) -> u32 {
        let prefill = self.prefill.iter().map(|tokens| tokens + PAGE_SLACK);
        let decode = self.decode.iter().map(|depth| depth + self.tokens + PAGE_SLACK);
        let batch = self.batch.iter().map(|count| count * (BATCH_DEPTH + self.tokens + PAGE_SLACK));
        prefill.chain(decode).chain(batch).max().unwrap_or(0).max(1024)
    }

    /// Most sequences at once.
    pub fn sequences(&self) -> u32 {
        self.batch.iter().copied().max().unwrap_or(0).max(3)
    }

    /// Whether the engine is measured by itself.
    pub fn alone(&self) -> bool {
        !(self.prefill.is_empty() && self.decode.is_empty() && self.batch.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn plan(line: &str, context: u32) -> Plan {
        let words = ["qwenda", "bench"].into_iter().chain(line.split_whitespace());
        let Command::Bench(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("`bench` is another command")
        };
        Plan::new(&args, context)
    }

    #[test]
    fn flags_choose_rows() {
        let all = plan("", 32_768);
        assert_eq!((all.rounds, all.callers), (5, 8));
        assert_eq!((&all.prefill[..], &all.decode[..]), (&[128, 512, 2048][..], &[0, 2048][..]));
        assert_eq!(all.batch, [1, 2, 4, 8, 16]);
        let quick = plan("--quick --rounds 2 --deep", 32_768);
        assert_eq!((quick.rounds, quick.callers, &quick.decode[..]), (2, 4, &[0, 16_384][..]));
        let only = plan("--only decode,http --callers 3", 32_768);
        assert!(only.prefill.is_empty() && only.batch.is_empty() && only.alone());
        assert_eq!((only.callers, only.decode.len()), (3, 2));
        assert!(!plan("--only http", 32_768).alone());
    }

    #[test]
    fn rows_that_a_model_has_no_room_for_are_left_out() {
        let short = plan("--deep", 512);
        assert_eq!((&short.prefill[..], &short.decode[..]), (&[128][..], &[0][..]));
        assert_eq!((short.batch.len(), short.callers), (5, 8));
        let tiny = plan("", 100);
        assert!(tiny.prefill.is_empty() && tiny.batch.is_empty());
        assert_eq!((tiny.decode.len(), tiny.callers), (1, 0));
    }

    #[test]
    fn there_is_room_for_every_row() {
        let plan = plan("--deep", 32_768);
        assert!(plan.kv_tokens() >= 16_384 + plan.tokens && plan.kv_tokens() >= 16 * (BATCH_DEPTH + plan.tokens));
        assert_eq!(plan.sequences(), 16);
    }
}
