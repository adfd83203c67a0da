//! What a gated delta net remembers of a sequence: the last inputs of its convolution and, for
//! each value head, a matrix that keys write to and queries read from.
//!
//! Unlike keys and values this does not grow with the sequence, and cannot be cut short either:
//! it is what all tokens so far came to. Each sequence has a slot; which is whose is the caller's
//! business. `ops/delta` computes with it.

use crate::kv::OutOfMemory;

/// Inputs that one output of the convolution sees: its own and the three before it.
pub const CONV_KERNEL: usize = 4;

/// Inputs of the convolution that are kept.
pub(crate) const KEPT: usize = CONV_KERNEL - 1;

/// Which key head a value head reads, there being `r` value heads to a key head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadOrder {
    /// Value heads of one key head lie together: h reads h / r.
    Grouped,
    /// Value heads take turns: h reads h mod key heads.
    Tiled,
}

/// The shape of all delta nets of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaShape {
    /// Heads of queries, and of keys.
    pub key_heads: usize,
    /// Heads of values; a multiple of `key_heads`.
    pub value_heads: usize,
    /// Length of every head; a multiple of 16.
    pub head_dim: usize,
    /// How value heads belong to key heads.
    pub order: HeadOrder,
}

impl DeltaShape {
    /// Width of queries, keys and values side by side, which the convolution passes over.
    #[must_use]
    pub fn channels(&self) -> usize {
        (2 * self.key_heads + self.value_heads) * self.head_dim
    }

    /// Width of all value heads.
    #[must_use]
    pub fn value_width(&self) -> usize {
        self.value_heads * self.head_dim
    }

    /// Floats that one layer keeps of a sequence.
    pub(crate) fn layer_len(&self) -> usize {
        KEPT * self.channels() + self.value_width() * self.head_dim
    }

    pub(crate) fn key_head(&self, value_head: usize) -> usize {
        match self.order {
            HeadOrder::Grouped => value_head / (self.value_heads / self.key_heads),
            HeadOrder::Tiled => value_head % self.key_heads,
        }
    }
}

/// The states of several sequences, in single precision.
pub struct DeltaStates {
    shape: DeltaShape,
    layers: usize,
    /// `[layers]` of the inputs kept, `[3, channels]`, and the matrices,
    /// `[value_heads, head_dim of keys, head_dim of values]`.
    slots: Vec<Option<Box<[f32]>>>,
}

impl DeltaStates {
    /// Room for the states of `slots` sequences in `layers` layers, none of which takes memory yet.
    ///
    /// # Panics
    /// If `shape` does not hold what its fields say.
    #[must_use]
    pub fn new(layers: usize, shape: DeltaShape, slots: usize) -> Self {
        let DeltaShape { key_heads, value_heads, head_dim, .. } = shape;
        assert!(key_heads > 0 && value_heads > 0 && value_heads.is_multiple_of(key_heads), "{shape:?}");
        assert!(head_dim > 0 && head_dim.is_multiple_of(16), "{shape:?}");
        Self { shape, layers, slots: (0..slots).map(|_| None).collect() }
    }

    /// Memory that one sequence's state takes, in bytes.
    #[must_use]
    pub fn bytes_per_slot(&self) -> usize {
        self.layers * self.shape.layer_len() * size_of::<f32>()
    }

    /// The shape of each layer.
    #[must_use]
    pub fn shape(&self) -> &DeltaShape {
        &self.shape
    }

    /// Layers that have a state.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// How many slots have memory.
    #[must_use]
    pub fn slots_allocated(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Gives a slot its memory, unless it has some.
    ///
    /// # Errors
    /// The system has none left.
    pub fn allocate(&mut self, slot: u32) -> Result<(), OutOfMemory> {
        let held = &mut self.slots[slot as usize];
        if held.is_none() {
            let len = self.layers * self.shape.layer_len();
            let mut memory = Vec::new();
            memory.try_reserve_exact(len).map_err(|_| OutOfMemory { bytes: len.saturating_mul(size_of::<f32>()) })?;
            memory.resize(len, 0.0);
            *held = Some(memory.into_boxed_slice());
        }
        Ok(())
    }

    /// Gives the memory of a slot back; what it held is lost.
    pub fn release(&mut self, slot: u32) {
        self.slots[slot as usize] = None;
    }

    /// A copy of what a slot holds; nothing if it has no memory, or the system has none for the copy.
    #[must_use]
    pub fn snapshot(&self, slot: u32) -> Option<Box<[f32]>> {
        let held = self.slots[slot as usize].as_deref()?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(held.len()).ok()?;
        copy.extend_from_slice(held);
        Some(copy.into_boxed_slice())
    }

    /// Makes a slot hold what a [`snapshot`](Self::snapshot) of these states was.
    ///
    /// # Panics
    /// If it is a snapshot of other states.
    pub fn restore(&mut self, slot: u32, snapshot: &[f32]) {
        assert_eq!(snapshot.len(), self.layers * self.shape.layer_len(), "a snapshot of other states");
        match &mut self.slots[slot as usize] {
            Some(held) => held.copy_from_slice(snapshot),
            empty => *empty = Some(snapshot.into()),
        }
    }

    /// One layer's part of every slot, which gets memory if it has none and `wanted` says so.
    pub(crate) fn layer_mut(
        &mut self,
        layer: usize,
        mut wanted: impl FnMut(usize) -> bool,
    ) -> impl Iterator<Item = (usize, &mut [f32])> {
        let (len, all) = (self.shape.layer_len(), self.layers * self.shape.layer_len());
        self.slots.iter_mut().enumerate().filter_map(move |(slot, held)| {
            wanted(slot).then(|| {
                let held = held.get_or_insert_with(|| vec![0.0; all].into_boxed_slice());
                (slot, &mut held[layer * len..(layer + 1) * len])
            })
        })
    }
}

impl std::fmt::Debug for DeltaStates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeltaStates({} layers, {:?}, {} slots)", self.layers, self.shape, self.slots.len())
    }
}
