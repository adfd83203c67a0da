//! The tables: calls in all their forms, and what is none.

/// An answer, and what it is.
pub(super) type Case = (&'static str, &'static str);

pub(super) const HERMES: &[Case] = &[
    (
        "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"上海\"}}\n</tool_call>",
        "⟦weather|{\"city\": \"上海\"}⟧",
    ),
    ("Let me see.\n\n<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>", "Let me see.⟦now|{}⟧"),
    (
        "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"weather\", \
         \"arguments\": {\"city\": \"a\"}}\n</tool_call>",
        "⟦now|{}⟧⟦weather|{\"city\": \"a\"}⟧",
    ),
    ("<tool_call>{\"arguments\": {\"city\": \"a\"}, \"name\": \"weather\"}</tool_call>", "⟦weather|{\"city\": \"a\"}⟧"),
    ("<tool_call>{\"name\": \"now\"}</tool_call> Done.\n", "⟦now|{}⟧Done.\n"),
    ("<tool_call>{\"name\": \"now\", \"arguments\": null}</tool_call>", "⟦now|{}⟧"),
    ("<tool_call>{\"name\": \"now\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>", "⟦now|{\"a\": 1}⟧"),
    // The end may be missing.
    ("<tool_call>\n{\"name\": \"now\", \"arguments\": {}}", "⟦now|{}⟧"),
    // Quotes, braces and tags in a string are its own.
    (
        "<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"\\\"}</tool_call>{\\\\\"}}</tool_call>!",
        "⟦weather|{\"city\": \"\\\"}</tool_call>{\\\\\"}⟧!",
    ),
];

pub(super) const OTHERS: &[Case] = &[
    ("```json\n{\"name\": \"weather\", \"arguments\": {\"city\": \"a\"}}\n```", "⟦weather|{\"city\": \"a\"}⟧"),
    ("Sure:\n```\n{\n  \"name\": \"now\",\n  \"arguments\": {}\n}\n```\nWell?", "Sure:⟦now|{}⟧Well?"),
    ("好的：```json\n{\"name\": \"now\", \"arguments\": {}}\n```", "好的：⟦now|{}⟧"),
    ("So: ``` or\n```json\n{\"name\": \"now\", \"arguments\": {}}\n```", "So: ``` or⟦now|{}⟧"),
    ("{\"name\": \"weather\", \"parameters\": {\"city\": \"a\"}}", "⟦weather|{\"city\": \"a\"}⟧"),
    ("好的。{\"name\": \"now\", \"arguments\": {}}", "好的。⟦now|{}⟧"),
    ("<tools>\n{\"name\": \"now\", \"arguments\": {}}\n</tools>", "⟦now|{}⟧"),
    ("<function_call>{\"name\": \"now\", \"arguments\": {}}</function_call>", "⟦now|{}⟧"),
    ("```xml\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n```", "⟦now|{}⟧"),
    (
        "[{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"weather\", \"arguments\": {\"city\": \"b\"}}]",
        "⟦now|{}⟧⟦weather|{\"city\": \"b\"}⟧",
    ),
    (
        "```json\n[\n{\"name\": \"now\", \"arguments\": {}},\n{\"name\": \"now\", \"arguments\": {}}\n]\n```\n",
        "⟦now|{}⟧⟦now|{}⟧",
    ),
    (
        "```json\n{\"name\": \"now\", \"arguments\": {}}\n{\"name\": \"now\", \"arguments\": {}}\n```",
        "⟦now|{}⟧⟦now|{}⟧",
    ),
    ("{\"name\": \"now\", \"arguments\": {}}\n{\"name\": \"now\", \"arguments\": {}}", "⟦now|{}⟧⟦now|{}⟧"),
    ("{{\"name\": \"weather\", \"arguments\": {\"city\": \"a\"}}}", "⟦weather|{\"city\": \"a\"}⟧"),
    ("<tools>{\"name\": \"now\", \"arguments\": {}}</tool_call>", "⟦now|{}⟧"),
];

