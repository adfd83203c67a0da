//! Money: whole billionths of a currency unit. No float ever holds an amount.
//!
//! **The rounding rule.** Amounts are rounded once, when a line of a bill is made, and there to the
//! nearest nano; what lies halfway goes away from zero. [`Nanos::scaled`] is the only place that rounds;
//! sums of lines are exact.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Nanos in one unit of a currency.
pub const NANOS_PER_UNIT: i64 = 1_000_000_000;
/// Most digits behind the point of an amount.
pub const DECIMALS_MAX: usize = 9;

/// What an amount is counted in. Amounts of two currencies never meet in one sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Currency {
    /// Renminbi.
    #[serde(rename = "CNY")]
    Cny,
    /// United States dollar.
    #[serde(rename = "USD")]
    Usd,
}

impl Currency {
    /// Every currency there is.
    pub const ALL: [Self; 2] = [Self::Cny, Self::Usd];

    /// Its code in ISO 4217: `CNY`, `USD`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cny => "CNY",
            Self::Usd => "USD",
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    /// Reads a code as it is written in ISO 4217, in capitals.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let known = Self::ALL.into_iter().find(|currency| currency.as_str() == text);
        known.ok_or_else(|| MoneyError::Currency { text: text.chars().take(16).collect() })
    }
}

/// Why a text is no amount, or no currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// A character that no amount has.
    #[error("an amount has digits and one point only, not {character:?}")]
    Character {
        /// The first such character.
        character: char,
    },
    /// No digit before the point, or none behind it.
    #[error("an amount has digits before its point and behind it, as in `0.5`")]
    Digits,
    /// More digits behind the point than nanos can hold.
    #[error("an amount has at most {DECIMALS_MAX} digits behind its point, this one has {decimals}")]
    Decimals {
        /// How many it has.
        decimals: usize,
    },
    /// A negative amount where none makes sense.
    #[error("this amount must not be negative")]
    Negative,
    /// More than 64 bits of nanos can count.
    #[error("an amount lies between {} and {}", Nanos::MIN, Nanos::MAX)]
    Overflow,
    /// A currency that is not known.
    #[error("`{text}` is no known currency; there are CNY and USD")]
    Currency {
        /// The beginning of the text.
        text: String,
    },
}

/// An amount in billionths of a currency unit, between about -9.2 and 9.2 thousand million units.
///
/// It is written as the shortest exact decimal, in JSON and TOML as a string of it: a number would
/// pass through a float somewhere.
///
/// # Example
/// ```
/// use qwenda_ledger::money::Nanos;
///
/// let price: Nanos = "0.082".parse()?;
/// assert_eq!(price.get(), 82_000_000);
/// assert_eq!(price.to_string(), "0.082");
/// # Ok::<(), qwenda_ledger::money::MoneyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Nanos(i64);

impl Nanos {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The greatest debt.
    pub const MIN: Self = Self(i64::MIN);
    /// The greatest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// So many billionths of a unit.
    pub const fn new(nanos: i64) -> Self {
        Self(nanos)
    }

    /// So many whole units; `None` when they are too many.
    pub const fn from_units(units: i64) -> Option<Self> {
        match units.checked_mul(NANOS_PER_UNIT) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// The billionths.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The sum; `None` when it is out of range.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` when it is out of range.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The same amount owed instead of owned; `None` for [`Nanos::MIN`], which has no opposite.
    #[must_use]
    pub fn checked_neg(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }

    /// The sum of all; `None` when it is out of range. What lies between may be out of range.
    #[must_use]
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        // 2^64 amounts of 2^63 fit into 128 bits, and there are never so many.
        let sum: i128 = amounts.into_iter().map(|amount| i128::from(amount.0)).sum();
        i64::try_from(sum).ok().map(Self)
    }

    /// `self × numerator ÷ denominator`, rounded to the nearest nano, ties away from zero; `None` when
    /// the result is out of range. The product is exact, in 128 bits.
    ///
    /// # Panics
    /// When the denominator is zero.
    ///
    /// # Example
    /// ```
    /// use qwenda_ledger::money::Nanos;
    ///
    /// // 27 tokens at 0.5 a million.
    /// let half = Nanos::new(500_000_000);
    /// assert_eq!(half.scaled(27, 1_000_000), Some(Nanos::new(13_500)));
    /// assert_eq!(Nanos::new(-1).scaled(1, 2), Some(Nanos::new(-1)));
    /// ```
    #[must_use]
    pub fn scaled(self, numerator: u64, denominator: u64) -> Option<Self> {
        assert_ne!(denominator, 0, "an amount is divided by something");
        // At most 2^63 times less than 2^64.
        let product = i128::from(self.0) * i128::from(numerator);
        let (magnitude, denominator) = (product.unsigned_abs(), u128::from(denominator));
        let (quotient, rest) = (magnitude / denominator, magnitude % denominator);
        let rounded = i128::try_from(quotient + u128::from(rest >= denominator - rest)).ok()?;
        i64::try_from(if product < 0 { -rounded } else { rounded }).ok().map(Self)
    }

    /// Reads an amount that must not be negative, such as a price: digits, and at most nine more
    /// behind a point. There is no sign, no exponent, no space and no grouping.
    ///
    /// # Errors
    /// [`MoneyError`] with what is wrong; it never rounds.
    pub fn parse_unsigned(text: &str) -> Result<Self, MoneyError> {
        if text.starts_with('-') {
            return Err(MoneyError::Negative);
        }
        text.parse()
    }
}

impl FromStr for Nanos {
    type Err = MoneyError;

    /// Reads an amount that may be owed: as [`Nanos::parse_unsigned`], or the same behind a `-`.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        if let Some(character) = whole.chars().chain(decimals.chars()).find(|c| !c.is_ascii_digit()) {
            return Err(MoneyError::Character { character });
        }
        if whole.is_empty() || decimals.is_empty() {
            return Err(MoneyError::Digits);
        }
        if decimals.len() > DECIMALS_MAX {
            return Err(MoneyError::Decimals { decimals: decimals.len() });
        }
        let padding = std::iter::repeat_n(b'0', DECIMALS_MAX - decimals.len());
        let nanos = whole
            .bytes()
            .chain(decimals.bytes())
            .chain(padding)
            .try_fold(0_i64, |nanos, digit| nanos.checked_mul(10)?.checked_add(sign * i64::from(digit - b'0')));
        nanos.map(Self).ok_or(MoneyError::Overflow)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let unit = NANOS_PER_UNIT.unsigned_abs();
        let (whole, nanos) = (self.0.unsigned_abs() / unit, self.0.unsigned_abs() % unit);
        if nanos == 0 {
            return f.pad(&format!("{sign}{whole}"));
        }
        f.pad(format!("{sign}{whole}.{nanos:09}").trim_end_matches('0'))
    }
}

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Nanos;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount as a string of decimals, such as \"0.082\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Nanos, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests;
