//! Fills a store with really signed certificates, in batches of 1,000, each with everything that an issuance leaves behind:
//! its record, its DER, its index entries, the counter, and the audit entries of its authorization and of itself. Shared by
//! the examples `load` and `startup`. Start with [`fill`].

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use sote_acme::acme::identifier::{Identifier, Identifiers};
use sote_acme::model::audit::{Act, Actor, Event};
use sote_acme::model::{Certificate, CertificateDer, Stage};
use sote_acme::names::{AccountId, AuthorizationId, CertificateId, OrderId, OrganisationId, SerialNumber};
use sote_acme::public_key::PublicKey;
use sote_acme::signer::{KeyFile, NewKey, Signer};
use sote_acme::store::sled::{Format, Options};
use sote_acme::store::{Change, Counter, SledStore, Store, audit};
use sote_acme::time::{Clock, SystemClock, Timestamp};
use sote_acme::x509::{
    AlternativeName, CertificateContent, CertificatePolicy, Constraints, DistinguishedName, KeyIdentifier, KeyUsage,
    NameAttribute, assembled_certificate,
};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Certificates in one commit.
pub const BATCH: usize = 1_000;
/// While certificates are added with `seal`, the audit entries of so many stay in the store.
const UNSEALED: usize = 50_000;
/// Accounts, organisations and certified keys that the certificates are spread over.
const ACCOUNTS: usize = 500;

/// Adds `count` certificates to `store`, whose state directory is `dir`, and shows how far it is. The next batches are
/// signed while one is written. With `seal` audit entries move to segment files as they do in a server: long after they were
/// written. At the end all of them have.
pub async fn fill(store: &SledStore, dir: &Path, count: usize, seal: bool) -> Result<(), Failure> {
    let authority = Authority::in_directory(dir)?;
    let begun = Instant::now();
    let (hand_over, batches) = sync_channel::<Vec<Change>>(2);
    let signing = std::thread::spawn(move || -> Result<(), Failure> {
        for first in (0..count).step_by(BATCH) {
            let batch = authority.batch(first, BATCH.min(count - first))?;
            if hand_over.send(batch).is_err() {
                break;
            }
        }
        Ok(())
    });
    let mut done = 0;
    for batch in batches {
        store.commit(batch).await?;
        done = count.min(done + BATCH);
        if seal && done > UNSEALED && done % 5_000 == 0 {
            audit::seal(store, dir, SystemClock.now().plus(1), SystemClock.now()).await?;
        }
        if done % 20_000 == 0 || done == count {
            let seconds = begun.elapsed().as_secs_f64();
            println!("{done:>9} of {count}  {seconds:>6.1} s  {:>6.0} certificates/s", done as f64 / seconds);
        }
    }
    signing.join().map_err(|_| "the signing thread failed")??;
    // Sealing is an audit entry itself: a short segment is the last.
    while seal
        && let Some(sealed) = audit::seal(store, dir, SystemClock.now().plus(1), SystemClock.now()).await?
        && sealed.last - sealed.first > 100
    {}
    Ok(())
}

/// The store in the state directory `dir`, made if there is none.
pub fn open_or_create(dir: &Path) -> Result<SledStore, Failure> {
    Ok(match Format::read(dir) {
        Ok(_) => SledStore::open(dir, Options::default())?,
        Err(_) => SledStore::create(dir, Options::default(), SystemClock.now())?,
    })
}

/// What signs, and whom it signs for.
struct Authority {
    key: KeyFile,
    name: DistinguishedName,
    holders: Vec<Holder>,
}

struct Holder {
    account: AccountId,
    organisation: OrganisationId,
    key: PublicKey,
}

impl Authority {
    fn in_directory(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join("keys");
        std::fs::create_dir_all(&path)?;
        let path = path.join("load.pem");
        let key = if path.exists() { KeyFile::open(&path)? } else { KeyFile::create(&path, NewKey::P256)? };
        let name = DistinguishedName::new([
            (NameAttribute::Country, "FI"),
            (NameAttribute::Organisation, "Sote Oy"),
            (NameAttribute::CommonName, "Sote Service Certificates G1"),
        ])?;
        let scratch = tempfile::tempdir()?;
        let now = SystemClock.now();
        let holder = |n: usize| -> Result<Holder, Failure> {
            let key = KeyFile::create(&scratch.path().join(n.to_string()), NewKey::P256)?;
            Ok(Holder {
                account: AccountId::mint(now),
                organisation: OrganisationId::mint(now),
                key: key.public_key().clone(),
            })
        };
        let holders = (0..ACCOUNTS).map(holder).collect::<Result<_, _>>()?;
        Ok(Authority { key, name, holders })
    }

