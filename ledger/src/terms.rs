//! What a key, a project or an account is given: rules, limits and budgets, as they are written and stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::time::date;
use crate::{
    limit::{BurstGuard, Limits, Rate, Shape},
    money::Nanos,
    policy::{KeyRules, ModelPattern, Role, narrow},
};

/// The terms of one key, one project or one account. What is absent is not limited. A request is held to those of
/// its key and of all that are above it.
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
    /// In which language its errors explain themselves: `en` or `zh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Requests per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, of prompts and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests at one time, at one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How much of a minute's worth may come at once: `minute`, `second` or `strict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<String>,
    /// Whether requests that grow too fast are refused below their limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_guard: Option<bool>,
    /// Limits of single models, by name or by the beginning of one with a `*` behind. Each model counts by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_limits: Option<BTreeMap<String, ModelLimits>>,
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

/// The limits of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelLimits {
    /// Requests per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, of prompts and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests at one time, at one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
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
    /// [`BadTerm`] for a pattern, a network, a role, a language or a pace that is none, and for a negative budget.
    pub fn rules(&self) -> Result<KeyRules, BadTerm> {
        self.shape()?;
        if let Some(language) = self.language.as_deref().filter(|language| !["en", "zh"].contains(language)) {
            return Err(bad("language", language, "it is not en or zh"));
        }
        for pattern in self.model_limits.iter().flatten().map(|(pattern, _)| pattern) {
            pattern.parse::<ModelPattern>().map_err(|error| bad("model_limits", pattern, error))?;
        }
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

    /// Whether its errors are for a reader of Chinese.
    pub fn is_chinese(&self) -> bool {
        self.language.as_deref() == Some("zh")
    }

    /// Its limits, of all models together. A pace that is none counts as `minute`.
    pub fn limits(&self) -> Limits {
        let Self { requests_per_minute, tokens_per_minute, concurrency, .. } = *self;
        self.limits_of(ModelLimits { requests_per_minute, tokens_per_minute, concurrency })
    }

    /// The limits of one model, where it has any: those of its name, or of the longest beginning of it.
    ///
    /// # Example
    /// ```
    /// let terms: qwenda_ledger::terms::Terms = serde_json::from_str(
    ///     r#"{"model_limits":{"*":{"requests_per_minute":60},"qwen-max":{"requests_per_minute":1200}}}"#,
    /// )?;
    /// let per_minute = |model| terms.limits_of_model(model).requests.map(|rate| rate.per_minute);
    /// assert_eq!((per_minute("qwen-max"), per_minute("qwen-plus")), (Some(1200), Some(60)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn limits_of_model(&self, model: &str) -> Limits {
        let all = self.model_limits.iter().flatten();
        let fitting = all.filter(|(pattern, _)| pattern.parse::<ModelPattern>().is_ok_and(|fits| fits.matches(model)));
        // The whole name counts before any beginning of it, and a longer beginning before a shorter.
        let nearest = fitting.max_by_key(|(pattern, _)| (!pattern.ends_with('*'), pattern.len()));
        nearest.map_or(Limits::default(), |(_, limits)| self.limits_of(*limits))
    }

    fn limits_of(&self, limits: ModelLimits) -> Limits {
        let shape = self.shape().unwrap_or_default();
        let rate = |per_minute| Rate { per_minute, shape };
        let requests = limits.requests_per_minute.map(rate);
        let guard = requests.filter(|_| self.burst_guard == Some(true));
        Limits {
            requests,
            tokens: limits.tokens_per_minute.map(rate),
            burst: guard.map(BurstGuard::of),
            concurrency: limits.concurrency,
        }
    }

    fn shape(&self) -> Result<Shape, BadTerm> {
        match self.pace.as_deref() {
            None | Some("minute") => Ok(Shape::Minute),
            Some("second") => Ok(Shape::Second),
            Some("strict") => Ok(Shape::Strict),
            Some(other) => Err(bad("pace", other, "it is not minute, second or strict")),
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
            (r#"{"pace":"hour"}"#, "pace"),
            (r#"{"language":"fr"}"#, "language"),
            (r#"{"model_limits":{"a*b":{}}}"#, "model_limits"),
        ] {
            let terms: Terms = serde_json::from_str(text).expect("its shape is right");
            assert_eq!(terms.rules().expect_err(text).field, field);
        }
        assert!(serde_json::from_str::<Terms>(r#"{"budgetday":"1"}"#).is_err());
    }

    #[test]
    fn the_nearest_name_gives_a_model_its_limits_at_the_pace_of_all() {
        let terms: Terms = serde_json::from_str(
            r#"{"pace":"second","burst_guard":true,"requests_per_minute":6000,"model_limits":{
                "*":{"concurrency":1},"qwen*":{"concurrency":2},"qwen-plus*":{"concurrency":3},
                "qwen-plus":{"concurrency":4,"tokens_per_minute":600}}}"#,
        )
        .expect("terms");
        for (model, concurrency) in [("x", 1), ("qwen-max", 2), ("qwen-plus-latest", 3), ("qwen-plus", 4)] {
            assert_eq!(terms.limits_of_model(model).concurrency, Some(concurrency), "{model}");
        }
        let (all, of_plus) = (terms.limits(), terms.limits_of_model("qwen-plus"));
        assert_eq!((all.requests, of_plus.tokens), (Some(Rate::smooth(6000)), Some(Rate::smooth(600))));
        assert_eq!(all.burst, Some(BurstGuard::of(Rate::smooth(6000))));
        // Growth is of requests.
        assert_eq!(of_plus.burst, None);
        assert_eq!(Terms::default().limits_of_model("qwen-plus"), Limits::default());
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
