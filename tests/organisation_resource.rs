//! The organisation resource: what members see and change of their organisation. Rows X15 to X22 of `docs/protocol.md`.

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sote_acme::acme::status::OrderStatus;
use sote_acme::client::relying_service::{OcspMethod, OcspStatus};
use sote_acme::client::{Account, ExternalAccount, OrderRequest, Registration, Response};
use sote_acme::model::Role;
use sote_acme::names::{OrganisationId, RevocationReason, SerialNumber};

use support::judge::{denied, problem, refused};
use support::{Ca, Issued, key};

/// Asks for a resource as an account and gives the answer, whatever it is.
async fn read(ca: &Ca, account: &Account, url: &str) -> Response {
    ca.forged(account, url).await.payload_octets(b"").send(ca).await
}

async fn post(ca: &Ca, account: &Account, url: &str, payload: Value) -> Response {
    ca.forged(account, url).await.payload(payload).send(ca).await
}

#[track_caller]
fn body(response: &Response, status: u16) -> Value {
    assert_eq!(response.status, status, "{}", String::from_utf8_lossy(&response.body));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(response.links("index")[0].ends_with("/organisation/directory"));
    serde_json::from_slice(&response.body).unwrap()
}

async fn shown(ca: &Ca, account: &Account, url: &str) -> Value {
    body(&read(ca, account, url).await, 200)
}

async fn changed(ca: &Ca, account: &Account, url: &str, payload: Value) -> Value {
    body(&post(ca, account, url, payload).await, 200)
}

/// The error type's whole URI.
#[track_caller]
fn own_refusal(ca: &Ca, response: Response, name: &str) {
    let problem = problem(&response);
    assert_eq!((response.status, problem.kind), (409, format!("{}/errors/{name}", ca.base())));
}

/// An account that an officer invited with this role.
async fn member(ca: &Ca, role: Role) -> Account {
    let external = ca.invite(|invitation| (invitation.role, invitation.uses) = (role, 1)).await;
    ca.register_with(&external).await.unwrap()
}

async fn administrator(ca: &Ca) -> Account {
    member(ca, Role::Administrator).await
}

/// The URL of an account's organisation.
async fn organisation(account: &Account) -> String {
    account.object().await.unwrap().organization.unwrap()
}

fn last(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// The URL of an account as a member.
async fn as_member(account: &Account) -> String {
    format!("{}/members/{}", organisation(account).await, last(account.url()))
}

/// All items of a list, page by page, and how many pages there were.
async fn all(ca: &Ca, account: &Account, url: &str, name: &str) -> (Vec<String>, usize) {
    let (mut items, mut pages, mut next) = (Vec::new(), 0, Some(url.to_owned()));
    while let Some(url) = next {
        let page = read(ca, account, &url).await;
        let list = body(&page, 200);
        items.extend(list[name].as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()));
        pages += 1;
        next = page.links("next").into_iter().next();
    }
    (items, pages)
}

async fn listed(ca: &Ca, account: &Account, url: &str, name: &str) -> Vec<String> {
    all(ca, account, url, name).await.0
}

/// An invitation that an administrator makes, with its credentials.
async fn invited(ca: &Ca, administrator: &Account, payload: Value) -> (Value, ExternalAccount) {
    let url = format!("{}/invitations", organisation(administrator).await);
    let response = post(ca, administrator, &url, payload).await;
    let mut made = body(&response, 201);
    made["url"] = response.header("location").unwrap().into();
    let binding = &made["externalAccountBinding"];
    let text = |name: &str| binding[name].as_str().unwrap();
    let external = ExternalAccount::new(text("kid"), text("hmacKey")).unwrap();
    (made, external)
}

async fn version(ca: &Ca, account: &Account, url: &str) -> u64 {
    shown(ca, account, url).await["version"].as_u64().unwrap()
}

/// A member's URL and what removes it.
async fn removal(ca: &Ca, administrator: &Account, member: &Account) -> (String, Value) {
    let url = as_member(member).await;
    let version = version(ca, administrator, &url).await;
    (url, json!({ "status": "removed", "reason": "left the project", "version": version }))
}

/// Removes a member and gives what the server says.
async fn removed(ca: &Ca, administrator: &Account, member: &Account, cascade: bool) -> Response {
    let (url, mut payload) = removal(ca, administrator, member).await;
    payload["cascade"] = cascade.into();
    post(ca, administrator, &url, payload).await
}

fn serial(issued: &Issued) -> SerialNumber {
    issued.chain.renewal_id().unwrap().serial_number().clone()
}

#[tokio::test]
async fn a_member_finds_its_organisation_by_its_account() {
    let ca = Ca::start().await;
    let account = administrator(&ca).await;
    let url = organisation(&account).await;
    let object = shown(&ca, &account, &url).await;
    assert_eq!(object["status"], "valid");
    assert_eq!(object["identifier"], json!({ "type": "organization-id", "value": "NTRFI-9990001-6" }));
    assert_eq!(object["name"], json!({ "fi": "Esimerkin hyvinvointialue", "sv": "Exempels välfärdsområde" }));
    assert!(object["units"].as_array().unwrap().len() > 1);
    assert_eq!((&object["method"], &object["role"]), (&json!("registration-officer"), &json!("administrator")));
    for list in ["members", "invitations", "orders", "certificates", "revocations", "events"] {
        assert_eq!(object[list], format!("{url}/{list}"));
    }
    ca.suspend_organisation("under investigation").await;
    let object = shown(&ca, &account, &url).await;
    assert_eq!((&object["status"], &object["reason"]), (&json!("suspended"), &json!("under investigation")));
    let registration = Registration { terms_agreed: true, ..Registration::default() };
    let unbound = ca.organisation_client().register(key(), &registration).await.unwrap();
    assert_eq!(unbound.object().await.unwrap().organization, None);
}

