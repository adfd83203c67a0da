use std::{fs::File, io, ops::Deref, path::Path};

/// A file mapped into memory for reading; the project's only memory map.
///
/// Processes that map the same file share its pages.
///
/// # Known risk
/// The bytes are those of the file. If another program truncates the file while it is mapped,
/// touching the lost part ends the process with a signal; if it writes to the file, the bytes
/// change. Nothing can be read wrongly *here* because of that, every access is still within the
/// mapped length, but a file in use must be replaced by renaming, never by writing over it. That
/// is how this project writes its own files.
#[derive(Debug)]
pub struct Map(memmap2::Mmap);

impl Map {
    /// Maps the whole of a regular file.
    ///
    /// # Errors
    /// Whatever the system says; `InvalidInput` when `path` is not a regular file, so that a
    /// pipe or a device is never waited for.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let file = File::open(path)?;
        #[expect(unsafe_code, reason = "a mapped file is only sound while nobody truncates it; see `Known risk`")]
        // SAFETY: the map is read-only and keeps its own length; what is left is the known risk above.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self(map))
    }

    /// Asks the system to read and map this in pages of some MiB, which are found faster than those of
    /// 4 KiB. A wish: where there are none for files, all stays as it is, and nothing tells.
    pub fn ask_for_large_pages(&self) {
        #[cfg(target_os = "linux")]
        self.0.advise(memmap2::Advice::HugePage).ok();
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
