//! Networks, as `10.0.0.0/8` or `2001:db8::/32` or one address.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A range of IPv4 or IPv6 addresses.
///
/// IPv4 addresses in their IPv6 form (`::ffff:10.0.0.1`, as sockets for both families show them) are
/// IPv4 addresses here: they are in IPv4 networks, and in no IPv6 network.
///
/// # Example
/// ```
/// use qwenda_ledger::policy::Cidr;
/// let network: Cidr = "10.0.0.0/8".parse().unwrap();
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
/// let error = "10.0.0.1/8".parse::<Cidr>().unwrap_err();
/// assert_eq!(error.to_string(), "`10.0.0.1/8` has bits behind its 8: the network is 10.0.0.0/8");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    bits: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCidr {
    /// What comes before the `/` is no address.
    #[error("`{text}` is no network: `{address}` is no IPv4 or IPv6 address")]
    Address {
        /// The whole text.
        text: String,
        /// The part that should be an address.
        address: String,
    },
    /// What comes after the `/` is no number of bits.
    #[error("`{text}` is no network: after `/` comes a number from 0 to {bits_max}, not `{bits}`")]
    Bits {
        /// The whole text.
        text: String,
        /// The part that should be a number.
        bits: String,
        /// How many bits such an address has.
        bits_max: u8,
    },
    /// The address has bits outside of the network: it is unclear which of both is meant.
    #[error("`{text}` has bits behind its {}: the network is {network}", network.bits)]
    Host {
        /// The whole text.
        text: String,
        /// The network that the address is in.
        network: Cidr,
    },
}

impl Cidr {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4() && network_of(address, self.bits) == self.network
    }

    /// Whether every address of `other` is in this, too.
    pub fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.contains(other.network)
    }
}

// The address with all bits cleared but the first so many.
fn network_of(address: IpAddr, bits: u8) -> IpAddr {
    let cleared = |all: u32| all - u32::from(bits);
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from(v4.to_bits() & u32::MAX.checked_shl(cleared(32)).unwrap_or(0)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from(v6.to_bits() & u128::MAX.checked_shl(cleared(128)).unwrap_or(0)).into(),
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let Ok(written) = address.parse::<IpAddr>() else {
            return Err(BadCidr::Address { text: text.to_owned(), address: address.to_owned() });
        };
        let bits_max = if written.is_ipv4() { 32 } else { 128 };
        let digits = |bits: &&str| bits.bytes().all(|b| b.is_ascii_digit());
        let number = match bits {
            None => Some(bits_max),
            Some(bits) => Some(bits).filter(digits).and_then(|bits| bits.parse().ok()).filter(|n| *n <= bits_max),
        };
        let Some(number) = number else {
            let bits = bits.unwrap_or_default().to_owned();
            return Err(BadCidr::Bits { text: text.to_owned(), bits, bits_max });
        };
        // A range of IPv4 addresses in their IPv6 form is the IPv4 network.
        let (address, bits) = match written.to_canonical() {
            v4 @ IpAddr::V4(_) if written.is_ipv6() && number >= 96 => (v4, number - 96),
            _ => (written, number),
        };
        let network = Self { network: network_of(address, bits), bits };
        if network.network == address { Ok(network) } else { Err(BadCidr::Host { text: text.to_owned(), network }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}
