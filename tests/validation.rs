//! Validation as the outside world sees it: every test asks real servers on the loopback addresses, well-behaved and
//! hostile ones, by way of the embedded dns responder.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sote_acme::acme::challenge_type::ChallengeType;
use sote_acme::acme::identifier::Identifier;
use sote_acme::acme::problem::ProblemKind;
use sote_acme::commands::dns_responder::{DnsResponder, ResponderSettings};
use sote_acme::model::Answer;
use sote_acme::model::evidence::Evidence;
use sote_acme::names::base64url;
use sote_acme::time::{Clock as _, SystemClock};
use sote_acme::validation::{Attempt, Settings, Validator, Validators, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
const KEY_AUTHORIZATION: &str =
    "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";
const ACCOUNT: &str = "https://ca.test/acme/account/1";
const SECRET: &str = "the-secret-of-an-internal-page";

/// A dns responder, and settings under which only the two loopback addresses may be reached and no limit is met unless a test
/// makes it [`hurry`](World::hurry).
struct World {
    dns: DnsResponder,
    settings: Settings,
}

impl World {
    async fn new() -> World {
        let dns = DnsResponder::start(ResponderSettings::default()).await.unwrap();
        let settings = Settings {
            resolvers: vec![dns.address()],
            dnssec: false,
            dns_timeout: Duration::from_secs(2),
            dns_attempts: 1,
            allow_networks: vec!["127.0.0.1/32".parse().unwrap(), "::1/128".parse().unwrap()],
            public_networks: false,
            attempt_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
            caa_identities: vec!["ca.test".to_owned()],
            ..Settings::default()
        };
        World { dns, settings }
    }

    /// Short limits, for tests whose peer lets them pass.
    fn hurry(&mut self) {
        hurry(&mut self.settings);
    }

    fn records(&self, lines: &[&str]) {
        lines.iter().for_each(|line| self.dns.add(line).unwrap());
    }

    async fn ask(&self, challenge: ChallengeType, identifier: Identifier) -> Verdict {
        let validators = Validators::new(&self.settings).unwrap();
        validators.validate(&attempt(challenge, identifier)).await
    }

    async fn http(&self, name: &str) -> Verdict {
        self.ask(ChallengeType::Http01, dns_name(name)).await
    }

    async fn dns(&self, name: &str) -> Verdict {
        self.ask(ChallengeType::Dns01, dns_name(name)).await
    }

    async fn tls(&self, name: &str) -> Verdict {
        self.ask(ChallengeType::TlsAlpn01, dns_name(name)).await
    }
}

fn hurry(settings: &mut Settings) {
    settings.dns_timeout = Duration::from_millis(150);
    settings.attempt_timeout = Duration::from_millis(500);
    settings.connect_timeout = Duration::from_millis(200);
}

fn attempt(challenge: ChallengeType, identifier: Identifier) -> Attempt {
    Attempt {
        challenge,
        identifier,
        token: TOKEN.to_owned(),
        key_authorization: KEY_AUTHORIZATION.to_owned(),
        account_url: ACCOUNT.to_owned(),
        challenge_url: "https://ca.test/acme/challenge/1".to_owned(),
        answer: Answer::Ready,
        now: SystemClock.now(),
    }
}

fn dns_name(name: &str) -> Identifier {
    match name.strip_prefix("*.") {
        Some(base) => Identifier::Wildcard(base.parse().unwrap()),
        None => Identifier::Dns(name.parse().unwrap()),
    }
}

fn digest_text() -> String {
    base64url::encode(digest::digest(&digest::SHA256, KEY_AUTHORIZATION.as_bytes()).as_ref())
}

#[track_caller]
fn valid(verdict: Verdict) -> Evidence {
    match verdict {
        Verdict::Valid(evidence) => evidence,
        other => panic!("{other:?}"),
    }
}

/// The detail of a verdict that must be invalid with `kind`, after a look that nothing of a body is in it.
#[track_caller]
fn invalid(verdict: Verdict, kind: ProblemKind) -> String {
    match verdict {
        Verdict::Invalid(problem) if problem.kind == kind => {
            assert!(!problem.detail.contains(SECRET), "{problem}");
            problem.detail
        }
        other => panic!("{other:?}, expected {kind:?}"),
    }
}

// A small HTTP server whose every byte a test decides.

#[derive(Clone)]
enum Step {
    Send(Vec<u8>),
    Pause(u64),
    Endless(Vec<u8>),
    Hang,
}

type Script = Arc<dyn Fn(&str) -> Vec<Step> + Send + Sync>;

fn response(status: &str, headers: &str, body: &str) -> Vec<Step> {
    vec![Step::Send(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes())]
}

fn ok(body: &str) -> Vec<Step> {
    response("200 OK", "", body)
}

fn redirect(location: &str) -> Vec<Step> {
    response("302 Found", &format!("Location: {location}\r\n"), SECRET)
}

/// Serves `script` (request head in, steps out) and keeps the request heads.
async fn serve(at: SocketAddr, script: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> (u16, Heads) {
    let listener = TcpListener::bind(at).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (script, heads): (Script, Heads) = (Arc::new(script), Heads::default());
    let kept = heads.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(play(stream, script.clone(), kept.clone()));
        }
    });
    (port, heads)
}

type Heads = Arc<Mutex<Vec<String>>>;

