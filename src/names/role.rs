//! What a member of an organisation is: the words of the wire.

use serde::{Deserialize, Serialize};

/// A member's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Orders, invites, sees and revokes everything of the organisation.
    Administrator,
    /// Orders, and sees and revokes its own.
    TechnicalContact,
    /// Sees; orders nothing.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 3] = [Role::Administrator, Role::TechnicalContact, Role::Auditor];

    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Administrator => "administrator",
            Role::TechnicalContact => "technical-contact",
            Role::Auditor => "auditor",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_written_as_it_is_shown() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
    }
}
