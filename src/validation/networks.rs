//! Which addresses validation may connect to. A client chooses the names and, by its dns, the addresses that this server
//! visits; so everything that is not plainly a public host is refused unless the operator allows it, and an address that
//! carries another one inside is judged by that. Start with [`Networks::check`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::settings::Settings;

/// The networks that validation may reach.
#[derive(Debug, Clone)]
pub struct Networks {
    allowed: Vec<IpNet>,
    denied: Vec<IpNet>,
    public: bool,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(first: [u16; 4], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first[0], first[1], first[2], first[3], 0, 0, 0, 0), length)
}

/// IPv4 networks that no public host has (IANA special-purpose registry, RFC 6890), and addresses of cloud metadata that
/// lie outside them.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "\"this network\", unspecified"),
    (v4(10, 0, 0, 0, 8), "a private network"),
    (v4(100, 64, 0, 0, 10), "shared by carriers (CGNAT)"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "cloud metadata"),
    (v4(169, 254, 0, 0, 16), "link-local, where cloud metadata is served"),
    (v4(172, 16, 0, 0, 12), "a private network"),
    (v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "the former 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "a private network"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// IPv6 networks that no public host has. What lies outside `2000::/3` is no public host either.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (v6([0x2001, 0, 0, 0], 23), "reserved for protocols (Teredo, benchmarks, ORCHID)"),
    (v6([0x2001, 0xdb8, 0, 0], 32), "for documentation"),
    (v6([0x3fff, 0, 0, 0], 20), "for documentation"),
    (v6([0xfc00, 0, 0, 0], 7), "a private network (unique local)"),
    (v6([0xfe80, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0], 10), "a private network (site-local)"),
    (v6([0xff00, 0, 0, 0], 8), "multicast"),
];

const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

impl Networks {
    /// The networks that `settings` describe.
    pub fn new(settings: &Settings) -> Self {
        Networks {
            allowed: settings.allow_networks.clone(),
            denied: settings.deny_networks.clone(),
            public: settings.public_networks,
        }
    }

    /// The address to connect to for `address`: itself, or the IPv4 address that a mapped form stands for. The error says
    /// in a few words why the address is refused.
    pub fn check(&self, address: IpAddr) -> Result<IpAddr, &'static str> {
        // A mapped address (::ffff:a.b.c.d) is an IPv4 destination to the system, so it becomes one here.
        let address = address.to_canonical();
        let inner = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => inner_address(address).map(IpAddr::V4),
        };
        let judged = inner.unwrap_or(address);
        if contains(&self.denied, judged) || contains(&self.denied, address) {
            return Err("denied by the configuration");
        }
        if contains(&self.allowed, judged) {
            return Ok(address);
        }
        match special(judged) {
            Some(reason) => Err(reason),
            None if self.public => Ok(address),
            None => Err("outside the networks that the configuration allows"),
        }
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => SPECIAL_V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, why)| *why),
        IpAddr::V6(address) if address.is_loopback() => Some("loopback"),
        IpAddr::V6(address) if address.is_unspecified() => Some("unspecified"),
        IpAddr::V6(address) => SPECIAL_V6
            .iter()
            .find(|(network, _)| network.contains(&address))
            .map(|(_, why)| *why)
            .or_else(|| (!PUBLIC_V6.contains(&address)).then_some("outside the public IPv6 space")),
    }
}

/// The IPv4 address to which a packet for `address` would be translated or tunnelled.
fn inner_address(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let join = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match s {
        // RFC 6052 §2.1: NAT64, the well-known prefix 64:ff9b::/96.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => join(high, low),
        // RFC 3056 §2: 6to4, 2002:V4::/48.
        [0x2002, high, low, ..] => join(high, low),
        // RFC 4291 §2.5.5.1: IPv4-compatible, deprecated; `::` and `::1` are none.
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) != (0, 0) && (high, low) != (0, 1) => join(high, low),
        // RFC 2765 §2.1: IPv4-translated, ::ffff:0:V4.
        [0, 0, 0, 0, 0xffff, 0, high, low] => join(high, low),
        // RFC 5214 §6.1: ISATAP, an interface identifier of 0:5efe:V4 below any prefix.
        [.., 0 | 0x200, 0x5efe, high, low] => join(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(allow: &[&str], deny: &[&str], public: bool) -> Networks {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Networks { allowed: parse(allow), denied: parse(deny), public }
    }

    fn reaches(networks: &Networks, address: &str) -> bool {
        networks.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn public_hosts_are_reached() {
        let default = networks(&[], &[], true);
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "168.63.129.15",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:db7:ffff::1",
            "2001:db9::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(reaches(&default, address), "{address}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_default_up_to_its_borders() {
        let default = networks(&[], &[], true);
        for address in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.0.0",
            "169.254.169.254",
            "169.254.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b:1::1.1.1.1",
        ] {
            assert!(!reaches(&default, address), "{address}");
        }
    }

    #[test]
    fn an_address_inside_another_is_what_counts() {
        let default = networks(&[], &[], true);
        for address in [
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::192.168.1.1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:101::",
            "2a00:1450::5efe:10.0.0.1",
            "2a00:1450::200:5efe:127.0.0.1",
        ] {
            assert!(!reaches(&default, address), "{address}");
        }
    }

    #[test]
    fn allowed_networks_open_exactly_themselves() {
        let dev = networks(&["127.0.0.1/32", "::1/128"], &[], false);
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"] {
            assert!(reaches(&dev, address), "{address}");
        }
        for address in ["127.0.0.2", "::2", "1.1.1.1", "2606:4700::1111", "10.0.0.1", "::ffff:127.0.0.2"] {
            assert!(!reaches(&dev, address), "{address}");
        }
        let hospital = networks(&["10.20.0.0/16", "fd00:20::/32"], &[], true);
        assert!(reaches(&hospital, "10.20.3.4") && reaches(&hospital, "fd00:20::1") && reaches(&hospital, "1.1.1.1"));
        assert!(!reaches(&hospital, "10.21.0.1") && !reaches(&hospital, "fd00:21::1"));
    }

    #[test]
    fn a_denied_network_goes_before_an_allowed_one() {
        let all_but = networks(&["0.0.0.0/0", "::/0"], &["169.254.0.0/16", "2606::/16"], true);
        assert!(reaches(&all_but, "10.0.0.1") && reaches(&all_but, "fd00::1"));
        for address in ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "2606:4700::1111"] {
            assert!(!reaches(&all_but, address), "{address}");
        }
    }

    #[test]
    fn a_mapped_address_is_connected_to_as_ipv4() {
        let default = networks(&[], &[], true);
        let mapped = "::ffff:1.1.1.1".parse().unwrap();
        assert_eq!(default.check(mapped), Ok("1.1.1.1".parse().unwrap()));
    }
}
