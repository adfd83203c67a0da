//! In which language the server speaks of itself: `?lang=` says so, or `Accept-Language` does.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Query},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::Response,
};
use qwenda_types::error::Invalid;

use super::error::Failure;
use crate::app::App;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    En,
    Zh,
}

impl Language {
    /// The language's name in HTML and HTTP.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }

    /// The one of two texts that is in this language.
    pub(super) fn of<T>(self, en: T, zh: T) -> T {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }

    /// A number for each, from 0.
    pub(super) fn place(self) -> usize {
        self.of(0, 1)
    }

    /// A text in this language.
    pub(super) fn response(self, kind: &'static str, text: impl Into<Body>) -> Response {
        let mut response = Response::new(text.into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(self.tag()));
        headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
        response
    }

    fn named(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "en" => Some(Self::En),
            "zh" => Some(Self::Zh),
            _ => None,
        }
    }

    /// The one a reader likes best; English where they name neither.
    fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
        let mut best = (0.0, Self::En);
        for wish in values.flat_map(|value| value.split(',')) {
            let (tag, weight) = wish.split_once(';').unwrap_or((wish, ""));
            let weight = weight.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse().unwrap_or(0.0));
            // Of two with one weight the first counts.
            if let Some(language) = Self::named(tag.trim())
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }
}

impl FromRequestParts<Arc<App>> for Language {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, app).await;
        let pairs = pairs.map(|Query(pairs)| pairs).unwrap_or_default();
        match pairs.iter().find(|(name, _)| name == "lang") {
            None => Ok(Self::accepted(&parts.headers)),
            Some((_, tag)) => Self::named(tag).ok_or_else(|| {
                let message = "lang is one of the strings that should be [\"en\", \"zh\"]";
                Invalid::parameter("lang", message).into()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_with_the_greatest_weight_is_spoken_and_english_where_there_is_none() {
        for (accepts, want) in [
            ("", Language::En),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
            ("en-US,en;q=0.9,zh;q=0.8", Language::En),
            ("en;q=0.5, zh;q=0.7", Language::Zh),
            ("fr, de;q=0.9", Language::En),
            ("fr, zh_TW;q=0.1", Language::Zh),
            ("zh;q=0, *", Language::En),
            ("zh;q=x;en", Language::En),
        ] {
            let value = HeaderValue::from_str(accepts).unwrap();
            let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, value)]);
            assert_eq!(Language::accepted(&headers), want, "{accepts}");
        }
    }
}
