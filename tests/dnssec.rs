//! DNSSEC as validation uses it: a signed zone under an anchor of its own, a zone below it that is not signed, and answers
//! that are not what the anchor promises. The server is written here, since it must also be wrong in chosen ways.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CAA, NS, SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, SerialNumber};
use hickory_resolver::proto::dnssec::crypto::EcdsaSigningKey;
use hickory_resolver::proto::dnssec::rdata::sig::SigInput;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::dnssec::{Algorithm, DnssecSigner, SigningKey, TBS};
use rustls::pki_types::PrivatePkcs8KeyDer;
use sote_acme::acme::challenge_type::ChallengeType;
use sote_acme::acme::identifier::Identifier;
use sote_acme::acme::problem::ProblemKind;
use sote_acme::commands::dns_responder::{DnsResponder, ResponderSettings};
use sote_acme::model::Answer;
use sote_acme::names::base64url;
use sote_acme::time::{Clock as _, SystemClock};
use sote_acme::validation::{Attempt, Settings, Validator, Validators, Verdict};
use tokio::net::UdpSocket;

const KEY_AUTHORIZATION: &str = "token.thumbprint";
const TTL: u32 = 60;

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap()
}

fn fitting_text() -> String {
    base64url::encode(digest::digest(&digest::SHA256, KEY_AUTHORIZATION.as_bytes()).as_ref())
}

/// SOA, NS, CAA for us, an address at `www` and a fitting TXT record for it.
fn records(origin: &str) -> Vec<Record> {
    let server = name(&format!("ns.{origin}"));
    let authority = Name::from_ascii("ca.test").unwrap();
    let data = [
        (origin.to_owned(), RData::SOA(SOA::new(server.clone(), server.clone(), 1, 60, 60, 60, 60))),
        (origin.to_owned(), RData::NS(NS(server))),
        (origin.to_owned(), RData::CAA(CAA::new_issue(false, Some(authority), vec![]))),
        (format!("www.{origin}"), RData::A(A::new(127, 0, 0, 1))),
        (format!("_acme-challenge.www.{origin}"), RData::TXT(TXT::new(vec![fitting_text()]))),
    ];
    data.into_iter().map(|(owner, data)| Record::from_rdata(name(&owner), TTL, data)).collect()
}

/// `hospital.test`, signed, and `plain.hospital.test` below it, delegated without a key.
struct Hospital {
    signer: DnssecSigner,
    signed: Vec<Record>,
    plain: Vec<Record>,
    /// How long ago the signatures ended, in seconds; negative: how long they are good.
    expired: i64,
    /// Gives other TXT data than was signed.
    forged: bool,
}

impl Hospital {
    fn new() -> Hospital {
        let origin = name("hospital.test");
        let pkcs8 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_der();
        let key = EcdsaSigningKey::from_pkcs8(&PrivatePkcs8KeyDer::from(pkcs8), Algorithm::ECDSAP256SHA256).unwrap();
        let dnskey = DNSKEY::from_key(&key.to_public_key().unwrap());
        let mut signed = records("hospital.test");
        signed.push(Record::from_rdata(origin.clone(), TTL, RData::DNSSEC(DNSSECRData::DNSKEY(dnskey.clone()))));
        let delegation = RData::NS(NS(name("ns.plain.hospital.test")));
        signed.push(Record::from_rdata(name("plain.hospital.test"), TTL, delegation));
        let signer = DnssecSigner::new(dnskey, Box::new(key), origin, Duration::from_secs(3600));
        Hospital { signer, signed, plain: records("plain.hospital.test"), expired: -3600, forged: false }
    }

    /// The line that anchors the signed zone.
    fn anchor(&self) -> String {
        format!("hospital.test. IN DNSKEY {}", self.signer.dnskey())
    }

    fn reply(&self, question: &Message) -> Message {
        let query = question.queries[0].clone();
        let (asked, wanted) = (query.name().to_lowercase(), query.query_type());
        let mut reply = Message::response(question.metadata.id, OpCode::Query);
        reply.add_query(query);
        let plain = name("plain.hospital.test");
        if plain.zone_of(&asked) && !(asked == plain && wanted == RecordType::DS) {
            self.plainly(&mut reply, &asked, wanted);
        } else if name("hospital.test").zone_of(&asked) && !(asked == name("hospital.test") && wanted == RecordType::DS)
        {
            self.securely(&mut reply, &asked, wanted);
        } else {
            // The parent of the signed zone, which alone could speak about its DS records, is not served here.
            reply.metadata.response_code = ResponseCode::Refused;
        }
        reply
    }

