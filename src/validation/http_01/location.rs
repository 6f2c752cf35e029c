//! The URLs of http-01: where to ask first, and where a redirect leads (RFC 9110 §10.2.2, RFC 3986 §5.2).

use hyper::Uri;

use crate::validation::connector::Host;

/// How a target is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS, reached by a redirect; its certificate is not judged.
    Https,
}

impl Scheme {
    fn text(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// A URL that may be fetched: its host is a name or an address, its path begins with a slash, it has no user and no fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub scheme: Scheme,
    /// Whom.
    pub host: Host,
    /// At which port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

/// A longer Location is not followed.
const LONGEST: usize = 2048;

impl Target {
    /// Host and port as the Host header carries them.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }

    /// Where the Location `text` leads from here. The error says why it is not followed.
    pub fn redirected(&self, text: &str) -> Result<Target, &'static str> {
        if text.len() > LONGEST {
            return Err("its URL is longer than 2048 characters");
        }
        let text = text.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            return Err("its URL is empty");
        }
        let absolute = if let Some(rest) = text.strip_prefix("//") {
            format!("{}://{rest}", self.scheme.text())
        } else if has_scheme(text) {
            text.to_owned()
        } else {
            format!("{}://{}{}", self.scheme.text(), self.authority(), self.path_of(text))
        };
        Target::parse(&absolute)
    }

    /// The path that a reference without scheme and host means.
    fn path_of(&self, reference: &str) -> String {
        let here = self.path.split('?').next().unwrap_or("/");
        if reference.starts_with('/') {
            return reference.to_owned();
        }
        if reference.starts_with('?') {
            return format!("{here}{reference}");
        }
        let directory = here.rfind('/').map_or("/", |slash| &here[..=slash]);
        format!("{directory}{reference}")
    }

    fn parse(absolute: &str) -> Result<Target, &'static str> {
        let uri: Uri = absolute.parse().map_err(|_| "its URL is malformed")?;
        let scheme = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return Err("its URL is neither http nor https"),
        };
        let authority = uri.authority().ok_or("its URL has no host")?;
        if authority.as_str().contains('@') {
            return Err("its URL carries a user name");
        }
        let host = Host::parse(authority.host()).ok_or("its host is neither a full dns name nor an IP address")?;
        let port = match authority.as_str().strip_prefix(authority.host()) {
            None | Some("" | ":") => scheme.port(),
            Some(_) => authority.port_u16().ok_or("its port is malformed")?,
        };
        let (path, query) = (uri.path(), uri.query());
        let path = without_dots(path);
        let path = query.map_or(path.clone(), |query| format!("{path}?{query}"));
        Ok(Target { scheme, host, port, path })
    }
}

fn has_scheme(text: &str) -> bool {
    let end = text.find([':', '/', '?']).unwrap_or(text.len());
    text[end..].starts_with(':')
}

// RFC 3986 §5.2.4: "." and ".." segments are resolved before the request.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let ends_in_dots = path.ends_with("/.") || path.ends_with("/..");
    let slash = if ends_in_dots && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme.text(), self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Target {
        Target::parse("http://www.example.fi:5002/.well-known/acme-challenge/token?a=b").unwrap()
    }

    #[test]
    fn every_form_of_a_location_is_resolved() {
        for (location, expected) in [
            ("http://other.example.fi/x", "http://other.example.fi/x"),
            ("HTTPS://other.example.fi", "https://other.example.fi/"),
            ("https://other.example.fi:443/x?y=z#part", "https://other.example.fi/x?y=z"),
            ("http://other.example.fi:/x", "http://other.example.fi/x"),
            ("//other.example.fi/x", "http://other.example.fi/x"),
            ("/x?y", "http://www.example.fi:5002/x?y"),
            ("x", "http://www.example.fi:5002/.well-known/acme-challenge/x"),
            ("../x", "http://www.example.fi:5002/.well-known/x"),
            ("/../../../x/./y/..", "http://www.example.fi:5002/x/"),
            ("?q", "http://www.example.fi:5002/.well-known/acme-challenge/token?q"),
            ("http://192.0.2.1/", "http://192.0.2.1/"),
            ("http://[2001:db8::1]:443/", "http://[2001:db8::1]:443/"),
            ("/x/a:b", "http://www.example.fi:5002/x/a:b"),
        ] {
            assert_eq!(
                here().redirected(location).map(|target| target.to_string()),
                Ok(expected.to_owned()),
                "{location}"
            );
        }
    }

    #[test]
    fn what_is_no_usable_place_is_not_followed() {
        for location in [
            "",
            "#part",
            "ftp://example.fi/",
            "file:///etc/passwd",
            "gopher://example.fi:80/",
            "javascript:alert(1)",
            "data:text/plain,x",
            "http:///x",
            "http://",
            "http://user@example.fi/",
            "http://user:secret@127.0.0.1/",
            "http://localhost/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.1/",
            "http://[::1/",
            "http://[fe80::1%25lo]/",
            "http://example.fi:99999/",
            "http://example.fi:80x/",
            "http://exa mple.fi/",
            "http://example.fi\\@127.0.0.1/",
        ] {
            assert!(here().redirected(location).is_err(), "{location}: {:?}", here().redirected(location));
        }
        assert!(here().redirected(&format!("/{}", "x".repeat(3000))).is_err());
    }
}
