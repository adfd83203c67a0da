//! Chats, whole and streamed.

use qwenda_types::{
    Dialect,
    chat::{ChatRequest, ChatResponse, Limits, Strictness},
    dashscope::{
        ChunksToFrames, Endpoint, Form, FramesToChunks, NativeOptions, NativeResponse, ResultFormat, chat_from_map,
        chat_to_map,
    },
    error::Invalid,
    sse,
};
use serde_json::Value;

use super::{REQUEST_ID, name, object, refusal, written::Written};
use crate::{
    cases::{Case, Section},
    reader::{Item, events, items},
};

/// What the native dialect does not say.
const CREATED: u64 = 1_745_485_391;
const LIMITS: Limits = Limits { output_tokens_max: 32_768 };

/// A case's request of one dialect, as it was read.
struct Asked {
    request: ChatRequest,
    options: NativeOptions,
    endpoint: Endpoint,
}

pub(super) fn chat(case: &Case) -> String {
    let mut out = Written::default();
    let find = |is_request: bool, dialect: Dialect| {
        case.sections.iter().find(|section| section.is_request == is_request && section.dialect == dialect)
    };
    let parts = |is_request| [find(is_request, Dialect::Compat), find(is_request, Dialect::Native)];
    let given = parts(true).map(|section| section.map(|section| Value::from(object(&section.text, &case.name))));
    let asked = parts(true).map(|section| section.map(|section| ask(case, section)));
    let options = match &asked[1] {
        Some(Ok(native)) => (native.options.clone(), native.endpoint),
        _ => (NativeOptions::default(), Endpoint::Text),
    };
    let mut form = None;
    for (section, asked) in parts(true).into_iter().zip(&asked) {
        let (Some(section), Some(asked)) = (section, asked) else { continue };
        out.title(&format!("request {}", name(section.dialect)));
        let asked = match asked {
            Ok(asked) => asked,
            Err(error) => {
                out.line("refused", &refusal(error.clone(), section.dialect));
                continue;
            }
        };
        check(&mut out, asked, section.dialect, &mut form);
        write_request(&mut out, asked, section.dialect, &options, &given);
    }
    let request = asked.iter().flatten().flatten().next().map(|asked| &asked.request);
    let form = form.unwrap_or(Form { endpoint: options.1, result_format: ResultFormat::Message, incremental: true });
    let answers = parts(false);
    for answer in answers.into_iter().flatten() {
        out.title(&format!("answer {}", name(answer.dialect)));
        let request = request.unwrap_or_else(|| panic!("{}: an answer answers a request", case.name));
        if answer.is_stream() {
            write_stream(&mut out, answer, &answers, request, form);
        } else {
            write_answer(&mut out, case, answer, &answers, request, form);
        }
    }
    out.finish()
}

fn ask(case: &Case, section: &Section) -> Result<Asked, Invalid> {
    let map = object(&section.text, &case.name);
    let streamed = case.answers().any(Section::is_stream);
    let multimodal = section.more.iter().any(|word| word == "multimodal");
    let endpoint = if multimodal { Endpoint::Multimodal } else { Endpoint::Text };
    let (mut request, options) = match section.dialect {
        Dialect::Compat => (ChatRequest::from_map(map)?, NativeOptions::default()),
        Dialect::Native => chat_from_map(map, endpoint)?,
    };
    // In the native dialect a header says so.
    request.stream |= section.dialect == Dialect::Native && streamed;
    Ok(Asked { request, options, endpoint })
}

/// Whether the request is accepted, and by whose rules.
fn check(out: &mut Written, asked: &Asked, dialect: Dialect, form: &mut Option<Form>) {
    let said = |strictness| {
        let checked =
            asked.request.validate_as(dialect, strictness).and_then(|()| asked.request.validate_limits(LIMITS));
        checked.map_or_else(|error| refusal(error, dialect), |()| "accepted".to_owned())
    };
    let qwen = said(Strictness::Qwen);
    out.line("checked", &qwen);
    for (rules, strictness) in [("auto", Strictness::Auto), ("openai", Strictness::OpenAi)] {
        let other = said(strictness);
        if other != qwen {
            out.line(&format!("checked by {rules}"), &other);
        }
    }
    if dialect == Dialect::Native {
        match asked.options.form(&asked.request, asked.endpoint, asked.request.thinking() == Some(true)) {
            Ok(of) => {
                let news = if of.incremental { ", what is new" } else { "" };
                out.line("form", &format!("{}{news}", of.result_format.as_str()));
                *form = Some(of);
            }
            Err(error) => out.line("form", &refusal(error, dialect)),
        }
    }
}

