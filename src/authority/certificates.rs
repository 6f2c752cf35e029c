//! Certificates, as their accounts may read them (RFC 8555 §7.4.2).

use super::{Authority, Fault, Result};
use crate::acme::renewal::RenewalId;
use crate::model::{Account, Certificate, CertificateDer, Deed, Refusal, Stage};
use crate::names::{CertificateId, IssuerName, SerialNumber};
use crate::store::Read;
use crate::store::index::{self, Index};

impl Authority {
    /// A certificate of the account and its DER. One that is only prepared does not exist yet.
    pub async fn certificate(&self, account: &Read<Account>, id: CertificateId) -> Result<(Certificate, Vec<u8>)> {
        let certificate = self.store.get::<Certificate>(&id).await?;
        let certificate =
            certificate.filter(|found| matches!(found.stage, Stage::Issued { .. })).ok_or(Refusal::NotFound)?;
        // A certificate is no secret from those who look after all of its organisation's.
        let own = certificate.account == account.id;
        if !own && !self.oversees(account, certificate.organisation, Deed::SeeCertificates).await? {
            return Err(Refusal::NotFound.into());
        }
        Ok((certificate.record, self.certificate_der(id).await?))
    }

    /// The stored DER of a certificate.
    pub(super) async fn certificate_der(&self, id: CertificateId) -> Result<Vec<u8>> {
        let missing = || Fault::Internal(format!("the DER of certificate {id} is missing"));
        Ok(self.store.get::<CertificateDer>(&id).await?.ok_or_else(missing)?.record.der)
    }

    /// The certificate with this issuer and serial number.
    pub async fn certificate_by_serial(
        &self,
        issuer: &IssuerName,
        serial: &SerialNumber,
    ) -> Result<Option<Read<Certificate>>> {
        let key = index::certificate_by_serial(issuer, serial);
        Ok(self.store.lookup::<Certificate>(Index::CertificateBySerial, &key).await?)
    }

    /// The issued certificate that an RFC 9773 identifier names; malformed ones are refused.
    pub(super) async fn certificate_by_renewal_id(&self, text: &str) -> Result<Option<Read<Certificate>>> {
        let id: RenewalId = text.parse().map_err(|error| Refusal::Malformed { why: format!("{error}") })?;
        let issuer = self.settings.issuers.iter().find(|i| i.key_identifier == id.authority_key_identifier());
        let Some(issuer) = issuer else { return Ok(None) };
        let found = self.certificate_by_serial(&issuer.name, id.serial_number()).await?;
        Ok(found.filter(|certificate| matches!(certificate.stage, Stage::Issued { .. })))
    }
}
