//! Pages on which an account's holder agrees to changed terms of service (RFC 8555 §7.3.3).

use super::{Authority, Result};
use crate::model::audit::{Act, Actor, Event};
use crate::model::{Account, Refusal, TermsAgreement, TermsPage};
use crate::names::TermsPageId;
use crate::store::Change;
use crate::time::Timestamp;

impl Authority {
    /// The page with this id, while it can be used.
    pub async fn terms_page(&self, id: TermsPageId, now: Timestamp) -> Result<TermsPage> {
        let page = self.store.get::<TermsPage>(&id).await?;
        Ok(page.filter(|page| page.is_open(now)).ok_or(Refusal::NotFound)?.record)
    }

    /// Records that whoever got the page's address agreed on it. The page is used up by that.
    pub async fn agree_on_page(&self, id: TermsPageId, address: String, now: Timestamp) -> Result<()> {
        self.decide(|| async {
            let page = self.store.get::<TermsPage>(&id).await?;
            let page = page.filter(|page| page.is_open(now)).ok_or(Refusal::NotFound)?;
            let account = self.store.get::<Account>(&page.account).await?.ok_or(Refusal::NotFound)?;
            let agreed = TermsAgreement { version: page.version.clone(), at: now, address: Some(address.clone()) };
            let event = Event::done(now, Actor::Account(account.id), Act::TermsAgreed)
                .on("account", account.id)
                .with("version", &page.version);
            let changes = vec![account.replace(&account.with_terms(agreed)), page.remove(), Change::Audit(event)];
            self.commit(changes, ()).await
        })
        .await
    }
}
