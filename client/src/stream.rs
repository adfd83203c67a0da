//! An answer as it comes: [`ChatStream`] and its [`Event`]s.

mod gather;
mod reader;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, fmt, ops::Deref, time::Duration};

use futures_core::Stream;
use futures_util::{future::BoxFuture, stream};
use tokio::time::Instant;

pub(crate) use gather::Gather;
pub(crate) use reader::{Frame, Reader, Reading, is_error, read_body, unreadable};

use crate::{
    Client, Error, Result,
    budget::Hold,
    call::{Answered, Call},
    cost,
    error::{Billed, Kind, Limit},
    reply::{Finish, Reply, ToolCall},
    transport::Response,
};

/// A piece of text.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// Which answer it belongs to, from 0.
    pub choice: u32,
    /// The text; never empty, always whole characters.
    pub text: String,
}

impl Deref for Piece {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Piece {
    /// Its size: the text is somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Piece({} bytes of choice {})", self.text.len(), self.choice)
    }
}

/// A request that is sent again, or an answer that is picked up where it broke.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retrying {
    /// The attempt that failed, from 1.
    pub attempt: u32,
    /// What happened.
    pub kind: Kind,
    /// How long is waited.
    pub pause: Duration,
    /// Whether the answer goes on where it broke. If not, nothing of it had been handed out.
    pub resumed: bool,
}

impl fmt::Display for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (attempt, kind, pause) = (self.attempt, self.kind, self.pause);
        write!(f, "attempt {attempt} failed ({kind:?}), trying again in {pause:?}")
    }
}

/// What happens while an answer comes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// More of what the model reasons before it answers.
    Reasoning(Piece),
    /// More of the answer.
    Text(Piece),
    /// A call that the model asks for, with all its arguments.
    ToolCall(ToolCall),
    /// An answer ends. Only once for each.
    Finished {
        /// Which, from 0.
        choice: u32,
        /// Why.
        finish: Finish,
    },
    /// The request is sent again. Never after text was handed out, unless the answer goes on where it broke.
    Retry(Retrying),
    /// A comment of the service, such as a keep-alive.
    Comment(String),
}

enum State {
    /// Until there is a response to read. The future is kept, so that whoever drops
    /// [`ChatStream::next`] in the middle can call it again.
    Opening(BoxFuture<'static, (Box<Call>, Result<Response>)>),
    Reading(Box<Call>, Box<Reader>),
    Ended,
}

/// How an answer is read and priced.
#[derive(Clone)]
pub(crate) struct How {
    /// Texts are whole in every chunk.
    pub(crate) cumulative: bool,
    /// A stream without a reason for its end may be whole.
    pub(crate) accept_open: bool,
    pub(crate) client: Client,
}

/// An answer as it comes. Dropping it closes the connection, and the service stops generating.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// use qwenda::{Event, Mock};
///
/// let client = Mock::new().stream(["Hello", ", ", "world"]).client();
/// let mut stream = client.chat("qwen-plus").user("Greet the world.").stream().await?;
/// let mut text = String::new();
/// while let Some(event) = stream.next().await {
///     if let Event::Text(piece) = event? {
///         text.push_str(&piece);
///     }
/// }
/// assert_eq!(text, "Hello, world");
/// assert_eq!(stream.finish()?.text(), "Hello, world");
/// # Ok(()) }
/// ```
pub struct ChatStream {
    state: State,
    gather: Gather,
    how: How,
    hold: Hold,
    events: VecDeque<Event>,
    /// Something of the answer was handed out.
    begun: bool,
    /// Something of it has come.
    seen: bool,
    /// The answer, once it is whole.
    whole: Option<Reply>,
    /// The name by which the model was asked for, and has its price.
    model: String,
    request_id: Option<String>,
    attempts: Vec<crate::Attempt>,
}

impl ChatStream {
    /// Sends the request; returns once an answer begins.
    pub(crate) async fn open(call: Call, how: How, hold: Hold) -> Result<Self> {
        let call_model = call.reading.model.clone();
        let mut stream = Self {
            state: opening(Box::new(call)),
            gather: Gather::new(how.cumulative),
            model: call_model,
            how,
            hold,
            events: VecDeque::new(),
            begun: false,
            seen: false,
            whole: None,
            request_id: None,
            attempts: Vec::new(),
        };
        while matches!(stream.state, State::Opening(_)) {
            stream.step().await?;
        }
        Ok(stream)
    }