// X15
#[tokio::test]
async fn the_secret_of_an_invitation_is_in_the_answer_that_made_it_and_nowhere_else() {
    let ca = Ca::start().await;
    let administrator = administrator(&ca).await;
    let payload =
        json!({ "role": "technical-contact", "contact": "mailto:it@supplier.test", "dnsZones": ["hospital.test"] });
    let (made, external) = invited(&ca, &administrator, payload).await;
    let url = made["url"].as_str().unwrap();
    let binding = &made["externalAccountBinding"];
    let key = binding["hmacKey"].as_str().unwrap();
    assert_eq!((&binding["alg"], &binding["directory"]), (&json!("HS256"), &json!(format!("{}/directory", ca.base()))));
    let expected =
        format!("certbot register --server {}/directory --eab-kid {} --eab-hmac-key {key}", ca.base(), external.kid());
    assert_eq!(made["commands"]["certbot"], expected);
    assert_eq!((&made["status"], &made["maxUses"], &made["usesLeft"]), (&json!("pending"), &json!(1), &json!(1)));

    let account = ca.register_with(&external).await.unwrap();
    let later = shown(&ca, &administrator, url).await;
    assert!(later.get("externalAccountBinding").is_none() && later.get("commands").is_none());
    assert!(!later.to_string().contains(key));
    assert_eq!((&later["status"], &later["members"]), (&json!("redeemed"), &json!([as_member(&account).await])));
    for page in [format!("{}/invitations", organisation(&administrator).await), as_member(&account).await] {
        assert!(!shown(&ca, &administrator, &page).await.to_string().contains(key));
    }
    denied(ca.register_with(&external).await, 403, "unauthorized");
    // Its limits hold.
    assert!(account.order(&OrderRequest::of_names(["www.hospital.test"])).await.is_ok());
    denied(account.order(&OrderRequest::of_names(["www.other.test"])).await, 403, "rejectedIdentifier");
}

/// One deed by POST or POST-as-GET, and who may do it. A write that is allowed is refused for another reason, so that the
/// matrix changes nothing.
struct Probe {
    path: String,
    payload: Option<Value>,
    allowed: &'static [Role],
    /// What those get who may.
    answer: u16,
}

fn probes(account: &str, invitation: &str) -> Vec<Probe> {
    use Role::{Administrator as A, Auditor as S, TechnicalContact as T};
    let reads = |path: &str, allowed| Probe { path: path.to_owned(), payload: None, allowed, answer: 200 };
    let writes = |path: String, payload, allowed, answer| Probe { path, payload: Some(payload), allowed, answer };
    vec![
        reads("", &[A, T, S]),
        reads("/members", &[A, S]),
        reads(&format!("/members/{account}"), &[A, S]),
        reads("/invitations", &[A, S]),
        reads(&format!("/invitations/{invitation}"), &[A, S]),
        reads("/orders", &[A, T, S]),
        reads("/certificates", &[A, T, S]),
        reads("/revocations", &[A, T, S]),
        reads("/events", &[A, S]),
        writes(String::new(), json!({ "termsOfServiceAgreed": "none", "version": 1 }), &[A], 400),
        writes(format!("/members/{account}"), json!({ "role": "auditor", "version": 999 }), &[A], 409),
        writes(format!("/members/{account}"), json!({ "status": "valid", "version": 999 }), &[A], 409),
        writes(format!("/members/{account}"), json!({ "status": "removed", "version": 999 }), &[A], 409),
        writes(format!("/members/{account}"), json!({ "status": "removed", "dryRun": true }), &[A], 200),
        writes("/invitations".into(), json!({ "role": "auditor", "maxUses": 0 }), &[A], 400),
        writes(format!("/invitations/{invitation}"), json!({ "status": "revoked", "version": 999 }), &[A], 409),
        writes(format!("/invitations/{invitation}"), json!({ "status": "revoked", "dryRun": true }), &[A], 200),
        writes("/revocations".into(), json!({ "serial": "0A" }), &[A, T], 404),
    ]
}

// X16
#[tokio::test]
async fn each_role_does_what_the_table_says_and_is_told_which_role_it_lacks() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let target = member(&ca, Role::TechnicalContact).await;
    let (made, _) = invited(&ca, &boss, json!({ "role": "auditor" })).await;
    let base = organisation(&boss).await;
    for role in Role::ALL {
        let account = member(&ca, role).await;
        for probe in probes(last(target.url()), last(made["url"].as_str().unwrap())) {
            let url = format!("{base}{}", probe.path);
            let answer = match &probe.payload {
                Some(payload) => post(&ca, &account, &url, payload.clone()).await,
                None => read(&ca, &account, &url).await,
            };
            if probe.allowed.contains(&role) {
                assert_eq!(answer.status, probe.answer, "{role} {url} {}", String::from_utf8_lossy(&answer.body));
            } else {
                let problem = refused(answer, 403, "unauthorized");
                assert!(problem.detail.contains("administrator"), "{role} {url} {problem}");
            }
        }
    }
}

