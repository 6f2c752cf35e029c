//! Path validation (RFC 5280 §6) of the certificates that evidence brings along, up to configured anchors. Pure: the time is
//! an argument, revocation is asked elsewhere. What RFC 5280 leaves to be evaluated and no authority of this field uses
//! (name constraints, policy mappings and constraints) is refused, not passed over.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::Decode;
use x509_cert::ext::pkix::CertificatePolicies;

use super::{Certificate, KeyUsage, KeyUsages};
use crate::public_key::{KeyFamily, KeyPolicy};
use crate::time::Timestamp;

/// More certificates than any path of this field has, the anchor not counted.
const LONGEST: usize = 5;

/// Critical extensions that are acted on here.
const KNOWN: [ObjectIdentifier; 5] = [
    rfc5280::ID_CE_BASIC_CONSTRAINTS,
    rfc5280::ID_CE_KEY_USAGE,
    rfc5280::ID_CE_EXT_KEY_USAGE,
    rfc5280::ID_CE_SUBJECT_ALT_NAME,
    rfc5280::ID_CE_CERTIFICATE_POLICIES,
];

/// Extensions that would narrow a path in ways that are not evaluated here, critical or not.
const REFUSED: [(ObjectIdentifier, &str); 4] = [
    (rfc5280::ID_CE_NAME_CONSTRAINTS, "name constraints"),
    (rfc5280::ID_CE_POLICY_MAPPINGS, "policy mappings"),
    (rfc5280::ID_CE_POLICY_CONSTRAINTS, "policy constraints"),
    (rfc5280::ID_CE_INHIBIT_ANY_POLICY, "an inhibition of anyPolicy"),
];

/// What a signer's certificate must be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRequirements {
    /// Of these key usages it must have at least one.
    pub key_usage: KeyUsages,
    /// It must have this extended key usage.
    pub extended_key_usage: Option<ObjectIdentifier>,
    /// It must be issued under one of these policies; empty: under any or none.
    pub policies: Vec<ObjectIdentifier>,
}

/// A path that was validated: the signer's certificate first, the anchor last. Only [`validated`] makes one.
#[derive(Debug, Clone)]
pub struct ValidPath(Vec<Certificate>);

/// Why a path is refused. A certificate at fault is told as [`Certificate::described`] does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A certificate that cannot be read.
    #[error("certificate {number} of the chain cannot be read: {why}")]
    Unreadable {
        /// Which, from 1.
        number: usize,
        /// Why.
        why: String,
    },
    /// No certificate, or too many.
    #[error("the chain has {0} certificates; 1 to {LONGEST} are looked at")]
    Length(usize),
    /// It ends below none of the anchors.
    #[error("the chain ends at an issuer \"{0}\" that is no configured authority")]
    Untrusted(String),
    /// A certificate names another issuer than the next one's subject.
    #[error("{subject} was issued by \"{issuer}\", which is not the next certificate of the chain")]
    Chaining {
        /// Whose certificate.
        subject: String,
        /// The issuer that it names.
        issuer: String,
    },
    /// The key identifiers of a certificate and its issuer differ.
    #[error("{0} names another key of its issuer than the next certificate has")]
    KeyIdentifier(String),
    /// A signature that does not verify, or is made with an algorithm that is not trusted.
    #[error("the signature on {0} does not verify")]
    Signature(String),
    /// A certificate that is not valid now.
    #[error("{subject} is valid from {from} to {until}, not at {now}")]
    Validity {
        /// Whose certificate.
        subject: String,
        /// Its first second.
        from: Timestamp,
        /// Its last second.
        until: Timestamp,
        /// The time of the question.
        now: Timestamp,
    },
    /// A key that is too weak or of a kind that is not trusted.
    #[error("the key of {subject}: {why}")]
    Key {
        /// Whose certificate.
        subject: String,
        /// Why.
        why: String,
    },
    /// Something that issued a certificate and may not.
    #[error("{subject} may not issue certificates: {why}")]
    NoAuthority {
        /// Whose certificate.
        subject: String,
        /// Why.
        why: &'static str,
    },
    /// A critical extension that nobody here understands.
    #[error("{subject} has the critical extension {oid}, which is not understood here")]
    CriticalExtension {
        /// Whose certificate.
        subject: String,
        /// The extension.
        oid: ObjectIdentifier,
    },
    /// An extension that would have to be evaluated.
    #[error("{subject} has {what}, which this server does not evaluate and therefore refuses")]
    Constraint {
        /// Whose certificate.
        subject: String,
        /// What.
        what: &'static str,
    },
    /// The signer's certificate is an authority's.
    #[error("the signer's certificate is one of an authority")]
    SignerIsAuthority,
    /// The signer's certificate lacks the key usage.
    #[error("the signer's certificate is not for this use: its key usage allows no such signature")]
    KeyUsage,
    /// The signer's certificate, or an authority above it, lacks the extended key usage.
    #[error("{subject} does not have the extended key usage {needed}")]
    ExtendedKeyUsage {
        /// Whose certificate.
        subject: String,
        /// What is needed.
        needed: ObjectIdentifier,
    },
    /// A certificate is not issued under a required policy.
    #[error("{0} is not issued under a policy that is accepted here")]
    Policy(String),
}

