//! Publishing CRLs while the records that they tell of go on changing.

use std::path::Path;
use std::sync::{Arc, Mutex};

use sote_acme::issuer::{Issuer, Issuers, Responder};
use sote_acme::model::audit::Actor;
use sote_acme::model::{Certificate, Revocation, Stage};
use sote_acme::names::{
    AccountId, BootId, CertificateId, IssuerName, OrderId, OrganisationId, RevocationReason, SerialNumber,
};
use sote_acme::public_key::PublicKey;
use sote_acme::signer::{KeyFile, NewKey, PoolLimits, Signer, SignerError, SigningPool};
use sote_acme::store::sled::{Options, SledStore};
use sote_acme::store::{Change, Counter, Store};
use sote_acme::time::Timestamp;
use sote_acme::x509::{
    Certificate as Parsed, CertificateContent, Constraints, Crl, DistinguishedName, KeyUsage, NameAttribute,
    SigningAlgorithm, assembled_certificate,
};

const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

/// A key during whose next signature something else happens.
struct Interrupted {
    key: KeyFile,
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Signer for Interrupted {
    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    fn algorithm(&self) -> SigningAlgorithm {
        self.key.algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        if let Some(meanwhile) = self.meanwhile.lock().unwrap().take() {
            meanwhile();
        }
        self.key.sign(message)
    }
}

fn issuer_name() -> IssuerName {
    "sote-1".parse().unwrap()
}

fn certificate_of(key: &KeyFile) -> Parsed {
    let name = DistinguishedName::new([(NameAttribute::CommonName, "Issuing")]).unwrap();
    let content = CertificateContent {
        serial: SerialNumber::mint(NOW),
        issuer: name.clone(),
        issuer_key: None,
        not_before: NOW.plus(-60),
        not_after: NOW.plus_years(5),
        subject: name,
        public_key: key.public_key().clone(),
        algorithm: key.algorithm(),
        constraints: Constraints::Authority { path_length: Some(0) },
        key_usage: KeyUsage::KeyCertSign | KeyUsage::CRLSign,
        extended_key_usage: vec![],
        policies: vec![],
        alternative_names: vec![],
        crl_url: None,
        ocsp_url: None,
        issuer_url: None,
        ocsp_no_check: false,
    };
    let tbs = content.tbs_der().unwrap();
    Parsed::parse(&assembled_certificate(&tbs, content.algorithm, &key.sign(&tbs).unwrap())).unwrap()
}

/// An issuer with one CRL, and its key.
fn issuers(directory: &Path) -> (Issuers, Arc<Interrupted>) {
    let key = KeyFile::create(&directory.join("issuing.pem"), NewKey::P256).unwrap();
    let certificate = certificate_of(&key);
    let key = Arc::new(Interrupted { key, meanwhile: Mutex::default() });
    let pool = SigningPool::start("issuing", Arc::clone(&key) as Arc<dyn Signer>, PoolLimits::default()).unwrap();
    let issuer = Issuer {
        name: issuer_name(),
        certificate: certificate.clone(),
        chains: vec![],
        key: pool.clone(),
        responder: Responder { certificate, key: pool },
        shards: 1,
        crl_interval: 3_600,
        crl_validity: 7_200,
        ocsp_validity: 3_600,
    };
    (Issuers::new(vec![issuer], directory.join("crl"), "http://status.test", BootId::mint(NOW)), key)
}

fn revocation(reason: RevocationReason) -> Revocation {
    let by = Actor::CertificateKey("key".into());
    Revocation { at: NOW, reason: Some(reason), invalid_since: None, by, comment: None, published: None }
}

fn revoked() -> Certificate {
    Certificate {
        id: CertificateId::mint(NOW),
        issuer: issuer_name(),
        serial: SerialNumber::mint(NOW),
        shard: 0,
        profile: "sote-server".parse().unwrap(),
        account: AccountId::mint(NOW),
        organisation: OrganisationId::mint(NOW),
        unit: "1.2.246.10.2454372.10.1".parse().unwrap(),
        unit_generation: 1,
        order: OrderId::mint(NOW),
        identifiers: serde_json::from_str(r#"[{"type":"dns","value":"a.test"}]"#).unwrap(),
        not_before: NOW,
        not_after: NOW.plus(1_000_000),
        spki_sha256: [7; 32],
        stage: Stage::Issued { at: NOW },
        revocation: Some(revocation(RevocationReason::Superseded)),
        replaced_by: None,
    }
}

async fn reasons_on_the_crl(
    directory: &Path,
    issuers: &Issuers,
    store: &dyn Store,
    now: Timestamp,
) -> Vec<Option<RevocationReason>> {
    let publication = issuers.publish(store, &issuer_name(), 0, now).await.unwrap();
    let file = publication.published.unwrap().file;
    let der = std::fs::read(directory.join("crl").join(issuer_name().as_str()).join(file)).unwrap();
    Crl::parse(&der).unwrap().entries().iter().map(|entry| entry.reason).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_that_is_raised_while_a_crl_is_signed_stands_on_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::create(&directory.path().join("state"), Options::default(), NOW).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let (issuers, key) = issuers(directory.path());
    let certificate = revoked();
    let changes = vec![Change::insert(&certificate), Change::add(Counter::Revoked, 1)];
    store.commit(changes).await.unwrap();
    issuers.load_crls(store.as_ref(), NOW).await.unwrap();

    let (runtime, raised_in, id) = (tokio::runtime::Handle::current(), Arc::clone(&store), certificate.id);
    *key.meanwhile.lock().unwrap() = Some(Box::new(move || {
        runtime.block_on(async {
            let record = raised_in.get::<Certificate>(&id).await.unwrap().unwrap();
            let raised = record.revoke(revocation(RevocationReason::KeyCompromise), true, NOW.plus(1)).unwrap();
            raised_in.commit(vec![record.replace(&raised)]).await.unwrap();
        });
    }));

    let first = reasons_on_the_crl(directory.path(), &issuers, store.as_ref(), NOW.plus(2)).await;
    assert_eq!(first, [Some(RevocationReason::Superseded)], "this list was made before");
    assert!(
        store.get::<Certificate>(&id).await.unwrap().unwrap().is_unpublished(),
        "the new reason is still to be told"
    );
    let second = reasons_on_the_crl(directory.path(), &issuers, store.as_ref(), NOW.plus(3)).await;
    assert_eq!(second, [Some(RevocationReason::KeyCompromise)]);
    assert!(!store.get::<Certificate>(&id).await.unwrap().unwrap().is_unpublished());
}
