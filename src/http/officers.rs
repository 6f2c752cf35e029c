//! Who may use the admin socket: users of this machine by their numbers, each with a name for the audit trail and a role.

use serde::{Deserialize, Serialize};

/// The configured officers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Officers(Vec<Officer>);

/// A named person with a user on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Officer {
    /// The name in the audit trail.
    pub name: String,
    /// The number of the user, as `id -u` prints it.
    pub uid: u32,
    /// What the officer may do.
    pub role: OfficerRole,
    /// The socket by which the officer comes: the first one, except on trial servers, where one user plays two officers.
    #[serde(skip)]
    pub socket: usize,
}

/// What an officer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfficerRole {
    /// Decides about organisations, invitations and certificates, and sees everything.
    RegistrationOfficer,
    /// Keeps the server running: imports registers, checks the audit trail, sees everything.
    Operator,
    /// Sees everything and changes nothing.
    Auditor,
}

/// What a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// To see.
    See,
    /// To keep the server's data up to date.
    Operate,
    /// To decide who gets certificates.
    Decide,
}

impl Officers {
    /// These officers.
    ///
    /// # Errors
    /// A sentence that tells which two entries name the same user, or the same person twice.
    pub fn new(officers: Vec<Officer>) -> Result<Self, String> {
        for (number, officer) in officers.iter().enumerate() {
            let earlier = officers.iter().take(number);
            // Two names for one user would let one person be two in decisions that need two.
            if let Some(same) = earlier.clone().find(|o| o.uid == officer.uid && o.socket == officer.socket) {
                return Err(format!("{} and {} have the same uid {}", same.name, officer.name, officer.uid));
            }
            if earlier.clone().any(|o| o.name == officer.name) {
                return Err(format!("{} is named twice", officer.name));
            }
        }
        Ok(Officers(officers))
    }

    /// The officer behind a connection.
    pub(super) fn caller(&self, uid: u32, socket: usize) -> Option<&Officer> {
        self.0.iter().find(|officer| officer.uid == uid && officer.socket == socket)
    }
}

impl OfficerRole {
    /// Whether the role has this power.
    pub(super) fn has(self, power: Power) -> bool {
        match (self, power) {
            (OfficerRole::RegistrationOfficer, Power::See | Power::Operate | Power::Decide)
            | (OfficerRole::Operator, Power::See | Power::Operate)
            | (OfficerRole::Auditor, Power::See) => true,
            (OfficerRole::Operator, Power::Decide) | (OfficerRole::Auditor, Power::Operate | Power::Decide) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn officer(name: &str, uid: u32, socket: usize) -> Officer {
        Officer { name: name.into(), uid, role: OfficerRole::RegistrationOfficer, socket }
    }

    #[test]
    fn a_caller_is_known_by_user_and_socket() {
        let officers = Officers::new(vec![officer("one", 1000, 0), officer("two", 1000, 1)]).unwrap();
        assert_eq!(officers.caller(1000, 0).map(|o| o.name.as_str()), Some("one"));
        assert_eq!(officers.caller(1000, 1).map(|o| o.name.as_str()), Some("two"));
        assert_eq!(officers.caller(0, 0), None, "root is no officer unless configured");
    }

    #[test]
    fn one_person_cannot_be_two() {
        assert!(Officers::new(vec![officer("one", 1000, 0), officer("two", 1000, 0)]).is_err());
        assert!(Officers::new(vec![officer("one", 1000, 0), officer("one", 1001, 0)]).is_err());
    }
}
