//! What a key is given: rules, limits and budgets, as they are written and stored.

use serde::{Deserialize, Serialize};

pub use crate::time::date;
use crate::{
    limit::{Limits, Rate},
    money::Nanos,
    policy::{KeyRules, Role, narrow},
};

/// The terms of one key. What is absent is not limited.
///
/// # Example
/// ```
/// let terms: qwenda_ledger::terms::Terms = serde_json::from_str(r#"{"models":["qwen3-*"],"budget_day":"2.5"}"#)?;
/// assert!(terms.rules()?.allows_model("qwen3-max"));
/// assert_eq!(terms.budgets(1_772_236_800)[0].0, "day:2026-02-28");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// Names of models, or beginnings of such with a `*` behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Networks it may call from, as `10.0.0.0/8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<String>>,
    /// Unix seconds from which on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// `owner`, `admin`, `billing`, `developer` or `viewer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Requests per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, of prompts and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// What it may spend in a day (UTC), in the account's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_day: Option<Nanos>,
    /// The same in a month (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_month: Option<Nanos>,
    /// The same ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_total: Option<Nanos>,
}

/// A term that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is none of `{field}`: {why}")]
pub struct BadTerm {
    /// Which of the terms.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
}

impl Terms {
    /// Its rules.
    ///
    /// # Errors
    /// [`BadTerm`] for a pattern, a network or a role that is none, and for a negative budget.
    pub fn rules(&self) -> Result<KeyRules, BadTerm> {
        for (field, budget) in self.money() {
            if let Some(budget) = budget.filter(|budget| budget.is_negative()) {
                return Err(BadTerm { field, value: budget.to_string(), why: "it is below zero".to_owned() });
            }
        }
        let role = match &self.role {
            None => Role::default(),
            Some(name) => name.parse().map_err(|error| bad("role", name, error))?,
        };
        Ok(KeyRules {
            models: parsed("models", self.models.as_deref())?,
            networks: parsed("networks", self.networks.as_deref())?,
            expires_at: self.expires_at,
            disabled: false,
            role,
        })
    }

    /// The terms of a key that stands for the one with these: it may do what both allow. Limits and budgets are
    /// of this one, as what the other does counts towards it.
    ///
    /// # Errors
    /// [`BadTerm`] as of [`rules`](Self::rules).
    pub fn narrowed(&self, child: &Self) -> Result<Self, BadTerm> {
        fn written<T: ToString>(all: Option<Vec<T>>) -> Option<Vec<String>> {
            all.map(|all| all.iter().map(ToString::to_string).collect())
        }
        let KeyRules { models, networks, expires_at, role, .. } = narrow(&self.rules()?, &child.rules()?);
        Ok(Self {
            models: written(models),
            networks: written(networks),
            expires_at,
            role: Some(role.to_string()),
            ..self.clone()
        })
    }

    /// Its limits.
    pub fn limits(&self) -> Limits {
        Limits {
            requests: self.requests_per_minute.map(Rate::minute),
            tokens: self.tokens_per_minute.map(Rate::minute),
            burst: None,
            concurrency: self.concurrency,
        }
    }

    /// Its budgets at a second since 1970, each with the name of its period.
    pub fn budgets(&self, now: i64) -> Vec<(String, Nanos)> {
        let (year, month, day) = date(now);
        let names =
            [format!("day:{year:04}-{month:02}-{day:02}"), format!("month:{year:04}-{month:02}"), "total".into()];
        let budgets = names.into_iter().zip(self.money()).map(|(name, (_, budget))| (name, budget));
        budgets.filter_map(|(name, budget)| Some((name, budget?))).collect()
    }

    fn money(&self) -> [(&'static str, Option<Nanos>); 3] {
        [("budget_day", self.budget_day), ("budget_month", self.budget_month), ("budget_total", self.budget_total)]
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    texts: Option<&[String]>,
) -> Result<Option<Vec<T>>, BadTerm> {
    let Some(texts) = texts else { return Ok(None) };
    texts.iter().map(|text| text.parse().map_err(|error| bad(field, text, error))).collect::<Result<_, _>>().map(Some)
}

fn bad(field: &'static str, value: &str, why: impl std::fmt::Display) -> BadTerm {
    BadTerm { field, value: value.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_mean_nothing_are_refused_by_their_field() {
        for (text, field) in [
            (r#"{"networks":["10.0.0.0/40"]}"#, "networks"),
            (r#"{"models":["a*b"]}"#, "models"),
            (r#"{"role":"king"}"#, "role"),
            (r#"{"budget_total":"-1"}"#, "budget_total"),
        ] {
            let terms: Terms = serde_json::from_str(text).expect("its shape is right");
            assert_eq!(terms.rules().expect_err(text).field, field);
        }
        assert!(serde_json::from_str::<Terms>(r#"{"budgetday":"1"}"#).is_err());
    }

    #[test]
    fn what_stands_for_a_key_may_do_what_both_allow_and_counts_towards_it() {
        let parent: Terms = serde_json::from_str(
            r#"{"models":["qwen3-*","qwen-plus"],"budget_day":"5","requests_per_minute":9,"expires_at":100}"#,
        )
        .expect("terms");
        let child: Terms =
            serde_json::from_str(r#"{"models":["qwen3-max","qwen-max"],"expires_at":50}"#).expect("terms");
        let narrow = parent.narrowed(&child).expect("both are terms");
        let want =
            r#"{"models":["qwen3-max"],"expires_at":50,"role":"developer","requests_per_minute":9,"budget_day":"5"}"#;
        assert_eq!(narrow, serde_json::from_str(want).expect("terms"));
    }
}
