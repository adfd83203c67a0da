//! Fetching a page for a model.

use qwenda::tools::ToolError;

use super::bounded;
use crate::{
    context::{Attached, is_url},
    lang::Lang,
    output::Ui,
};

pub(super) async fn fetch(lang: Lang, url: String) -> Result<String, ToolError> {
    if !is_url(&url) {
        return Err(ToolError::new("an address begins with https:// or http://"));
    }
    let quiet = Ui::new(lang, true, |_| None);
    let page = Attached::read(quiet, &[url]).await.map_err(|error| ToolError::new(error.message))?;
    Ok(bounded(page.before("")))
}
