//! `qwenda audit`: everything that is stated, added up again.

use serde_json::json;

use crate::{
    args, books,
    exit::{CliError, Exit},
    lang::money,
    output::Ui,
    settings::Settings,
};

pub async fn run(ui: Ui, settings: &Settings, place: args::Place) -> Result<(), CliError> {
    let accounts = books::open(ui.lang, settings, &place).await?;
    let (audit, wrong) = accounts.audit().await.map_err(|error| books::explain(ui.lang, &error))?;
    accounts.close().await;
    // The journal first: a charge is looked at only where the sums hold.
    let difference = match (&audit.difference, &wrong) {
        (Some(difference), _) => Some((difference.to_string(), money::difference(ui.lang, difference))),
        (None, Some(wrong)) => Some((wrong.to_string(), money::wrong_charge(ui.lang, wrong))),
        (None, None) => None,
    };
    if place.json {
        ui.answer_line(json!({
            "buckets": audit.buckets,
            "transfers": audit.transfers,
            "requests": audit.requests,
            "open_holds": audit.open_holds,
            "difference": difference.as_ref().map(|(english, _)| english),
        }))?;
    } else {
        let counts = money::audited(ui.lang, audit.buckets, audit.transfers, audit.requests, audit.open_holds);
        ui.answer_line(counts)?;
    }
    match difference {
        None => Ok(()),
        Some((_, said)) => Err(CliError::new(Exit::Books, money::books_wrong(ui.lang, &said))),
    }
}
