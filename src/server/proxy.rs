//! The machines in front, whose word about the visitor is believed.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A proxy, or all those of a network.
///
/// Shape: `192.0.2.1`, `2001:db8::1`, `10.42.0.0/16`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy(IpNet);

/// Why a text names no proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyError {
    /// Neither an address nor a network.
    NoAddress,
    /// The whole Internet: anybody could then say who he is.
    Everybody,
}

impl Proxy {
    /// Whether this peer is one of them.
    pub fn is(&self, peer: IpAddr) -> bool {
        self.0.contains(&peer)
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Proxy(address.to_canonical().into()));
        }
        let network: IpNet = text.parse().map_err(|_| ProxyError::NoAddress)?;
        match network {
            _ if network.prefix_len() == 0 => Err(ProxyError::Everybody),
            // Those who come are known by their IPv4 addresses: written so, the network would hold nobody.
            IpNet::V6(written) if written.addr().to_ipv4_mapped().is_some() => Err(ProxyError::NoAddress),
            _ => Ok(Proxy(network)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_an_address_itself() {
        let holds = |proxy: &str, peer: &str| proxy.parse::<Proxy>().unwrap().is(peer.parse().unwrap());
        assert!(holds("10.42.0.0/16", "10.42.7.9") && holds("2001:db8::/32", "2001:db8::1"));
        assert!(holds("127.0.0.1", "127.0.0.1") && holds("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!holds("10.42.0.0/16", "10.43.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(!holds("10.42.0.0/16", "2001:db8::1"));
    }

    #[test]
    fn the_whole_internet_is_no_proxy() {
        for (text, why) in [
            ("0.0.0.0/0", ProxyError::Everybody),
            ("::/0", ProxyError::Everybody),
            ("moi", ProxyError::NoAddress),
            ("10.0.0.0/33", ProxyError::NoAddress),
            ("::ffff:10.42.0.0/112", ProxyError::NoAddress),
        ] {
            assert_eq!(text.parse::<Proxy>().unwrap_err(), why, "{text}");
        }
    }
}
