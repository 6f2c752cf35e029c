//! How many connections a listener holds, in all and of one address. A slot is given back when it is dropped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rate_limits::network;

/// The connections of one listener.
pub(super) struct Slots {
    total: Arc<Semaphore>,
    of_address: usize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of an address.
pub(super) struct AddressSlot {
    slots: Arc<Slots>,
    network: IpAddr,
}

impl Slots {
    pub(super) fn new(total: usize, of_address: usize) -> Arc<Self> {
        let total = Arc::new(Semaphore::new(total.min(Semaphore::MAX_PERMITS)));
        Arc::new(Slots { total, of_address, addresses: Mutex::new(HashMap::new()) })
    }

    /// A place among all connections; waits until there is one. Taken before a connection is accepted, so that
    /// connections beyond the bound stay in the kernel's queue and cost nothing here.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.total).acquire_owned().await.ok()
    }

    /// A place among the connections of `address`, if it has one left.
    pub(super) fn of_address(self: &Arc<Self>, address: IpAddr) -> Option<AddressSlot> {
        let network = network(address);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let held = addresses.entry(network).or_insert(0);
        if *held >= self.of_address {
            return None;
        }
        *held += 1;
        Some(AddressSlot { slots: Arc::clone(self), network })
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut addresses = self.slots.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = addresses.get_mut(&self.network) {
            *held -= 1;
            if *held == 0 {
                addresses.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_as_many_connections_as_it_may_and_gets_dropped_ones_back() {
        let slots = Slots::new(10, 2);
        let address = "192.0.2.1".parse().unwrap();
        let first = slots.of_address(address).unwrap();
        let _second = slots.of_address(address).unwrap();
        assert!(slots.of_address(address).is_none());
        assert!(slots.of_address("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(slots.of_address(address).is_some());
    }

    #[test]
    fn an_address_without_a_connection_costs_no_memory() {
        let slots = Slots::new(10, 1);
        for n in 0..1000u32 {
            let slot = slots.of_address(IpAddr::from(n.to_be_bytes()));
            assert!(slot.is_some());
        }
        assert!(slots.addresses.lock().unwrap().is_empty());
    }
}
