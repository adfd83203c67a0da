//! Texts of projects and of limits that keys share, each in English and 简体中文, side by side.

use qwenda_server::projects::ProjectsError;

use super::{
    Lang,
    help::{Text, t},
};

texts! {
    project_made(name: &str) {
        "made the project `{name}`; `qwenda keys create --project` makes its keys. This is its id",
        "已创建项目 `{name}`；用 `qwenda keys create --project` 为其创建 key。其 id 为"
    }
    project_disabled(name: &str) {
        "disabled the project `{name}`; its keys are refused from the next request on",
        "已停用项目 `{name}`；其 key 从下一个请求起被拒绝"
    }
    project_enabled(name: &str) { "the keys of the project `{name}` work", "项目 `{name}` 的 key 可用" }
    no_projects() {
        "there are no projects; `qwenda projects create` makes one",
        "还没有项目；用 `qwenda projects create` 创建"
    }
    is_disabled() { "disabled", "已停用" }
    project_headings() { "NAME  ACCOUNT  STATE  TERMS  ID", "名称  账户  状态  限制  ID" }
    shared_set(name: &str) {
        "changed `{name}`; it holds for all its keys together from the next request on",
        "已修改 `{name}`，从下一个请求起对其全部 key 合计生效"
    }
    shared_facts() {
        "name  id  models  networks  requests a minute  tokens a minute  requests at one time  pace  burst guard  budget of the day  budget of the month  budget in all",
        "名称  id  模型  来源网段  每分钟请求数  每分钟 token 数  同时的请求数  节奏  突发保护  今日预算  本月预算  总预算"
    }
    model_headings() {
        "MODEL  >REQUESTS A MINUTE  >TOKENS A MINUTE  >AT ONE TIME",
        "模型  >每分钟请求数  >每分钟 token 数  >同时"
    }
    of_keys_only(field: &str) {
        "{field} is for keys; an account or a project has none",
        "{field} 只用于 key；账户与项目没有此项"
    }
    of_accounts_only() {
        "--of-model is for accounts: give --account alone",
        "--of-model 只用于账户：请只给出 --account"
    }
    model_has_counts() {
        "--of-model goes with --rpm, --tpm or --concurrency",
        "--of-model 需要与 --rpm、--tpm 或 --concurrency 一起使用"
    }
}

/// What is wrong with a project.
pub fn bad_projects(lang: Lang, error: &ProjectsError) -> String {
    match (lang, error) {
        (Lang::Zh, ProjectsError::Name) => "项目名称应有 1 到 100 个字符，不能含控制字符".to_owned(),
        (Lang::Zh, ProjectsError::Taken { account, name }) => {
            format!("账户 `{account}` 已有名为 `{name}` 的项目；请换一个名称")
        }
        (Lang::Zh, ProjectsError::Changed) => "项目刚刚被他人修改；请查看后重试".to_owned(),
        (_, error) => error.to_string(),
    }
}

/// What `--help` says of them.
pub const HELP: &[Text] = &[
    t(
        "projects",
        "Make and list projects: keys of an account with limits of all together",
        "创建、查看项目：账户中合计受限的一组 key",
    ),
    t("projects create", "Make a project and print its id", "创建项目并打印其 id"),
    t("projects create.name", "What to call it; no two of an account have the same name", "名称，同一账户内不能重复"),
    t("projects create.account", "Id or name of its account", "所属账户的 id 或名称"),
    t("projects create.data_dir", FOLDER.0, FOLDER.1),
    t("projects create.json", "As JSON", "输出 JSON"),
    t("projects list", "List the projects with what they are held to", "列出项目及其限制"),
    t("projects list.account", "Of one account, by id or name (default: all)", "只看一个账户（id 或名称；默认全部）"),
    t("projects list.data_dir", FOLDER.0, FOLDER.1),
    t("projects list.json", "As JSON", "输出 JSON"),
    t("projects disable", "Refuse all keys of a project from now on", "从现在起拒绝项目的全部 key"),
    t("projects disable.which", "Id or name of the project", "项目的 id 或名称"),
    t(
        "projects disable.account",
        "Its account, where several have a project of this name",
        "所属账户（多个账户有同名项目时）",
    ),
    t("projects disable.data_dir", FOLDER.0, FOLDER.1),
    t("projects disable.json", "As JSON", "输出 JSON"),
    t("projects enable", "Let the keys of a disabled project work again", "恢复已停用项目的 key"),
    t("projects enable.which", "Id or name of the project", "项目的 id 或名称"),
    t(
        "projects enable.account",
        "Its account, where several have a project of this name",
        "所属账户（多个账户有同名项目时）",
    ),
    t("projects enable.data_dir", FOLDER.0, FOLDER.1),
    t("projects enable.json", "As JSON", "输出 JSON"),
    t(
        "limits.account",
        "Of an account, for all its keys together, by id or name",
        "账户的限制（id 或名称），对其全部 key 合计",
    ),
    t(
        "limits.project",
        "Of a project, for all its keys together, by id or name",
        "项目的限制（id 或名称），对其全部 key 合计",
    ),
    t(
        "limits.of_model",
        "--rpm, --tpm and --concurrency are of this model at the account; `qwen3-*` is each that begins so",
        "--rpm、--tpm、--concurrency 只对账户的此模型生效；`qwen3-*` 表示以此开头的每个模型",
    ),
    t(
        "limits.pace",
        "How much of a minute's worth may come at once: minute (all), second, strict (never more in any minute)",
        "一次最多可用多少：minute（整分钟）、second（一秒）、strict（任意一分钟内都不超过）",
    ),
    t(
        "limits.burst_guard",
        "Whether requests that grow too fast are refused below --rpm",
        "请求增长过快时，即使低于 --rpm 是否也拒绝",
    ),
    t(
        "keys create.language",
        "In which language its errors explain themselves: en or zh",
        "错误说明所用的语言：en 或 zh",
    ),
    t(
        "limits.language",
        "In which language the errors of a key explain themselves: en or zh",
        "key 的错误说明所用的语言：en 或 zh",
    ),
    t("keys create.project", "Its project, by id or name", "所属项目（id 或名称）"),
    t("usage.project", "Of one project, by id or name", "只看一个项目（id 或名称）"),
    t(
        "accounts set.keep_content",
        "For how many days what its keys ask and get is kept; 0 keeps nothing and removes what there is",
        "请求与回答内容保留多少天；0 表示不保留并删除已有内容",
    ),
];

const FOLDER: (&str, &str) = (
    "Folder of keys and state (default: server in QWENDA_HOME)",
    "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
);
