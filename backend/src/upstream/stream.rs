//! An answer as it comes. Until its first event is handed on, a fault may be met by asking again;
//! after that never, for the caller has begun to read.

use std::collections::VecDeque;

use futures_util::stream;
use reqwest::Response;

use super::{
    events::Progress,
    reader::{Frame, Reader},
    refusal::Fault,
    transport::Sending,
};
use crate::{BackendError, ChatEvent, ChatStream};

/// Sends a request and hands out its answer; `progress` makes a fresh account for each attempt.
pub(super) async fn start(
    mut sending: Sending,
    progress: impl Fn() -> Progress + Send + 'static,
) -> Result<ChatStream, BackendError> {
    let response = sending.send().await?;
    let reader = open(&mut sending, response).await?;
    let answer = Answer {
        sending,
        reader,
        progress: progress(),
        fresh: progress,
        events: VecDeque::new(),
        handed_on: false,
        ended: false,
    };
    Ok(ChatStream::new(stream::unfold(answer, |mut answer| async {
        let event = answer.next().await?;
        Some((event, answer))
    })))
}

struct Answer<F> {
    sending: Sending,
    reader: Reader,
    progress: Progress,
    fresh: F,
    events: VecDeque<ChatEvent>,
    handed_on: bool,
    ended: bool,
}

impl<F: Fn() -> Progress> Answer<F> {
    async fn next(&mut self) -> Option<Result<ChatEvent, BackendError>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                self.handed_on = true;
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            let met = match self.read().await {
                Err(fault) if !self.handed_on => self.again(fault).await,
                met => met,
            };
            if let Err(fault) = met {
                self.ended = true;
                self.events.clear();
                return Some(Err(fault.into()));
            }
        }
    }

    async fn read(&mut self) -> Result<(), Fault> {
        let marked = match self.reader.next(&self.sending).await? {
            Frame::Object(chunk) => return self.progress.take(chunk, &mut self.events),
            Frame::Done => true,
            Frame::End => false,
        };
        let done = self.progress.end(marked)?;
        self.events.push_back(done);
        self.ended = true;
        Ok(())
    }

    async fn again(&mut self, fault: Fault) -> Result<(), Fault> {
        self.events.clear();
        self.progress = (self.fresh)();
        let response = self.sending.send_again(fault).await?;
        self.reader = open(&mut self.sending, response).await?;
        Ok(())
    }
}

/// The reader of this response, or of the next where that may help.
async fn open(sending: &mut Sending, mut response: Response) -> Result<Reader, Fault> {
    loop {
        match Reader::open(sending, response).await {
            Ok(reader) => return Ok(reader),
            Err(fault) => response = sending.send_again(fault).await?,
        }
    }
}
