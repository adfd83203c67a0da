//! What must hold for any bytes; run by the fuzzer and, under a seeded mutator, by ordinary tests.

use crate::{Gguf, write::GgufWriter};

/// Reads any bytes. A file that is accepted must be walkable, and written and read again be the same.
///
/// # Panics
/// If one of that does not hold.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let Ok(file) = Gguf::from_bytes(data.to_vec()) else { return };
    let once = rewrite(&file);
    let again = Gguf::from_bytes(once.clone()).expect("what the writer writes the reader reads");
    assert_eq!(once, rewrite(&again), "a file written twice is the same");
    for (key, value) in file.metadata() {
        assert_eq!(again.get(key).map(|value| value.kind()), Some(value.kind()), "key `{key}` is kept");
        // These may refuse, but must not panic.
        let _ = (file.opt_u32(key), file.opt_u64(key), file.opt_f32(key), file.opt_bool(key), file.opt_str(key));
        let _ =
            (file.opt_array(key), file.opt_strings(key), file.opt_i32s(key), file.opt_u32s(key), file.opt_f32s(key));
    }
    for tensor in file.tensors() {
        let kept = again.need_tensor(&tensor.name).expect("tensors are kept");
        assert_eq!(file.data(tensor), again.data(kept), "tensor `{}` is kept", tensor.name);
    }
}

fn rewrite(file: &Gguf) -> Vec<u8> {
    let mut writer = GgufWriter::new();
    for (key, value) in file.metadata() {
        writer.metadata(key, value.clone());
    }
    for tensor in file.tensors() {
        let bytes = file.data(tensor).to_vec();
        writer.tensor(&tensor.name, &tensor.dims, tensor.kind, bytes).expect("the reader checked the shape");
    }
    let mut bytes = Vec::new();
    writer.finish(&mut bytes).expect("memory takes everything");
    bytes
}
