//! The sample register, its organisation and the invitation of a trial server: made at the first start, found at later ones.

use std::io::Cursor;

use crate::authority::officers::invitations::CreateInvitation;
use crate::authority::officers::organisations::AddOrganisation;
use crate::authority::officers::register::Import;
use crate::authority::{self, Authority, Fault};
use crate::config::Config;
use crate::model::{Invitation, Language, Role};
use crate::names::{BusinessId, OrganisationIdentifier, ProfileName, UnitOid, Zone, base64url};
use crate::register::{self, Source, Unreadable};
use crate::time::Timestamp;

use super::super::server;

/// What a client registers with.
pub(super) struct Credentials {
    pub(super) kid: String,
    pub(super) hmac_key: String,
}

/// Who prepares everything, in the audit trail.
const OFFICER: &str = "trial";
/// The organisation of the sample register that the invitation belongs to, and the unit in whose name its certificates are.
const BUSINESS_ID: &str = "9990001-6";
const UNIT: &str = "1.2.246.10.99900016.10.1";
/// The organisation of the sample register that the trial's invitation belongs to.
pub fn organisation() -> OrganisationIdentifier {
    let business_id: BusinessId = BUSINESS_ID.parse().expect("a Business ID with its check digit");
    OrganisationIdentifier::from(&business_id)
}

const USES: u32 = 1_000_000;
const LIFETIME: i64 = 10 * 365 * 86_400;

/// The sample registers: of each, its source and its export.
const REGISTERS: [(Source, &str); 3] = [
    (Source::Thl, include_str!("../../../config/sample-register.xml")),
    (Source::Pharmacy, include_str!("../../../config/sample-pharmacies.csv")),
    (Source::Practitioner, include_str!("../../../config/sample-practitioners.xml")),
];

/// The credentials of an invitation for these zones and every profile, made if there is none that can still be spent.
pub(super) async fn prepared(
    authority: &Authority,
    config: &Config,
    zones: &[Zone],
    now: Timestamp,
) -> authority::Result<Credentials> {
    let business_id: BusinessId = BUSINESS_ID.parse().expect("a Business ID with its check digit");
    let profiles: Vec<ProfileName> = authority.profiles().map(|profile| profile.name.clone()).collect();
    // A refusal means that there is no such organisation yet: invitations are listed by organisation.
    if let Ok(Some(found)) = open_invitation(authority, &business_id, &profiles, zones, now).await {
        let hmac_key = hmac_key(config, &found)?;
        return Ok(Credentials { kid: found.kid(), hmac_key });
    }
    if authority.list_invitations(&business_id, None).await.is_err() {
        make_organisation(authority, business_id.clone(), profiles.clone(), now).await?;
    }
    let default_profile = profiles.iter().find(|profile| profile.as_str() == "sote-server").cloned();
    let invitation = CreateInvitation {
        business_id,
        role: Role::TechnicalContact,
        unit: Some(UNIT.parse::<UnitOid>().expect("a unit's OID")),
        units: Vec::new(),
        default_profile,
        profiles,
        zones: zones.to_vec(),
        uses: USES,
        lifetime: LIFETIME,
    };
    let made = authority.create_invitation(OFFICER, invitation, now).await?;
    Ok(Credentials { kid: made.kid, hmac_key: made.hmac_key })
}

async fn make_organisation(
    authority: &Authority,
    business_id: BusinessId,
    profiles: Vec<ProfileName>,
    now: Timestamp,
) -> authority::Result<()> {
    for (source, export) in REGISTERS {
        let unreadable = |error: Unreadable| Fault::Internal(error.to_string());
        let reading = register::read(source, Cursor::new(export)).map_err(unreadable)?;
        authority.import_register(OFFICER, Import::of(reading), now).await?;
    }
    let organisation =
        AddOrganisation { business_id, language: Language::Fi, test: false, profiles, zones: vec![Zone::any()] };
    authority.add_organisation(OFFICER, organisation, now).await.map(drop)
}

/// An invitation of an earlier start that allows exactly what this one shall allow.
async fn open_invitation(
    authority: &Authority,
    business_id: &BusinessId,
    profiles: &[ProfileName],
    zones: &[Zone],
    now: Timestamp,
) -> authority::Result<Option<Invitation>> {
    let mut after = None;
    loop {
        let page = authority.list_invitations(business_id, after).await?;
        let fits = page.invitations.into_iter().find(|view| {
            let invitation = &view.invitation;
            invitation.created_by == OFFICER
                && invitation.is_open(now)
                && view.uses_left > 0
                && invitation.profiles == profiles
                && invitation.zones == zones
        });
        match (fits, page.next) {
            (Some(view), _) => return Ok(Some(view.invitation)),
            (None, None) => return Ok(None),
            (None, next) => after = next,
        }
    }
}

fn hmac_key(config: &Config, invitation: &Invitation) -> authority::Result<String> {
    let keys = server::invitation_keys(&config.invitation_keys).map_err(|error| Fault::Internal(error.to_string()))?;
    let key = keys.mac_key(invitation);
    let key = key.ok_or_else(|| Fault::Internal("the invitation's master key is gone".to_owned()))?;
    Ok(base64url::encode(&key[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_registers_are_sound_and_hold_the_trial_unit() {
        let mut rows = Vec::new();
        for (source, export) in REGISTERS {
            let checked = register::read(source, Cursor::new(export)).unwrap().checked(&Default::default());
            assert_eq!((checked.refused, checked.warned), (vec![], vec![]), "{source}");
            rows.extend(checked.rows);
        }
        assert!(rows.iter().any(|row| row.oid.as_str() == UNIT));
        assert!(rows.iter().any(|row| row.business_id.as_ref().is_some_and(|id| id.as_str() == BUSINESS_ID)));
    }
}