// X16: own things and a colleague's.
#[tokio::test]
async fn a_technical_contact_sees_and_revokes_its_own_certificates_only() {
    let ca = Ca::start().await;
    let (boss, auditor) = (administrator(&ca).await, member(&ca, Role::Auditor).await);
    let (one, other) = (ca.account().await, ca.account().await);
    let base = organisation(&boss).await;
    let (own, theirs) = (ca.issue(&one, &["a.test"]).await, ca.issue(&other, &["b.test"]).await);
    let url = format!("{base}/certificates");
    let of_one = listed(&ca, &one, &url, "certificates").await;
    let of_boss = listed(&ca, &boss, &url, "certificates").await;
    assert_eq!((of_one.len(), of_boss.len()), (1, 2));
    assert_eq!(listed(&ca, &auditor, &url, "certificates").await, of_boss);
    let foreign = of_boss.iter().find(|url| !of_one.contains(url)).unwrap();

    // What is a colleague's looks as if it were not there.
    let unknown = foreign.replace(last(foreign), &OrganisationId::mint(ca.now()).to_string());
    let payload = json!({ "status": "revoked", "reason": 4 });
    for asked in [foreign, &unknown] {
        refused(read(&ca, &one, asked).await, 404, "malformed");
        refused(post(&ca, &one, asked, payload.clone()).await, 404, "malformed");
    }
    let revocations = format!("{base}/revocations");
    let by_serial = |issued: &Issued| json!({ "serial": serial(issued).to_string() });
    refused(post(&ca, &one, &revocations, by_serial(&theirs)).await, 404, "malformed");
    refused(post(&ca, &auditor, &revocations, by_serial(&theirs)).await, 403, "unauthorized");
    refused(post(&ca, &auditor, foreign, payload.clone()).await, 403, "unauthorized");
    assert!(ca.is_good(&theirs.chain, "b.test").await);

    assert_eq!(changed(&ca, &one, &of_one[0], payload).await["status"], "revoked");
    body(&post(&ca, &boss, &revocations, by_serial(&theirs)).await, 201);
    assert!(!ca.is_good(&own.chain, "a.test").await && !ca.is_good(&theirs.chain, "b.test").await);
    assert_eq!(listed(&ca, &one, &revocations, "revocations").await.len(), 1);
    assert_eq!(listed(&ca, &auditor, &revocations, "revocations").await.len(), 2);
}

/// The status, the names of the headers and the problem.
fn shape(response: &Response) -> (u16, Vec<String>, String) {
    let mut names: Vec<_> = response.headers.keys().map(ToString::to_string).collect();
    names.sort();
    (response.status, names, String::from_utf8_lossy(&response.body).into_owned())
}

// X17
#[tokio::test]
async fn another_organisation_looks_exactly_like_nothing_whatever_is_asked_of_it() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let target = member(&ca, Role::TechnicalContact).await;
    let (made, _) = invited(&ca, &boss, json!({ "role": "auditor" })).await;
    let issued = ca.issue(&target, &["a.test"]).await;
    let base = organisation(&boss).await;
    let certificate = listed(&ca, &boss, &format!("{base}/certificates"), "certificates").await.remove(0);
    let stranger = ca.account_of_another_organisation().await;
    let registration = Registration { terms_agreed: true, ..Registration::default() };
    let unbound = ca.organisation_client().register(key(), &registration).await.unwrap();
    let nothing = format!("{}/organisation/nothing", ca.base());
    let mut asked: Vec<(String, Value)> = probes(last(target.url()), last(made["url"].as_str().unwrap()))
        .into_iter()
        .map(|probe| (probe.path, probe.payload.unwrap_or(Value::Null)))
        .collect();
    let record = certificate.strip_prefix(&base).unwrap().to_owned();
    asked.extend([
        (record.clone(), Value::Null),
        (record, json!({ "status": "revoked" })),
        ("/revocations".to_owned(), json!({ "serial": serial(&issued).to_string() })),
        ("/certificates?status=odd".to_owned(), Value::Null),
        ("/members".to_owned(), json!({ "no": "form" })),
    ]);
    for account in [&stranger, &unbound] {
        for (path, payload) in &asked {
            let octets = if payload.is_null() { Vec::new() } else { payload.to_string().into_bytes() };
            let url = format!("{base}{path}");
            let theirs = ca.forged(account, &url).await.payload_octets(&octets).send(&ca).await;
            let unknown = ca.forged(account, &nothing).await.payload_octets(&octets).send(&ca).await;
            assert_eq!(shape(&theirs), shape(&unknown), "{url}");
            refused(theirs, 404, "malformed");
        }
    }
    assert!(ca.is_good(&issued.chain, "a.test").await);
}

