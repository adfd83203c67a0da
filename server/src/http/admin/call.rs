//! What handlers of the admin API take from a request: who administers, and what was sent.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Query, Request},
    http::{HeaderMap, header},
};
use qwenda_ledger::policy::Action;
use qwenda_types::error::{ApiError, Code};

use super::{
    super::{error::Failure, extract},
    form::Form,
};
use crate::{
    app::App,
    service::admin::{self, Admin},
};

/// One call of an administrator.
#[derive(Debug)]
pub(in crate::http) struct Call {
    pub(super) admin: Admin,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl FromRequest<Arc<App>> for Call {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let (admin, signed) = admin::recognise(app, &parts).await?;
        let query = Query::try_from_uri(&parts.uri).map(|Query(query)| query);
        let query = query.map_err(|_| ApiError::of(Code::InvalidParameter).say("The query cannot be read."))?;
        let coded = parts.headers.contains_key(header::CONTENT_ENCODING);
        let body = extract::read(&parts.headers, body, app).await?;
        match signed {
            // What was hashed are the bytes of the wire, and those are gone.
            Some(_) if coded => {
                let why = "The request is not signed whole: a signed body is sent without Content-Encoding.";
                return Err(ApiError::of(Code::IncompleteSignature).say(why).into());
            }
            Some(checked) => admin::complete(&admin, &checked, &body).await?,
            None => {}
        }
        Ok(Self { admin, query, headers: parts.headers, body })
    }
}

impl Call {
    /// Refuses what the caller's role does not allow.
    pub(super) fn must(&self, action: Action) -> Result<(), ApiError> {
        self.admin.must(action)
    }

    /// The fields of the body; an absent body has none.
    pub(super) fn form(&self) -> Result<Form, ApiError> {
        if self.body.is_empty() {
            return Ok(Form::body(serde_json::Map::new()));
        }
        Ok(Form::body(extract::object(&self.body)?))
    }

    /// The fields of the query.
    pub(super) fn query(&self) -> Result<Form, ApiError> {
        Form::query(self.query.clone())
    }

    /// Refuses a change of another version than the one that is there. What says none is refused too: it
    /// would overwrite what it has not seen.
    pub(super) fn must_match(&self, version: i64, what: &str) -> Result<(), ApiError> {
        let Some(header) = self.headers.get(header::IF_MATCH) else {
            return Err(ApiError::of(Code::PreconditionRequired).say(format!(
                "The header If-Match is missing: read the {what} and send its ETag, which is \"{version}\" now."
            )));
        };
        let tag = header.to_str().unwrap_or_default().trim();
        if tag == "*" || tag == format!("\"{version}\"") {
            return Ok(());
        }
        let seen: String = tag.chars().take(32).collect();
        Err(ApiError::of(Code::PreconditionFailed).say(format!(
            "The {what} was changed meanwhile: its version is \"{version}\", the change is of {seen}. Read it again \
             and change what it is now."
        )))
    }
}
