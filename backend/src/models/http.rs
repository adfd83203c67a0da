//! A file over HTTP, in ranges, going on where it broke off.

use std::{error::Error as _, sync::atomic::Ordering, time::Duration};

use reqwest::{
    Client, Response, StatusCode,
    header::{CONTENT_RANGE, RANGE},
    redirect,
};

use super::{
    error::{PullError, SourceError, Stop},
    pull::{Job, TICK},
    staging::Staging,
};

/// How long a host may say nothing in the middle of a file.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Breaks in a row, without a byte between them, after which a host counts as gone.
const BREAKS_MAX: u32 = 4;
const REDIRECTS_MAX: usize = 10;
/// Bytes after which what was written is recorded.
const RECORD_BYTES: u64 = 4 << 20;

/// Why one request did not deliver its range.
enum Ended {
    /// Worth another try.
    Broken(SourceError),
    /// Not worth one.
    Final(Stop),
}

impl From<PullError> for Ended {
    fn from(error: PullError) -> Self {
        Ended::Final(Stop::Pull(error))
    }
}

/// Fills every gap of the staging file from `url`.
pub(super) fn fetch(url: &str, job: &Job<'_>) -> Result<(), Stop> {
    // A process may have chosen its provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |cause: &dyn std::fmt::Display| SourceError::Failed(cause.to_string());
    let client = Client::builder()
        .user_agent(concat!("qwenda/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(job.options.connect_timeout)
        .read_timeout(READ_TIMEOUT)
        .redirect(redirect::Policy::limited(REDIRECTS_MAX))
        .build()
        .map_err(|cause| failed(&reason(&cause)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| failed(&cause))?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = fill(&client, url, job) => done,
            () = cancelled(job) => Err(PullError::Cancelled.into()),
        }
    });
    // A name that is still being looked up must not hold us.
    runtime.shutdown_background();
    done
}

async fn cancelled(job: &Job<'_>) {
    while !job.cancelled() {
        tokio::time::sleep(TICK).await;
    }
}

async fn fill(client: &Client, url: &str, job: &Job<'_>) -> Result<(), Stop> {
    let mut breaks = 0;
    while let Some(&(start, end)) = job.staging.gaps().first() {
        let before = job.staging.bytes();
        match one(client, url, start, end, job).await {
            Ok(()) => breaks = 0,
            Err(Ended::Final(stop)) => return Err(stop),
            Err(Ended::Broken(error)) => {
                breaks = if job.staging.bytes() > before { 1 } else { breaks + 1 };
                // A host that never answered is gone; one that did may be back in a moment.
                let never = job.staging.bytes() == 0 && matches!(error, SourceError::Unreachable(_));
                if never || breaks >= BREAKS_MAX {
                    return Err(error.into());
                }
                tracing::debug!(%error, breaks, "asking for the rest");
                tokio::time::sleep(Duration::from_millis(100 << breaks)).await;
            }
        }
    }
    Ok(())
}

/// One request for `start..end` of the file.
async fn one(client: &Client, url: &str, start: u64, end: u64, job: &Job<'_>) -> Result<(), Ended> {
    let mut request = client.get(url);
    let total = job.entry.bytes;
    if (start, end) != (0, total) {
        request = request.header(RANGE, format!("bytes={start}-{}", end - 1));
    }
    let mut response = request.send().await.map_err(broken)?;
    let skip = check_head(&response, start, total)?;

    let mut run = Run { staging: job.staging, start, at: start, in_flight: &job.in_flight };
    let mut to_skip = skip;
    while run.at < end {
        let Some(chunk) = response.chunk().await.map_err(broken)? else {
            let got = run.at;
            return Err(Ended::Broken(SourceError::Unreachable(format!(
                "the connection ended at byte {got} of {total}"
            ))));
        };
        let skipped = to_skip.min(chunk.len() as u64);
        to_skip -= skipped;
        let rest = &chunk[skipped as usize..];
        let rest = &rest[..rest.len().min((end - run.at) as usize)];
        run.write(rest)?;
    }
    run.record()?;
    Ok(())
}

/// Checks status and lengths; returns how many bytes of the body lie before `start`.
fn check_head(response: &Response, start: u64, total: u64) -> Result<u64, Ended> {
    let status = response.status();
    let is_of = |got: u64| {
        if got == total { Ok(()) } else { Err(Ended::Final(SourceError::WrongLength { want: total, got }.into())) }
    };
    match status {
        StatusCode::OK => {
            response.content_length().map_or(Ok(()), is_of)?;
            Ok(start)
        }
        StatusCode::PARTIAL_CONTENT => {
            let header =
                response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let (from, of) = content_range(header)
                .ok_or_else(|| Ended::Final(SourceError::Failed(format!("content-range `{header}`")).into()))?;
            of.map_or(Ok(()), is_of)?;
            if from > start {
                return Err(Ended::Final(
                    SourceError::Failed(format!("asked from byte {start}, got from {from}")).into(),
                ));
            }
            Ok(start - from)
        }
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(Ended::Broken(SourceError::Failed(status.to_string())))
        }
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(Ended::Final(SourceError::NotFound(status.to_string()).into()))
        }
        _ => Err(Ended::Final(SourceError::Failed(status.to_string()).into())),
    }
}

/// `bytes 5-9/100` as (5, 100); the total may be unknown.
fn content_range(header: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let _: u64 = to.parse().ok()?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((from.parse().ok()?, total))
}

fn broken(error: reqwest::Error) -> Ended {
    let text = reason(&error);
    if error.is_redirect() || error.is_builder() {
        return Ended::Final(SourceError::Failed(text).into());
    }
    Ended::Broken(SourceError::Unreachable(text))
}

/// The innermost cause: the outer ones only repeat the address.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    text
}

/// Bytes written one after the other; recorded from time to time and however the work ends.
struct Run<'a> {
    staging: &'a Staging,
    start: u64,
    at: u64,
    in_flight: &'a std::sync::atomic::AtomicU64,
}

impl Run<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), PullError> {
        self.staging.write(self.at, bytes)?;
        self.at += bytes.len() as u64;
        self.in_flight.store(self.at - self.start, Ordering::Relaxed);
        if self.at - self.start >= RECORD_BYTES {
            self.record()?;
        }
        Ok(())
    }

    fn record(&mut self) -> Result<(), PullError> {
        self.in_flight.store(0, Ordering::Relaxed);
        self.staging.record(self.start, self.at)?;
        self.start = self.at;
        Ok(())
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.record() {
            tracing::debug!(%error, "the last bytes will be fetched again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::content_range;

    #[test]
    fn content_ranges_are_read_strictly() {
        for (header, want) in [
            ("bytes 0-9/10", Some((0, Some(10)))),
            ("bytes 5-9/*", Some((5, None))),
            ("bytes */10", None),
            ("bytes 5/10", None),
            ("items 0-9/10", None),
            ("bytes 0-x/10", None),
            ("bytes -1-5/10", None),
            ("", None),
        ] {
            assert_eq!(content_range(header), want, "{header}");
        }
    }
}
