//! Bindings of the contracts, made from the artefacts that a check recompiles byte for byte.
//!
//! Of the two forms of `submit`, `submit_0Call` and `submit_1Call`, which is which is said by
//! [`crate::flow`].
#![allow(
    missing_docs,
    reason = "the contracts' sources document what is bound here"
)]

alloy_sol_types::sol!(
    #[sol(all_derives)]
    Flow,
    "../contracts/artifacts/Flow.json"
);
alloy_sol_types::sol!(
    #[sol(all_derives)]
    Market,
    "../contracts/artifacts/Market.json"
);
alloy_sol_types::sol!(
    #[sol(all_derives)]
    Anchors,
    "../contracts/artifacts/Anchors.json"
);
alloy_sol_types::sol!(
    #[sol(all_derives)]
    Committee,
    "../contracts/artifacts/Committee.json"
);
alloy_sol_types::sol!(
    #[sol(all_derives)]
    Beacon,
    "../contracts/artifacts/Beacon.json"
);
alloy_sol_types::sol!(
    #[sol(all_derives)]
    Rewards,
    "../contracts/artifacts/Rewards.json"
);
alloy_sol_types::sol!(
    #[sol(all_derives)]
    DaSigners,
    "../contracts/artifacts/DaSigners.json"
);
alloy_sol_types::sol!(
    #[sol(all_derives)]
    DaCertificates,
    "../contracts/artifacts/DaCertificates.json"
);

/// Contracts of other chains, which check what is said on ours. Apart, because the compiler has types of the
/// same names in more than one of its artefacts.
pub mod elsewhere {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        DaVerifier,
        "../contracts/artifacts/DaVerifier.json"
    );
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        DaInclusion,
        "../contracts/artifacts/DaInclusion.json"
    );
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        DaProofValidator,
        "../contracts/artifacts/DaProofValidator.json"
    );
}