    fn plainly(&self, reply: &mut Message, asked: &Name, wanted: RecordType) {
        let found = of(&self.plain, asked, wanted);
        if found.is_empty() {
            reply.add_authorities(of(&self.plain, &name("plain.hospital.test"), RecordType::SOA));
            if !exists(&self.plain, asked) {
                reply.metadata.response_code = ResponseCode::NXDomain;
            }
        }
        reply.add_answers(found);
    }

    fn securely(&self, reply: &mut Message, asked: &Name, wanted: RecordType) {
        let found = of(&self.signed, asked, wanted);
        if !found.is_empty() {
            let mut answers = self.with_signature(found);
            if self.forged && wanted == RecordType::TXT {
                answers[0].data = RData::TXT(TXT::new(vec!["forged".to_owned()]));
            }
            reply.add_answers(answers);
            return;
        }
        reply.add_authorities(self.with_signature(of(&self.signed, &name("hospital.test"), RecordType::SOA)));
        if exists(&self.signed, asked) {
            reply.add_authorities(self.with_signature(vec![self.denial(asked)]));
            return;
        }
        reply.metadata.response_code = ResponseCode::NXDomain;
        let mut encloser = asked.base_name();
        while !exists(&self.signed, &encloser) {
            encloser = encloser.base_name();
        }
        let denials = BTreeSet::from([self.denial(asked), self.denial(&encloser.prepend_label("*").unwrap())]);
        for denial in denials {
            reply.add_authorities(self.with_signature(vec![denial]));
        }
    }

    /// The NSEC record that is at `asked` or covers it.
    fn denial(&self, asked: &Name) -> Record {
        let owners: BTreeSet<Name> = self.signed.iter().map(|record| record.name.clone()).collect();
        let owner = owners.iter().rev().find(|owner| *owner <= asked).unwrap();
        let next = owners.iter().find(|next| *next > owner).or(owners.first()).unwrap();
        let types = self.signed.iter().filter(|record| record.name == *owner).map(Record::record_type);
        let nsec = NSEC::new_cover_self(next.clone(), types);
        Record::from_rdata(owner.clone(), TTL, RData::DNSSEC(DNSSECRData::NSEC(nsec)))
    }

    fn with_signature(&self, records: Vec<Record>) -> Vec<Record> {
        let owner = records[0].name.clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let input = SigInput {
            type_covered: records[0].record_type(),
            algorithm: Algorithm::ECDSAP256SHA256,
            num_labels: owner.num_labels(),
            original_ttl: TTL,
            sig_expiration: SerialNumber::new((now - self.expired) as u32),
            sig_inception: SerialNumber::new((now - 7200) as u32),
            key_tag: self.signer.calculate_key_tag().unwrap(),
            signer_name: self.signer.signer_name().clone(),
        };
        let signed = TBS::from_input(&owner, DNSClass::IN, &input, records.iter()).unwrap();
        let signature = RRSIG::from_sig(input, self.signer.sign(&signed).unwrap());
        let signature = Record::from_rdata(owner, TTL, RData::DNSSEC(DNSSECRData::RRSIG(signature)));
        records.into_iter().chain([signature]).collect()
    }

    /// Serves the zones for as long as the test runs.
    async fn serve(self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let hospital = Arc::new(self);
        tokio::spawn(async move {
            let mut buffer = [0u8; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                socket.send_to(&hospital.reply(&question).to_vec().unwrap(), peer).await.unwrap();
            }
        });
        address
    }
}

fn of(records: &[Record], owner: &Name, wanted: RecordType) -> Vec<Record> {
    records.iter().filter(|record| record.name == *owner && record.record_type() == wanted).cloned().collect()
}

/// Whether `asked` has records or stands above some.
fn exists(records: &[Record], asked: &Name) -> bool {
    records.iter().any(|record| asked.zone_of(&record.name))
}

const BOGUS: &str = "DNSSEC validation failed";

