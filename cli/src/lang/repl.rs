//! The commands of a conversation, and what is said of them.

use super::Lang;
use crate::table::{columns, pad};

/// A command that a line can begin with.
pub struct Command {
    /// With its slash.
    pub name: &'static str,
    /// What may stand behind it, in English and Chinese.
    takes: [&'static str; 2],
    /// What it does.
    does: [&'static str; 2],
}

/// All of them, as the list has them.
pub const COMMANDS: &[Command] = &[
    c("/help", ["", ""], ["this list", "显示本列表"]),
    c("/clear", ["", ""], ["begin a new conversation", "开始新的对话"]),
    c("/model", [" [NAME]", " [名称]"], ["show the models, or go on with another one", "列出模型，或换一个模型继续"]),
    c(
        "/role",
        [" [NAME]", " [名称]"],
        ["show the roles, or give the model one; `-` takes it away", "列出角色，或让模型担任一个角色；`-` 取消"],
    ),
    c(
        "/template",
        [" [NAME] [VAR=VALUE…] [TEXT]", " [名称] [变量=值…] [文本]"],
        [
            "ask with a prompt template; without TEXT the next prompt is put into it",
            "用提示词模板提问；不给文本时套用于下一个提示词",
        ],
    ),
    c(
        "/file",
        [" PATH", " 路径"],
        [
            "send a file, a folder or an address along with the next question; so does @PATH in it",
            "随下一个问题附上文件、文件夹或网址；问题中的 @路径 作用相同",
        ],
    ),
    c(
        "/reasoning",
        [" [on|off]", " [on|off]"],
        [
            "show what the model reasoned last; or whether it is shown as it comes",
            "查看上一次的思考过程，或切换是否实时显示",
        ],
    ),
    c(
        "/system",
        [" [TEXT]", " [文本]"],
        ["show or set the system prompt; `-` takes it away", "查看或设置系统提示；`-` 取消"],
    ),
    c(
        "/session",
        [" [NAME]", " [名称]"],
        [
            "show the session, go on with another, or keep this conversation as a new one",
            "查看会话、切换会话，或将此对话保存为新会话",
        ],
    ),
    c(
        "/summarize",
        [" [on|off|MODEL]", " [on|off|模型]"],
        ["have what outgrows the context summarised, or left out", "超出上下文的内容先概括，或直接省略"],
    ),
    c(
        "/save",
        [" FILE", " 文件"],
        [
            "keep the conversation as Markdown, or as JSON in FILE.json",
            "保存对话：默认 Markdown，文件名以 .json 结尾则为 JSON",
        ],
    ),
    c("/quit", ["", ""], ["leave (also Ctrl-D)", "退出（也可按 Ctrl-D）"]),
];

const fn c(name: &'static str, takes: [&'static str; 2], does: [&'static str; 2]) -> Command {
    Command { name, takes, does }
}

impl Command {
    fn takes(&self, lang: Lang) -> &'static str {
        of(lang, self.takes)
    }

    pub fn does(&self, lang: Lang) -> &'static str {
        of(lang, self.does)
    }
}

fn of(lang: Lang, texts: [&'static str; 2]) -> &'static str {
    match lang {
        Lang::En => texts[0],
        Lang::Zh => texts[1],
    }
}

/// Widest beginning of a line of the list; what is behind a wider one begins on the next.
const LEFT_COLUMNS: usize = 18;
/// Where what a command does begins.
pub const HANG_COLUMNS: usize = LEFT_COLUMNS + 2;

/// What `/help` prints.
pub fn help(lang: Lang) -> String {
    let mut text = String::new();
    for command in COMMANDS {
        let left = format!("{}{}", command.name, command.takes(lang));
        text += &pad(&left, LEFT_COLUMNS);
        if columns(&left) > LEFT_COLUMNS {
            text += &format!("\n{}", " ".repeat(LEFT_COLUMNS));
        }
        text += &format!("  {}\n", command.does(lang));
    }
    text.pop();
    text
}

texts! {
    help_keys() {
"A line that ends in \\ goes on; so does a text between \"\"\" and \"\"\". Alt-Enter breaks a line.
Tab completes commands, names and @files. Ctrl-O opens the text in your editor, Ctrl-R searches the history.
Ctrl-C stops an answer. A line that begins with a space is not kept in the history.",
"行尾的 \\ 表示续行；\"\"\" 与 \"\"\" 之间可以有多行；Alt-Enter 换行。
Tab 补全命令、名称和 @文件；Ctrl-O 在编辑器中打开文本，Ctrl-R 搜索历史。
Ctrl-C 停止回答。以空格开头的一行不会记入历史。"
    }

    role_is(name: &str) { "the role is `{name}`; `/role -` takes it away", "已担任角色 `{name}`；`/role -` 可取消" }
    role_gone() { "the role is gone, and with it the system prompt", "已取消角色及其系统提示" }
    template_waits(name: &str) {
        "the next prompt goes into `{name}`; `/template -` takes it back",
        "下一个提示词将套用 `{name}`；`/template -` 可取消"
    }
    template_gone() { "no template is used", "不再使用模板" }
    template_wants(name: &str, variable: &str) {
        "template `{name}` wants a value for `{variable}`: /template {name} {variable}=…",
        "模板 `{name}` 缺少变量 `{variable}`：/template {name} {variable}=…"
    }
    there_are(names: &str) { "there are {names}", "可用的有 {names}" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_explained_in_both_languages() {
        for command in COMMANDS {
            assert!(command.name.starts_with('/'));
            assert!(command.does(Lang::En).is_ascii() && !command.does(Lang::Zh).is_ascii(), "{}", command.name);
            for lang in [Lang::En, Lang::Zh] {
                assert!(help(lang).contains(command.does(lang)));
            }
        }
    }

    #[test]
    fn what_commands_do_stands_in_one_column() {
        for lang in [Lang::En, Lang::Zh] {
            for command in COMMANDS {
                let help = help(lang);
                let line = help.lines().find(|line| line.ends_with(command.does(lang))).unwrap();
                let before = &line[..line.len() - command.does(lang).len()];
                assert_eq!(columns(before), LEFT_COLUMNS + 2, "{line}");
            }
        }
    }
}
