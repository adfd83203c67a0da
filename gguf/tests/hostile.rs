//! Files that lie: each is refused with an error that names the place.

mod raw;

use qwenda_gguf::{Array, Error, Gguf, TensorType, Value, limits, write::GgufWriter};
use raw::Raw;

const U8: u32 = 0;
const U32: u32 = 4;
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const F32: u32 = 0;
const Q8_0: u32 = 8;
const HUGE: u64 = 1 << 63;

fn check(cases: Vec<(Raw, &str)>) {
    for (raw, wanted) in cases {
        let error = Gguf::from_bytes(raw.0).expect_err(wanted);
        assert_eq!(error.to_string(), wanted);
    }
}

#[test]
fn what_is_no_little_endian_gguf_of_version_2_or_3_is_refused() {
    let version = |field: u32| Raw::default().bytes(b"GGUF").u32(field).u64(0).u64(0);
    check(vec![
        (Raw::default(), "the magic number at byte 0 wants 4 more bytes, but only 0 are left"),
        (
            Raw::default().bytes(b"ggml12345678"),
            "not a GGUF file: it begins with [67, 67, 6d, 6c] where `GGUF` is expected",
        ),
        (Raw::default().bytes(b"GGUF"), "the version at byte 4 wants 4 more bytes, but only 0 are left"),
        (version(1), "GGUF version 1; versions 2 and 3 are read"),
        (version(4), "GGUF version 4; versions 2 and 3 are read"),
        (
            version(3u32.swap_bytes()),
            "a big-endian GGUF file (version field 0x03000000); only little-endian files are read",
        ),
    ]);
    for good in [2, 3] {
        assert_eq!(Gguf::from_bytes(version(good).0).unwrap().version(), good);
    }
}

#[test]
fn counts_and_lengths_beyond_their_caps_are_refused() {
    let entry = || Raw::header(0, 1);
    let padded = |raw: Raw| raw.data(4096);
    check(vec![
        (Raw::header(HUGE, 0), "the tensor count at byte 8 is 9223372036854775808, more than TENSORS_MAX (65536)"),
        (
            Raw::header(0, HUGE),
            "the metadata count at byte 16 is 9223372036854775808, more than METADATA_COUNT_MAX (16384)",
        ),
        (Raw::header(0, 16384), "the metadata at byte 24 wants 229376 more bytes, but only 0 are left"),
        (Raw::header(65536, 0), "the tensor infos at byte 24 wants 2162688 more bytes, but only 0 are left"),
        (
            padded(entry().u64(HUGE)),
            "the key of metadata entry 0 at byte 24 is 9223372036854775808, more than KEY_BYTES_MAX (65535)",
        ),
        (
            padded(entry().u64(60_000)),
            "the key of metadata entry 0 at byte 32 wants 60000 more bytes, but only 4096 are left",
        ),
        (
            padded(entry().key("a", STRING).u64(HUGE)),
            "the value of metadata `a` at byte 37 is 9223372036854775808, more than STRING_BYTES_MAX (16777216)",
        ),
        (
            padded(entry().key("a", ARRAY).array(U8, HUGE)),
            "the array length of metadata `a` at byte 41 is 9223372036854775808, more than ARRAY_ITEMS_MAX (8388608)",
        ),
        (
            padded(entry().key("a", ARRAY).array(U32, 8_000_000)),
            "the array of metadata `a` at byte 49 wants 32000000 more bytes, but only 4111 are left",
        ),
        (
            padded(entry().key("a", ARRAY).array(STRING, 2).text("ok").u64(u64::MAX)),
            "the text of item 1 of metadata `a` at byte 59 is 18446744073709551615, more than STRING_BYTES_MAX (16777216)",
        ),
        (
            padded(Raw::header(1, 0).u64(HUGE)),
            "the name of tensor 0 at byte 24 is 9223372036854775808, more than TENSOR_NAME_BYTES_MAX (256)",
        ),
        (
            padded(Raw::header(1, 0).text("t").u32(u32::MAX)),
            "the number of dimensions of tensor `t` at byte 33 is 4294967295, more than DIMS_MAX (4)",
        ),
    ]);
}

#[test]
fn arrays_in_arrays_have_a_depth_and_a_number() {
    let nested = |depth: u32| {
        let head = Raw::header(0, 1).key("a", ARRAY);
        (1..depth).fold(head, |raw, _| raw.array(ARRAY, 1)).array(U8, 1).bytes(&[7])
    };
    let deepest = Gguf::from_bytes(nested(limits::ARRAY_DEPTH_MAX).0).unwrap();
    let mut inner = deepest.array("a").unwrap();
    for _ in 1..limits::ARRAY_DEPTH_MAX {
        let Array::Arrays(items) = inner else { panic!("{inner:?}") };
        inner = &items[0];
    }
    assert_eq!(*inner, Array::U8(vec![7]));

    let wide = (0..70_000).fold(Raw::header(0, 1).key("a", ARRAY).array(ARRAY, 70_000), |raw, _| raw.array(U8, 0));
    check(vec![
        (nested(5), "the array depth of metadata `a` at byte 85 is 5, more than ARRAY_DEPTH_MAX (4)"),
        (nested(10_000), "the array depth of metadata `a` at byte 85 is 5, more than ARRAY_DEPTH_MAX (4)"),
        (wide, "the number of nested arrays of metadata `a` at byte 49 is 70000, more than NESTED_ARRAYS_MAX (65536)"),
    ]);
}

