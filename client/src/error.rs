//! What went wrong with a call, so that a program and a person know what to do: [`Error`].

mod judge;
mod words;

use std::{fmt, time::Duration};

pub(crate) use judge::{refusal, refused_in_stream};
use qwenda_types::error::Code;
pub use words::Lang;

use crate::{Reply, retry::Replay, transport::TransportError};

/// What a call brings.
pub type Result<T> = std::result::Result<T, Error>;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A setting of the client, or its absence.
    Config,
    /// The request is not one; nothing was sent.
    Invalid,
    /// No connection could be made.
    Connect,
    /// The connection broke before the answer was whole.
    Disconnected,
    /// It took too long.
    Timeout(Limit),
    /// Too much at once; it passes.
    Throttled(Throttle),
    /// The account is overdue, or has not bought the service.
    Arrears,
    /// The free quota is used up.
    FreeTierEnded,
    /// The budget set at the service is spent.
    BudgetSpent,
    /// The key is missing, wrong, or of another region.
    Unauthorized,
    /// The key may not do this.
    Forbidden,
    /// No such model, file or address.
    NotFound,
    /// The prompt is longer than the model's context.
    ContextOverflow,
    /// Moderation refused the prompt or the answer.
    Moderation,
    /// The request, as it is, is refused.
    Refused,
    /// It exists already, or its idempotency key was used for another request.
    Conflict,
    /// The service failed.
    Service,
    /// The answer ended before it was whole.
    Truncated,
    /// The answer cannot be read.
    Malformed,
    /// The answer is larger than the client reads.
    TooLarge,
    /// The client's own budget does not allow it; nothing was sent.
    OverBudget,
    /// What is kept on this side could not be read or written: a file, a database.
    Storage,
}

/// Which limit of [`Timeouts`](crate::Timeouts) was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Until the answer begins.
    FirstByte,
    /// Between two pieces of it.
    Idle,
    /// Of the whole call.
    Total,
    /// The service's own.
    Service,
}

/// What there was too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Throttle {
    /// Requests in a minute.
    Requests,
    /// Tokens in a minute.
    Tokens,
    /// Growth: requests became more too quickly.
    Burst,
    /// Requests at once.
    Concurrency,
    /// Everybody's requests: the service has no place left.
    Overloaded,
}

/// Who can put it right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Whoever wrote the request or the settings.
    Caller,
    /// Whoever gives out the keys: this one is missing, wrong or may not do it.
    Credentials,
    /// Whoever pays the account.
    Account,
    /// Whoever runs the network between.
    Network,
    /// Whoever runs the service.
    Service,
}

/// Whether the call will be on the bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Billed {
    /// It was not carried out.
    No,
    /// It was, at least in part.
    Yes,
    /// Nobody on this side of the wire can tell.
    Unknown,
}

/// One attempt of a call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// What happened.
    pub kind: Kind,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// How long was waited after it; zero after the last.
    pub pause: Duration,
}

/// What went wrong with a call. It answers five questions: *what* ([`kind`](Self::kind)), *whose fault*
/// ([`fault`](Self::fault)), *may I retry* ([`may_retry`](Self::may_retry)), *was I billed*
/// ([`billed`](Self::billed)) and *which request* ([`request_id`](Self::request_id)).
///
/// It never contains the key.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// use qwenda::{Billed, Kind, Lang, Mock, Retry, Throttle};
///
/// let client = Mock::new().error(429, r#"{"error":{"code":"limit_burst_rate","message":"slower"}}"#).client();
/// let error = client.chat("qwen-plus").user("hi").retry(Retry::none()).await.unwrap_err();
/// assert_eq!(error.kind(), Kind::Throttled(Throttle::Burst));
/// assert_eq!(error.billed(), Billed::No);
/// assert!(error.may_retry());
/// println!("{}\n{}", error.friendly(Lang::Zh), error.report());
/// # Ok(()) }
/// ```
pub struct Error(Box<Facts>);

#[derive(Clone)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) status: Option<u16>,
    /// The service's name for it.
    pub(crate) code: Option<String>,
    /// Our table's.
    pub(crate) row: Option<Code>,
    pub(crate) request_id: Option<String>,
    pub(crate) replay: Replay,
    /// The service says that trying again does not help.
    pub(crate) hopeless: bool,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) billed: Billed,
    pub(crate) partial: Option<Reply>,
}

