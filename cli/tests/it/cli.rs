//! The command line itself: help, mistakes, languages, settings, models.

use crate::common::{Home, Ran, feed};

#[test]
fn help_is_on_stdout_in_the_language_of_the_reader() {
    let home = Home::new();
    type Words<'a> = &'a [&'a str];
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Words<'_>, Variables<'_>, &str); 7] = [
        (&["--help"], &[], "Usage: "),
        (&["--help"], &[("LANG", "zh_CN.UTF-8")], "用法："),
        (&["--help"], &[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")], "Usage: "),
        (&["--help"], &[("LANG", "zh_CN.UTF-8"), ("QWENDA_LANG", "en")], "Usage: "),
        (&["--help", "--lang", "zh"], &[("QWENDA_LANG", "en")], "用法："),
        (&["chat", "--help", "--lang=zh"], &[], "随机性"),
        (&["keys", "create", "--help"], &[], "Make a key"),
    ];
    for (args, env, text) in cases {
        let ran = Ran::of(home.command(args).envs(env.iter().copied()).output().unwrap());
        assert!(ran.ok().contains(text), "{args:?} {env:?}: {ran:#?}");
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn the_version_is_one_line() {
    let home = Home::new();
    assert_eq!(home.run(&["--version"]).ok(), format!("qwenda {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_mistake_on_the_command_line_is_exit_2_with_a_way_on() {
    let home = Home::new();
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["Usage: "]),
        (&["keys"], &["Usage: "]),
        (&["chatt"], &["no command `chatt`", "did you mean `chat`?"]),
        (&["embed"], &["no command `embed`"]),
        (&["chat", "hi", "--sytem", "x"], &["no option `--sytem`", "did you mean `--system`?"]),
        (&["chat", "hi", "--temperature"], &["`--temperature <T>` needs a value"]),
        (&["chat", "hi", "--temperature", "warm"], &["`warm` does not do for `--temperature <T>`"]),
        (&["chat", "hi", "--temperature", "2"], &["--temperature must be in [0, 2), not 2"]),
        (&["chat", "hi", "--temperature", "-0.1"], &["--temperature must be in [0, 2), not -0.1"]),
        (&["chat", "hi", "--temperature", "nan"], &["--temperature must be in [0, 2), not NaN"]),
        (&["chat", "hi", "--top-p", "0"], &["--top-p must be in (0, 1], not 0"]),
        (&["chat", "hi", "--top-k", "-1"], &["--top-k must be in [0, "]),
        (&["chat", "hi", "--max-tokens", "0"], &["--max-tokens must be in [1, "]),
        (&["chat", "hi", "--seed", "2147483648"], &["--seed must be in [0, 2147483647], not 2147483648"]),
        (&["chat", "hi", "--stop", ""], &["--stop must not be empty"]),
        (&["chat", "hi", "--lang", "fr"], &["`fr` does not do for `--lang <LANG>`", "en, zh"]),
        (&["chat", "hi", "--threads", "0"], &["`0` does not do for `--threads <N>`"]),
        (&["chat", "hi", "--json", "--json"], &["`--json` is given twice"]),
        (&["tokens", "a", "--chat", "b"], &["cannot be used with"]),
        (&["tokens", "a", "b"], &["`b`"]),
        (&["tokens", "--render"], &["--chat <MESSAGES.json>"]),
        (&["keys", "revoke"], &["missing: <ID|NAME|LAST4>"]),
        (&["chat", "hi", "--config", "/no/such.toml"], &["cannot read /no/such.toml"]),
        (&["serve", "--listen", "here"], &["`here` is not an address"]),
        (&["serve", "--listen", "0.0.0.0:0", "--no-auth"], &["can be reached from outside"]),
    ];
    for (args, said) in cases {
        home.run(args).fails(2, said);
    }
}

#[test]
fn mistakes_are_told_in_chinese_too() {
    let home = Home::new();
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["chatt"], 2, &["错误：没有命令 `chatt`", "是不是想输入 `chat`？"]),
        (&["chat", "hi", "--temperature", "2"], 2, &["--temperature 的范围是 [0, 2)，不能是 2"]),
        (&["chat", "hi", "--model", "qwen2.5-coder-0.5b"], 3, &["没有模型", "qwen2.5-coder-0.5b-instruct"]),
        (&["chat", " "], 2, &["提示词是空的"]),
    ];
    for (args, code, said) in cases {
        let args = [args, &["--lang", "zh"][..]].concat();
        home.run(&args).fails(*code, said);
    }
}

#[test]
fn a_model_that_is_not_there_is_exit_3_and_lists_those_near_it() {
    let home = Home::new();
    let near = "did you mean `qwen2.5-coder-0.5b-instruct`";
    home.run(&["chat", "hi", "--model", "qwen2.5-coder-0.5b-instrct"]).fails(3, &["no model", near]);
    home.run(&["chat", "hi", "--model", "gpt-9"]).fails(3, &["no model `gpt-9`", "qwenda models"]);
    home.run(&["chat", "hi", "--model", "./no.gguf"]).fails(3, &["no file ./no.gguf"]);
    home.run(&["chat", "hi", "--model", "/"]).fails(3, &["/ is not a file"]);
    std::fs::write(home.path().join("bad.gguf"), "GGUF and no more").unwrap();
    for command in [&["chat", "hi"][..], &["tokens", "hi"], &["score", "hi you"]] {
        home.run(&[command, &["--model", "bad.gguf"]].concat()).fails(3, &["`bad` cannot be used"]);
    }
    home.run(&["serve", "--listen", "127.0.0.1:0", "--model", "bad.gguf"]).fails(3, &["`bad` cannot be used"]);
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let home = Home::new();
    let file = home.path().join("qwenda.toml");
    std::fs::write(&file, "model = 'from-file'\nlang = 'zh'\n[chat]\ntemperature = 3.0\n").unwrap();
    home.run(&["tokens", "hi"]).fails(3, &["没有模型 `from-file`"]);
    let with = |args: &[&str]| Ran::of(home.command(args).env("QWENDA_MODEL", "from-env").output().unwrap());
    with(&["tokens", "hi", "--lang", "en"]).fails(3, &["no model `from-env`"]);
    with(&["tokens", "hi", "--model", "from-flag"]).fails(3, &["没有模型 `from-flag`"]);
    with(&["chat", "hi", "--lang", "en"]).fails(2, &["--temperature must be in [0, 2), not 3"]);

    std::fs::write(&file, "[chat]\ntemprature = 1.0\n").unwrap();
    home.run(&["models"]).fails(2, &["temprature", "qwenda.toml"]);
    std::fs::write(&file, "[serve]\nlistn = '127.0.0.1:1'\n").unwrap();
    home.run(&["models"]).fails(2, &["listn", "qwenda.toml"]);
    std::fs::write(&file, "").unwrap();
    let ran = Ran::of(home.command(&["chat", "hi"]).env("QWENDA_THREADS", "many").output().unwrap());
    ran.fails(2, &["QWENDA_THREADS", "`many`"]);
}

#[test]
fn models_lists_the_catalogue_and_what_is_here() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("models")).unwrap();
    std::fs::rename(home.tiny(), home.path().join("models/mine.gguf")).unwrap();
    let ran = home.run(&["models"]);
    assert!(
        ran.ok().lines().any(|line| line.starts_with("qwen2.5-coder-1.5b-instruct") && line.ends_with("(default)"))
    );
    assert!(ran.ok().lines().any(|line| line.starts_with("mine ") && line.contains("installed")), "{ran:#?}");
    let models = home.run(&["models", "--json"]).json()["models"].as_array().unwrap().clone();
    let of = |name: &str| models.iter().find(|model| model["name"] == name).unwrap();
    assert_eq!(of("qwen2.5-coder-0.5b-instruct")["bytes"], 491_400_064);
    assert_eq!(of("qwen2.5-coder-0.5b-instruct")["installed"], false);
    assert_eq!(of("mine")["installed"], true);
    assert_eq!(home.run(&["tokens", "hi", "--model", "mine", "--quiet"]).code, Some(0));
}

