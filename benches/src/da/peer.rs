//! What else makes data available, asked for the same job: whichever was compiled in.

#[cfg(feature = "peers-da")]
mod commonware;
#[cfg(feature = "peers-da")]
mod kzg;

use super::made::Made;
use crate::{error::Result, meter::Sample};

/// How much faster ours encodes.
#[cfg(feature = "peers-da")]
const ENCODES: &str = "lode encodes and commits faster than";
/// How much faster ours restores.
#[cfg(feature = "peers-da")]
const RESTORES: &str = "lode restores faster than";

/// A peer's way to do a job on one container.
pub struct Peer<'made> {
    /// Name among the figures.
    pub name: &'static str,
    /// What our factor over it is called.
    pub factor: &'static str,
    /// Does it once, and says what that took.
    pub work: Box<dyn FnMut() -> Result<Sample> + 'made>,
}

/// What peers prepare once.
pub struct Peers {
    #[cfg(feature = "peers-da")]
    kzg: kzg::Setups,
}

#[cfg(feature = "peers-da")]
impl Peers {
    /// Prepares them; takes some seconds and 200 MB, for tables of multiples of the setup's points.
    pub fn new() -> Self {
        Self {
            kzg: kzg::Setups::new(),
        }
    }

    /// Those that code and commit.
    pub fn encoders<'made>(&'made self, made: &'made Made) -> Vec<Peer<'made>> {
        let mut peers = commonware::encoders(made);
        peers.extend(self.kzg.encoders());
        peers
    }

    /// Those that restore from as little, and as bad, as can be.
    pub fn decoders<'made>(&self, made: &'made Made) -> Result<Vec<Peer<'made>>> {
        commonware::decoders(made)
    }
}

#[cfg(not(feature = "peers-da"))]
impl Peers {
    /// There are none.
    pub fn new() -> Self {
        Self {}
    }

    /// None.
    pub fn encoders<'made>(&self, _: &'made Made) -> Vec<Peer<'made>> {
        Vec::new()
    }

    /// None.
    pub fn decoders<'made>(&self, _: &'made Made) -> Result<Vec<Peer<'made>>> {
        Ok(Vec::new())
    }
}
