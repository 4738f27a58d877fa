//! EVMs with Ethereum's native contracts and, on a chain of ours, those of [`precompiles`] too.
//!
//! Blocks, calls and tracers all take their EVM from a [`Factory`], so that none of them can know
//! other contracts than the rest.

use std::sync::LazyLock;

use alloy_evm::{
    Database, EthEvm, EthEvmFactory, EvmEnv, EvmFactory,
    eth::{EthEvmBuilder, EthEvmContext},
    precompiles::PrecompilesMap,
};
use revm::{
    Inspector,
    context::{BlockEnv, DBErrorMarker, TxEnv},
    context_interface::result::{EVMError, HaltReason},
    inspector::NoOpInspector,
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};

use crate::precompiles;

/// Makes EVMs.
#[derive(Clone, Copy, Debug)]
pub struct Factory {
    ours: bool,
}

impl Factory {
    /// With the native contracts of this chain if `ours`, else with Ethereum's alone.
    pub fn new(ours: bool) -> Factory {
        Factory { ours }
    }

    fn precompiles(self, spec: SpecId) -> PrecompilesMap {
        let spec = PrecompileSpecId::from_spec_id(spec);
        if !self.ours {
            return PrecompilesMap::from_static(Precompiles::new(spec));
        }
        let table = OURS.iter().find(|(of, _)| *of == spec);
        let (_, table) = table.expect("every set of Ethereum's is listed below");
        PrecompilesMap::from_static(table)
    }
}

impl EvmFactory for Factory {
    type Evm<DB: Database, I: Inspector<EthEvmContext<DB>>> = EthEvm<DB, I, PrecompilesMap>;
    type Context<DB: Database> = <EthEvmFactory as EvmFactory>::Context<DB>;
    type Tx = TxEnv;
    type Error<E: DBErrorMarker> = EVMError<E>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;

    fn create_evm<DB: Database>(&self, db: DB, env: EvmEnv) -> Self::Evm<DB, NoOpInspector> {
        let precompiles = self.precompiles(env.cfg_env.spec);
        EthEvmBuilder::new(db, env).precompiles(precompiles).build()
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<EthEvmContext<DB>>>(
        &self,
        db: DB,
        env: EvmEnv,
        inspector: I,
    ) -> Self::Evm<DB, I> {
        let precompiles = self.precompiles(env.cfg_env.spec);
        let builder = EthEvmBuilder::new(db, env).precompiles(precompiles);
        builder.activate_inspector(inspector).build()
    }
}

/// One table for each set that Ethereum has had, made once: an EVM is made for every call, and a
/// table of its own would cost it more than most calls do.
static OURS: LazyLock<Vec<(PrecompileSpecId, Precompiles)>> = LazyLock::new(|| {
    let specs = [
        PrecompileSpecId::HOMESTEAD,
        PrecompileSpecId::BYZANTIUM,
        PrecompileSpecId::ISTANBUL,
        PrecompileSpecId::BERLIN,
        PrecompileSpecId::CANCUN,
        PrecompileSpecId::PRAGUE,
        PrecompileSpecId::OSAKA,
    ];
    let with_ours = specs.map(|spec| {
        let mut table = Precompiles::new(spec).clone();
        table.extend(precompiles::all());
        (spec, table)
    });
    with_ours.into()
});