fn write_request(
    out: &mut Written,
    asked: &Asked,
    from: Dialect,
    (options, endpoint): &(NativeOptions, Endpoint),
    [compat, native]: &[Option<Value>; 2],
) {
    let own = |dialect| if dialect == from { "as written" } else { "as given" };
    let mut request = asked.request.clone();
    let native_map = chat_to_map(&request, options, *endpoint);
    // The one field that has no place in the native dialect.
    let mut compat = compat.clone();
    if from == Dialect::Native
        && let Some(Value::Object(map)) = &mut compat
    {
        map.shift_remove("stream_options");
        request.stream_options = None;
    }
    out.value("compat", &request, &[(own(Dialect::Compat), compat.as_ref())]);
    out.value("native", &native_map, &[(own(Dialect::Native), native.as_ref())]);
    let (again, again_options) = chat_from_map(native_map, *endpoint).expect("what was written can be read");
    let mut kept = asked.request.clone();
    (kept.stream, kept.stream_options) = (false, None);
    assert_eq!((&again, &again_options), (&kept, options), "written natively and read again it is the same");
}

fn write_answer(
    out: &mut Written,
    case: &Case,
    answer: &Section,
    answers: &[Option<&Section>; 2],
    request: &ChatRequest,
    form: Form,
) {
    let read = |section: &Option<&Section>| section.map(|section| Value::from(object(&section.text, &case.name)));
    let [compat, native] = [read(&answers[0]), read(&answers[1])];
    match answer.dialect {
        Dialect::Compat => {
            let response: ChatResponse = serde_json::from_str(&answer.text).expect("an answer is one");
            out.value("compat", &response, &[("as written", compat.as_ref())]);
            let written = NativeResponse::from_chat(response, form);
            out.value("native", &written, &[("as given", native.as_ref())]);
            let back = written.into_chat(CREATED, request.model.as_str());
            out.value("back", &back, &[("as written", compat.as_ref())]);
        }
        Dialect::Native => {
            let response: NativeResponse = serde_json::from_str(&answer.text).expect("an answer is one");
            out.value("native", &response, &[("as written", native.as_ref())]);
            let written = response.into_chat(CREATED, request.model.as_str());
            out.value("compat", &written, &[("as given", compat.as_ref())]);
            let back = NativeResponse::from_chat(written, form);
            out.value("back", &back, &[("as written", native.as_ref())]);
        }
    }
}

fn write_stream(
    out: &mut Written,
    answer: &Section,
    answers: &[Option<&Section>; 2],
    request: &ChatRequest,
    form: Form,
) {
    let said = items(&events([answer.stream().as_bytes()]), answer.dialect);
    let [compat, native] = [answers[0].map(Section::stream), answers[1].map(Section::stream)];
    let include_usage = request.include_usage();
    match answer.dialect {
        Dialect::Compat => {
            out.stream("compat", &compat_again(&said), &[("as written", compat)]);
            out.stream("native", &to_native(&said, form, request), &[("as given", native)]);
            let other = Form { incremental: !form.incremental, ..form };
            out.stream("native, the other way", &to_native(&said, other, request), &[]);
        }
        Dialect::Native => {
            out.stream("native", &native_again(&said), &[("as written", native)]);
            out.stream("compat", &to_compat(&said, form, request, include_usage), &[("as given", compat)]);
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it is plain JSON")
}

fn compat_again(said: &[Item]) -> String {
    let one = |item: &Item| match item {
        Item::Chunk(chunk) => sse::data(&json(chunk)),
        Item::Error(error) => error.sse_frame(Dialect::Compat, 0, REQUEST_ID),
        Item::Done => sse::data(sse::DONE),
        Item::Frame(_) => unreachable!("a frame is native"),
    };
    said.iter().map(one).collect()
}

fn native_again(said: &[Item]) -> String {
    let one = |(id, item): (u64, &Item)| match item {
        Item::Frame(frame) => sse::native(id, &json(frame)),
        Item::Error(error) => error.sse_frame(Dialect::Native, id, REQUEST_ID),
        Item::Done | Item::Chunk(_) => unreachable!("these are not native"),
    };
    (1..).zip(said).map(one).collect()
}

fn to_native(said: &[Item], form: Form, request: &ChatRequest) -> String {
    let mut frames = ChunksToFrames::new(form, request.choices());
    let (mut out, mut id) = (String::new(), 0);
    let mut next = || {
        id += 1;
        id
    };
    for item in said {
        match item {
            Item::Chunk(chunk) => {
                for frame in frames.push((**chunk).clone()) {
                    out.push_str(&sse::native(next(), &json(&frame)));
                }
            }
            Item::Error(error) => return out + &error.sse_frame(Dialect::Native, next(), REQUEST_ID),
            Item::Done | Item::Frame(_) => {}
        }
    }
    out + &sse::native(next(), &json(&frames.done()))
}

fn to_compat(said: &[Item], form: Form, request: &ChatRequest, include_usage: bool) -> String {
    let mut chunks = FramesToChunks::new(form.incremental, CREATED, request.model.as_str());
    let mut out = String::new();
    for item in said {
        match item {
            Item::Frame(frame) => {
                for chunk in chunks.push((**frame).clone()) {
                    out.push_str(&sse::data(&json(&chunk)));
                }
            }
            Item::Error(error) => return out + &error.sse_frame(Dialect::Compat, 0, REQUEST_ID),
            Item::Done | Item::Chunk(_) => {}
        }
    }
    if include_usage {
        out.push_str(&sse::data(&json(&chunks.done())));
    }
    out + &sse::data(sse::DONE)
}
