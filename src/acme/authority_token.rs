//! Authority tokens (RFC 9447, tkauth-type `atc`, in this service's profile for `organization-id`): read strictly, and made, for
//! the token authority and the client's request to it. Whether a token is to be believed is decided elsewhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::compact::{Compact, Payload, signed, sound_text};
pub use super::compact::{EvidenceAlgorithm, EvidenceFormError};
use super::jwk::Thumbprint;
use crate::names::{NameError, UnitOid};
use crate::public_key::{BadSignature, PublicKey};
use crate::time::Timestamp;

/// The `typ` of a token's header.
pub const TOKEN_TYPE: &str = "JWT";
/// The value of the challenge's `tkauth-type`, the one that RFC 9447 registers.
pub const TKAUTH_TYPE: &str = "atc";

/// The longest URL or id in a token, in octets.
const LONGEST_TEXT: usize = 512;
/// The most units and roles that a token lists.
const MOST_ENTRIES: usize = 1000;

/// A token of sound form whose signature was not verified.
#[derive(Debug, Clone)]
pub struct AuthorityToken {
    jws: Compact,
    claims: TokenClaims,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// Who issued it.
    pub issuer: String,
    /// The directory of the server that it is for.
    pub audience: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when it holds; the time of issue unless it says otherwise.
    pub not_before: Timestamp,
    /// From when it does not hold any more.
    pub expires: Timestamp,
    /// Its id, which no other token of the issuer has.
    pub id: String,
    /// What it attests.
    pub attested: Attested,
}

/// The `atc` claim: which identifier the holder of an account's key may speak for (RFC 9447 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// `tktype`: the identifier's type.
    pub kind: String,
    /// `tkvalue`: the identifier.
    pub value: String,
    /// The account key.
    pub fingerprint: Fingerprint,
    /// Whether certificates of authorities may be asked for; never, here.
    pub authority: bool,
    /// The challenge's token. Departs from RFC 9447 §3.3, which binds to the account alone: this binds to one challenge, so
    /// that a token serves once.
    pub token: String,
    /// The organisation's name as the authority knows it, by language.
    pub name: LocalName,
    /// The units that the authority lists.
    pub units: Vec<UnitOid>,
    /// The roles that the holder has in the organisation.
    pub roles: Vec<String>,
    /// Until when the authority asserts all this.
    pub valid_until: Option<Timestamp>,
}

/// An organisation's name in the country's languages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalName {
    /// In Finnish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fi: Option<String>,
    /// In Swedish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sv: Option<String>,
}

impl LocalName {
    /// The Finnish name, or the Swedish one where there is no other.
    pub fn any(&self) -> Option<&str> {
        self.fi.as_deref().or(self.sv.as_deref())
    }
}

/// An account key's thumbprint as authority tokens write it (RFC 9447 §4, RFC 9448 §5.4): `SHA256 37:36:..`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub Thumbprint);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA256 ")?;
        self.0.as_bytes().iter().enumerate().try_for_each(|(index, octet)| {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{octet:02X}")
        })
    }
}

impl FromStr for Fingerprint {
    type Err = NameError;

    /// The one spelling: upper case, a colon between every two digits.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::new("a fingerprint is SHA256, a space and 32 octets as AA:BB:.. in upper case");
        let digits: Vec<&str> = text.strip_prefix("SHA256 ").ok_or_else(wrong)?.split(':').collect();
        let mut octets = [0; 32];
        if digits.len() != octets.len() {
            return Err(wrong());
        }
        for (octet, pair) in octets.iter_mut().zip(digits) {
            let sound = pair.len() == 2 && pair.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
            *octet = u8::from_str_radix(pair, 16).ok().filter(|_| sound).ok_or_else(wrong)?;
        }
        Ok(Fingerprint(Thumbprint::from_bytes(octets)))
    }
}

impl AuthorityToken {
    /// Reads a token in the compact serialization.
    ///
    /// # Errors
    /// What is wrong with its form, which is all that is judged here.
    pub fn parse(text: &str) -> Result<Self, EvidenceFormError> {
        let jws = Compact::parse(text, &[])?;
        let claims = claims(&Payload(&jws.payload))?;
        Ok(AuthorityToken { jws, claims })
    }

