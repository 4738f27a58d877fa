//! Who may ask: tokens as go-ethereum's servers take them (`Authorization: Bearer`, HS256, issued within a
//! minute of now).

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

/// Seconds between a token's issue and now, either way (go-ethereum, `node/jwt_handler.go`).
const SKEW: u64 = 60;

/// Bytes of a token, at most: header, a claim or two, and 43 characters of signature.
const TOKEN_LEN_MAX: usize = 4_096;

/// What both ends know.
#[derive(Clone)]
pub struct Secret(Arc<[u8; 32]>);

/// Text that is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a JWT secret is 64 hex digits, 0x optional")]
pub struct NoSecret;

/// Why somebody may not ask; the text is go-ethereum's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// No token.
    #[error("missing token")]
    Missing,
    /// Not a token, or signed otherwise than by HS256 with the secret.
    #[error("invalid token")]
    Invalid,
    /// It does not say when it was issued.
    #[error("missing issued-at")]
    Undated,
    /// It was issued too long ago.
    #[error("stale token")]
    Stale,
    /// It will be issued.
    #[error("future token")]
    Future,
    /// Its time is over.
    #[error("token is expired")]
    Expired,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iat: Option<u64>,
    exp: Option<u64>,
}

impl Secret {
    /// Reads what stands in a file.
    ///
    /// # Errors
    /// [`NoSecret`]
    pub fn parse(text: &str) -> Result<Secret, NoSecret> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return Err(NoSecret);
        }
        const_hex::decode_to_slice(digits, &mut bytes).map_err(|_| NoSecret)?;
        Ok(Secret(Arc::new(bytes)))
    }

    /// Whether a request comes from somebody who knows it.
    ///
    /// # Errors
    /// [`Stranger`]
    pub fn check(&self, headers: &HeaderMap, now: u64) -> Result<(), Stranger> {
        let value = headers.get(header::AUTHORIZATION);
        let value = value.and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.filter(|token| !token.is_empty());
        self.check_token(token.ok_or(Stranger::Missing)?, now)
    }

    /// The same of the token alone.
    ///
    /// # Errors
    /// [`Stranger`]
    pub fn check_token(&self, token: &str, now: u64) -> Result<(), Stranger> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(Stranger::Invalid);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Stranger::Invalid)?;
        let (header, claims) = signed.split_once('.').ok_or(Stranger::Invalid)?;
        let header: Header = part(header)?;
        if header.alg != "HS256" {
            return Err(Stranger::Invalid);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature);
        let signature = signature.map_err(|_| Stranger::Invalid)?;
        // How long it takes says nothing of how much was right.
        let checked = self.mac(signed).verify_slice(&signature);
        checked.map_err(|_| Stranger::Invalid)?;
        let claims: Claims = part(claims)?;
        let issued = claims.iat.ok_or(Stranger::Undated)?;
        if claims.exp.is_some_and(|expiry| expiry < now) {
            Err(Stranger::Expired)
        } else if issued.saturating_add(SKEW) < now {
            Err(Stranger::Stale)
        } else if issued > now.saturating_add(SKEW) {
            Err(Stranger::Future)
        } else {
            Ok(())
        }
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0[..]);
        mac.expect("a key of any length will do")
            .chain_update(signed)
    }
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Stranger> {
    let json = URL_SAFE_NO_PAD.decode(text);
    let json = json.map_err(|_| Stranger::Invalid)?;
    serde_json::from_slice(&json).map_err(|_| Stranger::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(secret: &Secret, header: &str, claims: &str) -> String {
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = secret.mac(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// RFC 7515, A.1: the signature of another implementation is right, although its claims are no dates
    /// of ours.
    #[test]
    fn signs_as_others() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
            .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let key = URL_SAFE_NO_PAD.decode(key).expect("base64");
        let mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        let found = mac.chain_update(signed).finalize().into_bytes();
        let found = URL_SAFE_NO_PAD.encode(found);
        assert_eq!(found, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    /// A fresh token by who knows the secret opens; all others do not, each for its reason.
    #[test]
    fn opens_to_who_knows() {
        let secret = Secret::parse(&format!("0x{}\n", "07".repeat(32))).expect("a secret");
        let other = Secret::parse(&"08".repeat(32)).expect("a secret");
        let (hs, now) = (r#"{"alg":"HS256","typ":"JWT"}"#, 1_000);
        let check = |token: &str| secret.check_token(token, now);
        for iat in [940, 1_000, 1_060] {
            let claims = format!(r#"{{"iat":{iat}}}"#);
            assert_eq!(check(&token(&secret, hs, &claims)), Ok(()));
            assert_eq!(check(&token(&other, hs, &claims)), Err(Stranger::Invalid));
        }
        let cases = [
            (hs, r#"{"iat":939}"#, Stranger::Stale),
            (hs, r#"{"iat":1061}"#, Stranger::Future),
            (hs, "{}", Stranger::Undated),
            (hs, r#"{"iat":1000,"exp":999}"#, Stranger::Expired),
            (hs, r#"{"iat":"1000"}"#, Stranger::Invalid),
            (r#"{"alg":"none"}"#, r#"{"iat":1000}"#, Stranger::Invalid),
            (r#"{"alg":"HS384"}"#, r#"{"iat":1000}"#, Stranger::Invalid),
        ];
        for (header, claims, why) in cases {
            assert_eq!(check(&token(&secret, header, claims)), Err(why), "{claims}");
        }
        for text in ["", ".", "..", "a.b.c", "ey", "e30.e30."] {
            assert_eq!(check(text), Err(Stranger::Invalid), "{text}");
        }
        assert_eq!(secret.check(&HeaderMap::new(), now), Err(Stranger::Missing));
        for bad in ["", "0x", "07"] {
            assert!(Secret::parse(bad).is_err());
        }
    }
}