// X18
#[tokio::test]
async fn a_serial_number_in_any_spelling_revokes_and_everyone_learns_it() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let account = ca.account().await;
    let revocations = format!("{}/revocations", organisation(&boss).await);
    let spellings: [fn(&SerialNumber) -> String; 5] = [
        |serial| serial.to_string(),
        |serial| serial.to_string().to_lowercase(),
        |serial| format!("0000{serial}"),
        |serial| {
            let octets: Vec<_> = serial.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
            octets.join(":")
        },
        |serial| serial.as_bytes().iter().fold(0u128, |number, octet| number << 8 | u128::from(*octet)).to_string(),
    ];
    for spelling in spellings {
        let issued = ca.issue(&account, &["a.test"]).await;
        let text = spelling(&serial(&issued));
        let payload = json!({ "serial": text, "reason": 4, "comment": "server retired" });
        let answer = post(&ca, &boss, &revocations, payload.clone()).await;
        let revocation = body(&answer, 201);
        assert_eq!((&revocation["serial"], &revocation["reason"]), (&json!(serial(&issued).to_string()), &json!(4)));
        assert_eq!(revocation["comment"], "server retired");
        assert_eq!(revocation["by"]["account"], boss.url());
        let service = ca.relying_service();
        let chain = service.verified(issued.chain.certificates(), "a.test", ca.now()).unwrap();
        let status = service.ocsp(&chain, OcspMethod::PostWithNonce, ca.now()).await.unwrap().status;
        assert!(matches!(status, OcspStatus::Revoked { reason: Some(RevocationReason::Superseded), .. }), "{text}");
        assert!(ca.published_lists(&chain).await[0].entry.is_some());
        ca.settle().await;
        let url = answer.header("location").unwrap().to_owned();
        let completed = shown(&ca, &boss, &url).await;
        assert_eq!(completed["status"], "completed");
        assert!(completed["crlNumber"].as_u64().is_some() && completed["crl"].as_str().unwrap().ends_with(".crl"));
        let record = shown(&ca, &boss, completed["certificate"].as_str().unwrap()).await;
        assert_eq!((&record["status"], &record["revocation"]), (&json!("revoked"), &json!(url)));
        refused(post(&ca, &boss, &revocations, payload).await, 400, "alreadyRevoked");
    }
}

// X18
#[tokio::test]
async fn a_serial_number_that_is_unknown_or_somebody_elses_is_not_found() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let stranger = ca.account_of_another_organisation().await;
    let theirs = ca.issue(&stranger, &["a.test"]).await;
    let revocations = format!("{}/revocations", organisation(&boss).await);
    let foreign = post(&ca, &boss, &revocations, json!({ "serial": serial(&theirs).to_string() })).await;
    let unknown = post(&ca, &boss, &revocations, json!({ "serial": SerialNumber::mint(ca.now()).to_string() })).await;
    assert_eq!(shape(&foreign), shape(&unknown));
    refused(foreign, 404, "malformed");
    for bad in ["", "0", "xyz", "-1", "1.5"] {
        refused(post(&ca, &boss, &revocations, json!({ "serial": bad })).await, 400, "malformed");
    }
    assert!(ca.is_good(&theirs.chain, "a.test").await);
}

// X20
#[tokio::test]
async fn only_the_reasons_of_a_holder_are_accepted_by_serial_number_too() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let account = ca.account().await;
    let revocations = format!("{}/revocations", organisation(&boss).await);
    let issued = ca.issue(&account, &["a.test"]).await;
    let revoking = |issued: &Issued, reason: Value| json!({ "serial": serial(issued).to_string(), "reason": reason });
    for reason in [json!(2), json!(6), json!(7), json!(8), json!(9), json!(10), json!(11), json!(-1), json!("1")] {
        let answer = post(&ca, &boss, &revocations, revoking(&issued, reason)).await;
        refused(answer, 400, "badRevocationReason");
    }
    assert!(ca.is_good(&issued.chain, "a.test").await);
    for reason in [Value::Null, json!(0), json!(1), json!(3), json!(4), json!(5)] {
        let issued = ca.issue(&account, &["a.test"]).await;
        let revocation = body(&post(&ca, &boss, &revocations, revoking(&issued, reason.clone())).await, 201);
        assert_eq!(revocation["reason"], reason.as_u64().unwrap_or(0));
    }
}

// X21
#[tokio::test]
async fn pages_are_stable_while_the_list_grows() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let url = format!("{}/invitations", organisation(&boss).await);
    for _ in 0..210 {
        ca.invite(|_| {}).await;
    }
    let before: Vec<String> = listed(&ca, &boss, &url, "invitations").await;
    let first = read(&ca, &boss, &url).await;
    let next = first.links("next").remove(0);
    assert!(next.starts_with(&format!("{url}?cursor=")), "{next}");
    for _ in 0..5 {
        ca.invite(|_| {}).await;
    }
    let page = |response: &Response| -> Vec<String> {
        serde_json::from_value(body(response, 200)["invitations"].clone()).unwrap()
    };
    let again = read(&ca, &boss, &url).await;
    assert_eq!((page(&again), again.links("next")), (page(&first), first.links("next")));
    let (rest, pages) = all(&ca, &boss, &next, "invitations").await;
    assert_eq!(pages, 2);
    let seen: Vec<String> = page(&first).into_iter().chain(rest).collect();
    assert_eq!(seen[..before.len()], before[..]);
    assert_eq!(seen.len(), before.len() + 5);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
    refused(read(&ca, &boss, &format!("{url}?cursor=%")).await, 400, "malformed");
    refused(read(&ca, &boss, &format!("{url}?page=2")).await, 400, "malformed");
}