impl ValidPath {
    /// The signer's certificate.
    pub fn signer(&self) -> &Certificate {
        &self.0[0]
    }

    /// Each certificate below the anchor with the one that issued it, the anchor's first: the order in which revocation is
    /// asked for, so that no authority is believed about others before it was itself asked for.
    pub fn issued(&self) -> impl Iterator<Item = (&Certificate, &Certificate)> {
        self.0.windows(2).rev().map(|pair| (&pair[0], &pair[1]))
    }
}

/// The path from the first certificate of `chain` (DER, each issued by the next) to one of `anchors`.
///
/// # Errors
/// The first thing that does not hold: who issued whom, then what every certificate must be, then what the signer's must be.
pub fn validated(
    chain: &[Vec<u8>],
    anchors: &[Certificate],
    requirements: &PathRequirements,
    now: Timestamp,
) -> Result<ValidPath, PathError> {
    let path = joined(chain, anchors)?;
    let mut below = 0;
    for (index, pair) in path.windows(2).enumerate() {
        signed(&pair[0], &pair[1])?;
        // RFC 5280 §6.1.4 (l): self-issued certificates do not count, nor does the last of the path.
        if index > 0 && pair[0].issuer() != pair[0].subject() {
            below += 1;
        }
        authority(&pair[1], below)?;
    }
    path.iter().rev().try_for_each(|certificate| sound(certificate, now))?;
    signer(&path, requirements)?;
    Ok(ValidPath(path))
}

/// The chain with its anchor at the end.
fn joined(chain: &[Vec<u8>], anchors: &[Certificate]) -> Result<Vec<Certificate>, PathError> {
    if chain.is_empty() || chain.len() > LONGEST {
        return Err(PathError::Length(chain.len()));
    }
    let mut path = Vec::new();
    for (index, der) in chain.iter().enumerate() {
        // The sender may send the anchor and what stands above it; trust comes from our own copy.
        if index > 0 && anchors.iter().any(|anchor| anchor.der() == der) {
            break;
        }
        let read = super::canonical(der).map_err(|error| error.to_string());
        let read = read.and_then(|()| Certificate::parse(der).map_err(|error| error.to_string()));
        path.push(read.map_err(|why| PathError::Unreadable { number: index + 1, why })?);
    }
    let last = path.last().ok_or(PathError::Length(0))?;
    let named = |anchor: &&Certificate| anchor.subject() == last.issuer();
    // Anchors may share a name; the one whose key signed is meant.
    let signing = |anchor: &&Certificate| named(anchor) && last.verify_signed_by(anchor.public_key()).is_ok();
    let anchor = anchors.iter().find(signing).or_else(|| anchors.iter().find(named));
    let anchor = anchor.ok_or_else(|| PathError::Untrusted(last.issuer().to_string()))?.clone();
    path.push(anchor);
    Ok(path)
}

// RFC 5280 §6.1.3 (a) (1) and (4).
fn signed(certificate: &Certificate, issuer: &Certificate) -> Result<(), PathError> {
    let subject = || certificate.described();
    if certificate.issuer() != issuer.subject() {
        return Err(PathError::Chaining { subject: subject(), issuer: certificate.issuer().to_string() });
    }
    if let (Some(named), Some(own)) = (certificate.authority_key(), issuer.subject_key())
        && named != own
    {
        return Err(PathError::KeyIdentifier(subject()));
    }
    certificate.verify_signed_by(issuer.public_key()).map_err(|_| PathError::Signature(subject()))
}

