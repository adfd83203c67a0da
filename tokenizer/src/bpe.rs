//! Merging: a word's bytes become tokens by joining, again and again, the leftmost pair that
//! stands earliest in the list of merges.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::atomic::{AtomicU8, Ordering},
};

use hashbrown::HashMap;

use crate::{
    error::Error,
    vocab::{Tokens, push_letters},
};

/// Words up to this many bytes are merged by looking through all pairs; longer ones with a heap.
const SHORT: usize = 48;

/// No merge exists; larger than every rank.
const NONE: Merge = Merge { rank: u32::MAX, id: u32::MAX };

/// No neighbour on this side.
const END: u32 = u32::MAX;

/// What a pair of neighbours becomes.
#[derive(Debug, Clone, Copy)]
struct Merge {
    /// Place in the list of merges; the least goes first.
    rank: u32,
    /// Token that the pair becomes.
    id: u32,
}

pub(crate) struct Bpe {
    byte_ids: [u32; 256],
    merges: HashMap<(u32, u32), Merge>,
    /// Per token: whether merging its own bytes gives the token itself. Filled as words come by.
    whole: Vec<AtomicU8>,
    word_bytes_max: usize,
}

/// Values in [`Bpe::whole`].
const UNKNOWN: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;

impl Bpe {
    pub(crate) fn new(tokens: &Tokens, merges: &[String]) -> Result<Self, Error> {
        let mut bpe = Self {
            byte_ids: [0; 256],
            merges: HashMap::with_capacity(merges.len()),
            whole: (0..tokens.len()).map(|_| AtomicU8::new(UNKNOWN)).collect(),
            word_bytes_max: 0,
        };
        for byte in 0..=u8::MAX {
            bpe.byte_ids[usize::from(byte)] = tokens.find(&[byte]).ok_or(Error::MissingByte { byte })?;
        }
        let mut joined = Vec::new();
        for (index, merge) in merges.iter().enumerate() {
            let ([left, right], id) = parts(tokens, merge, index, &mut joined)?;
            bpe.word_bytes_max = bpe.word_bytes_max.max(joined.len());
            let rank = index as u32;
            if let Some(first) = bpe.merges.insert((left, right), Merge { rank, id }) {
                return Err(Error::MergeTwice { first: first.rank as usize, index });
            }
        }
        Ok(bpe)
    }

    /// Appends the tokens of one word.
    pub(crate) fn encode(&self, tokens: &Tokens, word: &[u8], out: &mut Vec<u32>) {
        if let [byte] = word {
            out.push(self.byte_ids[usize::from(*byte)]);
            return;
        }
        let id = if word.len() <= self.word_bytes_max { tokens.find(word) } else { None };
        let Some(id) = id else {
            return self.merge(word, out);
        };
        // Most words are one token, and merging would find it; that is checked once per token.
        // Threads may check the same token twice and write the same answer.
        let whole = &self.whole[id as usize];
        if whole.load(Ordering::Relaxed) == YES {
            out.push(id);
            return;
        }
        let start = out.len();
        self.merge(word, out);
        let answer = if out[start..] == [id] { YES } else { NO };
        whole.store(answer, Ordering::Relaxed);
    }

    fn merge(&self, word: &[u8], out: &mut Vec<u32>) {
        if word.len() <= SHORT {
            self.merge_short(word, out);
        } else {
            self.merge_long(word, out);
        }
    }

    #[inline]
    fn pair(&self, left: u32, right: u32) -> Merge {
        self.merges.get(&(left, right)).copied().unwrap_or(NONE)
    }

    /// At most [`SHORT`] bytes: no allocation, and the least rank is found by looking at all.
    fn merge_short(&self, word: &[u8], out: &mut Vec<u32>) {
        let mut ids = [0u32; SHORT];
        let mut pairs = [NONE; SHORT]; // pairs[i] is what ids[i] and ids[i + 1] become
        let mut len = word.len();
        for (id, byte) in ids.iter_mut().zip(word) {
            *id = self.byte_ids[usize::from(*byte)];
        }
        for i in 1..len {
            pairs[i - 1] = self.pair(ids[i - 1], ids[i]);
        }
        while len > 1 {
            let mut at = 0;
            for i in 1..len - 1 {
                if pairs[i].rank < pairs[at].rank {
                    at = i;
                }
            }
            let merge = pairs[at];
            if merge.rank == NONE.rank {
                break;
            }
            ids[at] = merge.id;
            ids.copy_within(at + 2..len, at + 1);
            pairs.copy_within(at + 1..len - 1, at);
            len -= 1;
            if at + 1 < len {
                pairs[at] = self.pair(ids[at], ids[at + 1]);
            }
            if at > 0 {
                pairs[at - 1] = self.pair(ids[at - 1], ids[at]);
            }
        }
        out.extend_from_slice(&ids[..len]);
    }

