//! Applications to registration officers (org-approval-01): who applies for an organisation and why, and the officers'
//! approvals.

use serde::{Deserialize, Serialize};

use crate::acme::messages::{Applicant, ApplicationDocument};
use crate::time::Timestamp;

/// What an applicant told the registration officers. Personal data: after the decision it is kept apart from the record, for
/// a configured time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Who applies.
    pub applicant: Applicant,
    /// Why the applicant may act for the organisation.
    pub justification: String,
    /// Documents that officers get by another way, named by their hashes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<ApplicationDocument>,
}

/// That one officer approved, where two are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The officer's name.
    pub officer: String,
    /// When.
    pub at: Timestamp,
}

const LONGEST_NAME: usize = 200;
const LONGEST_EMAIL: usize = 254;
const LONGEST_PHONE: usize = 40;
const LONGEST_JUSTIFICATION: usize = 4_000;
const MOST_DOCUMENTS: usize = 10;

impl Application {
    /// Nothing, if every text is there and short enough; else what is wrong.
    pub fn is_bounded(&self) -> Result<(), String> {
        let Applicant { name, email, phone } = &self.applicant;
        let text = |member: &str, text: &str, longest: usize| {
            let length = text.chars().count();
            let printable = !text.chars().any(|c| c.is_control() && c != '\n');
            match (1..=longest).contains(&length) && printable && !text.trim().is_empty() {
                true => Ok(()),
                false => Err(format!("\"{member}\" has 1 to {longest} characters and no control characters")),
            }
        };
        text("applicant.name", name, LONGEST_NAME)?;
        text("applicant.email", email, LONGEST_EMAIL)?;
        if let Some(phone) = phone {
            text("applicant.phone", phone, LONGEST_PHONE)?;
        }
        text("justification", &self.justification, LONGEST_JUSTIFICATION)?;
        if self.documents.len() > MOST_DOCUMENTS {
            return Err(format!("at most {MOST_DOCUMENTS} documents are named"));
        }
        self.documents.iter().try_for_each(|document| text("documents.title", &document.title, LONGEST_NAME))
    }
}

/// Whether `officer` may approve after `earlier` ones: nobody confirms what they approved themselves.
pub fn is_another(officer: &str, earlier: &[Approval]) -> bool {
    earlier.iter().all(|approval| approval.officer != officer)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn application() -> Application {
        Application {
            applicant: Applicant {
                name: "Aino Esimerkki".into(),
                email: "aino@sairaala.example.fi".into(),
                phone: Some("+358 9 000 0000".into()),
            },
            justification: "Tietohallintojohtaja".into(),
            documents: Vec::new(),
        }
    }

    #[test]
    fn every_text_is_there_and_short_enough() {
        assert_eq!(application().is_bounded(), Ok(()));
        let refused = |change: fn(&mut Application)| {
            let mut application = application();
            change(&mut application);
            application.is_bounded().is_err()
        };
        assert!(refused(|a| a.applicant.name = " ".into()));
        assert!(refused(|a| a.applicant.name = "a\u{1b}[2J".into()));
        assert!(refused(|a| a.applicant.email = "a".repeat(255)));
        assert!(refused(|a| a.applicant.phone = Some(String::new())));
        assert!(refused(|a| a.justification = "ä".repeat(4_001)));
        let document = || ApplicationDocument { sha256: [0; 32], title: "t".into() };
        let mut many = application();
        many.documents = std::iter::repeat_with(document).take(11).collect();
        assert!(many.is_bounded().is_err());
    }

    #[test]
    fn nobody_confirms_their_own_approval() {
        let earlier = [Approval { officer: "one".into(), at: Timestamp::from_seconds(0) }];
        assert!(is_another("two", &earlier) && !is_another("one", &earlier));
    }
}
