//! Streams: what the pieces add up to is the same in either dialect, in what is new and in everything so far.

use std::collections::BTreeMap;

use qwenda_testkit::rng::Rng;
use qwenda_types::{
    chat::{
        ChatChunk, Choice, ChunkChoice, Delta, FinishReason, FunctionDelta, Logprobs, TokenLogprob, ToolCallDelta,
        Usage,
    },
    dashscope::{
        ChunksToFrames, Endpoint, Form, Frames, FramesToChunks, NativeResponse, NativeUsage, Piece, ResultFormat,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    make::{once_in, text, token_logprobs, unknown, words},
    rounds,
};

const ID: &str = "chatcmpl-11111111-2222-9333-8444-555555555555";

/// What a choice has said so far.
#[derive(Debug, Clone, Default, PartialEq)]
struct Told {
    text: String,
    reasoning: String,
    /// By index: id, name, arguments.
    calls: BTreeMap<u32, (String, String, String)>,
    logprobs: Vec<TokenLogprob>,
    finish: Option<FinishReason>,
    /// What has no name, of the message and of the choice.
    rests: [Map<String, Value>; 2],
}

/// What all choices have said so far.
type Story = BTreeMap<u32, Told>;

fn tell(story: &mut Story, choice: &ChunkChoice) {
    let told = story.entry(choice.index).or_default();
    told.text.push_str(choice.delta.content.as_deref().unwrap_or_default());
    told.reasoning.push_str(choice.delta.reasoning_content.as_deref().unwrap_or_default());
    for call in choice.delta.tool_calls.iter().flatten() {
        let (id, name, arguments) = told.calls.entry(call.index).or_default();
        id.push_str(call.id.as_deref().unwrap_or_default());
        name.push_str(call.function.name.as_deref().unwrap_or_default());
        arguments.push_str(call.function.arguments.as_deref().unwrap_or_default());
    }
    told.logprobs.extend(choice.logprobs.iter().flat_map(|logprobs| logprobs.content.iter().cloned()));
    if let Some(finish) = choice.finish_reason {
        assert_eq!(told.finish.replace(finish), None, "a choice ends once");
    }
    told.rests[0].extend(choice.delta.rest.clone());
    told.rests[1].extend(choice.rest.clone());
}

fn told(choice: Choice) -> (u32, Told) {
    let message = choice.message;
    let calls = message.tool_calls.into_iter().flatten().map(|call| {
        let index = call.rest["index"].as_u64().expect("every call has its place") as u32;
        (index, (call.id, call.function.name, call.function.arguments))
    });
    let told = Told {
        text: message.content.unwrap_or_default(),
        reasoning: message.reasoning_content.unwrap_or_default(),
        calls: calls.collect(),
        logprobs: choice.logprobs.map(|logprobs| logprobs.content).unwrap_or_default(),
        finish: choice.finish_reason,
        rests: [message.rest, choice.rest],
    };
    (choice.index, told)
}

/// What frames that have only what is new add up to.
fn sum(frames: &[NativeResponse]) -> Story {
    let mut story = Story::new();
    for frame in frames {
        for choice in frame.clone().into_chat(0, "").choices {
            let (index, new) = told(choice);
            let known = story.entry(index).or_default();
            known.text.push_str(&new.text);
            known.reasoning.push_str(&new.reasoning);
            for (index, (id, name, arguments)) in new.calls {
                let call = known.calls.entry(index).or_default();
                call.0.push_str(&id);
                call.1.push_str(&name);
                call.2.push_str(&arguments);
            }
            known.logprobs.extend(new.logprobs);
            if new.finish.is_some() {
                assert_eq!(std::mem::replace(&mut known.finish, new.finish), None, "a choice ends once");
            }
            known.rests.iter_mut().zip(new.rests).for_each(|(known, new)| known.extend(new));
        }
    }
    story
}

/// What the last of the frames that have everything so far say; none takes back what one before it said.
fn last(frames: &[NativeResponse]) -> Story {
    let mut story = Story::new();
    for frame in frames {
        for choice in frame.clone().into_chat(0, "").choices {
            let (index, new) = told(choice);
            if let Some(old) = story.insert(index, new.clone()) {
                assert!(new.text.starts_with(&old.text) && new.reasoning.starts_with(&old.reasoning));
                assert!(new.logprobs.starts_with(&old.logprobs));
                for (index, (id, name, arguments)) in &old.calls {
                    let now = &new.calls[index];
                    assert!(now.0 == *id && now.1 == *name && now.2.starts_with(arguments), "{now:?}");
                }
            }
        }
    }
    story
}

fn fold(chunks: &[ChatChunk]) -> Story {
    let mut story = Story::new();
    for choice in chunks.iter().flat_map(|chunk| &chunk.choices) {
        tell(&mut story, choice);
    }
    story
}

fn chunk(choices: Vec<ChunkChoice>) -> ChatChunk {
    ChatChunk {
        id: ID.to_owned(),
        object: "chat.completion.chunk".to_owned(),
        model: "m".to_owned(),
        choices,
        ..ChatChunk::default()
    }
}

/// The deltas of one answer, in order.
fn deltas(rng: &mut Rng, index: u32, calls: bool) -> Vec<ChunkChoice> {
    let mut list = Vec::new();
    let add = |rng: &mut Rng, list: &mut Vec<ChunkChoice>, mut delta: Delta, logprobs| {
        delta.rest = unknown(rng);
        list.push(ChunkChoice { index, delta, logprobs, finish_reason: None, rest: unknown(rng) });
    };
    if once_in(rng, 2) {
        let delta = Delta { role: Some("assistant".to_owned()), content: Some(String::new()), ..Delta::default() };
        add(rng, &mut list, delta, None);
    }
    for _ in 0..rng.below(3) {
        let delta = Delta { reasoning_content: Some(text(rng)), ..Delta::default() };
        add(rng, &mut list, delta, None);
    }
    for _ in 0..rng.below(4) {
        let logprobs = once_in(rng, 2).then(|| {
            let count = rng.below(3);
            serde_json::from_value(json!({"content": token_logprobs(rng, count)})).expect("these are log-probabilities")
        });
        let logprobs = logprobs.filter(|logprobs: &Logprobs| !logprobs.content.is_empty());
        let delta = Delta { content: Some(text(rng)), ..Delta::default() };
        add(rng, &mut list, delta, logprobs);
    }
    for call in 0..if calls { rng.below(3) as u32 } else { 0 } {
        let piece = |id: Option<String>, name: Option<String>, arguments: String| ToolCallDelta {
            index: call,
            kind: id.is_some().then(|| "function".to_owned()),
            id,
            function: FunctionDelta { name, arguments: Some(arguments), rest: Map::new() },
            rest: Map::new(),
        };
        let first = piece(Some(format!("call_{call}")), Some(words(rng)), text(rng));
        add(rng, &mut list, Delta { tool_calls: Some(vec![first]), ..Delta::default() }, None);
        for _ in 0..rng.below(3) {
            let empty = once_in(rng, 2).then(String::new);
            let next = piece(empty, None, text(rng));
            add(rng, &mut list, Delta { tool_calls: Some(vec![next]), ..Delta::default() }, None);
        }
    }
    // An end of its own, or with the last of the text.
    if once_in(rng, 3) || list.is_empty() {
        add(rng, &mut list, Delta { content: Some(String::new()), ..Delta::default() }, None);
    }
    let reasons = [FinishReason::Stop, FinishReason::Length, FinishReason::ToolCalls, FinishReason::of("other")];
    list.last_mut().expect("it has one").finish_reason = Some(*rng.pick(&reasons));
    list
}

/// The chunks of an answer of a few choices, interleaved; the last tells the usage.
fn chunks(rng: &mut Rng, choices: u32, calls: bool) -> (Vec<ChatChunk>, Usage) {
    let mut waiting: Vec<_> = (0..choices).map(|index| deltas(rng, index, calls).into_iter().peekable()).collect();
    let mut list = Vec::new();
    while !waiting.is_empty() {
        let place = rng.below(waiting.len());
        match waiting[place].next() {
            Some(choice) => {
                let mut made = chunk(vec![choice]);
                made.rest = unknown(rng);
                list.push(made);
            }
            None => drop(waiting.remove(place)),
        }
    }
    let usage = Usage::new(rng.below(100) as u64, list.len() as u64, rng.below(10) as u64, 0);
    list.push(ChatChunk { usage: Some(usage.clone()), ..chunk(Vec::new()) });
    (list, usage)
}

fn form(rng: &mut Rng, choices: u32, calls: bool) -> Form {
    let text = choices == 1 && !calls && once_in(rng, 2);
    Form {
        endpoint: if text || once_in(rng, 2) { Endpoint::Text } else { Endpoint::Multimodal },
        result_format: if text { ResultFormat::Text } else { ResultFormat::Message },
        incremental: true,
    }
}

fn over_the_wire<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let written = serde_json::to_string(value).expect("it is plain JSON");
    serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written}"))
}

