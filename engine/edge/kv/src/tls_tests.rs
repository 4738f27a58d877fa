//! A node behind something that ends TLS, as a reverse proxy does.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::blob::Aborting;

/// What ends TLS in front of a node, for the name localhost.
struct Front {
    url: String,
    /// Who vouches for it.
    authorities: Authorities,
    _task: Aborting<()>,
}

impl Front {
    async fn before(node: &str) -> Front {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(authority, key);
        let own = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&own, &issuer).unwrap();
        let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let node = node.strip_prefix("http://").unwrap().to_owned();
        let task: JoinHandle<()> = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (acceptor, node) = (acceptor.clone(), node.clone());
                tokio::spawn(async move {
                    // A client that does not trust us ends here.
                    let Ok(mut client) = acceptor.accept(client).await else {
                        return;
                    };
                    let mut node = TcpStream::connect(node).await.unwrap();
                    // It ends as connections do: with an error, if the client has had enough.
                    let _ = copy_bidirectional(&mut client, &mut node).await;
                });
            }
        });
        Front {
            url: format!("https://localhost:{port}"),
            authorities: Authorities::Only(vec![root]),
            _task: Aborting(task),
        }
    }
}

/// Submissions, bytes and a leader's decisions come through TLS, for whoever trusts the front's
/// authority.
#[tokio::test]
async fn trusted() {
    let (bytes, of, segments) = blob();
    let submission = told(&of);
    let (url, _node) = node(move |method, params| match method {
        "lode_getSubmissions" => Ok(json!([submission])),
        "lode_getGivenUp" => Ok(json!({"decided": 4, "seqs": [3]})),
        _ => {
            let index = usize::try_from(params[1].as_u64().unwrap()).unwrap();
            Ok(segments[index].clone())
        }
    })
    .await;
    let front = Front::before(&url).await;
    let urls = std::slice::from_ref(&front.url);
    let feed = NodeFeed::new(urls, Some(&front.url), &front.authorities).unwrap();
    let want = Submission {
        given_up: true,
        ..of.clone()
    };
    assert_eq!(feed.submissions(3, 10).await.unwrap(), [want]);
    for (index, chunk) in (0..).zip(bytes.chunks(CHUNK_LEN)) {
        assert_eq!(feed.chunk(&of, index).await.unwrap().unwrap(), chunk);
    }
}

/// Nobody vouches for the front, or for this name of it, or there is no TLS at all: nothing is asked, and
/// the reason is told.
#[tokio::test]
async fn not_trusted() {
    let (url, _node) = node(|_, _| panic!("it was asked")).await;
    let front = Front::before(&url).await;
    let by_address = front.url.replace("localhost", "127.0.0.1");
    let plain = url.replace("http://", "https://");
    let public = Authorities::Public;
    let cases = [
        (&front.url, &public, "UnknownIssuer"),
        (&by_address, &front.authorities, "not valid for name"),
        (&plain, &front.authorities, "corrupt message"),
    ];
    for (url, authorities, why) in cases {
        let urls = std::slice::from_ref(url);
        let feed = NodeFeed::new(urls, None, authorities).unwrap();
        match feed.submissions(0, 1).await {
            Err(FeedError::Unreachable(words)) => assert!(words.contains(why), "{words}"),
            other => panic!("{url}: {other:?}"),
        }
    }
}

/// Nobody is sent elsewhere: what a strange node points at may be a neighbour of ours.
#[tokio::test]
async fn redirects() {
    let (url, _node) = node(|_, _| panic!("it was asked")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let strange = format!("http://{}", listener.local_addr().unwrap());
    let _task = Aborting(tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(client.read(&mut request).await.unwrap() > 0);
        let head = "HTTP/1.1 307 Temporary Redirect";
        let answer = format!("{head}\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n");
        client.write_all(answer.as_bytes()).await.unwrap();
        // Open until it is read.
        let _ = client.read(&mut request).await;
    }));
    match feed(&[&strange]).submissions(0, 1).await {
        Err(FeedError::Senseless(words)) => assert!(words.contains("307"), "{words}"),
        other => panic!("{other:?}"),
    }
}
