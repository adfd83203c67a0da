//! Calls that a grammar enforces are handed out while they come.

use super::{
    super::Parser,
    auto,
    cases::{HERMES, OTHERS},
    menu, read, shown,
};

#[test]
fn forced_calls_are_handed_out_while_they_come() {
    let steps = [
        ("<tool_call>\n{\"name\": \"wea", ""),
        ("ther\", \"argum", ""),
        ("ents\": {", "⟦weather|{⟧"),
        ("\"city\": \"P", "⟦weather|{\"city\": \"P⟧"),
        ("aris\"}", "⟦weather|{\"city\": \"Paris\"}⟧"),
        ("}\n</tool_call>", "⟦weather|{\"city\": \"Paris\"}⟧"),
        ("\n<tool_call>\n<function=edit>", "⟦weather|{\"city\": \"Paris\"}⟧⟦edit|⟧"),
        ("\n<parameter=at>\n7", "⟦weather|{\"city\": \"Paris\"}⟧⟦edit|⟧"),
        ("\n</parameter>\n</", "⟦weather|{\"city\": \"Paris\"}⟧⟦edit|⟧"),
        ("function>", "⟦weather|{\"city\": \"Paris\"}⟧⟦edit|{\"at\": 7}⟧"),
    ];
    let mut parser = Parser::new(menu(8, true));
    let mut pieces = Vec::new();
    for (text, wanted) in steps {
        parser.push(text, &mut pieces);
        assert_eq!(shown(&pieces), wanted, "after {text}");
    }
    assert_eq!(parser.calls(), 2);
}

#[test]
fn a_forced_call_cut_off_is_a_call_as_far_as_it_came() {
    let mut parser = Parser::new(menu(1, true));
    let mut pieces = Vec::new();
    parser.push("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Par", &mut pieces);
    parser.end(&mut pieces);
    assert_eq!(shown(&pieces), "⟦weather|{\"city\": \"Par⟧");
    assert!(!parser.full());
    assert_eq!(parser.calls(), 1);
}

#[test]
fn a_forced_call_cut_off_before_it_began_is_nothing() {
    for cut in ["<tool_", "<tool_call>\n", "<tool_call>\n{\"", "<tool_call>\n{\"name\": \"weather\", \"argu"] {
        assert_eq!(read(&menu(1, true), [cut]), "", "{cut}");
        assert_eq!(read(&auto(), [cut]), cut.to_owned(), "{cut}");
    }
}

#[test]
fn forced_and_free_answers_are_read_alike_when_the_calls_are_sound() {
    for (answer, _) in HERMES.iter().chain(OTHERS) {
        assert_eq!(read(&menu(8, true), [*answer]), read(&auto(), [*answer]), "{answer}");
    }
}
