//! The model's matrices in the kernels' packed form, from a cache file or made anew.
//!
//! Packing reads the whole model and takes seconds, so the result is kept in a file that all
//! processes map and share. Its layout, all numbers little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `QWNDPACK` |
//! | 8 | version |
//! | 8 | fingerprint of the model file |
//! | 8 | hash of what packing makes of known matrices, so that another packing is another pack |
//! | 8 | bytes of data |
//! | 8 × pieces | hash of each piece of [`PIECE`] bytes of data |
//! | 8 | hash of all the above |
//! | | zeros up to a multiple of 2 MiB, then the data |
//!
//! A file that differs from this in anything, or whose data do not have their hashes, is made
//! again. It is written under another name and renamed, so nobody ever sees half of one; two
//! processes that both make it end with one good file. If it cannot be written, the pack stays in
//! this process's memory.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use qwenda_gguf::{Gguf, Map};
use qwenda_kernels::{AlignedBytes, Compute, Layout, Matrix, pack, packed_len};

use super::{
    hash::hash,
    tensors::{Linear, Planned, Tensors},
};

const MAGIC: &[u8; 8] = b"QWNDPACK";
const VERSION: u64 = 2;
/// Data are hashed and written in pieces of this size, several hashed at once.
const PIECE: usize = 4 << 20;
/// Data begin at a multiple of this, a large page: what is written in whole ones is cached in whole ones.
const PAGE: usize = 2 << 20;
/// Rows that one task packs.
const TASK_ROWS: usize = 256;
/// A half-written pack this old was left behind by a process that died.
const STALE: Duration = Duration::from_secs(3600);

/// All packed matrices of one model.
#[derive(Debug)]
pub(crate) struct Weights(Bytes);

#[derive(Debug)]
enum Bytes {
    /// The cache file and where its data begin.
    Mapped(Map, usize),
    Private(AlignedBytes),
}

impl Weights {
    /// Maps the pack of `tensors` from `cache_dir`, making it first if there is no good one.
    pub(crate) fn open(tensors: Tensors<'_>, model: &Path, cache_dir: Option<&Path>, compute: &Compute) -> Self {
        let (file, planned, bytes) = tensors.finish();
        let Some(dir) = cache_dir else {
            return Self::in_memory(file, &planned, bytes, compute);
        };
        match Self::cached(file, &planned, bytes, model, dir, compute) {
            Ok(weights) => weights,
            Err(error) => {
                tracing::warn!(
                    dir = %dir.display(), %error,
                    "packed weights cannot be cached; they are made at every start and not shared"
                );
                Self::in_memory(file, &planned, bytes, compute)
            }
        }
    }

    /// One matrix.
    pub(crate) fn matrix(&self, linear: &Linear) -> Matrix<'_> {
        let data = &self.bytes()[linear.bytes.clone()];
        Matrix::new(linear.layout, linear.rows, linear.cols, data)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(map, start) => &map[*start..],
            Bytes::Private(bytes) => bytes,
        }
    }

    fn in_memory(file: &Gguf, planned: &[Planned], bytes: usize, compute: &Compute) -> Self {
        let mut memory = AlignedBytes::zeroed(bytes);
        for planned in planned {
            pack_matrix(file, planned, &mut memory[planned.linear.bytes.clone()], compute);
        }
        Self(Bytes::Private(memory))
    }

    fn cached(
        file: &Gguf,
        planned: &[Planned],
        bytes: usize,
        model: &Path,
        dir: &Path,
        compute: &Compute,
    ) -> io::Result<Self> {
        let id = Identity { fingerprint: fingerprint(model, file)?, packing: packing(), bytes };
        let path = cache_path(dir, model)?;
        match map(&path, &id, compute) {
            Ok(weights) => return Ok(weights),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "packed weights cannot be used; making them again");
            }
        }
        fs::create_dir_all(dir)?;
        remove_stale(&path);
        let temporary = Temporary::create(&path)?;
        let started = std::time::Instant::now();
        write(&temporary.file, file, planned, &id, compute)?;
        let map = Map::open(&temporary.path)?;
        let start = header_len(bytes);
        if map.len() != start + bytes {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file is shorter than what was written to it",
            ));
        }
        temporary.rename(&path)?;
        tracing::info!(
            path = %path.display(), bytes, took_ms = started.elapsed().as_millis(),
            "packed the weights"
        );
        Ok(Self(Bytes::Mapped(map, start)))
    }
}

