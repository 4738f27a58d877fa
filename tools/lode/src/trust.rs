//! Whom we trust to vouch for a node behind TLS: the public authorities that this program carries
//! along (Mozilla's list), or those of one file. And what to do when nobody vouches for it.
//!
//! A node speaks no TLS itself; what ends TLS in front of it is trusted as the node is. Roots and
//! proofs are checked either way.

use std::{fs, path::Path};

use lode_kv::Authorities;
use rustls::{CertificateError, Error as TlsError, pki_types::CertificateDer};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::failure::{Failure, Outcome};

/// The authorities of the file, or the public ones.
pub fn tls(ca: Option<&Path>) -> Outcome<TlsConfig> {
    let roots = match ca {
        Some(path) => RootCerts::from(certificates(path)?),
        None => RootCerts::WebPki,
    };
    Ok(TlsConfig::builder().root_certs(roots).build())
}

/// The same for a key-value node, which asks others.
pub fn authorities(ca: Option<&Path>) -> Outcome<Authorities> {
    let Some(path) = ca else {
        return Ok(Authorities::Public);
    };
    let all = certificates(path)?;
    let all = all
        .iter()
        .map(|one| CertificateDer::from(one.der().to_vec()));
    Ok(Authorities::Only(all.collect()))
}

fn certificates(path: &Path) -> Outcome<Vec<Certificate<'static>>> {
    let pem = fs::read(path).map_err(|error| Failure::file(path.display(), &error))?;
    let bad = |why: &str| {
        let what = format!("{}: {why}", path.display());
        Failure::usage(
            what,
            "name a file of certificates in PEM by --ca or LODE_CA",
        )
    };
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| bad(&error.to_string()))? {
            certificates.push(certificate);
        }
    }
    match certificates.is_empty() {
        true => Err(bad("there is no certificate in it")),
        false => Ok(certificates),
    }
}

/// The failure, if TLS is why there is no answer.
pub fn explain(node: &str, error: &ureq::Error) -> Option<Failure> {
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref()?,
        _ => return None,
    };
    let next = match error {
        TlsError::InvalidCertificate(why) => cure(why),
        TlsError::InvalidMessage(_) => {
            "is there TLS at this port? A node alone is named by http://"
        }
        _ => "look at what ends TLS in front of the node",
    };
    Some(Failure::untrusted(
        format!("no TLS with {node}: {error}"),
        next,
    ))
}

fn cure(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::UnknownIssuer => {
            "if you know who issued its certificate, name the issuer's own certificate by --ca FILE \
             or LODE_CA; if not, do not use this node"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "name the node as its certificate does"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "renew its certificate; or is this machine's clock wrong?"
        }
        _ => "do not use this node until its certificate is in order",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every certificate of a file counts, whatever stands between them; a file without any, or
    /// with a broken one, is refused by name.
    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        fs::write(&path, format!("words\n{one}more words\n{one}")).unwrap();
        assert_eq!(certificates(&path).unwrap().len(), 2);
        match authorities(Some(&path)).unwrap() {
            Authorities::Only(all) => assert_eq!(all.len(), 2),
            Authorities::Public => panic!("others than those of the file"),
        }
        for bad in ["", "words", "-----BEGIN CERTIFICATE-----\nAA"] {
            fs::write(&path, bad).unwrap();
            let failure = certificates(&path).unwrap_err();
            assert!(failure.what.contains("ca.pem"), "{failure}");
            assert!(failure.next.contains("--ca"), "{failure}");
        }
        assert!(authorities(Some(&dir.path().join("missing"))).is_err());
    }
}
