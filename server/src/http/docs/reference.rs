//! The OpenAPI document as a page.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{
    super::{language::Language, openapi::event_of},
    html::{escape, inline, paragraphs},
    page::{Page, Parts},
    schema::Schemas,
};

/// An operation at all of its paths.
struct Operation<'a> {
    method: String,
    /// The first is the one that is shown.
    paths: Vec<&'a str>,
    item: &'a Value,
}

pub(super) fn page(document: &Value, language: Language) -> Page {
    let schemas = Schemas { document, language };
    let info = &document["info"];
    let mut main = format!("<p>{} {}</p>\n", text(&info["summary"]), text(&info["version"]));
    main.push_str(&paragraphs(info["description"].as_str().unwrap_or_default()));
    main.push_str(&before_the_examples(language));
    let mut contents = String::new();
    let operations = operations(document);
    for (place, tag) in document["tags"].as_array().into_iter().flatten().enumerate() {
        let name = text(&tag["name"]);
        let _ = write!(contents, "<p>{name}</p>\n<ul>\n");
        let _ = writeln!(main, "<section aria-labelledby=\"group-{place}\">\n<h2 id=\"group-{place}\">{name}</h2>");
        main.push_str(&paragraphs(tag["description"].as_str().unwrap_or_default()));
        for operation in operations.iter().filter(|operation| operation.item["tags"][0] == tag["name"]) {
            let (id, summary) = (text(&operation.item["operationId"]), text(&operation.item["summary"]));
            let _ = writeln!(contents, "<li><a href=\"#{id}\">{summary}</a></li>");
            main.push_str(&article(operation, schemas));
        }
        contents.push_str("</ul>\n");
        main.push_str("</section>\n");
    }
    let title = language.of("Qwenda: the HTTP API", "Qwenda HTTP 接口").to_owned();
    Page::new(&Parts { title, path: "/docs", contents, main }, language)
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

/// Operations in the order of the document; those that differ in their path only are one.
fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all: Vec<Operation<'_>> = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, item) in methods.as_object().into_iter().flatten() {
            let method = method.to_uppercase();
            let same = |other: &&mut Operation<'_>| {
                other.method == method
                    && ["summary", "tags", "requestBody"].iter().all(|word| other.item[word] == item[word])
            };
            match all.iter_mut().find(same) {
                Some(known) => known.paths.push(path),
                None => all.push(Operation { method, paths: vec![path], item }),
            }
        }
    }
    all
}

fn before_the_examples(language: Language) -> String {
    let text = language.of(
        "The examples take the address and the key of the server from the environment:",
        "示例从环境变量读取服务地址与密钥：",
    );
    format!("<p>{text}</p>\n{}", code("export QWENDA_URL=http://localhost:8080\nexport QWENDA_KEY=sk-…"))
}

/// Code that may be wider than the screen; the keyboard reaches it to scroll.
fn code(text: &str) -> String {
    format!("<pre tabindex=\"0\"><code>{}</code></pre>\n", escape(text))
}

fn article(operation: &Operation<'_>, schemas: Schemas<'_>) -> String {
    let Operation { method, paths, item } = operation;
    let language = schemas.language;
    let id = text(&item["operationId"]);
    let mut out = format!("<article aria-labelledby=\"{id}\">\n<h3 id=\"{id}\">{}</h3>\n", text(&item["summary"]));
    for path in paths {
        let path = escape(path);
        let _ = writeln!(out, "<p class=\"route\"><span class=\"verb\">{method}</span> <code>{path}</code></p>");
    }
    out.push_str(&paragraphs(item["description"].as_str().unwrap_or_default()));
    if item["security"].as_array().is_some_and(Vec::is_empty) {
        let _ = writeln!(out, "<p>{}</p>", language.of("Wants no key.", "无需密钥。"));
    }
    out.push_str(&parameters(item, schemas));
    let body = &item["requestBody"]["content"]["application/json"];
    if body.is_object() {
        let _ = writeln!(out, "<h4>{}</h4>", language.of("Body", "请求体"));
        out.push_str(&schemas.fields(&body["schema"], 0));
    }
    let _ = writeln!(out, "<h4>{}</h4>", language.of("Example", "示例"));
    out.push_str(&examples(operation, body, schemas));
    out.push_str(&answers(item, schemas));
    out.push_str("</article>\n");
    out
}

