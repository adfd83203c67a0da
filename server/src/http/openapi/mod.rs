//! `GET /openapi.json`: what this server answers to, as an OpenAPI 3.1 document.
//!
//! The document is put together from hand-kept parts (`parts/*.json`): `operations-*.json` are the
//! operations, one for each line of the route table, the others are the schemas of what they take and
//! give. A text in the parts is a pair, English and Chinese. What every operation has alike (error
//! bodies, headers, the form of a stream) is added here, and what depends on the server's strictness is
//! said as this server has it.

mod operation;
mod parts;

use std::sync::{Arc, OnceLock};

use axum::{body::Bytes, extract::State, response::Response};
use qwenda_types::chat::Strictness;
use serde_json::{Map, Value, json};

pub(super) use self::operation::event_of;
use self::parts::Parts;
use super::language::Language;
use crate::app::App;

pub(super) async fn show(State(app): State<Arc<App>>, language: Language) -> Response {
    // It is the same for as long as the process lives.
    static WRITTEN: [[OnceLock<Bytes>; 2]; 3] = [const { [const { OnceLock::new() }; 2] }; 3];
    let strictness = app.config.strictness;
    let cell = &WRITTEN[place(strictness)][language.place()];
    let written = cell.get_or_init(|| document(strictness, language).to_string().into());
    language.response("application/json", written.clone())
}

/// A number for each strictness, from 0.
pub(super) fn place(strictness: Strictness) -> usize {
    match strictness {
        Strictness::Auto => 0,
        Strictness::Qwen => 1,
        Strictness::OpenAi => 2,
    }
}

/// The whole document, as a server of this strictness keeps it.
pub(super) fn document(strictness: Strictness, language: Language) -> Value {
    let parts = Parts::read(strictness, language);
    let mut paths = Map::new();
    for operation in &parts.operations {
        for (path, item) in operation.items(language) {
            let methods = paths.entry(path).or_insert_with(|| json!({}));
            methods[operation.method.as_str()] = item;
        }
    }
    let Parts { info, tags, schemas, parameters, .. } = parts;
    json!({
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": language.of(
                        "A key of `qwenda keys create`, or a temporary one of `POST /api/v1/tokens`.",
                        "由 `qwenda keys create` 创建的密钥，或由 `POST /api/v1/tokens` 生成的临时密钥。",
                    ),
                },
                "admin": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": language.of(
                        "An admin key of `qwenda admin keys create`. In its place a request may be signed by an access key of \
                         `qwenda admin keys create --signing`, as Alibaba Cloud's are (ACS3-HMAC-SHA256).",
                        "由 `qwenda admin keys create` 创建的管理员密钥。也可以用 `qwenda admin keys create --signing` 创建的 \
                         AccessKey 对请求签名（ACS3-HMAC-SHA256，与阿里云相同）。",
                    ),
                },
            },
            "parameters": parameters,
            "headers": operation::headers(language),
            "schemas": schemas,
        },
    })
}

#[cfg(test)]
mod tests;
