//! What officers do, and records that no client sees.

use sote_acme::acme::status::OrderStatus;
use sote_acme::authority::Authority;
use sote_acme::authority::officers::invitations::{CreateInvitation, RevokeInvitation};
use sote_acme::authority::officers::organisations::{AddOrganisation, Suspend};
use sote_acme::authority::officers::register::Import;
use sote_acme::client::{Account, ExternalAccount};
use sote_acme::model::{Language, Order, Role};
use sote_acme::names::{AuthorizationId, BusinessId, OrderId, Zone};
use sote_acme::register::{self, Source};
use sote_acme::store::Store;
use sote_acme::time::Timestamp;

use super::Ca;

const OFFICER: &str = "test";
/// The trial's organisation and the unit in whose name its accounts order.
const ORGANISATION: &str = "9990001-6";
const TOP: &str = "1.2.246.10.99900016.10.0";
const UNIT: &str = "1.2.246.10.99900016.10.1";
const HEADER: &str =
    "oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to\n";

/// Another organisation.
const OTHER: &str = "1234567-1";
const OTHER_UNIT: &str = "1.2.246.10.12345671.10.0";

impl Ca {
    /// The decisions, as officers reach them.
    pub fn authority(&self) -> &Authority {
        self.trial().server.authority()
    }

    /// An invitation into the sample organisation, changed first.
    pub async fn invite(&self, change: impl FnOnce(&mut CreateInvitation)) -> ExternalAccount {
        self.invite_to(ORGANISATION, UNIT, change).await
    }

    async fn invite_to(
        &self,
        organisation: &str,
        unit: &str,
        change: impl FnOnce(&mut CreateInvitation),
    ) -> ExternalAccount {
        let mut invitation = CreateInvitation {
            business_id: organisation.parse().unwrap(),
            role: Role::TechnicalContact,
            unit: Some(unit.parse().unwrap()),
            units: Vec::new(),
            profiles: vec!["sote-server".parse().unwrap()],
            default_profile: None,
            zones: vec!["test".parse().unwrap()],
            uses: 100,
            lifetime: 86_400,
        };
        change(&mut invitation);
        let made = self.authority().create_invitation(OFFICER, invitation, self.now()).await.unwrap();
        ExternalAccount::new(&made.kid, &made.hmac_key).unwrap()
    }

    /// Revokes an invitation.
    pub async fn revoke_invitation(&self, kid: &str) {
        let request = RevokeInvitation { kid: kid.to_owned(), reason: "no longer needed".to_owned() };
        self.authority().revoke_invitation(OFFICER, request, self.now()).await.unwrap();
    }

    /// Suspends the sample organisation.
    pub async fn suspend_organisation(&self, reason: &str) {
        let request = Suspend { business_id: business_id(ORGANISATION), reason: reason.to_owned() };
        self.authority().suspend_organisation(OFFICER, request, self.now()).await.unwrap();
    }

    /// Lets the sample organisation go on.
    pub async fn resume_organisation(&self) {
        let request = Suspend { business_id: business_id(ORGANISATION), reason: "all is well".to_owned() };
        self.authority().resume_organisation(OFFICER, request, self.now()).await.unwrap();
    }

    /// An account of another organisation, which may have the same names.
    pub async fn account_of_another_organisation(&self) -> Account {
        let row = format!("{OTHER_UNIT},,{OTHER},Toinen Oy,,,Espoo,2 yksityinen,organisaatio,1900-01-01,2100-12-31\n");
        self.import(&row).await;
        let organisation = AddOrganisation {
            business_id: business_id(OTHER),
            language: Language::Fi,
            test: false,
            profiles: vec!["sote-server".parse().unwrap()],
            zones: vec![Zone::any()],
        };
        // Added once; further calls find it.
        let _ = self.authority().add_organisation(OFFICER, organisation, self.now()).await;
        let external = self.invite_to(OTHER, OTHER_UNIT, |_| {}).await;
        self.register_with(&external).await.unwrap()
    }

    /// Ends the register row of the sample unit.
    pub async fn end_unit(&self) {
        let rows = format!(
            "{TOP},,{ORGANISATION},Esimerkin hyvinvointialue,Exempels välfärdsområde,EHVA,Esimerkkilä,1 julkinen,toimintayksikkö,2023-01-01,2100-12-31\n\
             {UNIT},{TOP},,Esimerkin keskussairaala,Exempels centralsjukhus,EKS,Esimerkkilä,1 julkinen,palveluyksikkö,1900-01-01,2020-12-31\n"
        );
        self.import(&rows).await;
    }

    async fn import(&self, rows: &str) {
        let reading = register::read(Source::Csv, std::io::Cursor::new(format!("{HEADER}{rows}"))).unwrap();
        let import = Import { force: true, ..Import::of(reading) };
        let report = self.authority().import_register(OFFICER, import, self.now()).await.unwrap();
        assert_eq!(report.refused, []);
    }

    /// What the subject of the sample unit's certificates holds.
    pub fn expected_subject(&self) -> Vec<String> {
        ["C=FI", "O=Esimerkin hyvinvointialue", "OU=Esimerkin keskussairaala", "CN=a.test", UNIT]
            .map(str::to_owned)
            .to_vec()
    }

    /// The status of an order, whoever may read it.
    pub async fn stored_order_status(&self, url: &str) -> OrderStatus {
        let id: OrderId = url.rsplit('/').next().unwrap().parse().unwrap();
        let store: &dyn Store = self.trial().store().as_ref();
        let order = store.get::<Order>(&id).await.unwrap().unwrap();
        let account = self.authority().account(order.account).await.unwrap().unwrap();
        self.authority().order(&account, id, self.now()).await.unwrap().status
    }

    /// When the next attempt at an authorization is due.
    pub async fn stored_attempt_due(&self, url: &str) -> Timestamp {
        let id: AuthorizationId = url.rsplit('/').next().unwrap().parse().unwrap();
        self.authority().any_authorization(id).await.unwrap().unwrap().due().unwrap()
    }

    /// A certificate that nobody here made.
    pub fn foreign_certificate(&self) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }
}

fn business_id(text: &str) -> BusinessId {
    text.parse().unwrap()
}
