//! Texts of `qwenda admin` and of rotating keys, each in English and 简体中文, side by side.

use super::{
    Lang,
    help::{Text, t},
};

texts! {
    admin_key_shown_once(name: &str, role: &str) {
        "made the admin key `{name}` of the role {role}; it is shown only now",
        "已创建角色为 {role} 的管理员 key `{name}`；仅显示这一次"
    }
    access_key_shown_once(name: &str, role: &str) {
        "made the access key `{name}` of the role {role}: its id and its secret, which is shown only now",
        "已创建角色为 {role} 的 AccessKey `{name}`：依次为 id 与密钥，密钥仅显示这一次"
    }
    admin_key_headings() { "id  key  state  role  kind  name", "id  key  状态  角色  类型  名称" }
    sends() { "sent", "直接发送" }
    signs() { "signing", "签名" }
    no_admin_keys() {
        "there are no admin keys; `qwenda admin keys create` makes one",
        "还没有管理员 key；用 `qwenda admin keys create` 创建"
    }
    no_such_admin_key(which: &str) {
        "there is no working admin key `{which}`; `qwenda admin keys list` shows them",
        "没有有效的管理员 key `{which}`；用 `qwenda admin keys list` 查看"
    }
    several_admin_keys(which: &str, ids: &str) {
        "`{which}` fits several admin keys; use one of their ids: {ids}",
        "`{which}` 对应多个管理员 key；请使用其 id：{ids}"
    }
    admin_key_revoked(name: &str, last_four: &str) {
        "revoked the admin key `{name}` (…{last_four})",
        "已吊销管理员 key `{name}`（…{last_four}）"
    }
    bad_role(text: &str) {
        "--role cannot be `{text}`: it is owner, admin, billing, developer or viewer",
        "--role 不能是 `{text}`：可以是 owner、admin、billing、developer 或 viewer"
    }
    bad_overlap(text: &str) {
        "--overlap cannot be `{text}`: it is a length such as 24h or 7d, from 0h to 30d",
        "--overlap 不能是 `{text}`：应为 24h、7d 这样的时长，从 0h 到 30d"
    }
    rotated_at_once(name: &str) {
        "rotated the key `{name}`; the old one no longer works. The new one is shown only now",
        "已轮换 key `{name}`；旧的已失效。新的仅显示这一次"
    }
    rotated(name: &str, until: &str) {
        "rotated the key `{name}`; the old one works until {until}. The new one is shown only now",
        "已轮换 key `{name}`；旧的在 {until} 之前仍有效。新的仅显示这一次"
    }
}

/// What `--help` says of them.
pub const HELP: &[Text] = &[
    t("admin", "Who may administer a running service", "谁可以管理运行中的服务"),
    t("admin keys", "Make, list and revoke the keys of the admin API", "创建、查看、吊销管理 API 的 key"),
    t(
        "admin keys create",
        "Make an admin key and print it; it is shown this once",
        "创建管理员 key 并打印；仅显示这一次",
    ),
    t(
        "admin keys create.role",
        "What it may do: owner everything; admin all but money; billing money; developer keys; viewer only look",
        "它的权限：owner 全部；admin 除资金外的全部；billing 资金；developer key；viewer 只读",
    ),
    t("admin keys create.name", "What to call it", "名称"),
    t(
        "admin keys create.signing",
        "Make an access key instead, which signs requests (ACS3-HMAC-SHA256), and print its id and its secret",
        "改为创建对请求签名（ACS3-HMAC-SHA256）的 AccessKey，打印其 id 与密钥",
    ),
    t(
        "admin keys create.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("admin keys create.json", "As JSON", "输出 JSON"),
    t("admin keys list", "List the admin keys", "列出所有管理员 key"),
    t(
        "admin keys list.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("admin keys list.json", "As JSON", "输出 JSON"),
    t("admin keys revoke", "End an admin key at once", "立即吊销管理员 key"),
    t("admin keys revoke.which", "Its id, its name, or its last four characters", "id、名称或末四位"),
    t(
        "admin keys revoke.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("admin keys revoke.json", "As JSON", "输出 JSON"),
    t(
        "keys rotate",
        "Give a key another secret and print it; terms, budgets and account stay",
        "更换 key 的密钥并打印；条款、预算与账户不变",
    ),
    t("keys rotate.which", "Its id, its name, or its last four characters", "id、名称或末四位"),
    t(
        "keys rotate.overlap",
        "How long the old one goes on working, as 24h or 7d, 30d at most (default: not at all)",
        "旧的继续有效多久，如 24h、7d，最多 30d（默认立即失效）",
    ),
    t(
        "keys rotate.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("keys rotate.json", "As JSON", "输出 JSON"),
];
