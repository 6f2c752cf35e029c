//! CRLs: numbered in the store, signed, written as files, named by a small record, then served. A lower number or an
//! older list is never served, not after a crash or a restore either.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::status::ServedCrl;
use super::{Issuer, Issuers};
use crate::model::{Certificate, Publication, Published};
use crate::names::{CertificateId, IssuerName};
use crate::signer::SignerError;
use crate::store::index::{self, Index};
use crate::store::{Change, CommitError, Range, Read, Store, StoreError, write_durably};
use crate::time::Timestamp;
use crate::x509::{ContentError, Crl, CrlContent, KeyIdentifier, RevokedEntry, assembled_crl};

/// Why a CRL was not published. The old one goes on being served.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no such issuer, or no such shard of it.
    #[error("there is no CRL {1} of issuer {0}")]
    Unknown(IssuerName, u16),
    /// It cannot be encoded.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The key does not sign now.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The signature is not good.
    #[error("the signature over CRL {1} of issuer {0} is not good")]
    Signature(IssuerName, u16),
    /// The file could not be written.
    #[error("the CRL file {0}: {1}")]
    File(PathBuf, #[source] io::Error),
    /// The clock or the number would go back.
    #[error("CRL {1} of issuer {0} would be older than the one that is served")]
    Backwards(IssuerName, u16),
    /// The store failed, or another process was quicker.
    #[error("{0}")]
    Store(String),
}

impl From<CommitError> for PublishError {
    fn from(error: CommitError) -> Self {
        PublishError::Store(error.to_string())
    }
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        PublishError::Store(error.to_string())
    }
}

/// More shards than all issuers together ever had.
const MOST_SHARDS: usize = 1 << 20;
/// How many records are read, and marked, at a time.
const BATCH: usize = 1_000;

/// What a CRL is made of, and which certificates it lists for the first time.
struct Listed {
    entries: Vec<Vec<u8>>,
    /// With the version of the record that was listed.
    new: Vec<(CertificateId, u64)>,
}

impl Issuers {
    /// Makes the records of all configured shards that have none, and begins to serve every published file that is whole,
    /// also of shards that are no longer configured. What is not served afterwards is due.
    pub async fn load_crls(&self, store: &dyn Store, now: Timestamp) -> Result<(), PublishError> {
        for issuer in self.issuers.values() {
            for shard in 0..issuer.shards {
                if store.get::<Publication>(&(issuer.name.clone(), shard)).await?.is_none() {
                    store.commit(vec![Change::insert(&Publication::new(issuer.name.clone(), shard, now))]).await?;
                }
            }
        }
        // Every publication has one entry in this index: when the next one is due.
        for key in store.list(Range::of(Index::PublicationsDue, [], MOST_SHARDS)).await? {
            let Some(id) = key.get(8..).and_then(index::shard_parts) else { continue };
            let (Some(issuer), Some(record)) = (self.issuer(&id.0), store.get::<Publication>(&id).await?) else {
                continue;
            };
            match self.served_file(issuer, &record) {
                Some(crl) => self.serve(&issuer.name, record.shard, crl),
                None => {
                    let due = Publication { due: now, ..record.record.clone() };
                    store.commit(vec![record.replace(&due)]).await?;
                }
            }
        }
        Ok(())
    }

    /// The published file of a shard, if it is what the record says.
    fn served_file(&self, issuer: &Issuer, record: &Publication) -> Option<ServedCrl> {
        let published = record.published.as_ref()?;
        let path = self.directory.join(issuer.name.as_str()).join(&published.file);
        let der = fs::read(&path).ok()?;
        if sha256(&der) != published.sha256 {
            tracing::error!(file = %path.display(), "a published CRL file is damaged; it will be published anew");
            return None;
        }
        Some(ServedCrl::new(der, published))
    }

    fn serve(&self, issuer: &IssuerName, shard: u16, crl: ServedCrl) {
        self.crls.rcu(|crls| crls.with(issuer, shard, crl.clone()));
    }

    /// Publishes the CRL of one shard, with everything revoked or abandoned so far.
    pub async fn publish(
        &self,
        store: &dyn Store,
        name: &IssuerName,
        shard: u16,
        now: Timestamp,
    ) -> Result<Publication, PublishError> {
        let unknown = || PublishError::Unknown(name.clone(), shard);
        let issuer = self.issuer(name).ok_or_else(unknown)?;
        let id = (name.clone(), shard);
        // The number is taken before anything is signed under it.
        let record = store.get::<Publication>(&id).await?.ok_or_else(unknown)?;
        store.commit(vec![record.replace(&record.numbered())]).await?;
        let record = store.get::<Publication>(&id).await?.ok_or_else(unknown)?;

        let previous = record.published.as_ref().map(|published| published.this_update);
        let listed = self.listed(store, name, shard, previous).await?;
        let (der, published) = self.signed(issuer, shard, record.number, &listed.entries, now).await?;
        self.write(issuer, &published, &der)?;
        let after = record
            .with_published(published.clone(), now.plus(issuer.crl_interval))
            .ok_or_else(|| PublishError::Backwards(name.clone(), shard))?;
        store.commit(vec![record.replace(&after)]).await?;
        self.serve(name, shard, ServedCrl::new(der, &published));
        self.remove_older(issuer, shard, &published);
        mark_published(store, &listed.new, published.number).await?;
        Ok(after)
    }