/// What a pack must have been made from to be the right one.
struct Identity {
    fingerprint: u64,
    packing: u64,
    bytes: usize,
}

impl Identity {
    /// The header up to the hashes.
    fn encode(&self) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        for number in [VERSION, self.fingerprint, self.packing, self.bytes as u64] {
            header.extend(number.to_le_bytes());
        }
        header
    }
}

fn pieces(bytes: usize) -> usize {
    bytes.div_ceil(PIECE)
}

/// Where data begin in the file.
fn header_len(bytes: usize) -> usize {
    (5 * 8 + pieces(bytes) * 8 + 8).next_multiple_of(PAGE)
}

/// Maps the pack at `path` if it is that of `id` and undamaged.
fn map(path: &Path, id: &Identity, compute: &Compute) -> io::Result<Weights> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let map = Map::open(path)?;
    map.ask_for_large_pages();
    let start = header_len(id.bytes);
    let expected = id.encode();
    if !map.starts_with(&expected) {
        return Err(broken("it is of another model file or another version"));
    }
    if map.len() != start + id.bytes {
        return Err(broken("it is not as long as its header says"));
    }
    let hashes_end = expected.len() + pieces(id.bytes) * 8;
    let (header, hash_of_header) = (&map[..hashes_end], &map[hashes_end..hashes_end + 8]);
    if hash(VERSION, header).to_le_bytes() != hash_of_header {
        return Err(broken("its header is damaged"));
    }
    let (hashes, _) = header[expected.len()..].as_chunks::<8>();
    let damaged = AtomicBool::new(false);
    compute.for_each(hashes.len(), &|piece| {
        let data = &map[start + piece * PIECE..];
        if hash(piece as u64, &data[..data.len().min(PIECE)]).to_le_bytes() != hashes[piece] {
            damaged.store(true, Ordering::Relaxed);
        }
    });
    if damaged.into_inner() {
        return Err(broken("its data are damaged"));
    }
    Ok(Weights(Bytes::Mapped(map, start)))
}

/// Packs every matrix into `out`.
fn write(mut out: &File, file: &Gguf, planned: &[Planned], id: &Identity, compute: &Compute) -> io::Result<()> {
    let start = header_len(id.bytes);
    out.seek(SeekFrom::Start(start as u64))?;
    let mut pieces = Pieces { out, hashes: Vec::new(), piece: Vec::with_capacity(PIECE) };
    let largest = planned.iter().map(|planned| planned.linear.bytes.len()).max().unwrap_or(0);
    let mut packed = vec![0; largest];
    for planned in planned {
        let matrix = &mut packed[..planned.linear.bytes.len()];
        pack_matrix(file, planned, matrix, compute);
        pieces.push(matrix)?;
    }
    let mut header = id.encode();
    header.extend(pieces.finish()?.into_iter().flat_map(u64::to_le_bytes));
    header.extend(hash(VERSION, &header).to_le_bytes());
    header.resize(start, 0);
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header)?;
    out.flush()
}

/// Hashes and writes a stream in pieces.
struct Pieces<'a> {
    out: &'a File,
    hashes: Vec<u64>,
    piece: Vec<u8>,
}

impl Pieces<'_> {
    fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = rest;
            if self.piece.len() == PIECE {
                self.end_piece()?;
            }
        }
        Ok(())
    }

    fn end_piece(&mut self) -> io::Result<()> {
        self.hashes.push(hash(self.hashes.len() as u64, &self.piece));
        self.out.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Vec<u64>> {
        if !self.piece.is_empty() {
            self.end_piece()?;
        }
        Ok(self.hashes)
    }
}