    /// A token with these claims. `sign` gets the signing input and gives the signature in the form of JWS (RFC 7518 §3).
    ///
    /// # Errors
    /// Those of `sign`.
    pub fn signed<E>(
        claims: &TokenClaims,
        algorithm: EvidenceAlgorithm,
        certificates: &[Vec<u8>],
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<String, E> {
        signed(TOKEN_TYPE, algorithm, certificates, &[], &claims.to_json(), sign)
    }

    /// What the token says. Nobody vouches for it before [`AuthorityToken::verify`] has.
    pub fn claims(&self) -> &TokenClaims {
        &self.claims
    }

    /// The header's `typ`.
    pub fn typ(&self) -> &str {
        &self.jws.typ
    }

    /// The header's `alg`.
    pub fn algorithm(&self) -> EvidenceAlgorithm {
        self.jws.algorithm
    }

    /// The certificates of the header in DER, the signer's first.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.jws.certificates
    }

    /// SHA-256 of the whole token.
    pub fn hash(&self) -> &[u8; 32] {
        &self.jws.hash
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// If `key` did not sign this by the header's algorithm.
    pub fn verify(&self, key: &PublicKey) -> Result<(), BadSignature> {
        self.jws.verify(key)
    }
}

fn claims(payload: &Payload<'_>) -> Result<TokenClaims, EvidenceFormError> {
    let issued_at = payload.seconds("iat")?;
    let not_before = if payload.0.contains_key("nbf") { payload.seconds("nbf")? } else { issued_at };
    Ok(TokenClaims {
        issuer: payload.text("iss", LONGEST_TEXT)?,
        audience: payload.text("aud", LONGEST_TEXT)?,
        issued_at: Timestamp::from_seconds(issued_at),
        not_before: Timestamp::from_seconds(not_before),
        expires: Timestamp::from_seconds(payload.seconds("exp")?),
        id: payload.text("jti", 128)?,
        attested: attested(&payload.object("atc")?)?,
    })
}

// RFC 9447 §4: tktype, tkvalue and fingerprint are mandatory, further members may be defined.
fn attested(atc: &Payload<'_>) -> Result<Attested, EvidenceFormError> {
    let fingerprint = atc.text("fingerprint", 128)?;
    let wrong = |name, what| move |_| EvidenceFormError::Member(name, what);
    let authority = atc.0.get("ca").map_or(Some(false), Value::as_bool);
    let name = atc.0.get("name").map_or(Some(LocalName::default()), local_name);
    let units = entries(atc.0, "units")?.iter().map(|unit| unit.parse()).collect::<Result<_, NameError>>();
    let until = atc.0.get("validUntil").map(|until| until.as_str().and_then(|until| until.parse().ok()));
    Ok(Attested {
        kind: atc.text("tktype", 64)?,
        value: atc.text("tkvalue", LONGEST_TEXT)?,
        fingerprint: fingerprint.parse().map_err(wrong("fingerprint", "SHA256, a space and 32 octets as AA:BB:.."))?,
        authority: authority.ok_or(EvidenceFormError::Member("ca", "true or false"))?,
        token: atc.text("token", LONGEST_TEXT)?,
        name: name.ok_or(EvidenceFormError::Member("name", "an object with fi and sv"))?,
        units: units.map_err(wrong("units", "a list of dotted OIDs"))?,
        roles: entries(atc.0, "roles")?,
        valid_until: match until {
            None => None,
            Some(until) => Some(until.ok_or(EvidenceFormError::Member("validUntil", "an RFC 3339 time"))?),
        },
    })
}

fn local_name(value: &Value) -> Option<LocalName> {
    let members = value.as_object()?;
    let text = |name: &str| match members.get(name) {
        None => Some(None),
        Some(value) => sound_text(value, LONGEST_TEXT).map(Some),
    };
    Some(LocalName { fi: text("fi")?, sv: text("sv")? })
}

/// A list of short texts; absent is empty.
fn entries(members: &Map<String, Value>, name: &'static str) -> Result<Vec<String>, EvidenceFormError> {
    let wrong = EvidenceFormError::Member(name, "a list of short texts");
    let Some(value) = members.get(name) else { return Ok(Vec::new()) };
    let list = value.as_array().filter(|list| list.len() <= MOST_ENTRIES).ok_or_else(|| wrong.clone())?;
    list.iter().map(|entry| sound_text(entry, 128).ok_or_else(|| wrong.clone())).collect()
}

impl TokenClaims {
    fn to_json(&self) -> Value {
        json!({
            "iss": self.issuer,
            "aud": self.audience,
            "iat": self.issued_at.seconds(),
            "nbf": self.not_before.seconds(),
            "exp": self.expires.seconds(),
            "jti": self.id,
            "atc": self.attested.to_json(),
        })
    }
}

impl Attested {
    fn to_json(&self) -> Value {
        let mut atc = json!({
            "tktype": self.kind,
            "tkvalue": self.value,
            "fingerprint": self.fingerprint.to_string(),
            "ca": self.authority,
            "token": self.token,
            "name": self.name,
        });
        if !self.units.is_empty() {
            atc["units"] = self.units.iter().map(UnitOid::as_str).collect();
        }
        if !self.roles.is_empty() {
            atc["roles"] = self.roles.clone().into();
        }
        if let Some(until) = self.valid_until {
            atc["validUntil"] = until.to_string().into();
        }
        atc
    }
}

/// What a client asks a token authority for: `POST /at/account/ID/token` (RFC 9447 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The identifier's type.
    pub kind: String,
    /// The identifier.
    pub value: String,
    /// The account key.
    pub fingerprint: Fingerprint,
    /// The challenge's token.
    pub token: String,
    /// The directory of the server that the token is for, where the authority knows more than one.
    pub audience: Option<String>,
}

