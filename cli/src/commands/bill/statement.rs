//! A statement as a table, as CSV and as JSON.

use qwenda_server::{
    accounts::{AccountRow, PaidRequest},
    keys::{KeyInfo, Kind, Nanos},
    statement::{self, OfModel, Sums, covered, lines},
};
use serde_json::{Value, json};

use crate::{
    exit::CliError,
    lang::{Lang, money},
    table::Table,
    when,
};

/// What an account used and pays in a month.
pub struct Statement<'a> {
    pub account: &'a AccountRow,
    pub month: &'a str,
    pub from: i64,
    pub until: i64,
    pub requests: &'a [PaidRequest],
    pub keys: &'a [KeyInfo],
    pub total: Nanos,
}

impl Statement<'_> {
    fn key_name(&self, request: &PaidRequest) -> Option<&str> {
        self.keys.iter().find(|key| key.id == request.line.key_id).map(|key| key.name.as_str())
    }

    fn models(&self, lang: Lang) -> Result<Sums, CliError> {
        let mut sums = Sums::default();
        for request in self.requests {
            sums.add(request).ok_or_else(|| CliError::failure(money::sum_too_great(lang)))?;
        }
        Ok(sums)
    }

    pub fn text(&self, lang: Lang) -> Result<String, CliError> {
        let AccountRow { name, currency, .. } = self.account;
        let title = money::bill_title(lang, name, self.month, currency.as_str());
        if self.requests.is_empty() {
            return Ok(format!("{title}\n\n{}", money::bill_total(lang, "0", currency.as_str())));
        }
        let mut requests = Table::new(&money::bill_headings(lang));
        for request in self.requests {
            requests.row([
                when::second(request.line.at),
                request.line.id.clone(),
                self.key_name(request).unwrap_or(&request.line.key_id).to_owned(),
                request.line.model.clone(),
                request.line.status.clone(),
                covered(request, Kind::Quota).to_string(),
                covered(request, Kind::Pack).to_string(),
                request.charge.to_string(),
                lines(request, '×'),
            ]);
        }
        let mut models = Table::new(&money::models_headings(lang));
        for (model, sums) in self.models(lang)?.0 {
            let OfModel { requests, input, cached, output, quota, pack, charge } = sums;
            let [requests, input, cached, output, quota, pack] =
                [requests, input, cached, output, quota, pack].map(|sum| sum.to_string());
            models.row([model, requests, input, cached, output, quota, pack, charge.to_string()]);
        }
        let total = money::bill_total(lang, &self.total.to_string(), currency.as_str());
        Ok(format!("{title}\n\n{requests}\n\n{models}\n\n{total}"))
    }

    pub fn record(&self, lang: Lang) -> Result<Value, CliError> {
        Ok(json!({
            "account": self.account.id,
            "name": self.account.name,
            "currency": self.account.currency.as_str(),
            "month": self.month,
            "from": self.from,
            "until": self.until,
            "requests": self.requests.iter().map(statement::record).collect::<Vec<_>>(),
            "models": self.models(lang)?.records(),
            "total": self.total.to_string(),
        }))
    }

    /// One row for each request.
    pub fn csv(&self) -> String {
        let row = |request| statement::csv_row(request, self.account, self.key_name(request).unwrap_or(""));
        self.requests.iter().fold(statement::csv_heading(), |text, request| text + &row(request))
    }
}
