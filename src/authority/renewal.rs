//! Renewal information (RFC 9773): when a certificate should be renewed. It is public and needs no account.

use super::{Authority, Result};
use crate::model::{Certificate, Refusal};
use crate::time::Timestamp;

/// When to renew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalWindow {
    /// The first good moment.
    pub start: Timestamp,
    /// The last good moment; later than `start`.
    pub end: Timestamp,
    /// Whether the certificate has to be replaced at once.
    pub urgent: bool,
    /// After how many seconds to ask again.
    pub retry_after: u64,
}

impl Authority {
    /// The window for the certificate that `id` names.
    pub async fn renewal_info(&self, id: &str, now: Timestamp) -> Result<RenewalWindow> {
        let certificate = self.certificate_by_renewal_id(id).await?.ok_or(Refusal::NotFound)?;
        Ok(window(&certificate, self.settings.renewal_retry_after, now))
    }
}

/// The last third of the validity begins the window, which lasts a twelfth of it; a revoked certificate's has passed.
fn window(certificate: &Certificate, retry_after: u64, now: Timestamp) -> RenewalWindow {
    if certificate.revocation.is_some() {
        return RenewalWindow { start: now.plus(-3_600), end: now.plus(-60), urgent: true, retry_after };
    }
    let length = certificate.not_after.since(certificate.not_before).max(12);
    let start = certificate.not_before.plus(length / 3 * 2);
    RenewalWindow { start, end: start.plus(length / 12), urgent: false, retry_after }
}
