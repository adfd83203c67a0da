//! What is written is read again, from memory and from a mapped file.

use qwenda_gguf::{Array, Error, Gguf, TensorType, Value, write::GgufWriter};

fn values() -> Vec<(&'static str, Value)> {
    vec![
        ("u8", Value::U8(200)),
        ("i8", Value::I8(-100)),
        ("u16", Value::U16(60_000)),
        ("i16", Value::I16(-30_000)),
        ("u32", Value::U32(4_000_000_000)),
        ("i32", Value::I32(-2_000_000_000)),
        ("f32", Value::F32(1.0e-6)),
        ("bool", Value::Bool(true)),
        ("string", Value::from("你好, world")),
        ("u64", Value::U64(u64::MAX)),
        ("i64", Value::I64(i64::MIN)),
        ("f64", Value::F64(0.1)),
        ("u8s", Array::U8(vec![0, 255]).into()),
        ("i8s", Array::I8(vec![-128, 127]).into()),
        ("u16s", Array::U16(vec![65_535]).into()),
        ("i16s", Array::I16(vec![-32_768]).into()),
        ("u32s", Array::U32(vec![u32::MAX, 0]).into()),
        ("i32s", Array::I32(vec![i32::MIN, i32::MAX]).into()),
        ("f32s", Array::F32(vec![0.0, -1.5]).into()),
        ("bools", Array::Bool(vec![true, false, true]).into()),
        ("strings", ["", "a", "", "你好"].into_iter().collect::<Array>().into()),
        ("u64s", Array::U64(vec![u64::MAX]).into()),
        ("i64s", Array::I64(vec![i64::MIN]).into()),
        ("f64s", Array::F64(vec![1e300]).into()),
        ("none", Array::Strings([""; 0].into_iter().collect()).into()),
        ("nested", Array::Arrays(vec![Array::U8(vec![]), Array::Arrays(vec![Array::I64(vec![1])])]).into()),
    ]
}

fn write() -> Vec<u8> {
    let mut file = GgufWriter::new();
    for (key, value) in values() {
        file.metadata(key, value);
    }
    file.tensor("one", &[3], TensorType::F32, (0..12).collect()).expect("a possible tensor");
    file.tensor("two", &[32, 2], TensorType::Q4_0, (100..136).collect()).expect("a possible tensor");
    let mut bytes = Vec::new();
    file.finish(&mut bytes).expect("memory takes everything");
    bytes
}

#[test]
fn every_kind_of_value_is_read_as_it_was_written() {
    let file = Gguf::from_bytes(write()).unwrap();
    let read: Vec<_> = file.metadata().map(|(key, value)| (key, value.clone())).collect();
    assert_eq!(read, values());
    for (key, value) in values() {
        assert_eq!(file.get(key), Some(&value));
    }
}

#[test]
fn a_mapped_file_reads_like_one_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, write()).unwrap();
    let (mapped, owned) = (Gguf::open(&path).unwrap(), Gguf::from_bytes(write()).unwrap());
    assert_eq!(mapped.tensors(), owned.tensors());
    for file in [mapped, owned] {
        assert_eq!(file.data(file.tensor("one").unwrap()), (0..12).collect::<Vec<u8>>());
        assert_eq!(file.data(file.tensor("two").unwrap()), (100..136).collect::<Vec<u8>>());
        assert_eq!(file.tensor("two").unwrap().dims, [32, 2]);
        assert!(file.tensors().iter().all(|tensor| tensor.offset % 32 == 0));
    }
}

#[test]
fn numbers_are_read_as_any_type_they_fit() {
    let file = Gguf::from_bytes(write()).unwrap();
    assert_eq!(file.u32("u8").unwrap(), 200);
    assert_eq!(file.u32("u16").unwrap(), 60_000);
    assert_eq!(file.u64("u64").unwrap(), u64::MAX);
    assert_eq!(file.f32("f64").unwrap(), 0.1);
    assert_eq!(file.i32s("i8s").unwrap(), [-128, 127]);
    assert_eq!(file.u32s("u32s").unwrap(), [u32::MAX, 0]);
    assert_eq!(file.strings("strings").unwrap().iter().collect::<Vec<_>>(), ["", "a", "", "你好"]);
    assert_eq!(file.strings("strings").unwrap().get(4), None);
}

#[test]
fn asking_for_what_is_not_there_names_the_key() {
    let file = Gguf::from_bytes(write()).unwrap();
    let cases: Vec<(Error, &str)> = vec![
        (file.u32("x").unwrap_err(), "metadata `x` is missing"),
        (file.u32("string").unwrap_err(), "metadata `string` is a string, not an integer"),
        (file.u32("f32").unwrap_err(), "metadata `f32` is an f32, not an integer"),
        (file.u32("i32").unwrap_err(), "metadata `i32` is -2000000000, outside 0..=4294967295"),
        (file.u32("u64").unwrap_err(), "metadata `u64` is 18446744073709551615, outside 0..=4294967295"),
        (file.i32s("u32s").unwrap_err(), "metadata `u32s[0]` is 4294967295, outside -2147483648..=2147483647"),
        (
            file.i32s("f32s").unwrap_err(),
            "metadata `f32s` is an array whose items are each an f32, not an array of integers",
        ),
        (
            file.strings("u8s").unwrap_err(),
            "metadata `u8s` is an array whose items are each a u8, not an array of strings",
        ),
        (file.strings("string").unwrap_err(), "metadata `string` is a string, not an array"),
        (file.f32("u32").unwrap_err(), "metadata `u32` is a u32, not a floating point number"),
        (file.bool("u8").unwrap_err(), "metadata `u8` is a u8, not a bool"),
        (file.str("bool").unwrap_err(), "metadata `bool` is a bool, not a string"),
        (file.need_tensor("three").unwrap_err(), "tensor `three` is missing"),
    ];
    for (error, wanted) in cases {
        assert_eq!(error.to_string(), wanted);
    }
    assert_eq!(file.opt_u32("x").unwrap(), None);
    assert!(matches!(file.opt_u32("string"), Err(Error::WrongType { wanted: "an integer", .. })));
}

#[test]
fn the_writer_refuses_tensors_whose_bytes_do_not_fit() {
    let mut file = GgufWriter::new();
    let error = file.tensor("t", &[32, 2], TensorType::Q8_0, vec![0; 67]).unwrap_err();
    assert_eq!(error.to_string(), "tensor `t` has 67 bytes, its shape asks for 68");
    let error = file.tensor("t", &[33], TensorType::Q8_0, vec![0; 34]).unwrap_err();
    assert_eq!(error.to_string(), "tensor `t` has dimensions [33]: the first is not a multiple of Q8_0's block of 32");
}