#[test]
fn pull_takes_a_file_that_is_the_model_and_nothing_else() {
    let home = Home::new();
    home.run(&["pull", "gpt-9"]).fails(3, &["no model `gpt-9`"]);
    let ran = home.run(&["pull", "qwen2.5-coder-0.5b-instruct", "--from", "tiny.gguf"]);
    ran.fails(3, &["tiny.gguf is not the model", "491400064"]);
    let models = home.path().join("models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf");
    assert!(!models.exists());
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let home = Home::new();
    home.run(&["man", "pages"]).ok();
    let page = |name: &str| std::fs::read_to_string(home.path().join("pages").join(name)).unwrap();
    assert!(page("qwenda-chat.1").contains("temperature") && page("qwenda-sessions-branch.1").contains("turns"));
    assert!(page("qwenda.1").contains("qwenda"));
    home.run(&["man", "chinese", "--lang", "zh"]).ok();
    assert!(std::fs::read_to_string(home.path().join("chinese/qwenda-chat.1")).unwrap().contains("随机性"));
}

#[test]
fn completions_are_scripts() {
    let home = Home::new();
    for (shell, text) in [("bash", "complete -F"), ("zsh", "#compdef qwenda"), ("fish", "complete -c qwenda")] {
        assert!(home.run(&["completions", shell]).ok().contains(text), "{shell}");
    }
    let fish = home.run(&["completions", "fish"]);
    assert!(fish.ok().ends_with("completions\" -f -a \"bash elvish fish powershell zsh\"\n"), "{fish:#?}");
    home.run(&["completions", "tcsh"]).fails(2, &["`tcsh`", "bash"]);
}

#[test]
fn a_reader_who_leaves_ends_it_quietly() {
    let home = Home::new();
    for args in [&["--help"][..], &["completions", "bash"], &["models", "--json"]] {
        let mut command = home.command(args);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = feed(
            {
                command.stdout(writer);
                command
            },
            b"",
        );
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(141), ""), "{args:?}");
    }
}
