//! What the quantisers write, the kernels read back, to within the layout's step.

use qwenda_gguf::TensorType;
use qwenda_kernels::{Layout, dequantize};
use qwenda_testkit::{quantize::quantize, rng::Rng};

/// Layouts, and the largest error as a share of a block's range.
const CASES: [(TensorType, Layout, f32); 15] = [
    (TensorType::F32, Layout::F32, 0.0),
    (TensorType::F16, Layout::F16, 0.0005),
    (TensorType::BF16, Layout::BF16, 0.004),
    (TensorType::Q8_0, Layout::Q8_0, 0.005),
    (TensorType::Q4_0, Layout::Q4_0, 0.13),
    (TensorType::Q4_1, Layout::Q4_1, 0.07),
    (TensorType::Q5_0, Layout::Q5_0, 0.065),
    (TensorType::Q5_1, Layout::Q5_1, 0.035),
    (TensorType::Q2_K, Layout::Q2K, 0.4),
    (TensorType::Q3_K, Layout::Q3K, 0.3),
    (TensorType::Q4_K, Layout::Q4K, 0.08),
    (TensorType::Q5_K, Layout::Q5K, 0.05),
    (TensorType::Q6_K, Layout::Q6K, 0.04),
    (TensorType::IQ4_NL, Layout::Iq4Nl, 0.12),
    (TensorType::IQ4_XS, Layout::Iq4Xs, 0.13),
];

fn read_back(kind: TensorType, layout: Layout, values: &[f32]) -> Vec<f32> {
    let bytes = quantize(kind, values).expect("a layout with a quantiser");
    assert_eq!(Some(bytes.len()), layout.row_bytes(values.len()), "{kind}");
    let mut out = vec![f32::NAN; values.len()];
    dequantize(layout, &bytes, &mut out);
    out
}

#[test]
fn values_survive_to_within_the_layouts_step() {
    for (kind, layout, share) in CASES {
        let mut rng = Rng::new(5);
        // Blocks of very different sizes, so that an element read from a neighbour shows.
        let values: Vec<f32> =
            (0..2048).map(|i| rng.normal() * [1.0, 30.0, 0.01, 4.0][i / 256 % 4] * (1 + i % 256 / 32) as f32).collect();
        let read = read_back(kind, layout, &values);
        for (block, (wanted, found)) in values.chunks(256).zip(read.chunks(256)).enumerate() {
            let range = wanted.iter().fold(0.0f32, |range, v| range.max(v.abs()));
            for (i, (a, b)) in wanted.iter().zip(found).enumerate() {
                assert!((a - b).abs() <= share * range, "{kind}: block {block} element {i}: {a} became {b}");
            }
        }
    }
}

#[test]
fn what_is_a_level_of_the_layout_survives_exactly() {
    // From -16 to 15 in steps of a power of two: every level of five bits, two bits finer for six.
    let levels =
        |levels: i32, low: i32| -> Vec<f32> { (0..256).map(|i| (i * 7 % levels + low) as f32 / 8.0).collect() };
    for (kind, layout, values) in [
        (TensorType::Q4_0, Layout::Q4_0, levels(16, -8)),
        (TensorType::Q4_1, Layout::Q4_1, levels(16, 3)),
        (TensorType::Q5_0, Layout::Q5_0, levels(32, -16)),
        (TensorType::Q5_1, Layout::Q5_1, levels(32, -40)),
        (TensorType::Q3_K, Layout::Q3K, levels(8, -4)),
    ] {
        assert_eq!(read_back(kind, layout, &values), values, "{kind}");
    }
}

#[test]
fn zeros_and_constants_survive() {
    for (kind, layout, share) in CASES {
        assert_eq!(read_back(kind, layout, &[0.0; 256]), [0.0; 256], "{kind}");
        let read = read_back(kind, layout, &[-2.5; 256]);
        assert!(read.iter().all(|v| (v + 2.5).abs() <= 2.5 * share.max(0.002)), "{kind}: {:?}", &read[..4]);
    }
}

#[test]
fn a_layout_without_a_quantiser_is_told() {
    assert_eq!(quantize(TensorType::Q8_K, &[0.0; 256]), None);
}