// X22
#[tokio::test]
async fn the_last_administrator_is_neither_removed_nor_given_another_role() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    own_refusal(&ca, removed(&ca, &boss, &boss, false).await, "lastAdministrator");
    let url = as_member(&boss).await;
    let role = json!({ "role": "auditor", "version": version(&ca, &boss, &url).await });
    own_refusal(&ca, post(&ca, &boss, &url, role).await, "lastAdministrator");
    let page = ca.get(&format!("{}/errors/lastAdministrator", ca.base())).await;
    assert_eq!(page.status, 200);

    let other = administrator(&ca).await;
    assert_eq!(removed(&ca, &other, &boss, false).await.status, 200);
    refused(read(&ca, &boss, &organisation(&other).await).await, 403, "unauthorized");
    own_refusal(&ca, removed(&ca, &other, &other, false).await, "lastAdministrator");
}

// X22
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_administrators_who_remove_each_other_at_once_never_both_succeed() {
    let ca = Ca::start().await;
    let keeper = administrator(&ca).await;
    for round in 0..50 {
        let (one, other) = (administrator(&ca).await, administrator(&ca).await);
        let (of_one, of_other) = (removal(&ca, &keeper, &one).await, removal(&ca, &keeper, &other).await);
        let (first, second) =
            tokio::join!(post(&ca, &one, &of_other.0, of_other.1), post(&ca, &other, &of_one.0, of_one.1));
        let mut statuses = [first.status, second.status];
        statuses.sort();
        assert_eq!(statuses, [200, 403], "round {round}");
        let left = if first.status == 200 { &one } else { &other };
        assert_eq!(removed(&ca, &keeper, left, false).await.status, 200);
    }
}

#[tokio::test]
async fn a_removed_member_is_stopped_and_its_certificates_live() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let mut open = ca.order(&account, &["b.test"]).await;
    let url = as_member(&account).await;
    let preview = changed(&ca, &boss, &url, json!({ "status": "removed", "dryRun": true })).await;
    assert_eq!((&preview["stopped"], preview["certificates"].as_array().unwrap().len()), (&json!([url]), 1));
    assert_eq!(shown(&ca, &boss, &url).await["status"], "valid", "a dry run changes nothing");

    let member = body(&removed(&ca, &boss, &account, false).await, 200);
    assert_eq!((&member["status"], &member["reason"]), (&json!("removed"), &json!("left the project")));
    let refusal = denied(account.order(&OrderRequest::of_names(["a.test"])).await, 403, "unauthorized");
    assert!(refusal.detail.contains("left the project"), "{refusal}");
    assert_eq!(open.refresh().await.unwrap(), OrderStatus::Invalid);
    refused(read(&ca, &account, &organisation(&account).await).await, 403, "unauthorized");
    assert!(ca.is_good(&issued.chain, "a.test").await);
    assert!(!listed(&ca, &boss, &format!("{}/members", organisation(&boss).await), "members").await.contains(&url));
}

#[tokio::test]
async fn a_removed_administrators_invitations_are_spent_no_more_and_their_accounts_go_on_unless_it_cascades() {
    let ca = Ca::start().await;
    let (boss, leaving) = (administrator(&ca).await, administrator(&ca).await);
    let (made, external) = invited(&ca, &leaving, json!({ "role": "technical-contact", "maxUses": 5 })).await;
    let account = ca.register_with(&external).await.unwrap();
    let issued = ca.issue(&account, &["a.test"]).await;
    let url = as_member(&leaving).await;
    let invitation = made["url"].as_str().unwrap();

    let preview = changed(&ca, &boss, &url, json!({ "status": "removed", "dryRun": true })).await;
    assert_eq!(preview["stopped"], json!([url]));
    assert_eq!(
        (&preview["invited"], &preview["invitations"]),
        (&json!([as_member(&account).await]), &json!([invitation]))
    );
    assert_eq!(preview["certificates"], json!([]));
    let preview = changed(&ca, &boss, &url, json!({ "status": "removed", "cascade": true, "dryRun": true })).await;
    assert_eq!(preview["stopped"], json!([url, as_member(&account).await]));
    assert_eq!(preview["certificates"].as_array().unwrap().len(), 1);

    body(&removed(&ca, &boss, &leaving, false).await, 200);
    denied(ca.register_with(&external).await, 403, "unauthorized");
    assert_eq!(shown(&ca, &boss, invitation).await["status"], "closed");
    assert!(account.order(&OrderRequest::of_names(["a.test"])).await.is_ok());

    // The cascade can follow later.
    body(&removed(&ca, &boss, &leaving, true).await, 200);
    assert_eq!(shown(&ca, &boss, invitation).await["status"], "revoked");
    assert_eq!(shown(&ca, &boss, &as_member(&account).await).await["status"], "stopped");
    denied(account.order(&OrderRequest::of_names(["a.test"])).await, 403, "unauthorized");
    assert!(ca.is_good(&issued.chain, "a.test").await);
}

#[tokio::test]
async fn a_revoked_invitation_stops_the_accounts_that_it_created() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let (made, external) = invited(&ca, &boss, json!({ "role": "technical-contact", "maxUses": 5 })).await;
    let account = ca.register_with(&external).await.unwrap();
    let url = made["url"].as_str().unwrap();
    let preview = changed(&ca, &boss, url, json!({ "status": "revoked", "dryRun": true })).await;
    assert_eq!((&preview["stopped"], &preview["invitations"]), (&json!([as_member(&account).await]), &json!([url])));
    let version = version(&ca, &boss, url).await;
    let revoked = json!({ "status": "revoked", "reason": "the key leaked", "version": version });
    let invitation = changed(&ca, &boss, url, revoked).await;
    assert_eq!((&invitation["status"], &invitation["reason"]), (&json!("revoked"), &json!("the key leaked")));
    denied(account.order(&OrderRequest::of_names(["a.test"])).await, 403, "unauthorized");
    denied(ca.register_with(&external).await, 403, "unauthorized");
    assert_eq!(shown(&ca, &boss, &as_member(&account).await).await["status"], "stopped");
}