    /// The entries of a shard. A certificate that has expired leaves once a CRL after its end has listed it.
    async fn listed(
        &self,
        store: &dyn Store,
        issuer: &IssuerName,
        shard: u16,
        previous: Option<Timestamp>,
    ) -> Result<Listed, StoreError> {
        let owner = index::shard(issuer, shard);
        let mut listed = Listed { entries: Vec::new(), new: Vec::new() };
        let mut cursor = None;
        loop {
            let range = Range::of(Index::RevokedByShard, owner.clone(), BATCH).after(cursor.take());
            let page = store.list(range).await?;
            for id in page.iter().filter_map(|id| CertificateId::try_from(id.as_slice()).ok()) {
                let Some(certificate) = store.get::<Certificate>(&id).await? else { continue };
                let Some((date, reason, invalidity_date)) = certificate.revoked() else { continue };
                let unpublished = certificate.is_unpublished();
                // RFC 5280 §3.3: an entry stays until it has appeared on one list beyond the certificate's validity.
                if !unpublished && previous.is_some_and(|previous| certificate.not_after < previous) {
                    continue;
                }
                let serial = certificate.serial.clone();
                listed.entries.push(RevokedEntry { serial, date, reason, invalidity_date }.to_der());
                if unpublished {
                    listed.new.push((id, certificate.version()));
                }
            }
            match page.len() {
                BATCH => cursor = page.last().cloned(),
                _ => return Ok(listed),
            }
        }
    }

    async fn signed(
        &self,
        issuer: &Issuer,
        shard: u16,
        number: u64,
        entries: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<(Vec<u8>, Published), PublishError> {
        let content = CrlContent {
            issuer: issuer.certificate.subject().clone(),
            issuer_key: key_identifier(issuer),
            algorithm: issuer.key.algorithm(),
            number,
            this_update: now,
            next_update: now.plus(issuer.crl_validity),
            distribution_point: Some(self.crl_url(&issuer.name, shard)),
        };
        let tbs = content.tbs_der(entries)?;
        let signature = issuer.key.sign(tbs.clone()).await?;
        let der = assembled_crl(&tbs, issuer.key.algorithm(), &signature);
        let bad = || PublishError::Signature(issuer.name.clone(), shard);
        let parsed = Crl::parse(&der).map_err(|_| bad())?;
        parsed.verify_signed_by(issuer.certificate.public_key()).map_err(|_| bad())?;
        let published = Published {
            number,
            this_update: content.this_update,
            next_update: content.next_update,
            file: format!("{shard}-{number}.crl"),
            sha256: sha256(&der),
            entries: entries.len() as u64,
        };
        Ok((der, published))
    }

    fn write(&self, issuer: &Issuer, published: &Published, der: &[u8]) -> Result<(), PublishError> {
        let directory = self.directory.join(issuer.name.as_str());
        let failed = |error| PublishError::File(directory.join(&published.file), error);
        fs::create_dir_all(&directory).map_err(failed)?;
        write_durably(&directory, &published.file, der).map_err(failed)
    }

    /// Removes the files of a shard that are no longer served. One that stays after a crash goes the next time.
    fn remove_older(&self, issuer: &Issuer, shard: u16, published: &Published) {
        let directory = self.directory.join(issuer.name.as_str());
        let Ok(files) = fs::read_dir(&directory) else { return };
        let prefix = format!("{shard}-");
        for file in files.flatten() {
            let name = file.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(&prefix) && name != published.file {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

/// Records that CRL `number` lists these. What fails here stays on the list of the unpublished and is done again; so does
/// what has changed since it was listed, since the list does not yet say so: a reason that was raised meanwhile.
async fn mark_published(store: &dyn Store, listed: &[(CertificateId, u64)], number: u64) -> Result<(), PublishError> {
    for batch in listed.chunks(BATCH) {
        let mut changes = Vec::with_capacity(batch.len());
        for (id, version) in batch {
            let record: Option<Read<Certificate>> = store.get::<Certificate>(id).await?;
            let unchanged = record.filter(|record| record.version() == *version);
            changes.extend(unchanged.map(|record| record.replace(&record.published(number))));
        }
        if changes.is_empty() {
            continue;
        }
        match store.commit(changes).await {
            Ok(()) | Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn key_identifier(issuer: &Issuer) -> KeyIdentifier {
    let own = issuer.certificate.subject_key().cloned();
    own.unwrap_or_else(|| KeyIdentifier::of(issuer.certificate.public_key()))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    hash
}