impl Error {
    pub(crate) fn of(kind: Kind) -> Self {
        let (replay, billed) = match kind {
            Kind::Connect | Kind::Throttled(_) => (Replay::Safe, Billed::No),
            Kind::Disconnected | Kind::Service => (Replay::Unknown, Billed::Unknown),
            Kind::Timeout(Limit::FirstByte | Limit::Idle | Limit::Service) => (Replay::Unknown, Billed::Unknown),
            // The call has no time left.
            Kind::Timeout(Limit::Total) => (Replay::Never, Billed::Unknown),
            Kind::Truncated => (Replay::Unknown, Billed::Yes),
            Kind::Malformed | Kind::TooLarge => (Replay::Never, Billed::Yes),
            _ => (Replay::Never, Billed::No),
        };
        Self(Box::new(Facts {
            kind,
            message: String::new(),
            status: None,
            code: None,
            row: None,
            request_id: None,
            replay,
            hopeless: false,
            retry_after: None,
            attempts: Vec::new(),
            billed,
            partial: None,
        }))
    }

    pub(crate) fn config(message: impl fmt::Display) -> Self {
        Self::of(Kind::Config).say(message)
    }

    pub(crate) fn say(mut self, message: impl fmt::Display) -> Self {
        self.0.message = message.to_string();
        self
    }

    pub(crate) fn transport(error: TransportError) -> Self {
        match error {
            TransportError::Connect { why } => Self::of(Kind::Connect).say(why),
            TransportError::Broken { why } => Self::of(Kind::Disconnected).say(why),
        }
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.0
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Facts)) -> Self {
        change(&mut self.0);
        self
    }

    /// What happened.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Who can put it right.
    pub fn fault(&self) -> Fault {
        match self.0.kind {
            Kind::Connect | Kind::Disconnected | Kind::Timeout(_) => Fault::Network,
            Kind::Arrears | Kind::FreeTierEnded | Kind::BudgetSpent => Fault::Account,
            Kind::Unauthorized | Kind::Forbidden => Fault::Credentials,
            Kind::Service | Kind::Truncated | Kind::Malformed | Kind::Throttled(Throttle::Overloaded) => Fault::Service,
            _ => Fault::Caller,
        }
    }

    /// Whether the same call may succeed later. Whether it is paid for twice then, [`billed`](Self::billed) says.
    pub fn may_retry(&self) -> bool {
        self.0.replay != Replay::Never && !self.0.hopeless
    }

    /// Whether the call will be on the bill.
    pub fn billed(&self) -> Billed {
        self.0.billed
    }

    /// The service's id of the request, which its operator asks for.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Every attempt of the call, in order; none if nothing was sent.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// The HTTP status of the last attempt, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The service's own name of the error, such as `Throttling.AllocationQuota`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The service's own sentence, or ours where it gave none; in English, as services write it.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// How long the service asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether there was too much at once, which passes. Accounts overdue are no throttle.
    pub fn is_throttle(&self) -> bool {
        matches!(self.0.kind, Kind::Throttled(_))
    }

    /// Whether the prompt is longer than the model's context.
    pub fn is_context_overflow(&self) -> bool {
        self.0.kind == Kind::ContextOverflow
    }

    /// The beginning of the answer, where one had come.
    pub fn partial(&self) -> Option<&Reply> {
        self.0.partial.as_ref()
    }

    /// As [`partial`](Self::partial), to keep.
    pub fn into_partial(self) -> Option<Reply> {
        self.0.partial
    }

    /// What it means and what to do about it, for a person.
    pub fn friendly(&self, lang: Lang) -> String {
        words::friendly(&self.0, lang)
    }

    /// The facts, one a line, for a log or a letter to the service's operator: neither key nor prompt.
    pub fn report(&self) -> String {
        let facts = &self.0;
        let mut lines = vec![format!("kind: {:?}", facts.kind)];
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                lines.push(format!("{name}: {value}"));
            }
        };
        line("status", facts.status.map(|status| status.to_string()));
        line("code", facts.code.clone());
        line("request id", facts.request_id.clone());
        line("billed", Some(format!("{:?}", facts.billed)));
        line("fault", Some(format!("{:?}", self.fault())));
        line("may retry", Some(self.may_retry().to_string()));
        line("retry after", facts.retry_after.map(|wait| format!("{wait:?}")));
        for (number, attempt) in (1..).zip(&facts.attempts) {
            let status = attempt.status.map_or_else(String::new, |status| format!(" {status}"));
            line(&format!("attempt {number}"), Some(format!("{:?}{status}, then {:?}", attempt.kind, attempt.pause)));
        }
        lines.join("\n")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.0;
        f.write_str(words::what(facts.kind).en)?;
        if !facts.message.is_empty() {
            write!(f, ": {}", facts.message)?;
        }
        if let Some(id) = &facts.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    /// Without the beginning of the answer: it is somebody's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.0;
        f.debug_struct("Error")
            .field("kind", &facts.kind)
            .field("message", &facts.message)
            .field("status", &facts.status)
            .field("code", &facts.code)
            .field("request_id", &facts.request_id)
            .field("billed", &facts.billed)
            .field("retry_after", &facts.retry_after)
            .field("attempts", &facts.attempts)
            .field("has_partial", &facts.partial.is_some())
            .finish()
    }
}

impl std::error::Error for Error {}