#[tokio::test]
async fn a_demoted_administrator_invites_nobody_any_more() {
    let ca = Ca::start().await;
    let (boss, other) = (administrator(&ca).await, administrator(&ca).await);
    let (_, external) = invited(&ca, &other, json!({ "role": "technical-contact" })).await;
    let url = as_member(&other).await;
    let version = version(&ca, &boss, &url).await;
    let member = changed(&ca, &boss, &url, json!({ "role": "auditor", "version": version })).await;
    assert_eq!((&member["role"], &member["status"]), (&json!("auditor"), &json!("valid")));
    denied(ca.register_with(&external).await, 403, "unauthorized");
    denied(other.order(&OrderRequest::of_names(["a.test"])).await, 403, "unauthorized");
    let version = member["version"].clone();
    refused(post(&ca, &boss, &url, json!({ "role": "administrator", "version": version })).await, 400, "malformed");
}

#[tokio::test]
async fn no_invitation_exceeds_the_limits_of_whoever_makes_it() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let url = format!("{}/invitations", organisation(&boss).await);
    let now = ca.now();
    for payload in [
        json!({ "role": "technical-contact", "dnsZones": ["fi"] }),
        json!({ "role": "technical-contact", "dnsZones": ["*"] }),
        json!({ "role": "technical-contact", "profiles": ["sote-short"] }),
        json!({ "role": "technical-contact", "profiles": ["Not a profile"] }),
        json!({ "role": "technical-contact", "unit": "1.2.246.10.12345671.10.0" }),
        json!({ "role": "technical-contact", "units": ["1.2.246.10.99900016.10.0"] }),
        json!({ "role": "technical-contact", "maxUses": 0 }),
        json!({ "role": "technical-contact", "maxUses": 1001 }),
        json!({ "role": "technical-contact", "expires": now.plus(-1) }),
        json!({ "role": "technical-contact", "expires": now.plus(400 * 86_400) }),
        json!({ "role": "technical-contact", "contact": "mailto:a@b.test,c@d.test" }),
        json!({ "role": "administrator", "maxUses": 2 }),
        json!({ "role": "administrator", "expires": now.plus(15 * 86_400) }),
        json!({ "role": "owner" }),
        json!({ "role": "auditor", "dnszones": [] }),
        json!({ "role": "auditor", "idempotencyKey": "" }),
        json!({}),
    ] {
        let answer = post(&ca, &boss, &url, payload.clone()).await;
        assert_eq!(answer.status, 400, "{payload}");
        problem(&answer);
    }
    let (made, _) =
        invited(&ca, &boss, json!({ "role": "technical-contact", "dnsZones": ["a.test"], "maxUses": 10 })).await;
    assert_eq!((&made["dnsZones"], &made["profiles"]), (&json!(["a.test"]), &json!(["sote-server"])));
    assert_eq!((&made["maxUses"], &made["invitedBy"]), (&json!(10), &json!(as_member(&boss).await)));
    ca.suspend_organisation("under investigation").await;
    refused(post(&ca, &boss, &url, json!({ "role": "auditor" })).await, 403, "unauthorized");
}

#[tokio::test]
async fn who_is_invited_with_confirmation_waits_for_an_administrator() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let (_, external) = invited(&ca, &boss, json!({ "role": "technical-contact", "requireConfirmation": true })).await;
    let account = ca.register_with(&external).await.unwrap();
    let refusal = denied(account.order(&OrderRequest::of_names(["a.test"])).await, 403, "unauthorized");
    assert!(refusal.detail.contains("waits"), "{refusal}");
    refused(read(&ca, &account, &organisation(&account).await).await, 403, "unauthorized");
    let url = as_member(&account).await;
    let waiting = shown(&ca, &boss, &url).await;
    assert_eq!(waiting["status"], "pending");
    let admitted = changed(&ca, &boss, &url, json!({ "status": "valid", "version": waiting["version"] })).await;
    assert_eq!(admitted["status"], "valid");
    assert!(account.order(&OrderRequest::of_names(["a.test"])).await.is_ok());
}

#[tokio::test]
async fn an_invited_administrator_waits_until_it_has_proved_the_organisation_or_an_officer_confirms() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let (_, external) = invited(&ca, &boss, json!({ "role": "administrator" })).await;
    let account = ca.register_with(&external).await.unwrap();
    refused(read(&ca, &account, &organisation(&account).await).await, 403, "unauthorized");
    let url = as_member(&account).await;
    let version = version(&ca, &boss, &url).await;
    refused(post(&ca, &boss, &url, json!({ "status": "valid", "version": version })).await, 403, "unauthorized");
    // It does not count as one: the other one is still the last.
    own_refusal(&ca, removed(&ca, &boss, &boss, false).await, "lastAdministrator");
}

