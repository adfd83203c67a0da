//! What a key may do: the models it calls, the networks it calls from, until when, and in which role.
//!
//! [`check`] answers for one call, [`narrow`] makes the rules of a key that stands for another.

mod cidr;
mod model;
mod role;

use std::net::IpAddr;

pub use cidr::{BadCidr, Cidr};
pub use model::{BadModelPattern, MODEL_PATTERN_BYTES_MAX, ModelPattern};
pub use role::{Action, Role, may};

/// What one key may do.
///
/// # Example
/// ```
/// use qwenda_ledger::policy::{KeyRules, Refusal, check};
/// let rules = KeyRules {
///     models: Some(vec!["qwen3-*".parse()?]),
///     networks: Some(vec!["10.0.0.0/8".parse()?]),
///     ..KeyRules::default()
/// };
/// let from = Some("10.1.2.3".parse()?);
/// assert_eq!(check(&rules, "qwen3-max", from, 0), Ok(()));
/// let refused = check(&rules, "qwen-plus", from, 0).unwrap_err();
/// assert_eq!(refused.to_string(), "the key may not use the model `qwen-plus`");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRules {
    /// The models it may use. `None` is all, an empty list is none.
    pub models: Option<Vec<ModelPattern>>,
    /// The networks it may call from. `None` is all, an empty list is none.
    pub networks: Option<Vec<Cidr>>,
    /// Unix seconds from which on it is refused.
    pub expires_at: Option<u64>,
    /// Whether it was switched off.
    pub disabled: bool,
    /// What it may do besides or instead of calling models.
    pub role: Role,
}

/// Which rule of a key refused a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was switched off.
    #[error("the key is disabled")]
    Disabled,
    /// Its time is over.
    #[error("the key ended at {expires_at}, it is {now}")]
    Expired {
        /// When it ended, in Unix seconds.
        expires_at: u64,
        /// The time of the call.
        now: u64,
    },
    /// The caller's address is in none of its networks.
    #[error("the key may not be used from {}", address.map_or("an unknown address".to_owned(), |ip| ip.to_string()))]
    Network {
        /// The caller's address; `None` when it is not known, as on a local socket.
        address: Option<IpAddr>,
    },
    /// Its role does not allow the action.
    #[error("a key of the role {role} may not {action}")]
    Role {
        /// The key's role.
        role: Role,
        /// What it was to do.
        action: Action,
    },
    /// It may not use the model.
    #[error("the key may not use the model `{model}`")]
    Model {
        /// The model as the caller named it.
        model: String,
    },
}

/// Whether a key may call a model now from this address.
///
/// # Errors
/// The first [`Refusal`], in the order in which they are listed there.
pub fn check(rules: &KeyRules, model: &str, address: Option<IpAddr>, now: u64) -> Result<(), Refusal> {
    check_action(rules, Action::CallModels, address, now)?;
    if rules.allows_model(model) { Ok(()) } else { Err(Refusal::Model { model: model.to_owned() }) }
}

/// Whether a key may do something other than calling a model, now and from this address.
///
/// # Errors
/// The first [`Refusal`], in the order in which they are listed there.
pub fn check_action(rules: &KeyRules, action: Action, address: Option<IpAddr>, now: u64) -> Result<(), Refusal> {
    if rules.disabled {
        return Err(Refusal::Disabled);
    }
    if let Some(expires_at) = rules.expires_at.filter(|expires_at| now >= *expires_at) {
        return Err(Refusal::Expired { expires_at, now });
    }
    let from_network = |network: &Cidr| address.is_some_and(|address| network.contains(address));
    if rules.networks.as_ref().is_some_and(|networks| !networks.iter().any(from_network)) {
        return Err(Refusal::Network { address });
    }
    if !may(rules.role, action) {
        return Err(Refusal::Role { role: rules.role, action });
    }
    Ok(())
}

impl KeyRules {
    /// Whether it may use a model: also what a list of models shows to it.
    pub fn allows_model(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|pattern| pattern.matches(model)))
    }
}

/// The rules of a key that stands for another: it may do what both allow.
///
/// # Example
/// ```
/// use qwenda_ledger::policy::{KeyRules, narrow};
/// let parent = KeyRules { models: Some(vec!["qwen3-*".parse()?]), ..KeyRules::default() };
/// let child = KeyRules { models: Some(vec!["*".parse()?]), expires_at: Some(1800), ..KeyRules::default() };
/// let rules = narrow(&parent, &child);
/// assert!(rules.allows_model("qwen3-max") && !rules.allows_model("qwen-plus"));
/// assert_eq!(rules.expires_at, Some(1800));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn narrow(parent: &KeyRules, child: &KeyRules) -> KeyRules {
    KeyRules {
        models: both(&parent.models, &child.models, ModelPattern::covers),
        networks: both(&parent.networks, &child.networks, Cidr::covers),
        expires_at: parent.expires_at.into_iter().chain(child.expires_at).min(),
        disabled: parent.disabled || child.disabled,
        role: parent.role.both(child.role),
    }
}

// What two lists both allow. Of any two entries either one covers the other or they have nothing in
// common, so what both allow is the narrower of each pair.
fn both<T: Clone + PartialEq>(
    a: &Option<Vec<T>>,
    b: &Option<Vec<T>>,
    covers: impl Fn(&T, &T) -> bool,
) -> Option<Vec<T>> {
    let (Some(a), Some(b)) = (a, b) else { return a.clone().or_else(|| b.clone()) };
    let narrow_of = |a: &T, b: &T| match (covers(a, b), covers(b, a)) {
        (true, _) => Some(b.clone()),
        (_, true) => Some(a.clone()),
        _ => None,
    };
    let mut common: Vec<T> = Vec::new();
    for narrow in a.iter().flat_map(|a| b.iter().filter_map(|b| narrow_of(a, b))) {
        if !common.iter().any(|wide| covers(wide, &narrow)) {
            common.retain(|other| !covers(&narrow, other));
            common.push(narrow);
        }
    }
    Some(common)
}

#[cfg(test)]
mod tests;