    /// Any length in `n log n`: a heap of pairs over a linked list of tokens.
    fn merge_long(&self, word: &[u8], out: &mut Vec<u32>) {
        // Places are u32; a word of this length is far outside any model's context.
        for part in word.chunks(1 << 30) {
            List::new(self, part).merge(out);
        }
    }
}

/// A long word while it is merged.
struct List<'a> {
    bpe: &'a Bpe,
    nodes: Vec<Node>,
    /// Rank and place of pairs, least first. An entry is stale when the pair at that place has
    /// another rank by now: a rank belongs to one pair only, so equal ranks are equal pairs.
    heap: BinaryHeap<Reverse<(u32, u32)>>,
}

struct Node {
    id: u32,
    previous: u32,
    next: u32,
    /// What this and the next node become; [`NONE`] too once this node has been merged away.
    pair: Merge,
}

impl<'a> List<'a> {
    fn new(bpe: &'a Bpe, word: &[u8]) -> Self {
        let last = word.len() - 1;
        let nodes: Vec<Node> = (0..word.len())
            .map(|i| {
                let id = bpe.byte_ids[usize::from(word[i])];
                let next = word.get(i + 1).map(|byte| bpe.byte_ids[usize::from(*byte)]);
                Node {
                    id,
                    previous: if i == 0 { END } else { i as u32 - 1 },
                    next: if i == last { END } else { i as u32 + 1 },
                    pair: next.map_or(NONE, |next| bpe.pair(id, next)),
                }
            })
            .collect();
        let heap = (0u32..)
            .zip(&nodes)
            .filter(|(_, node)| node.pair.rank != NONE.rank)
            .map(|(at, node)| Reverse((node.pair.rank, at)))
            .collect();
        Self { bpe, nodes, heap }
    }

    fn merge(mut self, out: &mut Vec<u32>) {
        while let Some(Reverse((rank, at))) = self.heap.pop() {
            if self.nodes[at as usize].pair.rank == rank {
                self.join(at);
            }
        }
        let mut at = 0;
        while at != END {
            let node = &self.nodes[at as usize];
            out.push(node.id);
            at = node.next;
        }
    }

    /// Joins the node at `at` with its next one.
    fn join(&mut self, at: u32) {
        let Node { previous, next, pair, .. } = self.nodes[at as usize];
        let gone = &mut self.nodes[next as usize];
        let after = gone.next;
        gone.pair = NONE;
        let node = &mut self.nodes[at as usize];
        node.id = pair.id;
        node.next = after;
        node.pair = NONE;
        if after != END {
            self.nodes[after as usize].previous = at;
            self.renew(at);
        }
        if previous != END {
            self.renew(previous);
        }
    }

    /// Looks up the pair at `at` again after one of its parts has changed.
    fn renew(&mut self, at: u32) {
        let Node { id, next, .. } = self.nodes[at as usize];
        let pair = self.bpe.pair(id, self.nodes[next as usize].id);
        self.nodes[at as usize].pair = pair;
        if pair.rank != NONE.rank {
            self.heap.push(Reverse((pair.rank, at)));
        }
    }
}

/// The two parts of a merge and the token they become; `joined` is left with its bytes.
fn parts(tokens: &Tokens, merge: &str, index: usize, joined: &mut Vec<u8>) -> Result<([u32; 2], u32), Error> {
    let form = || Error::MergeForm { index, text: merge.to_owned() };
    let (left, right) = merge.split_once(' ').ok_or_else(form)?;
    if left.is_empty() || right.is_empty() || right.contains(' ') {
        return Err(form());
    }
    let unknown = |text: &str| Error::MergeUnknown { index, text: text.to_owned() };
    joined.clear();
    push_letters(joined, left).map_err(|_| unknown(left))?;
    let middle = joined.len();
    push_letters(joined, right).map_err(|_| unknown(right))?;
    let left_id = tokens.find(&joined[..middle]).ok_or_else(|| unknown(left))?;
    let right_id = tokens.find(&joined[middle..]).ok_or_else(|| unknown(right))?;
    let id = tokens.find(joined).ok_or_else(|| unknown(&format!("{left}{right}")))?;
    Ok(([left_id, right_id], id))
}