fn to_frames(chunks: &[ChatChunk], form: Form, choices: u32) -> Vec<NativeResponse> {
    let mut maker = ChunksToFrames::new(form, choices);
    let mut frames: Vec<NativeResponse> = chunks.iter().flat_map(|chunk| maker.push(chunk.clone())).collect();
    frames.push(maker.done());
    frames.iter().map(over_the_wire).collect()
}

fn to_chunks(frames: &[NativeResponse], incremental: bool) -> (Vec<ChatChunk>, ChatChunk) {
    let mut maker = FramesToChunks::new(incremental, 1, "m");
    let chunks: Vec<ChatChunk> = frames.iter().flat_map(|frame| maker.push(frame.clone())).collect();
    (chunks.iter().map(over_the_wire).collect(), maker.done())
}

#[test]
fn a_stream_says_the_same_in_both_dialects_and_in_both_kinds_of_frames() {
    rounds(30, |rng| {
        let choices = 1 + (rng.below(5) / 4 * rng.below(3)) as u32;
        let calls = once_in(rng, 2);
        let (chunks, usage) = chunks(rng, choices, calls);
        let want = fold(&chunks);
        let form = form(rng, choices, calls);

        let news = to_frames(&chunks, form, choices);
        assert_eq!(sum(&news), want, "what is new: {chunks:?}\n{news:?}");
        let wholes = to_frames(&chunks, Form { incremental: false, ..form }, choices);
        assert_eq!(last(&wholes), want, "everything so far: {chunks:?}\n{wholes:?}");
        for frames in [&news, &wholes] {
            assert!(frames.iter().all(|frame| frame.request_id == ID["chatcmpl-".len()..]), "{frames:?}");
            let mut told = Map::new();
            frames.iter().for_each(|frame| told.extend(frame.rest.clone()));
            let mut rest = Map::new();
            chunks.iter().for_each(|chunk| rest.extend(chunk.rest.clone()));
            assert_eq!(told, rest, "{chunks:?}\n{frames:?}");
            let last = frames.last().expect("there is one");
            let counted: u64 = if choices == 1 { last.usage.output_tokens } else { usage.completion_tokens };
            assert_eq!(counted, usage.completion_tokens);
            if choices == 1 {
                assert_eq!(NativeUsage::from(&usage).input_tokens, last.usage.input_tokens);
            }
        }

        for (frames, incremental) in [(&news, true), (&wholes, false)] {
            let (back, end) = to_chunks(frames, incremental);
            assert_eq!(fold(&back), want, "incremental {incremental}: {frames:?}\n{back:?}");
            assert!(back.iter().all(|chunk| chunk.id == ID && chunk.usage.is_none()), "{back:?}");
            let roles = back.iter().flat_map(|chunk| &chunk.choices).filter(|choice| choice.delta.role.is_some());
            assert_eq!(roles.count(), choices as usize, "the role is told once: {back:?}");
            let counted = end.usage.expect("the end tells it");
            assert_eq!(counted.prompt_tokens, usage.prompt_tokens);
            if choices == 1 {
                assert_eq!(counted.completion_tokens, usage.completion_tokens);
            }
        }
    });
}

