//! `qwenda bill`: the statement of a month, request by request, which comes to what the books say.

mod statement;

use qwenda_server::{
    accounts::{AccountRow, Accounts, PaidRequest, Wanted},
    keys::{Nanos, now},
};

use self::statement::Statement;
use crate::{
    args, books,
    exit::{CliError, Exit},
    lang::{Lang, money},
    output::Ui,
    settings::Settings,
    when,
};

/// Requests that are read at once.
const PAGE: i64 = 1_000;

pub async fn run(ui: Ui, settings: &Settings, args: args::Bill) -> Result<(), CliError> {
    let lang = ui.lang;
    let (from, until) = when::month(&args.month).ok_or_else(|| CliError::usage(money::bad_month(lang, &args.month)))?;
    let accounts = books::open(lang, settings, &args.place).await?;
    let account = books::find(lang, &accounts, &args.which).await?;
    let keys = books::keys(lang, settings, &args.place).await?;
    // Requests may end meanwhile. None goes away, so the sum lies between what the books say before and after:
    // where nothing runs, it is equal to both, to the nano.
    let before = booked(lang, &accounts, &account, from, until).await?;
    let requests = read(lang, &accounts, &account, from, until).await?;
    let after = booked(lang, &accounts, &account, from, until).await?;
    accounts.close().await;
    let total = sum(lang, requests.iter().map(|request| request.charge))?;
    if let Some(wrong) = requests
        .iter()
        .find(|request| Nanos::checked_sum(request.lines.iter().map(|line| line.amount)) != Some(request.charge))
    {
        let said = money::lines_differ(lang, &wrong.line.id, &wrong.charge.to_string());
        return Err(CliError::new(Exit::Books, money::books_wrong(lang, &said)));
    }
    if total < before || total > after {
        let said = money::bill_differs(lang, &total.to_string(), &before.to_string());
        return Err(CliError::new(Exit::Books, money::books_wrong(lang, &said)));
    }
    let statement =
        Statement { account: &account, month: &args.month, from, until, requests: &requests, keys: &keys, total };
    if args.place.json {
        return ui.answer_line(statement.record(lang)?);
    }
    if args.csv {
        return ui.raw(statement.csv().as_bytes());
    }
    if until > now() {
        ui.notice(money::month_not_over(lang, &args.month));
    }
    ui.answer_line(statement.text(lang)?)
}

/// What the sums by day come to.
async fn booked(lang: Lang, accounts: &Accounts, of: &AccountRow, from: i64, until: i64) -> Result<Nanos, CliError> {
    let wanted = Wanted { account_id: Some(of.id.clone()), from, until, limit: i64::MAX, ..Wanted::default() };
    let days = accounts.usage("day", &wanted).await.map_err(|error| books::explain(lang, &error))?;
    sum(lang, days.iter().map(|day| day.charge))
}

async fn read(
    lang: Lang,
    accounts: &Accounts,
    of: &AccountRow,
    from: i64,
    until: i64,
) -> Result<Vec<PaidRequest>, CliError> {
    let mut wanted = Wanted { account_id: Some(of.id.clone()), from, until, limit: PAGE, ..Wanted::default() };
    let mut all = Vec::new();
    loop {
        let page = accounts.requests(&wanted).await.map_err(|error| books::explain(lang, &error))?;
        let Some(last) = page.last() else { return Ok(all) };
        wanted.after = Some((last.line.at, last.line.id.clone()));
        all.extend(page);
    }
}

fn sum(lang: Lang, charges: impl Iterator<Item = Nanos>) -> Result<Nanos, CliError> {
    Nanos::checked_sum(charges).ok_or_else(|| CliError::failure(money::sum_too_great(lang)))
}
