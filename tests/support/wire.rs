//! Below the client: plain requests, octets and handshakes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use sote_acme::client::{Response, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Ca;

impl Ca {
    /// The transport of the client.
    pub fn transport(&self) -> &Transport {
        self.client.transport()
    }

    /// `https://localhost:PORT`.
    pub fn base(&self) -> String {
        self.facts.acme_directory.strip_suffix("/directory").unwrap().to_owned()
    }

    /// Where the ACME listener listens.
    pub fn acme_address(&self) -> SocketAddr {
        let port = self.base().rsplit(':').next().unwrap().parse().unwrap();
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// A nonce that is used nowhere else.
    pub async fn nonce(&self) -> String {
        let answer = self.request("HEAD", &self.directory().new_nonce.clone()).await;
        answer.header("replay-nonce").unwrap().to_owned()
    }

    /// GET.
    pub async fn get(&self, url: &str) -> Response {
        self.request("GET", url).await
    }

    /// A request without a body.
    pub async fn request(&self, method: &str, url: &str) -> Response {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.transport().send(method, url, Default::default(), Default::default()).await.unwrap()
    }

    /// POST; an empty content type stands for none.
    pub async fn post(&self, url: &str, content_type: &str, body: Vec<u8>) -> Response {
        let mut headers = hyper::HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert("content-type", content_type.parse().unwrap());
        }
        self.transport().send(Method::POST, url, headers, body.into()).await.unwrap()
    }

    /// What the ACME listener answers to octets without TLS.
    pub async fn octets(&self, octets: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.acme_address()).await.unwrap();
        stream.write_all(octets).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
        answer
    }

    /// The application protocol that a handshake of this TLS version ends with.
    pub async fn handshake(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
        protocols: &[&str],
    ) -> Option<String> {
        let stream = self.tls(&[version], protocols).await;
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        stream.get_ref().1.alpn_protocol().map(|protocol| String::from_utf8(protocol.to_vec()).unwrap())
    }

    /// The answer to a POST whose body comes in chunks, as text.
    pub async fn chunked(&self, url: &str, content_type: &str, body: &[u8]) -> String {
        let path = url.strip_prefix(&self.base()).unwrap();
        let authority = self.base().trim_start_matches("https://").to_owned();
        let mut stream = self.tls(rustls::ALL_VERSIONS, &["http/1.1"]).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: {content_type}\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        for chunk in body.chunks(7) {
            stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
            stream.write_all(chunk).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn tls(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        protocols: &[&str],
    ) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(&self.facts.tls_root).unwrap() {
            roots.add(root.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.acme_address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}