/// Packs one matrix, several rows at once.
fn pack_matrix(file: &Gguf, planned: &Planned, out: &mut [u8], compute: &Compute) {
    let tensor = file.tensor(&planned.name).expect("planning has found it");
    let Linear { layout, rows, cols, .. } = planned.linear;
    let row_bytes = layout.row_bytes(cols).expect("the reader has checked that rows hold whole blocks");
    let source = &file.data(tensor)[planned.index * rows * row_bytes..][..rows * row_bytes];
    let task_bytes = packed_len(layout, TASK_ROWS, cols);
    let tasks: Vec<Mutex<&mut [u8]>> = out.chunks_mut(task_bytes).map(Mutex::new).collect();
    compute.for_each(tasks.len(), &|task| {
        let first = task * TASK_ROWS;
        let task_rows = TASK_ROWS.min(rows - first);
        let mut out = tasks[task].lock().unwrap_or_else(PoisonError::into_inner);
        pack(layout, task_rows, cols, &source[first * row_bytes..][..task_rows * row_bytes], &mut out);
    });
}

/// A hash of all that tells one model file from another: its size and time, everything before the
/// tensors, and samples of each tensor.
fn fingerprint(path: &Path, file: &Gguf) -> io::Result<u64> {
    const SAMPLE: usize = 512;
    let mut source = File::open(path)?;
    let about = source.metadata()?;
    let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let header_bytes = file.tensors().iter().map(|tensor| tensor.offset).min().unwrap_or(0);
    let mut header = Vec::new();
    Read::by_ref(&mut source).take(header_bytes).read_to_end(&mut header)?;
    let mut sum = hash(about.len(), &changed.as_nanos().to_le_bytes());
    sum = hash(sum, &header);
    for tensor in file.tensors() {
        let data = file.data(tensor);
        let last = data.len().saturating_sub(SAMPLE);
        for start in [0, last / 2, last] {
            sum = hash(sum, &data[start..data.len().min(start + SAMPLE)]);
        }
    }
    Ok(sum)
}

/// A hash of what `pack` makes of a known matrix in each layout.
fn packing() -> u64 {
    const ROWS: usize = 24; // a whole tile and a part of one
    const COLS: usize = 512;
    Layout::ALL.into_iter().fold(0, |sum, layout| {
        let bytes = ROWS * layout.row_bytes(COLS).expect("512 columns are whole blocks in every layout");
        let source: Vec<u8> = (0..bytes).map(|i| (i as u32).wrapping_mul(0x9e37_79b1).to_le_bytes()[2]).collect();
        let mut packed = vec![0; packed_len(layout, ROWS, COLS)];
        pack(layout, ROWS, COLS, &source, &mut packed);
        hash(sum, &packed)
    })
}

/// Where the pack of the model at `model` is kept: one per path, so that a replaced model replaces
/// its pack.
fn cache_path(dir: &Path, model: &Path) -> io::Result<PathBuf> {
    let whole = fs::canonicalize(model)?;
    let stem = whole.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let place = hash(0, whole.as_os_str().as_encoded_bytes());
    Ok(dir.join(format!("{stem}-{place:016x}.pack")))
}

/// A file being written, removed unless it gets its final name.
struct Temporary {
    file: File,
    path: PathBuf,
}

impl Temporary {
    fn create(final_path: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Process numbers repeat, also on one disk under several machines; times hardly do.
        let (process, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mut name = final_path.as_os_str().to_owned();
        name.push(format!(".{nanos:x}-{process}-{number}.part"));
        let path = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { file, path })
    }

    fn rename(&self, final_path: &Path) -> io::Result<()> {
        fs::rename(&self.path, final_path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing here any more, which is as it should be.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes what processes that died while writing this pack left behind.
fn remove_stale(final_path: &Path) {
    let (Some(dir), Some(name)) = (final_path.parent(), final_path.file_name()) else { return };
    let prefix = format!("{}.", name.to_string_lossy());
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        let stale = || {
            let age = SystemTime::now().duration_since(entry.metadata().ok()?.modified().ok()?).ok()?;
            (age > STALE).then_some(())
        };
        if other.starts_with(&prefix) && other.ends_with(".part") && stale().is_some() {
            let _ = fs::remove_file(entry.path());
        }
    }
}