// RFC 5280 §6.1.4 (k) to (n), and §4.2.1.9: basicConstraints is critical where it counts.
fn authority(issuer: &Certificate, below: usize) -> Result<(), PathError> {
    let refused = |why| Err(PathError::NoAuthority { subject: issuer.described(), why });
    if !issuer.is_authority() {
        return refused("it is no authority");
    }
    if !issuer.extension(&rfc5280::ID_CE_BASIC_CONSTRAINTS).is_some_and(|(critical, _)| critical) {
        return refused("its basic constraints are not critical");
    }
    if issuer.path_length().is_some_and(|longest| below > usize::from(longest)) {
        return refused("the chain below it is longer than it allows");
    }
    if !issuer.key_usage().is_some_and(|usage| usage.contains(KeyUsage::KeyCertSign)) {
        return refused("its key usage is not for certificates");
    }
    Ok(())
}

/// What every certificate must be, the anchor's included.
fn sound(certificate: &Certificate, now: Timestamp) -> Result<(), PathError> {
    let subject = || certificate.described();
    if !certificate.is_valid_at(now) {
        let (from, until) = (certificate.not_before(), certificate.not_after());
        return Err(PathError::Validity { subject: subject(), from, until, now });
    }
    if let Some((_, what)) = REFUSED.iter().find(|(oid, _)| certificate.extension(oid).is_some()) {
        return Err(PathError::Constraint { subject: subject(), what });
    }
    // RFC 5280 §4.2: a critical extension that is not recognised ends the matter.
    if let Some(oid) = certificate.critical_extensions().find(|oid| !KNOWN.contains(oid)) {
        return Err(PathError::CriticalExtension { subject: subject(), oid });
    }
    let policy = KeyPolicy::allowing([KeyFamily::P256, KeyFamily::P384, KeyFamily::Rsa]);
    let judged = certificate.public_key().judge(&policy);
    judged.map_err(|error| PathError::Key { subject: subject(), why: error.to_string() })
}

fn signer(path: &[Certificate], requirements: &PathRequirements) -> Result<(), PathError> {
    let [signer, above @ ..] = path else { return Err(PathError::Length(0)) };
    let intermediates = above.split_last().map_or(above, |(_, intermediates)| intermediates);
    if signer.is_authority() {
        return Err(PathError::SignerIsAuthority);
    }
    // RFC 5280 §4.2.1.3: without the extension everything is allowed; here it must say so.
    if signer.key_usage().is_none_or(|usage| (usage & requirements.key_usage).is_empty()) {
        return Err(PathError::KeyUsage);
    }
    if let Some(needed) = requirements.extended_key_usage {
        let lacks = |subject: &Certificate| Err(PathError::ExtendedKeyUsage { subject: subject.described(), needed });
        if !signer.extended_key_usage().contains(&needed) {
            return lacks(signer);
        }
        // An authority that limits itself to other uses issues none for this one.
        let excludes = |authority: &&Certificate| {
            let usages = authority.extended_key_usage();
            !usages.is_empty() && !usages.contains(&needed) && !usages.contains(&rfc5280::ANY_EXTENDED_KEY_USAGE)
        };
        if let Some(authority) = intermediates.iter().find(excludes) {
            return lacks(authority);
        }
    }
    policy(signer, intermediates, &requirements.policies)
}

// RFC 5280 §6.1.3 (d) without mappings: the policy stands in the signer's certificate by its name, and in each authority's by
// its name or as anyPolicy. An anchor is bound by nothing but the configuration.
fn policy(signer: &Certificate, intermediates: &[Certificate], accepted: &[ObjectIdentifier]) -> Result<(), PathError> {
    if accepted.is_empty() {
        return Ok(());
    }
    let refused = |certificate: &Certificate| PathError::Policy(certificate.described());
    let mut open: Vec<ObjectIdentifier> = policies(signer).ok_or_else(|| refused(signer))?;
    open.retain(|policy| accepted.contains(policy));
    if open.is_empty() {
        return Err(refused(signer));
    }
    for authority in intermediates {
        let own = policies(authority).ok_or_else(|| refused(authority))?;
        if !own.contains(&rfc5280::ANY_POLICY) {
            open.retain(|policy| own.contains(policy));
        }
        if open.is_empty() {
            return Err(refused(authority));
        }
    }
    Ok(())
}