#[test]
fn frames_of_everything_so_far_and_frames_of_what_is_new_make_the_same_chunks() {
    rounds(31, |rng| {
        let calls = once_in(rng, 2);
        let (chunks, _) = chunks(rng, 1, calls);
        let form = form(rng, 1, calls);
        let (news, end) = to_chunks(&to_frames(&chunks, form, 1), true);
        let (wholes, other_end) = to_chunks(&to_frames(&chunks, Form { incremental: false, ..form }, 1), false);
        assert_eq!((fold(&news), end), (fold(&wholes), other_end), "{chunks:?}");
        let again = to_frames(&news, form, 1);
        let (back, _) = to_chunks(&again, true);
        assert_eq!(fold(&back), fold(&news), "there and back again: {again:?}");
    });
}

#[test]
fn pieces_add_up_to_the_whole_answer_in_every_form() {
    rounds(32, |rng| {
        let choices = 1 + (rng.below(5) / 4 * rng.below(3)) as u32;
        let calls = once_in(rng, 2);
        let form = form(rng, choices, calls);
        let pieces = pieces(rng, choices, calls);
        let usage = Usage::new(7, pieces.len() as u64, 1, 0);
        let mut want = Story::new();
        for piece in &pieces {
            tell_piece(&mut want, piece);
        }
        let frames = |incremental| {
            let mut maker = Frames::new(Form { incremental, ..form }, choices, "r");
            maker.started(7, 1);
            let mut frames = Vec::new();
            for piece in &pieces {
                frames.extend(maker.push(piece.clone(), frames.len() as u64));
            }
            frames.push(maker.done(&usage));
            frames
        };
        assert_eq!(sum(&frames(true)), want, "what is new: {pieces:?}");
        assert_eq!(last(&frames(false)), want, "everything so far: {pieces:?}");
        let mut maker = Frames::new(form, choices, "r");
        pieces.iter().for_each(|piece| maker.keep(piece.clone(), 1));
        assert_eq!(last(&[maker.whole(&usage)]), want, "whole: {pieces:?}");
        for frame in frames(true).iter().chain(&frames(false)) {
            let usage = &frame.usage;
            assert_eq!(usage.total_tokens, usage.input_tokens + usage.output_tokens, "{frame:?}");
        }
    });
}

