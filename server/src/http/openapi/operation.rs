//! One operation: what the parts say of it, and what all operations have alike.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{ADMIN, NATIVE, REPLAY, language::Language};

/// An operation as the parts have it. Texts are in one language already.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    /// Where it answers; all do the same.
    pub(super) paths: Vec<String>,
    tag: String,
    summary: String,
    description: String,
    /// Names of parameters, of the query, the path or the headers.
    #[serde(default)]
    parameters: Vec<String>,
    /// The schema of the body it takes.
    request: Option<String>,
    /// Bodies it takes, by name.
    #[serde(default)]
    examples: Map<String, Value>,
    /// What it gives; nothing, unless said.
    response: Option<Answer>,
    /// What each event of a stream is, where it gives one.
    events: Option<Events>,
    /// Whether an answer can be picked up again.
    #[serde(default)]
    kept: bool,
    /// Whether it wants no key.
    #[serde(default)]
    open: bool,
    /// Whether its answer has a version, by which it may be changed.
    #[serde(default)]
    versioned: bool,
    /// Statuses of errors besides those that every operation has.
    #[serde(default)]
    errors: Vec<u16>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default = "json_type")]
    kind: String,
    schema: Value,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Events {
    description: String,
    schema: Value,
    /// The data of the last event, where one says that it is the last.
    end: Option<String>,
}

impl Events {
    /// Each event by itself, as later versions of OpenAPI have it and as tools of this one read it.
    fn schema(&self) -> Value {
        let text = || json!({"type": "string"});
        let data = json!({"type": "string", "contentMediaType": "application/json", "contentSchema": self.schema});
        let data = match &self.end {
            Some(end) => json!({"anyOf": [data, {"const": end}]}),
            None => data,
        };
        json!({
            "type": "object",
            "description": self.description,
            "required": ["data"],
            "properties": {"id": text(), "event": text(), "data": data},
        })
    }
}

/// What the data of an event is, if this is the schema of a stream's events.
pub(in crate::http) fn event_of(schema: &Value) -> Option<&Value> {
    let data = schema.pointer("/properties/data")?;
    data.get("contentSchema").or_else(|| data.pointer("/anyOf/0/contentSchema"))
}

fn json_type() -> String {
    "application/json".to_owned()
}

impl Operation {
    /// The operation at each of its paths.
    pub(super) fn items(&self, language: Language) -> impl Iterator<Item = (String, Value)> {
        self.paths.iter().enumerate().map(move |(place, path)| {
            // Ids are of one path only.
            let id = if place == 0 { self.id.clone() } else { format!("{}{}", self.id, place + 1) };
            (path.clone(), self.item(id, path, language))
        })
    }

    fn item(&self, id: String, path: &str, language: Language) -> Value {
        let mut item = json!({
            "operationId": id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.description,
        });
        let kept = ["Priority", "MaxCost", "IdempotencyKey", "LastEventId"].into_iter().filter(|_| self.kept);
        let parameters: Vec<Value> =
            self.parameters.iter().map(String::as_str).chain(kept).map(|name| reference("parameters", name)).collect();
        if !parameters.is_empty() {
            item["parameters"] = parameters.into();
        }
        if self.open {
            item["security"] = json!([]);
        }
        if path.starts_with(ADMIN) {
            item["security"] = json!([{"admin": []}]);
        }
        if let Some(request) = &self.request {
            let mut body = json!({"schema": reference("schemas", request)});
            if !self.examples.is_empty() {
                body["examples"] = Value::Object(self.examples.clone());
            }
            item["requestBody"] = json!({"required": true, "content": {"application/json": body}});
        }
        item["responses"] = self.responses(path, language);
        item
    }

    fn responses(&self, path: &str, language: Language) -> Value {
        let mut content = Map::new();
        if let Some(response) = &self.response {
            content.insert(response.kind.clone(), json!({"schema": response.schema}));
        }
        if let Some(events) = &self.events {
            content.insert("text/event-stream".to_owned(), json!({"schema": events.schema()}));
        }
        let mut headers = json!({"x-request-id": reference("headers", "RequestId")});
        if self.request.is_some() && self.id != "tokenize" && !path.starts_with(ADMIN) {
            headers["x-qwenda-ignored-fields"] = reference("headers", "IgnoredFields");
        }
        if self.kept {
            headers["x-qwenda-replayed"] = reference("headers", "Replayed");
        }
        if self.versioned {
            headers["etag"] = reference("headers", "ETag");
        }
        let mut responses = Map::new();
        if content.is_empty() {
            let good = language.of("It is done; there is nothing to be read.", "已完成，无应答体。");
            responses.insert("204".to_owned(), json!({"description": good, "headers": headers}));
        } else {
            let good = language.of("The answer.", "应答。");
            responses.insert("200".to_owned(), json!({"description": good, "headers": headers, "content": content}));
        }
        for status in self.statuses(path) {
            responses.insert(status.to_string(), failure(status, path, language));
        }
        responses.into()
    }