fn parameters(item: &Value, schemas: Schemas<'_>) -> String {
    let language = schemas.language;
    let mut out = String::new();
    for (place, en, zh) in
        [("path", "In the path", "路径参数"), ("query", "In the query", "查询参数"), ("header", "Headers", "请求头")]
    {
        let all = item["parameters"].as_array().into_iter().flatten().map(|one| schemas.resolve(one));
        let fields = all.filter(|one| one["in"] == place).map(|one| {
            let name = one["name"].as_str().unwrap_or_default();
            let said = format!("<dd>{}", inline(one["description"].as_str().unwrap_or_default()));
            let field = schemas.field(name, &one["schema"], one["required"] == true, 0);
            field.replacen("<dd>", &said, 1)
        });
        let fields: String = fields.collect();
        if !fields.is_empty() {
            let _ = writeln!(out, "<h4>{}</h4>\n<dl>\n{fields}</dl>", language.of(en, zh));
        }
    }
    out
}

fn examples(operation: &Operation<'_>, body: &Value, schemas: Schemas<'_>) -> String {
    let mut command = String::from("curl");
    if operation.method != "GET" && body.is_null() {
        let _ = write!(command, " -X {}", operation.method);
    }
    let path = operation.paths[0].replace("{id}", "qwen2.5-coder-0.5b-instruct");
    let _ = write!(command, " \"$QWENDA_URL{path}\"");
    if operation.item["security"].is_null() {
        command.push_str(" \\\n  -H \"Authorization: Bearer $QWENDA_KEY\"");
    }
    // Of the headers, those that it cannot do without.
    let all = operation.item["parameters"].as_array().into_iter().flatten().map(|one| schemas.resolve(one));
    for one in all.filter(|one| one["in"] == "header" && one["required"] == true) {
        let (name, value) = (one["name"].as_str().unwrap_or_default(), one["example"].as_str().unwrap_or_default());
        let _ = write!(command, " \\\n  -H '{name}: {value}'");
    }
    let Some(examples) = body["examples"].as_object() else { return code(&command) };
    let each = |example: &Value| {
        let value = &example["value"];
        let written = serde_json::to_string_pretty(value).unwrap_or_default();
        let unbuffered = if value["stream"] == true { "curl -N" } else { "curl" };
        let command = command.replacen("curl", unbuffered, 1);
        let data = written.replace('\'', "'\\''");
        let whole = format!("{command} \\\n  -H \"Content-Type: application/json\" \\\n  -d '{data}'");
        format!("<p>{}</p>\n{}", text(&example["summary"]), code(&whole))
    };
    examples.values().map(each).collect()
}

fn answers(item: &Value, schemas: Schemas<'_>) -> String {
    let language = schemas.language;
    let empty = Map::new();
    let responses = item["responses"].as_object().unwrap_or(&empty);
    let mut out = format!("<h4>{}</h4>\n", language.of("Answer", "应答"));
    for (kind, content) in responses.get("200").and_then(|good| good["content"].as_object()).into_iter().flatten() {
        let _ = writeln!(out, "<p><code>{}</code></p>", escape(kind));
        if let Some(about) = content["schema"]["description"].as_str() {
            out.push_str(&paragraphs(about));
        }
        let fields = match event_of(&content["schema"]) {
            Some(event) => schemas.fields(&event["anyOf"][0], 0),
            None => schemas.fields(&content["schema"], 0),
        };
        let open = language.of("Fields", "字段");
        if !fields.is_empty() {
            let _ = write!(out, "<details><summary>{open}</summary>\n{fields}</details>\n");
        }
    }
    let _ = writeln!(out, "<h4>{}</h4>\n<dl class=\"facts\">", language.of("Errors", "错误"));
    for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
        let about = inline(response["description"].as_str().unwrap_or_default());
        let _ = writeln!(out, "<dt>{}</dt><dd>{about}</dd>", escape(status));
    }
    out.push_str("</dl>\n");
    out
}
