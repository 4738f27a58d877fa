//! The vector of what a light client checks: certificates of a running committee, byte for byte.

use std::fmt::Write as _;

use alloy_primitives::hex;
use commonware_runtime::{Runner as _, deterministic};
use lode_chain_types::Finality;

use super::{
    cluster::Cluster,
    committee,
    proof::{self, TAG},
};
use crate::{committee::GROUP_KEY_LEN, scheme::NAMESPACE};

/// Where the vector is, from this crate's folder.
const VECTOR: &str = "../../proofs/vectors/finality-committee.json";
/// What it says of itself.
const WHAT: &str =
    "Certificates of a committee of four in a simulated network, as its members deliver them";
/// Certificates in it.
const CERTIFICATES: usize = 3;

/// The committee signs what the vector says. `LODE_WRITE_VECTORS=1` writes it anew, which is a
/// decision: light clients in the field check these bytes.
#[test]
fn is_as_written() {
    let written = deterministic::Runner::seeded(0).start(|context| async move {
        let mut cluster = Cluster::new(context, committee(4)).await;
        cluster.connect().await;
        cluster.start_all().await;
        cluster.reach(&[0, 1, 2, 3], 140).await;
        let group = cluster.committee.group_key();
        let finalities = cluster.members[0].toy.finalities();
        // Numbers of one byte, and those that need two.
        let mut chosen: Vec<Finality> = finalities
            .values()
            .take(CERTIFICATES - 1)
            .copied()
            .collect();
        chosen.extend(finalities.values().rev().take(1));
        assert!(chosen.iter().all(|finality| proof::holds(&group, finality)));
        json(&group, &chosen)
    });
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(VECTOR);
    if std::env::var_os("LODE_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &written).expect("the vector can be written");
    }
    let vector = std::fs::read_to_string(&path).expect("the vector is there");
    assert_eq!(vector, written);
}

fn json(group: &[u8; GROUP_KEY_LEN], finalities: &[Finality]) -> String {
    let hex = |bytes: &[u8]| hex::encode_prefixed(bytes);
    let mut json = String::from("{\n");
    let head = [
        ("what", WHAT.to_owned()),
        ("tag", std::str::from_utf8(TAG).expect("letters").to_owned()),
        ("namespace", hex(NAMESPACE)),
        ("key", hex(group)),
    ];
    for (name, value) in head {
        writeln!(json, "  \"{name}\": \"{value}\",").expect("memory takes all");
    }
    json.push_str("  \"certificates\": [\n");
    for (at, finality) in finalities.iter().enumerate() {
        json.push_str("    {\n");
        let numbers = [
            ("epoch", finality.epoch),
            ("view", finality.view),
            ("parentView", finality.parent_view),
        ];
        for (name, number) in numbers {
            writeln!(json, "      \"{name}\": {number},").expect("memory takes all");
        }
        let parts = [
            ("block", hex(&finality.block), ","),
            ("voteMessage", hex(&proof::vote_message(finality)), ","),
            ("seedMessage", hex(&proof::seed_message(finality)), ","),
            ("finality", hex(&finality.encode()), ""),
        ];
        for (name, bytes, comma) in parts {
            writeln!(json, "      \"{name}\": \"{bytes}\"{comma}").expect("memory takes all");
        }
        let comma = if at + 1 < finalities.len() { "," } else { "" };
        writeln!(json, "    }}{comma}").expect("memory takes all");
    }
    json.push_str("  ]\n}\n");
    json
}
