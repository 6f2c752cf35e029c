//! The certificates of an organisation. Each filter reads the index that is the narrowest for it, and looks at a bounded
//! number of records.

use super::super::{Authority, Fault, Result};
use super::{Access, Gathering, LOOKED_AT, Page};
use crate::acme::renewal::RenewalId;
use crate::model::{Account, Certificate, Deed, Reach, Refusal, Stage};
use crate::names::{CertificateId, OrganisationId, ProfileName, SerialNumber, UnitOid};
use crate::store::index::{self, Index};
use crate::store::{Range, Read};
use crate::time::Timestamp;
use crate::x509::Certificate as ParsedCertificate;

/// Which certificates to list; all that is named must hold.
#[derive(Debug, Clone, Default)]
pub struct CertificateFilter {
    /// Whether they are in force.
    pub status: Option<CertificateStanding>,
    /// They end before this.
    pub expires_before: Option<Timestamp>,
    /// Their profile.
    pub profile: Option<ProfileName>,
    /// The unit that they name.
    pub unit: Option<UnitOid>,
    /// Their serial number, in each way in which it can be read.
    pub serial: Option<Vec<SerialNumber>>,
}

/// Whether a certificate is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateStanding {
    /// It is.
    Valid,
    /// Its validity is over.
    Expired,
    /// It was revoked, whether or not its validity is over.
    Revoked,
}

/// A certificate with what its record shows beside it.
#[derive(Debug, Clone)]
pub struct CertificateView {
    /// The record.
    pub certificate: Certificate,
    /// Whether it is in force.
    pub standing: CertificateStanding,
    /// Its subject, for a person.
    pub subject: String,
    /// The identifier of its renewal information.
    pub renewal: Option<RenewalId>,
}

/// The length of a certificate's id, at the end of every key.
const ID: usize = 16;

impl Authority {
    /// A page of certificates.
    pub async fn organisation_certificates(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        filter: &CertificateFilter,
        after: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Page<CertificateId>> {
        let access = self.access(account, id, Deed::SeeCertificates).await?;
        if let Some(serials) = &filter.serial {
            let found = self.with_serials(&access, serials).await?;
            let wanted = found.iter().filter(|certificate| filter.holds(certificate, now));
            return Ok(Page { items: wanted.map(|certificate| certificate.id).collect(), next: None });
        }
        let keys = self.store.list(filter.range(&access, after, now)).await?;
        let (count, mut page) = (keys.len(), Gathering::new());
        for key in keys {
            if page.is_full() {
                break;
            }
            let certificate = self.certificate_at(&key).await?;
            let wanted = certificate.filter(|found| access.shows(found) && filter.holds(found, now));
            page.looked(key, wanted.map(|certificate| certificate.id));
        }
        Ok(page.page(count))
    }

    /// The certificate whose id ends an index key.
    pub(super) async fn certificate_at(&self, key: &[u8]) -> Result<Option<Read<Certificate>>> {
        let id = key.len().checked_sub(ID).and_then(|at| CertificateId::try_from(key.get(at..)?).ok());
        match id {
            Some(id) => Ok(self.store.get::<Certificate>(&id).await?),
            None => Ok(None),
        }
    }

    /// The certificates with one of these serial numbers that a member may see.
    pub(super) async fn with_serials(
        &self,
        access: &Access,
        serials: &[SerialNumber],
    ) -> Result<Vec<Read<Certificate>>> {
        let mut found = Vec::new();
        for issuer in &self.settings.issuers {
            for serial in serials {
                let certificate = self.certificate_by_serial(&issuer.name, serial).await?;
                found.extend(certificate.filter(|certificate| access.shows(certificate)));
            }
        }
        Ok(found)
    }

    /// A certificate that a member may see.
    pub(super) async fn certificate_of(&self, access: &Access, id: CertificateId) -> Result<Read<Certificate>> {
        let certificate = self.store.get::<Certificate>(&id).await?;
        Ok(certificate.filter(|certificate| access.shows(certificate)).ok_or(Refusal::NotFound)?)
    }

    /// The record of a certificate.
    pub async fn organisation_certificate(
        &self,
        account: &Read<Account>,
        (id, certificate): (OrganisationId, CertificateId),
        now: Timestamp,
    ) -> Result<CertificateView> {
        let access = self.access(account, id, Deed::SeeCertificates).await?;
        let certificate = self.certificate_of(&access, certificate).await?.record;
        let der = self.certificate_der(certificate.id).await?;
        let parsed = ParsedCertificate::parse(&der)
            .map_err(|error| Fault::Internal(format!("certificate {} cannot be read: {error}", certificate.id)))?;
        let issuer = self.settings.issuers.iter().find(|issuer| issuer.name == certificate.issuer);
        Ok(CertificateView {
            standing: standing(&certificate, now),
            subject: parsed.subject().to_string(),
            renewal: issuer.map(|issuer| RenewalId::new(&issuer.key_identifier, certificate.serial.clone())),
            certificate,
        })
    }
}

impl Access {
    /// Whether a certificate is one that it may see: issued, of its organisation, and its own if it reaches no further.
    pub(super) fn shows(&self, certificate: &Certificate) -> bool {
        matches!(certificate.stage, Stage::Issued { .. })
            && certificate.organisation == self.organisation.id
            && self.reaches(certificate.account)
    }
}

fn standing(certificate: &Certificate, now: Timestamp) -> CertificateStanding {
    match certificate.revocation {
        Some(_) => CertificateStanding::Revoked,
        None if certificate.not_after < now => CertificateStanding::Expired,
        None => CertificateStanding::Valid,
    }
}

impl CertificateFilter {
    /// Whether a certificate is one of those.
    fn holds(&self, certificate: &Certificate, now: Timestamp) -> bool {
        self.status.is_none_or(|status| standing(certificate, now) == status)
            && self.expires_before.is_none_or(|time| certificate.not_after < time)
            && self.profile.as_ref().is_none_or(|profile| certificate.profile == *profile)
            && self.unit.as_ref().is_none_or(|unit| certificate.unit == *unit)
    }