/// The policies of a certificate; none if the extension cannot be read.
fn policies(certificate: &Certificate) -> Option<Vec<ObjectIdentifier>> {
    let Some((_, der)) = certificate.extension(&rfc5280::ID_CE_CERTIFICATE_POLICIES) else { return Some(Vec::new()) };
    let policies = CertificatePolicies::from_der(der).ok()?;
    Some(policies.0.into_iter().map(|policy| policy.policy_identifier).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::tests::authority::{ALGORITHM, issuer_content, key, name, server_content, sign, time};
    use crate::x509::{CertificateContent, CertificatePolicy, Constraints, KeyIdentifier, assembled_certificate};

    const NOW: &str = "2026-11-24T12:00:00Z";
    const EMAIL: ObjectIdentifier = rfc5280::ID_KP_EMAIL_PROTECTION;
    const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.246.517.1.10.358.2");

    fn signed_by(number: usize, content: &CertificateContent) -> Vec<u8> {
        let tbs = content.tbs_der().unwrap();
        assembled_certificate(&tbs, ALGORITHM, &sign(number, &tbs))
    }

    fn policy(oid: ObjectIdentifier) -> CertificatePolicy {
        CertificatePolicy { oid, cps_url: None, notice: None }
    }

    /// A root (key 1), an authority (key 3) and a signer (key 2), each to be spoilt.
    struct Contents {
        root: CertificateContent,
        authority: CertificateContent,
        signer: CertificateContent,
    }

    fn contents() -> Contents {
        let root = CertificateContent { constraints: Constraints::Authority { path_length: None }, ..issuer_content() };
        let authority = CertificateContent {
            serial: "02".parse().unwrap(),
            issuer_key: Some(KeyIdentifier::of(&key(1))),
            subject: name("Authority"),
            public_key: key(3),
            constraints: Constraints::Authority { path_length: Some(0) },
            policies: vec![policy(rfc5280::ANY_POLICY)],
            ..issuer_content()
        };
        let signer = CertificateContent {
            issuer: name("Authority"),
            issuer_key: Some(KeyIdentifier::of(&key(3))),
            extended_key_usage: vec![EMAIL],
            policies: vec![policy(POLICY)],
            ..server_content()
        };
        Contents { root, authority, signer }
    }

    fn requirements() -> PathRequirements {
        PathRequirements {
            key_usage: KeyUsage::DigitalSignature | KeyUsage::NonRepudiation,
            extended_key_usage: Some(EMAIL),
            policies: vec![POLICY],
        }
    }

    fn path(contents: &Contents) -> Result<ValidPath, PathError> {
        let chain = [signed_by(3, &contents.signer), signed_by(1, &contents.authority)];
        let anchor = Certificate::parse(&signed_by(1, &contents.root)).unwrap();
        validated(&chain, &[anchor], &requirements(), time(NOW))
    }

    fn spoilt(spoil: impl FnOnce(&mut Contents)) -> PathError {
        let mut contents = contents();
        spoil(&mut contents);
        path(&contents).unwrap_err()
    }

    #[test]
    fn a_sound_chain_leads_to_its_anchor_whether_that_is_sent_or_not() {
        let found = path(&contents()).unwrap();
        assert_eq!(found.signer().subject(), &contents().signer.subject);
        let issued: Vec<String> = found.issued().map(|(below, _)| below.subject().to_string()).collect();
        assert_eq!(issued.len(), 2);
        assert!(issued[0].contains("Authority"), "the anchor's own first");
        let root = signed_by(1, &contents().root);
        let chain = [signed_by(3, &contents().signer), signed_by(1, &contents().authority), root.clone()];
        let anchor = Certificate::parse(&root).unwrap();
        assert!(validated(&chain, &[anchor], &requirements(), time(NOW)).is_ok());
    }

    #[test]
    fn an_intermediate_authority_can_be_the_anchor() {
        let authority = Certificate::parse(&signed_by(1, &contents().authority)).unwrap();
        let signer = signed_by(3, &contents().signer);
        let chain = [signer.clone()];
        assert!(validated(&chain, &[authority], &requirements(), time(NOW)).is_ok());
        let itself = Certificate::parse(&signer).unwrap();
        let error = validated(&chain, &[itself], &requirements(), time(NOW)).unwrap_err();
        assert!(matches!(error, PathError::Untrusted(_)), "a certificate is no anchor of itself");
    }

    #[test]
    fn another_authoritys_chain_is_not_trusted() {
        let chain = [signed_by(3, &contents().signer), signed_by(1, &contents().authority)];
        assert!(matches!(validated(&chain, &[], &requirements(), time(NOW)), Err(PathError::Untrusted(_))));
        // The same name with another key.
        let other = CertificateContent { public_key: key(2), ..contents().root };
        let other = Certificate::parse(&signed_by(2, &other)).unwrap();
        assert!(matches!(
            validated(&chain, &[other], &requirements(), time(NOW)),
            Err(PathError::KeyIdentifier(_) | PathError::Signature(_))
        ));
        assert_eq!(validated(&[], &[], &requirements(), time(NOW)).unwrap_err(), PathError::Length(0));
        let long = vec![vec![0x30, 0]; 6];
        assert_eq!(validated(&long, &[], &requirements(), time(NOW)).unwrap_err(), PathError::Length(6));
        let error = validated(&[vec![1, 2]], &[], &requirements(), time(NOW)).unwrap_err();
        assert!(matches!(error, PathError::Unreadable { number: 1, .. }));
    }

    #[test]
    fn names_keys_and_signatures_chain() {
        let error = spoilt(|contents| contents.signer.issuer = name("Issuer"));
        assert!(matches!(error, PathError::Chaining { .. }), "{error}");
        let error = spoilt(|contents| contents.signer.issuer_key = Some(KeyIdentifier::of(&key(1))));
        assert!(matches!(error, PathError::KeyIdentifier(_)), "{error}");
        let mut chain = [signed_by(3, &contents().signer), signed_by(1, &contents().authority)];
        let anchor = Certificate::parse(&signed_by(1, &contents().root)).unwrap();
        chain[0] = signed_by(1, &contents().signer);
        let error = validated(&chain, &[anchor], &requirements(), time(NOW)).unwrap_err();
        assert!(matches!(error, PathError::Signature(_)), "{error}");
    }

    #[test]
    fn every_certificate_is_valid_now() {
        const ENDED: &str = "2026-11-24T11:59:59Z";
        for spoil in [
            (|contents: &mut Contents| contents.signer.not_after = time(ENDED)) as fn(&mut Contents),
            |contents| contents.authority.not_after = time(ENDED),
            |contents| contents.root.not_after = time(ENDED),
            |contents| contents.signer.not_before = time("2026-11-24T12:00:01Z"),
        ] {
            assert!(matches!(spoilt(spoil), PathError::Validity { .. }));
        }
        assert!(
            path(&{
                let mut contents = contents();
                contents.signer.not_after = time(NOW);
                contents
            })
            .is_ok()
        );
    }

    #[test]
    fn only_an_authority_issues_and_no_deeper_than_it_may() {
        let why = |error| match error {
            PathError::NoAuthority { why, .. } => why,
            other => panic!("{other}"),
        };
        assert!(why(spoilt(|c| c.authority.constraints = Constraints::EndEntity)).contains("no authority"));
        assert!(why(spoilt(|c| c.authority.constraints = Constraints::Absent)).contains("no authority"));
        assert!(why(spoilt(|c| c.authority.key_usage = KeyUsage::CRLSign.into())).contains("key usage"));
        let shallow = Constraints::Authority { path_length: Some(0) };
        assert!(why(spoilt(|c| c.root.constraints = shallow)).contains("longer"));
    }

    #[test]
    fn the_signer_is_for_the_use() {
        assert_eq!(spoilt(|c| c.signer.key_usage = KeyUsage::KeyEncipherment.into()), PathError::KeyUsage);
        assert_eq!(spoilt(|c| c.signer.key_usage = KeyUsages::default()), PathError::KeyUsage);
        let error = spoilt(|c| c.signer.constraints = Constraints::Authority { path_length: None });
        assert_eq!(error, PathError::SignerIsAuthority);
        for usages in [Vec::new(), vec![rfc5280::ANY_EXTENDED_KEY_USAGE], vec![rfc5280::ID_KP_SERVER_AUTH]] {
            let error = spoilt(|c| c.signer.extended_key_usage = usages);
            assert!(matches!(error, PathError::ExtendedKeyUsage { .. }), "{error}");
        }
        let error = spoilt(|c| c.authority.extended_key_usage = vec![rfc5280::ID_KP_SERVER_AUTH]);
        assert!(matches!(error, PathError::ExtendedKeyUsage { .. }), "{error}");
    }

    #[test]
    fn the_policy_holds_all_the_way() {
        let other = ObjectIdentifier::new_unwrap("1.2.3.4");
        for (signer, authority, holds) in [
            (vec![POLICY], vec![rfc5280::ANY_POLICY], true),
            (vec![other, POLICY], vec![POLICY], true),
            (vec![POLICY], vec![other], false),
            (vec![POLICY], vec![], false),
            (vec![other], vec![rfc5280::ANY_POLICY], false),
            (vec![rfc5280::ANY_POLICY], vec![rfc5280::ANY_POLICY], false),
            (vec![], vec![rfc5280::ANY_POLICY], false),
        ] {
            let mut contents = contents();
            contents.signer.policies = signer.into_iter().map(policy).collect();
            contents.authority.policies = authority.into_iter().map(policy).collect();
            let found = path(&contents);
            assert_eq!(found.is_ok(), holds, "{:?}", contents.signer.policies);
            assert!(holds || matches!(found, Err(PathError::Policy(_))));
        }
    }

    /// A certificate with one more extension, put in by hand.
    fn with_extension(content: &CertificateContent, signer: usize, oid: ObjectIdentifier, critical: bool) -> Vec<u8> {
        use crate::x509::der_element::{Element, SEQUENCE, constructed, encoded};
        use crate::x509::extension::extension;
        use der::Encode;
        let tbs = content.tbs_der().unwrap();
        let parts = Element::only(&tbs).unwrap().children().unwrap();
        let (extensions, head) = parts.split_last().unwrap();
        let list = Element::only(extensions.content).unwrap();
        let added = extension(oid, critical, &der::asn1::Null).unwrap().to_der().unwrap();
        let list = encoded(constructed(3), &[&encoded(SEQUENCE, &[list.content, &added])]);
        let head: Vec<u8> = head.iter().flat_map(|part| part.whole).copied().collect();
        let tbs = encoded(SEQUENCE, &[&head, &list]);
        assembled_certificate(&tbs, ALGORITHM, &sign(signer, &tbs))
    }

    #[test]
    fn what_is_not_understood_or_not_evaluated_is_refused() {
        let refusal = |signer: Vec<u8>, authority: Vec<u8>| {
            let anchor = Certificate::parse(&signed_by(1, &contents().root)).unwrap();
            validated(&[signer, authority], &[anchor], &requirements(), time(NOW)).map(|_| ())
        };
        let (signer, authority) = (signed_by(3, &contents().signer), signed_by(1, &contents().authority));
        let strange = ObjectIdentifier::new_unwrap("1.2.3.4.5");
        let critical = refusal(with_extension(&contents().signer, 3, strange, true), authority.clone()).unwrap_err();
        assert!(matches!(critical, PathError::CriticalExtension { oid, .. } if oid == strange));
        assert!(refusal(with_extension(&contents().signer, 3, strange, false), authority).is_ok());
        for (oid, _) in REFUSED {
            let error = refusal(signer.clone(), with_extension(&contents().authority, 1, oid, false)).unwrap_err();
            assert!(matches!(error, PathError::Constraint { .. }), "{error}");
        }
    }

    #[test]
    fn a_weak_key_anywhere_ends_the_matter() {
        use josekit::jwk::KeyPair;
        let weak = josekit::jwk::alg::rsa::RsaKeyPair::generate(1024).unwrap().to_der_public_key();
        let weak = crate::public_key::PublicKey::from_spki_der(&weak).unwrap();
        assert!(matches!(spoilt(|c| c.signer.public_key = weak), PathError::Key { .. }));
    }
}