pub(super) const XML: &[Case] = &[
    (
        "<tool_call>\n<function=weather>\n<parameter=city>\nNew York\n</parameter>\n<parameter=days>\n3\n</parameter>\n\
         </function>\n</tool_call>",
        "⟦weather|{\"city\":\"New York\",\"days\":3}⟧",
    ),
    ("I look.\n<function=now>\n</function>", "I look.⟦now|{}⟧"),
    ("<tool_call><function=now></function></tool_call>\n\nDone", "⟦now|{}⟧Done"),
    (
        "<tool_call>\n<function=edit>\n<parameter=text>\n  a\n</parameter>\n b</parameter>c\n\n</parameter>\n\
         <parameter=at>\nnull\n</parameter>\n<parameter=fast>True</parameter><parameter=lines>[1, 2]</parameter>\
         <parameter=more>{\"x\": \"</parameter>\"}</parameter>\n<parameter=any>7</parameter></function></tool_call>",
        "⟦edit|{\"text\":\"  a\\n</parameter>\\n b</parameter>c\\n\",\"at\":null,\"fast\":true,\"lines\":[1,2],\
         \"more\":{\"x\":\"</parameter>\"},\"any\":\"7\"}⟧",
    ),
];

/// What is no call, however much it looks like one: comes out as it is.
pub(super) const TEXT: &[&str] = &[
    "",
    " \n",
    "Just an answer.\n\nWith two paragraphs. \n",
    "fn main() {\n    println!(\"{}\", [1, 2][0]);\n}\n",
    "```rust\nfn main() {}\n```\n",
    "```json\n{\"name\": \"Alice\", \"age\": 3}\n```",
    "```json\n[1, 2, {\"a\": null}]\n```\n`now`",
    // Not declared; does not fit; is no object.
    "<tool_call>\n{\"name\": \"rm\", \"arguments\": {}}\n</tool_call>",
    "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"days\": 3}}\n</tool_call>\n",
    "{\"name\": \"weather\", \"arguments\": {\"city\": 7}}",
    "{\"name\": \"weather\", \"arguments\": \"Paris\"}",
    "{\"name\": \"weather\", \"arguments\": [1]}",
    "{\"name\": \"edit\", \"arguments\": {\"other\": 1}}",
    "{\"name\": \"now\", \"arguments\": {}, \"result\": 3}",
    "{\"name\": \"now\", \"name\": \"now\", \"arguments\": {}}",
    // No JSON.
    "<tool_call>\n{\"name\": \"now\", \"arguments\": {}\n</tool_call>",
    "<tool_call>\n{'name': 'now', 'arguments': {}}\n</tool_call>",
    "{\"name\": \"now\", \"arguments\": {\"a\": 01}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": tru}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": 1.}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": \"\n\"}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": \"\\x\"}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": [1}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": 1,}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": \"\\ud800\"}}",
    // The declaration, said again.
    "{\"name\": \"weather\", \"description\": \"d\", \"parameters\": {\"type\": \"object\", \"properties\": {}}}",
    // Cut off.
    "So: <tool_call>\n{\"name\": \"now\", \"argu",
    "<tool_ca",
    "```js",
    "```json\n{\"name\": \"no",
    "<function=now>\n<parameter=a>\nb",
    "<function=now>\n<parameter=a>\nb\n</parameter>\n</func",
    // Quoted or in the middle of a word.
    "Write `{\"name\": \"now\", \"arguments\": {}}` then.",
    "x{\"name\": \"now\", \"arguments\": {}}",
    "a < b and <tool> and <tool_call> and </tool_call>, ``` and `` and <tool_<tool_call",
    "<function=rm>\n</function>",
    "<function=now\n>\n</function>",
    "<function=now>\nnow</function>",
    "\u{0}{\u{0}\"name\": \"now\"}\u{0}",
];

pub(super) fn calls() -> impl Iterator<Item = Case> {
    [HERMES, OTHERS, XML].into_iter().flatten().copied()
}
