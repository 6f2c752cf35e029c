//! DNS names as certificates carry them (RFC 8555 §7.1.4, RFC 5890 A-labels).

use std::str::FromStr;

use super::{NameError, text_value};

/// A fully qualified dns name of at least two labels, lower case, A-labels only, without a final dot or a wildcard.
/// At most 253 octets, labels of 1 to 63 octets of `a-z 0-9 -` (RFC 1035 §2.3.1), the last one not numeric.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(Box<str>);

text_value!(DnsName);

impl DnsName {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its first label, when at least two labels are left.
    pub fn parent(&self) -> Option<DnsName> {
        let (_, rest) = self.0.split_once('.')?;
        rest.contains('.').then(|| DnsName(rest.into()))
    }

    /// Whether this name is `zone` or stands below it on a label border.
    pub fn is_within(&self, zone: &str) -> bool {
        self.0.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for DnsName {
    type Err = NameError;

    /// Accepts upper case and lower-cases it, since dns compares so; everything else must already be canonical.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > 253 {
            return Err(NameError::new("a dns name has at most 253 characters"));
        }
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Err(NameError::new(format!("\"{text}\" is an IP address, not a dns name")));
        }
        if !text.contains('.') {
            return Err(NameError::new(format!("\"{}\" is a single label: a full dns name is needed", short(text))));
        }
        let name = text.to_ascii_lowercase();
        name.split('.').try_for_each(|label| checked_label(label, text))?;
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NameError::new(format!("\"{text}\" ends in a numeric label")));
        }
        Ok(DnsName(name.into()))
    }
}

fn checked_label(label: &str, name: &str) -> Result<(), NameError> {
    let wrong = |why: &str| Err(NameError::new(format!("\"{}\" is not a dns name: {why}", short(name))));
    if label.is_empty() {
        return wrong("a label is empty");
    }
    if label.len() > 63 {
        return wrong("a label has more than 63 characters");
    }
    if label == "*" {
        return wrong("an asterisk may only be the whole first label of an order's name");
    }
    if !label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return wrong("only letters, digits and hyphens are allowed; send international names as A-labels (xn--…)");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return wrong("a label begins or ends with a hyphen");
    }
    match label.strip_prefix("xn--") {
        Some(code) if !is_a_label(code) => wrong("an xn-- label is not valid Punycode"),
        None if label.len() > 3 && &label.as_bytes()[2..4] == b"--" => wrong("a label has hyphens in places 3 and 4"),
        _ => Ok(()),
    }
}

