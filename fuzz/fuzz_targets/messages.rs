//! The payload of a request, read as every message that the server or the client takes; what is read is the same when it is
//! written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sote_acme::acme::json;
use sote_acme::acme::messages::{
    AccountObject, AccountUpdate, AuthorizationObject, AuthorizationUpdate, ChallengeAnswer, ChallengeObject,
    Directory, Finalize, KeyChange, NewAccount, NewAuthorization, NewOrder, OrderObject, OrdersList, RenewalInfo,
    Revocation,
};

fn read<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(text: &[u8]) {
    let Ok(message) = json::object::<T>(text) else { return };
    let written = serde_json::to_vec(&message).expect("it is written");
    assert_eq!(json::object::<T>(&written).expect("it reads what it writes"), message);
}

fuzz_target!(|text: &[u8]| {
    read::<AccountObject>(text);
    read::<AccountUpdate>(text);
    read::<AuthorizationObject>(text);
    read::<AuthorizationUpdate>(text);
    read::<ChallengeAnswer>(text);
    read::<ChallengeObject>(text);
    read::<Directory>(text);
    read::<Finalize>(text);
    read::<KeyChange>(text);
    read::<NewAccount>(text);
    read::<NewAuthorization>(text);
    read::<NewOrder>(text);
    read::<OrderObject>(text);
    read::<OrdersList>(text);
    read::<RenewalInfo>(text);
    if let Ok(revocation) = json::object::<Revocation>(text) {
        let _ = revocation.reason_code();
    }
    read::<Revocation>(text);
});
