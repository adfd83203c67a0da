//! The gated delta net: close to `f64`, the same bits on every instruction set, however a text is
//! cut, and whoever else is in the batch.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::num::NonZeroUsize;

use common::Random;
use qwenda_kernels::{
    CONV_KERNEL, Compute, DeltaInputs, DeltaRun, DeltaShape, DeltaStates, DeltaWeights, HeadOrder, Isa,
};

const EPS: f32 = 1e-6;

fn compute(isa: Isa, threads: usize) -> Compute {
    Compute::new(isa, NonZeroUsize::new(threads).unwrap())
}

/// Widths of one vector, of strips of every size, and of published models.
fn shapes() -> Vec<DeltaShape> {
    let shape = |key_heads, value_heads, head_dim, order| DeltaShape { key_heads, value_heads, head_dim, order };
    vec![
        shape(1, 1, 16, HeadOrder::Grouped),
        shape(2, 4, 32, HeadOrder::Grouped),
        shape(2, 6, 48, HeadOrder::Tiled),
        shape(2, 2, 112, HeadOrder::Tiled),
        shape(2, 4, 128, HeadOrder::Tiled),
    ]
}

/// One layer and a text of `rows` tokens.
struct Case {
    shape: DeltaShape,
    conv: Vec<f32>,
    a: Vec<f32>,
    dt_bias: Vec<f32>,
    qkv: Vec<f32>,
    alpha: Vec<f32>,
    beta: Vec<f32>,
}

impl Case {
    fn new(shape: DeltaShape, rows: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut noise = |len: usize, scale: f32| (0..len).map(|_| random.float() * scale).collect::<Vec<f32>>();
        let heads = shape.value_heads;
        Self {
            shape,
            conv: noise(CONV_KERNEL * shape.channels(), 1.0),
            a: noise(heads, 4.0).iter().map(|a| -a.abs()).collect(),
            dt_bias: noise(heads, 2.0),
            qkv: noise(rows * shape.channels(), 3.0),
            alpha: noise(rows * heads, 4.0),
            beta: noise(rows * heads, 4.0),
        }
    }

    fn rows(&self) -> usize {
        self.alpha.len() / self.shape.value_heads
    }

    fn states(&self, slots: usize) -> DeltaStates {
        DeltaStates::new(2, self.shape, slots)
    }

    /// Rows `from..to` in slot `slot` of layer 1.
    fn part(&self, compute: &Compute, states: &mut DeltaStates, slot: u32, from: usize, to: usize) -> Vec<f32> {
        let run = DeltaRun { slot, first: 0, rows: to - from, fresh: from == 0 };
        step(compute, states, &[(self, from, to)], &[run])
    }
}

