//! Records that need not be decoded again. A record is decoded from its octets and nothing else, so one that was decoded
//! before serves for as long as the store holds the very same octets: there is nothing to invalidate, whatever becomes of a
//! commit. It saves time only: it never saves a read.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Kind, Record, StoreError};

/// Decoded records in two generations: when the younger is full, the older is forgotten.
#[derive(Default)]
pub struct Decoded(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Place, Known>,
    old: HashMap<Place, Known>,
    octets: usize,
}

type Place = (Kind, Vec<u8>);

/// A record of whatever type its kind has.
type AnyRecord = Arc<dyn Any + Send + Sync>;

/// What one record was decoded from, and the record.
struct Known {
    schema: u8,
    value: Vec<u8>,
    record: AnyRecord,
}

/// Encoded octets of one generation. Decoded they take about three times as much, so this makes 32 MiB in all.
const GENERATION: usize = 4 << 20;

impl Decoded {
    /// The record that `value` says, which the store holds under `key`.
    pub(super) fn record<R: Record>(&self, key: Vec<u8>, schema: u8, value: &[u8]) -> Result<Arc<R>, StoreError> {
        let place = (R::KIND, key);
        if let Some(record) = self.known(&place, schema, value).and_then(|record| record.downcast::<R>().ok()) {
            return Ok(record);
        }
        let record = Arc::new(R::decode(value, schema)?);
        self.keep(place, Known { schema, value: value.to_vec(), record: record.clone() });
        Ok(record)
    }

    fn known(&self, place: &Place, schema: u8, value: &[u8]) -> Option<AnyRecord> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &&Known| known.schema == schema && known.value == value;
        if let Some(known) = generations.young.get(place) {
            return Some(known).filter(is_same).map(|known| known.record.clone());
        }
        let known = generations.old.remove(place).filter(|known| is_same(&known))?;
        let record = known.record.clone();
        generations.insert(place.clone(), known);
        Some(record)
    }

    fn keep(&self, place: Place, known: Known) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place, known);
    }
}

impl Generations {
    fn insert(&mut self, place: Place, known: Known) {
        if self.octets + known.value.len() > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.octets = 0;
        }
        self.octets += known.value.len();
        self.young.insert(place, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TermsPage;
    use crate::names::AccountId;
    use crate::time::Timestamp;

    fn page(version: &str) -> TermsPage {
        TermsPage::new(AccountId::from_bytes([7; 16]), version, Timestamp::from_seconds(1_800_000_000))
    }

    fn read(decoded: &Decoded, key: &[u8], page: &TermsPage) -> Arc<TermsPage> {
        decoded.record::<TermsPage>(key.to_vec(), TermsPage::SCHEMA, &page.encode()).unwrap()
    }

    #[test]
    fn the_same_octets_are_decoded_once_and_others_anew() {
        let decoded = Decoded::default();
        let (first, second) = (page("1"), page("2"));
        let read_first = read(&decoded, b"k", &first);
        assert!(Arc::ptr_eq(&read_first, &read(&decoded, b"k", &first)));
        assert_eq!(*read(&decoded, b"k", &second), second, "the record has changed");
        assert_eq!(*read(&decoded, b"k", &first), first, "a commit was lost and what it replaced is back");
    }

    #[test]
    fn what_is_read_again_stays_and_the_rest_is_forgotten() {
        let decoded = Decoded::default();
        let (used, big) = (page("1"), page(&"x".repeat(GENERATION / 10)));
        let first = read(&decoded, b"used", &used);
        for number in 0..100u8 {
            read(&decoded, &[number], &big);
            assert!(Arc::ptr_eq(&first, &read(&decoded, b"used", &used)));
        }
        let generations = decoded.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() < 25);
    }

    #[test]
    fn what_cannot_be_decoded_is_not_kept() {
        let decoded = Decoded::default();
        assert!(decoded.record::<TermsPage>(b"k".to_vec(), TermsPage::SCHEMA, b"{").is_err());
        assert!(decoded.0.lock().unwrap().young.is_empty());
    }
}