    /// The next event; `None` once the answer is whole, or after an error. The future may be dropped and
    /// asked for again, as in `select!`: nothing is lost.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                self.begun |= !matches!(event, Event::Retry(_) | Event::Comment(_));
                return Some(Ok(event));
            }
            if matches!(self.state, State::Ended) {
                return None;
            }
            if let Err(error) = self.step().await {
                self.state = State::Ended;
                return Some(Err(error));
            }
        }
    }

    /// The whole answer, read to its end.
    ///
    /// # Errors
    /// As of [`next`](Self::next); [`Error::partial`] has what came before.
    pub async fn collect(mut self) -> Result<Reply> {
        while let Some(event) = self.next().await {
            event?;
        }
        self.finish()
    }

    /// Only the text of the first answer, piece by piece.
    pub fn text_stream(self) -> impl Stream<Item = Result<String>> + Send {
        stream::unfold(self, |mut stream| async move {
            loop {
                match stream.next().await? {
                    Ok(Event::Text(Piece { choice: 0, text })) => return Some((Ok(text), stream)),
                    Ok(_) => {}
                    Err(error) => return Some((Err(error), stream)),
                }
            }
        })
    }

    /// All events, as a [`Stream`].
    pub fn into_stream(self) -> impl Stream<Item = Result<Event>> + Send {
        stream::unfold(self, |mut stream| async move {
            let event = stream.next().await?;
            Some((event, stream))
        })
    }

    /// The whole answer, once [`next`](Self::next) has returned `None`.
    ///
    /// # Errors
    /// [`Kind::Truncated`] with the beginning of the answer, if its end was not reached.
    pub fn finish(mut self) -> Result<Reply> {
        if let Some(reply) = self.whole.take() {
            return Ok(reply);
        }
        let reply = self.into_partial();
        Err(Error::of(Kind::Truncated).say("the answer was not read to its end").with(|facts| {
            facts.request_id.clone_from(&reply.request_id);
            facts.partial = Some(reply);
        }))
    }

    /// What has come so far, whole or not.
    pub fn partial(&self) -> Reply {
        self.whole.clone().unwrap_or_else(|| self.named(self.gather.reply()))
    }

    /// As [`partial`](Self::partial); gives up the rest.
    pub fn into_partial(mut self) -> Reply {
        self.whole.take().unwrap_or_else(|| self.gathered())
    }

    fn gathered(&mut self) -> Reply {
        let gather = std::mem::replace(&mut self.gather, Gather::new(false));
        self.named(gather.into_reply())
    }

    /// The service's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    fn named(&self, mut reply: Reply) -> Reply {
        reply.request_id.clone_from(&self.request_id);
        reply.attempts.clone_from(&self.attempts);
        let prices = &self.how.client.0.prices;
        reply.cost = reply.usage().and_then(|usage| cost::cost(prices, &self.model, usage));
        reply
    }

    /// Goes on by one thing: a response, or a frame of it.
    async fn step(&mut self) -> Result<()> {
        match &mut self.state {
            State::Ended => Ok(()),
            State::Opening(opening) => {
                let (mut call, response) = opening.await;
                self.state = State::Ended;
                self.attempts.clone_from(&call.attempts);
                self.events.extend(call.notices.drain(..).map(Event::Retry));
                let response = response.map_err(|error| self.over(error))?;
                self.request_id = response.header("x-request-id").map(str::to_owned).or(self.request_id.take());
                match Reader::new(call.reading.clone(), response) {
                    Ok(reader) => self.state = State::Reading(call, Box::new(reader)),
                    Err(error) => self.again(call, error, None)?,
                }
                Ok(())
            }
            State::Reading(call, reader) => {
                let read = read(call, reader).await;
                if !self.seen && matches!(read, Ok(Frame::Chunk(_))) {
                    self.seen = true;
                    call.first_chunk();
                }
                let State::Reading(mut call, mut reader) = std::mem::replace(&mut self.state, State::Ended) else {
                    return Ok(());
                };
                match read.and_then(|frame| self.take(frame)) {
                    Ok(false) => self.state = State::Reading(call, reader),
                    Ok(true) => {
                        reader.rest();
                        let reply = self.gathered();
                        call.succeeded(Answered::Chat(&reply));
                        self.hold.post(reply.cost());
                        self.whole = Some(reply);
                    }
                    Err(error) => self.again(call, error, reader.last_id.take())?,
                }
                Ok(())
            }
        }
    }

    /// Takes a frame; says whether it was the last.
    fn take(&mut self, frame: Frame) -> Result<bool> {
        match frame {
            Frame::Comment(text) => self.events.push_back(Event::Comment(text)),
            Frame::Chunk(chunk) => {
                if self.request_id.is_none() && !chunk.id.is_empty() {
                    self.request_id = Some(qwenda_types::dashscope::request_id_of(&chunk.id).to_owned());
                }
                self.gather.take(*chunk, &mut self.events)?;
            }
            Frame::Whole(answer) => {
                self.gather.take_whole(*answer, &mut self.events)?;
                self.gather.end(self.how.accept_open, &mut self.events)?;
                return Ok(true);
            }
            Frame::Done => {
                self.gather.end(self.how.accept_open, &mut self.events)?;
                return Ok(true);
            }
            Frame::End => {
                self.gather.end(false, &mut self.events)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Meets a fault: by asking again where nothing was handed out, by picking the answer up where the
    /// service numbers its events, or by handing out the error.
    fn again(&mut self, mut call: Box<Call>, mut error: Error, last_id: Option<String>) -> Result<()> {
        let resumed =
            self.begun || !self.events.iter().all(|event| matches!(event, Event::Retry(_) | Event::Comment(_)));
        if error.status().is_some() {
            call.refused();
        }
        let lost = matches!(error.kind(), Kind::Disconnected | Kind::Truncated | Kind::Timeout(Limit::Idle));
        if resumed && !(lost && call.replays() && (last_id.is_some() || call.resumes())) {
            return Err(self.over(call.gave_up(error)));
        }
        if lost && !resumed && error.kind() == Kind::Truncated && self.gather.is_empty() {
            error = error.with(|facts| facts.billed = Billed::Unknown);
        }
        match call.decide(error, resumed) {
            Err(error) => Err(self.over(error)),
            Ok(pause) => {
                self.events.extend(call.notices.drain(..).map(Event::Retry));
                if resumed {
                    call.resume_after(last_id);
                } else {
                    self.gather = Gather::new(self.how.cumulative);
                }
                call.pause = Some(pause);
                self.state = opening(call);
                Ok(())
            }
        }
    }

    /// The error with what is known of the answer.
    fn failed(&mut self, error: Error) -> Error {
        let begun = !self.gather.is_empty();
        let partial = begun.then(|| self.partial());
        let id = self.request_id.clone();
        error.with(|facts| {
            facts.request_id = facts.request_id.take().or(id);
            if begun {
                // The service generated, and services bill what they generate.
                facts.billed = Billed::Yes;
            }
            facts.partial = partial;
        })
    }

    /// As [`failed`](Self::failed), of the last attempt.
    fn over(&mut self, error: Error) -> Error {
        let error = self.failed(error);
        let cost = error.partial().and_then(|reply| reply.cost.clone());
        match cost {
            // Services count before an answer ends, too.
            Some(cost) => self.hold.post(Some(&cost)),
            None => self.hold.fail(&error),
        }
        error
    }
}

impl fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatStream")
            .field("request_id", &self.request_id)
            .field("begun", &self.begun)
            .field("whole", &self.whole.is_some())
            .finish_non_exhaustive()
    }
}

fn opening(mut call: Box<Call>) -> State {
    State::Opening(Box::pin(async move {
        let response = call.send().await;
        (call, response)
    }))
}

/// The next frame, within the limits of the call.
async fn read(call: &Call, reader: &mut Reader) -> Result<Frame> {
    let frame = reader.next(call.limits.idle);
    match call.deadline {
        None => frame.await,
        Some(deadline) => match tokio::time::timeout_at(deadline, frame).await {
            Ok(frame) => frame,
            Err(_) => Err(Error::of(Kind::Timeout(Limit::Total))),
        },
    }
}

/// A moment after now; `None` if there is none.
pub(crate) fn deadline(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}
