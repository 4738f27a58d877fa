//! Where the operator is answered: one door, or none.

use std::{net::SocketAddr, path::PathBuf};

use lode_zgs::{Loopback, OperatorDoors};

use super::Texts;
use crate::failure::{Failure, Outcome};

/// What a socket's path follows.
const UNIX: &str = "unix:";

/// No door unless one is named. A port needs a file for its word, a socket has no use for one.
pub(super) fn settings(texts: &Texts) -> Outcome<OperatorDoors> {
    let token = texts.text("operator_token");
    match texts.parse("operator_listen", door)? {
        Some(Door::Port(address)) if token.is_empty() => {
            let what = format!(
                "operator_listen is {address}, and operator_token is not set: whoever is on this \
                 machine could end the node"
            );
            let next = "name a file for the port's word, or listen at unix:PATH";
            Err(Failure::usage(what, next))
        }
        Some(Door::Port(address)) => Ok(OperatorDoors {
            loopback: Some(Loopback {
                address,
                token_file: PathBuf::from(token),
            }),
            socket: None,
        }),
        other if !token.is_empty() => {
            let why = match other {
                Some(_) => "operator_listen is a socket, whose mode says who may ask",
                None => "operator_listen is not",
            };
            let what = format!("operator_token is set, and {why}: it would do nothing");
            let next = "set it only with a port in operator_listen";
            Err(Failure::usage(what, next))
        }
        Some(Door::Socket(path)) => Ok(OperatorDoors {
            socket: Some(path),
            loopback: None,
        }),
        None => Ok(OperatorDoors::default()),
    }
}

enum Door {
    Socket(PathBuf),
    Port(SocketAddr),
}

/// None if the text is neither empty nor a door; within it none if it is empty.
fn door(text: &str) -> Option<Option<Door>> {
    if text.is_empty() {
        return Some(None);
    }
    if let Some(path) = text.strip_prefix(UNIX) {
        return (!path.is_empty()).then(|| Some(Door::Socket(PathBuf::from(path))));
    }
    let address: SocketAddr = text.parse().ok()?;
    address
        .ip()
        .is_loopback()
        .then_some(Some(Door::Port(address)))
}