#[test]
fn values_the_format_does_not_know_are_refused() {
    let entry = || Raw::header(0, 1);
    check(vec![
        (entry().key("a", 13).u64(0), "the type of metadata `a` at byte 33 is 13, which is none of 0 to 12"),
        (
            entry().key("a", ARRAY).array(99, 0),
            "the item type of metadata `a` at byte 37 is 99, which is none of 0 to 12",
        ),
        (
            entry().key("a", BOOL).bytes(&[2]),
            "the value of metadata `a` at byte 37 is 2, which is none of 0 (false) or 1 (true)",
        ),
        (
            entry().key("a", ARRAY).array(BOOL, 2).bytes(&[1, 9]),
            "the value of item 1 of metadata `a` at byte 50 is 9, which is none of 0 (false) or 1 (true)",
        ),
        (
            entry().u64(2).bytes(b"a\xff").u32(U32).u32(0),
            "the key of metadata entry 0 at byte 32 is not UTF-8 from its byte 1 on",
        ),
        (entry().text("").u32(U32).u32(0), "the key of metadata entry 0 at byte 24 is empty"),
        (
            entry().key("a", ARRAY).array(STRING, 1).u64(1).bytes(b"\xc3"),
            "the text of item 0 of metadata `a` at byte 57 is not UTF-8 from its byte 0 on",
        ),
        (
            Raw::header(0, 2).key("a", U32).u32(1).key("a", STRING).text("x"),
            "metadata key `a` occurs a second time at byte 41",
        ),
    ]);
}

#[test]
fn an_alignment_is_a_power_of_two_within_its_cap() {
    let with = |kind: u32, value: &[u8]| Raw::header(0, 1).key("general.alignment", kind).bytes(value);
    check(vec![
        (with(U32, &0u32.to_le_bytes()), "`general.alignment` is 0; it must be a power of two of at most 1048576"),
        (with(U32, &48u32.to_le_bytes()), "`general.alignment` is 48; it must be a power of two of at most 1048576"),
        (
            with(10, &HUGE.to_le_bytes()),
            "`general.alignment` is 9223372036854775808; it must be a power of two of at most 1048576",
        ),
        (with(5, &(-32i32).to_le_bytes()), "metadata `general.alignment` is -32, outside 1..=1048576"),
        (with(STRING, &[0; 8]), "metadata `general.alignment` is a string, not an integer"),
    ]);
    let raw = with(U32, &64u32.to_le_bytes());
    let mut bytes = Raw::header(1, 1).bytes(&raw.0[24..]).tensor("t", &[1], F32, 0).0;
    bytes.resize(bytes.len().next_multiple_of(64) + 4, 0);
    let file = Gguf::from_bytes(bytes).unwrap();
    assert_eq!(file.tensors()[0].offset % 64, 0);
}

#[test]
fn tensors_that_cannot_be_are_refused() {
    let one = |dims: &[u64], kind: u32, offset: u64| Raw::header(1, 0).tensor("t", dims, kind, offset).data(128);
    check(vec![
        (one(&[], F32, 0), "tensor `t` has dimensions []: there are 0 of them, not 1 to 4"),
        (one(&[4, 0], F32, 0), "tensor `t` has dimensions [4, 0]: one of them is 0"),
        (
            one(&[HUGE, 2], F32, 0),
            "tensor `t` has dimensions [9223372036854775808, 2]: more than 1099511627776 elements",
        ),
        (
            one(&[u64::MAX; 4], F32, 0),
            &format!("tensor `t` has dimensions {:?}: more than 1099511627776 elements", [u64::MAX; 4]),
        ),
        (one(&[16], Q8_0, 0), "tensor `t` has dimensions [16]: the first is not a multiple of Q8_0's block of 32"),
        (one(&[4], F32, 8), "tensor `t` begins at 8 of the data, not a multiple of 32"),
        (one(&[4], F32, 128), "tensor `t` wants bytes 192..208, but the file has 192"),
        (one(&[33], F32, 0), "tensor `t` wants bytes 64..196, but the file has 192"),
        (one(&[4], F32, HUGE), "tensor `t` wants bytes 9223372036854775872..9223372036854775888, but the file has 192"),
        (one(&[4], F32, u64::MAX - 31), &format!("tensor `t` wants bytes {0}..{0}, but the file has 192", u64::MAX)),
        // A type whose size nobody knows must still begin inside the file.
        (one(&[4], 4_000, 1 << 40), "tensor `t` wants bytes 1099511627840..1099511627840, but the file has 192"),
        (
            Raw::header(2, 0).tensor("t", &[4], F32, 0).tensor("t", &[4], F32, 32).data(64),
            "tensor `t` occurs a second time at byte 57",
        ),
        (Raw::header(1, 0).tensor("", &[1], F32, 0).data(64), "the name of tensor 0 at byte 24 is empty"),
    ]);
}

