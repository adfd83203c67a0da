//! The catalogue of errors, made from the one table of codes.

use std::fmt::Write as _;

use qwenda_types::{
    Dialect,
    error::{Row, TABLE, Words},
};
use serde_json::{Value, json};

use super::{
    super::language::Language,
    html::{escape, inline, paragraphs},
    page::{Page, Parts},
};

fn words(words: Words, language: Language) -> &'static str {
    language.of(words.en, words.zh)
}

/// The name of a row, which no other has: names on the wire are shared by some.
fn id(row: &Row) -> String {
    format!("{:?}", row.id)
}

pub(super) fn list(language: Language) -> Value {
    let errors = TABLE.iter().map(|row| {
        json!({
            "id": id(row),
            "openai": {
                "status": row.status_in(Dialect::Compat),
                "code": row.name_in(Dialect::Compat),
                "type": row.kind,
                "message": row.message_in(Dialect::Compat),
            },
            "dashscope": {
                "status": row.status_in(Dialect::Native),
                "code": row.name_in(Dialect::Native),
                "message": row.message_in(Dialect::Native),
            },
            "retryable": row.retryable,
            "means": words(row.means, language),
            "advice": words(row.advice, language),
        })
    });
    json!({"errors": errors.collect::<Vec<_>>()})
}

pub(super) fn page(language: Language) -> Page {
    let mut contents = String::from("<ul>\n");
    let mut main = paragraphs(language.of(
        "Every error that this server sends, itself or for a service behind it. The status and the code depend on the \
         address: OpenAI-compatible under `/v1` and `/compatible-mode/v1`, DashScope under `/api/v1`. The same list as \
         JSON is at `/docs/errors.json`.",
        "本服务（及其上游服务）可能返回的全部错误。状态码与错误码取决于接口地址：`/v1` 与 `/compatible-mode/v1` 为 \
         OpenAI 兼容，`/api/v1` 为 DashScope。同一列表的 JSON 见 `/docs/errors.json`。",
    ));
    main.push_str(&paragraphs(language.of(
        "Where the same request may succeed later the header `x-should-retry` is `true`, and `retry-after` says when.",
        "同一请求稍后可能成功时，响应头 `x-should-retry` 为 `true`，`retry-after` 给出等待时间。",
    )));
    for rows in TABLE.chunk_by(|a, b| a.status == b.status) {
        let status = rows[0].status;
        let _ = writeln!(contents, "<li><a href=\"#status-{status}\">{status}</a></li>");
        let _ =
            writeln!(main, "<section aria-labelledby=\"status-{status}\">\n<h2 id=\"status-{status}\">{status}</h2>");
        for row in rows {
            main.push_str(&card(row, language));
        }
        main.push_str("</section>\n");
    }
    contents.push_str("</ul>\n");
    let title = language.of("Qwenda: errors", "Qwenda 错误码").to_owned();
    Page::new(&Parts { title, path: "/docs/errors", contents, main }, language)
}

fn card(row: &Row, language: Language) -> String {
    let id = id(row);
    let mut out = format!("<article class=\"error\" id=\"{id}\">\n<h3><code>{}</code></h3>\n", escape(row.code));
    let _ = writeln!(out, "<p>{}</p>", inline(words(row.means, language)));
    let colon = language.of(":", "：");
    let _ = writeln!(
        out,
        "<p><strong>{}{colon}</strong> {}</p>\n<dl class=\"facts\">",
        language.of("What to do", "处理办法"),
        inline(words(row.advice, language))
    );
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{value}</dd>");
    };
    let code = |dialect| format!("{} <code>{}</code>", row.status_in(dialect), escape(row.name_in(dialect)));
    fact(language.of("OpenAI-compatible", "OpenAI 兼容"), code(Dialect::Compat));
    fact(language.of("Type", "类型"), format!("<code>{}</code>", escape(row.kind)));
    fact("DashScope", code(Dialect::Native));
    let again = if row.retryable { language.of("yes", "是") } else { language.of("no", "否") };
    fact(language.of("Try again?", "可重试"), again.to_owned());
    fact(language.of("Message", "错误信息"), format!("<span lang=\"en\">{}</span>", escape(row.message)));
    out.push_str("</dl>\n</article>\n");
    out
}
