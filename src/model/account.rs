//! ACME accounts (RFC 8555 §7.1.2).

use serde::{Deserialize, Serialize};

use super::{Refusal, TermsAgreement};
use crate::acme::jwk::Jwk;
use crate::acme::status::AccountStatus;
use crate::names::{AccountId, InvitationId};
use crate::time::Timestamp;

/// An account: a key and whom to write to. What it may order follows from its membership, not from here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its present public key.
    pub key: Jwk,
    /// Contact URLs, each a checked `mailto:`.
    pub contact: Vec<String>,
    /// The terms of service that were last agreed to.
    pub terms: Option<TermsAgreement>,
    /// Whether it may act.
    pub standing: AccountStanding,
    /// The external account binding that it was created with (RFC 8555 §7.3.4).
    pub binding: Option<ExternalBinding>,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed something. Accounts without a membership are removed some time after this.
    pub touched: Timestamp,
    /// Whether it ever became a member of an organisation: then it is never removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bound: bool,
}

/// Whether an account may act. Both ends are final (RFC 8555 §7.1.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum AccountStanding {
    /// It may.
    Valid,
    /// Its holder ended it.
    Deactivated {
        /// When.
        at: Timestamp,
    },
    /// The server ended it.
    Revoked {
        /// When.
        at: Timestamp,
        /// Why, for its holder.
        reason: String,
    },
}

/// A verified external account binding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalBinding {
    /// The invitation whose key signed it.
    pub invitation: InvitationId,
    /// The JWS as sent: RFC 8555 §7.3.4 has it reflected in the account object.
    pub jws: serde_json::Value,
}

impl Account {
    /// The status on the wire.
    pub fn status(&self) -> AccountStatus {
        match self.standing {
            AccountStanding::Valid => AccountStatus::Valid,
            AccountStanding::Deactivated { .. } => AccountStatus::Deactivated,
            AccountStanding::Revoked { .. } => AccountStatus::Revoked,
        }
    }

    /// Nothing, if the account may act at all.
    // RFC 8555 §7.3.6: requests of a deactivated account are refused with 401.
    pub fn standing(&self) -> Result<(), Refusal> {
        match &self.standing {
            AccountStanding::Valid => Ok(()),
            AccountStanding::Deactivated { .. } => Err(Refusal::AccountDeactivated),
            AccountStanding::Revoked { reason, .. } => Err(Refusal::AccountRevoked { reason: reason.clone() }),
        }
    }

    /// The account, ended by its holder. Certificates stay (RFC 8555 §7.3.6).
    pub fn deactivated(&self, now: Timestamp) -> Account {
        Account { standing: AccountStanding::Deactivated { at: now }, touched: now, ..self.clone() }
    }

    /// The account with other contacts.
    pub fn with_contact(&self, contact: Vec<String>, now: Timestamp) -> Account {
        Account { contact, touched: now, ..self.clone() }
    }

    /// The account with another key. Orders and authorizations live on (RFC 8555 §7.3.5).
    pub fn with_key(&self, key: Jwk, now: Timestamp) -> Account {
        Account { key, touched: now, ..self.clone() }
    }

    /// The account, having asked for something that is kept.
    pub fn touched(&self, now: Timestamp) -> Account {
        Account { touched: now, ..self.clone() }
    }

    /// The account, bound to an organisation for its whole life.
    pub fn bound(&self, now: Timestamp) -> Account {
        Account { bound: true, touched: now, ..self.clone() }
    }

    /// The account, having agreed to terms.
    pub fn with_terms(&self, terms: TermsAgreement) -> Account {
        Account { touched: terms.at, terms: Some(terms), ..self.clone() }
    }
}

/// At most so many contacts are kept.
const MOST_CONTACTS: usize = 10;

/// `contact` as sent in newAccount or an update, checked.
// RFC 8555 §7.3: mailto must be supported; hfields and more than one address are refused.
pub fn checked_contact(contact: Vec<String>) -> Result<Vec<String>, Refusal> {
    if contact.len() > MOST_CONTACTS {
        return Err(Refusal::InvalidContact { contact: format!("{} contacts", contact.len()) });
    }
    contact.iter().try_for_each(|url| checked_url(url))?;
    Ok(contact)
}

fn checked_url(url: &str) -> Result<(), Refusal> {
    let shown = || url.chars().filter(|c| !c.is_control()).take(100).collect::<String>();
    let Some((scheme, address)) = url.split_once(':') else {
        return Err(Refusal::InvalidContact { contact: shown() });
    };
    if !scheme.eq_ignore_ascii_case("mailto") {
        return Err(Refusal::UnsupportedContact { contact: shown() });
    }
    if is_one_address(address) { Ok(()) } else { Err(Refusal::InvalidContact { contact: shown() }) }
}

/// One plain address: a local part, one `@`, a dns name. `?` begins hfields and `,` a second address (RFC 6068 §2).
fn is_one_address(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".!#$&'*+-/=^_`{|}~%".contains(c);
    (1..=64).contains(&local.len()) && local.chars().all(plain) && domain.parse::<crate::names::DnsName>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mail_address_per_contact_is_accepted() {
        assert!(
            checked_contact(vec!["mailto:it@apteekki.example.fi".into(), "MAILTO:a.b+c@example.fi".into()]).is_ok()
        );
        assert!(checked_contact(vec![]).is_ok());
    }

    // A17
    #[test]
    fn an_ended_account_may_not_act_whoever_ended_it() {
        let account = crate::model::policy::tests::account();
        assert_eq!((account.status(), account.standing()), (AccountStatus::Valid, Ok(())));
        let deactivated = account.deactivated(account.created);
        assert_eq!(deactivated.status(), AccountStatus::Deactivated);
        assert_eq!(deactivated.standing(), Err(Refusal::AccountDeactivated));
        let standing = AccountStanding::Revoked { at: account.created, reason: "misuse".into() };
        let revoked = Account { standing, ..account };
        assert_eq!(revoked.status(), AccountStatus::Revoked);
        assert_eq!(revoked.standing(), Err(Refusal::AccountRevoked { reason: "misuse".into() }));
    }

    #[test]
    fn several_addresses_and_headers_are_invalid_and_other_schemes_unsupported() {
        for bad in [
            "mailto:",
            "mailto:a",
            "mailto:a@b.fi,c@d.fi",
            "mailto:a@b.fi?cc=c@d.fi",
            "nothing",
            "mailto:a@",
            "mailto:<a@b.fi>",
            "mailto:a b@c.fi",
        ] {
            assert!(matches!(checked_contact(vec![bad.into()]), Err(Refusal::InvalidContact { .. })), "{bad}");
        }
        assert!(matches!(checked_contact(vec!["tel:+358".into()]), Err(Refusal::UnsupportedContact { .. })));
    }
}