/// Several texts' parts in one batch.
fn step(compute: &Compute, states: &mut DeltaStates, parts: &[(&Case, usize, usize)], runs: &[DeltaRun]) -> Vec<f32> {
    let case = parts[0].0;
    let Case { shape, conv, a, dt_bias, .. } = case;
    let gather = |of: fn(&Case) -> &Vec<f32>, width: usize| {
        parts.iter().flat_map(|(case, from, to)| of(case)[from * width..to * width].to_vec()).collect::<Vec<f32>>()
    };
    let heads = shape.value_heads;
    let mut qkv = gather(|case| &case.qkv, shape.channels());
    let (mut alpha, mut beta) = (gather(|case| &case.alpha, heads), gather(|case| &case.beta, heads));
    let mut out = vec![f32::NAN; alpha.len() / heads * shape.value_width()];
    let weights = DeltaWeights { conv, a, dt_bias, eps: EPS };
    let inputs = DeltaInputs { qkv: &mut qkv, alpha: &mut alpha, beta: &mut beta };
    compute.delta_net(states, 1, &weights, runs, inputs, &mut out);
    out
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The same in `f64`, in the words of the formulas.
fn exact(case: &Case) -> Vec<f64> {
    let DeltaShape { key_heads, value_heads, head_dim: dim, order } = case.shape;
    let channels = case.shape.channels();
    let input = |row: usize, back: usize, c: usize| {
        row.checked_sub(back).map_or(0.0, |row| f64::from(case.qkv[row * channels + c]))
    };
    let mixed = |row: usize, c: usize| {
        let sum: f64 = (0..4).map(|back| input(row, back, c) * f64::from(case.conv[(3 - back) * channels + c])).sum();
        sum / (1.0 + (-sum).exp())
    };
    let head = |row: usize, head: usize| (0..dim).map(|i| mixed(row, head * dim + i)).collect::<Vec<f64>>();
    let unit = |x: Vec<f64>| {
        let length = (x.iter().map(|x| x * x).sum::<f64>() + f64::from(EPS)).sqrt();
        x.iter().map(|x| x / length).collect::<Vec<f64>>()
    };
    let mut out = vec![0.0; case.rows() * case.shape.value_width()];
    for h in 0..value_heads {
        let key_head = if order == HeadOrder::Tiled { h % key_heads } else { h * key_heads / value_heads };
        let mut state = vec![vec![0.0f64; dim]; dim];
        for row in 0..case.rows() {
            let (q, k) = (unit(head(row, key_head)), unit(head(row, key_heads + key_head)));
            let v = head(row, 2 * key_heads + h);
            let at = |x: &[f32]| f64::from(x[row * value_heads + h]);
            let softplus = (at(&case.alpha) + f64::from(case.dt_bias[h])).exp().ln_1p();
            let decay = (f64::from(case.a[h]) * softplus).exp();
            let beta = 1.0 / (1.0 + (-at(&case.beta)).exp());
            for j in 0..dim {
                let held: f64 = (0..dim).map(|i| decay * state[i][j] * k[i]).sum();
                let delta = beta * (v[j] - held);
                for (line, k) in state.iter_mut().zip(&k) {
                    line[j] = decay * line[j] + k * delta;
                }
                let sum: f64 = (0..dim).map(|i| state[i][j] * q[i]).sum();
                out[(row * value_heads + h) * dim + j] = sum / (dim as f64).sqrt();
            }
        }
    }
    out
}

#[test]
fn every_instruction_set_agrees_with_f64_and_with_scalar_to_the_bit() {
    for shape in shapes() {
        let case = Case::new(shape, 37, 3);
        let expected = exact(&case);
        let scalar = case.part(&compute(Isa::Scalar, 1), &mut case.states(1), 0, 0, 37);
        let largest = expected.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
        for (i, (found, exact)) in scalar.iter().zip(&expected).enumerate() {
            let off = (f64::from(*found) - exact).abs();
            assert!(off <= 2e-6 * largest, "{shape:?}, {i}: {found}, but {exact}; the largest is {largest}");
        }
        for isa in Isa::available() {
            for threads in [1, 3] {
                let found = case.part(&compute(isa, threads), &mut case.states(1), 0, 0, 37);
                assert_eq!(bits(&found), bits(&scalar), "{shape:?} on {isa} with {threads} threads");
            }
        }
    }
}

#[test]
fn a_text_gives_the_same_bits_however_it_is_cut() {
    let compute = compute(Isa::detect(), 2);
    for shape in shapes() {
        let case = Case::new(shape, 29, 4);
        let whole = case.part(&compute, &mut case.states(1), 0, 0, 29);
        for chunk in [1, 2, 3, 7, 28] {
            let mut states = case.states(1);
            let mut found = Vec::new();
            for from in (0..29).step_by(chunk) {
                found.extend(case.part(&compute, &mut states, 0, from, 29.min(from + chunk)));
            }
            assert_eq!(bits(&found), bits(&whole), "{shape:?} in chunks of {chunk}");
        }
    }
}

#[test]
fn texts_side_by_side_do_not_show() {
    let compute = compute(Isa::detect(), 2);
    let shape = shapes()[1];
    // The weights are those of the first; the others only lend their tokens.
    let mut cases: Vec<Case> = (0..3).map(|i| Case::new(shape, 20, 10 + i)).collect();
    let (conv, a, dt_bias) = (cases[0].conv.clone(), cases[0].a.clone(), cases[0].dt_bias.clone());
    for case in &mut cases[1..] {
        (case.conv, case.a, case.dt_bias) = (conv.clone(), a.clone(), dt_bias.clone());
    }
    let alone: Vec<Vec<f32>> = cases.iter().map(|case| case.part(&compute, &mut case.states(1), 0, 0, 20)).collect();

    let mut states = cases[0].states(5);
    let mut found = vec![Vec::new(); 3];
    let slots = [3, 0, 4];
    // Text and how far it has come after each step; the third begins late.
    for step_parts in
        [vec![(0, 0, 6), (1, 0, 1)], vec![(2, 0, 20), (0, 6, 7), (1, 1, 13)], vec![(1, 13, 20), (0, 7, 20)]]
    {
        let mut first = 0;
        let runs: Vec<DeltaRun> = step_parts
            .iter()
            .map(|&(text, from, to)| {
                let run = DeltaRun { slot: slots[text], first, rows: to - from, fresh: from == 0 };
                first += to - from;
                run
            })
            .collect();
        let parts: Vec<_> = step_parts.iter().map(|&(text, from, to)| (&cases[text], from, to)).collect();
        let out = step(&compute, &mut states, &parts, &runs);
        for (run, &(text, ..)) in runs.iter().zip(&step_parts) {
            let width = shape.value_width();
            found[text].extend_from_slice(&out[run.first * width..(run.first + run.rows) * width]);
        }
    }
    for (text, (found, alone)) in found.iter().zip(&alone).enumerate() {
        assert_eq!(bits(found), bits(alone), "text {text}");
    }
    assert_eq!(states.slots_allocated(), 3);
}

#[test]
fn a_used_slot_begins_anew_and_a_snapshot_goes_on() {
    let compute = compute(Isa::detect(), 1);
    let (case, other) = (Case::new(shapes()[2], 12, 5), Case::new(shapes()[2], 9, 6));
    let whole = case.part(&compute, &mut case.states(1), 0, 0, 12);
    let mut states = case.states(2);
    other.part(&compute, &mut states, 1, 0, 9);
    let begun = case.part(&compute, &mut states, 1, 0, 5);
    let snapshot = states.snapshot(1).unwrap();
    assert_eq!(snapshot.len() * 4, states.bytes_per_slot());
    other.part(&compute, &mut states, 1, 0, 9);
    states.restore(0, &snapshot);
    states.release(1);
    assert_eq!((states.snapshot(1), states.slots_allocated()), (None, 1));
    let rest = case.part(&compute, &mut states, 0, 5, 12);
    assert_eq!(bits(&[begun, rest].concat()), bits(&whole));
}

#[test]
#[should_panic(expected = "no other run's")]
fn two_runs_cannot_share_a_slot() {
    let case = Case::new(shapes()[0], 2, 7);
    let runs = [0, 1].map(|first| DeltaRun { slot: 0, first, rows: 1, fresh: true });
    step(&compute(Isa::Scalar, 1), &mut case.states(1), &[(&case, 0, 2)], &runs);
}

/// Rows of one token with a head of the given time step; what is left of a matrix shows in the
/// second row.
#[test]
fn extreme_gates_forget_all_or_nothing() {
    let shape = DeltaShape { key_heads: 1, value_heads: 1, head_dim: 16, order: HeadOrder::Grouped };
    let mut case = Case::new(shape, 2, 8);
    case.a = vec![-1.0];
    case.dt_bias = vec![0.0];
    for isa in Isa::available() {
        let mut after = |alpha: f32| {
            case.alpha = vec![0.0, alpha];
            case.beta = vec![0.0, f32::NEG_INFINITY];
            case.part(&compute(isa, 1), &mut case.states(1), 0, 0, 2)[16..].to_vec()
        };
        let kept = after(-200.0);
        assert!(kept.iter().all(|x| x.is_finite()) && kept.iter().any(|&x| x != 0.0), "{isa}: {kept:?}");
        assert_eq!(after(f32::NEG_INFINITY), kept, "{isa}: e^-200 is nothing beside 1");
        assert_eq!(after(1e30), vec![0.0; 16], "{isa}");
        assert!(after(f32::NAN).iter().all(|x| x.is_nan()), "{isa}");
    }
}
