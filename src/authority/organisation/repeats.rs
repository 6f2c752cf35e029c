//! Creating requests that carry an idempotency key: what one made is remembered in the very commit that made it.

use aws_lc_rs::digest::{SHA256, digest};

use super::super::{Authority, Result};
use crate::model::repeat::REMEMBERED;
use crate::model::{Made, Refusal, Repeat};
use crate::names::AccountId;
use crate::store::index::Index;
use crate::store::{Change, Range, Read};
use crate::time::Timestamp;

/// The key of a creating request, and what the request was.
#[derive(Debug, Clone, Copy)]
pub struct RepeatKey {
    key: [u8; 32],
    request: [u8; 32],
}

/// What is known of a key.
pub(super) enum Earlier {
    /// A request with this key made this.
    Made(Made),
    /// The key is free: the change to remember what is going to be made.
    Free(Box<dyn FnOnce(Made) -> Change + Send>),
}

/// The longest key.
const LONGEST: usize = 64;

impl RepeatKey {
    /// The key `key` of a request with this payload to this URL.
    ///
    /// # Errors
    /// `Malformed` for a key that is not 1 to 64 printable ASCII characters.
    pub fn new(key: &str, url: &str, payload: &[u8]) -> Result<Self> {
        if !(1..=LONGEST).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) {
            let why = format!("idempotencyKey has 1 to {LONGEST} printable ASCII characters without spaces");
            return Err(Refusal::Malformed { why }.into());
        }
        let request = [url.as_bytes(), &[0], payload].concat();
        Ok(RepeatKey { key: sha256(key.as_bytes()), request: sha256(&request) })
    }
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, octets).as_ref());
    hash
}

impl Authority {
    /// What an earlier request with this key made; refused if that was another request.
    pub(super) async fn earlier(
        &self,
        account: AccountId,
        key: Option<RepeatKey>,
        now: Timestamp,
    ) -> Result<Option<Earlier>> {
        let Some(RepeatKey { key, request }) = key else { return Ok(None) };
        let found = self.store.get::<Repeat>(&(account, key)).await?;
        let in_force = found.as_ref().filter(|repeat| now < repeat.expires);
        if let Some(repeat) = in_force {
            return match repeat.request == request {
                true => Ok(Some(Earlier::Made(repeat.made))),
                false => Err(Refusal::RepeatDiffers.into()),
            };
        }
        let remembered = move |made| {
            let repeat = Repeat { account, key, request, made, expires: now.plus(REMEMBERED) };
            found.map_or_else(|| Change::insert(&repeat), |old: Read<Repeat>| old.replace(&repeat))
        };
        Ok(Some(Earlier::Free(Box::new(remembered))))
    }

    /// Removes a batch of keys that need no longer be remembered. Returns how many went.
    pub async fn forget_repeats(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let keys = self.store.list(Range::of(Index::RepeatsByExpiry, [], limit).below(now.to_be_bytes())).await?;
        let mut changes = Vec::with_capacity(keys.len());
        for key in keys {
            let Some((account, hash)) = key.get(8..).and_then(|id| id.split_at_checked(16)) else { continue };
            let (Ok(account), Ok(hash)) = (AccountId::try_from(account), <[u8; 32]>::try_from(hash)) else { continue };
            changes.extend(self.store.get::<Repeat>(&(account, hash)).await?.as_ref().map(Read::remove));
        }
        let count = changes.len();
        if count > 0 {
            // Overtaken: the next round removes them.
            self.commit(changes, ()).await?;
        }
        Ok(count)
    }
}
