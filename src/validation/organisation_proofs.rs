//! From what a client showed for an organisation to a verdict: the evidence of tkauth-01 and org-signature-01 in the form in
//! which it is recorded. Start with [`OrganisationProofs::verdict`].

use std::sync::Arc;

use super::org_signature_01::{CardFault, CardProof, Holder, OrgSignature01, SignatureClaim};
use super::pinned::PinnedClient;
use super::resolver::Resolver;
use super::revocation_status::RevocationStatus;
use super::settings::Settings;
use super::tkauth_01::{Tkauth01, TokenClaim, TokenFault, TokenProof};
use super::trust::{CardAuthority, TokenAuthority};
use super::{Attempt, Verdict};
use crate::acme::authority_token::AuthorityToken;
use crate::acme::card_signature::CardSignature;
use crate::acme::identifier::Identifier;
use crate::acme::jwk::Thumbprint;
use crate::acme::problem::Problem;
use crate::model::Answer;
use crate::model::evidence::{Attestation, Evidence, Sha256Hash, UniqueKind, UniqueProof};
use crate::model::mandate::PersonKey;
use crate::names::OrganisationIdentifier;

/// When nobody says whether a certificate is revoked, it is asked again after so many seconds.
const PATIENCE: i64 = 30;

/// Whose evidence is believed.
pub struct Believed {
    /// Token authorities.
    pub tokens: Vec<TokenAuthority>,
    /// Authorities of cards.
    pub cards: Vec<CardAuthority>,
    /// The organisation directory's URL: the audience of a card's signature.
    pub directory: String,
    /// The key for the numbers of persons; without it no professional's card proves anything.
    pub people: Option<PersonKey>,
    /// The largest CRL that is fetched, in octets.
    pub largest_crl: usize,
}

/// Nobody's.
impl Default for Believed {
    fn default() -> Self {
        Believed { tokens: Vec::new(), cards: Vec::new(), directory: String::new(), people: None, largest_crl: 0 }
    }
}

/// Judges what clients show for organisations.
pub(super) struct OrganisationProofs {
    tokens: Tkauth01,
    cards: OrgSignature01,
    directory: String,
    people: Option<PersonKey>,
    status: RevocationStatus,
}

impl OrganisationProofs {
    pub(super) fn new(believed: Believed, settings: &Settings, resolver: Arc<Resolver>) -> Self {
        OrganisationProofs {
            tokens: Tkauth01::new(believed.tokens),
            cards: OrgSignature01::new(believed.cards),
            directory: believed.directory,
            people: believed.people,
            status: RevocationStatus::new(PinnedClient::new(settings, resolver), believed.largest_crl),
        }
    }

    /// What an answer to a challenge of organisations proves.
    pub(super) async fn verdict(&self, attempt: &Attempt) -> Verdict {
        let Identifier::Organisation(organisation) = &attempt.identifier else {
            return Verdict::Refuted(Problem::unauthorized("this challenge proves an organisation alone"));
        };
        let thumbprint = attempt.key_authorization.rsplit('.').next().unwrap_or_default().parse();
        let Ok(thumbprint) = thumbprint else {
            return Verdict::Refuted(Problem::unauthorized("the answer names no account key"));
        };
        match &attempt.answer {
            Answer::Token { tkauth } => self.token(attempt, organisation, &thumbprint, tkauth).await,
            Answer::CardSignature { signature, .. } => self.card(attempt, organisation, &thumbprint, signature).await,
            Answer::Ready | Answer::Application(_) => {
                Verdict::Refuted(Problem::unauthorized("the answer holds nothing that could be looked at"))
            }
        }
    }

    async fn token(
        &self,
        attempt: &Attempt,
        organisation: &OrganisationIdentifier,
        thumbprint: &Thumbprint,
        text: &str,
    ) -> Verdict {
        // Its form was judged when it came; a record that was changed since is no evidence.
        let token = match AuthorityToken::parse(text) {
            Ok(token) => token,
            Err(error) => return Verdict::Refuted(Problem::malformed(error.to_string())),
        };
        let claim = TokenClaim { organisation: organisation.as_str(), token: &attempt.token, thumbprint };
        match self.tokens.proof(&token, claim, &self.status, attempt.now).await {
            Ok(proof) => Verdict::Valid(token_evidence(proof)),
            Err(fault) => {
                refuted(attempt, fault.problem(), matches!(fault, TokenFault::Status(ref error) if error.may_pass()))
            }
        }
    }

    async fn card(
        &self,
        attempt: &Attempt,
        organisation: &OrganisationIdentifier,
        thumbprint: &Thumbprint,
        text: &str,
    ) -> Verdict {
        let signature = match CardSignature::parse(text) {
            Ok(signature) => signature,
            Err(error) => return Verdict::Refuted(Problem::malformed(error.to_string())),
        };
        let claim = SignatureClaim {
            organisation,
            key_authorization: &attempt.key_authorization,
            thumbprint,
            account: &attempt.account_url,
            challenge: &attempt.challenge_url,
            audience: &self.directory,
        };
        match self.cards.proof(&signature, claim, &self.status, attempt.now).await {
            Ok(proof) => self.card_evidence(proof),
            Err(fault) => {
                refuted(attempt, fault.problem(), matches!(fault, CardFault::Status(ref error) if error.may_pass()))
            }
        }
    }

    fn card_evidence(&self, proof: CardProof) -> Verdict {
        let (row, person) = match (&proof.holder, &self.people) {
            (Holder::Organisation, _) => (None, None),
            (Holder::Row(row), _) => (Some(row.clone()), None),
            (Holder::Person(number), Some(key)) => (None, Some(key.hash(number))),
            (Holder::Person(_), None) => {
                let why = "this server takes no personal cards: it has no key for the numbers of persons";
                return Verdict::Refuted(Problem::unauthorized(why));
            }
        };
        let unique = UniqueProof { kind: UniqueKind::CardSignature, hash: proof.unique, until: proof.shown_until };
        Verdict::Valid(Evidence {
            trail: proof.trail,
            unique: vec![unique],
            until: Some(proof.until),
            attested: Some(Attestation {
                by: proof.issuer,
                names: proof.names,
                certificate: Some(Sha256Hash(proof.certificate)),
            }),
            row,
            person,
            ..Evidence::default()
        })
    }
}

fn token_evidence(proof: TokenProof) -> Evidence {
    let unique = UniqueProof { kind: UniqueKind::AuthorityToken, hash: proof.unique, until: proof.shown_until };
    Evidence {
        trail: proof.trail,
        unique: vec![unique],
        until: proof.until,
        attested: Some(Attestation {
            by: proof.issuer,
            names: proof.names,
            certificate: Some(Sha256Hash(proof.certificate)),
        }),
        ..Evidence::default()
    }
}

/// What proves nothing, or has to wait for somebody who does not answer: never valid meanwhile.
fn refuted(attempt: &Attempt, problem: Problem, passes: bool) -> Verdict {
    match passes {
        true => Verdict::Wait { until: attempt.now.plus(PATIENCE), problem },
        false => Verdict::Refuted(problem),
    }
}
