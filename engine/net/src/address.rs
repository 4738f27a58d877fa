//! Who is who on a network of nodes, as it is written down.

use std::{collections::BTreeMap, fmt, net::SocketAddr, str::FromStr};

use bytes::Bytes;
use commonware_codec::DecodeExt as _;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Address, Ingress};
use commonware_utils::{Hostname, ordered::Map};

/// A node's name: its public key (ed25519). Written as 64 hexadecimal digits, with or without `0x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub [u8; 32]);

/// Another node: `KEY@HOST:PORT`. A name of a host is looked up at each dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its key.
    pub key: PeerKey,
    /// Where it listens: a numeric address with its port, or a name with one.
    pub host: String,
}

/// Why a text names no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a key, an `@` and an address.
    #[error("`{0}` is no KEY@HOST:PORT")]
    Form(String),
    /// The key is not 64 digits of a point on the curve.
    #[error("`{0}` is no key of a storage node")]
    Key(String),
    /// The address is none.
    #[error("`{0}` is no HOST:PORT")]
    Host(String),
}

/// Why a list of nodes is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OthersError {
    /// One of them is not named as nodes are.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// One of them is named twice.
    #[error("{0} is named twice")]
    Twice(PeerKey),
}

/// The nodes of a list as the network wants them, without this one.
///
/// # Errors
/// [`OthersError`]
pub fn others(
    peers: &[PeerAddress],
    me: &PublicKey,
) -> Result<Map<PublicKey, Address>, OthersError> {
    let mut others = BTreeMap::new();
    for peer in peers {
        let key = peer.key.read()?;
        if key != *me && others.insert(key, peer.address()?).is_some() {
            return Err(OthersError::Twice(peer.key));
        }
    }
    Ok(Map::from_iter_dedup(others))
}

impl PeerKey {
    /// That of a key.
    ///
    /// # Panics
    /// Never: a key has 32 bytes.
    #[must_use]
    pub fn of(key: &PublicKey) -> PeerKey {
        let bytes: &[u8] = key.as_ref();
        PeerKey(bytes.try_into().expect("a key has 32 bytes"))
    }

    /// The key.
    ///
    /// # Errors
    /// [`AddressError::Key`] if it is no point of the curve.
    pub fn read(self) -> Result<PublicKey, AddressError> {
        let read = PublicKey::decode(Bytes::copy_from_slice(&self.0));
        read.map_err(|_| AddressError::Key(self.to_string()))
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl FromStr for PeerKey {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<PeerKey, AddressError> {
        let bad = || AddressError::Key(text.to_owned());
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut key = PeerKey([0; 32]);
        for (at, byte) in key.0.iter_mut().enumerate() {
            let pair = &digits[2 * at..2 * at + 2];
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        key.read().map(|_| key).map_err(|_| bad())
    }
}

impl PeerAddress {
    /// As the network wants it.
    ///
    /// # Errors
    /// [`AddressError::Host`]
    pub fn address(&self) -> Result<Address, AddressError> {
        if let Ok(socket) = self.host.parse::<SocketAddr>() {
            return Ok(Address::Symmetric(socket));
        }
        let bad = || AddressError::Host(self.host.clone());
        let (host, port) = self.host.rsplit_once(':').ok_or_else(bad)?;
        let ingress = Ingress::Dns {
            host: Hostname::new(host).map_err(|_| bad())?,
            port: port.parse().map_err(|_| bad())?,
        };
        Ok(Address::Asymmetric {
            ingress,
            // Where a peer comes from is not looked at: it proves its key.
            egress: SocketAddr::from(([0, 0, 0, 0], 0)),
        })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@{}", self.key, self.host)
    }
}

impl FromStr for PeerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<PeerAddress, AddressError> {
        let form = || AddressError::Form(text.to_owned());
        let (key, host) = text.split_once('@').ok_or_else(form)?;
        let peer = PeerAddress {
            key: key.parse()?,
            host: host.to_owned(),
        };
        peer.address().map(|_| peer)
    }
}

#[cfg(test)]
mod tests {
    use commonware_cryptography::{Signer as _, ed25519::PrivateKey};

    use super::*;

    /// What is written is read, and what is no node is refused by its part that is wrong.
    #[test]
    fn reads_nodes() {
        let key = PeerKey::of(&PrivateKey::from_seed(1).public_key());
        for host in ["10.0.0.1:30000", "[::1]:1", "node-1.example.org:65535"] {
            let text = format!("{key}@{host}");
            let peer: PeerAddress = text.parse().unwrap();
            assert_eq!((peer.key, peer.host.as_str()), (key, host));
            assert_eq!(peer.to_string(), text);
        }
        assert_eq!(format!("0x{key}").parse(), Ok(key));
        let form = |text: &str| text.parse::<PeerAddress>().unwrap_err();
        assert!(matches!(form("10.0.0.1:1"), AddressError::Form(_)));
        assert!(matches!(form("ab@10.0.0.1:1"), AddressError::Key(_)));
        let digits = "é".repeat(32);
        assert!(matches!(
            form(&format!("{digits}@a:1")),
            AddressError::Key(_)
        ));
        for host in ["", "10.0.0.1", "a b:1", "host:70000", "host:"] {
            let error = form(&format!("{key}@{host}"));
            assert!(matches!(error, AddressError::Host(_)), "{host}");
        }
    }
}
