//! Certificates of an organisation, and revocations by serial number.

use std::time::Duration;

use super::{Organisation, Resource, with_query};
use crate::acme::messages::organisation::{
    CertificateRecord, CertificateStatus, CertificatesList, NewRevocation, RevocationObject, RevocationStatus,
};
use crate::client::error::{Error, Result};
use crate::client::order::Waiting;
use crate::time::Timestamp;

/// Which certificates to list; whatever is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateFilter {
    /// Those with this status.
    pub status: Option<CertificateStatus>,
    /// Those that end before this time.
    pub expires_before: Option<Timestamp>,
    /// Those of this profile.
    pub profile: Option<String>,
    /// Those that name this unit, by its OID.
    pub unit: Option<String>,
    /// Those with this serial number, hexadecimal or decimal.
    pub serial: Option<String>,
}

impl CertificateFilter {
    fn query(&self) -> impl Iterator<Item = (&'static str, String)> {
        let status = self.status.map(|status| match status {
            CertificateStatus::Valid => "valid".to_owned(),
            CertificateStatus::Expired => "expired".to_owned(),
            CertificateStatus::Revoked => "revoked".to_owned(),
        });
        let before = self.expires_before.map(|time| time.to_string());
        let others = [("profile", self.profile.clone()), ("unit", self.unit.clone()), ("serial", self.serial.clone())];
        let all = [("status", status), ("expiresBefore", before)].into_iter().chain(others);
        all.filter_map(|(name, value)| value.map(|value| (name, value)))
    }
}

impl Organisation {
    /// The certificates that the account may see.
    ///
    /// # Errors
    /// `Refused` if a filter is of the wrong form.
    pub async fn certificates(&self, filter: &CertificateFilter) -> Result<Vec<Resource<CertificateRecord>>> {
        let first = with_query(&self.object.certificates, filter.query());
        let pages: Vec<CertificatesList> = self.account.pages(first).await?;
        self.all(pages.into_iter().flat_map(|page| page.certificates)).await
    }

    /// The certificate with this serial number, hexadecimal or decimal, of this issuer if one is named.
    ///
    /// # Errors
    /// `Local` if there is none, or more than one: a number can be read in both ways.
    pub async fn certificate(&self, serial: &str, issuer: Option<&str>) -> Result<Resource<CertificateRecord>> {
        let filter = CertificateFilter { serial: Some(serial.to_owned()), ..CertificateFilter::default() };
        let mut found = self.certificates(&filter).await?;
        found.retain(|certificate| issuer.is_none_or(|issuer| certificate.object.issuer == issuer));
        match (found.pop(), found.pop()) {
            (Some(certificate), None) => Ok(certificate),
            (None, _) => {
                Err(Error::local(format!("the organisation has no certificate with the serial number {serial}")))
            }
            (Some(_), Some(_)) => {
                let why = "is that of several certificates: write it in hexadecimal as 0x…, or name the issuer";
                Err(Error::local(format!("the serial number {serial} {why}")))
            }
        }
    }

    /// Revokes a certificate by its serial number.
    ///
    /// # Errors
    /// `Refused`, among others with `alreadyRevoked` and `badRevocationReason`.
    pub async fn revoke_by_serial(&self, wanted: &NewRevocation) -> Result<Resource<RevocationObject>> {
        self.create(&self.object.revocations, wanted).await
    }

    /// Waits until a revocation stands on a published CRL.
    ///
    /// # Errors
    /// `NotYet` if that takes longer than `patience`.
    pub async fn wait_until_published(
        &self,
        revocation: Resource<RevocationObject>,
        patience: Duration,
    ) -> Result<Resource<RevocationObject>> {
        let waiting = Waiting::begin(patience);
        let mut revocation = revocation;
        while revocation.object.status == RevocationStatus::Processing {
            waiting.pause(None, "the revocation", revocation.object.status).await?;
            revocation = self.at(revocation.url).await?;
        }
        Ok(revocation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_only_what_matters() {
        assert_eq!(CertificateFilter::default().query().count(), 0);
        let filter = CertificateFilter {
            status: Some(CertificateStatus::Revoked),
            serial: Some("0A".to_owned()),
            ..CertificateFilter::default()
        };
        let query: Vec<_> = filter.query().collect();
        assert_eq!(query, [("status", "revoked".to_owned()), ("serial", "0A".to_owned())]);
    }
}
