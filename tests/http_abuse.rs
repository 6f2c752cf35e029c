//! Whatever a peer does on any port, it gets a problem document or a closed connection, within bounds of time and memory.

mod listeners;

use std::time::{Duration, Instant};

use listeners::{Ca, PATIENCE, answer, field, impatient, problem, rest};
use sote_acme::client::HttpVersion;
use sote_acme::http::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

const GET: &str = "GET /directory HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn octets_that_are_no_request_get_a_problem_document_or_a_closed_connection() {
    let ca = Ca::start(impatient()).await;
    let garbage: [&[u8]; 7] = [
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: a\r\n\r\n",
        b"\xff\xfe\xfd\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for octets in garbage {
        let mut plain = TcpStream::connect(ca.public).await.unwrap();
        plain.write_all(octets).await.unwrap();
        let got = rest(&mut plain).await;
        assert!(got.is_empty() || problem(&got) == 400, "{octets:?}");

        let mut inside_tls = ca.connect(&["http/1.1"]).await;
        inside_tls.write_all(octets).await.unwrap();
        let got = rest(&mut inside_tls).await;
        assert!(got.is_empty() || problem(&got) == 400, "{octets:?}");

        let mut http2 = ca.connect(&["h2"]).await;
        http2.write_all(octets).await.unwrap();
        rest(&mut http2).await;

        let mut instead_of_tls = TcpStream::connect(ca.acme).await.unwrap();
        instead_of_tls.write_all(octets).await.unwrap();
        rest(&mut instead_of_tls).await;

        let mut admin = UnixStream::connect(&ca.admin).await.unwrap();
        admin.write_all(octets).await.unwrap();
        let got = rest(&mut admin).await;
        assert!(got.is_empty() || problem(&got) == 400, "{octets:?}");
    }
    assert_eq!(ca.client(HttpVersion::Http2).get(&format!("{}/directory", ca.base)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_peer_that_is_silent_or_slow_is_closed_wherever_it_stops() {
    let ca = Ca::start(impatient()).await;
    let begun = Instant::now();
    let nothing = async { rest(&mut TcpStream::connect(ca.acme).await.unwrap()).await };
    let after_tls = async { rest(&mut ca.connect(&["http/1.1"]).await).await };
    let after_tls_with_http2 = async { rest(&mut ca.connect(&["h2"]).await).await };
    let on_the_public_port = async { rest(&mut TcpStream::connect(ca.public).await.unwrap()).await };
    let after_half_a_head = async { ca.exchange("GET /directory HTTP/1.1\r\nhost: loc").await };
    let after_half_a_preface = async {
        let mut stream = ca.connect(&["h2"]).await;
        stream.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
        rest(&mut stream).await
    };
    let octet_by_octet = async {
        let mut stream = ca.connect(&["http/1.1"]).await;
        for octet in GET.bytes() {
            if stream.write_all(&[octet]).await.is_err() || stream.flush().await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        rest(&mut stream).await
    };
    let (a, b, c, d, e, f, g) = tokio::join!(
        nothing,
        after_tls,
        after_tls_with_http2,
        on_the_public_port,
        after_half_a_head,
        after_half_a_preface,
        octet_by_octet
    );
    assert!([&a, &b, &d, &e, &g].iter().all(|got| got.is_empty()), "{a}{b}{d}{e}{g}");
    // HTTP/2 says goodbye with frames.
    assert!(!c.contains("HTTP/1.1") && !f.contains("HTTP/1.1"));
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let ca = Ca::start(impatient()).await;
    let head = "POST /acme/new-order HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jose+json\r\n";
    assert_eq!(problem(&ca.exchange(&format!("{head}content-length: 100\r\n\r\n{{")).await), 408);
    assert_eq!(problem(&ca.exchange(&format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n{{")).await), 408);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_however_it_is_sent() {
    let ca = Ca::start(impatient()).await;
    let head = "POST /acme/new-order HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jose+json\r\n\
                connection: close\r\n";
    let body = "x".repeat(200 << 10);
    let whole = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    assert_eq!(problem(&ca.exchange(&whole).await), 413);
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(problem(&ca.exchange(&chunked).await), 413);
    let announced = format!("{head}content-length: 99999999999\r\n\r\n");
    assert_eq!(problem(&ca.exchange(&announced).await), 413);
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let url = format!("{}/acme/new-order", ca.base);
        let got = ca.client(version).post(&url, "application/jose+json", body.clone()).await.unwrap();
        assert_eq!(got.status, 413, "{version:?}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let ca = Ca::start(impatient()).await;
    let large = format!("GET /directory HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(64 << 10));
    assert_eq!(problem(&ca.exchange(&large).await), 431);
    let many = format!("GET /directory HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(100));
    assert_eq!(problem(&ca.exchange(&many).await), 431);
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "y".repeat(64 << 10));
    let got = ca.exchange(&long).await;
    assert!(got.is_empty() || [400, 404, 414, 431].contains(&problem(&got)), "{got}");
}

#[tokio::test]
async fn a_head_with_two_meanings_is_400() {
    let ca = Ca::start(impatient()).await;
    for head in [
        "GET /directory HTTP/1.1\r\nhost: a\r\nhost: b\r\n",
        "GET /directory HTTP/1.1\r\n",
        "GET https://localhost/directory HTTP/1.1\r\nhost: localhost\r\n",
        "POST /acme/new-order HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n",
        "CONNECT localhost:443 HTTP/1.1\r\nhost: a\r\n",
    ] {
        let got = ca.exchange(&format!("{head}connection: close\r\n\r\n0\r\n\r\n")).await;
        assert!(problem(&got) == 400, "{head}: {got}");
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_more_requests_and_closed_when_idle() {
    let ca = Ca::start(impatient()).await;
    let mut stream = ca.connect(&["http/1.1"]).await;
    for _ in 0..3 {
        stream.write_all(GET.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    // Two requests at once are answered one after the other.
    stream.write_all(format!("{GET}{GET}").as_bytes()).await.unwrap();
    let idle = Instant::now();
    let got = rest(&mut stream).await;
    assert_eq!(got.matches("HTTP/1.1 200").count(), 2);
    assert!(idle.elapsed() >= Duration::from_millis(1500), "closed after {:?}", idle.elapsed());
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed() {
    let ca = Ca::start(impatient()).await;
    let client = ca.client(HttpVersion::Http2);
    let url = format!("{}/directory", ca.base);
    assert_eq!(client.get(&url).await.unwrap().status, 200);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(client.get(&url).await.unwrap().status, 200, "the client opens another one");
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_connections() {
    let ca = Ca::start(Settings { connections_per_address: 5, ..impatient() }).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(ca.public).await.unwrap();
        stream.write_all(b"GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        answer(&mut stream).await;
        held.push(stream);
    }
    let mut sixth = TcpStream::connect(ca.public).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_millis(500), sixth.read(&mut [0; 1])).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "{closed:?}");
    held.pop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut another = TcpStream::connect(ca.public).await.unwrap();
    another.write_all(b"GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(problem(&answer(&mut another).await), 404);
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_until_one_ends() {
    let ca = Ca::start(Settings { connections: 2, ..impatient() }).await;
    let silent = [TcpStream::connect(ca.public).await.unwrap(), TcpStream::connect(ca.public).await.unwrap()];
    let mut waiting = TcpStream::connect(ca.public).await.unwrap();
    waiting.write_all(b"GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(problem(&answer(&mut waiting).await), 404, "served once the silent ones were closed");
    drop(silent);
}

#[tokio::test]
async fn requests_in_flight_are_bounded_and_the_rest_comes_back_later() {
    let ca = Ca::start(Settings { requests_per_address: 2, body_timeout: PATIENCE, ..impatient() }).await;
    let head = "POST /acme/new-order HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jose+json\r\n\
                content-length: 10\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = ca.connect(&["http/1.1"]).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut third = ca.connect(&["http/1.1"]).await;
    third.write_all(GET.as_bytes()).await.unwrap();
    let got = answer(&mut third).await;
    assert_eq!(problem(&got), 503);
    assert_eq!(field(&got, "retry-after"), Some("5"));
    drop(slow);
    tokio::time::sleep(Duration::from_millis(200)).await;
    third.write_all(GET.as_bytes()).await.unwrap();
    assert!(answer(&mut third).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_graceful_stop_finishes_requests_in_flight_and_closes_idle_connections() {
    let mut ca = Ca::start(Settings { body_timeout: PATIENCE, idle_timeout: PATIENCE, ..impatient() }).await;
    let mut idle = ca.connect(&["http/1.1"]).await;
    idle.write_all(GET.as_bytes()).await.unwrap();
    answer(&mut idle).await;
    let mut busy = ca.connect(&["http/1.1"]).await;
    let head = "POST /acme/new-order HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jose+json\r\n\
                content-length: 10\r\n\r\n";
    busy.write_all(head.as_bytes()).await.unwrap();
    busy.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;

    let stopped = ca.stop();
    assert_eq!(rest(&mut idle).await, "", "idle connections are closed at once");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!stopped.is_finished(), "a request is still in flight");
    assert!(TcpStream::connect(ca.acme).await.is_err(), "nothing new is accepted");
    busy.write_all(b"0123456789").await.unwrap();
    let got = rest(&mut busy).await;
    assert_eq!(problem(&got), 400, "the request is answered");
    tokio::time::timeout(PATIENCE, stopped).await.expect("the stop ends").unwrap();
    assert!(!ca.admin.exists());
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_a_stop_waiting_for_ever() {
    let settings = Settings { body_timeout: PATIENCE * 9, stop_timeout: Duration::from_secs(1), ..impatient() };
    let mut ca = Ca::start(settings).await;
    let mut busy = ca.connect(&["http/1.1"]).await;
    let head = "POST /acme/new-order HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jose+json\r\n\
                content-length: 10\r\n\r\n";
    busy.write_all(head.as_bytes()).await.unwrap();
    busy.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::time::timeout(Duration::from_secs(5), ca.stop()).await.expect("the stop ends").unwrap();
    assert_eq!(rest(&mut busy).await, "");
}

#[tokio::test]
async fn half_a_tls_handshake_is_closed_and_an_unknown_protocol_refused() {
    let ca = Ca::start(impatient()).await;
    let mut half = TcpStream::connect(ca.acme).await.unwrap();
    half.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").await.unwrap();
    rest(&mut half).await;
    let stream = TcpStream::connect(ca.acme).await.unwrap();
    assert!(ca.handshake(stream, &["acme-tls/1"]).await.is_err());
}

#[tokio::test]
async fn the_public_port_answers_no_acme_and_the_acme_port_no_status() {
    let ca = Ca::start(impatient()).await;
    for path in ["/directory", "/acme/new-nonce", "/"] {
        let mut stream = TcpStream::connect(ca.public).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        assert_eq!(problem(&answer(&mut stream).await), 404, "{path}");
    }
    let got = ca.client(HttpVersion::Http1).get(&format!("{}/crl/sote-1/0.crl", ca.base)).await.unwrap();
    assert_eq!(got.status, 404);
}

#[tokio::test]
async fn a_caller_who_is_no_officer_is_refused_at_the_admin_socket() {
    let ca = Ca::start(impatient()).await;
    let ask = async |socket: &str, path: &str| {
        let mut stream = UnixStream::connect(ca.admin.with_file_name(socket)).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        answer(&mut stream).await
    };
    assert!(ask("admin.sock", "/me").await.contains("\"name\":\"first\""));
    assert!(ask("nobody.sock", "/me").await.starts_with("HTTP/1.1 403"), "no officer comes by this socket");
    assert!(ask("admin.sock", "/nothing").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_hundred_idle_connections_and_fifty_parallel_requests_of_one_address_are_normal() {
    let ca = Ca::start(Settings { rate_limits: sote_acme::http::RateLimits::off(), ..Settings::default() }).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(ca.connect(&["http/1.1"]).await);
    }
    let client = ca.client(HttpVersion::Http1);
    let requests = (0..50).map(|_| {
        let (client, url) = (client.clone(), format!("{}/acme/new-nonce", ca.base));
        tokio::spawn(async move { client.head(&url).await.unwrap().status })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn an_upload_over_the_admin_socket_has_its_own_bound() {
    let ca = Ca::start(Settings { admin_body_size: 1 << 20, ..impatient() }).await;
    let (status, answer) = ca.command("POST", "/register", &"x".repeat(3 << 19)).await;
    assert_eq!(status, 413, "{answer}");
    assert!(answer["error"].is_string() && answer["next"].is_string());
    let (status, answer) = ca.command("POST", "/register", "not,a,register\n").await;
    assert_eq!(status, 400, "{answer}");
    let kept = std::fs::read_dir(ca.admin.parent().unwrap()).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!kept.iter().any(|name| name.starts_with("upload")), "{kept:?}");
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let ca = Ca::start(impatient()).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = ca.handshake_in(TcpStream::connect(ca.acme).await.unwrap(), &["h2"], version).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
    }
    // A ClientHello of TLS 1.1: version 3.2, one cipher suite, no extensions.
    let hello =
        [&b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02"[..], &[7; 32], b"\x00\x00\x02\x00\x2f\x01\x00"].concat();
    let mut old = TcpStream::connect(ca.acme).await.unwrap();
    old.write_all(&hello).await.unwrap();
    let mut alert = Vec::new();
    old.read_to_end(&mut alert).await.unwrap();
    assert_eq!(alert.first(), Some(&0x15), "an alert and nothing else: {alert:?}");
}
