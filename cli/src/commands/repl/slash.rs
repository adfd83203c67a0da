//! The commands of a conversation: `/help` and its like.

#[derive(Debug, PartialEq, Eq)]
pub enum Slash {
    Help,
    Clear,
    Model(Option<String>),
    System(Option<String>),
    Role(Option<String>),
    Template(Option<String>),
    File(Option<String>),
    Session(Option<String>),
    /// Show the last, or say whether it is shown as it comes.
    Reasoning(Option<bool>),
    Save(Option<String>),
    Summarize(Option<String>),
    Leave,
    Unknown(String),
}

/// The command a text is, if it is one. Paths (`/usr/bin is full`) and texts behind `//` are not.
pub fn read(text: &str) -> Option<Slash> {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let word = name.strip_prefix('/')?;
    if word != "?" && !word.chars().all(char::is_alphanumeric) {
        return None;
    }
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty()).map(str::to_owned);
    Some(match word {
        "help" | "?" | "h" | "" => Slash::Help,
        "clear" => Slash::Clear,
        "model" => Slash::Model(rest),
        "system" => Slash::System(rest),
        "role" => Slash::Role(rest),
        "template" => Slash::Template(rest),
        "reasoning" => match rest.as_deref() {
            None => Slash::Reasoning(None),
            Some("on") => Slash::Reasoning(Some(true)),
            Some("off") => Slash::Reasoning(Some(false)),
            Some(_) => Slash::Unknown(text.to_owned()),
        },
        "file" => Slash::File(rest),
        "session" => Slash::Session(rest),
        "save" => Slash::Save(rest),
        "summarize" => Slash::Summarize(rest),
        "quit" | "exit" | "q" | "bye" => Slash::Leave,
        _ => Slash::Unknown(name.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_or_something_to_ask() {
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            ("/help", Some(Slash::Help)),
            ("/", Some(Slash::Help)),
            ("/?", Some(Slash::Help)),
            ("/clear", Some(Slash::Clear)),
            ("/model", Some(Slash::Model(None))),
            ("/model  qwen3 ", Some(Slash::Model(some("qwen3")))),
            ("/system be brief\nand kind", Some(Slash::System(some("be brief\nand kind")))),
            ("/role - ", Some(Slash::Role(some("-")))),
            ("/template translate to=French\nhi", Some(Slash::Template(some("translate to=French\nhi")))),
            ("/summarize", Some(Slash::Summarize(None))),
            ("/save a b.json", Some(Slash::Save(some("a b.json")))),
            ("/reasoning", Some(Slash::Reasoning(None))),
            ("/reasoning off", Some(Slash::Reasoning(Some(false)))),
            ("/reasoning maybe", Some(Slash::Unknown("/reasoning maybe".to_owned()))),
            ("/exit", Some(Slash::Leave)),
            ("/modle x", Some(Slash::Unknown("/modle".to_owned()))),
            ("/帮助", Some(Slash::Unknown("/帮助".to_owned()))),
            ("//model is a word", None),
            ("/usr/bin is full", None),
            ("what is /help?", None),
        ];
        for (text, want) in cases {
            assert_eq!(read(text), want, "{text:?}");
        }
    }
}