    /// The statuses of its errors, each once and in order.
    fn statuses(&self, path: &str) -> Vec<u16> {
        let mut statuses = vec![429, 500];
        statuses.extend(&self.errors);
        if !self.open {
            statuses.push(401);
        }
        if path.starts_with(ADMIN) {
            statuses.extend([400, 403, 408]);
        } else if self.request.is_some() {
            // What does not arrive, what no model can answer now, and what those behind us say.
            statuses.extend([400, 403, 404, 408, 502, 503, 504]);
        }
        if self.kept {
            statuses.push(409);
        }
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }
}

/// An error of this status, in the shape of the path's dialect.
fn failure(status: u16, path: &str, language: Language) -> Value {
    let schema = if path.starts_with(NATIVE) { "NativeError" } else { "Error" };
    let mut headers = json!({
        "x-request-id": reference("headers", "RequestId"),
        "x-should-retry": reference("headers", "ShouldRetry"),
    });
    if matches!(status, 429 | 503) {
        headers["retry-after"] = reference("headers", "RetryAfter");
        headers["retry-after-ms"] = reference("headers", "RetryAfterMs");
    }
    json!({
        "description": meaning(status, path, language),
        "headers": headers,
        "content": {"application/json": {"schema": reference("schemas", schema)}},
    })
}

fn meaning(status: u16, path: &str, language: Language) -> &'static str {
    let (en, zh) = match status {
        401 if path.starts_with(ADMIN) => ("There is no working admin key.", "缺少有效的管理员密钥。"),
        403 if path.starts_with(ADMIN) => {
            ("The role may not do this; the message says which may.", "角色无此权限，错误信息会指出所需角色。")
        }
        404 if path.starts_with(ADMIN) => ("Nothing has this name or id.", "没有此名称或 id。"),
        409 if path.starts_with(ADMIN) => {
            ("It is there already, or the `id` was used for something else.", "已经存在，或该 `id` 已用于其他操作。")
        }
        412 => ("It was changed since the version that `If-Match` names.", "自 `If-Match` 所指的版本以来已被修改。"),
        428 => ("The header `If-Match` is missing.", "缺少请求头 `If-Match`。"),
        404 if path.ends_with(REPLAY) => {
            ("No answer is being made or kept under this key.", "该键下没有正在生成或保留的应答。")
        }
        400 => ("The request is wrong; the message names the field.", "请求有误，错误信息会指出字段。"),
        401 => ("The key is missing, wrong, revoked or past its time.", "密钥缺失、错误、已吊销或已过期。"),
        403 => ("This key, or this kind of call, is not allowed.", "该密钥或该调用方式不被允许。"),
        404 => ("No such model.", "没有该模型。"),
        408 => ("The request took too long to arrive.", "请求发送超时。"),
        409 => (
            "The `Idempotency-Key` was used for another request, or its answer was given up.",
            "该 `Idempotency-Key` 已用于其他请求，或其应答已被放弃。",
        ),
        429 => ("Too many requests; wait as long as `retry-after` says.", "请求过多，请按 `retry-after` 等待。"),
        502 => ("An upstream gave no valid answer.", "上游服务应答无效。"),
        503 => ("Not ready, or being stopped.", "尚未就绪或正在停止。"),
        504 => ("An upstream did not answer in time.", "上游服务应答超时。"),
        _ => ("Something broke here.", "服务内部错误。"),
    };
    language.of(en, zh)
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// Headers of answers.
pub(super) fn headers(language: Language) -> Value {
    let header = |required: bool, schema: Value, en: &str, zh: &str| json!({"required": required, "description": language.of(en, zh), "schema": schema});
    json!({
        "RequestId": header(
            true,
            json!({"type": "string", "format": "uuid"}),
            "The request's id; errors and native bodies repeat it, and the operator finds it in the log.",
            "请求的 id；错误与原生应答中也会重复，管理员可据此在日志中查找。",
        ),
        "ETag": header(
            true,
            json!({"type": "string"}),
            "The version, which a change sends as `If-Match`.",
            "版本，修改时作为 `If-Match` 发送。",
        ),
        "IgnoredFields": header(
            false,
            json!({"type": "string"}),
            "Fields of the request that changed nothing, separated by commas, so that a typo can be found.",
            "请求中未起作用的字段，以逗号分隔，便于发现拼写错误。",
        ),
        "Replayed": header(
            false,
            json!({"type": "string", "const": "true"}),
            "The answer was made for an earlier request with this `Idempotency-Key`.",
            "该应答是为此前带有相同 `Idempotency-Key` 的请求生成的。",
        ),
        "ShouldRetry": header(
            true,
            json!({"type": "string", "enum": ["true", "false"]}),
            "Whether the same request may succeed later.",
            "同一请求稍后重试是否可能成功。",
        ),
        "RetryAfter": header(
            false,
            json!({"type": "integer", "minimum": 1}),
            "When to try again, in seconds.",
            "多少秒后重试。",
        ),
        "RetryAfterMs": header(
            false,
            json!({"type": "integer", "minimum": 0}),
            "When to try again, in milliseconds.",
            "多少毫秒后重试。",
        ),
    })
}
