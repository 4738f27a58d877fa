//! Certificates of containers: what decodes has one encoding, and nobody signed anything but the seed.

use std::sync::OnceLock;

use lode_proofs::{
    Hash32,
    da::{
        Assignment, Certificate, Head, Quorum, Shape, Statement, Threshold,
        signing::{HolderSecret, Holders},
    },
};

use super::Target;

/// Reads a certificate, and checks it.
pub const TARGET: Target = Target {
    name: "da_certificate",
    run,
    seeds,
    repair: None,
    cost: 4,
};

/// A quorum of three, and a certificate by all of them.
struct World {
    holders: Holders,
    certificate: Vec<u8>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let seats: Vec<u16> = (0..3072).map(|row| row % 3).collect();
        let assignment = Assignment::new(&seats).expect("three holders");
        let secrets = [1, 2, 3].map(|byte| HolderSecret::from_seed(&[byte; 32]));
        let statement = Statement {
            quorum: Quorum {
                chain_id: 1,
                epoch: 2,
                quorum: 3,
            },
            head: Head {
                row_root: Hash32([1; 32]),
                check_root: Hash32([2; 32]),
                namespace_root: Hash32([3; 32]),
                shape: Shape::new(65_600).expect("a length"),
                columns: 10,
            },
            expiry: 4,
        };
        let signatures = secrets.iter().enumerate();
        let signatures: Vec<(usize, [u8; 48])> = signatures
            .map(|(seat, secret)| (seat, secret.sign(&statement)))
            .collect();
        let certificate = Certificate::sum(statement, &assignment, &signatures);
        let keys = secrets.iter().map(HolderSecret::key).collect();
        World {
            certificate: certificate.expect("three points").encode(),
            holders: Holders::new(assignment, keys).expect("three keys"),
        }
    })
}

/// See the file's head.
pub fn run(data: &[u8]) {
    let World {
        holders,
        certificate,
    } = world();
    let Ok(found) = Certificate::decode(data, holders.assignment()) else {
        return;
    };
    assert_eq!(found.encode(), data, "one encoding each");
    if found.verify(holders, Threshold::LEAST).is_ok() {
        assert_eq!(data, certificate, "nobody signed this");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    vec![world().certificate.clone()]
}