#[test]
fn tensors_that_share_bytes_are_refused() {
    let two = |a: (u64, u64), b: (u64, u64)| {
        Raw::header(2, 0).tensor("a", &[a.1], F32, a.0).tensor("b", &[b.1], F32, b.0).data(256)
    };
    let same = "tensors `a` (bytes 96..112) and `b` (from byte 96) overlap";
    let inside = "tensors `a` (bytes 96..224) and `b` (from byte 128) overlap";
    let before = "tensors `b` (bytes 96..228) and `a` (from byte 224) overlap";
    check(vec![(two((0, 4), (0, 4)), same), (two((0, 32), (32, 1)), inside), (two((128, 4), (0, 33)), before)]);
    let apart = Gguf::from_bytes(two((128, 4), (0, 32)).0).unwrap();
    assert_eq!(apart.tensors().iter().map(|t| (t.offset, t.len)).collect::<Vec<_>>(), [(224, 16), (96, 128)]);
}

#[test]
fn tensors_of_unknown_types_are_listed_and_have_no_bytes() {
    let file = Gguf::from_bytes(Raw::header(1, 0).tensor("t", &[4], 4_000, 0).data(64).0).unwrap();
    let tensor = file.need_tensor("t").unwrap();
    assert_eq!((tensor.kind, tensor.len), (TensorType::Unsupported(4_000), 0));
    assert!(file.data(tensor).is_empty());
}

/// A file with every kind of value and a few tensors.
fn sample(tokens: usize) -> Vec<u8> {
    let mut file = GgufWriter::new();
    file.metadata("general.architecture", "qwen2");
    file.metadata("general.alignment", 64u32);
    for (i, value) in [
        Value::U8(1),
        Value::I8(-1),
        Value::U16(2),
        Value::I16(-2),
        Value::I32(-3),
        Value::F32(1.5),
        Value::Bool(true),
        Value::U64(u64::MAX),
        Value::I64(i64::MIN),
        Value::F64(-0.0),
    ]
    .into_iter()
    .enumerate()
    {
        file.metadata(&format!("value.{i}"), value);
    }
    file.metadata("tokens", (0..tokens).map(|i| format!("token {i}")).collect::<Array>());
    file.metadata("nested", Array::Arrays(vec![Array::I32(vec![1, -2]), Array::Bool(vec![true, false])]));
    file.tensor("a", &[32, 3], TensorType::Q8_0, vec![1; 102]).expect("a possible tensor");
    file.tensor("b", &[5], TensorType::F32, vec![2; 20]).expect("a possible tensor");
    file.tensor("c", &[256], TensorType::Q6_K, vec![3; 210]).expect("a possible tensor");
    let mut bytes = Vec::new();
    file.finish(&mut bytes).expect("memory takes everything");
    bytes
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let small = sample(3);
    let whole = Gguf::from_bytes(small.clone()).unwrap();
    let end = whole.tensors().iter().map(|t| t.offset + t.len).max().unwrap() as usize;
    for len in 0..end {
        let error = Gguf::from_bytes(small[..len].to_vec()).expect_err("a byte is missing");
        assert!(matches!(error, Error::Truncated { .. } | Error::OutOfFile { .. }), "cut at {len}: {error}");
    }
    assert!(Gguf::from_bytes(small[..end].to_vec()).is_ok(), "only padding is missing");

    let large = sample(40_000);
    for len in (0..large.len() - 1024).step_by(1024) {
        let error = Gguf::from_bytes(large[..len].to_vec()).expect_err("a piece is missing");
        assert!(matches!(error, Error::Truncated { .. } | Error::OutOfFile { .. }), "cut at {len}: {error}");
    }
}

#[test]
fn every_field_set_to_an_extreme_is_refused_or_harmless() {
    let file = sample(3);
    for at in 0..file.len() {
        for extreme in [0, 1, HUGE, HUGE - 1, u64::MAX, u64::MAX - 31, u64::from(u32::MAX), 1 << 31] {
            let mut bytes = file.clone();
            let len = (file.len() - at).min(8);
            bytes[at..at + len].copy_from_slice(&extreme.to_le_bytes()[..len]);
            qwenda_gguf::fuzz(&bytes);
        }
    }
}

#[test]
fn pipes_folders_and_missing_files_are_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &std::path::Path| Gguf::open(path).unwrap_err().to_string();
    assert!(error(folder.path()).ends_with("`: not a regular file"), "{}", error(folder.path()));
    assert!(error(&folder.path().join("none.gguf")).contains("none.gguf`: "));
    let empty = folder.path().join("empty.gguf");
    std::fs::write(&empty, []).unwrap();
    assert_eq!(error(&empty), "the magic number at byte 0 wants 4 more bytes, but only 0 are left");
}