fn pieces(rng: &mut Rng, choices: u32, calls: bool) -> Vec<Piece> {
    let one = |rng: &mut Rng, choice: u32| {
        let mut list = Vec::new();
        for _ in 0..rng.below(3) {
            list.push(Piece::Reasoning { choice, text: text(rng) });
        }
        for _ in 0..rng.below(4) {
            list.push(Piece::Text { choice, text: text(rng), logprobs: Vec::new() });
        }
        for index in 0..if calls { rng.below(3) as u32 } else { 0 } {
            list.push(Piece::ToolCall { choice, index, id: format!("call_{index}"), name: words(rng) });
            for _ in 0..rng.below(3) {
                list.push(Piece::ToolArguments { choice, index, text: text(rng) });
            }
        }
        list.push(Piece::Finished { choice, reason: *rng.pick(&[FinishReason::Stop, FinishReason::Length]) });
        list.into_iter()
    };
    let mut waiting: Vec<_> = (0..choices).map(|choice| one(rng, choice)).collect();
    let mut list = Vec::new();
    while !waiting.is_empty() {
        let place = rng.below(waiting.len());
        match waiting[place].next() {
            Some(piece) => list.push(piece),
            None => drop(waiting.remove(place)),
        }
    }
    list
}

fn tell_piece(story: &mut Story, piece: &Piece) {
    match piece {
        Piece::Text { choice, text, .. } => story.entry(*choice).or_default().text.push_str(text),
        Piece::Reasoning { choice, text } => story.entry(*choice).or_default().reasoning.push_str(text),
        Piece::ToolCall { choice, index, id, name } => {
            let calls = &mut story.entry(*choice).or_default().calls;
            calls.insert(*index, (id.clone(), name.clone(), String::new()));
        }
        Piece::ToolArguments { choice, index, text } => {
            let calls = &mut story.entry(*choice).or_default().calls;
            calls.entry(*index).or_default().2.push_str(text);
        }
        Piece::Finished { choice, reason } => story.entry(*choice).or_default().finish = Some(*reason),
    }
}