#[tokio::test]
async fn a_change_of_what_has_changed_meanwhile_is_a_conflict() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let account = ca.account().await;
    let url = as_member(&account).await;
    let version = version(&ca, &boss, &url).await;
    let change = |role: &str| json!({ "role": role, "version": version });
    assert_eq!(changed(&ca, &boss, &url, change("auditor")).await["role"], "auditor");
    own_refusal(&ca, post(&ca, &boss, &url, change("technical-contact")).await, "conflict");
    refused(post(&ca, &boss, &url, json!({ "role": "technical-contact" })).await, 400, "malformed");
    let both = json!({ "role": "auditor", "status": "removed", "version": version });
    refused(post(&ca, &boss, &url, both).await, 400, "malformed");
    assert_eq!(ca.get(&format!("{}/errors/conflict", ca.base())).await.status, 200);
}

#[tokio::test]
async fn a_creating_request_with_a_key_may_be_sent_again_for_a_day_and_makes_one_thing() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let other = administrator(&ca).await;
    let url = format!("{}/invitations", organisation(&boss).await);
    let payload = json!({ "role": "technical-contact", "idempotencyKey": "7f0c2a" });
    let (first, again) = (post(&ca, &boss, &url, payload.clone()).await, post(&ca, &boss, &url, payload.clone()).await);
    assert_eq!(body(&first, 201), body(&again, 201));
    assert_eq!(first.header("location"), again.header("location"));
    let different = json!({ "role": "auditor", "idempotencyKey": "7f0c2a" });
    own_refusal(&ca, post(&ca, &boss, &url, different.clone()).await, "conflict");
    // Another account's keys are its own.
    assert_eq!(post(&ca, &other, &url, different.clone()).await.status, 201);
    ca.advance(86_401);
    assert_eq!(post(&ca, &boss, &url, different).await.status, 201);

    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let revocations = format!("{}/revocations", organisation(&boss).await);
    let payload = json!({ "serial": serial(&issued).to_string(), "idempotencyKey": "r1" });
    let (first, again) =
        (post(&ca, &boss, &revocations, payload.clone()).await, post(&ca, &boss, &revocations, payload).await);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.header("location"), again.header("location"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_requests_with_one_key_at_once_one_makes_something() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let url = format!("{}/invitations", organisation(&boss).await);
    let payload = json!({ "role": "auditor", "idempotencyKey": "k" });
    let send = || post(&ca, &boss, &url, payload.clone());
    let answers = tokio::join!(send(), send(), send(), send());
    let made: BTreeSet<String> = [answers.0, answers.1, answers.2, answers.3]
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 201);
            answer.header("location").unwrap().to_owned()
        })
        .collect();
    assert_eq!(made.len(), 1);
}

#[tokio::test]
async fn certificates_are_found_by_status_end_profile_unit_and_serial() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let account = ca.account().await;
    let url = format!("{}/certificates", organisation(&boss).await);
    let soon = ca.now().plus(86_400);
    let short = ca.obtained(&account, &OrderRequest::of_names(["a.test"]).not_after(soon)).await;
    let long = ca.issue(&account, &["b.test"]).await;
    let gone = ca.issue(&account, &["c.test"]).await;
    account.revoke(gone.chain.leaf(), Some(5)).await.unwrap();
    let record = |issued: &Issued| serial(issued).to_string();
    let found = async |query: &str| -> BTreeSet<String> {
        let mut serials = BTreeSet::new();
        for url in listed(&ca, &boss, &format!("{url}{query}"), "certificates").await {
            serials.insert(shown(&ca, &boss, &url).await["serial"].as_str().unwrap().to_owned());
        }
        serials
    };
    let set = |issued: &[&Issued]| issued.iter().map(|issued| record(issued)).collect::<BTreeSet<_>>();
    assert_eq!(found("").await, set(&[&short, &long, &gone]));
    assert_eq!(found("?status=valid").await, set(&[&short, &long]));
    assert_eq!(found("?status=revoked").await, set(&[&gone]));
    assert_eq!(found("?status=expired").await, set(&[]));
    assert_eq!(found(&format!("?expiresBefore={}", soon.plus(1))).await, set(&[&short]));
    assert_eq!(found(&format!("?expiresBefore={soon}")).await, set(&[]));
    assert_eq!(found("?profile=sote-server").await, set(&[&short, &long, &gone]));
    assert_eq!(found("?profile=other").await, set(&[]));
    assert_eq!(found("?unit=1.2.246.10.99900016.10.1").await, set(&[&short, &long, &gone]));
    assert_eq!(found("?unit=1.2.246.10.99900016.10.1&status=valid").await, set(&[&short, &long]));
    assert_eq!(found("?unit=1.2.246.10.99900016.10.0").await, set(&[]));
    assert_eq!(found(&format!("?serial={}", record(&long).to_lowercase())).await, set(&[&long]));
    assert_eq!(found(&format!("?serial={}&status=revoked", record(&long))).await, set(&[]));
    ca.advance(86_402);
    assert_eq!(found("?status=expired").await, set(&[&short]));
    assert_eq!(found("?status=valid").await, set(&[&long]));
    for bad in ["?status=odd", "?expiresBefore=yesterday", "?unit=x", "?serial=xyz", "?odd=1", "?unit=1.2.3&unit=1.2.3"]
    {
        refused(read(&ca, &boss, &format!("{url}{bad}")).await, 400, "malformed");
    }
}

