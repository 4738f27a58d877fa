//! Reward trees equal those of the library that other tools use.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::Value;

use super::*;

/// Roots and proofs of every listed tree.
#[test]
fn trees_equal_the_vectors() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../contracts/vectors/rewards.json")).unwrap();
    let trees = vectors["trees"].as_array().unwrap();
    assert_eq!(trees.len(), 5);
    for tree in trees {
        let listed = tree["claims"].as_array().unwrap();
        let claims: Vec<(Address, U256)> = listed.iter().map(claim).collect();
        let built = RewardTree::new(&claims).unwrap();
        assert_eq!(built.root().to_string(), tree["root"].as_str().unwrap());
        for (at, claim) in listed.iter().enumerate() {
            let proof = claim["proof"].as_array().unwrap();
            let proof: Vec<B256> = proof
                .iter()
                .map(|hash| hash.as_str().unwrap().parse().unwrap())
                .collect();
            assert_eq!(built.proof(at).unwrap(), proof);
        }
        assert!(built.proof(claims.len()).is_none());
    }
}

/// Nobody is owed anything by an empty statement.
#[test]
fn needs_claims() {
    assert!(RewardTree::new(&[]).is_none());
}

fn claim(value: &Value) -> (Address, U256) {
    let text = |name: &str| value[name].as_str().unwrap();
    (
        text("account").parse().unwrap(),
        text("earned").parse().unwrap(),
    )
}
