//! What streams mean: the same however their bytes are cut, and what each shape of a service becomes.

mod calls;
mod cuts;

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::{FutureExt, stream};

use super::*;
use crate::{
    service::Protocol,
    transport::{Body, TransportError},
};

/// What a stream says: its events and its end, as a line each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) events: Vec<Event>,
    pub(super) end: std::result::Result<Reply, (Kind, String)>,
}

pub(super) fn read(protocol: Protocol, pieces: &[&[u8]]) -> Said {
    let pieces: Vec<std::result::Result<Bytes, TransportError>> =
        pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
    let response = Response::new(200, headers, Body::new(stream::iter(pieces)));
    let reading = Reading {
        protocol,
        completes: false,
        model: "m".to_owned(),
        key: None,
        event_bytes_max: 1 << 20,
        answer_bytes_max: 1 << 30,
    };
    let mut reader = Reader::new(reading, response).unwrap();
    let mut gather = Gather::new(false);
    let mut events = VecDeque::new();
    // Nothing here waits, so that it is done at once.
    let end = async {
        loop {
            match reader.next(None).await? {
                Frame::Chunk(chunk) => gather.take(*chunk, &mut events)?,
                Frame::Whole(answer) => gather.take_whole(*answer, &mut events)?,
                Frame::Comment(text) => events.push_back(Event::Comment(text)),
                Frame::Done | Frame::End => return gather.end(false, &mut events),
            }
        }
    };
    let end = end.now_or_never().expect("nothing waits");
    let end = end.map_err(|error: Error| (error.kind(), error.message().to_owned())).map(|()| gather.into_reply());
    Said { events: joined(events), end }
}

/// Pieces of one text put together: where they are parted is the service's business.
fn joined(events: VecDeque<Event>) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for event in events {
        match (all.last_mut(), &event) {
            (Some(Event::Text(last)), Event::Text(new)) if last.choice == new.choice => last.text.push_str(new),
            (Some(Event::Reasoning(last)), Event::Reasoning(new)) if last.choice == new.choice => {
                last.text.push_str(new);
            }
            _ => all.push(event),
        }
    }
    all
}
