//! A step's rows, laid out for the model.

use qwenda_kernels::{AttendRow, DeltaRun, KvSlot, PAGE_TOKENS};

use crate::{model::layers::Batch, scheduler::Span, sequence::Sequence};

/// What goes into a [`Batch`]; kept to be filled again.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) ids: Vec<u32>,
    positions: Vec<u32>,
    slots: Vec<KvSlot>,
    pub(crate) wanted: Vec<u32>,
    runs: Vec<DeltaRun>,
    /// Whose each of `wanted` is.
    pub(crate) takers: Vec<Taker>,
}

/// A row whose logits somebody takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taker {
    /// Index of the sequence.
    pub(crate) index: usize,
    /// Position of the row's token.
    pub(crate) position: usize,
    /// The token, which may be a guess.
    pub(crate) id: u32,
}

impl Rows {
    /// Lays the planned rows out; their pages are held already.
    pub(crate) fn fill(&mut self, spans: &[Span], sequences: &[Sequence]) {
        let Self { ids, positions, slots, wanted, runs, takers } = self;
        ids.clear();
        positions.clear();
        slots.clear();
        wanted.clear();
        runs.clear();
        takers.clear();
        for span in spans {
            let sequence = &sequences[span.index];
            let state = sequence.held.slot();
            let (rows, fresh) = (span.len as usize, span.start == 0);
            runs.extend(state.map(|slot| DeltaRun { slot, first: ids.len(), rows, fresh }));
            for position in span.start..span.start + span.len {
                let at = position as usize;
                let id = sequence.token(at);
                if sequence.wants_all() || at + 1 >= sequence.tokens.len() {
                    wanted.push(u32::try_from(ids.len()).expect("a batch has fewer than 2^32 rows"));
                    takers.push(Taker { index: span.index, position: at, id });
                }
                ids.push(id);
                positions.push(position);
                let offset = u32::try_from(at % PAGE_TOKENS).expect("pages are small");
                slots.push(KvSlot { page: sequence.held.pages()[at / PAGE_TOKENS], offset });
            }
        }
    }

    /// The batch, `attend` being what [`attended`] says.
    pub(crate) fn batch<'a>(&'a self, attend: &'a [AttendRow<'a>]) -> Batch<'a> {
        let Self { ids, positions, slots, wanted, runs, .. } = self;
        Batch { ids, positions, slots, attend, wanted, runs }
    }
}

/// What each of the planned rows attends: all before it and itself.
pub(crate) fn attended<'a>(spans: &[Span], sequences: &'a [Sequence]) -> Vec<AttendRow<'a>> {
    let rows = spans.iter().flat_map(|span| {
        let pages = sequences[span.index].held.pages();
        (span.start..span.start + span.len).map(move |position| AttendRow { pages, len: position + 1 })
    });
    rows.collect()
}