    /// The narrowest part of an index that holds all that may be wanted.
    fn range(&self, access: &Access, after: Option<Vec<u8>>, now: Timestamp) -> Range {
        let organisation = *access.organisation.id.as_bytes();
        match (access.reach, self.status, &self.unit) {
            (Reach::Own | Reach::Nothing, _, _) => {
                let own = *access.membership.account.as_bytes();
                Range::of(Index::CertificatesByAccount, own, LOOKED_AT).after(after)
            }
            (Reach::All, Some(CertificateStanding::Revoked), _) => {
                Range::of(Index::RevokedByOrganisation, organisation, LOOKED_AT).after(after)
            }
            (Reach::All, _, Some(unit)) => {
                let owner = index::organisation_and_unit(&access.organisation.id, unit);
                self.by_end(Range::of(Index::CertificatesByUnit, owner, LOOKED_AT), after, now)
            }
            (Reach::All, Some(CertificateStanding::Valid | CertificateStanding::Expired), None) => {
                self.by_end(Range::of(Index::CertificatesByEnd, organisation, LOOKED_AT), after, now)
            }
            (Reach::All, None, None) if self.expires_before.is_some() => {
                self.by_end(Range::of(Index::CertificatesByEnd, organisation, LOOKED_AT), after, now)
            }
            (Reach::All, None, None) => {
                Range::of(Index::CertificatesByOrganisation, organisation, LOOKED_AT).after(after)
            }
        }
    }

    /// A range of keys that begin with the end of validity, within the bounds that the filter gives.
    fn by_end(&self, range: Range, after: Option<Vec<u8>>, now: Timestamp) -> Range {
        let mut ends = self.expires_before;
        let mut from = None;
        match self.status {
            // A certificate is in force through the second of its end.
            Some(CertificateStanding::Valid) => {
                from = Some([now.plus(-1).to_be_bytes().as_slice(), &[0xff; ID]].concat());
            }
            Some(CertificateStanding::Expired) => ends = Some(ends.map_or(now, |time| time.min(now))),
            Some(CertificateStanding::Revoked) | None => {}
        }
        let range = range.after(after.into_iter().chain(from).max());
        match ends {
            Some(time) => range.below(time.to_be_bytes()),
            None => range,
        }
    }
}
