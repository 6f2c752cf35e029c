//! Every certificate that was ever prepared, with its stage.

use serde::{Deserialize, Serialize};

use super::super::{Authority, Result};
use super::unusable;
use crate::model::Certificate;
use crate::names::{BusinessId, CertificateId, SerialNumber};
use crate::store::index::Index;
use crate::store::{Range, Read};

/// A page of certificates, in the order in which they were prepared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CertificatePage {
    /// The records.
    pub certificates: Vec<Certificate>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<CertificateId>,
}

/// One certificate and what was signed or is to be signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CertificateDetail {
    /// The record.
    #[serde(flatten)]
    pub certificate: Certificate,
    /// The certificate, or the TBSCertificate while it is only prepared.
    #[serde(with = "crate::names::base64url::bytes")]
    pub der: Vec<u8>,
}

const PAGE: usize = 100;

impl Authority {
    /// A page of all certificates, or of an organisation's.
    pub async fn list_certificates(
        &self,
        organisation: Option<&BusinessId>,
        after: Option<CertificateId>,
    ) -> Result<CertificatePage> {
        let after = after.map(|id| id.as_bytes().to_vec());
        let range = match organisation {
            Some(id) => {
                let organisation = self.organisation_by_business_id(id).await?;
                Range::of(Index::CertificatesByOrganisation, *organisation.id.as_bytes(), PAGE)
            }
            None => Range::of(Index::Certificates, [], PAGE),
        };
        let keys = self.store.list(range.after(after)).await?;
        let mut certificates = Vec::with_capacity(keys.len());
        for key in &keys {
            let Ok(id) = CertificateId::try_from(key.as_slice()) else { continue };
            certificates.extend(self.store.get::<Certificate>(&id).await?.map(|read| read.record));
        }
        let last = certificates.last().map(|certificate| certificate.id);
        Ok(CertificatePage { certificates, next: last.filter(|_| keys.len() == PAGE) })
    }

    /// The certificate with this serial number (hexadecimal) or id.
    pub async fn show_certificate(&self, which: &str) -> Result<CertificateDetail> {
        let certificate = match which.parse::<CertificateId>() {
            Ok(id) => self.store.get::<Certificate>(&id).await?,
            Err(_) => self.certificate_with_serial(which).await?,
        };
        let certificate = certificate.ok_or_else(|| unusable(format!("there is no certificate {which}")))?;
        let der = self.certificate_der(certificate.id).await?;
        Ok(CertificateDetail { certificate: certificate.record, der })
    }

    async fn certificate_with_serial(&self, serial: &str) -> Result<Option<Read<Certificate>>> {
        let serial: SerialNumber =
            serial.parse().map_err(|error: crate::names::NameError| unusable(error.to_string()))?;
        for issuer in &self.settings.issuers {
            if let Some(found) = self.certificate_by_serial(&issuer.name, &serial).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
