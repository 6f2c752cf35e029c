//! dns-01 through a program of the user's (RFC 8555 §8.4): called as `PROGRAM present NAME VALUE` and
//! `PROGRAM withdraw NAME VALUE`, where NAME is `_acme-challenge.DOMAIN`. When `present` ends, the record must be visible.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::challenges::{Proof, Responder, Responding};
use super::error::Error;
use crate::acme::challenge_type::ChallengeType;

/// Sets TXT records by a program.
#[derive(Debug, Clone)]
pub struct DnsHook(PathBuf);

impl DnsHook {
    /// A hook that calls `program`.
    pub fn new(program: &Path) -> Self {
        DnsHook(program.to_owned())
    }

    fn call<'a>(&'a self, action: &'static str, proof: &Proof) -> Responding<'a> {
        let (name, value) = (proof.dns_record(), proof.key_authorization.dns_value());
        let mut command = Command::new(&self.0);
        command.args([action, &name, &value]).stdin(Stdio::null()).stdout(Stdio::null());
        Box::pin(async move {
            let running = tokio::task::spawn_blocking(move || command.status());
            let status = running.await.map_err(|error| self.failed(&error))?.map_err(|error| self.failed(&error))?;
            if status.success() { Ok(()) } else { Err(self.failed(&format!("{action} {name} ended with {status}"))) }
        })
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> Error {
        Error::local(format!("the dns hook {}: {why}", self.0.display()))
    }
}

impl Responder for DnsHook {
    fn challenge_type(&self) -> ChallengeType {
        ChallengeType::Dns01
    }

    fn present<'a>(&'a self, proof: &'a Proof) -> Responding<'a> {
        self.call("present", proof)
    }

    fn withdraw<'a>(&'a self, proof: &'a Proof) -> Responding<'a> {
        self.call("withdraw", proof)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::key_authorization::KeyAuthorization;

    fn proof() -> Proof {
        let thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".parse().unwrap();
        Proof {
            domain: "a.test".into(),
            token: "dG9rZW4".into(),
            key_authorization: KeyAuthorization::new("dG9rZW4", &thumbprint),
        }
    }

    #[tokio::test]
    async fn a_hook_that_fails_or_is_missing_says_so() {
        assert!(DnsHook::new(Path::new("/bin/true")).present(&proof()).await.is_ok());
        let error = DnsHook::new(Path::new("/bin/false")).present(&proof()).await.unwrap_err().to_string();
        assert!(error.contains("_acme-challenge.a.test"), "{error}");
        assert!(DnsHook::new(Path::new("/nonexistent/hook")).withdraw(&proof()).await.is_err());
    }
}