/// Whether `code` (an A-label without `xn--`) decodes, holds something outside ASCII, and is the one encoding of what it
/// decodes to.
// RFC 8555 §7.1.4: "servers MUST verify any identifier values that begin with the ASCII-Compatible Encoding prefix".
fn is_a_label(code: &str) -> bool {
    punycode::decode(code).is_some_and(|text| {
        text.iter().any(|c| !c.is_ascii())
            && text.iter().all(|c| c.is_alphanumeric() || *c == '-' || !c.is_ascii())
            && !text.iter().any(|c| c.is_uppercase() || c.is_control() || c.is_whitespace())
            && punycode::encode(&text).as_deref() == Some(code)
    })
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// RFC 3492, for checking A-labels only.
mod punycode {
    const BASE: u32 = 36;
    const T_MIN: u32 = 1;
    const T_MAX: u32 = 26;

    fn adapt(delta: u32, points: u32, first: bool) -> u32 {
        let mut delta = if first { delta / 700 } else { delta / 2 };
        delta += delta / points;
        let mut k = 0;
        while delta > ((BASE - T_MIN) * T_MAX) / 2 {
            delta /= BASE - T_MIN;
            k += BASE;
        }
        k + (BASE - T_MIN + 1) * delta / (delta + 38)
    }

    fn threshold(k: u32, bias: u32) -> u32 {
        k.saturating_sub(bias).clamp(T_MIN, T_MAX)
    }

    pub fn decode(code: &str) -> Option<Vec<char>> {
        let (basic, rest) = code.rsplit_once('-').unwrap_or(("", code));
        let mut out: Vec<char> = basic.chars().collect();
        let (mut n, mut i, mut bias) = (128u32, 0u32, 72u32);
        let mut digits = rest.bytes();
        while digits.len() > 0 {
            let (start, mut weight, mut k) = (i, 1u32, BASE);
            loop {
                let digit = match digits.next()? {
                    b @ b'a'..=b'z' => u32::from(b - b'a'),
                    b @ b'0'..=b'9' => u32::from(b - b'0') + 26,
                    _ => return None,
                };
                i = i.checked_add(digit.checked_mul(weight)?)?;
                let t = threshold(k, bias);
                if digit < t {
                    break;
                }
                weight = weight.checked_mul(BASE - t)?;
                k += BASE;
            }
            let points = out.len() as u32 + 1;
            bias = adapt(i - start, points, start == 0);
            n = n.checked_add(i / points)?;
            i %= points;
            out.insert(i as usize, char::from_u32(n)?);
            i += 1;
        }
        Some(out)
    }

    pub fn encode(text: &[char]) -> Option<String> {
        let mut out: String = text.iter().filter(|c| c.is_ascii()).collect();
        let basic = out.len() as u32;
        if basic > 0 {
            out.push('-');
        }
        let (mut n, mut delta, mut bias, mut done) = (128u32, 0u32, 72u32, basic);
        while (done as usize) < text.len() {
            let next = text.iter().map(|c| *c as u32).filter(|c| *c >= n).min()?;
            delta = delta.checked_add((next - n).checked_mul(done + 1)?)?;
            n = next;
            for c in text.iter().map(|c| *c as u32) {
                if c < n {
                    delta += 1;
                }
                if c == n {
                    push_number(&mut out, delta, bias);
                    bias = adapt(delta, done + 1, done == basic);
                    delta = 0;
                    done += 1;
                }
            }
            delta += 1;
            n += 1;
        }
        Some(out)
    }

    fn push_number(out: &mut String, mut q: u32, bias: u32) {
        let mut k = BASE;
        loop {
            let t = threshold(k, bias);
            if q < t {
                break;
            }
            out.push(digit(t + (q - t) % (BASE - t)));
            q = (q - t) / (BASE - t);
            k += BASE;
        }
        out.push(digit(q));
    }

    fn digit(d: u32) -> char {
        char::from(if d < 26 { b'a' + d as u8 } else { b'0' + (d - 26) as u8 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_lower_cased() {
        assert_eq!("WWW.Example.FI".parse::<DnsName>().unwrap().as_str(), "www.example.fi");
    }

    #[test]
    fn a_labels_are_verified() {
        assert!("xn--mnchen-3ya.de".parse::<DnsName>().is_ok());
        for bad in ["xn--a.fi", "xn--.fi", "xn--abc-.fi", "xn--99999999.fi", "xn--ls8h-.fi"] {
            assert!(bad.parse::<DnsName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_other_form_is_refused() {
        let long = format!("{}.fi", "a".repeat(64));
        for bad in [
            "",
            "fi",
            "a..fi",
            ".a.fi",
            "a.fi.",
            "*.a.fi",
            "a_b.fi",
            "-a.fi",
            "a-.fi",
            "192.0.2.1",
            "::1",
            "a b.fi",
            "å.fi",
            "ab--c.fi",
            "a.1",
            "a\0.fi",
            &long,
        ] {
            assert!(bad.parse::<DnsName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_zone_ends_on_a_label_border() {
        let name: DnsName = "www.example.fi".parse().unwrap();
        assert!(name.is_within("example.fi") && name.is_within("www.example.fi"));
        assert!(!name.is_within("ample.fi") && !name.is_within("a.www.example.fi"));
    }
}
