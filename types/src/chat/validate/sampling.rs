//! Which values sampling may have, alike for chats and for completions.

use std::collections::BTreeMap;

use super::{
    super::{ChatRequest, Stop},
    Strictness,
};
use crate::{
    Dialect,
    completions::CompletionRequest,
    error::{Code, Invalid},
};

/// The seed of a request that names none.
pub const SEED_DEFAULT: u64 = 1234;
/// Largest seed of the OpenAI-compatible dialect under the contract's rules.
pub const SEED_MAX: u64 = (1 << 31) - 1;
/// Largest seed of the native dialect, and under OpenAI's rules.
pub const SEED_MAX_WIDE: u64 = i64::MAX as u64;
/// Most answers to one request.
pub const N_MAX: u32 = 4;
/// Most stops of one request: each is looked for after every token.
pub const STOP_COUNT_MAX: usize = 64;
/// Longest stop string in bytes, and longest run of stop tokens.
pub const STOP_BYTES_MAX: usize = 1024;
/// Most entries of `logit_bias`: each is added at every token.
pub const LOGIT_BIAS_MAX: usize = 1024;

/// The values of a request that steer sampling.
pub(crate) struct Sampling<'a> {
    temperature: Option<f64>,
    top_p: Option<f64>,
    min_p: Option<f64>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    repetition_penalty: Option<f64>,
    n: Option<u32>,
    seed: Option<u64>,
    stop: Option<&'a Stop>,
    logit_bias: &'a BTreeMap<u32, f32>,
}

/// Both requests name these fields alike.
macro_rules! sampling_of {
    ($request:ty) => {
        impl<'a> From<&'a $request> for Sampling<'a> {
            fn from(request: &'a $request) -> Self {
                Self {
                    temperature: request.temperature,
                    top_p: request.top_p,
                    min_p: request.min_p,
                    presence_penalty: request.presence_penalty,
                    frequency_penalty: request.frequency_penalty,
                    repetition_penalty: request.repetition_penalty,
                    n: request.n,
                    seed: request.seed,
                    stop: request.stop.as_ref(),
                    logit_bias: &request.logit_bias,
                }
            }
        }
    };
}
sampling_of!(ChatRequest);
sampling_of!(CompletionRequest);

impl Sampling<'_> {
    pub(crate) fn validate(&self, dialect: Dialect, strictness: Strictness) -> Result<(), Invalid> {
        self.validate_numbers(strictness)?;
        self.validate_seed(dialect, strictness)?;
        self.validate_stop()
    }

    fn validate_numbers(&self, strictness: Strictness) -> Result<(), Invalid> {
        let within = |value: Option<f64>, ok: fn(f64) -> bool, field, message: &str| match value {
            Some(v) if !ok(v) => Err(Invalid::parameter(field, message)),
            _ => Ok(()),
        };
        match strictness {
            Strictness::Auto | Strictness::Qwen => {
                let ok = |v| (0.0..2.0).contains(&v);
                within(self.temperature, ok, "temperature", "Temperature should be in [0.0, 2.0)")?;
                within(self.top_p, |v| v > 0.0 && v <= 1.0, "top_p", "Range of top_p should be (0.0, 1.0]")?;
            }
            Strictness::OpenAi => {
                let ok = |v| (0.0..=2.0).contains(&v);
                within(self.temperature, ok, "temperature", "Temperature should be in [0.0, 2.0]")?;
                let ok = |v| (0.0..=1.0).contains(&v);
                within(self.top_p, ok, "top_p", "Range of top_p should be [0.0, 1.0]")?;
            }
        }
        within(self.min_p, |v| (0.0..=1.0).contains(&v), "min_p", "Range of min_p should be [0.0, 1.0]")?;
        within(
            self.presence_penalty,
            |v| (-2.0..=2.0).contains(&v),
            "presence_penalty",
            "Presence_penalty should be in [-2.0, 2.0]",
        )?;
        within(
            self.frequency_penalty,
            |v| (-2.0..=2.0).contains(&v),
            "frequency_penalty",
            "Frequency_penalty should be in [-2.0, 2.0]",
        )?;
        within(
            self.repetition_penalty,
            |v| v > 0.0 && v.is_finite(),
            "repetition_penalty",
            "Repetition_penalty should be greater than 0.0",
        )?;
        if self.n.is_some_and(|n| n == 0 || n > N_MAX) {
            return Err(Invalid::parameter("n", format!("Range of n should be [1, {N_MAX}]")));
        }
        if self.logit_bias.len() > LOGIT_BIAS_MAX {
            let message = format!("logit_bias has {} entries, more than {LOGIT_BIAS_MAX}", self.logit_bias.len());
            return Err(Invalid::parameter("logit_bias", message));
        }
        if self.logit_bias.values().any(|bias| !(-100.0..=100.0).contains(bias)) {
            return Err(Invalid::parameter("logit_bias", "Values of logit_bias should be in [-100, 100]"));
        }
        Ok(())
    }

    fn validate_seed(&self, dialect: Dialect, strictness: Strictness) -> Result<(), Invalid> {
        let Some(seed) = self.seed else { return Ok(()) };
        match (dialect, strictness) {
            (Dialect::Native, _) if seed > SEED_MAX_WIDE => {
                Err(Invalid::parameter("seed", format!("Range of seed should be [0, {SEED_MAX_WIDE}]")))
            }
            (Dialect::Native, _) => Ok(()),
            (Dialect::Compat, strictness) => {
                let most = if strictness == Strictness::OpenAi { SEED_MAX_WIDE } else { SEED_MAX };
                if seed <= most {
                    return Ok(());
                }
                let message = format!("{seed} is greater than the maximum of {most} - 'seed'");
                Err(Invalid::of(Code::InvalidValue, "seed", message))
            }
        }
    }

    fn validate_stop(&self) -> Result<(), Invalid> {
        let (count, longest, shortest) = match self.stop {
            None => return Ok(()),
            Some(Stop::One(text)) => (1, text.len(), text.len()),
            Some(Stop::Strings(texts)) => bounds(texts.iter().map(String::len)),
            Some(Stop::Tokens(ids)) => (ids.len(), 1, 1),
            Some(Stop::TokenLists(lists)) => bounds(lists.iter().map(Vec::len)),
        };
        if count > STOP_COUNT_MAX {
            let message = format!("stop has {count} elements, more than {STOP_COUNT_MAX}");
            return Err(Invalid::parameter("stop", message));
        }
        if count > 0 && shortest == 0 {
            return Err(Invalid::parameter("stop", "stop must not have an empty element"));
        }
        if longest > STOP_BYTES_MAX {
            let message = format!("an element of stop is {longest} long, more than {STOP_BYTES_MAX}");
            return Err(Invalid::parameter("stop", message));
        }
        Ok(())
    }
}

fn bounds(lengths: impl Iterator<Item = usize>) -> (usize, usize, usize) {
    lengths.fold((0, 0, usize::MAX), |(count, longest, shortest), length| {
        (count + 1, longest.max(length), shortest.min(length))
    })
}