async fn play<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut stream: S, script: Script, heads: Heads) {
    let mut head = Vec::new();
    let mut buffer = [0u8; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => head.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    heads.lock().unwrap().push(head.clone());
    for step in script(&head) {
        let sent = match step {
            Step::Send(bytes) => stream.write_all(&bytes).await,
            Step::Pause(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                Ok(())
            }
            Step::Endless(bytes) => loop {
                if let Err(error) = stream.write_all(&bytes).await {
                    break Err(error);
                }
            },
            Step::Hang => std::future::pending().await,
        };
        if sent.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

const V4: &str = "127.0.0.1:0";
const V6: &str = "[::1]:0";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn beside(text: &str, port: u16) -> SocketAddr {
    SocketAddr::new(at(text).ip(), port)
}

/// A world whose http-01 port is that of a server on 127.0.0.1 with `script`.
async fn http_world(script: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> (World, Heads) {
    let mut world = World::new().await;
    let (port, heads) = serve(at(V4), script).await;
    world.settings.http_01_port = port;
    (world, heads)
}

/// Ends long before the limits that hold without [`hurry`].
async fn timed<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), work).await.expect("the attempt should have ended")
}

// http-01

#[tokio::test]
async fn http_01_asks_for_the_token_as_rfc_8555_says() {
    let (world, heads) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    let evidence = valid(world.http("www.test").await);
    let port = world.settings.http_01_port;
    assert_eq!(evidence.address, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(evidence.trail, [format!("http://www.test:{port}/.well-known/acme-challenge/{TOKEN}")]);
    assert_eq!(evidence.caa.as_deref(), Some("no CAA records for www.test"));
    let head = heads.lock().unwrap()[0].to_ascii_lowercase();
    assert!(
        head.starts_with(&format!("get /.well-known/acme-challenge/{TOKEN} http/1.1\r\n").to_ascii_lowercase()),
        "{head}"
    );
    for line in [&format!("host: www.test:{port}") as &str, "accept-encoding: identity", "user-agent: sote-acme/"] {
        assert!(head.contains(line), "{head}");
    }
}

#[tokio::test]
async fn white_space_after_the_key_authorization_is_ignored_and_none_before_it() {
    let (world, _) = http_world(|_| ok(&format!("{KEY_AUTHORIZATION} \r\n\t\n"))).await;
    valid(world.http("www.test").await);
    let (world, _) = http_world(|_| ok(&format!(" {KEY_AUTHORIZATION}"))).await;
    invalid(world.http("www.test").await, ProblemKind::IncorrectResponse);
}

#[tokio::test]
async fn chunked_bodies_and_bodies_until_the_end_of_the_connection_are_read() {
    let (world, _) = http_world(|_| {
        let (first, second) = KEY_AUTHORIZATION.split_at(40);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = |part: &str| Step::Send(format!("{:x}\r\n{part}\r\n", part.len()).into_bytes());
        vec![Step::Send(head.into()), chunk(first), Step::Pause(20), chunk(second), Step::Send(b"0\r\n\r\n".to_vec())]
    })
    .await;
    valid(world.http("www.test").await);
    let (world, _) =
        http_world(|_| vec![Step::Send(format!("HTTP/1.0 200 OK\r\n\r\n{KEY_AUTHORIZATION}").into_bytes())]).await;
    valid(world.http("www.test").await);
}

#[tokio::test]
async fn wrong_content_is_refused_without_showing_it() {
    for body in [
        SECRET.to_owned(),
        String::new(),
        KEY_AUTHORIZATION.to_lowercase(),
        format!("{KEY_AUTHORIZATION}x"),
        TOKEN.into(),
    ] {
        let (world, _) = http_world(move |_| ok(&body)).await;
        let detail = invalid(world.http("www.test").await, ProblemKind::IncorrectResponse);
        assert!(detail.contains("does not serve the key authorization"), "{detail}");
    }
}

#[tokio::test]
async fn only_status_200_counts() {
    for status in ["201 Created", "204 No Content", "206 Partial", "304 Not Modified", "404 Not Found", "500 Oops"] {
        let (world, _) = http_world(move |_| response(status, "", KEY_AUTHORIZATION)).await;
        let detail = invalid(world.http("www.test").await, ProblemKind::IncorrectResponse);
        assert!(detail.contains(&status[..3]), "{detail}");
    }
}

#[tokio::test]
async fn compressed_bodies_are_refused() {
    for coding in ["gzip", "br", "deflate"] {
        let headers = format!("Content-Encoding: {coding}\r\n");
        let (world, _) = http_world(move |_| response("200 OK", &headers, KEY_AUTHORIZATION)).await;
        let detail = invalid(world.http("www.test").await, ProblemKind::IncorrectResponse);
        assert!(detail.contains("compressed"), "{detail}");
    }
    let (world, _) = http_world(|_| response("200 OK", "Content-Encoding: identity\r\n", KEY_AUTHORIZATION)).await;
    valid(world.http("www.test").await);
}

#[tokio::test]
async fn an_endless_body_is_cut_at_64_kib() {
    let (world, _) =
        http_world(|_| vec![Step::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), Step::Endless(vec![b'x'; 16 * 1024])])
            .await;
    let detail = timed(async { invalid(world.http("www.test").await, ProblemKind::IncorrectResponse) }).await;
    assert!(detail.contains("64 KiB"), "{detail}");
}

#[tokio::test]
async fn slow_answers_end_with_the_time_limit() {
    let slow: [fn() -> Vec<Step>; 4] = [
        || vec![Step::Hang],
        || vec![Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Step::Hang],
        || vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 87\r\n\r\n".to_vec()), Step::Hang],
        || {
            let drip = [Step::Send(b"x".to_vec()), Step::Pause(50)];
            let head = Step::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
            std::iter::once(head).chain(drip.into_iter().cycle().take(2000)).collect()
        },
    ];
    for steps in slow {
        let (mut world, _) = http_world(move |_| steps()).await;
        world.hurry();
        let detail = timed(async { invalid(world.http("www.test").await, ProblemKind::Connection) }).await;
        assert!(detail.contains("time limit"), "{detail}");
    }
}

#[tokio::test]
async fn answers_that_are_not_http_or_too_large_in_their_headers_are_refused() {
    let answers: [fn() -> Vec<Step>; 5] = [
        || vec![Step::Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec())],
        || vec![],
        || vec![Step::Send([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 100_000]].concat()), Step::Hang],
        || vec![Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Step::Endless(b"X: y\r\n".to_vec())],
        || vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 87\r\n\r\nshort".to_vec())],
    ];
    for steps in answers {
        let (world, _) = http_world(move |_| steps()).await;
        timed(async { invalid(world.http("www.test").await, ProblemKind::Connection) }).await;
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let mut world = World::new().await;
    world.settings.http_01_port = closed_port().await;
    let detail = invalid(world.http("www.test").await, ProblemKind::Connection);
    assert!(detail.contains("refused") && detail.contains("127.0.0.1"), "{detail}");
}