fn validators(address: SocketAddr, anchor: &str) -> Validators {
    let zone = format!("name = \"hospital.test\"\nanchors = ['{anchor}']\nresolvers = [\"{address}\"]");
    let settings = Settings {
        resolvers: vec![address],
        zones: vec![toml::from_str(&zone).unwrap()],
        dns_timeout: Duration::from_millis(500),
        dns_attempts: 1,
        caa_identities: vec!["ca.test".to_owned()],
        caa_exceptions: vec!["test".parse().unwrap()],
        ..Settings::default()
    };
    Validators::new(&settings).unwrap()
}

async fn dns_01(validators: &Validators, name: &str) -> Verdict {
    let attempt = Attempt {
        challenge: ChallengeType::Dns01,
        identifier: Identifier::Dns(name.parse().unwrap()),
        token: "token".to_owned(),
        key_authorization: KEY_AUTHORIZATION.to_owned(),
        account_url: "https://ca.test/acme/account/1".to_owned(),
        challenge_url: "https://ca.test/acme/challenge/1".to_owned(),
        answer: Answer::Ready,
        now: SystemClock.now(),
    };
    validators.validate(&attempt).await
}

#[track_caller]
fn permitted(verdict: &Verdict, owner: &str) {
    match verdict {
        Verdict::Valid(evidence) => {
            assert_eq!(evidence.caa, Some(format!("permitted by the CAA records of {owner}")));
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(verdict: &Verdict, kind: ProblemKind, words: &str) {
    match verdict {
        Verdict::Invalid(problem) => assert!(problem.kind == kind && problem.detail.contains(words), "{problem}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_signed_zone_under_its_own_anchor_is_believed() {
    let hospital = Hospital::new();
    let anchor = hospital.anchor();
    let validators = validators(hospital.serve().await, &anchor);
    permitted(&dns_01(&validators, "www.hospital.test").await, "hospital.test");
    // That something is not there is proven too.
    refused(&dns_01(&validators, "other.hospital.test").await, ProblemKind::Dns, "NXDOMAIN");
    refused(&dns_01(&validators, "hospital.test").await, ProblemKind::Dns, "NXDOMAIN");
}

#[tokio::test]
async fn an_unsigned_zone_that_its_parent_proves_unsigned_is_believed() {
    let hospital = Hospital::new();
    let anchor = hospital.anchor();
    let validators = validators(hospital.serve().await, &anchor);
    permitted(&dns_01(&validators, "www.plain.hospital.test").await, "plain.hospital.test");
    refused(&dns_01(&validators, "other.plain.hospital.test").await, ProblemKind::Dns, "NXDOMAIN");
}

#[tokio::test]
async fn a_zone_signed_with_another_key_is_bogus() {
    let anchor = Hospital::new().anchor();
    let validators = validators(Hospital::new().serve().await, &anchor);
    refused(&dns_01(&validators, "www.hospital.test").await, ProblemKind::Dns, BOGUS);
    let name = Identifier::Dns("www.hospital.test".parse().unwrap());
    // The zone is excepted from CAA, but not from DNSSEC.
    let caa = validators.caa().check(&name, ChallengeType::Dns01, "https://ca.test/acme/account/1").await;
    assert!(caa.unwrap_err().detail.contains(BOGUS));
}

#[tokio::test]
async fn expired_signatures_and_forged_data_are_bogus() {
    for (expired, forged) in [(3600, false), (-3600, true)] {
        let hospital = Hospital { expired, forged, ..Hospital::new() };
        let anchor = hospital.anchor();
        let validators = validators(hospital.serve().await, &anchor);
        refused(&dns_01(&validators, "www.hospital.test").await, ProblemKind::Dns, BOGUS);
    }
}

#[tokio::test]
async fn answers_whose_signatures_are_stripped_are_bogus() {
    let anchor = Hospital::new().anchor();
    let responder = DnsResponder::start(ResponderSettings::default()).await.unwrap();
    responder.add(&format!("_acme-challenge.www.hospital.test TXT {}", fitting_text())).unwrap();
    let validators = validators(responder.address(), &anchor);
    refused(&dns_01(&validators, "www.hospital.test").await, ProblemKind::Dns, BOGUS);
}