#[tokio::test]
async fn the_record_of_a_certificate_tells_what_a_person_needs_to_know_it() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let account = ca.account().await;
    let issued = ca.issue(&account, &["a.test"]).await;
    let url =
        listed(&ca, &boss, &format!("{}/certificates", organisation(&boss).await), "certificates").await.remove(0);
    let record = shown(&ca, &boss, &url).await;
    assert_eq!(record["serial"], serial(&issued).to_string());
    assert_eq!(record["ariCertID"], issued.chain.renewal_id().unwrap().to_string());
    assert_eq!(record["identifiers"], json!([{ "type": "dns", "value": "a.test" }]));
    assert_eq!((&record["account"], &record["order"]), (&json!(account.url()), &json!(issued.order.url())));
    assert!(record["subject"].as_str().unwrap().contains("Esimerkin keskussairaala"), "{record}");
    let (not_before, not_after) = issued.validity();
    assert_eq!((&record["notBefore"], &record["notAfter"]), (&json!(not_before), &json!(not_after)));
    // Who sees the record can download what it is about.
    let downloaded = boss.fetch(record["certificate"].as_str().unwrap()).await.unwrap();
    assert_eq!(downloaded.body, issued.chain.pem().as_bytes());
    refused(read(&ca, &ca.account().await, record["certificate"].as_str().unwrap()).await, 404, "malformed");
}

#[tokio::test]
async fn those_who_look_after_the_organisation_follow_every_order_and_others_their_own() {
    let ca = Ca::start().await;
    let (boss, auditor) = (administrator(&ca).await, member(&ca, Role::Auditor).await);
    let (one, other) = (ca.account().await, ca.account().await);
    let (issued, pending) = (ca.issue(&one, &["a.test"]).await, ca.order(&other, &["b.test"]).await);
    let url = format!("{}/orders", organisation(&boss).await);
    let both = vec![issued.order.url().to_owned(), pending.url().to_owned()];
    assert_eq!(listed(&ca, &boss, &url, "orders").await, both);
    assert_eq!(listed(&ca, &auditor, &url, "orders").await, both);
    assert_eq!(listed(&ca, &one, &url, "orders").await, both[..1]);
    assert_eq!(listed(&ca, &boss, &format!("{url}?status=pending"), "orders").await, both[1..]);
    assert_eq!(listed(&ca, &boss, &format!("{url}?status=valid"), "orders").await, both[..1]);
    refused(read(&ca, &boss, &format!("{url}?status=odd")).await, 400, "malformed");
    for account in [&boss, &auditor] {
        let order = account.order_at(pending.url()).await.unwrap();
        assert_eq!(order.object(), pending.object());
        assert!(!order.object().progress.is_empty());
    }
    // Following is all that they may do.
    refused(post(&ca, &boss, &pending.object().finalize, json!({ "csr": "MAA" })).await, 404, "malformed");
    refused(read(&ca, &one, pending.url()).await, 404, "malformed");
}

#[tokio::test]
async fn events_tell_who_did_what_and_grow_at_their_end() {
    let ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let url = format!("{}/events", organisation(&boss).await);
    let (_, external) = invited(&ca, &boss, json!({ "role": "technical-contact" })).await;
    let account = ca.register_with(&external).await.unwrap();
    let issued = ca.issue(&account, &["a.test"]).await;
    account.revoke(issued.chain.leaf(), Some(4)).await.unwrap();
    let account = account.change_key(key()).await.unwrap();
    body(&removed(&ca, &boss, &account, false).await, 200);
    ca.suspend_organisation("by request").await;
    let events = shown(&ca, &boss, &url).await["events"].as_array().unwrap().clone();
    let words: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let wanted = [
        "organisation-added",
        "invitation-created",
        "member-joined",
        "invitation-created",
        "member-joined",
        "certificate-revoked",
        "member-key-changed",
        "member-removed",
        "organisation-suspended",
    ];
    let mut left = words.iter();
    assert!(wanted.iter().all(|word| left.any(|found| found == word)), "{words:?}");
    let removal = events.iter().find(|event| event["event"] == "member-removed").unwrap();
    assert_eq!(removal["by"], json!({ "kind": "account", "account": boss.url() }));
    assert_eq!(removal["about"], json!([as_member(&account).await]));
    assert_eq!(removal["facts"]["reason"], "left the project");
    let suspension = events.last().unwrap();
    assert_eq!(suspension["by"], json!({ "kind": "officer" }), "an officer's name is not shown");
    let ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

#[tokio::test]
async fn an_administrator_agrees_to_new_terms_for_all_accounts() {
    let mut ca = Ca::start().await;
    let boss = administrator(&ca).await;
    let account = ca.account().await;
    let from = ca.now();
    ca.restart_with(move |config| {
        let mut terms = config.terms.clone().unwrap();
        (terms.version, terms.required_from) = ("2027-01".to_owned(), Some(from));
        config.terms = Some(terms);
    })
    .await;
    let (boss, account) = (ca.again(&boss), ca.again(&account));
    denied(account.order(&OrderRequest::of_names(["a.test"])).await, 403, "userActionRequired");
    let url = organisation(&boss).await;
    let object = shown(&ca, &boss, &url).await;
    assert_eq!(
        (&object["termsOfService"]["version"], object["termsOfService"].get("agreed")),
        (&json!("2027-01"), None)
    );
    let agreeing = |agreed: &str| json!({ "termsOfServiceAgreed": agreed, "version": object["version"] });
    refused(post(&ca, &boss, &url, agreeing("2026-01")).await, 400, "malformed");
    assert_eq!(changed(&ca, &boss, &url, agreeing("2027-01")).await["termsOfService"]["agreed"], "2027-01");
    assert!(account.order(&OrderRequest::of_names(["a.test"])).await.is_ok());
}