async fn closed_port() -> u16 {
    TcpListener::bind(at(V4)).await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_host_with_ipv6_only_is_reached() {
    let mut world = World::new().await;
    let (port, heads) = serve(at(V6), |_| ok(KEY_AUTHORIZATION)).await;
    world.settings.http_01_port = port;
    world.records(&["six.test AAAA ::1"]);
    assert_eq!(valid(world.http("six.test").await).address, Some("::1".parse().unwrap()));
    assert!(heads.lock().unwrap()[0].contains(&format!("six.test:{port}")));
}

#[tokio::test]
async fn a_dead_ipv6_address_leaves_ipv4_its_chance() {
    let (world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    world.records(&["both.test AAAA ::1", "both.test A 127.0.0.1"]);
    assert_eq!(valid(world.http("both.test").await).address, Some("127.0.0.1".parse().unwrap()));
}

#[tokio::test]
async fn a_host_that_breaks_off_on_one_address_is_asked_at_the_next() {
    let (world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    serve(beside(V6, world.settings.http_01_port), |_| vec![]).await;
    world.records(&["both.test AAAA ::1", "both.test A 127.0.0.1"]);
    valid(world.http("both.test").await);
}

#[tokio::test]
async fn a_wrong_answer_is_an_answer_and_no_other_address_is_asked() {
    let (world, heads) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    serve(beside(V6, world.settings.http_01_port), |_| ok("wrong")).await;
    world.records(&["both.test AAAA ::1", "both.test A 127.0.0.1"]);
    invalid(world.http("both.test").await, ProblemKind::IncorrectResponse);
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn forbidden_addresses_are_not_visited_even_if_the_name_has_others() {
    let (world, heads) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    world.records(&["mixed.test A 10.0.0.1", "mixed.test A 127.0.0.1", "mixed.test AAAA ::ffff:127.0.0.2"]);
    assert_eq!(valid(world.http("mixed.test").await).address, Some("127.0.0.1".parse().unwrap()));
    for (name, address) in [
        ("a.test", "A 10.0.0.1"),
        ("b.test", "A 169.254.169.254"),
        ("c.test", "A 127.0.0.2"),
        ("d.test", "AAAA ::ffff:127.0.0.2"),
        ("e.test", "AAAA 64:ff9b::a9fe:a9fe"),
        ("f.test", "AAAA fd00:ec2::254"),
        ("g.test", "A 0.0.0.0"),
        ("h.test", "AAAA ::"),
    ] {
        world.records(&[&format!("{name} {address}")]);
        let detail = invalid(world.http(name).await, ProblemKind::Connection);
        assert!(detail.contains("does not visit"), "{detail}");
    }
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_mapped_address_is_judged_and_reached_as_ipv4() {
    let (world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    world.records(&["mapped.test AAAA ::ffff:127.0.0.1"]);
    assert_eq!(valid(world.http("mapped.test").await).address, Some("127.0.0.1".parse().unwrap()));
}

#[tokio::test]
async fn ip_identifiers_are_reached_without_dns() {
    let (mut world, heads) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    world.settings.resolvers = vec![beside(V4, closed_port().await)];
    let ip = |text: &str| Identifier::Ip(text.parse().unwrap());
    let evidence = valid(world.ask(ChallengeType::Http01, ip("127.0.0.1")).await);
    assert_eq!(evidence.caa.as_deref(), Some("not applicable to 127.0.0.1"));
    assert!(heads.lock().unwrap()[0].contains(&format!("127.0.0.1:{}", world.settings.http_01_port)));
    for other in ["127.0.0.2", "::ffff:10.0.0.1", "192.168.0.1"] {
        invalid(world.ask(ChallengeType::Http01, ip(other)).await, ProblemKind::Connection);
    }
}

#[tokio::test]
async fn what_has_no_host_is_not_validated_by_http() {
    let (world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    invalid(world.http("*.www.test").await, ProblemKind::Unauthorized);
    invalid(world.tls("*.www.test").await, ProblemKind::Unauthorized);
    let organisation = Identifier::Organisation("NTRFI-0245437-2".parse().unwrap());
    invalid(world.ask(ChallengeType::Http01, organisation.clone()).await, ProblemKind::Unauthorized);
    invalid(world.ask(ChallengeType::Dns01, organisation).await, ProblemKind::Unauthorized);
}

// Redirects

#[tokio::test]
async fn redirects_are_followed_and_their_trail_is_evidence() {
    let (world, heads) = http_world(|head| match head {
        _ if head.contains("/.well-known/") => redirect("/one"),
        _ if head.contains("/one") => redirect("two?a=b"),
        _ => ok(KEY_AUTHORIZATION),
    })
    .await;
    let evidence = valid(world.http("www.test").await);
    let port = world.settings.http_01_port;
    assert_eq!(evidence.trail[1..], [format!("http://www.test:{port}/one"), format!("http://www.test:{port}/two?a=b")]);
    assert!(heads.lock().unwrap()[2].starts_with("GET /two?a=b HTTP/1.1"));
}

#[tokio::test]
async fn every_redirect_status_is_followed() {
    for status in ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"] {
        let (world, _) = http_world(move |head| {
            if head.contains("/well") { ok(KEY_AUTHORIZATION) } else { response(status, "Location: /well\r\n", "") }
        })
        .await;
        valid(world.http("www.test").await);
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_is_resolved_and_judged_anew() {
    let mut world = World::new().await;
    let (port, _) = serve(at(V6), |_| ok(KEY_AUTHORIZATION)).await;
    serve(beside(V4, port), move |_| redirect(&format!("http://six.test:{port}/x"))).await;
    world.settings.http_01_port = port;
    world.records(&["six.test AAAA ::1"]);
    assert_eq!(valid(world.http("www.test").await).address, Some("::1".parse().unwrap()));
}

#[tokio::test]
async fn redirects_into_forbidden_networks_are_not_followed() {
    for host in [
        "127.0.0.2",
        "10.0.0.1",
        "169.254.169.254",
        "[::ffff:127.0.0.2]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::7f00:2]",
        "[2002:a9fe:a9fe::1]",
        "[fd00::1]",
        "internal.test",
        "metadata.test",
    ] {
        let (world, _) = http_world(move |head| {
            let port = head.split("host: www.test:").nth(1).and_then(|rest| rest.split('\r').next()).unwrap_or("80");
            redirect(&format!("http://{host}:{port}/{SECRET}"))
        })
        .await;
        world.records(&["internal.test A 10.1.2.3", "metadata.test AAAA ::ffff:169.254.169.254"]);
        let detail = match world.http("www.test").await {
            Verdict::Invalid(problem) => problem,
            other => panic!("{host}: {other:?}"),
        };
        assert_eq!(detail.kind, ProblemKind::Connection, "{detail}");
        assert!(detail.detail.contains("does not visit"), "{detail}");
    }
}

#[tokio::test]
async fn redirects_to_other_ports_schemes_and_spellings_are_not_followed() {
    for location in [
        "http://www.test:22/",
        "http://www.test:8080/",
        "https://www.test:8443/",
        "ftp://www.test/",
        "file:///etc/passwd",
        "http://2130706433/",
        "http://localhost/",
        "http://user@www.test/",
        "http://[fe80::1%25lo]/",
        "http://",
    ] {
        let (world, heads) = http_world(move |_| redirect(location)).await;
        let detail = invalid(world.http("www.test").await, ProblemKind::Connection);
        assert!(detail.contains("not followed"), "{location}: {detail}");
        assert_eq!(heads.lock().unwrap().len(), 1);
    }
    let (world, _) = http_world(|_| response("302 Found", "", "")).await;
    invalid(world.http("www.test").await, ProblemKind::IncorrectResponse);
}

#[tokio::test]
async fn ten_redirects_are_followed_and_eleven_are_not() {
    for (last, followed) in [(10, true), (11, false)] {
        let (world, heads) = http_world(move |head| {
            let number: usize = head.split(['/', ' ']).nth(2).and_then(|text| text.parse().ok()).unwrap_or(0);
            if number == last { ok(KEY_AUTHORIZATION) } else { redirect(&format!("/{}", number + 1)) }
        })
        .await;
        match world.http("www.test").await {
            Verdict::Valid(evidence) => assert!(followed && evidence.trail.len() == 11),
            Verdict::Invalid(problem) => {
                assert!(!followed && problem.detail.contains("more than 10 times"), "{problem}");
            }
            Verdict::Refuted(_) | Verdict::Wait { .. } => panic!(),
        }
        assert_eq!(heads.lock().unwrap().len(), 11);
    }
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let (world, heads) = http_world(|_| redirect("/loop")).await;
    invalid(world.http("www.test").await, ProblemKind::Connection);
    assert_eq!(heads.lock().unwrap().len(), 11);
}

#[tokio::test]
async fn a_redirect_to_https_is_followed_whatever_its_certificate() {
    let mut world = World::new().await;
    let tls = tls_server(&[b"http/1.1"], certificate("another.example", &[]));
    let listener = TcpListener::bind(at(V6)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = tls.accept(stream).await {
                play(stream, Arc::new(|_: &str| ok(KEY_AUTHORIZATION)), Heads::default()).await;
            }
        }
    });
    serve(beside(V4, port), move |_| redirect(&format!("https://six.test:{port}/"))).await;
    world.settings.http_01_port = port;
    world.records(&["six.test AAAA ::1", "plain.test AAAA ::1"]);
    let evidence = valid(world.http("www.test").await);
    assert_eq!(evidence.trail[1], format!("https://six.test:{port}/"));
}

#[tokio::test]
async fn https_towards_a_plain_server_is_a_tls_problem() {
    let mut world = World::new().await;
    let (port, _) = serve(at(V6), |_| ok(KEY_AUTHORIZATION)).await;
    let listener = TcpListener::bind(at(V6)).await.unwrap();
    drop(listener);
    serve(beside(V4, port), move |_| redirect(&format!("https://six.test:{port}/"))).await;
    world.settings.http_01_port = port;
    world.hurry();
    world.records(&["six.test AAAA ::1"]);
    invalid(world.http("www.test").await, ProblemKind::Tls);
}

// dns

#[tokio::test]
async fn names_without_address_or_existence_say_so() {
    let (world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    world.records(&["gone.test NXDOMAIN", "broken.test SERVFAIL"]);
    assert!(invalid(world.http("gone.test").await, ProblemKind::Dns).contains("NXDOMAIN"));
    assert!(invalid(world.http("www.outside").await, ProblemKind::Dns).contains("NXDOMAIN"));
    assert!(invalid(world.http("broken.test").await, ProblemKind::Dns).contains("failed"));
}

#[tokio::test]
async fn one_family_may_fail_while_the_other_answers() {
    let (world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    world.records(&["www.test SERVFAIL AAAA"]);
    valid(world.http("www.test").await);
}

#[tokio::test]
async fn silent_dns_ends_within_the_limit() {
    let (mut world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    world.hurry();
    world.records(&["silent.test TIMEOUT", "_acme-challenge.silent.test TIMEOUT"]);
    for challenge in [ChallengeType::Http01, ChallengeType::Dns01, ChallengeType::TlsAlpn01] {
        timed(async { invalid(world.ask(challenge, dns_name("silent.test")).await, ProblemKind::Dns) }).await;
    }
}

#[tokio::test]
async fn dns_that_is_away_at_the_start_may_come_later() {
    let (mut world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    world.settings.dns_timeout = Duration::from_millis(300);
    let address = world.dns.address();
    world.dns.stop().await;
    let validators = Validators::new(&world.settings).unwrap();
    let question = attempt(ChallengeType::Http01, dns_name("www.test"));
    timed(async { invalid(validators.validate(&question).await, ProblemKind::Dns) }).await;
    world.dns = DnsResponder::start(ResponderSettings { listen: address, ..Default::default() }).await.unwrap();
    valid(validators.validate(&question).await);
    // And it may go and come again.
    world.dns.stop().await;
    timed(async { invalid(validators.validate(&question).await, ProblemKind::Dns) }).await;
    world.dns = DnsResponder::start(ResponderSettings { listen: address, ..Default::default() }).await.unwrap();
    valid(validators.validate(&question).await);
}

#[tokio::test]
async fn nothing_is_cached() {
    let world = World::new().await;
    let validators = Validators::new(&world.settings).unwrap();
    let question = attempt(ChallengeType::Dns01, dns_name("www.test"));
    invalid(validators.validate(&question).await, ProblemKind::IncorrectResponse);
    world.records(&[&format!("_acme-challenge.www.test TXT {}", digest_text())]);
    valid(validators.validate(&question).await);
    world.dns.remove("_acme-challenge.www.test", Some("TXT"));
    invalid(validators.validate(&question).await, ProblemKind::IncorrectResponse);
}

// dns-01

#[tokio::test]
async fn one_fitting_record_among_many_proves_control() {
    let world = World::new().await;
    world.records(&[
        "_acme-challenge.www.test TXT another-order",
        &format!("_acme-challenge.www.test TXT {}", digest_text()),
        "_acme-challenge.www.test TXT \"\"",
    ]);
    let evidence = valid(world.dns("www.test").await);
    assert_eq!(evidence.trail, ["TXT _acme-challenge.www.test"]);
    assert_eq!(evidence.address, None);
}

#[tokio::test]
async fn split_strings_are_joined_and_records_are_not() {
    let world = World::new().await;
    let digest = digest_text();
    let (first, second) = digest.split_at(20);
    world.records(&[&format!("_acme-challenge.joined.test TXT \"{first}\" \"{second}\"")]);
    valid(world.dns("joined.test").await);
    let lines = [first, second].map(|part| format!("_acme-challenge.apart.test TXT {part}"));
    world.records(&[&lines[0], &lines[1]]);
    invalid(world.dns("apart.test").await, ProblemKind::IncorrectResponse);
}

#[tokio::test]
async fn a_wildcard_is_proven_at_the_name_below_its_asterisk() {
    let world = World::new().await;
    world.records(&[&format!("_acme-challenge.www.test TXT {}", digest_text())]);
    valid(world.dns("*.www.test").await);
}

#[tokio::test]
async fn an_alias_of_the_challenge_name_is_followed() {
    let world = World::new().await;
    world.records(&[
        "_acme-challenge.www.test CNAME first.acme.test",
        "first.acme.test CNAME second.acme.test",
        &format!("second.acme.test TXT {}", digest_text()),
        "_acme-challenge.loop.test CNAME loop.acme.test",
        "loop.acme.test CNAME _acme-challenge.loop.test",
    ]);
    valid(world.dns("www.test").await);
    assert!(matches!(timed(world.dns("loop.test")).await, Verdict::Invalid(_)));
}

#[tokio::test]
async fn many_records_come_by_tcp() {
    let world = World::new().await;
    (0..60).for_each(|n| world.records(&[&format!("_acme-challenge.www.test TXT {n:0>80}")]));
    world.records(&[&format!("_acme-challenge.www.test TXT {}", digest_text())]);
    valid(world.dns("www.test").await);
}

#[tokio::test]
async fn wrong_records_are_told_apart_from_none() {
    let world = World::new().await;
    let near = digest_text().to_lowercase();
    world.records(&[&format!("_acme-challenge.near.test TXT {near}"), "_acme-challenge.gone.test NXDOMAIN"]);
    world.records(&[&format!("_acme-challenge.space.test TXT \"{} \"", digest_text())]);
    let expected = digest_text();
    assert!(invalid(world.dns("near.test").await, ProblemKind::IncorrectResponse).contains(&expected));
    assert!(invalid(world.dns("space.test").await, ProblemKind::IncorrectResponse).contains("none of the 1"));
    assert!(invalid(world.dns("www.test").await, ProblemKind::IncorrectResponse).contains("no TXT record"));
    assert!(invalid(world.dns("gone.test").await, ProblemKind::Dns).contains("NXDOMAIN"));
}

// tls-alpn-01

#[derive(Debug)]
struct OneCertificate {
    key: Arc<CertifiedKey>,
    names: Mutex<Vec<String>>,
}

impl ResolvesServerCert for OneCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.names.lock().unwrap().push(hello.server_name().unwrap_or_default().to_owned());
        Some(self.key.clone())
    }
}

/// A certificate for `name` (none when empty) with `extensions`, signed by its own key.
fn certificate(name: &str, extensions: &[rcgen::CustomExtension]) -> CertifiedKey {
    certificate_by(&rcgen::PKCS_ECDSA_P256_SHA256, &[name], extensions)
}

fn certificate_by(
    algorithm: &'static rcgen::SignatureAlgorithm,
    names: &[&str],
    extensions: &[rcgen::CustomExtension],
) -> CertifiedKey {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let names: Vec<String> = names.iter().filter(|name| !name.is_empty()).map(|name| name.to_string()).collect();
    let mut parameters = rcgen::CertificateParams::new(names).unwrap();
    parameters.custom_extensions = extensions.to_vec();
    let certificate = parameters.self_signed(&key).unwrap();
    certified(certificate, &key)
}

fn certified(certificate: rcgen::Certificate, key: &rcgen::KeyPair) -> CertifiedKey {
    let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private).unwrap();
    CertifiedKey::new(vec![certificate.der().clone()], signing)
}

fn acme_identifier(key_authorization: &str) -> rcgen::CustomExtension {
    rcgen::CustomExtension::new_acme_identifier(digest::digest(&digest::SHA256, key_authorization.as_bytes()).as_ref())
}

fn tls_server(protocols: &[&[u8]], key: CertifiedKey) -> tokio_rustls::TlsAcceptor {
    tls_server_with(protocols, key, rustls::ALL_VERSIONS).0
}

fn tls_server_with(
    protocols: &[&[u8]],
    key: CertifiedKey,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> (tokio_rustls::TlsAcceptor, Arc<OneCertificate>) {
    let resolver = Arc::new(OneCertificate { key: Arc::new(key), names: Mutex::default() });
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver.clone());
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    (tokio_rustls::TlsAcceptor::from(Arc::new(config)), resolver)
}

/// A world whose tls-alpn-01 port is that of a server on 127.0.0.1 which presents `key` for `protocols`.
async fn tls_world(protocols: &[&[u8]], key: CertifiedKey) -> World {
    tls_world_on(at(V4), tls_server(protocols, key)).await
}

async fn tls_world_on(address: SocketAddr, acceptor: tokio_rustls::TlsAcceptor) -> World {
    let mut world = World::new().await;
    let listener = TcpListener::bind(address).await.unwrap();
    world.settings.tls_alpn_01_port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { accepted(acceptor, stream).await });
        }
    });
    world
}

async fn accepted(acceptor: tokio_rustls::TlsAcceptor, stream: TcpStream) {
    if let Ok(mut stream) = acceptor.accept(stream).await {
        let mut byte = [0u8; 1];
        // RFC 8737 §3: no application data comes.
        assert!(matches!(stream.read(&mut byte).await, Ok(0) | Err(_)));
    }
}

const ACME_TLS: &[u8] = b"acme-tls/1";

#[tokio::test]
async fn the_certificate_of_rfc_8737_proves_control() {
    let world = tls_world(&[ACME_TLS], certificate("www.test", &[acme_identifier(KEY_AUTHORIZATION)])).await;
    let evidence = valid(world.tls("www.test").await);
    assert_eq!(evidence.address, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(evidence.caa.as_deref(), Some("no CAA records for www.test"));
}

#[tokio::test]
async fn usual_keys_and_both_tls_versions_are_accepted() {
    let keys: [&'static rcgen::SignatureAlgorithm; 4] =
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519, &rcgen::PKCS_RSA_SHA256];
    for algorithm in keys {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let key = certificate_by(algorithm, &["www.test"], &[acme_identifier(KEY_AUTHORIZATION)]);
            let (acceptor, seen) = tls_server_with(&[b"h2", ACME_TLS], key, &[version]);
            let world = tls_world_on(at(V4), acceptor).await;
            valid(world.tls("www.test").await);
            assert_eq!(*seen.names.lock().unwrap(), ["www.test"]);
        }
    }
}

#[tokio::test]
async fn tls_over_ipv6_and_after_a_dead_address_works() {
    let key = certificate("six.test", &[acme_identifier(KEY_AUTHORIZATION)]);
    let world = tls_world_on(at(V6), tls_server(&[ACME_TLS], key)).await;
    world.records(&["six.test AAAA ::1", "six.test A 127.0.0.1"]);
    assert_eq!(valid(world.tls("six.test").await).address, Some("::1".parse().unwrap()));
    let key = certificate("both.test", &[acme_identifier(KEY_AUTHORIZATION)]);
    let world = tls_world(&[ACME_TLS], key).await;
    world.records(&["both.test AAAA ::1", "both.test A 127.0.0.1"]);
    assert_eq!(valid(world.tls("both.test").await).address, Some("127.0.0.1".parse().unwrap()));
}

#[tokio::test]
async fn an_address_is_indicated_by_its_reverse_name_and_named_as_address() {
    let key = certificate("127.0.0.1", &[acme_identifier(KEY_AUTHORIZATION)]);
    let (acceptor, seen) = tls_server_with(&[ACME_TLS], key, rustls::ALL_VERSIONS);
    let world = tls_world_on(at(V4), acceptor).await;
    let address: IpAddr = "127.0.0.1".parse().unwrap();
    valid(world.ask(ChallengeType::TlsAlpn01, Identifier::Ip(address)).await);
    assert_eq!(*seen.names.lock().unwrap(), ["1.0.0.127.in-addr.arpa"]);
    invalid(world.tls("www.test").await, ProblemKind::IncorrectResponse);
}

#[tokio::test]
async fn a_server_without_acme_tls_is_a_tls_problem() {
    let key = || certificate("www.test", &[acme_identifier(KEY_AUTHORIZATION)]);
    for protocols in [&[][..], &[b"h2" as &[u8]], &[b"http/1.1"]] {
        let world = tls_world(protocols, key()).await;
        invalid(world.tls("www.test").await, ProblemKind::Tls);
    }
    let mut world = World::new().await;
    let (port, _) = serve(at(V4), |_| ok("")).await;
    world.settings.tls_alpn_01_port = port;
    world.hurry();
    timed(async { invalid(world.tls("www.test").await, ProblemKind::Tls) }).await;
    world.settings.tls_alpn_01_port = closed_port().await;
    assert!(invalid(world.tls("www.test").await, ProblemKind::Connection).contains("refused"));
}

#[tokio::test]
async fn other_certificates_are_incorrect() {
    let proof = || acme_identifier(KEY_AUTHORIZATION);
    let digest = digest::digest(&digest::SHA256, KEY_AUTHORIZATION.as_bytes());
    let raw = |critical: bool, content: Vec<u8>| {
        let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 31], content);
        extension.set_criticality(critical);
        extension
    };
    let octets = |content: &[u8]| [&[4, content.len() as u8], content].concat();
    let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
    let cases = [
        ("another name", certificate("other.test", &[proof()])),
        ("no name", certificate("", &[proof()])),
        ("two names", certificate_by(p256, &["www.test", "other.test"], &[proof()])),
        ("name and address", certificate_by(p256, &["www.test", "127.0.0.1"], &[proof()])),
        ("no proof", certificate("www.test", &[])),
        ("proof of another account", certificate("www.test", &[acme_identifier("another")])),
        ("not critical", certificate("www.test", &[raw(false, octets(digest.as_ref()))])),
        ("without octet string", certificate("www.test", &[raw(true, digest.as_ref().to_vec())])),
        ("too short", certificate("www.test", &[raw(true, octets(&digest.as_ref()[..31]))])),
        ("too long", certificate("www.test", &[raw(true, octets(&[digest.as_ref(), &[0]].concat()))])),
        ("trailing octets", certificate("www.test", &[raw(true, [octets(digest.as_ref()), vec![0]].concat())])),
        ("twice", certificate("www.test", &[proof(), proof()])),
        ("signed by another key", signed_by_another("www.test")),
    ];
    for (what, key) in cases {
        let world = tls_world(&[ACME_TLS], key).await;
        match world.tls("www.test").await {
            Verdict::Invalid(problem) => assert_eq!(problem.kind, ProblemKind::IncorrectResponse, "{what}: {problem}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

fn signed_by_another(name: &str) -> CertifiedKey {
    let issuer_key = rcgen::KeyPair::generate().unwrap();
    let parameters = || rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let issuer = rcgen::Issuer::new(parameters(), &issuer_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut own = parameters();
    own.custom_extensions = vec![acme_identifier(KEY_AUTHORIZATION)];
    certified(own.signed_by(&key, &issuer).unwrap(), &key)
}

// CAA

/// The outcome of the CAA check after a successful http-01 for `name` in a world with `records`.
async fn caa(records: &[&str], name: &str) -> Result<String, String> {
    caa_with(records, name, |_| {}).await
}

async fn caa_with(records: &[&str], name: &str, change: impl Fn(&mut Settings)) -> Result<String, String> {
    let mut world = World::new().await;
    change(&mut world.settings);
    world.records(records);
    let validators = Validators::new(&world.settings).unwrap();
    let checked = validators.caa().check(&dns_name(name), ChallengeType::Http01, ACCOUNT).await;
    checked.map_err(|problem| {
        assert_eq!(problem.kind, ProblemKind::Caa);
        problem.detail
    })
}

#[tokio::test]
async fn the_nearest_record_set_above_the_name_decides() {
    let own = "a.b.test CAA 0 issue ca.test";
    let above = "b.test CAA 0 issue someone.test";
    let top = "test CAA 0 issue ;";
    assert_eq!(caa(&[own, above, top], "a.b.test").await.unwrap(), "permitted by the CAA records of a.b.test");
    assert!(caa(&[own, above, top], "c.b.test").await.unwrap_err().contains("records of b.test"));
    assert!(caa(&[own, above, top], "c.c.test").await.unwrap_err().contains("records of test "));
    assert_eq!(caa(&[], "a.b.test").await.unwrap(), "no CAA records for a.b.test");
}

#[tokio::test]
async fn wildcards_go_by_issuewild() {
    let set = &["w.test CAA 0 issue ca.test", "w.test CAA 0 issuewild ;"];
    assert!(caa(set, "w.test").await.is_ok());
    assert!(caa(set, "*.w.test").await.is_err());
    let set = &["w.test CAA 0 issue ;", "w.test CAA 0 issuewild \"ca.test\""];
    assert!(caa(set, "w.test").await.is_err());
    assert!(caa(set, "*.w.test").await.is_ok());
}

#[tokio::test]
async fn parameters_and_critical_properties_hold_over_the_wire() {
    let account = format!("p.test CAA 0 issue \"ca.test; accounturi={ACCOUNT}; validationmethods=http-01,dns-01\"");
    assert!(caa(&[&account], "p.test").await.is_ok());
    assert!(caa(&["p.test CAA 0 issue \"ca.test; accounturi=https://x.test/2\""], "p.test").await.is_err());
    assert!(caa(&["p.test CAA 0 issue \"ca.test; validationmethods=dns-01\""], "p.test").await.is_err());
    assert!(caa(&["p.test CAA 128 novel x", "p.test CAA 0 issue ca.test"], "p.test").await.is_err());
    assert!(caa(&["p.test CAA 0 novel x", "p.test CAA 0 ISSUE ca.test"], "p.test").await.is_ok());
}

#[tokio::test]
async fn aliases_are_followed_for_caa_and_their_parents_do_not_count() {
    let set = &["www.test CNAME host.provider.test", "host.provider.test CAA 0 issue ;"];
    assert!(caa(set, "www.test").await.is_err());
    let set = &["www.test CNAME host.provider.test", "provider.test CAA 0 issue ;"];
    assert_eq!(caa(set, "www.test").await.unwrap(), "no CAA records for www.test");
    for target in ["gone.outside", "gone.test"] {
        let set = &[&format!("www.test CNAME {target}") as &str, "gone.test NXDOMAIN", "test CAA 0 issue ;"];
        assert!(caa(set, "www.test").await.unwrap_err().contains("records of test "), "{target}");
    }
    let set = &["www.test CNAME broken.test", "broken.test SERVFAIL"];
    assert!(caa(set, "www.test").await.unwrap_err().contains("failed"));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_climbed_above() {
    assert!(caa(&["gone.test NXDOMAIN", "test CAA 0 issue ;"], "gone.test").await.is_err());
    assert!(caa(&["gone.test NXDOMAIN", "test CAA 0 issue ca.test"], "gone.test").await.is_ok());
}

#[tokio::test]
async fn a_failed_look_up_refuses_unless_its_zone_is_excepted() {
    for fault in ["SERVFAIL CAA", "TIMEOUT CAA"] {
        for (record, name) in [(format!("a.b.test {fault}"), "a.b.test"), (format!("b.test {fault}"), "a.b.test")] {
            let detail = caa_with(&[&record], name, hurry).await.unwrap_err();
            assert!(detail.contains("no certificate is issued"), "{detail}");
            let except = |zone: &str| {
                let zone = zone.parse().unwrap();
                move |settings: &mut Settings| {
                    settings.caa_exceptions = vec![Clone::clone(&zone)];
                    settings.dns_timeout = Duration::from_millis(150);
                }
            };
            assert!(caa_with(&[&record], name, except("b.test")).await.unwrap().contains("excepted"));
            assert!(caa_with(&[&record], name, except("c.test")).await.is_err());
        }
    }
}

#[tokio::test]
async fn the_check_ends_with_the_limit_of_an_attempt_and_exceptions_hold_then_too() {
    let short = |settings: &mut Settings| settings.attempt_timeout = Duration::from_millis(200);
    let records = &["www.test TIMEOUT CAA"];
    let detail = timed(caa_with(records, "www.test", short)).await.unwrap_err();
    assert!(detail.contains("time limit"), "{detail}");
    let excepted = |settings: &mut Settings| {
        short(settings);
        settings.caa_exceptions = vec!["test".parse().unwrap()];
    };
    assert!(timed(caa_with(records, "www.test", excepted)).await.unwrap().contains("excepted"));
}

#[tokio::test]
async fn a_tag_that_cannot_be_parsed_refuses() {
    assert!(caa(&["odd.test CAA 0 my-tag x"], "odd.test").await.is_err());
}

#[tokio::test]
async fn caa_is_checked_with_every_validation() {
    let (world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    world.records(&["www.test CAA 0 issue \"ca.test; validationmethods=dns-01\""]);
    world.records(&[&format!("_acme-challenge.www.test TXT {}", digest_text())]);
    assert!(invalid(world.http("www.test").await, ProblemKind::Caa).contains("excludes http-01"));
    assert_eq!(valid(world.dns("www.test").await).caa.as_deref(), Some("permitted by the CAA records of www.test"));
}

// DNSSEC

#[tokio::test]
async fn under_the_root_anchors_unsigned_answers_for_a_private_zone_are_bogus() {
    let (mut world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    world.settings.dnssec = true;
    world.settings.caa_exceptions = vec!["test".parse().unwrap()];
    let detail = invalid(world.http("www.test").await, ProblemKind::Dns);
    assert!(detail.contains("DNSSEC"), "{detail}");
    // An exception for CAA is none for answers that DNSSEC refutes.
    let validators = Validators::new(&world.settings).unwrap();
    assert!(validators.caa().check(&dns_name("www.test"), ChallengeType::Dns01, ACCOUNT).await.is_err());
    // A zone without validation is looked up as it is.
    let zone = "name = \"test\"\nvalidate = false";
    world.settings.zones = vec![toml::from_str(zone).unwrap()];
    valid(world.http("www.test").await);
}

#[tokio::test]
async fn a_zone_may_have_servers_of_its_own() {
    let (mut world, _) = http_world(|_| ok(KEY_AUTHORIZATION)).await;
    let own = world.dns.address();
    world.hurry();
    world.settings.resolvers = vec![beside(V4, closed_port().await)];
    let zone = format!("name = \"hospital.test\"\nresolvers = [\"{own}\"]");
    world.settings.zones = vec![toml::from_str(&zone).unwrap()];
    world.records(&["hospital.test CAA 0 issue ca.test"]);
    valid(world.http("www.hospital.test").await);
    invalid(world.http("www.test").await, ProblemKind::Dns);
}

#[tokio::test]
async fn a_wrong_anchor_is_refused_at_the_start() {
    let mut world = World::new().await;
    world.settings.dnssec = true;
    world.settings.zones = vec![toml::from_str("name = \"test\"\nanchors = [\"test. IN A 127.0.0.1\"]").unwrap()];
    assert!(Validators::new(&world.settings).err().unwrap().to_string().contains("anchor of test"));
}

// The dns responder itself

#[tokio::test]
async fn a_records_file_is_read_again_when_it_changes() {
    use sote_acme::commands::dns_responder::records::{add_record, remove_record};
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("records");
    let mut world = World::new().await;
    let settings = ResponderSettings { records: Some(file.clone()), ..Default::default() };
    world.dns = DnsResponder::start(settings).await.unwrap();
    world.settings.resolvers = vec![world.dns.address()];
    invalid(world.dns("www.test").await, ProblemKind::IncorrectResponse);
    add_record(&file, &format!("_acme-challenge.www.test TXT {}", digest_text())).unwrap();
    valid(world.dns("www.test").await);
    remove_record(&file, "_acme-challenge.www.test", Some("TXT"), None).unwrap();
    invalid(world.dns("www.test").await, ProblemKind::IncorrectResponse);
}

#[tokio::test]
async fn txt_records_may_be_set_by_dynamic_update() {
    use hickory_proto::op::{ResponseCode, update_message};
    use hickory_proto::rr::{Name, RData, Record, RecordSet, rdata::TXT};
    let world = World::new().await;
    let owner = Name::from_ascii("_acme-challenge.www.test.").unwrap();
    let zone = Name::from_ascii("test.").unwrap();
    let text =
        |value: String| RecordSet::from(Record::from_rdata(owner.clone(), 60, RData::TXT(TXT::new(vec![value]))));
    let send = async |message: hickory_proto::op::Message| {
        let socket = tokio::net::UdpSocket::bind(at(V4)).await.unwrap();
        socket.send_to(&message.to_vec().unwrap(), world.dns.address()).await.unwrap();
        let mut answer = [0u8; 512];
        let length = socket.recv(&mut answer).await.unwrap();
        hickory_proto::op::Message::from_vec(&answer[..length]).unwrap().metadata.response_code
    };
    let add = update_message::append(text(digest_text()), zone.clone(), false, false);
    assert_eq!(send(add).await, ResponseCode::NoError);
    valid(world.dns("www.test").await);
    let delete = update_message::delete_by_rdata(text(digest_text()), zone.clone(), false);
    assert_eq!(send(delete).await, ResponseCode::NoError);
    invalid(world.dns("www.test").await, ProblemKind::IncorrectResponse);
    let name = Name::from_ascii("www.example.").unwrap();
    let record = Record::from_rdata(name, 60, RData::TXT(TXT::new(vec![digest_text()])));
    let elsewhere = Name::from_ascii("example.").unwrap();
    let foreign = update_message::append(RecordSet::from(record), elsewhere, false, false);
    assert_eq!(send(foreign).await, ResponseCode::NotAuth);
}
