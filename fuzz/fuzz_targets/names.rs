//! Names, zones, numbers of registers and quantities: what is accepted is the same when it is written and read again.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use sote_acme::acme::renewal::RenewalId;
use sote_acme::names::quantity::{duration, size};
use sote_acme::names::{
    AccountId, BusinessId, DnsName, IssuerName, OrganisationIdentifier, ProfileName, SerialNumber, UnitOid, Zone,
    base64url,
};
use sote_acme::time::Timestamp;

fn read<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let again = value.to_string().parse().ok();
    assert_eq!(again.as_ref(), Some(&value));
    Some(value)
}

fuzz_target!(|text: &str| {
    let name = read::<DnsName>(text);
    let zone = read::<Zone>(text);
    if let (Some(name), Some(zone)) = (name, zone) {
        assert!(zone.covers(&name) && Zone::any().contains(&zone));
        assert!(name.parent().is_none_or(|parent| !zone.covers(&parent)));
    }
    read::<AccountId>(text);
    read::<BusinessId>(text);
    read::<IssuerName>(text);
    read::<OrganisationIdentifier>(text);
    read::<ProfileName>(text);
    read::<RenewalId>(text);
    read::<SerialNumber>(text);
    read::<Timestamp>(text);
    read::<UnitOid>(text);
    if let Ok(octets) = base64url::decode(text) {
        assert_eq!(base64url::encode(&octets), text);
    }
    if let Ok(value) = duration::parse(text) {
        assert_eq!(duration::parse(&duration::text(value)), Ok(value));
    }
    if let Ok(value) = size::parse(text) {
        assert_eq!(size::parse(&size::text(value)), Ok(value));
    }
});