impl TokenRequest {
    /// Reads a request's body.
    ///
    /// # Errors
    /// What is wrong with its form.
    // RFC 9447 §5.1 wraps the content into "atc", RFC 9448 §5.5 shows it bare: both are taken.
    pub fn parse(body: &[u8]) -> Result<Self, EvidenceFormError> {
        let members = super::json::members(body).map_err(|error| EvidenceFormError::Json("request", error))?;
        let outer = Payload(&members);
        let atc = if members.contains_key("atc") { outer.object("atc")? } else { Payload(&members) };
        if atc.0.get("ca").is_some_and(|authority| authority != &Value::Bool(false)) {
            return Err(EvidenceFormError::Member("ca", "false, the only value that is granted"));
        }
        let fingerprint = atc.text("fingerprint", 128)?.parse();
        Ok(TokenRequest {
            kind: atc.text("tktype", 64)?,
            value: atc.text("tkvalue", LONGEST_TEXT)?,
            fingerprint: fingerprint.map_err(|_: NameError| {
                EvidenceFormError::Member("fingerprint", "SHA256, a space and 32 octets as AA:BB:..")
            })?,
            token: atc.text("token", LONGEST_TEXT)?,
            audience: if atc.0.contains_key("aud") { Some(atc.text("aud", LONGEST_TEXT)?) } else { None },
        })
    }

