//! What is known by a text: regular expressions, loggers, internet addresses.
//!
//! Source: CPython 3.11 `Lib/re/__init__.py` (`_pickle`), `Lib/logging/__init__.py`
//! (`Logger.__reduce__`), `Lib/ipaddress.py` (`__reduce__`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::View;
use super::builtins::{Int, raw};
use super::call::{Call, Read, pay};
use crate::base::Budget;
use crate::pickle::{Global, Object, Value};

/// A regular expression; it is not compiled here.
#[derive(Clone, Copy, Debug)]
pub struct Pattern<'graph> {
    /// A text, or bytes.
    pub pattern: Object<'graph>,
    /// The sum of `re`'s flags.
    pub flags: i64,
}

pub(super) fn pattern<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let Some([pattern, flags]) = call.args.array() else {
        return Err(call.refuse_args("a pattern and flags"));
    };
    let known = match pattern.value() {
        Value::Text(_) | Value::Bytes(_) => true,
        Value::Recipe(_) => raw(pattern, budget)?.is_some(),
        _ => return Err(call.refuse_args("a pattern and flags")),
    };
    match Int::of(flags) {
        Some(Int::Small(flags)) => Ok(known.then_some(View::Pattern(Pattern { pattern, flags }))),
        _ if flags.as_recipe().is_some() => Ok(None),
        _ => Err(call.refuse_args("a pattern and flags")),
    }
}

pub(super) fn logger<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    match (call.args.len(), call.arg(0).value()) {
        (0, _) | (1, Value::None) => Ok(Some(View::Logger(None))),
        (1, Value::Text(name)) => {
            pay(name.as_bytes().len(), budget)?;
            Ok(name.as_str().map(|name| View::Logger(Some(name))))
        }
        _ => Err(call.refuse_args("a name")),
    }
}

/// An address of the internet, alone or with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip<'graph> {
    /// `IPv4Address`, `IPv6Network` and so on.
    pub class: Global<'graph>,
    /// The address.
    pub address: IpAddr,
    /// The zone that an address of version 6 is of, what follows `%`.
    pub scope: Option<&'graph str>,
    /// How many bits are of the network; none for addresses alone.
    pub prefix: Option<u8>,
}

/// As Python's `str`.
impl fmt::Display for Ip<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}")?,
            // Rust writes the last 32 bits of these as version 4, Python 3.11 does not.
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
                let [.., high, low] = address.segments();
                write!(f, "::ffff:{high:x}:{low:x}")?;
            }
            IpAddr::V6(address) => write!(f, "{address}")?,
        }
        if let Some(scope) = self.scope {
            write!(f, "%{scope}")?;
        }
        match self.prefix {
            Some(prefix) => write!(f, "/{prefix}"),
            None => Ok(()),
        }
    }
}

pub(super) fn ip<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let Some([given]) = call.args.array() else { return Err(call.refuse_args("an address")) };
    let name = call.global.name;
    let (v6, network) = (name.starts_with(b"IPv6"), !name.ends_with(b"Address"));
    let class = call.global;
    let refused = || call.refuse(format!("no address of version {}", if v6 { 6 } else { 4 }));
    let text = match given.value() {
        Value::Text(text) => text.as_str(),
        Value::Int(_) | Value::BigInt(_) if !network => {
            let value = Int::of(given).and_then(|value| number(value, v6));
            let address = value.ok_or_else(refused)?;
            return Ok(Some(View::Ip(Ip { class, address, scope: None, prefix: None })));
        }
        // Packed bytes, and pairs of address and prefix.
        Value::Bytes(_) | Value::Tuple(_) | Value::Recipe(_) => return Ok(None),
        _ => return Err(call.refuse_args("an address")),
    };
    let Some(text) = text else { return Ok(None) };
    pay(text.len(), budget)?;
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) if network => (address, Some(prefix)),
        None => (text, None),
        Some(_) => return Err(refused()),
    };
    // A mask in place of a prefix, which no pickler writes.
    if prefix.is_some_and(|prefix| prefix.contains(['.', ':'])) {
        return Ok(None);
    }
    let (address, scope) = match address.split_once('%') {
        Some((address, scope)) if v6 => (address, Some(scope)),
        _ => (address, None),
    };
    let address =
        if v6 { address.parse().map(IpAddr::V6) } else { address.parse().map(IpAddr::V4) };
    let address = address.map_err(|_| refused())?;
    let bits = if v6 { 128 } else { 32 };
    let prefix = match prefix {
        Some(prefix) => Some(prefix.parse().ok().filter(|&it| it <= bits).ok_or_else(refused)?),
        None => network.then_some(bits),
    };
    let ip = Ip { class, address, scope, prefix };
    if name.ends_with(b"Network") && host_bits(ip) {
        return Err(call.refuse("a network with bits of a host set"));
    }
    Ok(Some(View::Ip(ip)))
}

/// Whether bits beyond the prefix are set.
fn host_bits(ip: Ip) -> bool {
    let prefix = u32::from(ip.prefix.unwrap_or(0));
    let value = match ip.address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => address.into(),
    };
    value.checked_shl(prefix).unwrap_or(0) != 0
}

fn number(value: Int, v6: bool) -> Option<IpAddr> {
    match (value, v6) {
        (Int::Small(value), false) => Some(Ipv4Addr::from(u32::try_from(value).ok()?).into()),
        (Int::Small(value), true) => Some(Ipv6Addr::from(u128::try_from(value).ok()?).into()),
        (Int::Big(value), true) => Some(Ipv6Addr::from(super::uuid::unsigned(value)?).into()),
        (Int::Big(_), false) => None,
    }
}