    fn batch(&self, first: usize, size: usize) -> Result<Vec<Change>, Failure> {
        let now = SystemClock.now();
        let mut changes = vec![Change::add(Counter::Certificates, i64::try_from(size)?)];
        for number in first..first + size {
            changes.extend(self.issuance(number, now)?);
        }
        Ok(changes)
    }

    /// What one issuance leaves behind.
    fn issuance(&self, number: usize, now: Timestamp) -> Result<[Change; 4], Failure> {
        let holder = &self.holders[number % self.holders.len()];
        let host = format!("palvelin{number}.example.test");
        let record = self.record(holder, &host, now)?;
        let der = self.signed(&record, holder, &host)?;
        let validated = Event::done(now, Actor::Account(holder.account), Act::AuthorizationValid)
            .on("authorization", AuthorizationId::mint(now))
            .on("account", holder.account)
            .with("identifier", format!("dns:{host}"))
            .with("challenge", "http-01")
            .proved_by(host.as_bytes());
        let issued = Event::done(now, Actor::Server, Act::CertificateIssued)
            .on("certificate", record.id)
            .on("order", record.order)
            .on("account", record.account)
            .on("organisation", record.organisation)
            .with("issuer", &record.issuer)
            .with("serial", &record.serial)
            .with("profile", &record.profile)
            .proved_by(&der);
        let der = CertificateDer { id: record.id, der };
        Ok([Change::insert(&record), Change::insert(&der), Change::Audit(validated), Change::Audit(issued)])
    }

    fn record(&self, holder: &Holder, host: &str, now: Timestamp) -> Result<Certificate, Failure> {
        let serial = SerialNumber::mint(now);
        Ok(Certificate {
            id: CertificateId::mint(now),
            issuer: "sote-g1".parse()?,
            shard: serial.as_bytes().last().map_or(0, |octet| u16::from(octet % 16)),
            serial,
            profile: "sote-server".parse()?,
            account: holder.account,
            organisation: holder.organisation,
            unit: "1.2.246.10.2454372.10.1".parse()?,
            unit_generation: 1,
            order: OrderId::mint(now),
            identifiers: identifiers(host)?,
            not_before: now.plus(-300),
            not_after: now.plus(370 * 86_400),
            spki_sha256: holder.key.spki_sha256(),
            stage: Stage::Issued { at: now },
            revocation: None,
            replaced_by: None,
        })
    }

    fn signed(&self, record: &Certificate, holder: &Holder, host: &str) -> Result<Vec<u8>, Failure> {
        let subject = DistinguishedName::new([
            (NameAttribute::Country, "FI"),
            (NameAttribute::Organisation, "Esimerkin hyvinvointialue"),
            (NameAttribute::OrganisationalUnit, "Keskustan terveysasema"),
            (NameAttribute::SerialNumber, record.unit.as_str()),
            (NameAttribute::CommonName, host),
        ])?;
        let public = "http://pki.example.test";
        let identifier = record.identifiers.iter().next().ok_or("no identifier")?;
        let content = CertificateContent {
            serial: record.serial.clone(),
            issuer: self.name.clone(),
            issuer_key: Some(KeyIdentifier::of(self.key.public_key())),
            not_before: record.not_before,
            not_after: record.not_after,
            subject,
            public_key: holder.key.clone(),
            algorithm: self.key.algorithm(),
            constraints: Constraints::EndEntity,
            key_usage: KeyUsage::DigitalSignature.into(),
            extended_key_usage: vec![
                const_oid::db::rfc5280::ID_KP_SERVER_AUTH,
                const_oid::db::rfc5280::ID_KP_CLIENT_AUTH,
            ],
            policies: vec![CertificatePolicy {
                oid: "1.2.246.517.1.10.207".parse()?,
                cps_url: Some("http://pki.example.test/cps".into()),
                notice: None,
            }],
            alternative_names: vec![AlternativeName::Identifier(identifier.clone())],
            crl_url: Some(format!("{public}/crl/{}/{}.crl", record.issuer, record.shard)),
            ocsp_url: Some(format!("{public}/ocsp/{}", record.issuer)),
            issuer_url: Some(format!("{public}/issuer/{}.cer", record.issuer)),
            ocsp_no_check: false,
        };
        let tbs = content.tbs_der()?;
        let signature = self.key.sign(&tbs)?;
        Ok(assembled_certificate(&tbs, self.key.algorithm(), &signature))
    }
}

fn identifiers(host: &str) -> Result<Identifiers, Failure> {
    let name: Identifier = serde_json::from_value(serde_json::json!({ "type": "dns", "value": host }))?;
    Ok(Identifiers::try_from(vec![name])?)
}