    /// The request's body, with the `atc` wrapper.
    pub fn to_json(&self) -> Value {
        let mut atc = json!({
            "tktype": self.kind,
            "tkvalue": self.value,
            "fingerprint": self.fingerprint.to_string(),
            "ca": false,
            "token": self.token,
        });
        if let Some(audience) = &self.audience {
            atc["aud"] = audience.as_str().into();
        }
        json!({ "atc": atc })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::compact::assembled;
    use crate::acme::jws_algorithm::JwsAlgorithm;
    use crate::acme::jws_signing::AccountKey;

    fn sample() -> TokenClaims {
        TokenClaims {
            issuer: "https://authority.example.fi".into(),
            audience: "https://ca.example.fi/organisation/directory".into(),
            issued_at: Timestamp::from_seconds(1_795_000_000),
            not_before: Timestamp::from_seconds(1_795_000_000),
            expires: Timestamp::from_seconds(1_795_003_600),
            id: "0b6c".into(),
            attested: Attested {
                kind: "organization-id".into(),
                value: "NTRFI-0245437-2".into(),
                fingerprint: Fingerprint(Thumbprint::from_bytes([7; 32])),
                authority: false,
                token: "q3".into(),
                name: LocalName { fi: Some("Esimerkki".into()), sv: Some("Exempel".into()) },
                units: vec!["1.2.246.10.2454372.10.1".parse().unwrap()],
                roles: vec!["administrator".into()],
                valid_until: Some("2027-11-24T00:00:00Z".parse().unwrap()),
            },
        }
    }

    fn key() -> AccountKey {
        AccountKey::generate(JwsAlgorithm::Es256).unwrap()
    }

    fn token(payload: &Value) -> String {
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": ["AQID"] });
        assembled(&header, payload, |_| Ok::<_, ()>(vec![0; 64])).unwrap()
    }

    fn refusal(payload: &Value) -> EvidenceFormError {
        AuthorityToken::parse(&token(payload)).unwrap_err()
    }

    #[test]
    fn a_token_reads_back_as_it_was_made() {
        let key = key();
        let text =
            AuthorityToken::signed(&sample(), EvidenceAlgorithm::Es256, &[vec![1]], |input| key.signature(input));
        let read = AuthorityToken::parse(&text.unwrap()).unwrap();
        assert_eq!((read.claims(), read.typ()), (&sample(), TOKEN_TYPE));
        assert!(read.verify(key.jwk().public_key()).is_ok());
        let mut short = sample();
        (short.attested.units, short.attested.roles, short.attested.valid_until) = (Vec::new(), Vec::new(), None);
        assert_eq!(AuthorityToken::parse(&token(&short.to_json())).unwrap().claims(), &short);
    }

    #[test]
    fn every_claim_is_needed_and_has_its_type() {
        let whole = sample().to_json();
        for name in ["iss", "aud", "iat", "exp", "jti", "atc"] {
            let mut payload = whole.clone();
            payload.as_object_mut().unwrap().remove(name);
            assert_eq!(refusal(&payload), EvidenceFormError::Missing(name));
            payload[name] = json!([1]);
            assert!(matches!(refusal(&payload), EvidenceFormError::Member(found, _) if found == name), "{name}");
        }
        for name in ["tktype", "tkvalue", "fingerprint", "token"] {
            let mut payload = whole.clone();
            payload["atc"].as_object_mut().unwrap().remove(name);
            assert_eq!(refusal(&payload), EvidenceFormError::Missing(name));
        }
        for (name, wrong) in [
            ("ca", json!("false")),
            ("name", json!("x")),
            ("name", json!({ "fi": 1 })),
            ("units", json!(["x"])),
            ("units", json!("1.2.3")),
            ("roles", json!([1])),
            ("validUntil", json!("2027-11-24")),
            ("validUntil", json!(1)),
        ] {
            let mut payload = whole.clone();
            payload["atc"][name] = wrong;
            assert!(matches!(refusal(&payload), EvidenceFormError::Member(found, _) if found == name), "{name}");
        }
    }

    #[test]
    fn times_are_whole_seconds_of_this_era() {
        for time in [json!(1.5), json!(-1), json!("1795000000"), json!(1e30), json!(253_402_300_800_i64), json!(null)] {
            let mut payload = sample().to_json();
            payload["exp"] = time;
            assert!(matches!(refusal(&payload), EvidenceFormError::Member("exp", _)));
        }
    }

    #[test]
    fn members_that_nobody_knows_are_passed_over() {
        let mut payload = sample().to_json();
        payload["sub"] = json!("x");
        payload["atc"]["colour"] = json!("blue");
        assert_eq!(AuthorityToken::parse(&token(&payload)).unwrap().claims(), &sample());
    }

    #[test]
    fn a_fingerprint_has_one_spelling() {
        // RFC 7638 §3.1's key, in the form of RFC 9447 §4.
        let text =
            "SHA256 37:36:CB:B1:78:7C:B8:30:9C:77:EE:8C:37:05:C5:E1:6F:FB:9E:85:97:15:90:1F:1E:4C:59:B1:11:82:F5:7B";
        let fingerprint: Fingerprint = text.parse().unwrap();
        assert_eq!(fingerprint.0.to_string(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(fingerprint.to_string(), text);
        for wrong in [
            text.to_lowercase(),
            text.replace("SHA256 ", ""),
            text.replace("SHA256", "SHA-256"),
            text.replace(':', ""),
            format!("{text}:00"),
            text.replace("37:36", "3736"),
            text.replace("37:36", "+7:36"),
            text.replace(' ', "  "),
        ] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_is_read_with_its_wrapper_and_bare() {
        let request = TokenRequest {
            kind: "organization-id".into(),
            value: "NTRFI-0245437-2".into(),
            fingerprint: Fingerprint(Thumbprint::from_bytes([7; 32])),
            token: "q3".into(),
            audience: Some("https://ca.example.fi/organisation/directory".into()),
        };
        let body = request.to_json();
        assert_eq!(TokenRequest::parse(body.to_string().as_bytes()), Ok(request.clone()));
        assert_eq!(TokenRequest::parse(body["atc"].to_string().as_bytes()), Ok(request));
        for (name, wrong) in
            [("ca", json!(true)), ("fingerprint", json!("x")), ("tkvalue", json!("")), ("aud", json!(1))]
        {
            let mut body = body.clone();
            body["atc"][name] = wrong;
            assert!(TokenRequest::parse(body.to_string().as_bytes()).is_err(), "{name}");
        }
        assert!(TokenRequest::parse(b"[]").is_err());
    }
}
